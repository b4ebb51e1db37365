"""The block error rate of the channel codes over BPSK and AWGN with soft LLRs, beside published figures and theory.

Polar and LDPC at k = 64, n = 128 stand beside the counts that Sionna 2.2.0 prints in its tutorial (exact counts; QPSK,
whose two halves are BPSK). There the LDPC code has no CRC: the row ``ldpc, no CRC`` leaves it out as well. That tests
how Sionna's codes are driven here, not the codes: the same library made both. So every row has the normal approximation
too, near the least that any code of its k and n can reach:

    BLER ~ Q((n C - k + log2(n) / 2) / sqrt(n V)),  C and V mean and variance of the information density of BPSK

Sources: NVlabs/sionna, docs/v2.2.0/phy/tutorials/notebooks/5G_Channel_Coding_Polar_vs_LDPC_Codes.ipynb, output of its
code cell 6; Y. Polyanskiy, H. V. Poor, S. Verdu, "Channel coding rate in the finite blocklength regime", IEEE Trans.
Inf. Theory 56, 2010.
"""

import json
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from numpy.typing import NDArray
from scipy.stats import norm

from shared.coding.codes import make_channel_code
from shared.coding.ldpc import PART, sionna_ldpc
from shared.coding.sionna_blocks import decoded, encoded
from shared.metrics.intervals import wilson_interval

Bits = NDArray[np.uint8]
Encode = Callable[[Bits], Bits]
Decode = Callable[[NDArray[np.float32]], Bits]

EBN0_DB = (1.0, 2.0, 3.0)
NUM_INFO_BITS = 64
LABELS = ("polar-1/2", "ldpc-1/2", "conv-1/2", "crc")
BATCH = 500


@dataclass(frozen=True, slots=True)
class Published:
    """Block errors and blocks as printed in the source."""

    num_errors: int
    num_blocks: int


PUBLISHED = {
    ("polar-1/2", 1.0): Published(4369, 10_000),
    ("polar-1/2", 2.0): Published(1071, 10_000),
    ("polar-1/2", 3.0): Published(1006, 120_000),
    ("ldpc, no CRC", 1.0): Published(4972, 10_000),
    ("ldpc, no CRC", 2.0): Published(1477, 10_000),
    ("ldpc, no CRC", 3.0): Published(1105, 50_000),
}


def main(
    out: Annotated[Path, typer.Option(help="Folder for coded_bler.json.")] = Path("benchmarks/results"),
    errors: Annotated[int, typer.Option(min=1, help="Block errors after which a point is done.")] = 500,
    blocks: Annotated[int, typer.Option(min=BATCH, help="Blocks after which a point is done anyway.")] = 60_000,
    seed: Annotated[int, typer.Option(min=0, help="Seed of bits and noise.")] = 1,
) -> None:
    """Measure, write JSON, print a table."""
    torch.set_num_threads(1)
    typer.echo("| code | k | n | Eb/N0, dB | errors / blocks | BLER, 95 % | published | normal approximation |")
    typer.echo("|---|---|---|---|---|---|---|---|")
    rows: list[dict[str, Any]] = []
    for label, (encode, decode) in _codes().items():
        num_coded_bits = encode(np.zeros((1, NUM_INFO_BITS), dtype=np.uint8)).shape[1]
        for ebn0_db in EBN0_DB:
            es_n0 = 10 ** (ebn0_db / 10) * NUM_INFO_BITS / num_coded_bits
            rng = np.random.default_rng([seed, len(rows)])  # every row has noise of its own
            num_errors, num_blocks = count_errors(encode, decode, NUM_INFO_BITS, es_n0, errors, blocks, rng)
            interval, published = wilson_interval(num_errors, num_blocks), PUBLISHED.get((label, ebn0_db))
            rows.append(
                {
                    "code": label,
                    "num_info_bits": NUM_INFO_BITS,
                    "num_coded_bits": num_coded_bits,
                    "ebn0_db": ebn0_db,
                    "num_errors": num_errors,
                    "num_blocks": num_blocks,
                    "bler": num_errors / num_blocks,
                    "interval": asdict(interval) if interval else None,
                    "published": asdict(published) if published else None,
                    "normal_approximation": float(f"{normal_approximation(num_coded_bits, es_n0):.4g}"),
                }
            )
            typer.echo(_line(rows[-1]))
    result = {
        "command": f"python -m benchmarks.coded_bler --errors {errors} --blocks {blocks} --seed {seed}",
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "coded_bler.json").write_text(json.dumps(result, indent=2) + "\n")


def _codes() -> dict[str, tuple[Encode, Decode]]:
    encoder, decoder = sionna_ldpc(NUM_INFO_BITS, 2 * NUM_INFO_BITS)
    codes: dict[str, tuple[Encode, Decode]] = {
        "ldpc, no CRC": (lambda bits: encoded(encoder, bits), lambda llrs: decoded(decoder, llrs, 0.5, PART))
    }
    for label in LABELS:
        code = make_channel_code(label)
        codes[label] = (code.encode, lambda llrs, code=code: code.decode(llrs, NUM_INFO_BITS).bits)  # type: ignore[misc]
    return codes


def count_errors(
    encode: Encode,
    decode: Decode,
    num_info_bits: int,
    es_n0: float,
    errors: int,
    blocks: int,
    rng: np.random.Generator,
) -> tuple[int, int]:
    """Send blocks over BPSK and AWGN until enough of them are wrong.

    Args:
        encode: [batch, num_info_bits] bits to [batch, num_coded_bits] bits.
        decode: [batch, num_coded_bits] true LLRs, ln(P(1) / P(0)), to [batch, num_info_bits].
        num_info_bits: Random bits of a block.
        es_n0: Energy of a symbol over N0, linear; the real noise has the variance N0 / 2.
        errors: Block errors after which to stop.
        blocks: Blocks after which to stop anyway.
        rng: Of bits and noise.

    Returns:
        Block errors and blocks.
    """
    num_errors = num_blocks = 0
    while num_errors < errors and num_blocks < blocks:
        bits = rng.integers(0, 2, (BATCH, num_info_bits), dtype=np.uint8)
        coded = encode(bits)
        received = 2.0 * coded - 1 + rng.standard_normal(coded.shape) * math.sqrt(1 / (2 * es_n0))
        llrs = (4 * es_n0 * received).astype(np.float32)
        num_errors += int((decode(llrs) != bits).any(axis=1).sum())
        num_blocks += BATCH
    return num_errors, num_blocks


def normal_approximation(num_coded_bits: int, es_n0: float) -> float:
    """Return about the least block error rate of any code of `NUM_INFO_BITS` in ``num_coded_bits`` BPSK symbols."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(200)
    llr = 4 * es_n0 + math.sqrt(8 * es_n0) * nodes
    density = 1 - np.logaddexp(0, -llr) / math.log(2)
    weights = weights / weights.sum()
    capacity = float(weights @ density)
    variance = float(weights @ (density - capacity) ** 2)
    bits_to_spare = num_coded_bits * capacity - NUM_INFO_BITS + math.log2(num_coded_bits) / 2
    return float(norm.sf(bits_to_spare / math.sqrt(num_coded_bits * variance)))


def _line(row: dict[str, Any]) -> str:
    published, interval = row["published"], row["interval"]
    cells = (
        row["code"],
        f"{row['num_info_bits']}",
        f"{row['num_coded_bits']}",
        f"{row['ebn0_db']:.0f}",
        f"{row['num_errors']} / {row['num_blocks']}",
        f"{row['bler']:.3g} [{interval['low']:.3g}, {interval['high']:.3g}]",
        f"{published['num_errors'] / published['num_blocks']:.3g}" if published else "",
        f"{row['normal_approximation']:.2g}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    typer.run(main)
