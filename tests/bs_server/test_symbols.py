"""Reports of symbols at the base station: beside reports of bits, with and without truth, lost and arrived."""

import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

import numpy as np
import pytest

from bs_server.api.feed import summarise
from bs_server.api.schemas import Report
from bs_server.config import Settings
from bs_server.handlers import BaseStation
from bs_server.observability import Observability
from bs_server.store import ReportFilter, ReportRow
from bs_server.store.sql import SqlStore
from shared.errors import InvalidArgumentError
from shared.frame import Frame, FrameAck
from shared.scoring import Scoring
from shared.summary import Group, GroupColumn
from shared.types import ReceivedKind
from ue_client.pipeline import Pipeline, TruthBy

StartStation = Callable[..., AbstractAsyncContextManager[BaseStation]]
MakeUe = Callable[..., Pipeline]
LINK = "analog:uplink:erasure-0.3"
N = 40


async def opened(station: BaseStation, ue: Pipeline) -> str:
    session_id = str(uuid.uuid4())
    await station.open_session(ue.session_request(session_id))
    return session_id


def frame(ue: Pipeline, session_id: str, truth_by: TruthBy | None, first: int = 0) -> Frame:
    sequence = np.arange(first, first + N)
    return ue.frame(session_id, 1, 0, sequence, sequence, snr_db=5.0, truth_by=truth_by)


async def stored(settings: Settings, group_by: list[GroupColumn]) -> tuple[list[ReportRow], list[Group]]:
    store = SqlStore(settings.database_url, keep_reconstructions=0)
    await store.open()
    rows, summary = await store.reports(ReportFilter(), 10_000, 0), await summarise(store, ReportFilter(), group_by)
    await store.close()
    return rows, summary.groups


@pytest.mark.parametrize("truth_by", ["index", "channel"])
async def test_a_report_of_symbols_is_scored_without_bits(
    start_station: StartStation, make_ue: MakeUe, local: Settings, truth_by: TruthBy
) -> None:
    ue, metrics = make_ue("klt-analog", LINK, 32, scoring=Scoring((10.0,))), Observability()
    async with start_station(metrics=metrics) as station:
        ack = await station.report(frame(ue, await opened(station, ue), truth_by))
    erased = ack.erased.sum()
    assert 0 < erased < N
    assert np.array_equal(ack.fallback, ack.erased)
    assert (len(ack.nmse), len(ack.sgcs), len(ack.bit_errors), ack.crc_failed.sum()) == (N, N, 0, 0)
    rows, (group,) = await stored(local, ["snr_db"])
    assert {(row.rate, row.num_bits, row.coded_bits, row.channel_uses, row.bit_errors, row.crc_ok) for row in rows} == {
        (32, 0, 0, 32, None, None)
    }
    assert (group.num_reports, group.num_scored, group.info_bits_per_report) == (N, N, 0)
    assert (group.ber, group.bler, group.crc_fail_rate, group.undetected_error_rate, group.ebno_db) == (None,) * 5
    assert group.erasure_rate is not None
    assert group.erasure_rate.value == erased / N
    assert group.nmse is not None
    assert group.nmse.mean == pytest.approx(ack.nmse.mean())
    assert group.downlink[0].num_reports == N
    assert Report.of(rows[0]).bit_errors is None
    samples = {s.name: s.value for family in metrics.registry.collect() for s in family.samples if s.labels}
    assert (samples["csi_reports_total"], samples["csi_block_errors_total"]) == (N, 0)


async def test_without_truth_it_is_decoded_all_the_same(
    start_station: StartStation, make_ue: MakeUe, local: Settings
) -> None:
    ue = make_ue("klt-analog", LINK, 32)
    async with start_station() as station:
        session_id = await opened(station, ue)
        ack: FrameAck = await station.report(frame(ue, session_id, None))
        again = await station.report(frame(ue, session_id, None))
    assert (len(ack.nmse), len(ack.bit_errors), again.duplicate.sum()) == (0, 0, N)
    assert np.array_equal(again.erased, ack.erased)
    _, (group,) = await stored(local, [])
    assert (group.num_reports, group.num_scored, group.nmse, group.bler) == (N, 0, None, None)


async def test_in_a_group_with_reports_of_bits_the_figures_of_bits_are_of_those(
    start_station: StartStation, make_ue: MakeUe, local: Settings
) -> None:
    bits, symbols = make_ue("klt", "digital:hard:erasure-0.3", 100), make_ue("klt-analog", LINK, 32)
    async with start_station() as station:
        ack = await station.report(frame(bits, await opened(station, bits), "index"))
        alone = (await stored(local, ["snr_db"]))[1][0]
        other = await station.report(frame(symbols, await opened(station, symbols), "index"))
    mixed = (await stored(local, ["snr_db"]))[1][0]
    assert (mixed.num_reports, mixed.num_scored) == (2 * N, 2 * N)
    assert (mixed.ber, mixed.ber_ci95_low, mixed.bler) == (alone.ber, alone.ber_ci95_low, alone.bler)
    assert mixed.bler is not None
    assert mixed.bler.value == ((ack.bit_errors > 0) | ack.erased).mean()
    assert (alone.info_bits_per_report, mixed.info_bits_per_report) == (100, 50)
    assert (alone.ebno_db, mixed.ebno_db) == (5.0, None)  # one symbol a bit; no Eb/N0 where there are no bits
    assert mixed.channel_uses_per_report == 66
    assert mixed.nmse is not None
    assert mixed.nmse.mean == pytest.approx((ack.nmse.mean() + other.nmse.mean()) / 2)


async def test_a_frame_that_does_not_fit_is_refused_in_a_sentence(start_station: StartStation, make_ue: MakeUe) -> None:
    ue, bits = make_ue("klt-analog", "analog:awgn", 32), make_ue("klt", "digital:bsc", 32)
    async with start_station() as station:
        session_id = await opened(station, ue)
        valid = frame(ue, session_id, None)
        wrong = (
            (frame(bits, session_id, None), "`kind` over analog must be SYMBOLS; got HARD_BITS"),
            (replace(valid, rate=valid.rate + 1), "`length` of a report of 33 symbols over analog must be 33; got 32"),
            (replace(valid, rate=valid.rate + 97), "`rate` of codec klt-analog must be in .1, 128. symbols; got 129"),
        )
        for found, sentence in wrong:
            with pytest.raises(InvalidArgumentError, match=sentence):
                await station.report(found)
        session_id = await opened(station, bits)
        with pytest.raises(InvalidArgumentError, match="`kind` over digital:bsc must be HARD_BITS; got SYMBOLS"):
            await station.report(replace(valid, session_id=session_id))
        assert (await station.report(valid)).code == 0


def test_a_frame_of_symbols_says_so(make_ue: MakeUe) -> None:
    made = frame(make_ue("klt-analog", "analog:uplink", 32), "s", "index")
    assert (made.kind, len(made.payload), len(made.no_eff)) == (ReceivedKind.SYMBOLS, 8 * 32 * N, 4 * 32 * N)
    assert made.truth is not None
    assert made.truth.sent_bits == b""
