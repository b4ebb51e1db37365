"""The BLER of the coded downlink: Sionna's abstraction beside the full LDPC chain, by Monte Carlo.

For one MCS with QPSK, three downlink SNRs and a few reports of a data set, precoded by MRT from a noisy estimate: what
`coded_downlink_bler` says, what Sionna's own interpolation of the same tables says, what the chain encoder - QPSK -
subcarriers with their SINRs - demapper - decoder measures, and what the chain measures over AWGN at the effective SINR
of the EESM. The last two tell the error of the EESM from that of the tables.
"""

import json
import math
import time
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import typer
from torch import Tensor

from shared.channels import load_channels
from shared.estimation import make_estimator
from shared.metrics import coded_downlink_bler, mrt_sinr
from shared.rng import Randomness
from shared.transforms import from_angular_delay

NUM_OFDM_SYMBOLS, BLOCKS_AT_ONCE = 12, 500


def main(
    out: Annotated[Path, typer.Option(help="Folder for phy_abstraction.json.")] = Path("benchmarks/results"),
    data: Annotated[str, typer.Option(help="Shipped data set, or a file.")] = "indoor-open-office",
    mcs_index: Annotated[int, typer.Option(min=3, max=9, help="MCS of TS 38.214, table 5.1.3.1-1: QPSK.")] = 9,
    snr_db: Annotated[tuple[float, float, float], typer.Option(help="Downlink SNRs.")] = (-9.5, -8.75, -8.0),
    num_reports: Annotated[int, typer.Option(min=1)] = 4,
    num_blocks: Annotated[int, typer.Option(min=BLOCKS_AT_ONCE, help="Blocks a report, SNR and chain.")] = 1000,
) -> None:
    """Measure, write JSON, print the table of docs/metrics.md."""
    torch.set_num_threads(1)
    started = time.monotonic()
    channels = load_channels(data)
    index = np.arange(num_reports)
    estimator = make_estimator("ls", channels.shape, channels.h)
    randomness = Randomness(1, np.zeros(num_reports, dtype=np.int64), index)
    h = channels.h[:num_reports]
    h_hat = estimator.estimate(h, np.zeros(num_reports), randomness)  # CNR 0 dB
    h, h_hat = (from_angular_delay(x) for x in (h, h_hat))
    sinr = mrt_sinr(h_hat, h, snr_db)  # [report, snr, subcarrier]
    chain = _Chain(mcs_index, sinr.shape[-1])
    rows: list[dict[str, Any]] = []
    typer.echo("| SNR, dB | abstraction | with Sionna's interpolation | full chain | AWGN at the effective SINR |")
    typer.echo("|---|---|---|---|---|")
    for point, downlink_snr_db in enumerate(snr_db):
        at_snr = sinr[:, point]
        effective = chain.effective_sinr(at_snr)
        full, awgn = (chain.block_errors(x, num_blocks) for x in (at_snr, effective.expand_as(at_snr)))
        abstraction = coded_downlink_bler(at_snr, mcs_index, NUM_OFDM_SYMBOLS)
        rows.append(
            {
                "snr_db": downlink_snr_db,
                "effective_sinr_db": [round(x, 3) for x in (10 * effective[:, 0].log10()).tolist()],
                "abstraction": _mean(abstraction),
                "sionna_interpolation": _mean(chain.tabulated(at_snr)),
                "full_chain": _mean(full / num_blocks),
                "full_chain_standard_error": _standard_error(full, num_blocks),
                "awgn": _mean(awgn / num_blocks),
                "awgn_standard_error": _standard_error(awgn, num_blocks),
            }
        )
        typer.echo(_line(rows[-1]))
    result = {
        "command": f"python -m benchmarks.phy_abstraction --data {Path(data).name} --mcs-index {mcs_index} --snr-db "
        f"{' '.join(f'{x:g}' for x in snr_db)} --num-reports {num_reports} --num-blocks {num_blocks}",
        "generator": f"sionna-no-rt {version('sionna-no-rt')}, torch {torch.__version__}",
        "data": {"name": channels.name, "sha256": channels.sha256},
        "num_info_bits": chain.num_info_bits,
        "num_coded_bits": chain.num_coded_bits,
        "seconds": round(time.monotonic() - started, 1),
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "phy_abstraction.json").write_text(json.dumps(result, indent=2) + "\n")


class _Chain:
    """LDPC of TS 38.212 over parallel subcarriers whose SINRs the receiver knows."""

    def __init__(self, mcs_index: int, num_subcarriers: int) -> None:
        import sionna.phy  # noqa: PLC0415
        from sionna.phy.fec.ldpc import LDPC5GDecoder, LDPC5GEncoder  # noqa: PLC0415
        from sionna.phy.mapping import Demapper, Mapper  # noqa: PLC0415
        from sionna.phy.nr.utils import MCSDecoderNR, TransportBlockNR  # noqa: PLC0415
        from sionna.sys import EESM, PHYAbstraction  # noqa: PLC0415

        sionna.phy.config.seed = 1
        self._generator = torch.Generator().manual_seed(1)
        self._mcs = torch.tensor(mcs_index, dtype=torch.int32)
        one = torch.tensor(1, dtype=torch.int32)
        order, coderate = MCSDecoderNR()(self._mcs, one, one)
        self.num_coded_bits = int(order) * num_subcarriers * NUM_OFDM_SYMBOLS
        block_size, num_blocks = TransportBlockNR()(order, coderate, torch.tensor(self.num_coded_bits))
        if int(num_blocks) != 1:
            raise ValueError(f"`mcs_index` must make one code block; got {int(num_blocks)}.")
        self.num_info_bits = int(block_size)
        self._encoder = LDPC5GEncoder(self.num_info_bits, self.num_coded_bits, num_bits_per_symbol=int(order))
        self._decoder = LDPC5GDecoder(self._encoder, hard_out=True, num_iter=20)
        self._mapper, self._demapper = Mapper("qam", int(order)), Demapper("app", "qam", int(order))
        self._eesm = EESM(precision="double")
        self._abstraction = PHYAbstraction(precision="double")

    def effective_sinr(self, sinr: Tensor) -> Tensor:
        """[batch, num_subcarriers] -> [batch, 1], linear."""
        effective: Tensor = self._eesm(sinr[:, None, :, None, None], self._mcs.expand(len(sinr), 1))
        return effective

    def tabulated(self, sinr: Tensor) -> Tensor:
        """[batch, num_subcarriers] -> [batch], Sionna's tables as Sionna interpolates them."""
        sinr = sinr[:, None, :, None, None].expand(-1, NUM_OFDM_SYMBOLS, -1, 1, 1)
        *_, bler, _ = self._abstraction(self._mcs.expand(len(sinr), 1), sinr=sinr, mcs_category=1)
        return torch.as_tensor(bler)[:, 0]

    def block_errors(self, sinr: Tensor, num_blocks: int) -> Tensor:
        """Return [batch] the wrong ones of ``num_blocks`` blocks."""
        wrong = torch.zeros(len(sinr), dtype=torch.float64)
        for report, per_subcarrier in enumerate(sinr.float()):
            amplitude = per_subcarrier.sqrt().repeat(NUM_OFDM_SYMBOLS)  # frequency first
            for _ in range(0, num_blocks, BLOCKS_AT_ONCE):
                bits = torch.randint(2, (BLOCKS_AT_ONCE, self.num_info_bits), generator=self._generator).float()
                x = self._mapper(self._encoder(bits))
                noise = torch.randn(x.shape, dtype=x.dtype, generator=self._generator)  # unit power
                y = x + noise / amplitude  # equalised
                decided = self._decoder(self._demapper(y, (1 / amplitude.square()).expand_as(amplitude)))
                wrong[report] += (decided != bits).any(dim=1).sum()
        return wrong


def _mean(bler: Tensor) -> float:
    return round(float(bler.mean()), 6)


def _standard_error(wrong: Tensor, num_blocks: int) -> float:
    """Return that of the mean over reports; the reports themselves are fixed."""
    bler = wrong / num_blocks
    return round(math.sqrt(float((bler * (1 - bler)).sum()) / num_blocks) / len(wrong), 6)


def _line(row: dict[str, Any]) -> str:
    cells = (
        f"{row['snr_db']:g}",
        f"{row['abstraction']:.4f}",
        f"{row['sionna_interpolation']:.4f}",
        f"{row['full_chain']:.4f} ± {row['full_chain_standard_error']:.4f}",
        f"{row['awgn']:.4f} ± {row['awgn_standard_error']:.4f}",
    )
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    typer.run(main)
