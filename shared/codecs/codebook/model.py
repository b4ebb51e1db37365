"""The model file of a codebook: no weights, but its settings, so that the digest of both sides covers them."""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from shared.codecs.codebook.layers import require_codebook
from shared.errors import DataFileError, InvalidArgumentError
from shared.model_files import ModelFile
from shared.network_settings import CodebookSettings
from shared.types import CsiShape

TYPES = {"type1": 1, "etype2": 2}  # of a codec, in the file
PORT_MAPPINGS = {"single": 1, "dual": 2}
DOMAINS = {"spatial-frequency": 1, "angular-delay": 2}


class Format(Protocol):
    """A configuration of a codebook."""

    @property
    def max_bits(self) -> int:
        """Most bits that a report may have."""


OneFormat = TypeVar("OneFormat", bound=Format)


def codebook_tensor(codec: str, shape: CsiShape, settings: CodebookSettings) -> Tensor:
    """Return the tensor `codebook` of a model file.

    Returns:
        [8] int64: type, rank, subbands, port mapping; UE antennas, BS antennas, subcarriers and domain of the channels.
    """
    numbers = [TYPES[codec], settings.rank, settings.num_subbands, PORT_MAPPINGS[settings.port_mapping]]
    return torch.tensor([*numbers, *shape.dims, DOMAINS[shape.domain]])


def format_within(formats: Sequence[OneFormat], rate: int) -> OneFormat:
    """Return the last configuration, of some in the order of their bits, all of whose reports a rate has room for."""
    return [form for form in formats if form.max_bits <= rate][-1]


def require_rates(model: ModelFile, formats: Sequence[Format]) -> None:
    """Raise unless the card's rates begin and end with those of the configurations.

    Raises:
        DataFileError: Naming the wanted and the found.
    """
    wanted, card = (formats[0].max_bits, formats[-1].max_bits), model.card
    if (card.min_rate, card.max_rate) != wanted:
        found = f"{card.min_rate} and {card.max_rate}"
        raise DataFileError(
            f"`min_rate` and `max_rate` of model {card.name} must be {wanted[0]} and {wanted[1]}; got {found}."
        )


def settings_of(model: ModelFile, codec: str) -> CodebookSettings:
    """Return the settings of a model, which must be a codebook's.

    Args:
        model: File and card.
        codec: `type1` or `etype2`.

    Raises:
        DataFileError: If the card has none, they are not those of its file, or they do not fit its channels.
    """
    card, settings = model.card, model.card.codebook
    if settings is None or card.output != "precoder" or card.length != "variable":
        raise DataFileError(
            f"the card of model {card.name} must have settings `codebook`, `output` precoder and `length` variable."
        )
    wanted, found = (x.tolist() for x in (codebook_tensor(codec, card.shape, settings), model.tensors["codebook"]))
    if wanted != found:
        raise DataFileError(
            f"`codebook` of model {card.name} must be {wanted}, as its card says; its file has {found}."
        )
    try:
        require_codebook(card.shape, settings)
    except InvalidArgumentError as error:
        raise DataFileError(f"the card of model {card.name}: {error}") from None
    return settings
