from typing import Any

import httpx
import numpy as np
import pytest
from scipy.stats import binomtest, t

GROUPINGS = [["codec", "rate", "snr_db", "link"], ["session"], ["estimator", "snr_db", "cnr_db"], ["rate"]]
DEFAULT = ["codec", "rate", "snr_db", "link", "estimator", "cnr_db", "refinement"]


def db(ratio: float) -> float:
    return float(10 * np.log10(ratio))


def interval(values: np.ndarray, highest: float = 1.0) -> tuple[float, float]:
    """Return the Student-t interval of a mean, no wider than the values can be."""
    scale = values.std(ddof=1) / np.sqrt(len(values))
    low, high = t.interval(0.95, len(values) - 1, loc=values.mean(), scale=scale)
    return max(low, 0.0), min(high, highest)


def mean(values: np.ndarray, highest: float = 1.0) -> dict[str, float]:
    low, high = interval(values, highest)
    return {"value": values.mean(), "ci95_low": low, "ci95_high": high}


def share(num_events: int, count: int) -> dict[str, float]:
    wilson = binomtest(num_events, count).proportion_ci(0.95, method="wilson")
    return {"value": num_events / count, "ci95_low": wilson.low, "ci95_high": wilson.high}


def expected(reports: list[dict[str, Any]]) -> dict[str, Any]:
    """Compute a group's figures from its reports, by other means than the service."""
    scored = [report for report in reports if report["nmse"] is not None]
    nmse = np.array([report["nmse"] for report in scored])
    low, high = interval(nmse, highest=np.inf)
    sgcs, rho = (np.array([report[name] for report in scored]) for name in ("sgcs", "rho"))
    sgcs_low, sgcs_high = interval(sgcs)
    decided = [report for report in scored if not report["erased"]]
    wrong = sum(report["erased"] or report["bit_errors"] > 0 for report in scored)
    coded_bits, channel_uses, info_bits = (
        np.mean([report[name] for report in reports]) for name in ("coded_bits", "channel_uses", "rate")
    )
    snr_db, links = ({report[name] for report in reports} for name in ("snr_db", "link"))
    alone = min(snr_db) if len(snr_db) == 1 else None  # one antenna: no gain
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
        "sgcs": sgcs.mean(),
        "sgcs_ci95_low": sgcs_low,
        "sgcs_ci95_high": sgcs_high,
        "rho": mean(rho),
        "ber": sum(report["bit_errors"] for report in decided) / sum(report["rate"] for report in decided),
        "bler": share(wrong, len(scored)),
        "crc_fail_rate": None,
        "undetected_error_rate": None,
        "erasure_rate": share(sum(report["erased"] for report in reports), len(reports)),
        "info_bits_per_report": info_bits,
        "coded_bits_per_report": coded_bits,
        "channel_uses_per_report": channel_uses,
        "ebno_db": db(10 ** (snr_db.pop() / 10) * channel_uses / info_bits) if len(snr_db) == 1 else None,
        "combined_snr_db": None if links == {"ideal"} else alone,
        "fallbacks": sum(report["fallback"] for report in reports),
        "held": sum(report["held"] for report in reports),
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
        wanted = expected(members)
        if "snr_db" not in group_by:
            wanted["ebno_db"] = None
        if not {"snr_db", "link"} <= set(group_by):
            wanted["combined_snr_db"] = None
        assert group["nmse"].pop("median_db") == pytest.approx(wanted["nmse"].pop("median_db"), abs=0.0051)
        for name, value in wanted.items():
            assert group[name] == (value if value is None else pytest.approx(value, rel=1e-9, abs=1e-12)), name
        assert all(group[name] is None for name in {*DEFAULT, "session"} - set(group_by))


@pytest.mark.parametrize("session", ["scored", "half_scored"])
def test_the_downlink_of_a_summary_is_what_its_reports_add_up_to(
    rest: httpx.Client, session: str, request: pytest.FixtureRequest
) -> None:
    where = {"session": request.getfixturevalue(session)}
    reports = rest.get("/v1/reports", params={**where, "limit": 1000}).json()["reports"]
    detailed = [rest.get(f"/v1/reports/{report['report_id']}").json() for report in reports]
    snrs = [-5.0, 10.0] if session == "scored" else [2.5]
    groups = rest.get("/v1/metrics/summary", params={**where, "group_by": "snr_db"}).json()["groups"]
    for group in groups:
        members = [report for report in detailed if report["snr_db"] == group["snr_db"]]
        assert [score["snr_db"] for score in group["downlink"]] == (snrs if group["num_scored"] else [])
        for found in group["downlink"]:
            scores = [score for report in members for score in report["downlink"] if score["snr_db"] == found["snr_db"]]
            bler, efficiency, bler_perfect, efficiency_perfect = (
                np.array([score[name] for score in scores])
                for name in ("bler", "spectral_efficiency", "bler_perfect", "spectral_efficiency_perfect")
            )
            wanted = {
                "num_reports": group["num_scored"],
                "bler": mean(bler),
                "spectral_efficiency": mean(efficiency, highest=np.inf),
                "bler_perfect": bler_perfect.mean(),
                "spectral_efficiency_perfect": efficiency_perfect.mean(),
                "spectral_efficiency_loss": (efficiency_perfect - efficiency).mean(),
            }
            for name, value in wanted.items():
                assert found[name] == pytest.approx(value, rel=1e-7, abs=1e-12), name
            assert found["spectral_efficiency_loss"] > 0


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
