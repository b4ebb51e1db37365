import io
import math
import struct
from typing import Any

import httpx
import numpy as np
import pytest


def reports_of(rest: httpx.Client, session: str, **filters: str | float) -> list[dict[str, Any]]:
    answer = rest.get("/v1/reports", params={"session": session, "limit": 1000, **filters})
    reports: list[dict[str, Any]] = answer.json()["reports"]
    return reports


def test_a_report_is_shown_with_its_scores(rest: httpx.Client, scored: str) -> None:
    for report in reports_of(rest, scored):
        assert (report["codec"], report["link"], report["rate"], report["ue_id"]) == ("klt", "digital:bsc", 128, 7)
        assert report["nmse_db"] == pytest.approx(10 * math.log10(report["nmse"]))
        assert 0 < report["sgcs"] < 1
        assert 0 <= report["bit_errors"] < 64
        assert 1 <= report["batch_size"] <= 64
        assert 0 < report["rho"] < 1
        assert (report["coded_bits"], report["channel_uses"], report["erased"], report["crc_ok"]) == (
            128,
            128,
            False,
            None,
        )
        detailed = rest.get(f"/v1/reports/{report['report_id']}").json()
        downlink, (layer,) = detailed.pop("downlink"), detailed.pop("sgcs_subbands")
        assert detailed == report
        assert len(layer) == 4
        assert np.mean(layer) == pytest.approx(report["sgcs"], abs=0.2)
        assert 0.8 < (report["nmse_full"] - 1) / (report["nmse"] - 1) <= 1  # one less the report's crop loss
        assert [score["snr_db"] for score in downlink] == [-5.0, 10.0]
        for score in downlink:
            assert 0 <= score["bler_perfect"] <= score["bler"] <= 1
            assert 0 < score["spectral_efficiency"] < score["spectral_efficiency_perfect"] < 12


def test_a_report_that_was_erased_has_the_score_of_what_stands_for_it_and_no_bits(
    rest: httpx.Client, half_scored: str
) -> None:
    reports = reports_of(rest, half_scored)
    erased = [report for report in reports if report["erased"]]
    assert 0 < len(erased) < 50
    assert [report["fallback"] for report in reports] == [report["erased"] for report in reports]
    arrived = np.cumsum([not report["erased"] for report in reports])
    assert [report["held"] for report in reports] == [
        report["erased"] and n > 0 for report, n in zip(reports, arrived, strict=True)
    ]
    assert {(report["coded_bits"], report["channel_uses"]) for report in reports} == {(128, 64)}
    assert {report["bit_errors"] for report in erased} == {None}
    scored = [report for report in erased if report["nmse"] is not None]
    assert scored
    for report in scored:
        assert 0 < report["rho"] < 1
        assert len(rest.get(f"/v1/reports/{report['report_id']}").json()["downlink"]) == 1


def test_a_report_without_truth_has_no_scores(rest: httpx.Client, half_scored: str) -> None:
    reports = reports_of(rest, half_scored, snr_db=2.5)
    assert len(reports) == 25
    assert all(r[name] is None for r in reports for name in ("nmse", "nmse_db", "sgcs", "rho", "bit_errors"))
    assert rest.get(f"/v1/reports/{reports[0]['report_id']}").json()["downlink"] == []


def test_a_filter_keeps_what_it_names(rest: httpx.Client, scored: str) -> None:
    assert [report["sequence"] for report in reports_of(rest, scored, snr_db=2.5)] == list(range(25, 50))
    assert reports_of(rest, scored, codec="angular-topk") == []
    assert len(reports_of(rest, scored, rate=128, ue_id=7)) == 50
    assert reports_of(rest, scored, rate=129) == []


@pytest.mark.parametrize("limit", [7, 25])
def test_pages_of_reports_end_and_hold_every_report_once(rest: httpx.Client, scored: str, limit: int) -> None:
    found, params = [], {"session": scored, "limit": str(limit)}
    while True:
        page = rest.get("/v1/reports", params=params).json()
        found += page["reports"]
        if page["next_after_id"] is None:
            break
        params["after_id"] = page["next_after_id"]
    assert found == reports_of(rest, scored)
    assert [report["sequence"] for report in found] == list(range(50))


def test_a_kept_reconstruction_is_the_same_in_json_and_npy_and_has_the_score_of_its_report(
    rest: httpx.Client, scored: str
) -> None:
    kept = [report for report in reports_of(rest, scored) if report["has_reconstruction"]]
    assert [report["sequence"] for report in kept] == [0, 20, 40]
    for report in kept:
        url = f"/v1/reports/{report['report_id']}/reconstruction"
        shown = rest.get(url).json()
        assert (shown["domain"], shown["shape"], shown["report_id"]) == (
            "angular-delay",
            [1, 32, 32],
            report["report_id"],
        )
        h_hat, h = (np.array(shown[name]) @ np.array([1, 1j]) for name in ("h_hat", "h"))
        array = np.load(io.BytesIO(rest.get(f"{url}.npy").content), allow_pickle=False)
        assert array.dtype == np.complex64
        np.testing.assert_array_equal(array, h_hat)
        nmse = (np.abs(h_hat - h) ** 2).sum() / (np.abs(h) ** 2).sum()
        assert report["nmse"] == pytest.approx(nmse, rel=1e-9)


def test_the_picture_shows_truth_and_reconstruction_side_by_side(rest: httpx.Client, scored: str) -> None:
    report = [r for r in reports_of(rest, scored) if r["has_reconstruction"]][-1]
    content = rest.get(f"/v1/reports/{report['report_id']}/reconstruction.png").content
    assert content.startswith(b"\x89PNG\r\n\x1a\n")
    width, height = struct.unpack(">II", content[16:24])
    assert 400 < height < 600
    assert width > 1.5 * height


@pytest.mark.parametrize("suffix", ["", ".npy", ".png"])
def test_a_reconstruction_that_was_not_kept_is_told(rest: httpx.Client, scored: str, suffix: str) -> None:
    report = next(r for r in reports_of(rest, scored) if not r["has_reconstruction"])
    answer = rest.get(f"/v1/reports/{report['report_id']}/reconstruction{suffix}")
    assert answer.status_code == 404
    assert f"reconstruction of report {report['report_id']} was not kept" in answer.json()["detail"]
