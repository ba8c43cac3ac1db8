"""A picture shows its cells' pixels unchanged, each in its place, and is a PNG."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from model_export.errors import EvaluationError
from model_export.explain.picture import (
    CAPTION,
    GAP,
    HEADER,
    SMALLEST_CELL,
    Image,
    Picture,
    Row,
    draw,
    save,
)


def noise(height: int, width: int, seed: int = 0) -> Image:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def cell(picture: Image, row: int, column: int, height: int, width: int) -> Image:
    top, left = HEADER + row * (height + GAP), CAPTION + column * (width + GAP)
    return picture[top : top + height, left : left + width]


def test_cells_stand_unchanged_in_their_places() -> None:
    a, b, c = (noise(100, 130, seed) for seed in range(3))
    drawn = draw(Picture("title", ("one", "two"), (Row("first", (a, b)), Row("second", (None, c)))))
    assert drawn.dtype == np.uint8
    assert drawn.shape == (HEADER + 2 * (100 + GAP), CAPTION + 2 * (130 + GAP), 3)
    for (row, column), wanted in {(0, 0): a, (0, 1): b, (1, 1): c}.items():
        assert np.array_equal(cell(drawn, row, column, 100, 130), wanted)
    assert (cell(drawn, 1, 0, 100, 130) == 255).all()


def test_small_images_are_enlarged_by_whole_pixels() -> None:
    small = noise(40, 40)
    drawn = draw(Picture("", ("",), (Row("", (small,)),)))
    shown = cell(drawn, 0, 0, 120, 120)
    assert SMALLEST_CELL <= 120
    assert np.array_equal(shown[::3, ::3], small)
    assert np.array_equal(shown[2::3, 2::3], small)


def test_words_are_written_beside_their_row(monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[tuple[float, str]] = []

    def text(self: Figure, x: float, y: float, words: str, **style: object) -> None:
        written.append((y, words))
        assert not style["parse_math"]

    monkeypatch.setattr(Figure, "text", text)
    image = noise(96, 96)
    rows = (Row("first\n" + "x" * 40, (image,)), Row("second", (image,)))
    draw(Picture("title", ("column",), rows))
    order = [words for _, words in sorted(written, reverse=True)]
    assert order == ["title", "column", "first\n" + "x" * 30 + "\n" + "x" * 10, "second"]


def test_dollars_in_a_name_are_no_formula() -> None:
    draw(Picture(r"a $\nothing{ b", (r"$\frac$",), (Row("$^^$", (noise(96, 96),)),)))


def test_a_saved_picture_is_a_png_with_red_where_it_was(tmp_path: Path) -> None:
    red = np.zeros((96, 96, 3), np.uint8)
    red[..., 0] = 255
    path = tmp_path / "picture.png"
    save(Picture("", ("",), (Row("", (red,)),)), path, "filmed")
    assert path.read_bytes().startswith(b"\x89PNG")
    found = cv2.imread(str(path))
    assert found is not None
    assert tuple(found[HEADER + 50, CAPTION + 50]) == (0, 0, 255)


def test_a_picture_of_synthetic_clips_says_so_however_narrow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    picture = Picture("a title that is longer than one column", ("",), (Row("", (noise(96, 96),)),))
    marks = {}
    for origin in ("filmed", "a synthetic benchmark"):
        save(picture, tmp_path / "p.png", origin)
        found = cv2.imread(str(tmp_path / "p.png"))
        assert found is not None
        # Left of the columns' names, clear of the right edge of the captions.
        marks[origin] = found[HEADER // 2 : HEADER, : CAPTION - GAP]
    assert (marks["filmed"] == 255).all()
    assert (marks["a synthetic benchmark"] < 128).sum() > 100
    written: list[str] = []
    monkeypatch.setattr(Figure, "text", lambda self, x, y, words, **style: written.append(words))
    save(picture, tmp_path / "p.png", "a synthetic benchmark")
    assert "synthetic stand-ins" in written


def test_what_cannot_be_written_or_seen_is_refused(tmp_path: Path) -> None:
    row = Row("", (noise(96, 96),))
    with pytest.raises(EvaluationError, match=r"absent/p\.png cannot be written: No such file"):
        save(Picture("", ("",), (row,)), tmp_path / "absent" / "p.png", "filmed")
    with pytest.raises(EvaluationError, match="4000 rows make too large a picture"):
        draw(Picture("", ("",), (row,) * 4000))
