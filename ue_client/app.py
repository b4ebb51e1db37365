"""`csi-ue run` and `csi-ue fleet`: send reports of one UE or of many, and say what came of them.

for codec: open session -> columns of a frame -> encoder, link -> frame ==> acknowledgements -> close session
"""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable

import numpy as np

from shared.channels import ChannelSet, load_channels
from shared.codecs import load_codec
from shared.errors import InvalidArgumentError, UnavailableError
from shared.estimation import Estimator, make_estimator, require_estimation
from shared.estimation.lmmse import LmmseEstimator
from shared.frame import Frame, SessionGrant
from shared.scoring import DEFAULT_SCORING
from ue_client.columns import ManyUes, OneUe
from ue_client.config import Settings
from ue_client.pipeline import Pipeline, TruthBy, make_pipeline
from ue_client.results import SessionResult, Tally
from ue_client.sender import Sender


async def send(
    settings: Settings, reports: OneUe | ManyUes, progress: Callable[[str, int], None]
) -> list[SessionResult]:
    """Send the reports of one UE or of many, in one session for each codec.

    Args:
        settings: Settings.
        reports: Which; those of one UE take the channels of the data set in turn, starting over at its end.
        progress: Called with what is sent and the number of reports just acknowledged.

    Returns:
        One result for each codec.

    Raises:
        CsiError: If the settings do not go together, or the base station is not there, refuses a session, or goes away.
    """
    channels = load_channels(settings.data)
    if reports.first_channel >= len(channels.h):
        raise InvalidArgumentError(
            f"`first_channel` must be below {len(channels.h)}, the channels of {channels.name}; "
            f"got {reports.first_channel}."
        )
    pipelines = make_pipelines(settings, channels)
    sender = Sender(settings.bs, settings.seed, settings.access)
    try:
        await sender.connect(settings.connect_s)
        return [await _run_session(settings, sender, pipeline, reports, progress) for pipeline in pipelines]
    finally:
        await sender.close()


def make_pipelines(settings: Settings, channels: ChannelSet) -> list[Pipeline]:
    """Return one pipeline a codec.

    Raises:
        CsiError: If codec, link, rate, channels and estimator do not go together.
    """
    if not settings.codecs:
        raise InvalidArgumentError("`codec` must be given at least once; got none.")
    estimator = _estimator(settings, channels)
    return [
        make_pipeline(
            load_codec(name),
            channels,
            settings.link,
            settings.rate,
            settings.seed,
            estimator,
            settings.cnr_db,
            settings.scoring if settings.truth else DEFAULT_SCORING,  # nothing is scored without
            settings.fallback,
            settings.refinement,
            settings.encode_steps,
        )
        for name in settings.codecs
    ]


def _estimator(settings: Settings, channels: ChannelSet) -> Estimator:
    """Return the estimator, with the statistics of the channels in use unless others are given."""
    require_estimation(settings.estimator, settings.cnr_db)
    if settings.covariance_data is None:
        return make_estimator(settings.estimator, channels.shape, channels.h)
    if settings.estimator != LmmseEstimator.name:
        raise InvalidArgumentError(f"`covariance_data` is for estimator lmmse; got estimator {settings.estimator}.")
    statistics = load_channels(settings.covariance_data, option="covariance_data")
    if statistics.shape != channels.shape:
        found = f"{statistics.name} holds {statistics.shape}"
        raise InvalidArgumentError(f"`covariance_data` must hold {channels.shape}, as `data` does; {found}.")
    return make_estimator(settings.estimator, channels.shape, statistics.h)


def truth_by(settings: Settings, grant: SessionGrant) -> TruthBy | None:
    """Return how truth travels: not, by index, or as channels where the base station lacks the data set."""
    if not settings.truth:
        return None
    return "index" if grant.dataset_held else "channel"


async def _run_session(
    settings: Settings,
    sender: Sender,
    pipeline: Pipeline,
    reports: OneUe | ManyUes,
    progress: Callable[[str, int], None],
) -> SessionResult:
    session_id = str(uuid.uuid4())
    grant = await sender.open_session(pipeline.session_request(session_id))
    name, transmitter = pipeline.card.name, pipeline.transmitter
    tallies = {
        snr: Tally(
            name,
            transmitter.rate,
            snr,
            transmitter.link.label,
            session_id,
            transmitter.estimator.name,
            transmitter.cnr_db,
            str(pipeline.refinement),
        )
        for snr in reports.snr_db
    }
    by_value = {float(np.float32(snr)): tally for snr, tally in tallies.items()}
    frames = _frames(settings, pipeline, session_id, grant, reports)
    start_s = time.monotonic()
    async for delivery in sender.send(frames, settings.in_flight):
        snr_db = delivery.frame.snr_db
        for value in np.unique(snr_db).tolist():
            by_value[value].add(delivery, snr_db == value)
        progress(name, delivery.frame.num_reports)
    duration_s = time.monotonic() - start_s
    stored = await sender.close_session(session_id)
    acknowledged = sum(tally.num_stored for tally in tallies.values())
    if stored != acknowledged:
        raise UnavailableError(f"The base station acknowledged {acknowledged} reports of {name} and stored {stored}.")
    return SessionResult(name, session_id, duration_s, len(pipeline.channels.h), tuple(tallies.values()))


async def _frames(
    settings: Settings, pipeline: Pipeline, session_id: str, grant: SessionGrant, reports: OneUe | ManyUes
) -> AsyncIterator[Frame]:
    """Encode and transmit, frame by frame, in a thread beside the event loop."""
    size = min(settings.reports_per_frame, grant.max_reports_per_frame)
    size -= size % settings.scoring.downlink_num_ue  # whole groups
    if not size:
        wanted = f"at most {grant.max_reports_per_frame}, the largest frame of the base station"
        raise InvalidArgumentError(f"`downlink_num_ue` must be {wanted}; got {settings.scoring.downlink_num_ue}.")
    for frame_id, columns in enumerate(reports.frames(len(pipeline.channels.h), size)):
        yield await asyncio.to_thread(
            pipeline.frame,
            session_id,
            frame_id,
            columns.ue_id,
            columns.sequence,
            columns.channel_index,
            columns.snr_db,
            truth_by(settings, grant),
            settings.deadline_ms,
        )
