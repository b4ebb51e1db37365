r"""`cs-lasso`: the channel of least l1 norm that explains the measurements nearly, by FISTA.

    min over x of  1/2 ||y - A x||^2 + lambda ||x||_1,  |x_i| the magnitude of a complex tap

    x_k = shrink(z_k - A^H (A z_k - y) / L, lambda / L)        L = ||A||_2^2,  shrink(u, t) = u max(0, 1 - t / |u|)
    t_{k+1} = (1 + sqrt(1 + 4 t_k^2)) / 2,   z_{k+1} = x_k + (t_k - 1) / t_{k+1} (x_k - x_{k-1}),   x_0 = 0, t_1 = 1

The magnitude of a complex tap takes real and imaginary part together (a group of two). lambda by rate, in amplitudes
of a channel of unit mean power, and the number of iterations are in the model file. Left out, since measured and not
better: a lambda that falls from iteration to iteration, and least squares on the support at the end (0.1 to 0.9 dB
worse, for there the noise of the quantiser comes back).

Sources: R. Tibshirani, "Regression shrinkage and selection via the lasso", J. R. Statist. Soc. B 58(1), 1996; A. Beck,
M. Teboulle, "A fast iterative shrinkage-thresholding algorithm for linear inverse problems", SIAM J. Imaging Sci. 2(1),
2009, with constant step.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from shared.codecs.compressed_sensing.front_end import CompressedSensingDecoder
from shared.model_files import ModelFile

CHUNK = 64  # reports at once: what an iteration touches stays in a core's cache


class Lasso:
    """The lasso of one matrix, by a fixed number of iterations of FISTA, in float32.

    It computes in real numbers, a complex vector as its real parts and then its imaginary ones: torch's complex
    magnitudes would take as long as the matrix products.

    Args:
        matrix: [m, num_taps] float64 or complex128.
        threshold: lambda.
        num_iterations: How many.

    Example:
        >>> lasso = Lasso(torch.eye(2).double(), threshold=1.0, num_iterations=9)
        >>> lasso(torch.tensor([[0.5, 3.0]])).round(decimals=4).tolist()
        [[0.0, 2.0]]
    """

    def __init__(self, matrix: Tensor, threshold: float, num_iterations: int) -> None:
        self._is_complex, self._num_taps = matrix.is_complex(), matrix.shape[1]
        self._threshold, self._num_iterations = threshold, num_iterations
        if matrix.is_complex():
            top, bottom = torch.cat([matrix.real, -matrix.imag], dim=1), torch.cat([matrix.imag, matrix.real], dim=1)
            real = torch.cat([top, bottom])
        else:
            real = matrix
        gram = matrix @ matrix.mH if matrix.shape[0] <= matrix.shape[1] else matrix.mH @ matrix
        self._step = 1 / float(torch.linalg.eigvalsh(gram)[-1])
        self._forward = real.T.float().contiguous()
        self._adjoint = (self._step * real).float().contiguous()

    def __call__(self, y: Tensor) -> Tensor:
        """Return x of measurements: [batch, m] -> [batch, num_taps], float32 or complex64."""
        return torch.cat([self._solve(some) for some in torch.split(y, CHUNK)])

    def _solve(self, y: Tensor) -> Tensor:
        if self._is_complex:
            return torch.complex(*self._iterate(torch.cat([y.real, y.imag], dim=1).float()).chunk(2, dim=1))
        return self._iterate(y.float())

    def _iterate(self, y: Tensor) -> Tensor:
        x = y.new_zeros(len(y), len(self._forward))
        z, momentum = x, 1.0
        for _ in range(self._num_iterations):
            u = torch.addmm(z, y - z @ self._forward, self._adjoint)
            self._shrink_(u)
            following = (1 + math.sqrt(1 + 4 * momentum**2)) / 2
            z = torch.lerp(x, u, 1 + (momentum - 1) / following)
            x, momentum = u, following
        return x

    def _shrink_(self, u: Tensor) -> None:
        """Take lambda / L off the magnitude of each tap, in place; what is smaller becomes 0."""
        parts = u.view(len(u), -1, self._num_taps)
        square = parts[:, 0].square()
        if self._is_complex:
            square = square.addcmul_(parts[:, 1], parts[:, 1])
        magnitude = square.sqrt_().clamp_min_(torch.finfo(u.dtype).tiny)
        parts.mul_((1 - self._threshold * self._step / magnitude).clamp_min_(0)[:, None])


class CsLassoDecoder(CompressedSensingDecoder):
    """The base-station side of `cs-lasso`.

    Example:
        >>> from shared.model_files import load_model
        >>> CsLassoDecoder(load_model("cs-lasso"), torch.device("cpu")).card.max_rate
        1024
    """

    def __init__(self, model: ModelFile, device: torch.device) -> None:
        table, min_rate = model.tensors["threshold"], model.card.min_rate
        num_iterations = int(model.tensors["num_iterations"])

        def make_recovery(matrix: Tensor, rate: int) -> Callable[[Tensor], Tensor]:
            return Lasso(matrix, float(table[rate - min_rate]), num_iterations)

        super().__init__(model, device, make_recovery)
