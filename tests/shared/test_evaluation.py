import sys

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet
from shared.directions import layer_directions
from shared.evaluation import Scores, evaluate, join_scores
from shared.metrics import nmse, rho, sgcs, sgcs_per_layer_and_subband, zero_forcing_downlink
from shared.metrics.downlink import mrt_downlink
from shared.scoring import Scoring
from shared.transforms import from_angular_delay
from shared.types import Domain, Payload

SNR_DB = (-5.0, 0.0, 10.0)
SCORING = Scoring(SNR_DB)
DOMAINS: list[Domain] = ["angular-delay", "spatial-frequency"]


def noisy(h: torch.Tensor) -> torch.Tensor:
    return h + 0.3 * torch.view_as_complex(torch.randn(*h.shape, 2, generator=torch.Generator().manual_seed(1)))


def bits(n: int) -> tuple[Payload, Payload]:
    """Return decided and sent bits; report ``i`` has ``i`` wrong ones."""
    return (
        Payload.of_equal_length(np.tri(n, 8, -1, dtype=np.uint8)),
        Payload.of_equal_length(np.zeros((n, 8), dtype=np.uint8)),
    )


def in_frequency(h: torch.Tensor, domain: Domain) -> torch.Tensor:
    return h if domain == "spatial-frequency" else from_angular_delay(h.to(torch.complex128))


@pytest.mark.parametrize("domain", DOMAINS)
def test_scores_are_those_of_the_metrics_in_the_domain_of_the_data(indoor: ChannelSet, domain: Domain) -> None:
    h, h_hat = indoor.h[:5], noisy(indoor.h[:5])
    decided, sent = bits(5)
    scores = evaluate(h_hat, decided, h, sent, domain)
    np.testing.assert_allclose(scores.nmse, nmse(h_hat, h).numpy(), rtol=1e-12)
    wanted = sgcs(in_frequency(h_hat, domain), in_frequency(h, domain))
    np.testing.assert_allclose(scores.sgcs, wanted.numpy(), rtol=1e-6)
    assert scores.bit_errors.tolist() == [0, 1, 2, 3, 4]
    assert scores.downlink is None


def test_the_directions_of_each_side_are_computed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are most of the work where there are several receive antennas."""
    calls: list[torch.Tensor] = []

    def watched(h: torch.Tensor, num_layers: int, num_subbands: int) -> torch.Tensor:
        calls.append(h)
        return layer_directions(h, num_layers, num_subbands)

    for module in ("shared.evaluation", "shared.metrics.sgcs", "shared.metrics.precoding"):
        monkeypatch.setattr(sys.modules[module], "layer_directions", watched)  # `shared.metrics.sgcs` is a function too
    h = torch.randn(3, 2, 4, 8, dtype=torch.complex64, generator=torch.Generator().manual_seed(2))
    decided, sent = bits(3)
    scores = evaluate(noisy(h), decided, h, sent, "spatial-frequency", SCORING)
    assert len(calls) == 2
    assert scores.downlink is not None
    wanted = mrt_downlink(noisy(h), h, SNR_DB)
    np.testing.assert_allclose(scores.downlink.bler, wanted.bler.numpy(), rtol=1e-12)
    np.testing.assert_allclose(scores.downlink.bler_perfect, wanted.bler_perfect.numpy(), rtol=1e-12)
    np.testing.assert_allclose(scores.sgcs, sgcs(noisy(h), h).numpy(), rtol=1e-12)


def test_rho_is_that_of_angles_and_delays_and_of_nothing_else(indoor: ChannelSet) -> None:
    h, h_hat = indoor.h[:5], noisy(indoor.h[:5])
    decided, sent = bits(5)
    found = evaluate(h_hat, decided, h, sent, "angular-delay").rho
    assert found is not None
    np.testing.assert_allclose(found, rho(h_hat, h).numpy(), rtol=1e-12)
    assert ((found > 0.5) & (found < 0.99)).all()
    assert evaluate(h_hat, decided, h, sent, "spatial-frequency").rho is None


@pytest.mark.parametrize(("num_delay_taps", "has_rho"), [(257, True), (258, False)])
def test_a_channel_too_long_for_rho_has_its_other_scores(num_delay_taps: int, has_rho: bool) -> None:
    h = torch.ones(2, 1, 2, num_delay_taps, dtype=torch.complex64)
    none = bits(2)[1]
    scores = evaluate(h, none, h, none, "angular-delay", SCORING)
    assert (scores.rho is not None) == has_rho
    assert scores.nmse.tolist() == [0.0, 0.0]
    assert scores.downlink is not None


@pytest.mark.parametrize("domain", DOMAINS)
def test_the_downlink_is_that_of_channels_over_frequency_at_every_snr(indoor: ChannelSet, domain: Domain) -> None:
    h, h_hat = indoor.h[:5], noisy(indoor.h[:5])
    decided, sent = bits(5)
    found = evaluate(h_hat, decided, h, sent, domain, SCORING).downlink
    wanted = mrt_downlink(in_frequency(h_hat, domain), in_frequency(h, domain), SNR_DB)
    assert found is not None
    for name in ("bler", "spectral_efficiency", "bler_perfect", "spectral_efficiency_perfect"):
        values = getattr(found, name)
        assert values.shape == (5, len(SNR_DB))
        np.testing.assert_allclose(values, getattr(wanted, name).numpy(), rtol=1e-6, err_msg=name)
    assert (found.spectral_efficiency < found.spectral_efficiency_perfect).all()
    assert (np.diff(found.spectral_efficiency, axis=1) > 0).all()


def test_a_part_of_the_scores_are_the_scores_of_a_part(indoor: ChannelSet) -> None:
    h, h_hat = indoor.h[:6], noisy(indoor.h[:6])
    decided, sent = bits(6)
    part = evaluate(h_hat, decided, h, sent, "angular-delay", SCORING).part(2, 5)
    rows = slice(2, 5)
    some = Payload(decided.bits[rows], decided.length[rows]), Payload(sent.bits[rows], sent.length[rows])
    alone = evaluate(h_hat[rows], some[0], h[rows], some[1], "angular-delay", SCORING)
    assert part.bit_errors.tolist() == alone.bit_errors.tolist() == [2, 3, 4]
    for name in ("nmse", "sgcs", "rho"):
        np.testing.assert_allclose(getattr(part, name), getattr(alone, name), rtol=1e-12)
    assert part.downlink is not None
    assert alone.downlink is not None
    for name in ("bler", "spectral_efficiency", "bler_perfect", "spectral_efficiency_perfect"):
        np.testing.assert_allclose(getattr(part.downlink, name), getattr(alone.downlink, name), rtol=1e-9)


def test_scores_that_were_not_asked_for_have_no_part() -> None:
    scores = Scores(np.zeros(3), np.zeros(3), None, np.zeros(3, dtype=np.int64), np.zeros(3), None, None)
    part = scores.part(0, 2)
    assert (part.rho, part.downlink, part.sgcs_subbands) == (None, None, None)


def test_channels_at_the_ends_of_single_precision_still_have_scores(indoor: ChannelSet) -> None:
    h = torch.stack([indoor.h[0] * 1e37, indoor.h[0] * 1e-37])
    none = Payload.of_equal_length(np.zeros((2, 8), dtype=np.uint8))
    scores = evaluate(h, none, h, none, "angular-delay", SCORING)
    np.testing.assert_allclose(scores.nmse, 0, atol=1e-12)
    np.testing.assert_allclose(scores.sgcs, 1, atol=1e-5)
    assert scores.rho is not None
    np.testing.assert_allclose(scores.rho, 1, atol=1e-5)
    assert scores.downlink is not None
    assert torch.isfinite(scores.downlink.spectral_efficiency).all()
    np.testing.assert_allclose(scores.downlink.bler, scores.downlink.bler_perfect, atol=1e-12)


def test_what_is_asked_for_besides_is_that_of_its_metric() -> None:
    """UEs of one antenna are served together; the layers are those of a UE with two."""
    decided, sent = bits(6)
    generator = torch.Generator().manual_seed(3)
    one, two = (torch.randn(6, rx, 4, 8, dtype=torch.complex64, generator=generator) for rx in (1, 2))
    scores = evaluate(noisy(one), decided, one, sent, "spatial-frequency", Scoring(SNR_DB, downlink_num_ue=3))
    assert scores.downlink is not None
    wanted = zero_forcing_downlink(noisy(one), one, SNR_DB, num_ue=3)
    np.testing.assert_allclose(scores.downlink.bler, wanted.bler.numpy(), rtol=1e-9)
    np.testing.assert_allclose(scores.downlink.bler_perfect, wanted.bler_perfect.numpy(), rtol=1e-9)
    assert scores.downlink.bler_coded is None
    scores = evaluate(noisy(two), decided, two, sent, "spatial-frequency", Scoring(num_subbands=2))
    assert scores.downlink is None
    assert scores.sgcs_subbands is not None
    assert scores.sgcs_subbands.shape == (6, 2, 2)
    np.testing.assert_allclose(scores.sgcs_subbands, sgcs_per_layer_and_subband(noisy(two), two, 2, 2).numpy())


def test_the_coded_downlink_is_that_of_each_snr() -> None:
    pytest.importorskip("sionna.sys")
    h = torch.randn(3, 1, 8, 32, dtype=torch.complex64, generator=torch.Generator().manual_seed(4))
    decided, sent = bits(3)
    found = evaluate(noisy(h), decided, h, sent, "spatial-frequency", Scoring((-5.5, 3.0), downlink_mcs=9)).downlink
    alone = evaluate(noisy(h), decided, h, sent, "spatial-frequency", Scoring((-5.5,), downlink_mcs=9)).downlink
    assert found is not None
    assert alone is not None
    assert found.bler_coded is not None
    assert found.bler_coded_perfect is not None
    assert alone.bler_coded is not None
    np.testing.assert_allclose(found.bler_coded[:, :1], alone.bler_coded)
    assert (found.bler_coded[:, 0] > found.bler_coded[:, 1]).all()
    assert (found.bler_coded >= found.bler_coded_perfect).all()
    assert 0 < found.bler_coded_perfect[:, 0].max() < 1


def test_the_loss_of_the_crop_counts_where_it_is_known(indoor: ChannelSet) -> None:
    h, h_hat = indoor.h[:3], noisy(indoor.h[:3])
    decided, sent = bits(3)
    loss = np.array([0.0, np.nan, 0.25])
    scores = evaluate(h_hat, decided, h, sent, "angular-delay", crop_loss=loss)
    np.testing.assert_allclose(scores.nmse_full[[0, 2]], [scores.nmse[0], 0.75 * scores.nmse[2] + 0.25])
    assert np.isnan(scores.nmse_full[1])
    assert np.isnan(evaluate(h_hat, decided, h, sent, "angular-delay").nmse_full).all()


def test_a_precoder_has_no_nmse_and_no_rho_but_all_that_directions_have(indoor: ChannelSet) -> None:
    h, h_hat = indoor.h[:4], noisy(indoor.h[:4])
    decided, sent = bits(4)
    loss, scoring = np.zeros(4), Scoring((-5.0, 5.0), num_subbands=4)
    found = evaluate(h_hat, decided, h, sent, "angular-delay", scoring, loss, "precoder")
    wanted = evaluate(h_hat, decided, h, sent, "angular-delay", scoring, loss)
    assert np.isnan(found.nmse).all()
    assert np.isnan(found.nmse_full).all()
    assert found.rho is None
    assert found.downlink is not None
    assert wanted.downlink is not None
    np.testing.assert_array_equal(found.downlink.spectral_efficiency, wanted.downlink.spectral_efficiency)
    for name in ("sgcs", "bit_errors", "sgcs_subbands"):
        np.testing.assert_array_equal(getattr(found, name), getattr(wanted, name))


def test_joined_parts_are_the_whole(indoor: ChannelSet) -> None:
    pytest.importorskip("sionna.sys")
    h, h_hat = indoor.h[:6], noisy(indoor.h[:6])
    decided, sent = bits(6)
    whole = evaluate(h_hat, decided, h, sent, "angular-delay", Scoring(SNR_DB, 2, 9, 4), np.linspace(0, 1, 6))
    joined = join_scores([whole.part(0, 2), whole.part(2, 6)])
    for name in ("nmse", "sgcs", "rho", "bit_errors", "nmse_full", "sgcs_subbands"):
        np.testing.assert_array_equal(getattr(joined, name), getattr(whole, name))
    for name in ("bler", "spectral_efficiency_perfect", "bler_coded", "bler_coded_perfect"):
        np.testing.assert_array_equal(getattr(joined.downlink, name), getattr(whole.downlink, name))
