"""Six people of a photograph, each in a picture of their own."""

from __future__ import annotations

from pathlib import Path

import cv2

from service.demo import group_photograph
from service.faces.crops import crop
from service.faces.mtcnn import MTCNN

NAMES = ("ann", "ben", "cem", "dia", "eva", "fay")


def photograph_people(folder: Path, names: tuple[str, ...] = NAMES) -> Path:
    """Write ``<name>.png`` of each of ``names``, at most six; returns the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    photograph = group_photograph()
    faces = sorted(MTCNN().detect(photograph), key=lambda face: face.box[0])
    for name, face in zip(names, faces, strict=False):
        picture = crop(photograph, face.box, 2.0, (280, 280))
        cv2.imwrite(str(folder / f"{name}.png"), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return folder
