"""Drawing a class activation map over a face, as the authors of CLRNet draw it.

Source: the class activation maps of Tariq, Lee, Woo (WWW '21) and their released code: each
frame's map is stretched to [0, 1], what lies under a fifth of it is left out, the rest is JET.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

FLOOR = 0.2
"""The share of a map's range that is left blank."""


def normalise(cam: NDArray[np.float32]) -> NDArray[np.float32]:
    """Stretch raw maps (..., h, w), each for itself, to [-0.25, 1]; up to 0 nothing is drawn.

    Any positive factor on a map, such as its probability, drops out here. A map that is the same
    everywhere (a 1x1 map always is) points nowhere: it becomes -0.25 throughout.
    """
    raised = cam - cam.min(axis=(-2, -1), keepdims=True)
    peak = raised.max(axis=(-2, -1), keepdims=True)
    share = np.divide(raised, peak, out=np.zeros_like(raised), where=peak > 0)
    return np.asarray((share - FLOOR) / (1 - FLOOR), dtype=np.float32)


def heat_map(normalised: NDArray[np.float32], height: int, width: int) -> NDArray[np.uint8]:
    """uint8 RGB (height, width, 3) of one normalised map (h, w): JET, black where <= 0."""
    resized = cv2.resize(normalised, (width, height), interpolation=cv2.INTER_LINEAR)
    levels = np.clip(resized * 255, 0, 255).astype(np.uint8)
    colours = cv2.cvtColor(cv2.applyColorMap(levels, cv2.COLORMAP_JET), cv2.COLOR_BGR2RGB)
    colours[resized <= 0] = 0
    return np.asarray(colours, dtype=np.uint8)


def draw(
    frame: NDArray[np.uint8], cam: NDArray[np.float32], strength: float = 0.5
) -> NDArray[np.uint8]:
    """Lay the heat map of ``cam`` (h, w), raw, over ``frame`` uint8 RGB (H, W, 3); a new image.

    Where nothing is drawn the frame shows unchanged.
    """
    height, width = frame.shape[:2]
    heat = heat_map(normalise(cam), height, width)
    mixed = cv2.addWeighted(frame, 1 - strength, heat, strength, 0)
    return np.asarray(np.where(heat.any(axis=-1, keepdims=True), mixed, frame), dtype=np.uint8)
