"""What networks need beside their weights: the settings that a model's card carries, one class a kind of network."""

from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator, model_validator

from shared.errors import InvalidArgumentError

Settings = TypeVar("Settings", bound=BaseModel)

MAX_WEIGHTS = 100_000  # of a network that is sent itself: the base station decodes some 50,000 a second


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


class CodebookSettings(BaseModel):
    """How a codebook of the standard is used, see `shared.codecs.codebook`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(default=1, ge=1, le=2, description="Layers of each report.")
    num_subbands: int = Field(
        default=16,
        ge=1,
        le=36,
        description="N3: subbands of equal width, a precoder each; of CQI (R = 1), above 19 two of each (R = 2).",
    )
    port_mapping: Literal["single", "dual"] = Field(
        default="single",
        description="What the halves of the BS array are. single: of a row of one polarisation, co-phased as "
        "polarisations are; dual: the polarisations of a row, which is the standard's numbering.",
    )


class EigenvectorSettings(BaseModel):
    """Which eigenvectors of a channel are fed back in its place, see `shared.channels.eigenvectors`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(ge=1, description="Layers, as many as the UE's antennas.")
    num_subbands: int = Field(ge=1, description="Subbands of equal width, an eigenvector of each layer in each.")


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
    modulation: Literal["film", "shift"] = Field(
        default="film", description="csi-inr: scales and shifts, behind Fourier features; coin-plus-plus: shifts alone."
    )
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

    @property
    def codec(self) -> str:
        """Name of the codec that has such a network."""
        return "csi-inr" if self.modulation == "film" else "coin-plus-plus"


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


def make_settings(kind: type[Settings], codec: str, **fields: Any) -> Settings:
    """Return the settings of a network from what a command line gives.

    Args:
        kind: One of the classes above.
        codec: Whose, for the sentence that refuses them.
        fields: Of the class.

    Raises:
        InvalidArgumentError: If there is no such network.

    Example:
        >>> make_settings(CoordinateSettings, "csi-inr", num_latents=8, width=64, num_layers=0)
        Traceback (most recent call last):
        shared.errors.InvalidArgumentError: `num_layers` of csi-inr: Input should be greater than or equal to 1; got 0.
    """
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:  # of several fields together
            raise InvalidArgumentError(f"settings of {codec}: {first['msg']}.") from None
        raise InvalidArgumentError(f"`{first['loc'][0]}` of {codec}: {first['msg']}; got {first['input']}.") from None
