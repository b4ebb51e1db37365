"""Symbols through transmitter and receiver, and the cards that do or do not go with them."""

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from shared.channels import ChannelSet
from shared.codecs import DecodeContext, SymbolDecoder, make_decoder, make_encoder
from shared.errors import DataFileError, InvalidArgumentError
from shared.estimation.ls import LsEstimator
from shared.metrics import nmse
from shared.model_files import CodecCard, ModelFile, load_model
from shared.receive import receive
from shared.rng import Randomness
from shared.transmit import make_transmitter
from shared.types import ReceivedKind

CPU = torch.device("cpu")
MODEL = load_model("klt-analog")
SNR_DB = np.full(40, 5, dtype=np.float32)
STREAMS = Randomness(3, np.zeros(40, dtype=np.int64), np.arange(40))


def test_a_transmitter_of_symbols_sends_no_bits_and_a_lost_report_becomes_the_mean_channel(indoor: ChannelSet) -> None:
    transmitter = make_transmitter(MODEL, indoor.shape, "analog:erasure-0.3:rayleigh", 20)
    assert transmitter.link.label == "analog:rayleigh:erasure-0.3"
    sent = transmitter.transmit(indoor.h[:40], SNR_DB, STREAMS)
    assert (sent.payload.bits.shape, sent.payload.length.tolist()) == ((40, 0), [0] * 40)
    assert (sent.received.kind, sent.received.values.shape) == (ReceivedKind.SYMBOLS, (40, 20))
    decoder = make_decoder(MODEL, CPU)
    reception = receive(sent.received, transmitter.link.code, sent.payload.length, decoder, DecodeContext(20, SNR_DB))
    assert (reception.payload.bits.shape, reception.checked.tolist()) == ((40, 0), [False] * 40)
    assert np.array_equal(reception.erased, sent.received.length == 0)
    assert np.array_equal(reception.fallback, reception.erased)
    assert 0 < reception.erased.sum() < 40
    lost = torch.from_numpy(reception.erased)
    assert (reception.h_hat[lost] == decoder.mean_csi).all()
    assert isinstance(decoder, SymbolDecoder)
    arrived = decoder.decode_symbols(sent.received, DecodeContext(20, SNR_DB)).h_hat[~lost]
    assert torch.equal(reception.h_hat[~lost], arrived)


def test_an_estimate_is_encoded_as_a_channel_is(indoor: ChannelSet) -> None:
    h = indoor.h[:40]
    errors = []
    for cnr_db in (-10.0, 30.0):
        transmitter = make_transmitter(MODEL, indoor.shape, "analog", 128, LsEstimator(indoor.shape), cnr_db)
        sent = transmitter.transmit(h, SNR_DB, STREAMS)
        decoder = make_decoder(MODEL, CPU)
        reception = receive(
            sent.received, transmitter.link.code, sent.payload.length, decoder, DecodeContext(128, SNR_DB)
        )
        errors.append(float(nmse(reception.h_hat, h).mean()))
    assert errors[1] < errors[0] < 1


@pytest.mark.parametrize("link", ["ideal", "digital:bsc", "digital:soft:uplink"])
def test_symbols_go_over_no_link_of_bits(indoor: ChannelSet, link: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"`link` of codec klt-analog must be analog; got {link}"):
        make_transmitter(MODEL, indoor.shape, link)


@pytest.mark.parametrize("codec", ["klt", "float"])
def test_bits_go_over_no_analog_link(indoor: ChannelSet, codec: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"`link` of codec {codec} must be ideal.*; got analog:uplink"):
        make_transmitter(load_model(codec), indoor.shape, "analog:uplink")


def test_a_card_of_symbols_names_the_analog_link_alone_and_one_of_bits_does_not() -> None:
    for name, links in (("klt-analog", ["analog", "digital"]), ("klt-analog", ["ideal"]), ("klt", ["ideal", "analog"])):
        fields = load_model(name).card.model_dump() | {"links": links}
        with pytest.raises(ValidationError, match=r"`links` of a payload of .* analog carries symbols"):
            CodecCard.model_validate(fields)


@pytest.mark.parametrize(("name", "other", "found"), [("klt", "symbols", "bits"), ("klt-analog", "bits", "symbols")])
def test_a_model_whose_card_has_the_other_payload_is_refused(name: str, other: str, found: str) -> None:
    model = load_model(name)
    card = CodecCard.model_validate(model.card.model_dump() | {"payload": other, "links": []})
    for make in (make_encoder, make_decoder):
        with pytest.raises(DataFileError, match=f"`payload` of model {name} must be {found}, .*; got {other}"):
            make(ModelFile(card, model.tensors), CPU)
