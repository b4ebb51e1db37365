"""The base station's decoder behind Ray Serve, batched by it, one replica: what `benchmarks.peers` starts.

python -m benchmarks.peer_ray CODEC RATE REPORTS PORT

It needs `pip install -c constraints.txt 'ray[serve]'`.
"""

import os
import sys
import time
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.peer_decoder import MAX_BATCH, MAX_WAIT_S, BatchDecoder


class Api:
    """A request is the packed bits of some reports.

    Args:
        codec: Model of the zoo.
        rate: Of a report.
        reports: Of a request.
    """

    def __init__(self, codec: str, rate: int, reports: int) -> None:
        self.decoder = BatchDecoder(codec, rate)
        self._decode.set_max_batch_size(max(1, MAX_BATCH // reports))

    @serve.batch(batch_wait_timeout_s=MAX_WAIT_S)  # type: ignore[untyped-decorator]
    async def _decode(self, requests: list[bytes]) -> list[int]:
        return self.decoder.decode(requests)

    async def __call__(self, request: Request) -> str:
        """Answer with the number of channels."""
        answer: Any = await self._decode(await request.body())
        return str(answer)


if __name__ == "__main__":
    codec, rate, reports, port = sys.argv[1], *map(int, sys.argv[2:])
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    deployment = serve.deployment(Api).options(max_ongoing_requests=1000, ray_actor_options={"num_cpus": 1})
    serve.run(deployment.bind(codec, rate, reports))
    while True:
        time.sleep(3600)
