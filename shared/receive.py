"""From what the front end hands on to a channel: channel decoding, decoder, refinement, fallback.

Received -> ChannelCode.decode -> Payload, CRC -> Decoder -> CRC, report and finite values? -> Refiner -> h_hat
Received, symbols ---------------------> SymbolDecoder ------^   '- no: the codec's mean channel

Only what can be used is refined: a mean channel that went through the refiner would be a guess that looks like a
report. What a refiner makes that is not finite stays as the decoder made it. The base station's worker and an offline
run share this file; `shared/transmit.py` is the other side. The worker runs `decode_channel` and `reconstruct` in
threads of their own, where the channel code is expensive.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs import DecodeContext, Decoder, SymbolDecoder
from shared.coding.channel_code import ChannelCode, DecodedReports, decode_reports
from shared.errors import CodecError
from shared.refinement import Refiner
from shared.refinement.label import RefinementLabel
from shared.refinement.policy import steps_of_reports
from shared.rng import Randomness
from shared.types import Payload, Received, ReceivedKind, Reconstruction, no_bits


@dataclass(frozen=True, slots=True)
class Reception:
    """What the base station knows of a batch of reports.

    Attributes:
        h_hat: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64 on the decoder's device.
        payload: The information bits as decided, none of symbols; they mean nothing in a report that was erased.
        fallback: [batch] bool, True where no report could be used and ``h_hat`` is the codec's mean channel.
        erased: [batch] bool, True where nothing arrived.
        checked: [batch] bool, True where a report arrived with a CRC.
        crc_ok: [batch] bool, False where a CRC does not hold, or nothing arrived.
        held: [batch] bool, True where `shared.fallback` put the UE's last good CSI in the mean channel's place.
        num_steps: [batch] int64, steps of the refiner's sampler; 0 where ``h_hat`` is not refined.
    """

    h_hat: Tensor
    payload: Payload
    fallback: NDArray[np.bool_]
    erased: NDArray[np.bool_]
    checked: NDArray[np.bool_]
    crc_ok: NDArray[np.bool_]
    held: NDArray[np.bool_]
    num_steps: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Refinement:
    """How the reports of a batch are refined.

    Attributes:
        refiner: On the decoder's device.
        label: Which of them, in how many steps.
        streams: Randomness of the reports, in their order; several where they are of different runs.
    """

    refiner: Refiner
    label: RefinementLabel
    streams: Sequence[Randomness]


def receive(
    received: Received,
    code: ChannelCode,
    num_bits: NDArray[np.integer],
    decoder: Decoder,
    context: DecodeContext,
    refinement: Refinement | None = None,
) -> Reception:
    """Decode a batch of reports of one codec, channel code and rate.

    Args:
        received: What the front end hands on; as many values as the code gives a report, or of length 0.
        code: Channel code of the link.
        num_bits: [batch] information bits of each report, which its frame says; 0 of symbols.
        decoder: Base-station side of the codec.
        context: Rate and SNR.
        refinement: How the reports are refined; None for not.

    Raises:
        CodecError: If the batch cannot belong to the codec.
    """
    of_symbols = received.kind is ReceivedKind.SYMBOLS
    decoded = None if of_symbols else decode_channel(received, code, num_bits)
    return reconstruct(received, decoded, decoder, context, refinement)


def decode_channel(received: Received, code: ChannelCode, num_bits: NDArray[np.integer]) -> DecodedReports:
    """Decode the channel code of a batch of ``num_bits: [batch]``; a hard bit counts as an LLR of -1 or 1."""
    values = received.values.astype(np.float32)
    return decode_reports(code, values if received.kind is ReceivedKind.LLRS else 2 * values - 1, num_bits)


def reconstruct(
    received: Received,
    decoded: DecodedReports | None,
    decoder: Decoder,
    context: DecodeContext,
    refinement: Refinement | None = None,
) -> Reception:
    """Make channels of a batch whose channel code is decoded.

    Args:
        received: What the front end handed on.
        decoded: What `decode_channel` made of it; None of symbols.
        decoder: Base-station side of the codec.
        context: Rate and SNR.
        refinement: How the reports are refined; None for not.

    Raises:
        CodecError: If the batch cannot belong to the codec.
    """
    arrived = received.length > 0
    if decoded is None:
        reconstruction, payload = _decode_symbols(received, decoder, context), no_bits(len(arrived))
        checked, crc_ok = np.zeros_like(arrived), arrived
    else:
        reconstruction, payload = decoder.decode(decoded.payload, context), decoded.payload
        checked, crc_ok = decoded.checked & arrived, decoded.crc_ok & arrived
    h_hat = reconstruction.h_hat
    fallback = ~reconstruction.valid | ~_finite(h_hat).cpu().numpy() | ~crc_ok
    num_steps = np.zeros(len(arrived), dtype=np.int64)
    if refinement is not None:
        asked = steps_of_reports(refinement.label, refinement.refiner.card, context.rate, context.snr_db)
        num_steps = np.where(fallback, 0, asked)
        refined = _refine(h_hat, num_steps, context, refinement)
        kept = ~_finite(refined)  # what a refiner spoils stays as the decoder made it
        h_hat = torch.where(kept[:, None, None, None], h_hat, refined)
        num_steps[kept.cpu().numpy()] = 0
    if fallback.any():
        chosen = torch.from_numpy(fallback).to(h_hat.device)
        h_hat = torch.where(chosen[:, None, None, None], decoder.mean_csi, h_hat)
    return Reception(h_hat, payload, fallback, ~arrived, checked, crc_ok, np.zeros_like(fallback), num_steps)


def _refine(h_hat: Tensor, num_steps: NDArray[np.int64], context: DecodeContext, refinement: Refinement) -> Tensor:
    """Return the batch with the reports refined whose number of steps is not 0; one call for each number and run."""
    if not num_steps.any():
        return h_hat
    h_hat = h_hat.clone()
    for randomness, rows in _by_run(refinement.streams):
        of_run = num_steps[rows]
        for steps in np.unique(of_run[of_run > 0]).tolist():
            chosen = np.flatnonzero(of_run == steps)
            at = torch.from_numpy(rows[chosen]).to(h_hat.device)
            snr_db = context.snr_db[rows[chosen]]
            h_hat[at] = refinement.refiner.refine(h_hat[at], snr_db, steps, randomness.of(chosen)).to(h_hat.device)
    return h_hat


def _by_run(streams: Sequence[Randomness]) -> Iterator[tuple[Randomness, NDArray[np.int64]]]:
    """Yield the randomness of the reports of each run, and their rows in the batch."""
    runs = np.concatenate([np.full(len(one.sequence), one.run, dtype=np.uint64) for one in streams])
    ue_id = np.concatenate([one.ue_id for one in streams])
    sequence = np.concatenate([one.sequence for one in streams])
    for run in np.unique(runs).tolist():
        rows = np.flatnonzero(runs == run)
        yield Randomness(run, ue_id[rows], sequence[rows]), rows


def _finite(h_hat: Tensor) -> Tensor:
    """Return [batch] bool, whether a reconstruction is finite: an own decoder may let a NaN through."""
    sums = h_hat.flatten(1).sum(dim=1)  # 30 times as fast as asking each entry, and seldom wrong: large ones overflow
    finite = torch.isfinite(sums)
    return finite if finite.all() else torch.isfinite(h_hat).flatten(1).all(dim=1)


def _decode_symbols(received: Received, decoder: Decoder, context: DecodeContext) -> Reconstruction:
    if not isinstance(decoder, SymbolDecoder):
        raise CodecError(f"`received` of codec {decoder.card.name} must be bits; got symbols.")
    return decoder.decode_symbols(received, context)
