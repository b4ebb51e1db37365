import pytest
import torch

from shared.errors import InvalidArgumentError
from shared.types import CsiShape

SHAPE = CsiShape("angular-delay", 2, 8, 4)


def test_a_shape_accepts_any_batch_of_it() -> None:
    assert SHAPE.num_complex == 64
    for batch in (0, 1, 3):
        SHAPE.require(torch.zeros(batch, 2, 8, 4, dtype=torch.complex64))


@pytest.mark.parametrize(
    "h",
    [
        torch.zeros(1, 2, 8, 4),
        torch.zeros(1, 2, 8, 4, dtype=torch.complex128),
        torch.zeros(1, 2, 4, 8, dtype=torch.complex64),
        torch.zeros(2, 8, 4, dtype=torch.complex64),
    ],
)
def test_another_shape_or_dtype_is_refused_with_the_wanted_and_the_found(h: torch.Tensor) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        SHAPE.require(h, "h_est")
    assert str(error.value) == f"`h_est` must be [batch, 2, 8, 4] complex64; got {list(h.shape)} {h.dtype}."
