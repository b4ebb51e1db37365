"""Meta-learned starts on disk: a safetensors file and the card beside it; encoder and decoder must hold the same.

start.safetensors   weights.<name>, rates.<name>; never a pickle
start.card.json     architecture, grid, what it was learned from and how well
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import safetensors
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.digests import sha256_of
from shared.errors import DataFileError, InvalidArgumentError
from shared.inr.meta_siren import MetaStart, require_start
from shared.inr.siren import SirenShape


class StartCard(BaseModel):
    """What a start is for."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    width: int
    num_hidden: int
    num_outputs: int
    num_frequencies: int
    spacing: float
    omega_0: float
    num_coordinates: int = 2
    inner_steps: int = Field(ge=0, le=100, description="k, steps of the inner loop.")
    num_rows: int = Field(ge=1, description="Of the grid it was learned on.")
    num_columns: int = Field(ge=1, description="Of the grid it was learned on.")
    trained_on: str = Field(description="The signals it was learned from.")
    validation_loss: float = Field(description="Mean squared error after the inner steps, of signals held back.")
    recipe: str = Field(description="The command that made it.")
    sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")

    def shape(self) -> SirenShape:
        """Return the architecture."""
        return SirenShape(**{field: getattr(self, field) for field in SirenShape.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class StartFile:
    """A start and its card."""

    card: StartCard
    start: MetaStart


def write_start(path: Path, card: StartCard, start: MetaStart) -> StartFile:
    """Write a start and its card.

    Args:
        path: ``*.safetensors``.
        card: Without the digest, which is the file's.
        start: What was learned.
    """
    tensors = {f"weights.{name}": tensor.contiguous() for name, tensor in start.weights.items()}
    tensors |= {f"rates.{name}": tensor.contiguous() for name, tensor in start.rates.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(safetensors.torch.save(tensors))
    card = card.model_copy(update={"sha256": sha256_of(path)})
    path.with_suffix(".card.json").write_text(card.model_dump_json(indent=2) + "\n")
    return StartFile(card, start)


def read_start(path: Path) -> StartFile:
    """Read a start and its card.

    Raises:
        DataFileError: If one of them is missing, foreign, truncated or altered.
    """
    card_path = path.with_suffix(".card.json")
    for found in (path, card_path):
        if not found.is_file():
            raise DataFileError(f"`start` must be a file that exists, its card beside it; `{found}` is not there.")
    try:
        card = StartCard.model_validate_json(card_path.read_bytes())
        tensors = safetensors.torch.load(path.read_bytes())
    except (ValidationError, safetensors.SafetensorError) as error:
        raise DataFileError(f"`start` must be a meta-learned start and its card; {path}: {error}") from error
    if sha256_of(path) != card.sha256:
        raise DataFileError(f"`start` must be the file that its card tells; the SHA-256 of `{path}` is another.")
    weights, rates = (
        {name.removeprefix(f"{kind}."): tensor for name, tensor in tensors.items() if name.startswith(f"{kind}.")}
        for kind in ("weights", "rates")
    )
    ordered = {name: weights[name] for name in card.shape().tensors if name in weights}
    if rates.keys() != weights.keys():
        raise DataFileError(f"`start` must hold a rate for each tensor; `{path}` does not.")
    start = MetaStart(ordered, rates, card.inner_steps)
    try:
        require_start(card.shape(), start)
    except InvalidArgumentError as error:
        raise DataFileError(f"`start` must be a start of its card's architecture; {path}: {error}") from None
    return StartFile(card, start)


def card_of(shape: SirenShape, **fields: object) -> StartCard:
    """Return a card from an architecture and the other fields."""
    return StartCard.model_validate({**asdict(shape), **fields})
