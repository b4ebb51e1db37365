from typing import Any

import httpx
import numpy as np
import pytest
from scipy.stats import binomtest, t

GROUPINGS = [["codec", "rate", "snr_db", "link"], ["session"], ["estimator", "snr_db", "cnr_db"], ["rate"]]
DEFAULT = ["codec", "rate", "snr_db", "link", "estimator", "cnr_db"]


def db(ratio: float) -> float:
    return float(10 * np.log10(ratio))


def expected(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Compute a group's figures from its reports, by other means than the service."""
    scored = [report for report in reports if report["nmse"] is not None]
    nmse = np.array([report["nmse"] for report in scored])
    low, high = t.interval(0.95, len(nmse) - 1, loc=nmse.mean(), scale=nmse.std(ddof=1) / np.sqrt(len(nmse)))
    wrong = sum(report["bit_errors"] > 0 for report in scored)
    wilson = binomtest(wrong, len(scored)).proportion_ci(0.95, method="wilson")
    return {
        "num_reports": len(reports),
        "num_scored": len(scored),
        "nmse": {
            "mean": nmse.mean(),
            "mean_db": db(nmse.mean()),
            "ci95_low_db": db(low),
            "ci95_high_db": db(high),
            "median_db": db(float(np.median(nmse))),
        },
        "sgcs": np.mean([report["sgcs"] for report in scored]),
        "ber": sum(report["bit_errors"] for report in scored) / sum(report["rate"] for report in scored),
        "bler": {"value": wrong / len(scored), "ci95_low": wilson.low, "ci95_high": wilson.high},
        "info_bits_per_report": np.mean([report["rate"] for report in reports]),
        "fallbacks": sum(report["fallback"] for report in reports),
        "mean_queue_ms": np.mean([report["queue_ms"] for report in reports]),
        "mean_decode_ms": np.mean([report["decode_ms"] for report in reports]),
        "mean_batch_size": np.mean([report["batch_size"] for report in reports]),
    }


@pytest.mark.parametrize("group_by", GROUPINGS)
@pytest.mark.parametrize("session", ["scored", "half_scored"])
def test_the_summary_is_what_its_reports_add_up_to(
    rest: httpx.Client, group_by: list[str], session: str, request: pytest.FixtureRequest
) -> None:
    where = {"session": request.getfixturevalue(session)}
    reports = rest.get("/v1/reports", params={**where, "limit": 1000}).json()["reports"]
    summary = rest.get("/v1/metrics/summary", params={**where, "group_by": group_by}).json()
    assert summary["group_by"] == group_by
    names = {"session": "session_id"}
    keys = [tuple(report[names.get(name, name)] for name in group_by) for report in reports]
    assert [tuple(group[name] for name in group_by) for group in summary["groups"]] == sorted(set(keys))
    for group in summary["groups"]:
        members = [r for key, r in zip(keys, reports, strict=True) if key == tuple(group[name] for name in group_by)]
        if all(report["nmse"] is None for report in members):
            assert [group[name] for name in ("num_scored", "nmse", "sgcs", "ber", "bler")] == [
                0,
                None,
                None,
                None,
                None,
            ]
            continue
        for name, value in expected(members).items():
            assert group[name] == pytest.approx(value, rel=1e-9, abs=1e-12), name
        assert all(group[name] is None for name in {*DEFAULT, "session"} - set(group_by))


def test_a_summary_groups_by_codec_rate_snr_link_and_estimation_unless_told(rest: httpx.Client, scored: str) -> None:
    summary = rest.get("/v1/metrics/summary", params={"session": scored}).json()
    assert summary["group_by"] == DEFAULT
    assert [group["snr_db"] for group in summary["groups"]] == [0.0, 2.5]
    assert summary["groups"][0]["ber"] > summary["groups"][1]["ber"] > 0


def test_a_summary_of_nothing_has_no_groups(rest: httpx.Client) -> None:
    assert rest.get("/v1/metrics/summary", params={"codec": "csinet"}).json()["groups"] == []


def test_a_perfect_estimate_and_each_cnr_are_groups_of_their_own(
    rest: httpx.Client, scored: str, half_scored: str
) -> None:
    def groups(session: str, **where: str | float) -> list[tuple[str, float | None, int]]:
        params = {"session": session, "group_by": ["cnr_db", "estimator"], **where}
        found = rest.get("/v1/metrics/summary", params=params).json()["groups"]
        return [(group["estimator"], group["cnr_db"], group["num_reports"]) for group in found]

    assert groups(scored) == [("perfect", None, 50)]
    assert groups(half_scored) == groups(half_scored, estimator="ls", cnr_db=12.5) == [("ls", 12.5, 50)]
    assert groups(scored, estimator="ls") == groups(half_scored, cnr_db=12) == []
