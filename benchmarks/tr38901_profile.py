"""Hold the generated TR 38.901 channels against the specification's tables.

Offices and cells: mean power 1, delay spread, K factor and clusters of Table 7.5-6. CDL and TDL: each delay and each
power of the tables of 7.7, a delay spread of 1. Exit code 1 where one of them is off.

What the model draws must meet the table within four standard errors. What is then measured on the paths need not: few
clusters of random power, and dropping the weak ones, move the mean of log10(delay spread) by up to `SPREAD_BAND`.
"""

import json
import platform
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import torch
import typer
from rich.console import Console
from rich.table import Table

from shared.channels.tr38901 import SCENARIOS
from shared.channels.tr38901.settings import Profile
from shared.experiments.tr38901_profile import Estimate, sound, sound_profile
from shared.experiments.tr38901_tables import TABLE_7_5_6, delay_profile

CARRIER_HZ = 3.5e9
SIGMAS = 4.0
SPREAD_BAND = 0.08  # decades
K_BAND_DB = 0.5


def main(
    out: Annotated[Path, typer.Option(help="Folder for tr38901_profile.json.")] = Path("benchmarks/results"),
    num_drops: Annotated[int, typer.Option(min=256, help="Drops of each scenario.")] = 4096,
    seed: Annotated[int, typer.Option(min=0, help="Seed.")] = 1,
) -> None:
    """Measure, write JSON, print two tables."""
    torch.set_num_threads(1)
    cells = [_cell(scenario, los, num_drops, seed) for scenario, los in TABLE_7_5_6]
    profiles = [
        _profile(name, num_drops, seed) for name, scenario in SCENARIOS.items() if isinstance(scenario, Profile)
    ]
    result = {
        "command": f"python -m benchmarks.tr38901_profile --num-drops {num_drops} --seed {seed}",
        "generator": f"sionna-no-rt {version('sionna-no-rt')}, torch {torch.__version__}",
        "python": platform.python_version(),
        "carrier_frequency_hz": CARRIER_HZ,
        "cells": cells,
        "profiles": profiles,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "tr38901_profile.json").write_text(json.dumps(result, indent=2) + "\n")
    _print(cells, profiles)
    if not all(row["agrees"] for row in cells + profiles):
        raise typer.Exit(1)


def _cell(scenario: str, los: str, num_drops: int, seed: int) -> dict[str, Any]:
    measured, table = sound(scenario, los, num_drops, seed), TABLE_7_5_6[scenario, los]
    mean, sigma = table.lg_delay_spread(CARRIER_HZ)
    agrees = [
        _within(measured.power, 1.0),
        measured.num_clusters == table.num_clusters,
        _within(measured.lg_delay_spread_drawn, mean),
        abs(measured.lg_delay_spread.mean - mean) <= SPREAD_BAND,
    ]
    if measured.k_db and measured.k_db_drawn and table.k_mean_db is not None:
        agrees += [
            _within(measured.k_db_drawn, table.k_mean_db),
            abs(measured.k_db.mean - table.k_mean_db) <= K_BAND_DB,
        ]
    return {
        "scenario": scenario,
        "los": los,
        "table": {
            "lg_delay_spread": [round(mean, 4), round(sigma, 4)],
            "num_clusters": table.num_clusters,
            "k_db": [table.k_mean_db, table.k_sigma_db],
        },
        "measured": _rounded(asdict(measured)),
        "agrees": all(agrees),
    }


def _profile(scenario: str, num_drops: int, seed: int) -> dict[str, Any]:
    measured, table = sound_profile(scenario, num_drops, seed), delay_profile(scenario)
    pairs = list(zip(measured.taps, table.taps(), strict=True))
    delay_error = max(abs(tap[0] - wanted[0]) for tap, wanted in pairs)
    power_error = max(abs(tap[1] - wanted[1]) / tap[2] for tap, wanted in pairs)
    agrees = [delay_error < 1e-5, power_error <= SIGMAS, abs(measured.delay_spread - 1) < 0.02]
    k_db = None if table.first_k_db is None else measured.first_k_db
    if k_db is not None and table.first_k_db is not None:
        agrees.append(abs(k_db - table.first_k_db) <= K_BAND_DB)
    return {
        "scenario": scenario,
        "num_drops": measured.num_drops,
        "num_taps": len(pairs),
        "largest_delay_error": float(f"{delay_error:.2g}"),
        "largest_power_error_in_standard_errors": round(power_error, 2),
        "delay_spread": round(measured.delay_spread, 4),
        "first_k_db": k_db and round(k_db, 2),
        "first_k_db_table": table.first_k_db and round(table.first_k_db, 2),
        "agrees": all(agrees),
    }


def _within(estimate: Estimate, wanted: float) -> bool:
    return abs(estimate.mean - wanted) <= SIGMAS * estimate.standard_error


def _rounded(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _rounded(one) for key, one in value.items()}
    return round(value, 5) if isinstance(value, float) else value


def _print(cells: list[dict[str, Any]], profiles: list[dict[str, Any]]) -> None:
    console = Console()
    table = Table(title=f"Table 7.5-6 at {CARRIER_HZ / 1e9:g} GHz: table / drawn / measured on the paths")
    for name in ("scenario", "power", "clusters", "mean lg DS", "sigma lg DS", "mean K dB", "agrees"):
        table.add_column(name)
    for row in cells:
        wanted, found = row["table"], row["measured"]
        drawn, paths = found["lg_delay_spread_drawn"], found["lg_delay_spread"]
        table.add_row(
            f"{row['scenario']} {row['los']}",
            f"{found['power']['mean']:.4f} ± {found['power']['standard_error']:.4f}",
            f"{wanted['num_clusters']} / {found['num_clusters']} (mean {found['num_clusters_kept']['mean']:.1f})",
            f"{wanted['lg_delay_spread'][0]:.3f} / {drawn['mean']:.3f} / {paths['mean']:.3f}",
            f"{wanted['lg_delay_spread'][1]:.3f} / {drawn['deviation']:.3f} / {paths['deviation']:.3f}",
            f"{wanted['k_db'][0]:g} / {found['k_db_drawn']['mean']:.2f} / {found['k_db']['mean']:.2f}"
            if found["k_db"]
            else "-",
            "yes" if row["agrees"] else "NO",
        )
    console.print(table)
    table = Table(title="Tables of 7.7: delays, powers, delay spread over the one asked for, K of the first tap")
    for name in ("profile", "taps", "largest delay error", "largest power error / SE", "DS", "K dB", "agrees"):
        table.add_column(name)
    for row in profiles:
        table.add_row(
            row["scenario"],
            str(row["num_taps"]),
            f"{row['largest_delay_error']:g}",
            f"{row['largest_power_error_in_standard_errors']:g}",
            f"{row['delay_spread']:.3f}",
            "-" if row["first_k_db"] is None else f"{row['first_k_db_table']:g} / {row['first_k_db']:g}",
            "yes" if row["agrees"] else "NO",
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
