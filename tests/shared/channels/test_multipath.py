"""Paths into channels, against the sum over paths, antennas and subcarriers as it is written."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.channels.multipath import CHUNK_ELEMENTS, Paths, Sampling, angular_delay_chunks
from shared.transforms import to_angular_delay


def random_paths(counts: list[int], seed: int = 1, most_delay_s: float = 4e-6) -> Paths:
    random = np.random.default_rng(seed)
    size = sum(counts)
    return Paths(
        offsets=np.concatenate([[0], np.cumsum(counts)]),
        sine=random.uniform(-1, 1, size),
        delay_s=random.uniform(0, most_delay_s, size).astype(np.float32),
        amplitude=(random.standard_normal(size) + 1j * random.standard_normal(size)).astype(np.complex64),
    )


def frequency_response(paths: Paths, sampling: Sampling) -> NDArray[np.complex128]:
    """Return h[n, k] = sum_p a_p exp(-j 2 pi k B tau_p / K) exp(-j pi n u_p), term by term."""
    k = np.arange(sampling.num_subcarriers) * sampling.bandwidth_hz / sampling.num_subcarriers
    channels = []
    for start, stop in zip(paths.offsets[:-1], paths.offsets[1:], strict=True):
        steering = np.exp(-1j * np.pi * np.outer(np.arange(sampling.num_tx_ant), paths.sine[start:stop]))
        response = np.exp(-2j * np.pi * np.outer(paths.delay_s[start:stop].astype(np.float64), k))
        channels.append((steering * paths.amplitude[start:stop]) @ response)
    return np.stack(channels)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(num_tx_ant=8, bandwidth_hz=100e6, num_subcarriers=600, num_delay_taps=40),
        Sampling(num_tx_ant=5, bandwidth_hz=8e6, num_subcarriers=32, num_delay_taps=32),
    ],
)
def test_taps_and_what_the_crop_leaves_out_are_those_of_the_whole_frequency_response(sampling: Sampling) -> None:
    paths = random_paths([3, 1, 40, 7, 500], most_delay_s=3.9e-6)  # the energy of the last is not that of its pairs
    x, crop_loss = (torch.cat(parts) for parts in zip(*angular_delay_chunks(paths, sampling), strict=True))
    whole = to_angular_delay(torch.from_numpy(frequency_response(paths, sampling)))
    wanted = whole[..., : sampling.num_delay_taps]
    assert x.shape == (5, 1, sampling.num_tx_ant, sampling.num_delay_taps)
    assert torch.allclose(x[:, 0].to(torch.complex128), wanted, rtol=0, atol=1e-6 * float(whole.abs().max()))
    kept = wanted.abs().square().sum(dim=(1, 2)) / whole.abs().square().sum(dim=(1, 2))
    assert torch.allclose(crop_loss, 1 - kept, atol=1e-9)


@given(tap=st.integers(0, 31), turns=st.floats(0, 1e-6))
def test_a_path_at_a_tap_or_next_to_it_falls_into_that_tap(tap: int, turns: float) -> None:
    """There the kernel is 0 / 0, or as good as."""
    paths = Paths(np.array([0, 1]), np.zeros(1), np.array([(tap + turns) / 20e6]), np.ones(1, dtype=np.complex64))
    ((x, crop_loss),) = angular_delay_chunks(paths, Sampling())
    energy = x.abs().square()[0, 0].sum(dim=0)
    assert float(energy[tap] / energy.sum()) == pytest.approx(1, abs=1e-6)
    assert float(crop_loss) == pytest.approx(0, abs=1e-6)


@given(sine=st.floats(-1, 1))
def test_the_angle_of_a_path_is_the_row_of_its_phase_from_antenna_to_antenna(sine: float) -> None:
    paths = Paths(np.array([0, 1]), np.array([sine]), np.zeros(1), np.ones(1, dtype=np.complex64))
    ((x, _),) = angular_delay_chunks(paths, Sampling())
    row = int(x.abs().square()[0, 0].sum(dim=1).argmax())
    distance = (row - 16 + 16 * sine) % 32  # phase -pi sine is row 16 - 16 sine, the middle being broadside
    assert min(distance, 32 - distance) <= 0.5 + 1e-6


def test_a_delay_of_nearly_a_symbol_wraps_around_to_the_first_tap() -> None:
    paths = Paths(np.array([0, 1]), np.zeros(1), np.array([1023.9 / 20e6]), np.ones(1, dtype=np.complex64))
    ((x, _),) = angular_delay_chunks(paths, Sampling())
    whole = to_angular_delay(torch.from_numpy(frequency_response(paths, Sampling())))
    assert torch.allclose(x[0, 0].to(torch.complex128), whole[0, :, :32], atol=1e-4)
    assert int(x.abs().square().sum(dim=(0, 1, 2)).argmax()) == 0


def test_the_chunks_depend_on_the_size_and_the_channels_do_not() -> None:
    counts = [300, 4, 250, 1, 2000, 3] + [2] * 700
    chunks = [x for x, _ in angular_delay_chunks(random_paths(counts), Sampling())]
    assert len(chunks) > 3
    assert all(len(x) == 1 or len(x) * 32 * 2 <= CHUNK_ELEMENTS for x in chunks)
    x = torch.cat(chunks)
    assert len(x) == len(counts)
    alone = random_paths(counts)
    start, stop = alone.offsets[4:6]
    part = slice(int(start), int(stop))
    one = Paths(np.array([0, stop - start]), alone.sine[part], alone.delay_s[part], alone.amplitude[part])
    ((wanted, _),) = angular_delay_chunks(one, Sampling())
    assert torch.allclose(x[4], wanted[0], rtol=0, atol=1e-5 * float(wanted.abs().max()))
