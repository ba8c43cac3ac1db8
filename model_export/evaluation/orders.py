"""Frames of a clip in another order: what a network loses then is what it makes of time."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Order = Literal["as_is", "reversed", "shuffled", "repeated"]

ORDERS: tuple[Order, ...] = get_args(Order)


def reorder(pixels: NDArray[np.uint8], order: Order, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The frames of a clip uint8 (T, H, W, 3) in ``order``; the result has the same shape.

    ``shuffled`` draws a permutation that is not the order itself, ``repeated`` shows the middle
    frame T times. A clip of one frame has no order and stays as it is.
    """
    return np.ascontiguousarray(pixels[_indices(len(pixels), order, rng)])


def _indices(length: int, order: Order, rng: np.random.Generator) -> NDArray[np.intp]:
    straight = np.arange(length)
    if order == "reversed":
        return straight[::-1]
    if order == "repeated":
        return np.full(length, length // 2)
    if order == "shuffled" and length > 1:
        shuffled = straight
        while np.array_equal(shuffled, straight):
            shuffled = rng.permutation(length)
        return shuffled
    return straight
