"""The section of `docs/reproduction.md` on InvCSINet: read from two sweeps, the models' cards and run manifests.

benchmarks/results/invcsinet: 32.csv, 128.csv (`csi-lab sweep`), models/*.card.json, models/*.manifest.json
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from shared.experiments.reproduction_sweeps import Row, read_rows, training_table
from shared.experiments.reproduction_tables import markdown_table

ABLATIONS = {  # model -> what it leaves out, published loss in dB
    "invcsinet-street-28g-without-daq": ("DAQ", "0.1 ... 1.5"),
    "invcsinet-street-28g-without-d-bcd": ("D-BCD", "0.5 ... 11.8"),
    "invcsinet-street-28g-without-ic": ("IC", "0.004 ... 0.4"),
}
WHOLE = "invcsinet-street-28g"
IDEAL = {  # model -> line of the picture
    "invcsinet-street-28g-ideal-mmd": "invertible, MMD alone",
    "invcsinet-street-28g-ideal": "invertible, both losses",
    "csinet-street-28g": "CsiNet",
}
AWGN = "digital:bsc"
POLAR = "digital:soft:polar-1/2"
LINKS = {
    AWGN: "BPSK over AWGN",
    "digital:hard:rayleigh": "BPSK over Rayleigh fading",
    POLAR: "BPSK over AWGN behind a polar code that doubles the bits",
}


def invcsinet_section(folder: Path, text: str) -> str:
    """Return the section.

    Args:
        folder: With what is named above.
        text: What stands under the heading.
    """
    cards = [json.loads(path.read_text()) for path in sorted((folder / "models").glob("*.card.json"))]
    cards = [card for card in cards if card["training"]]  # KLT is fitted
    parts = ["## InvCSINet and the digital networks it is measured against", "", text, "", training_table(cards)]
    parts += ["Sizes, of one report:", "", _sizes(cards)]
    for size in (32, 128):
        rows = [row for row in read_rows(folder, str(size)) if row["codec"] not in ABLATIONS]
        head = f"{size} reals, {rows[0]['num_reports']} reports a point (`csi-lab sweep invcsinet_{size}.toml`)"
        for link in dict.fromkeys(row["link"] for row in rows):
            of_link = [row for row in rows if row["link"] == link]
            parts += [f"NMSE in dB, {LINKS[link]} (`{link}`), {head}:", "", _grid(of_link, size)]
        if POLAR in {row["link"] for row in rows}:
            parts += [
                f"The same, BPSK over AWGN, {4 * size} bits on the channel:",
                "",
                _at_equal_coded_bits(rows, size),
            ]
    parts += ["Ablation, 32 reals, BPSK over AWGN: NMSE in dB and what leaving out a part costs:", ""]
    parts += [_ablation(read_rows(folder, "32"))]
    parts += ["Ideal transmission: nothing is quantised, nothing is lost (the paper's Fig. 8).", ""]
    parts += ["![NMSE and MMD over epochs](images/invcsinet.png)", ""]
    return "\n".join(parts)


def draw_ideal(folder: Path, path: Path) -> None:
    """Draw NMSE and MMD of the reconstructions over epochs.

    Args:
        folder: As of `invcsinet_section`.
        path: PNG to write.
    """
    figure = Figure(figsize=(11, 4), layout="constrained")
    axes = figure.subplots(1, 2)
    for name, label in IDEAL.items():
        epochs = json.loads((folder / "models" / f"{name}.manifest.json").read_text())["epochs"]
        for ax, key in zip(axes, ("nmse_db", "mmd"), strict=True):
            ax.plot([epoch["epoch"] for epoch in epochs], [epoch[key] for epoch in epochs], "o-", label=label)
    axes[0].set(xlabel="epoch", ylabel="NMSE (dB), mean of ratios")
    axes[1].set(xlabel="epoch", ylabel="MMD² between channels and reconstructions", yscale="log")
    for ax in axes:
        ax.grid(visible=True, which="both", alpha=0.3)
    axes[0].legend()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def _sizes(cards: Sequence[dict[str, Any]]) -> str:
    """Return one line a size; of models that differ in their training alone, under the shortest name."""
    sizes = {
        (card["codec"], card["num_parameters"], card["encoder_macs"], card["decoder_macs"]): card["name"]
        for card in sorted(cards, key=lambda card: -len(card["name"]))
    }
    rows = sorted((name, *(f"{number:,}" for number in size)) for (_, *size), name in sizes.items())
    return markdown_table(("codec", "parameters", "multiply-accumulates at the UE", "at the base station"), rows)


def _grid(rows: Sequence[Row], num_latents: int) -> str:
    """Return one line a codec, one column for each number of bits and SNR; ``rows`` are of one link."""
    points = list(dict.fromkeys((int(row["rate"]) // num_latents, float(row["snr_db"])) for row in rows))
    head = ("codec", *(f"{bits} bits, {snr_db:g} dB" for bits, snr_db in points))
    return _table(rows, head, [(bits * num_latents, snr_db, rows[0]["link"]) for bits, snr_db in points])


def _at_equal_coded_bits(rows: Sequence[Row], num_latents: int) -> str:
    """Return one line a codec: 4 bits without a code beside 2 bits behind one of rate 1/2."""
    snrs = sorted({float(row["snr_db"]) for row in rows})
    ways = ((4, AWGN, "4 bits"), (2, POLAR, "2 bits, polar"))
    head = ("codec", *(f"{name}, {snr_db:g} dB" for _, _, name in ways for snr_db in snrs))
    return _table(rows, head, [(bits * num_latents, snr_db, link) for bits, link, _ in ways for snr_db in snrs])


def _table(rows: Sequence[Row], head: tuple[str, ...], points: Sequence[tuple[int, float, str]]) -> str:
    """Return the NMSE of each codec at each rate, SNR and link."""
    found = {_point(row): f"{float(row['nmse_mean_db']):.2f}" for row in rows}
    codecs = dict.fromkeys(row["codec"] for row in rows)
    return markdown_table(head, [(codec, *(found.get((codec, *point), "-") for point in points)) for codec in codecs])


def _ablation(rows: Sequence[Row]) -> str:
    found = {_point(row): float(row["nmse_mean_db"]) for row in rows}
    points = [(bits * 32, snr_db, AWGN) for bits in (2, 4) for snr_db in (0.0, 10.0)]
    cells = [("nothing", *(f"{found[WHOLE, *point]:.2f}" for point in points), "-")]
    for codec, (part, published) in ABLATIONS.items():
        values = [(found[codec, *point], found[codec, *point] - found[WHOLE, *point]) for point in points]
        cells.append((part, *(f"{value:.2f} ({cost:+.2f})" for value, cost in values), published))
    head = (f"{rate // 32} bits, {snr_db:g} dB" for rate, snr_db, _ in points)
    return markdown_table(("left out", *head, "published cost, dB"), cells)


def _point(row: Row) -> tuple[str, int, float, str]:
    return row["codec"], int(row["rate"]), float(row["snr_db"]), row["link"]
