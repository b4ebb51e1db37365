import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.training.angular_topk import MAX_RATE, MIN_RATE, fit_angular_topk


@pytest.fixture(scope="module")
def fitted(indoor: ChannelSet) -> dict[str, torch.Tensor]:
    return fit_angular_topk(indoor.h[:400])


def test_each_budget_is_spent_to_the_bit(fitted: dict[str, torch.Tensor]) -> None:
    amplitude, phase = (fitted[f"{name}_widths"].numpy().astype(int) for name in ("amplitude", "phase"))
    spent = ((phase > 0) * (10 + amplitude + phase)).sum(axis=1)
    assert spent.tolist() == list(range(MIN_RATE, MAX_RATE + 1))
    assert phase[phase > 0].min() == 2


def test_the_scale_of_a_rank_is_the_root_mean_square_of_its_tap(
    fitted: dict[str, torch.Tensor], indoor: ChannelSet
) -> None:
    magnitude = np.sort(indoor.h[:400].abs().double().numpy().reshape(400, -1), axis=1)[:, ::-1]
    wanted = np.sqrt(np.square(magnitude[:, :80]).mean(axis=0))
    assert fitted["rank_scale"].numpy() == pytest.approx(wanted, rel=1e-6)
