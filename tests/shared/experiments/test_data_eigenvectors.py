"""`csi-lab data eigenvectors`: file, card, refusals, and a codec trained on what it makes."""

import json
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from shared.channels import ChannelSet, load_channels
from shared.channels.eigenvectors import eigenvector_csi
from shared.channels.stream import ReadOptions
from shared.channels.writing import write_channels
from shared.codecs import make_decoder, make_encoder
from shared.codecs.base import DecodeContext, EncodeContext
from shared.directions import layer_directions
from shared.errors import CsiError, DataFileError, InvalidArgumentError
from shared.experiments.__main__ import app
from shared.experiments.data_eigenvectors import EigenvectorJob, write_eigenvectors
from shared.metrics.sgcs import direction_similarity
from shared.model_files import load_model
from shared.rng import Randomness
from shared.transforms import from_angular_delay

CPU = torch.device("cpu")


def quiet(done: int, total: int) -> None:
    """Show no progress."""


@pytest.fixture
def job(indoor: ChannelSet, tmp_path: Path) -> EigenvectorJob:
    """Two UE antennas, made of two channels each."""
    write_channels(tmp_path / "two.npz", [indoor.h[:60].reshape(30, 2, 32, 32)])
    options = ReadOptions(trust_layout=True)
    return EigenvectorJob(str(tmp_path / "two.npz"), tmp_path / "out.npz", "mine", 2, 16, "csi-lab data e", options)


def test_the_file_holds_the_eigenvectors_and_its_card_says_so(job: EigenvectorJob) -> None:
    seen: list[tuple[int, int]] = []
    card = write_eigenvectors(job, lambda done, total: seen.append((done, total)))
    assert seen[-1] == (30, 30)
    source, found = load_channels(job.data), load_channels(str(job.out))
    assert found.card == card
    assert (card.num_rx_ant, card.num_tx_ant, card.num_subcarriers, card.domain) == (2, 32, 32, "angular-delay")
    wanted = eigenvector_csi(source.h, "angular-delay", 2, 16)
    torch.testing.assert_close(found.h, wanted, atol=0.02, rtol=0)  # half precision at magnitudes up to 32
    v, v_hat = (layer_directions(from_angular_delay(x), 2, 16) for x in (source.h, found.h))
    assert float((v.conj() * v_hat).sum(dim=-1).abs().square().min()) > 1 - 1e-5
    assert (found.crop_loss, card.crop_loss) == (None, None)
    assert "rank-2 eigenvectors of 16 subbands" in card.title
    assert card.title.endswith(": 30 channels, angular-delay [2, 32, 32]")
    assert card.generator.endswith(", csi-lab data eigenvectors")
    assert card.configuration["eigenvectors_num_subbands"] == 16
    assert card.configuration[f"sha256_of_{job.out.parent.name}/two.npz"] == source.sha256


def test_the_command_reads_a_shipped_data_set_and_its_recipe_makes_the_file_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, indoor: ChannelSet
) -> None:
    arguments = [
        "data",
        "eigenvectors",
        indoor.name,
        "--out",
        str(tmp_path / "folder" / "e.npz"),
        "--num-subbands",
        "8",
    ]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
    made = CliRunner().invoke(app, arguments)
    assert made.exit_code == 0, made.output
    assert made.stdout.endswith(f"file {tmp_path}/folder/e.npz\n")
    assert "2400/2400" in made.stderr
    first = load_channels(str(tmp_path / "folder" / "e.npz"))
    assert first.card is not None
    assert indoor.card is not None
    assert (first.card.licence, first.card.source) == (indoor.card.licence, indoor.card.source)
    assert first.card.configuration["bandwidth_hz"] == 20e6
    monkeypatch.chdir(tmp_path)
    again = CliRunner().invoke(app, [*shlex.split(first.card.recipe)[1:], "--json"])
    assert again.exit_code == 0, again.output
    assert json.loads(again.stdout)["sha256"] == first.sha256


def test_arrays_in_the_other_domain_stay_in_it(indoor: ChannelSet, tmp_path: Path) -> None:
    h = from_angular_delay(indoor.h[:20])
    np.savez(tmp_path / "h.npz", h=h.numpy())
    job = EigenvectorJob(str(tmp_path / "h.npz"), tmp_path / "out.npz", "mine", 1, 32, "recipe", ReadOptions())
    card = write_eigenvectors(job, quiet)
    assert card.domain == "spatial-frequency"
    wanted = eigenvector_csi(h, "spatial-frequency", 1, 32)
    torch.testing.assert_close(load_channels(str(job.out)).h, wanted, atol=0.005, rtol=0)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (
            {"rank": 3},
            InvalidArgumentError,
            r"`rank` must be in \[1, 2\], for channels of 2 UE and 32 BS antennas; got 3",
        ),
        ({"num_subbands": 5}, InvalidArgumentError, "`num_subbands` must divide 32 subcarriers; got 5"),
        ({"out": Path("mine.h5")}, InvalidArgumentError, "`out` must end in .npz; got 'mine.h5'"),
        ({"data": "no-such-set"}, DataFileError, "`data` must be a shipped data set .* or a file; got 'no-such-set'"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_written(
    job: EigenvectorJob, changes: dict[str, object], error: type[CsiError], message: str
) -> None:
    changed = {field: getattr(job, field) for field in EigenvectorJob.__slots__} | changes
    with pytest.raises(error, match=message):
        write_eigenvectors(EigenvectorJob(**changed), quiet)
    assert sorted(path.name for path in job.out.parent.iterdir()) == ["two.npz"]


def test_neither_the_source_nor_what_another_command_made_is_replaced(job: EigenvectorJob) -> None:
    fields = {field: getattr(job, field) for field in EigenvectorJob.__slots__}
    with pytest.raises(InvalidArgumentError, match="`out` must be another file than the source"):
        write_eigenvectors(EigenvectorJob(**fields | {"out": Path(job.data), "overwrite": True}), quiet)
    card = write_eigenvectors(job, quiet)
    assert write_eigenvectors(job, quiet) == card
    other = fields | {"rank": 1, "recipe": "csi-lab data e --rank 1"}
    with pytest.raises(InvalidArgumentError, match=r"out.npz` is, and `csi-lab data e` made it"):
        write_eigenvectors(EigenvectorJob(**other), quiet)
    assert write_eigenvectors(EigenvectorJob(**other | {"overwrite": True}), quiet).num_rx_ant == 1


def test_eigenvectors_of_eigenvectors_are_refused(job: EigenvectorJob, tmp_path: Path) -> None:
    write_eigenvectors(job, quiet)
    fields = {field: getattr(job, field) for field in EigenvectorJob.__slots__}
    again = EigenvectorJob(**fields | {"data": str(job.out), "out": tmp_path / "again.npz"})
    with pytest.raises(InvalidArgumentError, match=r"`data` must hold channels; .* holds eigenvectors already"):
        write_eigenvectors(again, quiet)
    assert not again.out.exists()


@pytest.mark.parametrize("codec", ["klt", "csinet"])
def test_a_codec_trains_on_eigenvectors_and_is_scored_by_the_directions_of_the_channels(
    codec: str, indoor: ChannelSet, tmp_path: Path
) -> None:
    paths = {}
    for name, h in (("train", indoor.h[:1200]), ("test", indoor.h[1200:1300])):
        write_channels(tmp_path / f"{name}.npz", [h])
        paths[name] = tmp_path / f"{name}-eigenvectors.npz"
        job = EigenvectorJob(str(tmp_path / f"{name}.npz"), paths[name], name, 1, 16, name, ReadOptions())
        write_eigenvectors(job, quiet)
    options = ["--epochs", "1", "--num-latents", "32", "--precision", "float32"] if codec == "csinet" else []
    files = ["--data", str(paths["train"]), "--test", str(paths["test"]), "--out", str(tmp_path), "--name", "mine"]
    trained = CliRunner().invoke(app, ["train", codec, *files, *options])
    assert trained.exit_code == 0, trained.output
    model = load_model(str(tmp_path / "mine.safetensors"))
    x = load_channels(str(paths["test"])).h
    snr_db, rate = np.zeros(len(x), dtype=np.float32), model.card.max_rate
    randomness = Randomness(0, np.zeros(len(x), dtype=np.uint32), np.arange(len(x)))
    payload = make_encoder(model, CPU).encode(x, EncodeContext(rate, snr_db, randomness))
    x_hat = make_decoder(model, CPU).decode(payload, DecodeContext(rate, snr_db)).h_hat
    v, v_hat = (layer_directions(from_angular_delay(of), 1, 16) for of in (indoor.h[1200:1300], x_hat))
    similarity = float(direction_similarity(v_hat, v).mean())
    assert similarity > 0.9 if codec == "klt" else 0 < similarity <= 1  # one epoch teaches next to nothing
