r"""Channels from propagation paths, straight into the cropped angular-delay domain.

.. math::
    h[n, k] = \sum_p a_p e^{-j 2 \pi k B \tau_p / K} e^{-j \pi n u_p}, \quad n = 0 ... N - 1,\ k = 0 ... K - 1

a_p amplitude at the lowest subcarrier (its carrier phase included), tau_p delay, B bandwidth, K subcarriers, u_p the
sine of the angle off the broadside of a half-wavelength ULA. The inverse DFT over k of one path is a Dirichlet kernel
around its delay, so only the delay taps that are kept need to be computed:

.. math::
    \frac{1}{K} \sum_k e^{-j 2 \pi k t / K} = e^{-j \pi t (K - 1) / K}
    \frac{\mathrm{sinc}(t)}{\mathrm{sinc}(t / K)}, \quad t = B \tau_p - m

The same kernel between pairs of paths gives the energy of the whole channel, and with it what the crop leaves out.
With many paths a channel, to add up its antennas and subcarriers takes less than the square of the paths.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.transforms import to_angles

CHUNK_ELEMENTS = 400_000  # padded path x path (or path x tap) entries computed at once: tens of MB
MAX_CHUNK = 512
BLOCK = 64  # subcarriers whose tones are computed at once; any other is one of them times a phase
PAIR_COST = 280  # terms (path, antenna, subcarrier) that are added up in the time of one pair of paths, measured
SAME = 1e-10  # phase step between two paths below which they count as one: 0 / 0 in double precision is near


@dataclass(frozen=True, slots=True)
class Sampling:
    """How paths are sampled into a channel.

    Attributes:
        num_tx_ant: Antennas of the BS, a half-wavelength ULA.
        bandwidth_hz: Band; the subcarrier spacing is ``bandwidth_hz / num_subcarriers``.
        num_subcarriers: Subcarriers over the band, before the crop.
        num_delay_taps: Delay taps kept, at most ``num_subcarriers``.
    """

    num_tx_ant: int = 32
    bandwidth_hz: float = 20e6
    num_subcarriers: int = 1024
    num_delay_taps: int = 32


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of many channels, end to end: channel i has ``offsets[i] : offsets[i + 1]``.

    Attributes:
        offsets: [num_channels + 1] int64, from 0, not decreasing.
        sine: [num_paths] float, u_p: sine of the angle of departure off broadside, in [-1, 1].
        delay_s: [num_paths] float.
        amplitude: [num_paths] complex, at the lowest subcarrier.
    """

    offsets: NDArray[np.int64]
    sine: NDArray[np.floating]
    delay_s: NDArray[np.floating]
    amplitude: NDArray[np.complexfloating]


def angular_delay_chunks(paths: Paths, sampling: Sampling) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the channels of paths, chunk by chunk.

    Args:
        paths: At least one path a channel.
        sampling: Antennas, band and crop.

    Yields:
        x: [n, 1, num_tx_ant, num_delay_taps] complex64, `to_angular_delay` of h, cropped; not normalised.
        crop_loss: [n] float64, share of the uncropped channel's energy that the crop leaves out.
    """
    for start, stop in _chunk_bounds(np.diff(paths.offsets), sampling.num_delay_taps):
        sine, turns, amplitude = _padded(paths, start, stop, sampling)
        antennas = torch.arange(sampling.num_tx_ant, dtype=torch.float64)
        steering = _phasor(0.5 * antennas[:, None] * sine[:, None, :])  # [n, antenna, path]
        taps = torch.arange(sampling.num_delay_taps, dtype=torch.float64)
        kernel = _dirichlet(turns[:, :, None] - taps, sampling.num_subcarriers)  # [n, path, tap]
        scale = sampling.num_subcarriers**0.5  # of the unitary inverse DFT
        x = to_angles((steering * (amplitude * scale)[:, None, :]) @ kernel)
        energy = _energy_of(sine.shape[1], sampling)(sine, turns, amplitude, sampling)
        kept = x.abs().square().sum(dim=(1, 2))
        yield x.to(torch.complex64)[:, None], (1.0 - kept / energy).clamp(min=0.0, max=1.0)


def _chunk_bounds(counts: NDArray[np.int64], num_taps: int) -> Iterator[tuple[int, int]]:
    """Yield (start, stop) of runs of channels whose padded pairs of paths fit `CHUNK_ELEMENTS`."""
    start, widest = 0, 0
    for stop, count in enumerate(counts.tolist()):
        widest_with = max(widest, count)
        size = (stop + 1 - start) * widest_with * max(widest_with, num_taps)
        if stop > start and (size > CHUNK_ELEMENTS or stop - start >= MAX_CHUNK):
            yield start, stop
            start, widest_with = stop, count
        widest = widest_with
    if start < len(counts):
        yield start, len(counts)


def _padded(paths: Paths, start: int, stop: int, sampling: Sampling) -> tuple[Tensor, Tensor, Tensor]:
    """Return sine, delay in taps, amplitude as [n, most paths] float64 or complex128, zero beyond a channel's own."""
    offsets = paths.offsets[start : stop + 1]
    counts = np.diff(offsets)
    mask = np.arange(counts.max())[None, :] < counts[:, None]
    part = slice(int(offsets[0]), int(offsets[-1]))
    sine, turns = np.zeros(mask.shape), np.zeros(mask.shape)
    amplitude = np.zeros(mask.shape, dtype=np.complex128)
    sine[mask] = paths.sine[part]
    turns[mask] = paths.delay_s[part].astype(np.float64) * sampling.bandwidth_hz
    amplitude[mask] = paths.amplitude[part]
    return torch.from_numpy(sine), torch.from_numpy(turns), torch.from_numpy(amplitude)


def _phasor(turns: Tensor) -> Tensor:
    """Return exp(-j 2 pi turns)."""
    return torch.polar(torch.ones_like(turns), -2 * torch.pi * turns)


def _dirichlet(t: Tensor, size: int) -> Tensor:
    """Return the mean over k = 0 ... size - 1 of exp(-j 2 pi k t / size)."""
    t = torch.remainder(t + size / 2, size) - size / 2  # the kernel has period `size`; its zero divisor lies at +-size
    return torch.polar(torch.sinc(t) / torch.sinc(t / size), -torch.pi * (size - 1) / size * t)


def _energy_of(num_paths: int, sampling: Sampling) -> Callable[[Tensor, Tensor, Tensor, Sampling], Tensor]:
    """Return the quicker of the two ways to [n] float64, the energy over all antennas and subcarriers."""
    pairs, terms = num_paths**2 / 2, num_paths * sampling.num_tx_ant * sampling.num_subcarriers
    return _energy_by_pairs if pairs * PAIR_COST < terms else _energy_by_entries


def _energy_by_entries(sine: Tensor, turns: Tensor, amplitude: Tensor, sampling: Sampling) -> Tensor:
    """Add up the entries of the whole channel, a block of subcarriers at a time."""
    antennas = torch.arange(sampling.num_tx_ant, dtype=torch.float64)
    steering = _phasor(0.5 * antennas[:, None] * sine[:, None, :]) * amplitude[:, None, :]  # [n, antenna, path]
    step = turns / sampling.num_subcarriers
    tones = _phasor(step[:, :, None] * torch.arange(BLOCK, dtype=torch.float64))  # [n, path, subcarrier of the block]
    energy = torch.zeros(len(sine), dtype=torch.float64)
    for start in range(0, sampling.num_subcarriers, BLOCK):
        h = (steering * _phasor(step * start)[:, None, :]) @ tones[:, :, : sampling.num_subcarriers - start]
        energy += torch.view_as_real(h).square().sum(dim=(1, 2, 3))
    return energy


def _energy_by_pairs(sine: Tensor, turns: Tensor, amplitude: Tensor, sampling: Sampling) -> Tensor:
    """Add up the pairs of paths."""
    first, second = torch.triu_indices(sine.shape[1], sine.shape[1], offset=1)
    cross = amplitude[:, first] * amplitude[:, second].conj()
    cross *= _between(0.5 * sampling.num_tx_ant * sine, sampling.num_tx_ant, first, second)
    cross *= _between(turns, sampling.num_subcarriers, first, second)
    energy = amplitude.abs().square().sum(dim=1) + 2 * cross.sum(dim=1).real
    return energy * (sampling.num_tx_ant * sampling.num_subcarriers)


def _between(t: Tensor, size: int, first: Tensor, second: Tensor) -> Tensor:
    """Return `_dirichlet` of t[first] - t[second], as a quotient that takes no sine for each pair."""
    step, whole = _phasor(t / size), _phasor(t)
    denominator = 1 - step[:, first] * step[:, second].conj()
    kernel = (1 - whole[:, first] * whole[:, second].conj()) / (denominator * size)
    return torch.where(denominator.abs() < SAME, torch.ones_like(kernel), kernel)
