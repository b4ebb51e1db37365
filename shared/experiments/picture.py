r"""Pictures as signals: files <-> [num_pixels, num_colours] in [-1, 1], row by row; PSNR; JPEG and JPEG 2000 beside.

value = 2 byte / 255 - 1        byte = round(255 (clip(value) + 1) / 2)        PSNR = 10 log10(255^2 / MSE of bytes)
"""

import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError, features
from torch import Tensor

from shared.errors import DataFileError, InvalidArgumentError

LEAST_SIDE = 8  # pixels; below, JPEG's one block is larger than the picture
MOST_SIDE = 65_535  # what a file's header holds


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture.

    Attributes:
        pixels: [height, width, num_colours] uint8; 1 colour (grey) or 3.
    """

    pixels: NDArray[np.uint8]

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    @property
    def num_colours(self) -> int:
        """1 or 3."""
        return int(self.pixels.shape[2])

    @property
    def num_pixels(self) -> int:
        """Height times width, what bits per pixel are divided by."""
        return self.height * self.width

    def values(self) -> Tensor:
        """Return [num_pixels, num_colours] float32 in [-1, 1]."""
        return torch.from_numpy(self.pixels.reshape(-1, self.num_colours)).float() * (2 / 255) - 1

    def like(self, values: Tensor) -> "Picture":
        """Return the picture of this size that ``values: [num_pixels, num_colours]`` are."""
        return picture_of(values, self.height, self.width)

    def cropped_to(self, width: int, height: int) -> "Picture":
        """Return the middle of the picture, of another size and its proportions."""
        fitted = ImageOps.fit(self._image(), (width, height), Image.Resampling.BICUBIC)
        return Picture(np.array(fitted).reshape(height, width, self.num_colours))

    def write(self, path: Path) -> None:
        """Write a PNG."""
        self._image().save(path, format="PNG")

    def _image(self) -> Image.Image:
        return Image.fromarray(self.pixels[:, :, 0] if self.num_colours == 1 else self.pixels)

    def compressed(self, format_name: str, **options: object) -> bytes:
        """Return the picture as Pillow compresses it."""
        stream = io.BytesIO()
        self._image().save(stream, format=format_name, **options)
        return stream.getvalue()


def picture_of(values: Tensor, height: int, width: int) -> Picture:
    """Return a picture of ``values: [height * width, num_colours]`` float32, clipped to [-1, 1]."""
    bytes_ = ((values.clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    return Picture(bytes_.reshape(height, width, -1).numpy())


def read_picture(path: Path, option: str = "picture") -> Picture:
    """Read a picture: grey, colour, or of a palette, with or without an alpha that hides nothing.

    Args:
        path: The file.
        option: Whose value it is, for the error.

    Raises:
        DataFileError: If it is no picture, or one of another kind.
        InvalidArgumentError: If it is too small or too large.
    """
    if not path.is_file():
        raise InvalidArgumentError(f"`{option}` must be a file that exists; got '{path}'.")
    try:
        with Image.open(path) as image:
            image.load()
            pixels = _pixels(image, path, option)
    except (UnidentifiedImageError, Image.DecompressionBombError, SyntaxError, ValueError, OSError) as error:
        if isinstance(error, InvalidArgumentError):
            raise
        raise DataFileError(f"`{option}` must be a picture that Pillow reads; '{path}' is none: {error}") from error
    picture = Picture(pixels)
    if not LEAST_SIDE <= min(picture.height, picture.width) <= max(picture.height, picture.width) <= MOST_SIDE:
        found = f"{picture.width} x {picture.height}"
        raise InvalidArgumentError(f"`{option}` must have {LEAST_SIDE} to {MOST_SIDE} pixels a side; got {found}.")
    return picture


def _pixels(image: Image.Image, path: Path, option: str) -> NDArray[np.uint8]:
    """Return [height, width, num_colours] uint8."""
    if image.mode not in ("1", "L", "LA", "P", "RGB", "RGBA"):
        raise DataFileError(f"`{option}` must be grey or RGB of 8 bits; '{path}' is {image.mode}.")
    if image.has_transparency_data and np.asarray(image.convert("RGBA"))[:, :, 3].min() < 255:
        raise DataFileError(f"`{option}` must hide nothing; '{path}' has transparent pixels: put them on a colour.")
    grey = image.mode in ("1", "L", "LA")
    pixels = np.array(image.convert("L" if grey else "RGB"))
    return pixels[:, :, None] if grey else pixels


def psnr_db(found: Picture, wanted: Picture) -> float:
    """Return the peak signal-to-noise ratio over all pixels and colours; infinite for equal pictures."""
    error = np.square(found.pixels.astype(np.float64) - wanted.pixels).mean()
    return math.inf if error == 0 else 10 * math.log10(255**2 / float(error))


@dataclass(frozen=True, slots=True)
class Compressed:
    """What another codec makes of a picture.

    Attributes:
        data: The file.
        picture: What comes out of it.
    """

    data: bytes
    picture: Picture


def jpeg_at_most(picture: Picture, num_bytes: int) -> Compressed:
    """Return the best JPEG of at most some size, of quality 1 to 95 and colours whole or halved; else the smallest."""
    halves = (0, 2) if picture.num_colours == 3 else (0,)
    files = (
        picture.compressed("JPEG", quality=quality, subsampling=half, optimize=True)
        for half in halves
        for quality in range(1, 96)
    )
    return _best(picture, files, num_bytes)


def jpeg2000_at_most(picture: Picture, num_bytes: int) -> Compressed:
    """Return the best JPEG 2000 codestream of at most some size; else the smallest.

    Raises:
        ImportError: If Pillow was built without it.
    """
    if not features.check("jpg_2000"):
        raise ImportError("JPEG 2000 needs a Pillow built with OpenJPEG.")
    return _best(picture, _bisected(picture, num_bytes), num_bytes)


def _bisected(picture: Picture, num_bytes: int) -> Iterator[bytes]:
    """Yield codestreams whose size comes closer and closer to a size."""
    low, high = 1.0, 24.0 * picture.num_pixels  # compression ratio
    for _ in range(24):
        rate = math.sqrt(low * high)
        options = {"quality_mode": "rates", "quality_layers": [rate], "irreversible": True, "no_jp2": True}
        options["mct"] = int(picture.num_colours == 3)  # without it, as Pillow does, colours cost up to 5 dB
        data = picture.compressed("JPEG2000", **options)
        low, high = (rate, high) if len(data) > num_bytes else (low, rate)
        yield data


def _best(picture: Picture, files: Iterator[bytes], num_bytes: int) -> Compressed:
    """Return the file of highest PSNR among those of at most some size, or the smallest if there is none."""
    every = [Compressed(data, _decoded(data, picture)) for data in files]
    fitting = [found for found in every if len(found.data) <= num_bytes]
    if fitting:
        return max(fitting, key=lambda found: psnr_db(found.picture, picture))
    return min(every, key=lambda found: len(found.data))


def _decoded(data: bytes, picture: Picture) -> Picture:
    with Image.open(io.BytesIO(data)) as image:
        pixels = np.array(image)
    return Picture(pixels.reshape(picture.pixels.shape))
