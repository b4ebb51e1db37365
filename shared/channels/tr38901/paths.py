"""Drop UEs and draw their propagation paths with Sionna (extra `data`; imported only here).

    place the UE -> large-scale parameters -> clusters and rays -> paths (TR 38.901 v19.2, 7.5; CDL, TDL: 7.7)

One UE a drop, so that no two drops share anything. Path loss and shadow fading are left out: a report carries no power.

Axes: the BS array lies along y, its elements half a wavelength apart, and its broadside is x. The UE array lies like it
and is then turned about z by a random angle; a CDL profile turns the BS by 0 and the UE by 180 degrees instead.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from shared.channels.tr38901.settings import SCENARIOS, Cell, Office, Profile, Tr38901

DEVICE = "cpu"  # Sionna would take a GPU where there is one, and draw other numbers on it


@dataclass(frozen=True, slots=True)
class Paths:
    """The paths of some drops.

    Attributes:
        coefficient: [num_drops, num_rx_ant, num_tx_ant, num_paths, num_reports] complex64; the squared magnitudes of a
            drop's paths add up to 1 on average.
        delay_s: [num_drops, num_paths] float32, the first path's is 0.
    """

    coefficient: Tensor
    delay_s: Tensor


def draw_paths(settings: Tr38901, seed: int, num_drops: int) -> Iterator[Paths]:
    """Yield the paths of ``num_drops`` new drops, again and again.

    Sionna keeps one generator for the whole process: while one of these is in use, start no other.

    Args:
        settings: What to draw.
        seed: Seed of Sionna's generator, in [0, 2^64).
        num_drops: Drops at once; part of what makes the numbers repeat.

    Raises:
        ImportError: If Sionna is not installed.
    """
    try:
        import sionna.phy  # noqa: PLC0415  (heavy extra, imported only in this file)
    except ImportError as error:
        raise ImportError(
            "Generating channels needs Sionna: pip install sionna-no-rt, or csilink with its extra `data`."
        ) from error
    sionna.phy.config.seed = seed
    place = SCENARIOS[settings.scenario]
    draw = _profile(settings, place) if isinstance(place, Profile) else _dropped(settings, place)
    order = _port_order(settings)
    while True:
        coefficient, delay_s = draw(num_drops, settings.reports_per_drop, 1e3 / settings.report_interval_ms)
        # Sionna: [drop, rx, rx_ant, tx, tx_ant, path, report] and [drop, rx, tx, path], here with one rx and one tx
        yield Paths(coefficient[:, 0, :, 0][:, :, order], delay_s[:, 0, 0])


Draw = Callable[[int, int, float], tuple[Tensor, Tensor]]  # drops, reports, reports per second -> Sionna's paths


def _ula(num_ant: int, settings: Tr38901, polarization: str = "single") -> Any:  # Sionna ships no types
    from sionna.phy.channel.tr38901 import PanelArray  # noqa: PLC0415

    dual = polarization == "dual"
    return PanelArray(
        num_rows_per_panel=1,
        num_cols_per_panel=num_ant // 2 if dual else num_ant,
        polarization=polarization,
        polarization_type="cross" if dual else "V",
        antenna_pattern="omni",
        carrier_frequency=settings.carrier_frequency_hz,
        device=DEVICE,
    )


def _port_order(settings: Tr38901) -> Tensor:
    """Return [num_tx_ant] where our antennas, one polarisation after the other, stand among Sionna's."""
    if settings.polarization == "single":
        return torch.arange(settings.num_tx_ant)
    array = _ula(settings.num_tx_ant, settings, "dual")
    return torch.cat([array.ant_ind_pol1, array.ant_ind_pol2])


def _profile(settings: Tr38901, profile: Profile) -> Draw:
    import sionna.phy  # noqa: PLC0415
    from sionna.phy.channel.tr38901 import CDL, TDL  # noqa: PLC0415

    if profile.model == "TDL":
        model: Draw = TDL(
            model=profile.letter,
            delay_spread=settings.delay_spread_s,
            carrier_frequency=settings.carrier_frequency_hz,
            min_speed=settings.speed_m_s,
            num_rx_ant=settings.num_rx_ant,
            num_tx_ant=settings.num_tx_ant,
            device=DEVICE,
        )
        return model

    def draw(num_drops: int, num_reports: int, reports_per_s: float) -> tuple[Tensor, Tensor]:
        # Sionna's own velocities point up and down too, and it takes others only when a model is made.
        moving = settings.speed_m_s > 0
        generator = sionna.phy.config.torch_rng(DEVICE)
        cdl = CDL(
            model=profile.letter,
            delay_spread=settings.delay_spread_s,
            carrier_frequency=settings.carrier_frequency_hz,
            ut_array=_ula(settings.num_rx_ant, settings),
            bs_array=_ula(settings.num_tx_ant, settings, settings.polarization),
            direction="downlink",
            ut_velocity=_headed(settings.speed_m_s, num_drops, generator)[:, 0] if moving else None,
            device=DEVICE,
        )
        paths: tuple[Tensor, Tensor] = cdl(num_drops, num_reports, reports_per_s)
        return paths

    return draw


def _dropped(settings: Tr38901, place: Office | Cell) -> Draw:
    model = system_model(settings, place)

    def draw(num_drops: int, num_reports: int, reports_per_s: float) -> tuple[Tensor, Tensor]:
        drop_ues(model, settings, place, num_drops)
        paths: tuple[Tensor, Tensor] = model(num_reports, reports_per_s)
        return paths

    return draw


def system_model(settings: Tr38901, place: Office | Cell) -> Any:
    """Return Sionna's model of an office or a cell, without path loss and shadow fading."""
    from sionna.phy.channel import tr38901  # noqa: PLC0415

    own: dict[str, str] = {}
    if isinstance(place, Office):
        own = {"indoor_scenario": place.kind}
    elif place.model != "RMa":
        own = {"o2i_model": "low"}  # must be given, and means nothing to UEs that are outdoors
    return getattr(tr38901, "InH" if isinstance(place, Office) else place.model)(
        carrier_frequency=settings.carrier_frequency_hz,
        ut_array=_ula(settings.num_rx_ant, settings),
        bs_array=_ula(settings.num_tx_ant, settings, settings.polarization),
        direction="downlink",
        enable_pathloss=False,
        enable_shadow_fading=False,
        device=DEVICE,
        **own,
    )


def drop_ues(model: Any, settings: Tr38901, place: Office | Cell, num_drops: int) -> None:
    """Give ``model`` a new place, heading and large-scale parameters for one UE in each of ``num_drops`` drops."""
    import sionna.phy  # noqa: PLC0415

    generator = sionna.phy.config.torch_rng(DEVICE)
    drawn = torch.rand(num_drops, 1, 2, generator=generator)
    if isinstance(place, Office):
        length, width, height = place.room_m
        horizontal = drawn * torch.tensor([length, width])
        bs = torch.tensor([length / 2, width / 2, height])
    else:
        near, far = place.min_distance_m, place.max_distance_m
        distance = (near**2 + drawn[..., 0] * (far**2 - near**2)).sqrt()  # uniform over the area
        azimuth = (drawn[..., 1] - 0.5) * (2 * torch.pi / 3)
        horizontal = torch.stack([distance * azimuth.cos(), distance * azimuth.sin()], dim=-1)
        bs = torch.tensor([0.0, 0.0, place.bs_height_m])
    ue = torch.cat([horizontal, torch.full((num_drops, 1, 1), place.ue_height_m)], dim=-1)
    zeros = torch.zeros(num_drops, 1, 3)
    # One omni element looks the same from every side, and a UE at rest has no heading: then nothing is drawn.
    turned = _turned(num_drops, generator) if settings.num_rx_ant > 1 else zeros
    velocity = _headed(settings.speed_m_s, num_drops, generator) if settings.speed_m_s > 0 else zeros
    model.set_topology(
        ue,
        bs.repeat(num_drops, 1, 1),
        turned,
        zeros,
        velocity,
        in_state=torch.full((num_drops, 1), isinstance(place, Office)),
        los={"auto": "random", "los": True, "nlos": False}[settings.los],
    )


def _turned(num_drops: int, generator: torch.Generator) -> Tensor:
    """Return [num_drops, 1, 3] rotations (yaw, pitch, roll) by a random yaw."""
    yaw = torch.rand(num_drops, 1, 1, generator=generator) * (2 * torch.pi)
    return torch.cat([yaw, torch.zeros(num_drops, 1, 2)], dim=-1)


def _headed(speed_m_s: float, num_drops: int, generator: torch.Generator) -> Tensor:
    """Return [num_drops, 1, 3] velocities in m/s, horizontal, in random directions."""
    heading = torch.rand(num_drops, 1, generator=generator) * (2 * torch.pi)
    return speed_m_s * torch.stack([heading.cos(), heading.sin(), torch.zeros_like(heading)], dim=-1)
