"""The BLER under zero forcing: interference taken for Gaussian noise beside the exact one of QPSK interferers.

h_hat is a noisy estimate at unit power; the mean is over reports. Exact: the mean of a symbol's error over all
4^(num_ue - 1) symbols of the others.
"""

import itertools
import json
import math
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import typer
from torch import Tensor

from shared.channels import load_channels
from shared.estimation import make_estimator
from shared.metrics import zero_forcing_downlink
from shared.rng import Randomness
from shared.transforms import from_angular_delay, normalize_power

CNR_DB, NUM_UE, SNR_DB = (0, 10), (2, 4), (0.0, 5.0, 10.0, 20.0)
QPSK = tuple((i + 1j * q) / math.sqrt(2) for i in (1, -1) for q in (1, -1))


def main(
    out: Annotated[Path, typer.Option(help="Folder for zero_forcing.json.")] = Path("benchmarks/results"),
    data: Annotated[str, typer.Option(help="Shipped data set, or a file; one receive antenna.")] = "indoor-open-office",
    num_reports: Annotated[int, typer.Option(min=4, help="Reports, a multiple of 4.")] = 400,
) -> None:
    """Measure, write JSON, print the table of docs/metrics.md."""
    torch.set_num_threads(1)
    channels = load_channels(data)
    x = channels.h[:num_reports]
    estimator = make_estimator("ls", channels.shape, channels.h)
    randomness = Randomness(1, np.zeros(len(x), dtype=np.int64), np.arange(len(x)))
    h = from_angular_delay(x.to(torch.complex128))
    rows: list[dict[str, float]] = []
    typer.echo("| CNR, dB | UEs | SNR, dB | Gaussian | exact | perfect CSI |")
    typer.echo("|---|---|---|---|---|---|")
    for cnr_db, num_ue in itertools.product(CNR_DB, NUM_UE):
        x_hat = normalize_power(estimator.estimate(x, np.full(len(x), float(cnr_db)), randomness))
        h_hat = from_angular_delay(x_hat.to(torch.complex128))
        gaussian = zero_forcing_downlink(h_hat, h, SNR_DB, num_ue)
        for point, snr_db in enumerate(SNR_DB):
            bler = {
                "gaussian": float(gaussian.bler[:, point].mean()),
                "exact": float(_exact(h_hat, h, snr_db, num_ue).mean()),
                "perfect": float(gaussian.bler_perfect[:, point].mean()),
            }
            rows.append({"cnr_db": cnr_db, "num_ue": num_ue, "snr_db": snr_db} | bler)
            cells = [f"{cnr_db}", f"{num_ue}", f"{snr_db:g}", *(f"{value:.2e}" for value in bler.values())]
            typer.echo(f"| {' | '.join(cells)} |")
    result = {
        "command": f"python -m benchmarks.zero_forcing --data {Path(data).name} --num-reports {num_reports}",
        "data": {"name": channels.name, "sha256": channels.sha256},
        "rows": rows,
    }
    out.mkdir(parents=True, exist_ok=True)
    (out / "zero_forcing.json").write_text(json.dumps(result, indent=2) + "\n")


def _exact(h_hat: Tensor, h: Tensor, snr_db: float, num_ue: int) -> Tensor:
    """Return [group, ue] the block error with QPSK interferers."""
    _, _, num_tx_ant, num_subcarriers = h.shape
    rows_hat, rows = (z.reshape(-1, num_ue, num_tx_ant, num_subcarriers).permute(0, 3, 1, 2) for z in (h_hat, h))
    columns = torch.linalg.pinv(rows_hat)
    w = columns / torch.linalg.vector_norm(columns, dim=-2, keepdim=True)
    effective = 10 ** (snr_db / 20) / math.sqrt(num_ue) * (rows @ w)  # [group, subcarrier, ue, stream]
    own = effective.diagonal(dim1=-2, dim2=-1)
    turned = effective * (own.conj() / own.abs())[..., None]  # each UE's own stream real
    others = torch.tensor(list(itertools.product(QPSK, repeat=num_ue - 1)), dtype=torch.complex128)
    blocks = []
    for ue in range(num_ue):
        streams = [stream for stream in range(num_ue) if stream != ue]
        interference = torch.einsum("gfj,cj->gfc", turned[:, :, ue, streams], others)
        amplitude = own[:, :, ue].abs()[..., None] / math.sqrt(2)
        # the quadrant that was sent is that of 1 + j, by symmetry; half the noise power in each of re and im
        wrong_re, wrong_im = (
            torch.special.erfc(amplitude + part) / 2 for part in (interference.real, interference.imag)
        )
        wrong = (wrong_re + wrong_im - wrong_re * wrong_im).mean(dim=-1)
        blocks.append(-torch.expm1(torch.log1p(-wrong).sum(dim=-1)))
    return torch.stack(blocks, dim=1)


if __name__ == "__main__":
    typer.run(main)
