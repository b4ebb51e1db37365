"""The demo: a base station and a UE as two processes, four codecs over SNR, the summary asked over REST.

csi-bs serve  <==gRPC==  csi-ue run        then  GET /v1/metrics/summary  ->  table, plot, summary.json

Then joint source-channel coding beside separate coding: `shared.experiments.demo_joint_coding`; and where it is asked
for, the standard's codebooks: `shared.experiments.demo_standard`.
"""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from shared.errors import InvalidArgumentError, UnavailableError
from shared.experiments import demo_joint_coding, demo_standard
from shared.experiments.plots import Group, plot_joint_coding, plot_sgcs_over_bits, plot_summary
from shared.model_files import load_model

CODECS = ("klt", "angular-topk", "csinet", "crnet")
DOWNLINK_SNR_DB = "0"
LINK = "digital:bsc"
MOST_JOINT_REPORTS = 200  # of a point in the second half, where networks are a hundred times as large
START_S = 180.0  # beside others, replicas of Ray take a minute
STOP_S = 30.0


@dataclass(frozen=True, slots=True)
class BaseStationProcess:
    """A base station in a process of its own.

    Attributes:
        process: The process.
        grpc_port: Port of gRPC.
        rest_port: Port of REST.
        log: Its log.
    """

    process: "subprocess.Popen[bytes]"
    grpc_port: int
    rest_port: int
    log: Path

    def get(self, path: str) -> Any:
        """Ask the REST API for JSON."""
        return json.loads(self.text(path))

    def text(self, path: str) -> str:
        """Ask the REST API."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.rest_port}{path}", timeout=30) as answer:
            content: bytes = answer.read()
        return content.decode()

    def stop(self) -> None:
        """End the process as an operator would: SIGTERM, and wait."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(STOP_S)


def start_base_station(folder: Path, arguments: Sequence[str] = ()) -> BaseStationProcess:
    """Start ``csi-bs serve`` on free ports and wait until it is ready.

    Args:
        folder: Where its database and log go.
        arguments: Further options of ``csi-bs serve``.

    Raises:
        UnavailableError: If it ends, or is not ready in time; with the end of its log.
    """
    folder.mkdir(parents=True, exist_ok=True)
    log = folder / "bs.log"
    database = f"sqlite:///{folder / 'csilink.db'}"
    command = [sys.executable, "-m", "bs_server", "serve", "--grpc-port", "0", "--rest-port", "0"]
    with log.open("wb") as stream:
        process = subprocess.Popen(  # noqa: S603  (our own command)
            [*command, "--database-url", database, *arguments], stdout=stream, stderr=stream, start_new_session=True
        )
    deadline_s = time.monotonic() + START_S
    while time.monotonic() < deadline_s and process.poll() is None:
        for line in log.read_text().splitlines():
            if line.startswith("{") and (entry := json.loads(line))["message"] == "ready":
                return BaseStationProcess(process, entry["grpc_port"], entry["rest_port"], log)
        time.sleep(0.05)
    process.kill()
    process.wait()
    tail = "\n".join(log.read_text().splitlines()[-5:])
    raise UnavailableError(f"The base station is not ready; the end of {log}:\n{tail}")


@dataclass(frozen=True, slots=True)
class DemoResult:
    """What a demo measured.

    Attributes:
        groups: Groups of the summary, four codecs over SNR.
        joint: Way of `shared.experiments.demo_joint_coding` -> its groups over SNR.
        standard: Groups of the standard's codebooks and others over bits; empty unless they were asked for.
        still_running: What to say of the base station that still runs; None where it does not.
    """

    groups: list[Group]
    joint: dict[str, list[Group]]
    standard: list[Group]
    still_running: str | None


def run_demo(folder: Path, num_reports: int, rate: int, snr_db: str, keep: bool, standard: bool = False) -> DemoResult:
    """Run the demo.

    Args:
        folder: Where database, logs, plot and summary go.
        num_reports: Reports for each codec and SNR.
        rate: Information bits of a report; a codec that does not have it is left out.
        snr_db: SNRs, as ``csi-ue run`` takes them.
        keep: Leave the base station running.
        standard: Measure the standard's codebooks too.

    Raises:
        UnavailableError: If one of the two processes fails.
        InvalidArgumentError: If no codec has the rate.
    """
    _require_unused(folder)
    codecs = codecs_at(rate)
    for old in ("csilink.db", "csilink.db-wal", "csilink.db-shm"):
        (folder / old).unlink(missing_ok=True)
    station = start_base_station(folder, ["--keep-reconstructions", "5000"])
    try:
        groups = _measure(station, folder, codecs, rate, num_reports, snr_db)
        place = "TR 38.901 indoor open office"
        title = f"CSI feedback over uncoded BPSK/AWGN, {num_reports} reports a point, {place}"
        plot_summary(groups, title, folder / "nmse_bler.png")
        num_joint = min(num_reports, MOST_JOINT_REPORTS)
        joint = _measure_joint_coding(station, folder, num_joint)
        title = f"{demo_joint_coding.NUM_SYMBOLS} uplink symbols a report, {num_joint} reports a point, {place}"
        plot_joint_coding(joint, title, folder / "joint_coding.png")
        of_standard = _measure_standard(station, folder, num_reports, place) if standard else []
        still_running = _addresses(station, groups) if keep else None
        (folder / "bs.pid").write_text(str(station.process.pid))
    except BaseException:
        station.stop()
        raise
    if not keep:
        station.stop()
    return DemoResult(groups, joint, of_standard, still_running)


def codecs_at(rate: int) -> list[str]:
    """Return the demo's codecs that have a rate.

    Raises:
        InvalidArgumentError: If none has.
    """
    cards = [load_model(name).card for name in CODECS]
    names = [card.name for card in cards if card.min_rate <= rate <= card.max_rate]
    if not names:
        low, high = min(card.min_rate for card in cards), max(card.max_rate for card in cards)
        raise InvalidArgumentError(f"`rate` must be in [{low}, {high}] bits; got {rate}.")
    return names


def _require_unused(folder: Path) -> None:
    """Raise if the base station of an earlier demo still works on the folder's database."""
    try:
        pid = int((folder / "bs.pid").read_text())
        os.kill(pid, 0)
    except (OSError, ValueError):
        return
    raise UnavailableError(f"`out` {folder} is in use by a base station; stop it (kill {pid}) or give another folder.")


def _measure(
    station: BaseStationProcess, folder: Path, codecs: list[str], rate: int, num_reports: int, snr_db: str
) -> list[Group]:
    """Run the UE, and ask the summary."""
    options = ["--rate", str(rate), "--link", LINK, "--num-reports", str(num_reports), "--snr-db", snr_db]
    options += [word for codec in codecs for word in ("--codec", codec)]
    _run_ue(station, options, folder / "ue.json")
    summary = station.get("/v1/metrics/summary")
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")
    groups: list[Group] = summary["groups"]
    return groups


def _measure_joint_coding(station: BaseStationProcess, folder: Path, num_reports: int) -> dict[str, list[Group]]:
    """Run a UE for each way to send a report, and ask the summary of each."""
    found: dict[str, list[Group]] = {}
    for way in demo_joint_coding.ways():
        options = [*way.options, "--num-reports", str(num_reports), "--snr-db", demo_joint_coding.SNR_DB]
        _run_ue(station, options, folder / f"ue-{len(found) + 1}.json")
        found[way.name] = station.get(f"/v1/metrics/summary?{urlencode(way.filters)}")["groups"]
    (folder / "joint_coding.json").write_text(json.dumps(found, indent=2) + "\n")
    return found


def _measure_standard(station: BaseStationProcess, folder: Path, num_reports: int, place: str) -> list[Group]:
    """Run a UE for each rate, ask the summary, and draw."""

    def run_ue(options: list[str], name: str) -> None:
        _run_ue(station, options, folder / name)

    groups: list[Group] = demo_standard.measure_standard(run_ue, station.get, num_reports)
    (folder / "standard.json").write_text(json.dumps(groups, indent=2) + "\n")
    title = f"The standard's codebooks beside others, ideal link, {num_reports} reports a point, {place}"
    plot_sgcs_over_bits(groups, title, folder / "standard.png")
    return groups


def _run_ue(station: BaseStationProcess, options: list[str], path: Path) -> None:
    """Run ``csi-ue run`` to its end, what it prints into a file."""
    command = [sys.executable, "-m", "ue_client", "run", "--bs", f"127.0.0.1:{station.grpc_port}", "--json"]
    common = ["--seed", "1", "--downlink-snr-db", DOWNLINK_SNR_DB]
    with path.open("wb") as stream:
        ue = subprocess.run([*command, *common, *options], stdout=stream, check=False)  # noqa: S603  (our own command)
    if ue.returncode:
        raise UnavailableError(f"csi-ue ended with exit code {ue.returncode}; the base station's log is {station.log}.")


def _addresses(station: BaseStationProcess, groups: list[Group]) -> str:
    """Say where a base station that is left running can be asked."""
    address = f"http://127.0.0.1:{station.rest_port}"
    best = max(group["snr_db"] for group in groups)
    page = station.get(f"/v1/reports?codec={groups[0]['codec']}&link={LINK}&snr_db={best}&limit=1000")
    kept = [report["report_id"] for report in page["reports"] if report["has_reconstruction"]]
    lines = [
        f"The base station still runs (stop it: kill {station.process.pid}):",
        f"  REST     {address}/docs",
        f"  summary  {address}/v1/metrics/summary",
        f"  picture  {address}/v1/reports/{kept[0]}/reconstruction.png" if kept else "",
        f"  metrics  {address}/metrics",
        f"  more     csi-ue run --bs 127.0.0.1:{station.grpc_port} --rate 256",
    ]
    return "\n".join(line for line in lines if line)
