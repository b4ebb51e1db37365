"""The second half of the demo: joint source-channel coding beside separate coding, at equal channel uses.

csi-ue run: 16 complex symbols of the uplink a report, each way once -> summary -> table, plot, joint_coding.json

    rd-jscc         network -> 16 symbols over the analog link
    rd-jscc + RD    the same, refined by residual diffusion at the base station
    klt-analog      16 coefficients over the analog link, linear
    csinet, 16-QAM  32 bits, their CRC and a polar code: 64 coded bits -> 16 symbols; 64-QAM: 48 bits in 96
    angular-topk, 256-QAM  64 bits, likewise in 128 coded ones
"""

from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

NUM_SYMBOLS = 16
SNR_DB = "-10:20:5"
DIGITAL = "digital:soft:{}:uplink:polar-1/2"


@dataclass(frozen=True, slots=True)
class Way:
    """One way to send a report over 16 channel uses.

    Attributes:
        name: In table and plot.
        codec: Name of the model.
        rate: Information bits of a report, or its symbols.
        link: Label of the link.
        refinement: Label of the refinement.
    """

    name: str
    codec: str
    rate: int
    link: str
    refinement: str = "never"

    @property
    def options(self) -> list[str]:
        """Of ``csi-ue run``."""
        refine = [] if self.refinement == "never" else ["--refine", self.refinement]
        return ["--codec", self.codec, "--rate", str(self.rate), "--link", self.link, *refine]

    @property
    def filters(self) -> dict[str, str]:
        """Of ``GET /v1/metrics/summary``."""
        return {
            "codec": self.codec,
            "rate": str(self.rate),
            "link": self.link,
            "refinement": self.refinement,
        }


WAYS = (
    Way("rd-jscc", "rd-jscc-indoor", NUM_SYMBOLS, "analog:uplink"),
    Way("rd-jscc + RD", "rd-jscc-indoor", NUM_SYMBOLS, "analog:uplink", "always"),
    Way("klt-analog", "klt-analog", NUM_SYMBOLS, "analog:uplink"),
    Way("csinet, 16-QAM", "csinet", 32, DIGITAL.format("16qam")),
    Way("csinet, 64-QAM", "csinet", 48, DIGITAL.format("64qam")),
    Way("angular-topk, 256-QAM", "angular-topk", 64, DIGITAL.format("256qam")),
)


def ways() -> tuple[Way, ...]:
    """Return the ways that can be gone here: the polar code needs Sionna (extra `radio`)."""
    return tuple(way for way in WAYS if "polar" not in way.link or find_spec("sionna") is not None)


def rows_of(groups_of: dict[str, list[dict[str, Any]]]) -> tuple[list[str], list[tuple[str, ...]]]:
    """Return the columns and rows of the table: NMSE of each way over SNR.

    Args:
        groups_of: Name of a way -> its groups of the summary.
    """
    snrs = sorted({group["snr_db"] for groups in groups_of.values() for group in groups})
    rows = []
    for name, groups in groups_of.items():
        nmse = {group["snr_db"]: f"{group['nmse']['mean_db']:.2f}" for group in groups}
        rows.append((name, *(nmse.get(snr_db, "-") for snr_db in snrs)))
    return [f"{snr_db:g} dB" for snr_db in snrs], rows
