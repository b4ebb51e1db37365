"""What a data set holds, in numbers: two passes over the file, chunk by chunk.

first pass:  power over delay and over angle, energy of the strongest entries; mean and covariance
second pass: error of a Karhunen-Loeve transform (KLT) by the number of reals that it keeps
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from shared.channels import DatasetCard, find_channels
from shared.channels.crop_loss import CropLosses
from shared.channels.file import open_stream, read_card_of
from shared.channels.stream import ChannelStream, ReadOptions
from shared.errors import DataFileError
from shared.transforms import to_angular_delay
from shared.types import Domain

STRONGEST = (1, 4, 16, 64, 256)
NUM_REALS = (2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
MOST_ENTRIES = 2048  # complex entries of a channel: to decompose their covariance takes 9 s, of 4,096 above a minute
FLOOR = 1e-12  # of the total: -120 dB


@dataclass(frozen=True, slots=True)
class CropInfo:
    """Crop loss of the channels of a file, linear shares of each whole channel's energy.

    Attributes:
        mean_loss: Mean; the `nmse_full` of a codec without error.
        largest_loss: That of the channel which lost most.
        nmse_full_floor_db: ``mean_loss`` in dB.
    """

    mean_loss: float
    largest_loss: float
    nmse_full_floor_db: float

    def __str__(self) -> str:
        """Return what a table says of it."""
        shares = f"mean {self.mean_loss:.3%}, largest {self.largest_loss:.3%}"
        return f"{shares}; floor of nmse_full {self.nmse_full_floor_db:.2f} dB"


@dataclass(frozen=True, slots=True)
class DataInfo:
    """Statistics of a data set, each channel at unit power.

    Attributes:
        identity: Fields of the card, or name, digest, number, domain and shape of a file without one.
        power_profile_db: Power of each delay tap, dB of the total.
        angular_spectrum_db: Power of each angle, dB of the total; entry i of N is a
            phase of pi (2 i / N - 1) from one antenna to the next, broadside in the middle.
        energy_of_strongest: Number of entries -> mean share of a channel's energy in its strongest ones.
        klt_nmse_db: Number of reals -> NMSE, mean of ratios, of the KLT that keeps so many; no quantisation. Empty for
            channels of more than `MOST_ENTRIES`.
        klt_fit: What the KLT was fitted on and scored on.
        crop: What the crop left out; None where the file does not say of each channel.
    """

    identity: dict[str, object]
    power_profile_db: list[float]
    angular_spectrum_db: list[float]
    energy_of_strongest: dict[str, float]
    klt_nmse_db: dict[str, float]
    klt_fit: str
    crop: CropInfo | None


@dataclass(slots=True)
class _Covariance:
    """Mean and covariance of complex rows, added up chunk by chunk in double precision."""

    total: Tensor
    product: Tensor
    count: int = 0

    def add(self, rows: Tensor) -> None:
        self.total += rows.sum(dim=0).to(torch.complex128)
        self.product += (rows.T @ rows.conj()).to(torch.complex128)
        self.count += len(rows)

    def basis(self) -> tuple[Tensor, Tensor]:
        """Return the mean and the principal directions as columns, the strongest first."""
        mean = self.total / self.count
        _, vectors = torch.linalg.eigh(self.product / self.count - torch.outer(mean, mean.conj()))
        return mean.to(torch.complex64), vectors.flip(1).to(torch.complex64)


def describe(data: str, train: str | None = None, domain: Domain | None = None) -> DataInfo:
    """Return the card of a data set and the statistics of its channels.

    Args:
        data: Name of a shipped data set, or a file.
        train: Data set to fit the KLT on; without it the KLT is fitted on every second channel of ``data`` and scored
            on the others.
        domain: Domain of a file that does not say.

    Raises:
        DataFileError: If a file cannot be used, or the two do not hold channels of one shape.
    """
    path = find_channels(data)
    stream, identity = _open(path, domain)
    shape = stream.shape
    entries = shape.num_complex
    fit = _empty(entries) if entries <= MOST_ENTRIES else None
    power = torch.zeros(shape.num_tx_ant, shape.num_subcarriers, dtype=torch.float64)
    strongest = torch.zeros(entries, dtype=torch.float64)
    losses, start = CropLosses(), 0
    for h, crop_loss in stream.chunks():
        if crop_loss is not None:
            losses.add(crop_loss)
        x = to_angular_delay(h) if shape.domain == "spatial-frequency" else h
        energy = x.abs().square().double()
        power += energy.sum(dim=(0, 1))
        strongest += energy.flatten(1).sort(dim=1, descending=True).values.cumsum(dim=1).sum(dim=0) / entries
        if fit and not train:
            fit.add(h[start % 2 :: 2].flatten(1))
        start += len(h)
    total = power.sum()
    klt, fitted = {}, f"none: more than {MOST_ENTRIES} entries a channel"
    if fit and train:
        _fit_on(fit, find_channels(train, "train"), stream, domain)
        klt, fitted = (
            _klt_nmse_db(stream, fit, every_second=False),
            f"fitted on {Path(train).name}, scored on all of {Path(data).name}",
        )
    elif fit and start > 1:
        klt, fitted = (
            _klt_nmse_db(stream, fit, every_second=True),
            "fitted on every second channel, scored on the others",
        )
    return DataInfo(
        identity=identity,
        power_profile_db=_db(power.sum(dim=0) / total),
        angular_spectrum_db=_db(power.sum(dim=1) / total),
        energy_of_strongest={str(n): round(float(strongest[n - 1]) / start, 4) for n in STRONGEST if n <= entries},
        klt_nmse_db=klt,
        klt_fit=fitted,
        crop=_crop(losses.of_each()) if stream.loss == "each" else None,
    )


def _crop(losses: Tensor) -> CropInfo:
    (floor_db,) = _db(losses.mean()[None])
    return CropInfo(round(float(losses.mean()), 7), round(float(losses.max()), 7), floor_db)


def _open(path: Path, domain: Domain | None) -> tuple[ChannelStream, dict[str, object]]:
    card, digest = read_card_of(path)
    stream = open_stream(path, ReadOptions(domain=domain, trust_layout=card is not None))
    return stream, _identity(card, stream, digest)


def _identity(card: DatasetCard | None, stream: ChannelStream, digest: str) -> dict[str, object]:
    if card:
        return card.model_dump()
    identity = {"name": stream.path.stem, "title": stream.layout, "sha256": digest}
    return identity | {
        "num_channels": stream.num_channels,
        "domain": stream.shape.domain,
        "shape": list(stream.shape.dims),
    }


def _empty(entries: int) -> _Covariance:
    return _Covariance(
        torch.zeros(entries, dtype=torch.complex128), torch.zeros(entries, entries, dtype=torch.complex128)
    )


def _fit_on(fit: _Covariance, path: Path, scored: ChannelStream, domain: Domain | None) -> None:
    train, _ = _open(path, domain)
    if train.shape != scored.shape:
        raise DataFileError(f"`train` must hold {scored.shape} like `{scored.path}`; found {train.shape}.")
    for h, _ in train.chunks():
        fit.add(h.flatten(1))


def _klt_nmse_db(stream: ChannelStream, fit: _Covariance, every_second: bool) -> dict[str, float]:
    """Score the KLT: n reals are n / 2 complex directions, as the statistics of channels are circular."""
    mean, vectors = fit.basis()
    kept = [n // 2 for n in NUM_REALS if n // 2 < stream.shape.num_complex]
    error, count, start = torch.zeros(len(kept), dtype=torch.float64), 0, 0
    for h, _ in stream.chunks():
        rows = (h[1 - start % 2 :: 2] if every_second else h).flatten(1)
        start += len(h)
        centred = rows - mean
        explained = (centred @ vectors.conj()).abs().square().double().cumsum(dim=1)
        left = explained[:, -1:] - explained[:, [n - 1 for n in kept]]
        error += (left / rows.abs().square().double().sum(dim=1, keepdim=True)).sum(dim=0)
        count += len(rows)
    return {str(2 * n): value for n, value in zip(kept, _db(error / count), strict=True)}


def _db(shares: Tensor) -> list[float]:
    return [round(value, 2) for value in (10 * shares.clamp(min=FLOOR).log10()).tolist()]
