import math
from fractions import Fraction

import numpy as np
import pytest

from shared.codecs.codebook.etype2_format import Etype2Format, Etype2Report, etype2_formats, read_reports, write_reports
from shared.network_settings import CodebookSettings
from shared.types import Payload

# table 5.2.2.2.5-1, written again
TABLE = {
    1: (2, Fraction(1, 4), Fraction(1, 4)),
    2: (2, Fraction(1, 4), Fraction(1, 2)),
    3: (4, Fraction(1, 4), Fraction(1, 4)),
    4: (4, Fraction(1, 4), Fraction(1, 2)),
    5: (4, Fraction(1, 4), Fraction(3, 4)),
    6: (4, Fraction(1, 2), Fraction(1, 2)),
    7: (6, Fraction(1, 4), Fraction(1, 2)),
    8: (6, Fraction(1, 4), Fraction(3, 4)),
}


def log2(count: int) -> int:
    return math.ceil(math.log2(count))


def bits_of(combination: int, rank: int, n3: int, num_nonzero: int, n1: int = 16) -> int:
    """Return the sum of the widths of TS 38.212, 6.3.2.1.2, of those indices that are sent."""
    num_beams, p, beta = TABLE[combination]
    m = math.ceil(p * n3 / (2 if n3 > 19 else 1))
    k0 = math.ceil(beta * 2 * num_beams * m)
    report = log2(k0 if rank == 1 else 2 * k0) + log2(4) + log2(math.comb(n1, num_beams))
    if n3 > 19:
        report += log2(2 * m)
    layer = 2 * num_beams * m + 4 + (log2(num_nonzero) if rank == 1 else log2(2 * num_beams))
    layer += log2(math.comb(2 * m - 1, m - 1) if n3 > 19 else math.comb(n3 - 1, m - 1))
    return report + rank * layer + 7 * (num_nonzero - rank)


@pytest.mark.parametrize("n3", [1, 4, 8, 13, 16, 18, 19, 32])
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("combination", TABLE)
def test_a_report_has_the_bits_of_the_specification(combination: int, rank: int, n3: int) -> None:
    form = Etype2Format(16, n3, rank, combination)
    num_beams, p, beta = TABLE[combination]
    most = rank * math.ceil(beta * 2 * num_beams * math.ceil(p * n3 / (2 if n3 > 19 else 1)))
    for num_nonzero in range(rank, most + 1):
        assert form.num_bits(num_nonzero) == bits_of(combination, rank, n3, num_nonzero)
    assert form.max_bits == bits_of(combination, rank, n3, most)


@pytest.mark.parametrize(
    ("combination", "rank", "n3", "fields"),
    [
        # by hand: number, i_1,1, i_1,2, i_1,5, i_1,6, i_1,7, i_1,8, i_2,3, i_2,4, i_2,5
        (4, 1, 16, (4, 2, 11, 0, 9, 32, 4, 4, 45, 60)),
        (1, 2, 16, (3, 2, 7, 0, 18, 32, 4, 8, 18, 24)),
        (2, 1, 32, (3, 2, 7, 3, 6, 16, 3, 4, 21, 28)),  # R = 2
        (6, 1, 13, (5, 2, 11, 0, 10, 56, 5, 4, 81, 108)),
        (3, 1, 18, (4, 2, 11, 0, 12, 40, 4, 4, 27, 36)),
        (8, 1, 19, (6, 2, 13, 0, 12, 60, 6, 4, 132, 176)),
        (1, 1, 4, (0, 2, 7, 0, 0, 4, 0, 4, 0, 0)),
        (5, 1, 8, (4, 2, 11, 0, 3, 16, 4, 4, 33, 44)),
        (6, 2, 32, (6, 2, 11, 4, 26, 128, 6, 8, 186, 248)),
    ],
)
def test_the_fields_are_those_counted_by_hand(combination: int, rank: int, n3: int, fields: tuple[int, ...]) -> None:
    form = Etype2Format(16, n3, rank, combination)
    widths = form.widths(rank * form.most_nonzero)
    size = rank * form.num_coefficients
    ends = np.cumsum([1, 1, 1, 1, rank, size, rank, rank, rank * (form.most_nonzero - 1)])
    assert tuple(int(part.sum()) for part in np.split(widths, ends)) == fields


def test_there_are_all_combinations_for_32_ports_and_fewer_for_fewer() -> None:
    settings = CodebookSettings(num_subbands=8)
    found = {ports: sorted(form.combination for form in etype2_formats(ports, settings)) for ports in (4, 8, 24, 32)}
    assert found == {4: [1, 2], 8: [1, 2, 3, 4, 5, 6], 24: [1, 2, 3, 4, 5, 6], 32: [1, 2, 3, 4, 5, 6, 7, 8]}
    two_of_a_cqi_subband = etype2_formats(32, CodebookSettings(num_subbands=20))
    assert sorted(form.combination for form in two_of_a_cqi_subband) == [1, 2, 3, 4, 5, 6]


def reports(form: Etype2Format, batch: int, seed: int) -> Etype2Report:
    """Return reports of random indices."""
    rng = np.random.default_rng(seed)
    shape = (batch, form.rank, form.num_taps, 2 * form.num_beams)
    nonzero = np.zeros((batch * form.rank, form.num_coefficients), dtype=np.bool_)
    for row in nonzero:
        row[rng.permutation(form.num_coefficients)[: rng.integers(1, form.most_nonzero + 1)]] = True
    nonzero = nonzero.reshape(shape)
    nonzero[:, :, 0, 1] |= ~nonzero[:, :, 0].any(axis=-1)
    for row in nonzero.reshape(-1, form.num_coefficients):
        row[np.flatnonzero(row)[form.most_nonzero :]] = False
    strongest = np.array([rng.choice(np.flatnonzero(row)) for row in nonzero[:, :, 0].reshape(-1, shape[-1])])
    strongest = strongest.reshape(batch, form.rank)
    window = rng.integers(0, 2 * form.num_taps, batch) if form.windowed else np.zeros(batch, dtype=np.int64)
    taps = np.zeros((batch, form.rank, form.num_taps), dtype=np.int64)
    for i in range(batch):
        first = window[i] - 2 * form.num_taps if window[i] else 0
        last = 2 * form.num_taps if form.windowed else form.num_subbands
        inside = [(first + j) % form.num_subbands for j in range(last)]
        for layer in range(form.rank):
            others = rng.choice([tap for tap in inside if tap], form.num_taps - 1, replace=False)
            taps[i, layer, 1:] = np.sort(others)
    amplitude, phase = rng.integers(0, 8, shape), rng.integers(0, 16, shape)
    amplitude, phase = amplitude * nonzero, phase * nonzero
    np.put_along_axis(amplitude[:, :, 0], strongest[..., None], 7, axis=-1)
    np.put_along_axis(phase[:, :, 0], strongest[..., None], 0, axis=-1)
    return Etype2Report(
        group=rng.integers(0, 4, batch),
        beams=np.stack([np.sort(rng.permutation(form.num_ant)[: form.num_beams]) for _ in range(batch)]),
        window=window,
        taps=taps,
        nonzero=nonzero,
        strongest=strongest,
        reference=rng.integers(1, 16, (batch, form.rank)),
        amplitude=amplitude,
        phase=phase,
    )


@pytest.mark.parametrize("n3", [1, 4, 13, 16, 19, 32])
@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("combination", TABLE)
def test_reports_are_read_as_they_were_written(combination: int, rank: int, n3: int) -> None:
    form = Etype2Format(16, n3, rank, combination)
    written = reports(form, 40, seed=combination)
    payload = write_reports(written, form)
    number = written.nonzero.sum(axis=(1, 2, 3))
    assert payload.length.tolist() == [bits_of(combination, rank, n3, int(k)) for k in number]
    found, valid = read_reports(payload, form)
    assert valid.all()
    for name in Etype2Report.__slots__:
        assert np.array_equal(getattr(found, name), getattr(written, name)), name


def one_report() -> Etype2Report:
    nonzero = np.zeros((1, 1, 4, 4), dtype=np.bool_)
    nonzero[0, 0, 0, 1] = nonzero[0, 0, 0, 2] = nonzero[0, 0, 2, 0] = True
    amplitude, phase = np.zeros((2, 1, 1, 4, 4), dtype=np.int64)
    amplitude[0, 0, 0, 1] = 7
    amplitude[0, 0, 0, 2], phase[0, 0, 0, 2] = 5, 9
    amplitude[0, 0, 2, 0], phase[0, 0, 2, 0] = 0, 15
    return Etype2Report(
        group=np.array([2]),
        beams=np.array([[3, 10]]),
        window=np.array([0]),
        taps=np.array([[[0, 1, 5, 15]]]),
        nonzero=nonzero,
        strongest=np.array([[1]]),
        reference=np.array([[12]]),
        amplitude=amplitude,
        phase=phase,
    )


# number 3 - 1 | q 2 | C(12,2) + C(5,1) = 71 | C(14,3) + C(10,2) + C(0,1) = 409 | taps 0 ... 3 | 0 of 3 | k = 12 | 5, 0
# | 9, 15
BITS = "10 10 1000111 110011001 0110 0000 1000 0000 00 1100 101 000 1001 1111".replace(" ", "")


def payload_of(bits: str) -> Payload:
    return Payload.of_equal_length(np.array([[int(bit) for bit in bits]], dtype=np.uint8))


def test_a_report_is_written_as_by_hand() -> None:
    assert "".join(map(str, write_reports(one_report(), Etype2Format(16, 16, 1, 1)).bits[0])) == BITS


@pytest.mark.parametrize(
    ("why", "bits"),
    [
        ("two nonzero coefficients in a bitmap of three", "01" + BITS[2:]),
        ("beams beyond the last of 120", BITS[:4] + "1111000" + BITS[11:]),
        ("taps beyond the last of 455", BITS[:11] + "111000111" + BITS[20:]),
        ("four in the bitmap", BITS[:20] + "0111" + BITS[24:]),
        ("the strongest is none of the two of tap 0", BITS[:36] + "10" + BITS[38:]),
        ("a reserved reference amplitude", BITS[:38] + "0000" + BITS[42:]),
        ("a length of no number of coefficients", BITS + "0"),
        ("a length of two coefficients", BITS[:-8]),
    ],
)
def test_bits_that_are_no_report_are_not_valid(why: str, bits: str) -> None:
    form = Etype2Format(16, 16, 1, 1)
    assert read_reports(payload_of(BITS), form)[1].all()
    assert not read_reports(payload_of(bits), form)[1].any(), why


def test_a_layer_with_more_coefficients_than_it_may_have_is_not_valid() -> None:
    form = Etype2Format(16, 4, 2, 1)  # one of each layer
    written = reports(form, 1, seed=0)
    bits = write_reports(written, form).bits
    ones = np.flatnonzero(bits[0, 10:18]) + 10
    assert len(ones) == 2
    bits[0, ones[1]], bits[0, ones[0] + (1 if ones[0] < 13 else -1)] = 0, 1  # both of layer 1
    assert not read_reports(Payload.of_equal_length(bits), form)[1].any()


def test_no_reports_are_no_bits() -> None:
    form = Etype2Format(16, 16, 1, 1)
    none = Payload(np.zeros((0, 0), dtype=np.uint8), np.zeros(0, dtype=np.int64))
    found, valid = read_reports(none, form)
    assert len(valid) == len(found.group) == 0
    assert write_reports(found, form).length.tolist() == []
