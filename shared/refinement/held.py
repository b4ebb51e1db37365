"""Which refiners a base station holds, and which of them a session's label means."""

from collections.abc import Mapping, Sequence

from shared.errors import DataFileError, InvalidArgumentError, ModelMismatchError
from shared.refinement.card import RefinerCard, RefinerFile, load_refiner, refiner_names
from shared.refinement.label import RefinementLabel
from shared.types import CsiShape


def load_refiners(further: Sequence[str], models: Mapping[str, CsiShape]) -> list[RefinerFile]:
    """Load the refiners that ship for some models, and further ones.

    Args:
        further: Refiner files, or names of shipped ones.
        models: Model digest -> shape of its channel, of every model that is held.

    Returns:
        The refiners. One that ships for a model of another digest is left out: it was trained behind other outputs;
        and one whose weights are given by hand under its name, with figures of this machine say.

    Raises:
        DataFileError: If a file cannot be used, one of ``further`` refines no model that is held, or two have one name.
    """
    shipped = [load_refiner(name) for name in refiner_names() if name not in further]
    by_hand = [load_refiner(name) for name in further]
    known = {(refiner.card.name, refiner.card.sha256) for refiner in by_hand}
    refiners = [
        refiner
        for refiner in shipped
        if refiner.card.codec_sha256 in models and (refiner.card.name, refiner.card.sha256) not in known
    ]
    for name, refiner in zip(further, by_hand, strict=True):
        if refiner.card.codec_sha256 not in models:
            model = f"model {refiner.card.codec}, {refiner.card.codec_sha256[:12]}..."
            raise DataFileError(f"`refiner` must refine a model that is held; {name} refines {model}, which is not.")
        refiners.append(refiner)
    for card in (refiner.card for refiner in refiners):
        if card.shape != models[card.codec_sha256]:
            wanted = f"that of model {card.codec}, {models[card.codec_sha256]}"
            raise DataFileError(f"`shape` of refiner {card.name} must be {wanted}; its card says {card.shape}.")
    names = [refiner.card.name for refiner in refiners]
    if len(set(names)) < len(names):
        raise DataFileError(f"`refiner` must have different names; got {', '.join(sorted(names))}.")
    return refiners


def choose_refiner(
    label: RefinementLabel, cards: Sequence[RefinerCard], codec: str, codec_sha256: str, link: str | None = None
) -> RefinerCard | None:
    """Return the card of the refiner that a label means behind a model; None of ``never``.

    Args:
        label: What the UE asks for.
        cards: Cards of the refiners that are held, of whatever models.
        codec: Name of the model.
        codec_sha256: Digest of its file.
        link: Label of the session's link, for ``gain``, whose figures are of one; None: that was asked before.

    Raises:
        ModelMismatchError: If no such refiner is held for this model.
        InvalidArgumentError: If several are held and none is named, or the one cannot do what the label says.
    """
    if label.policy == "never":
        return None
    held = {card.name: card for card in cards if card.codec_sha256 == codec_sha256}
    names = ", ".join(held) or "none"
    if not held or (label.refiner is not None and label.refiner not in held):
        wanted = f"must be by a refiner that the base station holds for model {codec}, {names}"
        how = "It would hold it when started with `csi-bs serve --refiner FILE`; a sweep, with `refiners`."
        raise ModelMismatchError(f"`refinement` {wanted}; got {str(label)!r}. {how}")
    if label.refiner is None and len(held) > 1:
        raise InvalidArgumentError(f"`refinement` must say by-NAME, of {names}, behind model {codec}; got {label!s}.")
    card = next(iter(held.values())) if label.refiner is None else held[label.refiner]
    _require_steps(label, card)
    if label.policy == "gain" and link not in (None, card.link):
        wanted = f"`link` of refinement gain must be {card.link}, over which refiner {card.name} was measured"
        raise InvalidArgumentError(f"{wanted}; got {link}. `always` and `snr` take any.")
    return card


def _require_steps(label: RefinementLabel, card: RefinerCard) -> None:
    """Refuse numbers of steps that a refiner does not have or, with ``gain``, that were not measured."""
    measured = sorted({point.num_steps for point in card.measured})
    if label.policy == "gain" and (not measured or label.num_steps not in (None, *measured)):
        wanted = f"`refinement` gain must be of steps that the card of refiner {card.name} has figures of"
        raise InvalidArgumentError(f"{wanted}, {', '.join(map(str, measured)) or 'none'}; got {label!s}.")
    if label.num_steps is not None and label.num_steps > card.num_train_steps:
        wanted = f"in [1, {card.num_train_steps}]"
        raise InvalidArgumentError(f"`steps-N` of refiner {card.name} must be {wanted}; got {label.num_steps}.")
