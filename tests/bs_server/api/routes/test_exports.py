import asyncio
import csv
import io
import json
import uuid
from pathlib import Path
from typing import Any, get_args

import httpx
import numpy as np
import pytest

from bs_server.api.routes.exports import PAGE, _pages
from bs_server.config import Settings
from bs_server.store import ReportFilter, ReportRow, SessionRow, Store, make_store
from shared.experiments.demo import start_base_station
from shared.summary import GroupColumn
from shared.types import CsiShape

MIB = 1024**2


def rows_of(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(answer.text, newline=""), strict=True))


def same(cell: str, value: object) -> bool:
    """Return whether a cell says what JSON says."""
    return cell == "" if value is None else cell == (value if isinstance(value, str) else json.dumps(value))


KEYS = set(get_args(GroupColumn))
INTERVAL = ["value", "ci95_low", "ci95_high"]
OBJECTS = {
    "nmse_full": ["mean", "mean_db", "ci95_low_db", "ci95_high_db"],
    "nmse": ["mean", "mean_db", "ci95_low_db", "ci95_high_db", "median_db"],
    **dict.fromkeys(("rho", "bler", "crc_fail_rate", "undetected_error_rate", "erasure_rate", "bler_coded"), INTERVAL),
    "refined_rate": INTERVAL,
    "spectral_efficiency": INTERVAL,
}


def flat(figures: dict[str, Any]) -> dict[str, object]:
    """Return figures with those of an object within joined by "_", also where there is no such object."""
    cells: dict[str, object] = {}
    for name, value in figures.items():
        if name == "downlink":
            for score in value:
                scores = {inner: of_snr for inner, of_snr in score.items() if inner not in ("snr_db", "num_ue", "mcs")}
                ues, coded = f"_{score['num_ue']}ue" * (score["num_ue"] > 1), f"_mcs{score['mcs']}" * bool(score["mcs"])
                of_downlink = f"downlink_{score['snr_db']:g}db{ues}{coded}"
                cells |= {f"{of_downlink}_{inner}": cell for inner, cell in flat(scores).items()}
        elif name == "subbands":
            for one in value:
                of_subband = f"sgcs_layer{one['layer']}_subband{one['subband']}of{one['num_subbands']}"
                cells |= {f"{of_subband}_num_reports": one["num_reports"]}
                cells |= {f"{of_subband}_{part}": one["sgcs"][part] for part in INTERVAL}
        elif name in OBJECTS and not isinstance(value, float):
            cells |= {f"{name}_{part}": (value or {}).get(part) for part in OBJECTS[name]}
        else:
            cells[name] = value
    return cells


@pytest.mark.parametrize("filters", [{}, {"snr_db": 2.5}, {"ue_id": 7, "rate": 128, "link": "digital:bsc"}])
def test_the_reports_are_those_of_json_column_for_column(
    rest: httpx.Client, scored: str, half_scored: str, filters: dict[str, str]
) -> None:
    for session in (scored, half_scored):
        where = {"session": session, **filters}
        wanted = rest.get("/v1/reports", params={**where, "limit": 1000}).json()["reports"]
        rows = rows_of(rest.get("/v1/reports.csv", params=where))
        assert len(rows) == len(wanted)
        for row, report in zip(rows, wanted, strict=True):
            assert list(row) == list(report)
            assert [name for name in row if not same(row[name], report[name])] == []


@pytest.mark.parametrize(
    "group_by",
    [["codec", "rate", "snr_db", "link", "estimator", "cnr_db"], ["session", "model_sha256"], ["snr_db", "codec"]],
)
def test_the_summary_is_that_of_json_figure_for_figure(
    rest: httpx.Client, scored: str, half_scored: str, group_by: list[str]
) -> None:
    for session in (scored, half_scored):
        where = {"session": session, "group_by": group_by}
        wanted = [flat(group) for group in rest.get("/v1/metrics/summary", params=where).json()["groups"]]
        rows = rows_of(rest.get("/v1/metrics/summary.csv", params=where))
        assert len(rows) == len(wanted)
        asked_for = {name for group in wanted for name in group if name.startswith(("downlink_", "sgcs_layer"))}
        assert len(asked_for) == (2 * 14 + 4 * 4 if session == scored else 14)
        for row, group in zip(rows, wanted, strict=True):
            assert row.keys() == group.keys() - KEYS | set(group_by) | asked_for
            assert [name for name in row if not same(row[name], group.get(name))] == []


def test_groups_of_sessions_with_other_downlink_snrs_have_the_columns_of_both(
    rest: httpx.Client, scored: str, half_scored: str
) -> None:
    rows = {row["session"]: row for row in rows_of(rest.get("/v1/metrics/summary.csv", params={"group_by": "session"}))}
    wanted = {scored: {"-5db", "10db"}, half_scored: {"2.5db_5ue_mcs9"}}
    for session, downlinks in wanted.items():
        filled = {name for name in ("-5db", "10db", "2.5db_5ue_mcs9") if rows[session][f"downlink_{name}_bler_value"]}
        assert filled == downlinks
    names = [name for name in rows[scored] if name.startswith("downlink_") and name.endswith("_num_reports")]
    snr_db = [float(name.removeprefix("downlink_").partition("db")[0]) for name in names]
    assert snr_db == sorted(snr_db)


def test_an_estimate_is_named_in_every_row(rest: httpx.Client, scored: str, half_scored: str) -> None:
    for session, wanted in ((scored, ("perfect", "")), (half_scored, ("ls", "12.5"))):
        for path in ("/v1/reports.csv", "/v1/metrics/summary.csv"):
            rows = rows_of(rest.get(path, params={"session": session}))
            assert {(row["estimator"], row["cnr_db"]) for row in rows} == {wanted}
    filtered = rows_of(rest.get("/v1/reports.csv", params={"estimator": "ls", "cnr_db": 12.5}))
    assert half_scored in {row["session_id"] for row in filtered}
    assert scored not in {row["session_id"] for row in filtered}


def test_nothing_is_a_header_and_no_row(rest: httpx.Client) -> None:
    for path in ("/v1/reports.csv", "/v1/metrics/summary.csv"):
        nothing = rest.get(path, params={"codec": "csinet"})
        something = rest.get(path)
        assert nothing.status_code == 200
        header = something.text.splitlines()[0].split(",")
        assert (
            nothing.text == ",".join(name for name in header if not name.startswith(("downlink_", "sgcs_layer"))) + "\n"
        )
        assert rows_of(something)


def test_a_csv_is_a_file_with_a_name(rest: httpx.Client) -> None:
    for path, name in (("/v1/reports.csv", "reports.csv"), ("/v1/metrics/summary.csv", "summary.csv")):
        assert rest.get(path).headers["content-disposition"] == f'attachment; filename="{name}"'


def session_row() -> SessionRow:
    shape = CsiShape("angular-delay", 1, 32, 32)
    return SessionRow(str(uuid.uuid4()), 'k"l,t', "a" * 64, shape, "digital:bsc", "", 1.5)


def report_row(session: SessionRow, sequence: int) -> ReportRow:
    nmse = None if sequence % 7 == 0 else 0.1 + sequence / 3
    return ReportRow(session.session_id, 4, sequence, 2.5, 128, 128, -2.5, nmse, nmse, 3, True, 1.5, 2.25, 7, 128, 64)


async def exported(store: Store, where: ReportFilter) -> tuple[list[dict[str, str]], int]:
    """Return the rows of an export, and in how many parts they came."""
    parts = [part async for part in _pages(store, where, await store.newest_report_id())]
    return list(csv.DictReader(io.StringIO("".join(parts)))), len(parts)


@pytest.mark.parametrize("num_reports", [0, 1, PAGE - 1, PAGE, PAGE + 1, 3 * PAGE])
async def test_an_export_has_every_report_once_in_parts_of_a_page(local: Settings, num_reports: int) -> None:
    store = make_store(local.database_url, 1)
    await store.open()
    session, other = session_row(), session_row()
    for each in (session, other):
        await store.add_session(each)
        for start in range(0, num_reports, PAGE):
            numbers = range(start, min(start + PAGE, num_reports))
            await store.append([report_row(each, n) for n in numbers], [])
    rows, num_parts = await exported(store, ReportFilter(session_id=session.session_id))
    assert [int(row["sequence"]) for row in rows] == list(range(num_reports))
    assert {row["codec"] for row in rows} <= {'k"l,t'}
    assert [float(row["nmse"] or "nan") for row in rows] == pytest.approx(
        [report_row(session, n).nmse or np.nan for n in range(num_reports)], nan_ok=True, rel=0
    )
    assert num_parts == 1 + -(-num_reports // PAGE)
    assert len((await exported(store, ReportFilter()))[0]) == 2 * num_reports
    await store.close()


async def test_an_export_leaves_out_what_comes_after_it_began(local: Settings) -> None:
    store = make_store(local.database_url, 1)
    await store.open()
    session = session_row()
    await store.add_session(session)
    await store.append([report_row(session, n) for n in range(PAGE + 5)], [])
    pages = _pages(store, ReportFilter(), await store.newest_report_id())
    parts = [await anext(pages), await anext(pages)]
    await store.append([report_row(session, n) for n in range(PAGE + 5, 3 * PAGE)], [])
    parts += [part async for part in pages]
    rows = list(csv.DictReader(io.StringIO("".join(parts))))
    assert [int(row["sequence"]) for row in rows] == list(range(PAGE + 5))
    await store.close()


def test_an_export_of_many_reports_needs_no_more_memory_than_one_of_few(tmp_path: Path) -> None:
    few, many, num_many = session_row(), session_row(), 40_000

    async def fill() -> None:
        store = make_store(f"sqlite:///{tmp_path}/csilink.db", 1)
        await store.open()
        for session, num_reports in ((few, 2 * PAGE), (many, num_many)):
            await store.add_session(session)
            await store.append([report_row(session, n) for n in range(num_reports)], [])
        await store.close()

    asyncio.run(fill())
    station = start_base_station(tmp_path)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{station.rest_port}", timeout=60) as rest:
            rest.get("/v1/metrics/summary").raise_for_status()  # sums up all, which takes memory, too
            assert rest.get("/v1/reports.csv", params={"session": few.session_id}).text.count("\n") == 1 + 2 * PAGE
            Path(f"/proc/{station.process.pid}/clear_refs").write_text("5")  # the peak becomes what it holds now
            before = peak_bytes(station.process.pid)
            text = rest.get("/v1/reports.csv", params={"session": many.session_id}).text
            assert text.count("\n") == 1 + num_many
            assert len(text) > 5 * MIB
            assert peak_bytes(station.process.pid) - before < 4 * MIB  # the rows as objects would be ten times that
    finally:
        station.stop()


def peak_bytes(pid: int) -> int:
    """Return the most memory that a process held since its peak was cleared (Linux)."""
    status = Path(f"/proc/{pid}/status").read_text()
    return 1024 * int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
