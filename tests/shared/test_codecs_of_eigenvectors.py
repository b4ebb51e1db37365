"""A codec fitted on eigenvectors takes channels, sends their eigenvectors, and is scored as a precoder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.channels.eigenvectors import NUM_SUBBANDS_KEY, RANK_KEY, eigenvector_csi
from shared.codecs import DecodeContext, EncodeContext, make_decoder
from shared.errors import InvalidArgumentError
from shared.estimation.ls import LsEstimator
from shared.experiments.simulate import simulate
from shared.metrics import sgcs_per_layer_and_subband
from shared.model_files import CodecCard, load_model
from shared.network_settings import EigenvectorSettings
from shared.rng import Randomness
from shared.scoring import Scoring
from shared.training.fit import fit_codec
from shared.transforms import from_angular_delay, normalize_power
from shared.transmit import make_transmitter

N, NUM_SUBBANDS, RATE = 20, 8, 300


def eigenvectors_of(channels: ChannelSet, sha256: str) -> ChannelSet:
    assert channels.card is not None
    made = {RANK_KEY: 1, NUM_SUBBANDS_KEY: NUM_SUBBANDS}
    card = channels.card.model_copy(update={"configuration": channels.card.configuration | made})
    h = eigenvector_csi(channels.h, "angular-delay", 1, NUM_SUBBANDS)
    return replace(channels, h=h, card=card, sha256=sha256, crop_loss=None)


@pytest.fixture(scope="module")
def card(indoor: ChannelSet, tmp_path_factory: pytest.TempPathFactory) -> CodecCard:
    """Of a codec on which nothing depends but what it is given."""
    folder = tmp_path_factory.mktemp("codec")
    splits = eigenvectors_of(indoor.part(0, 400), "1" * 64), eigenvectors_of(indoor.part(400, 500), "2" * 64)
    made = fit_codec("angular-topk", *splits, folder, "", "of-eigenvectors").card
    return made.model_copy(update={"recipe": str(folder / "of-eigenvectors.safetensors")})


def test_its_card_says_so_and_has_an_sgcs(card: CodecCard) -> None:
    assert card.eigenvectors == EigenvectorSettings(rank=1, num_subbands=NUM_SUBBANDS)
    assert (card.output, card.measured) == ("precoder", [])
    assert [point.rate for point in card.measured_sgcs] == [32, 64, 128, 256, 512, 1024]
    assert 0.9 < card.measured_sgcs[-1].sgcs <= 1


def test_its_encoder_gets_the_eigenvectors_of_the_estimate(card: CodecCard, indoor: ChannelSet) -> None:
    estimator, snr_db = LsEstimator(indoor.shape), np.zeros(N, dtype=np.float32)
    streams = Randomness(5, np.full(N, 9), np.arange(N))
    transmitter = make_transmitter(load_model(card.recipe), indoor.shape, "ideal", RATE, estimator, 10.0)
    sent = transmitter.transmit(indoor.h[:N], snr_db, streams)
    h_est = normalize_power(estimator.estimate(indoor.h[:N], np.full(N, 10.0), streams))
    wanted = eigenvector_csi(h_est, "angular-delay", 1, NUM_SUBBANDS)
    payload = transmitter.encoder.encode(wanted, EncodeContext(RATE, snr_db, streams))
    np.testing.assert_array_equal(sent.payload.bits, payload.bits)


def test_a_run_on_channels_scores_the_precoder_against_them(card: CodecCard, indoor: ChannelSet) -> None:
    scoring = Scoring(downlink_snr_db=(0.0,), num_subbands=NUM_SUBBANDS)
    (point,) = simulate(indoor.part(0, N), card.recipe, "ideal", 0, rate=RATE, num_reports=N, scoring=scoring)
    model, device, snr_db = load_model(card.recipe), torch.device("cpu"), np.zeros(N, dtype=np.float32)
    payload = make_transmitter(model, indoor.shape, "ideal", RATE).encode(
        indoor.h[:N], snr_db, Randomness(1, np.zeros(N, dtype=np.uint32), np.arange(N))
    )
    h_hat = make_decoder(model, device).decode(payload, DecodeContext(RATE, snr_db)).h_hat  # type: ignore[arg-type]
    f_hat, f = from_angular_delay(h_hat), from_angular_delay(indoor.h[:N])
    found = point.reports.scores
    assert found.sgcs_subbands is not None
    wanted = sgcs_per_layer_and_subband(f_hat, f, 1, NUM_SUBBANDS)
    np.testing.assert_allclose(found.sgcs_subbands, wanted, atol=1e-6)
    assert found.sgcs_subbands.mean() > 0.9
    assert np.isnan(found.nmse).all()
    assert found.downlink is not None
    share = found.downlink.spectral_efficiency.mean() / found.downlink.spectral_efficiency_perfect.mean()
    assert 0.95 < float(share) < 1  # what it lacks of perfect CSI is the precoder's, not that of eigenvectors alone


def test_a_test_split_of_something_else_is_refused(indoor: ChannelSet, tmp_path: Path) -> None:
    eigenvectors, channels = eigenvectors_of(indoor.part(0, 100), "1" * 64), indoor.part(100, 200)
    told = "rank-1 eigenvectors of 8 subbands"
    with pytest.raises(InvalidArgumentError, match=f"`test` must hold {told}, as `data` does; got channels"):
        fit_codec("angular-topk", eigenvectors, channels, tmp_path, "")
    with pytest.raises(InvalidArgumentError, match=f"`test` must hold channels, as `data` does; got {told}"):
        fit_codec("angular-topk", channels, eigenvectors, tmp_path, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"output": "channel", "measured_sgcs": []}, "`output` of eigenvectors must be precoder; got channel"),
        ({"eigenvectors": {"rank": 2, "num_subbands": 8}}, "must have 1 layers.*; got rank 2 and 8 subbands"),
        ({"eigenvectors": {"rank": 1, "num_subbands": 5}}, "divide 32 subcarriers; got rank 1 and 5 subbands"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(card: CodecCard, changes: dict[str, object], sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        CodecCard.model_validate(card.model_dump() | changes)
