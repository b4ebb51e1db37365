"""`csi-lab train`: fit or train a codec."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from shared.errors import InvalidArgumentError
from shared.experiments.commands.options import is_given
from shared.experiments.commands.printing import command_line, print_model
from shared.experiments.replacing import Overwrite, require_replaceable

BY_ANOTHER = {
    "invcsinet": "train-invertible",
    "csi-inr": "train-csi-inr",
    "coin-plus-plus": "train-csi-inr --codec coin-plus-plus",
    "inric": "train-inric",
    "coin": "train-inric",
}  # commands of codecs that are not here
OF_LATENTS = ("num_latents", "loss", "quantizer", "bits", "through_link", "start_from")  # of csinet and its kin
OF_SYMBOLS = (
    "num_symbols",
    "prefixes",
    "prefix_weights",
    "size",
    "encoder_layers",
    "cnr_db",
    "bits_per_real",
)  # of JSCC
OF_CODEBOOK = ("rank", "num_subbands", "port_mapping")
OF_TRAINING = (
    "snr_db",
    "epochs",
    "batch_size",
    "learning_rate",
    "ema_decay",
    "seed",
    "precision",
    "device",
)


def train(
    context: typer.Context,
    codec: Annotated[
        str,
        typer.Argument(
            help="klt, klt-analog, angular-topk, cs-omp, cs-lasso, float; networks: csinet, csinet-plus, crnet, dnnet, "
            "atnet, transnet, dcrnet; networks over the analog link: rd-jscc, adjscc, djscc-csinet-plus, unet-jscc; "
            "codebooks of the standard, which learn nothing: type1, etype2; package.module:ENTRY."
        ),
    ],
    data: Annotated[str, typer.Option(help="Training split: a file; of all but codebooks.", show_default=False)] = "",
    test: Annotated[str, typer.Option(help="Test split: a shipped data set or a file.")] = "indoor-open-office",
    out: Annotated[Path, typer.Option(help="Folder for the model file and its card.")] = Path("out/models"),
    name: Annotated[
        str | None, typer.Option(help="Name of the model; the codec's unless given. Your own must be named.")
    ] = None,
    num_latents: Annotated[int, typer.Option(min=1, max=2048, help="csinet and its kin: codeword size in reals.")] = 64,
    loss: Annotated[
        Literal["nmse", "mse", "sgcs"],
        typer.Option(help="csinet and its kin: error relative to each report, CsiNet's MSE; without stages 1 - SGCS."),
    ] = "nmse",
    quantizer: Annotated[
        Literal["uniform", "mu-law"] | None,
        typer.Option(help="csinet and its kin: of the latents, 1 to 8 bits each; uniform, csinet-plus: mu-law."),
    ] = None,
    bits: Annotated[
        str, typer.Option(help="csinet and its kin, where quantiser or link are trained with: bits of a latent.")
    ] = "1:4",
    through_link: Annotated[
        str, typer.Option(help="csinet and its kin: train the model --start-from on, through this digital link.")
    ] = "",
    start_from: Annotated[str, typer.Option(help="Model to train on, a file; with --through-link.")] = "",
    num_symbols: Annotated[int, typer.Option(min=1, max=1024, help="Analog: complex symbols of a report.")] = 16,
    prefixes: Annotated[
        str, typer.Option(help="Analog: several rates in one model (Matryoshka), as 4,8,12,16; empty: one.")
    ] = "",
    prefix_weights: Annotated[
        Literal["length", "equal"], typer.Option(help="Analog: weights of their losses, by length or equal.")
    ] = "length",
    size: Annotated[
        Literal["small", "large"], typer.Option(help="Analog: as in the paper's tables; rd-jscc is small.")
    ] = "small",
    encoder_layers: Annotated[int, typer.Option(help="Analog: convolutions of the encoder, 4 or 2.")] = 4,
    snr_db: Annotated[
        str | None, typer.Option(help="SNR of the link in training, lowest:highest; analog -10:10, digital 0:10.")
    ] = None,
    cnr_db: Annotated[
        str, typer.Option(help="Analog: SNR of the pilots in training, lowest:highest; empty: perfect.")
    ] = "",
    rank: Annotated[int, typer.Option(min=1, max=2, help="Codebooks: layers of a report.")] = 1,
    num_subbands: Annotated[int, typer.Option(min=1, max=36, help="Codebooks: subbands, a precoder each.")] = 16,
    port_mapping: Annotated[
        Literal["single", "dual"],
        typer.Option(help="Codebooks: whether the BS array's halves are of one polarisation, or one each."),
    ] = "single",
    bits_per_real: Annotated[
        int | None, typer.Option(min=2, max=8, help="Analog networks over a digital link: bits of each latent, mu-law.")
    ] = None,
    epochs: Annotated[int, typer.Option(min=1, help="Networks: passes over the training split.")] = 20,
    batch_size: Annotated[int, typer.Option(min=2, help="Networks: reports a step.")] = 100,
    learning_rate: Annotated[float, typer.Option(help="Networks: Adam's, before the cosine.")] = 5e-3,
    ema_decay: Annotated[
        float, typer.Option(help="Networks: share of the averaged weights that a step keeps.")
    ] = 0.999,
    seed: Annotated[int, typer.Option(min=0, help="Networks: initial weights, order of the reports, noise.")] = 1,
    precision: Annotated[
        Literal["auto", "float32", "bfloat16"], typer.Option(help="Networks: auto is bfloat16 where hardware has it.")
    ] = "auto",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Networks: where to train.")] = "cpu",
    overwrite: Overwrite = False,
) -> None:
    """Fit or train a codec on a training split and measure it on a test split.

    Options that a codec does not heed are refused with it. A training that was interrupted goes on after its
    last whole epoch when the same command runs again.
    """
    from shared.channels import load_channels  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.codecs.reference import is_reference  # noqa: PLC0415
    from shared.experiments.commands.training_progress import training_progress  # noqa: PLC0415
    from shared.network_settings import CodebookSettings, make_settings  # noqa: PLC0415
    from shared.training.autoencoder import NetworkOptions  # noqa: PLC0415
    from shared.training.codebook import CODEBOOKS  # noqa: PLC0415
    from shared.training.fit import CLOSED_FORM, fit_codebook, fit_codec  # noqa: PLC0415
    from shared.training.jscc import JsccOptions, require_device  # noqa: PLC0415
    from shared.training.jscc_presets import JSCC_NETWORKS, jscc_settings  # noqa: PLC0415
    from shared.training.loop import Schedule  # noqa: PLC0415
    from shared.training.train import NETWORKS, Options, train_codec  # noqa: PLC0415

    command = command_line()
    known = (*CLOSED_FORM, *CODEBOOKS, *NETWORKS, *JSCC_NETWORKS)
    if codec not in known and not is_reference(codec):
        names = ", ".join(known)
        how = f" `csi-lab {BY_ANOTHER[codec]}` trains it." if codec in BY_ANOTHER else ""
        raise InvalidArgumentError(f"`codec` must be one of {names}, or package.module:ENTRY; got {codec!r}.{how}")
    _refuse_unheeded(context, codec, data, through_link)
    require_replaceable(out / f"{name or codec}.safetensors", command, overwrite)
    if codec in CODEBOOKS:
        settings_of_codebook = make_settings(
            CodebookSettings, codec, rank=rank, num_subbands=num_subbands, port_mapping=port_mapping
        )
        model = fit_codebook(codec, settings_of_codebook, load_channels(test, option="test"), out, command, name)
        print_model(model.card, out)
        return
    if codec not in (*NETWORKS, *JSCC_NETWORKS):
        model = fit_codec(codec, load_channels(data), load_channels(test, option="test"), out, command, name)
        print_model(model.card, out)
        return
    require_device(device)
    schedule = Schedule(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        ema_decay=ema_decay,
        seed=seed,
        precision=precision,
    )
    options: Options
    if codec in NETWORKS:
        if bool(through_link) != bool(start_from):
            found = f"`through_link` {through_link!r}, `start_from` {start_from!r}"
            raise InvalidArgumentError(f"`through_link` and `start_from` must be given together; got {found}.")
        options = NetworkOptions(
            num_latents,
            loss,
            quantizer or ("mu-law" if codec == "csinet-plus" else "uniform"),
            schedule,
            device,
            parse_bits(bits),
            parse_range("0:10" if snr_db is None else snr_db, "snr_db"),
            through_link or "digital:bsc",
            start_from or None,
        )
    else:
        if encoder_layers not in (2, 4):
            raise InvalidArgumentError(f"`encoder_layers` must be 2 or 4; got {encoder_layers}.")
        layers: Literal[2, 4] = 2 if encoder_layers == 2 else 4
        lengths = parse_prefixes(prefixes)
        settings = jscc_settings(
            codec,
            size,
            num_symbols,
            lengths,
            layers,
            parse_range("-10:10" if snr_db is None else snr_db, "snr_db"),
            bits_per_real,
            prefix_weights,
        )
        options = JsccOptions(settings, schedule, parse_range(cnr_db, "cnr_db") if cnr_db else None, device)
    of_sgcs = codec in NETWORKS and loss == "sgcs"
    with training_progress(epochs, out / f"{name or codec}.checkpoint.pt", of_sgcs=of_sgcs) as report:
        splits = load_channels(data), load_channels(test, option="test")
        model = train_codec(codec, *splits, options, out, command, name, report)
    print_model(model.card, out)


def parse_range(text: str, name: str) -> tuple[float, float]:
    """Return the two numbers of ``lowest:highest``, or one number twice.

    Raises:
        InvalidArgumentError: If the text is no such range.

    Example:
        >>> parse_range("-10:10", "snr_db"), parse_range("5", "snr_db")
        ((-10.0, 10.0), (5.0, 5.0))
    """
    try:
        low, high = (float(part) for part in (text.split(":") if ":" in text else (text, text)))
    except ValueError:
        raise InvalidArgumentError(f"`{name}` must be lowest:highest, as -10:10; got {text!r}.") from None
    if not -100 <= low <= high <= 100:
        raise InvalidArgumentError(f"`{name}` must be lowest:highest in [-100, 100]; got {text!r}.")
    return low, high


def parse_bits(text: str, most_allowed: int | None = None) -> tuple[int, int]:
    """Return the two numbers of ``least:most``, or one number twice; ``most_allowed`` is that of latents by default.

    Raises:
        InvalidArgumentError: If they are no bits of a latent.
    """
    from shared.coding.latents import MAX_WIDTH  # noqa: PLC0415  (keeps `csi-lab --help` quick)

    low, _, high = text.partition(":")
    limit = MAX_WIDTH if most_allowed is None else most_allowed
    try:
        least, most = int(low), int(high or low)
    except ValueError:
        raise InvalidArgumentError(f"`bits` must be least:most, as 1:4; got {text!r}.") from None
    if not 1 <= least <= most <= limit:
        raise InvalidArgumentError(f"`bits` must be least:most in [1, {limit}]; got {text!r}.")
    return least, most


def parse_prefixes(text: str) -> tuple[int, ...]:
    """Return the numbers of ``4,8,12,16``.

    Raises:
        InvalidArgumentError: If they are no whole numbers.
    """
    try:
        lengths = tuple(int(part) for part in text.split(",") if part.strip())
    except ValueError:
        lengths = (0,)
    if min(lengths, default=1) < 1:
        raise InvalidArgumentError(f"`prefixes` must be whole numbers from 1 on, as 4,8,12,16; got {text!r}.")
    return lengths


def _refuse_unheeded(context: typer.Context, codec: str, data: str, through_link: str) -> None:
    """Raise if an option was given that the codec would not heed, or the training split was not that it needs.

    Raises:
        InvalidArgumentError: Naming the options.
    """
    from shared.training.codebook import CODEBOOKS  # noqa: PLC0415  (keeps `csi-lab --help` quick)
    from shared.training.jscc_presets import JSCC_NETWORKS  # noqa: PLC0415
    from shared.training.train import NETWORKS  # noqa: PLC0415

    if codec in CODEBOOKS:
        _refuse_options(context, ("data", *OF_LATENTS, *OF_SYMBOLS, *OF_TRAINING), "one that learns", codec)
        return
    _refuse_options(context, OF_CODEBOOK, " or ".join(CODEBOOKS), codec)
    if not data:
        raise InvalidArgumentError(f"`data` must be a training split, to train {codec}; got none.")
    if codec in JSCC_NETWORKS:
        _refuse_options(context, OF_LATENTS, ", ".join(NETWORKS), codec)
    elif codec not in NETWORKS:
        every = (*OF_LATENTS, *OF_SYMBOLS, *OF_TRAINING)
        _refuse_options(context, every, "a network", f"{codec}, which is none")
    else:
        _refuse_options(context, OF_SYMBOLS, ", ".join(JSCC_NETWORKS), codec)
        if through_link:
            of_the_model = ("num_latents", "quantizer", "loss")
            _refuse_options(context, of_the_model, "without --through-link", f"{codec} with it")
            return
        for option, heeding in (("bits", ("csinet-plus", "atnet")), ("snr_db", ("dnnet", "atnet"))):
            if codec not in heeding:
                _refuse_options(context, (option,), f"{' or '.join(heeding)}, or have --through-link,", codec)


def _refuse_options(context: typer.Context, names: tuple[str, ...], wanted: str, found: str) -> None:
    """Raise if an option was given that the codec would not heed.

    Raises:
        InvalidArgumentError: Naming the options.
    """
    given = [name for name in names if is_given(context, name)]
    if given:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise InvalidArgumentError(f"`codec` must be {wanted} for {options}; got {found}.")
