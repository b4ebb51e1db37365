"""Measure generated TR 38.901 paths as a channel sounder would: power, delay spread, clusters, K factor.

    drop -> paths at many points of a short straight track -> mean power of each path -> delay spread, K factor

The track takes the fading of the rays inside a path out of its power.
"""

from dataclasses import dataclass
from itertools import islice
from math import log10

import torch
from torch import Tensor

from shared.channels.tr38901 import SCENARIOS, Tr38901
from shared.channels.tr38901.paths import draw_paths, drop_ues, system_model
from shared.channels.tr38901.settings import Cell, Office

# 64 points, 2.6 wavelengths apart at 3.5 GHz: the rays of a cluster turn many times against each other
TRACK_POINTS, SPEED_M_S, INTERVAL_MS = 64, 30.0, 7.3
DROPS_AT_ONCE = 256
SUBCLUSTER_PATHS = 4  # the two strongest clusters become three paths each (clause 7.5, step 11)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean over drops with its standard error, and the standard deviation over drops."""

    mean: float
    standard_error: float
    deviation: float

    @classmethod
    def of(cls, values: Tensor) -> "Estimate":
        """Return the estimate from ``values: [num_drops]``."""
        values = values.double()
        deviation = float(values.std())
        return cls(float(values.mean()), deviation / len(values) ** 0.5, deviation)


@dataclass(frozen=True, slots=True)
class Sounding:
    """What was measured in one scenario.

    Attributes:
        num_drops: Drops measured.
        num_clusters: Clusters of the drop that has most.
        num_clusters_kept: Clusters of a drop: those within 25 dB of the strongest, the others have no power (step 6).
        power: Sum over the paths.
        lg_delay_spread: log10(RMS delay spread / s) of the paths, the line of sight included.
        lg_delay_spread_drawn: The same of the large-scale parameter that the model draws first.
        k_db: K factor of the paths; None without a line of sight.
        k_db_drawn: The same of the large-scale parameter.
    """

    num_drops: int
    num_clusters: int
    num_clusters_kept: Estimate
    power: Estimate
    lg_delay_spread: Estimate
    lg_delay_spread_drawn: Estimate
    k_db: Estimate | None
    k_db_drawn: Estimate | None


def sound(scenario: str, los: str, num_drops: int, seed: int) -> Sounding:
    """Measure an office or a cell at 3.5 GHz, one antenna at each end.

    Args:
        scenario: ``indoor-open``, ``indoor-mixed``, ``umi``, ``uma`` or ``rma``.
        los: ``los`` or ``nlos``.
        num_drops: Drops; rounded up to a multiple of 256.
        seed: Seed of the generator.
    """
    settings = Tr38901(
        scenario,
        los,
        num_tx_ant=1,
        speed_m_s=SPEED_M_S,
        reports_per_drop=TRACK_POINTS,
        report_interval_ms=INTERVAL_MS,
    )
    batches = -(-num_drops // DROPS_AT_ONCE)
    powers, spreads, k_factors, kept = [], [], [], []
    for paths in islice(draw_paths(settings, seed, DROPS_AT_ONCE), batches):
        gain = paths.coefficient[:, 0, 0].abs().square().double()  # [drop, path, point]
        power = gain.mean(dim=-1)
        powers.append(power.sum(dim=-1))
        spreads.append(rms_delay_spread(power, paths.delay_s.double()).log10())
        k_factors.append(k_factor_db(gain))
        kept.append((power > 0).sum(dim=-1) - SUBCLUSTER_PATHS)
    drawn_spread, drawn_k = _drawn(settings, batches * DROPS_AT_ONCE)
    return Sounding(
        num_drops=batches * DROPS_AT_ONCE,
        num_clusters=int(torch.cat(kept).max()),
        num_clusters_kept=Estimate.of(torch.cat(kept)),
        power=Estimate.of(torch.cat(powers)),
        lg_delay_spread=Estimate.of(torch.cat(spreads)),
        lg_delay_spread_drawn=Estimate.of(drawn_spread.log10()),
        k_db=Estimate.of(torch.cat(k_factors)) if los == "los" else None,
        k_db_drawn=Estimate.of(10 * drawn_k.log10()) if los == "los" else None,
    )


def _drawn(settings: Tr38901, num_drops: int) -> tuple[Tensor, Tensor]:
    """Return delay spread in s and linear K factor, [num_drops] each, as the model draws them."""
    place = SCENARIOS[settings.scenario]
    if not isinstance(place, Office | Cell):
        raise TypeError(f"{settings.scenario} draws no large-scale parameters")
    model = system_model(settings, place)
    drop_ues(model, settings, place, num_drops)
    large_scale = model.sample_lsp()
    return large_scale.ds[:, 0, 0].double(), large_scale.k_factor[:, 0, 0].double()


def rms_delay_spread(power: Tensor, delay_s: Tensor) -> Tensor:
    """Return the second central moment's root of a power-delay profile.

    Args:
        power: [..., num_paths] real, any scale.
        delay_s: Same shape, s.

    Returns:
        [...] s.
    """
    share = power / power.sum(dim=-1, keepdim=True)
    mean = (share * delay_s).sum(dim=-1, keepdim=True)
    return (share * (delay_s - mean).square()).sum(dim=-1).sqrt()


def k_factor_db(gain: Tensor) -> Tensor:
    """Estimate the K factor: power of the line of sight, in the first path, over the power of all the rest.

    Over the track the first path is a constant plus many rays: mean m and variance v of its gain give the constant's
    power sqrt(m^2 - v) (Greenstein et al., "Moment-method estimation of the Ricean K-factor", 1999).

    Args:
        gain: [num_drops, num_paths, num_points] float64, squared magnitudes.

    Returns:
        [num_drops] dB; at least -30, where fading hides the constant.
    """
    first = gain[:, 0]
    constant = (first.mean(dim=-1).square() - first.var(dim=-1)).clamp_min(0).sqrt()
    rest = gain.mean(dim=-1).sum(dim=-1) - constant
    return 10 * (constant / rest).clamp_min(1e-3).log10()


@dataclass(frozen=True, slots=True)
class ProfileSounding:
    """What was measured of one CDL or TDL profile.

    Attributes:
        num_drops: Drops measured.
        taps: (delay over the delay spread asked for, mean power, its standard error) of each path, by delay.
        delay_spread: RMS delay spread of the mean powers, over the one asked for.
        first_k_db: K factor of the first path alone; means something where there is a line of sight.
    """

    num_drops: int
    taps: list[tuple[float, float, float]]
    delay_spread: float
    first_k_db: float


def sound_profile(scenario: str, num_drops: int, seed: int, delay_spread_s: float = 100e-9) -> ProfileSounding:
    """Measure a CDL or TDL profile over many drops, one antenna at each end.

    Args:
        scenario: ``cdl-a`` to ``cdl-e`` or ``tdl-a`` to ``tdl-e``.
        num_drops: Drops; rounded up to a multiple of 256.
        seed: Seed of the generator.
        delay_spread_s: RMS delay spread to ask for.
    """
    settings = Tr38901(scenario, num_tx_ant=1, delay_spread_s=delay_spread_s)
    batches = list(islice(draw_paths(settings, seed, DROPS_AT_ONCE), -(-num_drops // DROPS_AT_ONCE)))
    gain = torch.cat([paths.coefficient[:, 0, 0, :, 0].abs().square().double() for paths in batches])  # [drop, path]
    power, error = gain.mean(dim=0), gain.std(dim=0) / len(gain) ** 0.5
    delay_s = batches[0].delay_s[0].double()
    first = gain[:, 0]
    constant = float((first.mean().square() - first.var()).clamp_min(0).sqrt())
    taps = zip((delay_s / delay_spread_s).tolist(), power.tolist(), error.tolist(), strict=True)
    return ProfileSounding(
        num_drops=len(gain),
        taps=sorted(taps),
        delay_spread=float(rms_delay_spread(power, delay_s)) / delay_spread_s,
        first_k_db=10 * log10(max(constant, 1e-9) / (float(first.mean()) - constant)),
    )
