"""What every codec must do, as checks: a test runs them over the zoo, `csi-lab codecs check` over a user's codec.

name of a codec, channels -> Trial (fresh encoders and decoders) -> each of CHECKS -> None, or what does not hold
"""

import math
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.codecs import make_decoder, make_encoder
from shared.codecs.base import DecodeContext, Decoder, EncodeContext, Encoder
from shared.errors import CodecError, CsiError, InvalidArgumentError
from shared.model_files import CodecCard, ModelFile
from shared.rng import Randomness
from shared.types import Payload, Reconstruction

CPU = torch.device("cpu")
NUM_RATES = 16  # checked, both ends among them
NUM_REPORTS = 16  # a batch, and each of it alone
INDEX_MISMATCH = 1e-4  # share of bits in which a batch may differ from its reports: rounding at a decision threshold
RELATIVE_ERROR = 1e-4  # of h_hat, likewise
DENSITIES = (0.0, 0.1, 0.5, 1.0)  # share of ones in random payloads


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
        >>> {name: check(trial) for name, check in CHECKS.items() if check(trial)}
        {}
    """
    card = load().card
    card.shape.require(h)
    if len(h) < NUM_REPORTS:
        raise InvalidArgumentError(f"`h` must hold at least {NUM_REPORTS} channels; got {len(h)}.")
    rates = np.linspace(card.min_rate, card.max_rate, NUM_RATES).astype(int).tolist()
    return Trial(load, card, h, tuple(sorted(set(rates))))


def run_checks(trial: Trial) -> dict[str, str | None]:
    """Run every check of `CHECKS`; what a codec raises where it must not is what does not hold."""
    # Each with channels of its own: an encoder that changes them spoils one check, not those that follow.
    return {name: _verdict(check, replace(trial, h=trial.h.clone())) for name, check in CHECKS.items()}


def _verdict(check: Callable[[Trial], str | None], trial: Trial) -> str | None:
    try:
        return check(trial)
    except Exception as error:  # whatever a user's code does
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})"


def _same_digest(trial: Trial) -> str | None:
    return (
        None
        if trial.load().card.sha256 == trial.card.sha256
        else "the model, built twice, has two digests: the two sides would not pair"
    )


def _bits_as_declared(trial: Trial) -> str | None:
    encoder, h = trial.encoder(), trial.h[:3]
    for rate in trial.rates:
        payload = _encode(encoder, h, rate)
        if payload.bits.dtype != np.uint8 or payload.bits.shape != (3, rate) or payload.length.tolist() != [rate] * 3:
            found = f"{payload.bits.dtype} {list(payload.bits.shape)}, length {payload.length.tolist()}"
            return f"at {rate} bits, the payload of 3 reports is {found}"
        if payload.bits.max() > 1:
            return f"at {rate} bits, a bit is {payload.bits.max()}"
    return None


def _round_trip(trial: Trial) -> str | None:
    encoder, decoder, h = trial.encoder(), trial.decoder(), trial.h[:3]
    for rate in trial.rates:
        reconstruction = _decode(decoder, _encode(encoder, h, rate).bits, rate)
        wrong = _not_channels(reconstruction, 3, trial.card)
        if wrong or not reconstruction.valid.all():
            return f"at {rate} bits, h_hat {wrong or 'of what was encoded is not valid'}"
    return None


def _mean_channel(trial: Trial) -> str | None:
    mean = trial.decoder().mean_csi
    wrong = _not_channels(Reconstruction(mean[None], np.ones(1, dtype=np.bool_)), 1, trial.card)
    return f"`mean_csi` {wrong}" if wrong else None


def _repeats(trial: Trial) -> str | None:
    (one, other), (first, second) = (trial.encoder(), trial.encoder()), (trial.decoder(), trial.decoder())
    h = trial.h[:NUM_REPORTS].clone()
    for rate in trial.rates:
        bits = _encode(one, h, rate).bits
        if not torch.equal(h, trial.h[:NUM_REPORTS]):
            return f"at {rate} bits, the encoder changes `h_est`"
        if not np.array_equal(bits, _encode(other, h, rate).bits):
            return f"at {rate} bits, two encoders give different bits"
        if not _equal(_decode(first, bits, rate), _decode(second, bits, rate)):
            return f"at {rate} bits, two decoders give different channels"
    return None


def _batch_is_its_reports(trial: Trial) -> str | None:
    encoder, decoder, h = trial.encoder(), trial.decoder(), trial.h[:NUM_REPORTS]
    for rate in trial.rates:
        bits = _encode(encoder, h, rate).bits
        alone = np.concatenate([_encode(encoder, h[i : i + 1], rate, i).bits for i in range(NUM_REPORTS)])
        if (share := float((alone != bits).mean())) > INDEX_MISMATCH:
            return f"at {rate} bits, {share:.2g} of the bits depend on the batch"
        h_hat = torch.cat([_decode(decoder, row[None], rate).h_hat for row in bits])
        if (error := _relative_error(h_hat, _decode(decoder, bits, rate).h_hat)) > RELATIVE_ERROR:
            return f"at {rate} bits, h_hat is {error:.2g} off, by the batch"
    return None


def _any_bits(trial: Trial) -> str | None:
    decoder, rng = trial.decoder(), np.random.default_rng(0)
    for rate in trial.rates:
        for density in DENSITIES:
            bits = (rng.random((4, rate)) < density).astype(np.uint8)
            if wrong := _not_channels(_decode(decoder, bits, rate), 4, trial.card):
                return f"at {rate} bits, h_hat of random bits {wrong}"
    return None


def _other_lengths(trial: Trial) -> str | None:
    decoder, rate = trial.decoder(), trial.card.min_rate
    ragged = Payload(np.zeros((2, rate), dtype=np.uint8), np.array([rate, rate - 1]))
    short, long = (Payload.of_equal_length(np.zeros((2, rate + k), dtype=np.uint8)) for k in (-1, 1))
    context = DecodeContext(rate, np.zeros(2, dtype=np.float32))
    for payload in (short, long, ragged):
        if not _raises(CodecError, partial(decoder.decode, payload, context)):
            return f"a payload of {payload.length.tolist()} bits, for {rate}, raises no CodecError"
    return None


def _other_rates(trial: Trial) -> str | None:
    encoder, decoder = trial.encoder(), trial.decoder()
    for rate in (trial.card.min_rate - 1, trial.card.max_rate + 1):
        bits = np.zeros((1, rate), dtype=np.uint8)
        if not _raises(InvalidArgumentError, partial(_encode, encoder, trial.h[:1], rate)):
            return f"the encoder takes a rate of {rate} bits"
        if not _raises(InvalidArgumentError, partial(_decode, decoder, bits, rate)):
            return f"the decoder takes a rate of {rate} bits"
    return None


def _other_shapes(trial: Trial) -> str | None:
    encoder, (num_rx, num_tx, num_sub) = trial.encoder(), trial.card.shape.dims
    for shape in ((1, num_rx, num_tx, num_sub + 1), (1, num_rx + 1, num_tx, num_sub), (num_rx, num_tx, num_sub)):
        h = torch.ones(shape, dtype=torch.complex64)
        if not _raises(InvalidArgumentError, partial(_encode, encoder, h, trial.card.min_rate)):
            return f"the encoder takes channels of shape {list(shape)}"
    return None


CHECKS: dict[str, Callable[[Trial], str | None]] = {
    "the model has one digest": _same_digest,
    "declared bits are real bits": _bits_as_declared,
    "what is encoded decodes to channels": _round_trip,
    "the mean channel is a channel": _mean_channel,
    "results repeat exactly": _repeats,
    "a batch is its reports": _batch_is_its_reports,
    "any bits decode or are not valid": _any_bits,
    "another length is refused": _other_lengths,
    "another rate is refused": _other_rates,
    "another shape is refused": _other_shapes,
}


def _encode(encoder: Encoder, h: Tensor, rate: int, first: int = 0) -> Payload:
    n = len(h)
    randomness = Randomness(0, np.zeros(n, dtype=np.uint32), np.arange(first, first + n))
    return encoder.encode(h, EncodeContext(rate, np.zeros(n, dtype=np.float32), randomness))


def _decode(decoder: Decoder, bits: np.ndarray, rate: int) -> Reconstruction:
    context = DecodeContext(rate, np.zeros(len(bits), dtype=np.float32))
    return decoder.decode(Payload.of_equal_length(bits), context)


def _not_channels(reconstruction: Reconstruction, n: int, card: CodecCard) -> str | None:
    """Say what keeps a reconstruction from being ``n`` channels, finite where they are valid."""
    h_hat, valid = reconstruction.h_hat, reconstruction.valid
    if h_hat.dtype != torch.complex64 or tuple(h_hat.shape) != (n, *card.shape.dims):
        return f"is {h_hat.dtype} {list(h_hat.shape)}, not complex64 {[n, *card.shape.dims]}"
    if valid.dtype != np.bool_ or valid.shape != (n,):
        return f"comes with `valid` {valid.dtype} {list(valid.shape)}, not bool [{n}]"
    return None if torch.isfinite(torch.view_as_real(h_hat[torch.from_numpy(valid)])).all() else "is not finite"


def _equal(one: Reconstruction, other: Reconstruction) -> bool:
    return np.array_equal(one.valid, other.valid) and torch.equal(one.h_hat, other.h_hat)


def _relative_error(h_hat: Tensor, wanted: Tensor) -> float:
    """Return the largest error of a report, relative to its norm."""
    error, norm = ((x.flatten(1).abs().double().square().sum(1)).sqrt() for x in (h_hat - wanted, wanted))
    return float((error / norm.clamp(min=math.ulp(1.0))).max())


def _raises(wanted: type[CsiError], call: Callable[[], object]) -> bool:
    try:
        call()
    except wanted:
        return True
    return False
