"""A codec by reference: what is imported, what is refused, and by what digest both sides pair."""

import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared.codecs import load_codec, make_decoder, make_encoder
from shared.codecs.float32 import FloatDecoder
from shared.codecs.reference import OwnModel, is_reference
from shared.errors import CsiError, DataFileError, InvalidArgumentError
from shared.model_files import ModelFile, load_model, save_model

WriteModule = Callable[[str, str], None]
CPU = torch.device("cpu")
MODULE = """
import torch
from shared.codecs import CodecEntry, Fitted, make_model
from shared.codecs.float32 import FloatDecoder, FloatEncoder
from shared.types import CsiShape

TENSOR, NAME = 1.0, "mine"

def model():
    fitted = Fitted({"gain": torch.full((3,), TENSOR)}, "Mine", "here", rates=(65536,), links=("ideal",))
    return make_model(NAME, CsiShape("angular-delay", 1, 32, 32), fitted)

ENTRY = CodecEntry(FloatEncoder, FloatDecoder, model=model)
OTHER = CodecEntry(FloatEncoder, FloatDecoder, model=model)
WITHOUT = CodecEntry(FloatEncoder, FloatDecoder)
NONE = CodecEntry(FloatEncoder, FloatDecoder, model=lambda: None)
NUMBER = 3
"""


def digest_of(reference: str) -> str:
    return load_codec(reference).card.sha256


def test_a_reference_loads_the_model_that_its_entry_builds(write_module: WriteModule) -> None:
    write_module("own.folder.module", MODULE)
    model = load_codec("own.folder.module:ENTRY")
    assert isinstance(model, OwnModel)
    card = model.card
    assert (card.name, card.codec, card.num_parameters, card.links) == ("mine", "own.folder.module:ENTRY", 3, ["ideal"])
    assert make_encoder(model, CPU).card == card
    assert isinstance(make_decoder(model, CPU), FloatDecoder)


def test_names_and_files_load_as_ever(tmp_path: Path) -> None:
    assert load_codec("klt").card == load_model("klt").card
    saved = save_model(load_model("float"), tmp_path)
    assert load_codec(str(tmp_path / "float.safetensors")).card == saved.card


def test_the_digest_repeats_and_tells_tensors_cards_sources_and_references_apart(write_module: WriteModule) -> None:
    versions = {
        "tensors": MODULE.replace("1.0", "2.0"),
        "card": MODULE.replace('"mine"', '"yours"'),
        "source": MODULE + "# another version",
    }
    digests = {}
    for version, source in {"first": MODULE, **versions}.items():
        write_module(version, source)
        digests[version] = digest_of(f"{version}:ENTRY")
        assert digest_of(f"{version}:ENTRY") == digests[version]
    digests["entry"] = digest_of("first:OTHER")
    assert len(set(digests.values())) == 5


def test_the_current_folder_is_searched_last(write_module: WriteModule) -> None:
    write_module("own_json", MODULE)
    write_module("fractions", MODULE)
    del sys.modules["fractions"]
    with pytest.raises(InvalidArgumentError, match="must name a CodecEntry"):
        load_codec("fractions:ENTRY")
    load_codec("own_json:ENTRY")
    assert sys.path[-1] == str(Path.cwd())


@pytest.mark.parametrize(
    ("reference", "sentence"),
    [
        (
            "nowhere:ENTRY",
            "`codec` nowhere:ENTRY must be importable; got ModuleNotFoundError: No module named 'nowhere', neither on "
            "PYTHONPATH nor in the current folder.",
        ),
        (
            "own.nowhere:ENTRY",
            "`codec` own.nowhere:ENTRY must be importable; got ModuleNotFoundError: No module named 'own.nowhere'; "
            "'own' is not a package, neither on PYTHONPATH nor in the current folder.",
        ),
        (
            "lacking:ENTRY",
            "`codec` lacking:ENTRY must be importable; got ModuleNotFoundError: No module named 'not_installed' "
            "(lacking.py, line 2).",
        ),
        (
            "broken:ENTRY",
            "`codec` broken:ENTRY must be importable; got ZeroDivisionError: division by zero (broken.py, line 1).",
        ),
        (
            "no_python:ENTRY",
            "`codec` no_python:ENTRY must be importable; got SyntaxError: '(' was never closed (no_python.py, line 1).",
        ),
        (
            "own:ENTRIES",
            "`codec` own:ENTRIES must name a CodecEntry of its module; found there: ENTRY, OTHER, WITHOUT, NONE.",
        ),
        ("empty:ENTRY", "`codec` empty:ENTRY must name a CodecEntry of its module; found there: none."),
        ("own:NUMBER", "`codec` own:NUMBER must be a CodecEntry; got int."),
        (
            "own:WITHOUT",
            "`codec` own:WITHOUT must be given with its model file, own:WITHOUT@mine.safetensors: its entry has no "
            "`model`.",
        ),
        ("own:NONE", "`model` of codec own:NONE must give a ModelFile; got NoneType."),
        ("own:ENTRY@nowhere.safetensors", "`codec` must be a file that exists; got 'nowhere.safetensors'."),
        ("own:ENTRY@klt", "`codec` of model klt must be own:ENTRY; got 'klt'."),
        ("klt:ENTRY", "`codec` klt:ENTRY must be importable; got ModuleNotFoundError: No module named 'klt', neither"),
    ],
)
def test_a_reference_that_leads_to_no_codec_is_one_sentence(
    reference: str, sentence: str, write_module: WriteModule
) -> None:
    write_module("own", MODULE)
    write_module("empty", "")
    write_module("lacking", "\nimport not_installed")
    write_module("broken", "ENTRY = 1 / 0")
    write_module("no_python", "ENTRY = (")
    with pytest.raises(CsiError) as error:
        load_codec(reference)
    assert str(error.value).startswith(sentence)


@pytest.mark.parametrize("reference", ["own:ENTRY@", "own:", ":ENTRY", "own-codec:ENTRY"])
def test_what_is_neither_name_nor_file_nor_reference_names_the_three_forms(
    reference: str, write_module: WriteModule
) -> None:
    write_module("own", MODULE)
    with pytest.raises(DataFileError, match=r"model of the zoo .*, a .safetensors file or package.module:ENTRY; got"):
        load_codec(reference)


@pytest.mark.parametrize("name", ["klt", "", "Mine", "my codec", "-mine", "mine/../klt", "m" * 65, "mine\\n"])
def test_a_name_of_the_zoo_or_of_other_characters_is_refused(name: str, write_module: WriteModule) -> None:
    write_module("own", MODULE.replace('"mine"', f'"{name}"'))
    wanted = "`name` of codec own:ENTRY must be lower-case words joined by hyphens, and none of angular-topk, .*; got"
    with pytest.raises(InvalidArgumentError, match=wanted):
        load_codec("own:ENTRY")


@pytest.fixture
def saved(tmp_path: Path, write_module: WriteModule) -> str:
    """A model file whose card names a user's module."""
    write_module("own", MODULE)
    card = load_model("float").card.model_copy(update={"name": "fitted", "codec": "own:ENTRY"})
    save_model(ModelFile(card, {"gain": torch.ones(2)}), tmp_path)
    return str(tmp_path / "fitted.safetensors")


def test_a_card_imports_nothing_unless_the_user_gives_its_reference(saved: str) -> None:
    model = load_codec(saved)
    sentence = "`codec` of model fitted is the code own:ENTRY, which is imported only where it is given: own:ENTRY@FILE"
    for make in (make_encoder, make_decoder):
        with pytest.raises(DataFileError, match=sentence):
            make(model, CPU)
    with pytest.raises(DataFileError, match="`codec` of model fitted must be own:OTHER; got 'own:ENTRY'"):
        load_codec(f"own:OTHER@{saved}")
    assert sys.modules["own"]  # by own:OTHER, which was given
    given = load_codec(f"own:ENTRY@{saved}")
    assert isinstance(make_decoder(given, CPU), FloatDecoder)
    assert given.card.model_copy(update={"sha256": model.card.sha256}) == model.card


def test_the_digest_of_a_model_file_tells_files_and_sources_apart(
    saved: str, tmp_path: Path, write_module: WriteModule
) -> None:
    reference = f"own:ENTRY@{saved}"
    digest = digest_of(reference)
    assert digest_of(reference) == digest != load_codec(saved).card.sha256
    write_module("own", MODULE + "# another version")
    assert digest_of(reference) != digest
    write_module("own", MODULE)
    assert digest_of(reference) == digest
    save_model(ModelFile(load_codec(saved).card, {"gain": torch.zeros(2)}), tmp_path)
    assert digest_of(reference) != digest


def test_a_module_without_source_is_refused(write_module: WriteModule, monkeypatch: pytest.MonkeyPatch) -> None:
    write_module("own", MODULE)
    load_codec("own:ENTRY")
    monkeypatch.delattr(sys.modules["own"], "__file__")
    with pytest.raises(InvalidArgumentError, match="`codec` own:ENTRY must come with its module's source, for the dig"):
        load_codec("own:ENTRY")


def test_a_file_alone_runs_none_of_its_cards_code(saved: str, write_module: WriteModule) -> None:
    write_module("own", "raise RuntimeError('imported')")
    with pytest.raises(DataFileError, match="imported only where it is given"):
        make_decoder(load_codec(saved), CPU)
    assert "own" not in sys.modules


@given(st.text())
def test_any_text_is_a_reference_or_not_and_has_one_colon_if_it_is(text: str) -> None:
    if is_reference(text):
        module, attribute = text.split(":")
        assert all(part.isidentifier() for part in (*module.split("."), attribute))
