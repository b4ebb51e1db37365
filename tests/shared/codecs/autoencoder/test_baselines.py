"""The networks that InvCSINet is measured against: parameters, what a fresh corrector does, sizes."""

import pytest
import torch
from torch import nn

from shared.codecs.autoencoder.codec import CORRECTORS, DECODERS, ENCODERS
from shared.codecs.autoencoder.transnet import to_tokens
from shared.network_settings import NetworkSettings
from shared.training.macs import count_macs

TABLE_II = {  # InvCSINet, by codeword size
    "csinet": {32: 136_560, 64: 267_664, 128: 529_872, 256: 1_054_288, 512: 2_103_120},
    "csinet-plus": {32: 145_870, 64: 286_286, 128: 585_550, 256: 1_257_806, 512: 2_897_230},
    "dnnet": {32: 1_252_816, 64: 1_449_552, 128: 1_843_024, 256: 2_629_968, 512: 4_203_856},
    "atnet": {32: 160_592, 64: 298_032, 128: 585_200, 256: 1_208_688, 512: 2_652_272},
}


def parts(codec: str, num_latents: int) -> list[nn.Module]:
    settings = NetworkSettings(num_latents=num_latents, scaling="power", quantizer="uniform")
    correctors = [CORRECTORS[codec](settings)] if codec in CORRECTORS else []
    return [ENCODERS[codec](settings), DECODERS[codec](settings), *correctors]


@pytest.mark.parametrize("codec", TABLE_II)
def test_parameters_are_those_of_table_ii_to_the_unit(codec: str) -> None:
    for num_latents, published in TABLE_II[codec].items():
        found = sum(weight.numel() for part in parts(codec, num_latents) for weight in part.parameters())
        assert found == published


@pytest.mark.parametrize("codec", CORRECTORS)
def test_a_fresh_corrector_changes_nothing_and_learns(codec: str) -> None:
    corrector, z = parts(codec, 32)[2], torch.randn(64, 32)
    torch.testing.assert_close(corrector.eval()(z), z)
    corrector.train()(z).square().sum().backward()
    assert any(weight.grad is not None and bool(weight.grad.any()) for weight in corrector.parameters())


@pytest.mark.parametrize("codec", ENCODERS)
def test_a_first_output_scales_as_it_is_told(codec: str) -> None:
    torch.manual_seed(0)
    encoder, decoder = parts(codec, 32)[:2]
    x = torch.randn(16, 2, 32, 32)
    with torch.no_grad():
        before = decoder(encoder(x)).std()
        decoder.scale_output(1 / 16)  # type: ignore[operator]
        after = decoder(encoder(x)).std()
    assert float(before / after) == pytest.approx(16, rel=0.5)


def test_a_token_of_transnet_is_an_angle_with_its_delays() -> None:
    x = torch.arange(2 * 32 * 32.0).view(1, 2, 32, 32)
    tokens = to_tokens(x)
    assert tokens.shape == (1, 32, 64)
    assert tokens[0, 3].tolist() == [*x[0, 0, 3].tolist(), *x[0, 1, 3].tolist()]
    encoder, decoder = parts("transnet", 512)[:2]
    macs = count_macs(encoder, torch.zeros(1, 2, 32, 32)) + count_macs(decoder, torch.zeros(1, 512))
    feed_forward = 4 * 32 * 2 * 64 * 2048
    attention = 6 * 64 * (4 * 32 * 64 + 2 * 32 * 32)
    assert macs == feed_forward + attention + 2 * 2048 * 512
    assert feed_forward + 2 * 2048 * 512 == pytest.approx(35.72e6, rel=0.003)  # published, without attention
