"""Whether a UE and the base station go together: protocol, model, refiner, what a session asks for."""

import re
import uuid
from collections.abc import Mapping

from bs_server.sessions import Session
from shared.errors import InvalidArgumentError, ModelMismatchError
from shared.estimation import require_estimation
from shared.frame import FIRST_PROTOCOL_VERSION, PROTOCOL_VERSION, SessionRequest
from shared.links import make_link
from shared.model_files import CodecCard
from shared.refinement import RefinerCard
from shared.types import Fallback

SHOWN_DIGITS = 12  # of a SHA-256, in sentences
_BROUGHT = {  # by a protocol version
    2: "an estimator other than perfect, a `cnr_db`, a `downlink_snr_db`, `num_subbands` or `fallback` last",
    3: "a `refinement` other than never, or a `run`",
    4: "`variable_length`",
}


def paired_card(request: SessionRequest, models: Mapping[str, CodecCard], replicas: int) -> CodecCard:
    """Return the card of the model that both sides hold.

    Args:
        request: What a UE asks for.
        models: Model digest -> card, of every model that is held.
        replicas: That decode.

    Raises:
        InvalidArgumentError: If the request is malformed.
        ModelMismatchError: If protocol, model or shape do not agree.
    """
    first, last, version = FIRST_PROTOCOL_VERSION, PROTOCOL_VERSION, request.protocol_version
    if not first <= version <= last:
        raise ModelMismatchError(f"`protocol_version` must be {first} to {last}; got {version}.")
    if version < (needed := request.needs_version):
        brought = _BROUGHT[needed]
        raise InvalidArgumentError(f"`protocol_version` must be {needed} with {brought}; got {version}.")
    if not is_uuid(request.session_id):
        raise InvalidArgumentError(f"`session_id` must be a UUID; got {request.session_id[:64]!r}.")
    if not re.fullmatch("([0-9a-f]{64})?", request.dataset_sha256):
        found = request.dataset_sha256[:80]
        raise InvalidArgumentError(f"`dataset_sha256` must be 64 hexadecimal digits or empty; got {found!r}.")
    card = models.get(request.model_sha256)
    if card is None or card.name != request.codec:
        raise _not_held(models, request.codec[:64], request.model_sha256[:SHOWN_DIGITS])
    if request.shape != card.shape:
        raise ModelMismatchError(f"`shape` of codec {card.name} must be {card.shape}; got {request.shape}.")
    if request.variable_length != (card.length == "variable"):
        wanted, found = ("true", "false") if card.length == "variable" else ("false", "true")
        raise ModelMismatchError(f"`variable_length` of codec {card.name} must be {wanted}; got {found}.")
    card.require_link(make_link(request.link).family, request.link)
    require_last_good_fits(request.fallback, replicas)
    require_estimation(request.estimator, request.cnr_db)
    request.scoring.require_fit(card.shape)
    return card


def require_last_good_fits(fallback: Fallback, replicas: int) -> None:
    """Refuse to hold a UE's last good CSI where several replicas decode.

    Raises:
        InvalidArgumentError: If it is asked for there.
    """
    if fallback == "last" and replicas > 1:
        raise InvalidArgumentError(
            "`fallback` must be mean at a base station of several replicas, none of which knows what the others "
            "decoded last; got last."
        )


def require_its_refiner(session: Session, held: RefinerCard | None) -> None:
    """Refuse to go on with another refiner of the same name; a session of store version 5 does not say which it was.

    Raises:
        ModelMismatchError: If it is another.
    """
    if held is not None and session.refiner_sha256 not in ("", held.sha256):
        opened_with, is_held = session.refiner_sha256[:SHOWN_DIGITS], held.sha256[:SHOWN_DIGITS]
        wanted = f"`refinement` {session.refinement} must be by the refiner that the session was opened with"
        raise ModelMismatchError(f"{wanted}, {opened_with}...; the base station holds {held.name}, {is_held}...")


def is_uuid(text: str) -> bool:
    """Return whether a text is a UUID as a session has one: lower case, with hyphens."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def _not_held(models: Mapping[str, CodecCard], codec: str, digest: str) -> ModelMismatchError:
    """Return what to say of a model that is not here, and how it would be."""
    held = {card.name: card.sha256[:SHOWN_DIGITS] for card in models.values()}
    if codec in held:
        wanted = f"`codec` {codec!r} must be the model file that the base station holds, {held[codec]}..."
        return ModelMismatchError(f"{wanted}; got {digest}...")
    return ModelMismatchError(
        f"`codec` must be one that the base station holds, {', '.join(held)}; got {codec!r}, {digest}... It would "
        "hold it when started with `csi-bs serve --model FILE`."
    )
