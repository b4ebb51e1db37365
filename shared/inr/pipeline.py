r"""INRIC's stages, from signals to what is sent of them.

    target --overfit--> weights --round--> rounded --retrain--> retrained
                           '--AdaRound--> adaround --retrain--> adaround-retrained

Source: INRIC, figure 2. Each way of rounding is kept, so that each can be told from the others; the paper sends the
last.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from shared.inr.adaround import AdaRoundOptions, adaround
from shared.inr.bitstream import encode_update
from shared.inr.overfit import OverfitOptions, Report
from shared.inr.retrain import RETRAINING, retrain
from shared.inr.siren import SirenShape, Weights
from shared.inr.weight_quantizer import Grid, ScaleFormat, grids_of, indices_of, values_of

Stage: TypeAlias = Literal["rounded", "adaround", "retrained", "adaround-retrained"]
BEST: Stage = "adaround-retrained"


@dataclass(frozen=True, slots=True)
class QuantizingOptions:
    """How weights become indices.

    Attributes:
        bits: Of an index, 1 ... 16; INRIC: 8 from a random start, 7 from a meta-learned one.
        scale_format: Of the scales on the wire.
        adaround: How to round.
        retraining: How to retrain.
    """

    bits: int = 8
    scale_format: ScaleFormat = "float32"
    adaround: AdaRoundOptions = field(default_factory=AdaRoundOptions)
    retraining: OverfitOptions = RETRAINING


@dataclass(frozen=True, slots=True)
class Quantized:
    """The indices of several signals after each stage.

    Attributes:
        grids: Name -> the grid of each tensor.
        indices: Stage -> name -> [batch, ...] int64.
        scale_format: Of the scales on the wire.
    """

    grids: dict[str, Grid]
    indices: dict[Stage, dict[str, Tensor]]
    scale_format: ScaleFormat

    def bits(self, stage: Stage, signal: int) -> NDArray[np.uint8]:
        """Return the code of one signal, [length] uint8."""
        grids = {name: Grid(grid.bits, grid.scale[signal : signal + 1]) for name, grid in self.grids.items()}
        indices = {name: index[signal : signal + 1] for name, index in self.indices[stage].items()}
        return encode_update(indices, grids, self.scale_format)


def quantize(
    shape: SirenShape,
    features: Tensor,
    target: Tensor,
    start: Weights,
    weights: Weights,
    options: QuantizingOptions,
    stages: tuple[Stage, ...] = ("rounded", "adaround", "retrained", "adaround-retrained"),
    report_of: Callable[[str], Report] | None = None,
) -> Quantized:
    """Quantise overfitted weights.

    Args:
        shape: The architecture.
        features: [num_points, num_inputs] float32.
        target: [batch, num_points, num_outputs] float32.
        start: Name -> [...] float32, theta_0 (zeros for none).
        weights: Name -> [batch, ...] float32.
        options: How.
        stages: Those wanted.
        report_of: Makes what is called after every step of a stage.

    Returns:
        The indices after each stage wanted.
    """
    update = {name: tensor - start[name] for name, tensor in weights.items()}
    grids = grids_of(update, options.bits, options.scale_format)
    indices: dict[Stage, dict[str, Tensor]] = {}

    def retrained(learned: Weights, stage: Stage) -> dict[str, Tensor]:
        report = report_of(stage) if report_of else None
        return retrain(shape, features, target, start, learned, grids, options.retraining, report)

    if "rounded" in stages:
        indices["rounded"] = indices_of(update, grids)
    if "retrained" in stages:
        indices["retrained"] = retrained(update, "retrained")
    if "adaround" in stages or BEST in stages:
        report = report_of("adaround") if report_of else None
        chosen = adaround(shape, features, start, update, grids, options.adaround, report)
        if "adaround" in stages:
            indices["adaround"] = chosen
        if BEST in stages:
            indices[BEST] = retrained(values_of(chosen, grids), BEST)
    return Quantized(grids, {stage: indices[stage] for stage in stages}, options.scale_format)
