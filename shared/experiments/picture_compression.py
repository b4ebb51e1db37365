r"""One picture through INRIC, CoINR and COIN, beside JPEG and JPEG 2000 of at most INRIC's size.

picture --overfit--> theta --> unquantised (float32), rounded, AdaRound, retrained, both    INRIC
                       '-----> sparse                                                       CoINR
picture --overfit, no encoding--> theta as float16                                          COIN
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch

from shared.experiments.picture import Picture, jpeg2000_at_most, jpeg_at_most, psnr_db
from shared.experiments.picture_file import (
    DIGEST_BYTES,
    Method,
    PictureFile,
    decode_picture,
    float16_bits,
    to_bytes,
    values_on_grid,
)
from shared.inr.meta_siren import adapted
from shared.inr.overfit import OverfitOptions, Report, overfit
from shared.inr.pipeline import BEST, QuantizingOptions, Stage, quantize
from shared.inr.siren import SirenShape, Weights, of_signal
from shared.inr.sparse_dictionary import SparseOptions, encode_sparse, to_sparse
from shared.inr.start_file import StartFile
from shared.networks.coordinates import centred_grid

COIN_RATE = 2e-4  # Adam's, of COIN
STAGE_NAMES: dict[Stage, str] = {
    "rounded": "INRIC, rounded",
    "adaround": "INRIC, AdaRound",
    "retrained": "INRIC, retrained",
    "adaround-retrained": "INRIC, AdaRound and retrained",
}

ReportOf: TypeAlias = Callable[[str], Report]


@dataclass(frozen=True, slots=True)
class Row:
    """One way to send a picture.

    Attributes:
        name: Of the way.
        file_name: Stem of what is written.
        picture: What comes out.
        num_bits: Of the whole file.
        psnr_db: Of what comes out.
        data: The file, None where there is none.
        suffix: Of the file.
    """

    name: str
    file_name: str
    picture: Picture
    num_bits: int
    psnr_db: float
    data: bytes | None
    suffix: str = ".inr"


@dataclass(frozen=True, slots=True)
class CompressionOptions:
    """How to compress a picture.

    Attributes:
        shape: INRIC's network.
        overfit: How to overfit.
        quantizing: How weights become indices.
        sparse: How CoINR makes them sparse; None: leave it out.
        seed: Of a random start.
    """

    shape: SirenShape
    overfit: OverfitOptions
    quantizing: QuantizingOptions
    sparse: SparseOptions | None
    seed: int


def compress_picture(
    picture: Picture, options: CompressionOptions, start: StartFile | None, report_of: ReportOf
) -> list[Row]:
    """Send a picture each way.

    Args:
        picture: The picture.
        options: How.
        start: The meta-learned start; None: a random one, and the weights themselves are sent.
        report_of: Makes what is called after every step of a stage.
    """
    shape, target = options.shape, picture.values()[None]
    features = shape.features(centred_grid(picture.height, picture.width))
    digest = bytes.fromhex(start.card.sha256)[:DIGEST_BYTES] if start else bytes(DIGEST_BYTES)
    theta_0 = start.start.weights if start else shape.zero_weights()
    first = adapted(shape, features, target, start.start) if start else shape.random_weights(options.seed)
    reference = theta_0 if start else None
    found = overfit(shape, features, target, first, options.overfit, reference, report=report_of("overfitting"))
    exact = _exact_row(picture, shape, found.weights)
    quantized = quantize(shape, features, target, theta_0, found.weights, options.quantizing, report_of=report_of)
    rows = [exact]
    for stage, name in STAGE_NAMES.items():
        file = PictureFile(Method.INRIC, shape, picture.height, picture.width, digest, quantized.bits(stage, 0))
        rows.append(_row(name, f"inric-{stage}", picture, file, theta_0))
    if options.sparse:
        update = of_signal({name: tensor - theta_0[name] for name, tensor in found.weights.items()}, 0)
        sparse = to_sparse(shape, update, options.sparse)
        file = PictureFile(Method.COINR, shape, picture.height, picture.width, digest, encode_sparse(sparse))
        rows.append(_row("CoINR behind INRIC's weights", "coinr", picture, file, theta_0))
    return rows


def coin_row(picture: Picture, options: CompressionOptions, report: Report) -> Row:
    """Send a picture as COIN does: no encoding, no regulariser, weights as float16, no entropy coding."""
    shape = replace(options.shape, num_frequencies=0)
    how = replace(options.overfit, learning_rate=COIN_RATE, l1=0.0, warm_up=0)
    target, points = picture.values()[None], centred_grid(picture.height, picture.width)
    found = overfit(shape, points, target, shape.random_weights(options.seed), how, report=report)
    bits = float16_bits(of_signal(found.weights, 0))
    file = PictureFile(Method.COIN, shape, picture.height, picture.width, bytes(DIGEST_BYTES), bits)
    return _row("COIN", "coin", picture, file, shape.zero_weights())


def picture_codec_rows(picture: Picture, num_bytes: int) -> list[Row]:
    """Send a picture as JPEG and JPEG 2000 of at most some size."""
    rows = []
    for name, suffix, found in (
        ("JPEG", ".jpg", jpeg_at_most(picture, num_bytes)),
        ("JPEG 2000", ".j2k", jpeg2000_at_most(picture, num_bytes)),
    ):
        psnr = psnr_db(found.picture, picture)
        rows.append(Row(name, suffix[1:], found.picture, 8 * len(found.data), psnr, found.data, suffix))
    return rows


def size_of_best(rows: list[Row]) -> int:
    """Return the bytes of INRIC's file, AdaRound and retrained: what the others are held against."""
    return next(row.num_bits for row in rows if row.name == STAGE_NAMES[BEST]) // 8


def _exact_row(picture: Picture, shape: SirenShape, weights: Weights) -> Row:
    """Return the row of weights that nobody sends."""
    values = values_on_grid(shape, of_signal(weights, 0), picture.height, picture.width)
    decoded = picture.like(values)
    num_bits = 32 * shape.num_weights
    return Row("INRIC, not quantised", "inric-exact", decoded, num_bits, psnr_db(decoded, picture), None)


def _row(name: str, file_name: str, picture: Picture, file: PictureFile, start: Weights) -> Row:
    """Return the row of a file, decoded as anybody would."""
    data = to_bytes(file)
    with torch.no_grad():
        decoded = decode_picture(file, start)
    return Row(name, file_name, decoded, 8 * len(data), psnr_db(decoded, picture), data)
