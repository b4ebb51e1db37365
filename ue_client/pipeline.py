"""The UE's way from channels to a frame: estimator, encoder, link, packing.

h -> Estimator.estimate -> h_est at unit power -> Encoder.encode -> Payload -> Link.transmit -> Received -> Frame
+------------------------------------------------------------------> h or its number, and the sent bits, as SimTruth
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from shared.channels import ChannelSet
from shared.codecs import EncodeContext, Encoder, make_encoder
from shared.coding.bits import pack
from shared.errors import InvalidArgumentError
from shared.estimation import Estimator, require_estimation
from shared.estimation.perfect import PerfectEstimator
from shared.frame import FIRST_PROTOCOL_VERSION, PROTOCOL_VERSION, Frame, SessionRequest, SimTruth
from shared.links import Link, make_link
from shared.model_files import CodecCard, ModelFile
from shared.rng import Randomness
from shared.transforms import normalize_power
from shared.wire.payload import pack_received
from ue_client.config import DEFAULT_RATE

TruthBy = Literal["index", "channel"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Estimator, encoder and link of one session.

    Attributes:
        encoder: UE side of the codec.
        link: The emulated air interface.
        channels: Where h comes from.
        rate: Information bits of a report.
        run: Seed of the run.
        estimator: What the UE makes of its pilots.
        cnr_db: SNR of the pilots; None for a perfect estimate.
    """

    encoder: Encoder
    link: Link
    channels: ChannelSet
    rate: int
    run: int
    estimator: Estimator
    cnr_db: float | None

    @property
    def card(self) -> CodecCard:
        """Card of the codec."""
        return self.encoder.card

    def session_request(self, session_id: str) -> SessionRequest:
        """Return what to ask the base station for."""
        return SessionRequest(
            FIRST_PROTOCOL_VERSION if self.cnr_db is None else PROTOCOL_VERSION,
            session_id,
            self.card.name,
            self.card.sha256,
            self.card.shape,
            self.link.label,
            self.channels.sha256,
            self.estimator.name,
            self.cnr_db,
        )

    def frame(
        self,
        session_id: str,
        frame_id: int,
        ue_id: NDArray[np.int64] | int,
        sequence: NDArray[np.int64],
        channel_index: NDArray[np.int64],
        snr_db: NDArray[np.floating] | float,
        truth_by: TruthBy | None,
        deadline_ms: int = 0,
    ) -> Frame:
        """Estimate, encode and transmit some channels.

        Args:
            session_id: The session.
            frame_id: Carried back by the acknowledgement.
            ue_id: [n] the UE of each report, or one for all.
            sequence: [n] numbers of the reports at their UE.
            channel_index: [n] which channels of the data set.
            snr_db: [n] Es/N0 of the feedback link, or one for all.
            truth_by: ``"index"``, ``"channel"``, or None for no truth.
            deadline_ms: Milliseconds after arrival in which the reports must reach the device; 0 for none.
        """
        n = len(sequence)
        h = self.channels.h[torch.from_numpy(channel_index)]
        ue = np.full(n, ue_id, dtype=np.int64)
        snr = np.full(n, snr_db, dtype=np.float32)
        randomness = Randomness(self.run, ue, sequence)
        payload = self.encoder.encode(self._estimate(h, randomness), EncodeContext(self.rate, snr, randomness))
        received = self.link.transmit(payload, snr, randomness)
        truth = None
        if truth_by is not None:
            index = channel_index if truth_by == "index" else None
            channels = None if truth_by == "index" else h.flatten(1).numpy()
            truth = SimTruth(index, channels, pack(payload.bits, payload.length))
        return Frame(
            session_id=session_id,
            frame_id=frame_id,
            kind=received.kind,
            ue_id=ue,
            sequence=sequence,
            rate=np.full(n, self.rate, dtype=np.int64),
            snr_db=snr,
            length=received.length,
            payload=pack_received(received),
            truth=truth,
            deadline_ms=deadline_ms,
        )

    def _estimate(self, h: Tensor, randomness: Randomness) -> Tensor:
        """Return what the encoder gets: the estimate at unit mean power, since the UE knows no other scale."""
        if self.cnr_db is None:
            return self.estimator.estimate(
                h, np.full(len(h), np.inf), randomness
            )  # normalised again, h would be rounded
        return normalize_power(self.estimator.estimate(h, np.full(len(h), self.cnr_db), randomness))


def make_pipeline(
    model: ModelFile,
    channels: ChannelSet,
    link_label: str,
    rate: int | None,
    run: int,
    estimator: Estimator | None = None,
    cnr_db: float | None = None,
) -> Pipeline:
    """Put a pipeline together.

    Args:
        model: The codec's model.
        channels: Where h comes from.
        link_label: See `shared.links.make_link`.
        rate: Information bits of a report; None for `DEFAULT_RATE`, or the only rate of the codec.
        run: Seed of the run.
        estimator: What the UE makes of its pilots; None for a perfect estimate.
        cnr_db: SNR of the pilots; None for a perfect estimate.

    Raises:
        InvalidArgumentError: If codec, link, rate, channels, estimator and CNR do not go together.
    """
    card = model.card
    if rate is None:
        rate = card.max_rate if card.min_rate == card.max_rate else DEFAULT_RATE
    card.require_rate(rate)
    link = make_link(link_label)
    card.require_link(link.family, link.label)
    if channels.shape != card.shape:
        raise InvalidArgumentError(
            f"`data` for codec {card.name} must hold {card.shape}; {channels.name} holds {channels.shape}."
        )
    estimator = estimator or PerfectEstimator()
    require_estimation(estimator.name, cnr_db)
    return Pipeline(make_encoder(model, torch.device("cpu")), link, channels, rate, run, estimator, cnr_db)
