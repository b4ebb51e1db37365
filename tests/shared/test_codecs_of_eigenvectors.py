"""A codec fitted on eigenvectors takes channels, sends their eigenvectors, and is scored as a precoder."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.channels.eigenvectors import configuration_of, eigenvector_csi
from shared.codecs import DecodeContext, EncodeContext, make_decoder
from shared.errors import DataFileError, InvalidArgumentError
from shared.estimation.ls import LsEstimator
from shared.experiments.simulate import simulate
from shared.metrics import sgcs_per_layer_and_subband
from shared.model_files import CodecCard, ModelFile, load_model, save_model
from shared.network_settings import CodebookSettings, EigenvectorSettings
from shared.rng import Randomness
from shared.scoring import Scoring
from shared.training.fit import fit_codebook, fit_codec
from shared.transforms import from_angular_delay, normalize_power
from shared.transmit import make_transmitter
from shared.types import Payload, Symbols

EigenvectorsOf = Callable[[ChannelSet, str], ChannelSet]

N, NUM_SUBBANDS, RATE = 20, 8, 300


def test_its_card_and_its_file_say_so_and_it_has_an_sgcs(top_eigenvectors: str) -> None:
    model = load_model(top_eigenvectors)
    card = model.card
    assert card.eigenvectors == EigenvectorSettings(rank=1, num_subbands=NUM_SUBBANDS)
    assert model.tensors["eigenvectors"].tolist() == [1, NUM_SUBBANDS]  # of the digest by which both sides pair
    assert card.num_parameters == load_model("angular-topk").card.num_parameters
    assert (card.output, card.measured) == ("precoder", [])
    assert [point.rate for point in card.measured_sgcs] == [32, 64, 128, 256, 512, 1024]
    assert 0.9 < card.measured_sgcs[-1].sgcs <= 1


def test_its_encoder_gets_the_eigenvectors_of_the_estimate(top_eigenvectors: str, indoor: ChannelSet) -> None:
    estimator, snr_db = LsEstimator(indoor.shape), np.zeros(N, dtype=np.float32)
    streams = Randomness(5, np.full(N, 9), np.arange(N))
    transmitter = make_transmitter(load_model(top_eigenvectors), indoor.shape, "ideal", RATE, estimator, 10.0)
    sent = transmitter.transmit(indoor.h[:N], snr_db, streams)
    h_est = normalize_power(estimator.estimate(indoor.h[:N], np.full(N, 10.0), streams))
    wanted = eigenvector_csi(h_est, "angular-delay", 1, NUM_SUBBANDS)
    payload = transmitter.encoder.encode(wanted, EncodeContext(RATE, snr_db, streams))
    np.testing.assert_array_equal(sent.payload.bits, payload.bits)


def test_one_of_symbols_sends_those_of_the_eigenvectors(
    indoor: ChannelSet, eigenvectors_of: EigenvectorsOf, tmp_path: Path
) -> None:
    splits = eigenvectors_of(indoor.part(0, 1100), "train"), eigenvectors_of(indoor.part(1100, 1200), "test")
    model = fit_codec("klt-analog", *splits, tmp_path, "", "symbols")
    snr_db, streams = np.zeros(N, dtype=np.float32), Randomness(5, np.full(N, 9), np.arange(N))
    of_channels = make_transmitter(model, indoor.shape, "analog", 32).encode(indoor.h[:N], snr_db, streams)
    h = eigenvectors_of(indoor.part(0, N), "some").h
    of_eigenvectors = make_transmitter(model, indoor.shape, "analog", 32).encode(h, snr_db, streams)
    assert isinstance(of_channels, Symbols)
    assert isinstance(of_eigenvectors, Symbols)
    np.testing.assert_allclose(of_channels.values, of_eigenvectors.values, atol=1e-4)  # those of eigenvectors are they


def test_a_run_on_channels_scores_the_precoder_against_them(top_eigenvectors: str, indoor: ChannelSet) -> None:
    scoring = Scoring(downlink_snr_db=(0.0,), num_subbands=NUM_SUBBANDS)
    (point,) = simulate(indoor.part(0, N), top_eigenvectors, "ideal", 0, rate=RATE, num_reports=N, scoring=scoring)
    model, snr_db = load_model(top_eigenvectors), np.zeros(N, dtype=np.float32)
    streams = Randomness(1, np.zeros(N, dtype=np.uint32), np.arange(N))
    payload = make_transmitter(model, indoor.shape, "ideal", RATE).encode(indoor.h[:N], snr_db, streams)
    assert isinstance(payload, Payload)
    h_hat = make_decoder(model, torch.device("cpu")).decode(payload, DecodeContext(RATE, snr_db)).h_hat
    found = point.reports.scores
    assert found.sgcs_subbands is not None
    wanted = sgcs_per_layer_and_subband(from_angular_delay(h_hat), from_angular_delay(indoor.h[:N]), 1, NUM_SUBBANDS)
    np.testing.assert_allclose(found.sgcs_subbands, wanted, atol=1e-6)
    assert found.sgcs_subbands.mean() > 0.9
    assert np.isnan(found.nmse).all()
    assert found.downlink is not None
    share = found.downlink.spectral_efficiency.mean() / found.downlink.spectral_efficiency_perfect.mean()
    assert 0.95 < float(share) < 1


def test_a_test_split_of_something_else_is_refused(
    indoor: ChannelSet, eigenvectors_of: EigenvectorsOf, tmp_path: Path
) -> None:
    eigenvectors, channels = eigenvectors_of(indoor.part(0, 100), "mine"), indoor.part(100, 200)
    told = "rank-1 eigenvectors of 8 subbands"
    wanted = f"`test` must hold {told} .`csi-lab data eigenvectors`., as `data` does; indoor-open-office holds channels"
    with pytest.raises(InvalidArgumentError, match=wanted):
        fit_codec("angular-topk", eigenvectors, channels, tmp_path, "")
    with pytest.raises(InvalidArgumentError, match=f"`test` must hold channels, as `data` does; mine holds {told}"):
        fit_codec("angular-topk", channels, eigenvectors, tmp_path, "")
    with pytest.raises(InvalidArgumentError, match="`test` must hold channels, whose eigenvectors a codebook finds"):
        fit_codebook("etype2", CodebookSettings(), eigenvectors, tmp_path, "")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"eigenvectors_num_subbands": 5}, "`num_subbands` must divide 32 subcarriers; got 5"),
        ({"eigenvectors_rank": "many"}, "the card of mine must say which eigenvectors it holds"),
        ({"eigenvectors_layer_scale": 0.5}, "the eigenvectors of mine are not made as this version's are"),
    ],
)
def test_a_data_card_that_says_something_else_of_eigenvectors_is_refused(
    indoor: ChannelSet, eigenvectors_of: EigenvectorsOf, changes: dict[str, object], sentence: str
) -> None:
    channels = eigenvectors_of(indoor.part(0, 3), "mine")
    assert channels.card is not None
    assert channels.eigenvectors == EigenvectorSettings(rank=1, num_subbands=NUM_SUBBANDS)
    made = channels.card.configuration | changes
    object.__setattr__(channels, "card", channels.card.model_copy(update={"configuration": made}))
    with pytest.raises(DataFileError, match=sentence):
        _ = channels.eigenvectors
    assert configuration_of(EigenvectorSettings(rank=1, num_subbands=NUM_SUBBANDS)).keys() >= changes.keys()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"output": "channel", "measured_sgcs": []}, "`output` of eigenvectors must be precoder; got channel"),
        ({"eigenvectors": {"rank": 2, "num_subbands": 8}}, "must have 1 layers.*; got rank 2 and 8 subbands"),
        ({"eigenvectors": {"rank": 1, "num_subbands": 5}}, "divide 32 subcarriers; got rank 1 and 5 subbands"),
    ],
)
def test_a_card_that_contradicts_itself_is_refused(
    top_eigenvectors: str, changes: dict[str, object], sentence: str
) -> None:
    with pytest.raises(ValueError, match=sentence):
        CodecCard.model_validate(load_model(top_eigenvectors).card.model_dump() | changes)


@pytest.mark.parametrize(("eigenvectors", "wanted"), [({"rank": 1, "num_subbands": 4}, r"\[1, 4\]"), (None, "none")])
def test_a_card_that_contradicts_its_file_is_refused(
    top_eigenvectors: str, eigenvectors: dict[str, int] | None, wanted: str, tmp_path: Path
) -> None:
    model = load_model(top_eigenvectors)
    save_model(ModelFile(model.card, model.tensors), tmp_path)
    path = tmp_path / "top-eigenvectors.card.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"eigenvectors": eigenvectors}))
    with pytest.raises(DataFileError, match=f"tensor eigenvectors of .* must be {wanted}, by its card; got \\[1, 8"):
        load_model(str(tmp_path / "top-eigenvectors.safetensors"))
