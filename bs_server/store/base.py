"""What the base station keeps, and the interface of a store; one contract test runs over every store.

session 1 -- n report 1 -- 0..1 reconstruction
                      1 -- n downlink, one for each downlink SNR of the session
                      1 -- n subbands, one for each layer and subband, where the session asks for them
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from shared.scoring import DEFAULT_SCORING, Scoring
from shared.summary import GroupColumn, GroupTotals
from shared.types import CsiShape, Fallback


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session.

    Attributes:
        session_id: UUID.
        codec: Name of the model.
        model_sha256: Digest of the model.
        shape: Shape and domain of a report's channel.
        link: Label of the emulated link.
        dataset_sha256: Data set of the truth indices, or "".
        opened_at: Unix time.
        closed_at: Unix time, or None while open.
        num_reports: Reports in the store.
        estimator: Name of the UE's channel estimator.
        cnr_db: SNR of its pilots; None for a perfect estimate.
        scoring: What is scored besides what always is.
        fallback: What stands for a report that cannot be used.
        refinement: Canonical label of how reports are refined.
        run: Seed of the UE's run, which keys the refiner's noise.
        refiner_sha256: Digest of the refiner, or "".
    """

    session_id: str
    codec: str
    model_sha256: str
    shape: CsiShape
    link: str
    dataset_sha256: str
    opened_at: float
    closed_at: float | None = None
    num_reports: int = 0
    estimator: str = "perfect"
    cnr_db: float | None = None
    scoring: Scoring = DEFAULT_SCORING
    fallback: Fallback = "mean"
    refinement: str = "never"
    run: int = 0
    refiner_sha256: str = ""


class DownlinkRow(NamedTuple):
    """What one report's reconstruction is worth in the downlink at one SNR: see `shared.metrics.downlink`.

    The columns of the table `downlink` after the report's identity, in their order.

    Attributes:
        snr_db: SNR of the downlink.
        bler: Probability of a block error.
        spectral_efficiency: bit/s/Hz.
        bler_perfect: As ``bler``, precoded from the true channel.
        spectral_efficiency_perfect: As ``spectral_efficiency``, precoded from the true channel.
        bler_coded: Probability that a transport block is lost; None where it is uncoded alone.
        bler_coded_perfect: As ``bler_coded``, precoded from the true channel.
    """

    snr_db: float
    bler: float
    spectral_efficiency: float
    bler_perfect: float
    spectral_efficiency_perfect: float
    bler_coded: float | None = None
    bler_coded_perfect: float | None = None


class ReportRow(NamedTuple):
    """A report: first the columns of the table `reports` in their order, then what is stored or found elsewhere.

    A tuple, which a database takes as it is: made and taken apart report by report, an object costs five times as much.

    Attributes:
        session_id: With ``ue_id`` and ``sequence``, the identity.
        ue_id: UE.
        sequence: Number at the UE.
        received_at: Unix time of arrival.
        rate: Information bits, of a variable length before entropy coding, or symbols of an analog link.
        num_bits: Information bits that it has; 0 of symbols.
        snr_db: Es/N0 of the feedback link.
        nmse: Linear, or None without truth, or of a precoder.
        sgcs: Or None without truth.
        bit_errors: Wrong information bits, or None without truth, where nothing arrived, or of symbols.
        fallback: Whether the reconstruction is the codec's mean channel, or the CSI that is held in its place.
        queue_ms: Time in the queue.
        decode_ms: Time of channel decoding and decoder, of its batch.
        batch_size: Reports decoded together.
        coded_bits: Bits on the air: information, CRC and channel code; 0 marks a report of symbols.
        channel_uses: Complex symbols on the air.
        rho: CsiNet's cosine similarity, or None without truth or outside the angular-delay domain.
        erased: Whether nothing arrived over the link.
        crc_ok: Whether the CRC holds; None without one, or where nothing arrived.
        nmse_full: NMSE against the uncropped channel, linear, or None without truth or its crop loss.
        held: Whether the fallback is the UE's last good CSI.
        num_steps: Steps of the refiner; 0 where the reconstruction is not refined.
        downlink: One for each downlink SNR of the session; empty without truth. Of `Store.report` alone.
        sgcs_subbands: [layer][subband], empty unless the session asks for it. Of `Store.report` alone.
        codec: Of the session; filled in on reading.
        link: Of the session; filled in on reading.
        report_id: Filled in on reading.
        has_reconstruction: Filled in on reading.
        estimator: Of the session; filled in on reading.
        cnr_db: Of the session; filled in on reading.
        refinement: Of the session; filled in on reading.
    """

    session_id: str
    ue_id: int
    sequence: int
    received_at: float
    rate: int
    num_bits: int
    snr_db: float
    nmse: float | None
    sgcs: float | None
    bit_errors: int | None
    fallback: bool
    queue_ms: float
    decode_ms: float
    batch_size: int
    coded_bits: int
    channel_uses: int
    rho: float | None = None
    erased: bool = False
    crc_ok: bool | None = None
    nmse_full: float | None = None
    held: bool = False
    num_steps: int = 0
    downlink: tuple[DownlinkRow, ...] = ()
    sgcs_subbands: tuple[tuple[float, ...], ...] = ()
    codec: str = ""
    link: str = ""
    report_id: int = 0
    has_reconstruction: bool = False
    estimator: str = ""
    cnr_db: float | None = None
    refinement: str = ""


@dataclass(frozen=True, slots=True)
class ReconstructionRow:
    """The channel of a report as reconstructed, and as it was.

    Attributes:
        session_id: With ``ue_id`` and ``sequence``, the report.
        ue_id: UE.
        sequence: Number at the UE.
        h_hat: [num_rx_ant, num_tx_ant, num_subcarriers] complex64.
        h: Same shape, or None without truth.
    """

    session_id: str
    ue_id: int
    sequence: int
    h_hat: NDArray[np.complex64]
    h: NDArray[np.complex64] | None


@dataclass(frozen=True, slots=True)
class ReportFilter:
    """Which reports are meant; None means any."""

    session_id: str | None = None
    codec: str | None = None
    link: str | None = None
    ue_id: int | None = None
    rate: int | None = None
    snr_db: float | None = None
    estimator: str | None = None
    cnr_db: float | None = None
    refinement: str | None = None


class Store(Protocol):
    """Where sessions and reports are kept. Every method that writes returns after the commit."""

    async def open(self) -> None:
        """Connect and check, bring up to date, or create the schema.

        Raises:
            DataFileError: If the database cannot be used, or holds a schema version that is not known.
        """

    async def close(self) -> None:
        """Disconnect."""

    async def add_session(self, session: SessionRow) -> None:
        """Add a session."""

    async def close_session(self, session_id: str, closed_at: float) -> None:
        """Note that a session has ended."""

    async def reopen_session(self, session_id: str) -> None:
        """Note that a session goes on."""

    async def session(self, session_id: str) -> SessionRow | None:
        """Return a session, or None."""

    async def sessions(self, limit: int, before: float | None) -> list[SessionRow]:
        """Return sessions, newest first, opened before a time."""

    async def open_models(self) -> set[str]:
        """Return the digests of the models that open sessions are of."""

    async def idle_sessions(self, before: float, session_id: str | None = None) -> list[str]:
        """Return sessions that were closed before a time, or opened before it and sent nothing since, oldest first.

        Args:
            before: Unix time.
            session_id: This one alone, if it is one of them.
        """

    async def remove_session(self, session_id: str) -> None:
        """Remove a session, if it is there, with all that is of it."""

    async def append(self, reports: Sequence[ReportRow], reconstructions: Sequence[ReconstructionRow]) -> None:
        """Add reports and reconstructions in one commit; a report that is already there stays as it is.

        Raises:
            NotFoundError: If a session of theirs is not there any more; then nothing is added.
        """

    async def runs(self, session_id: str) -> list[tuple[int, int, int]]:
        """Return (ue_id, first sequence, last sequence) of a session's reports, runs without a gap, increasing."""

    async def find(self, session_id: str, identities: Sequence[tuple[int, int]]) -> list[ReportRow]:
        """Return the reports of a session with the given (ue_id, sequence), those that exist, in any order."""

    async def reports(self, where: ReportFilter, limit: int, after_id: int, *, scan: bool = False) -> list[ReportRow]:
        """Return reports with ``report_id > after_id``, oldest first.

        Args:
            where: Which.
            limit: Most that are returned.
            after_id: Id of the last one of the page before; 0 for the first page.
            scan: Read along the ids instead of an index of the filter. Slower for one page of a small session; all
                pages together then read every report once, where an index sorts the whole session for each page.
        """

    async def newest_report_id(self) -> int:
        """Return the id of the newest report; 0 where there is none."""

    async def report(self, report_id: int) -> ReportRow | None:
        """Return a report, or None."""

    async def reconstruction(self, report_id: int) -> ReconstructionRow | None:
        """Return the kept reconstruction of a report, or None."""

    async def sum_up(self) -> bool:
        """Add a chunk of the reports that came since to the sums that `totals` reads; return whether there are more."""

    async def totals(self, where: ReportFilter, group_by: Sequence[GroupColumn]) -> list[GroupTotals]:
        """Return sums by group, ordered by key, None first."""
