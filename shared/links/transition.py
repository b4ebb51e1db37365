r"""Transition probabilities of quantisation indices over a link: T_ij = P(index j is detected | index i was sent).

    index i --B bits, first the most significant--> symbols --AWGN--> hard decisions --> index j

For BPSK, T_ij = p^d (1 - p)^(B - d), d the Hamming distance of the labels and p = Q(sqrt(2 Es/N0)). In general the axes
of the symbols err independently, and an axis takes level a for level b with the probability that its noise,
N(0, no / 2), carries a into the region of b. Where the bits of an index share an axis with those of its neighbours,
the neighbours are averaged over as uniform and independent, and so is the place of the index among the symbols.
Everything else (fading, channel codes) is counted.

Source: InvCSINet, *Information-Preserving CSI Feedback*, eqs. 26-28, which print BPSK over AWGN.
"""

from dataclasses import dataclass
from math import lcm

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from shared.errors import InvalidArgumentError
from shared.links.base import Link
from shared.links.label import ModulationName
from shared.links.modulation import MODULATIONS
from shared.rng import Randomness
from shared.types import Payload, ReceivedKind

MAX_BITS = 10  # a matrix of 8 MB


@dataclass(frozen=True, slots=True)
class TransitionProbability:
    """A transition matrix and where it comes from.

    Attributes:
        matrix: [2^bits, 2^bits] float64, row = sent, column = detected; rows sum to 1.
        exact: Whether it is a closed form; else it is counted.
        num_counted: How many indices were sent to count it; 0 for a closed form.
    """

    matrix: NDArray[np.float64]
    exact: bool
    num_counted: int


def transition_probability(bits: int, snr_db: float, modulation: ModulationName = "bpsk") -> TransitionProbability:
    """Return the closed form for uncoded bits over AWGN.

    Args:
        bits: Bits of an index, 1 to `MAX_BITS`.
        snr_db: Es/N0 in dB.
        modulation: Name of the modulation.

    Raises:
        InvalidArgumentError: If ``bits`` is out of its range.

    Example:
        >>> transition_probability(1, 0.0).matrix.round(4).tolist()
        [[0.9214, 0.0786], [0.0786, 0.9214]]
    """
    _require_bits(bits)
    sent_by = MODULATIONS[modulation]
    axis = level_transition(sent_by.levels, 10 ** (-snr_db / 10))
    places = range(0, lcm(bits, sent_by.bits_per_symbol), bits)
    matrix = np.zeros((2**bits, 2**bits))
    for first_bit in places:
        product = np.ones_like(matrix)
        for bits_of_index, bits_of_axis in _shared_axes(bits, first_bit, sent_by.num_axes, sent_by.bits_per_axis):
            part = _chosen_bits(np.arange(2**bits), bits_of_index, bits)
            product *= _marginal(axis, bits_of_axis, sent_by.bits_per_axis)[np.ix_(part, part)]
        matrix += product / len(places)
    return TransitionProbability(matrix, exact=True, num_counted=0)


def count_transitions(
    bits: int, snr_db: float, link: Link, num_reports: int, indices_per_report: int = 64, run: int = 0
) -> TransitionProbability:
    """Send uniform random indices through a link and its channel code, and count those of the reports that can be used.

    A report can be used if it arrives and its CRC, where the code has one, holds.

    Args:
        bits: Bits of an index, 1 to `MAX_BITS`.
        snr_db: Mean Es/N0 in dB.
        link: Any link.
        num_reports: Reports to send.
        indices_per_report: Indices of each.
        run: Seed.

    Returns:
        Rows of relative frequencies; an index that was never sent is taken to arrive as it is.

    Raises:
        InvalidArgumentError: If ``bits`` is out of its range, or the code does not take so many bits.
    """
    _require_bits(bits)
    num_info_bits = bits * indices_per_report
    sent = np.random.default_rng(run).integers(0, 2, (num_reports, num_info_bits), dtype=np.uint8)
    randomness = Randomness(run, np.zeros(num_reports, dtype=np.int64), np.arange(num_reports))
    coded = Payload.of_equal_length(link.code.encode(sent))
    received = link.transmit(coded, np.full(num_reports, snr_db, dtype=np.float32), randomness)
    arrived = received.length > 0
    values = received.values[arrived].astype(np.float32)
    llrs = values if received.kind is ReceivedKind.LLRS else 2 * values - 1
    decoded = link.code.decode(llrs, num_info_bits)
    usable = np.ones(len(llrs), dtype=np.bool_) if decoded.crc_ok is None else decoded.crc_ok
    weights = 1 << np.arange(bits)[::-1]
    pairs = [part[usable].reshape(-1, bits) @ weights for part in (sent[arrived], decoded.bits)]
    counts = np.zeros((2**bits, 2**bits))
    np.add.at(counts, tuple(pairs), 1)
    never = counts.sum(axis=1) == 0
    counts[never, never] = 1
    return TransitionProbability(counts / counts.sum(axis=1, keepdims=True), exact=False, num_counted=len(pairs[0]))


def level_transition(levels: NDArray[np.float64], no: float) -> NDArray[np.float64]:
    """Return [L, L], P(the nearest level is b | level a was sent) over noise N(0, no / 2).

    Args:
        levels: [L] float64, in any order, which is that of rows and columns.
        no: Variance of the complex noise.
    """
    order = np.argsort(levels)
    ascending = levels[order]
    edges = np.concatenate([[-np.inf], (ascending[1:] + ascending[:-1]) / 2, [np.inf]])
    standard = (edges - levels[:, None]) / np.sqrt(no / 2)
    lower, upper = standard[:, :-1], standard[:, 1:]
    # the difference of two numbers close to 1 has no digits left: take that of their complements
    by_place = np.where(lower > 0, ndtr(-lower) - ndtr(-upper), ndtr(upper) - ndtr(lower))
    return np.asarray(by_place[:, np.argsort(order)])


def _shared_axes(bits: int, first_bit: int, num_axes: int, bits_per_axis: int) -> list[tuple[list[int], list[int]]]:
    """Return, for each axis that bits of an index lie on, their places in the index and in the label of the axis."""
    found: dict[tuple[int, int], tuple[list[int], list[int]]] = {}
    for place in range(bits):
        symbol, bit = divmod(first_bit + place, num_axes * bits_per_axis)
        of_index, of_axis = found.setdefault((symbol, bit % num_axes), ([], []))
        of_index.append(place)
        of_axis.append(bit // num_axes)
    return list(found.values())


def _chosen_bits(numbers: NDArray[np.int64], chosen: list[int], width: int) -> NDArray[np.int64]:
    """Return the numbers that the ``chosen`` bits of ``numbers`` make, bit 0 the most significant of ``width``."""
    bits = numbers[:, None] >> (width - 1 - np.array(chosen)) & 1
    return np.asarray((bits << np.arange(len(chosen))[::-1]).sum(axis=1))


def _marginal(axis: NDArray[np.float64], chosen: list[int], bits_per_axis: int) -> NDArray[np.float64]:
    """Return the transitions of some bits of an axis, the others uniform when sent and whatever when detected."""
    part = _chosen_bits(np.arange(len(axis)), chosen, bits_per_axis)
    selection = np.eye(2 ** len(chosen))[part]  # [L, 2^chosen]
    return np.asarray(selection.T @ axis @ selection / selection.sum(axis=0)[:, None])


def _require_bits(bits: int) -> None:
    if not 1 <= bits <= MAX_BITS:
        raise InvalidArgumentError(f"`bits` must be in [1, {MAX_BITS}]; got {bits}.")
