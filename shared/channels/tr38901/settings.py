"""What to generate: scenario, array, band and motion, each checked against what TR 38.901 covers.

| scenario | geometry |
|---|---|
| ``indoor-open``, ``indoor-mixed`` | BS at the middle of the office's ceiling, UE anywhere in the room (Table 7.2-2) |
| ``umi``, ``uma``, ``rma`` | a sector: UE outdoors, within 60 degrees of the array's broadside (Tables 7.2-1, 7.2-3) |
| ``cdl-a`` to ``cdl-e`` | none: one table of clusters; only phases and the coupling of rays are drawn (7.7.1) |
| ``tdl-a`` to ``tdl-e`` | none, and no angles either: the antennas fade independently (7.7.2) |
"""

from dataclasses import dataclass

from shared.errors import InvalidArgumentError, require_in_range


@dataclass(frozen=True, slots=True)
class Office:
    """The indoor office of Table 7.2-2; ``kind`` decides how likely a line of sight is (Table 7.4.2-1)."""

    kind: str
    title: str
    room_m: tuple[float, float, float] = (120.0, 50.0, 3.0)
    ue_height_m: float = 1.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One sector of an outdoor cell: heights and distances of Table 7.2-1 (UMi, UMa) or 7.2-3 (RMa).

    Attributes:
        model: Name of Sionna's class.
        title: For people.
        bs_height_m: Height of the BS.
        min_distance_m: Smallest horizontal distance of a UE.
        max_distance_m: Largest: half the table's distance between two sites.
        max_carrier_hz: Where the scenario's tables end.
        ue_height_m: Height of the UE, outdoors.
    """

    model: str
    title: str
    bs_height_m: float
    min_distance_m: float
    max_distance_m: float
    max_carrier_hz: float = 100e9
    ue_height_m: float = 1.5


@dataclass(frozen=True, slots=True)
class Profile:
    """A cluster or tap table of clause 7.7, scaled to a delay spread."""

    model: str
    letter: str


SCENARIOS: dict[str, Office | Cell | Profile] = {
    "indoor-open": Office("open", "indoor office (InH open)"),
    "indoor-mixed": Office("mixed", "indoor office (InH mixed)"),
    "umi": Cell("UMi", "urban micro (UMi)", 10.0, 10.0, 100.0),
    "uma": Cell("UMa", "urban macro (UMa)", 25.0, 35.0, 250.0),
    "rma": Cell("RMa", "rural macro (RMa)", 35.0, 35.0, 866.0, max_carrier_hz=30e9),
    **{f"cdl-{letter.lower()}": Profile("CDL", letter) for letter in "ABCDE"},
    **{f"tdl-{letter.lower()}": Profile("TDL", letter) for letter in "ABCDE"},
}
LOS = ("auto", "los", "nlos")
POLARIZATIONS = ("single", "dual")
NOMINAL_DELAY_SPREAD_S = 100e-9  # Table 7.7.3-1, "nominal"
MAX_NUMBERS = 2**26  # complex numbers of one drop before the crop: about 2 GB with what the transforms need
MOST_PATHS = 24  # of a report: 20 clusters, the two strongest in three parts each (Table 7.5-6, clause 7.5, step 11)


@dataclass(frozen=True, slots=True)
class Tr38901:
    """Settings of the generator. The defaults are the shipped indoor data set's.

    Attributes:
        scenario: A key of `SCENARIOS`.
        los: Line of sight: drawn by Table 7.4.2-1 (``auto``), always (``los``) or never (``nlos``).
        num_tx_ant: Antennas of the BS, a horizontal half-wavelength ULA of vertically polarised omni elements.
        num_rx_ant: Antennas of the UE, such a ULA too.
        polarization: Of the BS: ``single``, or ``dual``, a row of ``num_tx_ant / 2`` pairs of omni elements slanted by
            45 degrees either way; the first half of the antennas is the one slant, the second half the other.
        carrier_frequency_hz: Carrier.
        bandwidth_hz: Occupied band; the subcarrier spacing is ``bandwidth_hz / num_subcarriers``.
        num_subcarriers: Subcarriers over the band, before the crop.
        num_delay_taps: Delay taps kept by the crop; a tap is ``1 / bandwidth_hz``.
        delay_spread_s: RMS delay spread to which a CDL or TDL profile is scaled; None for the other scenarios, which
            draw it.
        speed_m_s: Speed of the UE, horizontal, in a direction drawn for each drop; a TDL has the Doppler spectrum of
            clause 7.7.2 in its place.
        reports_per_drop: Consecutive reports of one UE; above 1 they are correlated in time.
        report_interval_ms: Time between two consecutive reports.

    Raises:
        InvalidArgumentError: If a value is out of its range, or means nothing in the scenario.
    """

    scenario: str = "indoor-open"
    los: str = "auto"
    num_tx_ant: int = 32
    num_rx_ant: int = 1
    carrier_frequency_hz: float = 3.5e9
    bandwidth_hz: float = 20e6
    num_subcarriers: int = 1024
    num_delay_taps: int = 32
    delay_spread_s: float | None = None
    speed_m_s: float = 0.0
    reports_per_drop: int = 1
    report_interval_ms: float = 5.0
    polarization: str = "single"

    def __post_init__(self) -> None:
        """Refuse what TR 38.901 does not cover."""
        if self.scenario not in SCENARIOS:
            raise InvalidArgumentError(f"`scenario` must be one of {', '.join(SCENARIOS)}; got {self.scenario!r}.")
        if self.los not in LOS:
            raise InvalidArgumentError(f"`los` must be one of {', '.join(LOS)}; got {self.los!r}.")
        if self.polarization not in POLARIZATIONS:
            wanted = ", ".join(POLARIZATIONS)
            raise InvalidArgumentError(f"`polarization` must be one of {wanted}; got {self.polarization!r}.")
        if self.polarization == "dual" and (self.num_tx_ant % 2 or self.is_tdl):
            wanted = "single for a TDL, whose antennas have none" if self.is_tdl else "single of an odd `num_tx_ant`"
            raise InvalidArgumentError(f"`polarization` must be {wanted}; got dual.")
        place = SCENARIOS[self.scenario]
        highest = place.max_carrier_hz if isinstance(place, Cell) else 100e9
        require_in_range("num_tx_ant", self.num_tx_ant, 1, 1024)
        require_in_range("num_rx_ant", self.num_rx_ant, 1, 64)
        require_in_range("carrier_frequency_hz", self.carrier_frequency_hz, 0.5e9, highest)
        require_in_range("bandwidth_hz", self.bandwidth_hz, 1e3, min(2e9, self.carrier_frequency_hz / 10))
        require_in_range("num_subcarriers", self.num_subcarriers, 1, 16384)
        require_in_range("num_delay_taps", self.num_delay_taps, 1, self.num_subcarriers)
        require_in_range("speed_m_s", self.speed_m_s, 0, 140)  # 500 km/h, clause 7.1
        require_in_range("reports_per_drop", self.reports_per_drop, 1, 1000)
        require_in_range("report_interval_ms", self.report_interval_ms, 0.01, 1000)
        if isinstance(place, Profile):
            self._check_profile()
        elif self.delay_spread_s is not None:
            raise InvalidArgumentError(
                f"`delay_spread_s` belongs to the CDL and TDL profiles: {self.scenario} draws its own."
            )
        if (self.speed_m_s > 0) != (self.reports_per_drop > 1):
            raise InvalidArgumentError(
                "`speed_m_s` above 0 and `reports_per_drop` above 1 go together: one report shows no motion, and at "
                f"rest all reports are the same; got {self.speed_m_s:g} and {self.reports_per_drop}."
            )
        if self.numbers_per_drop > MAX_NUMBERS:
            raise InvalidArgumentError(
                f"antennas x antennas x `reports_per_drop` x `num_subcarriers` (at least {MOST_PATHS}, for the paths) "
                f"must be at most {MAX_NUMBERS}; got {self.numbers_per_drop}."
            )

    def _check_profile(self) -> None:
        if self.delay_spread_s is None:
            raise InvalidArgumentError(f"`delay_spread_s` must be given for {self.scenario}; got none.")
        require_in_range("delay_spread_s", self.delay_spread_s, 1e-9, 1e-4)
        if self.los != "auto":
            raise InvalidArgumentError(
                f"`los` must be auto for {self.scenario}, whose table decides it (D and E have one); got {self.los}."
            )

    def require_whole_drops(self, num_channels: int) -> None:
        """Raise unless ``num_channels`` is a positive multiple of `reports_per_drop`.

        Raises:
            InvalidArgumentError: Naming the wanted and the found number.
        """
        if num_channels < 1 or num_channels % self.reports_per_drop:
            wanted = f"a multiple of {self.reports_per_drop}, the reports of a drop" if num_channels >= 1 else "above 0"
            raise InvalidArgumentError(f"`num_channels` must be {wanted}; got {num_channels}.")

    @property
    def numbers_per_drop(self) -> int:
        """Complex numbers of one drop before the crop: the largest of its channels, its paths, and their response."""
        reports = self.num_rx_ant * self.num_tx_ant * self.reports_per_drop
        return max(reports * max(self.num_subcarriers, MOST_PATHS), self.num_subcarriers * MOST_PATHS)

    @property
    def title(self) -> str:
        """One line for people, for the card."""
        place = SCENARIOS[self.scenario]
        name = f"{place.model}-{place.letter}" if isinstance(place, Profile) else place.title
        sight = "" if self.los == "auto" else f" {self.los.upper()}"
        array = f"{self.num_tx_ant} independent antennas" if self.is_tdl else f"{self.num_tx_ant}-antenna ULA"
        if self.polarization == "dual":
            array = f"{self.num_tx_ant // 2} dual-polarised antennas in a row"
        band = f"{self.carrier_frequency_hz / 1e9:g} GHz, {array}, {self.bandwidth_hz / 1e6:g} MHz"
        return f"3GPP TR 38.901 {name}{sight}, {band}"

    @property
    def is_tdl(self) -> bool:
        """Whether the antennas have no geometry."""
        return self.scenario.startswith("tdl-")


# The two scenarios by which the feedback literature tells an easy channel from a hard one.
PRESETS: dict[str, Tr38901] = {
    "easy": Tr38901(scenario="indoor-open"),
    "hard": Tr38901(scenario="umi", los="nlos"),
}


def settings_of(preset: str | None, scenario: str | None) -> Tr38901:
    """Return the settings of a preset, or the defaults of a scenario.

    Args:
        preset: A key of `PRESETS`, or None.
        scenario: A key of `SCENARIOS`, or None.

    Raises:
        InvalidArgumentError: If there is no such preset or scenario, or if not exactly one of the two is given.
    """
    if (preset is None) == (scenario is None):
        raise InvalidArgumentError(
            f"`preset` ({', '.join(PRESETS)}) or `scenario` ({', '.join(SCENARIOS)}) must be given, not both."
        )
    if preset is not None:
        if preset not in PRESETS:
            raise InvalidArgumentError(f"`preset` must be one of {', '.join(PRESETS)}; got {preset!r}.")
        return PRESETS[preset]
    is_profile = isinstance(SCENARIOS.get(str(scenario)), Profile)
    return Tr38901(str(scenario), delay_spread_s=NOMINAL_DELAY_SPREAD_S if is_profile else None)
