"""What every test may use: polling with a deadline, the shipped data set, a user's modules, a base station process."""

import asyncio
import hashlib
import inspect
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from bs_server.config import Settings
from shared.channels import ChannelSet, load_channels
from shared.channels.card import write_dataset_card
from shared.channels.eigenvectors import configuration_of, eigenvector_csi
from shared.channels.writing import write_channels
from shared.experiments.demo import BaseStationProcess, start_base_station
from shared.model_files import CodecCard, TrainingRecord, load_model
from shared.network_settings import EigenvectorSettings, UNetSettings
from shared.refinement import RefinerCard, RefinerFile, save_refiner
from shared.refinement.card import MeasuredGain
from shared.refinement.diffusion import make_unet
from shared.training.fit import fit_codec

settings.register_profile("same", deadline=None, derandomize=True)  # a slow core is no failure
settings.register_profile("new", deadline=None)  # other examples in each run: `make soak`
settings.load_profile("same")

POLL_S, DEADLINE_S = 0.005, 60.0


@pytest.fixture(scope="session")
def eventually() -> Callable[..., Awaitable[None]]:
    """Return what polls a condition, plain or asynchronous, on the event loop, and fails at the deadline."""

    async def wait(condition: Callable[[], object], deadline_s: float = DEADLINE_S) -> None:
        async with asyncio.timeout(deadline_s):
            while True:
                value = condition()
                if await value if inspect.isawaitable(value) else value:
                    return
                await asyncio.sleep(POLL_S)

    return wait


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Return the folder of real data beside the repository; without it the test skips."""
    folder = Path(__file__).parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}")
    return folder


@pytest.fixture(scope="session")
def indoor() -> ChannelSet:
    """The shipped test split."""
    return load_channels("indoor-open-office")


@pytest.fixture(scope="session")
def eigenvectors_of() -> Callable[[ChannelSet, str], ChannelSet]:
    """Return what makes a data set of eigenvectors, one layer and eight subbands, under a name."""

    def make(channels: ChannelSet, name: str) -> ChannelSet:
        assert channels.card is not None
        settings = EigenvectorSettings(rank=1, num_subbands=8)
        made = {"configuration": channels.card.configuration | configuration_of(settings), "name": name}
        h = eigenvector_csi(channels.h, channels.shape.domain, settings.rank, settings.num_subbands)
        digest = hashlib.sha256(name.encode()).hexdigest()
        card = channels.card.model_copy(update=made)
        return replace(channels, name=name, h=h, card=card, sha256=digest, crop_loss=None)

    return make


@pytest.fixture(scope="session")
def top_eigenvectors(
    indoor: ChannelSet,
    eigenvectors_of: Callable[[ChannelSet, str], ChannelSet],
    tmp_path_factory: pytest.TempPathFactory,
) -> str:
    """The path of a codec that was fitted on eigenvectors."""
    folder = tmp_path_factory.mktemp("top_eigenvectors")
    splits = eigenvectors_of(indoor.part(0, 400), "train"), eigenvectors_of(indoor.part(400, 500), "test")
    fit_codec("angular-topk", *splits, folder, "", "top-eigenvectors")
    return str(folder / "top-eigenvectors.safetensors")


@pytest.fixture(scope="session")
def moving(indoor: ChannelSet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of time-correlated channels, in drops of five: each drop goes from one shipped channel towards another."""
    path = tmp_path_factory.mktemp("moving") / "moving.npz"
    first, other = indoor.h[:60, None], indoor.h[60:120, None]
    angle = 0.1 * torch.arange(5)[:, None, None, None]
    h = (torch.cos(angle) * first + torch.sin(angle) * other).flatten(0, 1)
    h = h / h.abs().square().mean(dim=(1, 2, 3), keepdim=True).sqrt()
    digest = write_channels(path, [h])
    assert indoor.card is not None
    changes = {"name": "moving", "file": path.name, "sha256": digest, "num_channels": len(h), "time_correlation": True}
    write_dataset_card(path, indoor.card.model_copy(update=changes))
    return path


@pytest.fixture(scope="session")
def untrained_refiner() -> Callable[..., RefinerFile]:
    """Return what makes a small refiner behind a model: it changes what it refines, and nothing is trained."""

    def make(
        model: CodecCard,
        name: str = "small",
        measured: Sequence[MeasuredGain] = (),
        seed: int = 0,
        rate: int | None = None,
        link: str = "ideal",
    ) -> RefinerFile:
        card = RefinerCard(
            name=name,
            kind="residual",
            title="Small",
            source="tests",
            sha256="0" * 64,
            codec=model.name,
            codec_sha256=model.sha256,
            domain=model.domain,
            num_rx_ant=model.num_rx_ant,
            num_tx_ant=model.num_tx_ant,
            num_subcarriers=model.num_subcarriers,
            rate=model.max_rate if rate is None else rate,
            link=link,
            snr_db=(-10.0, 20.0),
            schedule="stopped",
            num_train_steps=20,
            final_abar=0.4,
            unet=UNetSettings(width=8, multipliers=(1, 2), num_blocks=1),
            num_parameters=0,
            macs_per_step=0,
            recipe="",
            training_data="",
            test_data="",
            training=TrainingRecord(loss="mse", epochs=None, samples_seen=None, unquantized_nmse_db=0.0),
            measured=list(measured),
        )
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            unet = make_unet(card)
            last = unet.last[-1].get_parameter("weight")  # zero: it would return the coarse channel
            torch.nn.init.normal_(last, std=0.05)
        return RefinerFile(card, {f"network.unet.{key}": value.clone() for key, value in unet.state_dict().items()})

    return make


@pytest.fixture
def local(tmp_path: Path) -> Settings:
    """Settings of a base station on free ports with a database of its own."""
    return Settings(grpc_port=0, rest_port=0, database_url=f"sqlite:///{tmp_path}/csilink.db")


@pytest.fixture(scope="session")
def station(
    tmp_path_factory: pytest.TempPathFactory, untrained_refiner: Callable[..., RefinerFile]
) -> Iterator[BaseStationProcess]:
    """One base station in a process of its own, with a refiner, for all tests that only add sessions to it."""
    folder = tmp_path_factory.mktemp("station")
    save_refiner(untrained_refiner(load_model("klt").card), folder)
    process = start_base_station(folder, ["--refiner", str(folder / "small.safetensors")])
    yield process
    process.stop()


@pytest.fixture(scope="session")
def golomb_taps() -> Iterator[str]:
    """The reference of a codec of variable length, importable here and in processes that a test starts."""
    folder = str(Path(__file__).parent / "own_codecs")
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join([folder, str(Path(__file__).parents[1])]))
        yield "golomb_taps:ENTRY"


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str, str], None]]:
    """Return what writes a user's module of a dotted name to the current folder, which no import path holds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry])  # a console script has no "" either
    written = []

    def write(name: str, source: str) -> None:
        path = tmp_path / f"{name.replace('.', '/')}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
        written.append(name.partition(".")[0])

    yield write
    for name in [name for name in sys.modules if name.partition(".")[0] in written]:
        del sys.modules[name]
