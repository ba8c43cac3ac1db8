"""LitServe around the naive pipeline.

python -m benchmarks.naive.litserve_server PORT REPLICAS
"""

from __future__ import annotations

import base64
import sys
from typing import Any

import litserve

from benchmarks.naive.pipeline import Naive


class Api(litserve.LitAPI):
    """A video in base64, as LitServe's examples send binary inputs; one request at a time."""

    def setup(self, device: str) -> None:
        """Once in each worker."""
        self.naive = Naive()

    # Without a type: LitServe takes any as the schema to hold the body against.
    def decode_request(self, request) -> bytes:  # type: ignore[no-untyped-def]
        """The video."""
        return base64.b64decode(request["video"])

    def predict(self, video: bytes) -> list[float]:
        """Its clips' scores."""
        return self.naive.score(video)

    def encode_response(self, scores: list[float]) -> dict[str, Any]:
        """As JSON."""
        return {"scores": scores}


if __name__ == "__main__":
    server = litserve.LitServer(
        Api(), accelerator="cpu", workers_per_device=int(sys.argv[2]), timeout=False
    )
    server.run(
        host="127.0.0.1", port=int(sys.argv[1]), generate_client_file=False, log_level="error"
    )
