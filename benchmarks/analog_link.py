"""The analog link beside theory, and what `klt-analog` makes of it beside `klt` over digital links.

For each fading and SNR: how far a report's power is from 1 (over a link of 80 dB); the noise that arrives over the
variance that is told of it; and the SNR after combining, measured from the noise alone, beside the mean gain times
Es/N0, with standard errors. For each number of channel uses and SNR: the NMSE of `klt-analog`, and of `klt` at the rate
that fills as many symbols of each modulation, uncoded, hard decisions; over AWGN also with the bits that no code can
exceed, log2(1 + Es/N0) a symbol, all of them right.
"""

import json
import math
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray

from shared.channels import ChannelSet, load_channels
from shared.codecs import DecodeContext, make_decoder
from shared.links.analog import AnalogLink
from shared.links.label import FADING_NAMES, AnalogLabel, FadingName
from shared.metrics import nmse
from shared.model_files import ModelFile, load_model
from shared.receive import receive
from shared.rng import Randomness
from shared.transmit import make_transmitter
from shared.types import Symbols

SNR_DB = (-10, 0, 10, 20)
NOISELESS_DB = 80
MEAN_GAIN: dict[FadingName, int] = {"awgn": 1, "rayleigh": 1, "uplink": 8}
NUM_REPORTS = 5000
NUM_SUBCARRIERS, REPEATS = 32, 8  # the symbols of a report go over the subcarriers again and again
CHANNEL_USES = (16, 32, 64, 128)
CODEC_SNR_DB = (-5, 5, 15)
CODEC_FADINGS = ("awgn", "uplink")
BITS_PER_SYMBOL = {"bpsk": 1, "qpsk": 2, "16qam": 4, "64qam": 6}


def main(
    out: Annotated[Path, typer.Option(help="Folder for analog_link.json.")] = Path("benchmarks/results"),
    data: Annotated[str, typer.Option(help="Shipped data set, or a file.")] = "indoor-open-office",
) -> None:
    """Measure, write JSON, print the tables of docs/links.md and docs/codecs.md."""
    torch.set_num_threads(1)
    typer.echo("| fading | Es/N0, dB | power off 1 by | noise / told | combined SNR, dB | theory, dB | ratio |")
    typer.echo("|---|---|---|---|---|---|---|")
    links: list[dict[str, Any]] = []
    for fading in FADING_NAMES:
        for snr_db in SNR_DB:
            links.append(_measure_link(fading, snr_db, run=len(links)))
            typer.echo(_link_line(links[-1]))
    channels, analog, digital = load_channels(data), load_model("klt-analog"), load_model("klt")
    typer.echo(f"\n| fading | channel uses | Es/N0, dB | `klt-analog` | {' | '.join(BITS_PER_SYMBOL)} | at capacity |")
    typer.echo("|---" * (5 + len(BITS_PER_SYMBOL)) + "|")
    codecs: list[dict[str, Any]] = []
    for name in CODEC_FADINGS:
        for num_uses in CHANNEL_USES:
            for snr_db in CODEC_SNR_DB:
                codecs.append(_compare(analog, digital, channels, name, num_uses, snr_db))
                typer.echo(_codec_line(codecs[-1]))
    result = {
        "command": f"python -m benchmarks.analog_link --data {Path(data).name}",
        "num_reports": NUM_REPORTS,
        "num_symbols": NUM_SUBCARRIERS * REPEATS,
        "link": links,
        "data": {"name": channels.name, "sha256": channels.sha256, "num_channels": len(channels.h)},
        "models": {model.card.name: model.card.sha256 for model in (analog, digital)},
        "codecs": codecs,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "analog_link.json").write_text(json.dumps(result, indent=2) + "\n")


def _measure_link(fading: FadingName, snr_db: float, run: int) -> dict[str, Any]:
    """Send Gaussian symbols; the noise is what arrives less what was sent, at unit power a report.

    The sum of m squares of noise of one variance is gamma distributed, so that (m - 1) over it is an unbiased measure
    of one over the variance: the SNR of a subcarrier, from its m symbols.
    """
    z = np.random.default_rng(run).standard_normal((NUM_REPORTS, NUM_SUBCARRIERS * REPEATS, 2)).view(np.complex128)
    symbols = Symbols(z[..., 0].astype(np.complex64))
    sent = symbols.values / np.sqrt(_power(symbols.values))
    arrived, _ = _send(symbols, fading, NOISELESS_DB, run)
    values, no_eff = _send(symbols, fading, snr_db, run)
    noise = np.square(np.abs(values - sent))
    of_subcarrier = (REPEATS - 1) / noise.reshape(NUM_REPORTS, REPEATS, NUM_SUBCARRIERS).sum(axis=1)
    snr, told = of_subcarrier.mean(axis=1), (noise / no_eff).mean(axis=1)
    theory = MEAN_GAIN[fading] * 10 ** (snr_db / 10)
    return {
        "fading": fading,
        "snr_db": snr_db,
        "power_off_by": float(f"{np.abs(_power(arrived) - 1).max():.1e}"),
        "noise_over_told": round(float(told.mean()), 5),
        "noise_over_told_standard_error": round(float(told.std()) / math.sqrt(NUM_REPORTS), 5),
        "combined_snr_db": _db(float(snr.mean())),
        "theory_db": _db(theory),
        "ratio": round(float(snr.mean()) / theory, 5),
        "ratio_standard_error": round(float(snr.std()) / math.sqrt(NUM_REPORTS) / theory, 5),
    }


def _send(
    symbols: Symbols, fading: FadingName, snr_db: float, run: int
) -> tuple[NDArray[np.complexfloating], NDArray[np.float64]]:
    streams = Randomness(run, np.zeros(NUM_REPORTS, dtype=np.int64), np.arange(NUM_REPORTS))
    snr = np.full(NUM_REPORTS, snr_db, dtype=np.float32)
    received = AnalogLink(AnalogLabel(fading)).transmit_symbols(symbols, snr, streams)
    return received.values.astype(np.complex128), np.asarray(received.no_eff, dtype=np.float64)


def _power(values: NDArray[np.complexfloating]) -> NDArray[np.float64]:
    """Return [batch, 1], the mean power of each report."""
    power: NDArray[np.float64] = np.square(np.abs(values.astype(np.complex128))).mean(axis=1, keepdims=True)
    return power


def _compare(
    analog: ModelFile, digital: ModelFile, channels: ChannelSet, fading: str, num_uses: int, snr_db: float
) -> dict[str, Any]:
    card = digital.card
    at_capacity = math.floor(num_uses * math.log2(1 + 10 ** (snr_db / 10)))
    bounded = fading == "awgn" and card.min_rate <= at_capacity <= card.max_rate
    return {
        "fading": fading,
        "channel_uses": num_uses,
        "snr_db": snr_db,
        "klt_analog_db": _nmse_db(analog, channels, f"analog:{fading}", num_uses, snr_db),
        "klt_db": {
            name: _nmse_db(digital, channels, f"digital:hard:{name}:{fading}", bits * num_uses, snr_db)
            for name, bits in BITS_PER_SYMBOL.items()
            if card.min_rate <= bits * num_uses <= card.max_rate
        },
        "klt_at_capacity_db": _nmse_db(digital, channels, "ideal", at_capacity, snr_db) if bounded else None,
    }


def _nmse_db(model: ModelFile, channels: ChannelSet, link: str, rate: int, snr_db: float) -> float:
    """Return the NMSE of every channel sent once."""
    transmitter, decoder = make_transmitter(model, channels.shape, link, rate), make_decoder(model, torch.device("cpu"))
    n = len(channels.h)
    snr, streams = np.full(n, snr_db, dtype=np.float32), Randomness(1, np.zeros(n, dtype=np.int64), np.arange(n))
    sent, code = transmitter.transmit(channels.h, snr, streams), transmitter.link.code
    reception = receive(sent.received, code, sent.payload.length, decoder, DecodeContext(rate, snr))
    return _db(float(nmse(reception.h_hat, channels.h).mean()))


def _db(ratio: float) -> float:
    return round(10 * math.log10(ratio), 3) + 0.0  # no -0


def _link_line(row: dict[str, Any]) -> str:
    cells = (
        row["fading"],
        f"{row['snr_db']}",
        f"{row['power_off_by']}",
        f"{row['noise_over_told']:.4f} ± {row['noise_over_told_standard_error']:.4f}",
        f"{row['combined_snr_db']:.2f}",
        f"{row['theory_db']:.2f}",
        f"{row['ratio']:.4f} ± {row['ratio_standard_error']:.4f}",
    )
    return f"| {' | '.join(cells)} |"


def _codec_line(row: dict[str, Any]) -> str:
    digital = (*(row["klt_db"].get(name) for name in BITS_PER_SYMBOL), row["klt_at_capacity_db"])
    cells = (
        row["fading"],
        f"{row['channel_uses']}",
        f"{row['snr_db']}",
        f"{row['klt_analog_db']:.2f}",
        *("-" if value is None else f"{value:.2f}" for value in digital),
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    typer.run(main)
