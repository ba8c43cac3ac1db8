"""What happens to a video between the camera and us: the same to a real clip and its forgery.

Mild on purpose: strong compression hides the forgery and nothing is learned, none at all and the
network learns to tell resampled pixels from camera pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from service.video.deadline import Deadline
from service.video.encode import encode_video
from service.video.video import Video, VideoLimits

Image = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Degradation:
    """One drawn degradation; apply it to both twins."""

    blur: float
    noise: float
    noise_seed: int
    codec: Literal["h264", "jpeg", "none"]
    quality: int
    """x264's CRF, or JPEG's quality."""

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Degradation:
        """Mild and random."""
        codec = str(rng.choice(["h264", "jpeg", "none"], p=[0.55, 0.25, 0.2]))
        return cls(
            blur=float(rng.uniform(0.3, 0.8)) if rng.random() < 0.15 else 0.0,
            noise=float(rng.uniform(0.5, 3.0)) if rng.random() < 0.25 else 0.0,
            noise_seed=int(rng.integers(2**32)),
            codec="h264" if codec == "h264" else "jpeg" if codec == "jpeg" else "none",
            quality=int(rng.integers(14, 27) if codec == "h264" else rng.integers(60, 96)),
        )

    def without_codec(self) -> Degradation:
        """The same blur and noise for frames that are encoded elsewhere."""
        return replace(self, codec="none")

    def apply(self, frames: Image) -> Image:
        """Degrade uint8 (T, H, W, 3) RGB; H and W even."""
        result = list(frames)
        if self.blur:
            result = [np.asarray(cv2.GaussianBlur(f, (0, 0), self.blur), np.uint8) for f in result]
        if self.noise:
            rng = np.random.default_rng(self.noise_seed)
            result = [_noisy(frame, self.noise, rng) for frame in result]
        if self.codec == "jpeg":
            result = [_jpeg(frame, self.quality) for frame in result]
        elif self.codec == "h264":
            data = encode_video(result, quality=self.quality, options={"preset": "veryfast"})
            video = Video(data, VideoLimits(), Deadline(math.inf))
            result = [frame.rgb for frame in video.frames(range(len(result)))]
        return np.stack(result)


def _noisy(frame: Image, deviation: float, rng: np.random.Generator) -> Image:
    noise = rng.standard_normal(frame.shape, dtype=np.float32) * deviation
    return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)


def _jpeg(frame: Image, quality: int) -> Image:
    coded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    decoded = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), dtype=np.uint8)
    return np.ascontiguousarray(decoded[..., ::-1])
