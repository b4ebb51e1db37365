"""Pictures: files, values, PSNR, and JPEG and JPEG 2000 of a size."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from shared.errors import DataFileError, InvalidArgumentError
from shared.experiments.picture import Picture, jpeg2000_at_most, jpeg_at_most, picture_of, psnr_db, read_picture
from tests.shared.experiments.pictures import synthetic_picture


@pytest.mark.parametrize("num_colours", [1, 3])
def test_a_picture_comes_back_from_its_file_and_from_its_values(num_colours: int, tmp_path: Path) -> None:
    picture = synthetic_picture(num_colours=num_colours)
    picture.write(tmp_path / "picture.png")
    assert np.array_equal(read_picture(tmp_path / "picture.png").pixels, picture.pixels)
    values = picture.values()
    assert values.shape == (320, num_colours)
    assert -1 <= values.min() < values.max() <= 1
    assert np.array_equal(picture.like(values).pixels, picture.pixels)


def test_values_beyond_the_range_are_clipped() -> None:
    assert picture_of(torch.tensor([[-3.0], [-1.0], [0.0], [1.0], [9.0]]), 1, 5).pixels[0, :, 0].tolist() == [
        0,
        0,
        128,
        255,
        255,
    ]


def test_an_alpha_that_hides_nothing_is_left_out_and_a_palette_is_resolved(tmp_path: Path) -> None:
    picture = synthetic_picture()
    image = Image.fromarray(picture.pixels)
    image.convert("RGBA").save(tmp_path / "rgba.png")
    assert np.array_equal(read_picture(tmp_path / "rgba.png").pixels, picture.pixels)
    image.convert("P").save(tmp_path / "palette.png")
    assert read_picture(tmp_path / "palette.png").num_colours == 3
    image.convert("LA").save(tmp_path / "grey.png")
    assert read_picture(tmp_path / "grey.png").num_colours == 1


def test_transparent_pixels_are_refused(tmp_path: Path) -> None:
    image = Image.fromarray(synthetic_picture().pixels).convert("RGBA")
    image.putpixel((0, 0), (1, 2, 3, 0))
    image.save(tmp_path / "holes.png")
    with pytest.raises(DataFileError, match=r"`picture` must hide nothing; '.*holes.png' has transparent pixels"):
        read_picture(tmp_path / "holes.png")


def test_sixteen_bits_a_pixel_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((20, 20), dtype=np.uint16)).save(tmp_path / "deep.png")
    with pytest.raises(DataFileError, match=r"`picture` must be grey or RGB of 8 bits; '.*deep.png' is I;16"):
        read_picture(tmp_path / "deep.png")


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no picture")
    with pytest.raises(DataFileError, match=r"`picture` must be a picture that Pillow reads; '.*text.png' is none"):
        read_picture(tmp_path / "text.png")
    synthetic_picture().write(tmp_path / "whole.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "whole.png").read_bytes()[:150])
    with pytest.raises(DataFileError, match="`picture` must be a picture that Pillow reads"):
        read_picture(tmp_path / "half.png")
    with pytest.raises(InvalidArgumentError, match="`picture` must be a file that exists"):
        read_picture(tmp_path)


def test_a_picture_that_is_too_small_is_refused(tmp_path: Path) -> None:
    synthetic_picture(30, 7).write(tmp_path / "small.png")
    with pytest.raises(InvalidArgumentError, match="`picture` must have 8 to 65535 pixels a side; got 30 x 7"):
        read_picture(tmp_path / "small.png")


def test_psnr_is_that_of_bytes() -> None:
    black, grey = (Picture(np.full((8, 8, 3), value, dtype=np.uint8)) for value in (0, 10))
    assert psnr_db(grey, black) == pytest.approx(20 * math.log10(25.5))
    assert psnr_db(grey, grey) == math.inf


@pytest.mark.parametrize("num_colours", [1, 3])
def test_jpeg_and_jpeg_2000_use_the_size_they_may_have(num_colours: int) -> None:
    picture = synthetic_picture(64, 48, num_colours)
    for codec in (jpeg_at_most, jpeg2000_at_most):
        small, large = codec(picture, 900), codec(picture, 1800)
        assert 600 < len(small.data) <= 900 < len(large.data) <= 1800
        assert psnr_db(small.picture, picture) < psnr_db(large.picture, picture)
        assert len(codec(picture, 10).data) > 10  # the smallest there is


def test_a_picture_is_cropped_in_its_middle() -> None:
    picture = Picture(np.repeat(np.arange(40, dtype=np.uint8)[None, :, None], 10, axis=0).repeat(3, axis=2))
    assert picture.cropped_to(10, 10).pixels[0, :, 0].tolist() == list(range(15, 25))
