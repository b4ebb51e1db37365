"""What the acknowledgements of a run add up to."""

from array import array
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from shared.metrics import to_db
from ue_client.sender import Delivery


@dataclass(slots=True)
class Tally:
    """Sums over the reports of one (codec, rate, SNR); retries and latencies are those of the frames that held some.

    Attributes:
        codec: Name of the model.
        rate: Information bits of a report, or its symbols.
        snr_db: Es/N0 of the feedback link.
        link: Label of the link.
        session_id: The session, by which REST filters.
        estimator: Name of the channel estimator.
        cnr_db: SNR of its pilots; None for a perfect estimate.
        refinement: How the base station refines what it decodes.
    """

    codec: str
    rate: int
    snr_db: float
    link: str
    session_id: str
    estimator: str = "perfect"
    cnr_db: float | None = None
    refinement: str = "never"
    num_stored: int = 0
    num_refused: int = 0
    num_retries: int = 0
    num_fallbacks: int = 0
    num_erased: int = 0
    num_crc_failed: int = 0
    num_refined: int = 0
    num_info_bits: int = 0  # of those that are stored
    num_blocks: int = 0  # reports with truth that are made of bits
    num_block_errors: int = 0
    num_decided_bits: int = 0  # of those of the blocks that arrived
    num_bit_errors: int = 0
    refusal: str = ""
    _nmse: "array[float]" = field(default_factory=lambda: array("d"))
    _sgcs: "array[float]" = field(default_factory=lambda: array("d"))
    _latency_s: "array[float]" = field(default_factory=lambda: array("d"))

    def add(self, delivery: Delivery, rows: NDArray[np.bool_]) -> None:
        """Add reports of a delivery.

        Args:
            delivery: A frame and its acknowledgement.
            rows: [num_reports] bool, which reports of the frame.
        """
        ack = delivery.ack
        self.num_retries += delivery.num_attempts - 1
        if ack.code:
            self.num_refused += int(rows.sum())
            self.refusal = ack.message
            return
        self.num_stored += int(rows.sum())
        self.num_fallbacks += int(ack.fallback[rows].sum())
        self.num_erased += int(ack.erased[rows].sum())
        self.num_crc_failed += int(ack.crc_failed[rows].sum())
        self.num_refined += int(ack.refined[rows].sum())
        self.num_info_bits += int(delivery.frame.num_bits[rows].sum())
        self._latency_s.append(delivery.latency_s)
        if len(ack.sgcs):  # empty without truth
            nmse = ack.nmse[rows]
            self._nmse.extend(nmse[~np.isnan(nmse)].tolist())  # a precoder has none
            self._sgcs.extend(ack.sgcs[rows].tolist())
        if len(ack.bit_errors):  # empty also with symbols
            self.num_blocks += int(rows.sum())
            decided = rows & ~ack.erased
            self.num_decided_bits += int(delivery.frame.num_bits[decided].sum())
            self.num_bit_errors += int(ack.bit_errors[decided].sum())
            self.num_block_errors += int(((ack.bit_errors > 0) | ack.erased)[rows].sum())

    def row(self) -> dict[str, str | int | float | None]:
        """Return the figures; those that need truth are None without it, those of bits where there are none."""
        num_nmse, scored = len(self._nmse), len(self._sgcs)
        p50, p95 = np.percentile(self._latency_s or [np.nan], [50, 95])
        return {
            "codec": self.codec,
            "rate": self.rate,
            "snr_db": self.snr_db,
            "link": self.link,
            "session_id": self.session_id,
            "estimator": self.estimator,
            "cnr_db": self.cnr_db,
            "refinement": self.refinement,
            "reports": self.num_stored,
            "info_bits_per_report": self.num_info_bits / self.num_stored if self.num_info_bits else None,
            "nmse": sum(self._nmse) / num_nmse if num_nmse else None,
            "nmse_db": to_db(sum(self._nmse) / num_nmse) if num_nmse else None,
            "sgcs": sum(self._sgcs) / scored if scored else None,
            "ber": self.num_bit_errors / self.num_decided_bits if self.num_decided_bits else None,
            "bler": self.num_block_errors / self.num_blocks if self.num_blocks else None,
            "fallbacks": self.num_fallbacks,
            "erased": self.num_erased,
            "crc_failed": self.num_crc_failed,
            "refined": self.num_refined,
            "refused": self.num_refused,
            "retries": self.num_retries,
            "p50_ms": None if np.isnan(p50) else round(1000 * float(p50), 2),
            "p95_ms": None if np.isnan(p95) else round(1000 * float(p95), 2),
        }


@dataclass(frozen=True, slots=True)
class SessionResult:
    """What came of one session.

    Attributes:
        codec: Name of the model.
        session_id: The session, by which REST filters.
        duration_s: From its first frame to its last acknowledgement, encoding included.
        num_channels: Channels of the data set, which its reports took in turn.
        tallies: One for each SNR.
    """

    codec: str
    session_id: str
    duration_s: float
    num_channels: int
    tallies: tuple[Tally, ...]

    def row(self) -> dict[str, str | int | float | None]:
        """Return the figures of the session as a whole."""
        reports = sum(tally.num_stored for tally in self.tallies)
        return {
            "codec": self.codec,
            "session_id": self.session_id,
            "reports": reports,
            "duration_s": round(self.duration_s, 3),
            "reports_per_s": round(reports / self.duration_s, 1),
        }
