"""Codebooks as models, and channels for them."""

from typing import Literal

import numpy as np
import torch
from torch import Tensor

from shared.codecs import DecodeContext, Decoder, EncodeContext, Encoder, make_model
from shared.model_files import ModelFile
from shared.network_settings import CodebookSettings
from shared.rng import Randomness
from shared.training.codebook import make_codebook
from shared.transforms import normalize_power
from shared.types import CsiShape, Payload, Reconstruction

CPU = torch.device("cpu")


def codebook(codec: str, shape: CsiShape, settings: CodebookSettings) -> ModelFile:
    return make_model("mine", shape, make_codebook(codec, shape, settings), codec)


def shape_of(
    num_rx_ant: int,
    num_tx_ant: int,
    num_subcarriers: int,
    domain: Literal["angular-delay", "spatial-frequency"] = "spatial-frequency",
) -> CsiShape:
    return CsiShape(domain, num_rx_ant, num_tx_ant, num_subcarriers)


def few_paths(shape: CsiShape, batch: int, seed: int = 0, num_paths: int = 4) -> Tensor:
    """Return channels of a few paths in the spatial-frequency domain, unit mean power."""
    generator = torch.Generator().manual_seed(seed)
    num_rx, num_tx, num_sub = shape.dims
    at_ue = torch.randn(batch, num_paths, num_rx, dtype=torch.complex64, generator=generator)
    sine, delay = torch.rand(2, batch, num_paths, generator=generator)
    at_bs = torch.polar(torch.ones(()), torch.pi * (2 * sine[..., None] - 1) * torch.arange(num_tx))
    over_f = torch.polar(torch.ones(()), -torch.pi * delay[..., None] * torch.arange(num_sub) / 4)
    return normalize_power(torch.einsum("bpr,bpt,bpf->brtf", at_ue, at_bs, over_f))


def encode(encoder: Encoder, h: Tensor, rate: int) -> Payload:
    randomness = Randomness(0, np.zeros(len(h), dtype=np.uint32), np.arange(len(h)))
    return encoder.encode(h, EncodeContext(rate, np.zeros(len(h), dtype=np.float32), randomness))


def decode(decoder: Decoder, payload: Payload, rate: int) -> Reconstruction:
    return decoder.decode(payload, DecodeContext(rate, np.zeros(len(payload.length), dtype=np.float32)))
