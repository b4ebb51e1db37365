import cmath
import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch

from shared.channels import ChannelSet, load_channels
from shared.codecs import make_decoder, make_encoder
from shared.codecs.codebook.etype2 import etype2_precoders
from shared.codecs.codebook.etype2_format import Etype2Format, Etype2Report, etype2_formats, read_reports
from shared.codecs.codebook.etype2_search import etype2_search
from shared.codecs.codebook.layers import channels_of, directions_of
from shared.codecs.contract import run_checks
from shared.codecs.trial import make_trial
from shared.errors import DataFileError
from shared.metrics import sgcs, sgcs_per_layer_and_subband
from shared.model_files import ModelFile, load_model
from shared.network_settings import CodebookSettings
from shared.transforms import from_angular_delay
from shared.types import CsiShape, Payload
from tests.shared.codecs.codebook.codebooks import CPU, codebook, decode, encode, few_paths, shape_of
from tests.shared.codecs.codebook.test_etype2_format import one_report, reports


def precoder(report: Etype2Report, form: Etype2Format, layer: int, t: int) -> np.ndarray:
    """Return W of one layer of the first report in subband t, sum by sum as in 5.2.2.2.5."""
    n1, num_beams = form.num_ant, form.num_beams
    weaker = 1 - report.strongest[0, layer] // num_beams
    halves = []
    for polarisation in range(2):
        half = np.zeros(n1, dtype=np.complex128)
        p1 = 2 ** ((int(report.reference[0, layer]) - 15) / 4) if polarisation == weaker else 1.0
        for i in range(num_beams):
            m = 4 * int(report.beams[0, i]) + int(report.group[0])
            v = np.array([cmath.exp(2j * cmath.pi * m * n / (4 * n1)) for n in range(n1)])
            for f in range(form.num_taps):
                if not report.nonzero[0, layer, f, polarisation * num_beams + i]:
                    continue
                k2 = int(report.amplitude[0, layer, f, polarisation * num_beams + i])
                c = int(report.phase[0, layer, f, polarisation * num_beams + i])
                y = cmath.exp(2j * cmath.pi * t * int(report.taps[0, layer, f]) / form.num_subbands)
                half += v * p1 * y * 2 ** ((k2 - 7) / 2) * cmath.exp(2j * cmath.pi * c / 16)
        halves.append(half)
    w = np.concatenate(halves)
    return w / np.linalg.norm(w)


@pytest.mark.parametrize(
    ("form", "report"),
    [
        (Etype2Format(16, 16, 1, 1), one_report()),
        (Etype2Format(16, 13, 2, 6), reports(Etype2Format(16, 13, 2, 6), 1, seed=3)),
        (Etype2Format(4, 32, 2, 2), reports(Etype2Format(4, 32, 2, 2), 1, seed=4)),
    ],
)
def test_a_precoder_is_that_of_the_specification(form: Etype2Format, report: Etype2Report) -> None:
    found = etype2_precoders(report, form, CPU).numpy()[0]
    assert found.shape == (form.num_subbands, form.rank, 2 * form.num_ant)
    for layer in range(form.rank):
        for t in range(form.num_subbands):
            np.testing.assert_allclose(found[t, layer], precoder(report, form, layer, t), atol=1e-9)


def test_a_subband_in_which_all_cancels_has_no_precoder() -> None:
    form = Etype2Format(16, 4, 1, 6)  # two taps
    report = reports(form, 1, seed=0)
    nonzero, amplitude, phase = (
        np.zeros_like(report.nonzero),
        np.zeros_like(report.amplitude),
        np.zeros_like(report.phase),
    )
    nonzero[0, 0, :, 2], amplitude[0, 0, :, 2] = True, 7
    cancelling = replace(
        report,
        taps=np.array([[[0, 2]]]),
        nonzero=nonzero,
        amplitude=amplitude,
        phase=phase,
        strongest=np.array([[2]]),
    )
    found = etype2_precoders(cancelling, form, CPU)[0, :, 0].norm(dim=-1)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.0, 1.0, 0.0], dtype=torch.float64))


@pytest.mark.parametrize(
    ("combination", "n3", "rank"),
    [*itertools.product([2], [8], [1, 2]), *itertools.product([4, 6, 8], [16], [1, 2]), (5, 13, 2), (6, 32, 1)],
)
def test_a_precoder_of_the_codebook_is_found_again(combination: int, n3: int, rank: int) -> None:
    """Of one tap a beam: of more, the norm that each subband is brought to hides which they were.

    With a window, of one layer: of two equally strong coefficients another may be taken for the strongest, from which
    the taps are counted, and then one window need not hold those of both layers.
    """
    form = Etype2Format(16, n3, rank, combination)
    report = reports(form, 30, seed=n3)
    rng = np.random.default_rng(0)
    nonzero = np.zeros_like(report.nonzero)
    where = rng.integers(0, form.num_taps, (30, rank, 1, 2 * form.num_beams))
    np.put_along_axis(nonzero, where, values=True, axis=2)
    np.put_along_axis(nonzero, report.strongest[:, :, None, None], values=False, axis=3)
    np.put_along_axis(nonzero[:, :, 0], report.strongest[..., None], values=True, axis=-1)
    phase = rng.integers(0, 16, nonzero.shape)
    amplitude = rng.integers(0, 8, nonzero.shape)
    np.put_along_axis(phase[:, :, 0], report.strongest[..., None], values=0, axis=-1)
    np.put_along_axis(amplitude[:, :, 0], report.strongest[..., None], values=7, axis=-1)
    w = etype2_precoders(replace(report, nonzero=nonzero, phase=phase, amplitude=amplitude), form, CPU)
    turned = w * torch.exp(2j * torch.pi * torch.rand(30, n3, rank, 1, generator=torch.Generator().manual_seed(1)))
    found = etype2_precoders(etype2_search(turned, form), form, CPU)
    torch.testing.assert_close((found.conj() * w).sum(dim=-1).abs(), torch.ones(30, n3, rank).double())


@pytest.mark.parametrize("n3", [16, 32])
def test_a_combination_that_says_more_is_nearer(indoor: ChannelSet, n3: int) -> None:
    settings, h = CodebookSettings(num_subbands=n3), indoor.h[:200]
    directions = directions_of(h, indoor.shape, settings)
    found = {}
    for form in etype2_formats(32, settings):
        h_hat = channels_of(etype2_precoders(etype2_search(directions, form), form, CPU), indoor.shape)
        found[form.combination] = float(sgcs(from_angular_delay(h_hat), from_angular_delay(h)).mean())
    for chain in ((1, 2, 4, 5, 8), (1, 3, 4, 6), (3, 4, 7, 8)):
        values = [found[combination] for combination in chain if combination in found]
        assert values == sorted(values)
        assert len(set(values)) == len(values)
    assert found[1] > 0.66
    assert max(found.values()) > (0.87 if n3 == 16 else 0.80)


def test_taps_lie_in_the_window_that_is_told() -> None:
    form = Etype2Format(4, 32, 2, 2)
    shape, settings = shape_of(2, 8, 32), CodebookSettings(rank=2, num_subbands=32)
    report = etype2_search(directions_of(few_paths(shape, 50), shape, settings), form)
    assert len(set(report.window.tolist())) > 3
    for window, taps in zip(report.window, report.taps, strict=True):
        first = int(window) - 2 * form.num_taps if window else 0
        inside = {(first + j) % 32 for j in range(2 * form.num_taps)}
        assert all(set(of_layer.tolist()) <= inside for of_layer in taps)
        assert all(len(set(of_layer.tolist())) == form.num_taps for of_layer in taps)


@pytest.mark.parametrize("codec", ["type1", "etype2"])
@pytest.mark.parametrize(
    ("shape", "settings"),
    [
        (shape_of(2, 8, 16), CodebookSettings(rank=2, num_subbands=8, port_mapping="dual")),
        (shape_of(2, 32, 32, "angular-delay"), CodebookSettings(rank=2, num_subbands=32)),
        (shape_of(1, 4, 3), CodebookSettings(num_subbands=1)),
        (shape_of(3, 12, 4), CodebookSettings(rank=1, num_subbands=4)),
    ],
)
def test_the_contract_holds_for_every_rank_number_of_subbands_and_array(
    codec: str, shape: CsiShape, settings: CodebookSettings
) -> None:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(16, *shape.dims, dtype=torch.complex64, generator=generator)
    trial = make_trial(partial(codebook, codec, shape, settings), h)
    trial = replace(trial, rates=trial.rates[::4])
    wrong = {name: verdict for name, verdict in run_checks(trial).items() if verdict}
    assert wrong == {}


@pytest.mark.parametrize("codec", ["type1", "etype2"])
def test_both_layers_of_a_ue_of_two_antennas_are_reported(codec: str) -> None:
    shape, settings = shape_of(2, 32, 16), CodebookSettings(rank=2, num_subbands=16)
    h = few_paths(shape, 60, num_paths=3)
    model = codebook(codec, shape, settings)
    rate = model.card.max_rate
    h_hat = decode(make_decoder(model, CPU), encode(make_encoder(model, CPU), h, rate), rate).h_hat
    layers = sgcs_per_layer_and_subband(h_hat, h, 2, 16).mean(dim=(0, 2)).tolist()
    least = (0.25, 0.25) if codec == "type1" else (0.9, 0.9)  # each layer is one beam, the second's halves turned
    assert layers[0] > least[0]
    assert layers[1] > least[1]


def test_a_report_is_as_it_always_was(indoor: ChannelSet) -> None:
    model = load_model("etype2")
    payload = encode(make_encoder(model, CPU), indoor.h[:3], 100)
    found = [np.packbits(bits[:n]).tobytes().hex() for bits, n in zip(payload.bits, payload.length, strict=True)]
    assert (payload.length.tolist(), found) == PINNED


PINNED = ([64, 93, 93], ["7dae278005dd946c", "e09e37ba00fbb0001e23ac38", "f9ae36d541a9f7969aa7ed60"])


def test_what_is_invalid_is_finite_and_stands_beside_what_is_not(indoor: ChannelSet) -> None:
    model = load_model("etype2")
    encoder, decoder = make_encoder(model, CPU), make_decoder(model, CPU)
    payload = encode(encoder, indoor.h[:4], 171)
    bits, length = payload.bits.copy(), payload.length.copy()
    bits[1, 40] ^= 1  # of the bitmap
    length[2] -= 1
    bits[2, length[2] :] = 0
    found = decode(decoder, Payload(bits, length), 171)
    assert found.valid.tolist() == [True, False, False, True]
    assert torch.isfinite(torch.view_as_real(found.h_hat)).all()
    torch.testing.assert_close(found.h_hat[[0, 3]], decode(decoder, payload, 171).h_hat[[0, 3]])


def test_a_rate_between_two_configurations_is_that_of_the_smaller_one(indoor: ChannelSet) -> None:
    encoder = make_encoder(load_model("etype2"), CPU)
    at = {rate: encode(encoder, indoor.h[:5], rate).bits for rate in (113, 170, 171)}
    assert np.array_equal(at[113], at[170])
    assert not np.array_equal(at[170], at[171][:, : at[170].shape[1]])


def test_what_umi_is_worth() -> None:
    umi = load_channels("umi-nlos")
    form = etype2_formats(32, CodebookSettings())[-1]
    directions = directions_of(umi.h[:200], umi.shape, CodebookSettings())
    h_hat = channels_of(etype2_precoders(etype2_search(directions, form), form, CPU), umi.shape)
    found = float(sgcs(from_angular_delay(h_hat), from_angular_delay(umi.h[:200])).mean())
    assert 0.62 < found < 0.72


def tampered(**fields: object) -> ModelFile:
    model = load_model("etype2")
    return ModelFile(model.card.model_copy(update=fields), model.tensors)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (tampered(codebook=None), "must have settings `codebook`"),
        (tampered(output="channel"), "`output` precoder"),
        (
            tampered(codebook=CodebookSettings(num_subbands=8)),
            r"must be \[2, 1, 8, 1, 1, 32, 32, 2\], as its card says; its file has",
        ),
        (tampered(codebook=CodebookSettings(port_mapping="dual")), r"must be \[2, 1, 16, 2, 1"),
        (tampered(codec="type1"), r"must be \[1, 1, 16, 1, 1"),
        (tampered(min_rate=1), "`min_rate` and `max_rate` of model etype2 must be 63 and 333; got 1 and 333"),
        (tampered(num_tx_ant=20), r"must be \[2, 1, 16, 1, 1, 20, 32, 2\]"),
    ],
)
def test_a_card_that_is_not_its_file_s_is_refused(model: ModelFile, message: str) -> None:
    for make in (make_encoder, make_decoder):
        with pytest.raises(DataFileError, match=message):
            make(model, CPU)


def test_the_payload_of_a_search_is_read_as_a_report() -> None:
    form = Etype2Format(4, 8, 2, 4)
    shape, settings = shape_of(2, 8, 8), CodebookSettings(rank=2, num_subbands=8)
    model = codebook("etype2", shape, settings)
    h = few_paths(shape, 40)
    payload = encode(make_encoder(model, CPU), h, form.max_bits)
    report, valid = read_reports(payload, form)
    assert valid.all()
    assert (report.nonzero.sum(axis=(2, 3)) <= form.most_nonzero).all()
