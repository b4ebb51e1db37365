"""The power allocation against the conditions of its optimum, and the codec against the error of linear theory."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, SymbolDecoder, SymbolEncoder, make_decoder, make_encoder
from shared.links.analog import AnalogLink
from shared.links.label import AnalogLabel
from shared.model_files import load_model
from shared.rng import Randomness
from shared.training.klt_analog import DESIGN_SNR_DB, NUM_COEFFICIENTS, allocate_power, fit_klt_analog
from shared.types import Received, ReceivedKind

positive = st.floats(1e-3, 1e3)


@given(st.lists(positive, min_size=1, max_size=20), st.floats(0.1, 100), st.floats(1e-3, 10))
def test_the_allocation_meets_the_conditions_of_the_optimum(values: list[float], total: float, no: float) -> None:
    """Karush-Kuhn-Tucker, sufficient here since the MSE is convex in the powers."""
    variance = np.sort(values)[::-1]
    power = allocate_power(variance, total, no)
    assert power.sum() == pytest.approx(total)
    assert (power >= 0).all()
    marginal = variance * no / (power + no) ** 2  # what a little more power would take away
    active = power > 0
    np.testing.assert_allclose(marginal[active], marginal[0], rtol=1e-6)
    assert (marginal[~active] <= marginal[0] * (1 + 1e-6)).all()


def test_without_power_there_is_nothing_to_allocate() -> None:
    with pytest.raises(ValueError, match="`total` must be above 0"):
        allocate_power(np.ones(2), 0.0, 0.1)


def test_the_shipped_model_sends_unit_mean_power_at_every_rate_and_its_basis_is_orthonormal() -> None:
    tensors = load_model("klt-analog").tensors
    basis = torch.view_as_complex(tensors["basis"].float())
    assert torch.allclose(basis.mH @ basis, torch.eye(NUM_COEFFICIENTS, dtype=basis.dtype), atol=1e-3)  # float16
    power = tensors["gains"].double().square() * tensors["variance"].double()
    wanted = torch.arange(1, NUM_COEFFICIENTS + 1, dtype=torch.float64)
    assert torch.allclose(power.sum(dim=1), wanted, rtol=1e-6)
    assert (tensors["gains"].triu(1) == 0).all()


def test_the_fit_repeats_and_is_that_of_the_channels(indoor: ChannelSet) -> None:
    """The norms against the channels themselves; eigenvectors are unique but for a phase."""
    tensors = fit_klt_analog(indoor.h)
    basis = torch.view_as_complex(tensors["basis"].float())
    coefficients = (indoor.h.flatten(1) - tensors["mean"]) @ basis.conj()
    assert torch.allclose(coefficients[:, :9].norm(dim=1).mean(), tensors["norm"][8], rtol=1e-3)
    assert torch.allclose(coefficients.abs().square().mean(dim=0), tensors["variance"], rtol=2e-2)
    assert all(
        torch.equal(tensor, again)
        for tensor, again in zip(tensors.values(), fit_klt_analog(indoor.h).values(), strict=True)
    )


def test_the_error_of_the_coefficients_is_that_of_linear_theory() -> None:
    """Of channels whose coefficients are Gaussian: sum v no / (p + no), and the norm that the link takes away.

    The decoder takes the mean norm for it: that costs the norm's variance, which is small for channels of unit power.
    """
    model = load_model("klt-analog")
    encoder, decoder = (make(model, torch.device("cpu")) for make in (make_encoder, make_decoder))
    assert isinstance(encoder, SymbolEncoder)
    assert isinstance(decoder, SymbolDecoder)
    n, rate = 1500, NUM_COEFFICIENTS
    basis = torch.view_as_complex(model.tensors["basis"].float())
    variance = model.tensors["variance"].double().numpy()
    drawn = np.random.default_rng(3).standard_normal((n, rate, 2)).view(np.complex128)[..., 0]
    coefficients = torch.from_numpy((drawn * np.sqrt(variance / 2)).astype(np.complex64))
    h = (coefficients @ basis.T + model.tensors["mean"]).reshape(n, *model.card.shape.dims)
    snr_db = np.full(n, DESIGN_SNR_DB, dtype=np.float32)
    streams = Randomness(4, np.zeros(n, dtype=np.int64), np.arange(n))
    symbols = encoder.encode_symbols(h, EncodeContext(rate, snr_db, streams))
    received = AnalogLink(AnalogLabel()).transmit_symbols(symbols, snr_db, streams)
    h_hat = decoder.decode_symbols(received, DecodeContext(rate, snr_db)).h_hat
    no = 10 ** (-DESIGN_SNR_DB / 10)
    expected = (variance * no / (allocate_power(variance, rate, no) + no)).sum() + float(coefficients.norm(dim=1).var())
    measured = (h_hat - h).abs().square().sum(dim=(1, 2, 3))
    assert float(measured.mean()) == pytest.approx(expected, rel=0.02)  # its standard error: 0.004


def test_symbols_without_power_decode_to_the_mean_channel() -> None:
    model = load_model("klt-analog")
    decoder = make_decoder(model, torch.device("cpu"))
    assert isinstance(decoder, SymbolDecoder)
    ones = np.ones((1, 16), dtype=np.float32)
    nothing = Received(ReceivedKind.SYMBOLS, np.zeros((1, 16), dtype=np.complex64), np.array([16]), ones)
    assert torch.equal(decoder.decode_symbols(nothing, DecodeContext(16, ones[0])).h_hat[0], decoder.mean_csi)
