"""Files of ray-traced channels, from paths that are known; to trace them is tested in `shared/channels/raytraced`."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from shared.channels import load_channels
from shared.channels.file import open_stream
from shared.channels.raytraced import Pool, settings_of
from shared.channels.raytraced.places import places
from shared.channels.raytraced.tracing import Traced
from shared.channels.stream import ReadOptions
from shared.errors import DataFileError, InvalidArgumentError
from shared.experiments.coverage_map import paths_beside, plot_coverage
from shared.experiments.generate_raytraced import MOST_IN_BOTH, RaytracedJob, write_pool

SETTINGS = replace(settings_of("street-3g5", None), num_tx_ant=8, num_subcarriers=16, num_delay_taps=16)


def job_of(out: Path, **splits: int) -> RaytracedJob:
    return RaytracedJob(SETTINGS, out, 60, splits, 1, 5.0, 1.0, "csi-lab data generate raytraced --and so on")


@pytest.fixture
def pool() -> Pool:
    """Return 600 UEs with one to four paths each, every fifth without a line of sight."""
    generator = np.random.default_rng(5)
    counts = generator.integers(1, 5, 600)
    num_paths = int(counts.sum())
    amplitude = generator.normal(size=num_paths) + 1j * generator.normal(size=num_paths)
    traced = Traced(
        counts,
        np.arange(600) % 5 > 0,
        generator.uniform(-1.5, 1.5, num_paths).astype(np.float32),
        generator.uniform(0, 0.9 * SETTINGS.symbol_s, num_paths).astype(np.float32),
        amplitude.astype(np.complex64),
    )
    walls = np.array([[-30, 19, 32, 19], [-30, -17, 32, -17]], dtype=np.float32)
    return Pool(places(SETTINGS, 600, 1), traced, walls, 7, 12.34, "by hand")


def test_the_channels_of_a_split_are_those_that_the_file_of_paths_gives(tmp_path: Path, pool: Pool) -> None:
    cards = write_pool(job_of(tmp_path / "s.npz", train=420, val=60, test=120), pool)
    assert [card.name for card in cards] == [
        *("s-train", "s-val", "s-test", "s-area-train", "s-area-val", "s-area-test", "s-both-test"),
    ]
    stream = open_stream(tmp_path / "s-paths.npz", ReadOptions(sampling=SETTINGS.sampling))
    imported = torch.cat([x for x, _ in stream.chunks()])
    assert len(imported) == 600
    with np.load(tmp_path / "s-paths.npz") as stored:
        for card in cards:
            channels = load_channels(str(tmp_path / card.file))
            ues = stored[str(card.configuration["paths_index"])]
            assert torch.allclose(channels.h, imported[ues], atol=5e-3)
            assert card.num_channels == len(ues) == len(np.unique(ues))
            assert card.crop_loss == 0.0  # 16 taps of 16 subcarriers: a unitary transform


def test_the_random_splits_share_no_ue_those_by_area_no_neighbour_and_both_is_test_in_both(
    tmp_path: Path, pool: Pool
) -> None:
    write_pool(job_of(tmp_path / "s.npz", train=420, val=60, test=120), pool)
    with np.load(tmp_path / "s-paths.npz") as stored:
        ues = {name: stored[name] for name in stored if name.startswith("ues_")}
        place = stored["ue_pos"]
    at_random = np.concatenate([ues["ues_train"], ues["ues_val"], ues["ues_test"]])
    assert sorted(at_random) == list(range(600))
    assert sorted(ues["ues_test"]) == list(range(120))  # the first: the test of a smaller pool is in that of a larger
    gap = np.linalg.norm(place[ues["ues_area_train"], None] - place[None, ues["ues_area_test"]], axis=-1)
    assert gap.min() >= 1.0
    assert set(ues["ues_both_test"]) == set(ues["ues_test"]) & set(ues["ues_area_test"])
    assert len(ues["ues_both_test"]) <= MOST_IN_BOTH


def test_a_card_says_how_much_is_in_sight_what_was_skipped_and_how_long_it_took(tmp_path: Path, pool: Pool) -> None:
    (card,) = write_pool(replace(job_of(tmp_path / "s.npz"), num_channels=600), pool)
    assert card.configuration["line_of_sight_share"] == 0.8
    assert card.configuration["places_without_path"] == 7
    assert card.configuration["trace_s"] == 12.3
    assert card.configuration["mean_paths"] == round(float(pool.traced.counts.mean()), 2)
    assert (card.generator, card.recipe) == ("by hand", "csi-lab data generate raytraced --and so on")
    assert card.title == "ray-traced simple_street_canyon made 2 times larger, 3.5 GHz, 8-antenna ULA, 100 MHz"
    assert "split" not in card.configuration


def test_the_files_do_not_depend_on_how_long_it_took(tmp_path: Path, pool: Pool) -> None:
    job = replace(job_of(tmp_path / "a/s.npz"), num_channels=600)
    (first,) = write_pool(job, pool)
    (second,) = write_pool(replace(job, out=tmp_path / "b/s.npz"), replace(pool, trace_s=99.0))
    assert first.sha256 == second.sha256
    assert (tmp_path / "a/s-paths.npz").read_bytes() == (tmp_path / "b/s-paths.npz").read_bytes()


def test_what_a_crop_leaves_out_stands_in_the_card(tmp_path: Path, pool: Pool) -> None:
    settings = replace(SETTINGS, num_delay_taps=8)
    (card,) = write_pool(replace(job_of(tmp_path / "s.npz"), num_channels=600, settings=settings), pool)
    assert card.crop_loss is not None
    assert 0.3 < card.crop_loss < 0.6  # the delays are spread over 0 ... 14.4 taps


def test_one_split_has_no_split_by_area(tmp_path: Path, pool: Pool) -> None:
    job = job_of(tmp_path / "s.npz", test=600)
    assert [card.name for card in write_pool(job, pool)] == ["s-test"]
    assert job.data_files() == [tmp_path / "s-test.npz"]


def test_a_file_that_is_no_npz_and_splits_too_small_for_one_of_both_are_refused(tmp_path: Path, pool: Pool) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`out` must end in \.npz; got 's\.mat'"):
        job_of(tmp_path / "s.mat").data_files()
    with pytest.raises(
        InvalidArgumentError, match="test in both splits; got none of 600 with --block-m 5 and --gap-m 1"
    ):
        write_pool(job_of(tmp_path / "s.npz", train=595, test=5), pool)


@pytest.mark.parametrize("name", ["paths", "area-train", "area_train", "both-test", "both_test"])
def test_a_split_with_the_name_of_another_file_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=f"`split` must not be paths, .*; got '{name}'"):
        job_of(tmp_path / "s.npz", train=420, **{name: 60}).data_files()


def test_splits_whose_ues_would_have_one_name_in_the_file_of_paths_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="`split` must have names that differ in more than - and _"):
        job_of(tmp_path / "s.npz", **{"a-b": 420, "a_b": 60}).data_files()


def test_a_map_is_drawn_where_the_paths_lie_beside_the_data(tmp_path: Path, pool: Pool) -> None:
    cards = write_pool(job_of(tmp_path / "s.npz", train=420, val=60, test=120), pool)
    paths = paths_beside(tmp_path / "s-test.npz", cards[2])
    assert paths == tmp_path / "s-paths.npz"
    plot_coverage(paths, cards[2], tmp_path / "pictures/map.png")
    assert (tmp_path / "pictures/map.png").read_bytes().startswith(b"\x89PNG")
    assert paths_beside(tmp_path / "s-test.npz", None) is None
    (tmp_path / "elsewhere").mkdir()
    assert paths_beside(tmp_path / "elsewhere/s-test.npz", cards[2]) is None
    write_pool(replace(job_of(tmp_path / "s.npz"), num_channels=600, recipe="another"), pool)
    assert paths_beside(tmp_path / "s-test.npz", cards[2]) is None  # it holds other UEs
    (tmp_path / "s-paths.npz").write_bytes(b"PK")
    with pytest.raises(DataFileError, match=r"s-paths\.npz` must hold the paths of s-test: "):
        plot_coverage(paths, cards[2], tmp_path / "map.png")
