"""Boxes as arrays: overlap and non-maximum suppression.

All boxes are (N, 4) float arrays of x0, y0, x1, y1 in pixels.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]
Overlap = Literal["union", "smaller"]


def overlaps(a: Floats, b: Floats, of: Overlap = "union") -> NDArray[np.float64]:
    """Intersection of every box in ``a`` (N, 4) with every one in ``b`` (M, 4), as a share of
    their union (IoU) or of the smaller one's area: float64 (N, M), 0 where a box is empty."""
    a = np.asarray(a, dtype=np.float64).reshape(-1, 1, 4)
    b = np.asarray(b, dtype=np.float64).reshape(1, -1, 4)
    size = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    shared = _area(size)
    area_a, area_b = _area(a[..., 2:] - a[..., :2]), _area(b[..., 2:] - b[..., :2])
    whole = area_a + area_b - shared if of == "union" else np.minimum(area_a, area_b)
    result: NDArray[np.float64] = np.divide(
        shared, whole, out=np.zeros_like(shared), where=whole > 0
    )
    return result


def suppress(
    boxes: Floats, scores: Floats, limit: float, of: Overlap = "union"
) -> NDArray[np.intp]:
    """Greedy non-maximum suppression: indices of the boxes kept, best score first.

    A box is dropped when it overlaps a kept, better one by more than ``limit``. Equal scores
    keep their order, so that the result does not depend on the sorting routine. Memory grows
    with the square of the number of boxes: callers bound it.
    """
    order = np.argsort(-scores, kind="stable")
    clash = overlaps(boxes[order], boxes[order], of) > limit
    alive = np.ones(len(order), dtype=np.bool_)
    for place in range(len(order)):
        if alive[place]:
            alive[place + 1 :] &= ~clash[place, place + 1 :]
    return order[alive]


def _area(size: NDArray[np.float64]) -> NDArray[np.float64]:
    """Width times height of sizes (..., 2); 0 where either is negative."""
    size = np.maximum(size, 0.0)
    area: NDArray[np.float64] = size[..., 0] * size[..., 1]
    return area
