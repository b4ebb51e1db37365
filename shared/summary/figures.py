"""Sums -> metrics with their intervals, as REST answers them and tables show them."""

import math
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict, Field

from shared.links import combined_snr_db
from shared.metrics import Interval, mean_interval, ratio_interval, to_db, wilson_interval
from shared.scoring import downlink_name
from shared.summary.totals import DownlinkTotals, GroupColumn, GroupTotals, SubbandTotals


class Figures(BaseModel):
    """Base of what a summary consists of."""

    model_config = ConfigDict(frozen=True)


class MeanNmse(Figures):
    """A mean NMSE over the reports of a group."""

    mean: float = Field(description="Mean over reports of ||h_hat - h||^2 / ||h||^2, linear.", examples=[0.418])
    mean_db: float | None = Field(description="10 log10 of `mean`; null for an exact reconstruction.", examples=[-3.78])
    ci95_low_db: float | None = Field(description="Lower end of the 95 % Student-t interval of `mean`, in dB.")
    ci95_high_db: float | None


class Nmse(MeanNmse):
    """NMSE over the reports of a group."""

    median_db: float | None = Field(description="10 log10 of the median over reports, to 0.005 dB.")


class Proportion(Figures):
    """A share of reports."""

    value: float
    ci95_low: float = Field(description="Lower end of the 95 % Wilson score interval.")
    ci95_high: float


class Mean(Figures):
    """A mean over reports."""

    value: float
    ci95_low: float | None = Field(description="Lower end of the 95 % Student-t interval; null for one report.")
    ci95_high: float | None


class DownlinkFigures(Figures):
    """What the reconstructions of a group are worth in one downlink."""

    snr_db: float = Field(
        description="Transmit power of a subcarrier over noise, channel of unit power.", examples=[0.0]
    )
    num_ue: int = Field(description="UEs served together: 1, by MRT; more, by zero forcing.", examples=[1])
    mcs: int | None = Field(description="MCS of the coded downlink; null: uncoded alone.", examples=[9])
    num_reports: int
    bler: Mean = Field(description="Probability of a block error: uncoded QPSK, one symbol a subcarrier.")
    spectral_efficiency: Mean = Field(description="bit/s/Hz.")
    bler_perfect: float = Field(description="As `bler`, precoded from the true channels.")
    spectral_efficiency_perfect: float = Field(description="As `spectral_efficiency`, from the true channels.")
    spectral_efficiency_loss: float = Field(description="What it lacks of the perfect one, bit/s/Hz.")
    bler_coded: Mean | None = Field(
        description="Probability that a transport block of `mcs` is lost: LDPC, by Sionna's PHY abstraction."
    )
    bler_coded_perfect: float | None = Field(description="As `bler_coded`, precoded from the true channels.")

    @property
    def name(self) -> str:
        """What tables call it."""
        return downlink_name(self.snr_db, self.num_ue, self.mcs)

    @classmethod
    def of(cls, totals: DownlinkTotals) -> "DownlinkFigures":
        """Convert sums to metrics."""
        sums = (totals.sum_spectral_efficiency, totals.sum_spectral_efficiency_squared)
        efficiency = _mean(*sums, totals.count, highest=math.inf)
        perfect = totals.sum_spectral_efficiency_perfect / totals.count
        coded = totals.mcs is not None
        return cls(
            snr_db=totals.snr_db,
            num_ue=totals.num_ue,
            mcs=totals.mcs,
            num_reports=totals.count,
            bler=_mean(totals.sum_bler, totals.sum_bler_squared, totals.count),
            spectral_efficiency=efficiency,
            bler_perfect=totals.sum_bler_perfect / totals.count,
            spectral_efficiency_perfect=perfect,
            spectral_efficiency_loss=perfect - efficiency.value,
            bler_coded=_mean(totals.sum_bler_coded, totals.sum_bler_coded_squared, totals.count) if coded else None,
            bler_coded_perfect=totals.sum_bler_coded_perfect / totals.count if coded else None,
        )


class SubbandSgcs(Figures):
    """SGCS of one layer in one subband over the reports of a group."""

    num_subbands: int = Field(examples=[4])
    layer: int = Field(description="From 1, the strongest.", examples=[1])
    subband: int = Field(description="From 0, the lowest.", examples=[0])
    num_reports: int
    sgcs: Mean

    @property
    def name(self) -> str:
        """What tables call it."""
        return f"sgcs_layer{self.layer}_subband{self.subband}of{self.num_subbands}"

    @classmethod
    def of(cls, totals: SubbandTotals) -> "SubbandSgcs":
        """Convert sums to metrics."""
        return cls(
            num_subbands=totals.num_subbands,
            layer=totals.layer,
            subband=totals.subband,
            num_reports=totals.count,
            sgcs=_mean(totals.sum_sgcs, totals.sum_sgcs_squared, totals.count),
        )


class Group(Figures):
    """Metrics of the reports that share the values of `group_by`.

    A null key is not grouped by, or the CNR of a perfect estimate.
    """

    codec: str | None = Field(None, examples=["klt"])
    rate: int | None = Field(None, examples=[128])
    snr_db: float | None = Field(None, examples=[10.0])
    link: str | None = Field(None, examples=["digital:bsc"])
    estimator: str | None = Field(None, examples=["ls"])
    cnr_db: float | None = Field(None, examples=[10.0])
    refinement: str | None = Field(None, examples=["always"])
    session: str | None = None
    model_sha256: str | None = Field(None, description="Digest of the codec's model.")
    refiner_sha256: str | None = Field(None, description="Digest of the refiner; empty: none.")
    dataset_sha256: str | None = Field(None, description="Digest of the data set; empty: not told.")
    num_reports: int = Field(examples=[1000])
    num_scored: int = Field(description="Reports with truth; all metrics below are over these.")
    nmse: Nmse | None = Field(description="Null of precoders, which have no NMSE; they count in no mean of others.")
    nmse_full: MeanNmse | None = Field(
        description="NMSE against the uncropped channel, over the reports whose crop loss is known."
    )
    sgcs: float | None = Field(description="Mean over reports and subcarriers, layer 1.")
    sgcs_ci95_low: float | None = Field(description="Lower end of its 95 % Student-t interval.")
    sgcs_ci95_high: float | None
    rho: Mean | None = Field(description="CsiNet's rho: mean over reports and subcarriers of the cosine similarity.")
    ber: float | None = Field(description="Wrong information bits over information bits, of reports that arrived.")
    ber_ci95_low: float | None = Field(
        description="Lower end of its 95 % interval; errors in one report may hang together."
    )
    ber_ci95_high: float | None
    bler: Proportion | None = Field(
        description="Feedback BLER: share of reports of bits that were erased or have at least one wrong."
    )
    crc_fail_rate: Proportion | None = Field(description="Of the reports that arrived with a CRC.")
    undetected_error_rate: Proportion | None = Field(
        description="The CRC holds in spite of wrong bits; of those with truth."
    )
    erasure_rate: Proportion | None = Field(description="Share of reports of which nothing arrived.")
    info_bits_per_report: float = Field(description="A report of symbols has none.")
    coded_bits_per_report: float
    channel_uses_per_report: float
    ebno_db: float | None = Field(
        description="Eb/N0 per information bit; null of symbols, or unless grouped by `snr_db`."
    )
    combined_snr_db: float | None = Field(
        description="Mean SNR after combining the antennas; null if ideal, or unless grouped by `snr_db`, `link`."
    )
    fallbacks: int
    held: int = Field(description="Of the fallbacks, those that took the UE's last good CSI.")
    refined_rate: Proportion | None = Field(description="Share of reports that were refined.")
    mean_num_steps: float = Field(description="Steps of the refiner a report, 0 of those that were not refined.")
    mean_queue_ms: float
    mean_decode_ms: float
    mean_batch_size: float
    downlink: list[DownlinkFigures] = Field(description="With each downlink of the sessions, by SNR, UEs and MCS.")
    subbands: list[SubbandSgcs] = Field(description="SGCS per layer and subband, of sessions that ask for it.")

    @classmethod
    def of(cls, totals: GroupTotals, group_by: Sequence[GroupColumn]) -> "Group":
        """Convert sums to metrics."""
        n = totals.num_scored
        key = dict(zip(group_by, totals.key, strict=True))
        sgcs = _mean(totals.sum_sgcs, totals.sum_sgcs_squared, n) if n else None
        ber, ber_interval = _ber(totals)
        return cls(
            **key,  # type: ignore[arg-type]  # the store keeps each key's type
            num_reports=totals.num_reports,
            num_scored=n,
            nmse=_nmse(totals) if totals.num_nmse else None,
            nmse_full=_nmse_full(totals) if totals.num_nmse_full else None,
            sgcs=sgcs.value if sgcs else None,
            sgcs_ci95_low=sgcs.ci95_low if sgcs else None,
            sgcs_ci95_high=sgcs.ci95_high if sgcs else None,
            rho=_mean(totals.sum_rho, totals.sum_rho_squared, totals.num_rho) if totals.num_rho else None,
            ber=ber,
            ber_ci95_low=ber_interval.low if ber_interval else None,
            ber_ci95_high=ber_interval.high if ber_interval else None,
            bler=_proportion(totals.block_errors, n - totals.num_symbol_scored),
            crc_fail_rate=_proportion(totals.crc_failures, totals.num_checked),
            undetected_error_rate=_proportion(totals.undetected_errors, totals.num_verified),
            erasure_rate=_proportion(totals.erasures, totals.num_reports),
            info_bits_per_report=totals.info_bits / totals.num_reports,
            coded_bits_per_report=totals.coded_bits / totals.num_reports,
            channel_uses_per_report=totals.channel_uses / totals.num_reports,
            ebno_db=_ebno_db(key.get("snr_db"), totals),
            combined_snr_db=_combined_snr_db(key.get("link"), key.get("snr_db")),
            fallbacks=totals.fallbacks,
            held=totals.held,
            refined_rate=_proportion(totals.num_refined, totals.num_reports),
            mean_num_steps=totals.sum_num_steps / totals.num_reports,
            mean_queue_ms=totals.mean_queue_ms,
            mean_decode_ms=totals.mean_decode_ms,
            mean_batch_size=totals.mean_batch_size,
            downlink=[DownlinkFigures.of(one) for one in totals.downlink],
            subbands=[SubbandSgcs.of(one) for one in totals.subbands],
        )


def _nmse(totals: GroupTotals) -> Nmse:
    mean = _mean_nmse(totals.sum_nmse, totals.sum_nmse_squared, totals.num_nmse)
    return Nmse(**mean.model_dump(), median_db=None if totals.median_nmse is None else to_db(totals.median_nmse))


def _nmse_full(totals: GroupTotals) -> MeanNmse:
    return _mean_nmse(totals.sum_nmse_full, totals.sum_nmse_full_squared, totals.num_nmse_full)


def _mean_nmse(total: float, sum_of_squares: float, count: int) -> MeanNmse:
    mean = total / count
    interval = mean_interval(mean, sum_of_squares, count)
    return MeanNmse(
        mean=mean,
        mean_db=to_db(mean),
        ci95_low_db=to_db(interval.low) if interval else None,
        ci95_high_db=to_db(interval.high) if interval else None,
    )


def _mean(total: float, sum_of_squares: float, count: int, highest: float = 1.0) -> Mean:
    interval = mean_interval(total / count, sum_of_squares, count, highest=highest)
    return Mean(
        value=total / count,
        ci95_low=interval.low if interval else None,
        ci95_high=interval.high if interval else None,
    )


def _ber(totals: GroupTotals) -> tuple[float | None, Interval | None]:
    if not totals.decided_bits:
        return None, None
    squares = (totals.sum_errors_squared, totals.sum_errors_times_bits, totals.sum_bits_squared)
    interval = ratio_interval(totals.bit_errors, totals.decided_bits, *squares, totals.num_decided)
    return totals.bit_errors / totals.decided_bits, interval


def _ebno_db(snr_db: object, totals: GroupTotals) -> float | None:
    """Es/N0 a channel use, spread over the information bits that it carries."""
    if not isinstance(snr_db, float) or not totals.info_bits or totals.num_symbol_reports:
        return None
    return snr_db + 10 * math.log10(totals.channel_uses / totals.info_bits)


def _combined_snr_db(link: object, snr_db: object) -> float | None:
    return combined_snr_db(link, snr_db) if isinstance(link, str) and isinstance(snr_db, float) else None


def _proportion(num_events: int, count: int) -> Proportion | None:
    interval = wilson_interval(num_events, count)
    if interval is None:
        return None
    return Proportion(value=num_events / count, ci95_low=interval.low, ci95_high=interval.high)
