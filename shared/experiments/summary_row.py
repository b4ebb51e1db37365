"""One row of `GET /v1/metrics/summary.csv`, made from the reports of a point instead of from a store.

Names and definitions are those of the base station's (`docs/rest.md`); `tests/integration/test_sweep.py` holds the two
against each other, column by column. What only a service has, queue and batch, is left out.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.evaluation import DownlinkScores, Scores
from shared.links import combined_snr_db
from shared.metrics import mean_interval, ratio_interval, to_db, wilson_interval
from shared.receive import Reception

Cell = str | int | float | None


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
        of_symbols: Whether it is of symbols, and has no bits.
        coded_bits: Bits of a report on the air, or its symbols.
        channel_uses: Symbols of a report on the air.
        downlink_snr_db: SNRs at which the downlink is scored.
    """

    codec: str
    rate: int
    snr_db: float
    link: str
    estimator: str
    cnr_db: float | None
    of_symbols: bool
    coded_bits: int
    channel_uses: int
    downlink_snr_db: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Reports:
    """The scores of a point, one entry a report.

    Attributes:
        nmse: [num_reports] float64, linear.
        sgcs: [num_reports] float64.
        rho: [num_reports] float64; None outside the angular-delay domain.
        bit_errors: [num_reports] int64, wrong information bits; they mean nothing in a report that was erased.
        erased: [num_reports] bool, True where nothing arrived.
        crc_ok: [num_reports] bool, False where nothing arrived; None where the link has no CRC.
        fallback: [num_reports] bool, True where the reconstruction is the codec's mean channel, or is held.
        held: [num_reports] bool, True where it is the UE's last good CSI.
        downlink: [num_reports, num_snr] each; None unless asked for.
    """

    nmse: NDArray[np.float64]
    sgcs: NDArray[np.float64]
    rho: NDArray[np.float64] | None
    bit_errors: NDArray[np.int64]
    erased: NDArray[np.bool_]
    crc_ok: NDArray[np.bool_] | None
    fallback: NDArray[np.bool_]
    held: NDArray[np.bool_]
    downlink: DownlinkScores | None


def join_reports(chunks: Sequence[tuple[Scores, Reception]]) -> Reports:
    """Put the chunks of a point together, in their order."""
    scores, receptions = zip(*chunks, strict=True)
    downlink = [part.downlink for part in scores if part.downlink is not None]
    return Reports(
        nmse=np.concatenate([part.nmse for part in scores]),
        sgcs=np.concatenate([part.sgcs for part in scores]),
        rho=None if scores[0].rho is None else np.concatenate([part.rho for part in scores]),
        bit_errors=np.concatenate([part.bit_errors for part in scores]),
        erased=np.concatenate([part.erased for part in receptions]),
        crc_ok=None if receptions[0].crc_ok is None else np.concatenate([part.crc_ok for part in receptions]),
        fallback=np.concatenate([part.fallback for part in receptions]),
        held=np.concatenate([part.held for part in receptions]),
        downlink=DownlinkScores(
            np.concatenate([part.bler for part in downlink]),
            np.concatenate([part.spectral_efficiency for part in downlink]),
            np.concatenate([part.bler_perfect for part in downlink]),
            np.concatenate([part.spectral_efficiency_perfect for part in downlink]),
        )
        if downlink
        else None,
    )


def summary_row(key: PointKey, reports: Reports) -> dict[str, Cell]:
    """Return column -> value; None is an empty cell.

    Args:
        key: What the reports have in common.
        reports: At least one.
    """
    n, arrived = len(reports.nmse), ~reports.erased
    errors = reports.bit_errors[arrived & (not key.of_symbols)]
    num_blocks, info_bits = (0, 0) if key.of_symbols else (n, key.rate)
    checked = np.zeros(0, dtype=np.bool_) if reports.crc_ok is None else reports.crc_ok[arrived]
    mean = float(reports.nmse.sum()) / n
    interval = mean_interval(mean, float(np.square(reports.nmse).sum()), n)
    sgcs = [cell for _, cell in _mean("sgcs", reports.sgcs)]
    return {
        "codec": key.codec,
        "rate": key.rate,
        "snr_db": key.snr_db,
        "link": key.link,
        "estimator": key.estimator,
        "cnr_db": key.cnr_db,
        "num_reports": n,
        "num_scored": n,
        "nmse_mean": mean,
        "nmse_mean_db": to_db(mean),
        "nmse_ci95_low_db": to_db(interval.low) if interval else None,
        "nmse_ci95_high_db": to_db(interval.high) if interval else None,
        "nmse_median_db": to_db(float(np.median(reports.nmse))),
        **dict(zip(("sgcs", "sgcs_ci95_low", "sgcs_ci95_high"), sgcs, strict=True)),
        **dict(_mean("rho", reports.rho)),
        **dict(_ber(errors, key.rate)),
        **dict(_share("bler", int((errors > 0).sum() + reports.erased.sum()), num_blocks)),
        **dict(_share("crc_fail_rate", int((~checked).sum()), len(checked))),
        **dict(
            _share("undetected_error_rate", int((checked & (errors > 0)).sum()) if len(checked) else 0, len(checked))
        ),
        **dict(_share("erasure_rate", int(reports.erased.sum()), n)),
        "info_bits_per_report": float(info_bits),
        "coded_bits_per_report": 0.0 if key.of_symbols else float(key.coded_bits),
        "channel_uses_per_report": float(key.channel_uses),
        "ebno_db": key.snr_db + 10 * math.log10(key.channel_uses / info_bits) if info_bits else None,
        "combined_snr_db": combined_snr_db(key.link, key.snr_db),
        "fallbacks": int(reports.fallback.sum()),
        "held": int(reports.held.sum()),
        **dict(_downlink(key.downlink_snr_db, reports.downlink)),
    }


def _mean(name: str, values: NDArray[np.float64] | None, highest: float = 1.0) -> Iterator[tuple[str, Cell]]:
    """Yield mean and 95 % Student-t interval; nothing known is three empty cells."""
    mean = None if values is None else float(values.sum()) / len(values)
    interval = None
    if values is not None and mean is not None:
        interval = mean_interval(mean, float(np.square(values).sum()), len(values), highest=highest)
    yield f"{name}_value", mean
    yield f"{name}_ci95_low", interval.low if interval else None
    yield f"{name}_ci95_high", interval.high if interval else None


def _share(name: str, num_events: int, count: int) -> Iterator[tuple[str, Cell]]:
    """Yield a share of reports and its 95 % Wilson interval."""
    interval = wilson_interval(num_events, count)
    yield f"{name}_value", num_events / count if interval else None
    yield f"{name}_ci95_low", interval.low if interval else None
    yield f"{name}_ci95_high", interval.high if interval else None


def _ber(errors: NDArray[np.int64], rate: int) -> Iterator[tuple[str, Cell]]:
    """Yield the bit error rate over the reports that arrived, and its 95 % interval."""
    total, count = int(errors.sum()), len(errors)
    squares = int(np.square(errors).sum()), total * rate, count * rate * rate
    interval = ratio_interval(total, count * rate, *squares, count) if count else None
    yield "ber", total / (count * rate) if count else None
    yield "ber_ci95_low", interval.low if interval else None
    yield "ber_ci95_high", interval.high if interval else None


def _downlink(snr_db: tuple[float, ...], scores: DownlinkScores | None) -> Iterator[tuple[str, Cell]]:
    """Yield what the reconstructions are worth at each downlink SNR."""
    if scores is None:
        return
    for i, snr in enumerate(snr_db):
        name, n = f"downlink_{snr:g}db", len(scores.bler)
        efficiency = dict(_mean(f"{name}_spectral_efficiency", scores.spectral_efficiency[:, i], math.inf))
        perfect = float(scores.spectral_efficiency_perfect[:, i].sum()) / n
        yield f"{name}_num_reports", n
        yield from _mean(f"{name}_bler", scores.bler[:, i])
        yield from efficiency.items()
        yield f"{name}_bler_perfect", float(scores.bler_perfect[:, i].sum()) / n
        yield f"{name}_spectral_efficiency_perfect", perfect
        mean = float(scores.spectral_efficiency[:, i].sum()) / n
        yield f"{name}_spectral_efficiency_loss", perfect - mean
