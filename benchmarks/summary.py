"""How long REST takes to answer with the summary, by the number of stored reports.

python -m benchmarks.summary --out benchmarks/results                    # SQLite; --database-url for another

Reports of four sessions (two codecs, two rates, four SNRs, one downlink) are put into a store, and a base station is
asked over HTTP: the summary as it is by default, by codec and SNR, and of one session. The time of the first answer,
which sums up what came since the last, and p50 and p95 of all. Few sessions: the time grows with theirs.
"""

import asyncio
import json
import os
import tempfile
import time
import uuid
from pathlib import Path
from typing import Annotated, Any

import httpx
import numpy as np
import typer

from bs_server.store import DownlinkRow, ReportRow, SessionRow, make_store
from shared.experiments.commands.printing import command_line
from shared.experiments.demo import start_base_station
from shared.model_files import load_model
from shared.scoring import Scoring

SNR_DB = (0.0, 5.0, 10.0, 15.0)
CHUNK = 2_000


def main(
    out: Annotated[Path, typer.Option(help="Folder for summary.json.")] = Path("benchmarks/results"),
    sizes: Annotated[str, typer.Option(help="Numbers of reports, ascending.")] = "10000,100000,1000000",
    requests: Annotated[int, typer.Option(min=2, help="Of each kind.")] = 40,
    database_url: Annotated[str, typer.Option(help="An empty database; a file of SQLite unless given.")] = "",
) -> None:
    """Fill, ask, write JSON."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        url = database_url or f"sqlite:///{folder}/csilink.db"
        station = start_base_station(Path(folder), ["--database-url", url])
        try:
            filled = 0
            sessions = asyncio.run(_open(url))
            for size in map(int, sizes.split(",")):
                asyncio.run(_fill(url, sessions, filled, size))
                filled = size
                rows.append({"reports": size} | _ask(station.rest_port, sessions[0], requests))
                typer.echo(json.dumps(rows[-1]))
        finally:
            station.stop()
    out.mkdir(parents=True, exist_ok=True)
    dialect = url.split(":", 1)[0]
    result = {"command": command_line("python -m benchmarks.summary"), "cpu_count": os.cpu_count(), "rows": rows}
    (out / f"summary_{dialect}.json").write_text(json.dumps(result, indent=2) + "\n")


async def _open(url: str) -> list[str]:
    store = make_store(url, 10)
    await store.open()
    sessions = []
    for codec in ("klt", "csinet"):
        card = load_model(codec).card
        for _ in range(2):
            sessions.append(str(uuid.uuid4()))
            row = SessionRow(
                sessions[-1], codec, card.sha256, card.shape, "digital:bsc", "", time.time(), scoring=Scoring((0.0,))
            )
            await store.add_session(row)
    await store.close()
    return sessions


async def _fill(url: str, sessions: list[str], start: int, end: int) -> None:
    store = make_store(url, 10)
    await store.open()
    rng = np.random.default_rng(start)
    for first in range(start, end, CHUNK):
        nmse = rng.lognormal(-1, 0.8, CHUNK).tolist()
        await store.append([_row(sessions, first + i, nmse[i]) for i in range(min(CHUNK, end - first))], [])
    await store.close()


def _row(sessions: list[str], number: int, nmse: float) -> ReportRow:
    session = number % len(sessions)
    downlink = DownlinkRow(0.0, min(1.0, nmse), 5.0 - nmse / 10, 0.01, 5.0)
    return ReportRow(
        session_id=sessions[session],
        ue_id=session,
        sequence=number,
        received_at=time.time(),
        rate=(64, 128)[session % 2],
        num_bits=(64, 128)[session % 2],
        snr_db=SNR_DB[number // len(sessions) % len(SNR_DB)],
        nmse=nmse,
        sgcs=1 / (1 + nmse),
        bit_errors=int(nmse > 0.5),
        fallback=False,
        queue_ms=2.0,
        decode_ms=5.0,
        batch_size=64,
        coded_bits=(64, 128)[session % 2],
        channel_uses=(64, 128)[session % 2],
        rho=0.9,
        downlink=(downlink,),
    )


def _ask(port: int, session: str, requests: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    questions = {
        "default": "",
        "by_codec_and_snr": "?group_by=codec&group_by=snr_db",
        "of_a_session": f"?session={session}",
    }
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600) as rest:
        for name, query in questions.items():
            times_ms = []
            for _ in range(requests):
                start_s = time.perf_counter()
                rest.get(f"/v1/metrics/summary{query}").raise_for_status()
                times_ms.append(1000 * (time.perf_counter() - start_s))
                if sum(times_ms) > 30_000:
                    break
            found[name] = {
                "requests": len(times_ms),
                "first_ms": round(times_ms[0], 1),
                "p50_ms": round(float(np.percentile(times_ms, 50)), 1),
                "p95_ms": round(float(np.percentile(times_ms, 95)), 1),
            }
    return found


if __name__ == "__main__":
    typer.run(main)
