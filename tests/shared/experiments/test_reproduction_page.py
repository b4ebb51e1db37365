import json

import pytest

from shared.experiments.reproduction_page import PAGE, RESULTS, networks_table, render


def test_the_page_is_what_the_results_make() -> None:
    assert PAGE.read_text() == render()


def test_every_measured_network_stands_on_the_page_beside_its_command() -> None:
    text = PAGE.read_text()
    for path in (RESULTS / "networks").glob("*.json"):
        for row in json.loads(path.read_text())["rows"]:
            assert f"| {row['nmse_db']:.2f} | {row['low_db']:.2f} ... {row['high_db']:.2f} |" in text
            assert row["command"] is None or f"`{row['command']}`" in text


@pytest.fixture
def result() -> dict[str, object]:
    row = {
        "method": "csinet",
        "num_reals": 64,
        "compression_ratio": "1/32",
        "nmse_db": -8.123,
        "low_db": -8.5,
        "high_db": -7.8,
        "published_db": None,
        "loss": "nmse",
        "epochs": 10,
        "samples_seen": 1000,
        "command": "csi-lab train csinet",
    }
    parts = {"training_data": "a", "test_data": "b", "command": "c"}
    return parts | {"rows": [row, row | {"method": "klt", "loss": None, "epochs": None, "published_db": -1.0}]}


def test_a_table_has_the_klt_first_and_a_dash_where_a_paper_has_no_figure(result: dict[str, object]) -> None:
    rows = [line for line in networks_table("mine", result).splitlines() if line.startswith("| ")][2:]
    assert rows[0].startswith("| klt | 1/32 | 64 | -1.00 | -8.12 | -8.50 ... -7.80 | closed form | - |")
    assert rows[1].startswith("| csinet | 1/32 | 64 | - | -8.12 | -8.50 ... -7.80 | nmse | 10 |")
