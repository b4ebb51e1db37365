"""Which reports a session sends and in which order, cut into frames.

    run     report 0 1 2 ... of one UE at the first SNR, then on at the next
    fleet   report 0 of UE 0 1 2 ..., report 1 of UE 0 1 2 ..., each UE at an SNR of its own

A frame is columnar: one entry a report in each column, whoever's report it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError

MAX_UE_ID = 2**32 - 1


@dataclass(frozen=True, slots=True)
class Columns:
    """The reports of one frame, before they are encoded.

    Attributes:
        ue_id: [n] int64.
        sequence: [n] int64, number of the report at its UE.
        channel_index: [n] int64, channel of the data set.
        snr_db: [n] float64, Es/N0 of the feedback link.
    """

    ue_id: NDArray[np.int64]
    sequence: NDArray[np.int64]
    channel_index: NDArray[np.int64]
    snr_db: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class OneUe:
    """The reports of `csi-ue run`: the same channels at each SNR, numbered on from one SNR to the next.

    Attributes:
        ue_id: The UE.
        first_channel: Channel of its first report; the others follow, starting over at the data set's end.
        snr_db: SNRs, one after the other.
        num_reports: Reports at each.

    Example:
        >>> reports = OneUe(ue_id=7, first_channel=1, snr_db=(0.0, 5.0), num_reports=2)
        >>> [(c.sequence.tolist(), c.channel_index.tolist(), c.snr_db.tolist()) for c in reports.frames(2, 16)]
        [([0, 1], [1, 0], [0.0, 0.0]), ([2, 3], [1, 0], [5.0, 5.0])]
    """

    ue_id: int
    first_channel: int
    snr_db: tuple[float, ...]
    num_reports: int

    def frames(self, num_channels: int, size: int) -> Iterator[Columns]:
        """Yield frames of at most ``size`` reports; none holds two SNRs."""
        for point, snr_db in enumerate(self.snr_db):
            for start in range(0, self.num_reports, size):
                report = np.arange(start, min(start + size, self.num_reports))
                yield Columns(
                    np.full(len(report), self.ue_id, dtype=np.int64),
                    report + point * self.num_reports,
                    (self.first_channel + report) % num_channels,
                    np.full(len(report), snr_db),
                )


@dataclass(frozen=True, slots=True)
class ManyUes:
    """The reports of `csi-ue fleet`: UE ``k`` of the fleet has id ``first_ue_id + k`` and one SNR.

    Its ``i``-th report takes channel ``first_channel + k * num_reports + i``, starting over at the data set's end: as
    ``csi-ue run --ue-id`` of its id, with its SNR and its first channel, would send it.

    Attributes:
        first_ue_id: Id of the first UE.
        num_ues: UEs.
        first_channel: Channel of the first UE's first report.
        snr_db: SNRs that the UEs take in turn, or the groups of UEs that the downlink serves together.
        num_reports: Reports of each UE.
        group: UEs of a group.

    Raises:
        InvalidArgumentError: If an id would be out of range, an SNR without a UE, or a group not whole.

    Example:
        >>> reports = ManyUes(first_ue_id=5, num_ues=3, first_channel=0, snr_db=(0.0, 9.0), num_reports=2)
        >>> [(c.ue_id.tolist(), c.sequence.tolist(), c.snr_db.tolist()) for c in reports.frames(100, 4)]
        [([5, 6, 7, 5], [0, 0, 0, 1], [0.0, 9.0, 0.0, 0.0]), ([6, 7], [1, 1], [9.0, 0.0])]
    """

    first_ue_id: int
    num_ues: int
    first_channel: int
    snr_db: tuple[float, ...]
    num_reports: int
    group: int = 1

    def __post_init__(self) -> None:
        """Refuse a fleet that has no room for its ids, broken groups, or fewer groups than SNRs."""
        if self.first_ue_id + self.num_ues - 1 > MAX_UE_ID:
            raise InvalidArgumentError(
                f"`num_ues` from `ue_id` {self.first_ue_id} must be at most {MAX_UE_ID - self.first_ue_id + 1}; "
                f"got {self.num_ues}."
            )
        if self.num_ues % self.group or self.num_ues < len(self.snr_db) * self.group:
            wanted = f"at least the number of SNRs, {len(self.snr_db)}"
            if self.group > 1:
                wanted = f"a multiple of `downlink_num_ue`, {self.group}, {wanted} times that"
            raise InvalidArgumentError(f"`num_ues` must be {wanted}; got {self.num_ues}.")

    def num_ues_at(self, snr_db: float) -> int:
        """Return how many UEs have an SNR."""
        of_turn = [point == snr_db for point in self.snr_db]
        rounds, rest = divmod(self.num_ues // self.group, len(self.snr_db))
        return (rounds * sum(of_turn) + sum(of_turn[:rest])) * self.group

    def frames(self, num_channels: int, size: int) -> Iterator[Columns]:
        """Yield frames of at most ``size`` reports, of as many UEs as there are."""
        points = np.array(self.snr_db)
        num_all = self.num_ues * self.num_reports
        for start in range(0, num_all, size):
            report, ue = np.divmod(np.arange(start, min(start + size, num_all)), self.num_ues)
            channel = self.first_channel + ue * self.num_reports + report
            yield Columns(self.first_ue_id + ue, report, channel % num_channels, points[ue // self.group % len(points)])
