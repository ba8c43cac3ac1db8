"""Class activation maps: where a model sees the forgery.

Source: the class activation maps of Tariq, Lee, Woo (WWW '21); ``service.classifier.cam`` says how
one is drawn. Figure 8 shows what a model looks at in each domain, frame by frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from model_export.explain.choice import ChosenClip
from model_export.explain.model import OpenModel
from model_export.explain.picture import Picture, Row
from service.classifier.cam import draw, normalise

Maps = NDArray[np.float32]


def clip_cams(
    clips: Sequence[ChosenClip], model: OpenModel, console: Console | None = None
) -> Picture:
    """Two rows a clip: its frames, and the same with their maps. Shows progress on ``console``.

    Raises ``EvaluationError`` where the model has no maps.
    """
    rows = []
    for clip, maps in _mapped(clips, model, console):
        drawn = tuple(draw(*pair) for pair in zip(clip.pixels, maps, strict=True))
        rows += [Row(clip.caption, tuple(clip.pixels)), Row("class activation", drawn)]
    return _picture(f"Class activation maps of {model.name}", maps, rows)


def domain_cams(
    clips: Sequence[ChosenClip], model: OpenModel, console: Console | None = None
) -> Picture:
    """One row a method, in the order of the clips: the mean map at each place of a clip, over the
    mean of the frames there (Figure 8 of the WWW '21 paper). Shows progress on ``console``.

    Raises ``EvaluationError`` where the model has no maps.
    """
    domains: dict[str, list[tuple[ChosenClip, Maps]]] = {}
    for clip, maps in _mapped(clips, model, console):
        domains.setdefault(clip.video.method, []).append((clip, maps))
    rows = []
    for method, members in domains.items():
        frames = np.mean([clip.pixels for clip, _ in members], axis=0).round().astype(np.uint8)
        maps = mean_maps([maps for _, maps in members])
        score = np.mean([clip.score or 0 for clip, _ in members])
        caption = f"{method}\n{len(members)} clips\nmean P(fake) {score:.2f}"
        drawn = tuple(draw(*pair) for pair in zip(frames, maps, strict=True))
        rows.append(Row(caption, drawn))
    return _picture(f"Mean class activation maps of {model.name} by method", maps, rows)


def mean_maps(maps: Sequence[Maps]) -> Maps:
    """The mean (T, h, w) of clips' raw maps, each (T, h, w).

    Each frame's map is stretched first: where it peaks counts, not how strong the features were,
    and no single clip outweighs the others.
    """
    return np.asarray(np.mean([normalise(each) for each in maps], axis=0), dtype=np.float32)


def _mapped(
    clips: Sequence[ChosenClip], model: OpenModel, console: Console | None
) -> Iterator[tuple[ChosenClip, Maps]]:
    """The frames of the clips that the model sees, with scores, and their raw maps (T, h, w)."""
    model.demand_cam()
    for clip in track(clips, "looking", console=console, disable=console is None):
        score, maps = model.maps(clip.pixels)
        yield replace(clip, pixels=model.seen(clip.pixels), score=score), maps


def _picture(title: str, maps: Maps, rows: Sequence[Row]) -> Picture:
    """A picture that says how coarse ``maps`` (T, h, w) are, which their smooth colours hide."""
    length, height, width = maps.shape
    columns = tuple(f"frame {number + 1}" for number in range(length))
    return Picture(f"{title} (maps of {height}x{width})", columns, tuple(rows))
