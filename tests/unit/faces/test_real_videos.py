"""What tracks are worth on real talking faces, with either detector.

A part of what ``tests/measure/faces.py`` measures over all frames; ``docs/faces.md`` has those
figures.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from service.faces.mtcnn import MTCNN
from service.faces.scrfd import SCRFD
from tests.measure.faces import Reference, Tally, compare, equal_crops, track
from tests.shared import SHARED, needs_shared

MODEL = ("models", "insightface", "scrfd_2.5g_kps.onnx")
FRAMES, EVERY = 60, 10
"""Frames of each video that are followed, and which of them are compared."""

pytestmark = [pytest.mark.slow, needs_shared("faces", "real"), needs_shared(*MODEL)]


@dataclass
class Measured:
    tallies: dict[str, Tally] = field(default_factory=dict)
    crops: dict[str, float] = field(default_factory=dict)


@pytest.fixture(scope="module")
def measured() -> Measured:
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    large, small = SCRFD(SHARED.joinpath(*MODEL), input_side=640), SCRFD(SHARED.joinpath(*MODEL))
    detectors = {"mtcnn": MTCNN(), "scrfd": small}
    result = Measured({name: Tally() for name in detectors})
    for path in sorted((SHARED / "faces" / "real").glob("*.mp4")):
        reference = Reference.of(path, large, small, FRAMES, EVERY)
        found = {
            name: track(path, detector, set(reference.at_640), FRAMES)[0]
            for name, detector in detectors.items()
        }
        for name, boxes in found.items():
            result.tallies[name] += compare(boxes, reference)
        result.crops[path.stem] = float(np.mean(equal_crops(found["mtcnn"], found["scrfd"])))
    cv2.setNumThreads(threads)
    return result


@pytest.mark.parametrize("detector", ["mtcnn", "scrfd"])
def test_tracks_cover_the_faces_and_little_else(measured: Measured, detector: str) -> None:
    tally = measured.tallies[detector]
    print(detector, tally)
    assert tally.frames > 100
    assert tally.whole >= 0.95 * tally.frames
    assert tally.false < 0.02 * tally.boxes


def test_either_detector_gives_the_same_crop(measured: Measured) -> None:
    print(measured.crops)
    assert np.mean(list(measured.crops.values())) > 0.9
    assert min(measured.crops.values()) > 0.8
