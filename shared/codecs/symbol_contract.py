"""What every codec of symbols must do, as checks: those of `shared.codecs.contract` where a report has no bits."""

from collections.abc import Callable
from functools import partial
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.base import DecodeContext, EncodeContext, SymbolDecoder, SymbolEncoder
from shared.codecs.trial import (
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
from shared.types import Received, ReceivedKind, Reconstruction, no_bits

EXTREMES = (0.0, 1e-30, 1.0, 1e30)  # sizes of random symbols; the last three of their noise variances too


def _symbols_as_declared(trial: Trial) -> str | None:
    encoder, h = _encoder(trial), trial.h[:3]
    for rate in trial.rates:
        values = _encode(encoder, h, rate)
        if values.dtype != np.complex64 or values.shape != (3, rate):
            return f"at {rate} symbols, those of 3 reports are {values.dtype} {list(values.shape)}"
        if not np.isfinite(values).all() or not values.any(axis=1).all():
            return f"at {rate} symbols, a report is not finite, or has no power"
    return None


def _round_trip(trial: Trial) -> str | None:
    encoder, decoder, h = _encoder(trial), _decoder(trial), trial.h[:3]
    for rate in trial.rates:
        reconstruction = _decode(decoder, *_noisy(_encode(encoder, h, rate)), rate)
        wrong = not_channels(reconstruction, 3, trial.card)
        if wrong or not reconstruction.valid.all():
            return f"at {rate} symbols, h_hat {wrong or 'of what was encoded is not valid'}"
    return None


def _repeats(trial: Trial) -> str | None:
    (one, other), (first, second) = (_encoder(trial), _encoder(trial)), (_decoder(trial), _decoder(trial))
    h = trial.h[:NUM_REPORTS].clone()
    for rate in trial.rates:
        values = _encode(one, h, rate)
        if not torch.equal(h, trial.h[:NUM_REPORTS]):
            return f"at {rate} symbols, the encoder changes `h_est`"
        if not np.array_equal(values, _encode(other, h, rate)):
            return f"at {rate} symbols, two encoders give different symbols"
        if not equal(_decode(first, *_noisy(values), rate), _decode(second, *_noisy(values), rate)):
            return f"at {rate} symbols, two decoders give different channels"
    return None


def _batch_is_its_reports(trial: Trial) -> str | None:
    encoder, decoder, h = _encoder(trial), _decoder(trial), trial.h[:NUM_REPORTS]
    for rate in trial.rates:
        together = _encode(encoder, h, rate)
        alone = np.concatenate([_encode(encoder, h[i : i + 1], rate, i) for i in range(NUM_REPORTS)])
        if (error := float(np.abs(alone - together).max() / np.abs(together).max())) > RELATIVE_ERROR:
            return f"at {rate} symbols, they are {error:.2g} off, by the batch"
        values, no_eff = _noisy(together)
        parts = [_decode(decoder, values[i : i + 1], no_eff[i : i + 1], rate).h_hat for i in range(NUM_REPORTS)]
        if (error := relative_error(torch.cat(parts), _decode(decoder, values, no_eff, rate).h_hat)) > RELATIVE_ERROR:
            return f"at {rate} symbols, h_hat is {error:.2g} off, by the batch"
    return None


def _any_symbols(trial: Trial) -> str | None:
    decoder, rng = _decoder(trial), np.random.default_rng(0)
    for rate in trial.rates:
        for size in EXTREMES:
            for noise in EXTREMES[1:]:
                values = (size * rng.standard_normal((4, rate, 2))).astype(np.float32).view(np.complex64)[..., 0]
                no_eff = np.full((4, rate), noise, dtype=np.float32)
                length = np.array([rate, rate, rate, 0])  # the last was erased
                if wrong := not_channels(_decode(decoder, values, no_eff, rate, length), 4, trial.card):
                    return f"at {rate} symbols, h_hat of random symbols {wrong}"
    return None


def _other_numbers(trial: Trial) -> str | None:
    decoder, rate = _decoder(trial), trial.card.min_rate
    for found in (rate - 1, rate + 1):
        ones = np.ones((2, found), dtype=np.float32)
        if not raises(CodecError, partial(_decode, decoder, ones.astype(np.complex64), ones, rate)):
            return f"{found} symbols, for {rate}, raise no CodecError"
    return None


def _bits_are_refused(trial: Trial) -> str | None:
    encoder, decoder, rate = _encoder(trial), _decoder(trial), trial.card.min_rate
    snr_db, length = np.zeros(2, dtype=np.float32), np.array([rate] * 2)
    hard = Received(ReceivedKind.HARD_BITS, np.ones((2, rate), dtype=np.uint8), length)
    calls: dict[str, Callable[[], object]] = {
        "encode": partial(encoder.encode, trial.h[:2], EncodeContext(rate, snr_db, _streams(2))),
        "decode": partial(decoder.decode, no_bits(2), DecodeContext(rate, snr_db)),
        "decode_symbols": partial(decoder.decode_symbols, hard, DecodeContext(rate, snr_db)),
    }
    taken = [name for name, call in calls.items() if not raises(CodecError, call)]
    return f"`{taken[0]}` of bits raises no CodecError" if taken else None


def _other_rates(trial: Trial) -> str | None:
    encoder, decoder = _encoder(trial), _decoder(trial)
    for rate in (trial.card.min_rate - 1, trial.card.max_rate + 1):
        ones = np.ones((1, rate), dtype=np.float32)
        if not raises(InvalidArgumentError, partial(_encode, encoder, trial.h[:1], rate)):
            return f"the encoder takes a rate of {rate} symbols"
        if not raises(InvalidArgumentError, partial(_decode, decoder, ones.astype(np.complex64), ones, rate)):
            return f"the decoder takes a rate of {rate} symbols"
    return None


def _other_shapes(trial: Trial) -> str | None:
    encoder, (num_rx, num_tx, num_sub) = _encoder(trial), trial.card.shape.dims
    for shape in ((1, num_rx, num_tx, num_sub + 1), (1, num_rx + 1, num_tx, num_sub), (num_rx, num_tx, num_sub)):
        h = torch.ones(shape, dtype=torch.complex64)
        if not raises(InvalidArgumentError, partial(_encode, encoder, h, trial.card.min_rate)):
            return f"the encoder takes channels of shape {list(shape)}"
    return None


SYMBOL_CHECKS: dict[str, Callable[[Trial], str | None]] = {
    "the model has one digest": same_digest,
    "declared symbols are real symbols": _symbols_as_declared,
    "what is encoded decodes to channels": _round_trip,
    "the mean channel is a channel": mean_channel,
    "results repeat exactly": _repeats,
    "a batch is its reports": _batch_is_its_reports,
    "any symbols decode or are not valid": _any_symbols,
    "another number is refused": _other_numbers,
    "bits are refused": _bits_are_refused,
    "another rate is refused": _other_rates,
    "another shape is refused": _other_shapes,
}


def _encoder(trial: Trial) -> SymbolEncoder:
    return cast("SymbolEncoder", trial.encoder())  # `make_encoder` gives no other for such a card


def _decoder(trial: Trial) -> SymbolDecoder:
    return cast("SymbolDecoder", trial.decoder())


def _streams(n: int, first: int = 0) -> Randomness:
    return Randomness(0, np.zeros(n, dtype=np.uint32), np.arange(first, first + n))


def _encode(encoder: SymbolEncoder, h: Tensor, rate: int, first: int = 0) -> NDArray[np.complex64]:
    n = len(h)
    context = EncodeContext(rate, np.zeros(n, dtype=np.float32), _streams(n, first))
    return encoder.encode_symbols(h, context).values


def _decode(
    decoder: SymbolDecoder,
    values: NDArray[np.complex64],
    no_eff: NDArray[np.float32],
    rate: int,
    length: NDArray[np.int64] | None = None,
) -> Reconstruction:
    n, found = values.shape
    received = Received(ReceivedKind.SYMBOLS, values, np.full(n, found) if length is None else length, no_eff)
    return decoder.decode_symbols(received, DecodeContext(rate, np.zeros(n, dtype=np.float32)))


def _noisy(values: NDArray[np.complex64]) -> tuple[NDArray[np.complex64], NDArray[np.float32]]:
    """Return symbols at unit power with some noise, and variances that differ from symbol to symbol."""
    generator = np.random.default_rng(5)
    power = np.mean(np.abs(values) ** 2, axis=1, keepdims=True)
    no_eff = generator.uniform(0.05, 0.5, values.shape)
    noise = generator.standard_normal((*values.shape, 2)).view(np.complex128)[..., 0] * np.sqrt(no_eff / 2)
    return (values / np.sqrt(power) + noise).astype(np.complex64), no_eff.astype(np.float32)
