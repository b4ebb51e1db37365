from importlib.metadata import version

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families


@pytest.mark.parametrize("path", ["live", "ready"])
def test_a_running_station_lives_and_is_ready(rest: httpx.Client, path: str) -> None:
    health = rest.get(f"/v1/health/{path}").json()
    told = {"version": version("csilink"), "device": "cpu", "queued_reports": 0, "store": "ok"}
    assert health == {"status": "ok", **told}


def test_the_prometheus_metrics_count_what_the_store_holds(rest: httpx.Client) -> None:
    sessions = rest.get("/v1/sessions", params={"limit": 1000}).json()["sessions"]
    families = {family.name: family for family in text_string_to_metric_families(rest.get("/metrics").text)}
    reports = {sample.labels["codec"]: sample.value for sample in families["csi_reports"].samples}
    for codec, number in reports.items():
        assert number == sum(session["num_reports"] for session in sessions if session["codec"] == codec)
    assert set(reports) >= {"klt", "angular-topk"}
    assert families["csi_open_sessions"].samples[0].value == sum(session["closed_at"] is None for session in sessions)
    for histogram, least in (("csi_batch_reports", 1), ("csi_decode_seconds", 0), ("csi_queue_seconds", 0)):
        samples = {sample.name: sample.value for sample in families[histogram].samples}
        assert samples[f"{histogram}_count"] > 0
        assert samples[f"{histogram}_sum"] > least
    assert families["csi_queued_reports"].samples[0].value == 0


def test_an_answer_on_an_open_connection_does_not_wait_for_the_other_side_to_acknowledge_its_head(
    rest: httpx.Client,
) -> None:
    delayed_acknowledgement_s = 0.040  # of Linux; what an answer takes without TCP_NODELAY
    times_s = [rest.get("/v1/health/live").elapsed.total_seconds() for _ in range(50)]
    assert min(times_s[1:]) < delayed_acknowledgement_s / 2
