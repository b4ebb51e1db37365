from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model_files import load_model
from shared.refinement import RefinerFile
from shared.refinement.card import MeasuredGain, RefinerCard
from shared.refinement.label import parse_refinement
from shared.refinement.policy import steps_of_reports

RATE = 64
SNR_DB = np.array([-20.0, -10.0, -5.0, 0.0, 5.0, 30.0], dtype=np.float32)
# One step: harms at -10 dB, gains 1 dB at 0 and 2 dB at 10 for 2 ms. Four steps: 3 dB more at 10 dB alone, for 8 ms.
GAINS = {1: {-10: -1.0, 0: 1.0, 10: 2.0}, 4: {-10: -2.0, 0: 0.5, 10: 5.0}}
MS = {1: 2.0, 4: 8.0}
MEASURED = [
    MeasuredGain(snr_db=snr_db, num_steps=n, nmse_coarse_db=-6.0, nmse_db=-6.0 - gain, ms_per_report=MS[n])
    for n, gains in GAINS.items()
    for snr_db, gain in reversed(gains.items())
]


@pytest.fixture(scope="module")
def card(untrained_refiner: Callable[..., RefinerFile]) -> RefinerCard:
    return untrained_refiner(load_model("klt").card, measured=MEASURED, rate=RATE).card


@pytest.mark.parametrize(
    ("label", "steps"),
    [
        ("never", [0, 0, 0, 0, 0, 0]),
        ("always", [1, 1, 1, 1, 1, 1]),
        ("always:steps-7", [7, 7, 7, 7, 7, 7]),
        ("snr:from-0:steps-3", [0, 0, 0, 3, 3, 3]),
        ("snr:from-5.5", [0, 0, 0, 0, 0, 1]),
        ("gain", [0, 0, 0, 1, 4, 4]),  # at 5 dB: 1.5 dB with one step, 2.75 dB with four
        ("gain:above-0.4", [0, 0, 0, 1, 1, 4]),  # at 5 dB: 0.75 dB/ms with one step, 0.34 dB/ms with four
        ("gain:above-0.6", [0, 0, 0, 0, 1, 4]),  # at 0 dB: 0.5 dB/ms
        ("gain:above-0.7", [0, 0, 0, 0, 1, 1]),
        ("gain:above-1", [0, 0, 0, 0, 0, 0]),
        ("gain:steps-1", [0, 0, 0, 1, 1, 1]),
        ("gain:steps-4:above-0.4", [0, 0, 0, 0, 0, 4]),
    ],
)
def test_each_policy_chooses_the_steps_of_each_report(card: RefinerCard, label: str, steps: list[int]) -> None:
    found = steps_of_reports(parse_refinement(label), card, RATE, SNR_DB)
    assert found.dtype == np.int64
    assert found.tolist() == steps


def test_a_card_without_figures_promises_no_gain(untrained_refiner: Callable[..., RefinerFile]) -> None:
    card = untrained_refiner(load_model("klt").card, rate=RATE).card
    assert steps_of_reports(parse_refinement("gain"), card, RATE, SNR_DB).tolist() == [0] * len(SNR_DB)


@pytest.mark.parametrize(
    ("label", "steps"),
    [
        ("gain", [0, 0, 0, 0, 0, 0]),
        ("gain:steps-4", [0, 0, 0, 0, 0, 0]),
        ("always", [1, 1, 1, 1, 1, 1]),
        ("snr:from-0:steps-3", [0, 0, 0, 3, 3, 3]),
    ],
)
@pytest.mark.parametrize("rate", [RATE - 1, RATE + 1])
def test_at_another_rate_than_the_cards_only_the_gain_refines_none(
    card: RefinerCard, label: str, steps: list[int], rate: int
) -> None:
    assert steps_of_reports(parse_refinement(label), card, rate, SNR_DB).tolist() == steps


@given(st.lists(st.floats(-40, 80), max_size=8), st.sampled_from(["always", "snr:from-3", "gain", "gain:above-0.45"]))
def test_a_report_is_refined_alike_whatever_its_companions(card: RefinerCard, snr_db: list[float], text: str) -> None:
    label = parse_refinement(text)
    together = steps_of_reports(label, card, RATE, np.array(snr_db, dtype=np.float32))
    alone = [steps_of_reports(label, card, RATE, np.array([snr], dtype=np.float32)).item() for snr in snr_db]
    assert together.tolist() == alone
