"""`csi-lab data generate`: channels from a statistical or a ray-traced model."""

import shlex
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress

from shared.errors import InvalidArgumentError
from shared.experiments.commands.printing import print_card, warn_of_crop
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
    polarization: Annotated[
        str | None, typer.Option(help="Of the BS: single, or dual, pairs slanted by 45 degrees either way (single).")
    ] = None,
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
        "polarization": polarization,
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


@app.command("raytraced", no_args_is_help=True)
def raytraced(
    out: Annotated[Path, typer.Option(help="The .npz file to write; cards and OUT-paths.npz go beside it.")],
    preset: Annotated[
        str | None, typer.Option(help="street-3g5 or street-28g, with their splits (docs/raytracing.md).")
    ] = None,
    scene: Annotated[
        str | None,
        typer.Option(
            help="simple_street_canyon, simple_street_canyon_with_cars, etoile, florence or munich, each with a site."
        ),
    ] = None,
    bs: Annotated[str | None, typer.Option(help="X,Y,Z of the BS's first antenna, m (the scene's site).")] = None,
    array_azimuth_deg: Annotated[
        float | None, typer.Option(help="Direction in which the BS's antennas follow each other, from the x axis.")
    ] = None,
    area: Annotated[
        list[str] | None,
        typer.Option(
            help="X0,X1,Y0,Y1 of ground where UEs stand, m; repeated (the scene's site). Where two overlap, random "
            "places are twice as dense; a grid's are not."
        ),
    ] = None,
    grid_spacing_m: Annotated[
        float | None, typer.Option(help="UEs on a grid of this; 0 for random places (0; presets: 0.2 and 0.4).")
    ] = None,
    ue_height_m: Annotated[float | None, typer.Option(help="Height of the UEs (2).")] = None,
    scale: Annotated[
        float | None, typer.Option(help="How many times larger to make the scene (1; presets: 2).")
    ] = None,
    num_tx_ant: Annotated[int | None, typer.Option(help="Antennas of the BS, a ULA (32).")] = None,
    carrier_frequency_hz: Annotated[float | None, typer.Option(help="Carrier (3.5e9).")] = None,
    bandwidth_hz: Annotated[float | None, typer.Option(help="Band (20e6; presets: 100e6 and 50e6).")] = None,
    num_subcarriers: Annotated[int | None, typer.Option(help="Subcarriers over the band (1024; presets: 32).")] = None,
    num_delay_taps: Annotated[int | None, typer.Option(help="Delay taps kept, each of 1 / bandwidth (32).")] = None,
    max_paths: Annotated[int | None, typer.Option(help="Strongest paths of a UE to keep (10).")] = None,
    max_depth: Annotated[int | None, typer.Option(help="Reflections of a path at most (4).")] = None,
    num_rays: Annotated[int | None, typer.Option(help="Rays shot to find the walls (20000).")] = None,
    num_channels: Annotated[
        int | None, typer.Option(min=1, help=f"Channels to make, in one file ({NUM_CHANNELS}).")
    ] = None,
    split: Annotated[
        list[str] | None,
        typer.Option(help="NAME=COUNT, repeated: OUT-NAME.npz at random, OUT-area-NAME.npz by area; the test last."),
    ] = None,
    block_m: Annotated[float, typer.Option(min=0.1, help="Split by area: side of the blocks of ground.")] = 5.0,
    gap_m: Annotated[float, typer.Option(min=0.0, help="Split by area: distance between UEs of two splits.")] = 1.0,
    seed: Annotated[int, typer.Option(min=0, max=2**64 - 1, help="Seed of the places.")] = 1,
    num_threads: Annotated[int | None, typer.Option(min=1, help="Threads that trace (one a core).")] = None,
    overwrite: Overwrite = False,
) -> None:
    """Generate ray-traced channels with Sionna RT (extra `raytracing`), split at random and by area.

    A run that breaks off goes on where it was when it is started again.

    csi-lab data generate raytraced --preset street-3g5 --out street-3g5.npz
    """
    from shared.channels.raytraced import PRESETS  # noqa: PLC0415
    from shared.channels.raytraced import settings_of as scene_of  # noqa: PLC0415
    from shared.channels.raytraced.settings import numbers, rectangle  # noqa: PLC0415
    from shared.experiments.generate import parse_counts  # noqa: PLC0415
    from shared.experiments.generate_raytraced import RaytracedJob, generate_raytraced  # noqa: PLC0415

    given: dict[str, Any] = {
        "array_azimuth_deg": array_azimuth_deg,
        "grid_spacing_m": grid_spacing_m,
        "ue_height_m": ue_height_m,
        "scale": scale,
        "num_tx_ant": num_tx_ant,
        "carrier_frequency_hz": carrier_frequency_hz,
        "bandwidth_hz": bandwidth_hz,
        "num_subcarriers": num_subcarriers,
        "num_delay_taps": num_delay_taps,
        "max_paths": max_paths,
        "max_depth": max_depth,
        "num_rays": num_rays,
    }
    given = {name: value for name, value in given.items() if value is not None}
    said: dict[str, Any] = ({"preset": preset} if preset else {"scene": scene}) | given
    changed = dict(given)
    if grid_spacing_m == 0:
        changed["grid_spacing_m"] = None
    if bs is not None:
        said["bs"] = bs
        changed["bs_position_m"] = numbers("bs", bs, 3)
    if area:
        changed["area"] = tuple(rectangle(text) for text in area)
    settings = replace(scene_of(preset, scene), **changed)
    if split and num_channels is not None:
        raise InvalidArgumentError("`num_channels` must not be given beside `split`, which has its own counts.")
    splits = list(split or ())
    if preset and not splits and num_channels is None:
        splits = list(PRESETS[preset].splits)
    options = [f"--{name.replace('_', '-')} {_exact(value)}" for name, value in said.items()]
    options += [f"--area {text}" for text in area or ()]
    options += [f"--split {text}" for text in splits] or [f"--num-channels {num_channels or NUM_CHANNELS}"]
    if len(splits) > 1:
        options.append(f"--block-m {_exact(block_m)} --gap-m {_exact(gap_m)}")
    recipe = f"csi-lab data generate raytraced {' '.join(options)} --seed {seed} --out {shlex.quote(out.name)}"
    counts = parse_counts(splits)
    job = RaytracedJob(settings, out, num_channels or NUM_CHANNELS, counts, seed, block_m, gap_m, recipe, num_threads)
    for path in [*job.data_files(), job.path("paths")]:
        require_replaceable(path, recipe, overwrite)
    bar = Progress(*Progress.get_default_columns(), MofNCompleteColumn(), console=Console(stderr=True))
    task = bar.add_task(out.name, total=job.num_ues)
    try:
        with ExitStack() as stack:

            def progress(num_ues: int) -> None:
                if not bar.live.is_started:  # not earlier: what is not installed is one sentence alone
                    stack.enter_context(bar)
                bar.advance(task, num_ues)

            cards = generate_raytraced(job, progress)
    except KeyboardInterrupt:
        if kept := int(bar.tasks[0].completed):
            typer.echo(f"Stopped; {kept} UEs are kept, and the same command goes on from there.", err=True)
        raise
    for card in cards:
        print_card(card.name, card.model_dump())
        typer.echo(f"file {out.with_name(card.file)}")
        warn_of_crop(card)
    typer.echo(f"file {job.path('paths')}")


def _exact(value: str | float) -> str:
    return f"{value:.15g}" if isinstance(value, float) else str(value)
