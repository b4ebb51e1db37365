"""What the acknowledgements of a run add up to."""

from dataclasses import dataclass, field

import numpy as np

from shared.metrics import to_db
from ue_client.sender import Delivery


@dataclass(slots=True)
class Tally:
    """Sums over the deliveries of one (codec, rate, SNR).

    Attributes:
        codec: Name of the model.
        rate: Information bits of a report.
        snr_db: Es/N0 of the feedback link.
        link: Label of the link.
        session_id: The session, by which REST filters.
        estimator: Name of the channel estimator.
        cnr_db: SNR of its pilots; None for a perfect estimate.
    """

    codec: str
    rate: int
    snr_db: float
    link: str
    session_id: str
    estimator: str = "perfect"
    cnr_db: float | None = None
    num_stored: int = 0
    num_refused: int = 0
    num_retries: int = 0
    num_fallbacks: int = 0
    refusal: str = ""
    _nmse: list[float] = field(default_factory=list)
    _sgcs: list[float] = field(default_factory=list)
    _bit_errors: list[int] = field(default_factory=list)
    _latency_s: list[float] = field(default_factory=list)

    def add(self, delivery: Delivery) -> None:
        """Add a delivery."""
        ack = delivery.ack
        self.num_retries += delivery.num_attempts - 1
        if ack.code:
            self.num_refused += delivery.frame.num_reports
            self.refusal = ack.message
            return
        self.num_stored += delivery.frame.num_reports
        self.num_fallbacks += int(ack.fallback.sum())
        self._nmse += ack.nmse.tolist()
        self._sgcs += ack.sgcs.tolist()
        self._bit_errors += ack.bit_errors.tolist()
        self._latency_s.append(delivery.latency_s)

    def row(self) -> dict[str, str | int | float | None]:
        """Return the figures; those that need truth are None without it."""
        scored = len(self._nmse)
        p50, p95 = np.percentile(self._latency_s or [np.nan], [50, 95])
        return {
            "codec": self.codec,
            "rate": self.rate,
            "snr_db": self.snr_db,
            "link": self.link,
            "session_id": self.session_id,
            "estimator": self.estimator,
            "cnr_db": self.cnr_db,
            "reports": self.num_stored,
            "nmse": sum(self._nmse) / scored if scored else None,
            "nmse_db": to_db(sum(self._nmse) / scored) if scored else None,
            "sgcs": sum(self._sgcs) / scored if scored else None,
            "ber": sum(self._bit_errors) / (scored * self.rate) if scored else None,
            "bler": sum(errors > 0 for errors in self._bit_errors) / scored if scored else None,
            "fallbacks": self.num_fallbacks,
            "refused": self.num_refused,
            "retries": self.num_retries,
            "p50_ms": None if np.isnan(p50) else round(1000 * float(p50), 2),
            "p95_ms": None if np.isnan(p95) else round(1000 * float(p95), 2),
        }
