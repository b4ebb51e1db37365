"""Model files: a safetensors file and the card beside it; the file's SHA-256 is what both sides pair by.

klt.safetensors   tensors only; never a pickle
klt.card.json     what the codec is, what a report costs, what was measured
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import safetensors
import safetensors.torch
import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from torch import Tensor

from shared.digests import read_tensors, sha256_of
from shared.errors import DataFileError, InvalidArgumentError
from shared.network_settings import (
    CodebookSettings,
    CoordinateSettings,
    EigenvectorSettings,
    InvertibleSettings,
    JsccSettings,
    NetworkSettings,
    SirenSettings,
)
from shared.types import CsiShape, Domain

EIGENVECTORS = "eigenvectors"  # tensor of a model that takes them: [rank, num_subbands], as its card says
ZOO = Path(__file__).parent / "zoo"
# A report of variable length has at most MAX_STRETCH * rate + MAX_EXTRA_BITS bits: an entropy code gives more than
# `rate` to a codeword that it takes for unlikely, and a base station must know how much it may be sent. A table of 16
# bits gives an entry at most 16, and one of csi-inr has at least 3 before coding.
MAX_STRETCH, MAX_EXTRA_BITS = 6, 64


class MeasuredNmse(BaseModel):
    """NMSE at one rate over an ideal link, 10 log10 of the mean over reports of the ratio."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: int
    nmse_db: float | None = Field(description="None for an exact reconstruction.")


class MeasuredSgcs(BaseModel):
    """SGCS at one rate over an ideal link, the mean over reports: of a precoder, which has no NMSE."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: int
    sgcs: float


class TrainingRecord(BaseModel):
    """How the weights of a network came to be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    loss: str = Field(description="Loss and stages of the training, or where the weights were published.")
    epochs: float | None = Field(description="Passes over the training split; None for published weights.")
    samples_seen: int | None
    unquantized_nmse_db: float | None = Field(
        default=None,
        description="On the test split, with latents that are not quantised; None where they always are, or `measured` "
        "is that.",
    )


class CodecCard(BaseModel):
    """Card of one model file.

    ``rate`` counts the information bits of a report, or its complex symbols (channel uses) where the payload is
    symbols, exactly: what the card says is what the wire carries. Of a variable length it counts the bits before
    entropy coding, of a codebook the most that a report may have; how many it then has is said beside it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(description="Name of the model, and of its file.")
    codec: str = Field(description="Key in `shared.codecs.CODECS`, or package.module:ENTRY.")
    title: str
    source: str = Field(description="Publication or textbook.")
    sha256: str = Field(pattern="^[0-9a-f]{64}$", description="SHA-256 of the .safetensors file.")
    domain: Domain
    num_rx_ant: int = Field(ge=1)
    num_tx_ant: int = Field(ge=1)
    num_subcarriers: int = Field(ge=1)
    output: Literal["channel", "precoder"] = Field(
        description="What h_hat is: a channel, or conj of the precoder of each layer, which has no NMSE."
    )
    payload: Literal["bits", "symbols"] = Field(default="bits", description="What a report is made of.")
    length: Literal["fixed", "variable"] = Field(
        default="fixed",
        description="Whether a report has exactly `rate` information bits, or as many as its entropy code gives, or "
        "its codebook within `rate`.",
    )
    min_rate: int = Field(ge=1, description="Least information bits, or symbols, of a report.")
    max_rate: int = Field(ge=1, description="Most of them; every integer between is a rate.")
    links: list[str] = Field(description="Links that may carry it.")
    num_parameters: int = Field(
        ge=0, description="Learned weights of the networks; the numbers in the file of a codec that has none."
    )
    encoder_macs: int = Field(ge=0, description="Real multiply-accumulates of one report at `max_rate`.")
    decoder_macs: int = Field(ge=0)
    recipe: str = Field(description="Command that makes the model again.")
    training_data: str
    test_data: str
    measured: list[MeasuredNmse] = Field(description="On `test_data`, ideal link; symbols over AWGN at 80 dB.")
    measured_sgcs: list[MeasuredSgcs] = Field(
        default=[],
        description="Likewise, of a codec that reports a precoder, against `test_data`: channels or eigenvectors.",
    )
    eigenvectors: EigenvectorSettings | None = Field(
        default=None, description="What is encoded in the place of the channel; None: the channel."
    )
    network: NetworkSettings | None = Field(default=None, description="Settings of a codec that is a network.")
    jscc: JsccSettings | None = Field(default=None, description="Settings of a network of joint coding.")
    invertible: InvertibleSettings | None = Field(default=None, description="Settings of an invertible network.")
    coordinates: CoordinateSettings | None = Field(default=None, description="Settings of a coordinate network.")
    siren: SirenSettings | None = Field(default=None, description="Settings of a network that is sent itself.")
    codebook: CodebookSettings | None = Field(default=None, description="Settings of a codebook of the standard.")
    training: TrainingRecord | None = Field(default=None, description="Training of a codec that is a network.")

    @model_validator(mode="after")
    def _links_carry_the_payload(self) -> "CodecCard":
        """Refuse a card whose links carry something else than it sends."""
        if any((link == "analog") != (self.payload == "symbols") for link in self.links):
            raise ValueError(f"`links` of a payload of {self.payload} cannot be {self.links}: analog carries symbols.")
        if self.length == "variable" and self.payload == "symbols":
            raise ValueError("`length` of a payload of symbols cannot be variable: symbols have no entropy code.")
        if self.output == "precoder" and self.measured:
            raise ValueError("`measured` of a precoder must be empty: it has no NMSE; `measured_sgcs` takes its SGCS.")
        if self.eigenvectors is not None:
            self._require_eigenvectors(self.eigenvectors)
        return self

    def _require_eigenvectors(self, wanted: EigenvectorSettings) -> None:
        if self.output != "precoder":
            raise ValueError(f"`output` of eigenvectors must be precoder; got {self.output}.")
        if wanted.rank != self.num_rx_ant or self.num_subcarriers % wanted.num_subbands:
            found = f"rank {wanted.rank} and {wanted.num_subbands} subbands"
            raise ValueError(
                f"`eigenvectors` must have {self.num_rx_ant} layers, and subbands that divide "
                f"{self.num_subcarriers} subcarriers; got {found}."
            )

    @property
    def takes_encode_steps(self) -> bool:
        """Whether the encoder is an optimisation, of which a UE may choose the steps."""
        return self.coordinates is not None or self.siren is not None

    @property
    def shape(self) -> CsiShape:
        """Shape and domain of the channel that it encodes."""
        return CsiShape(self.domain, self.num_rx_ant, self.num_tx_ant, self.num_subcarriers)

    def require_rate(self, rate: int) -> None:
        """Raise unless ``rate`` is one of this model's.

        Raises:
            InvalidArgumentError: Naming the wanted range and the found value.
        """
        if not self.min_rate <= rate <= self.max_rate:
            wanted = f"in [{self.min_rate}, {self.max_rate}]" if self.min_rate < self.max_rate else f"{self.min_rate}"
            raise InvalidArgumentError(f"`rate` of codec {self.name} must be {wanted} {self.payload}; got {rate}.")

    def num_bits_range(self, rate: int) -> tuple[int, int]:
        """Return the least and the most information bits that a report may have; one of symbols has none."""
        if self.payload == "symbols":
            return 0, 0
        if self.codebook is not None:
            return 1, rate
        return (1, MAX_STRETCH * rate + MAX_EXTRA_BITS) if self.length == "variable" else (rate, rate)

    def require_link(self, family: str, label: str) -> None:
        """Raise unless links of ``family`` may carry this codec; ``label`` is for the sentence.

        Raises:
            InvalidArgumentError: Naming the links that may.
        """
        if family not in self.links:
            raise InvalidArgumentError(f"`link` of codec {self.name} must be {' or '.join(self.links)}; got {label}.")


@dataclass(frozen=True, slots=True)
class ModelFile:
    """A model in memory.

    Attributes:
        card: Its card.
        tensors: Name -> tensor, on the host.
    """

    card: CodecCard
    tensors: dict[str, Tensor]


def zoo_names() -> list[str]:
    """Return the names of the models that ship with csilink."""
    return sorted(path.name.removesuffix(".card.json") for path in ZOO.glob("*.card.json"))


def load_model(name_or_path: str, option: str = "codec") -> ModelFile:
    """Load a model of the zoo by name, or a .safetensors file (with its card beside it) by path.

    Args:
        name_or_path: Which.
        option: What it was given as, for the sentence that refuses it.

    Raises:
        DataFileError: If there is no such model, or file and card do not belong together.
    """
    path = ZOO / f"{name_or_path}.safetensors" if name_or_path in zoo_names() else Path(name_or_path)
    if path.suffix == ".safetensors" and not path.exists():
        raise DataFileError(f"`{option}` must be a file that exists; got {name_or_path!r}.")
    if path.suffix != ".safetensors" or not path.is_file():
        names = ", ".join(zoo_names())
        raise DataFileError(
            f"`{option}` must be a model of the zoo ({names}), a .safetensors file or package.module:ENTRY; "
            f"got {name_or_path!r}."
        )
    card = read_codec_card(path.with_suffix(".card.json"))
    model = ModelFile(card, read_tensors(path, card.sha256))
    _require_one_input(model)
    return model


def eigenvectors_tensor(settings: EigenvectorSettings) -> Tensor:
    """Return what a model file says of its eigenvectors, [2] int64: layers, subbands. Both sides pair by the file."""
    return torch.tensor([settings.rank, settings.num_subbands])


def _require_one_input(model: ModelFile) -> None:
    """Raise unless card and file say the same of the eigenvectors that a model takes.

    Raises:
        DataFileError: Naming the wanted and the found.
    """
    wanted, found = model.card.eigenvectors, model.tensors.get(EIGENVECTORS)
    held = None if found is None else found.tolist()
    if held != (None if wanted is None else [wanted.rank, wanted.num_subbands]):
        told = "none" if wanted is None else f"[{wanted.rank}, {wanted.num_subbands}]"
        raise DataFileError(
            f"tensor {EIGENVECTORS} of model {model.card.name} must be {told}, by its card; got {held}."
        )


def read_codec_card(path: Path) -> CodecCard:
    """Read a codec card.

    Raises:
        DataFileError: If the file is not a codec card.
    """
    try:
        return CodecCard.model_validate_json(path.read_bytes())
    except (OSError, ValidationError) as error:
        raise DataFileError(f"`{path}` is not a codec card: {error}") from error


def save_model(model: ModelFile, folder: Path) -> ModelFile:
    """Write model file and card; the card's digest and count of numbers are filled in from the file.

    Returns:
        The model with the card as written.

    Raises:
        DataFileError: If another kind of card, a data set's, has the name already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{model.card.name}.safetensors"
    if path.with_suffix(".card.json").is_file():
        read_codec_card(path.with_suffix(".card.json"))
    path.write_bytes(safetensors.torch.save(model.tensors))  # `save_file` would make it readable by its owner only
    count = count_parameters(model.tensors)
    card = model.card.model_copy(update={"sha256": sha256_of(path), "num_parameters": count})
    path.with_suffix(".card.json").write_text(card.model_dump_json(indent=2) + "\n")
    return ModelFile(card, model.tensors)


def count_parameters(tensors: dict[str, Tensor]) -> int:
    """Count a model file's parameters as papers do: the learned weights of its networks.

    Tensors of networks are named `network.*`; the running statistics of batch norm are not learned. A file without a
    network is counted whole, but for what it says of its input.
    """
    learned = {name: tensor for name, tensor in tensors.items() if name != EIGENVECTORS}
    weights = {name: tensor for name, tensor in learned.items() if name.startswith("network.")} or learned
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return sum(math.prod(tensor.shape) for name, tensor in weights.items() if not name.endswith(statistics))
