"""Encode frames of our own making into a video in memory (demonstration, training, tests)."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import cast

import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from numpy.typing import NDArray

from service.video.container import open_writer


def encode_video(
    frames: Iterable[NDArray[np.uint8]],
    *,
    fps: int = 25,
    codec: str = "libx264",
    quality: int = 20,
    container: str = "mp4",
    pixel_format: str = "yuv420p",
    options: Mapping[str, str] | None = None,
) -> bytes:
    """Encode uint8 (H, W, 3) RGB frames of one even size; ``quality`` is x264's CRF, ``options``
    are the encoder's own."""
    target = io.BytesIO()
    with open_writer(target, container) as output:
        stream = None
        for frame in frames:
            if stream is None:
                stream = cast("VideoStream", output.add_stream(codec, rate=Fraction(fps)))
                stream.height, stream.width = frame.shape[:2]
                stream.pix_fmt = pixel_format
                crf = {"crf": str(quality)} if codec == "libx264" else {}
                stream.options = {**crf, **(options or {})}
            output.mux(stream.encode(VideoFrame.from_ndarray(frame, format="rgb24")))
        if stream is not None:
            output.mux(stream.encode(None))
    return target.getvalue()
