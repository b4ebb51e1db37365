"""Sums over the reports of a group: all that a summary needs, whether a store or a simulation made them."""

from dataclasses import dataclass
from typing import Literal

GroupColumn = Literal[
    "codec",
    "rate",
    "snr_db",
    "link",
    "estimator",
    "cnr_db",
    "refinement",
    "session",
    "model_sha256",
    "refiner_sha256",
    "dataset_sha256",
]
# What a summary groups by unless told: what a run is given. Sessions and digests would make many groups of few reports.
DEFAULT_GROUP_BY: tuple[GroupColumn, ...] = ("codec", "rate", "snr_db", "link", "estimator", "cnr_db", "refinement")


@dataclass(frozen=True, slots=True)
class DownlinkTotals:
    """Sums over the reports of a group that were scored with one downlink.

    Attributes:
        snr_db: SNR of the downlink.
        num_ue: UEs that it serves together.
        mcs: Its MCS; None where it is uncoded alone.
        count: Reports that were scored with it.
        sum_bler: Sum of the block error probability.
        sum_bler_squared: Sum of its squares.
        sum_spectral_efficiency: Sum of the spectral efficiency, bit/s/Hz.
        sum_spectral_efficiency_squared: Sum of its squares.
        sum_bler_perfect: Sum of the block error probability with perfect CSI.
        sum_spectral_efficiency_perfect: Sum of the spectral efficiency with perfect CSI.
        sum_bler_coded: Sum of the coded block error probability; 0 where it is uncoded alone.
        sum_bler_coded_squared: Sum of its squares.
        sum_bler_coded_perfect: Sum of the coded block error probability with perfect CSI.
    """

    snr_db: float
    num_ue: int
    mcs: int | None
    count: int
    sum_bler: float
    sum_bler_squared: float
    sum_spectral_efficiency: float
    sum_spectral_efficiency_squared: float
    sum_bler_perfect: float
    sum_spectral_efficiency_perfect: float
    sum_bler_coded: float
    sum_bler_coded_squared: float
    sum_bler_coded_perfect: float


@dataclass(frozen=True, slots=True)
class SubbandTotals:
    """Sums over the reports of a group of the SGCS of one layer in one subband.

    Attributes:
        num_subbands: Subbands that there are.
        layer: From 1, the strongest.
        subband: From 0, the lowest.
        count: Reports that were scored so.
        sum_sgcs: Sum of the SGCS.
        sum_sgcs_squared: Sum of its squares.
    """

    num_subbands: int
    layer: int
    subband: int
    count: int
    sum_sgcs: float
    sum_sgcs_squared: float


@dataclass(frozen=True, slots=True)
class GroupTotals:
    """Sums over the reports of a group.

    Attributes:
        key: Value of each column of ``group_by``, in its order; None for the CNR of a perfect estimate.
        num_reports: Reports.
        num_scored: Reports with truth.
        num_nmse: Of those, reports that have an NMSE: precoders have none.
        sum_nmse: Sum of the linear NMSE.
        sum_nmse_squared: Sum of its squares.
        median_nmse: Median of the linear NMSE to 0.005 dB (`shared.summary.median`), or None of none.
        num_nmse_full: Reports with truth whose crop loss is known.
        sum_nmse_full: Sum of their linear NMSE against the uncropped channel.
        sum_nmse_full_squared: Sum of its squares.
        sum_sgcs: Sum of the SGCS.
        sum_sgcs_squared: Sum of its squares.
        num_rho: Reports that have a rho.
        sum_rho: Sum of the rho.
        sum_rho_squared: Sum of its squares.
        num_decided: Reports of bits, with truth, that arrived.
        bit_errors: Wrong information bits of those.
        decided_bits: Information bits of those.
        sum_errors_squared: Sum of the squares of a report's wrong bits.
        sum_errors_times_bits: Sum of its wrong bits times its bits.
        sum_bits_squared: Sum of the squares of its bits.
        block_errors: Reports of bits, with truth, that were erased or have at least one wrong bit.
        erasures: Reports that were erased.
        num_checked: Reports with a CRC that arrived.
        crc_failures: Of those, reports whose CRC does not hold.
        num_verified: Of those, reports with truth.
        undetected_errors: Of the verified, reports whose CRC holds in spite of wrong bits.
        info_bits: Information bits of all reports; one of symbols has none.
        coded_bits: Bits on the air of all reports.
        channel_uses: Symbols on the air of all reports.
        fallbacks: Reports that could not be used: their reconstruction is the mean channel, or held CSI.
        held: Of the fallbacks, those that took the UE's last good CSI.
        num_refined: Reports that were refined.
        sum_num_steps: Steps of the refiner of all reports.
        mean_queue_ms: Mean time in the queue.
        mean_decode_ms: Mean time of channel decoding, decoder and refiner.
        mean_batch_size: Mean over reports.
        downlink: Sums with each downlink, by SNR, UEs and MCS, increasing.
        subbands: Sums of the SGCS by number of subbands, layer and subband, increasing.
        num_symbol_reports: Reports of symbols instead of bits.
        num_symbol_scored: Of those, reports with truth: they have no block to be wrong.
    """

    key: tuple[str | int | float | None, ...]
    num_reports: int
    num_scored: int
    num_nmse: int
    sum_nmse: float
    sum_nmse_squared: float
    median_nmse: float | None
    num_nmse_full: int
    sum_nmse_full: float
    sum_nmse_full_squared: float
    sum_sgcs: float
    sum_sgcs_squared: float
    num_rho: int
    sum_rho: float
    sum_rho_squared: float
    num_decided: int
    bit_errors: int
    decided_bits: int
    sum_errors_squared: int
    sum_errors_times_bits: int
    sum_bits_squared: int
    block_errors: int
    erasures: int
    num_checked: int
    crc_failures: int
    num_verified: int
    undetected_errors: int
    info_bits: int
    coded_bits: int
    channel_uses: int
    fallbacks: int
    held: int
    num_refined: int
    sum_num_steps: int
    mean_queue_ms: float
    mean_decode_ms: float
    mean_batch_size: float
    downlink: tuple[DownlinkTotals, ...]
    subbands: tuple[SubbandTotals, ...]
    num_symbol_reports: int
    num_symbol_scored: int
