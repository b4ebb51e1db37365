"""Build the containers, run them and ask REST what arrived: `make compose-test`.

    build -> bs + 1 ue -> reports of both codecs? -> 2 ue -> as many again from each?
          -> profile `postgres`: postgres + bs-postgres + ue-postgres -> in PostgreSQL? -> still there after a restart?
          -> down

Needs docker with Compose and nothing but the standard library. Everything it starts bears its own project name, on
free ports, and is taken down at the end, whatever happens.
"""

import json
import math
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

ROOT = Path(__file__).parents[2]
CODECS = ("klt", "angular-topk", "csinet", "crnet")
PROFILE = ("--profile", "postgres")
REPORTS_PER_UE = 9 * 200  # of each codec: the SNR points and --num-reports in docker-compose.yml
DEADLINE_S = 300.0
POLL_S = 0.5


class ComposeTestError(Exception):
    """What the containers did is not what they should do."""


class Compose:
    """`docker compose` of one project of its own, on free ports."""

    def __init__(self) -> None:
        ports = free_ports(4)
        names = ("GRPC_PORT", "REST_PORT", "POSTGRES_GRPC_PORT", "POSTGRES_REST_PORT")
        self.rest_port, self.postgres_rest_port = ports[1], ports[3]
        settings = {f"CSILINK_{name}": str(port) for name, port in zip(names, ports, strict=True)}
        settings |= {"COMPOSE_PROJECT_NAME": f"csilink-test-{os.getpid()}", "POSTGRES_IMAGE": postgres_image()}
        self._environment = os.environ | settings

    def __call__(self, *arguments: str) -> None:
        """Run a command, its output on ours."""
        print("+ docker compose", *arguments, flush=True)
        self._run(*arguments, stdout=None)

    def output(self, *arguments: str) -> str:
        """Run a command and return what it prints."""
        return self._run(*arguments, stdout=subprocess.PIPE)

    def _run(self, *arguments: str, stdout: int | None) -> str:
        command = ["docker", "compose", *arguments]
        done = subprocess.run(command, cwd=ROOT, env=self._environment, stdout=stdout, text=True, check=False)
        if done.returncode:
            raise ComposeTestError(f"{' '.join(command)} ended with exit code {done.returncode}.")
        return done.stdout or ""


def main() -> str | None:
    """Run the test and return what failed; None if it passed."""
    try:
        compose = Compose()
    except ComposeTestError as error:
        return f"compose-test: FAILED: {error}"
    passed = False
    try:
        compose("build")
        run_ue(compose, num_ue=1, num_runs=1)
        run_ue(compose, num_ue=2, num_runs=3)  # the first UE's container runs once more
        run_on_postgres(compose)
        passed = True
    except ComposeTestError as error:
        return f"compose-test: FAILED: {error}"
    finally:
        if not passed:
            compose(*PROFILE, "logs", "--no-color", "--tail", "200")
        compose(*PROFILE, "down", "--volumes", "--timeout", "30")
    print("compose-test: passed")
    return None


def run_ue(compose: Compose, num_ue: int, num_runs: int) -> None:
    """Start a base station and UEs, and wait until the reports of ``num_runs`` runs since the first are counted."""
    compose("up", "--detach", "--no-build", "--scale", f"ue={num_ue}")
    wait_until("the base station is ready", lambda: is_ready(compose.rest_port))
    wait_until(f"{num_ue} ue ended with exit code 0", lambda: have_ended(compose, "ue", num_ue))
    num_reports = num_runs * REPORTS_PER_UE
    wait_until(f"{num_reports} reports of each codec", lambda: check_summary(compose.rest_port, num_reports))


def run_on_postgres(compose: Compose) -> None:
    """Run the same on PostgreSQL; look into the database, and ask again after the base station was started anew."""
    port = compose.postgres_rest_port
    compose("up", "--detach", "--no-build", "ue-postgres")
    wait_until("the base station on PostgreSQL is ready", lambda: is_ready(port))
    wait_until("ue-postgres ended with exit code 0", lambda: have_ended(compose, "ue-postgres", 1))
    wait_until(f"{REPORTS_PER_UE} reports of each codec", lambda: check_summary(port, REPORTS_PER_UE))
    count = "SELECT count(*) FROM reports"
    found = compose.output("exec", "-T", "postgres", "psql", "-U", "csilink", "-At", "-c", count).strip()
    if found != str(len(CODECS) * REPORTS_PER_UE):
        raise ComposeTestError(f"PostgreSQL must hold {len(CODECS) * REPORTS_PER_UE} reports; got {found}.")
    compose("restart", "bs-postgres")
    wait_until("the base station on PostgreSQL is ready again", lambda: is_ready(port))
    if not check_summary(port, REPORTS_PER_UE):
        raise ComposeTestError("The reports must be there after a restart; they are not.")


def postgres_image() -> str:
    """Return the image that the profile `postgres` takes here.

    Raises:
        ComposeTestError: If there is none.
    """
    command = [sys.executable, str(Path(__file__).with_name("postgres.py")), "image"]
    end = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    if end.returncode:
        raise ComposeTestError("There is no image of PostgreSQL.")
    return end.stdout.strip()


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback interface that nothing listens on."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [server.getsockname()[1] for server in sockets]
    for server in sockets:
        server.close()
    return ports


def wait_until(what: str, condition: Callable[[], bool]) -> None:
    """Poll a condition.

    Raises:
        ComposeTestError: If it does not hold in time.
    """
    start = time.monotonic()
    while not condition():
        if time.monotonic() - start > DEADLINE_S:
            raise ComposeTestError(f"Not within {DEADLINE_S:.0f} s: {what}.")
        time.sleep(POLL_S)
    print(f"  {what} ({time.monotonic() - start:.1f} s)", flush=True)


def is_ready(rest_port: int) -> bool:
    """Return whether the base station answers that it is ready."""
    try:
        with urlopen(f"http://127.0.0.1:{rest_port}/v1/health/ready", timeout=5) as response:
            return bool(response.status == 200)
    except (URLError, ConnectionError, TimeoutError):
        return False


def have_ended(compose: Compose, service: str, num_ue: int) -> bool:
    """Return whether all UE containers of a service have ended well.

    Raises:
        ComposeTestError: If one ended badly, or there are not as many as wanted.
    """
    containers = compose.output("ps", "--all", "--quiet", service).split()
    if len(containers) != num_ue:
        raise ComposeTestError(f"There must be {num_ue} {service} containers; got {len(containers)}.")
    states = [state_of(container) for container in containers]
    if bad := [state for state in states if state.startswith("exited") and state != "exited 0"]:
        raise ComposeTestError(f"Every {service} must end with exit code 0; got {', '.join(bad)}.")
    return all(state == "exited 0" for state in states)


def state_of(container: str) -> str:
    """Return ``running 0`` or ``exited <code>``."""
    form = "{{.State.Status}} {{.State.ExitCode}}"
    command = ["docker", "inspect", "--format", form, container]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def check_summary(rest_port: int, num_reports: int) -> bool:
    """Return whether exactly ``num_reports`` of each codec are counted, with NMSE and BLER.

    Raises:
        ComposeTestError: If there are more, or a metric is missing.
    """
    with urlopen(f"http://127.0.0.1:{rest_port}/v1/metrics/summary?group_by=codec", timeout=10) as response:
        groups = {group["codec"]: group for group in json.load(response)["groups"]}
    counts = [groups[codec]["num_reports"] if codec in groups else 0 for codec in CODECS]
    if max(counts) > num_reports:
        raise ComposeTestError(f"There must be {num_reports} reports of each codec; got {counts}.")
    if min(counts) < num_reports:
        return False
    for codec in CODECS:
        nmse_db, bler = groups[codec]["nmse"]["mean_db"], groups[codec]["bler"]["value"]
        if nmse_db is None or not math.isfinite(nmse_db) or bler is None or not 0 <= bler <= 1:
            raise ComposeTestError(f"NMSE and BLER of {codec} must be numbers; got {nmse_db} and {bler}.")
        print(f"  {codec}: {num_reports} reports, NMSE {nmse_db:.2f} dB, BLER {bler:.3f}")
    return True


if __name__ == "__main__":
    sys.exit(main())
