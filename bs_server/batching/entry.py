"""What waits to be decoded: reports of one frame and rate, and the place for their result.

Work --in a queue--> Entry --batch--> a decoder pool --> Decoded --> Entry.result
"""

import asyncio
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from shared.coding.channel_code import DecodedReports
from shared.evaluation import Scores
from shared.fallback import ReportIdentity
from shared.refinement.label import NEVER, RefinementLabel
from shared.rng import Randomness
from shared.scoring import Scoring
from shared.types import Payload, Received, ReceivedKind


@dataclass(frozen=True, slots=True)
class BatchKey:
    """Reports of one key can be decoded together.

    Attributes:
        model_sha256: The model.
        rate: Information bits of a report, of a variable length before entropy coding: a batch has reports of several.
        kind: What the front end handed on.
        code: Label of the channel code.
        scoring: What is scored besides what always is.
        refinement: How reports are refined; the label is canonical, and so one for all that are refined alike.
    """

    model_sha256: str
    rate: int
    kind: ReceivedKind
    code: str
    scoring: Scoring
    refinement: RefinementLabel = NEVER


@dataclass(frozen=True, slots=True)
class ChannelDecoded:
    """What channel decoding made of a batch.

    Attributes:
        received: The reports of all entries.
        reports: The information bits as decided, and their CRC; None of symbols.
        seconds: Time that it took.
    """

    received: Received
    reports: DecodedReports | None
    seconds: float


@dataclass(frozen=True, slots=True)
class Decoded:
    """What the device made of an entry; every array has one entry a report, and is a view of its batch's.

    Attributes:
        h_hat: [n, num_rx_ant, num_tx_ant, num_subcarriers] complex64 on the host.
        fallback: [n] bool.
        held: [n] bool, those of the fallbacks that took the UE's last good CSI.
        erased: [n] bool.
        checked: [n] bool, True where a report arrived with a CRC.
        crc_ok: [n] bool, False where a CRC does not hold, or nothing arrived.
        num_steps: [n] int64, steps of the refiner; 0 where a report was not refined.
        scores: Or None without truth.
        queue_ms: Time waited: in the queue, and for the device.
        decode_ms: Time worked, on the whole batch: channel decoding, decoder and refiner, without the
            scores.
        batch_size: Reports decoded together.
    """

    h_hat: NDArray[np.complex64]
    fallback: NDArray[np.bool_]
    held: NDArray[np.bool_]
    erased: NDArray[np.bool_]
    checked: NDArray[np.bool_]
    crc_ok: NDArray[np.bool_]
    num_steps: NDArray[np.int64]
    scores: Scores | None
    queue_ms: float
    decode_ms: float
    batch_size: int


@dataclass(frozen=True, slots=True, eq=False)
class Work:
    """Reports of one frame and one key, as a decoder takes them: what may go to another process.

    Attributes:
        key: What they may be batched with.
        received: The reports.
        num_bits: [n] information bits of each; 0 of symbols.
        snr_db: [n] float32.
        h: [n, num_rx_ant, num_tx_ant, num_subcarriers] complex64, truth for the evaluation; or None.
        sent: The bits as sent; None exactly when ``h`` is.
        arrival_s: Time of arrival by this machine's monotonic clock, which is the event loop's.
        reports: [n] whose they are, where a lost one takes its UE's last good CSI; None: the mean channel.
        crop_loss: [n] float64, share of each whole channel's energy that the crop left out; None where it is not known.
        randomness: [n] what the refiner draws from; None where nothing is refined.
    """

    key: BatchKey
    received: Received
    num_bits: NDArray[np.int64]
    snr_db: NDArray[np.float32]
    h: Tensor | None
    sent: Payload | None
    arrival_s: float
    reports: list[ReportIdentity] | None = None
    crop_loss: NDArray[np.float64] | None = None
    randomness: Randomness | None = None

    @property
    def num_reports(self) -> int:
        """Reports in it."""
        return len(self.snr_db)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Entry(Work):
    """Work that waits in a queue, and who waits for it.

    Attributes:
        deadline_s: Loop time after which its decoding must not begin; infinite for none.
        result: Where the result goes; cancelled when nobody waits for it any more.
        session_id: Whose it is: sessions share the device.
    """

    deadline_s: float
    result: asyncio.Future[Decoded]
    session_id: str = ""
