"""The settings of the UE commands; `docs/settings.md` has the table.

Environment and command line are read once, in `ue_client.__main__`, into these classes.
"""

from dataclasses import dataclass

from shared.errors import InvalidArgumentError
from shared.frame import MAX_POINTS, SNR_DB_RANGE, points_of_range
from shared.scoring import DEFAULT_SCORING, Scoring
from shared.types import Fallback

DOWNLINK_SNR_DB = "0"


SYSTEM = "system"
LOOPBACK = ("127.0.0.1", "[::1]", "localhost")


@dataclass(frozen=True, slots=True)
class Access:
    """How a UE shows who it is, and knows the base station.

    Attributes:
        tls_ca: Certificates of who signs the base station's, a PEM file, or ``system``; None for plaintext.
        tls_cert: Certificate of the UE, a PEM file, where the base station asks for one.
        tls_key: Its key, a PEM file.
        token_file: File whose first line is the bearer token; None where none is needed.
    """

    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    token_file: str | None = None

    def __post_init__(self) -> None:
        """Refuse halves."""
        if (self.tls_cert is None) != (self.tls_key is None):
            raise InvalidArgumentError("`tls_cert` and `tls_key` must be given together; got one of them.")
        if self.tls_cert is not None and self.tls_ca is None:
            raise InvalidArgumentError("`tls_cert` must be given with `tls_ca`; got it alone.")


OPEN = Access()


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings that every UE command has.

    Attributes:
        bs: Address of the base station, ``host:port``.
        codecs: What `shared.codecs.load_codec` takes: models of the zoo, files, codecs of the user's own.
        rate: Information bits of a report; None for 128, or the only rate of a codec.
        link: Label of the emulated link.
        data: Channels: a shipped data set or a file.
        estimator: How the UE estimates its channel.
        cnr_db: SNR of its pilots; None for a perfect estimate.
        covariance_data: Channels whose statistics `lmmse` knows; None for those of ``data``.
        encode_steps: Gradient steps of an encoder that is an optimisation; None for those of the model's training.
        scoring: What the base station scores besides what it always does.
        fallback: What stands for a report that cannot be used; ``last`` is for time-correlated channels.
        refinement: Label of how the base station refines what it decodes.
        truth: Whether truth travels beside the reports, so that they can be scored.
        seed: Seed of the run; with ue and sequence it fixes every random number of it.
        ue_id: Id of the UE; of a fleet, of the first.
        first_channel: Channel of the data set that the first report takes.
        reports_per_frame: Reports packed into one frame.
        in_flight: Frames sent and not yet acknowledged.
        connect_s: Time to wait for the base station.
        deadline_ms: Milliseconds after arrival in which a report must reach the device; 0 for none.
        access: TLS and token.
    """

    bs: str = "localhost:50051"
    codecs: tuple[str, ...] = ("klt",)
    rate: int | None = None
    link: str = "digital:bsc"
    data: str = "indoor-open-office"
    estimator: str = "perfect"
    cnr_db: float | None = None
    covariance_data: str | None = None
    encode_steps: int | None = None
    scoring: Scoring = DEFAULT_SCORING
    fallback: Fallback = "mean"
    refinement: str = "never"
    truth: bool = True
    seed: int = 1
    ue_id: int = 0
    first_channel: int = 0
    reports_per_frame: int = 16
    in_flight: int = 8
    connect_s: float = 10.0
    deadline_ms: int = 0
    access: Access = OPEN

    def __post_init__(self) -> None:
        """Refuse an address that is none, a token that anybody could read on its way, and frames of broken groups."""
        host, _, port = self.bs.rpartition(":")
        if not host or "/" in host or not port.isdecimal():
            raise InvalidArgumentError(f"`bs` must be host:port; got {self.bs!r}.")
        if self.access.token_file is not None and self.access.tls_ca is None and host not in LOOPBACK:
            raise InvalidArgumentError(
                f"`tls_ca` must be given with `token_file` where `bs` is another machine, {host}."
            )
        self.scoring.require_groups(self.reports_per_frame, "reports_per_frame")

    @property
    def covariance_source(self) -> str | None:
        """Channels whose statistics the estimator knows; None where it knows none."""
        return (self.covariance_data or self.data) if self.estimator == "lmmse" else None


def parse_snr_db(text: str, name: str = "snr_db") -> tuple[float, ...]:
    """Return the SNRs of ``-5,0,5`` or ``first:last:step``, last included.

    Args:
        text: The list or range.
        name: What the option is called, for the sentence that refuses it.

    Raises:
        InvalidArgumentError: If the text is neither, or an SNR is out of range.

    Example:
        >>> parse_snr_db("-5:5:5")
        (-5.0, 0.0, 5.0)
    """
    wanted = f"a list (-5,0,5) or a range first:last:step (-5:15:2.5; last >= first, step > 0, {MAX_POINTS} at most)"
    try:
        points = points_of_range(text) if ":" in text else [float(part) for part in text.split(",")]
    except ValueError:
        raise InvalidArgumentError(f"`{name}` must be {wanted}; got {text!r}.") from None
    low, high = SNR_DB_RANGE
    if not all(low <= point <= high for point in points):
        raise InvalidArgumentError(f"`{name}` must be in [{low:g}, {high:g}]; got {text!r}.")
    return tuple(round(point, 4) for point in points)


def parse_downlink_snr_db(text: str) -> tuple[float, ...]:
    """Return the SNRs of the downlink; an empty text is none.

    Raises:
        InvalidArgumentError: As `parse_snr_db`.
    """
    return parse_snr_db(text, "downlink_snr_db") if text else ()
