"""Drawn faces that move over a textured ground: real enough to forge, and free of people."""

from __future__ import annotations

import cv2
import numpy as np

from model_export.demo.people import Run
from service.faces.detector import Detection
from service.forge.alignment import TEMPLATE


def drawn_run(person: str, length: int = 10, seed: int = 0) -> Run:
    """One face of its own colours, slowly moving, in 220 x 200 pixels."""
    rng = np.random.default_rng([seed, *person.encode()])
    ground = cv2.resize(rng.integers(0, 255, (14, 14, 3), dtype=np.uint8), (200, 220))
    grain = rng.normal(0, 6, (220, 200, 1))
    skin = rng.integers(120, 220, 3).tolist()
    dark = rng.integers(0, 80, 3).tolist()
    speed = rng.uniform(-0.8, 0.8, 2)
    frames, faces = [], []
    for index in range(length):
        corner = np.array([60.0, 65.0]) + speed * index
        points = (TEMPLATE * 80 + corner).astype(np.float32)
        image = ground.copy()
        x, y = (int(value) for value in points.mean(axis=0))
        cv2.ellipse(image, (x, y), (44, 58), 0, 0, 360, skin, -1)
        for place in points:
            cv2.circle(image, (int(place[0]), int(place[1])), 6, dark, -1)
        cv2.line(image, points[3].astype(int).tolist(), points[4].astype(int).tolist(), dark, 4)
        frames.append(np.clip(image + grain, 0, 255).astype(np.uint8))
        x0, y0 = corner - (0, 12)
        faces.append(Detection((x0, y0, x0 + 80, y0 + 104), 0.99, points))
    return Run(person, np.stack(frames), tuple(faces))
