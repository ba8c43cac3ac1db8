"""Before a nursery is ready: everything is loaded, used once, and tried in a confined child."""

from __future__ import annotations

import gc
import json
import math
import os
import socket
import sys
import threading
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from service.clips import ClipSpec
from service.errors import ModelError
from service.extraction import Extracted, ExtractionLimits, extract
from service.faces.detector import FaceDetector
from service.faces.factory import Kind, load_detector
from service.faces.tracking import TrackerSettings
from service.sandbox.brood import fork
from service.sandbox.loading import Loading
from service.sandbox.wire import PlainChannel
from service.video.container import load_all
from service.video.deadline import Deadline
from service.video.encode import encode_video

_SPEC = ClipSpec(1, 64, 64, 1.3, "per_frame")
_FRAMES = 5


def load(loading: Loading) -> FaceDetector:
    """The detector, with whatever is only loaded when it is first used. Raises ``ModelError``."""
    cv2.setNumThreads(1)
    load_all()
    path = None if loading.detector_path is None else Path(loading.detector_path)
    detector = load_detector(cast("Kind", loading.detector), path)
    _watch(detector, _video())
    return detector


def rehearse(detector: FaceDetector, loading: Loading) -> tuple[str, ...]:
    """Read a small video as a child would; gives the layers that confined it. Raises ``ModelError``
    where this process cannot be forked or a confined child cannot read."""
    if _threads() > 1:
        raise ModelError("the face detector starts threads, which a process that forks may not")
    video = _video()
    # Objects that are never looked at again are pages that children share.
    gc.collect()
    gc.freeze()

    def live(channel: PlainChannel, layers: tuple[str, ...]) -> int:
        _watch(detector, video)
        channel.send(json.dumps(layers))
        return 0

    ours, theirs = socket.socketpair()
    with ours, theirs:
        pid = fork(theirs.fileno(), loading, live)
        theirs.close()
        try:
            layers: tuple[str, ...] = tuple(json.loads(PlainChannel(ours).receive()[0]))
        except (EOFError, OSError):
            raise ModelError(
                "a confined process cannot read a video here; is there too little memory for it?"
            ) from None
        finally:
            os.waitpid(pid, 0)
    return layers


def _video() -> bytes:
    noise = np.random.default_rng(0).integers(0, 256, (_FRAMES, 96, 128, 3), np.uint8)
    return encode_video(noise, codec="mpeg4")


def _watch(detector: FaceDetector, video: bytes) -> None:
    for item in extract(
        video,
        (_SPEC,),
        "full",
        detector=detector,
        tracking=TrackerSettings(),
        limits=ExtractionLimits(),
        deadline=Deadline(math.inf),
    ):
        if isinstance(item, Extracted) and item.frames_decoded != _FRAMES:
            raise ModelError("the video decoder does not work here")


def _threads() -> int:
    if sys.platform == "linux":
        return len(os.listdir("/proc/self/task"))
    return threading.active_count()
