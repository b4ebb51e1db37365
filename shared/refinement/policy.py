"""The policy of a refinement: which reports are worth refining, and in how many steps.

    never    none
    always   all, in N steps
    snr      those with SNR >= X, in N steps; where a refiner gains most at low SNR, as behind `klt`, take `gain`
    gain     by the refiner's card, whose table was measured over SNR for some numbers of steps:

             gain(snr, n) = NMSE before - NMSE after, dB        linear between the measured SNRs, the nearest beyond
             ms(snr, n)   = milliseconds a report               likewise
             n*(snr)      = argmax of gain over the n with gain > 0 and gain / ms > G; 0 where there is none

Of several numbers of steps that are worth their time, `gain` takes the one that gains most, not the cheapest: G is what
a millisecond must bring, and whoever wants a report cheaper raises it.
"""

import numpy as np
from numpy.typing import NDArray

from shared.refinement.card import RefinerCard
from shared.refinement.label import RefinementLabel


def steps_of_reports(
    label: RefinementLabel, card: RefinerCard, rate: int, snr_db: NDArray[np.floating]
) -> NDArray[np.int64]:
    """Decide how each report is refined.

    Args:
        label: What the UE asks for.
        card: Card of the refiner; ``gain`` reads its measurements.
        rate: Of the reports. At another than the card's ``gain`` refines none: it has no figures.
        snr_db: [batch] Es/N0 of the feedback link.

    Returns:
        [batch] int64, steps of the sampler; 0 where a report is not refined.
    """
    if label.policy == "gain":
        if rate != card.rate:
            return np.zeros(len(snr_db), dtype=np.int64)
        return _by_gain(label, card, np.asarray(snr_db, dtype=np.float64))
    steps = np.full(len(snr_db), label.num_steps or 0, dtype=np.int64)
    if label.from_db is not None:
        steps[np.asarray(snr_db) < label.from_db] = 0
    return steps


def _by_gain(label: RefinementLabel, card: RefinerCard, snr_db: NDArray[np.float64]) -> NDArray[np.int64]:
    best_gain = np.zeros(len(snr_db))
    steps = np.zeros(len(snr_db), dtype=np.int64)
    for num_steps in sorted({point.num_steps for point in card.measured}):
        if label.num_steps not in (None, num_steps):
            continue
        points = sorted((p for p in card.measured if p.num_steps == num_steps), key=lambda point: point.snr_db)
        measured_at = [point.snr_db for point in points]
        gain = np.interp(snr_db, measured_at, [point.nmse_coarse_db - point.nmse_db for point in points])
        ms = np.interp(snr_db, measured_at, [point.ms_per_report for point in points])
        better = (gain > best_gain) & (gain / ms > (label.above or 0))
        best_gain[better], steps[better] = gain[better], num_steps
    return steps
