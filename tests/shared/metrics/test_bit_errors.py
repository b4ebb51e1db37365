import re

import numpy as np
import pytest

from shared.errors import InvalidArgumentError
from shared.metrics import bit_errors
from shared.types import Payload


def test_every_wrong_bit_of_a_report_counts_once() -> None:
    sent = Payload(np.array([[1, 0, 1, 0], [1, 1, 0, 0]], dtype=np.uint8), np.array([4, 2]))
    decided = Payload(np.array([[0, 1, 0, 0], [1, 1, 0, 0]], dtype=np.uint8), np.array([4, 2]))
    assert bit_errors(decided, sent).tolist() == [3, 0]


def test_each_report_is_compared_over_its_own_length_whatever_room_the_arrays_have() -> None:
    length = np.array([3, 1])
    sent = Payload(np.array([[1, 0, 1, 0, 0], [1, 0, 0, 0, 0]], dtype=np.uint8), length)
    decided = Payload(np.array([[0, 0, 1], [0, 0, 0]], dtype=np.uint8), length)
    assert bit_errors(decided, sent).tolist() == bit_errors(sent, decided).tolist() == [1, 1]
    none = Payload.of_equal_length(np.zeros((2, 0), dtype=np.uint8))
    assert bit_errors(none, none).tolist() == [0, 0]


@pytest.mark.parametrize(("shape", "length"), [((2, 3), [3, 3]), ((1, 4), [4]), ((2, 4), [4, 3])])
def test_payloads_of_other_lengths_are_refused(shape: tuple[int, int], length: list[int]) -> None:
    sent = Payload.of_equal_length(np.zeros((2, 4), dtype=np.uint8))
    sentence = rf"`sent` must have the lengths of `decided`, {re.escape(str(length))}; got \[4, 4\]"
    with pytest.raises(InvalidArgumentError, match=sentence):
        bit_errors(Payload(np.zeros(shape, dtype=np.uint8), np.array(length)), sent)
