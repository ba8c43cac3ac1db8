"""Videos to measure with, made of one photograph of six people."""

from __future__ import annotations

from functools import cache

import numpy as np

from service.video.encode import encode_video
from tests import media

FPS = 25
PEOPLE = 6
_DRIFT = 0.5


@cache
def people(seconds: float, faces: int = PEOPLE) -> bytes:
    """An MP4 of the photograph in slow motion; all but the first ``faces`` people from the left are
    painted over, so that the pictures are as large whoever is on them."""
    frames = media.group_frames(round(FPS * seconds), drift=_DRIFT)
    hidden = media.group_faces(frames[0])[faces:]
    for number, frame in enumerate(frames):
        for x0, y0, x1, y1 in hidden:
            left, right = (round(x + _DRIFT * number) for x in (x0, x1))
            rows, columns = slice(round(y0), round(y1)), slice(left, right)
            frame[rows, columns] = np.uint8(128)
    return encode_video(frames)


@cache
def long(seconds: int) -> bytes:
    """A second of the six, again and again, in about 100 KB a second."""
    return media.repeated_video(media.group_frames(FPS), seconds, 100_000 * seconds)
