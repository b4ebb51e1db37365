"""`csi-ue load` against a base station: open and closed loop, several processes, capacity, what it writes."""

import json
from pathlib import Path

import pytest

from shared.errors import InvalidArgumentError, UnavailableError
from shared.experiments.demo import BaseStationProcess
from ue_client.config import Settings
from ue_client.load.command import parse_weights, run_load, sessions_of
from ue_client.load.run import LoadOptions, LoadTest, find_capacity


def settings_for(station: BaseStationProcess) -> Settings:
    return Settings(bs=f"127.0.0.1:{station.grpc_port}", truth=False, reports_per_frame=4)


def test_open_arrivals_of_two_processes_are_all_stored(station: BaseStationProcess, tmp_path: Path) -> None:
    sessions = sessions_of(("klt", "angular-topk"), [64, 128], (10.0,), parse_weights("3,1", 3))
    options = LoadOptions(sessions, num_processes=2, duration_s=2.0, retries=True)
    run_load(settings_for(station), options, "constant:100", None, tmp_path, as_json=True)
    result = json.loads((tmp_path / "load.json").read_text())
    assert (result["num_reports"], result["num_refused"], result["in_flight"]) == (200, 0, None)
    assert [(one["codec"], one["rate"], one["stored"]) for one in result["sessions"]] == [
        ("klt", 64, 120),
        ("angular-topk", 64, 40),
        ("klt", 128, 40),
    ]
    assert sum(second["stored"] for second in result["seconds"]) == 200
    assert result["p50_ms"] <= result["p99_ms"] <= result["max_ms"]
    assert sum(result["batch_sizes"].values()) == 50
    assert (tmp_path / "over_time.png").read_bytes()[:4] == b"\x89PNG"


def test_a_load_test_runs_again_in_the_same_sessions(station: BaseStationProcess) -> None:
    from ue_client.load.arrivals import parse_arrivals

    options = LoadOptions(sessions_of(("klt",), None, (10.0,), (1, 1)), duration_s=0.5, warm_up_s=0.3)
    with LoadTest(settings_for(station), options) as test:
        counts = [test.run(parse_arrivals("constant:80")).num_reports for _ in range(2)]
        closed = test.run(parse_arrivals("closed"))
    assert counts == [40, 40]
    assert closed.offered_reports_per_s > 0
    sessions = station.get("/v1/sessions")["sessions"][:2]
    assert sum(session["num_reports"] for session in sessions) > 2 * 64 + closed.num_reports  # the warm-ups too


def test_a_capacity_is_between_what_was_carried_and_what_was_not(
    station: BaseStationProcess, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from dataclasses import asdict

    from ue_client.load.picture import draw_over_rate

    options = LoadOptions(sessions_of(("klt",), None, (10.0,), (1,)), duration_s=0.3, retries=False)
    verdicts = []
    with LoadTest(settings_for(station), options) as test:
        found = find_capacity(test, "constant", 0.001, lambda _, carried: verdicts.append(carried))
        assert (found.reports_per_s, verdicts) == (None, [False])  # no network is that fast
        bounded = iter([True, True, False, True] + [False] * 20)
        monkeypatch.setattr("ue_client.load.run._is_carried", lambda *_: next(bounded))
        found = find_capacity(test, "constant", 50.0)
    assert found.reports_per_s is not None
    assert 282 < found.reports_per_s < 300  # 100, 200 carried, 400 not, 283 carried, then none above
    assert len(asdict(found)["trials"]) == len(found.trials) > 4
    draw_over_rate(found, tmp_path / "over_rate.png")
    assert (tmp_path / "over_rate.png").read_bytes()[:4] == b"\x89PNG"


def test_what_does_not_go_together_is_refused_without_a_base_station() -> None:
    two = sessions_of(("klt",), None, (10.0,), (2, 1))
    nowhere = Settings(bs="127.0.0.1:1", connect_s=0.1)
    for options, arrivals, p99_ms, sentence in (
        (LoadOptions(two), "closed", None, "`weights` must be left out with closed arrivals"),
        (LoadOptions(two), "burst:5:5", 50.0, "`arrivals` must be constant or poisson with --find-capacity"),
    ):
        with pytest.raises(InvalidArgumentError, match=sentence):
            run_load(nowhere, options, arrivals, p99_ms, None, as_json=False)
    with pytest.raises(InvalidArgumentError, match="`processes` must be at most `num_sessions`, 2; got 3"):
        LoadOptions(two, num_processes=3)
    with pytest.raises(InvalidArgumentError, match="`weights` must be whole numbers"):
        parse_weights("1,0", 2)
    with pytest.raises(InvalidArgumentError, match="at most `num_sessions`, 1"):
        parse_weights("1,1", 1)
    with pytest.raises(UnavailableError, match="No base station answers"):
        run_load(nowhere, LoadOptions(two), "constant:10", None, None, as_json=False)
