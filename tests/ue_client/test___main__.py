import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import ue_client.app
from shared.channels import ChannelSet
from shared.experiments.demo import BaseStationProcess
from ue_client.__main__ import main

Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Return what runs `csi-ue` in this process: exit code, standard output, standard error."""

    def run(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["csi-ue", *arguments])
        with pytest.raises(SystemExit) as end:
            main()
        output = capsys.readouterr()
        return int(end.value.code or 0), output.out, output.err

    return run


def bs(station: BaseStationProcess) -> str:
    return f"127.0.0.1:{station.grpc_port}"


def test_ctrl_c_says_what_is_stored(command: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    async def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(ue_client.app, "send", interrupted)
    assert command("run") == (130, "", "csi-ue: interrupted; what was acknowledged is stored.\n")


def test_without_a_base_station_the_command_ends_in_time_with_one_sentence() -> None:
    start_s = time.monotonic()
    end = subprocess.run(
        [sys.executable, "-m", "ue_client", "run", "--bs", "127.0.0.1:1", "--connect-s", "0.5"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    sentence = "csi-ue: No base station answers at 127.0.0.1:1 within 0.5 s; start one with `csi-bs serve`.\n"
    assert (end.returncode, end.stdout, end.stderr) == (1, "", sentence)
    assert time.monotonic() - start_s < 30


@pytest.mark.parametrize(
    "arguments",
    [
        ["--num-reports", "0"],
        ["--rate", "much"],
        ["--in-flight", "65"],
        ["--seed", "-1"],
        ["--colour"],
        ["--ue-id", str(2**32)],
    ],
)
def test_an_option_out_of_range_is_a_usage_error(command: Command, arguments: list[str]) -> None:
    code, out, err = command("run", *arguments)
    assert (code, out) == (2, "")
    assert arguments[0] in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "--snr-db", "loud"], "`snr_db` must be a list"),
        (["run", "--codec", "semaphore"], "`codec` must be a model of the zoo (angular-topk, "),
        (["run", "--data", "nowhere.npz"], "`data` must be a file that exists; got 'nowhere.npz'."),
        (["run", "--codec", "no.safetensors"], "`codec` must be a file that exists; got 'no.safetensors'."),
        (["run", "--link", "pigeon"], "`link` must be one of ideal"),
        (["run", "--link", "digital:soft:qpks"], "`link` must be made of detector "),
        (["run", "--downlink-snr-db", "loud"], "`downlink_snr_db` must be a list"),
        (["fleet", "--downlink-snr-db", "81"], "`downlink_snr_db` must be in [-40, 80]; got '81'."),
        (["load", "--truth", "--downlink-snr-db", "10,0"], "`downlink_snr_db` must be at most 16 increasing numbers"),
        (["run", "--bs", "nowhere"], "`bs` must be host:port; got 'nowhere'."),
        (["run", "--rate", "7"], "`rate` of codec klt must be in [32, 1024] bits; got 7."),
        (["fleet", "--num-ues", "3", "--snr-db", "0:5:1"], "`num_ues` must be at least the number of SNRs, 6; got 3."),
        (
            ["fleet", "--estimator", "ls", "--cnr-db", "3", "--covariance-data", "indoor-open-office"],
            "`covariance_data` is for estimator lmmse; got estimator ls.",
        ),
        (["fleet", "--ue-id", str(2**32 - 1)], "`num_ues` from `ue_id` 4294967295 must be at most 1; got 100."),
        (["run", "--estimator", "oracle"], "`estimator` must be one of perfect, ls, lmmse, additive; got 'oracle'."),
        (["run", "--estimator", "ls"], "`cnr_db` must be given with estimator ls; got none."),
        (["run", "--cnr-db", "3"], "`cnr_db` must not be given with estimator perfect; got 3."),
        (["load", "--estimator", "ls", "--cnr-db", "81"], "`cnr_db` must be in [-40, 80]; got 81."),
        (
            ["run", "--estimator", "ls", "--cnr-db", "3", "--covariance-data", "indoor-open-office"],
            "`covariance_data` is for estimator lmmse; got estimator ls.",
        ),
        (
            ["run", "--estimator", "lmmse", "--cnr-db", "3", "--covariance-data", "nowhere.npz"],
            "`covariance_data` must be a file that exists; got 'nowhere.npz'.",
        ),
        (
            ["run", "--first-channel", "2400"],
            "`first_channel` must be below 2400, the channels of indoor-open-office; got 2400.",
        ),
        (["load", "--codec", "float"], "`link` of codec float must be ideal; got digital:bsc."),
    ],
)
def test_what_does_not_go_together_is_one_sentence(command: Command, arguments: list[str], sentence: str) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (1, "")
    assert err.startswith(f"csi-ue: {sentence}")
    assert err.count("\n") == 1


def test_a_run_prints_a_row_for_each_codec_and_snr(command: Command, station: BaseStationProcess) -> None:
    arguments = ("run", "--bs", bs(station), "--snr-db", "0,10", "--num-reports", "20", "--codec", "klt", "--seed", "1")
    code, out, _ = command(*arguments, "--codec", "angular-topk", "--json")
    rows = json.loads(out)
    assert code == 0
    assert [(row["codec"], row["snr_db"], row["reports"], row["rate"]) for row in rows] == [
        (codec, snr_db, 20, 128) for codec in ("klt", "angular-topk") for snr_db in (0.0, 10.0)
    ]
    assert all(row["nmse_db"] < 5 and row["p50_ms"] > 0 for row in rows)
    code, out, _ = command(*arguments)
    assert code == 0
    assert f"{rows[1]['nmse_db']:.2f}" in out


def test_reports_that_have_fewer_bits_than_their_rate_say_how_many(
    command: Command, station: BaseStationProcess
) -> None:
    arguments = ("run", "--bs", bs(station), "--num-reports", "5", "--link", "ideal")
    _, out, _ = command(*arguments, "--codec", "klt")
    assert "mean bits" not in out
    code, out, _ = command(*arguments, "--codec", "etype2", "--rate", "100")
    assert code == 0
    assert "mean bits" in out
    (row,) = [line.split() for line in out.splitlines() if line.startswith(" etype2 ")]
    assert float(row[2]) < float(row[1]) == 100
    assert "/v1/metrics/summary?session=" in out


def test_a_run_with_an_estimator_says_which(command: Command, station: BaseStationProcess) -> None:
    arguments = ("run", "--bs", bs(station), "--num-reports", "5", "--estimator", "additive", "--cnr-db", "-2.5")
    code, out, _ = command(*arguments)
    assert code == 0
    assert "estimator: additive at a CNR of -2.5 dB" in out


def test_lmmse_says_whose_covariance_it_knows_and_whether_it_is_a_genies(
    command: Command, station: BaseStationProcess, indoor: ChannelSet, tmp_path: Path
) -> None:
    other = str(tmp_path / "other.npz")
    np.savez(other, x=indoor.h[:1100].numpy())
    arguments = ("run", "--bs", bs(station), "--num-reports", "5", "--estimator", "lmmse", "--cnr-db", "3")
    _, out, _ = command(*arguments)
    known = "estimator: lmmse at a CNR of 3 dB, covariance of"
    assert f"{known} indoor-open-office, the channels that are sent: a genie's\n" in out
    _, out, _ = command(*arguments, "--covariance-data", other)
    assert f"{known} {other}\n" in out
    _, out, _ = command(*arguments, "--covariance-data", other, "--json")
    assert json.loads(out)[0]["covariance_data"] == other


def test_reports_that_share_channels_are_told(command: Command, station: BaseStationProcess, tmp_path: Path) -> None:
    few = tmp_path / "few.npz"
    np.savez(few, x=(np.random.default_rng(1).normal(size=(3, 32, 32)) * 0.5 ** np.arange(32)).astype(np.complex64))
    for num_reports, told in (("3", False), ("4", True)):
        _, out, _ = command("run", "--bs", bs(station), "--data", str(few), "--num-reports", num_reports)
        assert ("channels repeat: 4 reports of 3 channels\n" in out) == told


@pytest.mark.parametrize(
    ("arguments", "wanted"),
    [
        ([], [0.0]),
        (["--downlink-snr-db", "0:20:10"], [0.0, 10.0, 20.0]),
        (["--downlink-snr-db", ""], []),
        (["--no-truth"], []),
    ],
)
def test_the_downlink_is_scored_where_it_was_asked_for(
    command: Command, station: BaseStationProcess, arguments: list[str], wanted: list[float]
) -> None:
    code, out, _ = command("run", "--bs", bs(station), "--num-reports", "3", "--json", *arguments)
    assert code == 0
    session_id = json.loads(out)[0]["session_id"]
    assert station.get(f"/v1/sessions/{session_id}")["downlink_snr_db"] == wanted
    (group,) = station.get(f"/v1/metrics/summary?session={session_id}")["groups"]
    assert [(score["snr_db"], score["num_reports"]) for score in group["downlink"]] == [(snr, 3) for snr in wanted]


def test_reports_that_were_lost_have_a_column(command: Command, station: BaseStationProcess) -> None:
    arguments = ("run", "--bs", bs(station), "--num-reports", "20", "--seed", "1")
    for link, shown in (("digital:bsc", False), ("digital:bsc:erasure-0.5", True)):
        code, out, _ = command(*arguments, "--link", link)
        assert code == 0
        assert ("erased" in out.splitlines()[2]) == shown


def test_a_second_rate_and_an_out_that_is_a_file_are_refused_before_anything_is_sent(
    command: Command, tmp_path: Path
) -> None:
    for name in ("run", "fleet"):
        code, out, err = command(name, "--rate", "128", "--rate", "256")
        assert (code, out, err) == (1, "", "csi-ue: `rate` must be given once; got 128, 256.\n")
    file = tmp_path / "file"
    file.touch()
    code, out, err = command("load", "--out", str(file))
    assert (code, out) == (1, "")
    assert err.startswith(f"csi-ue: `out` must be a folder, or one that can be made; got {file}: ")


def test_frames_that_the_base_station_does_not_take_are_made_smaller_and_that_is_told(
    command: Command, station: BaseStationProcess
) -> None:
    code, _, err = command(
        *("load", "--bs", bs(station), "--num-sessions", "1", "--duration-s", "2", "--reports-per-frame", "1000")
    )
    assert (code, "frames of 256 reports, not 1000: the base station takes no larger ones" in err) == (0, True)


def test_statistics_of_channels_of_another_shape_are_refused(command: Command, tmp_path: Path) -> None:
    narrow = tmp_path / "narrow.npz"
    np.savez(narrow, x=(np.random.default_rng(1).normal(size=(2, 32, 16)) * 0.5 ** np.arange(16)).astype(np.complex64))
    code, out, err = command("run", "--estimator", "lmmse", "--cnr-db", "3", "--covariance-data", str(narrow))
    assert (code, out) == (1, "")
    found = "narrow holds angular-delay [1, 32, 16]"
    assert err == f"csi-ue: `covariance_data` must hold angular-delay [1, 32, 32], as `data` does; {found}.\n"


def test_a_load_test_of_two_sessions_and_two_codecs_prints_its_figures(
    command: Command, station: BaseStationProcess
) -> None:
    before = {session["session_id"] for session in station.get("/v1/sessions")["sessions"]}
    arguments = ["load", "--bs", bs(station), "--num-sessions", "2", "--duration-s", "1", "--reports-per-frame", "16"]
    code, out, _ = command(*arguments, "--codec", "klt", "--codec", "angular-topk", "--json")
    result = json.loads(out)
    assert code == 0
    assert (result["codecs"], result["num_sessions"], result["num_refused"]) == (["klt", "angular-topk"], 2, 0)
    assert 0.9 < result["duration_s"] < 30
    assert result["reports_per_s"] == pytest.approx(result["num_reports"] / result["duration_s"], rel=0.01)
    assert 0 < result["p50_ms"] <= result["p95_ms"] <= result["p99_ms"]
    sessions = [s for s in station.get("/v1/sessions")["sessions"] if s["session_id"] not in before]
    assert sorted(session["codec"] for session in sessions) == ["angular-topk", "klt"]
    assert {one["session_id"] for one in result["sessions"]} == {one["session_id"] for one in sessions}
    assert [one["rate"] for one in result["sessions"]] == [128, 128]  # none was asked for
    named = ("link", "data", "truth", "warm_up_s")
    assert [result[name] for name in named] == ["digital:bsc", "indoor-open-office", False, 0.0]
    assert isinstance(result["seed"], int)
    assert sum(session["num_reports"] for session in sessions) == result["num_reports"] > 100


def test_a_fleet_prints_a_row_for_each_snr_and_its_session(command: Command, station: BaseStationProcess) -> None:
    code, out, _ = command("fleet", "--bs", bs(station), "--num-ues", "7", "--snr-db", "0,10", "--num-reports", "3")
    assert code == 0
    assert "7 UEs, indoor-open-office, digital:bsc, seed " in out
    rows = [line.split() for line in out.splitlines() if line.startswith(" klt ")]
    assert [(row[2], row[3], row[4]) for row in rows] == [("0.0", "4", "12"), ("10.0", "3", "9")]
    session, where = out.splitlines()[-2:]
    assert session.startswith("session of klt: ")
    assert "21 reports in " in session
    assert where.endswith("/v1/metrics/summary?session=SESSION")


def test_a_run_begins_with_the_channel_that_it_is_told(command: Command, station: BaseStationProcess) -> None:
    arguments = ("run", "--bs", bs(station), "--num-reports", "1", "--seed", "1", "--link", "ideal", "--json")
    nmse = []
    for first_channel in ("0", "5"):
        code, out, _ = command(*arguments, "--first-channel", first_channel)
        assert code == 0
        nmse.append(json.loads(out)[0]["nmse"])
    assert nmse[0] != nmse[1]
