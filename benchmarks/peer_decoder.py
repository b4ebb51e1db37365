"""The base station's decoder as the peers serve it: packed bits of some reports in, how many channels were made out.

Nothing is checked, scored or stored, which a base station does.
"""

import numpy as np
import torch

from shared.codecs import DecodeContext, Decoder, make_decoder
from shared.model_files import load_model
from shared.types import Payload

MAX_BATCH = 64  # csi-bs' default
MAX_WAIT_S = 0.001  # of the peers: at 0, LitServe's worker spins on the core that all its processes share here


class BatchDecoder:
    """A decoder of several requests' reports at once.

    Args:
        codec: Model of the zoo.
        rate: Information bits of a report; whole bytes.
    """

    def __init__(self, codec: str, rate: int) -> None:
        torch.set_num_threads(1)
        self._decoder: Decoder = make_decoder(load_model(codec), torch.device("cpu"))
        self._rate = rate

    def decode(self, requests: list[bytes]) -> list[int]:
        """Return how many channels were made for each request."""
        packed = np.frombuffer(b"".join(requests), dtype=np.uint8).reshape(-1, self._rate // 8)
        snr_db = np.zeros(len(packed), dtype=np.float32)
        payload = Payload.of_equal_length(np.unpackbits(packed, axis=1))
        h_hat = self._decoder.decode(payload, DecodeContext(self._rate, snr_db)).h_hat.numpy()
        ends = np.cumsum([8 * len(request) // self._rate for request in requests])
        return [len(part) for part in np.split(h_hat, ends[:-1])]
