"""Published block error rates of 5G's channel codes that were made without Sionna; what they are: `published_bler`.

Sources: aff3ct/error_rate_references and robmaunder/polar-3gpp-matlab on GitHub, at the commits of `SOURCES`.
"""

from dataclasses import dataclass

from benchmarks.coded_bler import Published


@dataclass(frozen=True, slots=True)
class Source:
    """A file of results in a public repository."""

    repository: str
    file: str
    commit: str


@dataclass(frozen=True, slots=True)
class Curve:
    """A code, its published points, and where ours is measured.

    Attributes:
        source: Key of `SOURCES`.
        num_info_bits: k.
        num_coded_bits: n.
        snr: As the source defines it, in dB.
        published: SNR -> errors and blocks.
        scaled: SNRs at which ours has the link's LLRs.
        true: SNRs at which ours has the true LLRs.
        blocks: After which a point is done anyway.
    """

    source: str
    num_info_bits: int
    num_coded_bits: int
    snr: str
    published: dict[float, Published]
    scaled: tuple[float, ...]
    true: tuple[float, ...]
    blocks: int = 100_000

    def es_n0(self, snr_db: float) -> float:
        """Return the linear Es/N0 of a BPSK symbol."""
        factor = self.num_info_bits / self.num_coded_bits if self.snr == EB_N0 else 0.5
        return factor * 10 ** (snr_db / 10)


EB_N0, QPSK_ES_N0 = "Eb/N0", "QPSK Es/N0"

_AFF3CT, _MAUNDER = "aff3ct/error_rate_references", "robmaunder/polar-3gpp-matlab"
_SPA = "LDPC/AWGN/BPSK/BP_FLOODING/SPA"
SOURCES = {
    "LDPC, k = 512": Source(
        _AFF3CT, f"{_SPA}/LDPC_N1024_K512_flooding_SPA_i20_5G.txt", "e30a088693a350fa8b8d380cc1b5ae677bbc04a7"
    ),
    "LDPC, k = 20": Source(
        _AFF3CT, f"{_SPA}/LDPC_N40_K20_flooding_SPA_i20_5G.txt", "e30a088693a350fa8b8d380cc1b5ae677bbc04a7"
    ),
    "polar, SC": Source(
        _AFF3CT, "POLAR/AWGN/BPSK/SC/Polar_N1024_K512_SC_5G_intra_p32.txt", "a973fd40e3474287147768139e5b2ffa302e6674"
    ),
    "polar, PBCH": Source(
        _MAUNDER, "results/BLER_vs_SNR_PBCH_32_864_8_1_1000_0.txt", "7243b64454c4cc32120b6fad117933194600656b"
    ),
    "polar, PUCCH": Source(
        _MAUNDER, "results/SNR_vs_A_PUCCH_0.001_432_8_1_100_0.txt", "61972d3506e35e456f76072dcb2192bb6725a4e6"
    ),
}

CURVES = (
    Curve(
        "LDPC, k = 512",
        512,
        1024,
        EB_N0,
        {
            1.0: Published(113, 237),
            1.25: Published(105, 450),
            1.5: Published(101, 1621),
            1.75: Published(100, 5916),
        },
        scaled=(1.0, 1.25, 1.5, 1.75),
        true=(1.0, 1.25, 1.5),
    ),
    Curve(
        "LDPC, k = 20",
        20,
        40,
        EB_N0,
        {
            1.0: Published(108, 230),
            2.0: Published(106, 404),
            3.0: Published(105, 1066),
            4.0: Published(101, 5050),
            5.0: Published(100, 24559),
        },
        scaled=(1.0, 2.0, 3.0, 4.0, 5.0),
        true=(1.0, 2.0, 3.0, 4.0, 5.0),
    ),
    Curve(
        "polar, SC",
        512,
        1024,
        EB_N0,
        {
            1.5: Published(1870, 5058),
            2.0: Published(1371, 13400),
            2.5: Published(501, 31983),
            2.8: Published(540, 135224),
        },
        scaled=(1.5, 2.0, 2.5, 2.8),
        true=(1.5, 2.0, 2.5, 2.8),
    ),
    Curve(
        "polar, PBCH",
        32,
        864,
        QPSK_ES_N0,
        {  # printed are rates after 1,000 errors
            -10.0: Published(1000, 2341),
            -9.5: Published(1000, 4003),
            -9.0: Published(1000, 8265),
            -8.5: Published(1000, 21320),
            -8.0: Published(1000, 72118),
        },
        scaled=(-9.5, -9.0, -8.5),
        true=(-10.0, -9.5, -9.0, -8.5, -8.0),
    ),
    Curve(
        "polar, PUCCH",
        64,
        432,
        QPSK_ES_N0,
        {-2.820624: Published(100, 100_000)},  # 1e-3 after 100 errors
        scaled=(-3.320624, -2.820624),
        true=(),
        blocks=20_000,
    ),
    Curve(
        "polar, PUCCH",
        128,
        432,
        QPSK_ES_N0,
        {0.065217: Published(100, 100_000)},
        scaled=(-0.434783, 0.065217),
        true=(),
        blocks=25_000,
    ),
)
