"""BentoML around the naive pipeline.

python -m bentoml serve benchmarks.naive.bento_server:Server
"""

from __future__ import annotations

import os
from pathlib import Path

import bentoml

from benchmarks.naive.pipeline import Naive


@bentoml.service(workers=int(os.environ.get("NAIVE_REPLICAS", "1")), traffic={"timeout": 3600})
class Server:
    """A video as a form's file, which BentoML itself writes to a temporary one."""

    def __init__(self) -> None:
        self.naive = Naive()

    @bentoml.api
    def score(self, video: Path) -> dict[str, list[float]]:
        """Its clips' scores."""
        return {"scores": self.naive.score_file(video)}
