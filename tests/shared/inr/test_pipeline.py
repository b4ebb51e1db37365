"""INRIC's stages."""

from dataclasses import replace

import torch
from torch import Tensor

from shared.inr.adaround import AdaRoundOptions
from shared.inr.bitstream import decode_update
from shared.inr.pipeline import BEST, QuantizingOptions, quantize
from shared.inr.retrain import RETRAINING
from shared.inr.siren import SirenShape, Weights, mean_squared_errors, signal_of
from shared.inr.weight_quantizer import values_of

OPTIONS = QuantizingOptions(
    bits=5,
    scale_format="float16",
    adaround=AdaRoundOptions(num_iterations=200),
    retraining=replace(RETRAINING, num_steps=50, learning_rate=1e-5),
)


def test_each_stage_helps_and_its_bits_are_all_a_decoder_needs(
    shape: SirenShape, features: Tensor, target: Tensor, weights: Weights
) -> None:
    start, told = shape.zero_weights(), []

    def report_of(stage: str) -> object:
        told.append(stage)
        return lambda _done, _total: None

    found = quantize(shape, features, target, start, weights, OPTIONS, report_of=report_of)  # type: ignore[arg-type]
    assert list(found.indices) == ["rounded", "adaround", "retrained", BEST]
    assert told == ["retrained", "adaround", BEST]
    error = {
        stage: float(mean_squared_errors(signal_of(shape, values_of(indices, found.grids), features), target).mean())
        for stage, indices in found.indices.items()
    }
    assert error["retrained"] < error["rounded"]
    assert error[BEST] <= error["adaround"] < error["rounded"]
    decoded = decode_update(found.bits(BEST, 1), shape.tensors)
    for name, tensor in values_of(found.indices[BEST], found.grids).items():
        assert torch.equal(decoded[name][0], tensor[1])


def test_only_the_stages_wanted_are_worked_out(
    shape: SirenShape, features: Tensor, target: Tensor, weights: Weights
) -> None:
    found = quantize(shape, features, target, shape.zero_weights(), weights, OPTIONS, stages=("rounded",))
    assert list(found.indices) == ["rounded"]
