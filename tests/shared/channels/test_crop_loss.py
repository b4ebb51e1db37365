"""The crop loss of each channel, from the streams into csilink's own file and back."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from torch import Tensor

from shared.channels import shipped_datasets
from shared.channels.crop_loss import CropLosses
from shared.channels.file import load_file, open_stream
from shared.channels.multipath import Paths, Sampling, angular_delay_chunks
from shared.channels.stream import ChannelStream, Loss, ReadOptions, cropped, joined, selected
from shared.channels.writing import write_channels
from shared.errors import DataFileError, InvalidArgumentError
from shared.transforms import crop_taps, normalize_power

TRUSTED = ReadOptions(trust_layout=True)


@pytest.fixture
def x() -> Tensor:
    x = torch.randn(7, 2, 8, 6, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    return normalize_power(x * 0.7 ** torch.arange(6))


def some_losses(num_channels: int, seed: int = 1) -> Tensor:
    return torch.rand(num_channels, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def write(path: Path, x: Tensor, crop_loss: Tensor) -> str:
    return write_channels(path, torch.split(x, 3), crop_loss=lambda: crop_loss)


def losses_of(stream: ChannelStream) -> Tensor:
    return torch.cat([loss for _, loss in stream.chunks() if loss is not None])


@pytest.mark.parametrize("domain", ["x_re_im", "h_re_im"])
def test_losses_come_back_from_the_file_to_a_ten_millionth(tmp_path: Path, x: Tensor, domain: str) -> None:
    losses = some_losses(7)
    write(tmp_path / "x.npz", x, losses)
    if domain == "h_re_im":
        write_channels(tmp_path / "x.npz", [x], 7, "spatial-frequency", crop_loss=lambda: losses)
    channels = load_file(tmp_path / "x.npz")
    assert channels.crop_loss is not None
    assert channels.crop_loss.dtype == torch.float64
    assert torch.allclose(channels.crop_loss, losses, rtol=0, atol=1.1e-7)
    with np.load(tmp_path / "x.npz") as file:
        assert sorted(file.files) == ["crop_loss", domain]
        assert (file["crop_loss"].dtype, file["crop_loss"].shape) == (np.float32, (7,))


def test_a_file_without_losses_is_read_as_before(tmp_path: Path, x: Tensor) -> None:
    write_channels(tmp_path / "x.npz", [x])
    assert load_file(tmp_path / "x.npz").crop_loss is None
    np.savez(tmp_path / "foreign.npz", x=x.numpy(), crop_loss=some_losses(7).numpy())
    assert load_file(tmp_path / "foreign.npz").crop_loss is None, "the array has a meaning in csilink's own file alone"


@pytest.mark.parametrize("name", shipped_datasets())
def test_the_losses_of_a_shipped_set_have_the_mean_of_its_card(name: str) -> None:
    channels = load_file(shipped_datasets()[name])
    assert channels.card is not None
    assert channels.crop_loss is not None
    assert round(float(channels.crop_loss.mean()), 5) == channels.card.crop_loss


def test_a_file_of_paths_knows_the_losses_of_its_channels(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    amplitude = (random.standard_normal(9) + 1j * random.standard_normal(9)).astype(np.complex64)
    paths = {"offsets": np.array([0, 3, 4, 9]), "aod": random.uniform(-1, 1, 9), "delay": random.uniform(0, 3e-6, 9)}
    np.savez(tmp_path / "a.npz", amp=amplitude, **paths)  # type: ignore[arg-type]
    channels = load_file(tmp_path / "a.npz")
    ((_, wanted),) = angular_delay_chunks(
        Paths(paths["offsets"], np.sin(paths["aod"]), paths["delay"], amplitude), Sampling()
    )
    assert channels.crop_loss is not None
    assert torch.equal(channels.crop_loss, wanted)


def test_a_part_keeps_row_and_loss_together_and_losses_of_other_channels_are_refused(x: Tensor, tmp_path: Path) -> None:
    losses = some_losses(7)
    write(tmp_path / "x.npz", x, losses)
    channels = load_file(tmp_path / "x.npz")
    part = channels.part(2, 5)
    assert (part.name, part.sha256, len(part.h)) == ("x", channels.sha256, 3)
    assert torch.equal(part.h, channels.h[2:5])
    assert part.crop_loss is not None
    assert torch.allclose(part.crop_loss, losses[2:5], rtol=0, atol=1e-7)
    assert replace(channels, crop_loss=None).part(0, 2).crop_loss is None
    with pytest.raises(InvalidArgumentError, match=r"`crop_loss` must be of the 3 channels of `h`, .*; got 7"):
        replace(channels, h=channels.h[2:5])


def test_a_crop_on_top_of_a_crop_combines_channel_by_channel(tmp_path: Path, x: Tensor) -> None:
    """The whole channel, of 6 taps, is known here: cropped to 4, written, cropped to 2."""
    first, before = crop_taps(x, 4)
    write(tmp_path / "x.npz", normalize_power(first), before)
    again = cropped(open_stream(tmp_path / "x.npz", TRUSTED), 2)
    assert again.loss == "each"
    _, wanted = crop_taps(x, 2)
    assert torch.allclose(losses_of(again), wanted, rtol=0, atol=1e-3)  # the file is in half precision
    assert torch.allclose(losses_of(open_stream(tmp_path / "x.npz", TRUSTED)), before, rtol=0, atol=1.1e-7)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(mask=arrays(np.bool_, 14, elements=st.booleans()).filter(lambda mask: bool(mask.any())))
def test_channels_that_are_joined_and_selected_keep_their_losses(
    tmp_path: Path, x: Tensor, mask: np.ndarray[Any, np.dtype[np.bool_]]
) -> None:
    for name, seed in (("a.npz", 1), ("b.npz", 2)):
        if not (tmp_path / name).exists():
            write(tmp_path / name, x, some_losses(7, seed))
    both = joined([open_stream(tmp_path / name, TRUSTED) for name in ("a.npz", "b.npz")])
    wanted = torch.cat([some_losses(7, 1), some_losses(7, 2)])[torch.from_numpy(mask)]
    assert torch.allclose(losses_of(selected(both, mask)), wanted, rtol=0, atol=1.1e-7)


@pytest.mark.parametrize(
    ("kinds", "whole"),
    [
        (["each", "each"], "each"),
        (["none", "none"], "none"),
        (["each", "none"], "none"),
        (["each", "mean"], "mean"),
        (["none", "mean"], "mean"),
    ],
)
def test_the_losses_of_joined_files_are_known_where_those_of_every_one_are(
    tmp_path: Path, x: Tensor, kinds: list[Loss], whole: Loss
) -> None:
    write(tmp_path / "x.npz", x, some_losses(7))
    stream = open_stream(tmp_path / "x.npz", TRUSTED)
    assert joined([replace(stream, loss=kind) for kind in kinds]).loss == whole


MALFORMED: dict[str, tuple[Callable[[], object], str]] = {
    "too few": (lambda: np.zeros(6), r"must be \[7\] real; found \[6\] float64"),
    "too many": (lambda: np.zeros(8, np.float32), r"must be \[7\] real; found \[8\] float32"),
    "one number": (lambda: np.float32(0.1), r"must be \[7\] real; found \[\] float32"),
    "a column": (lambda: np.zeros((7, 1)), r"must be \[7\] real; found \[7, 1\] float64"),
    "integers": (lambda: np.zeros(7, int), r"must be \[7\] real; found \[7\] int64"),
    "complex": (lambda: np.zeros(7, complex), r"must be \[7\] real; found \[7\] complex128"),
    "not a number": (
        lambda: np.array([0, 0, np.nan, 0, 0, 0, 0]),
        r"must be in \[0, 1\]; found nan for channel 2",
    ),
    "infinite": (lambda: np.full(7, np.inf), r"must be in \[0, 1\]; found inf for channel 0"),
    "negative": (lambda: np.array([0, -0.25, 0, 0, 0, 0, 0]), r"must be in \[0, 1\]; found -0.25 for channel 1"),
    "per cent": (lambda: np.array([0.9, 1, 0, 0, 0, 0, 1.75]), r"must be in \[0, 1\]; found 1.75 for channel 6"),
}


def pairs_of(x: Tensor) -> np.ndarray[Any, np.dtype[np.float16]]:
    half: np.ndarray[Any, np.dtype[np.float16]] = torch.view_as_real(x).to(torch.float16).numpy()
    return half


@pytest.mark.parametrize(("make", "message"), MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_losses_are_refused_with_the_file_the_wanted_and_the_found(
    tmp_path: Path, x: Tensor, make: Callable[[], object], message: str
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x_re_im=pairs_of(x), crop_loss=np.asarray(make()))
    with pytest.raises(DataFileError, match=f"`crop_loss` of `{path}` {message}"):
        load_file(path)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    array=arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.bool_, np.complex64]),
        st.just((7,)) | array_shapes(min_dims=0, max_dims=2, max_side=8),
    )
)
def test_any_array_gives_losses_in_their_range_or_a_sentence(
    tmp_path: Path, x: Tensor, array: np.ndarray[Any, Any]
) -> None:
    path = tmp_path / "x.npz"
    np.savez(path, x_re_im=pairs_of(x), crop_loss=array)
    fits = array.shape == (7,) and array.dtype.kind == "f" and bool(((array >= 0) & (array <= 1)).all())
    if fits:
        crop_loss = load_file(path).crop_loss
        assert crop_loss is not None
        assert crop_loss.tolist() == array.astype(np.float64).tolist()
    else:
        with pytest.raises(DataFileError, match="`crop_loss` of"):
            load_file(path)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 10**6), change=st.binary(max_size=4), cut=st.integers(0, 600))
def test_damaged_bytes_give_a_sentence_or_channels_and_nothing_else(
    tmp_path: Path, x: Tensor, at: int, change: bytes, cut: int
) -> None:
    path = tmp_path / "x.npz"
    write(path, x, some_losses(7))
    content = path.read_bytes()
    at %= len(content)
    content = content[:at] + change + content[at + len(change) :]
    path.write_bytes(content[: len(content) - cut] if cut < 300 else content)
    with contextlib.suppress(DataFileError):
        channels = load_file(path)
        assert channels.h.isfinite().all()
        assert channels.crop_loss is None or bool(((channels.crop_loss >= 0) & (channels.crop_loss <= 1)).all())


def test_the_array_is_looked_at_when_the_channels_are_read_but_its_length_at_once(tmp_path: Path, x: Tensor) -> None:
    np.savez(tmp_path / "x.npz", x_re_im=pairs_of(x), crop_loss=np.full(7, 2.0))
    stream = open_stream(tmp_path / "x.npz", TRUSTED)
    with pytest.raises(DataFileError, match="found 2 for channel 0"):
        next(stream.chunks())
    np.savez(tmp_path / "x.npz", x_re_im=pairs_of(x), crop_loss=np.zeros(2))
    with pytest.raises(DataFileError, match=r"found \[2\] float64"):
        open_stream(tmp_path / "x.npz", TRUSTED)


def test_nothing_added_has_no_mean() -> None:
    assert CropLosses().mean is None
