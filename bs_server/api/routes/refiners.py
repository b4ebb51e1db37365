"""The refiners that the base station holds."""

from fastapi import APIRouter

from bs_server.api.deps import UsesContext
from shared.errors import NotFoundError
from shared.refinement import RefinerCard

router = APIRouter(prefix="/v1/refiners", tags=["refiners"])


@router.get("")
async def refiners(context: UsesContext) -> list[RefinerCard]:
    """The card of every refiner held."""
    return context.refiners


@router.get("/{name}")
async def refiner(name: str, context: UsesContext) -> RefinerCard:
    """The card of one refiner."""
    for card in context.refiners:
        if card.name == name:
            return card
    names = ", ".join(card.name for card in context.refiners) or "none"
    raise NotFoundError(f"`name` must be one of {names}; got {name!r}.")
