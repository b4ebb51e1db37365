import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.errors import DataFileError, InvalidArgumentError, ModelMismatchError
from shared.model_files import load_model
from shared.refinement import RefinerFile, save_refiner
from shared.refinement.card import MeasuredGain
from shared.refinement.held import choose_refiner, load_refiners
from shared.refinement.label import parse_refinement
from shared.types import CsiShape

MakeRefiner = Callable[..., RefinerFile]
KLT, TOPK = load_model("klt").card, load_model("angular-topk").card
HELD = {KLT.sha256: KLT.shape}
POINT = MeasuredGain(snr_db=0, num_steps=3, nmse_coarse_db=-1, nmse_db=-2, ms_per_report=1)


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of what ships, empty."""
    monkeypatch.setattr("shared.refinement.card.REFINER_ZOO", tmp_path / "zoo")
    return tmp_path / "zoo"


def test_nothing_is_chosen_where_nothing_is_refined() -> None:
    assert choose_refiner(parse_refinement("never"), [], "klt", KLT.sha256) is None


def test_the_only_refiner_of_the_model_needs_no_name_and_one_of_several_does(untrained_refiner: MakeRefiner) -> None:
    one, two, other = (
        untrained_refiner(card, name).card for card, name in ((KLT, "one"), (KLT, "two"), (TOPK, "other"))
    )
    assert choose_refiner(parse_refinement("always"), [other, one], "klt", KLT.sha256) is one
    assert choose_refiner(parse_refinement("always:by-two"), [one, two, other], "klt", KLT.sha256) is two
    with pytest.raises(InvalidArgumentError, match="must say by-NAME, of one, two, behind model klt; got always"):
        choose_refiner(parse_refinement("always"), [one, two, other], "klt", KLT.sha256)


@pytest.mark.parametrize(("label", "held"), [("always:by-other", "one"), ("always:by-three", "one"), ("gain", "none")])
def test_a_refiner_that_is_not_held_for_the_model_is_refused_with_those_that_are(
    untrained_refiner: MakeRefiner, label: str, held: str
) -> None:
    cards = [untrained_refiner(TOPK, "other").card, *([] if held == "none" else [untrained_refiner(KLT, held).card])]
    sentence = f"for model klt, {held}; got '{label}'. .*`csi-bs serve --refiner FILE`"
    with pytest.raises(ModelMismatchError, match=sentence):
        choose_refiner(parse_refinement(label), cards, "klt", KLT.sha256)


def test_steps_that_the_refiner_does_not_have_are_refused(untrained_refiner: MakeRefiner) -> None:
    plain, measured = untrained_refiner(KLT).card, untrained_refiner(KLT, measured=[POINT]).card
    with pytest.raises(InvalidArgumentError, match=r"`steps-N` of refiner small must be in \[1, 20\]; got 21"):
        choose_refiner(parse_refinement("always:steps-21"), [plain], "klt", KLT.sha256)
    with pytest.raises(InvalidArgumentError, match="refiner small has figures of, none; got gain"):
        choose_refiner(parse_refinement("gain"), [plain], "klt", KLT.sha256)
    with pytest.raises(InvalidArgumentError, match="refiner small has figures of, 3; got gain:steps-2"):
        choose_refiner(parse_refinement("gain:steps-2"), [measured], "klt", KLT.sha256)
    assert choose_refiner(parse_refinement("gain:steps-3"), [measured], "klt", KLT.sha256) is measured


def test_gain_is_refused_over_a_link_that_the_card_has_no_figures_of(untrained_refiner: MakeRefiner) -> None:
    card = untrained_refiner(KLT, measured=[POINT]).card
    assert choose_refiner(parse_refinement("gain"), [card], "klt", KLT.sha256, "ideal") is card
    sentence = "`link` of refinement gain must be ideal, over which refiner small was measured; got digital:soft"
    with pytest.raises(InvalidArgumentError, match=sentence):
        choose_refiner(parse_refinement("gain"), [card], "klt", KLT.sha256, "digital:soft")
    assert choose_refiner(parse_refinement("always"), [card], "klt", KLT.sha256, "digital:soft") is card


def test_files_are_held_beside_the_shipped_refiners_of_held_models(
    untrained_refiner: MakeRefiner, tmp_path: Path, zoo: Path
) -> None:
    for name, model in (("shipped", KLT), ("foreign", TOPK)):
        save_refiner(untrained_refiner(model, name), zoo)
    save_refiner(untrained_refiner(KLT, "mine"), tmp_path)
    path = str(tmp_path / "mine.safetensors")
    assert [refiner.card.name for refiner in load_refiners([path], HELD)] == ["shipped", "mine"]
    assert [refiner.card.name for refiner in load_refiners(["shipped"], HELD)] == ["shipped"]
    again = load_refiners(["shipped"], HELD)[0]
    measured = RefinerFile(again.card.model_copy(update={"measured": [POINT]}), again.tensors)
    save_refiner(measured, tmp_path / "again")  # its figures, of this machine, take the place of the shipped ones
    (held,) = load_refiners([str(tmp_path / "again" / "shipped.safetensors")], HELD)
    assert held.card.measured == [POINT]


def test_a_file_that_refines_no_held_model_is_refused(untrained_refiner: MakeRefiner, tmp_path: Path) -> None:
    save_refiner(untrained_refiner(TOPK), tmp_path)
    with pytest.raises(DataFileError, match=r"must refine a model that is held; .* refines model angular-topk, .* not"):
        load_refiners([str(tmp_path / "small.safetensors")], HELD)


def test_two_of_one_name_and_a_foreign_shape_are_refused(untrained_refiner: MakeRefiner, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        save_refiner(untrained_refiner(KLT), tmp_path / folder)
    both = [str(tmp_path / folder / "small.safetensors") for folder in ("a", "b")]
    with pytest.raises(DataFileError, match="must have different names; got small, small"):
        load_refiners(both, HELD)
    with pytest.raises(
        DataFileError, match=r"`shape` of refiner small must be that of model klt, .*16.*; its card says"
    ):
        load_refiners(both[:1], {KLT.sha256: dataclasses.replace(KLT.shape, num_subcarriers=16)})
    assert CsiShape("angular-delay", 1, 32, 32) == KLT.shape
