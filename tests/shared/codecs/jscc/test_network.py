"""Counts of RD-JSCC's Tables I, V and VII."""

import pytest
import torch
from torch import nn

from shared.codecs.jscc.network import JsccDecoderNetwork, JsccEncoderNetwork
from shared.network_settings import JsccSettings
from shared.training.jscc_presets import jscc_settings


def count(network: nn.Module) -> int:
    return sum(weight.numel() for weight in network.parameters())


def test_the_encoder_is_the_published_one_to_the_unit() -> None:
    encoder = JsccEncoderNetwork(JsccSettings(num_symbols=16))
    convs = sum(count(layer.get_submodule("conv")) for layer in encoder.layers)
    assert (count(encoder), count(encoder.dense), convs) == (152_052, 65_568, 83_416)


@pytest.mark.parametrize(
    ("settings", "encoder", "decoder"),
    [
        (JsccSettings(num_symbols=16), 152_052, 133_826),
        (JsccSettings(num_symbols=16, num_blocks=4), 152_052, 120_618),
        (JsccSettings(num_symbols=16, encoder_layers=2), 66_168, 133_826),
        (JsccSettings(num_symbols=16, snr_adaptation=False), 149_152, 126_416),
        (jscc_settings("adjscc", "large", 16, (), 4, (-10, 10), None), 152_052, 12_039_746),
        (jscc_settings("unet-jscc", "small", 16, (), 4, (-10, 10), None), 152_052, 133_826 + 1_256_546),
    ],
)
def test_the_counts_are_those_that_the_docs_print(settings: JsccSettings, encoder: int, decoder: int) -> None:
    with torch.device("meta"):
        assert (count(JsccEncoderNetwork(settings)), count(JsccDecoderNetwork(settings))) == (encoder, decoder)


def test_both_halves_heed_the_snr_and_see_no_snr_beyond_those_of_the_training() -> None:
    settings = JsccSettings(num_symbols=4, num_blocks=1, snr_db=(-10, 10))
    encoder, decoder = JsccEncoderNetwork(settings).eval(), JsccDecoderNetwork(settings).eval()
    x, z = torch.randn(1, 2, 32, 32), torch.randn(1, 8)
    with torch.no_grad():
        for network, given, ends in ((encoder, x, (-10.0, 10.0)), (decoder, z, (-4.0, 19.0))):
            below, low, high, above = (network(given, torch.tensor([snr_db])) for snr_db in (-40.0, *ends, 80.0))
            assert not torch.allclose(low, high)
            assert torch.equal(high, above)
            assert torch.equal(low, below)


def test_a_network_without_snr_adaptation_does_not_heed_it() -> None:
    encoder = JsccEncoderNetwork(JsccSettings(num_symbols=4, snr_adaptation=False)).eval()
    x = torch.randn(1, 2, 32, 32)
    assert torch.equal(encoder(x, torch.tensor([-10.0])), encoder(x, torch.tensor([10.0])))
