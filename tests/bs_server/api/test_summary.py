"""The figures of a group against scipy, over reports with a CRC: no link of this file needs to have one."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap

from bs_server.api.feed import summarise
from bs_server.config import Settings
from bs_server.store import ReportFilter, ReportRow, SessionRow
from bs_server.store.sql import SqlStore
from shared.summary import Group, GroupColumn, Proportion
from shared.types import CsiShape

SESSION = SessionRow("s", "klt", "a" * 64, CsiShape("angular-delay", 1, 2, 3), "digital:hard", "", 1.0)
PLAIN = ReportRow("s", 0, 0, 0.0, 100, 100, -3.0, 0.5, 0.5, 0, False, 0.0, 0.0, 1, coded_bits=240, channel_uses=60)
Kinds = dict[str, tuple[int, ReportRow]]

KINDS: Kinds = {
    "right": (40, PLAIN._replace(crc_ok=True)),
    "caught": (20, PLAIN._replace(crc_ok=False, bit_errors=3, fallback=True)),
    "crc bits wrong": (5, PLAIN._replace(crc_ok=False, bit_errors=0, fallback=True)),
    "not caught": (4, PLAIN._replace(crc_ok=True, bit_errors=2)),
    "erased": (11, PLAIN._replace(crc_ok=None, bit_errors=None, erased=True, fallback=True)),
}


def without_truth(row: ReportRow) -> ReportRow:
    return row._replace(nmse=None, sgcs=None, bit_errors=None)


async def group_of(settings: Settings, kinds: Kinds, group_by: list[GroupColumn]) -> Group:
    """Store so many reports of each kind and return the only group of the summary."""
    store = SqlStore(settings.database_url, keep_reconstructions=1)
    await store.open()
    await store.add_session(SESSION)
    rows = [row for count, row in kinds.values() for _ in range(count)]
    await store.append([row._replace(sequence=sequence) for sequence, row in enumerate(rows)], [])
    summary = await summarise(store, ReportFilter(), group_by)
    await store.close()
    (group,) = summary.groups
    return group


def is_share(found: Proportion | None, num_events: int, count: int) -> bool:
    wilson = binomtest(num_events, count).proportion_ci(0.95, method="wilson")
    wanted = (num_events / count, wilson.low, wilson.high)
    return found is not None and (found.value, found.ci95_low, found.ci95_high) == pytest.approx(wanted, abs=1e-12)


async def test_shares_are_of_the_reports_in_which_the_event_could_happen(local: Settings) -> None:
    group = await group_of(local, KINDS, [])
    assert is_share(group.bler, 20 + 4 + 11, 80)
    assert is_share(group.erasure_rate, 11, 80)
    assert is_share(group.crc_fail_rate, 20 + 5, 69)
    assert is_share(group.undetected_error_rate, 4, 69)
    assert group.ber == (20 * 3 + 4 * 2) / (69 * 100)
    assert group.fallbacks == 36


async def test_what_was_refined_is_a_share_of_all_reports(local: Settings) -> None:
    kinds = {"not": (30, PLAIN), "in two steps": (5, PLAIN._replace(num_steps=2)), "lost": KINDS["erased"]}
    group = await group_of(local, kinds | {"in three": (4, PLAIN._replace(num_steps=3))}, ["refinement"])
    assert is_share(group.refined_rate, 9, 50)
    assert group.mean_num_steps == pytest.approx((5 * 2 + 4 * 3) / 50)
    assert group.refinement == "never"


async def test_an_error_goes_undetected_only_where_truth_could_tell(local: Settings) -> None:
    kinds = KINDS | {f"{name} unscored": (count, without_truth(row)) for name, (count, row) in KINDS.items()}
    group = await group_of(local, kinds, [])
    assert (group.num_reports, group.num_scored) == (160, 80)
    assert is_share(group.crc_fail_rate, 50, 138)
    assert is_share(group.undetected_error_rate, 4, 69)
    assert is_share(group.erasure_rate, 22, 160)
    assert is_share(group.bler, 35, 80)


async def test_what_needs_truth_is_null_without_it_and_the_rest_is_there(local: Settings) -> None:
    group = await group_of(local, {name: (n, without_truth(row)) for name, (n, row) in KINDS.items()}, ["snr_db"])
    unknown = (group.nmse, group.sgcs, group.rho, group.ber, group.ber_ci95_low, group.bler, group.sgcs_ci95_low)
    assert unknown == (None,) * len(unknown)
    assert group.undetected_error_rate is None
    assert is_share(group.crc_fail_rate, 25, 69)
    assert is_share(group.erasure_rate, 11, 80)
    assert (group.coded_bits_per_report, group.channel_uses_per_report) == (240, 60)
    assert group.downlink == []


@pytest.mark.parametrize("name", ["right", "erased"])
async def test_one_report_has_figures_and_no_interval(local: Settings, name: str) -> None:
    group = await group_of(local, {name: (1, KINDS[name][1]._replace(rho=0.25))}, [])
    assert group.nmse is not None
    assert group.rho is not None
    assert (group.sgcs, group.rho.value) == (0.5, 0.25)
    intervals = (group.nmse.ci95_low_db, group.sgcs_ci95_low, group.rho.ci95_low, group.ber_ci95_low)
    assert intervals == (None,) * len(intervals)
    assert group.ber == (0.0 if name == "right" else None)


async def test_energy_per_bit_is_what_a_symbol_has_over_the_information_bits_it_carries(local: Settings) -> None:
    """60 QPSK symbols at -3 dB for 100 bits of information: Eb/N0 = Es/N0 * 60 / 100."""
    group = await group_of(local, KINDS, ["snr_db"])
    assert group.ebno_db == pytest.approx(10 * np.log10(10**-0.3 * 0.6))
    assert (group.info_bits_per_report, group.snr_db) == (100, -3.0)


async def test_energy_per_bit_of_several_snrs_is_not_told(local: Settings) -> None:
    two = {"one": (3, PLAIN), "other": (3, PLAIN._replace(snr_db=5.0))}
    assert (await group_of(local, two, [])).ebno_db is None


@pytest.mark.parametrize("draw", ["alike", "in bursts"])
async def test_the_interval_of_the_bit_error_rate_knows_that_errors_come_together(local: Settings, draw: str) -> None:
    """Against the bootstrap over reports; bits taken as independent would be far too sure in bursts."""
    rng = np.random.default_rng(3)
    rates = rng.choice([60, 100, 200], 400)
    p = np.full(400, 0.1) if draw == "alike" else rng.choice([0.0, 0.5], 400, p=[0.8, 0.2])
    errors = rng.binomial(rates, p)
    kinds = {
        str(i): (1, PLAIN._replace(num_bits=int(rate), bit_errors=int(wrong)))
        for i, (rate, wrong) in enumerate(zip(rates, errors, strict=True))
    }
    group = await group_of(local, kinds, [])
    ratio: Callable[..., np.ndarray] = lambda wrong, bits, axis: wrong.sum(axis=axis) / bits.sum(axis=axis)  # noqa: E731
    wanted = bootstrap((errors, rates), ratio, paired=True, n_resamples=4000, method="basic", rng=rng)
    assert group.ber is not None
    assert group.ber == errors.sum() / rates.sum()
    assert group.ber_ci95_low is not None
    assert group.ber_ci95_high is not None
    width = wanted.confidence_interval.high - wanted.confidence_interval.low
    assert group.ber_ci95_high - group.ber_ci95_low == pytest.approx(width, rel=0.1)
    binomial = 2 * 1.96 * np.sqrt(group.ber * (1 - group.ber) / rates.sum())
    assert (group.ber_ci95_high - group.ber_ci95_low > 3 * binomial) == (draw == "in bursts")
