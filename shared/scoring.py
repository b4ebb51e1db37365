"""What a session asks to be scored beyond NMSE, SGCS, rho and wrong bits: docs/metrics.md."""

import itertools
from dataclasses import dataclass

from shared.errors import InvalidArgumentError
from shared.types import CsiShape

DOWNLINK_SNR_DB_RANGE = (-40.0, 80.0)
MAX_DOWNLINK_SNRS = 16
MAX_NUM_UE = 64  # UEs of a zero-forcing group: a frame and a batch hold whole ones
MCS_INDICES = range(3, 28)  # of TS 38.214, table 5.1.3.1-1, those whose waterfall lies inside Sionna's table
MAX_NUM_SUBBANDS = 32  # each is a row a report and layer in the store


@dataclass(frozen=True, slots=True)
class Scoring:
    """What is scored besides what always is.

    Attributes:
        downlink_snr_db: SNRs at which the downlink is scored, increasing, rounded to 4 decimals: two of one name would
            be one column of a table. Empty: it is not.
        downlink_num_ue: UEs that the downlink serves together: 1, by MRT; more, by zero forcing. Each so many reports
            that follow each other in a frame are one group.
        downlink_mcs: Modulation and coding scheme of a coded downlink besides the uncoded; None: uncoded alone.
        num_subbands: Subbands of the SGCS per layer and subband; 0: it is not scored.

    Raises:
        InvalidArgumentError: If an option is out of range, or says how to score a downlink that is not scored.

    Example:
        >>> Scoring(downlink_snr_db=(0.0, 10.0), downlink_num_ue=4).downlink_names
        ('downlink_0db_4ue', 'downlink_10db_4ue')
    """

    downlink_snr_db: tuple[float, ...] = ()
    downlink_num_ue: int = 1
    downlink_mcs: int | None = None
    num_subbands: int = 0

    def __post_init__(self) -> None:
        """Round the SNRs and refuse what cannot be scored of any channel."""
        object.__setattr__(self, "downlink_snr_db", tuple(round(snr_db, 4) + 0.0 for snr_db in self.downlink_snr_db))
        _require_snr_db(self.downlink_snr_db)
        if not 1 <= self.downlink_num_ue <= MAX_NUM_UE:
            raise InvalidArgumentError(f"`downlink_num_ue` must be in [1, {MAX_NUM_UE}]; got {self.downlink_num_ue}.")
        if self.downlink_mcs is not None and self.downlink_mcs not in MCS_INDICES:
            wanted = f"[{MCS_INDICES.start}, {MCS_INDICES.stop - 1}]"
            raise InvalidArgumentError(f"`downlink_mcs` must be in {wanted}; got {self.downlink_mcs}.")
        if not self.downlink_snr_db and (self.downlink_num_ue > 1 or self.downlink_mcs is not None):
            raise InvalidArgumentError(
                "`downlink_snr_db` must be given with `downlink_num_ue`, `downlink_mcs`; got none."
            )
        if not 0 <= self.num_subbands <= MAX_NUM_SUBBANDS:
            raise InvalidArgumentError(f"`num_subbands` must be in [0, {MAX_NUM_SUBBANDS}]; got {self.num_subbands}.")

    @property
    def downlink_names(self) -> tuple[str, ...]:
        """What tables call the downlink at each SNR."""
        return tuple(downlink_name(snr_db, self.downlink_num_ue, self.downlink_mcs) for snr_db in self.downlink_snr_db)

    def require_fit(self, shape: CsiShape) -> None:
        """Raise unless channels of a shape can be scored so.

        Raises:
            InvalidArgumentError: If there are no such subbands, or zero forcing cannot serve such UEs.
        """
        if self.num_subbands and shape.num_subcarriers % self.num_subbands:
            wanted = f"divide {shape.num_subcarriers} subcarriers"
            raise InvalidArgumentError(f"`num_subbands` must {wanted}; got {self.num_subbands}.")
        if self.downlink_num_ue > 1 and shape.num_rx_ant > 1:
            found = f"{shape.num_rx_ant} of them with {self.downlink_num_ue} UEs"
            raise InvalidArgumentError(f"`downlink_num_ue` must be 1 of UEs with several antennas; got {found}.")
        if self.downlink_num_ue > shape.num_tx_ant:
            wanted = f"at most {shape.num_tx_ant}, the base station's antennas"
            raise InvalidArgumentError(f"`downlink_num_ue` must be {wanted}; got {self.downlink_num_ue}.")

    def require_groups(self, num_reports: int, name: str) -> None:
        """Raise unless so many reports are whole groups of `downlink_num_ue`.

        Args:
            num_reports: How many.
            name: The argument that says so.

        Raises:
            InvalidArgumentError: If they are not.
        """
        if num_reports % self.downlink_num_ue:
            wanted = f"a multiple of `downlink_num_ue`, {self.downlink_num_ue}"
            raise InvalidArgumentError(f"`{name}` must be {wanted}; got {num_reports}.")


def downlink_name(snr_db: float, num_ue: int, mcs: int | None) -> str:
    """Return what tables call a downlink.

    Example:
        >>> downlink_name(-5.0, 1, None), downlink_name(2.5, 4, 9)
        ('downlink_-5db', 'downlink_2.5db_4ue_mcs9')
    """
    return f"downlink_{snr_db:g}db" + (f"_{num_ue}ue" if num_ue > 1 else "") + ("" if mcs is None else f"_mcs{mcs}")


def _require_snr_db(snr_db: tuple[float, ...]) -> None:
    """Raise unless the list can be scored and be a key: in range, strictly increasing, not too long."""
    low, high = DOWNLINK_SNR_DB_RANGE
    increasing = all(a < b for a, b in itertools.pairwise(snr_db))
    if len(snr_db) > MAX_DOWNLINK_SNRS or not increasing or not all(low <= snr <= high for snr in snr_db):
        wanted = f"at most {MAX_DOWNLINK_SNRS} increasing numbers in [{low:g}, {high:g}]"
        raise InvalidArgumentError(f"`downlink_snr_db` must be {wanted}; got {list(snr_db)[: MAX_DOWNLINK_SNRS + 1]}.")


DEFAULT_SCORING = Scoring()  # nothing besides
