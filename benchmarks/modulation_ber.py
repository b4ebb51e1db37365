"""The bit error rate of every modulation beside its closed form, and the time of `digital:bsc` beside Sionna's symbols.

For each modulation, fading and SNR: wrong bits of hard decisions, their closed form, and the ratio with its standard
error. The independent draws are symbols over AWGN and reports over Rayleigh fading, whose bits share one gain; so those
of Rayleigh are short and many. Then, on the same bits and in turns: `digital:bsc` from the bits to the decisions, and
Sionna's mapper, AWGN and hard-deciding demapper (extra `data`); the median of the ratios of each turn.
"""

import json
import statistics
import time
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from shared.links import make_link
from shared.links.digital import bpsk_bit_error_probability
from shared.links.error_probability import bit_error_probability
from shared.links.label import MODULATION_NAMES, ModulationName
from shared.links.modulation import MODULATIONS
from shared.rng import Randomness
from shared.types import Payload

SNR_DB: dict[ModulationName, tuple[float, ...]] = {
    "bpsk": (-4, 0, 4, 7),
    "qpsk": (-1, 3, 7, 10),
    "16qam": (2, 7, 12, 16),
    "64qam": (6, 11, 17, 22),
    "256qam": (9, 15, 22, 27),
}
NUM_BITS = {"awgn": 2400, "rayleigh": 24}  # of a report: whole symbols of every modulation
FADINGS: tuple[Literal["awgn"], Literal["rayleigh"]] = ("awgn", "rayleigh")


def main(
    out: Annotated[Path, typer.Option(help="Folder for modulation_ber.json.")] = Path("benchmarks/results"),
    num_reports: Annotated[
        int, typer.Option(min=100, help="Reports over AWGN; 40 times as many over Rayleigh.")
    ] = 1000,
    turns: Annotated[int, typer.Option(min=3, help="Turns of the timing.")] = 15,
) -> None:
    """Measure, write JSON, print tables."""
    torch.set_num_threads(1)
    typer.echo("| modulation | fading | Es/N0, dB | wrong bits | BER | closed form | measured / closed form |")
    typer.echo("|---|---|---|---|---|---|---|")
    rows: list[dict[str, Any]] = []
    for name in MODULATION_NAMES:
        for fading in FADINGS:
            for snr_db in SNR_DB[name]:
                reports = num_reports * (40 if fading == "rayleigh" else 1)
                rows.append(_measure(name, fading, snr_db, reports, run=len(rows)))
                typer.echo(_line(rows[-1]))
    timing = _time(num_reports, turns)
    low, high = timing["ratio_range"]
    typer.echo(
        f"{timing['num_bits']:,} bits, one thread: digital:bsc {timing['bsc_s']:.4f} s, "
        f"Sionna {timing['sionna_s']:.4f} s, Sionna / bsc {timing['ratio']:.2f} ({low:.2f} to {high:.2f})"
    )
    result = {
        "command": f"python -m benchmarks.modulation_ber --num-reports {num_reports} --turns {turns}",
        "rows": rows,
        "timing": timing,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "modulation_ber.json").write_text(json.dumps(result, indent=2) + "\n")


def _measure(
    name: ModulationName, fading: Literal["awgn", "rayleigh"], snr_db: float, num_reports: int, run: int
) -> dict[str, Any]:
    """Send random bits through `digital:hard`."""
    payload = _payload(num_reports, NUM_BITS[fading], run)
    link = make_link(f"digital:hard:{name}:{fading}")
    received = link.transmit(payload, np.full(num_reports, snr_db, dtype=np.float32), _streams(num_reports, run))
    wrong = received.values != payload.bits
    together = MODULATIONS[name].bits_per_symbol if fading == "awgn" else NUM_BITS[fading]
    rates = wrong.reshape(-1, together).mean(axis=1)  # of independent draws
    expected = float(bit_error_probability(MODULATIONS[name], np.array(snr_db), fading))
    return {
        "modulation": name,
        "fading": fading,
        "snr_db": snr_db,
        "num_bits": wrong.size,
        "num_wrong": int(wrong.sum()),
        "ber": float(f"{rates.mean():.6g}"),
        "closed_form": float(f"{expected:.6g}"),
        "ratio": round(float(rates.mean()) / expected, 5),
        "ratio_standard_error": round(float(rates.std()) / np.sqrt(len(rates)) / expected, 5),
    }


def _time(num_reports: int, turns: int) -> dict[str, Any]:
    """Time both on the same bits, one after the other in each turn, so that a busy machine slows both."""
    from sionna.phy.channel import AWGN  # noqa: PLC0415  (extra `radio`)
    from sionna.phy.mapping import Demapper, Mapper  # noqa: PLC0415

    snr_db = 4.0
    payload, randomness = _payload(num_reports, NUM_BITS["awgn"], 1), _streams(num_reports, 1)
    link, snr = make_link("digital:bsc"), np.full(num_reports, snr_db, dtype=np.float32)
    mapper, awgn = Mapper("pam", 1, device="cpu"), AWGN(device="cpu")
    demapper, no = Demapper("app", "pam", 1, hard_out=True, device="cpu"), torch.tensor(10 ** (-snr_db / 10))

    def with_bsc() -> NDArray[np.bool_]:
        return np.asarray(link.transmit(payload, snr, randomness).values != payload.bits)

    def with_sionna() -> NDArray[np.bool_]:
        detected = demapper(awgn(mapper(torch.from_numpy(payload.bits).float()), no), no)
        return np.asarray(detected.numpy().astype(np.uint8) != payload.bits)

    seconds: dict[str, list[float]] = {"bsc": [], "sionna": []}
    wrong = {"bsc": 0, "sionna": 0}
    for turn in range(turns + 1):
        for name, send in (("bsc", with_bsc), ("sionna", with_sionna)):
            start = time.perf_counter()
            flips = send()
            if turn:  # the first warms up
                seconds[name].append(time.perf_counter() - start)
            wrong[name] = int(flips.sum())
    ratios = sorted(sionna / bsc for bsc, sionna in zip(seconds["bsc"], seconds["sionna"], strict=True))
    return {
        "what": "bits to decisions: digital:bsc; Sionna's Mapper, AWGN, Demapper('app', hard_out), float32; one thread",
        "num_bits": payload.bits.size,
        "snr_db": snr_db,
        "closed_form": float(f"{float(bpsk_bit_error_probability(np.array(snr_db))):.6g}"),
        "bsc_ber": wrong["bsc"] / payload.bits.size,
        "sionna_ber": wrong["sionna"] / payload.bits.size,
        "bsc_s": round(statistics.median(seconds["bsc"]), 5),
        "sionna_s": round(statistics.median(seconds["sionna"]), 5),
        "ratio": round(statistics.median(ratios), 3),
        "ratio_range": [round(ratios[0], 3), round(ratios[-1], 3)],
    }


def _payload(num_reports: int, num_bits: int, run: int) -> Payload:
    return Payload.of_equal_length(np.random.default_rng(run).integers(0, 2, (num_reports, num_bits), dtype=np.uint8))


def _streams(num_reports: int, run: int) -> Randomness:
    return Randomness(run, np.zeros(num_reports, dtype=np.int64), np.arange(num_reports))


def _line(row: dict[str, Any]) -> str:
    cells = (
        row["modulation"],
        row["fading"],
        f"{row['snr_db']}",
        f"{row['num_wrong']:,}",
        f"{row['ber']:.3e}",
        f"{row['closed_form']:.3e}",
        f"{row['ratio']:.4f} ± {row['ratio_standard_error']:.4f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    typer.run(main)
