"""Tables are whole, however narrow the terminal, and show what was typed."""

import pytest

from ue_client.config import Settings
from ue_client.printing import Row, print_fields, print_tallies

ROW: Row = {
    "codec": "csi-inr-32-narrow-entropy",
    "rate": 256,
    "info_bits_per_report": 233.4,
    "snr_db": -12.5,
    "ues": None,
    "reports": 100_000,
    "nmse": 0.1,
    "nmse_db": -10.25,
    "sgcs": 0.987,
    "ber": 0.00012,
    "bler": 0.65,
    "fallbacks": 12_345,
    "erased": 12_345,
    "crc_failed": 12_345,
    "refined": 54_321,
    "refused": None,
    "retries": None,
    "p95_ms": 1234.5,
    "refinement": "never",
}


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")


def test_no_column_of_a_table_is_cut_where_the_terminal_is_narrow(capsys: pytest.CaptureFixture[str]) -> None:
    print_tallies("mine[b].npz :100:, digital:bsc", [ROW], Settings())
    out = capsys.readouterr().out
    title, *lines = out.splitlines()
    assert title.strip() == "mine[b].npz :100:, digital:bsc"
    shown = next(line for line in lines if "csi-inr" in line).split()
    wanted = ["csi-inr-32-narrow-entropy", "256", "233.4", "-12.5", "100000", "-10.25", "0.987", "0.00012", "0.65"]
    assert shown == [*wanted, "12345", "12345", "12345", "54321", "1234.5"]


def test_a_field_shows_what_was_typed_and_a_seed_as_it_is_given_again(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields("Load", {"arrivals": "trace:tr[a].txt:100:", "seed": 1234567, "num_reports": 1234567, "truth": True})
    lines = [line.split() for line in capsys.readouterr().out.splitlines() if line.strip()]
    assert ["arrivals", "trace:tr[a].txt:100:"] in lines
    assert ["seed", "1234567"] in lines
    assert ["num_reports", "1,234,567"] in lines
    assert ["truth", "True"] in lines
