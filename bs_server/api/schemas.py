"""The shapes of the REST API's answers."""

import math

from pydantic import BaseModel, ConfigDict, Field

from bs_server.store import DownlinkRow, DownlinkTotals, GroupColumn, GroupTotals, ReportRow, SessionRow
from shared.links import combined_snr_db
from shared.metrics import Interval, mean_interval, ratio_interval, to_db, wilson_interval
from shared.types import Fallback


class Answer(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class Problem(Answer):
    """An error, RFC 9457."""

    type: str = "about:blank"
    title: str = Field(examples=["Not Found"])
    status: int = Field(examples=[404])
    detail: str = Field(
        description="What was wrong: the argument, the wanted and the found.",
        examples=["`report_id` must be a report of the store; got 7."],
    )
    instance: str = Field(examples=["/v1/reports/7"])


class Health(Answer):
    """Whether the service is there."""

    status: str = Field(examples=["ok"])
    version: str = Field(examples=["0.1.0"])
    device: str = Field(examples=["cpu"])
    queued_reports: int = Field(examples=[0])


class Session(Answer):
    """A session."""

    session_id: str = Field(examples=["511cb13f-2613-4b2c-9e57-919a3feb3cd0"])
    codec: str = Field(examples=["klt"])
    model_sha256: str
    domain: str = Field(examples=["angular-delay"])
    shape: tuple[int, int, int] = Field(description="num_rx_ant, num_tx_ant, num_subcarriers", examples=[(1, 32, 32)])
    link: str = Field(examples=["digital:bsc"])
    estimator: str = Field(examples=["ls"])
    cnr_db: float | None = Field(description="SNR of its pilots; null for a perfect estimate.", examples=[10.0])
    downlink_snr_db: tuple[float, ...] = Field(description="At which the downlink is scored.", examples=[(0.0, 10.0)])
    fallback: Fallback = Field(
        description="What stands for a report that is lost: `mean` or `last`.", examples=["mean"]
    )
    opened_at: float = Field(description="Unix time.", examples=[1795174463.77])
    closed_at: float | None
    num_reports: int = Field(examples=[11000])

    @classmethod
    def of(cls, row: SessionRow) -> "Session":
        """Convert a row of the store."""
        return cls(
            session_id=row.session_id,
            codec=row.codec,
            model_sha256=row.model_sha256,
            domain=row.shape.domain,
            shape=row.shape.dims,
            link=row.link,
            estimator=row.estimator,
            cnr_db=row.cnr_db,
            downlink_snr_db=row.downlink_snr_db,
            fallback=row.fallback,
            opened_at=row.opened_at,
            closed_at=row.closed_at,
            num_reports=row.num_reports,
        )


class SessionPage(Answer):
    """Sessions, newest first."""

    sessions: list[Session]
    next_before: float | None = Field(description="`before` of the next page; null on the last.")


class Report(Answer):
    """A report and its scores; scores are null where the UE sent no truth."""

    report_id: int = Field(examples=[2401])
    session_id: str = Field(examples=["511cb13f-2613-4b2c-9e57-919a3feb3cd0"])
    ue_id: int = Field(examples=[0])
    sequence: int = Field(examples=[2400])
    codec: str = Field(examples=["klt"])
    link: str = Field(examples=["digital:bsc"])
    estimator: str = Field(examples=["ls"])
    cnr_db: float | None = Field(description="SNR of its pilots; null for a perfect estimate.", examples=[10.0])
    received_at: float = Field(description="Unix time.", examples=[1795174463.77])
    rate: int = Field(description="Information bits, or symbols of an analog link.", examples=[128])
    snr_db: float = Field(description="Es/N0 of the feedback link.", examples=[10.0])
    nmse: float | None = Field(description="Linear.", examples=[0.1604])
    nmse_db: float | None = Field(description="Null also for an exact reconstruction.", examples=[-7.95])
    sgcs: float | None = Field(examples=[0.865])
    bit_errors: int | None = Field(
        description="Wrong information bits; null also of symbols, or if lost.", examples=[0]
    )
    fallback: bool = Field(description="The reconstruction is the codec's mean channel, or `held`.")
    queue_ms: float
    decode_ms: float = Field(description="Of the whole batch.")
    batch_size: int
    has_reconstruction: bool
    rho: float | None = Field(description="CsiNet's cosine similarity.", examples=[0.87])
    coded_bits: int = Field(description="Bits on the air: information, CRC, code; 0: symbols.", examples=[128])
    channel_uses: int = Field(description="Complex symbols on the air.", examples=[128])
    erased: bool = Field(description="Nothing arrived over the link.")
    crc_ok: bool | None = Field(description="Whether the CRC holds; null without one, or where nothing arrived.")
    held: bool = Field(description="Of a fallback: it took the UE's last good CSI.")

    @classmethod
    def of(cls, row: ReportRow) -> "Report":
        """Convert a row of the store."""
        return cls(
            report_id=row.report_id,
            session_id=row.session_id,
            ue_id=row.ue_id,
            sequence=row.sequence,
            codec=row.codec,
            link=row.link,
            estimator=row.estimator,
            cnr_db=row.cnr_db,
            received_at=row.received_at,
            rate=row.rate,
            snr_db=row.snr_db,
            nmse=row.nmse,
            nmse_db=None if row.nmse is None else to_db(row.nmse),
            sgcs=row.sgcs,
            bit_errors=row.bit_errors,
            fallback=row.fallback,
            queue_ms=row.queue_ms,
            decode_ms=row.decode_ms,
            batch_size=row.batch_size,
            has_reconstruction=row.has_reconstruction,
            rho=row.rho,
            coded_bits=row.coded_bits,
            channel_uses=row.channel_uses,
            erased=row.erased,
            crc_ok=row.crc_ok,
            held=row.held,
        )


class DownlinkScore(Answer):
    """What a reconstruction is worth in the downlink at one SNR."""

    snr_db: float = Field(examples=[10.0])
    bler: float = Field(description="Probability of a block error: uncoded QPSK, one symbol a subcarrier.")
    spectral_efficiency: float = Field(description="bit/s/Hz, mean over subcarriers.")
    bler_perfect: float = Field(description="As `bler`, precoded from the true channel.")
    spectral_efficiency_perfect: float = Field(description="As `spectral_efficiency`, from the true channel.")


class ReportDetail(Report):
    """A report with its scores in the downlink, one for each downlink SNR of its session."""

    downlink: list[DownlinkScore]

    @classmethod
    def of(cls, row: ReportRow) -> "ReportDetail":
        """Convert a row of the store."""
        downlink = [_downlink_score(of_snr) for of_snr in row.downlink]
        return cls(**Report.of(row).model_dump(), downlink=downlink)


class ReportPage(Answer):
    """Reports, oldest first."""

    reports: list[Report]
    next_after_id: int | None = Field(description="`after_id` of the next page; null on the last.")


class Reconstruction(Answer):
    """The channel of a report as reconstructed, and as it was; `[rx][tx][subcarrier][re, im]`."""

    report_id: int
    domain: str
    shape: tuple[int, int, int]
    h_hat: list[list[list[tuple[float, float]]]]
    h: list[list[list[tuple[float, float]]]] | None = Field(
        description="Null where a base station before 0.2.0 kept it without truth."
    )


class Nmse(Answer):
    """NMSE over the reports of a group."""

    mean: float = Field(description="Mean over reports of ||h_hat - h||^2 / ||h||^2, linear.", examples=[0.418])
    mean_db: float | None = Field(description="10 log10 of `mean`; null for an exact reconstruction.", examples=[-3.78])
    ci95_low_db: float | None = Field(description="Lower end of the 95 % Student-t interval of `mean`, in dB.")
    ci95_high_db: float | None
    median_db: float | None = Field(description="10 log10 of the median over reports.")


class Proportion(Answer):
    """A share of reports."""

    value: float
    ci95_low: float = Field(description="Lower end of the 95 % Wilson score interval.")
    ci95_high: float


class Mean(Answer):
    """A mean over reports."""

    value: float
    ci95_low: float | None = Field(description="Lower end of the 95 % Student-t interval; null for one report.")
    ci95_high: float | None


class Downlink(Answer):
    """What the reconstructions of a group are worth in the downlink at one SNR."""

    snr_db: float = Field(
        description="Transmit power of a subcarrier over noise, channel of unit power.", examples=[0.0]
    )
    num_reports: int
    bler: Mean = Field(description="Probability of a block error: uncoded QPSK, one symbol a subcarrier.")
    spectral_efficiency: Mean = Field(description="bit/s/Hz.")
    bler_perfect: float = Field(description="As `bler`, precoded from the true channels.")
    spectral_efficiency_perfect: float = Field(description="As `spectral_efficiency`, from the true channels.")
    spectral_efficiency_loss: float = Field(description="What it lacks of the perfect one, bit/s/Hz.")

    @classmethod
    def of(cls, totals: DownlinkTotals) -> "Downlink":
        """Convert sums to metrics."""
        sums = (totals.sum_spectral_efficiency, totals.sum_spectral_efficiency_squared)
        efficiency = _mean(*sums, totals.count, highest=math.inf)
        perfect = totals.sum_spectral_efficiency_perfect / totals.count
        return cls(
            snr_db=totals.snr_db,
            num_reports=totals.count,
            bler=_mean(totals.sum_bler, totals.sum_bler_squared, totals.count),
            spectral_efficiency=efficiency,
            bler_perfect=totals.sum_bler_perfect / totals.count,
            spectral_efficiency_perfect=perfect,
            spectral_efficiency_loss=perfect - efficiency.value,
        )


class Group(Answer):
    """Metrics of the reports that share the values of `group_by`.

    A null key is not grouped by, or the CNR of a perfect estimate.
    """

    codec: str | None = Field(None, examples=["klt"])
    rate: int | None = Field(None, examples=[128])
    snr_db: float | None = Field(None, examples=[10.0])
    link: str | None = Field(None, examples=["digital:bsc"])
    estimator: str | None = Field(None, examples=["ls"])
    cnr_db: float | None = Field(None, examples=[10.0])
    session: str | None = None
    num_reports: int = Field(examples=[1000])
    num_scored: int = Field(description="Reports with truth; all metrics below are over these.")
    nmse: Nmse | None
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
    mean_queue_ms: float
    mean_decode_ms: float
    mean_batch_size: float
    downlink: list[Downlink] = Field(description="At each downlink SNR of the sessions, increasing.")

    @classmethod
    def of(cls, totals: GroupTotals, group_by: list[GroupColumn]) -> "Group":
        """Convert sums to metrics."""
        n = totals.num_scored
        key = dict(zip(group_by, totals.key, strict=True))
        sgcs = _mean(totals.sum_sgcs, totals.sum_sgcs_squared, n) if n else None
        ber, ber_interval = _ber(totals)
        return cls(
            **key,  # type: ignore[arg-type]  # the store keeps each key's type
            num_reports=totals.num_reports,
            num_scored=n,
            nmse=_nmse(totals) if n else None,
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
            mean_queue_ms=totals.mean_queue_ms,
            mean_decode_ms=totals.mean_decode_ms,
            mean_batch_size=totals.mean_batch_size,
            downlink=[Downlink.of(of_snr) for of_snr in totals.downlink],
        )


class Summary(Answer):
    """Metrics by group."""

    group_by: list[GroupColumn]
    nmse_average: str = "mean over reports of the per-report ratio (mean of ratios), then dB"
    groups: list[Group]


def _nmse(totals: GroupTotals) -> Nmse:
    mean = totals.sum_nmse / totals.num_scored
    interval = mean_interval(mean, totals.sum_nmse_squared, totals.num_scored)
    return Nmse(
        mean=mean,
        mean_db=to_db(mean),
        ci95_low_db=to_db(interval.low) if interval else None,
        ci95_high_db=to_db(interval.high) if interval else None,
        median_db=None if totals.median_nmse is None else to_db(totals.median_nmse),
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


def _downlink_score(row: DownlinkRow) -> DownlinkScore:
    return DownlinkScore(
        snr_db=row.snr_db,
        bler=row.bler,
        spectral_efficiency=row.spectral_efficiency,
        bler_perfect=row.bler_perfect,
        spectral_efficiency_perfect=row.spectral_efficiency_perfect,
    )


def _proportion(num_events: int, count: int) -> Proportion | None:
    interval = wilson_interval(num_events, count)
    if interval is None:
        return None
    return Proportion(value=num_events / count, ci95_low=interval.low, ci95_high=interval.high)
