"""`csi-lab train-csi-inr`: train CSI-INR, or make its codewords another way to travel."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from shared.errors import InvalidArgumentError
from shared.experiments.commands.options import is_given, refuse_given
from shared.experiments.commands.printing import command_line, print_model
from shared.experiments.replacing import Overwrite, require_replaceable
from shared.model_files import load_model
from shared.network_settings import CoordinateSettings, make_settings

# At ten times its own, COIN++'s codewords run away within 200 steps, and nothing is learned.
INNER_RATES = {"csi-inr": 1e3, "coin-plus-plus": 1e2}
OF_THE_NETWORK = ("codec", "num_latents", "width", "num_layers", "omega_0", "deviation", "inner_rate", "fixed_rates")
OF_TRAINING = ("inner_steps", "order", "num_points", "batch_size", "learning_rate", "ema_decay", "seed", "device")


def train_csi_inr(
    context: typer.Context,
    data: Annotated[str, typer.Option(help="Training split: a file.")],
    codec: Annotated[
        Literal["csi-inr", "coin-plus-plus"],
        typer.Option(help="coin-plus-plus: the codeword shifts phases alone, no Fourier features."),
    ] = "csi-inr",
    name: Annotated[str | None, typer.Option(help="Name of the model; the codec's unless given.")] = None,
    test: Annotated[str, typer.Option(help="Test split: a shipped data set or a file.")] = "street-3g5-narrow",
    out: Annotated[Path, typer.Option(help="Folder for the model file and its card.")] = Path("out/models"),
    num_latents: Annotated[int, typer.Option(help="n, codeword size in reals.")] = 32,
    width: Annotated[int, typer.Option(help="d, of a layer.")] = 128,
    num_layers: Annotated[int, typer.Option(help="Layers of sines; the paper's Table V says L_t, 4 more.")] = 2,
    omega_0: Annotated[float, typer.Option(help="Scale inside the sines.")] = 50.0,
    deviation: Annotated[float, typer.Option(help="sigma_b of the Fourier features, cycles over the grid.")] = 10.0,
    inner_steps: Annotated[int, typer.Option(help="s, gradient steps to a codeword in training.")] = 3,
    inner_rate: Annotated[
        float | None,
        typer.Option(help="alpha, of a gradient step; where it starts if it is learned (1000; coin-plus-plus: 100)."),
    ] = None,
    fixed_rates: Annotated[bool, typer.Option("--fixed-rates", help="Keep alpha as it is.")] = False,
    order: Annotated[int, typer.Option(min=1, max=2, help="Of the meta-gradient.")] = 2,
    num_points: Annotated[int, typer.Option(help="Coordinates of a step, drawn from the 1,024.")] = 256,
    coding: Annotated[
        Literal["uniform", "entropy", "analog"],
        typer.Option(help="Of the codeword: as many bits each report, entropy-coded bits, or symbols."),
    ] = "uniform",
    start_from: Annotated[
        str, typer.Option(help="Model to train on, of the zoo or a file: its network stays the size it is.")
    ] = "",
    epochs: Annotated[
        int, typer.Option(min=0, help="Passes over the training split; 0, with --start-from: its weights stay.")
    ] = 8,
    batch_size: Annotated[int, typer.Option(min=2, help="Reports a step.")] = 16,
    learning_rate: Annotated[float, typer.Option(help="beta, Adam's, before the cosine.")] = 6e-5,
    ema_decay: Annotated[float, typer.Option(help="Share of the averaged weights that a step keeps.")] = 0.999,
    seed: Annotated[int, typer.Option(min=0, help="Initial weights, order of the reports, coordinates.")] = 1,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train.")] = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Train a base network by meta-learning, CSI-INR's or COIN++'s, and measure it on a test split.

    A training that was interrupted goes on after its last whole epoch when the same command runs again.
    """
    from shared.channels import load_channels  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.experiments.commands.training_progress import training_progress  # noqa: PLC0415
    from shared.training.csi_inr import SCHEDULE, CsiInrOptions  # noqa: PLC0415
    from shared.training.jscc import require_device  # noqa: PLC0415
    from shared.training.train import train_codec  # noqa: PLC0415

    command, name = command_line(), name or codec
    require_replaceable(out / f"{name}.safetensors", command, overwrite)
    require_device(device)
    if not epochs and not start_from:
        raise InvalidArgumentError("`epochs` must be at least 1 without --start-from; got 0.")
    if start_from:
        refuse_given(context, OF_THE_NETWORK, "left out with --start-from")
    if not epochs:
        refuse_given(context, OF_TRAINING, "left out with 0 epochs")
    if start_from:
        settings = _settings_of_start(start_from, coding, inner_steps if is_given(context, "inner_steps") else None)
    else:
        if codec == "coin-plus-plus":
            refuse_given(context, ("deviation",), "left out with coin-plus-plus, which has none")
        settings = make_settings(
            CoordinateSettings,
            codec,
            num_latents=num_latents,
            width=width,
            num_layers=num_layers,
            omega_0=omega_0,
            deviation=deviation,
            inner_steps=inner_steps,
            inner_rate=INNER_RATES[codec] if inner_rate is None else inner_rate,
            learned_rates=not fixed_rates,
            coding=coding,
            modulation="film" if codec == "csi-inr" else "shift",
        )
    schedule = replace(
        SCHEDULE,
        epochs=epochs or 1,
        batch_size=batch_size,
        learning_rate=learning_rate,
        ema_decay=ema_decay,
        seed=seed,
    )
    first_or_second: Literal[1, 2] = 2 if order == 2 else 1
    options_of_training = CsiInrOptions(
        settings, schedule if epochs else None, first_or_second, num_points, start_from or None, device
    )
    with training_progress(epochs, out / f"{name}.checkpoint.pt") as report:
        splits = load_channels(data), load_channels(test, option="test")
        model = train_codec(settings.codec, *splits, options_of_training, out, command, name, report)
    print_model(model.card, out)


def _settings_of_start(start_from: str, coding: str, inner_steps: int | None) -> CoordinateSettings:
    """Return the settings of a given model, with another coding, and other inner steps if they are given.

    Raises:
        InvalidArgumentError: If it is of another codec.
    """
    card = load_model(start_from, option="start_from").card
    if card.coordinates is None:
        raise InvalidArgumentError(
            f"`start_from` must be a model of csi-inr or coin-plus-plus; got {card.name}, {card.codec}."
        )
    steps = card.coordinates.inner_steps if inner_steps is None else inner_steps
    fields = card.coordinates.model_dump() | {"coding": coding, "inner_steps": steps}
    return make_settings(CoordinateSettings, card.codec, **fields)
