"""`csi-ue`: a UE that reports its channels to a base station."""

import asyncio
import json
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from shared.errors import CsiError, InvalidArgumentError
from shared.scoring import Scoring
from shared.types import Fallback
from shared.version import Version
from ue_client.config import DOWNLINK_SNR_DB, Access, Settings, parse_downlink_snr_db, parse_snr_db
from ue_client.printing import Row, print_repeats, print_sessions, print_tallies, progress_bar

if TYPE_CHECKING:
    from ue_client.results import Tally

app = typer.Typer(no_args_is_help=True, add_completion=False, help=__doc__, pretty_exceptions_enable=False)
_default = Settings()
_CODECS = list(_default.codecs)
INTERRUPTED = 130  # typer's exit code of Ctrl-C

Bs = Annotated[str, typer.Option(envvar="CSI_UE_BS", help="Base station, host:port.")]
Codec = Annotated[
    list[str],
    typer.Option(envvar="CSI_UE_CODEC", help="Model of the zoo, .safetensors file, package.module:ENTRY; repeatable."),
]
Rate = Annotated[
    list[int] | None,  # where one is wanted, so that a second one is told and not the last taken
    typer.Option(
        envvar="CSI_UE_RATE", min=1, help="Information bits of a report, or its symbols; 128, or the codec's most."
    ),
]
LinkLabel = Annotated[
    str,
    typer.Option(
        envvar="CSI_UE_LINK", help="ideal, digital:bsc, digital:soft:qpsk:rayleigh:conv-1/2 ...: docs/links.md."
    ),
]
DownlinkSnrDb = Annotated[
    str,
    typer.Option(envvar="CSI_UE_DOWNLINK_SNR_DB", help="At which the downlink is scored: 0,10 or 0:20:5; empty: not."),
]
DownlinkNumUe = Annotated[
    int,
    typer.Option(
        envvar="CSI_UE_DOWNLINK_NUM_UE", min=1, max=64, help="UEs that the downlink serves together: zero forcing."
    ),
]
DownlinkMcs = Annotated[
    int | None,
    typer.Option(
        envvar="CSI_UE_DOWNLINK_MCS",
        help="Score a coded downlink too: MCS 3 to 27 of TS 38.214 (base station: Sionna).",
    ),
]
NumSubbands = Annotated[
    int,
    typer.Option(envvar="CSI_UE_NUM_SUBBANDS", min=0, help="Score the SGCS per layer in so many subbands; 0: not."),
]
Data = Annotated[str, typer.Option(envvar="CSI_UE_DATA", help="Shipped data set, or a .npz, .npy, .mat or .h5 file.")]
EstimatorName = Annotated[
    str, typer.Option("--estimator", envvar="CSI_UE_ESTIMATOR", help="Of the channel: perfect, ls, lmmse, additive.")
]
CnrDb = Annotated[
    float | None,
    typer.Option(envvar="CSI_UE_CNR_DB", help="SNR of the pilots, -40 to 80; for every estimator but perfect."),
]
EncodeSteps = Annotated[
    int | None,
    typer.Option(
        envvar="CSI_UE_ENCODE_STEPS",
        min=1,
        help="csi-inr, coin-plus-plus, inric, coin: gradient steps of the encoder; the model's own.",
    ),
]
CovarianceData = Annotated[
    str | None,
    typer.Option(
        envvar="CSI_UE_COVARIANCE_DATA", help="Channels whose statistics lmmse knows; those of --data, a genie's."
    ),
]
LostReport = Annotated[
    Fallback,
    typer.Option(
        "--fallback",
        envvar="CSI_UE_FALLBACK",
        help="What stands for a lost report: mean channel, or last good CSI (time-correlated data).",
    ),
]
Refine = Annotated[
    str,
    typer.Option(
        "--refine",
        envvar="CSI_UE_REFINE",
        help="What the base station refines: never, always:steps-2, snr:from-5, gain ...: docs/refinement.md.",
    ),
]
Truth = Annotated[bool, typer.Option(envvar="CSI_UE_TRUTH", help="Send truth beside the reports, to score them.")]
Seed = Annotated[
    int | None, typer.Option(envvar="CSI_UE_SEED", min=0, max=2**63 - 1, help="Seed of the run; drawn unless given.")
]
UeId = Annotated[int, typer.Option(envvar="CSI_UE_UE_ID", min=0, max=2**32 - 1, help="Id of the UE.")]
FirstChannel = Annotated[
    int,
    typer.Option(envvar="CSI_UE_FIRST_CHANNEL", min=0, max=2**31 - 1, help="Channel of the data set to begin with."),
]
PerFrame = Annotated[
    int,
    typer.Option(
        envvar="CSI_UE_REPORTS_PER_FRAME", min=1, max=65536, help="Reports a frame, at most as the base station takes."
    ),
]
InFlight = Annotated[
    int, typer.Option(envvar="CSI_UE_IN_FLIGHT", min=1, max=64, help="Unacknowledged frames a stream.")
]
ConnectS = Annotated[float, typer.Option(envvar="CSI_UE_CONNECT_S", min=0, help="Time to wait for the base station.")]
DeadlineMs = Annotated[
    int, typer.Option(envvar="CSI_UE_DEADLINE_MS", min=0, max=2**31 - 1, help="To reach the device; 0: none.")
]
TlsCa = Annotated[
    str | None,
    typer.Option(envvar="CSI_UE_TLS_CA", help="PEM file of who signs the base station's certificate, or system: TLS."),
]
TlsCert = Annotated[
    str | None, typer.Option(envvar="CSI_UE_TLS_CERT", help="Certificate of the UE, PEM, where it is asked for.")
]
TlsKey = Annotated[str | None, typer.Option(envvar="CSI_UE_TLS_KEY", help="Its key, PEM.")]
TokenFile = Annotated[
    str | None, typer.Option(envvar="CSI_UE_TOKEN_FILE", help="File of the bearer token, where one is asked for.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


@app.callback()
def root(version: Version = False) -> None:
    """A UE that reports its channels to a base station."""


@app.command()
def run(
    bs: Bs = _default.bs,
    codec: Codec = _CODECS,
    rate: Rate = None,
    snr_db: Annotated[
        str, typer.Option(envvar="CSI_UE_SNR_DB", help="Es/N0 of the link, which `ideal` ignores: -5,0,5 or -5:15:2.5.")
    ] = "10",
    num_reports: Annotated[
        int, typer.Option(envvar="CSI_UE_NUM_REPORTS", min=1, help="Reports for each codec and SNR.")
    ] = 500,
    link: LinkLabel = _default.link,
    data: Data = _default.data,
    estimator: EstimatorName = _default.estimator,
    cnr_db: CnrDb = None,
    covariance_data: CovarianceData = None,
    encode_steps: EncodeSteps = None,
    downlink_snr_db: DownlinkSnrDb = DOWNLINK_SNR_DB,
    downlink_num_ue: DownlinkNumUe = _default.scoring.downlink_num_ue,
    downlink_mcs: DownlinkMcs = None,
    num_subbands: NumSubbands = _default.scoring.num_subbands,
    fallback: LostReport = _default.fallback,
    refinement: Refine = _default.refinement,
    truth: Truth = True,
    seed: Seed = None,
    ue_id: UeId = _default.ue_id,
    first_channel: FirstChannel = _default.first_channel,
    reports_per_frame: PerFrame = _default.reports_per_frame,
    in_flight: InFlight = _default.in_flight,
    connect_s: ConnectS = _default.connect_s,
    deadline_ms: DeadlineMs = _default.deadline_ms,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Send reports for each codec and SNR; close with a table."""
    from ue_client.app import send  # noqa: PLC0415  (keeps `csi-ue --help` quick)
    from ue_client.columns import OneUe  # noqa: PLC0415

    codecs = tuple(codec)
    settings = Settings(
        bs=bs,
        codecs=codecs,
        rate=_one_rate(rate),
        link=link,
        data=data,
        estimator=estimator,
        cnr_db=cnr_db,
        covariance_data=covariance_data,
        encode_steps=encode_steps,
        scoring=Scoring(parse_downlink_snr_db(downlink_snr_db), downlink_num_ue, downlink_mcs, num_subbands),
        fallback=fallback,
        refinement=refinement,
        truth=truth,
        seed=secrets.randbits(32) if seed is None else seed,
        ue_id=ue_id,
        first_channel=first_channel,
        reports_per_frame=reports_per_frame,
        in_flight=in_flight,
        connect_s=connect_s,
        deadline_ms=deadline_ms,
        access=Access(tls_ca, tls_cert, tls_key, token_file),
    )
    points = parse_snr_db(snr_db)
    settings.scoring.require_groups(num_reports, "num_reports")
    with progress_bar() as bar:
        task = bar.add_task("reports", total=len(codecs) * len(points) * num_reports)

        def progress(name: str, count: int) -> None:
            bar.update(task, advance=count, description=name)

        reports = OneUe(ue_id, first_channel, points, num_reports)
        results = asyncio.run(send(settings, reports, progress))
    tallies = [tally for result in results for tally in result.tallies]
    of_run: Row = {"data": settings.data, "covariance_data": settings.covariance_source, "seed": settings.seed}
    rows = [tally.row() | of_run for tally in tallies]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    else:
        print_tallies(f"{settings.data}, {link}, seed {settings.seed}", rows, settings)
        print_repeats(num_reports, results)
        print_sessions([(result.codec, result.session_id, "") for result in results])
    _require_none_refused(tallies)


@app.command()
def fleet(
    bs: Bs = _default.bs,
    codec: Codec = _CODECS,
    rate: Rate = None,
    num_ues: Annotated[
        int, typer.Option(envvar="CSI_UE_NUM_UES", min=1, max=1_000_000, help="UEs, all in this process.")
    ] = 100,
    snr_db: Annotated[
        str,
        typer.Option(
            envvar="CSI_UE_SNR_DB", help="SNRs that the UEs take in turn (`ideal` ignores them): -5,0,5 or -5:15:2.5."
        ),
    ] = "-5:15:2.5",
    num_reports: Annotated[
        int, typer.Option(envvar="CSI_UE_NUM_REPORTS", min=1, max=1_000_000, help="Reports of each UE, for each codec.")
    ] = 20,
    link: LinkLabel = _default.link,
    data: Data = _default.data,
    estimator: EstimatorName = _default.estimator,
    cnr_db: CnrDb = None,
    covariance_data: CovarianceData = None,
    encode_steps: EncodeSteps = None,
    downlink_snr_db: DownlinkSnrDb = DOWNLINK_SNR_DB,
    downlink_num_ue: DownlinkNumUe = _default.scoring.downlink_num_ue,
    downlink_mcs: DownlinkMcs = None,
    num_subbands: NumSubbands = _default.scoring.num_subbands,
    fallback: LostReport = _default.fallback,
    refinement: Refine = _default.refinement,
    truth: Truth = True,
    seed: Seed = None,
    ue_id: Annotated[
        int, typer.Option(envvar="CSI_UE_UE_ID", min=0, max=2**32 - 1, help="Id of the first UE.")
    ] = _default.ue_id,
    first_channel: FirstChannel = _default.first_channel,
    reports_per_frame: PerFrame = 256,
    in_flight: InFlight = _default.in_flight,
    connect_s: ConnectS = _default.connect_s,
    deadline_ms: DeadlineMs = _default.deadline_ms,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Send reports of many UEs, packed into frames, in one session for each codec; close with a table."""
    from ue_client.app import send  # noqa: PLC0415
    from ue_client.columns import ManyUes  # noqa: PLC0415

    codecs = tuple(codec)
    settings = Settings(
        bs=bs,
        codecs=codecs,
        rate=_one_rate(rate),
        link=link,
        data=data,
        estimator=estimator,
        cnr_db=cnr_db,
        covariance_data=covariance_data,
        encode_steps=encode_steps,
        scoring=Scoring(parse_downlink_snr_db(downlink_snr_db), downlink_num_ue, downlink_mcs, num_subbands),
        fallback=fallback,
        refinement=refinement,
        truth=truth,
        seed=secrets.randbits(32) if seed is None else seed,
        ue_id=ue_id,
        first_channel=first_channel,
        reports_per_frame=reports_per_frame,
        in_flight=in_flight,
        connect_s=connect_s,
        deadline_ms=deadline_ms,
        access=Access(tls_ca, tls_cert, tls_key, token_file),
    )
    ues = ManyUes(ue_id, num_ues, first_channel, parse_snr_db(snr_db), num_reports, downlink_num_ue)
    with progress_bar() as bar:
        task = bar.add_task("reports", total=len(codecs) * num_ues * num_reports)

        def progress(name: str, count: int) -> None:
            bar.update(task, advance=count, description=name)

        results = asyncio.run(send(settings, ues, progress))
    sessions = [result.row() for result in results]
    tallies = [tally for result in results for tally in result.tallies]
    of_run: Row = {"data": settings.data, "covariance_data": settings.covariance_source, "seed": settings.seed}
    rows = [tally.row() | {"ues": ues.num_ues_at(tally.snr_db)} | of_run for tally in tallies]
    if as_json:
        typer.echo(json.dumps({"num_ues": num_ues, "sessions": sessions, "rows": rows}, indent=2))
    else:
        print_tallies(f"{num_ues:,} UEs, {settings.data}, {link}, seed {settings.seed}", rows, settings)
        print_repeats(num_ues * num_reports, results)
        of_sessions = []
        for row in sessions:
            took = f"{row['reports']:,} reports in {row['duration_s']} s, {row['reports_per_s']:,} reports/s"
            of_sessions.append((str(row["codec"]), str(row["session_id"]), f", {took}"))
        print_sessions(of_sessions)
    _require_none_refused(tallies)


@app.command()
def load(
    bs: Bs = _default.bs,
    codec: Codec = _CODECS,
    rate: Annotated[
        list[int] | None,
        typer.Option(
            envvar="CSI_UE_RATE",
            min=1,
            help="Information bits of a report, or its symbols; repeatable: sessions differ.",
        ),
    ] = None,
    snr_db: Annotated[
        str,
        typer.Option(envvar="CSI_UE_SNR_DB", help="Es/N0 of the link, which `ideal` ignores; 0,10: sessions differ."),
    ] = "10",
    num_sessions: Annotated[int, typer.Option(envvar="CSI_UE_NUM_SESSIONS", min=1, max=1000, help="Sessions.")] = 4,
    weights: Annotated[
        str,
        typer.Option(
            envvar="CSI_UE_WEIGHTS",
            help="10,1,1: of ten frames in twelve the first session's; open loop; empty: equal.",
        ),
    ] = "",
    processes: Annotated[
        int, typer.Option(envvar="CSI_UE_PROCESSES", min=1, max=256, help="Processes that share the sessions.")
    ] = 1,
    arrivals: Annotated[
        str,
        typer.Option(
            envvar="CSI_UE_ARRIVALS",
            help="closed; reports/s: constant:2000, poisson:500..4000, burst:2000:256, trace:FILE: docs/load.md.",
        ),
    ] = "closed",
    duration_s: Annotated[
        float, typer.Option(envvar="CSI_UE_DURATION_S", min=0.1, max=86400, help="Time in which frames are sent.")
    ] = 10.0,
    warm_up_s: Annotated[
        float, typer.Option(envvar="CSI_UE_WARM_UP_S", min=0, max=3600, help="Time before, which does not count.")
    ] = 0.0,
    find_capacity: Annotated[
        bool, typer.Option("--find-capacity", help="Search the largest load that is carried, --duration-s each.")
    ] = False,
    p99_ms: Annotated[
        float, typer.Option(envvar="CSI_UE_P99_MS", min=0.1, help="--find-capacity: bound on the latency.")
    ] = 50.0,
    retries: Annotated[
        bool | None,
        typer.Option(
            "--retries/--no-retries", help="Send again what is refused for overload; unless told, in closed loop alone."
        ),
    ] = None,
    hold_back: Annotated[
        bool,
        typer.Option(
            "--hold-back",
            help="A session that is refused for overload sends nothing for the delay it is told; not with closed.",
        ),
    ] = False,
    link: LinkLabel = _default.link,
    data: Data = _default.data,
    estimator: EstimatorName = _default.estimator,
    cnr_db: CnrDb = None,
    covariance_data: CovarianceData = None,
    encode_steps: EncodeSteps = None,
    downlink_snr_db: DownlinkSnrDb = DOWNLINK_SNR_DB,
    refinement: Refine = _default.refinement,
    truth: Truth = False,
    seed: Seed = None,
    ue_id: UeId = _default.ue_id,
    reports_per_frame: PerFrame = 64,
    in_flight: InFlight = 4,
    connect_s: ConnectS = _default.connect_s,
    deadline_ms: DeadlineMs = _default.deadline_ms,
    tls_ca: TlsCa = None,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    token_file: TokenFile = None,
    out: Annotated[
        Path | None, typer.Option(help="Folder for load.json and pictures (wants Matplotlib: extra `lab`).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Keep the base station busy, closed loop or at times that do not wait for it; close with goodput and latency."""
    from ue_client.load.command import parse_weights, run_load, sessions_of  # noqa: PLC0415  (keeps `--help` quick)
    from ue_client.load.run import LoadOptions  # noqa: PLC0415

    settings = Settings(
        bs=bs,
        codecs=tuple(codec),
        link=link,
        data=data,
        estimator=estimator,
        cnr_db=cnr_db,
        covariance_data=covariance_data,
        encode_steps=encode_steps,
        scoring=Scoring(parse_downlink_snr_db(downlink_snr_db)),
        refinement=refinement,
        truth=truth,
        seed=secrets.randbits(32) if seed is None else seed,
        ue_id=ue_id,
        reports_per_frame=reports_per_frame,
        in_flight=in_flight,
        connect_s=connect_s,
        deadline_ms=deadline_ms,
        access=Access(tls_ca, tls_cert, tls_key, token_file),
    )
    sessions = sessions_of(settings.codecs, rate, parse_snr_db(snr_db), parse_weights(weights, num_sessions))
    closed = arrivals == "closed" and not find_capacity
    again = closed and not hold_back if retries is None else retries
    options = LoadOptions(sessions, processes, duration_s, warm_up_s, again, hold_back)
    run_load(settings, options, arrivals, p99_ms if find_capacity else None, out, as_json)


def _one_rate(rates: list[int] | None) -> int | None:
    if rates and len(rates) > 1:
        raise InvalidArgumentError(f"`rate` must be given once; got {', '.join(map(str, rates))}.")
    return rates[0] if rates else None


def _require_none_refused(tallies: "list[Tally]") -> None:
    for tally in tallies:
        if tally.num_refused:
            raise CsiError(f"{tally.num_refused} reports of {tally.codec} were refused: {tally.refusal}")


def main() -> None:
    """Run the command; an error of ours is one sentence on standard error and exit code 1."""
    try:
        app()
    except CsiError as error:
        typer.echo(f"csi-ue: {error}", err=True)
        sys.exit(1)
    except SystemExit as ended:
        if ended.code == INTERRUPTED:
            typer.echo("csi-ue: interrupted; what was acknowledged is stored.", err=True)
        raise


if __name__ == "__main__":
    main()
