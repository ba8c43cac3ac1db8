"""The picture of a report: what is drawn is what the report says."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.collections import PolyCollection
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from service.plot import LANES, plot
from service.report import FaceReport, Report
from tests.api.fakes import EXAMPLE

SEGMENT = EXAMPLE.faces[0].segments[0]


def face(number: int, *scored: tuple[float, float, float, str]) -> FaceReport:
    """A face of segments (start, end, score, verdict)."""
    segments = tuple(
        SEGMENT.model_copy(
            update=dict(zip(("start", "end", "score", "verdict"), each, strict=True))
        )
        for each in scored
    )
    top = max(score for _, _, score, _ in scored)
    return EXAMPLE.faces[0].model_copy(
        update={"id": number, "score": top, "segments": segments, "verdict": scored[0][3]}
    )


def report(*faces: FaceReport, **changed: Any) -> Report:
    media = EXAMPLE.media.model_copy(update={"duration": 10.0})
    return EXAMPLE.model_copy(update={"faces": faces, "media": media} | changed)


def bars(figure: Figure) -> dict[str, list[list[float]]]:
    """Of each colour: left, right, bottom and top of what is drawn."""
    found: dict[str, list[list[float]]] = {}
    for each in figure.axes[0].collections:
        if isinstance(each, PolyCollection):
            paths = [path.vertices for path in each.get_paths()]
            found[to_hex(each.get_facecolor()[0])] = [
                [p[:, 0].min(), p[:, 0].max(), p[:, 1].min(), p[:, 1].max()] for p in paths
            ]
    return found


def words(figure: Figure) -> str:
    axes = figure.axes[0]
    legend = axes.get_legend()
    texts = [axes.get_title(loc="left"), figure.get_supxlabel()]
    texts += [label.get_text() for label in axes.get_yticklabels()]
    texts += [text.get_text() for text in legend.get_texts()] if legend else []
    return "\n".join(texts)


def drawn(figure: Figure) -> bytes:
    data = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(data, format="png", dpi=50)
    return data.getvalue()


def close(found: Sequence[Sequence[float]], wanted: Sequence[Sequence[float]]) -> bool:
    return np.allclose(found, wanted)


def test_every_segment_stands_at_its_time_as_high_as_its_score() -> None:
    calm = face(1, (0.0, 1.0, 0.1, "real"), (4.0, 5.0, 0.5, "uncertain"))
    forged = face(2, (2.0, 3.0, 0.9, "fake"), (3.0, 4.0, 1.0, "fake"))
    shown = bars(plot(report(calm, forged)))
    # The most suspicious is on top.
    assert close(shown["#b3361e"], [[2, 3, 0, 0.72], [3, 4, 0, 0.8]])
    assert close(shown["#2f6f8f"], [[0, 1, -1, -0.92]])
    assert close(shown["#c9a227"], [[4, 5, -1, -0.6]])


def test_colour_is_not_the_only_carrier() -> None:
    figure = plot(report(face(1, (0, 1, 0.9, "fake"), (1, 2, 0.5, "uncertain"), (2, 3, 0, "real"))))
    hatching = {
        each.get_hatch() for each in figure.axes[0].collections if isinstance(each, PolyCollection)
    }
    assert len(hatching) == 3
    assert {"likely fake", "uncertain", "likely real"} <= set(words(figure).splitlines())


def test_words_say_what_was_found_by_what_and_with_what_caution() -> None:
    text = words(plot(report(face(7, (0, 1, 0.9, "fake")), verdict="fake", score=0.9)))
    assert "Likely fake: P(fake) 0.90" in text
    assert "face 7  0.90" in text
    assert f"{EXAMPLE.model.name} {EXAMPLE.model.version}" in text
    assert "never a proof" in text


@pytest.mark.parametrize(("verdict", "said"), [("no_face", "No face"), ("unable", "Unable to say")])
def test_without_a_score_there_is_still_a_picture(verdict: str, said: str) -> None:
    figure = plot(report(verdict=verdict, score=None, raw_score=None))
    assert words(figure).startswith(said)
    assert bars(figure) == {}
    assert drawn(figure).startswith(b"\x89PNG")


def test_many_faces_are_not_all_drawn_and_the_picture_says_so() -> None:
    crowd = [face(number, (0, 1, number / 100, "real")) for number in range(LANES + 3)]
    figure = plot(report(*crowd))
    assert len(bars(figure)["#2f6f8f"]) == LANES
    assert "3 less suspicious faces are not drawn" in words(figure)
    assert f"face {LANES + 2} " in words(figure)


def test_names_are_text_and_never_a_formula() -> None:
    model = EXAMPLE.model.model_copy(update={"name": r"$\no$"})
    figure = plot(report(face(1, (0, 1, 0.9, "fake")), model=model))
    assert drawn(figure).startswith(b"\x89PNG")
    assert r"$\no$" in words(figure)


def test_the_axis_is_the_videos_time_even_where_its_length_is_said_wrongly() -> None:
    late = face(1, (11.0, 12.0, 0.9, "fake"))
    assert plot(report(late)).axes[0].get_xlim() == (0, 12)
    assert plot(report(face(1, (0, 1, 0.9, "fake")))).axes[0].get_xlim() == (0, 10)
