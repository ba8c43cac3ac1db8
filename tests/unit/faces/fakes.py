"""A detector that sees what a test says, on frames that carry their own number."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from service.faces.detector import Box, Detection
from service.video.frames import Frame, Still

FPS = 25.0
Script = Callable[[int], list[tuple[Box, float]]]


def face(box: Box, score: float = 0.99) -> Detection:
    """A detection whose landmarks lie at fixed shares of its box."""
    x0, y0, x1, y1 = box
    shares = np.asarray([[0.3, 0.4], [0.7, 0.4], [0.5, 0.6], [0.35, 0.8], [0.65, 0.8]])
    points = np.asarray([x0, y0]) + shares * np.asarray([x1 - x0, y1 - y0])
    return Detection(box, score, points.astype(np.float32))


class ScriptedDetector:
    """Sees in frame i what ``script(i)`` lists; ``asked`` records the frames it was shown."""

    name = "scripted"

    def __init__(self, script: Script) -> None:
        self.script = script
        self.asked: list[int] = []

    def detect(self, rgb: NDArray[np.uint8]) -> list[Detection]:
        index = int(rgb[0, 0, 0]) * 256 + int(rgb[0, 0, 1])
        self.asked.append(index)
        seen = [face(box, score) for box, score in self.script(index)]
        return sorted(seen, key=lambda detection: -detection.score)


def scene(seed: int) -> NDArray[np.uint8]:
    """A blotchy uint8 (90, 160, 3) picture, another one for each seed."""
    blotches = np.random.default_rng(seed).integers(0, 256, (9, 16, 3), dtype=np.uint8)
    return np.kron(blotches, np.ones((10, 10, 1), dtype=np.uint8))


def frames(indices: Iterable[int], cuts: Iterable[int] = ()) -> Iterator[Frame]:
    """Frames of a still scene, which changes at each index in ``cuts``."""
    cuts = tuple(cuts)
    for index in indices:
        rgb = scene(sum(index >= cut for cut in cuts))
        rgb[0, 0, :2] = divmod(index, 256)
        yield Frame(index, index / FPS, Still(rgb))
