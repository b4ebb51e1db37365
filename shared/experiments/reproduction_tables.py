"""The tables of `docs/reproduction.md` that hold a part against its theory, one function a benchmark's JSON file."""

import math
from collections.abc import Callable, Sequence
from typing import Any


def estimation(result: dict[str, Any]) -> str:
    """Return the table of channel estimators."""
    rows = [
        (
            row["estimator"],
            f"{row['cnr_db']:g}",
            f"{row['closed_form_db']:.2f}",
            f"{row['nmse_db']:.2f}",
            f"{row['ratio']:.4f} ± {row['ratio_standard_error']:.4f}",
        )
        for row in result["rows"]
    ]
    return "\n".join(
        [
            "## Channel estimation against theory",
            "",
            f"{result['data']['name']}, {result['data']['num_channels']} channels; measured over closed form, and one",
            f"standard error. Command: `{result['command']}`. Models: [estimation.md](estimation.md).",
            "",
            markdown_table(("estimator", "CNR, dB", "theory, dB", "measured, dB", "measured / theory"), rows),
        ]
    )


def profile(result: dict[str, Any]) -> str:
    """Return the tables of TR 38.901's scenarios and profiles."""
    rows = []
    for cell in result["cells"]:
        table, measured = cell["table"], cell["measured"]
        spread, k_db = measured["lg_delay_spread"], measured.get("k_db")
        rows.append(
            (
                f"{cell['scenario']} {cell['los']}",
                f"{measured['power']['mean']:.4f} ± {measured['power']['standard_error']:.4f}",
                f"{table['num_clusters']} / {measured['num_clusters']}",
                f"{table['lg_delay_spread'][0]:.3f} / {spread['mean']:.3f} ± {spread['standard_error']:.3f}",
                f"{table['k_db'][0]:g} / {k_db['mean']:.2f} ± {k_db['standard_error']:.2f}" if k_db else "-",
                "yes" if cell["agrees"] else "no",
            )
        )
    head = ("scenario", "mean power, 1", "clusters", "mean lg(delay spread / s)", "mean K, dB", "agrees")
    return "\n".join(
        [
            "## TR 38.901 channels against the specification's tables",
            "",
            f"{result['generator']}; table / measured, with one standard error. Command: `{result['command']}`.",
            "",
            markdown_table(head, rows),
            _taps(result["profiles"]),
        ]
    )


def _taps(profiles: list[dict[str, Any]]) -> str:
    rows = [
        (
            profile["scenario"],
            str(profile["num_taps"]),
            f"{profile['largest_delay_error']:.1e}",
            f"{profile['largest_power_error_in_standard_errors']:.2f}",
            f"{profile['delay_spread']:.3f}",
            f"{profile['first_k_db_table']:g} / {profile['first_k_db']:.2f}" if profile["first_k_db"] else "-",
            "yes" if profile["agrees"] else "no",
        )
        for profile in profiles
    ]
    head = (
        "profile",
        "taps",
        "largest error of a delay",
        "of a power, standard errors",
        "delay spread, 1",
        "K, dB",
        "agrees",
    )
    return markdown_table(head, rows)


def modulation(result: dict[str, Any]) -> str:
    """Return the table of bit error rates."""
    rows = [
        (
            row["modulation"],
            row["fading"],
            f"{row['snr_db']:g}",
            f"{row['closed_form']:.3e}",
            f"{row['ber']:.3e}",
            f"{row['ratio']:.4f} ± {row['ratio_standard_error']:.4f}",
        )
        for row in result["rows"]
    ]
    timing = result["timing"]
    slowest, fastest = timing["ratio_range"]
    return "\n".join(
        [
            "## Bit error rate of each modulation against its closed form",
            "",
            "Gray labels of TS 38.211; closed form: Cho and Yoon, IEEE Trans. Commun. 50, 2002. One standard error,",
            f"from report to report. In the same run, on the same {timing['num_bits']:,} bits, Sionna's mapper, AWGN",
            f"and demapper took {timing['ratio']:.1f} times as long as `digital:bsc` ({slowest:.1f} to {fastest:.1f}).",
            f"Command: `{result['command']}`. Models: [links.md](links.md).",
            "",
            markdown_table(("modulation", "fading", "Es/N0, dB", "theory", "measured", "measured / theory"), rows),
        ]
    )


def coding(result: dict[str, Any]) -> str:
    """Return the table of coded block error rates."""
    rows = [
        (
            row["code"],
            f"{row['num_info_bits']} / {row['num_coded_bits']}",
            f"{row['ebn0_db']:g}",
            f"{row['published']['num_errors'] / row['published']['num_blocks']:.4f}" if row["published"] else "-",
            f"{row['bler']:.4f}",
            f"{row['interval']['low']:.4f} ... {row['interval']['high']:.4f}",
            f"{row['normal_approximation']:.1e}",
        )
        for row in result["rows"]
    ]
    return "\n".join(
        [
            "## Coded block error rate against published waterfall points",
            "",
            "BPSK over AWGN, soft LLRs. Published: the counts printed in Sionna 2.2's tutorial *5G Channel Coding and",
            "Rate-Matching: Polar vs. LDPC Codes* (code cell 6); the same library made both, so this holds how we",
            "drive it against how its authors do. The normal approximation (Polyanskiy, Poor, Verdu, 2010) is near the",
            "least that any code of these sizes reaches. Our `ldpc` and `conv` carry the CRC of 5G UCI, 11 bits here.",
            "LDPC at 3 dB beats the printed count because all LLRs are of one size, there smaller than the true one,",
            "which suits belief propagation (`shared/coding/sionna_blocks.py`).",
            f"Command: `{result['command']}`.",
            "",
            markdown_table(("code", "bits", "Eb/N0, dB", "published", "ours", "95 %", "normal approximation"), rows),
        ]
    )


def published_coding(result: dict[str, Any]) -> str:
    """Return the table of coded block error rates beside other people's decoders, and where their files are."""
    rows = [
        (
            row["code"],
            f"{row['num_info_bits']} / {row['num_coded_bits']}",
            f"{row['snr']} {row['snr_db']:.2f}",
            _published_rate(row["published"]),
            row["llrs"],
            f"{row['bler']:.5f}",
            f"{row['interval']['low']:.5f} ... {row['interval']['high']:.5f}",
            f"{row['shift_db']:+.3f} ± {row['shift_standard_error_db']:.3f}" if row["published"] else "-",
        )
        for row in result["rows"]
    ]
    files = [
        (name, f"[{source['repository']}](https://github.com/{source['repository']})", source["file"], source["commit"])
        for name, source in result["sources"].items()
    ]
    head = ("code", "bits", "SNR, dB", "published", "LLRs", "ours", "95 %", "shift, dB")
    return "\n".join(
        [
            "## Coded block error rate against points made without Sionna",
            "",
            "AWGN, soft LLRs; `scaled` as the link decodes them, all of one size, `true` as the others did. Published",
            "and shift with one standard error of the counts; the shift is how many dB more ours needs. AFF3CT (C++)",
            "has Eb/N0 of BPSK, Maunder's MATLAB model of TS 38.212 Es/N0 of QPSK. Their polar decoders take minima",
            "where ours are exact, which is what the SC rows gain. The scale is for the link's rates, 1/5 and more: at",
            "the PBCH's 1/27 it is 0.4 of the true one, and costs. The PUCCH rows hold 1e-3 against the SNR printed",
            "for it; by an oversight in its script that is one SNR step too high (0.1 dB in the files for the PBCH,",
            "not printed here), so that ours may need that much more than the shift says.",
            f"Command: `{result['command']}`.",
            "",
            markdown_table(head, rows),
            markdown_table(("code", "repository", "file", "commit"), files),
        ]
    )


def _published_rate(published: dict[str, int] | None) -> str:
    if published is None:
        return "-"
    rate = published["num_errors"] / published["num_blocks"]
    return f"{rate:.5f} ± {math.sqrt(rate * (1 - rate) / published['num_blocks']):.5f}"


def abstraction(result: dict[str, Any]) -> str:
    """Return the table of the coded downlink."""
    rows = [
        (
            f"{row['snr_db']:g}",
            f"{row['full_chain']:.3f} ± {row['full_chain_standard_error']:.3f}",
            f"{row['abstraction']:.3f}",
            f"{row['sionna_interpolation']:.3f}",
            f"{row['awgn']:.3f} ± {row['awgn_standard_error']:.3f}",
        )
        for row in result["rows"]
    ]
    head = (
        "downlink SNR, dB",
        "full LDPC chain",
        "abstraction, ours",
        "Sionna's",
        "AWGN at the same EESM",
    )
    return "\n".join(
        [
            "## Coded downlink: PHY abstraction beside the full chain",
            "",
            f"{result['data']['name']}, {result['num_info_bits']} bits in {result['num_coded_bits']}; BLER, one",
            "standard error. Both abstractions take Sionna's BLER tables, simulated every 1.8 dB: Sionna interpolates",
            "the logarithm of the BLER between, ours its Gaussian quantile.",
            f"Command: `{result['command']}`. Model: [metrics.md](metrics.md).",
            "",
            markdown_table(head, rows),
        ]
    )


def analog(result: dict[str, Any]) -> str:
    """Return the table of the analog link."""
    rows = [
        (
            row["fading"],
            f"{row['snr_db']:g}",
            f"{row['power_off_by']:.1e}",
            f"{row['theory_db']:.2f}",
            f"{row['combined_snr_db']:.2f}",
            f"{row['ratio']:.4f} ± {row['ratio_standard_error']:.4f}",
            f"{row['noise_over_told']:.4f} ± {row['noise_over_told_standard_error']:.4f}",
        )
        for row in result["link"]
    ]
    head = ("fading", "Es/N0, dB", "power off by", "theory, dB", "measured, dB", "measured / theory", "noise / no_eff")
    return "\n".join(
        [
            "## Analog link: power and SNR after combining against theory",
            "",
            f"{result['num_reports']:,} reports of {result['num_symbols']} symbols a row; one standard error. Power:",
            "largest deviation of a report from 1, as received at 80 dB. SNR after combining: mean gain times Es/N0,",
            "`uplink` over eight antennas (MRC). `noise / no_eff`: power of the noise over what the decoder is told.",
            f"Command: `{result['command']}`. Model: [links.md](links.md).",
            "",
            markdown_table(head, rows),
        ]
    )


# name of the JSON file in benchmarks/results -> its table
TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "estimation": estimation,
    "modulation_ber": modulation,
    "coded_bler": coding,
    "published_bler": published_coding,
    "analog_link": analog,
    "phy_abstraction": abstraction,
    "tr38901_profile": profile,
}


def db(value: float | None) -> str:
    """Write a figure in dB."""
    return "-inf" if value is None else f"{value:.2f}"


def markdown_table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Write a table as Markdown."""
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"
