"""The base station beside LitServe and Ray Serve: the same decoder, payloads and core, throughput and p99.

pip install -c constraints.txt litserve 'ray[serve]'
python -m benchmarks.peers --out benchmarks/results

In turns, closed loops of rising concurrency: what is served a second, and how late. Servers run on one core with all
their processes, the generator on another. The base station checks, stores and acknowledges each report besides, by its
usual durability; the peers decode and answer (`benchmarks.peer_litserve`, `peer_ray`).
"""

import asyncio
import base64
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from benchmarks.station import load_command
from shared.experiments.commands.printing import command_line
from shared.experiments.demo import start_base_station

PEERS = {"litserve": "/predict", "ray": "/"}  # and where each takes requests
CONTENT = {"/predict": "application/json", "/": "application/octet-stream"}
START_S = 120.0
WARM_UP_S = 2.0


def main(
    out: Annotated[Path, typer.Option(help="Folder for peers.json.")] = Path("benchmarks/results"),
    seconds: Annotated[float, typer.Option(min=0.5, help="Of each closed loop.")] = 5,
    turns: Annotated[int, typer.Option(min=1)] = 3,
    codec: Annotated[str, typer.Option()] = "csinet",
    rate: Annotated[int, typer.Option(help="Bits, a multiple of 8.")] = 128,
    reports: Annotated[list[int], typer.Option(min=1, help="Of a frame, or request; repeatable.")] = [1, 16],  # noqa: B006
    in_flight: Annotated[list[int], typer.Option(min=1, help="Requests at once; repeatable.")] = [1, 4, 16, 64],  # noqa: B006
) -> None:
    """Measure, print a line a loop, write JSON."""
    rows: list[dict[str, Any]] = []
    for turn in range(turns):
        for size in reports:
            for server in ("csilink", *PEERS):
                with _serving(server, codec, rate, size) as run:
                    run(4, WARM_UP_S)
                    for number in in_flight:
                        row = {"turn": turn, "server": server, "reports": size, "in_flight": number}
                        rows.append(row | run(number, seconds))
                        typer.echo(json.dumps(rows[-1]))
    compared = [_compared(rows, size, peer, number) for size in reports for peer in PEERS for number in in_flight]
    for line in compared:
        typer.echo(json.dumps(line))
    out.mkdir(parents=True, exist_ok=True)
    command = command_line("python -m benchmarks.peers")
    result = {"command": command, "cpu_count": os.cpu_count(), "compared": compared, "rows": rows}
    (out / "peers.json").write_text(json.dumps(result, indent=2) + "\n")


def _compared(rows: list[dict[str, Any]], size: int, peer: str, in_flight: int) -> dict[str, Any]:
    """Return what the base station has at the p99, and at the throughput, of one loop of a peer: medians of turns.

    A loop of ours carries at its p99 what it carries, or what one of a shorter p99 does, if that is more. Between two
    it is a straight line. None: no loop of ours is so quick, or carries so much.
    """
    ours = [row for row in rows if row["server"] == "csilink" and row["reports"] == size]
    theirs = [row for row in rows if row["server"] == peer and row["reports"] == size]
    p99, carried = np.array(sorted(_medians(ours, number) for number in {row["in_flight"] for row in ours})).T
    carried = np.maximum.accumulate(carried)
    peer_p99, peer_carried = _medians(theirs, in_flight)
    at_p99 = None if peer_p99 < p99[0] else float(np.interp(peer_p99, p99, carried))
    at_throughput = None if peer_carried > carried[-1] else float(np.interp(peer_carried, carried, p99))
    return {
        "peer": peer,
        "reports": size,
        "in_flight": in_flight,
        "peer_reports_per_s": round(peer_carried),
        "peer_p99_ms": round(peer_p99, 1),
        "throughput_ratio_at_equal_p99": None if at_p99 is None else round(at_p99 / peer_carried, 2),
        "p99_ratio_at_equal_throughput": None if at_throughput is None else round(at_throughput / peer_p99, 2),
    }


def _medians(rows: list[dict[str, Any]], in_flight: int) -> tuple[float, float]:
    """Return p99, ms, and reports/s of so many requests at once."""
    of = [row for row in rows if row["in_flight"] == in_flight]
    p99, carried = (float(np.median([row[name] for row in of])) for name in ("p99_ms", "reports_per_s"))
    return p99, carried


@contextlib.contextmanager
def _serving(server: str, codec: str, rate: int, size: int) -> Iterator[Any]:
    """Start a server on the first core and yield what loads it from the last: (in_flight, seconds) -> figures."""
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        os.sched_setaffinity(0, cores[:1])
        if server == "csilink":
            station = start_base_station(Path(folder), ["--max-reports-per-frame", str(max(64, size))])
            stop = station.stop
        else:
            port = _free_port()
            arguments = [codec, str(rate), str(size), str(port)]
            command = [sys.executable, "-m", f"benchmarks.peer_{server}", *arguments]
            with (Path(folder) / "log").open("wb") as log:
                process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)  # noqa: S603

            def stop() -> None:
                os.killpg(process.pid, signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    os.killpg(process.pid, signal.SIGKILL)

        os.sched_setaffinity(0, cores[-1:])
        body = np.random.default_rng(1).bytes(size * rate // 8)
        if server == "litserve":  # which takes JSON
            body = json.dumps({"bits": base64.b64encode(body).decode()}).encode()

        def run(in_flight: int, seconds: float) -> dict[str, float]:
            if server != "csilink":
                return asyncio.run(_closed_loop(port, PEERS[server], body, size, in_flight, seconds))
            options = ["--codec", codec, "--rate", str(rate), "--reports-per-frame", str(size), "--no-truth"]
            options += ["--num-sessions", "1", "--in-flight", str(in_flight), "--duration-s", str(seconds)]
            done = subprocess.run(load_command(station, *options), stdout=subprocess.PIPE, check=True)  # noqa: S603
            result = json.loads(done.stdout)
            return {name: round(result[name], 2) for name in ("reports_per_s", "p50_ms", "p99_ms")}

        try:
            if server != "csilink":
                _wait(lambda: run(1, 0.0), process, Path(folder) / "log")
            yield run
        finally:
            os.sched_setaffinity(0, cores)
            stop()


async def _closed_loop(
    port: int, path: str, body: bytes, size: int, in_flight: int, seconds: float
) -> dict[str, float]:
    """Keep so many requests under way, a connection each."""
    latencies: list[float] = []
    start_s = time.perf_counter()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {CONTENT[path]}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )

    async def one() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while True:
            sent_s = time.perf_counter()
            writer.write(head.encode() + body)
            answer = await _answer(reader)
            if answer != str(size).encode():
                raise RuntimeError(f"the answer must be {size}; got {answer!r}.")
            answered_s = time.perf_counter()
            latencies.append(answered_s - sent_s)
            if answered_s >= start_s + seconds:
                break
        writer.close()

    await asyncio.gather(*(one() for _ in range(in_flight)))
    took_s = time.perf_counter() - start_s
    p50, p99 = np.percentile(latencies, [50, 99]) * 1000
    return {
        "reports_per_s": round(size * len(latencies) / took_s, 2),
        "p50_ms": round(float(p50), 2),
        "p99_ms": round(float(p99), 2),
    }


async def _answer(reader: asyncio.StreamReader) -> bytes:
    """Read one response of HTTP/1.1 with a length, or in chunks; return its body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    if not head.startswith("http/1.1 200"):
        raise RuntimeError(f"the answer must be 200; got {head.splitlines()[0]}.")
    fields = dict(line.split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
    if "content-length" in fields:
        return await reader.readexactly(int(fields["content-length"]))
    body = b""
    while size := int(await reader.readline(), 16):
        body += await reader.readexactly(size)
        await reader.readline()
    await reader.readline()
    return body


def _wait(ask: Callable[[], object], process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Wait until a server answers.

    Raises:
        RuntimeError: If it ends, or does not in time; with the end of its log.
    """
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        with contextlib.suppress(OSError, EOFError, RuntimeError):  # not there yet, or there and not ready
            ask()
            return
        time.sleep(0.2)
    raise RuntimeError(f"the server does not answer:\n{log.read_text()[-2000:]}")


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


if __name__ == "__main__":
    typer.run(main)
