"""What happens to a video on its way: compression, resizing, blur and noise, one at a time.

For robustness (how a detector's figures fall with the level) and, drawn at random, for training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Literal, get_args

import cv2
import numpy as np
from numpy.typing import NDArray

from service.video.deadline import Deadline
from service.video.encode import encode_video
from service.video.video import Video, VideoLimits

Image = NDArray[np.uint8]
Kind = Literal["h264", "jpeg", "resize", "blur", "noise"]

KINDS: tuple[Kind, ...] = get_args(Kind)

LEVELS: Mapping[Kind, tuple[float, ...]] = MappingProxyType(
    {
        "h264": (23, 28, 33, 40),
        "jpeg": (90, 70, 50, 30),
        "resize": (0.75, 0.5, 0.25),
        "blur": (1, 2, 3),
        "noise": (5, 10, 20),
    }
)
"""The levels at which robustness is measured, from weak to strong. FF++'s c23 and c40 are H.264 at
CRF 23 and 40."""

_AVX_512F = 13
"""cv::CPU_AVX_512F, which OpenCV's Python module does not name."""

ENCODER = MappingProxyType(
    {"preset": "veryfast", "threads": "1"}
    | ({"x264-params": "asm=AVX2"} if cv2.checkHardwareSupport(_AVX_512F) else {})
)
"""One thread: what x264 writes depends on how many it has. No AVX-512: with it x264's look ahead
reads memory that nobody has written, and the same frames give other bytes each time."""


def degrade(pixels: Image, kind: Kind, level: float, rng: np.random.Generator) -> Image:
    """Degrade frames uint8 (T, H, W, 3) RGB; the result has the same shape and is a new array.

    ``level`` means, by ``kind``: ``h264`` x264's constant rate factor (0 to 51), the frames being
    encoded together as a short video; ``jpeg`` the quality (1 to 100); ``resize`` the factor (0 to
    1) by which frames are shrunk before they are enlarged again; ``blur`` the Gaussian's deviation
    in pixels; ``noise`` the deviation of Gaussian noise in steps of 255, drawn from ``rng`` anew
    for every frame. Only ``noise`` draws. Raises ``ValueError`` for another kind and a level
    outside its range.
    """
    require_level(kind, level)
    return _WAYS[kind][2](pixels, level, rng)


def require_level(kind: Kind, level: float) -> None:
    """Raises ``ValueError`` where ``degrade`` would."""
    if kind not in _WAYS:
        raise ValueError(f"no degradation is called {kind!r}; there are {', '.join(KINDS)}")
    low, high, _ = _WAYS[kind]
    if not low <= level <= high:
        raise ValueError(f"the level of {kind} is between {low:g} and {high:g}, not {level:g}")


def _h264(pixels: Image, level: float, _rng: np.random.Generator) -> Image:
    height, width = pixels.shape[1:3]
    # 4:2:0 has no odd sizes: the edge is repeated once and cut off again.
    even = np.pad(pixels, ((0, 0), (0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    video = Video(
        encode_video(even, quality=round(level), options=ENCODER), VideoLimits(), Deadline(math.inf)
    )
    frames = video.frames(range(len(pixels)))
    return np.stack([frame.rgb[:height, :width] for frame in frames])


def _jpeg(pixels: Image, level: float, _rng: np.random.Generator) -> Image:
    def coded(frame: Image) -> Image:
        bgr = cv2.cvtColor(frame, cv2.COLOR_RGB2BGR)
        packed = cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, round(level)])[1]
        return np.asarray(cv2.imdecode(packed, cv2.IMREAD_COLOR_RGB), dtype=np.uint8)

    return np.stack([coded(frame) for frame in pixels])


def _resize(pixels: Image, level: float, _rng: np.random.Generator) -> Image:
    height, width = pixels.shape[1:3]
    small = (max(1, round(width * level)), max(1, round(height * level)))

    def resized(frame: Image) -> Image:
        shrunk = cv2.resize(frame, small, interpolation=cv2.INTER_AREA)
        enlarged = cv2.resize(shrunk, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(enlarged, dtype=np.uint8)

    return np.stack([resized(frame) for frame in pixels])


def _blur(pixels: Image, level: float, _rng: np.random.Generator) -> Image:
    blurred = [cv2.GaussianBlur(f, (0, 0), level, borderType=cv2.BORDER_REPLICATE) for f in pixels]
    return np.asarray(blurred, dtype=np.uint8)


def _noise(pixels: Image, level: float, rng: np.random.Generator) -> Image:
    def noisy(frame: Image) -> Image:
        noise = rng.standard_normal(frame.shape, dtype=np.float32) * np.float32(level)
        return np.clip(np.rint(frame + noise), 0, 255).astype(np.uint8)

    return np.stack([noisy(frame) for frame in pixels])


_Way = Callable[[Image, float, np.random.Generator], Image]
_WAYS: dict[str, tuple[float, float, _Way]] = {
    "h264": (0, 51, _h264),
    "jpeg": (1, 100, _jpeg),
    "resize": (0.01, 1, _resize),
    "blur": (0.01, 100, _blur),
    "noise": (0, 255, _noise),
}
