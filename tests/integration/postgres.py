"""PostgreSQL in a container, and the store's tests on it: `make postgres-test`.

    postgres.py image   print the name of an image to use: $POSTGRES_IMAGE, or the one of docker-compose.yml where it
                        can be had, or else a stand-in built here (postgres.Dockerfile)
    postgres.py test    start a server of it on a free port, run tests/bs_server/store on it, and take it down

Needs docker; `test` needs pytest and the packages of csilink besides.
"""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
STAND_IN = "csilink-postgres-stand-in"
USER, PASSWORD = "csilink", "csilink-test"
READY_S = 60.0
POLL_S = 0.2


class PostgresError(Exception):
    """There is no PostgreSQL to test with."""


def main() -> str | None:
    """Run the command; return what failed, or None."""
    commands = {"image": print_image, "test": test}
    if sys.argv[1:2] == [] or sys.argv[1] not in commands:
        return f"usage: postgres.py {' | '.join(commands)}"
    try:
        commands[sys.argv[1]]()
    except PostgresError as error:
        return f"postgres.py: {error}"
    return None


def print_image() -> None:
    """Print the image's name."""
    print(image())


def image() -> str:
    """Return the name of an image of PostgreSQL that is there."""
    match = re.search(r"\$\{POSTGRES_IMAGE:-([^}]+)\}", (ROOT / "docker-compose.yml").read_text())
    if match is None:
        raise PostgresError("docker-compose.yml must name a default of POSTGRES_IMAGE; it does not.")
    name = os.environ.get("POSTGRES_IMAGE") or match[1]
    if succeeds("image", "inspect", name) or succeeds("pull", name):
        return name
    if "POSTGRES_IMAGE" in os.environ:
        raise PostgresError(f"POSTGRES_IMAGE must name an image that can be pulled; got {name}.")
    print(f"postgres.py: {name} cannot be pulled; building a stand-in of Debian's package", file=sys.stderr, flush=True)
    base = os.environ.get("BASE_IMAGE", "python:3.11-slim-bookworm")
    network = os.environ.get("BUILD_NETWORK", "default")
    file = ROOT / "tests/integration/postgres.Dockerfile"
    options = ["--quiet", "--network", network, "--build-arg", f"BASE_IMAGE={base}", "--tag", STAND_IN]
    docker("build", *options, "--file", str(file), str(file.parent))
    return STAND_IN


def test() -> None:
    """Run the store's tests on a server in a container."""
    settings = {"POSTGRES_USER": USER, "POSTGRES_PASSWORD": PASSWORD, "POSTGRES_DB": USER}
    environment = [part for name, value in settings.items() for part in ("--env", f"{name}={value}")]
    container = docker("run", "--detach", "--rm", "--publish", "127.0.0.1::5432", *environment, image())
    try:
        wait_until_ready(container)
        address = docker("port", container, "5432/tcp").splitlines()[0]
        url = f"postgresql://{USER}:{PASSWORD}@{address}/{USER}"
        command = [sys.executable, "-m", "pytest", "tests/bs_server/store", "-k", "postgresql", "-rs", *sys.argv[2:]]
        end = subprocess.run(command, cwd=ROOT, env=os.environ | {"CSILINK_TEST_POSTGRES_URL": url}, check=False)
        if end.returncode:
            raise PostgresError(f"the store's tests on PostgreSQL ended with exit code {end.returncode}.")
    finally:
        docker("rm", "--force", "--volumes", container)


def wait_until_ready(container: str) -> None:
    """Wait until the server answers over TCP; while the official image sets up, it listens on a socket file only."""
    deadline_s = time.monotonic() + READY_S
    while not succeeds("exec", container, "pg_isready", "--quiet", "--host", "127.0.0.1", "--username", USER):
        if time.monotonic() > deadline_s:
            raise PostgresError(f"PostgreSQL must be ready within {READY_S:.0f} s; it is not.")
        time.sleep(POLL_S)


def docker(*arguments: str) -> str:
    """Run docker and return what it prints."""
    end = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
    if end.returncode:
        raise PostgresError(f"docker {' '.join(arguments[:2])} ended with exit code {end.returncode}: {end.stderr}")
    return end.stdout.strip()


def succeeds(*arguments: str) -> bool:
    """Return whether docker does something without complaint."""
    return subprocess.run(["docker", *arguments], capture_output=True, check=False).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
