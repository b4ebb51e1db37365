r"""The analog link: a report's complex symbols over the air, combined and unbiased, with the noise of each.

    z -> s = z / sqrt(mean |z|^2) -> h s + n on every antenna -> MRC: y = s + n', n' ~ CN(0, no_eff)

The mean is over the symbols of the report, as they are sent: an encoder that truncates does so before. ``no_eff = no /
||h||^2`` with ``no = 1 / (Es/N0)``: a symbol's SNR after combining is its gain times Es/N0 (`shared.links.fading`).
``y`` is unbiased: the base station gets what was sent plus noise whose variance it knows. It does not learn the factor
that brought the report to unit power; a codec that needs it has to send it.

Source: Ankireddy et al., RD-JSCC ("Residual Diffusion Models for Variable-Rate Joint Source Channel Coding of MIMO
CSI"), system model: unit power a subcarrier, MRC at the base station.
"""

import numpy as np
from numpy.typing import NDArray

from shared.coding.channel_code import ChannelCode, Uncoded
from shared.errors import InvalidArgumentError
from shared.links.erasure import arrives
from shared.links.fading import FADINGS
from shared.links.label import AnalogLabel, parse_analog_label
from shared.rng import Randomness, Stage
from shared.types import Payload, Received, ReceivedKind, Symbols


class AnalogLink:
    """The link of an `AnalogLabel`.

    Example:
        >>> link = AnalogLink(AnalogLabel())
        >>> symbols = Symbols(np.array([[3, 4j]], dtype=np.complex64))
        >>> randomness = Randomness(1, ue_id=np.array([0]), sequence=np.array([0]))
        >>> received = link.transmit_symbols(symbols, np.array([60], dtype=np.float32), randomness)
        >>> bool(np.allclose(received.values, symbols.values / np.sqrt(12.5), atol=0.01)), received.length.tolist()
        (True, [2])
    """

    family = "analog"
    kind = ReceivedKind.SYMBOLS

    def __init__(self, options: AnalogLabel) -> None:
        self.label = str(options)
        self.erasure = options.erasure
        self.code: ChannelCode = Uncoded()  # a report of n symbols has n values
        self._fading = options.fading

    @classmethod
    def of_label(cls, label: str) -> "AnalogLink":
        """Build the link of a label: see `shared.links.label.parse_analog_label`."""
        return cls(parse_analog_label(label))

    def num_channel_uses(self, num_coded_bits: int) -> int:
        """See `shared.links.base.Link.num_channel_uses`; its values are symbols already."""
        return num_coded_bits

    def transmit(self, payload: Payload, snr_db: NDArray[np.float32], randomness: Randomness) -> Received:
        """Refuse bits.

        Raises:
            InvalidArgumentError: Always.
        """
        raise InvalidArgumentError(f"`payload` over {self.label} must be symbols; got bits.")

    def transmit_symbols(self, symbols: Symbols, snr_db: NDArray[np.float32], randomness: Randomness) -> Received:
        """See `shared.links.base.SymbolLink.transmit_symbols`."""
        z = symbols.values.astype(np.complex128)
        power = np.mean(np.square(np.abs(z)), axis=1, keepdims=True)
        if not np.all(np.isfinite(power) & (power > 0)):
            raise InvalidArgumentError("`symbols` must be finite and have power in every report; one has none.")
        gain = FADINGS[self._fading](randomness, z.shape[1])
        no_eff = np.broadcast_to(10 ** (-np.asarray(snr_db, dtype=np.float64) / 10)[:, None] / gain, z.shape)
        noise = randomness.normal(Stage.LINK, 2 * z.shape[1]).view(np.complex64)
        y = z / np.sqrt(power) + noise * np.sqrt(no_eff / 2)
        length = np.where(arrives(self.erasure, randomness), z.shape[1], 0)
        arrived = y * (length > 0)[:, None]
        return Received(self.kind, arrived.astype(np.complex64), length, no_eff.astype(np.float32))
