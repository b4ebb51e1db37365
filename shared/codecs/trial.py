"""A codec on trial: its sides built anew, the rates to check, and what the checks of bits and of symbols share."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.codecs import make_decoder, make_encoder
from shared.codecs.base import Decoder, Encoder
from shared.errors import CsiError, InvalidArgumentError
from shared.model_files import CodecCard, ModelFile
from shared.types import Reconstruction

CPU = torch.device("cpu")
NUM_RATES = 16  # checked, both ends among them
NUM_REPORTS = 16  # a batch, and each of it alone
INDEX_MISMATCH = 1e-4  # share of bits in which a batch may differ from its reports: rounding at a decision threshold
RELATIVE_ERROR = 1e-4  # of h_hat, likewise


@dataclass(frozen=True, slots=True)
class Trial:
    """A codec on trial.

    Attributes:
        load: Loads the model; called again wherever another process would.
        card: Its card.
        h: [at least 16, num_rx_ant, num_tx_ant, num_subcarriers] complex64 of the card's shape, unit mean power.
        rates: Rates to check, increasing.
    """

    load: Callable[[], ModelFile]
    card: CodecCard
    h: Tensor
    rates: tuple[int, ...]

    def encoder(self) -> Encoder:
        """Build the UE side, anew."""
        return make_encoder(self.load(), CPU)

    def decoder(self) -> Decoder:
        """Build the base-station side, anew."""
        return make_decoder(self.load(), CPU)


def make_trial(load: Callable[[], ModelFile], h: Tensor) -> Trial:
    """Put a codec on trial at some rates over its whole range.

    Args:
        load: Loads the model.
        h: See `Trial`.

    Raises:
        InvalidArgumentError: If the channels are too few or not of the card's shape.

    Example:
        >>> from shared.model_files import load_model
        >>> trial = make_trial(lambda: load_model("klt"), torch.ones(16, 1, 32, 32, dtype=torch.complex64))
        >>> trial.card.name, trial.rates[0], trial.rates[-1], len(trial.rates)
        ('klt', 32, 1024, 16)
    """
    card = load().card
    card.shape.require(h)
    if len(h) < NUM_REPORTS:
        raise InvalidArgumentError(f"`h` must hold at least {NUM_REPORTS} channels; got {len(h)}.")
    rates = np.linspace(card.min_rate, card.max_rate, NUM_RATES).astype(int).tolist()
    return Trial(load, card, h, tuple(sorted(set(rates))))


def same_digest(trial: Trial) -> str | None:
    """Check that both sides would pair."""
    return (
        None
        if trial.load().card.sha256 == trial.card.sha256
        else "the model, built twice, has two digests: the two sides would not pair"
    )


def mean_channel(trial: Trial) -> str | None:
    """Check what a report that cannot be decoded becomes."""
    mean = trial.decoder().mean_csi
    wrong = not_channels(Reconstruction(mean[None], np.ones(1, dtype=np.bool_)), 1, trial.card)
    return f"`mean_csi` {wrong}" if wrong else None


def not_channels(reconstruction: Reconstruction, n: int, card: CodecCard) -> str | None:
    """Say what keeps a reconstruction from being ``n`` channels, finite where they are valid."""
    h_hat, valid = reconstruction.h_hat, reconstruction.valid
    if h_hat.dtype != torch.complex64 or tuple(h_hat.shape) != (n, *card.shape.dims):
        return f"is {h_hat.dtype} {list(h_hat.shape)}, not complex64 {[n, *card.shape.dims]}"
    if valid.dtype != np.bool_ or valid.shape != (n,):
        return f"comes with `valid` {valid.dtype} {list(valid.shape)}, not bool [{n}]"
    return None if torch.isfinite(torch.view_as_real(h_hat[torch.from_numpy(valid)])).all() else "is not finite"


def equal(one: Reconstruction, other: Reconstruction) -> bool:
    """Return whether two reconstructions are the same bit for bit."""
    return np.array_equal(one.valid, other.valid) and torch.equal(one.h_hat, other.h_hat)


def relative_error(h_hat: Tensor, wanted: Tensor) -> float:
    """Return the largest error of a report, relative to its norm."""
    error, norm = ((x.flatten(1).abs().double().square().sum(1)).sqrt() for x in (h_hat - wanted, wanted))
    return float((error / norm.clamp(min=math.ulp(1.0))).max())


def raises(wanted: type[CsiError], call: Callable[[], object]) -> bool:
    """Return whether a call raises what it must."""
    try:
        call()
    except wanted:
        return True
    return False
