import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy import stats

from shared.errors import InvalidArgumentError
from shared.metrics import mrt_downlink, qpsk_bler, zero_forcing_downlink

NUM_BLOCKS = 100_000


def complex_normal(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(seed))


def qpsk(rng: np.random.Generator, *shape: int) -> NDArray[np.complex128]:
    return np.asarray((rng.choice([-1, 1], shape) + 1j * rng.choice([-1, 1], shape)) / np.sqrt(2))


def noise(rng: np.random.Generator, *shape: int) -> NDArray[np.complex128]:
    return np.asarray((rng.normal(size=shape) + 1j * rng.normal(size=shape)) / np.sqrt(2))


def any_wrong(decided: NDArray[np.complex128], sent: NDArray[np.complex128]) -> float:
    """Return the share of blocks [block, subcarrier] with a symbol in another quadrant than the one sent."""
    wrong = (np.sign(decided.real) != np.sign(sent.real)) | (np.sign(decided.imag) != np.sign(sent.imag))
    return float(wrong.any(axis=1).mean())


@pytest.mark.parametrize("num_rx_ant", [1, 2])
@pytest.mark.parametrize("snr_db", [2.0, 6.0, 9.0])
def test_the_block_error_is_that_of_real_qpsk(num_rx_ant: int, snr_db: float) -> None:
    h, h_hat = complex_normal(1, 1, num_rx_ant, 4, 6), complex_normal(1, 1, num_rx_ant, 4, 6)
    h_hat = h_hat + 0.5 * complex_normal(2, 1, num_rx_ant, 4, 6)
    rng = np.random.default_rng(1)
    sent, received = qpsk(rng, NUM_BLOCKS, 6), np.zeros((NUM_BLOCKS, 6), dtype=complex)
    for f in range(6):
        w = np.linalg.svd(h_hat[0, :, :, f].numpy())[2][0].conj()
        effective = 10 ** (snr_db / 20) * h[0, :, :, f].numpy() @ w
        y = sent[:, f : f + 1] * effective + noise(rng, NUM_BLOCKS, num_rx_ant)
        received[:, f] = y @ effective.conj()  # MRC
    expected = float(mrt_downlink(h_hat, h, [snr_db]).bler)
    assert 1e-4 < expected < 0.99
    standard_error = np.sqrt(expected * (1 - expected) / NUM_BLOCKS)
    assert any_wrong(received, sent) == pytest.approx(expected, abs=4 * standard_error)


@pytest.mark.parametrize("snr_db", [6.0, 12.0, 30.0])
def test_the_block_error_of_zero_forcing_is_that_of_gaussian_interferers(snr_db: float) -> None:
    h = complex_normal(1, 3, 1, 4, 6)
    h_hat = h + 0.2 * complex_normal(2, 3, 1, 4, 6)
    rng = np.random.default_rng(1)
    sent, others = qpsk(rng, NUM_BLOCKS, 6), noise(rng, NUM_BLOCKS, 6, 2)
    received = np.zeros((NUM_BLOCKS, 6), dtype=complex)
    for f in range(6):
        columns = np.linalg.pinv(h_hat[:, 0, :, f].numpy())
        w = columns / np.linalg.norm(columns, axis=0)
        effective = 10 ** (snr_db / 20) / np.sqrt(3) * h[0, 0, :, f].numpy() @ w  # at the first UE
        y = sent[:, f] * effective[0] + others[:, f] @ effective[1:] + noise(rng, NUM_BLOCKS)
        received[:, f] = y * effective[0].conj()
    expected = float(zero_forcing_downlink(h_hat, h, [snr_db], num_ue=3).bler[0])
    assert 1e-4 < expected < 0.99
    standard_error = np.sqrt(expected * (1 - expected) / NUM_BLOCKS)
    assert any_wrong(received, sent) == pytest.approx(expected, abs=4 * standard_error)


@pytest.mark.parametrize("sinr", [0.0, 1.0, 20.0, 36.0, 100.0, 400.0])
def test_a_tiny_block_error_keeps_its_digits(sinr: float) -> None:
    q = float(stats.norm.sf(np.sqrt(sinr)))
    one = float(qpsk_bler(torch.tensor([sinr], dtype=torch.float64)))
    assert one == pytest.approx(2 * q - q * q, rel=1e-11)
    if q < 1e-10:
        assert float(qpsk_bler(torch.full((32,), sinr, dtype=torch.float64))) == pytest.approx(64 * q, rel=1e-8)


def test_the_truth_loses_nothing_and_anything_else_something() -> None:
    h = complex_normal(1, 50, 2, 4, 8)
    perfect = mrt_downlink(h, h, [-5, 5])
    assert perfect.spectral_efficiency_loss.abs().max() == 0
    assert torch.equal(perfect.bler, perfect.bler_perfect)
    found = mrt_downlink(h + 0.5 * complex_normal(2, 50, 2, 4, 8), h, [-5, 5])
    assert (found.spectral_efficiency_loss > 0).all()
    assert (found.bler > found.bler_perfect).all()
    assert torch.equal(found.bler_perfect, perfect.bler)


def test_the_spectral_efficiency_is_the_mean_over_subcarriers() -> None:
    h = torch.ones(1, 1, 4, 2, dtype=torch.complex64) * torch.tensor([1.0, 0.0])
    found = mrt_downlink(h, h, [10 * np.log10(3.75)])  # SNR 15 and 0 with the array gain
    assert float(found.spectral_efficiency) == pytest.approx(2)
    assert float(found.bler) == pytest.approx(1 - 0.25 * float(stats.norm.cdf(np.sqrt(15))) ** 2)


def test_shapes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`h_hat`"):
        mrt_downlink(complex_normal(1, 2, 1, 4, 8), complex_normal(1, 2, 1, 4, 7), [0])
