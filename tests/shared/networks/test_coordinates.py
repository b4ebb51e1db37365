"""Coordinate networks: the formulae of the papers, written out once more."""

import math

import pytest
import torch

from shared.networks.coordinates import (
    FourierFeatures,
    ModulatedSiren,
    PositionalEncoding,
    Siren,
    centred_grid,
    unit_grid,
)


def test_fourier_features_are_equation_10() -> None:
    torch.manual_seed(1)
    features = FourierFeatures(3, 10.0)
    x = torch.tensor([0.25, 0.5])
    phases = [2 * math.pi * float(row @ x) for row in features.frequencies]
    wanted = [math.cos(phase) for phase in phases] + [math.sin(phase) for phase in phases]
    torch.testing.assert_close(features(x), torch.tensor(wanted), atol=1e-4, rtol=0)


def test_frequencies_have_the_deviation_asked_for() -> None:
    torch.manual_seed(1)
    assert FourierFeatures(5000, 10.0).frequencies.std() == pytest.approx(10, rel=0.03)


def test_the_positional_encoding_is_equation_5() -> None:
    encoding = PositionalEncoding(3, 1.4)
    p = torch.tensor([0.3, -0.7])
    wanted = [p]
    for k in range(3):
        wanted += [torch.sin(1.4**k * math.pi * p), torch.cos(1.4**k * math.pi * p)]
    torch.testing.assert_close(encoding(p), torch.cat(wanted))


def test_grids_run_row_by_row() -> None:
    assert unit_grid(4, 8)[9].tolist() == [0.25, 0.125]
    assert centred_grid(3, 5)[5].tolist() == [0.0, -1.0]


@pytest.mark.parametrize("depth", [3, 10])
def test_what_goes_into_each_sine_starts_with_unit_variance(depth: int) -> None:
    torch.manual_seed(1)
    network = ModulatedSiren(8, width=128, num_layers=depth)
    f = network.features(unit_grid(32, 32))
    for layer in network.layers:
        inside = network.omega_0 * layer(f)
        assert inside.std().item() == pytest.approx(1.0, rel=0.2)
        f = torch.sin(inside)


def test_siren_layers_start_with_unit_variance() -> None:
    torch.manual_seed(1)
    network = Siren(2, width=256, num_hidden=4, num_outputs=1)
    f = torch.sin(30 * network.first(centred_grid(32, 32)))
    for layer in network.hidden:
        inside = 30 * layer(f)
        assert inside.std().item() == pytest.approx(1.0, rel=0.2)
        f = torch.sin(inside)


def test_a_siren_has_the_weights_of_its_layers() -> None:
    network = Siren(2, width=32, num_hidden=3, num_outputs=3)
    assert sum(p.numel() for p in network.parameters()) == (2 + 1) * 32 + 3 * (32 + 1) * 32 + (32 + 1) * 3


def test_a_codeword_of_zeros_leaves_the_base_network() -> None:
    torch.manual_seed(1)
    network = ModulatedSiren(4, width=16, num_layers=3)
    x = unit_grid(8, 8)
    f = network.features(x)
    for layer in network.layers:
        f = torch.sin(50 * layer(f))
    torch.testing.assert_close(network(torch.zeros(1, 4), x)[0], network.output(f), atol=1e-4, rtol=0)


def test_modulation_is_equations_14_and_15() -> None:
    torch.manual_seed(1)
    network = ModulatedSiren(4, width=16, num_layers=2, omega_0=5.0)
    codeword, x = torch.randn(3, 4), unit_grid(4, 4)
    gamma, eta = network.film(codeword).view(3, 2, 2, 16).unbind(1)
    out = []
    for report in range(3):
        f = network.features(x)
        for i, layer in enumerate(network.layers):
            f = torch.sin(5 * (gamma[report, i] * layer(f) + eta[report, i]))
        out.append(network.output(f))
    torch.testing.assert_close(network(codeword, x), torch.stack(out), atol=1e-4, rtol=0)


def test_shifts_alone_are_coin_plus_plus() -> None:
    torch.manual_seed(1)
    network = ModulatedSiren(4, width=16, num_layers=2, omega_0=5.0, modulation="shift")
    codeword, x = torch.randn(3, 4), unit_grid(4, 4)
    eta = network.film(codeword).view(3, 2, 16)
    out = []
    for report in range(3):
        f = 2 * x - 1
        for i, layer in enumerate(network.layers):
            f = torch.sin(5 * (layer(f) + eta[report, i]))
        out.append(network.output(f))
    torch.testing.assert_close(network(codeword, x), torch.stack(out), atol=1e-4, rtol=0)
    assert network.film.bias.abs().max() == 0


def test_multiply_accumulates_and_weights_grow_as_in_table_v() -> None:
    counts = [
        sum(p.numel() for name, p in ModulatedSiren(8, 64, num_layers).named_parameters() if "film" not in name)
        for num_layers in (4, 6, 8)
    ]
    assert counts[1] - counts[0] == counts[2] - counts[1] == 2 * (64**2 + 64)  # 8,320: 27.47K, 35.77K, 44.09K
