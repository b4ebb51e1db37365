"""One row of `GET /v1/metrics/summary.csv`, summed over the reports of a point instead of in a store.

`shared.summary` makes the figures of both; `tests/integration/test_sweep.py` holds the sums against each other, column
by column. What only a service has, queue and batch, is left out.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.evaluation import Scores, join_scores
from shared.links import Link, values_on_the_air
from shared.receive import Reception
from shared.scoring import Scoring
from shared.summary import DEFAULT_GROUP_BY, Cell, DownlinkTotals, Group, GroupTotals, SubbandTotals, group_table
from shared.summary.median import count_bins, median_of

OF_A_SERVICE = ("mean_queue_ms", "mean_decode_ms", "mean_batch_size")  # columns


@dataclass(frozen=True, slots=True)
class PointKey:
    """What the reports of a point have in common.

    Attributes:
        codec: Name of the model.
        rate: Information bits of a report, or its symbols.
        snr_db: Es/N0 of the feedback link.
        link: Label of the link.
        estimator: Name of the UE's channel estimator.
        cnr_db: SNR of its pilots; None for a perfect estimate.
        refinement: Canonical label of how reports are refined.
        of_symbols: Whether it is of symbols, and has no bits.
        scoring: What was scored besides what always is.
    """

    codec: str
    rate: int
    snr_db: float
    link: str
    estimator: str
    cnr_db: float | None
    refinement: str
    of_symbols: bool
    scoring: Scoring


@dataclass(frozen=True, slots=True)
class Reports:
    """The scores of a point, one entry a report.

    Attributes:
        scores: NMSE, SGCS and all the others.
        num_bits: [num_reports] int64, information bits; 0 of symbols.
        num_values: [num_reports] int64, coded bits on the air, or symbols.
        channel_uses: [num_reports] int64, symbols on the air.
        erased: [num_reports] bool, True where nothing arrived.
        checked: [num_reports] bool, True where a report arrived with a CRC.
        crc_ok: [num_reports] bool, False where a CRC does not hold, or nothing arrived.
        fallback: [num_reports] bool, True where the reconstruction is the codec's mean channel, or is held.
        held: [num_reports] bool, True where it is the UE's last good CSI.
        num_steps: [num_reports] int64, steps of the refiner; 0 where it is not refined.
    """

    scores: Scores
    num_bits: NDArray[np.int64]
    num_values: NDArray[np.int64]
    channel_uses: NDArray[np.int64]
    erased: NDArray[np.bool_]
    checked: NDArray[np.bool_]
    crc_ok: NDArray[np.bool_]
    fallback: NDArray[np.bool_]
    held: NDArray[np.bool_]
    num_steps: NDArray[np.int64]


def join_reports(chunks: Sequence[tuple[Scores, Reception]], link: Link, rate: int) -> Reports:
    """Put the chunks of a point together, in their order.

    Args:
        chunks: Scores and what was received.
        link: Over which they were sent.
        rate: Information bits of a report, or its symbols.
    """
    receptions = [reception for _, reception in chunks]
    num_bits = np.concatenate([part.payload.length for part in receptions])
    num_values = values_on_the_air(link, np.full_like(num_bits, rate), num_bits)
    return Reports(
        scores=join_scores([scores for scores, _ in chunks]),
        num_bits=num_bits,
        num_values=num_values,
        channel_uses=np.array([link.num_channel_uses(number) for number in num_values.tolist()]),
        erased=np.concatenate([part.erased for part in receptions]),
        checked=np.concatenate([part.checked for part in receptions]),
        crc_ok=np.concatenate([part.crc_ok for part in receptions]),
        fallback=np.concatenate([part.fallback for part in receptions]),
        held=np.concatenate([part.held for part in receptions]),
        num_steps=np.concatenate([part.num_steps for part in receptions]),
    )


def summary_row(key: PointKey, reports: Reports) -> dict[str, Cell]:
    """Return column -> value; None is an empty cell.

    Args:
        key: What the reports have in common.
        reports: At least one.
    """
    columns, (row,) = group_table([Group.of(totals_of(key, reports), DEFAULT_GROUP_BY)], DEFAULT_GROUP_BY)
    return {name: cell for name, cell in zip(columns, row, strict=True) if name not in OF_A_SERVICE}


def totals_of(key: PointKey, reports: Reports) -> GroupTotals:
    """Return the sums that a store makes of the same reports; there is no queue and no batch: 0.

    Args:
        key: What the reports have in common.
        reports: At least one.
    """
    scores, n = reports.scores, len(reports.erased)
    of_bits = not key.of_symbols
    decided = ~reports.erased & of_bits
    errors, bits = scores.bit_errors[decided], reports.num_bits[decided]
    num_checked = int(reports.checked.sum())
    full = scores.nmse_full[~np.isnan(scores.nmse_full)]
    nmse = scores.nmse[~np.isnan(scores.nmse)]
    rho = np.zeros(0) if scores.rho is None else scores.rho
    return GroupTotals(
        key=(key.codec, key.rate, key.snr_db, key.link, key.estimator, key.cnr_db, key.refinement),
        num_reports=n,
        num_scored=n,
        num_nmse=len(nmse),
        sum_nmse=_sum(nmse),
        sum_nmse_squared=_sum_squared(nmse),
        median_nmse=median_of(count_bins(nmse)),
        num_nmse_full=len(full),
        sum_nmse_full=_sum(full),
        sum_nmse_full_squared=_sum_squared(full),
        sum_sgcs=_sum(scores.sgcs),
        sum_sgcs_squared=_sum_squared(scores.sgcs),
        num_rho=len(rho),
        sum_rho=_sum(rho),
        sum_rho_squared=_sum_squared(rho),
        num_decided=len(errors),
        bit_errors=int(errors.sum()),
        decided_bits=int(bits.sum()),
        sum_errors_squared=int(np.square(errors).sum()),
        sum_errors_times_bits=int((errors * bits).sum()),
        sum_bits_squared=int(np.square(bits).sum()),
        block_errors=int((errors > 0).sum() + reports.erased.sum()) * of_bits,
        erasures=int(reports.erased.sum()),
        num_checked=num_checked,
        crc_failures=int((reports.checked & ~reports.crc_ok).sum()),
        num_verified=num_checked,
        undetected_errors=int((reports.checked & reports.crc_ok & (scores.bit_errors > 0)).sum()),
        info_bits=int(reports.num_bits.sum()),
        coded_bits=int(reports.num_values.sum()) * of_bits,
        channel_uses=int(reports.channel_uses.sum()),
        fallbacks=int(reports.fallback.sum()),
        held=int(reports.held.sum()),
        num_refined=int((reports.num_steps > 0).sum()),
        sum_num_steps=int(reports.num_steps.sum()),
        mean_queue_ms=0.0,
        mean_decode_ms=0.0,
        mean_batch_size=0.0,
        downlink=tuple(_downlink(key.scoring, scores)),
        subbands=tuple(_subbands(scores)),
        num_symbol_reports=n * key.of_symbols,
        num_symbol_scored=n * key.of_symbols,
    )


def _downlink(scoring: Scoring, scores: Scores) -> Iterator[DownlinkTotals]:
    if scores.downlink is None:
        return
    for i, snr_db in enumerate(scoring.downlink_snr_db):
        of_snr = scores.downlink.map(lambda column, i=i: column[:, i])  # type: ignore[misc]
        none = torch.zeros(0)
        coded = none if of_snr.bler_coded is None else of_snr.bler_coded
        coded_perfect = none if of_snr.bler_coded_perfect is None else of_snr.bler_coded_perfect
        yield DownlinkTotals(
            snr_db=snr_db,
            num_ue=scoring.downlink_num_ue,
            mcs=scoring.downlink_mcs,
            count=len(scores.nmse),
            sum_bler=_sum(of_snr.bler),
            sum_bler_squared=_sum_squared(of_snr.bler),
            sum_spectral_efficiency=_sum(of_snr.spectral_efficiency),
            sum_spectral_efficiency_squared=_sum_squared(of_snr.spectral_efficiency),
            sum_bler_perfect=_sum(of_snr.bler_perfect),
            sum_spectral_efficiency_perfect=_sum(of_snr.spectral_efficiency_perfect),
            sum_bler_coded=_sum(coded),
            sum_bler_coded_squared=_sum_squared(coded),
            sum_bler_coded_perfect=_sum(coded_perfect),
        )


def _subbands(scores: Scores) -> Iterator[SubbandTotals]:
    if scores.sgcs_subbands is None:
        return
    _, num_layers, num_subbands = scores.sgcs_subbands.shape
    for layer in range(num_layers):
        for subband in range(num_subbands):
            values = scores.sgcs_subbands[:, layer, subband]
            sums = (len(values), _sum(values), _sum_squared(values))
            yield SubbandTotals(num_subbands, layer + 1, subband, *sums)


def _sum(values: NDArray[Any] | Tensor) -> float:
    return float(values.sum())


def _sum_squared(values: NDArray[Any] | Tensor) -> float:
    return float((values * values).sum())
