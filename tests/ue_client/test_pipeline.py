import re
import uuid
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet, load_channels
from shared.channels.file import load_file
from shared.codecs import EncodeContext
from shared.coding.bits import unpack
from shared.errors import InvalidArgumentError
from shared.estimation.ls import LsEstimator
from shared.model_files import load_model
from shared.rng import Randomness
from shared.scoring import Scoring
from shared.transforms import normalize_power
from shared.transmit import DEFAULT_RATE
from shared.wire.payload import unpack_received
from ue_client.pipeline import TruthBy, make_pipeline


def test_a_codec_over_a_link_that_may_not_carry_it_is_refused(indoor: ChannelSet) -> None:
    with pytest.raises(InvalidArgumentError, match="`link` of codec float must be ideal; got digital:bsc"):
        make_pipeline(load_model("float"), indoor, "digital:bsc", None, run=1)
    with pytest.raises(InvalidArgumentError, match=r"`link` must be one of ideal, .*; got 'carrier-pigeon'"):
        make_pipeline(load_model("klt"), indoor, "carrier-pigeon", None, run=1)


@pytest.mark.parametrize(
    ("codec", "rate", "wanted"),
    [("klt", 31, "in [32, 1024]"), ("klt", 1025, "in [32, 1024]"), ("float", 128, "65536")],
)
def test_a_rate_that_the_codec_does_not_have_is_refused(indoor: ChannelSet, codec: str, rate: int, wanted: str) -> None:
    with pytest.raises(
        InvalidArgumentError, match=re.escape(f"`rate` of codec {codec} must be {wanted} bits; got {rate}")
    ):
        make_pipeline(load_model(codec), indoor, "ideal", rate, run=1)


def test_a_rate_that_is_not_given_is_the_only_one_of_the_codec_or_the_default(indoor: ChannelSet) -> None:
    assert make_pipeline(load_model("float"), indoor, "ideal", None, run=1).transmitter.rate == 65536
    assert make_pipeline(load_model("klt"), indoor, "ideal", None, run=1).transmitter.rate == DEFAULT_RATE


def test_channels_of_another_shape_or_domain_are_refused(indoor: ChannelSet, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.npz"
    np.savez(narrow, x=indoor.h[:2, 0, :, :16].numpy())
    wide = tmp_path / "wide.npy"
    np.save(wide, indoor.h[:2, 0].numpy())
    for channels in (load_channels(str(narrow)), load_file(wide, "spatial-frequency")):
        with pytest.raises(
            InvalidArgumentError, match=f"`data` for codec klt must hold .*; got {channels.shape.domain} \\[1, "
        ):
            make_pipeline(load_model("klt"), channels, "ideal", 128, run=1)


@pytest.mark.parametrize("truth_by", [None, "index", "channel"])
def test_a_frame_holds_what_encoder_and_link_made_and_the_truth_that_was_asked_for(
    indoor: ChannelSet, truth_by: TruthBy | None
) -> None:
    ue = make_pipeline(load_model("klt"), indoor, "digital:hard", 100, run=5)
    sequence, index = np.array([7, 8, 2]), np.array([0, 2399, 11])
    frame = ue.frame(str(uuid.uuid4()), 3, 9, sequence, index, 2.0, truth_by, deadline_ms=70)
    context = EncodeContext(100, np.full(3, 2.0, dtype=np.float32), Randomness(5, np.full(3, 9), sequence))
    payload = ue.transmitter.encoder.encode(indoor.h[index], context)
    received = ue.transmitter.link.transmit(payload, context.snr_db, context.randomness)
    np.testing.assert_array_equal(unpack_received(frame, np.arange(3), 100).values, received.values)
    assert (received.values != payload.bits).any()
    assert (frame.ue_id.tolist(), frame.sequence.tolist(), frame.deadline_ms) == ([9] * 3, sequence.tolist(), 70)
    assert (frame.rate.tolist(), frame.length.tolist()) == ([100] * 3, [100] * 3)
    if frame.truth is None:
        assert truth_by is None
        return
    np.testing.assert_array_equal(unpack(frame.truth.sent_bits, frame.rate), payload.bits)
    if truth_by == "index":
        assert frame.truth.h is None
        assert frame.truth.dataset_index is not None
        assert frame.truth.dataset_index.tolist() == index.tolist()
    else:
        assert frame.truth.dataset_index is None
        assert frame.truth.h is not None
        torch.testing.assert_close(torch.from_numpy(frame.truth.h).view(3, 1, 32, 32), indoor.h[index])


def test_the_same_report_is_the_same_whoever_shares_its_frame(indoor: ChannelSet) -> None:
    ue = make_pipeline(load_model("klt"), indoor, "digital:soft", 128, run=5)
    session_id = str(uuid.uuid4())
    together = unpack_received(ue.frame(session_id, 0, 0, np.arange(6), np.arange(6), 1.0, None), np.arange(6), 128)
    alone = [ue.frame(session_id, 0, 0, np.array([i]), np.array([i]), 1.0, None) for i in range(6)]
    rows = np.concatenate([unpack_received(frame, np.arange(1), 128).values for frame in alone])
    np.testing.assert_array_equal(together.values, rows)


def test_reports_of_several_ues_and_snrs_are_the_same_in_one_frame_as_each_alone(indoor: ChannelSet) -> None:
    ue = make_pipeline(load_model("klt"), indoor, "digital:soft", 128, run=5)
    session_id = str(uuid.uuid4())
    ue_id, sequence, index = np.array([9, 4, 9, 2**32 - 1]), np.array([0, 0, 3, 7]), np.array([5, 6, 7, 8])
    snr_db = np.array([-3.0, 10.0, -3.0, 2.5])
    together = ue.frame(session_id, 0, ue_id, sequence, index, snr_db, "index")
    assert (together.ue_id.tolist(), together.snr_db.tolist()) == (ue_id.tolist(), snr_db.tolist())
    values = unpack_received(together, np.arange(4), 128).values
    for i in range(4):
        one = slice(i, i + 1)
        alone = ue.frame(session_id, 0, int(ue_id[i]), sequence[one], index[one], float(snr_db[i]), "index")
        np.testing.assert_array_equal(values[one], unpack_received(alone, np.arange(1), 128).values)


def test_the_encoder_gets_the_estimate_at_unit_power_and_the_truth_stays_the_channel(indoor: ChannelSet) -> None:
    sequence, index = np.arange(4), np.array([3, 1, 4, 15])
    perfect = make_pipeline(load_model("float"), indoor, "ideal", None, 5)
    ls = make_pipeline(load_model("float"), indoor, "ideal", None, 5, LsEstimator(indoor.shape), 0.0)
    frames = [ue.frame(str(uuid.uuid4()), 0, 9, sequence, index, 2.0, "channel") for ue in (perfect, ls)]
    randomness = Randomness(5, np.full(4, 9), sequence)
    h_est = LsEstimator(indoor.shape).estimate(indoor.h[index], np.zeros(4), randomness)
    assert (h_est.abs().square().mean(dim=(1, 2, 3)) > 1.8).all()
    for ue, frame, wanted in zip((perfect, ls), frames, (indoor.h[index], normalize_power(h_est)), strict=True):
        context = EncodeContext(ue.transmitter.rate, frame.snr_db, randomness)
        payload = ue.transmitter.encoder.encode(wanted, context)
        np.testing.assert_array_equal(unpack_received(frame, np.arange(4), context.rate).values, payload.bits)
        assert frame.truth is not None
        assert frame.truth.h is not None
        torch.testing.assert_close(torch.from_numpy(frame.truth.h).view(4, 1, 32, 32), indoor.h[index])


def test_a_session_is_asked_for_with_its_estimator_and_cnr(indoor: ChannelSet) -> None:
    session_id = str(uuid.uuid4())
    perfect = make_pipeline(load_model("klt"), indoor, "ideal", 128, 5).session_request(session_id)
    ue = make_pipeline(load_model("klt"), indoor, "ideal", 128, 5, LsEstimator(indoor.shape), -2.5)
    ls = ue.session_request(session_id)
    assert (perfect.estimator, perfect.cnr_db) == ("perfect", None)
    assert (ls.estimator, ls.cnr_db) == ("ls", -2.5)


@pytest.mark.parametrize(
    ("with_ls", "scoring", "version"),
    [(False, Scoring(), 1), (True, Scoring(), 2), (False, Scoring((0.0, 10.0)), 2), (True, Scoring(num_subbands=4), 2)],
)
def test_only_a_base_station_that_knows_estimators_and_the_downlink_is_asked_for_them(
    indoor: ChannelSet, with_ls: bool, scoring: Scoring, version: int
) -> None:
    """One of 0.1.0 takes version 1 alone, and would skip the fields and score an estimate as perfect."""
    estimator, cnr_db = (LsEstimator(indoor.shape), -2.5) if with_ls else (None, None)
    ue = make_pipeline(load_model("klt"), indoor, "ideal", 128, 5, estimator, cnr_db, scoring)
    request = ue.session_request(str(uuid.uuid4()))
    assert (request.protocol_version, request.scoring) == (version, scoring)


def test_only_a_base_station_that_knows_it_is_asked_for_the_last_good_csi(moving: Path) -> None:
    channels = load_channels(str(moving))
    for fallback, version in (("mean", 1), ("last", 2)):
        ue = make_pipeline(load_model("klt"), channels, "ideal", 128, 5, fallback=fallback)  # type: ignore[arg-type]
        request = ue.session_request(str(uuid.uuid4()))
        assert (request.protocol_version, request.fallback) == (version, fallback)


@pytest.mark.parametrize(
    ("refinement", "asked"),
    [
        ("never", (1, "never", 0)),
        ("always:steps-1", (3, "always", 5)),
        ("snr:steps-4:from-3.0", (3, "snr:from-3:steps-4", 5)),
    ],
)
def test_only_a_base_station_that_refines_is_asked_to_and_told_the_run(
    indoor: ChannelSet, refinement: str, asked: tuple[int, str, int]
) -> None:
    ue = make_pipeline(load_model("klt"), indoor, "ideal", 128, 5, refinement=refinement)
    request = ue.session_request(str(uuid.uuid4()))
    assert (request.protocol_version, request.refinement, request.run) == asked


def test_a_refinement_that_is_none_is_refused(indoor: ChannelSet) -> None:
    with pytest.raises(InvalidArgumentError, match="`refinement` must be one of never, always, snr, gain"):
        make_pipeline(load_model("klt"), indoor, "ideal", 128, 5, refinement="twice")


def test_what_cannot_be_scored_of_the_channels_is_refused(indoor: ChannelSet) -> None:
    with pytest.raises(InvalidArgumentError, match="`num_subbands` must divide 32 subcarriers; got 3"):
        make_pipeline(load_model("klt"), indoor, "ideal", 128, 5, scoring=Scoring(num_subbands=3))


def test_a_report_that_never_arrives_has_no_values_in_its_frame(indoor: ChannelSet) -> None:
    ue = make_pipeline(load_model("klt"), indoor, "digital:soft:erasure-0.5", 100, run=5)
    frame = ue.frame(str(uuid.uuid4()), 0, 0, np.arange(40), np.arange(40), 1.0, "index")
    assert set(frame.length.tolist()) == {0, 100}
    assert len(frame.payload) == frame.length.sum()
    assert frame.rate.tolist() == [100] * 40
    assert frame.truth is not None
    assert len(frame.truth.sent_bits) == 40 * 13


def test_an_estimator_without_its_cnr_is_refused(indoor: ChannelSet) -> None:
    with pytest.raises(InvalidArgumentError, match="`cnr_db` must be given with estimator ls; got none"):
        make_pipeline(load_model("klt"), indoor, "ideal", 128, 5, LsEstimator(indoor.shape))
