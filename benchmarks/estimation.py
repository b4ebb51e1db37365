"""The error of the channel estimators beside their closed forms, over the CNR.

For each estimator and CNR: the NMSE of the estimate over all channels of a data set and some draws of the noise, the
closed form, and their ratio with its standard error (of the noise: the channels are the same in every draw); and what
the encoder gets, the estimate at unit mean power. `lmmse` knows the statistics of the very channels that it estimates;
with ``--covariance-data``, a further row has those of that file.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from shared.channels import load_channels
from shared.errors import InvalidArgumentError
from shared.estimation import ESTIMATORS, Estimator, make_estimator
from shared.metrics import nmse
from shared.rng import Randomness
from shared.transforms import normalize_power

CNR_DB = (-10, -5, 0, 5, 10, 15, 20, 25, 30)


def main(
    out: Annotated[Path, typer.Option(help="Folder for estimation.json.")] = Path("benchmarks/results"),
    data: Annotated[str, typer.Option(help="Shipped data set, or a file.")] = "indoor-open-office",
    covariance_data: Annotated[str | None, typer.Option(help="Other channels of its kind, for lmmse.")] = None,
    draws: Annotated[int, typer.Option(min=2, help="Draws of the noise.")] = 2,
) -> None:
    """Measure, write JSON, print the table of docs/estimation.md."""
    torch.set_num_threads(1)
    channels = load_channels(data)
    noisy = [name for name in ESTIMATORS if name != "perfect"]
    estimators = {name: make_estimator(name, channels.shape, channels.h) for name in noisy}
    if covariance_data is not None:
        others = load_channels(covariance_data)
        if others.shape != channels.shape:
            raise InvalidArgumentError(
                f"`covariance_data` must hold {channels.shape}; {others.name} holds {others.shape}."
            )
        estimators[f"lmmse, {others.name}"] = make_estimator("lmmse", others.shape, others.h)
    typer.echo("| estimator | CNR, dB | NMSE, dB | closed form, dB | measured / closed form | at unit power, dB |")
    typer.echo("|---|---|---|---|---|---|")
    rows: list[dict[str, Any]] = []
    for name, estimator in estimators.items():
        for cnr_db in CNR_DB:
            runs = range(len(rows) * draws, (len(rows) + 1) * draws)  # every row has noise of its own
            rows.append({"estimator": name, "cnr_db": cnr_db, **_measure(estimator, channels.h, cnr_db, runs)})
            typer.echo(_line(rows[-1]))
    option = f" --covariance-data {Path(covariance_data).name}" if covariance_data else ""
    result = {
        "command": f"python -m benchmarks.estimation --data {Path(data).name}{option} --draws {draws}",
        "data": {"name": channels.name, "sha256": channels.sha256, "num_channels": len(channels.h)},
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "estimation.json").write_text(json.dumps(result, indent=2) + "\n")


def _measure(estimator: Estimator, h: Tensor, cnr_db: float, runs: range) -> dict[str, float]:
    """Estimate every channel once in each of ``runs``."""
    cnr, index = np.full(len(h), float(cnr_db)), np.arange(len(h))
    measured, at_unit_power = [], []
    for run in runs:
        h_est = estimator.estimate(h, cnr, Randomness(run, np.zeros(len(h), dtype=np.int64), index))
        measured.append(nmse(h_est, h))
        at_unit_power.append(float(nmse(normalize_power(h_est), h).mean()))
    errors = torch.stack(measured)  # [draws, num_channels]
    expected = estimator.expected_nmse(h, cnr_db)
    standard_error = math.sqrt(float(errors.var(dim=0).mean()) / errors.numel())
    return {
        "nmse_db": _db(float(errors.mean())),
        "closed_form_db": _db(expected),
        "ratio": round(float(errors.mean()) / expected, 6),
        "ratio_standard_error": round(standard_error / expected, 6),
        "at_unit_power_db": _db(float(np.mean(at_unit_power))),
    }


def _db(ratio: float) -> float:
    return round(10 * math.log10(ratio), 4) + 0.0  # no -0


def _line(row: dict[str, Any]) -> str:
    cells: Sequence[str] = (
        row["estimator"],
        f"{row['cnr_db']}",
        f"{round(row['nmse_db'], 2) + 0.0:.2f}",
        f"{row['closed_form_db']:.2f}",
        f"{row['ratio']:.4f} ± {row['ratio_standard_error']:.4f}",
        f"{row['at_unit_power_db']:.2f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    typer.run(main)
