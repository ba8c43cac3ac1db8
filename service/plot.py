"""A report as a picture: a lane for each face, its scores over the video's time.

Height is P(fake); colour and hatching are the verdict; where a lane is empty nothing was scored.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from service.report import EnsembleInfo, FaceReport, FaceVerdict, Report

LANES = 20
"""Faces in one picture, the most suspicious of all."""

_LOOKS = MappingProxyType(
    {
        "fake": ("#b3361e", "////", "likely fake"),
        "uncertain": ("#c9a227", "....", "uncertain"),
        "real": ("#2f6f8f", "", "likely real"),
    }
)
"""Colours that people tell apart whatever colours they see, hatching, and words."""

_VERDICTS = MappingProxyType(
    {"fake": "likely fake", "real": "likely real", "uncertain": "uncertain"}
    | {"no_face": "no face to score", "unable": "unable to say"}
)

_PLAIN = "#6b6b6b"

_LANE = 0.55
"""Inches."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A stretch of time, in seconds, its P(fake), and what it was called, if anything."""

    start: float
    end: float
    score: float
    verdict: FaceVerdict | None = None


@dataclass(frozen=True, slots=True)
class Lane:
    """A face: what stands before it, and its bars."""

    label: str
    bars: Sequence[Bar]


def plot(report: Report) -> Figure:
    """The timeline of a report, the most suspicious face on top, as a matplotlib figure.

    Of more than ``LANES`` faces only those are drawn, and the picture says so.
    """
    faces = sorted(report.faces, key=lambda face: (-face.score, face.id))
    lanes = [Lane(f"face {face.id}  {face.score:.2f}", _bars(face)) for face in faces[:LANES]]
    figure = Figure(figsize=(9, 1.9 + _LANE * max(1, len(lanes))), layout="constrained")
    axes = figure.subplots()
    draw(axes, lanes, report.media.duration, report.operating_point.threshold)
    axes.set_title(_headline(report), loc="left", fontsize=12, fontweight="bold", parse_math=False)
    shown = {bar.verdict for lane in lanes for bar in lane.bars}
    if shown:
        handles = [_patch(verdict) for verdict in _LOOKS if verdict in shown]
        axes.legend(
            handles=handles, ncols=3, frameon=False, loc="lower right", bbox_to_anchor=(1, 1)
        )
    figure.supxlabel(_footnote(report), x=0.01, ha="left", fontsize=7.5, parse_math=False)
    return figure


def draw(axes: Axes, lanes: Sequence[Lane], duration: float, threshold: float | None) -> None:
    """Lanes from the top on; each is a unit high, 0.8 of it P(fake) from 0 to 1. Dotted: from
    where on a score is called fake, where that is known."""
    for verdict, (colour, hatching, _) in [*_LOOKS.items(), (None, (_PLAIN, "", ""))]:
        corners = [
            _corners(bar, -place)
            for place, lane in enumerate(lanes)
            for bar in lane.bars
            if bar.verdict == verdict
        ]
        if corners:
            axes.add_collection(
                PolyCollection(corners, facecolor=colour, edgecolor="white", hatch=hatching, lw=0.4)
            )
    ends = [bar.end for lane in lanes for bar in lane.bars]
    last = max([duration, *ends, 0.01])
    for place in range(len(lanes)):
        axes.hlines(-place, 0, last, color="#999999", lw=0.6)
        if threshold is not None:
            axes.hlines(
                0.8 * threshold - place, 0, last, color="#333333", lw=0.7, linestyles="dotted"
            )
    axes.set(xlim=(0, last), ylim=(0.85 - max(1, len(lanes)), 0.95), xlabel="seconds")
    axes.set_yticks([0.4 - place for place in range(len(lanes))])
    axes.set_yticklabels([lane.label for lane in lanes], parse_math=False)
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right", "left"]].set_visible(False)


def _corners(bar: Bar, base: float) -> list[tuple[float, float]]:
    # A score of nothing is still a finding: it stays visible.
    top = base + 0.8 * max(0.02, bar.score)
    return [(bar.start, base), (bar.start, top), (bar.end, top), (bar.end, base)]


def _bars(face: FaceReport) -> list[Bar]:
    return [Bar(each.start, each.end, each.score, each.verdict) for each in face.segments]


def _patch(verdict: str) -> Patch:
    colour, hatching, words = _LOOKS[verdict]
    return Patch(facecolor=colour, edgecolor="white", hatch=hatching, label=words)


def _headline(report: Report) -> str:
    score = "" if report.score is None else f": P(fake) {report.score:.2f}"
    return f"{_VERDICTS[report.verdict].capitalize()}{score}"


def _footnote(report: Report) -> str:
    model, coverage, hidden = report.model, report.coverage, len(report.faces) - LANES
    members = f", {model.rule} of {len(model.members)}" if isinstance(model, EnsembleInfo) else ""
    lines = [
        f"{model.name} {model.version}{members}; {coverage.clips_scored} clips, "
        f"sampling {coverage.sampling}. Dotted: called fake from here on "
        f"({report.operating_point.threshold:g}). A score is a reason to look closer, "
        f"never a proof.",
    ]
    if hidden > 0:
        lines.append(f"{hidden} less suspicious faces are not drawn.")
    return "\n".join(lines)
