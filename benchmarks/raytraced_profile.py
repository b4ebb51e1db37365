"""Measure ray-traced data sets: spreads of their paths, and what the nearest training UE tells of a test channel.

Delay spread, angular spread (circular, TR 38.901 annex A.1, of the array's angle) and share of the strongest path, over
all UEs. Then, at random and by area: the channel g of the training UE that stands nearest to the UE of test channel h,
both of unit norm, rho = |g^H h|. As an estimate of h its NMSE, mean of ratios, is 2 - 2 rho where the best phase turns
it, and 1 - rho^2 where the best complex factor also scales it.
"""

import json
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy.spatial import cKDTree
from torch import Tensor

from shared.channels import DatasetCard, load_channels
from shared.errors import DataFileError
from shared.experiments.coverage_map import paths_beside
from shared.metrics import to_db

SPLITS = {"at_random": ("train", "test"), "by_area": ("area-train", "area-test")}
PERCENTILES = [10, 50, 90]
Arrays = dict[str, NDArray[Any]]


def main(
    names: Annotated[
        list[Path], typer.Argument(help="What --out was, without .npz; the files of its splits are read.")
    ],
    out: Annotated[Path, typer.Option(help="Folder for raytraced_profile.json.")] = Path("benchmarks/results"),
) -> None:
    """Measure and write JSON."""
    command = f"python -m benchmarks.raytraced_profile {' '.join(name.name for name in names)}"
    result = {"command": command, "data": [_profile(name) for name in names]}
    text = json.dumps(result, indent=2)
    out.mkdir(parents=True, exist_ok=True)
    (out / "raytraced_profile.json").write_text(text + "\n")
    typer.echo(text)


def _profile(name: Path) -> dict[str, Any]:
    _, card = _read(name, "train")
    if (paths := paths_beside(name, card)) is None:
        raise DataFileError(f"`{name}-paths.npz` must lie beside the data, made by the same command.")
    with np.load(paths) as stored:
        arrays = {key: stored[key] for key in stored}
    return {
        "name": name.name,
        "recipe": card.recipe,
        "generator": card.generator,
        "num_ues": len(arrays["ue_pos"]),
        "line_of_sight_share": round(float(arrays["los"].mean()), 4),
        "mean_paths": round(float(np.diff(arrays["offsets"]).mean()), 2),
        "percentiles": PERCENTILES,
        **_spreads(arrays),
        "nearest_training_ue": {split: _nearest(name, arrays, *parts) for split, parts in SPLITS.items()},
    }


def _spreads(arrays: Arrays) -> dict[str, list[float]]:
    first = arrays["offsets"][:-1]
    power = np.abs(arrays["amp"].astype(np.complex128)) ** 2
    power /= np.repeat(np.add.reduceat(power, first), np.diff(arrays["offsets"]))
    delay_ns = arrays["delay"].astype(np.float64) * 1e9
    mean = np.add.reduceat(power * delay_ns, first)
    variance = np.add.reduceat(power * delay_ns**2, first) - mean**2
    resultant = np.abs(np.add.reduceat(power * np.exp(1j * arrays["aod"].astype(np.float64)), first))
    return {
        "delay_spread_ns": _percentiles(np.sqrt(variance.clip(min=0))),
        "angular_spread_deg": _percentiles(np.degrees(np.sqrt(-2 * np.log(resultant.clip(max=1))))),
        "strongest_path_share": _percentiles(np.maximum.reduceat(power, first)),
    }


def _nearest(name: Path, arrays: Arrays, train: str, test: str) -> dict[str, Any]:
    (g, of_train), (h, of_test) = _read(name, train), _read(name, test)
    place = {
        card.name: arrays["ue_pos"][arrays[str(card.configuration["paths_index"])]] for card in (of_train, of_test)
    }
    distance_m, index = cKDTree(place[of_train.name]).query(place[of_test.name])
    rho = (g[index].conj() * h).sum(dim=1).abs().double().clamp(max=1)
    return {
        "train": {"num_channels": len(g), "sha256": of_train.sha256},
        "test": {"num_channels": len(h), "sha256": of_test.sha256},
        "distance_m": _percentiles(np.asarray(distance_m)),
        "nmse_db_best_phase": round(to_db(float((2 - 2 * rho).mean())) or 0.0, 2),
        "nmse_db_best_factor": round(to_db(float((1 - rho**2).mean())) or 0.0, 2),
    }


def _read(name: Path, part: str) -> tuple[Tensor, DatasetCard]:
    """Return [num_channels, entries] complex64, each of unit norm, and the card."""
    path = name.with_name(f"{name.name}-{part}.npz")
    channels = load_channels(str(path))
    if channels.card is None:
        raise DataFileError(f"`{path}` must have its card beside it.")
    rows = channels.h.flatten(1)
    return rows / rows.norm(dim=1, keepdim=True), channels.card


def _percentiles(values: NDArray[np.floating]) -> list[float]:
    return [round(float(value), 3) for value in np.percentile(values, PERCENTILES)]


if __name__ == "__main__":
    typer.run(main)
