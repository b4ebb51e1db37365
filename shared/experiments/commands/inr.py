"""`csi-lab inr`: one picture as the weights of a network, beside JPEG and JPEG 2000."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from shared.errors import DataFileError, InvalidArgumentError
from shared.experiments.commands.options import refuse_given
from shared.experiments.commands.printing import console
from shared.experiments.commands.step_progress import step_progress

if TYPE_CHECKING:
    from shared.experiments.picture import Picture
    from shared.experiments.picture_compression import CompressionOptions, Row
    from shared.experiments.picture_file import PictureFile
    from shared.inr.siren import Weights
    from shared.inr.start_file import StartFile

BASIC = "basic"
STARTED_BITS, BASIC_BITS = 7, 8  # INRIC table 4
NUM_FREQUENCIES = 12  # of pictures up to some 200 pixels a side; 16 above (INRIC table 1)
LARGE = 256 * 256  # pixels


OF_A_NETWORK = ("width", "hidden", "frequencies")  # which a meta-learned start brings
OF_COMPRESSING = (*OF_A_NETWORK, "steps", "adaround_steps", "bits", "l1", "coinr", "share", "seed")


def inr(
    context: typer.Context,
    picture: Annotated[
        Path | None, typer.Argument(help="Picture to compress: grey or RGB, any format of Pillow.")
    ] = None,
    decode: Annotated[
        Path | None, typer.Option(help="Decode this file (.inr) instead of compressing a picture.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for files and decoded pictures.")] = Path("out/inr"),
    width: Annotated[int, typer.Option(min=1, max=1024, help="Neurons of a layer.")] = 32,
    hidden: Annotated[int, typer.Option(min=0, max=32, help="Layers behind the first.")] = 3,
    frequencies: Annotated[
        int | None, typer.Option(min=0, max=64, help="Of the positional encoding; 12, above 65,536 pixels 16; 0: none.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Of overfitting, each over all pixels.")] = 25_000,
    adaround_steps: Annotated[int, typer.Option(min=1, help="Of AdaRound, for each layer.")] = 1_000,
    bits: Annotated[
        int | None, typer.Option(min=1, max=16, help="Of a weight; 8 from a random start, 7 from a meta-learned one.")
    ] = None,
    l1: Annotated[float, typer.Option(min=0, help="lambda, of the L1 norm of the weights, or of their update.")] = 1e-5,
    start: Annotated[
        str, typer.Option(help="basic: a random start; else a file that `csi-lab train-inric-start` made.")
    ] = BASIC,
    coinr: Annotated[
        bool, typer.Option("--coinr", help="Make the weights sparse in a random dictionary, too.")
    ] = False,
    share: Annotated[
        float, typer.Option(min=0.01, max=0.5, help="--coinr: values kept of a vector, as a share of its length.")
    ] = 0.5,
    seed: Annotated[int, typer.Option(min=0, max=65_535, help="Random start, rounding, dictionary.")] = 1,
) -> None:
    """Compress one picture as INRIC does and print each stage, COIN, JPEG and JPEG 2000; or decode a file again.

    Every file is counted whole. JPEG and JPEG 2000 are the best of at most the size of INRIC's last stage.
    """
    from shared.experiments.picture import read_picture  # noqa: PLC0415  (keeps `csi-lab --help` quick)

    held = None if start == BASIC else _start_file(start)
    if decode is not None:
        refuse_given(context, OF_COMPRESSING, "left out with --decode")
        if picture is not None:
            raise InvalidArgumentError(f"`picture` must be left out with --decode; got '{picture}'.")
        _decode(decode, held, out)
        return
    if picture is None:
        raise InvalidArgumentError("`picture` must be a file, unless --decode gives one.")
    if held:
        refuse_given(context, OF_A_NETWORK, "left out with --start, which brings its own network")
    if not coinr:
        refuse_given(context, ("share",), "given with --coinr")
    pixels = read_picture(picture)
    options = _options(
        pixels, held, (width, hidden, frequencies), (steps, adaround_steps, bits, l1), share if coinr else None, seed
    )
    rows = _compress(pixels, options, held)
    out.mkdir(parents=True, exist_ok=True)
    for row in rows:
        row.picture.write(out / f"{row.file_name}.png")
        if row.data is not None:
            (out / f"{row.file_name}{row.suffix}").write_bytes(row.data)
    console.print(_table(f"{picture.name}, {pixels.width} x {pixels.height}", pixels, rows))
    typer.echo(f"files {out}")


def _start_file(start: str) -> "StartFile":
    from shared.inr.start_file import read_start  # noqa: PLC0415

    return read_start(Path(start))


def _options(
    picture: "Picture",
    start: "StartFile | None",
    network: tuple[int, int, int | None],
    effort: tuple[int, int, int | None, float],
    share: float | None,
    seed: int,
) -> "CompressionOptions":
    """Return the options of the command line; a meta-learned start brings its own network.

    Raises:
        InvalidArgumentError: If the start is for pictures of another kind.
    """
    from shared.experiments.picture_compression import CompressionOptions  # noqa: PLC0415
    from shared.inr.adaround import AdaRoundOptions  # noqa: PLC0415
    from shared.inr.overfit import OverfitOptions, warm_up_of  # noqa: PLC0415
    from shared.inr.pipeline import QuantizingOptions  # noqa: PLC0415
    from shared.inr.siren import SirenShape  # noqa: PLC0415
    from shared.inr.sparse_dictionary import SparseOptions  # noqa: PLC0415

    (width, hidden, frequencies), (steps, adaround_steps, bits, l1) = network, effort
    if start:
        shape = start.card.shape()
        if shape.num_outputs != picture.num_colours:
            found = f"{start.card.num_outputs} and {picture.num_colours}"
            raise InvalidArgumentError(f"`start` must be for pictures of as many colours; got {found}.")
    else:
        several = 16 if picture.num_pixels > LARGE else NUM_FREQUENCIES
        shape = SirenShape(width, hidden, picture.num_colours, several if frequencies is None else frequencies)
    return CompressionOptions(
        shape,
        OverfitOptions(num_steps=steps, warm_up=warm_up_of(steps) if start else 0, l1=l1),
        QuantizingOptions(
            bits or (STARTED_BITS if start else BASIC_BITS),
            adaround=AdaRoundOptions(num_iterations=adaround_steps, seed=seed),
        ),
        None if share is None else SparseOptions(share=share, seed=seed),
        seed,
    )


def _compress(picture: "Picture", options: "CompressionOptions", start: "StartFile | None") -> "list[Row]":
    """Return the rows of the table, while a bar shows each stage."""
    from shared.experiments.picture_compression import (  # noqa: PLC0415
        coin_row,
        compress_picture,
        picture_codec_rows,
        size_of_best,
    )

    with step_progress() as report_of:
        rows = compress_picture(picture, options, start, report_of)
        coin = coin_row(picture, options, report_of("COIN, overfitting"))
        return [*rows, coin, *picture_codec_rows(picture, size_of_best(rows))]


def _table(title: str, picture: "Picture", rows: "list[Row]") -> Table:
    table = Table(title=title)
    for name in ("way", "PSNR dB", "bits per pixel", "bytes"):
        table.add_column(name, justify="left" if name == "way" else "right", no_wrap=True)
    for row in rows:
        rate = row.num_bits / picture.num_pixels
        table.add_row(row.name, f"{row.psnr_db:.2f}", f"{rate:.3f}", f"{row.num_bits // 8:,}")
    return table


def _decode(path: Path, start: "StartFile | None", out: Path) -> None:
    """Write the picture of a file."""
    from shared.experiments.picture_file import decode_picture, from_bytes  # noqa: PLC0415

    if not path.is_file():
        raise InvalidArgumentError(f"`decode` must be a file that exists; got '{path}'.")
    file = from_bytes(path.read_bytes())
    out.mkdir(parents=True, exist_ok=True)
    target = out / f"{path.stem}.decoded.png"
    decode_picture(file, _theta_0(file, start)).write(target)
    typer.echo(f"file {target}")


def _theta_0(file: "PictureFile", start: "StartFile | None") -> "Weights":
    """Return the weights that a file's update is added to.

    Raises:
        DataFileError: If the file was made with another start.
    """
    if not any(file.start_digest):
        return file.shape.zero_weights()
    if start is None or not start.card.sha256.startswith(file.start_digest.hex()):
        found = start.card.sha256[:16] if start else "none"
        wanted = f"whose SHA-256 begins with {file.start_digest.hex()}"
        raise DataFileError(f"`start` must be the meta-learned start {wanted}; got {found}.")
    return start.start.weights
