"""What the base station does, in plain functions that know no transport.

open_session -> report -> report -> ... -> close_session
                  |
    check -> ledger -> entries -> lanes ~ device ~ -> commit -> acknowledge
"""

import asyncio
import contextlib
import logging
import math
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence, Set
from functools import partial

import numpy as np
from numpy.typing import NDArray

from bs_server.batching import Lanes
from bs_server.config import Settings
from bs_server.observability import Observability
from bs_server.pairing import is_uuid, paired_card, require_its_refiner, require_last_good_fits
from bs_server.reports import acknowledge, cut, kept_rows, report_rows, require_fit
from bs_server.sessions import Identity, Ledger, Session
from bs_server.store import GroupWriter, ReconstructionRow, ReportRow, SessionRow, Store
from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError, ModelMismatchError, NotFoundError, UnavailableError
from shared.fallback import require_fallback
from shared.frame import (
    Frame,
    FrameAck,
    SessionGrant,
    SessionRequest,
)
from shared.links import make_link
from shared.metrics.phy_abstraction import load_abstraction
from shared.model_files import CodecCard
from shared.refinement import RefinerCard
from shared.refinement.held import choose_refiner
from shared.refinement.label import parse_refinement
from shared.scoring import Scoring

log = logging.getLogger(__name__)

MAX_SESSIONS_IN_MEMORY = 10_000  # the one that was quiet longest is dropped; the store knows how to resume it


class BaseStation:
    """Sessions and reports of one service.

    Args:
        settings: Settings of the service.
        models: Model digest -> card, of every model that it holds.
        refiners: Cards of the refiners that it holds.
        datasets: Data set digest -> data set.
        lanes: Queues to the threads that decode.
        store: Where sessions and reports are kept.
        writer: Group commits into the store.
        metrics: Prometheus metrics.
        server_version: Told to the UEs.
        clock: Unix time.
    """

    def __init__(
        self,
        settings: Settings,
        models: dict[str, CodecCard],
        refiners: list[RefinerCard],
        datasets: dict[str, ChannelSet],
        lanes: Lanes,
        store: Store,
        writer: GroupWriter,
        metrics: Observability,
        server_version: str,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.draining = False
        self._settings = settings
        self._models = models
        self.refiners = refiners
        self._datasets = datasets
        self._lanes = lanes
        self._store = store
        self._writer = writer
        self._metrics = metrics
        self._server_version = server_version
        self._clock = clock
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._used_at: dict[str, float] = {}  # of the same sessions
        self._going: set[str] = set()  # sessions that are being removed
        self._opening = asyncio.Lock()

    @property
    def cards(self) -> list[CodecCard]:
        """Cards of the models it holds; of two of one name, the newer is last."""
        return list(self._models.values())

    def hold(self, card: CodecCard) -> None:
        """Serve a model besides; sessions are of the model that they were opened with, by its digest."""
        self._models[card.sha256] = card

    async def release(self, keep: Set[str]) -> list[CodecCard]:
        """Hold the models no more that no open session is of.

        Args:
            keep: Digests of models that stay.

        Returns:
            Cards of those that are not held any more.
        """
        async with self._opening:
            used = keep | await self._store.open_models() | {one.card.sha256 for one in self._sessions.values()}
            released = [card for digest, card in self._models.items() if digest not in used]
            for card in released:
                del self._models[card.sha256]
        return released

    async def open_session(self, request: SessionRequest) -> SessionGrant:
        """Pair with a UE; opening the same session again resumes it.

        Raises:
            InvalidArgumentError: If the request is malformed.
            ModelMismatchError: If protocol, model, refiner, shape or an earlier opening do not agree.
            UnavailableError: If the service is shutting down.
        """
        if self.draining:
            raise UnavailableError("The base station is shutting down.")
        card = paired_card(request, self._models, self._settings.replicas)
        refinement = parse_refinement(request.refinement)
        link = make_link(request.link)
        refiner = choose_refiner(refinement, self.refiners, card.name, card.sha256, link.label)
        await _prepare(request.scoring)
        dataset = self._datasets.get(request.dataset_sha256)
        asked = Session(
            request.session_id,
            card,
            link,
            dataset,
            estimator=request.estimator,
            cnr_db=request.cnr_db,
            scoring=request.scoring,
            fallback=request.fallback,
            refinement=refinement,
            run=request.run,
            refiner_sha256=refiner.sha256 if refiner else "",
        )
        if dataset is not None:
            require_fallback(request.fallback, dataset)
        async with self._opening:  # a request that is repeated before it was answered makes no second session
            paired_card(request, self._models, self._settings.replicas)  # again: it may have been released meanwhile
            known = await self._load_session(request.session_id)
            if known is None:
                if await self._store.session(request.session_id) is not None:
                    what = "was opened with another model, which is not held any more"
                    raise ModelMismatchError(f"`session_id` {request.session_id} {what}.")
                row = SessionRow(
                    session_id=request.session_id,
                    codec=card.name,
                    model_sha256=card.sha256,
                    shape=card.shape,
                    link=link.label,
                    dataset_sha256=request.dataset_sha256,
                    opened_at=self._clock(),
                    estimator=request.estimator,
                    cnr_db=request.cnr_db,
                    scoring=request.scoring,
                    fallback=request.fallback,
                    refinement=str(refinement),
                    run=request.run,
                    refiner_sha256=asked.refiner_sha256,
                )
                await self._store.add_session(row)
            elif _parameters(known) != _parameters(asked):
                raise ModelMismatchError(f"`session_id` {request.session_id} was opened with other parameters.")
            else:
                require_its_refiner(known, refiner)
                await self._store.reopen_session(request.session_id)
            self._add(known or asked)
        log.info(
            "session opened" if known is None else "session resumed",
            extra={"session_id": request.session_id, "codec": card.name, "link": link.label},
        )
        return SessionGrant(
            request.session_id, dataset is not None, self._settings.max_reports_per_frame, self._server_version
        )

    async def close_session(self, session_id: str) -> int:
        """End a session; return how many reports of it the store holds.

        Raises:
            NotFoundError: If there is no such session.
        """
        while True:
            async with self._opening:
                session = await self._load_session(session_id)
                if session is None:
                    raise NotFoundError(f"`session_id` must be a session; got {session_id[:64]!r}.")
                if session.ledger.is_idle:
                    self._forget(session_id)
                    await self._store.close_session(session_id, self._clock())
                    break
            await session.ledger.idle()  # others open sessions meanwhile, and a caller that leaves has changed nothing
        self._metrics.sessions.set(len(self._sessions))
        row = await self._store.session(session_id)
        num_reports = row.num_reports if row else 0
        log.info("session closed", extra={"session_id": session_id, "num_reports": num_reports})
        return num_reports

    async def remove_idle_sessions(self, before: float) -> int:
        """Remove sessions that were closed before a time or did nothing since, with all their reports.

        Args:
            before: Unix time.

        Returns:
            How many.
        """
        num_removed = 0
        for session_id in await self._store.idle_sessions(before):
            async with self._opening:  # nobody opens it meanwhile, or did since the store was asked
                session = self._sessions.get(session_id)
                used_at = self._used_at.get(session_id, -math.inf)
                if used_at >= before or (session is not None and not session.ledger.is_idle):
                    continue
                if session_id not in await self._store.idle_sessions(before, session_id):
                    continue
                self._forget(session_id)
                self._going.add(session_id)
            try:
                await self._store.remove_session(session_id)
            finally:
                self._going.discard(session_id)
            num_removed += 1
        self._metrics.sessions.set(len(self._sessions))
        return num_removed

    def admit(self, session_id: str, num_reports: int, first: Identity | None) -> None:
        """Refuse a frame that finds no room now, were all its reports new, before anything is made of its bytes.

        Args:
            session_id: Of the frame.
            num_reports: Its.
            first: Its first report: of one that is known already, which is a repetition, no room may be needed.

        Raises:
            OverloadedError: If the queue is full of others' reports and its own.
            UnavailableError: If the service is shutting down.
        """
        if self.draining:
            raise UnavailableError("The base station is shutting down.")
        session = self._sessions.get(session_id)
        if session is None or first is None or num_reports > self._settings.max_reports_per_frame:
            return
        if not (session.ledger.is_stored(first) or session.ledger.on_its_way(first)):
            self._lanes.of(session.link.code.label).admit(session_id, num_reports)

    async def report(self, frame: Frame, timeout_s: float | None = None) -> FrameAck:
        """Decode, score and store the reports of a frame; return when they are in the store.

        Args:
            frame: The reports.
            timeout_s: Time that the caller waits, or None.

        Raises:
            CsiError: If the frame is not accepted; then none of its new reports is stored.
        """
        loop = asyncio.get_running_loop()
        arrival_s, received_at = loop.time(), self._clock()
        if self.draining:
            raise UnavailableError("The base station is shutting down.")
        with self._counting_cancelled(frame.num_reports):
            session = await self._open_session(frame.session_id)
            num_values = require_fit(frame, session, self._settings.max_reports_per_frame)
            identities = list(zip(frame.ue_id.tolist(), frame.sequence.tolist(), strict=True))
            known = await self._stored(session.ledger, identities)
            groups = known.reshape(-1, session.scoring.downlink_num_ue)
            if (groups != groups[:, :1]).any():
                raise InvalidArgumentError("A group of `downlink_num_ue` reports must be new as a whole; one is not.")
            new_rows = np.flatnonzero(~known)
            deadline_s = arrival_s + min(timeout_s or np.inf, frame.deadline_ms / 1000 or np.inf)
            parts = cut(frame, session, new_rows, num_values, self._settings.max_batch, arrival_s, deadline_s)
            new = [identities[row] for row in new_rows]
            self._lanes.append([part.entry for part in parts])
            session.ledger.claim(new)
            try:
                decoded = await asyncio.gather(*(part.entry.result for part in parts))
                found = await self._store.find(frame.session_id, [identities[row] for row in np.flatnonzero(known)])
            except BaseException:
                for part in parts:
                    part.entry.result.cancel()
                session.ledger.release(new)
                raise
        rows = report_rows(frame, session, num_values, parts, decoded, received_at)
        kept = kept_rows(frame, parts, decoded, self._settings.keep_every)
        # Once decoded, a report is stored whatever becomes of its caller, and the ledger follows the store.
        committing = asyncio.ensure_future(self._commit(session, new, rows, kept, int(known.sum())))
        try:
            await asyncio.shield(committing)
        except asyncio.CancelledError:
            committing.add_done_callback(partial(self._count_unheard, num_reports=frame.num_reports))
            raise
        total_ms = 1000 * (loop.time() - arrival_s)
        return acknowledge(frame, identities, known, rows + found, total_ms)

    async def _open_session(self, session_id: str) -> Session:
        """Return an open session: one in memory, or one that the store holds open from before a restart.

        Raises:
            NotFoundError: If there is none.
            ModelMismatchError: If the refiner that it was opened with is not held any more.
        """
        if session_id in self._sessions:
            self._sessions.move_to_end(session_id)
            self._used_at[session_id] = self._clock()
            return self._sessions[session_id]
        async with self._opening:
            session = await self._load_session(session_id)
            row = await self._store.session(session_id) if session else None
            if session is None or row is None or row.closed_at is not None:
                raise NotFoundError(f"`session_id` must be an open session; got {session_id[:64]!r}.")
            refiner = choose_refiner(session.refinement, self.refiners, session.card.name, session.card.sha256)
            require_its_refiner(session, refiner)
            require_last_good_fits(session.fallback, self._settings.replicas)
            self._add(session)
            return session

    async def _load_session(self, session_id: str) -> Session | None:
        """Return a session in memory, or one of the store, open or closed, without taking it into memory.

        Raises:
            UnavailableError: If it is being removed.
        """
        if session_id in self._going:
            raise UnavailableError("The session is old and being removed; open it again in a moment.")
        if session_id in self._sessions:
            return self._sessions[session_id]
        row = await self._store.session(session_id) if is_uuid(session_id) else None
        card = self._models.get(row.model_sha256) if row else None
        if row is None or card is None:
            return None
        await _prepare(row.scoring)
        ledger = Ledger(await self._store.runs(session_id))
        dataset = self._datasets.get(row.dataset_sha256)
        return Session(
            session_id,
            card,
            make_link(row.link),
            dataset,
            ledger,
            row.estimator,
            row.cnr_db,
            row.scoring,
            row.fallback,
            parse_refinement(row.refinement),
            row.run,
            row.refiner_sha256,
        )

    def _add(self, session: Session) -> None:
        self._sessions[session.session_id] = session
        self._used_at[session.session_id] = self._clock()
        if len(self._sessions) > MAX_SESSIONS_IN_MEMORY:
            idle = next((key for key, quiet in self._sessions.items() if quiet.ledger.is_idle), None)
            if idle is not None:
                self._forget(idle)
        self._metrics.sessions.set(len(self._sessions))

    def _forget(self, session_id: str) -> None:
        self._sessions.pop(session_id, None)
        self._used_at.pop(session_id, None)

    @contextlib.contextmanager
    def _counting_cancelled(self, num_reports: int) -> Iterator[None]:
        """Count the reports of a frame whose caller left."""
        try:
            yield
        except asyncio.CancelledError:
            self._metrics.refused.labels("cancelled").inc(num_reports)
            raise

    def _count_unheard(self, committing: "asyncio.Future[None]", num_reports: int) -> None:
        """Count the reports of a frame whose caller left before they turned out not to be stored."""
        if committing.cancelled() or committing.exception() is not None:
            self._metrics.refused.labels("cancelled").inc(num_reports)

    @staticmethod
    async def _stored(ledger: Ledger, identities: list[Identity]) -> NDArray[np.bool_]:
        """Return which reports are stored, after waiting for those that are on their way."""
        while on_their_way := [future for key in identities if (future := ledger.on_its_way(key))]:
            await asyncio.wait(on_their_way)
        return np.array([ledger.is_stored(key) for key in identities], dtype=np.bool_)

    async def _commit(
        self,
        session: Session,
        identities: list[Identity],
        reports: Sequence[ReportRow],
        reconstructions: Sequence[ReconstructionRow],
        num_known: int,
    ) -> None:
        try:
            if reports:
                await self._writer.write(reports, reconstructions)
        except BaseException as error:
            session.ledger.release(identities)
            if isinstance(error, NotFoundError):  # another base station on the database removed the session
                self._forget(session.session_id)
            raise
        session.ledger.settle(identities)
        name = session.card.name
        self._metrics.reports.labels(name).inc(len(reports))
        self._metrics.duplicates.labels(name).inc(num_known)
        wrong = [report.coded_bits > 0 and (bool(report.bit_errors) or report.erased) for report in reports]
        self._metrics.block_errors.labels(name).inc(sum(wrong))
        self._metrics.fallbacks.labels(name).inc(sum(report.fallback for report in reports))
        self._metrics.refined.labels(name).inc(sum(report.num_steps > 0 for report in reports))


async def _prepare(scoring: Scoring) -> None:
    """Load what a session needs to be scored, which takes seconds the first time, before the device waits for it."""
    if scoring.downlink_mcs is not None:
        await asyncio.to_thread(load_abstraction)


def _parameters(session: Session) -> tuple[object, ...]:
    """Return what a session may not change when it goes on."""
    fixed = (session.card.sha256, session.link.label, session.dataset, session.estimator, session.cnr_db)
    return (*fixed, session.scoring, session.fallback, session.refinement, session.run)
