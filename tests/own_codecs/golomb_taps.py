"""Golomb taps, a codec of the user's own: the first coefficients in coarse steps, each by an exponential Golomb code.

    step 0, 1, -1, 2, -2, ...  ->  number n = 0, 1, 2, 3, 4, ...  ->  n + 1 in binary behind as many zeros as it has
                                                                      bits, less one:  1  010  011  00100  00101 ...

Source: J. Teuhola, "A compression method for clustered bit-vectors", Inf. Process. Lett. 7, 1978.
"""

import numpy as np
import torch
from torch import Tensor

from shared.codecs import CodecEntry, DecodeContext, EncodeContext, Fitted, make_model, require_length
from shared.model_files import ModelFile
from shared.types import CsiShape, Payload, Reconstruction

STEP, HIGHEST = 1.0, 7  # a real number is one of 15 steps, which 4 bits would hold
BITS_BEFORE_CODING = 4
SHAPE = CsiShape("angular-delay", 1, 32, 32)


def to_code(step: int) -> str:
    """Return the code word of a step."""
    word = f"{2 * abs(step) - (step > 0) + 1:b}"
    return "0" * (len(word) - 1) + word


STEPS = {to_code(step): step for step in range(-HIGHEST, HIGHEST + 1)}


def steps_of(bits: str, num_steps: int) -> list[int] | None:
    """Return the steps of a report, or None if its bits are not those of so many."""
    steps = []
    while bits:
        size = 2 * (len(bits) - len(bits.lstrip("0"))) + 1
        if bits[:size] not in STEPS:
            return None
        steps.append(STEPS[bits[:size]])
        bits = bits[size:]
    return steps if len(steps) == num_steps else None


class GolombEncoder:
    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card = model.card

    def encode(self, h_est: Tensor, context: EncodeContext) -> Payload:
        self.card.shape.require(h_est, "h_est")
        self.card.require_rate(context.rate)
        reals = torch.view_as_real(h_est.cpu()).flatten(1)[:, : context.rate // BITS_BEFORE_CODING]
        steps = (reals / STEP).round().clamp(-HIGHEST, HIGHEST).int().tolist()
        return Payload.of_rows([np.array(list("".join(map(to_code, report))), dtype=np.uint8) for report in steps])


class GolombDecoder:
    def __init__(self, model: ModelFile, device: torch.device) -> None:
        self.card, self._device = model.card, device
        self.mean_csi = torch.zeros(SHAPE.dims, dtype=torch.complex64, device=device)

    def decode(self, payload: Payload, context: DecodeContext) -> Reconstruction:
        self.card.require_rate(context.rate)
        require_length(payload, *self.card.num_bits_range(context.rate))
        num_steps = context.rate // BITS_BEFORE_CODING
        reals = torch.zeros(len(payload.length), 2 * SHAPE.num_complex)
        valid = np.zeros(len(payload.length), dtype=np.bool_)
        for i, (row, num_bits) in enumerate(zip(payload.bits, payload.length.tolist(), strict=True)):
            steps = steps_of("".join(map(str, row[:num_bits])), num_steps)
            if steps is not None:
                reals[i, :num_steps], valid[i] = STEP * torch.tensor(steps), True
        return Reconstruction(torch.view_as_complex(reals.view(-1, *SHAPE.dims, 2)).to(self._device), valid)


def model() -> ModelFile:
    fitted = Fitted({}, "Golomb taps", "tests/own_codecs", rates=(16, 1024), length="variable")
    return make_model("golomb-taps", SHAPE, fitted)


ENTRY = CodecEntry(GolombEncoder, GolombDecoder, model=model)
