from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
import torch

from shared.channels import ChannelSet, load_channels
from shared.errors import InvalidArgumentError
from shared.experiments.reproduce import klt_errors, measure_networks
from shared.model_files import ModelFile, load_model, save_model


def test_the_klt_of_all_reals_is_exact_and_fewer_lose_what_their_directions_hold() -> None:
    generator = torch.Generator().manual_seed(1)
    deviations = torch.tensor([4.0, 2.0, 1.0, 0.5])
    rows = torch.randn(20_000, 4, generator=generator) * deviations + 3
    train, test = (torch.view_as_complex(part.reshape(-1, 2, 2)) for part in (rows[:10_000], rows[10_000:]))
    errors = klt_errors(train, test, [1, 2, 4])
    energy = torch.view_as_real(test).flatten(1).square().sum(dim=1)
    assert float(errors[4].max()) < 1e-6
    for kept, left in ((1, 5.25), (2, 1.25)):
        assert float((errors[kept] * energy).mean()) == pytest.approx(left, rel=0.05)


def test_a_table_begins_with_the_klt_of_each_size(indoor: ChannelSet) -> None:
    train = replace(indoor.part(0, 400), name="half", sha256="0" * 64)
    result = measure_networks(train, indoor.part(400, 500), [], published=False)
    rows = result["rows"]
    assert [(row["method"], row["num_reals"]) for row in rows] == [("klt", n) for n in (512, 128, 64, 32)]
    assert [Fraction(row["compression_ratio"]) for row in rows] == [Fraction(n, 2048) for n in (512, 128, 64, 32)]
    errors = [row["nmse_db"] for row in rows]
    assert errors == sorted(errors)
    assert all(row["low_db"] < row["nmse_db"] < row["high_db"] for row in rows)


def test_a_table_on_the_training_split_is_refused(indoor: ChannelSet) -> None:
    with pytest.raises(InvalidArgumentError, match="`test` must be another file"):
        measure_networks(indoor, indoor, [], published=False)


def test_a_codec_that_is_no_network_is_refused(indoor: ChannelSet) -> None:
    train = replace(indoor.part(0, 50), sha256="0" * 64)
    with pytest.raises(InvalidArgumentError, match="`models` must be networks with a codeword of reals; got klt"):
        measure_networks(train, indoor.part(50, 60), ["klt"], published=False)


def test_a_network_that_reports_precoders_is_refused(indoor: ChannelSet, tmp_path: Path) -> None:
    model = load_model("csinet")
    card = model.card.model_copy(update={"name": "of-sgcs", "output": "precoder", "measured": []})
    save_model(ModelFile(card, model.tensors), tmp_path)
    with pytest.raises(InvalidArgumentError, match="`models` must report channels, for an NMSE; of-sgcs reports"):
        measure_networks(None, indoor.part(50, 60), [str(tmp_path / "of-sgcs.safetensors")], published=False)


def test_a_coordinate_network_stands_beside_the_klt_of_its_size() -> None:
    street = load_channels("street-3g5-narrow")
    train = replace(street.part(100, 200), sha256="0" * 64)
    rows = measure_networks(train, street.part(0, 100), ["csi-inr-32-narrow"], published=False)["rows"]
    assert [(row["method"], row["num_reals"]) for row in rows][-2:] == [("klt", 32), ("csi-inr", 32)]
    assert -4.2 < rows[-1]["nmse_db"] < -3.0  # -3.63 dB of all 1,000
