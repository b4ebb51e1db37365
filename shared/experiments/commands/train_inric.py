"""`csi-lab train-inric`: a codec that sends networks, INRIC or COIN, from a learned start or a random one."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from shared.errors import InvalidArgumentError
from shared.experiments.commands.options import is_given, refuse_given
from shared.experiments.commands.printing import command_line, print_model
from shared.experiments.commands.train import parse_bits
from shared.experiments.replacing import Overwrite, require_replaceable
from shared.network_settings import SirenSettings, make_settings


def train_inric(
    context: typer.Context,
    codec: Annotated[Literal["inric", "coin"], typer.Argument(help="Which.")],
    data: Annotated[str, typer.Option(help="Training split, whose mean channel stands for a lost report: a file.")],
    name: Annotated[str | None, typer.Option(help="Name of the model; the codec's unless given.")] = None,
    test: Annotated[str, typer.Option(help="Test split: a shipped data set or a file.")] = "street-3g5",
    out: Annotated[Path, typer.Option(help="Folder for the model file and its card.")] = Path("out/models"),
    start: Annotated[
        str,
        typer.Option(help="inric: a file that `csi-lab train-inric-start` made; empty: random weights."),
    ] = "",
    width: Annotated[int, typer.Option(help="Neurons of a layer.")] = 16,
    hidden: Annotated[int, typer.Option(help="Layers behind the first.")] = 3,
    frequencies: Annotated[int, typer.Option(help="inric: of the positional encoding.")] = 6,
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
    seed: Annotated[int, typer.Option(min=0, max=65_535, help="Random start, rounding, dictionary.")] = 1,
    overwrite: Overwrite = False,
) -> None:
    """Make a codec that sends networks, and measure it on a test split."""
    from shared.channels import load_channels  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.inr.start_file import read_start  # noqa: PLC0415
    from shared.training.autoencoder import require_network_shape  # noqa: PLC0415
    from shared.training.fit import require_splits, save_codec  # noqa: PLC0415
    from shared.training.inric import fit_inric  # noqa: PLC0415

    command, name = command_line(), name or codec
    require_replaceable(out / f"{name}.safetensors", command, overwrite)
    if codec == "coin":
        refuse_given(context, ("frequencies", "start"), "left out with coin, which has none")
    if start:
        refuse_given(context, ("width", "hidden", "frequencies"), "left out with --start, which brings its own network")
    if coinr is not None:
        refuse_given(context, ("stage", "adaround_steps"), "left out with --coinr, which has no such stage")
    if is_given(context, "adaround_steps") and "adaround" not in stage:
        raise InvalidArgumentError(f"`adaround_steps` must be given with a --stage of AdaRound; got {stage}.")
    learned = read_start(Path(start)) if start else None
    network = (
        learned.card.model_dump(include={"width", "num_hidden", "num_frequencies", "spacing", "omega_0", "inner_steps"})
        if learned
        else {"width": width, "num_hidden": hidden, "num_frequencies": 0 if codec == "coin" else frequencies}
    )
    settings = make_settings(
        SirenSettings,
        codec,
        **{"inner_steps": 0} | network,
        steps=steps,
        l1=l1,
        bits=parse_bits(bits, most_allowed=16),
        stage=stage,
        adaround_steps=adaround_steps,
        sparse_share=coinr,
        seed=seed,
    )
    train, measured = load_channels(data), load_channels(test, option="test")
    require_splits(train, measured)
    require_network_shape(train.shape, codec)
    fitted = fit_inric(codec, train.h, settings, learned)
    print_model(save_codec(codec, fitted, train.identity, measured, out, command, name).card, out)
