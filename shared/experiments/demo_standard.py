"""The optional third part of the demo: the standard's codebooks beside what it reports at equal bits.

csi-ue run: each rate over an ideal link -> summary -> table, plot, standard.json

Codebooks report precoders, so all are held against each other by SGCS and spectral efficiency of the downlink.
"""

from collections.abc import Callable
from typing import Any

from shared.model_files import load_model

CODECS = ("type1", "etype2", "csinet", "crnet", "angular-topk", "cs-omp")
RATES = (8, 38, 69, 113, 171, 247, 333)  # at which `etype2` and `type1` have configurations
LINK, SNR_DB = "ideal", 15  # which an ideal link ignores

Group = dict[str, Any]


def measure_standard(run_ue: Callable[[list[str], str], None], ask: Callable[[str], Any], num_reports: int) -> Any:
    """Run a UE for each rate and return the groups of the summary.

    Args:
        run_ue: Runs ``csi-ue run`` with options, what it prints under a name.
        ask: Asks the REST API.
        num_reports: Of a point.
    """
    cards = [load_model(name).card for name in CODECS]
    for rate in RATES:
        of_rate = [word for c in cards if c.min_rate <= rate <= c.max_rate for word in ("--codec", c.name)]
        options = ["--rate", str(rate), "--link", LINK, "--snr-db", str(SNR_DB), "--num-reports", str(num_reports)]
        run_ue([*of_rate, *options], f"ue-standard-{rate}.json")
    return ask(f"/v1/metrics/summary?link={LINK}")["groups"]


def rows_of(groups: list[Group]) -> list[tuple[str, ...]]:
    """Return the rows of the table, a codec's by its bits: codec, bits, SGCS, bit/s/Hz, NMSE."""
    rows: dict[tuple[str, float], tuple[str, ...]] = {}
    for group in sorted(groups, key=lambda one: (CODECS.index(one["codec"]), one["rate"])):
        bits, nmse = float(group["info_bits_per_report"]), group["nmse"]
        efficiency = group["downlink"][0]["spectral_efficiency"]["value"]
        nmse_db = "-" if nmse is None or nmse["mean_db"] is None else f"{nmse['mean_db']:.2f}"
        row = (group["codec"], f"{bits:.0f}", f"{group['sgcs']:.3f}", f"{efficiency:.2f}", nmse_db)
        rows.setdefault((group["codec"], bits), row)  # two rates between which no configuration lies are one
    return list(rows.values())
