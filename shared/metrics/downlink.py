r"""What the reconstructed CSI is worth: block errors and spectral efficiency of a downlink that precodes from it.

    h_hat --> precoder --> SINR g_f per subcarrier --> uncoded QPSK: block error     log2(1 + g_f): spectral efficiency

One block is one QPSK symbol on each subcarrier. With ``Q`` the tail of the normal distribution, a symbol is wrong with
probability ``1 - (1 - Q(sqrt(g)))^2``, ``g = Es/N0`` (J. G. Proakis, Digital Communications), and a block unless all
its symbols are right:

.. math:: \mathrm{BLER} = 1 - \prod_f (1 - Q(\sqrt{g_f}))^2

After RD-JSCC, section V-F ("uncoded BLER", precoding from the reconstruction in its introduction). The paper names no
precoder, modulation, block, downlink SNR or receiver: all of these are ours.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from shared.metrics.phy_abstraction import coded_downlink_bler
from shared.metrics.precoding import beam_sinr, mrt_sinr, zero_forcing_sinr


@dataclass(frozen=True, slots=True)
class Downlink:
    """What a downlink carries that was precoded from the reconstruction, and from the truth.

    Attributes:
        bler: [batch, num_snr] float64, probability that the downlink block of the report's UE is wrong. Not the BLER
            of the feedback.
        spectral_efficiency: [batch, num_snr] float64, mean over subcarriers of log2(1 + SINR), bit/s/Hz.
        bler_perfect: [batch, num_snr] float64, the same with ``h_hat = h``.
        spectral_efficiency_perfect: [batch, num_snr] float64, the same with ``h_hat = h``.
        bler_coded: [batch, num_snr] float64, probability that a transport block is lost, by
            `shared.metrics.phy_abstraction`; None unless asked for.
        bler_coded_perfect: [batch, num_snr] float64, the same with ``h_hat = h``.
    """

    bler: Tensor
    spectral_efficiency: Tensor
    bler_perfect: Tensor
    spectral_efficiency_perfect: Tensor
    bler_coded: Tensor | None = None
    bler_coded_perfect: Tensor | None = None

    def map(self, change: Callable[[Tensor], Tensor]) -> "Downlink":
        """Return it with a change to each of its tensors: on another device, or of some reports."""
        return Downlink(
            change(self.bler),
            change(self.spectral_efficiency),
            change(self.bler_perfect),
            change(self.spectral_efficiency_perfect),
            None if self.bler_coded is None else change(self.bler_coded),
            None if self.bler_coded_perfect is None else change(self.bler_coded_perfect),
        )

    @property
    def spectral_efficiency_loss(self) -> Tensor:
        """[batch, num_snr] float64, bit/s/Hz lost for want of the true channel; under MRT never negative."""
        return self.spectral_efficiency_perfect - self.spectral_efficiency


def mrt_downlink(h_hat: Tensor, h: Tensor, snr_db: Sequence[float], mcs_index: int | None = None) -> Downlink:
    """Score one UE at a time under maximum ratio transmission; exact, no approximation.

    Args:
        h_hat: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex, spatial-frequency domain, any scale.
        h: Same shape as ``h_hat``, unit mean power: the truth.
        snr_db: [num_snr] downlink SNR, dB: transmit power per subcarrier over noise, before the array gain.
        mcs_index: Of a coded downlink that is scored besides, see `coded_downlink_bler`; None for the uncoded alone.

    Raises:
        InvalidArgumentError: If the shapes differ, or there is no such MCS.
        ModelMismatchError: If an MCS is given and Sionna is not installed.

    Example:
        >>> h = torch.ones(1, 1, 4, 32, dtype=torch.complex64)
        >>> beam = mrt_downlink(h, h, [7.0])
        >>> f"{beam.bler.item():.1e}", f"{beam.spectral_efficiency.item():.3f}"
        ('2.4e-04', '4.396')
    """
    return _scores(mrt_sinr(h_hat, h, snr_db), mrt_sinr(h, h, snr_db), mcs_index)


def beam_downlink(
    v_hat: Tensor, v: Tensor, h: Tensor, snr_db: Sequence[float], mcs_index: int | None = None
) -> Downlink:
    """Score as `mrt_downlink`, with directions that are known already.

    Args:
        v_hat: [batch, num_subcarriers, 1, num_tx_ant] complex128 of `layer_directions`, of the reconstruction.
        v: Same shape, of the truth.
        h: [batch, num_rx_ant, num_tx_ant, num_subcarriers] complex, spatial-frequency domain, unit mean power.
        snr_db: [num_snr] downlink SNR, dB.
        mcs_index: As of `mrt_downlink`.

    Example:
        >>> h = torch.ones(1, 1, 4, 32, dtype=torch.complex64)
        >>> v = torch.full((1, 32, 1, 4), 0.5, dtype=torch.complex128)
        >>> f"{beam_downlink(v, v, h, [7.0]).spectral_efficiency.item():.3f}"
        '4.396'
    """
    return _scores(beam_sinr(v_hat, h, snr_db), beam_sinr(v, h, snr_db), mcs_index)


def zero_forcing_downlink(
    h_hat: Tensor, h: Tensor, snr_db: Sequence[float], num_ue: int, mcs_index: int | None = None
) -> Downlink:
    """Score groups of UEs under zero forcing, the interference of the others taken for Gaussian noise.

    That is an **approximation of the BLER**: the others' QPSK is bounded, so where interference outweighs the noise,
    the BLER of real QPSK is lower (docs/metrics.md has the figures). It is exact without interference.
    Zero forcing from the truth is no bound: at low SNR a wrong ``h_hat`` may beam more power, and the loss be negative.

    Args:
        h_hat: [batch, 1, num_tx_ant, num_subcarriers] complex, spatial-frequency domain, any scale.
        h: Same shape as ``h_hat``, unit mean power: the truth.
        snr_db: [num_snr] downlink SNR, dB: transmit power per subcarrier, of all UEs, over noise.
        num_ue: UEs in a group: reports that follow each other in the batch.
        mcs_index: As of `mrt_downlink`.

    Raises:
        InvalidArgumentError: If the shapes differ, there are several receive antennas, or no such groups or MCS.
        ModelMismatchError: If an MCS is given and Sionna is not installed.
    """
    return _scores(zero_forcing_sinr(h_hat, h, snr_db, num_ue), zero_forcing_sinr(h, h, snr_db, num_ue), mcs_index)


def qpsk_bler(sinr: Tensor) -> Tensor:
    """Return the probability that a block of uncoded QPSK symbols is wrong; relative accuracy holds at 1e-100.

    Args:
        sinr: [..., num_subcarriers] float64, Es/N0 of each symbol, linear.

    Returns:
        [...] float64.
    """
    log_right = 2 * torch.special.log_ndtr(sinr.sqrt()).sum(dim=-1)  # log Phi(x) = log(1 - Q(x))
    return -torch.expm1(log_right)


def _scores(sinr: Tensor, perfect: Tensor, mcs_index: int | None) -> Downlink:
    uncoded = (qpsk_bler(sinr), _spectral_efficiency(sinr), qpsk_bler(perfect), _spectral_efficiency(perfect))
    if mcs_index is None:
        return Downlink(*uncoded)
    coded = (  # SNR by SNR: each subcarrier is expanded to the symbols of a slot
        torch.stack([coded_downlink_bler(of_snr, mcs_index) for of_snr in of.unbind(dim=1)], dim=1)
        for of in (sinr, perfect)
    )
    return Downlink(*uncoded, *coded)


def _spectral_efficiency(sinr: Tensor) -> Tensor:
    return torch.log1p(sinr).mean(dim=-1) / math.log(2)
