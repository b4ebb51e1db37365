"""The shapes of the REST API's answers; the figures of a summary are in `shared.summary`."""

from pydantic import BaseModel, ConfigDict, Field

from bs_server.store import DownlinkRow, ReportRow, SessionRow
from shared.metrics import to_db
from shared.summary import Group, GroupColumn
from shared.types import Fallback


class Answer(BaseModel):
    """Base of every answer."""

    model_config = ConfigDict(frozen=True)


class Summary(Answer):
    """Metrics by group."""

    group_by: list[GroupColumn]
    nmse_average: str = "mean over reports of the per-report ratio (mean of ratios), then dB"
    groups: list[Group]


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
    store: str = Field(examples=["ok"], description="ok, or failing while reports cannot be stored: decoding goes on.")


class Session(Answer):
    """A session."""

    session_id: str = Field(examples=["511cb13f-2613-4b2c-9e57-919a3feb3cd0"])
    codec: str = Field(examples=["klt"])
    model_sha256: str
    domain: str = Field(examples=["angular-delay"])
    shape: tuple[int, int, int] = Field(description="num_rx_ant, num_tx_ant, num_subcarriers", examples=[(1, 32, 32)])
    link: str = Field(examples=["digital:bsc"])
    dataset_sha256: str = Field(description="Digest of the data set that its UE's channels are of; empty: not told.")
    estimator: str = Field(examples=["ls"])
    cnr_db: float | None = Field(description="SNR of its pilots; null for a perfect estimate.", examples=[10.0])
    downlink_snr_db: tuple[float, ...] = Field(description="At which the downlink is scored.", examples=[(0.0, 10.0)])
    downlink_num_ue: int = Field(description="UEs that it serves together: 1, by MRT; more, by zero forcing.")
    downlink_mcs: int | None = Field(description="MCS of the coded downlink; null: uncoded alone.", examples=[9])
    num_subbands: int = Field(description="Subbands of the SGCS per layer and subband; 0: not scored.")
    fallback: Fallback = Field(
        description="What stands for a report that is lost: `mean` or `last`.", examples=["mean"]
    )
    refinement: str = Field(description="How reports are refined.", examples=["snr:from-5"])
    refiner_sha256: str = Field(description="Digest of the refiner; empty: none.", examples=[""])
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
            dataset_sha256=row.dataset_sha256,
            estimator=row.estimator,
            cnr_db=row.cnr_db,
            downlink_snr_db=row.scoring.downlink_snr_db,
            downlink_num_ue=row.scoring.downlink_num_ue,
            downlink_mcs=row.scoring.downlink_mcs,
            num_subbands=row.scoring.num_subbands,
            fallback=row.fallback,
            refinement=row.refinement,
            refiner_sha256=row.refiner_sha256,
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
    refinement: str = Field(description="How reports of its session are refined.", examples=["snr:from-5"])
    received_at: float = Field(description="Unix time.", examples=[1795174463.77])
    rate: int = Field(
        description="Information bits, of a variable length before entropy coding, or symbols of an analog link.",
        examples=[128],
    )
    num_bits: int = Field(description="Information bits that it has; 0: symbols.", examples=[128])
    snr_db: float = Field(description="Es/N0 of the feedback link.", examples=[10.0])
    nmse: float | None = Field(description="Linear; null of a precoder.", examples=[0.1604])
    nmse_db: float | None = Field(description="Null also for an exact reconstruction.", examples=[-7.95])
    nmse_full: float | None = Field(
        description="Against the uncropped channel, linear; null where its crop loss is not known.", examples=[0.1752]
    )
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
    refined: bool = Field(description="The reconstruction is what a refiner made of the decoder's.")
    num_steps: int = Field(description="Of its sampler; 0: not refined.", examples=[2])

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
            refinement=row.refinement,
            received_at=row.received_at,
            rate=row.rate,
            num_bits=row.num_bits,
            snr_db=row.snr_db,
            nmse=row.nmse,
            nmse_db=None if row.nmse is None else to_db(row.nmse),
            nmse_full=row.nmse_full,
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
            refined=row.num_steps > 0,
            num_steps=row.num_steps,
        )


class DownlinkScore(Answer):
    """What a reconstruction is worth in the downlink at one SNR."""

    snr_db: float = Field(examples=[10.0])
    bler: float = Field(description="Probability of a block error: uncoded QPSK, one symbol a subcarrier.")
    spectral_efficiency: float = Field(description="bit/s/Hz, mean over subcarriers.")
    bler_perfect: float = Field(description="As `bler`, precoded from the true channel.")
    spectral_efficiency_perfect: float = Field(description="As `spectral_efficiency`, from the true channel.")
    bler_coded: float | None = Field(description="Probability that a transport block is lost; null if uncoded alone.")
    bler_coded_perfect: float | None = Field(description="As `bler_coded`, precoded from the true channel.")


class ReportDetail(Report):
    """A report with what its session asks to be scored besides."""

    downlink: list[DownlinkScore] = Field(description="At each downlink SNR of the session.")
    sgcs_subbands: list[list[float]] = Field(description="[layer][subband], strongest layer first; empty: not scored.")

    @classmethod
    def of(cls, row: ReportRow) -> "ReportDetail":
        """Convert a row of the store."""
        downlink = [_downlink_score(of_snr) for of_snr in row.downlink]
        subbands = [list(layer) for layer in row.sgcs_subbands]
        return cls(**Report.of(row).model_dump(), downlink=downlink, sgcs_subbands=subbands)


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


def _downlink_score(row: DownlinkRow) -> DownlinkScore:
    return DownlinkScore(
        snr_db=row.snr_db,
        bler=row.bler,
        spectral_efficiency=row.spectral_efficiency,
        bler_perfect=row.bler_perfect,
        spectral_efficiency_perfect=row.spectral_efficiency_perfect,
        bler_coded=row.bler_coded,
        bler_coded_perfect=row.bler_coded_perfect,
    )
