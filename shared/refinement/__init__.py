"""Refinement of what a decoder made, behind any codec. A new kind is one file here and one line in `REFINERS`."""

import torch

from shared.refinement.base import Refiner, RefinerEntry
from shared.refinement.card import RefinerCard, RefinerFile, RefinerKind, load_refiner, refiner_names, save_refiner
from shared.refinement.diffusion import DiffusionRefiner

REFINERS: dict[RefinerKind, RefinerEntry] = {
    "residual": RefinerEntry(
        DiffusionRefiner, "Residual diffusion: starts from the coarse channel (RD-JSCC)", "Ankireddy et al., 2025"
    ),
    "generative": RefinerEntry(
        DiffusionRefiner,
        "Generative diffusion: starts from noise (GD-JSCC)",
        "Kim et al., 2025; Ankireddy et al., 2025",
    ),
}

__all__ = [
    "REFINERS",
    "Refiner",
    "RefinerCard",
    "RefinerEntry",
    "RefinerFile",
    "load_refiner",
    "make_refiner",
    "refiner_names",
    "save_refiner",
]


def make_refiner(refiner: RefinerFile, device: torch.device) -> Refiner:
    """Build a refiner.

    Raises:
        DataFileError: If the file is not what its card says.
    """
    return REFINERS[refiner.card.kind].build(refiner, device)
