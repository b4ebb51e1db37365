"""One picture of what a data set holds."""

import textwrap
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from shared.experiments.data_info import DataInfo


def plot_data(info: DataInfo, path: Path) -> None:
    """Draw power over delay and angle, energy of the strongest entries, and the KLT's error.

    Args:
        info: Statistics of the data set.
        path: PNG to write.
    """
    figure = Figure(figsize=(10, 7), layout="constrained")
    delay, angle, strongest, klt = figure.subplots(2, 2).ravel()
    delay.plot(info.power_profile_db, "o-", markersize=3)
    delay.set(xlabel="delay tap", ylabel="power (dB of the total)", title="power-delay profile")
    num_angles = len(info.angular_spectrum_db)
    steps = 2 * np.arange(num_angles) / num_angles - 1
    angle.plot(steps, info.angular_spectrum_db, "o-", markersize=3)
    angle.set(
        xlabel="phase from one antenna to the next / π", ylabel="power (dB of the total)", title="angular spectrum"
    )
    numbers = [int(n) for n in info.energy_of_strongest]
    strongest.semilogx(numbers, list(info.energy_of_strongest.values()), "o-", base=2)
    strongest.set(xlabel="strongest entries of a channel", ylabel="share of its energy", ylim=(0, 1.02))
    strongest.set_title("sparsity")
    if info.klt_nmse_db:
        klt.semilogx([int(n) for n in info.klt_nmse_db], list(info.klt_nmse_db.values()), "o-", base=2)
    klt.set(xlabel="reals kept", ylabel="NMSE (dB), mean of ratios")
    fit = textwrap.fill(info.klt_fit, 60)
    klt.set_title(f"Karhunen-Loeve transform, unquantised\n{fit}", fontsize=10)
    for ax in (strongest, klt):
        ax.xaxis.set_major_formatter("{x:g}")
    for ax in (delay, angle, strongest, klt):
        ax.grid(visible=True, alpha=0.3)
    figure.suptitle(f"{info.identity['name']}: {info.identity['num_channels']} channels")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)
