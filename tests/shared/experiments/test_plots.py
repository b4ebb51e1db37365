from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from shared.experiments.plots import plot_summary


def group(codec: str, snr_db: float, estimator: str, cnr_db: float | None) -> dict[str, Any]:
    nmse = {"mean_db": -5.0 - snr_db, "ci95_low_db": -5.1 - snr_db, "ci95_high_db": -4.9 - snr_db}
    bler = {"value": 0.5, "ci95_low": 0.4, "ci95_high": 0.6}
    of_session = {"codec": codec, "rate": 128, "estimator": estimator, "cnr_db": cnr_db}
    downlink = [{"snr_db": 0.0, "bler": {"value": 0.1, "ci95_low": 0.05, "ci95_high": 0.15}}]
    return of_session | {"snr_db": snr_db, "nmse": nmse, "bler": bler, "downlink": downlink}


@pytest.mark.parametrize(
    ("estimations", "labels"),
    [
        ([("ls", 10.0)], ["klt, 128 bits"]),
        (
            [("perfect", None), ("ls", 10.0), ("ls", 2.5)],
            ["klt, 128 bits, ls at CNR 10 dB", "klt, 128 bits, ls at CNR 2.5 dB", "klt, 128 bits, perfect"],
        ),
    ],
)
def test_each_codec_and_estimate_has_a_line_and_the_legend_names_estimates_where_there_are_several(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    estimations: list[tuple[str, float | None]],
    labels: list[str],
) -> None:
    drawn: list[Figure] = []
    save = Figure.savefig

    def savefig(figure: Figure, path: Path, **options: Any) -> None:
        drawn.append(figure)
        save(figure, path, **options)

    monkeypatch.setattr(Figure, "savefig", savefig)
    groups = [group("klt", snr_db, *estimation) for snr_db in (5.0, 0.0) for estimation in estimations]
    plot_summary(groups, "title", tmp_path / "plot.png")
    assert (tmp_path / "plot.png").stat().st_size > 10_000
    axes = drawn[0].axes[0]
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == labels
    curves = [line for line in axes.get_lines() if line.get_marker() in {"o", "s", "^"}]
    assert [np.asarray(line.get_xdata()).tolist() for line in curves] == [[0.0, 5.0]] * len(labels)
