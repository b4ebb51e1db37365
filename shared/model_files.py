"""Model files: a safetensors file and the card beside it; the file's SHA-256 is what both sides pair by.

klt.safetensors   tensors only; never a pickle
klt.card.json     what the codec is, what a report costs, what was measured
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import safetensors
import safetensors.torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator
from torch import Tensor

from shared.digests import sha256_of
from shared.errors import DataFileError, InvalidArgumentError
from shared.types import CsiShape, Domain

ZOO = Path(__file__).parent / "zoo"
# A report of variable length has at most MAX_STRETCH * rate + MAX_EXTRA_BITS bits: an entropy code gives more than
# `rate` to a codeword that it takes for unlikely, and a base station must know how much it may be sent. A table of 16
# bits gives an entry at most 16, and one of csi-inr has at least 3 before coding.
MAX_STRETCH, MAX_EXTRA_BITS = 6, 64
MAX_WEIGHTS = 100_000  # of a network that is sent itself: the base station decodes some 50,000 a second


class MeasuredNmse(BaseModel):
    """NMSE at one rate over an ideal link, 10 log10 of the mean over reports of the ratio."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rate: int
    nmse_db: float | None = Field(description="None for an exact reconstruction.")


class NetworkSettings(BaseModel):
    """What a network needs beside its weights."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_latents: int = Field(ge=1, le=2048, description="Codeword size, in reals.")
    scaling: Literal["peak", "power"] = Field(
        description="`peak`: CsiNet's 0.5 / max|x| about 0.5, the peak sent in 8 bits. `power`: unit mean power."
    )
    quantizer: Literal["uniform", "mu-law"] = Field(description="Of the latents, 1 to 8 bits each.")
    norm_axis: Literal["channel", "delay"] = Field(default="channel", description="What batch norm has a mean for.")
    final_norm: bool = Field(default=True, description="Whether batch norm follows csinet's last convolution.")


class UNetSettings(BaseModel):
    """Size of a U-Net, see `shared.networks.unet`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(ge=8, le=512, multiple_of=8, description="Channels of the first level.")
    multipliers: tuple[Annotated[int, Field(ge=1, le=16)], ...] = Field(min_length=1, max_length=6)
    num_blocks: int = Field(ge=1, le=8, description="Blocks of a level on each way.")


class JsccSettings(BaseModel):
    """What a network of joint source-channel coding needs beside its weights, see `shared.codecs.jscc.network`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_symbols: int = Field(ge=1, le=1024, description="Complex symbols of the longest report; 2 latents each.")
    prefixes: tuple[Annotated[int, Field(ge=1)], ...] = Field(
        default=(), description="Symbols of each rate it was trained for, increasing; empty: num_symbols alone."
    )
    prefix_weights: Literal["length", "equal"] = Field(
        default="length",
        description="Of the prefixes' losses: by their length (the public settings), or equal (eq. 12).",
    )
    encoder_layers: Literal[2, 4] = 4
    snr_adaptation: bool = True
    num_blocks: int = Field(default=5, ge=1, le=64, description="Residual blocks of the decoder.")
    block_channels: tuple[Annotated[int, Field(ge=1, le=1024)], Annotated[int, Field(ge=1, le=1024)]] = (16, 24)
    unet: UNetSettings | None = Field(default=None, description="U-Net behind the decoder, trained end to end.")
    snr_db: tuple[float, float] = Field(
        default=(-10.0, 10.0), description="Es/N0 per antenna that it was trained for; beyond, it sees the nearest."
    )
    bits_per_real: int | None = Field(
        default=None, ge=2, le=8, description="Of the mu-law quantiser of each latent; None: symbols, not bits."
    )

    @model_validator(mode="after")
    def _fits_together(self) -> "JsccSettings":
        """Refuse prefixes that are no nested rates, bits that have several, and a range of SNRs that is none."""
        if not -100 <= self.snr_db[0] <= self.snr_db[1] <= 100:
            raise ValueError(f"`snr_db` must be a lowest and a highest in [-100, 100]; got {list(self.snr_db)}.")
        if self.prefixes and (
            list(self.prefixes) != sorted(set(self.prefixes)) or self.prefixes[-1] != self.num_symbols
        ):
            raise ValueError(f"`prefixes` must increase to num_symbols, {self.num_symbols}; got {list(self.prefixes)}.")
        if self.prefixes and self.bits_per_real is not None:
            raise ValueError("`prefixes` must be empty with `bits_per_real`.")
        return self


class InvertibleSettings(BaseModel):
    """What an invertible network needs beside its weights, see `shared.codecs.invcsinet`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_latents: int = Field(ge=16, le=2032, multiple_of=16, description="Codeword size M, in reals.")
    bits: tuple[Annotated[int, Field(ge=1, le=8)], Annotated[int, Field(ge=1, le=8)]] = Field(
        description="Bits of an entry of the codeword, least and most."
    )
    labels: Literal["natural", "gray"] = Field(description="Of the points of an entry, on the wire.")
    num_blocks: int = Field(default=3, ge=1, le=64, description="Invertible blocks.")
    auxiliary: Literal["mean", "sample"] = Field(
        default="mean", description="Decoded with the mean of the auxiliary variable, or a sample of it."
    )

    @field_validator("bits")
    @classmethod
    def _in_order(cls, bits: tuple[int, int]) -> tuple[int, int]:
        """Refuse bits that are no range."""
        if bits[0] > bits[1]:
            raise ValueError("must be a least and a most")
        return bits


class CoordinateSettings(BaseModel):
    """What a coordinate network with codewords needs beside its weights, see `shared.codecs.csi_inr`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_latents: int = Field(ge=1, le=1024, description="Codeword size n, in reals.")
    width: int = Field(ge=1, le=4096, description="d, of a layer.")
    num_layers: int = Field(ge=1, le=64, description="Layers of sines.")
    omega_0: float = Field(default=50.0, gt=0, description="Scale inside the sines.")
    deviation: float = Field(default=10.0, gt=0, description="sigma_b of the Fourier features, cycles over the grid.")
    inner_steps: int = Field(default=3, ge=1, le=64, description="s, of the training, and of a UE that asks for none.")
    inner_rate: float = Field(default=1e3, gt=0, description="alpha, where the training started.")
    learned_rates: bool = Field(default=True, description="Whether alpha was learned, for each entry and step.")
    coding: Literal["uniform", "entropy", "analog"] = Field(
        default="uniform", description="Of the codeword: bits of equal number, entropy-coded ones, or symbols."
    )

    @field_validator("coding")
    @classmethod
    def _has_whole_symbols(cls, coding: str, fields: ValidationInfo) -> str:
        """Refuse symbols of codewords that have half a one."""
        num_latents = fields.data.get("num_latents", 0)
        if coding == "analog" and num_latents % 2:
            raise ValueError(f"analog needs an even `num_latents`, two a symbol, not {num_latents}")
        return coding


class SirenSettings(BaseModel):
    """How a channel becomes the weights of a network, and those bits, see `shared.codecs.inric`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = Field(ge=1, le=1024, description="Neurons of a layer.")
    num_hidden: int = Field(ge=0, le=32, description="Layers of sines behind the first.")
    num_frequencies: int = Field(ge=0, le=64, description="Of the positional encoding; 0: none.")
    spacing: float = Field(default=1.4, gt=0, description="sigma of the positional encoding.")
    omega_0: float = Field(default=30.0, gt=0, description="Scale inside the sines.")
    inner_steps: int = Field(ge=0, le=100, description="k, from the meta-learned start; 0: the start is random.")
    steps: int = Field(ge=1, description="Of overfitting, of a UE that asks for none.")
    l1: float = Field(default=1e-5, ge=0, description="lambda, of the L1 norm of what is sent.")
    bits: tuple[Annotated[int, Field(ge=1, le=16)], Annotated[int, Field(ge=1, le=16)]] = Field(
        description="Of a weight, or of CoINR's values, least and most."
    )
    stage: Literal["rounded", "adaround", "retrained", "adaround-retrained"] = Field(
        default="rounded", description="What becomes of the weights before they are sent."
    )
    adaround_steps: int = Field(default=1000, ge=1, description="Iterations of AdaRound, for each layer.")
    sparse_share: float | None = Field(
        default=None, gt=0, le=0.5, description="CoINR: atoms of a vector, as a share of its length; None: not sparse."
    )
    seed: int = Field(default=1, ge=0, le=65_535, description="Of the random start, AdaRound, the dictionary.")

    @model_validator(mode="after")
    def _fits_together(self) -> "SirenSettings":
        """Refuse bits that are no range, or that CoINR's values cannot have."""
        inputs = 2 * (2 * self.num_frequencies + 1)
        num_weights = (inputs + 1 + self.num_hidden * (self.width + 1) + 2) * self.width + 2
        if num_weights > MAX_WEIGHTS:
            raise ValueError(
                f"width and layers must give at most {MAX_WEIGHTS} weights, of seconds each; got {num_weights}"
            )
        least = 1 if self.sparse_share is None else 2
        if not least <= self.bits[0] <= self.bits[1]:
            raise ValueError(f"`bits` must be a least, {least} or more, and a most; got {list(self.bits)}")
        return self


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
    entropy coding; how many a report then has is said beside it.
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
    output: str = Field(description="`channel` or `precoder`.")
    payload: Literal["bits", "symbols"] = Field(default="bits", description="What a report is made of.")
    length: Literal["fixed", "variable"] = Field(
        default="fixed",
        description="Whether a report has exactly `rate` information bits, or as many as its entropy code gives.",
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
    network: NetworkSettings | None = Field(default=None, description="Settings of a codec that is a network.")
    jscc: JsccSettings | None = Field(default=None, description="Settings of a network of joint coding.")
    invertible: InvertibleSettings | None = Field(default=None, description="Settings of an invertible network.")
    coordinates: CoordinateSettings | None = Field(default=None, description="Settings of a coordinate network.")
    siren: SirenSettings | None = Field(default=None, description="Settings of a network that is sent itself.")
    training: TrainingRecord | None = Field(default=None, description="Training of a codec that is a network.")

    @model_validator(mode="after")
    def _links_carry_the_payload(self) -> "CodecCard":
        """Refuse a card whose links carry something else than it sends."""
        if any((link == "analog") != (self.payload == "symbols") for link in self.links):
            raise ValueError(f"`links` of a payload of {self.payload} cannot be {self.links}: analog carries symbols.")
        if self.length == "variable" and self.payload == "symbols":
            raise ValueError("`length` of a payload of symbols cannot be variable: symbols have no entropy code.")
        return self

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
    digest = sha256_of(path)
    if digest != card.sha256:
        raise DataFileError(f"`{path}` is not the file of its card: SHA-256 {card.sha256} wanted, {digest} found.")
    try:
        return ModelFile(card, safetensors.torch.load_file(path))
    except (safetensors.SafetensorError, OSError) as error:
        raise DataFileError(f"`{path}` cannot be read as safetensors: {error}") from error


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
    network is counted whole.
    """
    weights = {name: tensor for name, tensor in tensors.items() if name.startswith("network.")} or tensors
    statistics = ("running_mean", "running_var", "num_batches_tracked")
    return sum(math.prod(tensor.shape) for name, tensor in weights.items() if not name.endswith(statistics))
