"""What every codec must do, as checks: a test runs them over the zoo, `csi-lab codecs check` over a user's codec.

name of a codec, channels -> Trial (fresh encoders and decoders) -> each of CHECKS -> None, or what does not hold
                                                             or SYMBOL_CHECKS
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
        wrong = not_channels(reconstruction, 3, trial.card)
        if wrong or not reconstruction.valid.all():
            return f"at {rate} bits, h_hat {wrong or 'of what was encoded is not valid'}"
    return None


def _repeats(trial: Trial) -> str | None:
    (one, other), (first, second) = (trial.encoder(), trial.encoder()), (trial.decoder(), trial.decoder())
    h = trial.h[:NUM_REPORTS].clone()
    for rate in trial.rates:
        bits = _encode(one, h, rate).bits
        if not torch.equal(h, trial.h[:NUM_REPORTS]):
            return f"at {rate} bits, the encoder changes `h_est`"
        if not np.array_equal(bits, _encode(other, h, rate).bits):
            return f"at {rate} bits, two encoders give different bits"
        if not equal(_decode(first, bits, rate), _decode(second, bits, rate)):
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
        if (error := relative_error(h_hat, _decode(decoder, bits, rate).h_hat)) > RELATIVE_ERROR:
            return f"at {rate} bits, h_hat is {error:.2g} off, by the batch"
    return None


def _any_bits(trial: Trial) -> str | None:
    decoder, rng = trial.decoder(), np.random.default_rng(0)
    for rate in trial.rates:
        for density in DENSITIES:
            bits = (rng.random((4, rate)) < density).astype(np.uint8)
            if wrong := not_channels(_decode(decoder, bits, rate), 4, trial.card):
                return f"at {rate} bits, h_hat of random bits {wrong}"
    return None


def _other_lengths(trial: Trial) -> str | None:
    decoder, rate = trial.decoder(), trial.card.min_rate
    ragged = Payload(np.zeros((2, rate), dtype=np.uint8), np.array([rate, rate - 1]))
    short, long = (Payload.of_equal_length(np.zeros((2, rate + k), dtype=np.uint8)) for k in (-1, 1))
    context = DecodeContext(rate, np.zeros(2, dtype=np.float32))
    for payload in (short, long, ragged):
        if not raises(CodecError, partial(decoder.decode, payload, context)):
            return f"a payload of {payload.length.tolist()} bits, for {rate}, raises no CodecError"
    return None


def _other_rates(trial: Trial) -> str | None:
    encoder, decoder = trial.encoder(), trial.decoder()
    for rate in (trial.card.min_rate - 1, trial.card.max_rate + 1):
        bits = np.zeros((1, rate), dtype=np.uint8)
        if not raises(InvalidArgumentError, partial(_encode, encoder, trial.h[:1], rate)):
            return f"the encoder takes a rate of {rate} bits"
        if not raises(InvalidArgumentError, partial(_decode, decoder, bits, rate)):
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


def _decode(decoder: Decoder, bits: np.ndarray, rate: int) -> Reconstruction:
    context = DecodeContext(rate, np.zeros(len(bits), dtype=np.float32))
    return decoder.decode(Payload.of_equal_length(bits), context)
