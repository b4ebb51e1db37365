"""`csi-ue run`: send reports over a list of codecs and SNRs, and say what came of them.

for codec: open session -> for snr: channels 0 ... n - 1 -> frames ==> acknowledgements -> close session
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable

import numpy as np

from shared.channels import ChannelSet, load_channels
from shared.errors import DataFileError, InvalidArgumentError, UnavailableError
from shared.estimation import Estimator, make_estimator, require_estimation
from shared.estimation.lmmse import LmmseEstimator
from shared.frame import Frame, SessionGrant
from shared.model_files import load_model
from ue_client.config import Settings
from ue_client.pipeline import Pipeline, TruthBy, make_pipeline
from ue_client.results import Tally
from ue_client.sender import Sender


async def run(
    settings: Settings, snr_db: tuple[float, ...], num_reports: int, progress: Callable[[str, int], None]
) -> list[Tally]:
    """Send ``num_reports`` reports for each codec and SNR.

    Args:
        settings: Settings.
        snr_db: SNRs of the feedback link.
        num_reports: Reports for each codec and SNR; channel ``i`` of the data set is report ``i``, starting over at
            its end.
        progress: Called with what is sent and the number of reports just acknowledged.

    Returns:
        One tally for each codec and SNR.

    Raises:
        CsiError: If the settings do not go together, or the base station is not there, refuses a session, or goes away.
    """
    pipelines = make_pipelines(settings, load_channels(settings.data))
    sender = Sender(settings.bs, settings.seed)
    try:
        await sender.connect(settings.connect_s)
        return [
            tally
            for pipeline in pipelines
            for tally in await _run_session(settings, sender, pipeline, snr_db, num_reports, progress)
        ]
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
            load_model(name), channels, settings.link, settings.rate, settings.seed, estimator, settings.cnr_db
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
    try:
        statistics = load_channels(settings.covariance_data)
    except DataFileError as error:
        raise DataFileError(f"`covariance_data`: {error}") from error
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
    snr_db: tuple[float, ...],
    num_reports: int,
    progress: Callable[[str, int], None],
) -> list[Tally]:
    session_id = str(uuid.uuid4())
    grant = await sender.open_session(pipeline.session_request(session_id))
    name = pipeline.card.name
    tallies = {
        snr: Tally(name, pipeline.rate, snr, pipeline.link.label, session_id, pipeline.estimator.name, pipeline.cnr_db)
        for snr in snr_db
    }
    frames = _frames(settings, pipeline, session_id, grant, snr_db, num_reports)
    by_value = {float(np.float32(snr)): tally for snr, tally in tallies.items()}
    async for delivery in sender.send(frames, settings.in_flight):
        by_value[float(delivery.frame.snr_db[0])].add(delivery)
        progress(name, delivery.frame.num_reports)
    stored = await sender.close_session(session_id)
    acknowledged = sum(tally.num_stored for tally in tallies.values())
    if stored != acknowledged:
        raise UnavailableError(f"The base station acknowledged {acknowledged} reports of {name} and stored {stored}.")
    return list(tallies.values())


async def _frames(
    settings: Settings,
    pipeline: Pipeline,
    session_id: str,
    grant: SessionGrant,
    snr_db: tuple[float, ...],
    num_reports: int,
) -> AsyncIterator[Frame]:
    """Encode and transmit, frame by frame, in a thread beside the event loop."""
    size = min(settings.reports_per_frame, grant.max_reports_per_frame)
    frame_id = 0
    for i, snr in enumerate(snr_db):
        for start in range(0, num_reports, size):
            report = np.arange(start, min(start + size, num_reports))
            yield await asyncio.to_thread(
                pipeline.frame,
                session_id,
                frame_id,
                settings.ue_id,
                report + i * num_reports,
                report % len(pipeline.channels.h),
                snr,
                truth_by(settings, grant),
                settings.deadline_ms,
            )
            frame_id += 1
