"""One stretch of a video: what the camera and the way to us did to it, and its forgeries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.degradation import ENCODER, Kind, degrade
from model_export.synthetic.methods import Finish, Layer, Plan
from model_export.synthetic.segments import LARGEST_FACE, Segment
from service.faces.detector import Detection
from service.forge import Forger
from service.video.encode import encode_video

Image = NDArray[np.uint8]

SMALLEST_FACE = 90.0
"""Longer side of the face, in pixels, down to which a stretch is shrunk."""


@dataclass(frozen=True, slots=True)
class Recording:
    """What befalls a real stretch and all its forgeries alike: the face's size in pixels,
    degradations in turn, the noise's seed and the quality (CRF) of the final video.

    Mild on purpose: strong compression hides the forgery and nothing is learned, none at all and a
    network learns to tell resampled pixels from camera pixels.
    """

    side: float
    degradations: tuple[tuple[Kind, float], ...]
    noise_seed: int
    quality: int

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Recording:
        """Mild and random."""
        side = float(np.exp(rng.uniform(*np.log((SMALLEST_FACE, LARGEST_FACE)))))
        possible: list[tuple[float, tuple[Kind, float]]] = [
            (0.2, ("blur", float(rng.uniform(0.3, 0.7)))),
            (0.3, ("noise", float(rng.uniform(0.5, 2.5)))),
            (0.25, ("resize", float(rng.uniform(0.55, 0.9)))),
            (0.2, ("jpeg", float(rng.integers(70, 96)))),
            (0.15, ("h264", float(rng.integers(22, 29)))),
        ]
        return cls(
            side,
            tuple(station for probability, station in possible if rng.random() < probability),
            int(rng.integers(2**32)),
            int(rng.integers(16, 24)),
        )

    def apply(self, frames: Image) -> Image:
        """Degrade uint8 (L, h, w, 3) RGB; everything but the final encoding."""
        rng = np.random.default_rng(self.noise_seed)
        for kind, level in self.degradations:
            frames = degrade(frames, kind, level, rng)
        return frames

    def encode(self, frames: Image, rate: int) -> bytes:
        """An H.264 MP4 of ``rate`` frames a second."""
        return encode_video(frames, fps=rate, quality=self.quality, options=ENCODER)


def forge_segment(
    segment: Segment, plan: Plan, donor: Segment | None, rng: np.random.Generator
) -> tuple[Image, Image]:
    """Forged frames uint8 (L, h, w, 3) and how much of each pixel is forged, uint8 (L, h, w).

    Outside the mask the frames are the segment's own: ``plan.finish`` is not applied here. Raises
    ``ValueError`` for a plan that takes a donor where there is none.
    """
    frames = segment.frames
    mask = np.zeros(frames.shape[:3], dtype=np.uint8)
    for layer in plan.layers:
        forger = Forger(rng, layer.recipe)
        sources = _sources(frames, segment.faces, layer, donor)
        painted = [
            forger.paint(frame, face, source)
            for frame, face, source in zip(frames, segment.faces, sources, strict=True)
        ]
        frames = np.stack([image for image, _ in painted])
        mask = np.maximum(mask, np.stack([where for _, where in painted]))
    return frames, mask


def finish(frames: Image, finish: Finish, rng: np.random.Generator) -> Image:
    """What is done to a whole forged video uint8 (L, h, w, 3) before it is shared."""
    levels = np.arange(256)[:, None] / 255
    table = np.clip(levels**finish.gamma * np.asarray(finish.gain) * 255, 0, 255)
    table = np.rint(table).astype(np.uint8)[:, None]
    frames = np.asarray([cv2.LUT(frame, table.reshape(1, 256, 3)) for frame in frames], np.uint8)
    for kind, level in finish.degradations:
        frames = degrade(frames, kind, level, rng)
    return frames


def _sources(
    frames: Image, faces: Sequence[Detection], layer: Layer, donor: Segment | None
) -> list[tuple[Image, Detection]]:
    """For each frame the one whose face is put there."""
    count = len(frames)
    if layer.source == "donor":
        if donor is None:
            raise ValueError("a swap needs a donor")
        return [_bounce(donor, index) for index in range(count)]
    lag = layer.lag if layer.source == "earlier" else 0
    # The first frames have nothing before them: they take what comes as much later.
    places = [abs(index - lag) if abs(index - lag) < count else index for index in range(count)]
    return [(frames[place], faces[place]) for place in places]


def _bounce(donor: Segment, index: int) -> tuple[Image, Detection]:
    """The donor's frames in turn, there and back again, so that none follows a far one."""
    last = len(donor.faces) - 1
    place = last - abs(last - index % (2 * last)) if last else 0
    return donor.frames[place], donor.faces[place]
