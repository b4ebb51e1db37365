"""The networks of joint source-channel coding by name and size, after RD-JSCC's Tables V and VI.

| codec | small | large |
|---|---|---|
| ``rd-jscc`` | stage 1 as published | - |
| ``adjscc`` | the same network: `shared.codecs.jscc.network` says why | decoder of 12M |
| ``djscc-csinet-plus`` | without SNR adaptation; not CsiNet+'s layers | decoder of 12M |
| ``unet-jscc`` | with the U-Net of 1.26M | with the one of 13.5M |
"""

from dataclasses import dataclass
from typing import Literal

from shared.errors import InvalidArgumentError
from shared.network_settings import JsccSettings, UNetSettings

Size = Literal["small", "large"]

UNETS: dict[Size, UNetSettings] = {
    "small": UNetSettings(width=24, multipliers=(1, 2, 3, 4), num_blocks=1),
    "large": UNetSettings(width=64, multipliers=(1, 2, 3, 4), num_blocks=2),
}
SMALL_BLOCKS, LARGE_BLOCKS = (16, 24), (272, 344)  # channels inside a residual block of the decoder

PAPER = "Ankireddy et al., RD-JSCC, 2025"


@dataclass(frozen=True, slots=True)
class JsccPreset:
    """One of the networks.

    Attributes:
        title: One line for people.
        source: Publication.
        sizes: Which it has.
        snr_adaptation: Whether its layers know the SNR.
        has_unet: Whether a U-Net follows the decoder.
    """

    title: str
    source: str
    sizes: tuple[Size, ...] = ("small", "large")
    snr_adaptation: bool = True
    has_unet: bool = False


JSCC_NETWORKS: dict[str, JsccPreset] = {
    "rd-jscc": JsccPreset("RD-JSCC, stage 1: autoencoder over the analog link", PAPER, sizes=("small",)),
    "adjscc": JsccPreset("ADJSCC's inner autoencoder, with SNR adaptation", "Xu et al., IEEE JSAC 41(1), 2023"),
    "djscc-csinet-plus": JsccPreset("Deep JSCC without SNR adaptation, rd-jscc's layers", PAPER, snr_adaptation=False),
    "unet-jscc": JsccPreset("U-Net JSCC: autoencoder and U-Net, supervised end to end", PAPER, has_unet=True),
}


def jscc_settings(
    codec: str,
    size: Size,
    num_symbols: int,
    prefixes: tuple[int, ...],
    encoder_layers: Literal[2, 4],
    snr_db: tuple[float, float],
    bits_per_real: int | None,
    prefix_weights: Literal["length", "equal"] = "length",
) -> JsccSettings:
    """Return the settings of a network.

    Args:
        codec: Key of `JSCC_NETWORKS`.
        size: ``small`` or ``large``.
        num_symbols: Complex symbols of the longest report.
        prefixes: Rates of a Matryoshka model, increasing to ``num_symbols``; empty: that one alone.
        encoder_layers: 4, or 2 of the paper's Table VII.
        snr_db: Es/N0 per antenna in training, lowest and highest.
        bits_per_real: Of the quantised variant; None: symbols.
        prefix_weights: Of the prefixes' losses.

    Raises:
        InvalidArgumentError: If the network has no such size, or they do not go together.

    Example:
        >>> jscc_settings("rd-jscc", "small", 16, (), 4, (-10, 10), None).block_channels
        (16, 24)
    """
    preset = JSCC_NETWORKS[codec]
    if size not in preset.sizes:
        raise InvalidArgumentError(f"`size` of {codec} must be {' or '.join(preset.sizes)}; got {size}.")
    try:
        return JsccSettings(
            num_symbols=num_symbols,
            prefixes=prefixes,
            prefix_weights=prefix_weights,
            encoder_layers=encoder_layers,
            snr_adaptation=preset.snr_adaptation and bits_per_real is None,  # its training knows no SNR
            block_channels=LARGE_BLOCKS if size == "large" and not preset.has_unet else SMALL_BLOCKS,
            unet=UNETS[size] if preset.has_unet else None,
            snr_db=snr_db,
            bits_per_real=bits_per_real,
        )
    except ValueError as error:
        raise InvalidArgumentError(f"the network's settings do not go together: {_first_line(error)}") from None


def _first_line(error: ValueError) -> str:
    errors = getattr(error, "errors", None)
    return str(errors()[0]["msg"]).removeprefix("Value error, ") if errors else str(error)
