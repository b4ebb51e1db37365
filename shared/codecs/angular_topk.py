r"""Angular-delay top-k: send the k strongest taps, each as its index, amplitude and phase.

    h_est -> k largest |x| -> per tap, strongest first: index (10 bits for 32 x 32) | amplitude | phase -> bits

The amplitude of the r-th strongest tap is quantised relative to that rank's training average (Lloyd-Max), the phase
uniformly. Indices are fixed-width on purpose: a wrong bit moves one tap, where an enumerative code, shorter by some
log2(k!) bits, would lose them all. k and the widths of each budget are a table of the model file
(`shared.training.angular_topk` fills it), and every budget is spent to the bit.

Source: the sparsity argument of Kuo et al., "Compressive sensing based channel feedback protocols for
spatially-correlated massive antenna arrays", WCNC 2012; the quantiser is ours.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.codecs.base import DecodeContext, EncodeContext, require_length
from shared.coding.bits import bits_to_fields, fields_to_bits
from shared.coding.quantizers import nearest_index
from shared.model_files import ModelFile
from shared.types import Payload, Reconstruction


@dataclass(frozen=True, slots=True)
class TopkTensors:
    """The model file, on a device.

    Attributes:
        mean: [num_complex] complex64, mean channel of the training split.
        rank_scale: [max_taps] float32, root mean square amplitude of the r-th strongest tap.
        codebook: [max_width, 2 ** max_width] float32, amplitude levels relative to ``rank_scale``.
        amplitude_widths: [num_rates, max_taps] uint8 on the host.
        phase_widths: [num_rates, max_taps] uint8 on the host; 0 marks a tap that is not sent.
    """

    mean: Tensor
    rank_scale: Tensor
    codebook: Tensor
    amplitude_widths: NDArray[np.uint8]
    phase_widths: NDArray[np.uint8]

    @classmethod
    def load(cls, model: ModelFile, device: torch.device) -> "TopkTensors":
        """Move a model file's tensors to ``device``."""
        mean, rank_scale, codebook = (model.tensors[name].to(device) for name in ("mean", "rank_scale", "codebook"))
        tables = (model.tensors[name].numpy() for name in ("amplitude_widths", "phase_widths"))
        return cls(mean, rank_scale, codebook, *tables)

    def layout(self, row: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Return the widths of index, amplitude and phase of each tap that is sent, at table row ``row``."""
        num_taps = int((self.phase_widths[row] > 0).sum())
        index = np.full(num_taps, index_width(self.mean.numel()), dtype=np.int64)
        amplitude = self.amplitude_widths[row, :num_taps].astype(np.int64)
        return index, amplitude, self.phase_widths[row, :num_taps].astype(np.int64)


def index_width(num_complex: int) -> int:
    """Return the bits that name one of ``num_complex`` taps."""
    return (num_complex - 1).bit_length()


class AngularTopkEncoder:
    """The UE side of `angular-topk`.

    Example:
        >>> from shared.model_files import load_model
        >>> AngularTopkEncoder(load_model("angular-topk"), torch.device("cpu")).card.domain
        'angular-delay'
    """

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._tensors = TopkTensors.load(model, device)

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        """See `shared.codecs.base.Encoder.encode`."""
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        widths = self._tensors.layout(context.rate - self.card.min_rate)
        num_taps = len(widths[0])
        flat = h_est.to(self._tensors.mean.device).flatten(1)
        magnitude, index = flat.abs().topk(num_taps, dim=1)
        amplitude = _amplitude_index(magnitude / self._tensors.rank_scale[:num_taps], widths[1], self._tensors.codebook)
        num_phases = torch.from_numpy(2 ** widths[2]).to(flat.device)
        turn = flat.gather(1, index).angle() / (2 * torch.pi)
        phase = torch.round(turn * num_phases).to(torch.int64) % num_phases
        fields = torch.stack([index, amplitude, phase], dim=2).flatten(1).cpu().numpy()
        return Payload.of_equal_length(fields_to_bits(fields, np.stack(widths, axis=1).ravel()))


class AngularTopkDecoder:
    """The base-station side of `angular-topk`."""

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card
        self._tensors = TopkTensors.load(model, device)
        self.mean_csi = self._tensors.mean.reshape(self.card.shape.dims)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        """See `shared.codecs.base.Decoder.decode`."""
        self.card.require_rate(context.rate)
        require_length(payload, context.rate)
        widths = self._tensors.layout(context.rate - self.card.min_rate)
        num_taps = len(widths[0])
        fields = bits_to_fields(payload.bits, np.stack(widths, axis=1).ravel()).reshape(-1, num_taps, 3)
        device = self._tensors.mean.device
        index, amplitude, phase = (torch.from_numpy(part).to(device) for part in np.moveaxis(fields, 2, 0))
        rows = torch.from_numpy(np.maximum(widths[1] - 1, 0)).to(device)
        unquantised = torch.from_numpy(widths[1] == 0).to(device)
        level = torch.where(unquantised, torch.ones((), device=device), self._tensors.codebook[rows, amplitude])
        angle = phase * (2 * torch.pi / torch.from_numpy(2 ** widths[2]).to(device))
        taps = torch.polar(level * self._tensors.rank_scale[:num_taps], angle.to(torch.float32))
        num_complex = self.card.shape.num_complex
        valid = (index < num_complex).all(dim=1)
        # A bit error may send two taps to one index: they add.
        pairs = torch.zeros(len(fields), num_complex, 2, device=device)
        where = index.clamp(max=num_complex - 1)[..., None].expand(-1, -1, 2)
        pairs.scatter_add_(1, where, torch.view_as_real(taps))
        h_hat = torch.view_as_complex(pairs).reshape(-1, *self.card.shape.dims)
        return Reconstruction(h_hat, valid.cpu().numpy())


def _amplitude_index(relative: Tensor, widths: NDArray[np.int64], codebook: Tensor) -> Tensor:
    """Quantise each rank's relative amplitude with its own number of bits; 0 bits is index 0."""
    indices = torch.zeros(relative.shape, dtype=torch.int64, device=relative.device)
    for width in np.unique(widths[widths > 0]):
        columns = torch.from_numpy(np.flatnonzero(widths == width)).to(relative.device)
        indices[:, columns] = nearest_index(relative[:, columns], codebook[width - 1, : 2**width])
    return indices
