import cmath
import itertools

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from shared.channels import ChannelSet
from shared.codecs import make_decoder, make_encoder
from shared.codecs.codebook.layers import directions_of
from shared.codecs.codebook.type1 import Type1Format, type1_formats, type1_precoders, type1_search
from shared.directions import layer_directions
from shared.model_files import load_model
from shared.network_settings import CodebookSettings
from shared.types import Payload
from tests.shared.codecs.codebook.codebooks import CPU, codebook, decode, encode, few_paths, shape_of


@pytest.mark.parametrize(
    ("num_tx_ant", "rank", "num_subbands", "wanted"),
    [
        # TS 38.212, 6.3.1.1.2: i_1,1, i_1,3 and i_2 of each subband
        (32, 1, 16, [6 + 2, 6 + 16 * 2, 5 + 16 * 4]),
        (32, 2, 16, [6 + 2 + 1, 6 + 2 + 16 * 1, 5 + 2 + 16 * 3]),
        (4, 2, 4, [3 + 1 + 1, 3 + 1 + 4, 2 + 1 + 4 * 3]),
        (12, 1, 2, [5 + 2, 5 + 2 * 2, 4 + 2 * 4]),
        (8, 1, 1, [4 + 2, 3 + 4]),
    ],
)
def test_a_report_has_the_bits_of_the_specification(
    num_tx_ant: int, rank: int, num_subbands: int, wanted: list[int]
) -> None:
    settings = CodebookSettings(rank=rank, num_subbands=num_subbands)
    assert [form.max_bits for form in type1_formats(num_tx_ant, settings)] == wanted


def precoder(l: int, k1: int, n: int, num_ant: int, rank: int) -> NDArray[np.complex128]:  # noqa: E741  (the specification's)
    """Return W of table 5.2.2.2.1-5 or -6, each layer at unit norm."""
    v, other = (
        np.array([cmath.exp(2j * cmath.pi * m * i / (4 * num_ant)) for i in range(num_ant)]) for m in (l, l + k1)
    )
    phi = cmath.exp(1j * cmath.pi * n / 2)
    layers = [np.concatenate([v, phi * v]), np.concatenate([other, -phi * other])]
    w: NDArray[np.complex128] = np.array(layers[:rank]) / (2 * num_ant) ** 0.5
    return w


@pytest.mark.parametrize("rank", [1, 2])
def test_a_precoder_is_that_of_the_specification(rank: int) -> None:
    mode_1, mode_2 = Type1Format(4, rank, 1, 2), Type1Format(4, rank, 2, 2)
    num_phases = 4 if rank == 1 else 2
    i_13 = 0 if rank == 1 else 3
    of_mode_1 = type1_precoders(torch.tensor([[13, i_13, 1, 0]]), mode_1, 2).numpy()[0]
    np.testing.assert_allclose(of_mode_1[0], precoder(13, 4 * i_13, 1, 4, rank), atol=1e-12)
    np.testing.assert_allclose(of_mode_1[1], precoder(13, 4 * i_13, 0, 4, rank), atol=1e-12)
    of_mode_2 = type1_precoders(torch.tensor([[5, i_13, 0, 3 * num_phases + 1]]), mode_2, 2).numpy()[0]
    np.testing.assert_allclose(of_mode_2[0], precoder(10, 4 * i_13, 0, 4, rank), atol=1e-12)
    np.testing.assert_allclose(of_mode_2[1], precoder(13, 4 * i_13, 1, 4, rank), atol=1e-12)


def test_wideband_is_one_choice_for_all_subbands() -> None:
    found = type1_precoders(torch.tensor([[3, 0, 2]]), Type1Format(4, 1, 1, 1), 5)
    assert found.shape == (1, 5, 1, 8)
    assert torch.equal(found, found[:, :1].expand_as(found))


@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("num_tx_ant", [4, 8])
def test_two_layers_are_orthonormal_whatever_the_indices(mode: int, num_tx_ant: int) -> None:
    form = Type1Format(num_tx_ant // 2, 2, mode, 1)  # type: ignore[arg-type]
    every = itertools.product(range(form.num_first), range(form.num_offsets), range(form.num_beams * form.num_phases))
    found = type1_precoders(torch.tensor(list(every)), form, 1)[:, 0]
    torch.testing.assert_close(found @ found.mH, torch.eye(2, dtype=torch.complex128).expand(len(found), 2, 2))


@pytest.mark.parametrize("rank", [1, 2])
@pytest.mark.parametrize("mode", [1, 2])
@pytest.mark.parametrize("num_choices", [1, 3])
def test_the_search_finds_what_trying_everything_finds(rank: int, mode: int, num_choices: int) -> None:
    form = Type1Format(4, rank, mode, num_choices)  # type: ignore[arg-type]
    shape, settings = shape_of(2, 8, 6), CodebookSettings(rank=rank, num_subbands=3)
    directions = directions_of(few_paths(shape, 5), shape, settings)
    found = type1_search(directions, form)
    num_values = form.num_beams * form.num_phases
    pairs = torch.tensor(list(itertools.product(range(form.num_first), range(form.num_offsets))))
    fields = torch.cat(
        [
            pairs.repeat_interleave(num_values, dim=0),
            torch.arange(num_values).repeat(len(pairs))[:, None].expand(-1, num_choices),
        ],
        dim=1,
    )
    w = type1_precoders(fields, form, 3)
    captured = torch.einsum("bsrp,fsrp->bfsr", directions, w.conj()).abs().square().sum(dim=3)
    captured = captured.reshape(5, len(pairs), num_values, 3)
    if num_choices == 1:
        captured = captured.sum(dim=-1, keepdim=True)
    best, choice = captured.max(dim=2)
    pair = best.sum(dim=-1).argmax(dim=1)
    assert torch.equal(found[:, :2], pairs[pair])
    assert torch.equal(found[:, 2:], choice[torch.arange(5), pair])


def test_a_precoder_of_the_codebook_is_found_again() -> None:
    shape, settings = shape_of(2, 8, 4), CodebookSettings(rank=2, num_subbands=4)
    model = codebook("type1", shape, settings)
    encoder, decoder = make_encoder(model, CPU), make_decoder(model, CPU)
    form = type1_formats(8, settings)[-1]
    generator = torch.Generator().manual_seed(1)
    fields = torch.stack(
        [torch.randint(0, 2 ** int(width), (20,), generator=generator) for width in form.widths], dim=1
    )
    w = type1_precoders(fields, form, 4)
    scale = torch.tensor([2.0, 1.0])[:, None]
    h = (w.conj() * scale).permute(0, 2, 3, 1).to(torch.complex64)
    h_hat = decode(decoder, encode(encoder, h, form.max_bits), form.max_bits).h_hat
    found = layer_directions(h_hat, 2, 4)
    torch.testing.assert_close((found.conj() * w).sum(dim=-1).abs(), torch.ones(20, 4, 2).double(), atol=1e-5, rtol=0)


def test_a_report_is_as_it_always_was(indoor: ChannelSet) -> None:
    model = load_model("type1")
    payload = encode(make_encoder(model, CPU), indoor.h[:3], 69)
    assert payload.length.tolist() == [69, 69, 69]
    assert [np.packbits(bits).tobytes().hex() for bits in payload.bits] == PINNED
    assert encode(make_encoder(model, CPU), indoor.h[:3], 68).length.tolist() == [38, 38, 38]
    assert encode(make_encoder(model, CPU), indoor.h[:3], 37).length.tolist() == [8, 8, 8]


PINNED = ["27fffffffffffffff8", "abddddddddddddddd8", "90199999e66ee99990"]


def test_a_beam_that_there_is_not_and_another_length_are_not_valid() -> None:
    model = codebook("type1", shape_of(1, 12, 4), CodebookSettings(num_subbands=4))  # 24 beams in 5 bits
    decoder = make_decoder(model, CPU)
    bits = np.zeros((3, 7), dtype=np.uint8)
    bits[0, :5], bits[1, :5] = [1, 0, 1, 1, 1], [1, 1, 0, 0, 0]
    found = decode(decoder, Payload(bits, np.array([7, 7, 6])), 7)
    assert found.valid.tolist() == [True, False, False]
    assert torch.isfinite(torch.view_as_real(found.h_hat)).all()
