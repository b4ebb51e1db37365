import pytest

from shared.experiments import demo_joint_coding
from shared.experiments.demo_joint_coding import NUM_SYMBOLS, WAYS, rows_of
from shared.links import make_link
from shared.model_files import load_model
from shared.refinement.label import parse_refinement


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_every_way_takes_as_many_channel_uses(way: demo_joint_coding.Way) -> None:
    link = make_link(way.link)
    load_model(way.codec).card.require_rate(way.rate)
    load_model(way.codec).card.require_link(link.family, way.link)
    assert link.num_channel_uses(link.code.num_coded_bits(way.rate)) == NUM_SYMBOLS


def test_without_sionna_the_polar_code_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(demo_joint_coding.ways()) == len(WAYS)
    monkeypatch.setattr(demo_joint_coding, "find_spec", lambda name: None)
    assert {way.link for way in demo_joint_coding.ways()} == {"analog:uplink"}


def test_the_table_has_a_row_a_way_and_a_column_an_snr() -> None:
    def group(snr_db: float, mean_db: float) -> dict[str, object]:
        return {"snr_db": snr_db, "nmse": {"mean_db": mean_db}}

    columns, rows = rows_of({"one": [group(5, -1.234), group(-5, 0)], "two": [group(5, -2)]})
    assert columns == ["-5 dB", "5 dB"]
    assert rows == [("one", "0.00", "-1.23"), ("two", "-", "-2.00")]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
def test_the_summary_is_asked_by_canonical_labels(way: demo_joint_coding.Way) -> None:
    assert (way.link, way.refinement) == (make_link(way.link).label, str(parse_refinement(way.refinement)))
