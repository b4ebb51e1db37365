r"""What every codec of compressed sensing sends: a few random projections of the channel, quantised.

    x = h_est [N] -> y = A x [m] -> re, im / sqrt(N / 2m) -> Lloyd-Max index (latent_widths(rate, 2 m)) -> bits
    y_hat         <- * sqrt(N / 2m) <- codebook entry                                                   <- bits

A [m, N] is complex Gaussian, its columns of unit length, and drawn from the seed in the model file, so that no file
holds it. Of a channel of unit mean power the parts of y are then close to Gaussian, each of variance N / 2m whatever
the channel: the codebooks are those of a Gaussian, and nothing is learned. m by rate is a table of the model file
(`shared.training.compressed_sensing` fills it): few bits for each of many measurements.

Sources: E. J. Candes, J. Romberg, T. Tao, "Robust uncertainty principles", IEEE Trans. Inf. Theory 52(2), 2006; D. L.
Donoho, "Compressed sensing", the same 52(4). For CSI: Kuo et al., WCNC 2012.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.base import DecodeContext, EncodeContext, require_length
from shared.coding.bits import bits_to_fields, fields_to_bits
from shared.coding.latents import latent_widths
from shared.coding.quantizers import nearest_index
from shared.model_files import ModelFile
from shared.types import Payload, Reconstruction

CACHED = 8  # matrices that a side keeps: those of the rates that it is asked for at a time, a few MB each


def measurement_matrix(num_measurements: int, num_complex: int, seed: int) -> Tensor:
    """Draw A: [num_measurements, num_complex] complex128, columns of unit length, the same wherever it is drawn.

    Example:
        >>> a = measurement_matrix(4, 32, seed=1)
        >>> bool(torch.equal(a, measurement_matrix(4, 32, seed=1))), float(a[:, 5].norm())
        (True, 1.0)
    """
    generator = torch.Generator().manual_seed(seed)
    parts = torch.randn(num_measurements, num_complex, 2, generator=generator, dtype=torch.float64)
    matrix = torch.view_as_complex(parts)
    return matrix.div(matrix.norm(dim=0))


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Measurements and their quantiser, of one model file, on a device.

    Attributes:
        seed: Of the matrices.
        num_complex: N.
        min_rate: Bits of the first row of the table.
        num_measurements: [num_rates] int64 on the host, m at ``min_rate + row``; each has at least a bit a part.
        codebook: [max_width, 2 ** max_width] float32; row ``b - 1`` begins with the ``2 ** b`` levels of ``b`` bits.
    """

    seed: int
    num_complex: int
    min_rate: int
    num_measurements: NDArray[np.int64]
    codebook: Tensor

    @classmethod
    def load(cls, model: ModelFile, device: torch.device) -> "FrontEnd":
        """Read it from a model file."""
        seed, num_measurements, codebook = (model.tensors[name] for name in ("seed", "num_measurements", "codebook"))
        return cls(
            int(seed),
            model.card.shape.num_complex,
            model.card.min_rate,
            num_measurements.numpy().astype(np.int64),
            codebook.to(device),
        )

    def widths(self, rate: int) -> NDArray[np.int64]:
        """Return [2 m], bits of re 0, im 0, re 1, ... at a rate."""
        return latent_widths(rate, 2 * self.size(rate))

    def size(self, rate: int) -> int:
        """Return m at a rate."""
        return int(self.num_measurements[rate - self.min_rate])

    def draw(self, size: int) -> Tensor:
        """Return A of m = ``size``, [m, num_complex] complex128 on the device; several rates may share it."""
        return measurement_matrix(size, self.num_complex, self.seed).to(self.codebook.device)

    def matrix(self, rate: int) -> Tensor:
        """Return A at a rate."""
        return self.draw(self.size(rate))

    def index(self, y: Tensor, widths: NDArray[np.int64]) -> Tensor:
        """Quantise measurements.

        Args:
            y: [batch, m] complex64.
            widths: [2 m].

        Returns:
            [batch, 2 m] int64.
        """
        fields = torch.view_as_real(y).flatten(1) / self._scale(widths)
        indices = torch.zeros(fields.shape, dtype=torch.int64, device=fields.device)
        for width in np.unique(widths):
            columns = torch.from_numpy(np.flatnonzero(widths == width)).to(fields.device)
            indices[:, columns] = nearest_index(fields[:, columns], self.codebook[width - 1, : 2**width])
        return indices

    def value(self, indices: Tensor, widths: NDArray[np.int64]) -> Tensor:
        """Invert `index`, to the centre of each cell: [batch, m] complex64."""
        fields = self.codebook[torch.from_numpy(widths - 1).to(indices.device), indices] * self._scale(widths)
        return torch.view_as_complex(fields.reshape(len(fields), -1, 2))

    def _scale(self, widths: NDArray[np.int64]) -> float:
        """Return the standard deviation of a part of a measurement, of a channel of unit mean power."""
        return math.sqrt(self.num_complex / len(widths))


class CompressedSensingEncoder:
    """The UE side of `cs-omp` and `cs-lasso`: one matrix product.

    Example:
        >>> from shared.model_files import load_model
        >>> CompressedSensingEncoder(load_model("cs-omp"), torch.device("cpu")).card.domain
        'angular-delay'
    """

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._front_end = FrontEnd.load(model, device)
        self._draw = lru_cache(CACHED)(self._front_end.draw)

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        matrix, widths = self._draw(self._front_end.size(context.rate)), self._front_end.widths(context.rate)
        y = h_est.to(matrix.device).flatten(1).to(torch.complex128) @ matrix.T
        indices = self._front_end.index(y.to(torch.complex64), widths)
        return Payload.of_equal_length(fields_to_bits(indices.cpu().numpy(), widths))


class CompressedSensingDecoder:
    """The base-station side, for any recovery of the taps from the measurements.

    Args:
        model: Model file.
        device: Where to decode.
        make_recovery: (A: [m, num_complex] complex128, rate) -> what makes x [batch, num_complex] of y [batch, m], both
            complex64.
    """

    def __init__(
        self,
        model: ModelFile,
        device: torch.device,
        make_recovery: Callable[[Tensor, int], Callable[[Tensor], Tensor]],
    ) -> None:
        self.card = model.card
        self.mean_csi = torch.zeros(self.card.shape.dims, dtype=torch.complex64, device=device)
        self._front_end = FrontEnd.load(model, device)
        self._draw = lru_cache(CACHED)(self._front_end.draw)
        self._recovery = lru_cache(CACHED)(lambda rate: make_recovery(self._draw(self._front_end.size(rate)), rate))

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`."""
        self.card.require_rate(context.rate)
        require_length(payload, context.rate)
        widths = self._front_end.widths(context.rate)
        indices = torch.from_numpy(bits_to_fields(payload.bits, widths)).to(self.mean_csi.device)
        x = self._recovery(context.rate)(self._front_end.value(indices, widths))
        return Reconstruction(x.reshape(-1, *self.card.shape.dims), np.ones(len(x), dtype=np.bool_))
