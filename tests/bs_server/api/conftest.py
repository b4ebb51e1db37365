"""Two sessions in the store of a base-station process, and a client of its REST API."""

import asyncio
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import httpx
import numpy as np
import pytest

from shared.experiments.demo import BaseStationProcess
from shared.scoring import Scoring
from ue_client.pipeline import Pipeline, TruthBy
from ue_client.sender import Sender

NUM_REPORTS = 25  # of each SNR


@dataclass(frozen=True, slots=True)
class Sent:
    """A session as sent."""

    session_id: str
    codec: str
    link: str
    num_reports: int
    scoring: Scoring


@pytest.fixture(scope="session")
def sent(station: BaseStationProcess, make_ue: Callable[..., Pipeline]) -> tuple[Sent, Sent]:
    """One session with truth; one that estimates and holds CSI, half without truth, over a link that loses reports."""
    sessions = (
        Sent(str(uuid.uuid4()), "klt", "digital:bsc", 2 * NUM_REPORTS, Scoring((-5.0, 10.0), num_subbands=4)),
        Sent(
            str(uuid.uuid4()), "angular-topk", "digital:hard:qpsk:erasure-0.3", 2 * NUM_REPORTS, Scoring((2.5,), 5, 9)
        ),
    )

    async def send() -> None:
        sender = Sender(f"127.0.0.1:{station.grpc_port}")
        for session in sessions:
            ls_cnr_db = 12.5 if session.codec == "angular-topk" else None
            ue = make_ue(session.codec, session.link, None, ls_cnr_db, session.scoring)
            request = ue.session_request(session.session_id)
            if ls_cnr_db is not None:  # the base station cannot know how data that it does not hold hang together
                request = replace(request, fallback="last", dataset_sha256="")
            await sender.open_session(request)
            for i, snr_db in enumerate((0.0, 2.5)):
                sequence = np.arange(i * NUM_REPORTS, (i + 1) * NUM_REPORTS)
                truth_by: TruthBy | None = "index" if ls_cnr_db is None else None if i else "channel"
                ack = await sender.report(ue.frame(session.session_id, i, 7, sequence, sequence, snr_db, truth_by))
                assert ack.code == 0
        await sender.close_session(sessions[0].session_id)
        await sender.close()

    asyncio.run(send())
    return sessions


@pytest.fixture(scope="session")
def rest(station: BaseStationProcess, sent: tuple[Sent, Sent]) -> Iterator[httpx.Client]:
    """A client of the REST API of a base station that holds the sessions of `sent`."""
    with httpx.Client(base_url=f"http://127.0.0.1:{station.rest_port}", timeout=30) as client:
        yield client


@pytest.fixture(scope="session")
def scored(sent: tuple[Sent, Sent]) -> str:
    """Id of the session with truth."""
    return sent[0].session_id


@pytest.fixture(scope="session")
def half_scored(sent: tuple[Sent, Sent]) -> str:
    """Id of the session of which half came without truth."""
    return sent[1].session_id
