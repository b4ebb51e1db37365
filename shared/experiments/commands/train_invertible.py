"""`csi-lab train-invertible`: train InvCSINet, whole or without one of its parts."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from shared.errors import InvalidArgumentError
from shared.experiments.commands.options import is_given, refuse_given
from shared.experiments.commands.printing import command_line, print_model
from shared.experiments.commands.train import parse_bits, parse_range
from shared.experiments.replacing import Overwrite, require_replaceable
from shared.network_settings import InvertibleSettings, make_settings

OF_A_LINK = ("link", "snr_db", "without_daq", "without_d_bcd", "without_ic")  # what an ideal training has not


def train_invertible(
    context: typer.Context,
    data: Annotated[str, typer.Option(help="Training split: a file.")],
    name: Annotated[str, typer.Option(help="Name of the model.")] = "invcsinet",
    test: Annotated[str, typer.Option(help="Test split: a shipped data set or a file.")] = "indoor-open-office",
    out: Annotated[Path, typer.Option(help="Folder for the model file and its card.")] = Path("out/models"),
    num_latents: Annotated[int, typer.Option(help="Codeword size in reals, a multiple of 16.")] = 32,
    bits: Annotated[str, typer.Option(help="Bits of an entry, least:most, one drawn for each step.")] = "1:4",
    labels: Annotated[Literal["gray", "natural"], typer.Option(help="Of the points of an entry.")] = "natural",
    snr_db: Annotated[str, typer.Option(help="SNR of the link in training, lowest:highest.")] = "0:10",
    link: Annotated[
        str, typer.Option(help="Link in training, any digital one; what a channel code does is counted first.")
    ] = "digital:bsc",
    auxiliary: Annotated[
        Literal["mean", "sample"], typer.Option(help="Decode with the mean of what is not sent, or a sample of it.")
    ] = "mean",
    losses: Annotated[
        Literal["both", "mse", "mmd"], typer.Option(help="Of the inverse, of the forward pass, or of both.")
    ] = "both",
    mmd_weight: Annotated[float, typer.Option(min=0, help="lambda, of the forward loss beside the other.")] = 0.1,
    ideal: Annotated[bool, typer.Option("--ideal", help="Leave out quantiser, link and compensation.")] = False,
    without_daq: Annotated[bool, typer.Option("--without-daq", help="Uniform points, not learned.")] = False,
    without_d_bcd: Annotated[
        bool, typer.Option("--without-d-bcd", help="Noise of the link's SNR on the features, no bit errors.")
    ] = False,
    without_ic: Annotated[bool, typer.Option("--without-ic", help="No alignment network, z standard normal.")] = False,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training split.")] = 20,
    batch_size: Annotated[int, typer.Option(min=2, help="Reports a step.")] = 128,
    learning_rate: Annotated[float, typer.Option(help="Adam's, before the cosine.")] = 2e-3,
    ema_decay: Annotated[float, typer.Option(help="Share of the averaged weights that a step keeps.")] = 0.999,
    seed: Annotated[int, typer.Option(min=0, help="Initial weights, order of the reports, noise.")] = 1,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train.")] = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Train InvCSINet through its quantiser and a link with bit errors, and measure it on a test split.

    A training that was interrupted goes on after its last whole epoch when the same command runs again.
    """
    from shared.channels import load_channels  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.experiments.commands.training_progress import training_progress  # noqa: PLC0415
    from shared.training.invertible import SCHEDULE, InvertibleOptions  # noqa: PLC0415
    from shared.training.jscc import require_device  # noqa: PLC0415
    from shared.training.train import train_codec  # noqa: PLC0415

    command = command_line()
    require_replaceable(out / f"{name}.safetensors", command, overwrite)
    require_device(device)
    if ideal:
        refuse_given(context, OF_A_LINK, "left out with --ideal, which has no link")
    if without_d_bcd and is_given(context, "link"):  # noise on the features knows an SNR alone
        raise InvalidArgumentError(f"`link` must be left out with --without-d-bcd; got {link}.")
    schedule = replace(
        SCHEDULE,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        ema_decay=ema_decay,
        seed=seed,
    )
    options = InvertibleOptions(
        settings_of(num_latents, bits, labels, auxiliary),
        schedule,
        losses,
        mmd_weight,
        ideal,
        parse_range(snr_db, "snr_db"),
        link,
        adaptive=not without_daq,
        bit_channel="awgn" if without_d_bcd else "d-bcd",
        compensation=not without_ic,
        device=device,
    )
    with training_progress(epochs, out / f"{name}.checkpoint.pt") as report:
        splits = load_channels(data), load_channels(test, option="test")
        model = train_codec("invcsinet", *splits, options, out, command, name, report)
    print_model(model.card, out)


def settings_of(num_latents: int, bits: str, labels: str, auxiliary: str = "mean") -> InvertibleSettings:
    """Return the settings of a network.

    Raises:
        InvalidArgumentError: If there is no such network.
    """
    return make_settings(
        InvertibleSettings,
        "invcsinet",
        num_latents=num_latents,
        bits=parse_bits(bits),
        labels=labels,
        auxiliary=auxiliary,
    )
