"""The base station's decoder behind LitServe, batched by it, one worker: what `benchmarks.peers` starts.

python -m benchmarks.peer_litserve CODEC RATE REPORTS PORT

It needs `pip install -c constraints.txt litserve`.
"""

import base64
import os
import sys

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import litserve
from fastapi import Response

from benchmarks.peer_decoder import MAX_BATCH, MAX_WAIT_S, BatchDecoder


class Api(litserve.LitAPI):  # type: ignore[misc]
    """A request is the packed bits of some reports, in base 64."""

    def __init__(self, codec: str, rate: int, reports: int) -> None:
        super().__init__(max_batch_size=max(1, MAX_BATCH // reports), batch_timeout=MAX_WAIT_S)
        self.codec, self.rate = codec, rate

    def setup(self, device: str) -> None:
        """Build the decoder, in the worker."""
        self.decoder = BatchDecoder(self.codec, self.rate)

    def decode_request(self, request: dict[str, str]) -> bytes:
        """Return the bytes; LitServe takes requests as JSON."""
        return base64.b64decode(request["bits"])

    def batch(self, inputs: list[bytes]) -> list[bytes]:
        """Leave the requests a list."""
        return inputs

    def predict(self, inputs: list[bytes]) -> list[int]:
        """Decode a batch of requests."""
        return self.decoder.decode(inputs)

    def unbatch(self, outputs: list[int]) -> list[int]:
        """Leave the answers a list."""
        return outputs

    def encode_response(self, output: int) -> Response:
        """Answer with the number of channels."""
        return Response(str(output))


if __name__ == "__main__":
    codec, rate, reports, port = sys.argv[1], *map(int, sys.argv[2:])
    server = litserve.LitServer(Api(codec, rate, reports), accelerator="cpu", workers_per_device=1)
    server.run(host="127.0.0.1", port=port, num_api_servers=1, log_level="warning", generate_client_file=False)
