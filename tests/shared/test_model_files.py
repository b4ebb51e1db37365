import json
from pathlib import Path
from typing import Any

import pytest
import torch

from shared.channels import DATASETS
from shared.codecs import CODECS, make_decoder, make_encoder
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import ModelFile, TrainingRecord, count_parameters, load_model, save_model, zoo_names
from shared.network_settings import NetworkSettings


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A small model of a user, saved."""
    card = load_model("klt").card.model_copy(update={"name": "mine"})
    save_model(ModelFile(card, {"mean": torch.arange(6.0).reshape(2, 3)}), tmp_path)
    return tmp_path / "mine.safetensors"


def change_card(path: Path, **changes: Any) -> None:
    card = path.with_suffix(".card.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def test_a_saved_model_comes_back_with_digest_and_count_filled_in(saved: Path) -> None:
    model = load_model(str(saved))
    assert torch.equal(model.tensors["mean"], torch.arange(6.0).reshape(2, 3))
    assert model.card.num_parameters == 6
    assert model.card.sha256 != load_model("klt").card.sha256


def test_the_weights_of_networks_are_counted_without_the_statistics_of_their_norms() -> None:
    tensors = {
        "network.encoder.1.weight": torch.zeros(3, 4),
        "network.encoder.1.running_mean": torch.zeros(100),
        "network.encoder.1.running_var": torch.zeros(100),
        "network.encoder.1.num_batches_tracked": torch.tensor(0),
        "network.decoder.bias": torch.zeros(7),
        "quantizer.centre": torch.zeros(1000),
        "mean": torch.zeros(1000),
    }
    assert count_parameters(tensors) == 12 + 7
    assert count_parameters({"basis": torch.zeros(4, 5), "mean": torch.zeros(3)}) == 23
    assert count_parameters({}) == 0


@pytest.mark.parametrize(
    "network",
    [
        {"num_latents": 0, "scaling": "power", "quantizer": "uniform"},
        {"num_latents": 2049, "scaling": "power", "quantizer": "uniform"},
        {"num_latents": 4, "scaling": "power", "quantizer": "a-law"},
        {"num_latents": 4, "scaling": "other", "quantizer": "uniform"},
        {"num_latents": 4, "scaling": "power"},
        {"num_latents": 4, "scaling": "power", "quantizer": "uniform", "norm_axis": "angle"},
        {"num_latents": 4, "scaling": "power", "quantizer": "uniform", "surprise": 1},
    ],
)
def test_settings_of_a_network_that_are_wrong_or_not_ours_are_refused(saved: Path, network: dict[str, Any]) -> None:
    change_card(saved, network=network)
    with pytest.raises(DataFileError, match=r"is not a codec card(.|\n)*network"):
        load_model(str(saved))


def test_a_training_record_without_its_samples_is_refused(saved: Path) -> None:
    change_card(saved, training={"loss": "nmse", "epochs": 1, "unquantized_nmse_db": -3.5})
    with pytest.raises(DataFileError, match=r"is not a codec card(.|\n)*samples_seen"):
        load_model(str(saved))


def test_settings_and_record_of_a_network_come_back_from_the_card(saved: Path) -> None:
    settings = NetworkSettings(num_latents=4, scaling="peak", quantizer="mu-law", norm_axis="delay", final_norm=False)
    record = TrainingRecord(loss="mse", epochs=None, samples_seen=None, unquantized_nmse_db=-3.5)
    card = load_model(str(saved)).card.model_copy(update={"network": settings, "training": record})
    save_model(ModelFile(card, {"network.x": torch.zeros(2)}), saved.parent)
    assert (load_model(str(saved)).card.network, load_model(str(saved)).card.training) == (settings, record)


def test_the_zoo_holds_the_models_of_the_first_release() -> None:
    assert {"angular-topk", "float", "klt"} <= set(zoo_names())


def test_one_altered_byte_of_a_model_file_is_refused(saved: Path) -> None:
    content = bytearray(saved.read_bytes())
    content[-1] ^= 1
    saved.write_bytes(content)
    with pytest.raises(DataFileError, match="is not the file of its card"):
        load_model(str(saved))


def test_a_model_without_a_card_is_refused(saved: Path) -> None:
    saved.with_suffix(".card.json").unlink()
    with pytest.raises(DataFileError, match="is not a codec card"):
        load_model(str(saved))


@pytest.mark.parametrize(
    "changes", [{"surprise": 1}, {"sha256": "no digest"}, {"domain": "time"}, {"num_rx_ant": 0}, {"min_rate": 0}]
)
def test_a_card_with_a_field_that_is_wrong_or_not_ours_is_refused(saved: Path, changes: dict[str, Any]) -> None:
    change_card(saved, **changes)
    with pytest.raises(DataFileError, match=f"is not a codec card(.|\n)*{next(iter(changes))}"):
        load_model(str(saved))


def test_a_precoder_with_an_nmse_is_refused(saved: Path) -> None:
    change_card(saved, output="precoder", measured=[{"rate": 32, "nmse_db": -1.0}])
    with pytest.raises(DataFileError, match="`measured` of a precoder must be empty"):
        load_model(str(saved))


def test_the_reports_of_a_codebook_have_no_more_bits_than_their_rate() -> None:
    card = load_model("etype2").card
    assert [card.num_bits_range(rate) for rate in (63, 333)] == [(1, 63), (1, 333)]


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"\xff" * 64])
def test_a_foreign_file_is_refused_even_under_its_own_digest(saved: Path, content: bytes) -> None:
    from hashlib import sha256

    saved.write_bytes(content)
    change_card(saved, sha256=sha256(content).hexdigest())
    with pytest.raises(DataFileError, match="cannot be read as safetensors"):
        load_model(str(saved))


@pytest.mark.parametrize("name", ["", "nope", "../klt", "../zoo/klt", "klt.card", "klt\0", "/etc/passwd", ".."])
def test_a_name_that_is_no_model_is_refused_with_the_names_that_are(name: str) -> None:
    with pytest.raises(DataFileError, match=r"must be a model of the zoo .*klt"):
        load_model(name)


def test_a_file_that_is_not_there_is_told_under_the_name_of_its_option() -> None:
    with pytest.raises(DataFileError, match=r"`model` must be a file that exists; got '~/klt.safetensors'."):
        load_model("~/klt.safetensors", "model")


def test_a_card_says_which_rates_and_links_it_allows() -> None:
    card = load_model("float").card
    with pytest.raises(InvalidArgumentError, match="`rate` of codec float must be 65536 bits; got 64"):
        card.require_rate(64)
    with pytest.raises(InvalidArgumentError, match="`link` of codec float must be ideal; got digital"):
        card.require_link("digital", "digital:bsc")
    card.require_rate(65536)
    card.require_link("ideal", "ideal")


def test_a_model_of_an_unknown_codec_or_without_a_tensor_of_it_builds_no_codec(saved: Path) -> None:
    lacking = load_model(str(saved))
    unknown = ModelFile(lacking.card.model_copy(update={"codec": "nope"}), {})
    for make in (make_encoder, make_decoder):
        with pytest.raises(DataFileError, match=f"must be one of {', '.join(CODECS)}; got 'nope'"):
            make(unknown, torch.device("cpu"))
        with pytest.raises(DataFileError, match="must hold tensor 'basis' of codec klt"):
            make(lacking, torch.device("cpu"))


def test_a_model_does_not_take_the_card_of_a_data_set(tmp_path: Path) -> None:
    card = load_model("klt").card.model_copy(update={"name": "mine"})
    (tmp_path / "mine.card.json").write_text((DATASETS / "umi-nlos.card.json").read_text())
    with pytest.raises(DataFileError, match="is not a codec card"):
        save_model(ModelFile(card, {"mean": torch.zeros(2)}), tmp_path)
    assert not (tmp_path / "mine.safetensors").exists()


def test_a_card_that_names_no_length_is_of_fixed_length(saved: Path) -> None:
    card = json.loads(saved.with_suffix(".card.json").read_text())
    del card["length"]
    saved.with_suffix(".card.json").write_text(json.dumps(card))
    assert load_model(str(saved)).card.length == "fixed"


def test_a_report_has_the_bits_of_its_rate_or_as_many_as_an_entropy_code_may_give_it() -> None:
    card = load_model("klt").card
    assert card.num_bits_range(128) == (128, 128)
    assert card.model_copy(update={"length": "variable"}).num_bits_range(128) == (1, 6 * 128 + 64)
    assert load_model("klt-analog").card.num_bits_range(16) == (0, 0)


@pytest.mark.parametrize("payload", ["bits", "symbols"])
def test_symbols_have_no_variable_length(saved: Path, payload: str) -> None:
    change_card(saved, payload=payload, links=["analog"] if payload == "symbols" else ["ideal"], length="variable")
    if payload == "bits":
        assert load_model(str(saved)).card.length == "variable"
        return
    with pytest.raises(DataFileError, match=r"`length` of a payload of symbols cannot be variable"):
        load_model(str(saved))
