"""The label of a digital or an analog link: one word whose options, in any order, colons divide.

digital:soft:16qam:rayleigh:polar-1/2:erasure-0.01
        |    |     |        |         '- share of reports that never arrive; 0 unless given
        |    |     |        '- channel code; uncoded unless given
        |    |     '- fading; awgn unless given
        |    '- modulation; bpsk unless given
        '- detector

analog:uplink:erasure-0.01
"""

from dataclasses import dataclass
from typing import Literal, cast, get_args

from shared.coding.codes import CHANNEL_CODES
from shared.errors import InvalidArgumentError

Detector = Literal["bsc", "hard", "soft"]
ModulationName = Literal["bpsk", "qpsk", "16qam", "64qam", "256qam"]
FadingName = Literal["awgn", "rayleigh", "uplink"]

FAMILY = "digital"
ANALOG_FAMILY = "analog"
DETECTORS: tuple[Detector, ...] = get_args(Detector)
MODULATION_NAMES: tuple[ModulationName, ...] = get_args(ModulationName)
FADING_NAMES: tuple[FadingName, ...] = get_args(FadingName)
_ERASURE = "erasure-"
_WORDS = {
    "detector": DETECTORS,
    "modulation": MODULATION_NAMES,
    "fading": FADING_NAMES,
    "code": tuple(CHANNEL_CODES),
}


@dataclass(frozen=True, slots=True)
class DigitalLabel:
    """The options of a digital link.

    Attributes:
        detector: ``bsc`` and ``hard`` hand on bits, ``soft`` log-likelihood ratios.
        modulation: Name of the modulation.
        fading: Name of the channel between UE and receiver.
        code: Label of the channel code.
        erasure: Share of reports that never arrive, in [0, 1).

    Example:
        >>> str(parse_digital_label("digital:rayleigh:erasure-0.010:soft:bpsk"))
        'digital:soft:rayleigh:erasure-0.01'
    """

    detector: Detector
    modulation: ModulationName = "bpsk"
    fading: FadingName = "awgn"
    code: str = "uncoded"
    erasure: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no link.

        Raises:
            InvalidArgumentError: If ``erasure`` is out of its range, or ``bsc`` is wanted of what is none.
        """
        _require_erasure(self.erasure)
        if self.detector == "bsc" and self.modulation != "bpsk":
            raise InvalidArgumentError(
                f"`bsc` must go with bpsk, the one modulation that is a binary symmetric channel; got "
                f"{self.modulation!r}, for which `hard` sends symbols."
            )

    def __str__(self) -> str:
        """Return the canonical label: fixed order, no defaults."""
        options = ((self.modulation, "bpsk"), (self.fading, "awgn"), (self.code, "uncoded"))
        words = [FAMILY, self.detector, *(word for word, default in options if word != default)]
        return ":".join([*words, f"{_ERASURE}{self.erasure!r}"] if self.erasure else words)


def parse_digital_label(label: str) -> DigitalLabel:
    """Read the label of a digital link.

    Args:
        label: ``digital``, a detector, and up to one word for each other option, in any order.

    Raises:
        InvalidArgumentError: If a word is unknown, or two speak of one option, or there is no detector.
    """
    family, *words = label.split(":")
    if family != FAMILY:
        raise InvalidArgumentError(f"`link` must begin with {FAMILY}; got {label[:64]!r}.")
    found: dict[str, str] = {}
    for word in words:
        option = _option_of(word)
        if option in found:
            raise InvalidArgumentError(f"`link` must have one {option}; got {found[option][:64]!r} and {word[:64]!r}.")
        found[option] = word
    detector = found.get("detector")
    if detector is None:
        raise InvalidArgumentError(f"`link` must name a detector, {', '.join(DETECTORS)}; got {label[:64]!r}.")
    return DigitalLabel(
        detector=cast("Detector", detector),
        modulation=cast("ModulationName", found.get("modulation", "bpsk")),
        fading=cast("FadingName", found.get("fading", "awgn")),
        code=found.get("code", "uncoded"),
        erasure=_erasure_of(found.get("erasure", f"{_ERASURE}0")),
    )


def _option_of(word: str) -> str:
    """Return which option a word speaks of."""
    for option, names in _WORDS.items():
        if word in names:
            return option
    if word.startswith(_ERASURE):
        return "erasure"
    wanted = "; ".join(f"{option} {', '.join(names)}" for option, names in _WORDS.items())
    raise InvalidArgumentError(f"`link` must be made of {wanted}; {_ERASURE}P; got {word[:64]!r}.")


def _require_erasure(erasure: float) -> None:
    if not 0 <= erasure < 1:
        raise InvalidArgumentError(f"`{_ERASURE}P` must have P in [0, 1); got {erasure}.")


def _erasure_of(word: str) -> float:
    """Read the P of ``erasure-P``."""
    text = word.removeprefix(_ERASURE)
    try:
        return float(text)
    except ValueError:
        raise InvalidArgumentError(f"`{_ERASURE}P` must have P in [0, 1); got {text[:64]!r}.") from None


@dataclass(frozen=True, slots=True)
class AnalogLabel:
    """The options of an analog link.

    Attributes:
        fading: Name of the channel between UE and receiver.
        erasure: Share of reports that never arrive, in [0, 1).

    Example:
        >>> str(parse_analog_label("analog:erasure-0.10:awgn"))
        'analog:erasure-0.1'
    """

    fading: FadingName = "awgn"
    erasure: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what is no link.

        Raises:
            InvalidArgumentError: If ``erasure`` is out of its range.
        """
        _require_erasure(self.erasure)

    def __str__(self) -> str:
        """Return the canonical label: fixed order, no defaults."""
        words = [ANALOG_FAMILY] if self.fading == "awgn" else [ANALOG_FAMILY, self.fading]
        return ":".join([*words, f"{_ERASURE}{self.erasure!r}"] if self.erasure else words)


def parse_analog_label(label: str) -> AnalogLabel:
    """Read the label of an analog link.

    Args:
        label: ``analog`` and up to one word for each option, in any order.

    Raises:
        InvalidArgumentError: If a word is unknown, or two speak of one option; it names the word.
    """
    family, *words = label.split(":")
    if family != ANALOG_FAMILY:
        raise InvalidArgumentError(f"`link` must begin with {ANALOG_FAMILY}; got {label[:64]!r}.")
    found: dict[str, str] = {}
    for word in words:
        option = "fading" if word in FADING_NAMES else "erasure"
        if option == "erasure" and not word.startswith(_ERASURE):
            wanted = f"fading {', '.join(FADING_NAMES)}; {_ERASURE}P"
            raise InvalidArgumentError(f"`link` {ANALOG_FAMILY} must be made of {wanted}; got {word[:64]!r}.")
        if option in found:
            raise InvalidArgumentError(f"`link` must have one {option}; got {found[option][:64]!r} and {word[:64]!r}.")
        found[option] = word
    fading = cast("FadingName", found.get("fading", "awgn"))
    return AnalogLabel(fading, _erasure_of(found.get("erasure", f"{_ERASURE}0")))
