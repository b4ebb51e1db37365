import cmath

import pytest
import torch

from shared.codecs.codebook.beams import NUM_PORTS, dft_beams, require_ports
from shared.errors import InvalidArgumentError

CPU = torch.device("cpu")


@pytest.mark.parametrize("num_ant", [ports // 2 for ports in NUM_PORTS])
def test_a_beam_is_a_dft_vector_and_each_fourth_is_orthogonal(num_ant: int) -> None:
    beams = dft_beams(num_ant, CPU)
    assert beams.shape == (4 * num_ant, num_ant)
    for m, n in ((1, 1), (4 * num_ant - 1, num_ant - 1), (5, 1)):
        wanted = cmath.exp(2j * cmath.pi * m * n / (4 * num_ant)) / num_ant**0.5
        assert complex(beams[m, n]) == pytest.approx(wanted, abs=1e-12)
    for q in range(4):
        group = beams[q::4]
        torch.testing.assert_close(group @ group.mH, torch.eye(num_ant, dtype=torch.complex128), atol=1e-12, rtol=0)


@pytest.mark.parametrize("num_tx_ant", [2, 6, 20, 64])
def test_the_standard_has_no_codebook_for_other_rows(num_tx_ant: int) -> None:
    with pytest.raises(InvalidArgumentError, match=rf"must be 4, 8, 12, 16, 24 or 32; got {num_tx_ant}\."):
        require_ports(num_tx_ant)
