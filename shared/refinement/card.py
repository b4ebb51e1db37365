"""Refiner files: a safetensors file and the card beside it, for the base station alone.

rd-umi-nlos.safetensors   the U-Net's weights
rd-umi-nlos.card.json     behind which codec, by which schedule, what was gained at which SNR with how many steps

A refiner belongs to the model that it was trained behind, by digest. The UE never sees it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from shared.digests import read_tensors, sha256_of
from shared.errors import DataFileError
from shared.model_files import TrainingRecord, count_parameters
from shared.network_settings import UNetSettings
from shared.refinement.schedule import ScheduleName
from shared.types import CsiShape, Domain

REFINER_ZOO = Path(__file__).parents[1] / "zoo" / "refiners"

RefinerKind = Literal["residual", "generative"]


NAME_PATTERN = "^[a-z0-9][a-z0-9.-]*$"  # a label names it


class MeasuredGain(BaseModel):
    """What refinement did to the test split at one SNR of the feedback link with one number of steps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    snr_db: float
    num_steps: int = Field(ge=1)
    nmse_coarse_db: float = Field(description="Before it: 10 log10 of the mean NMSE of the codec's own output.")
    nmse_db: float = Field(description="After it.")
    nmse_scaled_db: float | None = Field(
        default=None, description="Of the codec's output times one number, the best for all reports: no network."
    )
    ms_per_report: float = Field(gt=0, description="Time on the machine of the measurement, in batches of 64.")

    @property
    def gain_db_per_ms(self) -> float:
        """NMSE gain of a millisecond, dB; negative where it harms."""
        return (self.nmse_coarse_db - self.nmse_db) / self.ms_per_report


class RefinerCard(BaseModel):
    """Card of one refiner file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=NAME_PATTERN, description="Name of the refiner, and of its file.")
    kind: RefinerKind = Field(description="Key in `shared.refinement.REFINERS`.")
    title: str
    source: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the .safetensors file.")
    codec: str = Field(description="Name of the model that it refines.")
    codec_sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of that model's file.")
    domain: Domain
    num_rx_ant: int = Field(ge=1)
    num_tx_ant: int = Field(ge=1)
    num_subcarriers: int = Field(ge=1)
    rate: int = Field(ge=1, description="Rate of the reports that it was trained on.")
    link: str = Field(description="Label of the link that it was trained behind.")
    snr_db: tuple[float, float] = Field(description="SNRs of that link; beyond, it sees the nearest.")
    schedule: ScheduleName
    num_train_steps: int = Field(ge=1, le=1000, description="N.")
    final_abar: float = Field(description="abar_N: share of the coarse channel's power where the sampler starts.")
    unet: UNetSettings
    num_parameters: int = Field(ge=0)
    macs_per_step: int = Field(ge=0, description="Real multiply-accumulates of one step of one report.")
    recipe: str
    training_data: str
    test_data: str
    training: TrainingRecord
    measured: list[MeasuredGain] = Field(
        description="On `test_data`, over `link`, at `rate`, the UE knows its channel."
    )

    @model_validator(mode="after")
    def _starts_where_it_was_trained(self) -> "RefinerCard":
        """Refuse a generative refiner whose schedule does not end in noise, from which it starts."""
        if self.kind == "generative" and self.schedule != "cosine":
            raise ValueError(f"`schedule` of a generative refiner must be cosine; got {self.schedule}.")
        return self

    @property
    def shape(self) -> CsiShape:
        """Shape and domain of the channel that it refines."""
        return CsiShape(self.domain, self.num_rx_ant, self.num_tx_ant, self.num_subcarriers)


@dataclass(frozen=True, slots=True)
class RefinerFile:
    """A refiner in memory.

    Attributes:
        card: Its card.
        tensors: Name -> tensor, on the host.
    """

    card: RefinerCard
    tensors: dict[str, Tensor]


def refiner_names() -> list[str]:
    """Return the names of the refiners that ship with csilink."""
    return sorted(path.name.removesuffix(".card.json") for path in REFINER_ZOO.glob("*.card.json"))


def load_refiner(name_or_path: str, option: str = "refiner") -> RefinerFile:
    """Load a shipped refiner by name, or a .safetensors file (with its card beside it) by path.

    Args:
        name_or_path: Which.
        option: What it was given as, for the sentence that refuses it.

    Raises:
        DataFileError: If there is no such refiner, or file and card do not belong together.
    """
    shipped = name_or_path in refiner_names()
    path = REFINER_ZOO / f"{name_or_path}.safetensors" if shipped else Path(name_or_path)
    if path.suffix != ".safetensors" or not path.is_file():
        names = ", ".join(refiner_names()) or "none ship"
        raise DataFileError(
            f"`{option}` must be a shipped refiner ({names}) or a .safetensors file that exists; got {name_or_path!r}."
        )
    card_path = path.with_suffix(".card.json")
    try:
        card = RefinerCard.model_validate_json(card_path.read_bytes())
    except OSError as error:
        raise DataFileError(f"`{card_path}` is not the card of a refiner: {error}") from error
    except ValidationError as error:
        lacking = ", ".join(sorted({str(one["loc"][0]) for one in error.errors() if one["loc"]})[:5])
        raise DataFileError(f"`{card_path}` is not the card of a refiner: see its {lacking}.") from error
    return RefinerFile(card, read_tensors(path, card.sha256))


def save_refiner(refiner: RefinerFile, folder: Path) -> RefinerFile:
    """Write file and card; the card's digest and count of parameters are filled in from the file.

    Returns:
        The refiner with the card as written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{refiner.card.name}.safetensors"
    path.write_bytes(safetensors.torch.save(refiner.tensors))
    count = count_parameters(refiner.tensors)
    card = refiner.card.model_copy(update={"sha256": sha256_of(path), "num_parameters": count})
    path.with_suffix(".card.json").write_text(card.model_dump_json(indent=2) + "\n")
    return RefinerFile(card, refiner.tensors)
