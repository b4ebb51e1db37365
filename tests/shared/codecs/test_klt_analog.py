"""What the factor costs that the link takes away, against a decoder that is told it and one that takes it for 1."""

import numpy as np
import pytest
import torch
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, EncodeContext, SymbolDecoder, SymbolEncoder, make_decoder, make_encoder
from shared.links.analog import AnalogLink
from shared.links.label import AnalogLabel
from shared.metrics import nmse
from shared.model_files import load_model
from shared.rng import Randomness

NUM_REPORTS = 600
MODEL = load_model("klt-analog")


def lmmse(values: Tensor, no_eff: Tensor, factor: Tensor, rate: int) -> Tensor:
    """Return the LMMSE reconstruction where sent symbols are the gains times the coefficients over sqrt(factor)."""
    gains, variance = (MODEL.tensors["gains"][rate - 1, :rate].double(), MODEL.tensors["variance"][:rate].double())
    estimate = gains * variance / (gains.square() * variance + factor * no_eff) * values * factor.sqrt()
    basis = torch.view_as_complex(MODEL.tensors["basis"].float())[:, :rate]
    return (estimate.to(torch.complex64) @ basis.T + MODEL.tensors["mean"]).reshape(-1, *MODEL.card.shape.dims)


def errors_db(indoor: ChannelSet, rate: int, snr_db: float) -> tuple[float, float, float]:
    """Return the NMSE of the codec, of a decoder that is told the factor, and of one that takes it for 1."""
    encoder, decoder = (make(MODEL, torch.device("cpu")) for make in (make_encoder, make_decoder))
    assert isinstance(encoder, SymbolEncoder)
    assert isinstance(decoder, SymbolDecoder)
    h, snr = indoor.h[:NUM_REPORTS], np.full(NUM_REPORTS, snr_db, dtype=np.float32)
    streams = Randomness(2, np.zeros(NUM_REPORTS, dtype=np.int64), np.arange(NUM_REPORTS))
    symbols = encoder.encode_symbols(h, EncodeContext(rate, snr, streams))
    received = AnalogLink(AnalogLabel()).transmit_symbols(symbols, snr, streams)
    values, no_eff = torch.from_numpy(received.values), torch.from_numpy(np.asarray(received.no_eff)).double()
    factor = torch.from_numpy(np.square(np.abs(symbols.values)).mean(axis=1, keepdims=True)).double()
    reconstructions = (
        decoder.decode_symbols(received, DecodeContext(rate, snr)).h_hat,
        lmmse(values, no_eff, factor, rate),
        lmmse(values, no_eff, torch.ones_like(factor), rate),
    )
    ours, told, taken_for_1 = (10 * np.log10(float(nmse(h_hat, h).mean())) for h_hat in reconstructions)
    return ours, told, taken_for_1


@pytest.mark.parametrize("snr_db", [5.0, 15.0, 60.0])
def test_with_many_symbols_the_norm_makes_up_for_the_factor(indoor: ChannelSet, snr_db: float) -> None:
    ours, told, taken_for_1 = errors_db(indoor, 128, snr_db)
    assert ours < told + 0.1
    assert ours < taken_for_1 - {5.0: 0.1, 15.0: 1.2, 60.0: 2.5}[snr_db]


@pytest.mark.parametrize("rate", [1, 8, 32])
@pytest.mark.parametrize("snr_db", [-5.0, 15.0])
def test_with_few_symbols_what_they_leave_out_hides_the_factor(indoor: ChannelSet, rate: int, snr_db: float) -> None:
    ours, told, taken_for_1 = errors_db(indoor, rate, snr_db)
    assert ours < told + 0.5
    assert ours < taken_for_1 + 0.1
