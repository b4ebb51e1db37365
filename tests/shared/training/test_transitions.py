"""Transition matrices over a range of SNRs: of labels and of points, in closed form and counted."""

import numpy as np
import pytest
import torch

from shared.errors import InvalidArgumentError
from shared.links.transition import transition_probability
from shared.training.transitions import Transitions


def test_each_report_gets_the_matrix_of_the_nearest_snr() -> None:
    found = Transitions(2, "digital:bsc", -2, 6).draw(torch.tensor([-1.6, 2.4, 5.8]), torch.Generator())
    for matrix, snr_db in zip(found, (-2, 2, 6), strict=True):
        wanted = transition_probability(2, snr_db).matrix
        np.testing.assert_allclose(matrix.numpy(), wanted, rtol=1e-5)


def test_the_order_of_points_moves_rows_and_columns() -> None:
    order = np.array([0, 1, 3, 2])  # index of each label: Gray
    found = Transitions(2, "digital:hard:qpsk", 3, 3, order).matrices[0]
    by_label = transition_probability(2, 3.0, "qpsk").matrix
    for a, i in enumerate(order):
        for b, j in enumerate(order):
            assert float(found[i, j]) == pytest.approx(by_label[a, b], rel=1e-5)


def test_a_fade_holds_for_a_whole_report() -> None:
    """BPSK over Rayleigh at 0 dB errs with (1 - sqrt(1 / 2)) / 2 = 0.146 in the mean; few reports are as the mean."""
    transitions = Transitions(1, "digital:hard:rayleigh", 0.0, 0.0)
    errors = transitions.draw(torch.zeros(20_000), torch.Generator().manual_seed(1))[:, 0, 1]
    assert float(errors.mean()) == pytest.approx(0.146, abs=0.005)
    assert float(errors.std()) > 0.1
    uplink = Transitions(1, "digital:soft:uplink", -5.0, -5.0).draw(torch.full((2000,), -5.0), torch.Generator())
    assert float(uplink[:, 0, 1].mean()) < 0.05  # eight antennas: 9 dB better than AWGN's 0.21


@pytest.mark.parametrize("snr_db", [6.0, 0.0])
def test_a_code_leaves_no_errors_in_the_reports_that_reach_a_decoder(snr_db: float) -> None:
    matrix = Transitions(1, "digital:soft:polar-1/2", snr_db, snr_db).matrices[0]
    assert float(matrix[0, 1]) == pytest.approx(0.0, abs=1e-3)
    assert matrix.sum(dim=1).tolist() == pytest.approx([1, 1])


@pytest.mark.parametrize("link", ["analog", "ideal"])
def test_a_link_that_carries_no_bits_with_errors_is_refused(link: str) -> None:
    with pytest.raises(InvalidArgumentError, match="`link` of a training with bit errors must be digital; got"):
        Transitions(1, link, 0, 0)
