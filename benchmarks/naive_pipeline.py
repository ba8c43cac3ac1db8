"""From a video to clips as one would write it first."""

from __future__ import annotations

import io
import math
import time
from collections import Counter

import av
import numpy as np

from service.clips import ClipSpec
from service.faces.crops import crop
from service.faces.detector import FaceDetector
from service.video.deadline import Deadline
from service.video.frames import Pixels
from service.video.sampling import plan
from service.video.video import Video, VideoLimits


def naive(
    data: bytes, detector: FaceDetector, sampling: str, spec: ClipSpec
) -> tuple[Counter[str], int]:
    """Decode every frame to RGB, look for faces in each that is sampled, crop the best one. Gives
    this thread's processor seconds and how many clips it made, as ``staged`` does."""
    times = Video(data, VideoLimits(), Deadline(math.inf)).times
    windows = plan(
        times, spec.length, sampling, full_seconds=60, auto_windows=400, max_windows=20_000
    )
    wanted = set(windows.frames())
    began, clips = time.thread_time(), 0
    window: list[Pixels] = []
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.video[0]
        stream.thread_type = "NONE"
        for index, frame in enumerate(container.decode(stream)):
            rgb = frame.to_ndarray(format="rgb24", threads=1)
            if index not in wanted:
                continue
            faces = detector.detect(rgb)
            if faces:
                window.append(crop(rgb, faces[0].box, spec.margin, (spec.height, spec.width)))
            else:
                window.clear()
            if len(window) == spec.length:
                np.stack(window)
                window.clear()
                clips += 1
    return Counter({"naive": time.thread_time() - began}), clips
