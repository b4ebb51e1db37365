"""The section of `docs/reproduction.md` on CSI-INR: read from `benchmarks/csi_inr_tables.py` and a sweep.

benchmarks/results/csi_inr: <model>-entropy.json, <model>.manifest.json of the training whose weights it has
                            quantized.csv, of csi_inr_quantized.toml
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from shared.errors import DataFileError
from shared.experiments.published_figures import CSI_INR_CODING_GAIN, CSI_INR_INNER_STEPS_DB, CSI_INR_SIZES_DB
from shared.experiments.reproduction_sweeps import read_rows, training_table
from shared.experiments.reproduction_tables import markdown_table

Result = dict[str, Any]


def csi_inr_section(folder: Path, text: str) -> str:
    """Return the section.

    Args:
        folder: With what is named above.
        text: What stands under the heading.
    """
    results = read_results(folder)
    if not results:
        raise DataFileError(f"`{folder}` must hold measurements of benchmarks/csi_inr_tables.py; it has none.")
    head = f"{results[0]['num_channels']} channels of {results[0]['test_data'].split(',')[0]}"
    return "\n".join(
        [
            "## CSI-INR",
            "",
            text,
            "",
            training_table([_as_trained(folder, result["card"]) for result in results]),
            f"NMSE in dB by inner steps s_in at the UE, not quantised; paper / ours, {head} (Table IV):",
            "",
            _inner_steps(results),
            "All quantised, at equal bits of a report, no entropy coding; NMSE in dB",
            "(`csi-lab sweep csi_inr_quantized.toml`, in a folder with the models):",
            "",
            _quantized(folder),
            "Entropy coding by tables counted on the training split: mean bits of a report, without and with CRC,",
            "beside the cross-entropy; what coding saves of b bits an entry, paper / ours (Table III):",
            "",
            _coding(results),
            "Size of one report (Table V; by its multiply-accumulates its L_t is 4 more than our layers, our reading):",
            "",
            _sizes(results),
            f"Encoding on {results[0]['threads']} thread, ms a report by batch size, and of a batch of one:",
            "",
            _encoding(results),
            "![loss and NMSE over epochs, NMSE over bits](images/csi_inr.png)",
            "",
            "One network's codewords three ways, 300 reports a point (`csi-lab sweep csi_inr_snr.toml`):",
            "",
            "![NMSE and BLER over SNR](images/csi_inr_snr.png)",
            "",
        ]
    )


def read_results(folder: Path) -> list[Result]:
    """Read the measurements, by name."""
    paths = (path for path in sorted(folder.glob("*.json")) if not path.name.endswith(".manifest.json"))
    return [json.loads(path.read_text()) for path in paths]


def draw_csi_inr(folder: Path, path: Path) -> None:
    """Draw training loss and NMSE over epochs (the paper's Fig. 7), and NMSE over bits (Fig. 5).

    Args:
        folder: As of `csi_inr_section`.
        path: PNG to write.
    """
    figure = Figure(figsize=(13, 4), layout="constrained")
    loss, nmse, rate = figure.subplots(1, 3)
    for result in read_results(folder):
        name, num_reals = result["card"]["name"], _settings(result)["num_latents"]
        epochs = _manifest(folder, name)["epochs"]
        for ax, key in ((loss, "loss"), (nmse, "nmse_db")):
            ax.plot([epoch["epoch"] for epoch in epochs], [epoch[key] for epoch in epochs], "o-", label=name)
        rows = result["by_bits"]
        (line,) = rate.plot([row["fixed_bits"] for row in rows], [row["nmse_db"] for row in rows], "o-", label=name)
        coded = [row for row in rows if "mean_bits" in row]
        rate.plot(
            [row["mean_bits"] for row in coded],
            [row["nmse_db"] for row in coded],
            "x--",
            color=line.get_color(),
            label=f"{num_reals} reals, entropy-coded",
        )
    loss.set(xlabel="epoch", ylabel="training loss, MSE")
    nmse.set(xlabel="epoch", ylabel="NMSE on the test split (dB)")
    rate.set(xlabel="bits of a report, mean", ylabel="NMSE (dB)")
    for ax in (loss, nmse, rate):
        ax.grid(visible=True, which="both", alpha=0.3)
    loss.legend(fontsize="small")
    rate.legend(fontsize="small")
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _manifest(folder: Path, name: str) -> dict[str, Any]:
    """Return the manifest of the training whose weights an entropy-coded model has."""
    manifest: dict[str, Any] = json.loads((folder / f"{name.removesuffix('-entropy')}.manifest.json").read_text())
    return manifest


def _as_trained(folder: Path, card: dict[str, Any]) -> dict[str, Any]:
    """Return a card with the command of the training before its own."""
    return card | {"recipe": f"{_manifest(folder, card['name'])['command']}`, then `{card['recipe']}"}


def _settings(result: Result) -> dict[str, Any]:
    settings: dict[str, Any] = result["card"]["coordinates"]
    return settings


def _published(figures: dict[int, dict[int, float]], result: Result) -> dict[int, float]:
    """Return the paper's figures of a codeword's size, which are CSI-INR's alone."""
    return figures.get(_settings(result)["num_latents"], {}) if result["card"]["codec"] == "csi-inr" else {}


def _inner_steps(results: Sequence[Result]) -> str:
    steps = [row["inner_steps"] for row in results[0]["by_inner_steps"]]
    rows = []
    for result in results:
        published = _published(CSI_INR_INNER_STEPS_DB, result)
        cells = [
            f"{published[row['inner_steps']]:.2f} / {row['nmse_db']:.2f}"
            if row["inner_steps"] in published
            else f"- / {row['nmse_db']:.2f}"
            for row in result["by_inner_steps"]
        ]
        rows.append((result["card"]["name"], *cells))
    return markdown_table(("model", *(f"s_in = {count}" for count in steps)), rows)


def _quantized(folder: Path) -> str:
    """Return the table of the sweep: a row a codec, a column a number of bits."""
    rows = read_rows(folder, "quantized")
    rates = sorted({int(row["rate"]) for row in rows})
    found: dict[str, dict[int, str]] = {}
    for row in rows:
        found.setdefault(row["codec"], {})[int(row["rate"])] = f"{float(row['nmse_mean_db']):.2f}"
    body = [(codec, *(cells.get(rate, "") for rate in rates)) for codec, cells in found.items()]
    return markdown_table(("model", *(f"{rate} bits" for rate in rates)), body)


def _coding(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        published = _published(CSI_INR_CODING_GAIN, result)
        for row in result["by_bits"]:
            if "mean_bits" not in row:
                continue
            gain = f"{100 * published[row['bits']]:.1f} %" if row["bits"] in published else "-"
            rows.append(
                (
                    result["card"]["name"],
                    str(row["bits"]),
                    str(row["fixed_bits"]),
                    f"{row['mean_bits']:.1f}, {row['mean_bits_with_crc']:.1f}",
                    f"{row['cross_entropy_bits']:.1f}",
                    f"{gain} / {100 * row['coding_gain']:.1f} %",
                    f"{row['nmse_db']:.2f}",
                )
            )
    head = ("model", "b", "bits, fixed", "bits, coded", "cross-entropy", "saved, paper / ours", "NMSE, dB")
    return markdown_table(head, rows)


def _sizes(results: Sequence[Result]) -> str:
    rows = []
    for result in results:
        card, settings = result["card"], _settings(result)
        of_paper = settings["num_latents"] == 8 and card["codec"] == "csi-inr"
        published = CSI_INR_SIZES_DB.get((settings["width"], settings["num_layers"] + 4)) if of_paper else None
        own = next(row for row in result["by_inner_steps"] if row["inner_steps"] == settings["inner_steps"])
        rows.append(
            (
                card["name"],
                f"{settings['num_latents']}, {settings['width']}, {settings['num_layers'] + 4}",
                f"{card['num_parameters']:,}",
                f"{card['encoder_macs'] / 1e6:,.1f}M",
                f"{card['decoder_macs'] / 1e6:,.1f}M",
                "-" if published is None else f"{published:.2f}",
                f"{own['nmse_db']:.2f}",
            )
        )
    head = ("model", "n, d, L_t", "parameters", "MACs, UE", "MACs, base station", "paper, dB", "ours, dB")
    return markdown_table(head, rows)


def _encoding(results: Sequence[Result]) -> str:
    batches = [row["batch"] for row in results[0]["encoding"]]
    rows = [
        (result["card"]["name"], *(f"{row['ms_per_report']:.1f} ({row['of_one']:.2f})" for row in result["encoding"]))
        for result in results
    ]
    return markdown_table(("model", *(f"batch {batch}" for batch in batches)), rows)
