import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from shared.experiments.sweep_lines import MOST_LINES, Row
from shared.experiments.sweep_plots import plot_matrix, plot_sweep

NAMES = ("nmse_mean_db", "nmse_ci95_low_db", "nmse_ci95_high_db", "bler_value", "bler_ci95_low", "bler_ci95_high")
SIMILARITY = ("sgcs", "sgcs_ci95_low", "sgcs_ci95_high")
DOWNLINK = ("num_reports", *(f"bler_{end}" for end in ("value", "ci95_low", "ci95_high", "perfect")))
EFFICIENCY = tuple(f"spectral_efficiency_{end}" for end in ("value", "ci95_low", "ci95_high", "perfect"))


def rows_of(codecs: int, rates: list[int], links: int, cnrs: list[float | None]) -> list[Row]:
    return [
        {
            "data": "data",
            "codec": f"codec-{codec}",
            "rate": rate,
            "info_bits_per_report": float(rate),
            "link": f"link-{link}",
            "estimator": "perfect" if cnr_db is None else "ls",
            "cnr_db": cnr_db,
            "refinement": "never",
            "snr_db": snr_db,
            **dict(zip(SIMILARITY, (0.8, 0.7, 0.9), strict=True)),
            **dict(zip(NAMES, (-5.0, -5.5, None, 0.1 if snr_db < 10 else 0.0, 0.05, 0.2), strict=True)),
            **dict(zip((f"downlink_10db_{name}" for name in DOWNLINK), (5, 0.2, 0.1, 0.3, 0.1), strict=True)),
            **dict(zip((f"downlink_10db_{name}" for name in EFFICIENCY), (4.0, 3.9, 4.1, 5.0), strict=True)),
        }
        for codec in range(codecs)
        for rate in rates
        for link in range(links)
        for cnr_db in cnrs
        for snr_db in (0.0, 10.0)
    ]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> dict[str, Figure]:
    figures: dict[str, Figure] = {}
    save = Figure.savefig

    def savefig(figure: Figure, path: Path, *, dpi: int) -> None:
        figures[path.name] = figure
        save(figure, path, dpi=dpi // 2)

    monkeypatch.setattr(Figure, "savefig", savefig)
    return figures


def legend(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_each_kind_is_a_png_and_an_svg_and_the_legend_names_what_differs(
    tmp_path: Path, drawn: dict[str, Figure]
) -> None:
    written = plot_sweep(rows_of(2, [64, 128], 1, [None]), tmp_path)
    assert [path.name for path in written] == ["snr-data.png", "rate-data.png", "downlink-data.png"]
    for path in written:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert len(list(ET.parse(path.with_suffix(".svg")).iter())) > 100
    lines = [f"codec-{codec}, {rate} bits" for codec in (0, 1) for rate in (64, 128)]
    assert legend(drawn["snr-data.png"]) == lines
    assert legend(drawn["rate-data.png"]) == ["codec-0", "codec-1"]
    assert legend(drawn["downlink-data.png"]) == [*lines, "perfect CSI"]
    assert drawn["snr-data.png"].get_suptitle() == "data, link-0, perfect estimate"
    assert "downlink SNR 10 dB" in drawn["downlink-data.png"].get_suptitle()


def test_precoders_which_have_no_nmse_are_drawn_by_their_sgcs(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    rows = rows_of(2, [64, 128], 1, [None])
    without: Row = dict.fromkeys(NAMES[:3])
    beside = [row | without if row["codec"] == "codec-0" else row for row in rows]
    labels = {}
    for name, of_name in {"channels": rows, "both": beside, "precoders": [row | without for row in rows]}.items():
        plot_sweep(of_name, tmp_path)
        labels[name] = [ax.get_ylabel() for ax in drawn["rate-data.png"].axes]
    assert labels == {"channels": ["NMSE (dB)"], "both": ["NMSE (dB)", "SGCS"], "precoders": ["SGCS"]}
    assert [ax.get_ylabel() for ax in drawn["snr-data.png"].axes] == ["SGCS", "feedback BLER"]


def test_ticks_stand_at_lengths_that_are_whole_and_elsewhere_at_round_numbers(
    tmp_path: Path, drawn: dict[str, Figure]
) -> None:
    rows = rows_of(1, [63, 89], 1, [None])
    plot_sweep(rows, tmp_path)
    assert drawn["rate-data.png"].axes[0].get_xticks().tolist() == [63, 89]
    plot_sweep([row | {"info_bits_per_report": float(str(row["rate"])) + 0.371} for row in rows], tmp_path)
    assert all(tick.is_integer() for tick in drawn["rate-data.png"].axes[0].get_xticks() if tick > 1)


def test_zero_forcing_and_the_coded_downlink_are_drawn_and_named(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    coded = dict(zip((f"downlink_10db_bler_coded_{end}" for end in ENDS), (0.3, 0.2, 0.4, 0.1), strict=True))
    rows = [
        {name.replace("downlink_10db_", "downlink_10db_4ue_mcs9_"): value for name, value in (row | coded).items()}
        for row in rows_of(1, [64], 1, [None])
    ]
    plot_sweep(rows, tmp_path)
    figure = drawn["downlink-data.png"]
    assert "downlink SNR 10 dB, 4 UEs, MCS 9" in figure.get_suptitle()
    assert [ax.get_ylabel() for ax in figure.axes][-1] == "coded downlink BLER"
    plot_sweep(rows_of(1, [64], 1, [None]), tmp_path)
    assert len(drawn["downlink-data.png"].axes) == len(figure.axes) - 1


ENDS = ("value", "ci95_low", "ci95_high", "perfect")


def test_a_zero_is_left_out_of_a_logarithmic_axis(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    plot_sweep(rows_of(1, [64], 1, [None]), tmp_path)
    nmse, bler = drawn["snr-data.png"].axes
    assert [len(ax.containers[0].get_children()[0].get_xdata()) for ax in (nmse, bler)] == [2, 1]  # type: ignore[attr-defined]


def test_more_lines_than_are_told_apart_get_panels_and_pictures_of_their_own(
    tmp_path: Path, drawn: dict[str, Figure]
) -> None:
    written = plot_sweep(rows_of(2, [64, 128], 3, [None, 0.0]), tmp_path)
    assert [path.name for path in written[:2]] == ["snr-data.png", "snr-data-2.png"]
    titles = [ax.get_title(loc="left") for name in ("snr-data.png", "snr-data-2.png") for ax in drawn[name].axes[::2]]
    assert titles == [
        f"{estimate}, link-{link}" for link in range(3) for estimate in ("perfect estimate", "ls estimate, CNR 0 dB")
    ]
    assert len(legend(drawn["snr-data.png"])) == 4 <= MOST_LINES


def test_symbols_beside_bits_share_a_panel_over_channel_uses(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    def row_of(row: Row) -> Row:
        analog = row["link"] == "link-0"
        length = {"link": "analog", "rate": 16, "bler_value": None} if analog else {"rate": 64}
        return {**row, **length, "channel_uses_per_report": 16.0 if analog else 32.0}

    rows = [row_of(row) for row in rows_of(3, [64], 4, [None])]
    plot_sweep(rows, tmp_path, one_panel=True)
    assert len(legend(drawn["snr-data.png"])) == 12 > MOST_LINES
    assert len(drawn["snr-data.png"].axes) == 2
    assert drawn["rate-data.png"].axes[0].get_xlabel() == "channel uses of a report"
    plot_sweep([row for row in rows if row["link"] == "analog"], tmp_path)
    assert [text.get_text() for text in drawn["snr-data.png"].axes[1].texts] == ["no bits"]


def test_the_matrix_has_a_map_a_codec_and_rate_with_its_numbers(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    cells: list[Row] = [
        {"family": family, "rate": rate, "trained_on": trained, "data": tested, "nmse_mean_db": value}
        for family in ("klt", "csinet")
        for rate in (64, 128)
        for trained, tested, value in (("a", "x", -5.25), ("a", "y", -1.0), ("b", "x", None))
    ]
    plot_matrix(cells, "the title", tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").stat().st_size > 5000
    assert (tmp_path / "matrix.svg").stat().st_size > 5000
    maps = drawn["matrix.png"].axes[:4]
    assert [ax.get_title() for ax in maps] == [
        f"{codec}, {rate} bits" for codec in ("klt", "csinet") for rate in (64, 128)
    ]
    assert [text.get_text() for text in maps[0].texts] == ["-5.25", "-1.00", "-", "-"]


def test_lines_that_differ_in_their_refinement_are_named_by_it(tmp_path: Path, drawn: dict[str, Figure]) -> None:
    plain = rows_of(1, [64], 1, [None])
    plot_sweep([*plain, *({**row, "refinement": "always:steps-4"} for row in plain)], tmp_path)
    assert legend(drawn["snr-data.png"]) == ["not refined", "refined always:steps-4"]
    plot_sweep(plain, tmp_path / "plain")
    assert "never" not in drawn["snr-data.png"].get_suptitle()
