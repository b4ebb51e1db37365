r"""The convolutional codes of 64 states, zero-terminated, with a CRC inside and a soft Viterbi decoder; needs no extra.

    bits -> CRC -> six zeros -> u_t -+-> D -+-> D -+-> D -+-> D -+-> D -+-> D -+
                                     |      |      |      |      |      |      |     133, 171, 165 (octal, u_t first):
                                     '------+--> sums modulo 2, one per generator    free distances 10 and 15

The generators are those of LTE, and the first two those of the code of the Voyager probes. LTE bites its tail and sends
no zeros; here the six zeros that lead back to state 0 are sent and counted: n = (k + CRC + 6) times 2 or 3. The decoder
finds the most likely of all code words, the CRC only checks it.

Source: 3GPP TS 36.212, clause 5.1.3.1 (generators); G. D. Forney, "The Viterbi algorithm", Proc. IEEE 61, 1973.
"""

import numpy as np
from numpy.typing import NDArray

from shared.coding.channel_code import DecodedBits
from shared.coding.crc import append_crc, check_crc, num_crc_bits
from shared.errors import InvalidArgumentError

MEMORY = 6
NUM_STATES = 2**MEMORY
GROUP = 4  # inputs encoded at once, by a table of 1,024 rows
PART = 256  # reports decoded at once: their survivors, 64 bytes a trellis step and report, stay small

# rate -> generators, most significant bit the newest input
GENERATORS: dict[str, tuple[int, ...]] = {
    "1/2": (0o133, 0o171),
    "1/3": (0o133, 0o171, 0o165),
}


class ConvolutionalCode:
    """A zero-terminated convolutional code around a CRC.

    Example:
        >>> code = ConvolutionalCode("1/2")
        >>> sent = code.encode(np.array([[1, 0, 0, 0]], dtype=np.uint8))
        >>> sent.shape, code.decode(sent - np.float32(0.5), 4).bits.tolist()
        ((1, 20), [[1, 0, 0, 0]])
    """

    interleaved = False

    def __init__(self, rate: str) -> None:
        self.label = f"conv-{rate}"
        register = np.arange(2 * NUM_STATES)  # u_t, u_{t-1}, ..., u_{t-6}
        taps = np.array(GENERATORS[rate])[:, None] & register
        self._output = (np.bitwise_count(taps) & 1).astype(np.uint8)  # [num_generators, register]
        windows = np.arange(2 ** (MEMORY + GROUP))  # u_{t+3}, ..., u_{t-6}: what the outputs from t to t+3 depend on
        registers = windows[:, None] >> np.arange(GROUP) & (2 * NUM_STATES - 1)
        self._outputs_of_window = self._output.T[registers].reshape(len(windows), GROUP * len(taps))

    def num_coded_bits(self, num_info_bits: int) -> int:
        """See `ChannelCode.num_coded_bits`."""
        if num_info_bits < 1:
            raise InvalidArgumentError(f"`num_info_bits` must be at least 1; got {num_info_bits}.")
        return (num_info_bits + num_crc_bits(num_info_bits) + MEMORY) * len(self._output)

    def encode(self, bits: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """See `ChannelCode.encode`."""
        inputs = append_crc(bits)
        num_steps = inputs.shape[1] + MEMORY
        num_bytes = -(-num_steps // 8)
        padded = np.zeros((len(bits), 8 + 8 * num_bytes), dtype=np.uint8)  # the register is empty before a report
        padded[:, 8 : 8 + inputs.shape[1]] = inputs
        packed = np.packbits(padded, bitorder="little").reshape(len(bits), 1 + num_bytes).astype(np.int64)
        pairs = packed[:, :-1] | packed[:, 1:] << 8  # u_{8 i + k} is bit 8 + k of pair i
        windows = np.stack([pairs >> 8 - MEMORY, pairs >> 8 - MEMORY + GROUP], axis=2)
        windows &= len(self._outputs_of_window) - 1
        coded: NDArray[np.uint8] = self._outputs_of_window.take(windows, axis=0)
        return coded.reshape(len(bits), -1)[:, : num_steps * len(self._output)]

    def decode(self, llrs: NDArray[np.float32], num_info_bits: int) -> DecodedBits:
        """See `ChannelCode.decode`."""
        parts = [self._viterbi(llrs[first : first + PART]) for first in range(0, max(len(llrs), 1), PART)]
        return check_crc(np.concatenate(parts)[:, :-MEMORY], num_info_bits)

    def _viterbi(self, llrs: NDArray[np.float32]) -> NDArray[np.uint8]:
        """Return [batch, num_steps]: the inputs of the most likely path from state 0 to state 0.

        A state is the last six inputs, the newest the most significant bit: input ``u`` leads from ``2 m`` and from
        ``2 m + 1`` to ``32 u + m``. Of two equally likely paths, the one from ``2 m``, whatever else is in the batch.
        """
        num_generators = len(self._output)
        peak = np.abs(llrs).max(axis=1, keepdims=True, initial=0)
        scaled = llrs / np.where(peak > 0, peak, np.float32(1))  # so that no sum of them overflows
        steps = np.ascontiguousarray(scaled.T).reshape(llrs.shape[1] // num_generators, num_generators, len(llrs))
        # A branch gains half the sum of its LLRs by their signs; half of that sum is the same on all branches.
        words = np.arange(2**num_generators)[:, None] >> np.arange(num_generators) & 1
        signs = (2 * words - 1).astype(np.float32)  # [word, num_generators]
        word = (self._output.T @ (1 << np.arange(num_generators))).reshape(2, NUM_STATES // 2, 2)  # [u, m, which]
        metric = np.full((NUM_STATES, len(llrs)), -np.inf, dtype=np.float32)
        metric[0] = 0
        from_odd = np.empty((len(steps), NUM_STATES, len(llrs)), dtype=np.bool_)
        for step, received in enumerate(steps):
            gain = sum(signs[:, i, None] * received[i] for i in range(num_generators))
            paths = metric.reshape(NUM_STATES // 2, 2, len(llrs)) + gain[word]  # [u, m, which, batch]
            even, odd = paths[:, :, 0], paths[:, :, 1]
            from_odd[step] = (odd > even).reshape(metric.shape)
            metric = np.maximum(even, odd).reshape(metric.shape)
        state = np.zeros(len(llrs), dtype=np.int64)
        inputs = np.empty((len(llrs), len(steps)), dtype=np.uint8)
        for step in range(len(steps) - 1, -1, -1):
            inputs[:, step] = state >> (MEMORY - 1)
            state = (2 * state) % NUM_STATES + from_odd[step, state, np.arange(len(llrs))]
        return inputs
