"""From what the front end hands on to a channel: channel decoding, decoder, fallback.

    Received -> hard decisions -> Decoder -> invalid reports take the codec's mean channel -> h_hat

The base station's worker and an offline run share this function.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs import DecodeContext, Decoder
from shared.types import Payload, Received, ReceivedKind


@dataclass(frozen=True, slots=True)
class Reception:
    """What the base station knows of a batch of reports.

    Attributes:
        h_hat: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex64 on the decoder's device.
        payload: The information bits as decided.
        fallback: [batch] bool, True where ``h_hat`` is the codec's mean channel.
    """

    h_hat: Tensor
    payload: Payload
    fallback: NDArray[np.bool_]


def receive(received: Received, decoder: Decoder, context: DecodeContext) -> Reception:
    """Decode a batch of reports of one codec and rate.

    Raises:
        CodecError: If the batch cannot belong to the codec.
    """
    payload = decide(received)
    reconstruction = decoder.decode(payload, context)
    fallback = ~reconstruction.valid
    h_hat = reconstruction.h_hat
    if fallback.any():
        chosen = torch.from_numpy(fallback).to(h_hat.device)
        h_hat = torch.where(chosen[:, None, None, None], decoder.mean_csi, h_hat)
    return Reception(h_hat, payload, fallback)


def decide(received: Received) -> Payload:
    """Decide each uncoded bit: hard bits as they are, an LLR by its sign (positive is 1)."""
    if received.kind is ReceivedKind.LLRS:
        return Payload((received.values > 0).astype(np.uint8), received.length)
    return Payload(received.values.astype(np.uint8, copy=False), received.length)
