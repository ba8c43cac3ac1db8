"""Masks show where a frame was forged."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from model_export.data.prepared import Image
from model_export.training.batch import forgery_mask
from service.video.deadline import Deadline
from service.video.video import Video, VideoLimits
from tests import media
from tests.unit.model_export.data import film


@pytest.mark.parametrize(("quality", "most"), [(23, 0.003), (40, 0.15)])
def test_a_mask_shows_the_forgery_and_not_the_codec(quality: int, most: float) -> None:
    frames = [np.asarray(cv2.resize(f, (240, 240)), np.uint8) for f in film.one_face(5)]
    altered = film.forged(film.one_face(5))
    altered = [np.asarray(cv2.resize(f, (240, 240)), np.uint8) for f in altered]
    real, fake = (decoded(media.encode_video(each, quality=quality)) for each in (frames, altered))
    mask = forgery_mask(fake, real)
    assert (mask.dtype, mask.shape) == (np.float32, (5, 60, 60))
    x0, y0, x1, y1 = (round(side * 60 / film.SIDE) for side in film.FORGED)
    inside = mask[:, y0 + 1 : y1 - 1, x0 + 1 : x1 - 1]
    assert np.median(inside) > 0.5
    outside = np.ones((60, 60), bool)
    outside[y0 - 4 : y1 + 4, x0 - 4 : x1 + 4] = False
    assert mask[:, outside].mean() < most
    np.testing.assert_array_equal(forgery_mask(real, real), 0)


def decoded(data: bytes) -> Image:
    deadline = Deadline(60)
    deadline.resume()
    return np.stack([f.rgb for f in Video(data, VideoLimits(), deadline).frames(range(5))])
