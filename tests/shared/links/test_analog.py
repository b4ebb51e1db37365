"""The analog link: power, noise and the SNR after combining, as the closed form has them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from shared.errors import InvalidArgumentError
from shared.links import SymbolLink, make_link
from shared.links.label import FADING_NAMES, AnalogLabel, FadingName, parse_analog_label
from shared.rng import Randomness
from shared.types import Received, ReceivedKind, Symbols, no_bits

NUM_REPORTS, NUM_SYMBOLS = 2000, 64
generator = np.random.default_rng(8)
Z = (5 * generator.standard_normal((NUM_REPORTS, NUM_SYMBOLS, 2)) + 3).astype(np.float32).view(np.complex64)[..., 0]
SENT = Z / np.sqrt(np.mean(np.abs(Z.astype(np.complex128)) ** 2, axis=1, keepdims=True))
everyone = np.arange(NUM_REPORTS)


def send(
    label: str, snr_db: float, rows: NDArray[np.int64] = everyone, run: int = 1, num_symbols: int = NUM_SYMBOLS
) -> tuple[NDArray[np.complex64], NDArray[np.float32], Received]:
    link = make_link(label)
    assert isinstance(link, SymbolLink)
    snr = np.full(len(rows), snr_db, dtype=np.float32)
    received = link.transmit_symbols(Symbols(Z[rows, :num_symbols]), snr, Randomness(run, rows * 0 + 3, rows))
    assert received.kind is link.kind is ReceivedKind.SYMBOLS
    assert received.values.dtype == np.complex64
    assert received.length.dtype == np.int64
    assert received.no_eff is not None
    assert received.no_eff.dtype == np.float32
    assert received.no_eff.shape == received.values.shape == (len(rows), num_symbols)
    return received.values.astype(np.complex64), received.no_eff, received


@pytest.mark.parametrize("fading", FADING_NAMES)
@pytest.mark.parametrize("num_symbols", [1, 7, NUM_SYMBOLS])
def test_a_report_goes_out_at_unit_power_however_many_symbols_were_kept_of_it(fading: str, num_symbols: int) -> None:
    values, no_eff, _ = send(f"analog:{fading}", 80, num_symbols=num_symbols)
    kept = Z[:, :num_symbols]
    sent = kept / np.sqrt(np.mean(np.abs(kept.astype(np.complex128)) ** 2, axis=1, keepdims=True))
    np.testing.assert_allclose(np.mean(np.abs(sent) ** 2, axis=1), 1, rtol=1e-6)
    assert (np.abs(values - sent) < 6 * np.sqrt(no_eff) + 1e-5).all()  # 1e-16 of a chance for each symbol


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 20.0])
@pytest.mark.parametrize("fading", FADING_NAMES)
def test_the_noise_is_circular_unbiased_and_of_the_variance_that_is_told(fading: FadingName, snr_db: float) -> None:
    values, no_eff, _ = send(f"analog:{fading}", snr_db)
    noise = ((values - SENT) / np.sqrt(no_eff)).astype(np.complex128)  # CN(0, 1)
    standard_error = 1 / np.sqrt(noise.size)
    assert abs(noise.mean()) < 4 * standard_error
    assert np.mean(np.abs(noise) ** 2) == pytest.approx(1, abs=4 * standard_error)
    assert abs(np.mean(noise**2)) < 4 * np.sqrt(2) * standard_error
    assert abs(np.mean(noise * SENT.conj())) < 4 * standard_error  # no gain but 1


@pytest.mark.parametrize("snr_db", [-10.0, 0.0, 10.0, 20.0])
@pytest.mark.parametrize(("fading", "mean_gain"), [("awgn", 1), ("rayleigh", 1), ("uplink", 8)])
def test_the_snr_after_combining_is_the_gain_times_es_over_n0(
    fading: FadingName, mean_gain: int, snr_db: float
) -> None:
    values, no_eff, _ = send(f"analog:{fading}", snr_db)
    gain = 1 / (no_eff.astype(np.float64) * 10 ** (snr_db / 10))
    of_report = gain.mean(axis=1)
    tolerance = 1e-6 if fading != "rayleigh" else 4 / np.sqrt(NUM_REPORTS)  # its gain has unit variance
    assert of_report.mean() == pytest.approx(mean_gain, rel=max(tolerance, 1e-6))
    measured = np.abs(values - SENT) ** 2  # exponential of mean no_eff, by itself in each symbol
    weighed = np.mean(measured * gain) * 10 ** (snr_db / 10)
    assert weighed == pytest.approx(1, abs=4 / np.sqrt(measured.size))


@pytest.mark.parametrize("fading", FADING_NAMES)
def test_a_report_fades_as_its_channel_does(fading: FadingName) -> None:
    _, no_eff, _ = send(f"analog:{fading}", 3.0)
    assert len(np.unique(no_eff[:, 0])) > (1 if fading == "awgn" else 100) - 1
    if fading == "uplink":  # 32 subcarriers, over which the symbols go again and again
        assert np.array_equal(no_eff[:, :32], no_eff[:, 32:])
        assert (no_eff[:, 0] != no_eff[:, 16]).all()
    else:
        assert (no_eff == no_eff[:, :1]).all()


@pytest.mark.parametrize("label", [*(f"analog:{name}" for name in FADING_NAMES), "analog:uplink:erasure-0.5"])
def test_a_report_arrives_the_same_whoever_shares_its_batch_and_otherwise_in_another_run(label: str) -> None:
    values, no_eff, received = send(label, 0.0, everyone[:20])
    for row in range(20):
        alone = send(label, 0.0, np.array([row]))
        assert np.array_equal(alone[0][0], values[row])
        assert np.array_equal(alone[1][0], no_eff[row])
        assert alone[2].length[0] == received.length[row]
    assert (send(label, 0.0, everyone[:20], run=2)[0] != values).mean() > 0.5


def test_the_asked_share_of_reports_is_lost_whole_and_the_others_arrive_as_without_losses() -> None:
    values, no_eff, received = send("analog:uplink:erasure-0.1", 5.0)
    lost = received.length == 0
    assert lost.mean() == pytest.approx(0.1, abs=4 * np.sqrt(0.09 / NUM_REPORTS))
    assert set(received.length.tolist()) == {0, NUM_SYMBOLS}
    assert not values[lost].any()
    clear = send("analog:uplink", 5.0)
    assert np.array_equal(values[~lost], clear[0][~lost])
    assert np.array_equal(no_eff, clear[1])


@pytest.mark.parametrize("value", [0, np.nan, np.inf])
def test_a_report_without_power_is_refused(value: float) -> None:
    z = np.ones((2, 4), dtype=np.complex64)
    z[1] = value
    link = make_link("analog")
    assert isinstance(link, SymbolLink)
    with pytest.raises(InvalidArgumentError, match="`symbols` must be finite and have power"):
        link.transmit_symbols(Symbols(z), np.zeros(2, dtype=np.float32), Randomness(1, np.arange(2), np.arange(2)))


def test_bits_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`payload` over analog:uplink must be symbols; got bits"):
        make_link("analog:uplink").transmit(
            no_bits(1), np.zeros(1, dtype=np.float32), Randomness(1, np.arange(1), np.arange(1))
        )


@given(st.sampled_from(FADING_NAMES), st.floats(0, 1, exclude_max=True), st.booleans())
def test_the_text_of_a_label_is_read_as_that_label_in_any_order(fading: FadingName, erasure: float, turn: bool) -> None:
    label = AnalogLabel(fading, erasure)
    assert parse_analog_label(str(label)) == label
    words = [fading, f"erasure-{erasure!r}"]
    assert make_link(":".join(["analog", *(words[::-1] if turn else words)])).label == str(label)


@given(st.text(max_size=20) | st.lists(st.sampled_from(["awgn", "erasure-0.1", "erasure-", "soft", ""])).map(":".join))
def test_any_text_gives_a_canonical_link_or_the_error(text: str) -> None:
    try:
        link = make_link(f"analog:{text}")
    except InvalidArgumentError:
        return
    assert make_link(link.label).label == link.label


@pytest.mark.parametrize(
    ("label", "sentence"),
    [
        ("analog:soft", "`link` analog must be made of fading awgn, rayleigh, uplink; erasure-P; got 'soft'"),
        ("analog:", "got ''"),
        ("analog:awgn:uplink", "`link` must have one fading; got 'awgn' and 'uplink'"),
        ("analog:erasure-0:erasure-0", "`link` must have one erasure"),
        ("analog:erasure-1", r"`erasure-P` must have P in \[0, 1\); got 1.0"),
        ("analog:erasure-nan", r"`erasure-P` must have P in \[0, 1\); got nan"),
    ],
)
def test_what_is_no_label_is_named(label: str, sentence: str) -> None:
    with pytest.raises(InvalidArgumentError, match=sentence):
        make_link(label)
