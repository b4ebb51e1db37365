import torch

from shared.networks.snr_adaptation import SnrAdaptation


def test_every_channel_is_scaled_by_one_factor_between_0_and_1_that_depends_on_the_snr() -> None:
    adaptation, x = SnrAdaptation(3), torch.rand(2, 3, 4, 4) + 1
    low, high = adaptation(x, torch.full((2,), -10.0)) / x, adaptation(x, torch.full((2,), 10.0)) / x
    assert ((low > 0) & (low < 1)).all()
    torch.testing.assert_close(low, low[:, :, :1, :1].expand_as(low))
    assert (low - high).abs().max() > 1e-3
