r"""`cs-omp`: the taps that explain the measurements, found one by one by orthogonal matching pursuit.

    y_hat -> s times: the tap most like the residual, then all so far by least squares -> x_hat of s taps

s by rate is a table of the model file: the number of least NMSE on a training split. Real and imaginary part of a tap
are found together, since A is complex.

Source: J. A. Tropp, A. C. Gilbert, IEEE Trans. Inf. Theory 53(12), 2007; the pursuit is
`shared.coding.matching_pursuit`.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from shared.codecs.compressed_sensing.front_end import CompressedSensingDecoder
from shared.coding.matching_pursuit import orthogonal_matching_pursuit
from shared.model_files import ModelFile

CHUNK = 128  # reports at once: their orthogonal bases are tens of MB


def recover_by_omp(y: Tensor, matrix: Tensor, num_atoms: int) -> Tensor:
    """Find few taps that explain measurements.

    Args:
        y: [batch, m] real or complex.
        matrix: [m, num_taps] float64 or complex128, columns of unit length.
        num_atoms: s, at most m.

    Returns:
        [batch, num_taps] of y's type, ``num_atoms`` of each row not zero.

    Example:
        >>> recover_by_omp(torch.tensor([[0.0, 3.0]]), torch.eye(2).double(), 1).tolist()
        [[0.0, 3.0]]
    """
    x = y.new_zeros(len(y), matrix.shape[1])
    for start in range(0, len(y), CHUNK):
        some = slice(start, start + CHUNK)
        codes = orthogonal_matching_pursuit(y[some].to(matrix.dtype), matrix, num_atoms)
        x[some] = x[some].scatter(1, codes.atoms, codes.values.to(y.dtype))
    return x


class CsOmpDecoder(CompressedSensingDecoder):
    """The base-station side of `cs-omp`.

    Example:
        >>> from shared.model_files import load_model
        >>> CsOmpDecoder(load_model("cs-omp"), torch.device("cpu")).card.max_rate
        1024
    """

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        table, min_rate = model.tensors["num_atoms"], model.card.min_rate

        def make_recovery(matrix: Tensor, rate: int) -> Callable[[Tensor], Tensor]:
            num_atoms = int(table[rate - min_rate])
            return lambda y: recover_by_omp(y, matrix, num_atoms)

        super().__init__(model, device, make_recovery)
