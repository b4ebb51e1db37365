"""What every codec must do, as checks: a test runs them over the zoo, `csi-lab codecs check` over a user's codec.

name of a codec, channels -> Trial (fresh encoders and decoders) -> each of CHECKS -> None, or what does not hold
                                                             or SYMBOL_CHECKS

A report of fixed length has `rate` bits; one of variable length any number within the card's `num_bits_range`.
"""

import traceback
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.codecs.base import DecodeContext, Decoder, EncodeContext, Encoder
from shared.codecs.symbol_contract import SYMBOL_CHECKS
from shared.codecs.trial import (
    INDEX_MISMATCH,
    NUM_REPORTS,
    RELATIVE_ERROR,
    Trial,
    equal,
    mean_channel,
    not_channels,
    raises,
    relative_error,
    same_digest,
)
from shared.coding.bits import stack_rows
from shared.errors import CodecError, InvalidArgumentError
from shared.rng import Randomness
from shared.types import Payload, Reconstruction

DENSITIES = (0.0, 0.1, 0.5, 1.0)  # share of ones in random payloads


def run_checks(trial: Trial) -> dict[str, str | None]:
    """Run every check of the card's payload; what a codec raises where it must not is what does not hold.

    Example:
        >>> from shared.codecs.trial import make_trial
        >>> from shared.model_files import load_model
        >>> trial = make_trial(lambda: load_model("float"), torch.ones(16, 1, 32, 32, dtype=torch.complex64))
        >>> set(run_checks(trial).values())
        {None}
    """
    checks = SYMBOL_CHECKS if trial.card.payload == "symbols" else CHECKS
    # Each with channels of its own: an encoder that changes them spoils one check, not those that follow.
    return {name: _verdict(check, replace(trial, h=trial.h.clone())) for name, check in checks.items()}


def _verdict(check: Callable[[Trial], str | None], trial: Trial) -> str | None:
    try:
        return check(trial)
    except Exception as error:  # whatever a user's code does
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__}: {error} ({Path(last.filename).name}, line {last.lineno})"


def _bits_as_declared(trial: Trial) -> str | None:
    encoder, h = trial.encoder(), trial.h[:3]
    for rate in trial.rates:
        payload, (least, most) = _encode(encoder, h, rate), trial.card.num_bits_range(rate)
        bits, length = payload.bits, payload.length
        fits = length.shape == (3,) and least <= length.min() and length.max() <= most
        if bits.dtype != np.uint8 or not fits or bits.shape != (3, length.max()):
            found = f"{bits.dtype} {list(bits.shape)}, length {length.tolist()}"
            return f"at {rate} bits, the payload of 3 reports is {found}"
        if bits.max() > 1:
            return f"at {rate} bits, a bit is {bits.max()}"
        if (bits * (np.arange(bits.shape[1]) >= length[:, None])).any():
            return f"at {rate} bits, the payload is not zero beyond the length of a report"
    return None


def _round_trip(trial: Trial) -> str | None:
    encoder, decoder, h = trial.encoder(), trial.decoder(), trial.h[:3]
    for rate in trial.rates:
        reconstruction = _decode(decoder, _encode(encoder, h, rate), rate)
        wrong = not_channels(reconstruction, 3, trial.card)
        if wrong or not reconstruction.valid.all():
            return f"at {rate} bits, h_hat {wrong or 'of what was encoded is not valid'}"
    return None


def _repeats(trial: Trial) -> str | None:
    (one, other), (first, second) = (trial.encoder(), trial.encoder()), (trial.decoder(), trial.decoder())
    h = trial.h[:NUM_REPORTS].clone()
    for rate in trial.rates:
        payload, again = _encode(one, h, rate), _encode(other, h, rate)
        if not torch.equal(h, trial.h[:NUM_REPORTS]):
            return f"at {rate} bits, the encoder changes `h_est`"
        if not (np.array_equal(payload.bits, again.bits) and np.array_equal(payload.length, again.length)):
            return f"at {rate} bits, two encoders give different bits"
        if not equal(_decode(first, payload, rate), _decode(second, payload, rate)):
            return f"at {rate} bits, two decoders give different channels"
    return None


def _batch_is_its_reports(trial: Trial) -> str | None:
    encoder, decoder, h = trial.encoder(), trial.decoder(), trial.h[:NUM_REPORTS]
    for rate in trial.rates:
        together = _encode(encoder, h, rate)
        alone = [_encode(encoder, h[i : i + 1], rate, i) for i in range(NUM_REPORTS)]
        if not np.array_equal(together.length, np.concatenate([payload.length for payload in alone])):
            return f"at {rate} bits, the length of a report depends on the batch"
        ours, theirs = np.split(stack_rows([together.bits, *(payload.bits for payload in alone)]), 2)
        if (share := float((ours != theirs).mean())) > INDEX_MISMATCH:
            return f"at {rate} bits, {share:.2g} of the bits depend on the batch"
        h_hat = torch.cat([_decode(decoder, _report(together, i), rate).h_hat for i in range(NUM_REPORTS)])
        if (error := relative_error(h_hat, _decode(decoder, together, rate).h_hat)) > RELATIVE_ERROR:
            return f"at {rate} bits, h_hat is {error:.2g} off, by the batch"
    return None


def _any_bits(trial: Trial) -> str | None:
    decoder, rng = trial.decoder(), np.random.default_rng(0)
    for rate in trial.rates:
        least, most = trial.card.num_bits_range(rate)
        for density in DENSITIES:
            length = np.array([least, most, *rng.integers(least, most + 1, 2)])
            bits = (rng.random((4, most)) < density) & (np.arange(most) < length[:, None])
            payload = Payload(bits.astype(np.uint8)[:, : length.max()], length)
            if wrong := not_channels(_decode(decoder, payload, rate), 4, trial.card):
                return f"at {rate} bits, h_hat of random bits {wrong}"
    return None


def _other_lengths(trial: Trial) -> str | None:
    decoder, rate = trial.decoder(), trial.card.min_rate
    least, most = trial.card.num_bits_range(rate)
    ragged = Payload(np.zeros((2, most), dtype=np.uint8), np.array([most, least - 1]))
    short, long = (Payload.of_equal_length(np.zeros((2, number), dtype=np.uint8)) for number in (least - 1, most + 1))
    for payload in (short, long, ragged):
        try:
            reconstruction = _decode(decoder, payload, rate)
        except CodecError:
            continue
        if trial.card.length == "fixed":
            return f"a payload of {payload.length.tolist()} bits, for {rate}, raises no CodecError"
        if wrong := not_channels(reconstruction, 2, trial.card):  # an entropy code knows where it ends
            return f"at {rate} bits, h_hat of {payload.length.tolist()} bits {wrong}"
    return None


def _other_rates(trial: Trial) -> str | None:
    encoder, decoder = trial.encoder(), trial.decoder()
    for rate in (trial.card.min_rate - 1, trial.card.max_rate + 1):
        payload = Payload.of_equal_length(np.zeros((1, rate), dtype=np.uint8))
        if not raises(InvalidArgumentError, partial(_encode, encoder, trial.h[:1], rate)):
            return f"the encoder takes a rate of {rate} bits"
        if not raises(InvalidArgumentError, partial(_decode, decoder, payload, rate)):
            return f"the decoder takes a rate of {rate} bits"
    return None


def _other_shapes(trial: Trial) -> str | None:
    encoder, (num_rx, num_tx, num_sub) = trial.encoder(), trial.card.shape.dims
    for shape in ((1, num_rx, num_tx, num_sub + 1), (1, num_rx + 1, num_tx, num_sub), (num_rx, num_tx, num_sub)):
        h = torch.ones(shape, dtype=torch.complex64)
        if not raises(InvalidArgumentError, partial(_encode, encoder, h, trial.card.min_rate)):
            return f"the encoder takes channels of shape {list(shape)}"
    return None


CHECKS: dict[str, Callable[[Trial], str | None]] = {
    "the model has one digest": same_digest,
    "declared bits are real bits": _bits_as_declared,
    "what is encoded decodes to channels": _round_trip,
    "the mean channel is a channel": mean_channel,
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


def _report(payload: Payload, i: int) -> Payload:
    """Return one report of a batch, alone."""
    length = payload.length[i : i + 1]
    return Payload(payload.bits[i : i + 1, : length[0]], length)


def _decode(decoder: Decoder, payload: Payload, rate: int) -> Reconstruction:
    return decoder.decode(payload, DecodeContext(rate, np.zeros(len(payload.length), dtype=np.float32)))
