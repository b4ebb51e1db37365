"""`csi-lab data generate`: channels from a statistical or a ray-traced model."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from shared.errors import InvalidArgumentError
from shared.experiments.commands.printing import print_card
from shared.experiments.replacing import Overwrite, require_replaceable

app = typer.Typer(no_args_is_help=True, help="Generate channels.")
NUM_CHANNELS = 2400


@app.callback()
def data_generate() -> None:
    """Generate channels."""


@app.command("tr38901", no_args_is_help=True)
def tr38901(
    out: Annotated[Path, typer.Option(help="The .npz file to write; its card goes beside it.")],
    preset: Annotated[
        str | None, typer.Option(help="easy (indoor open office, as shipped) or hard (UMi, never a line of sight).")
    ] = None,
    scenario: Annotated[
        str | None, typer.Option(help="indoor-open, indoor-mixed, umi, uma, rma, cdl-a ... cdl-e or tdl-a ... tdl-e.")
    ] = None,
    los: Annotated[
        str | None, typer.Option(help="Line of sight: auto (drawn as TR 38.901 says), los or nlos (auto).")
    ] = None,
    num_tx_ant: Annotated[int | None, typer.Option(help="Antennas of the BS, a ULA (32).")] = None,
    num_rx_ant: Annotated[int | None, typer.Option(help="Antennas of the UE, a ULA (1).")] = None,
    carrier_frequency_hz: Annotated[float | None, typer.Option(help="Carrier (3.5e9).")] = None,
    bandwidth_hz: Annotated[float | None, typer.Option(help="Band (20e6).")] = None,
    num_subcarriers: Annotated[int | None, typer.Option(help="Subcarriers over the band (1024).")] = None,
    num_delay_taps: Annotated[int | None, typer.Option(help="Delay taps kept, each of 1 / bandwidth (32).")] = None,
    delay_spread_s: Annotated[float | None, typer.Option(help="RMS delay spread of a CDL or TDL (100e-9).")] = None,
    speed_m_s: Annotated[float | None, typer.Option(help="Speed of the UE; needs --reports-per-drop (0).")] = None,
    reports_per_drop: Annotated[
        int | None, typer.Option(help="Reports of one moving UE, one after the other (1).")
    ] = None,
    report_interval_ms: Annotated[float | None, typer.Option(help="Time between those reports (5).")] = None,
    num_channels: Annotated[
        int | None, typer.Option(min=1, max=10**8, help=f"Channels to make ({NUM_CHANNELS}).")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="NAME=COUNT, repeated, instead of --num-channels: OUT-NAME.npz each; they share no drop."),
    ] = None,
    seed: Annotated[
        int, typer.Option(min=0, max=2**64 - 1, help="Seed; two files without --split need two seeds.")
    ] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Generate 3GPP TR 38.901 channels with Sionna (extra `data`): angular-delay, unit power per report, one UE a drop.

    csi-lab data generate tr38901 --preset hard --split train=20000 --split test=2400 --out umi-nlos.npz
    """
    from shared.channels.tr38901 import settings_of  # noqa: PLC0415
    from shared.experiments.generate import generate_tr38901, plan, recipe_of  # noqa: PLC0415

    given: dict[str, Any] = {
        "los": los,
        "num_tx_ant": num_tx_ant,
        "num_rx_ant": num_rx_ant,
        "carrier_frequency_hz": carrier_frequency_hz,
        "bandwidth_hz": bandwidth_hz,
        "num_subcarriers": num_subcarriers,
        "num_delay_taps": num_delay_taps,
        "delay_spread_s": delay_spread_s,
        "speed_m_s": speed_m_s,
        "reports_per_drop": reports_per_drop,
        "report_interval_ms": report_interval_ms,
    }
    given = {name: value for name, value in given.items() if value is not None}
    settings = replace(settings_of(preset, scenario), **given)
    if split and num_channels is not None:
        raise InvalidArgumentError("`num_channels` must not be given beside `split`, which has its own counts.")
    splits = plan(out, NUM_CHANNELS if num_channels is None else num_channels, seed, split or [])
    for one in splits:
        settings.require_whole_drops(one.num_channels)
    said: dict[str, Any] = ({"preset": preset} if preset else {"scenario": scenario}) | given
    options = " ".join(f"--{name.replace('_', '-')} {_exact(value)}" for name, value in said.items())
    for one in splits:
        require_replaceable(one.path, recipe_of(options, one), overwrite)
    for one in splits:
        with Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True)) as bar:
            task = bar.add_task(one.path.name, total=one.num_channels)
            card = generate_tr38901(settings, options, one, partial(bar.advance, task))
        print_card(card.name, card.model_dump())
        typer.echo(f"file {one.path}")


def _exact(value: str | float) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)
