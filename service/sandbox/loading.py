"""What a nursery loads. Imports nothing heavy: it is read before the limits are set."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass


@dataclass(frozen=True, slots=True)
class Loading:
    """``detector`` and ``detector_path`` as in ``load_detector``; children get ``memory`` bytes of
    address space and ``cpu_seconds`` of processor time. ``parent`` is the process id of who asks:
    the nursery ends with it."""

    parent: int
    detector: str
    detector_path: str | None
    memory: int
    cpu_seconds: float

    def dump(self) -> bytes:
        """As JSON."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def load(cls, data: bytes) -> Loading:
        """From ``dump``; trusted."""
        return cls(**json.loads(data))
