"""`csi-lab train`: fit or train a codec."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from shared.errors import InvalidArgumentError
from shared.experiments.commands.printing import command_line, print_model
from shared.experiments.replacing import Overwrite, require_replaceable

NETWORK_OPTIONS = (
    "num_latents",
    "loss",
    "quantizer",
    "epochs",
    "batch_size",
    "learning_rate",
    "seed",
    "precision",
    "device",
)


def train(
    context: typer.Context,
    codec: Annotated[
        str, typer.Argument(help="klt, klt-analog, angular-topk, float; networks: csinet, crnet; package.module:ENTRY.")
    ],
    data: Annotated[str, typer.Option(help="Training split: a file.")],
    test: Annotated[str, typer.Option(help="Test split: a shipped data set or a file.")] = "indoor-open-office",
    out: Annotated[Path, typer.Option(help="Folder for the model file and its card.")] = Path("out/models"),
    name: Annotated[
        str | None, typer.Option(help="Name of the model; the codec's unless given. Your own must be named.")
    ] = None,
    num_latents: Annotated[int, typer.Option(min=1, max=2048, help="Networks: codeword size in reals.")] = 64,
    loss: Annotated[
        Literal["nmse", "mse"], typer.Option(help="Networks: error relative to each report, or CsiNet's MSE.")
    ] = "nmse",
    quantizer: Annotated[
        Literal["uniform", "mu-law"], typer.Option(help="Networks: quantiser of the latents, 1 to 8 bits each.")
    ] = "uniform",
    epochs: Annotated[int, typer.Option(min=1, help="Networks: passes over the training split.")] = 20,
    batch_size: Annotated[int, typer.Option(min=2, help="Networks: reports a step.")] = 100,
    learning_rate: Annotated[float, typer.Option(help="Networks: Adam's, before the cosine.")] = 5e-3,
    seed: Annotated[int, typer.Option(min=0, help="Networks: initial weights and order of the reports.")] = 1,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="Networks: auto is bfloat16 where hardware has it.")
    ] = "auto",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Networks: where to train.")] = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Fit or train a codec on a training split and measure it on a test split.

    The options of networks are refused with any other codec. A training that was interrupted goes on after its
    last whole epoch when the same command runs again.
    """
    from shared.channels import load_channels  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.codecs.reference import is_reference  # noqa: PLC0415
    from shared.training.autoencoder import NetworkOptions  # noqa: PLC0415
    from shared.training.fit import CLOSED_FORM, fit_codec  # noqa: PLC0415
    from shared.training.loop import Epoch, Schedule  # noqa: PLC0415
    from shared.training.train import NETWORKS, train_codec  # noqa: PLC0415

    command = command_line()
    if codec not in (*CLOSED_FORM, *NETWORKS) and not is_reference(codec):
        names = ", ".join((*CLOSED_FORM, *NETWORKS))
        raise InvalidArgumentError(f"`codec` must be one of {names}, or package.module:ENTRY; got {codec!r}.")
    require_replaceable(out / f"{name or codec}.safetensors", command, overwrite)
    if codec not in NETWORKS:
        _refuse_network_options(context, codec)
        model = fit_codec(codec, load_channels(data), load_channels(test, option="test"), out, command, name)
        print_model(model.card, out)
        return
    schedule = Schedule(
        epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, seed=seed, precision=precision
    )
    options = NetworkOptions(num_latents, loss, quantizer, schedule, device)
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with _telling_what_is_kept(out / f"{name or codec}.checkpoint.pt"), ExitStack() as stack:
        bar = Progress(*columns, console=console)
        task = bar.add_task("steps", total=None)

        def report(done: int, total: int, epoch: Epoch | None) -> None:
            if not bar.live.is_started:  # not earlier: what is wrong before the first step is one sentence alone
                stack.enter_context(bar)
            bar.update(task, completed=done, total=total)
            if epoch:
                bar.console.print(
                    f"epoch {epoch.epoch}/{epochs}  loss {epoch.loss:.5f}  "
                    f"NMSE on the test split {epoch.nmse_db:.2f} dB  {epoch.seconds:.0f} s"
                )

        splits = load_channels(data), load_channels(test, option="test")
        model = train_codec(codec, *splits, options, out, command, name, report)
    print_model(model.card, out)


@contextmanager
def _telling_what_is_kept(checkpoint: Path) -> Iterator[None]:
    """Say, where a training is interrupted, what becomes of it."""
    try:
        yield
    except KeyboardInterrupt:
        kept = f"the same command goes on after the last whole epoch, from {checkpoint}"
        nothing = "nothing is kept before the first epoch's end"
        typer.echo(f"csi-lab: stopped; {kept if checkpoint.is_file() else nothing}.", err=True)
        raise


def _refuse_network_options(context: typer.Context, codec: str) -> None:
    """Raise if an option was given that a codec other than a network would not heed.

    Raises:
        InvalidArgumentError: Naming the options.
    """
    sources = {name: context.get_parameter_source(name) for name in NETWORK_OPTIONS}
    given = [name for name, source in sources.items() if source and source.name != "DEFAULT"]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InvalidArgumentError(f"`codec` must be a network for {options}; got {codec}, which is none.")
