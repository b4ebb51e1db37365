"""`csi-ue load` against a base station: open and closed loop, several processes, capacity, what it writes."""

import json
import signal
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import InvalidArgumentError, UnavailableError
from shared.experiments.demo import BaseStationProcess, start_base_station
from ue_client.config import Settings
from ue_client.load.arrivals import Arrivals, parse_arrivals
from ue_client.load.capacity import _missed, find_capacity
from ue_client.load.command import parse_weights, run_load, sessions_of
from ue_client.load.picture import draw_over_rate
from ue_client.load.run import LoadOptions, LoadResult, LoadTest


def settings_for(station: BaseStationProcess) -> Settings:
    return Settings(bs=f"127.0.0.1:{station.grpc_port}", truth=False, reports_per_frame=4)


def test_open_arrivals_of_two_processes_are_all_stored(station: BaseStationProcess, tmp_path: Path) -> None:
    sessions = sessions_of(("klt", "angular-topk"), [64, 128], (10.0,), parse_weights("3,1", 4))
    options = LoadOptions(sessions, num_processes=2, duration_s=2.0, retries=True)
    run_load(settings_for(station), options, "constant:120", None, tmp_path, as_json=True)
    result = json.loads((tmp_path / "load.json").read_text())
    assert (result["num_reports"], result["num_refused"], result["in_flight"]) == (240, 0, None)
    assert [(one["codec"], one["rate"], one["stored"]) for one in result["sessions"]] == [
        ("klt", 64, 120),
        ("angular-topk", 64, 40),
        ("klt", 128, 40),
        ("angular-topk", 128, 40),
    ]
    assert sum(second["stored"] for second in result["seconds"]) == 240
    assert result["p50_ms"] <= result["p99_ms"] <= result["max_ms"]
    assert sum(result["batch_sizes"].values()) == 60
    assert (tmp_path / "over_time.png").read_bytes()[:4] == b"\x89PNG"


def test_a_load_test_runs_again_in_the_same_sessions(station: BaseStationProcess) -> None:
    options = LoadOptions(sessions_of(("klt",), None, (10.0,), (1, 1)), duration_s=0.5, warm_up_s=1.0)
    with LoadTest(settings_for(station), options) as test:
        counts = [test.run(parse_arrivals("constant:80")).num_reports for _ in range(2)]
        closed = test.run(parse_arrivals("closed"))
    assert counts == [40, 40]
    assert closed.offered_reports_per_s > 0
    sessions = station.get("/v1/sessions")["sessions"][:2]
    num_warm = 2 * 120 + closed.num_reports  # with the warm-ups of the open loops; the closed one has its own
    assert sum(session["num_reports"] for session in sessions) > num_warm


def verdicts_of(monkeypatch: pytest.MonkeyPatch, carries: float) -> None:
    """Let a base station carry so many reports/s, whatever it does."""

    def missed(result: LoadResult, _: float) -> tuple[str, ...]:
        return () if float(result.arrivals[9:]) <= carries else ("stored",)

    monkeypatch.setattr("ue_client.load.capacity._missed", missed)


@pytest.mark.parametrize(("carries", "first"), [(300, 100), (300, 1000), (90, 100)])
def test_a_capacity_is_found_from_below_and_from_above(
    carries: int, first: int, station: BaseStationProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    options = LoadOptions(sessions_of(("klt",), None, (10.0,), (1,)), duration_s=0.9, retries=False)
    verdicts_of(monkeypatch, carries)
    with LoadTest(replace(settings_for(station), reports_per_frame=1), options) as test:
        found = find_capacity(test, parse_arrivals(f"constant:{first}"), p99_ms=10_000.0)
        assert found.reports_per_s is not None
        assert carries / 1.06 < found.reports_per_s <= carries
        assert not found.limited_by_sender
        assert [not why for why in found.missed] == [float(trial.arrivals[9:]) <= carries for trial in found.trials]
        if carries == 90:
            verdicts_of(monkeypatch, 10)  # fewer than trials so short can tell
            assert find_capacity(test, parse_arrivals("constant:100"), 10_000.0).reports_per_s is None
    draw_over_rate(found, tmp_path / "over_rate.png")
    assert (tmp_path / "over_rate.png").read_bytes()[:4] == b"\x89PNG"


def test_a_load_is_carried_if_it_is_stored_and_in_time(station: BaseStationProcess) -> None:
    options = LoadOptions(sessions_of(("klt",), None, (10.0,), (1,)), duration_s=0.5, retries=False)
    with LoadTest(settings_for(station), options) as test:
        result = replace(test.run(parse_arrivals("constant:80")), p99_ms=40.0)
    assert _missed(result, 50.0) == ()
    assert _missed(result, 30.0) == ("p99",)
    assert _missed(replace(result, num_refused=1), 50.0) == ("stored",)
    assert _missed(replace(result, num_refused=1), 30.0) == ("stored", "p99")


@pytest.mark.parametrize(("lateness_ms", "limited"), [(20.0, False), (30.0, True)])
def test_a_sender_that_is_late_where_the_load_is_not_carried_is_the_limit(
    lateness_ms: float, limited: bool, station: BaseStationProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdicts_of(monkeypatch, 300)
    options = LoadOptions(sessions_of(("klt",), None, (10.0,), (1,)), duration_s=0.9, retries=False)
    with LoadTest(replace(settings_for(station), reports_per_frame=1), options) as test:
        measured = test.run(parse_arrivals("constant:100"))

        def late_above_what_is_carried(arrivals: Arrivals) -> LoadResult:
            late = float(arrivals.label[9:]) > 300
            return replace(measured, arrivals=arrivals.label, lateness_p99_ms=lateness_ms if late else 0.1)

        monkeypatch.setattr(test, "run", late_above_what_is_carried)
        assert find_capacity(test, parse_arrivals("constant:200"), 50.0).limited_by_sender is limited


def test_a_base_station_that_stands_still_is_late_for_all_that_was_due_meanwhile(tmp_path: Path) -> None:
    station = start_base_station(tmp_path)
    timers: list[threading.Timer] = []

    def stop_once(*_: object) -> None:
        if not timers:
            station.process.send_signal(signal.SIGSTOP)
            timers.append(threading.Timer(1.0, station.process.send_signal, (signal.SIGCONT,)))
            timers[0].start()

    options = LoadOptions(sessions_of(("klt",), None, (10.0,), (1, 1)), duration_s=3.0)
    try:
        with LoadTest(settings_for(station), options) as test:
            result = test.run(parse_arrivals("constant:200"), stop_once)
    finally:
        station.process.send_signal(signal.SIGCONT)
        station.stop()
    assert result.num_reports == 600
    assert result.max_ms is not None
    assert result.max_ms > 900
    late = sum(1 for percentile, ms in result.latency_ms if ms > 100 and percentile < 85)
    assert late  # a second in three: a closed loop would have had two frames late


def test_a_session_that_is_refused_holds_back_what_is_due_before_it_may_come_again(tmp_path: Path) -> None:
    station = start_base_station(tmp_path, ["--queue-reports", "4", "--max-reports-per-frame", "4"])
    sessions = sessions_of(("csinet",), None, (10.0,), (1, 1))
    options = LoadOptions(sessions, duration_s=3.0, retries=False, hold_back=True)
    try:
        with LoadTest(settings_for(station), options) as test:
            result = test.run(parse_arrivals("constant:8000"))
    finally:
        station.stop()
    assert set(result.refusals) == {"resource_exhausted", "held_back"}
    assert _missed(result, 10_000.0) == ("stored",)
    assert result.refusal_p99_ms is not None
    assert result.refusal_p99_ms > (result.lateness_p99_ms or 0.0) / 2 > 0
    assert result.num_reports + result.num_refused == 24000
    assert (
        result.refusals["held_back"] > result.refusals["resource_exhausted"]
    )  # 5 ms or more, a frame each millisecond
    assert sum(second["refused"] for second in result.seconds) == result.num_refused


def test_what_does_not_go_together_is_refused_without_a_base_station() -> None:
    two = sessions_of(("klt",), None, (10.0,), (2, 1))
    nowhere = Settings(bs="127.0.0.1:1", connect_s=0.1)
    for options, arrivals, p99_ms, sentence in (
        (LoadOptions(two), "closed", None, "`weights` must be left out with closed arrivals"),
        (
            LoadOptions(sessions_of(("klt",), None, (10.0,), (1,)), retries=False, hold_back=True),
            "closed",
            None,
            "`hold_back` must be left out with closed",
        ),
        (LoadOptions(two), "burst:5:5", 50.0, "`arrivals` must be constant or poisson of one rate here"),
        (LoadOptions(two), "poisson:5..6", 50.0, "`arrivals` must be constant or poisson of one rate here"),
        (
            LoadOptions(two),
            "closed",
            501.0,
            "`duration_s` of --find-capacity must be at least 20 times `p99_ms`, 10.02 s",
        ),
    ):
        with pytest.raises(InvalidArgumentError, match=sentence):
            run_load(nowhere, options, arrivals, p99_ms, None, as_json=False)
    with pytest.raises(InvalidArgumentError, match="`processes` must be at most `num_sessions`, 2; got 3"):
        LoadOptions(two, num_processes=3)
    with pytest.raises(InvalidArgumentError, match="`hold_back` must be left out with `retries`"):
        LoadOptions(two, hold_back=True)
    with pytest.raises(
        InvalidArgumentError, match="`num_sessions` must be at least codecs x rates x SNRs; got 1 x 2 x 2"
    ):
        sessions_of(("klt",), [64, 128], (0.0, 10.0), (1, 1, 1))
    with pytest.raises(InvalidArgumentError, match="`weights` must be whole numbers"):
        parse_weights("1,0", 2)
    with pytest.raises(InvalidArgumentError, match="at most `num_sessions`, 1"):
        parse_weights("1,1", 1)
    with pytest.raises(UnavailableError, match="No base station answers"):
        run_load(nowhere, LoadOptions(two), "constant:10", None, None, as_json=False)
