import numpy as np
import pytest
import torch
from bs_server.evaluation import evaluate

from shared.channels import ChannelSet
from shared.metrics import nmse, sgcs
from shared.receive import Reception
from shared.transforms import from_angular_delay
from shared.types import Domain, Payload


@pytest.mark.parametrize("domain", ["angular-delay", "spatial-frequency"])
def test_scores_are_those_of_the_metrics_in_the_domain_of_the_data(indoor: ChannelSet, domain: Domain) -> None:
    h = indoor.h[:5]
    noise = torch.view_as_complex(torch.randn(*h.shape, 2, generator=torch.Generator().manual_seed(1)))
    h_hat = h + 0.3 * noise
    sent = Payload.of_equal_length(np.zeros((5, 8), dtype=np.uint8))
    decided = Payload.of_equal_length(np.tri(5, 8, -1, dtype=np.uint8))
    scores = evaluate(Reception(h_hat, decided, np.zeros(5, dtype=np.bool_)), h, sent, domain)
    pair = (h_hat, h) if domain == "spatial-frequency" else (from_angular_delay(h_hat), from_angular_delay(h))
    np.testing.assert_allclose(scores.nmse, nmse(h_hat, h).numpy(), rtol=1e-12)
    np.testing.assert_allclose(scores.sgcs, sgcs(*pair).numpy(), rtol=1e-6)
    assert scores.bit_errors.tolist() == [0, 1, 2, 3, 4]


def test_channels_at_the_ends_of_single_precision_still_have_scores(indoor: ChannelSet) -> None:
    h = torch.stack([indoor.h[0] * 1e37, indoor.h[0] * 1e-37])
    none = np.zeros((2, 8), dtype=np.uint8)
    reception = Reception(h, Payload.of_equal_length(none), np.zeros(2, dtype=np.bool_))
    scores = evaluate(reception, h, Payload.of_equal_length(none), "angular-delay")
    np.testing.assert_allclose(scores.nmse, 0, atol=1e-12)
    np.testing.assert_allclose(scores.sgcs, 1, atol=1e-5)
