import importlib.util

import numpy as np
import pytest
import torch
from scipy.stats import norm

from shared.errors import InvalidArgumentError, ModelMismatchError
from shared.metrics import coded_downlink_bler
from shared.scoring import MCS_INDICES


def flat(sinr_db: float) -> torch.Tensor:
    return torch.full((1, 32), 10 ** (sinr_db / 10), dtype=torch.float64)


def test_a_code_has_a_waterfall_and_a_fade_counts() -> None:
    pytest.importorskip("sionna.sys")
    sinr = torch.cat([flat(x) for x in (-20, -2, 2.1, 4.5, 40)])
    found = coded_downlink_bler(sinr, mcs_index=9)
    assert found.dtype == torch.float64
    assert found.tolist() == sorted(found.tolist(), reverse=True)
    assert found[[0, 1]].tolist() == pytest.approx([1, 1], abs=1e-3)
    assert 0.5 < found[2] < 1  # 2.14 dB is a point of the table: 0.98 of 500 bits, 1.00 of 1,000
    assert found[3] < 0.01
    faded = flat(4.5)
    faded[:, :16] *= 1e-9  # half the band is lost, not left out
    assert float(coded_downlink_bler(faded, mcs_index=9)) > 0.9


def test_between_two_points_of_the_table_the_waterfall_is_a_q_function() -> None:
    pytest.importorskip("sionna.sys")
    sinr = torch.cat([flat(x) for x in (2.2, 2.7, 3.2, 3.7)])  # between 2.14 and 3.93 dB
    steps = np.diff(norm.isf(coded_downlink_bler(sinr, mcs_index=9).numpy()))
    assert steps == pytest.approx([steps[0]] * 3, rel=1e-6)
    assert 0.5 < steps[0] < 2


def test_a_subcarrier_without_power_is_lost_too() -> None:
    pytest.importorskip("sionna.sys")
    half = flat(4.5)
    half[:, :16] = 0
    assert float(coded_downlink_bler(half, mcs_index=9)) > 0.9
    assert float(coded_downlink_bler(torch.zeros(1, 32), mcs_index=9)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("mcs_index", [2, 28])
def test_a_scheme_without_a_table_is_refused(mcs_index: int) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"`mcs_index` must be in \[3, 27\]; got {mcs_index}"):
        coded_downlink_bler(flat(0), mcs_index)


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
def test_a_sinr_that_is_none_is_refused(value: float) -> None:
    with pytest.raises(InvalidArgumentError, match="`sinr`"):
        coded_downlink_bler(torch.full((1, 32), value), mcs_index=9)


def test_without_sionna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelMismatchError, match=r"The coded downlink needs Sionna, .* its extra `radio`"):
        coded_downlink_bler(flat(0), mcs_index=9)


def test_every_scheme_is_lost_without_power_and_arrives_with_plenty() -> None:
    """Also beyond the ends of Sionna's tables."""
    pytest.importorskip("sionna.sys")
    for mcs_index in MCS_INDICES:
        for num_subcarriers in (32, 256):
            sinr = torch.tensor([1e-4, 1e6], dtype=torch.float64)[:, None].expand(2, num_subcarriers)
            lost, arrived = coded_downlink_bler(sinr, mcs_index).tolist()
            assert lost > 0.99
            assert arrived == 0
