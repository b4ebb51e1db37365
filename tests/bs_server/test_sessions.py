import asyncio
import tracemalloc
from typing import Literal

from hypothesis import given
from hypothesis import strategies as st

from bs_server.sessions import Identity, Ledger

MAX_SEQUENCE = 2**63 - 1

identities = st.tuples(st.integers(0, 2), st.integers(0, 7) | st.just(MAX_SEQUENCE))
changes = st.lists(
    st.tuples(st.sampled_from(["claim", "settle", "release"]), st.lists(identities, max_size=4, unique=True))
)


def runs_of(stored: list[Identity]) -> list[tuple[int, int, int]]:
    """Return runs as the store has them."""
    runs: list[tuple[int, int, int]] = []
    for ue_id, sequence in sorted(stored):
        if runs and runs[-1][0] == ue_id and runs[-1][2] == sequence - 1:
            runs[-1] = (ue_id, runs[-1][1], sequence)
        else:
            runs.append((ue_id, sequence, sequence))
    return runs


@given(stored=st.lists(identities, unique=True), changes=changes)
async def test_a_ledger_knows_what_a_plain_set_knows(
    stored: list[Identity], changes: list[tuple[Literal["claim", "settle", "release"], list[Identity]]]
) -> None:
    ledger, settled, claimed = Ledger(runs_of(stored)), set(stored), set[Identity]()
    everything = [(ue_id, sequence) for ue_id in range(3) for sequence in (*range(8), MAX_SEQUENCE)]
    for change, named in changes:
        chosen = [identity for identity in named if change != "claim" or identity not in settled | claimed]
        before = {identity: ledger.on_its_way(identity) for identity in claimed}
        if change == "claim":
            ledger.claim(chosen)
            claimed |= set(chosen)
        elif change == "settle":
            ledger.settle(chosen)
            settled |= set(chosen)
            claimed -= set(chosen)
        else:
            ledger.release(chosen)
            claimed -= set(chosen)
        assert {identity for identity in everything if ledger.is_stored(identity)} == settled
        assert {identity for identity in everything if ledger.on_its_way(identity)} == claimed
        assert {identity for identity, future in before.items() if future and not future.done()} == claimed & set(
            before
        )


async def test_who_waits_for_a_report_on_its_way_is_woken_by_settle_and_by_release() -> None:
    ledger = Ledger()
    ledger.claim([(0, 0), (0, 1)])
    settled, released = ledger.on_its_way((0, 0)), ledger.on_its_way((0, 1))
    assert settled is not None
    assert released is not None
    ledger.settle([(0, 0)])
    ledger.release([(0, 1)])
    async with asyncio.timeout(5):
        await asyncio.gather(settled, released)
    assert (ledger.is_stored((0, 0)), ledger.is_stored((0, 1))) == (True, False)


def test_memory_does_not_grow_with_reports_that_arrive_nearly_in_order() -> None:
    ledger = Ledger()
    tracemalloc.start()
    try:
        for start in range(0, 40_000, 8):
            ledger.settle([(ue_id, start + i) for i in reversed(range(8)) for ue_id in (0, 1)])
        grown, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert ledger.is_stored((1, 39_999))
    assert grown < 10_000
