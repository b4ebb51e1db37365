"""`import_channels`: file, card, splits, memory."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.channels import ChannelSet, load_channels, shipped_datasets
from shared.channels.card import write_dataset_card
from shared.channels.file import load_file
from shared.channels.stream import ReadOptions
from shared.channels.writing import write_channels
from shared.digests import sha256_of
from shared.errors import DataFileError, InvalidArgumentError
from shared.experiments.data_eigenvectors import EigenvectorJob, write_eigenvectors
from shared.experiments.data_import import ImportJob, import_channels, parse_splits
from shared.transforms import crop_taps, from_angular_delay, to_csinet_rows


def path_arrays(num_environments: int, seed: int) -> dict[str, NDArray[Any]]:
    random = np.random.default_rng(seed)
    environments = np.repeat(np.arange(num_environments) + 1000 * seed, 3)
    offsets = np.arange(len(environments) + 1) * 5
    size = int(offsets[-1])
    return {
        "offsets": offsets,
        "aod": random.uniform(-1, 1, size).astype(np.float32),
        "delay": random.uniform(0, 5e-7, size).astype(np.float32),
        "amp": (random.standard_normal(size) + 1j * random.standard_normal(size)).astype(np.complex64),
        "env_id": environments,
    }


@pytest.fixture
def job(tmp_path: Path) -> ImportJob:
    """Two files of paths."""
    sources = [tmp_path / "a.npz", tmp_path / "b.npz"]
    for seed, source in enumerate(sources):
        np.savez(source, **path_arrays(40, seed))  # type: ignore[arg-type]
    return ImportJob(sources, tmp_path / "out.npz", "mine", ReadOptions(), None, {}, "csi-lab data import a b")


def crop_losses(path: Path) -> Tensor:
    crop_loss = load_file(path).crop_loss
    assert crop_loss is not None
    return crop_loss


def quiet(done: int, total: int) -> None:
    """Show no progress."""


def test_several_files_become_one_with_a_card_that_fits(job: ImportJob) -> None:
    seen: list[tuple[int, int]] = []
    (card,) = import_channels(job, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (240, 240)
    channels = load_channels(str(job.out))
    assert channels.card == card
    assert (channels.name, card.num_channels, card.shape.dims) == ("mine", 240, (1, 32, 32))
    assert card.crop_loss is not None
    assert 0 < card.crop_loss < 0.1
    assert card.configuration["num_environments"] == 80
    assert f"sha256_of_{job.out.parent.name}/a.npz" in card.configuration
    wanted = torch.cat([load_file(source).h for source in job.sources])
    assert torch.allclose(channels.h, wanted, atol=0.02)  # half precision at magnitudes up to 32


def test_files_of_one_name_in_two_folders_each_keep_their_digest(job: ImportJob) -> None:
    cities = [job.out.parent / city / "a.npz" for city in ("NY", "LA")]
    for source, city in zip(job.sources, cities, strict=True):
        city.parent.mkdir()
        source.rename(city)
    (card,) = import_channels(replace(job, sources=cities), quiet)
    digests = {key: value for key, value in card.configuration.items() if key.startswith("sha256_of_")}
    assert digests == {f"sha256_of_{city.parent.name}/a.npz": sha256_of(city) for city in cities}


def test_what_the_card_of_a_source_says_goes_into_the_new_one(job: ImportJob) -> None:
    (first,) = import_channels(job, quiet)
    first = first.model_copy(update={"time_correlation": True, "licence": "mine"})
    write_dataset_card(job.out, first)
    again = replace(job, sources=[job.out], out=job.out.with_name("again.npz"), name="again", recipe="again")
    (card,) = import_channels(again, quiet)
    assert first.crop_loss
    assert card.crop_loss == pytest.approx(first.crop_loss)
    assert (card.title, card.source, card.generator) == (first.title, first.source, first.generator)
    assert (card.licence, card.time_correlation, card.sha256) == ("mine", True, first.sha256)
    digest = {f"sha256_of_{job.out.parent.name}/out.npz": first.sha256}
    assert card.configuration == first.configuration | digest
    (cropped,) = import_channels(replace(again, num_taps=4, overwrite=True), quiet)
    _, lost = crop_taps(load_file(job.out).h, 4)
    exact = 1 - (1 - crop_losses(job.out)) * (1 - lost)  # not of the means: the two go together
    assert cropped.crop_loss == pytest.approx(float(exact.mean()), abs=1e-5)


def test_the_losses_of_each_channel_go_into_the_file_and_through_another_import(job: ImportJob) -> None:
    (first,) = import_channels(job, quiet)
    wanted = torch.cat([crop_losses(source) for source in job.sources])
    assert torch.allclose(crop_losses(job.out), wanted, rtol=0, atol=1.1e-7)
    assert first.crop_loss == round(float(wanted.mean()), 5)
    assert first.storage.endswith("; crop_loss [N] float32")
    again = replace(job, sources=[job.out], out=job.out.with_name("again.npz"), num_taps=4)
    import_channels(again, quiet)
    _, lost = crop_taps(load_file(job.out).h, 4)
    assert torch.allclose(crop_losses(again.out), 1 - (1 - wanted) * (1 - lost), rtol=0, atol=3e-7)


def test_a_mean_in_the_place_of_the_losses_stays_a_mean(job: ImportJob, indoor: ChannelSet) -> None:
    """Files of before hold channels alone; their cards the mean."""
    old = job.out.with_name("old.npz")
    digest = write_channels(old, [indoor.h[:20]])
    assert indoor.card is not None
    changes = {"sha256": digest, "num_channels": 20, "crop_loss": 0.02}
    write_dataset_card(old, indoor.card.model_copy(update=changes))
    (card,) = import_channels(replace(job, sources=[old], num_taps=16), quiet)
    _, lost = crop_taps(indoor.h[:20], 16)
    assert card.crop_loss == pytest.approx(1 - 0.98 * (1 - float(lost.mean())), abs=2e-5)
    assert "crop_loss" not in card.storage
    assert load_file(job.out).crop_loss is None
    (card,) = import_channels(replace(job, sources=[old, shipped_datasets()[indoor.name]], overwrite=True), quiet)
    assert indoor.crop_loss is not None
    assert card.crop_loss == pytest.approx((20 * 0.02 + float(indoor.crop_loss.sum())) / 2420, abs=1e-5)
    assert load_file(job.out).crop_loss is None


def test_a_file_that_another_command_made_is_not_replaced_unless_told(job: ImportJob) -> None:
    (card,) = import_channels(job, quiet)
    assert import_channels(job, quiet) == [card]
    other = replace(job, sources=job.sources[:1], recipe="csi-lab data import a")
    with pytest.raises(InvalidArgumentError, match=r"out.npz` is, and `csi-lab data import a b` made it. Choose"):
        import_channels(other, quiet)
    job.out.with_stem("out-test").write_bytes(b"")
    with pytest.raises(InvalidArgumentError, match=r"out-test.npz` is, and no card beside it says how it was made"):
        import_channels(replace(other, splits={"test": 0.2}), quiet)
    assert load_file(job.out).card == card
    (card,) = import_channels(replace(other, overwrite=True), quiet)
    assert card.num_channels == 120


def test_splits_share_no_environment_and_leave_none_out(job: ImportJob) -> None:
    cards = import_channels(replace(job, splits={"test": 0.2, "val": 0.1}), quiet)
    assert [card.name for card in cards] == ["mine-test", "mine-val", "mine-train"]
    found = [load_channels(str(job.out.with_stem(f"out-{name}"))).h for name in ("test", "val", "train")]
    assert sum(len(h) for h in found) == 240
    assert len(found[0]) in range(24, 73)
    everything = torch.cat([load_file(source).h for source in job.sources]).flatten(1)
    losses = torch.cat([crop_losses(source) for source in job.sources])
    for name, h in zip(("test", "val", "train"), found, strict=True):
        rows = [int((everything - row).abs().sum(dim=1).argmin()) for row in h.flatten(1)]
        kept = crop_losses(job.out.with_stem(f"out-{name}"))
        assert torch.allclose(kept, losses[rows], rtol=0, atol=1.1e-7), "a row and its loss stay together"
    environments = [[], [], []]  # type: list[list[int]]
    for h, of_split in zip(found, environments, strict=True):
        for row in h.flatten(1):
            index = int((everything - row).abs().sum(dim=1).argmin())
            of_split.append(index // 3)
    assert all(
        not set(a) & set(b) for a, b in ((environments[i], environments[j]) for i, j in ((0, 1), (0, 2), (1, 2)))
    )
    assert sorted(environments[0] + environments[1] + environments[2]) == sorted(np.repeat(np.arange(80), 3).tolist())


def test_an_environment_falls_into_the_same_split_whatever_it_comes_with(job: ImportJob) -> None:
    import_channels(replace(job, splits={"test": 0.3}), quiet)
    together = load_channels(str(job.out.with_stem("out-test"))).h
    import_channels(replace(job, sources=job.sources[:1], splits={"test": 0.3}), quiet)
    alone = load_channels(str(job.out.with_stem("out-test"))).h
    assert 0 < len(alone) < len(together)
    assert torch.equal(together[: len(alone)], alone)


def test_a_spatial_frequency_array_is_cropped_to_its_first_taps_or_kept(job: ImportJob, indoor: ChannelSet) -> None:
    wide = torch.zeros(20, 1, 32, 256, dtype=torch.complex64)
    wide[..., :32] = indoor.h[:20]
    wide[..., 100] = 0.1
    source = job.out.with_name("h.npy")
    np.save(source, from_angular_delay(wide).numpy())
    options = ReadOptions(domain="spatial-frequency")
    (card,) = import_channels(replace(job, sources=[source], options=options, num_taps=32), quiet)
    assert card.shape.dims == (1, 32, 32)
    assert card.crop_loss == pytest.approx(32 * 0.01 / (32 * 0.01 + 1024), abs=1e-5)
    assert card.configuration["num_subcarriers_before_crop"] == 256
    assert torch.allclose(load_channels(str(job.out)).h, indoor.h[:20], atol=5e-3)
    assert crop_losses(job.out).numpy() == pytest.approx(32 * 0.01 / (32 * 0.01 + 1024), abs=1e-6)
    (card,) = import_channels(replace(job, sources=[source], options=options), quiet)
    assert (card.shape.domain, card.shape.dims) == ("spatial-frequency", (1, 32, 256))
    assert load_channels(str(job.out)).shape == card.shape
    assert load_channels(str(job.out)).crop_loss is None, "nothing was cropped"


def test_what_does_not_fit_is_refused_and_leaves_nothing(job: ImportJob, indoor: ChannelSet) -> None:
    rows = job.out.with_name("ht.npy")
    np.save(rows, to_csinet_rows(indoor.h[:3]).numpy())
    narrow = job.out.with_name("narrow.npz")
    np.savez(narrow, x=indoor.h[:3, :, :, :16].numpy())
    swapped = job.out.with_name("swapped.npz")
    np.savez(swapped, x=indoor.h[:100].transpose(2, 3).numpy())
    silent = job.out.with_name("silent.npz")
    np.savez(silent, x=np.zeros((3, 1, 32, 32), complex))
    wrong: list[tuple[dict[str, Any], type[Exception], str]] = [
        ({"out": job.out.with_suffix(".h5")}, InvalidArgumentError, "`out` must end in .npz; got 'out.h5'"),
        ({"out": job.sources[0]}, InvalidArgumentError, "`out` must be another file than the sources"),
        ({"sources": [rows, narrow]}, DataFileError, r"narrow.npz` must hold angular-delay \[1, 32, 32\] like"),
        ({"sources": [rows], "splits": {"test": 0.5}}, InvalidArgumentError, "`split` needs the environment of each"),
        ({"splits": {"test": 1e-9}}, InvalidArgumentError, "`split` test must get at least one environment"),
        ({"num_taps": 33}, InvalidArgumentError, r"`num_taps` must be in \[1, 32\]; got 33"),
        ({"sources": [job.out.parent]}, DataFileError, "must hold DeepMIMO's files"),
        ({"sources": [swapped]}, DataFileError, "axes look swapped"),
        ({"sources": [rows, silent]}, DataFileError, "^`x` of `.*silent.npz` must .*; channel 0 has no power"),
    ]
    of_eigenvectors = EigenvectorJob(str(rows), job.out.with_name("e.npz"), "e", 1, 8, "", ReadOptions())
    write_eigenvectors(of_eigenvectors, quiet)
    told = "`sources` must hold channels; e.npz holds eigenvectors"
    wrong.append(({"sources": [rows, of_eigenvectors.out]}, InvalidArgumentError, told))
    before = sorted(job.out.parent.iterdir())
    for changes, error, message in wrong:
        with pytest.raises(error, match=message):
            import_channels(replace(job, **changes), quiet)
        assert sorted(job.out.parent.iterdir()) == before


@pytest.mark.parametrize(
    ("texts", "sentence"),
    [
        (["test"], "must be name=share, like test=0.1; got 'test'"),
        (["test=x"], "must be name=share"),
        (["=0.1"], "must be name=share"),
        (["a/b=0.1"], "must be name=share"),
        (["test=0.1", "test=0.2"], "must name each split once; got test=0.1 test=0.2"),
        (["train=0.1"], "must not name train, which gets the rest; got train=0.1"),
        (["test=1"], "must be shares above 0 that leave a rest for train; got test=1"),
        (["test=0.1", "val=nan"], "must be shares above 0"),
    ],
)
def test_a_split_that_does_not_read_as_one_is_refused(texts: list[str], sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=f"`split` {sentence}"):
        parse_splits(texts)


def test_splits_are_read_in_their_order() -> None:
    assert parse_splits(["test=0.1", "val=0.05"]) == {"test": 0.1, "val": 0.05}


def test_eight_times_the_channels_take_no_more_memory(tmp_path: Path) -> None:
    few, many = 4096, 8 * 4096  # 4 pieces, 32 pieces
    for count in (few, many):
        rows = np.lib.format.open_memmap(tmp_path / f"{count}.npy", "w+", np.float16, (count, 2048))
        rows[:] = 0.5
        rows[:, ::32] = 0.6  # a path at the first delay
        rows.flush()
        del rows
    code = (
        "import resource, sys\n"
        "from shared.experiments.__main__ import app\n"
        "app(sys.argv[1:], standalone_mode=False)\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    peak_mb = {}
    for count in (few, many):
        arguments = ["data", "import", f"{count}.npy", "--out", f"out{count}.npz", "--json"]
        run = subprocess.run(
            [sys.executable, "-c", code, *arguments], cwd=tmp_path, capture_output=True, text=True, check=True
        )
        peak_mb[count] = int(run.stdout.split()[-1])
    assert peak_mb[many] < peak_mb[few] + 60, peak_mb  # the channels alone take 235 MB more
