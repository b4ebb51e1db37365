r"""What a report of enhanced Type II holds, and its bits.

    part 1   number of nonzero coefficients - 1
    part 2   i_1,1 | i_1,2 | i_1,5 | i_1,6,l | i_1,7,l | i_1,8,l | i_2,3,l | i_2,4,l | i_2,5,l

    field     says                                     bits                                     of
    number    K, over all layers                       rank 1: ceil(log2 K0), 2: ceil(log2 2K0)  report
    i_1,1     q, the group of orthogonal beams         ceil(log2 O1)                            report
    i_1,2     which L beams of it                      ceil(log2 C(N1, L))                      report
    i_1,5     where the window of 2 M taps begins      ceil(log2 2M), N3 > 19 alone             report
    i_1,6,l   which M - 1 taps beside tap 0            ceil(log2 C(N3 - 1, M - 1))              layer
                                                       N3 > 19: ceil(log2 C(2M - 1, M - 1))
    i_1,7,l   which coefficients are not zero          2 L M                                    layer
    i_1,8,l   the strongest, of tap 0                  rank 1: ceil(log2 K), 2: ceil(log2 2L)   layer
    i_2,3,l   amplitude of the weaker polarisation     4                                        layer
    i_2,4,l   amplitude within its polarisation        3                                        nonzero coefficient, not the strongest
    i_2,5,l   phase                                    4                                        likewise

Fields of the layers follow each other. The standard sends them in the order of their importance, in three groups of
which it may drop the last; ours are in the order of their names, for there is nothing to drop. RI, CQI and the wideband
indicators of other codebooks are not sent.

Source: 3GPP TS 38.214, 5.2.2.2.5 (values); TS 38.212, 6.3.2.1.2 (widths).
"""  # noqa: E501  (a table)

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from shared.codecs.codebook.beams import OVERSAMPLING
from shared.codecs.codebook.combinations import Numbers, index_of, members_of, width_of
from shared.coding.bits import bits_to_fields, by_value, fields_to_bits
from shared.network_settings import CodebookSettings
from shared.types import Payload

Flags = NDArray[np.bool_]

# paramCombination-r16 -> L, p_v of one and two layers, beta: table 5.2.2.2.5-1
COMBINATIONS = {
    1: (2, 1 / 4, 1 / 4),
    2: (2, 1 / 4, 1 / 2),
    3: (4, 1 / 4, 1 / 4),
    4: (4, 1 / 4, 1 / 2),
    5: (4, 1 / 4, 3 / 4),
    6: (4, 1 / 2, 1 / 2),
    7: (6, 1 / 4, 1 / 2),
    8: (6, 1 / 4, 3 / 4),
}
OF_32_PORTS = (7, 8)  # alone, and with R = 1
MOST_WITHOUT_WINDOW = 19  # subbands
REFERENCE_WIDTH, AMPLITUDE_WIDTH, PHASE_WIDTH = 4, 3, 4  # bits


@dataclass(frozen=True, slots=True)
class Etype2Format:
    """A configuration of the codebook.

    Attributes:
        num_ant: N1, antennas of one polarisation.
        num_subbands: N3.
        rank: Layers.
        combination: Parameter combination, 1 ... 8.
    """

    num_ant: int
    num_subbands: int
    rank: int
    combination: int

    @property
    def num_beams(self) -> int:
        """L."""
        return COMBINATIONS[self.combination][0]

    @property
    def num_taps(self) -> int:
        """M = ceil(p N3 / R)."""
        return math.ceil(COMBINATIONS[self.combination][1] * self.num_subbands / self.subbands_of_cqi)

    @property
    def subbands_of_cqi(self) -> int:
        """R: PMI subbands of a CQI subband. There are at most 19 of those, so more than 19 subbands mean R = 2."""
        return 2 if self.windowed else 1

    @property
    def most_nonzero(self) -> int:
        """K0: nonzero coefficients of a layer, at most."""
        return math.ceil(COMBINATIONS[self.combination][2] * 2 * self.num_beams * self.num_taps)

    @property
    def windowed(self) -> bool:
        """Whether all taps lie in a window."""
        return self.num_subbands > MOST_WITHOUT_WINDOW

    @property
    def num_offsets(self) -> int:
        """Taps beside tap 0 that the M - 1 are chosen from."""
        return (2 * self.num_taps if self.windowed else self.num_subbands) - 1

    @property
    def num_coefficients(self) -> int:
        """Those of a layer, zero or not."""
        return self.num_taps * 2 * self.num_beams

    @property
    def max_bits(self) -> int:
        """Bits of a report with as many nonzero coefficients as there may be."""
        return self.num_bits(self.rank * self.most_nonzero)

    def num_bits(self, num_nonzero: int) -> int:
        """Return the bits of a report with ``num_nonzero`` coefficients over all layers, ``rank`` at least."""
        return int(self.widths(num_nonzero).sum())

    def widths(self, num_nonzero: int) -> Numbers:
        """Return the bits of each field, those of the bitmap one by one."""
        layers, further = self.rank, num_nonzero - self.rank
        strongest = width_of(num_nonzero if layers == 1 else 2 * self.num_beams)
        return np.array(
            [
                width_of(layers * self.most_nonzero),
                width_of(OVERSAMPLING),
                width_of(math.comb(self.num_ant, self.num_beams)),
                width_of(2 * self.num_taps) if self.windowed else 0,
                *[width_of(math.comb(self.num_offsets, self.num_taps - 1))] * layers,
                *[1] * (layers * self.num_coefficients),
                *[strongest] * layers,
                *[REFERENCE_WIDTH] * layers,
                *[AMPLITUDE_WIDTH] * further,
                *[PHASE_WIDTH] * further,
            ],
            dtype=np.int64,
        )


def etype2_formats(num_tx_ant: int, settings: CodebookSettings) -> list[Etype2Format]:
    """Return the configurations that there are, by their most bits, increasing.

    Not there are 7 and 8 unless there are 32 ports and R = 1, and those of more beams than antennas.

    Example:
        >>> [(one.combination, one.max_bits) for one in etype2_formats(32, CodebookSettings(num_subbands=16))]
        [(1, 63), (2, 93), (3, 113), (4, 171), (5, 229), (7, 247), (6, 321), (8, 333)]
    """
    found = []
    for combination in COMBINATIONS:
        form = Etype2Format(num_tx_ant // 2, settings.num_subbands, settings.rank, combination)
        allowed = combination not in OF_32_PORTS or (num_tx_ant == 32 and not form.windowed)
        if allowed and form.num_beams <= form.num_ant:
            found.append(form)
    return sorted(found, key=lambda form: form.max_bits)


@dataclass(frozen=True, slots=True)
class Etype2Report:
    """The indices of a batch of reports.

    Attributes:
        group: [batch] q.
        beams: [batch, num_beams] n, increasing, of the group's.
        window: [batch] i_1,5; 0 without a window.
        taps: [batch, rank, num_taps] n_3 of each tap, the first 0, then increasing.
        nonzero: [batch, rank, num_taps, 2 num_beams] which coefficients are sent, first polarisation first.
        strongest: [batch, rank] which of tap 0 is 1.
        reference: [batch, rank] k of the weaker polarisation, 1 ... 15; 15 is an amplitude of 1.
        amplitude: Like ``nonzero``, 0 ... 7; 7 is 1; means nothing of a coefficient that is not sent.
        phase: Likewise, 0 ... 15.
    """

    group: Numbers
    beams: Numbers
    window: Numbers
    taps: Numbers
    nonzero: Flags
    strongest: Numbers
    reference: Numbers
    amplitude: Numbers
    phase: Numbers


def write_reports(report: Etype2Report, form: Etype2Format) -> Payload:
    """Return the bits of reports, of as many lengths as they have numbers of nonzero coefficients."""
    batch, num_others = len(report.group), form.num_taps - 1
    offsets = _to_offsets(report.taps[..., 1:], report.window[:, None, None], form)
    taps = index_of(offsets.reshape(batch * form.rank, num_others) - 1, form.num_offsets).reshape(batch, form.rank)
    strongest, bitmap = report.strongest, report.nonzero.reshape(batch, form.rank * form.num_coefficients)
    if form.rank == 1:  # named by its place among the nonzero ones of tap 0
        strongest = (
            np.take_along_axis(report.nonzero[:, :, 0].cumsum(axis=-1), strongest[..., None], axis=-1)[..., 0] - 1
        )
    number, beams = bitmap.sum(axis=1), index_of(report.beams, form.num_ant)
    head = [number - 1, report.group, beams, report.window, taps, bitmap, strongest, report.reference]
    further = _further(report.nonzero, report.strongest)
    rows_of_bits: list[NDArray[np.uint8]] = [np.zeros(0, dtype=np.uint8)] * batch
    for num_nonzero, rows in by_value(number):
        tail = [x.reshape(batch, -1)[rows][further[rows]] for x in (report.amplitude, report.phase)]
        fields = np.column_stack([*(x[rows] for x in head), *(x.reshape(len(rows), -1) for x in tail)])
        for row, bits in zip(rows.tolist(), fields_to_bits(fields, form.widths(num_nonzero)), strict=True):
            rows_of_bits[row] = bits
    return Payload.of_rows(rows_of_bits)


def read_reports(payload: Payload, form: Etype2Format) -> tuple[Etype2Report, Flags]:
    """Invert `write_reports`.

    Args:
        payload: Reports of any lengths and bits.
        form: The configuration.

    Returns:
        The reports, and [batch] whether the bits are those of one: as long as its number of nonzero coefficients says,
        which is that of its bitmap, and each field within its values. Else the report is some other.
    """
    batch, layers, num_polarised = len(payload.length), form.rank, 2 * form.num_beams
    (number, group, beams, window, taps, bitmap, strongest, reference), tails, valid = _read_fields(payload, form)
    nonzero = bitmap.reshape(batch, layers, form.num_taps, num_polarised) > 0
    of_layers = nonzero.sum(axis=(2, 3))
    valid &= (of_layers.sum(axis=1) == number[:, 0] + 1) & (of_layers <= form.most_nonzero).all(axis=1)
    if layers == 1:
        strongest = (nonzero[:, :, 0].cumsum(axis=-1) <= strongest[..., None]).sum(axis=-1)
    valid &= (strongest < num_polarised).all(axis=1) & (reference > 0).all(axis=1)
    strongest = np.minimum(strongest, num_polarised - 1)
    valid &= np.take_along_axis(nonzero[:, :, 0], strongest[..., None], axis=-1).all(axis=(1, 2))
    beam_members, beams_exist = members_of(beams[:, 0], form.num_ant, form.num_beams)
    offsets, taps_exist = members_of(taps.ravel(), form.num_offsets, form.num_taps - 1)
    valid &= beams_exist & taps_exist.reshape(batch, layers).all(axis=1)
    valid &= window[:, 0] < (2 * form.num_taps if form.windowed else 1)
    nonzero[~valid], strongest[~valid] = False, 0
    nonzero[~valid, :, 0, 0] = True
    window = np.where(valid, window[:, 0], 0)
    further = _further(nonzero, strongest)
    amplitude, phase = (_spread(tail, further).reshape(nonzero.shape) for tail in tails)
    np.put_along_axis(amplitude[:, :, 0], strongest[..., None], 2**AMPLITUDE_WIDTH - 1, axis=-1)
    others = _to_taps(offsets.reshape(batch, layers, form.num_taps - 1) + 1, window[:, None, None], form)
    taps = np.concatenate([np.zeros((batch, layers, 1), dtype=np.int64), others], axis=2)
    reference = np.maximum(reference, 1)
    report = Etype2Report(group[:, 0], beam_members, window, taps, nonzero, strongest, reference, amplitude, phase)
    return report, valid


def _read_fields(payload: Payload, form: Etype2Format) -> tuple[list[Numbers], list[Numbers], Flags]:
    """Return the columns of each field up to i_2,3, those of i_2,4 and i_2,5, and which reports have a right length."""
    batch, layers, most = len(payload.length), form.rank, form.rank * form.most_nonzero
    number_of = {form.num_bits(number): number for number in range(layers, most + 1)}
    ends = np.cumsum([1, 1, 1, 1, layers, layers * form.num_coefficients, layers, layers])
    head = np.zeros((batch, ends[-1]), dtype=np.int64)
    tails = np.zeros((2, batch, most), dtype=np.int64)
    valid = np.zeros(batch, dtype=np.bool_)
    for num_bits, rows in by_value(payload.length):
        if num_bits in number_of:
            number = number_of[num_bits]
            fields = bits_to_fields(payload.bits[rows, :num_bits], form.widths(number))
            head[rows] = fields[:, : ends[-1]]
            tails[:, rows, : number - layers] = np.split(fields[:, ends[-1] :], 2, axis=1)
            valid[rows] = head[rows, 0] == number - 1
    return np.split(head, ends[:-1], axis=1), list(tails), valid


def _further(nonzero: Flags, strongest: Numbers) -> Flags:
    """Return [batch, rank * num_taps * 2 num_beams], the coefficients whose amplitude and phase are sent."""
    sent = nonzero.copy()
    np.put_along_axis(sent[:, :, 0], strongest[..., None], values=False, axis=-1)
    return sent.reshape(len(sent), math.prod(sent.shape[1:]))


def _spread(tail: Numbers, places: Flags) -> Numbers:
    """Lay the leading values of each row of ``tail`` out at its ``places``, in order; 0 elsewhere."""
    order = np.clip(places.cumsum(axis=1) - 1, 0, max(tail.shape[1] - 1, 0))
    return np.where(places, np.take_along_axis(tail, order, axis=1), 0)


def _initial(window: Numbers, form: Etype2Format) -> Numbers:
    """Return M_initial, where the window begins: -2 M + 1 ... 0."""
    return np.where(window > 0, window - 2 * form.num_taps, 0)


def _to_offsets(taps: Numbers, window: Numbers, form: Etype2Format) -> Numbers:
    """Number the taps of the window beside tap 0 from 1 on, those before tap 0 last."""
    if not form.windowed:
        return taps
    last = _initial(window, form) + 2 * form.num_taps - 1
    return np.where(taps <= last, taps, taps - (form.num_subbands - 2 * form.num_taps))


def _to_taps(offsets: Numbers, window: Numbers, form: Etype2Format) -> Numbers:
    """Invert `_to_offsets`."""
    if not form.windowed:
        return offsets
    last = _initial(window, form) + 2 * form.num_taps - 1
    return np.where(offsets <= last, offsets, offsets + (form.num_subbands - 2 * form.num_taps))
