import json

from shared.experiments.reproduction_page import PAGE, RESULTS

RESULT = json.loads((RESULTS / "compressed_sensing.json").read_text())


def test_every_measured_figure_stands_on_the_page() -> None:
    text = PAGE.read_text()
    for row in RESULT["unquantized"]:
        interval = f"{row['low_db']:.2f} ... {row['high_db']:.2f}"
        assert f"| {row['nmse_db']:.2f} | {interval} | {row['parameter']:g} |" in text
    for row in RESULT["quantized"]:
        of_codec = [r for r in RESULT["quantized"] if (r["data"], r["codec"]) == (row["data"], row["codec"])]
        cells = " | ".join(f"{r['nmse_db']:.2f}" for r in sorted(of_codec, key=lambda r: r["rate"]))
        assert f"| {row['data']} | {row['codec']} | {cells} |" in text


def test_complex_vectors_are_the_better_ones_which_is_why_the_codecs_have_them() -> None:
    errors = {(row["codec"], row["vectors"], row["num_reals"]): row["nmse_db"] for row in RESULT["unquantized"]}
    for codec, vectors, num_reals in errors:
        if vectors == "complex":
            assert errors[codec, "complex", num_reals] < errors[codec, "real", num_reals]


def test_the_lasso_of_real_vectors_is_between_the_published_figures_and_five_db_ahead() -> None:
    for row in RESULT["unquantized"]:
        if (row["codec"], row["vectors"]) == ("cs-lasso", "real") and row["published_db"] is not None:
            assert row["published_db"] - 5 < row["nmse_db"] < row["published_db"]
