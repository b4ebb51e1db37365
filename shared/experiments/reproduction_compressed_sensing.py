"""The section of `docs/reproduction.md` on compressed sensing: read from what `benchmarks.compressed_sensing` left."""

from typing import Any

from shared.experiments.reproduction_tables import db, markdown_table


def compressed_sensing_section(result: dict[str, Any], text: str) -> str:
    """Return the section.

    Args:
        result: The JSON of the benchmark.
        text: What stands under the heading.
    """
    data = result["cost2100"]
    return "\n".join(
        [
            "## Compressed sensing: the lasso's published figures, and what learning is worth",
            "",
            text,
            "",
            f"* Test: {data['test'][1]:,} channels of `{data['test'][0]}`, evenly spaced; parameters (atoms; lambda,",
            f"  at unit mean power) chosen on {data['tuning'][1]} of `{data['tuning'][0]}`, other environments",
            f"* Lasso: {result['num_iterations']} iterations of FISTA; not quantised",
            f"* Command: `{result['command']}`",
            "",
            _unquantized(result["unquantized"]),
            "Lasso of real vectors, by lambda, on the channels that it is chosen on:",
            "",
            _other_thresholds(result["unquantized"]),
            "At equal bits, ideal link, the whole test split:",
            "",
            *(f"* {identity}" for identity in result["data"]),
            "",
            _quantized(result["quantized"]),
            "CPU time of a decoder for a report, ms, batches of 64, one thread beside other work:",
            "",
            _times(result["quantized"]),
        ]
    )


def _unquantized(rows: list[dict[str, Any]]) -> str:
    cells = [
        (
            row["codec"],
            row["vectors"],
            f"1/{2048 // row['num_reals']}",
            str(row["num_reals"]),
            "-" if row["published_db"] is None else db(row["published_db"]),
            f"{row['nmse_db']:.2f}",
            f"{db(row['low_db'])} ... {db(row['high_db'])}",
            f"{row['parameter']:g}",
        )
        for row in sorted(rows, key=lambda row: (-row["num_reals"], row["vectors"], row["codec"]))
    ]
    return markdown_table(("codec", "vectors", "ratio", "reals", "lasso, paper", "ours", "95 %", "parameter"), cells)


def _other_thresholds(rows: list[dict[str, Any]]) -> str:
    rows = [row for row in rows if row["other_thresholds"]]
    head = ("reals", *(f"{point['parameter']:g}" for point in rows[0]["other_thresholds"]))
    cells = [(str(row["num_reals"]), *(f"{p['nmse_db']:.2f}" for p in row["other_thresholds"])) for row in rows]
    return markdown_table(head, cells)


def _quantized(rows: list[dict[str, Any]]) -> str:
    rates = sorted({row["rate"] for row in rows})
    cells = [
        (data, codec, *(f"{_of(rows, data, codec, rate)['nmse_db']:.2f}" for rate in rates))
        for data in dict.fromkeys(row["data"] for row in rows)
        for codec in dict.fromkeys(row["codec"] for row in rows)
    ]
    return markdown_table(("data", "codec", *(f"{rate:,}" for rate in rates)), cells)


def _times(rows: list[dict[str, Any]]) -> str:
    data, rates = rows[0]["data"], sorted({row["rate"] for row in rows})
    cells = [
        (codec, *(f"{_of(rows, data, codec, rate)['decode_cpu_ms']:.2f}" for rate in rates))
        for codec in dict.fromkeys(row["codec"] for row in rows)
    ]
    return markdown_table(("codec", *(f"{rate:,}" for rate in rates)), cells)


def _of(rows: list[dict[str, Any]], data: str, codec: str, rate: int) -> dict[str, Any]:
    return next(row for row in rows if (row["data"], row["codec"], row["rate"]) == (data, codec, rate))
