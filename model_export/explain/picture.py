"""A picture of rows of images with words beside them, written as PNG."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import cv2
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model_export.errors import EvaluationError
from model_export.evaluation.origin import stand_ins

Image = NDArray[np.uint8]

GAP = 4
HEADER = 44
"""Height of the title and the columns' names."""
CAPTION = 230
"""Width of the captions, which are broken into lines of ``CAPTION_LETTERS``."""
CAPTION_LETTERS = 30
SMALLEST_CELL = 96
"""Smaller images are shown enlarged by a whole number, so that a caption fits beside them."""
LARGEST = 100_000_000
"""Pixels; a larger picture is refused."""
_DPI = 100
_TITLE_POINTS, _TEXT_POINTS = 9, 8


@dataclass(frozen=True, slots=True)
class Row:
    """``caption`` stands left of ``cells``: uint8 (H, W, 3) RGB, all of one size in a picture;
    None leaves a place empty."""

    caption: str
    cells: tuple[Image | None, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """``columns`` name the places of every row; at least one cell of the rows is an image. ``mark``
    stands above the captions, at most ``CAPTION_LETTERS`` long."""

    title: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]
    mark: str = ""


def draw(picture: Picture) -> Image:
    """The picture as uint8 (H, W, 3) RGB; every pixel of a cell is a pixel, or a square of them.

    Raises ``EvaluationError`` for a picture that is too large to be looked at.
    """
    height, width = next(
        cell.shape[:2] for row in picture.rows for cell in row.cells if cell is not None
    )
    scale = -(-SMALLEST_CELL // min(height, width))
    down, across = height * scale + GAP, width * scale + GAP
    size = (HEADER + down * len(picture.rows), CAPTION + across * len(picture.columns))
    if size[0] * size[1] > LARGEST:
        raise EvaluationError(f"{len(picture.rows)} rows make too large a picture; show fewer")
    figure = Figure(figsize=(size[1] / _DPI, size[0] / _DPI), dpi=_DPI)
    canvas = FigureCanvasAgg(figure)

    def write(x: int, y: int, text: str, points: int, vertical: str = "center") -> None:
        # What a file or a folder is called is no formula, whatever dollar signs are in it.
        at = (x / size[1], 1 - y / size[0])
        figure.text(*at, text, fontsize=points, va=vertical, parse_math=False)

    write(GAP, HEADER // 4, picture.title, _TITLE_POINTS)
    # Not in the title, which a picture of one column may cut off.
    if picture.mark:
        write(GAP, 3 * HEADER // 4, picture.mark, _TEXT_POINTS)
    for index, name in enumerate(picture.columns):
        write(CAPTION + across * index, 3 * HEADER // 4, name, _TEXT_POINTS)
    for place, row in enumerate(picture.rows):
        top = HEADER + down * place
        write(GAP, top, _broken(row.caption), _TEXT_POINTS, "top")
        for index, cell in enumerate(row.cells):
            if cell is not None:
                enlarged = cell.repeat(scale, axis=0).repeat(scale, axis=1)
                bottom = size[0] - top - len(enlarged)
                figure.figimage(enlarged, CAPTION + across * index, bottom, origin="upper")
    canvas.draw()  # type: ignore[no-untyped-call]
    pixels = np.asarray(canvas.buffer_rgba(), dtype=np.uint8)  # type: ignore[no-untyped-call]
    return np.ascontiguousarray(pixels[..., :3])


def save(picture: Picture, path: Path, origin: str) -> None:
    """Write the picture as PNG, marked where clips of ``origin`` are synthetic. Raises
    ``EvaluationError`` naming a file that cannot be written."""
    pixels = draw(replace(picture, mark=stand_ins(origin)))
    _, png = cv2.imencode(".png", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))
    try:
        path.write_bytes(cast("NDArray[np.uint8]", png).tobytes())
    except OSError as error:
        raise EvaluationError(f"{path} cannot be written: {error.strerror}") from error


def _broken(caption: str) -> str:
    lines = (textwrap.wrap(line, CAPTION_LETTERS) for line in caption.splitlines())
    return "\n".join(part for parts in lines for part in parts)
