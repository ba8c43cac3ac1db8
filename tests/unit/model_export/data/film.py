"""Small datasets of real faces on film, and prepared ones without any."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import cv2
import numpy as np

from model_export.data.prepared import (
    Preparation,
    PreparedVideo,
    VideoClips,
    clips_path,
    write_clips,
    write_preparation,
    write_rows,
)
from model_export.data.video import LabelledVideo, Part
from service.faces.detector import Box
from tests import media
from tests.media import Image

SIDE = 128
FORGED: Box = (52, 70, 76, 88)
"""What ``forged`` alters, x0 y0 x1 y1 in pixels."""

LOSSLESS = {"codec": "libx264rgb", "pixel_format": "rgb24", "options": {"crf": "0"}}
"""For ``encode_video``: what is decoded equals what was encoded."""


@cache
def _portrait() -> Image:
    whole = media.group_frames(1)[0]
    x0, y0, x1, y1 = media.group_faces(whole)[2]
    x, y, half = (x0 + x1) / 2, (y0 + y1) / 2, 1.1 * (y1 - y0)
    rows, columns = (slice(int(at - half), int(at + half)) for at in (y, x))
    return np.asarray(cv2.resize(whole[rows, columns], (SIDE, SIDE)), np.uint8)


def one_face(count: int, drift: float = 0.3) -> list[Image]:
    """Frames uint8 (128, 128, 3) of one face that moves to the right."""
    frames = []
    for number in range(count):
        move = np.array([[1, 0, drift * number % 20], [0, 1, 0]])
        shot = cv2.warpAffine(_portrait(), move, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
        frames.append(np.asarray(shot, np.uint8))
    return frames


def forged(frames: list[Image]) -> list[Image]:
    """The same frames with something drawn over the face, and nothing changed elsewhere."""
    x0, y0, x1, y1 = (int(side) for side in FORGED)
    copies = [frame.copy() for frame in frames]
    for frame in copies:
        part = frame[y0:y1, x0:x1]
        part[:] = part // 2 + 60
    return copies


def video(
    id: str,
    location: object,
    *,
    method: str = "real",
    part: Part | None = "train",
    twin: str | None = None,
) -> LabelledVideo:
    return LabelledVideo(
        id=id,
        location=str(location),
        label="real" if method == "real" else "fake",
        method=method,
        part=part,
        people=frozenset({id}),
        sources=frozenset({id}),
        twin=twin,
    )


def filmed(folder: Path, id: str, count: int, drift: float = 0.3) -> LabelledVideo:
    """A real video of ``one_face``."""
    path = folder / f"{id}.mp4"
    path.write_bytes(media.encode_video(one_face(count, drift)))
    return video(id, path)


def prepared(
    folder: Path,
    videos: dict[str, int],
    *,
    clips: int = 4,
    length: int = 5,
    size: int = 16,
    twins: bool = True,
    part: Part = "train",
) -> Path:
    """A prepared folder of so many videos of each method. The pixels of a clip tell which it is:
    red is the video's number, green the clip's index, blue the frame; a twin's red is 100 less.
    The n-th forged video of a method is made from the n-th real one."""
    (folder / "clips").mkdir(parents=True)
    rows = []
    for method, count in videos.items():
        for number in range(count):
            name = f"{method}{number:03d}"
            twin = f"real{number:03d}" if method != "real" and twins else None
            labelled = video(name, f"{name}.mp4", method=method, part=part, twin=twin)
            rows.append(PreparedVideo(labelled, "ok", "", clips, clips * length, 0.1))
            pixels = np.zeros((clips, length, size, size, 3), np.uint8)
            pixels[..., 0] = number + (0 if method == "real" else 100)
            pixels[..., 1] = np.arange(clips)[:, None, None, None]
            pixels[..., 2] = np.arange(length)[:, None, None]
            steps = np.arange(clips, dtype=np.int32)
            shard = VideoClips(
                pixels=pixels,
                track=np.zeros(clips, np.int32),
                first_frame=steps * length,
                last_frame=steps * length + length - 1,
                start=steps * 0.2,
                end=steps * 0.2 + 0.2,
                boxes=np.tile(np.float32([0, 0, 9, 9]), (clips, length, 1)),
                twin=pixels - np.uint8([100, 0, 0]) if twin else None,
            )
            write_clips(shard, clips_path(folder, name))
    write_rows(rows, folder / "videos.csv")
    preparation = Preparation(length, size, 1.3, "per_frame", "paper", "mtcnn", "made")
    write_preparation(preparation, folder)
    return folder
