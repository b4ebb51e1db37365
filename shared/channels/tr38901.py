"""Generate 3GPP TR 38.901 indoor open-office channels with Sionna (extra `data`; imported only here).

    drop UEs -> clusters and rays (TR 38.901 v19.2, 7.5) -> CIR -> 1,024 subcarriers -> angular-delay -> crop

One UE per drop, so that no two channels share a drop and any split is clean.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.transforms import normalize_power, to_angular_delay


@dataclass(frozen=True, slots=True)
class IndoorOpenOffice:
    """Configuration of the generator: InH open office, one ceiling-mounted BS in the middle of the room.

    Attributes:
        carrier_frequency_hz: Carrier.
        bandwidth_hz: Occupied band; the subcarrier spacing is ``bandwidth_hz / num_subcarriers``.
        num_subcarriers: Subcarriers over the band, before the crop.
        num_tx_ant: Antennas of the BS, a horizontal half-wavelength ULA of vertically polarised omni elements.
        num_delay_taps: Delay taps kept by the crop.
        room_m: Length, width and height of the office (TR 38.901 Table 7.2-2).
        ue_height_m: Height of the UE antenna.
    """

    carrier_frequency_hz: float = 3.5e9
    bandwidth_hz: float = 20e6
    num_subcarriers: int = 1024
    num_tx_ant: int = 32
    num_delay_taps: int = 32
    room_m: tuple[float, float, float] = (120.0, 50.0, 3.0)
    ue_height_m: float = 1.0


def generate(
    num_channels: int, seed: int, config: IndoorOpenOffice | None = None, chunk: int = 256
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield channels chunk by chunk.

    Args:
        num_channels: How many to make.
        seed: Seed of Sionna's generator; the same seed, count and chunk give the same channels.
        config: Scenario; the default is the shipped one.
        chunk: Drops simulated at once.

    Yields:
        x: [n, 1, num_tx_ant, num_delay_taps] complex64, angular-delay, unit mean power.
        crop_loss: [n] float64, share of the uncropped channel's energy that the crop leaves out.

    Raises:
        ImportError: If Sionna is not installed.
    """
    config = config or IndoorOpenOffice()
    try:
        import sionna.phy  # noqa: PLC0415  (heavy extra, imported only in this file)
    except ImportError as error:
        raise ImportError(
            "Generating channels needs Sionna: pip install sionna-no-rt, or csilink with its extra `data`."
        ) from error
    sionna.phy.config.seed = seed
    model = _channel_model(config)
    for start in range(0, num_channels, chunk):
        # Sionna fixes the number of drops at the first call: the last chunk is simulated whole, then cut.
        x = to_angular_delay(_frequency_response(model, chunk, config))[: num_channels - start]
        cropped = x[..., : config.num_delay_taps]
        energy = x.abs().square().sum(dim=(1, 2, 3)).double()
        kept = cropped.abs().square().sum(dim=(1, 2, 3)).double()
        yield normalize_power(cropped), 1.0 - kept / energy


def _channel_model(config: IndoorOpenOffice):  # type: ignore[no-untyped-def]  # Sionna ships no types
    from sionna.phy.channel.tr38901 import InH, PanelArray  # noqa: PLC0415

    def ula(num_ant: int) -> PanelArray:
        return PanelArray(
            num_rows_per_panel=1,
            num_cols_per_panel=num_ant,
            polarization="single",
            polarization_type="V",
            antenna_pattern="omni",
            carrier_frequency=config.carrier_frequency_hz,
        )

    return InH(
        carrier_frequency=config.carrier_frequency_hz,
        ut_array=ula(1),
        bs_array=ula(config.num_tx_ant),
        direction="downlink",
        indoor_scenario="open",
        enable_pathloss=False,
        enable_shadow_fading=False,
    )


def _frequency_response(model, num_drops: int, config: IndoorOpenOffice) -> Tensor:  # type: ignore[no-untyped-def]
    import sionna.phy  # noqa: PLC0415

    length, width, height = config.room_m
    position = torch.rand(num_drops, 1, 2, generator=sionna.phy.config.torch_rng("cpu"))
    ue = torch.cat([position * torch.tensor([length, width]), torch.full((num_drops, 1, 1), config.ue_height_m)], -1)
    bs = torch.tensor([length / 2, width / 2, height]).repeat(num_drops, 1, 1)
    zeros = torch.zeros(num_drops, 1, 3)
    model.set_topology(ue, bs, zeros, zeros, zeros, los="random")
    a, tau = model(1, 1.0)
    coefficient = a[:, 0, :, 0, :, :, 0]  # [drop, rx_ant, tx_ant, path]
    subcarrier = torch.arange(config.num_subcarriers, dtype=torch.float64) - config.num_subcarriers // 2
    frequency_hz = subcarrier * (config.bandwidth_hz / config.num_subcarriers)
    phase = -2 * torch.pi * tau[:, 0, 0, :, None].double() * frequency_hz
    response = torch.polar(torch.ones_like(phase), phase).to(torch.complex64)  # [drop, path, subcarrier]
    return torch.einsum("brtp,bpf->brtf", coefficient, response)
