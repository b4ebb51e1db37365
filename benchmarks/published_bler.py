"""The block error rate of 5G's channel codes beside points that other people's decoders gave, over AWGN with soft LLRs.

The other benchmark of these codes, `benchmarks.coded_bler`, holds them against figures of the library that they come
from. The points here were made without it: by AFF3CT (C++), and by R. Maunder's model of TS 38.212 (MATLAB). Both
print files of results in their repositories; `benchmarks.published_points` names file and commit.

SNR as printed, and the Es/N0 of the BPSK symbols that are sent here (real noise of variance N0 / 2):

    AFF3CT   Eb/N0, BPSK                Es/N0 = Eb/N0 k / n         k without CRC: those codes have none
    Maunder  Es/N0, QPSK of energy 1    Es/N0 here is half of it    a quadrature has half the energy, the same N0 / 2

A curve is decoded as the link would decode it, LLRs brought to one scale (`shared.coding.sionna_blocks`), and again
with the true LLRs, as the others had them. That scale is for the link's rates, 1/5 and more: at the PBCH's 1/27 it is
0.4 of the true one. What is theirs and what is ours:

* LDPC: flooding sum-product, 20 iterations, float32, in both; k = 512 has base graph 2 lifted by 64, k = 20 by 4.
* Polar, SC: no CRC, no rate matching. Ours has the exact check node, theirs the min-sum one, and decides nodes that
  are a single parity check by Wagner's rule. That is the difference: with min-sum put into Sionna's decoder, aside,
  ours lost 0.365, 0.098 and 0.0150 of the blocks at 1.5, 2 and 2.5 dB (printed: 0.370, 0.102, 0.0157; exact: 0.327,
  0.084, 0.0128; true LLRs, 600 errors and more each).
* PBCH: 32 bits, CRC24C and its interleaver, N = 512, of which Sionna sends 576 at most: the repetition to 864
  (clause 5.4.1.2) is done here. List of 8; theirs has the min-sum metric, ours the exact one. Neither uses the CRC
  before the last bit is decided, nor scrambles.
* PUCCH: CRC of 11 bits, the link's own code at a length that its rates do not give. Printed is the SNR of a BLER of
  1e-3, and by an oversight in main_SNR_vs_A.m (it interpolates after the SNR was advanced) that is one step of the
  SNR too high. The step is not printed; in the files for the PBCH it is 0.1 dB.

A block is wrong if a bit is, or if its CRC refuses it. The shift is how many dB more ours needs: the difference of the
Gaussian quantiles of the two rates over the slope of ours, with one standard error of both counts together.

Sources: aff3ct/error_rate_references and robmaunder/polar-3gpp-matlab on GitHub; 3GPP TS 38.212, clauses 5.3.1, 5.4.1,
7.1.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy.stats import norm
from torch import Tensor

from benchmarks.coded_bler import BATCH, Bits, Published, count_errors
from benchmarks.published_points import CURVES, SOURCES, Curve
from shared.coding.ldpc import sionna_ldpc
from shared.coding.polar import LIST_SIZE, sionna_polar
from shared.coding.sionna_blocks import DEVICE, PRECISION, decoded, encoded
from shared.metrics.intervals import wilson_interval

Block = Callable[[Tensor], Tensor]

PART = 250  # blocks decoded at once
REFUSED = 2  # stands for every bit of a block whose CRC failed
PBCH_MOTHER_BITS = 512


def main(
    out: Annotated[Path, typer.Option(help="Folder for published_bler.json.")] = Path("benchmarks/results"),
    errors: Annotated[int, typer.Option(min=30, help="Block errors after which a point is done.")] = 300,
    seed: Annotated[int, typer.Option(min=0, help="Seed of bits and noise.")] = 1,
) -> None:
    """Measure, write JSON, print a table."""
    torch.set_num_threads(1)
    typer.echo("| code | k | n | SNR, dB | LLRs | published | errors / blocks | BLER, 95 % | shift, dB |")
    typer.echo("|---|---|---|---|---|---|---|---|---|")
    rows: list[dict[str, Any]] = []
    for curve in CURVES:
        for llrs, snrs_db in (("scaled", curve.scaled), ("true", curve.true)):
            counts = [
                _measured(curve, llrs, snr_db, errors, np.random.default_rng([seed, len(rows) + i]))
                for i, snr_db in enumerate(snrs_db)
            ]
            for i, snr_db in enumerate(snrs_db):
                rows.append(_row(curve, llrs, snr_db, counts[i], _slopes(snrs_db, counts)[i]))
                typer.echo(_line(rows[-1]))
    result = {
        "command": f"python -m benchmarks.published_bler --errors {errors} --seed {seed}",
        "sources": {name: asdict(source) for name, source in SOURCES.items()},
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "published_bler.json").write_text(json.dumps(result, indent=2) + "\n")


def _measured(curve: Curve, llrs: str, snr_db: float, errors: int, rng: np.random.Generator) -> Published:
    encoder, decoder = BLOCKS[curve.source](curve.num_info_bits, curve.num_coded_bits)
    rate = curve.num_info_bits / curve.num_coded_bits

    def decode(received: NDArray[np.float32]) -> Bits:
        if llrs == "scaled":
            bits = decoded(decoder, received, rate, PART)
        else:
            with torch.inference_mode():
                parts = [decoder(torch.from_numpy(received[i : i + PART])) for i in range(0, BATCH, PART)]
            bits = torch.cat(parts).to(torch.uint8).numpy()
        if bits.shape[1] > curve.num_info_bits:  # the verdict of the CRC
            bits = np.where(bits[:, -1:] == 1, bits[:, :-1], np.uint8(REFUSED))
        return bits

    return Published(
        *count_errors(
            lambda bits: encoded(encoder, bits),
            decode,
            curve.num_info_bits,
            curve.es_n0(snr_db),
            errors,
            curve.blocks,
            rng,
        )
    )


def _sc(num_info_bits: int, num_coded_bits: int) -> tuple[Block, Block]:
    from sionna.phy.fec.polar import PolarEncoder, PolarSCDecoder  # noqa: PLC0415  (heavy extra)
    from sionna.phy.fec.polar.utils import generate_5g_ranking  # noqa: PLC0415

    frozen, _ = generate_5g_ranking(num_info_bits, num_coded_bits)
    encoder = PolarEncoder(frozen, num_coded_bits, precision=PRECISION, device=DEVICE)
    return encoder, PolarSCDecoder(frozen, num_coded_bits, precision=PRECISION, device=DEVICE)


def _pbch(num_info_bits: int, num_coded_bits: int) -> tuple[Block, Block]:
    from sionna.phy.fec.polar import Polar5GDecoder, Polar5GEncoder  # noqa: PLC0415  (heavy extra)

    encoder = Polar5GEncoder(num_info_bits, PBCH_MOTHER_BITS, "downlink", precision=PRECISION, device=DEVICE)
    decoder = Polar5GDecoder(encoder, "SCL", LIST_SIZE, return_crc_status=True, precision=PRECISION, device=DEVICE)
    num_repeated = num_coded_bits - PBCH_MOTHER_BITS

    def encode(bits: Tensor) -> Tensor:
        word = encoder(bits)
        return torch.cat([word, word[:, :num_repeated]], dim=1)

    def decode(llrs: Tensor) -> Tensor:
        once, again = llrs[:, :PBCH_MOTHER_BITS], llrs[:, PBCH_MOTHER_BITS:]
        bits, crc_ok = decoder(once + torch.nn.functional.pad(again, (0, PBCH_MOTHER_BITS - num_repeated)))
        return torch.cat([bits, crc_ok[:, None]], dim=1)

    return encode, decode


# name of the source -> Sionna's encoder and decoder of k bits in n; [batch, k + 1] is decoded where there is a CRC
BLOCKS: dict[str, Callable[[int, int], tuple[Block, Block]]] = {
    "LDPC, k = 512": sionna_ldpc,
    "LDPC, k = 20": sionna_ldpc,
    "polar, SC": _sc,
    "polar, PBCH": _pbch,
    "polar, PUCCH": sionna_polar,
}


def _slopes(snrs_db: tuple[float, ...], counts: list[Published]) -> NDArray[np.float64]:
    """Return how fast the Gaussian quantile of our BLER falls at each SNR, per dB."""
    quantiles = [norm.isf(count.num_errors / count.num_blocks) for count in counts]
    return np.asarray(np.gradient(quantiles, snrs_db))


def _row(curve: Curve, llrs: str, snr_db: float, count: Published, slope: float) -> dict[str, Any]:
    interval, published = wilson_interval(count.num_errors, count.num_blocks), curve.published.get(snr_db)
    shift = standard_error = None
    if published:
        ours, theirs = (c.num_errors / c.num_blocks for c in (count, published))
        shift = float(norm.isf(theirs) - norm.isf(ours)) / slope
        standard_error = math.hypot(_quantile_error(count), _quantile_error(published)) / slope
    return {
        "code": curve.source,
        "num_info_bits": curve.num_info_bits,
        "num_coded_bits": curve.num_coded_bits,
        "snr": curve.snr,
        "snr_db": snr_db,
        "llrs": llrs,
        **asdict(count),
        "bler": count.num_errors / count.num_blocks,
        "interval": asdict(interval) if interval else None,
        "published": asdict(published) if published else None,
        "shift_db": None if shift is None else float(f"{shift:.4f}"),
        "shift_standard_error_db": None if standard_error is None else float(f"{standard_error:.4f}"),
    }


def _quantile_error(count: Published) -> float:
    """Return the standard error of the Gaussian quantile of a rate."""
    rate = count.num_errors / count.num_blocks
    return math.sqrt(rate * (1 - rate) / count.num_blocks) / float(norm.pdf(norm.isf(rate)))


def _line(row: dict[str, Any]) -> str:
    published, interval = row["published"], row["interval"]
    cells = (
        row["code"],
        f"{row['num_info_bits']}",
        f"{row['num_coded_bits']}",
        f"{row['snr_db']:.2f}",
        row["llrs"],
        f"{published['num_errors'] / published['num_blocks']:.3g}" if published else "",
        f"{row['num_errors']} / {row['num_blocks']}",
        f"{row['bler']:.3g} [{interval['low']:.3g}, {interval['high']:.3g}]",
        f"{row['shift_db']:+.3f} ± {row['shift_standard_error_db']:.3f}" if published else "",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    typer.run(main)
