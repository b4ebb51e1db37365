"""`csi-lab train-inric`: a codec that sends networks, INRIC or COIN, from a learned start or a random one."""

from pathlib import Path
from typing import Annotated, Literal

import typer
from pydantic import ValidationError

from shared.errors import InvalidArgumentError
from shared.experiments.commands.printing import command_line, print_model
from shared.experiments.commands.train import is_given, parse_bits
from shared.experiments.commands.train_inric_start import outer_progress
from shared.experiments.replacing import Overwrite, require_replaceable
from shared.model_files import SirenSettings

OF_META_LEARNING = ("inner_steps", "outer_steps", "batch_size", "inner_rate", "outer_rate", "rates", "first_order")


def train_inric(
    context: typer.Context,
    codec: Annotated[Literal["inric", "coin"], typer.Argument(help="Which.")],
    data: Annotated[str, typer.Option(help="Training split: a file.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; the codec's unless given.")] = None,
    test: Annotated[str, typer.Option(help="Test split: a shipped data set or a file.")] = "street-3g5",
    out: Annotated[Path, typer.Option(help="Folder for the model file and its card.")] = Path("out/models"),
    width: Annotated[int, typer.Option(help="Neurons of a layer.")] = 16,
    hidden: Annotated[int, typer.Option(help="Layers behind the first.")] = 3,
    frequencies: Annotated[int, typer.Option(help="inric: of the positional encoding.")] = 6,
    basic: Annotated[bool, typer.Option("--basic", help="inric: a random start, nothing is learned.")] = False,
    steps: Annotated[int, typer.Option(help="Of overfitting, of a UE that asks for none.")] = 50,
    bits: Annotated[str, typer.Option(help="Of a weight, least:most.")] = "4:8",
    l1: Annotated[float, typer.Option(help="lambda, of the L1 norm of what is sent.")] = 1e-5,
    stage: Annotated[
        Literal["rounded", "adaround", "retrained", "adaround-retrained"],
        typer.Option(help="What becomes of the weights before they are sent."),
    ] = "rounded",
    adaround_steps: Annotated[int, typer.Option(help="Iterations of AdaRound, for each layer.")] = 1000,
    coinr: Annotated[
        float | None, typer.Option(help="CoINR: keep so many atoms of a vector, as a share of its length, 0.5 at most.")
    ] = None,
    inner_steps: Annotated[int, typer.Option(min=1, help="k, from the learned start.")] = 3,
    outer_steps: Annotated[int, typer.Option(min=1, help="Of the outer loop.")] = 600,
    batch_size: Annotated[int, typer.Option(min=1, help="Channels of a step of the outer loop.")] = 8,
    inner_rate: Annotated[float, typer.Option(min=0, help="alpha at first.")] = 1e-2,
    outer_rate: Annotated[float, typer.Option(min=0, help="Adam's.")] = 1e-3,
    rates: Annotated[
        Literal["static", "global", "per-parameter", "per-parameter-per-step"], typer.Option(help="What alpha is.")
    ] = "per-parameter-per-step",
    first_order: Annotated[bool, typer.Option("--first-order", help="Take inner gradients as constants.")] = False,
    seed: Annotated[int, typer.Option(min=0, max=65_535, help="Start, order of the channels, dictionary.")] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Learn a start from a training split, unless it is random, and measure the codec on a test split."""
    from shared.channels import load_channels  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.inr.meta_siren import MetaOptions  # noqa: PLC0415
    from shared.training.autoencoder import require_network_shape  # noqa: PLC0415
    from shared.training.fit import require_splits, save_codec  # noqa: PLC0415
    from shared.training.inric import fit_inric  # noqa: PLC0415

    command, name = command_line(), name or codec
    require_replaceable(out / f"{name}.safetensors", command, overwrite)
    random_start = basic or codec == "coin"
    if random_start and (given := [option for option in OF_META_LEARNING if is_given(context, option)]):
        raise InvalidArgumentError(f"`{'`, `'.join(given)}` must be left out with a random start.")
    if codec == "coin" and is_given(context, "frequencies"):
        raise InvalidArgumentError(f"`frequencies` must be left out with coin, which has none; got {frequencies}.")
    if coinr is not None and (given := [option for option in ("stage", "adaround_steps") if is_given(context, option)]):
        raise InvalidArgumentError(f"`{'`, `'.join(given)}` must be left out with --coinr, which has no such stage.")
    if is_given(context, "adaround_steps") and "adaround" not in stage:
        raise InvalidArgumentError(f"`adaround_steps` must be given with a --stage of AdaRound; got {stage}.")
    settings = siren_settings(
        width=width,
        num_hidden=hidden,
        num_frequencies=0 if codec == "coin" else frequencies,
        inner_steps=0 if random_start else inner_steps,
        steps=steps,
        l1=l1,
        bits=parse_bits(bits, most_allowed=16),
        stage=stage,
        adaround_steps=adaround_steps,
        sparse_share=coinr,
        seed=seed,
    )
    every = max(1, outer_steps // 6)
    meta = MetaOptions(
        outer_steps, batch_size, inner_steps, inner_rate, outer_rate, rates, first_order, every, seed=seed
    )
    train, measured = load_channels(data), load_channels(test, option="test")
    require_splits(train, measured)
    require_network_shape(train.shape, codec)
    with outer_progress() as report:
        fitted = fit_inric(codec, train.h, settings, None if random_start else meta, report)
    print_model(save_codec(codec, fitted, train.identity, measured, out, command, name).card, out)


def siren_settings(**settings: float | str | bool | tuple[int, int] | None) -> SirenSettings:
    """Return the settings of a codec.

    Raises:
        InvalidArgumentError: If there are none such.
    """
    try:
        return SirenSettings.model_validate(settings)
    except ValidationError as error:
        first = error.errors()[0]
        where = f"`{first['loc'][0]}`: " if first["loc"] else ""
        found = f"; got {first['input']}" if first["loc"] else ""
        raise InvalidArgumentError(f"{where}{first['msg']}{found}.") from None
