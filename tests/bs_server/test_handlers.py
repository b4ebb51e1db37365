import asyncio
import itertools
import threading
import uuid
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from bs_server.batching import ChannelDecoded, Decoded, Work
from bs_server.config import Settings
from bs_server.handlers import BaseStation
from bs_server.observability import Observability
from bs_server.store import ReconstructionRow, ReportFilter, ReportRow, SessionRow
from bs_server.store.sql import SqlStore
from bs_server.worker import Worker
from shared.channels import ChannelSet, load_channels
from shared.errors import (
    CsiError,
    DeadlineError,
    InvalidArgumentError,
    ModelMismatchError,
    NotFoundError,
    OverloadedError,
    StoreError,
    UnavailableError,
)
from shared.frame import Frame, SessionRequest, SimTruth
from shared.model_files import ModelFile
from shared.scoring import Scoring
from shared.types import CsiShape, ReceivedKind
from ue_client.pipeline import Pipeline, TruthBy, make_pipeline

StartStation = Callable[..., AbstractAsyncContextManager[BaseStation]]
MakeUe = Callable[..., Pipeline]
Eventually = Callable[[Callable[[], object]], Awaitable[None]]
NEEDS_VERSION_2 = (
    "`protocol_version` must be 2 with an estimator other than perfect, a `cnr_db`, a `downlink_snr_db`, "
    "`num_subbands` or `fallback` last; got 1"
)


def frame(ue: Pipeline, session_id: str, sequence: Sequence[int], truth_by: TruthBy | None = "index") -> Frame:
    numbers = np.array(sequence)
    return ue.frame(session_id, 1, 0, numbers, numbers % len(ue.channels.h), snr_db=5.0, truth_by=truth_by)


def joined(parts: Sequence[Frame]) -> Frame:
    """Return one frame of the reports of several, each with its own rate."""
    sequence = np.concatenate([part.sequence for part in parts])
    return replace(
        parts[0],
        ue_id=np.concatenate([part.ue_id for part in parts]),
        sequence=sequence,
        rate=np.concatenate([part.rate for part in parts]),
        num_bits=np.concatenate([part.num_bits for part in parts]),
        snr_db=np.concatenate([part.snr_db for part in parts]),
        length=np.concatenate([part.length for part in parts]),
        payload=b"".join(part.payload for part in parts),
        truth=SimTruth(sequence, None, b"".join(part.truth.sent_bits for part in parts if part.truth)),
    )


async def opened(station: BaseStation, ue: Pipeline) -> str:
    session_id = str(uuid.uuid4())
    await station.open_session(ue.session_request(session_id))
    return session_id


async def stored(settings: Settings) -> list[ReportRow]:
    """Read the database as another process would."""
    store = SqlStore(settings.database_url, keep_reconstructions=0)
    await store.open()
    rows = await store.reports(ReportFilter(), 10_000, 0)
    await store.close()
    return rows


def count(metrics: Observability, name: str) -> float:
    registry: CollectorRegistry = metrics.registry
    return sum(s.value for family in registry.collect() for s in family.samples if s.name == f"csi_{name}_total")


class TestOpening:
    async def test_a_new_session_says_whether_truth_may_travel_as_indices(
        self, start_station: StartStation, make_ue: MakeUe
    ) -> None:
        request = make_ue().session_request(str(uuid.uuid4()))
        async with start_station() as station:
            grant = await station.open_session(request)
            assert (grant.session_id, grant.dataset_held) == (request.session_id, True)
            other = replace(request, session_id=str(uuid.uuid4()), dataset_sha256="")
            assert not (await station.open_session(other)).dataset_held

    async def test_a_session_of_either_protocol_version_is_granted_and_goes_on_in_the_other(
        self, start_station: StartStation, make_ue: MakeUe
    ) -> None:
        perfect, ls, downlink = make_ue(), make_ue(ls_cnr_db=-2.5), make_ue(scoring=Scoring((0.0, 10.0)))
        async with start_station() as station:
            request = perfect.session_request(str(uuid.uuid4()))
            for version in (1, 2):
                await station.open_session(replace(request, protocol_version=version))
            await station.open_session(ls.session_request(str(uuid.uuid4())))
            await station.open_session(downlink.session_request(str(uuid.uuid4())))

    async def test_a_link_goes_by_one_name_however_its_options_are_ordered(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue(link="digital:soft:qpsk:erasure-0.5")
        request = ue.session_request(str(uuid.uuid4()))
        assert request.link == "digital:soft:qpsk:erasure-0.5"
        for _ in range(2):  # in memory, then after a restart
            async with start_station() as station:
                await station.open_session(replace(request, link="digital:erasure-0.50:qpsk:awgn:soft"))
                await station.open_session(request)
                with pytest.raises(ModelMismatchError, match="was opened with other parameters"):
                    await station.open_session(replace(request, link="digital:soft:qpsk:erasure-0.4"))

    @pytest.mark.parametrize(
        ("changes", "kind", "sentence"),
        [
            ({"protocol_version": 0}, ModelMismatchError, "`protocol_version` must be 1 to 4; got 0"),
            ({"protocol_version": 5}, ModelMismatchError, "`protocol_version` must be 1 to 4; got 5"),
            (
                {"protocol_version": 3, "variable_length": True},
                InvalidArgumentError,
                "`protocol_version` must be 4 with `variable_length`; got 3",
            ),
            (
                {"protocol_version": 4, "variable_length": True},
                ModelMismatchError,
                "`variable_length` of codec klt must be false; got true",
            ),
            (
                {"protocol_version": 1, "estimator": "ls", "cnr_db": 3.0},
                InvalidArgumentError,
                NEEDS_VERSION_2,
            ),
            ({"protocol_version": 1, "cnr_db": 3.0}, InvalidArgumentError, NEEDS_VERSION_2),
            ({"protocol_version": 1, "scoring": Scoring((10.0,))}, InvalidArgumentError, NEEDS_VERSION_2),
            ({"protocol_version": 1, "fallback": "last"}, InvalidArgumentError, NEEDS_VERSION_2),
            (
                {"protocol_version": 2, "fallback": "last"},
                InvalidArgumentError,
                "whose card declares `time_correlation`; indoor-open-office declares none",
            ),
            ({"scoring": Scoring(num_subbands=5)}, InvalidArgumentError, "`num_subbands` must divide 32 .*; got 5"),
            ({"scoring": Scoring((0.0,), 33)}, InvalidArgumentError, "`downlink_num_ue` must be at most 32, .*got 33"),
            ({"session_id": "one"}, InvalidArgumentError, "`session_id` must be a UUID; got 'one'"),
            ({"session_id": "{" + str(uuid.UUID(int=1)) + "}"}, InvalidArgumentError, "`session_id` must be a UUID"),
            (
                {"codec": "semaphore"},
                ModelMismatchError,
                "base station holds, angular-topk, .*klt-analog.*; got 'semaphore', .* `csi-bs serve --model FILE`",
            ),
            (
                {"model_sha256": "f" * 64},
                ModelMismatchError,
                "'klt' must be the model file .* holds, {klt}...; got f{12}[.]",
            ),
            ({"codec": "angular-topk"}, ModelMismatchError, "'angular-topk' must be the model file .*; got {klt}[.]"),
            ({"shape": CsiShape("angular-delay", 1, 32, 16)}, ModelMismatchError, "`shape` of codec klt must be"),
            ({"shape": CsiShape("spatial-frequency", 1, 32, 32)}, ModelMismatchError, "`shape` of codec klt must be"),
            (
                {"dataset_sha256": "f" * 65},
                InvalidArgumentError,
                "`dataset_sha256` must be 64 hexadecimal digits or empty",
            ),
            ({"dataset_sha256": "\0"}, InvalidArgumentError, "`dataset_sha256` must be .* or empty; got '.x00'"),
            ({"link": "optical"}, InvalidArgumentError, "`link` must be one of .*; got 'optical'"),
            ({"link": "digital"}, InvalidArgumentError, "`link` must name a detector, .*; got 'digital'"),
            ({"link": "digital:hard:erasure-1"}, InvalidArgumentError, "`erasure-P` must have P in .*; got 1"),
            ({"estimator": "oracle"}, InvalidArgumentError, "`estimator` must be one of perfect, .*; got 'oracle'"),
            ({"estimator": "ls"}, InvalidArgumentError, "`cnr_db` must be given with estimator ls; got none"),
            ({"estimator": "ls", "cnr_db": float("nan")}, InvalidArgumentError, "`cnr_db` must be in .*; got nan"),
            ({"cnr_db": 3.0}, InvalidArgumentError, "`cnr_db` must not be given with estimator perfect; got 3"),
        ],
    )
    async def test_a_request_that_cannot_be_paired_is_refused(
        self,
        start_station: StartStation,
        make_ue: MakeUe,
        changes: dict[str, object],
        kind: type[CsiError],
        sentence: str,
    ) -> None:
        ue = make_ue()
        good = replace(ue.session_request(str(uuid.uuid4())), protocol_version=2)
        request: SessionRequest = replace(good, **changes)  # type: ignore[arg-type]
        async with start_station() as station:
            with pytest.raises(kind, match=sentence.replace("{klt}", ue.card.sha256[:12])):
                await station.open_session(request)

    async def test_a_codec_that_needs_an_ideal_link_is_refused_over_another(
        self, start_station: StartStation, make_ue: MakeUe
    ) -> None:
        request = replace(make_ue("float", "ideal").session_request(str(uuid.uuid4())), link="digital:bsc")
        async with start_station() as station:
            with pytest.raises(InvalidArgumentError, match="`link` of codec float must be ideal; got digital"):
                await station.open_session(request)

    async def test_a_session_resumes_only_with_the_parameters_it_was_opened_with(
        self, start_station: StartStation, make_ue: MakeUe
    ) -> None:
        request = make_ue().session_request(str(uuid.uuid4()))
        for _ in range(2):  # in memory, then after a restart
            async with start_station() as station:
                await station.open_session(request)
                await station.open_session(request)
                others = [
                    replace(request, link="ideal"),
                    replace(request, protocol_version=2, estimator="ls", cnr_db=3.0),
                    replace(request, protocol_version=2, scoring=Scoring((10.0,))),
                    replace(request, dataset_sha256=""),
                    replace(make_ue("angular-topk").session_request(request.session_id)),
                ]
                for other in others:
                    with pytest.raises(ModelMismatchError, match="was opened with other parameters"):
                        await station.open_session(other)

    async def test_a_session_opened_twice_at_the_same_time_is_one_session(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        class SlowStore(SqlStore):
            async def add_session(self, session: SessionRow) -> None:
                await asyncio.sleep(0.05)
                await super().add_session(session)

        ue = make_ue()
        request = ue.session_request(str(uuid.uuid4()))
        async with start_station(store=SlowStore(local.database_url, 10)) as station:
            await asyncio.gather(*(station.open_session(request) for _ in range(5)))
            ack = await station.report(frame(ue, request.session_id, [0]))
            assert ack.code == 0

    async def test_a_closed_session_takes_reports_again_only_after_it_is_opened_again(
        self, start_station: StartStation, make_ue: MakeUe
    ) -> None:
        ue = make_ue()
        async with start_station() as station:
            session_id = await opened(station, ue)
            await station.report(frame(ue, session_id, [0, 1]))
            assert await station.close_session(session_id) == 2
            assert await station.close_session(session_id) == 2
            with pytest.raises(NotFoundError, match="`session_id` must be an open session"):
                await station.report(frame(ue, session_id, [2]))
            await station.open_session(ue.session_request(session_id))
            ack = await station.report(frame(ue, session_id, [1, 2]))
            assert ack.duplicate.tolist() == [True, False]
            with pytest.raises(NotFoundError):
                await station.close_session(str(uuid.uuid4()))

    async def test_a_session_closes_after_the_reports_that_are_on_their_way(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, eventually: Eventually
    ) -> None:
        ue = make_ue()
        async with start_station(replace(local, max_wait_ms=200.0)) as station:
            session_id = await opened(station, ue)
            on_its_way = asyncio.create_task(station.report(frame(ue, session_id, [0, 1])))
            await eventually(lambda: station._lanes.num_reports == 2)
            assert await station.close_session(session_id) == 2
            assert (await on_its_way).code == 0

    async def test_a_quiet_session_leaves_the_memory_and_comes_back_as_it_was(
        self, start_station: StartStation, make_ue: MakeUe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("bs_server.handlers.MAX_SESSIONS_IN_MEMORY", 2)
        ue = make_ue()
        metrics = Observability()
        async with start_station(metrics=metrics) as station:
            first = await opened(station, ue)
            await station.report(frame(ue, first, [0]))
            for _ in range(3):
                await opened(station, ue)
            assert metrics.registry.get_sample_value("csi_open_sessions") == 2
            ack = await station.report(frame(ue, first, [0, 1]))
            assert ack.duplicate.tolist() == [True, False]

    async def test_a_station_that_shuts_down_takes_nothing_new(
        self, start_station: StartStation, make_ue: MakeUe
    ) -> None:
        ue = make_ue()
        async with start_station() as station:
            session_id = await opened(station, ue)
            station.draining = True
            with pytest.raises(UnavailableError, match="shutting down"):
                await station.report(frame(ue, session_id, [0]))
            with pytest.raises(UnavailableError, match="shutting down"):
                await opened(station, ue)


class TestRefusals:
    @pytest.mark.parametrize(
        ("changes", "sentence"),
        [
            ({"session_id": str(uuid.UUID(int=4))}, "`session_id` must be an open session; got '00000000-0000"),
            ({"rate": np.array([128, 31, 128])}, r"`rate` of codec klt must be in \[32, 1024\] bits; got 31"),
            ({"rate": np.array([128, 1025, 128])}, "`rate` of codec klt must be .*; got 1025"),
            (
                {"num_bits": np.array([128, 120, 128])},
                "`num_bits` of a report of rate 128 of codec klt must be 128; got 120",
            ),
            (
                {"length": np.array([128, 120, 128]), "payload": bytes(47)},
                "`length` of a report of 128 bits over digital:bsc must be 128; got 120",
            ),
            (
                {"length": np.array([128, 0, 128]), "payload": bytes(32)},
                "`length` of a report of 128 bits over digital:bsc must be 128; got 0",
            ),
            ({"kind": ReceivedKind.LLRS, "payload": bytes(384)}, "`kind` over digital:bsc must be HARD_BITS; got LLRS"),
            ({"truth": "index=2400"}, "`truth.dataset_index` must be below 2400; got 2400"),
            ({"truth": "size=1023"}, "`truth.h` must hold 1024 numbers a report; got 1023"),
            ({"truth": "size=2048"}, "`truth.h` must hold 1024 numbers a report; got 2048"),
            ({"truth": "value=nan"}, "`truth.h` must be finite and of unit mean power"),
            ({"truth": "value=inf"}, "`truth.h` must be finite and of unit mean power"),
            ({"truth": "value=0"}, "`truth.h` must be finite and of unit mean power"),
        ],
    )
    async def test_a_frame_that_does_not_fit_its_session_is_refused_whole(
        self,
        start_station: StartStation,
        make_ue: MakeUe,
        local: Settings,
        changes: dict[str, object],
        sentence: str,
    ) -> None:
        ue = make_ue()
        changed = dict(changes)
        if (truth := changed.pop("truth", None)) is not None:
            changed["truth"] = strange_truth(str(truth))
        async with start_station() as station:
            session_id = await opened(station, ue)
            good = replace(frame(ue, session_id, [0, 1, 2]), truth=None)
            with pytest.raises(CsiError, match=sentence):
                await station.report(replace(good, **changed))  # type: ignore[arg-type]
            assert await stored(local) == []
            assert (await station.report(good)).code == 0

    @pytest.mark.parametrize("length", [1, 127, 129])
    async def test_where_the_link_erases_reports_a_length_is_that_of_the_code_or_nothing(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, length: int
    ) -> None:
        ue = make_ue(link="digital:soft:erasure-0.5")
        async with start_station() as station:
            session_id = await opened(station, ue)
            good = replace(frame(ue, session_id, [0, 1]), length=np.array([0, 128]), payload=b"\1" * 128)
            bad = replace(good, length=np.array([0, length]), payload=b"\1" * length)
            sentence = rf"over digital:soft:erasure-0.5 must be 128 \(0: erased\); got {length}"
            with pytest.raises(InvalidArgumentError, match=sentence):
                await station.report(bad)
            assert await stored(local) == []
            ack = await station.report(good)
        assert (ack.erased.tolist(), ack.fallback.tolist()) == ([True, False], [True, False])

    async def test_a_frame_of_too_many_reports_is_refused(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        async with start_station(replace(local, max_reports_per_frame=4)) as station:
            session_id = await opened(station, ue)
            assert (await station.report(frame(ue, session_id, range(4)))).code == 0
            with pytest.raises(InvalidArgumentError, match="`ue_id` must name at most 4 reports; got 5"):
                await station.report(frame(ue, session_id, range(5)))
            station.admit(session_id, 10_000, (0, 9))  # which no queue would ever have room for

    async def test_an_index_into_a_data_set_that_is_not_held_is_refused(
        self, start_station: StartStation, make_ue: MakeUe
    ) -> None:
        ue = make_ue()
        request = replace(ue.session_request(str(uuid.uuid4())), dataset_sha256="")
        async with start_station() as station:
            await station.open_session(request)
            with pytest.raises(InvalidArgumentError, match=r"`truth\.dataset_index` must be below 0; got 0"):
                await station.report(frame(ue, request.session_id, [0]))

    async def test_a_full_queue_refuses_whole_frames_and_takes_them_later(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        small = replace(local, queue_reports=4, max_reports_per_frame=4, max_wait_ms=100.0)
        async with start_station(small) as station:
            session_id = await opened(station, ue)
            outcomes = await asyncio.gather(
                *(station.report(frame(ue, session_id, range(3 * i, 3 * i + 3))) for i in range(3)),
                return_exceptions=True,
            )
            assert [type(outcome).__name__ for outcome in outcomes] == ["FrameAck", *["OverloadedError"] * 2]
            assert isinstance(outcomes[1], OverloadedError)
            assert outcomes[1].retry_delay_ms >= 5
            assert not (await station.report(frame(ue, session_id, range(3, 6)))).duplicate.any()
        assert [row.sequence for row in await stored(local)] == list(range(6))


def strange_truth(what: str) -> SimTruth:
    """Return truth of three reports with one thing wrong in the middle one."""
    name, value = what.split("=")
    if name == "index":
        return SimTruth(np.array([0, int(value), 2]), None, bytes(48))
    h = np.ones((3, int(value) if name == "size" else 1024), dtype=np.complex64)
    if name == "value":
        h[1] = 0 if value == "0" else 1
        h[1, 5] = complex(float(value), 0)
    return SimTruth(None, h, bytes(48))


class TestReports:
    async def test_a_frame_of_several_rates_is_acknowledged_in_its_own_order(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ues = {rate: make_ue("klt", "digital:bsc", rate) for rate in (64, 512)}
        rates = [512, 64, 64, 512, 64]
        async with start_station(replace(local, max_batch=2)) as station:
            alone, together = await opened(station, ues[64]), await opened(station, ues[64])
            parts = [frame(ues[rate], alone, [i]) for i, rate in enumerate(rates)]
            singles = [await station.report(part) for part in parts]
            ack = await station.report(replace(joined(parts), session_id=together))
        for name in ("nmse", "sgcs", "bit_errors"):
            wanted = np.concatenate([getattr(single, name) for single in singles])
            np.testing.assert_allclose(getattr(ack, name), wanted, rtol=1e-5)
        assert ack.bit_errors.any()
        assert ack.batch_size.max() == 2
        rows = await stored(local)
        by_sequence = {row.sequence: row for row in rows if row.session_id == together}
        assert [by_sequence[i].rate for i in range(5)] == rates
        assert [by_sequence[i].nmse for i in range(5)] == ack.nmse.tolist()

    @pytest.mark.parametrize("keep_every", [0, 3])
    async def test_every_nth_reconstruction_of_a_ue_is_kept(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, keep_every: int
    ) -> None:
        ue = make_ue()
        async with start_station(replace(local, keep_every=keep_every)) as station:
            session_id = await opened(station, ue)
            await station.report(frame(ue, session_id, range(7)))
        kept = [row.sequence for row in await stored(local) if row.has_reconstruction]
        assert kept == ([0, 3, 6] if keep_every else [])

    async def test_no_reconstruction_without_truth_pushes_out_those_with(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        async with start_station(replace(local, keep_every=1, keep_reconstructions=2)) as station:
            session_id = await opened(station, ue)
            await station.report(frame(ue, session_id, [0, 1]))
            await station.report(frame(ue, session_id, range(2, 9), truth_by=None))
        assert [row.sequence for row in await stored(local) if row.has_reconstruction] == [0, 1]

    async def test_a_report_without_truth_is_stored_without_scores(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        async with start_station() as station:
            session_id = await opened(station, ue)
            ack = await station.report(frame(ue, session_id, [0], truth_by=None))
        assert [len(ack.nmse), len(ack.sgcs), len(ack.bit_errors), len(ack.fallback)] == [0, 0, 0, 1]
        assert [(row.nmse, row.sgcs, row.bit_errors) for row in await stored(local)] == [(None, None, None)]

    async def test_a_report_whose_deadline_passes_in_the_queue_is_refused_and_can_be_sent_again(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        async with start_station(replace(local, max_wait_ms=50.0)) as station:
            session_id = await opened(station, ue)
            report = frame(ue, session_id, [0])
            with pytest.raises(DeadlineError, match="deadline passed"):
                await station.report(replace(report, deadline_ms=1))
            with pytest.raises(DeadlineError, match="deadline passed"):
                await station.report(report, timeout_s=0.001)
            assert await stored(local) == []
            ack = await station.report(replace(report, deadline_ms=60_000), timeout_s=60.0)
            assert ack.duplicate.tolist() == [False]

    async def test_reports_that_were_erased_are_stored_and_told_as_such(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue, metrics = make_ue(link="digital:hard:16qam:erasure-0.5", rate=130), Observability()
        async with start_station(metrics=metrics) as station:
            session_id = await opened(station, ue)
            sent = frame(ue, session_id, range(20))
            ack = await station.report(sent)
            again = await station.report(sent)
        erased = sent.length == 0
        assert 0 < erased.sum() < 20
        for told in (ack, again):
            assert told.erased.tolist() == told.fallback.tolist() == erased.tolist()
            assert not told.crc_failed.any()
            assert not told.bit_errors[erased].any()
            assert told.bit_errors[~erased].all()  # 5 dB are little for 16-QAM
            assert told.nmse.tolist() == ack.nmse.tolist()
        rows = sorted(await stored(local), key=lambda row: row.sequence)
        assert [row.erased for row in rows] == erased.tolist()
        wanted = [None if lost else errors for lost, errors in zip(erased, ack.bit_errors.tolist(), strict=True)]
        assert [row.bit_errors for row in rows] == wanted
        assert {(row.coded_bits, row.channel_uses, row.crc_ok) for row in rows} == {(130, 33, None)}
        assert count(metrics, "block_errors") == 20
        assert count(metrics, "fallbacks") == erased.sum()

    async def test_the_last_good_csi_of_its_ue_stands_for_a_lost_report_until_a_restart(
        self, start_station: StartStation, models: dict[str, ModelFile], worker: Worker, local: Settings, moving: Path
    ) -> None:
        link = "digital:soft:erasure-0.5"
        ue = make_pipeline(models["klt"], load_channels(str(moving)), link, None, 3, fallback="last")
        settings, sent = replace(local, keep_every=1), []
        for run in range(2):
            async with start_station(settings, reconstruct=Worker(worker.decoders).reconstruct) as station:
                session_id = str(uuid.UUID(int=7))
                await station.open_session(ue.session_request(session_id))
                for start in range(run * 24, run * 24 + 24, 8):
                    sent.append(frame(ue, session_id, range(start, start + 8), truth_by="channel"))
                    await station.report(sent[-1])
        erased = np.concatenate([part.length == 0 for part in sent])
        assert erased[24]  # the first after the restart, which nothing is remembered for
        rows = sorted(await stored(settings), key=lambda row: row.sequence)
        assert [row.fallback for row in rows] == erased.tolist()
        store = SqlStore(settings.database_url, keep_reconstructions=100)
        await store.open()
        kept = [await store.reconstruction(row.report_id) for row in rows]
        await store.close()
        mean_csi = worker.decoders[ue.card.sha256].mean_csi.numpy()
        last = mean_csi
        for i, (row, reconstruction) in enumerate(zip(rows, kept, strict=True)):
            assert reconstruction is not None
            assert reconstruction.h is not None
            if i == 24:
                last = mean_csi
            if not erased[i]:
                last = reconstruction.h_hat
            assert np.array_equal(reconstruction.h_hat, last)
            assert row.held == (erased[i] and last is not mean_csi)
            error, energy = (np.square(np.abs(x)).sum() for x in (last - reconstruction.h, reconstruction.h))
            assert row.nmse == pytest.approx(error / energy, rel=1e-5)
        assert 0 < sum(row.held for row in rows) < erased.sum()

    async def test_a_session_that_asks_for_the_last_good_csi_resumes_only_so(
        self, start_station: StartStation, models: dict[str, ModelFile], moving: Path
    ) -> None:
        channels = load_channels(str(moving))
        last = make_pipeline(models["klt"], channels, "ideal", None, 1, fallback="last").session_request(
            str(uuid.uuid4())
        )
        for _ in range(2):  # in memory, then after a restart
            async with start_station() as station:
                await station.open_session(last)
                await station.open_session(last)
                with pytest.raises(ModelMismatchError, match="was opened with other parameters"):
                    await station.open_session(replace(last, fallback="mean"))

    async def test_old_sessions_are_removed_and_one_that_is_opened_again_stays(
        self, start_station: StartStation, make_ue: MakeUe
    ) -> None:
        ue = make_ue()
        now_s = 0.0
        async with start_station(clock=lambda: now_s) as station:
            closed, again, quiet = [await opened(station, ue) for _ in range(3)]
            for session_id in (closed, again, quiet):
                await station.report(frame(ue, session_id, range(3)))
            await station.close_session(closed)
            await station.close_session(again)
            assert await station.remove_idle_sessions(before=0.0) == 0
            now_s = 100.0
            await station.open_session(ue.session_request(again))
            assert await station.remove_idle_sessions(before=50.0) == 2
            assert (await station.report(frame(ue, again, range(2, 5)))).duplicate.tolist() == [True, False, False]
            with pytest.raises(NotFoundError, match="must be an open session"):
                await station.report(frame(ue, quiet, range(3)))
            await station.open_session(ue.session_request(quiet))
            assert not (await station.report(frame(ue, quiet, range(3)))).duplicate.any()

    async def test_a_session_that_is_used_while_others_are_removed_stays(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue, now_s = make_ue(), 0.0
        store = SqlStore(local.database_url, keep_reconstructions=0)
        async with start_station(store=store, clock=lambda: now_s) as station:
            first, second = [await opened(station, ue) for _ in range(2)]
            for session_id in (first, second):
                await station.report(frame(ue, session_id, range(3)))
                await station.close_session(session_id)
            now_s, remove = 100.0, store.remove_session

            async def busy(session_id: str) -> None:
                if session_id == first:
                    with pytest.raises(UnavailableError, match="being removed"):
                        await station.open_session(ue.session_request(first))
                    await station.open_session(ue.session_request(second))
                    await station.report(frame(ue, second, range(3, 6)))
                    await station.close_session(second)
                await remove(session_id)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(store, "remove_session", busy)
                assert await station.remove_idle_sessions(before=50.0) == 1
        assert [(row.session_id, row.sequence) for row in await stored(local)] == [(second, n) for n in range(6)]

    async def test_a_model_is_released_when_no_session_of_it_is_open_and_no_file_holds_it(
        self, start_station: StartStation, make_ue: MakeUe
    ) -> None:
        klt, topk = make_ue("klt"), make_ue("angular-topk")
        of_both = {klt.card.sha256, topk.card.sha256}
        async with start_station() as station:
            others = {card.sha256 for card in station.cards} - of_both
            session_id = await opened(station, klt)
            assert [card.name for card in await station.release(keep=others)] == ["angular-topk"]
            with pytest.raises(ModelMismatchError, match="angular-topk"):
                await opened(station, topk)
            assert (await station.report(frame(klt, session_id, range(3)))).code == 0
            await station.close_session(session_id)
            assert [card.name for card in await station.release(keep=others)] == ["klt"]
            with pytest.raises(ModelMismatchError, match="klt"):
                await station.open_session(klt.session_request(session_id))
            with pytest.raises(NotFoundError, match="must be an open session"):
                await station.report(frame(klt, session_id, range(3)))
            other = make_ue("csinet").session_request(session_id)
            with pytest.raises(ModelMismatchError, match="was opened with another model, which is not held any more"):
                await station.open_session(other)

    async def test_a_session_is_refused_whose_model_is_released_while_it_opens(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        first, second = (make_ue(codec).session_request(str(uuid.uuid4())) for codec in ("klt", "angular-topk"))
        store = SqlStore(local.database_url, keep_reconstructions=0)
        add_session, asked, may_go_on = store.add_session, asyncio.Event(), asyncio.Event()

        async def slow(row: SessionRow) -> None:
            asked.set()
            await may_go_on.wait()
            await add_session(row)

        async with start_station(store=store) as station:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(store, "add_session", slow)
                opening = asyncio.create_task(station.open_session(first))
                await asked.wait()
                releasing = asyncio.create_task(station.release(keep=set()))
                await asyncio.sleep(0)
                late = asyncio.create_task(station.open_session(second))
                may_go_on.set()
                await opening
                released = {card.sha256 for card in await releasing}
                assert second.model_sha256 in released
                assert first.model_sha256 not in released
                with pytest.raises(ModelMismatchError, match="angular-topk"):
                    await late

    async def test_a_session_may_move_between_base_stations_of_one_database(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        async with start_station() as one, start_station() as other:
            session_id = await opened(one, ue)
            await one.report(frame(ue, session_id, range(4)))
            moved = await other.report(frame(ue, session_id, range(2, 6)))
            assert moved.duplicate.tolist() == [True, True, False, False]
            await other.open_session(ue.session_request(session_id))
            await one.report(frame(ue, session_id, range(4, 8)))  # of which it does not know that two are stored
            assert await other.close_session(session_id) == 8
        assert [row.sequence for row in await stored(local)] == [0, 1, 2, 3, 4, 5, 6, 7]

    async def test_replicas_hold_nobodys_last_good_csi(
        self, start_station: StartStation, models: dict[str, ModelFile], moving: Path, local: Settings
    ) -> None:
        ue = make_pipeline(models["klt"], load_channels(str(moving)), "ideal", None, 1, fallback="last")
        async with start_station(replace(local, pool="ray", replicas=2)) as station:
            with pytest.raises(InvalidArgumentError, match=r"`fallback` must be mean .* several replicas.*got last"):
                await station.open_session(ue.session_request(str(uuid.uuid4())))

    async def test_whether_the_crc_holds_is_stored_and_told_of_reports_that_arrived(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, worker: Worker
    ) -> None:
        """The checks stand in for those of a channel code: every third report fails, and every erased one."""

        def reconstruct(batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
            (decoded,) = worker.reconstruct(batch, decided, refine)
            crc_ok = (np.arange(len(decoded.erased)) % 3 != 0) & ~decoded.erased
            return [replace(decoded, checked=~decoded.erased, crc_ok=crc_ok, fallback=~crc_ok)]

        ue = make_ue(link="digital:hard:erasure-0.5")
        async with start_station(reconstruct=reconstruct) as station:
            session_id = await opened(station, ue)
            sent = frame(ue, session_id, range(20))
            told = [await station.report(sent) for _ in range(2)]
        erased, failed = sent.length == 0, np.arange(20) % 3 == 0
        assert set(zip(erased.tolist(), failed.tolist(), strict=True)) == set(
            itertools.product((False, True), repeat=2)
        )
        for ack in told:
            assert ack.crc_failed.tolist() == (failed & ~erased).tolist()
            assert ack.fallback.tolist() == (failed | erased).tolist()
        wanted = [None if lost else not bad for lost, bad in zip(erased, failed, strict=True)]
        assert [row.crc_ok for row in sorted(await stored(local), key=lambda row: row.sequence)] == wanted

    async def test_the_downlink_is_stored_at_each_snr_of_the_session(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue(scoring=Scoring((-5.0, 10.000001)))
        async with start_station() as station:
            session_id = await opened(station, ue)
            await station.open_session(ue.session_request(session_id))  # the same, rounded again
            await station.report(frame(ue, session_id, [0, 1]))
            await station.report(frame(ue, session_id, [2], truth_by=None))
        async with start_station() as station:  # which is known after a restart
            await station.report(frame(ue, session_id, [3]))
        store = SqlStore(local.database_url, keep_reconstructions=0)
        await store.open()
        found = await store.reports(ReportFilter(), 100, 0)
        rows = {row.sequence: await store.report(row.report_id) for row in found}
        (total,) = await store.totals(ReportFilter(), [])
        await store.close()
        for sequence in range(4):
            row = rows[sequence]
            assert row is not None
            assert [score.snr_db for score in row.downlink] == ([] if sequence == 2 else [-5.0, 10.0])
            assert (row.rho is None) == (sequence == 2)
            for score in row.downlink:
                assert 0 < score.spectral_efficiency < score.spectral_efficiency_perfect
                assert 0 <= score.bler_perfect <= score.bler <= 1
        assert [(score.snr_db, score.count) for score in total.downlink] == [(-5.0, 3), (10.0, 3)]

    async def test_groups_of_ues_are_served_together_whatever_the_batch(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        """Of 9 reports, a batch of at most 4 holds one group of 3."""
        ue, scores = make_ue(scoring=Scoring((0.0,), downlink_num_ue=3, num_subbands=2)), []
        for max_batch in (64, 4):
            async with start_station(replace(local, max_batch=max_batch)) as station:
                session_id = await opened(station, ue)
                ack = await station.report(frame(ue, session_id, range(9)))
            assert ack.batch_size.max() == min(9, max_batch // 3 * 3)
            store = SqlStore(local.database_url, keep_reconstructions=0)
            await store.open()
            rows = [await store.report(row.report_id) for row in await stored(local) if row.session_id == session_id]
            (total,) = await store.totals(ReportFilter(session_id=session_id), [])
            await store.close()
            scores.append([(row.downlink[0].bler, row.sgcs_subbands[0]) for row in rows if row is not None])
            assert [(group.num_ue, group.mcs, group.count) for group in total.downlink] == [(3, None, 9)]
            assert [(one.layer, one.subband, one.count) for one in total.subbands] == [(1, 0, 9), (1, 1, 9)]
        for one, other in zip(*scores, strict=True):
            assert one[0] == pytest.approx(other[0], rel=1e-4)
            assert one[1] == pytest.approx(other[1], rel=1e-4)

    async def test_a_broken_group_is_refused(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ues = {rate: make_ue("klt", "digital:bsc", rate, scoring=Scoring((0.0,), 2)) for rate in (64, 128)}
        async with start_station() as station:
            session_id = await opened(station, ues[64])
            with pytest.raises(InvalidArgumentError, match="`ue_id` must be a multiple of `downlink_num_ue`, 2; got 3"):
                await station.report(frame(ues[64], session_id, range(3)))
            mixed = joined([frame(ues[rate], session_id, [i]) for i, rate in enumerate((64, 128))])
            with pytest.raises(InvalidArgumentError, match="`rate` must be one in each group"):
                await station.report(mixed)
            assert (await station.report(frame(ues[64], session_id, [0, 1]))).code == 0
            with pytest.raises(InvalidArgumentError, match="must be new as a whole"):
                await station.report(frame(ues[64], session_id, [1, 2]))
            again = await station.report(frame(ues[64], session_id, [0, 1, 2, 3]))
        assert again.duplicate.tolist() == [True, True, False, False]

    async def test_a_group_has_one_snr_and_channels_that_differ(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue(scoring=Scoring((0.0,), 2))
        async with start_station() as station:
            session_id = await opened(station, ue)
            good = frame(ue, session_id, [0, 1])
            with pytest.raises(InvalidArgumentError, match="`snr_db` must be one in each group"):
                await station.report(replace(good, snr_db=np.array([0, 5], dtype=np.float32)))
            assert good.truth is not None
            twice = replace(good.truth, dataset_index=np.array([7, 7]))
            with pytest.raises(InvalidArgumentError, match=r"`truth\.dataset_index` must differ within a group"):
                await station.report(replace(good, truth=twice))
            assert (await station.report(good)).code == 0

    async def test_a_session_with_all_scores_goes_on_after_a_restart_with_smaller_batches(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What the coded downlink needs is there before the first report reaches the device."""
        pytest.importorskip("sionna.sys")
        ue = make_ue(scoring=Scoring((0.0,), 4, 9))
        async with start_station() as station:
            session_id = await opened(station, ue)
            await station.report(frame(ue, session_id, range(8)))
        loaded: list[str] = []
        monkeypatch.setattr("bs_server.handlers.load_abstraction", lambda: loaded.append("loaded"))
        async with start_station(replace(local, max_batch=2)) as station:
            ack = await station.report(frame(ue, session_id, range(8, 16)))
        assert loaded == ["loaded"]
        assert ack.batch_size.tolist() == [4] * 8

    async def test_nmse_full_is_stored_where_the_crop_loss_is_known(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, indoor: ChannelSet
    ) -> None:
        """By channel number the base station knows it; with channels, the UE may send it."""
        ue = make_ue()
        async with start_station() as station:
            session_id = await opened(station, ue)
            await station.report(frame(ue, session_id, [0, 1]))
            with_channels = frame(ue, session_id, [2, 3], truth_by="channel")
            assert with_channels.truth is not None
            await station.report(with_channels)
            unknown = frame(ue, session_id, [4], truth_by="channel")
            assert unknown.truth is not None
            await station.report(replace(unknown, truth=replace(unknown.truth, crop_loss=None)))
        rows = sorted(await stored(local), key=lambda row: row.sequence)
        assert indoor.crop_loss is not None
        for row in rows[:4]:
            loss = float(indoor.crop_loss[row.sequence])
            assert row.nmse is not None
            assert row.nmse_full == pytest.approx(row.nmse * (1 - loss) + loss)
        assert rows[4].nmse is not None
        assert rows[4].nmse_full is None

    async def test_what_is_counted_is_what_was_stored(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue, metrics = make_ue("float", "ideal"), Observability()
        async with start_station(metrics=metrics) as station:
            session_id = await opened(station, ue)
            bits = np.unpackbits(np.frombuffer(frame(ue, session_id, range(3)).payload, dtype=np.uint8)).reshape(3, -1)
            bits[1] = 1  # not a number anywhere
            bits[2, -1] ^= 1
            damaged = replace(frame(ue, session_id, range(3)), payload=np.packbits(bits).tobytes())
            ack = await station.report(damaged)
            again = await station.report(damaged)
        assert ack.fallback.tolist() == again.fallback.tolist() == [False, True, False]
        assert (ack.bit_errors > 0).tolist() == [False, True, True]
        counted = {name: count(metrics, name) for name in ("reports", "duplicates", "block_errors", "fallbacks")}
        assert counted == {"reports": 3, "duplicates": 3, "block_errors": 2, "fallbacks": 1}


class TestDuplicates:
    async def test_a_report_repeated_in_a_later_frame_is_counted_once_with_its_first_scores(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        async with start_station() as station:
            session_id = await opened(station, ue)
            first = await station.report(frame(ue, session_id, [0, 1]))
            other = replace(frame(ue, session_id, [5, 1, 0]), payload=bytes(48))  # what comes again may differ
            second = await station.report(other)
        assert second.duplicate.tolist() == [False, True, True]
        assert second.nmse.tolist()[1:] == first.nmse.tolist()[::-1]
        assert second.bit_errors.tolist()[1:] == first.bit_errors.tolist()[::-1]
        assert second.decode_ms.tolist()[1:] == first.decode_ms.tolist()[::-1]
        assert [row.sequence for row in await stored(local)] == [0, 1, 5]

    async def test_a_report_repeated_while_it_is_on_its_way_is_counted_once(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        async with start_station() as station:
            session_id = await opened(station, ue)
            frames = [frame(ue, session_id, [0, 1]), frame(ue, session_id, [1, 2]), frame(ue, session_id, [2, 0, 1])]
            acks = await asyncio.gather(*map(station.report, frames))
        assert [ack.duplicate.tolist() for ack in acks] == [[False, False], [True, False], [True, True, True]]
        assert acks[2].nmse.tolist() == [acks[1].nmse[1], acks[0].nmse[0], acks[0].nmse[1]]
        assert sorted(row.sequence for row in await stored(local)) == [0, 1, 2]

    async def test_a_report_repeated_after_a_restart_is_counted_once_with_its_first_scores(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        async with start_station() as station:
            session_id = await opened(station, ue)
            first = await station.report(frame(ue, session_id, [0, 1]))
        async with start_station() as station:
            second = await station.report(frame(ue, session_id, [1, 2]))  # the session needs no second opening
        assert second.duplicate.tolist() == [True, False]
        assert second.nmse[0] == first.nmse[1]
        assert [row.sequence for row in await stored(local)] == [0, 1, 2]


class TestFailures:
    async def test_a_report_whose_caller_leaves_the_queue_is_not_stored_and_can_be_sent_again(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, eventually: Eventually
    ) -> None:
        ue, metrics = make_ue(), Observability()
        async with start_station(replace(local, max_wait_ms=10_000.0, max_batch=4), metrics=metrics) as station:
            session_id = await opened(station, ue)
            leaves = asyncio.create_task(station.report(frame(ue, session_id, [0, 1])))
            repeats = asyncio.create_task(station.report(frame(ue, session_id, [1, 0])))
            await eventually(lambda: station._lanes.num_reports == 2)
            leaves.cancel()
            await asyncio.wait([leaves])
            assert leaves.cancelled()
            await eventually(lambda: station._lanes.num_reports == 4)  # whoever waited for the report takes its place
            ack, _ = await asyncio.gather(repeats, station.report(frame(ue, session_id, [2, 3])))
            assert ack.duplicate.tolist() == [False, False]
        assert sorted(row.sequence for row in await stored(local)) == [0, 1, 2, 3]
        assert count(metrics, "reports") == 4

    async def test_a_session_without_a_channel_code_does_not_wait_for_the_code_of_another(
        self, start_station: StartStation, make_ue: MakeUe, worker: Worker, eventually: Eventually
    ) -> None:
        started, go = threading.Event(), threading.Event()

        def decode_channel(batch: Sequence[Work]) -> ChannelDecoded:
            if batch[0].key.code != "uncoded":
                started.set()
                go.wait(20)
            return worker.decode_channel(batch)

        expensive, cheap = make_ue(link="digital:soft:conv-1/2"), make_ue()
        async with start_station(decode_channel=decode_channel) as station:
            try:
                slow = asyncio.create_task(station.report(frame(expensive, await opened(station, expensive), range(4))))
                await eventually(started.is_set)
                session_id = await opened(station, cheap)
                for first in (0, 4):
                    ack = await station.report(frame(cheap, session_id, range(first, first + 4)))
                    assert not ack.fallback.any()
                assert not slow.done()
            finally:
                go.set()
            assert len((await slow).fallback) == 4

    async def test_when_a_part_of_a_frame_fails_the_rest_does_not_reach_the_device(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, worker: Worker
    ) -> None:
        decoded: list[tuple[int, int]] = []

        def reconstruct(batch: Sequence[Work], decided: ChannelDecoded, refine: bool) -> list[Decoded]:
            decoded.append((batch[0].key.rate, sum(entry.num_reports for entry in batch)))
            if batch[0].key.rate == 64 and len(decoded) == 1:
                raise MemoryError("of the device")
            return worker.reconstruct(batch, decided, refine)

        ues = {rate: make_ue("klt", "digital:bsc", rate) for rate in (64, 512)}
        async with start_station(replace(local, max_batch=2, max_wait_ms=10_000.0), reconstruct=reconstruct) as station:
            session_id = await opened(station, ues[64])
            parts = [frame(ues[rate], session_id, [i]) for i, rate in enumerate((64, 64, 512, 512))]
            with pytest.raises(MemoryError):
                await station.report(joined(parts[:3]))
            assert (await station.report(joined(parts))).duplicate.tolist() == [False] * 4
        assert sorted(decoded) == [(64, 2), (64, 2), (512, 2)]

    async def test_a_report_whose_caller_leaves_during_the_commit_is_stored_and_known(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, eventually: Eventually
    ) -> None:
        class HeldStore(SqlStore):
            begun, go_on = asyncio.Event(), asyncio.Event()

            async def append(self, reports: Sequence[ReportRow], kept: Sequence[ReconstructionRow]) -> None:
                self.begun.set()
                await self.go_on.wait()
                await super().append(reports, kept)

        ue, store = make_ue(), HeldStore(local.database_url, 10)
        async with start_station(store=store) as station:
            session_id = await opened(station, ue)
            leaves = asyncio.create_task(station.report(frame(ue, session_id, [0])))
            await store.begun.wait()
            leaves.cancel()
            await asyncio.wait([leaves])
            assert leaves.cancelled()
            repeats = asyncio.create_task(station.report(frame(ue, session_id, [0])))
            store.go_on.set()
            assert (await repeats).duplicate.tolist() == [True]
        assert [row.sequence for row in await stored(local)] == [0]

    async def test_a_report_whose_caller_leaves_during_a_commit_that_fails_is_counted_as_cancelled(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, eventually: Eventually
    ) -> None:
        class FullStore(SqlStore):
            begun, go_on = asyncio.Event(), asyncio.Event()

            async def append(self, reports: Sequence[ReportRow], kept: Sequence[ReconstructionRow]) -> None:
                self.begun.set()
                await self.go_on.wait()
                raise OSError("no space left on device")

        ue, store, metrics = make_ue(), FullStore(local.database_url, 10), Observability()
        async with start_station(store=store, metrics=metrics) as station:
            session_id = await opened(station, ue)
            leaves = asyncio.create_task(station.report(frame(ue, session_id, [0, 1])))
            await store.begun.wait()
            leaves.cancel()
            await asyncio.wait([leaves])
            assert count(metrics, "refused_reports") == 0  # they may still be stored
            store.go_on.set()
            await eventually(lambda: count(metrics, "refused_reports") == 2)

    async def test_a_repetition_that_cannot_be_read_back_stores_nothing_of_its_frame(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        class DeafStore(SqlStore):
            hears = True

            async def find(self, session_id: str, identities: Sequence[tuple[int, int]]) -> list[ReportRow]:
                if identities and not self.hears:
                    raise OSError("the connection is lost")
                return await super().find(session_id, identities)

        ue, store, metrics = make_ue(), DeafStore(local.database_url, 10), Observability()
        async with start_station(store=store, metrics=metrics) as station:
            session_id = await opened(station, ue)
            await station.report(frame(ue, session_id, [0]))
            store.hears = False
            with pytest.raises(OSError, match="is lost"):
                await station.report(frame(ue, session_id, [0, 1, 2]))
            assert (count(metrics, "reports"), count(metrics, "duplicates")) == (1, 0)
            store.hears = True
            assert (await station.report(frame(ue, session_id, [0, 1, 2]))).duplicate.tolist() == [True, False, False]
        assert [row.sequence for row in await stored(local)] == [0, 1, 2]

    async def test_a_session_that_another_base_station_removed_is_forgotten(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        ue = make_ue()
        async with start_station() as station:
            gone, other = await opened(station, ue), await opened(station, ue)
            elsewhere = SqlStore(local.database_url, keep_reconstructions=0)
            await elsewhere.open()
            await elsewhere.remove_session(gone)
            await elsewhere.close()
            for _ in range(2):
                with pytest.raises(NotFoundError):
                    await station.report(frame(ue, gone, [0]))
            assert (await station.report(frame(ue, other, [0]))).code == 0
            await station.open_session(ue.session_request(gone))
            assert (await station.report(frame(ue, gone, [0]))).duplicate.tolist() == [False]

    async def test_who_leaves_while_it_waits_for_its_session_to_close_has_changed_nothing(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings, eventually: Eventually
    ) -> None:
        ue, metrics = make_ue(), Observability()
        async with start_station(replace(local, max_wait_ms=10_000.0, max_batch=2), metrics=metrics) as station:
            session_id = await opened(station, ue)
            reports = asyncio.create_task(station.report(frame(ue, session_id, [0])))
            await eventually(lambda: station._lanes.num_reports == 1)
            closing = asyncio.create_task(station.close_session(session_id))
            other = await opened(station, ue)  # the other does not wait for the first to close
            closing.cancel()
            await asyncio.wait([closing])
            repeats = asyncio.create_task(station.report(frame(ue, session_id, [0, 1])))
            first, _ = await asyncio.gather(reports, station.report(frame(ue, other, [0])))
            await eventually(lambda: station._lanes.num_reports == 1)
            again, _ = await asyncio.gather(repeats, station.report(frame(ue, other, [1])))
            assert (first.duplicate.tolist(), again.duplicate.tolist()) == ([False], [True, False])
            assert await station.close_session(session_id) == 2
        assert count(metrics, "reports") == 4

    async def test_a_report_that_could_not_be_stored_is_told_and_can_be_sent_again(
        self, start_station: StartStation, make_ue: MakeUe, local: Settings
    ) -> None:
        class FailingStore(SqlStore):
            fails = True

            async def append(self, reports: Sequence[ReportRow], kept: Sequence[ReconstructionRow]) -> None:
                if self.fails:
                    raise OSError("no space left on device")
                await super().append(reports, kept)

        ue, store = make_ue(), FailingStore(local.database_url, 10)
        async with start_station(store=store) as station:
            session_id = await opened(station, ue)
            with pytest.raises(StoreError, match="did not take them"):
                await station.report(frame(ue, session_id, [0]))
            store.fails = False
            ack = await station.report(frame(ue, session_id, [0]))
            assert ack.duplicate.tolist() == [False]
        assert [row.sequence for row in await stored(local)] == [0]
