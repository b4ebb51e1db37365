r"""Coordinate networks: signals as functions of where they are sampled.

    FourierFeatures     x [.., 2] -> cos 2 pi B x, sin 2 pi B x,  B ~ N(0, sigma_b^2)      [.., 2 d]        CSI-INR eq. 10
    PositionalEncoding  x [.., n] -> x, sin(sigma^k pi x), cos(sigma^k pi x), k = 0 ... L-1  [.., (2 L + 1) n]  INRIC eq. 5
    Siren               F_i = sin(omega_0 (W_i F_(i-1) + b_i)); out = W F_L + b
    ModulatedSiren      F_i = sin(omega_0 (gamma_i (W_i F_(i-1) + b_i) + eta_i)), F_0 = Fourier features
                        gamma_i, eta_i = linear maps of the codeword M (FiLM); out = W F_L + b    CSI-INR eqs. 11-16
                        or F_0 = x, gamma_i = 1: shifts alone                                     COIN++ section 3.1

Weights start as SIREN's: uniform within sqrt(6 / inputs) / omega_0, so that what goes into each sine has unit variance
at any depth. Fourier features have the power of a sine's output, so a layer behind them starts like the others. FiLM
starts at gamma = 1, eta = 0 for a codeword of zeros, which so is the base network, and with maps so small that a codeword
changes little at first (ours, as is the larger output: with SIREN's own a meta-learned network learns nothing for long).

Sources: V. Sitzmann et al., "Implicit neural representations with periodic activation functions", NeurIPS 2020; H. Wu
et al., "MIMO Channel as a Neural Function", section III (CSI-INR); E. Dupont et al., "COIN++: neural compression across
modalities", TMLR 2022; Y. Struempler et al., "Implicit neural representations for image compression", ECCV 2022 (INRIC).
"""  # noqa: E501  (a table)

import math
from typing import Literal

import torch
from torch import Tensor, nn

FILM_DEVIATION = 0.02  # of what an entry of a codeword, at 1, initially changes a phase by, rad
OUTPUT_DEVIATION = 0.3  # of the initial output, about


def unit_grid(num_rows: int, num_columns: int) -> Tensor:
    """Return the coordinates of a grid, [num_rows * num_columns, 2] float32 in [0, 1), row by row.

    Example:
        >>> unit_grid(2, 2).tolist()
        [[0.0, 0.0], [0.0, 0.5], [0.5, 0.0], [0.5, 0.5]]
    """
    return torch.cartesian_prod(torch.arange(num_rows) / num_rows, torch.arange(num_columns) / num_columns)


def centred_grid(num_rows: int, num_columns: int) -> Tensor:
    """Return the coordinates of a grid, [num_rows * num_columns, 2] float32 in [-1, 1], row by row (INRIC eq. 2).

    Example:
        >>> centred_grid(2, 3).tolist()
        [[-1.0, -1.0], [-1.0, 0.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 0.0], [1.0, 1.0]]
    """
    return torch.cartesian_prod(torch.linspace(-1, 1, num_rows), torch.linspace(-1, 1, num_columns))


class FourierFeatures(nn.Module):
    """Random Fourier features; the frequencies are drawn once and kept in the model file.

    Args:
        num_frequencies: d.
        deviation: sigma_b, in cycles over the grid.
    """

    frequencies: Tensor

    def __init__(self, num_frequencies: int, deviation: float) -> None:
        super().__init__()
        self.register_buffer("frequencies", deviation * torch.randn(num_frequencies, 2))

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., 2 d] of ``x: [..., 2]``."""
        phase = 2 * math.pi * x @ self.frequencies.T
        return torch.cat([phase.cos(), phase.sin()], dim=-1)


class CentredCoordinates(nn.Module):
    """Coordinates as they are, of `unit_grid` moved to [-1, 1)."""

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., 2] of ``x: [..., 2]``."""
        return 2 * x - 1


class PositionalEncoding(nn.Module):
    """Sines and cosines at frequencies in geometric progression, beside the coordinates themselves.

    Args:
        num_frequencies: L.
        spacing: sigma, the ratio of a frequency to the one before.
    """

    def __init__(self, num_frequencies: int, spacing: float) -> None:
        super().__init__()
        self.frequencies = [math.pi * spacing**k for k in range(num_frequencies)]

    def forward(self, x: Tensor) -> Tensor:
        """Return [..., (2 L + 1) n] of ``x: [..., n]``: x, then sine and cosine of each frequency.

        Example:
            >>> PositionalEncoding(2, 1.4)(torch.tensor([[0.5]])).round(decimals=2)
            tensor([[ 0.5000,  1.0000, -0.0000,  0.8100, -0.5900]])
        """
        phases = [x * frequency for frequency in self.frequencies]
        return torch.cat([x, *(part for phase in phases for part in (phase.sin(), phase.cos()))], dim=-1)


def siren_init_(layer: nn.Linear, omega_0: float) -> None:
    """Draw the weights of a layer behind sines or Fourier features; its bias likewise."""
    bound = math.sqrt(6 / layer.in_features) / omega_0
    nn.init.uniform_(layer.weight, -bound, bound)
    nn.init.uniform_(layer.bias, -bound, bound)


class Siren(nn.Module):
    """A network that is one signal.

    Args:
        num_inputs: Of the first layer, behind the encoding if there is one.
        width: Of a layer.
        num_hidden: Layers of sines behind the first.
        num_outputs: Of a coordinate.
        omega_0: Scale inside the sines.
        encoding: Of the coordinates; None for none.

    Example:
        >>> Siren(2, width=16, num_hidden=3, num_outputs=3)(centred_grid(4, 4)).shape
        torch.Size([16, 3])
    """

    def __init__(
        self,
        num_inputs: int,
        width: int,
        num_hidden: int,
        num_outputs: int,
        omega_0: float = 30.0,
        encoding: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.omega_0, self.encoding = omega_0, encoding or nn.Identity()
        self.first = nn.Linear(num_inputs, width)
        self.hidden = nn.ModuleList(nn.Linear(width, width) for _ in range(num_hidden))
        self.output = nn.Linear(width, num_outputs)
        nn.init.uniform_(self.first.weight, -1 / num_inputs, 1 / num_inputs)
        for layer in (*self.hidden, self.output):
            if isinstance(layer, nn.Linear):
                siren_init_(layer, omega_0)

    def forward(self, x: Tensor) -> Tensor:
        """Return the signal at some coordinates, [num_points, num_outputs] float32 of ``x: [num_points, n]``."""
        f = torch.sin(self.omega_0 * self.first(self.encoding(x)))
        for layer in self.hidden:
            f = torch.sin(self.omega_0 * layer(f))
        y: Tensor = self.output(f)
        return y


class ModulatedSiren(nn.Module):
    """A base network that many signals share, made that of one by a codeword.

    Args:
        num_latents: n, length of a codeword.
        width: d.
        num_layers: L, of sines.
        omega_0: Scale inside the sines.
        deviation: sigma_b of the Fourier features.
        num_outputs: Of a coordinate.
        modulation: ``film``, or ``shift``, which sees plain coordinates instead of Fourier features.

    Example:
        >>> ModulatedSiren(8, width=16, num_layers=2)(torch.zeros(5, 8), unit_grid(4, 4)).shape
        torch.Size([5, 16, 2])
    """

    def __init__(
        self,
        num_latents: int,
        width: int,
        num_layers: int,
        omega_0: float = 50.0,
        deviation: float = 10.0,
        num_outputs: int = 2,
        modulation: Literal["film", "shift"] = "film",
    ) -> None:
        super().__init__()
        self.omega_0, self.width, self.num_layers = omega_0, width, num_layers
        film = modulation == "film"
        self.features = FourierFeatures(width, deviation) if film else CentredCoordinates()
        sizes = [2 * width if film else 2] + [width] * (num_layers - 1)
        self.layers = nn.ModuleList(nn.Linear(size, width) for size in sizes)
        self.film = nn.Linear(num_latents, (2 if film else 1) * num_layers * width)
        self.output = nn.Linear(width, num_outputs)
        for layer in (*self.layers, self.output):
            if isinstance(layer, nn.Linear):
                siren_init_(layer, omega_0)
        with torch.no_grad():
            nn.init.zeros_(self.film.bias)
            if film:
                gamma, eta = self.film.weight.chunk(2)
                nn.init.normal_(gamma, std=FILM_DEVIATION)
                self.film.bias[: num_layers * width] = 1
            else:
                eta = self.film.weight
                nn.init.uniform_(self.layers[0].get_parameter("weight"), -1 / 2, 1 / 2)  # as SIREN's first layer
            nn.init.normal_(eta, std=FILM_DEVIATION / omega_0)
            self.output.weight.mul_(omega_0 * OUTPUT_DEVIATION)

    def forward(self, codeword: Tensor, x: Tensor) -> Tensor:
        """Return the signals at some coordinates.

        Args:
            codeword: [batch, n] float32.
            x: [num_points, 2] float32, see `unit_grid`.

        Returns:
            [batch, num_points, num_outputs] float32.
        """
        film = self.omega_0 * self.film(codeword).unflatten(1, (-1, self.num_layers, 1, self.width))
        shifts = film[:, -1].unbind(1)
        scales = film[:, 0].unbind(1) if film.shape[1] == 2 else [film.new_full((1,), self.omega_0)] * self.num_layers
        f = self.features(x)
        for gamma, eta, layer in zip(scales, shifts, self.layers, strict=True):
            f = torch.sin(torch.addcmul(eta + gamma * layer.bias, gamma, f @ layer.weight.T))
        y: Tensor = self.output(f)
        return y
