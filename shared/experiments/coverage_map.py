"""A map of ray-traced UEs: walls, base station, and the power that each UE receives."""

from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from shared.channels import DatasetCard
from shared.errors import DataFileError
from shared.experiments.replacing import maker_of

MARGIN_M = 15.0


def paths_beside(path: Path, card: DatasetCard | None) -> Path | None:
    """Return the file of paths that belongs to a data set.

    Args:
        path: File of the data set.
        card: Its card.

    Returns:
        None where the card names none, it is not there, or another command made it.
    """
    name = card.configuration.get("paths_file") if card else None
    paths = path.with_name(Path(name).name) if isinstance(name, str) else None
    if card is None or paths is None or not paths.is_file():
        return None
    return paths if maker_of(paths) in (None, card.recipe) else None  # None: what cannot be read is `plot_coverage`'s


def plot_coverage(paths: Path, card: DatasetCard, out: Path) -> None:
    """Draw the UEs of a data set as seen from above, coloured by path gain; without a line of sight with an edge.

    Args:
        paths: File of paths, as `csi-lab data generate raytraced` writes it.
        card: The data set's card; says which UEs of ``paths`` are its own.
        out: PNG to write.

    Raises:
        DataFileError: If the file does not hold what such a file holds.
    """
    try:
        with np.load(paths) as stored:
            ues = stored[str(card.configuration["paths_index"])]
            ue, bs, walls = stored["ue_pos"][ues], stored["bs_pos"], stored["walls"]
            sight = stored["los"][ues]
            power = np.add.reduceat(np.abs(stored["amp"]) ** 2, stored["offsets"][:-1])[ues]
    except (LookupError, ValueError, OSError, BadZipFile) as error:
        raise DataFileError(f"`{paths}` must hold the paths of {card.name}: {error}") from error
    figure = Figure(figsize=(10, 7), layout="constrained")
    axes = figure.subplots()
    axes.add_collection(LineCollection(walls.reshape(-1, 2, 2), colors="0.35", linewidths=1))
    gain_db = 10 * np.log10(power)
    low, high = np.percentile(gain_db, [1, 99])
    for seen, marker, size in ((True, "o", 3), (False, "x", 12)):
        shown = sight == seen
        if shown.any():
            name = "line of sight" if seen else "no line of sight"
            label = f"{name}: {shown.mean():.1%}"
            x, y = ue[shown, 0], ue[shown, 1]
            dots = axes.scatter(
                x, y, s=size, c=gain_db[shown], marker=marker, vmin=low, vmax=high, linewidths=0.6, label=label
            )
    figure.colorbar(dots, ax=axes, label="path gain (dB)")
    axes.plot(bs[0], bs[1], "r^", markersize=9, label="base station")
    ends = np.concatenate([ue[:, :2], bs[None, :2]])
    (left, bottom), (right, top) = ends.min(axis=0) - MARGIN_M, ends.max(axis=0) + MARGIN_M
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="x (m)", ylabel="y (m)", aspect="equal")
    axes.set_title(f"{card.name}: {card.num_channels} UEs, {card.title}", fontsize=10)
    axes.legend(loc="upper right", fontsize=8)
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=130)
