"""A SIREN as a function of its weights is the network."""

import pytest
import torch

from shared.errors import InvalidArgumentError
from shared.inr.siren import (
    SirenShape,
    activations,
    for_signals,
    layer_output,
    mean_squared_errors,
    of_signal,
    signal_of,
)
from shared.networks.coordinates import PositionalEncoding, Siren, centred_grid


@pytest.mark.parametrize("num_frequencies", [0, 5])
def test_weights_give_what_the_network_gives(num_frequencies: int) -> None:
    shape = SirenShape(width=16, num_hidden=2, num_frequencies=num_frequencies)
    encoding = PositionalEncoding(num_frequencies, 1.4) if num_frequencies else None
    network = Siren(shape.num_inputs, 16, 2, 3, encoding=encoding)
    weights = of_signal(shape.random_weights(3), 0)
    network.load_state_dict(weights)
    grid = centred_grid(6, 7)
    torch.testing.assert_close(signal_of(shape, weights, shape.features(grid)), network(grid), atol=1e-5, rtol=0)


def test_several_signals_are_each_alone() -> None:
    shape = SirenShape(width=8)
    features = shape.features(centred_grid(5, 5))
    weights = {name: torch.randn(3, *size) / 10 for name, size in shape.tensors.items()}
    together = signal_of(shape, weights, features)
    assert together.shape == (3, 25, 3)
    for signal in range(3):
        alone = signal_of(shape, of_signal(weights, signal), features)
        torch.testing.assert_close(together[signal], alone, atol=1e-5, rtol=0)


def test_layers_and_tensors_are_those_of_the_network() -> None:
    shape = SirenShape(width=16, num_hidden=2, num_outputs=1, num_frequencies=3)
    network = Siren(shape.num_inputs, 16, 2, 1)
    assert {name: tuple(tensor.shape) for name, tensor in network.state_dict().items()} == shape.tensors
    assert sum(tensor.numel() for tensor in network.state_dict().values()) == shape.num_weights
    features = shape.features(centred_grid(3, 3))
    names = [name for name, _ in activations(shape, of_signal(shape.random_weights(1), 0), features)]
    assert names == list(shape.layers)


def test_the_output_has_no_sine() -> None:
    shape = SirenShape(width=2, num_outputs=1)
    weight, bias, f = torch.full((1, 2), 3.0), torch.zeros(1), torch.ones(1, 2)
    assert layer_output(shape, "output", weight, bias, f).item() == 6
    assert layer_output(shape, "hidden.0", weight, bias, f).item() == pytest.approx(
        float(torch.tensor(180.0).sin()), abs=1e-4
    )


def test_a_start_repeats_with_its_seed_and_leaves_torchs_generator_alone() -> None:
    shape = SirenShape(width=8)
    state = torch.get_rng_state()
    first, again, other = shape.random_weights(1), shape.random_weights(1), shape.random_weights(2)
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], again[name]) for name in shape.tensors)
    assert not torch.equal(first["output.weight"], other["output.weight"])


def test_no_start_is_zero_and_a_start_is_the_same_for_every_signal() -> None:
    shape = SirenShape(width=4)
    assert all(not tensor.any() for tensor in shape.zero_weights().values())
    shape.require(shape.zero_weights(), "start")
    repeated = for_signals(shape.zero_weights(), 3)
    assert repeated["output.bias"].shape == (3, 3)


def test_the_loss_is_the_mean_over_points_and_outputs() -> None:
    y = torch.tensor([[[1.0, 0.0]], [[2.0, 2.0]]])
    assert mean_squared_errors(y, torch.zeros_like(y)).tolist() == [0.5, 4.0]


@pytest.mark.parametrize(
    ("field", "value"), [("width", 0), ("width", 1025), ("num_hidden", 33), ("num_frequencies", -1)]
)
def test_a_network_that_no_header_holds_is_refused(field: str, value: int) -> None:
    with pytest.raises(InvalidArgumentError, match=f"`{field}` must be in"):
        SirenShape(**{"width": 4, field: value})


def test_weights_of_another_network_are_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="`start` must be the weights"):
        SirenShape(width=4).require(SirenShape(width=5).zero_weights(), "start")
