"""The card of a data set: what it holds, who made it, and the digest that both sides of the link pair by."""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from shared.errors import DataFileError
from shared.types import CsiShape, Domain


class DatasetCard(BaseModel):
    """Card of one data file, stored beside it as ``<name>.card.json``."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name by which commands find the file.")
    title: str = Field(description="One line for people.")
    file: str = Field(description="File name, beside the card.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the file.")
    num_channels: int = Field(ge=1)
    domain: Domain
    num_rx_ant: int = Field(ge=1)
    num_tx_ant: int = Field(ge=1)
    num_subcarriers: int = Field(ge=1, description="Subcarriers, or delay taps in the angular-delay domain.")
    storage: str = Field(description="How the file stores a channel.")
    time_correlation: bool = Field(description="Whether consecutive reports of a UE are correlated in time.")
    crop_loss: float | None = Field(
        description="Mean share of the uncropped channel's energy that the crop leaves out."
    )
    generator: str = Field(description="Program and version that made it.")
    source: str = Field(description="Model, clause or publication.")
    configuration: dict[str, str | int | float | list[float]] = Field(description="Settings of the generator.")
    recipe: str = Field(description="Command that makes the file again.")
    licence: str

    @property
    def shape(self) -> CsiShape:
        """Shape and domain of one channel."""
        return CsiShape(self.domain, self.num_rx_ant, self.num_tx_ant, self.num_subcarriers)


def write_dataset_card(path: Path, card: DatasetCard) -> None:
    """Write a card beside its data file ``path``."""
    path.with_suffix(".card.json").write_text(card.model_dump_json(indent=2) + "\n")


def read_dataset_card(path: Path) -> DatasetCard:
    """Read a card.

    Raises:
        DataFileError: If the file is not a data set card.
    """
    try:
        return DatasetCard.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataFileError(f"`{path}` is not a data set card: {error}") from error
