"""Ray Serve around the naive pipeline.

python -m benchmarks.naive.ray_server PORT REPLICAS
"""

from __future__ import annotations

import os
import sys
import time
from typing import Any

import ray
from ray import serve
from starlette.requests import Request

from benchmarks.naive.pipeline import Naive


@serve.deployment(max_ongoing_requests=100)
class Server:
    """A video as the body."""

    def __init__(self) -> None:
        self.naive = Naive()

    async def __call__(self, request: Request) -> dict[str, Any]:
        """Its clips' scores."""
        return {"scores": self.naive.score(await request.body())}


if __name__ == "__main__":
    port, replicas = int(sys.argv[1]), int(sys.argv[2])
    ray.init(
        # Replicas, a proxy and a controller each want one of these, whatever the machine has.
        num_cpus=replicas + 2,
        object_store_memory=100 * 2**20,
        include_dashboard=False,
        log_to_driver=False,
        _temp_dir=os.environ["TMPDIR"],
    )
    serve.start(http_options={"host": "127.0.0.1", "port": port})
    serve.run(Server.options(num_replicas=replicas).bind(), route_prefix="/")
    while True:
        time.sleep(60)
