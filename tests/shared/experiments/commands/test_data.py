"""`csi-lab data`, as a user calls it."""

import json
import os
import shlex
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from shared.channels import ChannelSet, load_channels, shipped_datasets, writing
from shared.digests import sha256_of
from shared.experiments.__main__ import app, main
from shared.transforms import to_csinet_rows
from tests.shared.channels.test_deepmimo import USERS
from tests.shared.channels.test_deepmimo_scenario import write_scenario


def output_of(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def test_the_shipped_data_sets_are_listed_by_the_name_that_data_takes(indoor: ChannelSet) -> None:
    lines = output_of("data", "list").splitlines()
    listed = {line.split()[0]: line for line in lines if not line.startswith(" ")}
    assert set(listed) == set(shipped_datasets())
    assert f"2,400 channels, {indoor.shape}" in listed["indoor-open-office"]
    assert max(map(len, lines)) <= 110
    assert {card["name"] for card in json.loads(output_of("data", "list", "--json"))} == set(listed)


def test_a_file_is_imported_shown_and_verified(tmp_path: Path, indoor: ChannelSet) -> None:
    source, out, picture = tmp_path / "ht.npy", tmp_path / "mine.npz", tmp_path / "mine.png"
    np.save(source, to_csinet_rows(indoor.h[:50]).numpy())
    imported = output_of("data", "import", source, "--out", out)
    assert "CsiNet HT, imported: 50 channels" in " ".join(imported.split())
    assert imported.endswith(f"file {out}\n")
    assert load_channels(str(out)).shape == indoor.shape
    shown = output_of("data", "info", out, "--plot", picture)
    for title in ("Power over delay", "Power over angle", "every second channel"):
        assert title in " ".join(shown.split())
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "is the file of its card: mine, 50 channels" in output_of("data", "verify", out)


def test_the_recipe_of_an_import_makes_its_file_again(
    tmp_path: Path, indoor: ChannelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "a b.npz", x=indoor.h[:5].numpy())
    typed = ["data", "import", str(tmp_path / "a b.npz"), f"--out={tmp_path / 'o.npz'}"]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *typed])
    output_of(*typed)
    first = load_channels(str(tmp_path / "o.npz"))
    assert first.card is not None
    (tmp_path / "o.npz").unlink()
    monkeypatch.chdir(tmp_path)
    output_of(*shlex.split(first.card.recipe)[1:])
    assert load_channels("o.npz").sha256 == first.sha256


def test_sigterm_ends_an_import_that_leaves_nothing_behind(
    tmp_path: Path, indoor: ChannelSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "x.npz", x=indoor.h[:5].numpy())

    def terminated(file: Path) -> str:
        assert [path.suffix for path in (tmp_path / "out").iterdir()] == [".part"]
        os.kill(os.getpid(), signal.SIGTERM)
        raise AssertionError

    monkeypatch.setattr(writing, "sha256_of", terminated)
    arguments = ["data", "import", str(tmp_path / "x.npz"), "--out", str(tmp_path / "out/o.npz")]
    monkeypatch.setattr(sys, "argv", ["csi-lab", *arguments])
    before = signal.getsignal(signal.SIGTERM)
    try:
        with pytest.raises(SystemExit) as exit_:
            main()
    finally:
        signal.signal(signal.SIGTERM, before)
    assert exit_.value.code == 130
    assert list((tmp_path / "out").iterdir()) == []


def test_a_data_set_is_shown_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "shared.experiments.data_plot", raising=False)
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    shown = " ".join(output_of("data", "info").replace("│", " ").split())
    assert "every second channel" in shown
    assert "mean 1.751%, largest 9.704%; floor of nmse_full -17.57 dB" in shown


def test_json_of_import_is_a_list_of_cards(tmp_path: Path, indoor: ChannelSet) -> None:
    np.savez(tmp_path / "x.npz", x=indoor.h[:5].numpy())
    result = CliRunner().invoke(
        app, ["data", "import", str(tmp_path / "x.npz"), "--out", str(tmp_path / "o.npz"), "--name", "n", "--json"]
    )
    (card,) = json.loads(result.stdout)
    assert (card["name"], card["num_channels"], card["file"]) == ("n", 5, "o.npz")


def test_verify_names_each_file_and_exits_with_1_where_one_is_unknown(tmp_path: Path) -> None:
    shipped = shipped_datasets()["indoor-open-office"]
    (tmp_path / "DATA_Htestin.mat").write_bytes(b"no")
    result = CliRunner().invoke(app, ["data", "verify", str(shipped), str(tmp_path / "DATA_Htestin.mat"), "--json"])
    assert result.exit_code == 1
    known, unknown = json.loads(result.stdout)
    assert (known["known"], unknown["known"], unknown["original"]) == (True, False, None)
    assert "285,973,959 bytes wanted, 2 found" in unknown["sentence"]


def test_a_folder_of_deepmimo_is_imported_by_base_station(tmp_path: Path, shared_data: Path) -> None:
    out = tmp_path / "la.npz"
    output_of("data", "import", shared_data / "deepmimo/LA", "--base-station", 3, "--out", out, "--num-tx-ant", 16)
    channels = load_channels(str(out))
    assert (len(channels.h), channels.shape.dims) == (718, (1, 16, 32))
    assert channels.card is not None
    assert channels.card.configuration["users_without_coverage_of_LA/TX3-1_RX4.mat"] == 4617 - 718


def test_a_scenario_of_deepmimo_4_is_imported_by_base_station_and_the_card_has_the_digests(tmp_path: Path) -> None:
    users = {"t001_tx000_r000": [USERS[3]], "t001_tx001_r000": USERS}
    folder, out = write_scenario(tmp_path / "asu", users), tmp_path / "asu.npz"
    output_of("data", "import", folder, "--base-station", 2, "--base-station", 1, "--out", out, "--num-tx-ant", 16)
    channels = load_channels(str(out))
    assert (len(channels.h), channels.shape.dims) == (3, (1, 16, 32))
    assert channels.card is not None
    assert channels.card.source == "asu"
    found = channels.card.configuration
    assert found["users_without_coverage_of_asu/t001_tx001"] == 2
    assert found["sha256_of_asu/delay_t001_tx000_r000.npz"] == sha256_of(folder / "delay_t001_tx000_r000.npz")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["info", "--plot", "x.jpg"], "`plot` must end in .png; got 'x.jpg'"),
        (["import", "none.npy", "--out", "o.npz"], "`none.npy` is not a file"),
        (["import", "none.npy", "--out", "o.npz", "--split", "test"], "`split` must be name=share"),
        (["verify", "none.mat"], "`none.mat` is not a file"),
    ],
)
def test_what_cannot_be_done_is_an_error_of_ours(arguments: list[str], message: str) -> None:
    result = CliRunner().invoke(app, ["data", *arguments])
    assert message in str(result.exception)
