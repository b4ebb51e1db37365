"""The codecs that the base station holds."""

from fastapi import APIRouter

from bs_server.api.deps import UsesContext
from shared.errors import NotFoundError
from shared.model_files import CodecCard

router = APIRouter(prefix="/v1/codecs", tags=["codecs"])


@router.get("")
async def codecs(context: UsesContext) -> list[CodecCard]:
    """The card of every model held."""
    return context.cards()


@router.get("/{name}")
async def codec(name: str, context: UsesContext) -> CodecCard:
    """The card of one model; the newer of two that are held."""
    for card in reversed(context.cards()):
        if card.name == name:
            return card
    names = ", ".join(card.name for card in context.cards())
    raise NotFoundError(f"`name` must be one of {names}; got {name!r}.")
