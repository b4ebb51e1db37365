"""Theory as the reference: the formulas of a textbook, computed here by other means."""

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError
from shared.estimation.lmmse import LmmseEstimator
from shared.estimation.ls import LsEstimator
from shared.rng import Randomness
from shared.types import CsiShape


def test_the_closed_form_is_the_trace_of_the_textbook(shape: CsiShape, channels: Tensor) -> None:
    flat = channels.flatten(1).numpy().astype(np.complex128)
    centred = flat - flat.mean(axis=0)
    r = centred.T @ centred.conj() / len(flat)
    lmmse = LmmseEstimator(shape, channels)
    for cnr_db in (-20.0, 0.0, 25.0):
        no = 10 ** (-cnr_db / 10)
        error = np.trace(r - r @ np.linalg.solve(r + no * np.eye(len(r)), r)).real
        wanted = error / np.square(np.abs(flat)).sum(axis=1).mean()
        assert lmmse.expected_nmse(channels, cnr_db) == pytest.approx(wanted, rel=1e-6)


def test_the_estimate_is_the_filter_of_the_textbook_on_the_ls_estimate(shape: CsiShape, channels: Tensor) -> None:
    n, cnr_db = 5, np.full(5, 3.0)
    randomness = Randomness(1, np.arange(n), np.arange(n))
    flat = channels.flatten(1).to(torch.complex128)
    mean, r = flat.mean(dim=0), torch.cov(flat.T, correction=0)
    ls = LsEstimator(shape).estimate(channels[:n], cnr_db, randomness).flatten(1).to(torch.complex128)
    noisy = r + 10**-0.3 * torch.eye(len(r))
    wanted = mean + (r @ torch.linalg.solve(noisy, (ls - mean).T)).T
    found = LmmseEstimator(shape, channels).estimate(channels[:n], cnr_db, randomness)
    torch.testing.assert_close(found.flatten(1), wanted.to(torch.complex64), rtol=1e-4, atol=1e-5)


def test_white_channels_of_mean_zero_are_scaled_by_one_over_one_plus_the_noise() -> None:
    shape = CsiShape("angular-delay", 1, 4, 4)
    dft = np.fft.fft(np.eye(16))  # rows of power 1, orthogonal; with their negatives, mean 0 and covariance I
    white = torch.from_numpy(np.concatenate([dft, -dft]).astype(np.complex64)).reshape(-1, 1, 4, 4)
    lmmse, ls = LmmseEstimator(shape, white), LsEstimator(shape)
    randomness = Randomness(1, np.arange(32), np.arange(32))
    cnr_db = np.full(32, 5.0)
    no = 10**-0.5
    assert lmmse.expected_nmse(white, 5.0) == pytest.approx(no / (1 + no), rel=1e-6)
    scaled = ls.estimate(white, cnr_db, randomness) / (1 + no)
    torch.testing.assert_close(lmmse.estimate(white, cnr_db, randomness), scaled, rtol=1e-4, atol=1e-5)


def test_knowing_these_very_channels_beats_knowing_others_of_their_kind_and_both_beat_ls(
    shape: CsiShape, channels: Tensor, others: Tensor
) -> None:
    genie, learned, ls = LmmseEstimator(shape, channels), LmmseEstimator(shape, others), LsEstimator(shape)
    for cnr_db in (-20.0, 0.0, 20.0):
        errors = [estimator.expected_nmse(channels, cnr_db) for estimator in (genie, learned, ls)]
        assert errors == sorted(errors)
        assert errors[0] < errors[1] < errors[2]


def test_too_few_channels_or_too_large_ones_are_refused(indoor: ChannelSet) -> None:
    with pytest.raises(InvalidArgumentError, match="covariance of at least 1024 channels; got 1023; `covariance_data`"):
        LmmseEstimator(indoor.shape, indoor.h[:1023])
    large = CsiShape("angular-delay", 1, 64, 65)
    with pytest.raises(InvalidArgumentError, match=r"lmmse takes at most 4096 numbers a report; got 4160 \(ang"):
        LmmseEstimator(large, torch.ones(1, *large.dims, dtype=torch.complex64))
    with pytest.raises(InvalidArgumentError, match=r"`statistics` must be \[batch, 1, 64, 65\] complex64"):
        LmmseEstimator(large, indoor.h)
