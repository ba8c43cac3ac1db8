"""Which detections in two frames are the same face, and where it was in between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from service.faces.detector import Detection
from service.faces.geometry import overlaps


def pair_up(
    before: Sequence[Detection], after: Sequence[Detection], least: float
) -> dict[int, int]:
    """Index in ``before`` to index in ``after`` of the same face, for the pairs whose boxes
    overlap by an IoU of ``least`` or more: the best first, each face at most once."""
    table = overlaps(
        np.asarray([face.box for face in before], dtype=np.float64),
        np.asarray([face.box for face in after], dtype=np.float64),
    )
    pairs: dict[int, int] = {}
    for place in np.argsort(-table, axis=None, kind="stable"):
        row, column = divmod(int(place), table.shape[1])
        if table[row, column] < least:
            break
        if row not in pairs and column not in pairs.values():
            pairs[row] = column
    return pairs


def interpolate(first: Detection, second: Detection, share: float) -> Detection:
    """The face at ``share`` (0 to 1) of the way from ``first`` to ``second``; the lower score."""

    def mix(a: float, b: float) -> float:
        return a + (b - a) * share

    x0, y0, x1, y1 = map(mix, first.box, second.box)
    landmarks = first.landmarks + (second.landmarks - first.landmarks) * np.float32(share)
    return Detection((x0, y0, x1, y1), min(first.score, second.score), landmarks)
