"""What TR 38.901 v19.2 says the generated channels must look like: Tables 7.5-6, 7.7.1-1 to -5 and 7.7.2-1 to -5.

Typed from the specification, not from the generator, so that one can be held against the other.
"""

from dataclasses import dataclass, replace
from math import log10


@dataclass(frozen=True, slots=True)
class Statistics:
    """One column of Table 7.5-6: a scenario with or without a line of sight.

    Attributes:
        num_clusters: Clusters.
        ds_slope: a of the mean of log10(delay spread / s), ``a log10(offset + f) + b``; f in GHz.
        ds_mean: b of it.
        ds_sigma_slope: The same for its standard deviation.
        ds_sigma: The same.
        ds_offset: 1 where the table has log10(1 + f), 0 where log10(f).
        lowest_ghz: Below it the table's notes want its value (UMi: 2 GHz; UMa, indoor: 6 GHz).
        k_mean_db: Mean of the K factor; None without a line of sight.
        k_sigma_db: Its standard deviation.
    """

    num_clusters: int
    ds_slope: float
    ds_mean: float
    ds_sigma_slope: float
    ds_sigma: float
    ds_offset: int
    lowest_ghz: float
    k_mean_db: float | None = None
    k_sigma_db: float | None = None

    def lg_delay_spread(self, carrier_frequency_hz: float) -> tuple[float, float]:
        """Return mean and standard deviation of log10(delay spread / s)."""
        lg = log10(self.ds_offset + max(self.lowest_ghz, carrier_frequency_hz / 1e9))
        return self.ds_slope * lg + self.ds_mean, self.ds_sigma_slope * lg + self.ds_sigma


TABLE_7_5_6: dict[tuple[str, str], Statistics] = {
    ("umi", "los"): Statistics(12, -0.18, -7.28, 0.0, 0.39, 1, 2.0, 9.0, 5.0),
    ("umi", "nlos"): Statistics(19, -0.22, -6.87, 0.19, 0.22, 1, 2.0),
    ("uma", "los"): Statistics(12, -0.0794, -7.067, 0.026, 0.57, 0, 6.0, 9.0, 3.5),
    ("uma", "nlos"): Statistics(20, -0.134, -6.47, 0.0, 0.39, 0, 6.0),
    ("rma", "los"): Statistics(11, 0.0, -7.49, 0.0, 0.55, 1, 0.0, 7.0, 4.0),
    ("rma", "nlos"): Statistics(10, 0.0, -7.43, 0.0, 0.48, 1, 0.0),
    ("indoor-open", "los"): Statistics(15, -0.01, -7.692, 0.0, 0.18, 1, 6.0, 7.0, 4.0),
    ("indoor-open", "nlos"): Statistics(19, -0.28, -7.173, 0.10, 0.055, 1, 6.0),
}


@dataclass(frozen=True, slots=True)
class DelayProfile:
    """The delays and powers of a CDL or TDL table.

    Attributes:
        delay: Delays over the delay spread.
        power_db: Powers; with a line of sight, of the faded part.
        los_power_db: Power of the line of sight, at delay 0; None without one.
    """

    delay: tuple[float, ...]
    power_db: tuple[float, ...]
    los_power_db: float | None = None

    def taps(self) -> list[tuple[float, float]]:
        """Return (delay, power) in the order of delay, the line of sight included, of a total power of 1."""
        linear = [10 ** (db / 10) for db in self.power_db]
        if self.los_power_db is not None:
            linear[0] += 10 ** (self.los_power_db / 10)
        return sorted((delay, power / sum(linear)) for delay, power in zip(self.delay, linear, strict=True))

    @property
    def first_k_db(self) -> float | None:
        """K factor of the first tap; None without a line of sight."""
        return None if self.los_power_db is None else self.los_power_db - self.power_db[0]


# fmt: off
CDL_PROFILES: dict[str, DelayProfile] = {
    "a": DelayProfile(
        (0.0, 0.3819, 0.4025, 0.5868, 0.4610, 0.5375, 0.6708, 0.5750, 0.7618, 1.5375, 1.8978, 2.2242, 2.1718, 2.4942,
         2.5119, 3.0582, 4.0810, 4.4579, 4.5695, 4.7966, 5.0066, 5.3043, 9.6586),
        (-13.4, 0, -2.2, -4, -6, -8.2, -9.9, -10.5, -7.5, -15.9, -6.6, -16.7, -12.4, -15.2,
         -10.8, -11.3, -12.7, -16.2, -18.3, -18.9, -16.6, -19.9, -29.7),
    ),
    "b": DelayProfile(
        (0.0, 0.1072, 0.2155, 0.2095, 0.2870, 0.2986, 0.3752, 0.5055, 0.3681, 0.3697, 0.5700, 0.5283, 1.1021, 1.2756,
         1.5474, 1.7842, 2.0169, 2.8294, 3.0219, 3.6187, 4.1067, 4.2790, 4.7834),
        (0, -2.2, -4, -3.2, -9.8, -1.2, -3.4, -5.2, -7.6, -3, -8.9, -9, -4.8, -5.7,
         -7.5, -1.9, -7.6, -12.2, -9.8, -11.4, -14.9, -9.2, -11.3),
    ),
    "c": DelayProfile(
        (0.0, 0.2099, 0.2219, 0.2329, 0.2176, 0.6366, 0.6448, 0.6560, 0.6584, 0.7935, 0.8213, 0.9336, 1.2285, 1.3083,
         2.1704, 2.7105, 4.2589, 4.6003, 5.4902, 5.6077, 6.3065, 6.6374, 7.0427, 8.6523),
        (-4.4, -1.2, -3.5, -5.2, -2.5, 0, -2.2, -3.9, -7.4, -7.1, -10.7, -11.1, -5.1, -6.8,
         -8.7, -13.2, -13.9, -13.9, -15.8, -17.1, -16, -15.7, -21.6, -22.8),
    ),
    "d": DelayProfile(
        (0.0, 0.035, 0.612, 1.363, 1.405, 1.804, 2.596, 1.775, 4.042, 7.937, 9.424, 9.708, 12.525),
        (-13.5, -18.8, -21, -22.8, -17.9, -20.1, -21.9, -22.9, -27.8, -23.6, -24.8, -30.0, -27.7),
        -0.2,
    ),
    "e": DelayProfile(
        (0.0, 0.5133, 0.5440, 0.5630, 0.5440, 0.7112, 1.9092, 1.9293, 1.9589, 2.6426, 3.7136, 5.4524, 12.0034, 20.6419),
        (-22.03, -15.8, -18.1, -19.8, -22.9, -22.4, -18.6, -20.8, -22.6, -22.3, -25.6, -20.2, -29.8, -29.2),
        -0.03,
    ),
}
# fmt: on


def delay_profile(scenario: str) -> DelayProfile:
    """Return the table of ``cdl-a`` to ``cdl-e`` or ``tdl-a`` to ``tdl-e``."""
    profile = CDL_PROFILES[scenario[-1]]
    if scenario == "tdl-e":  # the one entry by which the TDL tables differ from the CDL tables
        return replace(profile, delay=(*profile.delay[:-1], 20.6519))
    return profile
