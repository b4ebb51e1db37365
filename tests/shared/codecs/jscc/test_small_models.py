"""The contract of every network of joint source-channel coding, on small ones with fresh weights."""

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, make_decoder
from shared.codecs.contract import CHECKS
from shared.codecs.fitted import Fitted, make_model
from shared.codecs.jscc.codec import rate_range
from shared.codecs.jscc.network import JsccDecoderNetwork, JsccEncoderNetwork
from shared.codecs.network_files import SHAPE
from shared.codecs.symbol_contract import SYMBOL_CHECKS
from shared.codecs.trial import make_trial
from shared.model_files import ModelFile
from shared.network_settings import JsccSettings, UNetSettings
from shared.training.jscc_presets import JSCC_NETWORKS
from shared.types import Received, ReceivedKind


def small_model(codec: str, *, prefixes: tuple[int, ...] = (), bits_per_real: int | None = None) -> ModelFile:
    preset = JSCC_NETWORKS[codec]
    settings = JsccSettings(
        num_symbols=6,
        prefixes=prefixes,
        encoder_layers=2,
        num_blocks=1,
        snr_adaptation=preset.snr_adaptation,
        unet=UNetSettings(width=8, multipliers=(1, 2), num_blocks=1) if preset.has_unet else None,
        bits_per_real=bits_per_real,
    )
    with torch.random.fork_rng():
        torch.manual_seed(4)
        halves = {"encoder": JsccEncoderNetwork(settings), "decoder": JsccDecoderNetwork(settings)}
    tensors = {f"network.{half}.{k}": v for half, net in halves.items() for k, v in net.state_dict().items()}
    tensors["mean"] = torch.zeros(SHAPE.dims, dtype=torch.complex64)
    low, high = rate_range(settings)
    links = ("analog",) if bits_per_real is None else ("ideal", "digital")
    rates = (low,) if low == high else (low, high)
    return make_model(f"small-{codec}", SHAPE, Fitted(tensors, "t", "s", rates, links=links, jscc=settings), codec)


@pytest.mark.parametrize("check", SYMBOL_CHECKS)
@pytest.mark.parametrize("prefixes", [(), (2, 4, 6)])
@pytest.mark.parametrize("codec", JSCC_NETWORKS)
def test_every_check_of_symbols_holds(codec: str, prefixes: tuple[int, ...], check: str, indoor: ChannelSet) -> None:
    trial = make_trial(lambda: small_model(codec, prefixes=prefixes), indoor.h[:16])
    assert SYMBOL_CHECKS[check](trial) is None


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("codec", JSCC_NETWORKS)
def test_every_check_of_bits_holds(codec: str, check: str, indoor: ChannelSet) -> None:
    assert CHECKS[check](make_trial(lambda: small_model(codec, bits_per_real=3), indoor.h[:16])) is None


@pytest.mark.parametrize("strength", [1e38, 1e30])
def test_symbols_of_any_strength_give_a_finite_channel_or_are_not_valid(strength: float) -> None:
    decoder = make_decoder(small_model("rd-jscc"), torch.device("cpu"))
    values, no_eff = np.full((2, 6), strength, dtype=np.complex64), np.ones((2, 6), dtype=np.float32)
    values[1] = 1
    received = Received(ReceivedKind.SYMBOLS, values, np.array([6, 6]), no_eff)
    found = decoder.decode_symbols(received, DecodeContext(6, np.zeros(2, dtype=np.float32)))  # type: ignore[attr-defined]
    assert torch.isfinite(torch.view_as_real(found.h_hat)).all()
    assert found.valid[1]
