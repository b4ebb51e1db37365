"""The UE's way from channels to a frame.

h -> Transmitter.transmit -> Received -> Frame
+--> h or its number, and the sent bits, as SimTruth
"""

import dataclasses
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from shared.channels import ChannelSet
from shared.coding.bits import pack
from shared.estimation import Estimator
from shared.fallback import require_fallback
from shared.frame import FIRST_PROTOCOL_VERSION, Frame, SessionRequest, SimTruth
from shared.model_files import CodecCard, ModelFile
from shared.refinement.label import NEVER, RefinementLabel, parse_refinement
from shared.rng import Randomness
from shared.scoring import DEFAULT_SCORING, Scoring
from shared.transmit import Transmitter, make_transmitter
from shared.types import Fallback
from shared.wire.payload import pack_noise, pack_received

TruthBy = Literal["index", "channel"]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What one session sends.

    Attributes:
        transmitter: Estimator, codec, channel code and link.
        channels: Where h comes from.
        run: Seed of the run.
        scoring: What the base station scores besides what it always does.
        fallback: What stands for a report that cannot be used.
        refinement: How the base station refines what it decodes.
    """

    transmitter: Transmitter
    channels: ChannelSet
    run: int
    scoring: Scoring = DEFAULT_SCORING
    fallback: Fallback = "mean"
    refinement: RefinementLabel = NEVER

    @property
    def card(self) -> CodecCard:
        """Card of the codec."""
        return self.transmitter.card

    def session_request(self, session_id: str) -> SessionRequest:
        """Return what to ask the base station for."""
        transmitter = self.transmitter
        request = SessionRequest(
            FIRST_PROTOCOL_VERSION,
            session_id,
            self.card.name,
            self.card.sha256,
            self.card.shape,
            transmitter.link.label,
            self.channels.sha256,
            transmitter.estimator.name,
            transmitter.cnr_db,
            self.scoring,
            self.fallback,
            str(self.refinement),
            0 if self.refinement == NEVER else self.run,
            self.card.length == "variable",
        )
        return dataclasses.replace(request, protocol_version=request.needs_version)

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
        sent = self.transmitter.transmit(h, snr, Randomness(self.run, ue, sequence))
        truth = None
        if truth_by is not None:
            index = channel_index if truth_by == "index" else None
            channels = None if truth_by == "index" else h.flatten(1).numpy()
            loss = None if truth_by == "index" or self.channels.crop_loss is None else self.channels.crop_loss
            crop_loss = None if loss is None else loss[torch.from_numpy(channel_index)].numpy()
            truth = SimTruth(index, channels, pack(sent.payload.bits, sent.payload.length), crop_loss)
        return Frame(
            session_id=session_id,
            frame_id=frame_id,
            kind=sent.received.kind,
            ue_id=ue,
            sequence=sequence,
            rate=np.full(n, self.transmitter.rate, dtype=np.int64),
            num_bits=sent.payload.length,
            snr_db=snr,
            length=sent.received.length,
            payload=pack_received(sent.received),
            truth=truth,
            deadline_ms=deadline_ms,
            no_eff=pack_noise(sent.received),
        )


def make_pipeline(
    model: ModelFile,
    channels: ChannelSet,
    link_label: str,
    rate: int | None,
    run: int,
    estimator: Estimator | None = None,
    cnr_db: float | None = None,
    scoring: Scoring = DEFAULT_SCORING,
    fallback: Fallback = "mean",
    refinement: str = "never",
    encode_steps: int | None = None,
) -> Pipeline:
    """Put a pipeline together.

    Args:
        model: The codec's model.
        channels: Where h comes from.
        link_label: As `shared.links.make_link` takes it.
        rate: Information bits of a report; None for the default.
        run: Seed of the run.
        estimator: What the UE makes of its pilots; None for a perfect estimate.
        cnr_db: SNR of the pilots; None for a perfect estimate.
        scoring: What the base station scores besides what it always does.
        fallback: What stands for a report that cannot be used.
        refinement: Label of how the base station refines what it decodes.
        encode_steps: As `make_transmitter` takes it.

    Raises:
        InvalidArgumentError: If codec, link, rate, channels, estimator, CNR and fallback do not go together, or the
            refinement is none.
    """
    scoring.require_fit(channels.shape)
    require_fallback(fallback, channels)
    transmitter = make_transmitter(model, channels.shape, link_label, rate, estimator, cnr_db, encode_steps)
    return Pipeline(transmitter, channels, run, scoring, fallback, parse_refinement(refinement))
