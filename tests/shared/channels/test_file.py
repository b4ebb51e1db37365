"""Every reader, on the right file and on wrong ones."""

import contextlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.io import savemat

from shared.channels import load_channels
from shared.channels.file import load_file, open_stream
from shared.channels.stream import ReadOptions
from shared.channels.writing import write_channels
from shared.errors import DataFileError
from shared.transforms import from_csinet_rows, normalize_power, to_angles
from shared.types import Domain


def random_channels(*shape: int) -> NDArray[np.complex64]:
    """Draw channels with the power-delay profile that an angular-delay file must have."""
    x = torch.randn(*shape, dtype=torch.complex64, generator=torch.Generator().manual_seed(1))
    return (3 * x * 0.7 ** torch.arange(shape[-1])).numpy()


def csinet_rows(x: NDArray[np.complex64]) -> NDArray[np.float64]:
    """Lay [N, angle 32, delay 32] out as the rows of CsiNet's `HT`."""
    flat = x.reshape(len(x), -1)
    scale = 0.5 / np.abs(flat).max(axis=1, keepdims=True)
    return np.hstack([flat.real * scale, flat.imag * scale]) + 0.5


def same_up_to_scale(h: torch.Tensor, wanted: NDArray[np.complex64]) -> bool:
    return torch.allclose(h, normalize_power(torch.from_numpy(wanted)), atol=1e-3)


@pytest.mark.parametrize("shape", [(3, 2, 8, 6), (3, 8, 6)])
def test_plain_complex_arrays_are_read_from_npy_and_npz(tmp_path: Path, shape: tuple[int, ...]) -> None:
    h = random_channels(*shape)
    np.save(tmp_path / "h.npy", h.astype(np.complex128))
    np.savez(tmp_path / "h.npz", h=h)
    np.savez_compressed(tmp_path / "x.npz", x=h)
    given: Domain = "spatial-frequency"
    for name, says, domain in (
        ("h.npy", given, given),
        ("h.npz", None, "spatial-frequency"),
        ("h.npz", given, "spatial-frequency"),
        ("x.npz", None, "angular-delay"),
    ):
        channels = load_file(tmp_path / name, says)
        assert channels.h.dtype == torch.complex64
        assert channels.shape.domain == domain
        assert same_up_to_scale(channels.h, h.reshape(3, -1, 8, 6))
    with pytest.raises(DataFileError, match=r"does not say its domain: save it as .npz, key `h`"):
        load_file(tmp_path / "h.npy")
    with pytest.raises(DataFileError, match=r"`domain` of .* is angular-delay; got spatial-frequency"):
        load_file(tmp_path / "x.npz", given)


def test_csinet_rows_are_read_as_angle_by_delay_from_npy_and_mat(tmp_path: Path) -> None:
    x = random_channels(3, 32, 32)
    np.save(tmp_path / "ht.npy", csinet_rows(x).astype(np.float32))
    savemat(tmp_path / "ht.mat", {"HT": csinet_rows(x)})
    savemat(tmp_path / "small.mat", {"HT": csinet_rows(x), "other": np.zeros(3)}, do_compression=True)
    np.save(tmp_path / "images.npy", csinet_rows(x).reshape(3, 2, 32, 32))
    np.save(tmp_path / "columns.npy", np.asfortranarray(csinet_rows(x)))
    np.savez(tmp_path / "ht.npz", HT=csinet_rows(x))
    np.savez(tmp_path / "columns.npz", HT=np.asfortranarray(csinet_rows(x)))
    for name in ("ht.npy", "ht.mat", "small.mat", "images.npy", "columns.npy", "ht.npz", "columns.npz"):
        channels = load_file(tmp_path / name)
        assert channels.shape.domain == "angular-delay"
        assert same_up_to_scale(channels.h, x[:, None])


def write(array: object, suffix: str = ".npy", name: str = "h") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"data{suffix}"
        if suffix == ".npy":
            np.save(path, np.asarray(array), allow_pickle=True)
        elif suffix == ".npz":
            np.savez_compressed(path, **{name: np.asarray(array)})  # type: ignore[arg-type]
        else:
            savemat(path, {name: array})
        return path

    return make


def alter(make: Callable[[Path], Path], change: Callable[[bytes], bytes], suffix: str = "") -> Callable[[Path], Path]:
    def made(folder: Path) -> Path:
        path = make(folder)
        target = path.with_suffix(suffix) if suffix else path
        target.write_bytes(change(path.read_bytes()))
        return target

    return made


H = random_channels(2, 1, 8, 6)
HT = csinet_rows(random_channels(2, 32, 32))

UNUSABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "missing": (lambda folder: folder / "none.npy", "is not a file"),
    "a folder": (lambda folder: folder, "is not a file"),
    "unknown suffix": (alter(write(H), bytes, ".txt"), r"must end in .npz, .npy, .mat, .h5, .hdf5; found '.txt'"),
    "real": (write(H.real), "must be complex; found float32"),
    "real, npz": (write(H.real, ".npz"), "`h` of .* must be complex"),
    "two axes": (write(H[0, 0]), "must hold channels .*found"),
    "no channel": (write(H[:0]), "must hold channels .*found"),
    "npz of other names": (write(H, ".npz", "H"), r"must hold an array `x_re_im`, `h_re_im`, `h`.*found \['H'\]"),
    "pairs that are none": (write(np.ones((2, 1, 8, 6, 3)), ".npz", "x_re_im"), r"must be \[..., 2\] real"),
    "pairs that are none, h": (
        write(np.ones((2, 1, 8, 6, 3)), ".npz", "h_re_im"),
        r"`h_re_im` of .* must be \[..., 2\]",
    ),
    "all-zero channel": (
        write(H * np.array([1, 0])[:, None, None, None], ".npz"),
        "`h` of .* must be finite and have power in every channel; channel 1 has no power.",
    ),
    "not finite": (
        write(np.where(H.real > 0, np.nan, H), ".npz"),
        "`h` of .* must be finite and have power in every channel; channel 0 is not finite.",
    ),
    "pickled": (write(np.array([{}])), "cannot be read as .npy"),
    "pickled, npz": (write(np.array([{}]), ".npz"), "cannot be read as .npz"),
    "empty": (alter(write(H), lambda _: b""), "cannot be read as .npy"),
    "truncated": (alter(write(H), lambda content: content[:-1]), "cannot be read as .npy"),
    "truncated header": (alter(write(H), lambda content: content[:40]), "cannot be read as .npy"),
    "broken header": (alter(write(H), lambda content: content.replace(b"}", b" ", 1)), "cannot be read as .npy"),
    "truncated, npz": (alter(write(H, ".npz"), lambda content: content[:-1]), "cannot be read as .npz"),
    "broken, npz": (alter(write(H, ".npz"), lambda c: c[:80] + b"\xff" * 9 + c[89:]), "cannot be read as .npz"),
    "npy as npz": (alter(write(H), bytes, ".npz"), "cannot be read as .npz"),
    "npz as npy": (alter(write(H, ".npz"), bytes, ".npy"), "must hold one array"),
    "empty, mat": (alter(write(HT, ".mat", "HT"), lambda _: b""), "starts neither as MATLAB v5 nor as v7.3"),
    "truncated, mat": (
        alter(write(HT, ".mat", "HT"), lambda content: content[:200]),
        "cannot be read as .mat: an element wants 16432 bytes; 64 are left",
    ),
    "foreign, mat": (alter(write(HT, ".mat", "HT"), lambda _: b"\x89HDF\r\n\x1a\n" * 40), "cannot be read as .mat: "),
    "mat without HT": (write(HT, ".mat", "ht"), r"must hold an array .*`HT`.*found \['ht'\]"),
    "HT of cells": (write(np.array([["a", 1]], dtype=object), ".mat", "HT"), r"must hold an array .*found \[\]"),
    "HT too narrow": (write(HT[:, :-1]), r"must hold `HT` as \[N, 2048\] real; found \[2, 2047\]"),
    "HT transposed": (write(HT.T), r"found \[2048, 2\] float32. It looks transposed"),
    "HT of integers": (write((HT * 255).astype(np.uint8)), "must be complex; found uint8"),
    "HF transposed": (write(np.ones((4000, 2), np.complex64)), r"must hold `HF_all` as \[N, 4000\].*looks transposed"),
    "HF real": (write(np.ones((2, 4000)), ".npz", "HF_all"), r"must hold `HF_all` as \[N, 4000\] complex; found"),
    "pairs of integers": (write(np.ones((2, 1, 8, 6, 2), int), ".npz", "x_re_im"), r"must be \[..., 2\] real"),
    "longer than its header": (
        alter(write(H), lambda content: content + b"1"),
        "its header wants 768 bytes of data; found",
    ),
    "HT without offset": (write(HT - 0.5), r"must hold `HT` in \[0, 1\] around 0.5"),
    "HT not finite": (write(np.where(HT > 0.9, np.nan, HT)), r"must hold `HT` in \[0, 1\]"),
}


@pytest.mark.parametrize(("make", "message"), UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_unusable_file_is_refused_with_a_reason(make: Callable[[Path], Path], message: str, tmp_path: Path) -> None:
    path = make(tmp_path)
    with pytest.raises(DataFileError, match=message) as error:
        load_file(path)
    assert str(path) in str(error.value)


@pytest.fixture
def carded(tmp_path: Path) -> Path:
    """A small data set with its card."""
    path = tmp_path / "mine.npz"
    digest = write_channels(path, [torch.from_numpy(random_channels(4, 1, 8, 6))])
    card = load_channels("indoor-open-office").card
    assert card is not None
    changes = {"name": "mine", "sha256": digest, "num_channels": 4, "num_tx_ant": 8, "num_subcarriers": 6}
    path.with_suffix(".card.json").write_text(card.model_copy(update=changes).model_dump_json())
    return path


def change_card(path: Path, **changes: object) -> None:
    card = path.with_suffix(".card.json")
    card.write_text(json.dumps(json.loads(card.read_text()) | changes))


def test_a_file_with_a_card_takes_name_and_domain_from_it(carded: Path) -> None:
    channels = load_channels(str(carded))
    assert channels.card is not None
    assert (channels.name, channels.shape) == ("mine", channels.card.shape)
    with pytest.raises(DataFileError, match=r"`domain` of .* is angular-delay; got spatial-frequency"):
        load_file(carded, "spatial-frequency")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sha256": "0" * 64}, "is not the file of its card"),
        ({"num_channels": 5}, r"does not hold what its card says: 5 x \(1, 8, 6\)"),
        ({"num_subcarriers": 7}, "does not hold what its card says"),
        ({"surprise": 1}, "is not a data set card"),
        ({"domain": "time"}, "is not a data set card"),
    ],
)
def test_a_file_that_is_not_what_its_card_says_is_refused(
    carded: Path, changes: dict[str, object], message: str
) -> None:
    change_card(carded, **changes)
    with pytest.raises(DataFileError, match=message):
        load_file(carded)


def test_one_altered_byte_of_a_carded_file_is_refused(carded: Path) -> None:
    content = bytearray(carded.read_bytes())
    content[-1] ^= 1
    carded.write_bytes(content)
    with pytest.raises(DataFileError, match="is not the file of its card"):
        load_file(carded)


def test_a_name_that_is_neither_data_set_nor_file_is_refused() -> None:
    with pytest.raises(
        DataFileError,
        match=r"\(indoor-open-office, street-28g, street-3g5-narrow, street-3g5, umi-nlos\) or a file; got 'nope'",
    ):
        load_channels("nope")


def test_the_truth_of_csinet_is_read_as_spatial_frequency(tmp_path: Path) -> None:
    angles = random_channels(3, 32, 125)
    np.save(tmp_path / "hf.npy", angles.reshape(3, -1))
    channels = load_file(tmp_path / "hf.npy")
    assert (channels.shape.domain, channels.shape.dims) == ("spatial-frequency", (1, 32, 125))
    assert same_up_to_scale(to_angles(channels.h), angles[:, None])


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 400), change=st.binary(max_size=4), cut=st.integers(0, 600))
def test_damaged_bytes_give_a_sentence_or_channels_and_nothing_else(
    tmp_path: Path, suffix: str, at: int, change: bytes, cut: int
) -> None:
    path = write(HT, suffix, "HT")(tmp_path)
    content = path.read_bytes()
    at %= len(content)
    content = content[:at] + change + content[at + len(change) :]
    path.write_bytes(content[: len(content) - cut] if cut < 300 else content)
    with contextlib.suppress(DataFileError):
        assert load_file(path).h.isfinite().all()


def test_a_large_file_is_read_in_pieces(tmp_path: Path) -> None:
    rows = np.random.default_rng(1).random((5000, 2048), dtype=np.float32)
    np.save(tmp_path / "rows.npy", rows)
    np.savez(tmp_path / "rows.npz", HT=rows)
    np.save(tmp_path / "columns.npy", np.asfortranarray(rows))
    wanted = from_csinet_rows(torch.from_numpy(rows))
    for name in ("rows.npy", "rows.npz", "columns.npy"):
        chunks = [chunk for chunk, _ in open_stream(tmp_path / name, ReadOptions(trust_layout=True)).chunks()]
        assert [len(chunk) for chunk in chunks] == [512] * 9 + [392]
        assert torch.allclose(torch.cat(chunks), normalize_power(wanted), atol=1e-6)
