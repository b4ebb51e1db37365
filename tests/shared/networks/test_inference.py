import pytest
import torch

from shared.codecs.autoencoder.codec import DECODERS, Autoencoder
from shared.model_files import load_model, zoo_names
from shared.networks.inference import for_inference

NAMES = [name for name in zoo_names() if load_model(name).card.codec in DECODERS]


@pytest.mark.parametrize("name", NAMES)
def test_a_decoder_gives_the_same_when_it_is_made_faster(name: str) -> None:
    decoder = Autoencoder.load(load_model(name)).decoder
    z = torch.randn(5, load_model(name).card.network.num_latents, generator=torch.Generator().manual_seed(1))  # type: ignore[union-attr]
    wanted = decoder(z)
    norms = sum(isinstance(module, torch.nn.BatchNorm2d) for module in decoder.modules())
    found = for_inference(decoder)(z)
    torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))
    assert norms == 0 or not any(isinstance(module, torch.nn.BatchNorm2d) for module in decoder.modules())
