"""A talking head to measure with: real people from a photograph, a camera in a hand, grain."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import cast

import av
import cv2
import numpy as np
from av.video.stream import VideoStream
from numpy.typing import NDArray

from service.demo import group_photograph
from service.faces.detector import Box
from service.video.encode import encode_video

FPS = 25
WIDTH, HEIGHT = 1920, 1080

_CENTRE = (960.0, 140.0)
"""Of the picture, in pixels of the photograph: where one face is seen and nobody else's."""
_SPAN = 580.0
"""Pixels of the photograph from the picture's left to its right: the face is two fifths as high."""
_GRAIN = 4.0


def talking_head(seconds: float, pixel_format: str = "yuv420p") -> bytes:
    """An H.264 MP4 of 1920 x 1080 at 25 frames a second and about 4 Mbit a second, a key frame
    every 250."""
    options = {"preset": "veryfast", "g": "250", "maxrate": "4M", "bufsize": "8M"}
    shots = _shots(round(seconds * FPS))
    return encode_video(shots, fps=FPS, pixel_format=pixel_format, options=options)


def repeated(video: bytes, times: int) -> bytes:
    """The same pictures again and again, each time from a key frame on."""
    target = io.BytesIO()
    with av.open(io.BytesIO(video)) as source, av.open(target, "w", format="mp4") as output:
        original = source.streams.video[0]
        stream = cast("VideoStream", output.add_stream_from_template(original))
        packets = [packet for packet in source.demux(original) if packet.size]
        length = max(packet.pts + packet.duration for packet in packets)  # type: ignore[operator]
        for number in range(times):
            for model in packets:
                packet = av.Packet(bytes(model))
                packet.pts, packet.dts = (
                    (stamp or 0) + number * length for stamp in (model.pts, model.dts)
                )
                packet.is_keyframe, packet.time_base = model.is_keyframe, model.time_base
                packet.duration, packet.stream = model.duration, stream
                output.mux(packet)
    return target.getvalue()


def _shots(count: int) -> Iterator[NDArray[np.uint8]]:
    photograph = group_photograph()
    rng = np.random.default_rng(0)
    grain = rng.normal(0, _GRAIN, (HEIGHT + 256, WIDTH + 256, 1)).astype(np.int8)
    for number in range(count):
        x0, y0, x1, y1 = _view(number / FPS)
        move = np.array([[WIDTH / (x1 - x0), 0, 0], [0, HEIGHT / (y1 - y0), 0]])
        move[:, 2] = -move[0, 0] * x0, -move[1, 1] * y0
        shot = cv2.warpAffine(
            photograph,
            move,
            (WIDTH, HEIGHT),
            flags=cv2.INTER_CUBIC,
            borderMode=cv2.BORDER_REFLECT,
        )
        down, across = rng.integers(0, 256, 2)
        noise = grain[down : down + HEIGHT, across : across + WIDTH]
        yield np.clip(shot.astype(np.int16) + noise, 0, 255).astype(np.uint8)


def _view(second: float) -> Box:
    """What of the photograph is seen: slow sways, and the tremor of a hand."""
    half = _SPAN * (1 + 0.05 * math.sin(0.9 * second)) / 2
    x = _CENTRE[0] + 25 * math.sin(1.3 * second) + 3 * math.sin(7 * second)
    y = _CENTRE[1] + 12 * math.sin(1.9 * second) + 2 * math.sin(8 * second)
    return x - half, y - half * HEIGHT / WIDTH, x + half, y + half * HEIGHT / WIDTH
