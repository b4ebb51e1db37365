"""A frame: reports of one session, column by column, with one payload buffer; and its acknowledgement.

    column   ue_id | sequence | rate | num_bits | snr_db | length   one entry a report
    payload  report 0 | report 1 | ...                              bits packed MSB first and byte-aligned, int8 LLRs,
                                                                    or symbols, complex64 little-endian
    no_eff   report 0 | report 1 | ...                              with symbols: the noise of each, float32
                                                                    little-endian

The identity of a report is (session, ue_id, sequence).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError
from shared.scoring import DEFAULT_SCORING, Scoring
from shared.types import CsiShape, Fallback, ReceivedKind

FIRST_PROTOCOL_VERSION = 1  # knows perfect estimates, plain scores and the mean channel, and skips what came later
SECOND_PROTOCOL_VERSION = 2  # brought `estimator`, `cnr_db`, `scoring` and `fallback`
THIRD_PROTOCOL_VERSION = 3  # brought `refinement` and `run`
PROTOCOL_VERSION = 4  # brought `variable_length`, and `num_bits` of a frame
SNR_DB_RANGE = (-40.0, 80.0)
MAX_POINTS = 1000  # of a range of SNRs
SYMBOL_BYTES, NO_EFF_BYTES = 8, 4  # complex64, float32


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What a UE asks for when it opens a session.

    Attributes:
        protocol_version: The lowest that says all of the request, so that older base stations take what they can.
        session_id: UUID chosen by the UE.
        codec: Name of the model.
        model_sha256: Digest of its file.
        shape: Shape and domain of a report's channel.
        link: Label of the emulated link.
        dataset_sha256: Data set of the truth indices, or "".
        estimator: Name of the UE's channel estimator.
        cnr_db: SNR of its pilots; None for a perfect estimate.
        scoring: What the base station scores besides what it always does.
        fallback: What stands for a report that cannot be used.
        refinement: Label of how reports are refined, see `shared.refinement.label`.
        run: With a refinement, seed of the UE's run; else 0.
        variable_length: Whether the codec's card says so: frames then say how many bits each report has.
    """

    protocol_version: int
    session_id: str
    codec: str
    model_sha256: str
    shape: CsiShape
    link: str
    dataset_sha256: str
    estimator: str = "perfect"
    cnr_db: float | None = None
    scoring: Scoring = DEFAULT_SCORING
    fallback: Fallback = "mean"
    refinement: str = "never"
    run: int = 0
    variable_length: bool = False

    @property
    def needs_version(self) -> int:
        """The lowest protocol version that says all of the request."""
        if self.variable_length:
            return PROTOCOL_VERSION
        if self.refinement != "never" or self.run:
            return THIRD_PROTOCOL_VERSION
        of_link = self.estimator != "perfect" or self.cnr_db is not None
        newer = of_link or self.scoring != DEFAULT_SCORING or self.fallback != "mean"
        return SECOND_PROTOCOL_VERSION if newer else FIRST_PROTOCOL_VERSION


def fixed_num_bits(kind: ReceivedKind, rate: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return `Frame.num_bits` of reports that have as many bits as their rate says: what a frame need not say."""
    return np.zeros_like(rate) if kind is ReceivedKind.SYMBOLS else rate


def points_of_range(text: str) -> list[float]:
    """Return the numbers of ``first:last:step``, last included.

    Raises:
        ValueError: If the text is no such range, or one of `MAX_POINTS` numbers or more.

    Example:
        >>> points_of_range("-5:5:5")
        [-5.0, 0.0, 5.0]
    """
    first, last, step = (float(part) for part in text.split(":"))
    if not step > 0 or not last >= first or not (last - first) / step < MAX_POINTS:
        raise ValueError("`last` must be at least `first`, and `step` above 0")
    return [first + i * step for i in range(math.floor((last - first) / step + 1e-9) + 1)]


@dataclass(frozen=True, slots=True)
class SessionGrant:
    """What the base station answers.

    Attributes:
        session_id: As asked.
        dataset_held: Whether truth may travel as indices.
        max_reports_per_frame: Largest frame.
        server_version: csilink version of the base station.
    """

    session_id: str
    dataset_held: bool
    max_reports_per_frame: int
    server_version: str


@dataclass(frozen=True, slots=True)
class SimTruth:
    """What only a simulator knows of a frame's reports; no decoder sees it.

    Attributes:
        dataset_index: [num_reports] int64, channel number in the session's data set; or None.
        h: [num_reports, num_complex] complex64, the channels themselves; or None.
        sent_bits: The information bits as sent, packed; empty with symbols.
        crop_loss: [num_reports] float64, with ``h``: the share of each whole channel's energy that the crop left out;
            None where it is not known.
    """

    dataset_index: NDArray[np.int64] | None
    h: NDArray[np.complex64] | None
    sent_bits: bytes
    crop_loss: NDArray[np.float64] | None = None


@dataclass(frozen=True, slots=True)
class Frame:
    """Reports of one session.

    Attributes:
        session_id: The session.
        frame_id: Chosen by the UE, carried back by the acknowledgement.
        kind: What the payload holds.
        ue_id: [num_reports] int64.
        sequence: [num_reports] int64.
        rate: [num_reports] int64, information bits, of a variable length before entropy coding, or symbols.
        num_bits: [num_reports] int64, information bits that each report has; 0 of symbols.
        snr_db: [num_reports] float32.
        length: [num_reports] int64, values of each report in the payload.
        payload: The values.
        truth: Side field, or None.
        deadline_ms: Milliseconds after arrival; 0 for none.
        no_eff: With symbols, the variance of the noise in each; else empty.
    """

    session_id: str
    frame_id: int
    kind: ReceivedKind
    ue_id: NDArray[np.int64]
    sequence: NDArray[np.int64]
    rate: NDArray[np.int64]
    num_bits: NDArray[np.int64]
    snr_db: NDArray[np.float32]
    length: NDArray[np.int64]
    payload: bytes
    truth: SimTruth | None
    deadline_ms: int
    no_eff: bytes = b""

    def __post_init__(self) -> None:
        """Refuse a frame that contradicts itself."""
        n = len(self.ue_id)
        if n == 0:
            raise InvalidArgumentError("`ue_id` must name at least one report; got 0.")
        for name in ("sequence", "rate", "num_bits", "snr_db", "length"):
            if len(getattr(self, name)) != n:
                raise InvalidArgumentError(
                    f"`{name}` must have one entry a report, {n}; got {len(getattr(self, name))}."
                )
        low, high = SNR_DB_RANGE
        if not ((self.snr_db >= low) & (self.snr_db <= high)).all():
            raise InvalidArgumentError(f"`snr_db` must be in [{low:g}, {high:g}]; got {self.snr_db.tolist()[:8]}.")
        if len(self.payload) != self.num_bytes.sum():
            wanted = int(self.num_bytes.sum())
            raise InvalidArgumentError(f"`payload` must hold {wanted} bytes by `length`; got {len(self.payload)}.")
        self._check_noise()
        if len(set(zip(self.ue_id.tolist(), self.sequence.tolist(), strict=True))) != n:
            raise InvalidArgumentError("`sequence` must not repeat within a frame for one `ue_id`; it does.")
        if self.truth is not None:
            self._check_truth(self.truth, n)

    def _check_noise(self) -> None:
        """Refuse symbols that no receiver would hand on; the lengths are checked before the numbers are read."""
        symbols = self.kind is ReceivedKind.SYMBOLS
        wanted = NO_EFF_BYTES * int(self.length.sum()) if symbols else 0
        if len(self.no_eff) != wanted:
            raise InvalidArgumentError(f"`no_eff` must hold {wanted} bytes by `length`; got {len(self.no_eff)}.")
        if symbols:
            if self.num_bits.any():
                raise InvalidArgumentError(f"`num_bits` of symbols must be 0; got {self.num_bits.max()}.")
            if not np.isfinite(np.frombuffer(self.payload, dtype="<f4")).all():
                raise InvalidArgumentError("`payload` must hold finite symbols; found one that is not.")
            no_eff = np.frombuffer(self.no_eff, dtype="<f4")
            if not (np.isfinite(no_eff) & (no_eff > 0)).all():
                raise InvalidArgumentError("`no_eff` must hold finite numbers above 0; found one that is not.")

    def _check_truth(self, truth: SimTruth, n: int) -> None:
        if (truth.dataset_index is None) == (truth.h is None):
            raise InvalidArgumentError("`truth` must hold either `dataset_index` or `h`; got both or neither.")
        given = truth.h if truth.dataset_index is None else truth.dataset_index
        if given is not None and len(given) != n:
            raise InvalidArgumentError(f"`truth` must have one entry a report, {n}; got {len(given)}.")
        loss = truth.crop_loss
        if loss is not None and (truth.h is None or len(loss) != n or not ((loss >= 0) & (loss <= 1)).all()):
            raise InvalidArgumentError(f"`truth.crop_loss` must hold {n} numbers in [0, 1], beside `h`; it does not.")
        wanted, found = int((-(-self.num_bits // 8)).sum()), len(truth.sent_bits)
        if found != wanted:
            raise InvalidArgumentError(f"`sent_bits` must hold {wanted} bytes by `num_bits`; got {found}.")

    @property
    def num_reports(self) -> int:
        """Reports in the frame."""
        return len(self.ue_id)

    @property
    def num_bytes(self) -> NDArray[np.int64]:
        """[num_reports] bytes of each report in the payload."""
        if self.kind is ReceivedKind.SYMBOLS:
            return SYMBOL_BYTES * self.length
        return self.length if self.kind is ReceivedKind.LLRS else -(-self.length // 8)


@dataclass(frozen=True, slots=True)
class FrameAck:
    """What became of a frame: every report stored (``code = 0``), or none accepted.

    Attributes:
        session_id: Of the frame.
        frame_id: Of the frame.
        code: google.rpc.Code.
        message: What was wrong, or "".
        retry_delay_ms: With RESOURCE_EXHAUSTED.
        duplicate: [num_reports] bool, already stored before.
        fallback: [num_reports] bool, reconstruction is the codec's mean channel.
        erased: [num_reports] bool, nothing arrived over the link.
        crc_failed: [num_reports] bool, a CRC does not hold.
        nmse: [num_reports] float64, linear; NaN of a precoder; empty without truth.
        sgcs: [num_reports] float64; empty without truth.
        bit_errors: [num_reports] int64, 0 where erased; empty without truth, and with symbols.
        queue_ms: [num_reports] float32.
        decode_ms: [num_reports] float32.
        total_ms: Arrival to commit.
        batch_size: [num_reports] int64.
        num_steps: [num_reports] int64, steps of the refiner; 0 where the reconstruction is not refined.
    """

    session_id: str
    frame_id: int
    code: int
    message: str
    retry_delay_ms: int
    duplicate: NDArray[np.bool_]
    fallback: NDArray[np.bool_]
    erased: NDArray[np.bool_]
    crc_failed: NDArray[np.bool_]
    nmse: NDArray[np.float64]
    sgcs: NDArray[np.float64]
    bit_errors: NDArray[np.int64]
    queue_ms: NDArray[np.float32]
    decode_ms: NDArray[np.float32]
    total_ms: float
    batch_size: NDArray[np.int64]
    num_steps: NDArray[np.int64]

    @property
    def refined(self) -> NDArray[np.bool_]:
        """[num_reports] bool, whether each reconstruction was refined."""
        return self.num_steps > 0

    @classmethod
    def refused(cls, session_id: str, frame_id: int, code: int, message: str, retry_delay_ms: int = 0) -> "FrameAck":
        """Acknowledge that no report of the frame was accepted."""
        none = np.zeros(0)
        flags, counts, times = none.astype(np.bool_), none.astype(np.int64), none.astype(np.float32)
        return cls(
            session_id, frame_id, code, message, retry_delay_ms,
            duplicate=flags, fallback=flags, erased=flags, crc_failed=flags, nmse=none, sgcs=none, bit_errors=counts,
            queue_ms=times, decode_ms=times, total_ms=0.0, batch_size=counts, num_steps=counts,
        )  # fmt: skip
