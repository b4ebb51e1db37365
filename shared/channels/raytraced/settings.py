"""What to trace: scene, site of the base station, area of the UEs, band, and how many paths.

A scene is one of those that come with Sionna RT. Lengths are in m, in the scene's own axes, z up.
"""

import math
from dataclasses import dataclass

from shared.channels.multipath import Sampling
from shared.errors import InvalidArgumentError, require_in_range


@dataclass(frozen=True, slots=True)
class Rectangle:
    """A part of the ground where UEs stand, along the axes of the scene.

    Raises:
        InvalidArgumentError: If it is empty.

    Example:
        >>> Rectangle(0.0, 40.0, -5.0, 5.0).area_m2
        400.0
    """

    x_min: float
    x_max: float
    y_min: float
    y_max: float

    def __post_init__(self) -> None:
        """Refuse an empty one."""
        if not (self.x_min < self.x_max and self.y_min < self.y_max):
            raise InvalidArgumentError(f"`area` must be X0,X1,Y0,Y1 with X0 < X1 and Y0 < Y1; got {self.text}.")

    @property
    def area_m2(self) -> float:
        """Its area."""
        return (self.x_max - self.x_min) * (self.y_max - self.y_min)

    @property
    def text(self) -> str:
        """As the command line takes it."""
        return ",".join(f"{value:.15g}" for value in (self.x_min, self.x_max, self.y_min, self.y_max))


@dataclass(frozen=True, slots=True)
class Site:
    """Where a scene's base station and UEs are, unless told otherwise."""

    bs_position_m: tuple[float, float, float]
    array_azimuth_deg: float
    area: tuple[Rectangle, ...]


CANYON = Site((0.0, 8.6, 6.0), 0.0, (Rectangle(-58.0, 58.0, -7.6, 7.4),))
SCENES: dict[str, Site] = {
    "simple_street_canyon": CANYON,
    "simple_street_canyon_with_cars": CANYON,
    "etoile": Site((-60.0, 10.0, 20.0), 90.0, (Rectangle(-200.0, 0.0, -80.0, 80.0),)),
    "florence": Site((60.0, 20.0, 20.0), 0.0, (Rectangle(-60.0, 100.0, -60.0, 10.0),)),
    "munich": Site((8.5, 21.0, 27.0), 0.0, (Rectangle(-50.0, 110.0, 60.0, 180.0),)),
}


@dataclass(frozen=True, slots=True)
class Raytraced:
    """Settings of the generator.

    Attributes:
        scene: A key of `SCENES`.
        bs_position_m: Position of the BS's first antenna.
        area: Rectangles of ground where the UEs are.
        array_azimuth_deg: Direction in which the BS's antennas follow each other, counted from the x axis.
        scale: How many times larger the scene is made; the positions are those of the scene so made.
        num_tx_ant: Antennas of the BS, a horizontal half-wavelength ULA of isotropic, vertically polarised elements.
        carrier_frequency_hz: Carrier, which is the lowest subcarrier.
        bandwidth_hz: Band; the subcarrier spacing is ``bandwidth_hz / num_subcarriers``.
        num_subcarriers: Subcarriers over the band, before the crop. Paths later than one symbol, ``num_subcarriers /
            bandwidth_hz``, are left out, as DeepMIMO's generator does.
        num_delay_taps: Delay taps kept by the crop; with all of them (``num_subcarriers``) nothing is lost.
        ue_height_m: Height of the UEs, one isotropic, vertically polarised antenna each.
        grid_spacing_m: Distance of the grid on which the UEs stand; None for uniformly random places.
        max_paths: Paths of a UE: the strongest ones.
        max_depth: Reflections of a path at most.
        num_rays: Rays shot from the BS to find the reflecting walls.

    Raises:
        InvalidArgumentError: If a value is out of its range.

    Example:
        >>> street = settings_of("street-3g5", None)
        >>> street.scene, street.max_paths, street.sampling.num_delay_taps
        ('simple_street_canyon', 10, 32)
    """

    scene: str
    bs_position_m: tuple[float, float, float]
    area: tuple[Rectangle, ...]
    array_azimuth_deg: float = 0.0
    scale: float = 1.0
    num_tx_ant: int = 32
    carrier_frequency_hz: float = 3.5e9
    bandwidth_hz: float = 20e6
    num_subcarriers: int = 1024
    num_delay_taps: int = 32
    ue_height_m: float = 2.0
    grid_spacing_m: float | None = None
    max_paths: int = 10
    max_depth: int = 4
    num_rays: int = 20_000

    def __post_init__(self) -> None:
        """Refuse what cannot be traced."""
        if self.scene not in SCENES:
            raise InvalidArgumentError(f"`scene` must be one of {', '.join(SCENES)}; got {self.scene!r}.")
        if not self.area:
            raise InvalidArgumentError("`area` must hold at least one rectangle; got none.")
        for value in self.bs_position_m:
            require_in_range("bs_position_m", value, -1e4, 1e4)
        require_in_range("array_azimuth_deg", self.array_azimuth_deg, -360, 360)
        require_in_range("scale", self.scale, 0.1, 10)
        require_in_range("num_tx_ant", self.num_tx_ant, 1, 1024)
        require_in_range("carrier_frequency_hz", self.carrier_frequency_hz, 1e9, 40e9)  # of the ITU's materials
        require_in_range("bandwidth_hz", self.bandwidth_hz, 1e3, min(2e9, self.carrier_frequency_hz / 10))
        require_in_range("num_subcarriers", self.num_subcarriers, 1, 16384)
        require_in_range("num_delay_taps", self.num_delay_taps, 1, self.num_subcarriers)
        require_in_range("ue_height_m", self.ue_height_m, 0.1, 1000)
        if self.grid_spacing_m is not None:
            require_in_range("grid_spacing_m", self.grid_spacing_m, 0.01, 100)
        require_in_range("max_paths", self.max_paths, 1, 1000)
        require_in_range("max_depth", self.max_depth, 0, 10)
        require_in_range("num_rays", self.num_rays, 100, 4_000_000)

    @property
    def sampling(self) -> Sampling:
        """Antennas, band and crop, as paths are sampled."""
        return Sampling(self.num_tx_ant, self.bandwidth_hz, self.num_subcarriers, self.num_delay_taps)

    @property
    def symbol_s(self) -> float:
        """Length of a symbol, beyond which no path is kept."""
        return self.num_subcarriers / self.bandwidth_hz

    @property
    def title(self) -> str:
        """One line for people, for the card."""
        band = (
            f"{self.carrier_frequency_hz / 1e9:g} GHz, {self.num_tx_ant}-antenna ULA, {self.bandwidth_hz / 1e6:g} MHz"
        )
        larger = "" if self.scale == 1.0 else f" made {self.scale:g} times larger"
        return f"ray-traced {self.scene}{larger}, {band}"


@dataclass(frozen=True, slots=True)
class Preset:
    """A named set-up: settings, and the splits that its paper makes."""

    settings: Raytraced
    splits: tuple[str, ...]


# Both stand for DeepMIMO's O1 (docs/raytracing.md): made twice as large, the canyon's street is 36 m wide, O1's 40 m.
PRESETS: dict[str, Preset] = {
    "street-3g5": Preset(
        Raytraced(
            scene="simple_street_canyon",
            bs_position_m=(0.0, 17.2, 6.0),
            area=(Rectangle(-27.5, 27.5, -15.0, 15.0),),
            scale=2.0,
            bandwidth_hz=100e6,
            num_subcarriers=32,
            grid_spacing_m=0.2,
        ),
        ("train=28000", "val=4000", "test=8000"),
    ),
    "street-28g": Preset(
        Raytraced(
            scene="simple_street_canyon",
            bs_position_m=(12.0, 17.2, 6.0),
            area=(Rectangle(0.0, 90.0, -15.0, 15.0), Rectangle(33.6, 62.0, -58.0, -18.0)),
            scale=2.0,
            carrier_frequency_hz=28e9,
            bandwidth_hz=50e6,
            num_subcarriers=32,
            grid_spacing_m=0.4,
            num_rays=100_000,  # 20,000 miss a path of every tenth UE in so large an area
        ),
        ("train=12670", "test=5430"),
    ),
}


def settings_of(preset: str | None, scene: str | None) -> Raytraced:
    """Return the settings of a preset, or the defaults of a scene.

    Args:
        preset: A key of `PRESETS`, or None.
        scene: A key of `SCENES`, or None.

    Raises:
        InvalidArgumentError: If there is no such preset or scene, or if not exactly one of the two is given.
    """
    if (preset is None) == (scene is None):
        raise InvalidArgumentError(
            f"`preset` ({', '.join(PRESETS)}) or `scene` ({', '.join(SCENES)}) must be given, not both."
        )
    if preset is not None:
        if preset not in PRESETS:
            raise InvalidArgumentError(f"`preset` must be one of {', '.join(PRESETS)}; got {preset!r}.")
        return PRESETS[preset].settings
    site = SCENES.get(str(scene), CANYON)  # of an unknown scene the settings complain
    return Raytraced(str(scene), site.bs_position_m, site.area, site.array_azimuth_deg)


def rectangle(text: str) -> Rectangle:
    """Parse ``X0,X1,Y0,Y1`` of the command line.

    Raises:
        InvalidArgumentError: If it does not read so, or is empty.

    Example:
        >>> rectangle("0,40,-5,5")
        Rectangle(x_min=0.0, x_max=40.0, y_min=-5.0, y_max=5.0)
    """
    return Rectangle(*numbers("area", text, 4))


def numbers(name: str, text: str, count: int) -> tuple[float, ...]:
    """Parse finite numbers between commas.

    Args:
        name: Of the argument, for the sentence.
        text: Such as ``0,17.2,6``.
        count: How many there must be.

    Raises:
        InvalidArgumentError: If they are not so many finite numbers.
    """
    try:
        values = tuple(float(value) for value in text.split(","))
    except ValueError:
        values = ()
    if len(values) != count or not all(math.isfinite(value) for value in values):
        raise InvalidArgumentError(f"`{name}` must be {count} numbers with commas between; got {text!r}.")
    return values
