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
from shared.model_files import load_model
from shared.rng import Randomness
from shared.wire.payload import unpack_received
from ue_client.config import DEFAULT_RATE
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
    assert make_pipeline(load_model("float"), indoor, "ideal", None, run=1).rate == 65536
    assert make_pipeline(load_model("klt"), indoor, "ideal", None, run=1).rate == DEFAULT_RATE


def test_channels_of_another_shape_or_domain_are_refused(tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.npz"
    np.savez(narrow, x=np.eye(32, 16, dtype=np.complex64)[None, ::-1] * 0.7 ** np.arange(16))
    wide = tmp_path / "wide.npy"
    np.save(wide, np.ones((2, 32, 32), dtype=np.complex64))
    for channels in (load_channels(str(narrow)), load_file(wide, "spatial-frequency")):
        with pytest.raises(InvalidArgumentError, match=f"`data` for codec klt must hold .*; {channels.name} holds"):
            make_pipeline(load_model("klt"), channels, "ideal", 128, run=1)


@pytest.mark.parametrize("truth_by", [None, "index", "channel"])
def test_a_frame_holds_what_encoder_and_link_made_and_the_truth_that_was_asked_for(
    indoor: ChannelSet, truth_by: TruthBy | None
) -> None:
    ue = make_pipeline(load_model("klt"), indoor, "digital:hard", 100, run=5)
    sequence, index = np.array([7, 8, 2]), np.array([0, 2399, 11])
    frame = ue.frame(str(uuid.uuid4()), 3, 9, sequence, index, 2.0, truth_by, deadline_ms=70)
    context = EncodeContext(100, np.full(3, 2.0, dtype=np.float32), Randomness(5, np.full(3, 9), sequence))
    payload = ue.encoder.encode(indoor.h[index], context)
    received = ue.link.transmit(payload, context.snr_db, context.randomness)
    np.testing.assert_array_equal(unpack_received(frame, np.arange(3)).values, received.values)
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
    together = unpack_received(ue.frame(session_id, 0, 0, np.arange(6), np.arange(6), 1.0, None), np.arange(6))
    alone = [ue.frame(session_id, 0, 0, np.array([i]), np.array([i]), 1.0, None) for i in range(6)]
    rows = np.concatenate([unpack_received(frame, np.arange(1)).values for frame in alone])
    np.testing.assert_array_equal(together.values, rows)
