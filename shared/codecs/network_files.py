"""What every codec that is a network asks of its model file, and says of what its network made."""

from collections.abc import Callable
from typing import TypeVar

import torch
from pydantic import BaseModel
from torch import Tensor

from shared.errors import DataFileError
from shared.model_files import ModelFile
from shared.transforms import from_planes
from shared.types import CsiShape, Reconstruction

Settings = TypeVar("Settings", bound=BaseModel)

SHAPE = CsiShape("angular-delay", 1, 32, 32)  # what the networks take
DTYPES = (torch.float32, torch.complex64, torch.int64)  # of the tensors in a model file


def require_finite(model: ModelFile) -> None:
    """Raise unless every tensor of a model is finite and of a dtype that networks have.

    Raises:
        DataFileError: Naming the tensor.
    """
    for name, tensor in model.tensors.items():
        if tensor.dtype not in DTYPES or not torch.isfinite(tensor).all():
            wanted = " or ".join(str(dtype) for dtype in DTYPES)
            raise DataFileError(f"tensor {name} of model {model.card.name} must be finite {wanted}; it is not.")


def require_rates(model: ModelFile, low: int, high: int) -> None:
    """Raise unless the rates of a card are those that its settings give.

    Raises:
        DataFileError: Naming the wanted and the found rates.
    """
    card = model.card
    if (card.min_rate, card.max_rate) != (low, high):
        found = f"{card.min_rate} ... {card.max_rate}"
        raise DataFileError(f"rates of model {card.name} must be {low} ... {high}; its card says {found}.")


def require_settings(
    model: ModelFile, settings: Settings | None, rate_range: Callable[[Settings], tuple[int, int]], what: str
) -> Settings:
    """Return the settings of a model's card, if shape, rates and tensors are what its network has.

    Args:
        model: The model.
        settings: Of its card, those of the kind of network.
        rate_range: Least and most rate of a network of some settings.
        what: The model must be, "an invertible network" say.

    Raises:
        DataFileError: Naming what is wanted and found.
    """
    card = model.card
    if settings is None or card.shape != SHAPE:
        raise DataFileError(f"model {card.name} must be {what} for {SHAPE}; its card says not.")
    require_rates(model, *rate_range(settings))
    require_finite(model)
    return settings


def mean_csi(model: ModelFile, device: torch.device) -> Tensor:
    """Return the mean channel of a model, [1, 32, 32] complex64, which a lost report becomes.

    Raises:
        DataFileError: If the tensor ``mean`` is of another shape or dtype.
        KeyError: If it is missing.
    """
    mean = model.tensors["mean"]
    if tuple(mean.shape) != SHAPE.dims or mean.dtype != torch.complex64:
        found = f"{list(mean.shape)} {mean.dtype}"
        raise DataFileError(f"`mean` of model {model.card.name} must be {list(SHAPE.dims)} complex64; got {found}.")
    return mean.to(device)


def reconstruction(planes: Tensor) -> Reconstruction:
    """Return what a network made, ``[batch, 2, 32, 32]`` float32; where it is not finite, it is not valid."""
    h_hat = from_planes(planes)
    finite = torch.isfinite(torch.view_as_real(h_hat)).flatten(1).all(dim=1)
    return Reconstruction(torch.where(finite[:, None, None, None], h_hat, 0), finite.cpu().numpy())
