"""The last good CSI of a UE in the place of the mean channel, for sessions that ask for it.

    sequence   0      1      2      3      4          one UE; x: erased, CRC failed or not decoded
    arrived    good   x      x      good   x
    h_hat      h_0    h_0    h_0    h_3    h_3        without an earlier good one: the codec's mean channel

Held CSI is worth something only where a UE's consecutive channels are correlated in time. The base station's worker and
an offline run share this file, behind `shared.receive`.
"""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor

from shared.channels import ChannelSet
from shared.errors import InvalidArgumentError
from shared.receive import Reception
from shared.types import Fallback

MAX_UES = 4096  # in memory: 32 MiB of 32 x 32 channels
ReportIdentity = tuple[str, int, int]  # session, UE, sequence
Newest = dict[tuple[str, int], tuple[int, Tensor]]  # session, UE -> sequence, h_hat


def require_fallback(fallback: Fallback, channels: ChannelSet) -> None:
    """Refuse to hold CSI of channels whose card does not declare time correlation.

    Raises:
        InvalidArgumentError: Naming the data set.
    """
    if fallback == "last" and not (channels.card and channels.card.time_correlation):
        found = "declares none" if channels.card else "has no card"
        raise InvalidArgumentError(
            f"`fallback` last must go with data whose card declares `time_correlation`; {channels.name} {found}."
        )


class LastGood:
    """The newest good reconstruction of each UE, by session.

    It starts empty, also after a restart, and forgets the UE whose last good report came longest ago.

    Args:
        max_ues: UEs that are remembered.

    Example:
        >>> import numpy as np, torch
        >>> from shared.types import no_bits
        >>> h_hat, fallback = torch.tensor([5, 0, 0]).reshape(3, 1, 1, 1), np.array([False, True, True])
        >>> none, num_steps = np.zeros(3, dtype=np.bool_), np.zeros(3, dtype=np.int64)
        >>> arrived = Reception(h_hat, no_bits(3), fallback, fallback, none, ~fallback, none, num_steps)
        >>> reception = LastGood().hold(arrived, [("a", 7, 0), ("a", 7, 1), ("a", 8, 1)])
        >>> reception.h_hat.flatten().tolist(), reception.held.tolist()
        ([5, 5, 0], [False, True, False])
    """

    def __init__(self, max_ues: int = MAX_UES) -> None:
        self._max_ues = max_ues
        self._newest: OrderedDict[tuple[str, int], tuple[int, Tensor]] = OrderedDict()  # -> sequence, h_hat

    def hold(self, reception: Reception, reports: Sequence[ReportIdentity | None]) -> Reception:
        """Put the last good CSI of its UE in the place of each fallback, in the order of the sequence numbers.

        Args:
            reception: A batch as received; its ``h_hat`` is left as it is.
            reports: [batch] who sent which report; None where its session keeps the mean channel.

        Returns:
            The batch with ``h_hat`` and ``held`` as they are now. A report keeps the mean channel where no good one of
            a smaller sequence number is remembered: of a UE that is only the newest.
        """
        reception, good = self.held(reception, reports)
        self.remember(good)
        return reception

    def held(self, reception: Reception, reports: Sequence[ReportIdentity | None]) -> tuple[Reception, Newest]:
        """Do what `hold` does, and leave to `remember` what is good: where a batch may fail yet, and come again."""
        asked = [(row, report) for row, report in enumerate(reports) if report is not None]
        if not asked:
            return reception, {}
        good: Newest = {}
        h_hat, held = reception.h_hat.clone(), reception.held.copy()
        for row, (session_id, ue_id, sequence) in sorted(asked, key=lambda item: item[1][2]):
            ue = session_id, ue_id
            newest = good.get(ue) or self._newest.get(ue)
            if not reception.fallback[row]:
                if newest is None or newest[0] < sequence:
                    good.pop(ue, None)  # the order is that of the last good ones
                    good[ue] = sequence, h_hat[row].clone()
            elif newest is not None and newest[0] < sequence:
                h_hat[row], held[row] = newest[1], True
        return replace(reception, h_hat=h_hat, held=held), good

    def remember(self, good: Newest) -> None:
        """Remember what `held` found good."""
        for ue, newest in good.items():
            self._newest[ue] = newest
            self._newest.move_to_end(ue)
            if len(self._newest) > self._max_ues:
                self._newest.popitem(last=False)
