"""Group commits: whatever is waiting goes into the store in one transaction.

write(rows) ... write(rows) ... write(rows)  -->  one commit  -->  all three return

Where nothing has come for `IDLE_S`, reports are added to the sums that summaries read: who asks for one after a load
test finds them there. Nothing waits for that longer than a chunk takes.
"""

import asyncio
import logging
from collections.abc import Sequence

from bs_server.store.base import ReconstructionRow, ReportRow, Store
from shared.errors import CsiError, NotFoundError, StoreError

IDLE_S = 1.0
log = logging.getLogger(__name__)
_Waiting = tuple[Sequence[ReportRow], Sequence[ReconstructionRow], "asyncio.Future[None]"]


class GroupWriter:
    """The one task that appends reports to a store.

    Attributes:
        num_commits: Groups committed.
        failing: Whether the last group was not; the log says why.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: list[_Waiting] = []
        self._arrived = asyncio.Event()
        self._committed = asyncio.Event()
        self.num_commits = 0
        self.failing = False

    async def write(self, reports: Sequence[ReportRow], reconstructions: Sequence[ReconstructionRow]) -> None:
        """Return when the rows are committed.

        Raises:
            StoreError: If the store did not take the group; then none of the rows is in the store.
            NotFoundError: If their session is not there any more; likewise.
        """
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((reports, reconstructions, done))
        self._arrived.set()
        await done

    async def wait_for_commit(self, after: int) -> None:
        """Return when more than ``after`` groups were committed."""
        while self.num_commits <= after:
            await self._committed.wait()

    async def run(self) -> None:
        """Commit group after group until cancelled."""
        any_to_sum_up = True
        while True:
            try:
                async with asyncio.timeout(IDLE_S if any_to_sum_up else None):
                    await self._arrived.wait()
            except TimeoutError:
                any_to_sum_up = await self._sum_up()
                continue
            any_to_sum_up = True
            self._arrived.clear()
            group, self._waiting = self._waiting, []
            if not group:
                continue
            for (_, _, done), error in zip(group, await self._append(group), strict=True):
                if done.done():
                    continue
                if error is None:
                    done.set_result(None)
                else:
                    done.set_exception(error)

    async def _append(self, group: Sequence[_Waiting]) -> list[CsiError | None]:
        """Commit a group; return what each was refused for.

        Where a session of theirs is gone, one is committed after the other: nothing is wrong with the others.
        """
        reports = [row for rows, _, _ in group for row in rows]
        reconstructions = [row for _, rows, _ in group for row in rows]
        try:
            await self._store.append(reports, reconstructions)
        except NotFoundError as gone:
            if len(group) == 1:
                return [gone]
            return [refused for one in group for refused in await self._append([one])]
        except Exception as failure:  # a full disk, a lost connection: the next group may succeed
            log.exception("storing failed", extra={"num_reports": len(reports)})
            self.failing = True
            error = StoreError("The reports were decoded, and the store did not take them; the log says why.")
            error.__cause__ = failure
            return [error] * len(group)
        self.failing = False
        self.num_commits += 1
        committed, self._committed = self._committed, asyncio.Event()
        committed.set()
        return [None] * len(group)

    async def _sum_up(self) -> bool:
        """Add reports to the sums until others arrive; return whether there are more."""
        try:
            while more := await self._store.sum_up():
                if self._arrived.is_set():
                    break
        except Exception:  # as in `run`; who asks for a summary is told
            log.exception("reports not summed up")
            return False
        return more
