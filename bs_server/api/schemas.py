"""The shapes of the REST API's answers."""

from pydantic import BaseModel, ConfigDict, Field

from bs_server.store import GroupColumn, GroupTotals, ReportRow, SessionRow
from shared.metrics import mean_interval, to_db, wilson_interval


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
    rate: int = Field(description="Information bits.", examples=[128])
    snr_db: float = Field(description="Es/N0 of the feedback link.", examples=[10.0])
    nmse: float | None = Field(description="Linear.", examples=[0.1604])
    nmse_db: float | None = Field(description="Null also for an exact reconstruction.", examples=[-7.95])
    sgcs: float | None = Field(examples=[0.865])
    bit_errors: int | None = Field(examples=[0])
    fallback: bool = Field(description="The reconstruction is the codec's mean channel.")
    queue_ms: float
    decode_ms: float = Field(description="Of the whole batch.")
    batch_size: int
    has_reconstruction: bool

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
        )


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
    h: list[list[list[tuple[float, float]]]] | None


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
    ber: float | None = Field(description="Wrong information bits over information bits.")
    bler: Proportion | None = Field(description="Feedback BLER: share of reports with at least one wrong bit.")
    info_bits_per_report: float
    fallbacks: int
    mean_queue_ms: float
    mean_decode_ms: float
    mean_batch_size: float

    @classmethod
    def of(cls, totals: GroupTotals, group_by: list[GroupColumn]) -> "Group":
        """Convert sums to metrics."""
        n = totals.num_scored
        return cls(
            **dict(zip(group_by, totals.key, strict=True)),  # type: ignore[arg-type]  # the store keeps each key's type
            num_reports=totals.num_reports,
            num_scored=n,
            nmse=_nmse(totals) if n else None,
            sgcs=totals.sum_sgcs / n if n else None,
            ber=totals.bit_errors / totals.scored_bits if n else None,
            bler=_proportion(totals.block_errors, n),
            info_bits_per_report=totals.info_bits / totals.num_reports,
            fallbacks=totals.fallbacks,
            mean_queue_ms=totals.mean_queue_ms,
            mean_decode_ms=totals.mean_decode_ms,
            mean_batch_size=totals.mean_batch_size,
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


def _proportion(num_events: int, count: int) -> Proportion | None:
    interval = wilson_interval(num_events, count)
    if interval is None:
        return None
    return Proportion(value=num_events / count, ci95_low=interval.low, ci95_high=interval.high)
