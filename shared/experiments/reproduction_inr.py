"""The section of `docs/reproduction.md` on INRIC and CoINR: read from what three benchmarks measured.

benchmarks/results/inr: channels.json (benchmarks/inric_channels.py), pictures.json (benchmarks/inric_pictures.py),
coinr.json (benchmarks/coinr_tables.py)
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from shared.experiments.reproduction_tables import markdown_table

Result = dict[str, Any]
STAGES = ("rounded", "adaround", "retrained", "adaround-retrained")
PICTURE_ROWS = ("INRIC, rounded", "INRIC, AdaRound and retrained", "JPEG", "JPEG 2000")


def inr_section(folder: Path, text: str) -> str:
    """Return the section.

    Args:
        folder: With what is named above.
        text: What stands under the heading.
    """
    channels, pictures, coinr = (
        json.loads((folder / f"{name}.json").read_text()) for name in ("channels", "pictures", "coinr")
    )
    steps = channels["quantized_steps"]
    return "\n".join(
        [
            "## INRIC and CoINR",
            "",
            text,
            "",
            f"Channels, {channels['num_channels']} of each test split, {channels['num_weights']:,} weights; NMSE in dB",
            f"by steps, not quantised. Command: `{channels['command']}`.",
            "",
            _by_steps(channels),
            f"The weights after {steps:,} steps, on {_name(channels['tests'][0])}: NMSE in dB by bits a weight and",
            "stage, and mean bits of a whole report, rounded and last stage:",
            "",
            _by_bits(channels),
            f"lambda of the L1 norm, {channels['l1_bits']} bits a weight, rounded:",
            "",
            _by_lambda(channels),
            _starts([*channels["starts"], *pictures["starts"]]),
            f"Pictures of 128 x 128 ({', '.join(pictures['pictures'])}), none of a scene that a start was learned",
            "from; whole files, PSNR in dB at bits per pixel, means. JPEG and JPEG 2000 are the best of at most that",
            f"size, or the smallest there is. Command: `{pictures['command']}`.",
            "",
            _pictures(pictures),
            "CoINR: NMSE in dB at mean bits of a report, s as a share of k_1. Behind the weights of INRIC and COIN:",
            f"{coinr['steps']:,} steps, {coinr['num_channels']} channels of {_name(coinr['test'])}; behind codewords:",
            f"{coinr['num_reports']} reports of {_name(coinr['codeword_test'])}. The last column is what the largest s",
            "saves of the bits that uniform grids of the same numbers take for that NMSE, through the same coder;",
            f"below 0 it costs more. Command: `{coinr['command']}`.",
            "",
            _coinr(coinr),
            "The grids:",
            "",
            _grids(coinr),
        ]
    )


def _name(identity: str) -> str:
    return identity.split(",", maxsplit=1)[0]


def _by_steps(channels: Result) -> str:
    """Return a row a test and start, a column a number of steps."""
    rows = channels["by_steps"]
    steps = sorted({row["steps"] for row in rows})
    cells: dict[tuple[str, str], dict[int, float]] = {}
    for row in rows:
        cells.setdefault((row["test"], row["start"]), {})[row["steps"]] = row["nmse_db"]
    body = [
        (*pair, *(f"{found[count]:.2f}" if count in found else "" for count in steps)) for pair, found in cells.items()
    ]
    return markdown_table(("test", "start", *(f"{count:,}" for count in steps)), body)


def _by_bits(channels: Result) -> str:
    """Return a row a start and number of bits, a column a stage."""
    exact = {row["start"]: row["nmse_db"] for row in channels["by_bits"] if row["bits_a_weight"] is None}
    found: dict[tuple[str, int], dict[str, Result]] = {}
    for row in channels["by_bits"]:
        if row["bits_a_weight"] is not None:
            found.setdefault((row["start"], row["bits_a_weight"]), {})[row["stage"]] = row
    body = [
        (
            start,
            f"{exact[start]:.2f}",
            str(bits),
            *(f"{stages[stage]['nmse_db']:.2f}" for stage in STAGES),
            f"{stages['rounded']['mean_bits']:,.0f}, {stages[STAGES[-1]]['mean_bits']:,.0f}",
        )
        for (start, bits), stages in found.items()
    ]
    head = ("start", "exact", "bits a weight", "rounded", "AdaRound", "retrained", "both", "bits, rounded, both")
    return markdown_table(head, body)


def _by_lambda(channels: Result) -> str:
    body = [
        (
            row["start"],
            f"{row['lambda']:g}",
            f"{row['exact_db']:.2f}",
            f"{row['nmse_db']:.2f}",
            f"{row['mean_bits']:,.0f}",
        )
        for row in channels["by_lambda"]
    ]
    return markdown_table(("start", "lambda", "exact, dB", "rounded, dB", "bits"), body)


def _starts(cards: Sequence[Result]) -> str:
    body = [(card["name"], card["trained_on"], f"`{card['recipe']}`") for card in cards]
    return markdown_table(("start, **not converged**", "learned from", "command"), body)


def _pictures(pictures: Result) -> str:
    """Return a row a width and way to overfit, a column a codec."""
    found: dict[tuple[int, str, int, int], dict[str, Result]] = {}
    for row in pictures["rows"]:
        key = (row["width"], row["start"], row["steps"], row["bits_a_weight"])
        found.setdefault(key, {})[row["way"]] = row
    body = [
        (
            str(width),
            start,
            f"{steps:,}",
            str(bits),
            f"{ways['INRIC, not quantised']['psnr_db']:.2f}",
            *(f"{ways[way]['psnr_db']:.2f} at {ways[way]['bits_per_pixel']:.2f}" for way in PICTURE_ROWS),
        )
        for (width, start, steps, bits), ways in found.items()
    ]
    head = ("width", "start", "steps", "bits a weight", "exact", "rounded", "AdaRound, retrained", "JPEG", "JPEG 2000")
    return markdown_table(head, body)


def _coinr(coinr: Result) -> str:
    shares = [row["share"] for row in coinr["rows"][0]["sparse"]]
    body = [
        (
            row["behind"],
            str(row["width"]),
            f"{row['exact_db']:.2f}",
            *(f"{point['nmse_db']:.2f} at {point['mean_bits']:,.0f}" for point in row["sparse"]),
            "-" if row["sparse"][-1]["saving"] is None else f"{100 * row['sparse'][-1]['saving']:.0f} %",
        )
        for row in coinr["rows"]
    ]
    return markdown_table(("behind", "width", "exact", *(f"s = {share:g} k_1" for share in shares), "saved"), body)


def _grids(coinr: Result) -> str:
    bits = [row["bits"] for row in coinr["rows"][0]["grid"]]
    body = [
        (
            row["behind"],
            str(row["width"]),
            *(f"{point['nmse_db']:.2f} at {point['mean_bits']:,.0f}" for point in row["grid"]),
        )
        for row in coinr["rows"]
    ]
    return markdown_table(("behind", "width", *(f"{count} bits" for count in bits)), body)
