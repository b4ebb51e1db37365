"""`csi-lab train-refiner`: train a refiner behind any codec."""

import json
import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from shared.errors import InvalidArgumentError
from shared.experiments.commands.printing import command_line, print_model
from shared.experiments.commands.train import parse_range
from shared.experiments.replacing import Overwrite, require_replaceable


def train_refiner(
    kind: Annotated[
        Literal["residual", "generative"],
        typer.Argument(help="residual: diffusion that starts from the decoder's channel; generative: from noise."),
    ],
    codec: Annotated[str, typer.Option(help="The model that it refines: of the zoo, a file, package.module:ENTRY.")],
    data: Annotated[str, typer.Option(help="Training split: a file.")],
    name: Annotated[str, typer.Option(help="Name of the refiner.")],
    test: Annotated[str, typer.Option(help="Test split: a shipped data set or a file.")],
    link: Annotated[str, typer.Option(help="Link between encoder and decoder, as csi-ue takes it.")] = "analog:uplink",
    rate: Annotated[int | None, typer.Option(help="Of the reports; the codec's usual one unless given.")] = None,
    snr_db: Annotated[str, typer.Option(help="SNR of the link in training, lowest:highest.")] = "-10:10",
    cnr_db: Annotated[
        str, typer.Option(help="SNR of the UE's pilots in training, lowest:highest; empty: perfect.")
    ] = "",
    noise: Annotated[
        Literal["cosine", "stopped"] | None,
        typer.Option(
            help="Schedule: cosine as published; stopped ends at abar_N = 0.4, residual alone and its default."
        ),
    ] = None,
    train_steps: Annotated[int, typer.Option(min=1, max=1000, help="Steps of the diffusion in training, N.")] = 20,
    size: Annotated[
        Literal["small", "large"], typer.Option(help="U-Net: small, 1.26M parameters; large, 13.5M.")
    ] = "small",
    out: Annotated[Path, typer.Option(help="Folder for the refiner file and its card.")] = Path("out/refiners"),
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the training split.")] = 20,
    batch_size: Annotated[int, typer.Option(min=2, help="Reports a step.")] = 100,
    learning_rate: Annotated[float, typer.Option(help="Adam's, before the cosine.")] = 3e-4,
    ema_decay: Annotated[float, typer.Option(help="Share of the averaged weights that a step keeps.")] = 0.999,
    seed: Annotated[int, typer.Option(min=0, help="Initial weights, order of the reports, noise.")] = 1,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="auto is bfloat16 where the hardware has it.")
    ] = "auto",
    measured: Annotated[int, typer.Option(min=1, help="Test channels, from the end, to measure it on.")] = 300,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train the U-Net.")] = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Train a refiner behind a codec that is frozen, and measure what it gains over SNR and steps.

    A training that was interrupted goes on after its last whole epoch when the same command runs again.
    """
    from shared.channels import load_channels  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.codecs import load_codec  # noqa: PLC0415
    from shared.experiments.commands.training_progress import training_progress  # noqa: PLC0415
    from shared.refinement import save_refiner  # noqa: PLC0415
    from shared.refinement.card import NAME_PATTERN  # noqa: PLC0415
    from shared.training.jscc import require_device  # noqa: PLC0415
    from shared.training.jscc_presets import UNETS  # noqa: PLC0415
    from shared.training.loop import Schedule, samples_seen  # noqa: PLC0415
    from shared.training.manifest import run_manifest  # noqa: PLC0415
    from shared.training.refiner import RefinerOptions  # noqa: PLC0415
    from shared.training.refiner import train_refiner as train  # noqa: PLC0415
    from shared.training.refiner_file import as_refiner_file  # noqa: PLC0415

    command = command_line()
    if not re.fullmatch(NAME_PATTERN, name):
        raise InvalidArgumentError(f"`name` must be lower-case letters, digits, dots and hyphens; got {name!r}.")
    path = out / f"{name}.safetensors"
    require_replaceable(path, command, overwrite)
    require_device(device)
    options = RefinerOptions(
        kind,
        link,
        rate,
        parse_range(snr_db, "snr_db"),
        parse_range(cnr_db, "cnr_db") if cnr_db else None,
        noise or ("stopped" if kind == "residual" else "cosine"),
        train_steps,
        UNETS[size],
        Schedule(
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            final_learning_rate=min(1e-5, learning_rate),
            ema_decay=ema_decay,
            seed=seed,
            precision=precision,
        ),
        measured,
        device,
    )
    model, train_split, test_split = load_codec(codec), load_channels(data), load_channels(test, option="test")
    if train_split.sha256 == test_split.sha256:
        raise InvalidArgumentError("`test` must be another file than `data`; it is the same.")
    checkpoint = path.with_suffix(".checkpoint.pt")
    with training_progress(epochs, checkpoint) as report:
        unet, history = train(model, train_split, test_split, options, checkpoint, report)
        seen = samples_seen(len(train_split.h), options.schedule, history)
        refiner = save_refiner(
            as_refiner_file(name, model, unet, options, train_split.identity, test_split, command, history, seen), out
        )
    manifest = run_manifest(command, train_split.identity, test_split.identity, options, history)
    path.with_suffix(".manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    checkpoint.unlink(missing_ok=True)
    print_model(refiner.card, out)
