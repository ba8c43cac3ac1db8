"""What distinguishes one kind of forgery from another: the parameters held through a clip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

Family = Literal["self_blend", "jitter", "low_resolution", "swap", "mouth", "expression"]
FAMILIES: tuple[Family, ...] = get_args(Family)

Region = Literal["face", "lower_face", "mouth"]
Blending = Literal["feather", "membrane"]


@dataclass(frozen=True, slots=True)
class Recipe:
    """Parameters of one forgery. Lengths are shares of the aligned face's side (see
    :mod:`service.forge.alignment`), colours are in 0..255 steps of R, G and B.
    """

    family: Family
    region: Region
    blending: Blending
    resolution: float
    """Pixels across the synthesised face; never above the target's own."""
    keep: float
    """The synthesised face has at most this share of the target's own resolution."""
    feather: float
    """Deviation of the blur of the mask's edge."""
    grow: float
    """The mask's outline, as a factor around its middle."""
    ripple: float
    """Deviation of the random displacement of the mask's outline."""
    warp: float
    """Deviation of the smooth random deformation of the face."""
    shift: tuple[float, float]
    angle: float
    """Degrees."""
    zoom: float
    gain: tuple[float, float, float]
    offset: tuple[float, float, float]
    transfer: bool
    """Match mean and spread of colour with the face that is covered."""
    sharpen: float
    jitter: float
    """Deviation of the place of the pasted face from frame to frame."""
    flicker: float
    """Deviation of the brightness of the pasted face from frame to frame."""
    motion: float
    """Size of the slow expression change (moving mouth corners, brows, lids)."""
    opacity: float
    fit: float = 0.0
    """Share of the difference between both faces' landmarks by which the pasted one is warped."""
    tremor: float = 0.0
    """Deviation of the expression from frame to frame."""
    pattern: float = 0.0
    """Height of the regular pattern that an upsampling network leaves, in steps of colour."""
    aliased: bool = False
    """Draw the face without interpolation, as plain renderers do."""


def draw_recipe(rng: np.random.Generator, family: Family) -> Recipe:
    """Random parameters of ``family``.

    Every family is generated frame by frame, as deepfakes are, so each has a little jitter and
    flicker; what is typical of a family is drawn over these common values.
    """

    def between(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    def three(mean: float, deviation: float) -> tuple[float, float, float]:
        r, g, b = rng.normal(mean, deviation, 3)
        return float(r), float(g), float(b)

    common: dict[str, object] = {
        "family": family,
        "region": "face",
        "blending": "membrane" if rng.random() < 0.3 else "feather",
        "resolution": between(80, 160),
        "keep": between(0.6, 1.0),
        "feather": between(0.01, 0.06),
        "grow": between(0.85, 1.08),
        "ripple": between(0.0, 0.04),
        "warp": between(0.0, 0.006),
        "shift": (between(-0.01, 0.01), between(-0.01, 0.01)),
        "angle": between(-0.7, 0.7),
        "zoom": between(0.985, 1.015),
        "gain": three(1.0, 0.015),
        "offset": three(0.0, 2.0),
        "transfer": False,
        "sharpen": between(0.3, 1.0) if rng.random() < 0.25 else 0.0,
        "jitter": between(0.0, 0.005),
        "flicker": between(0.0, 1.5),
        "motion": 0.0,
        "opacity": between(0.9, 1.0),
    }
    typical: dict[Family, dict[str, object]] = {
        "self_blend": {
            "shift": (between(-0.035, 0.035), between(-0.035, 0.035)),
            "angle": between(-3.0, 3.0),
            "zoom": between(0.95, 1.05),
            "gain": three(1.0, 0.05),
            "offset": three(0.0, 6.0),
            "warp": between(0.004, 0.014),
        },
        "jitter": {
            "jitter": between(0.008, 0.025),
            "flicker": between(2.0, 7.0),
            "gain": three(1.0, 0.03),
        },
        "low_resolution": {"resolution": between(36, 80), "keep": between(0.3, 0.7)},
        "swap": {
            "transfer": True,
            "resolution": between(56, 140),
            "keep": between(0.4, 1.0),
            "jitter": between(0.002, 0.008),
        },
        "mouth": {
            "region": "mouth" if rng.random() < 0.5 else "lower_face",
            "transfer": rng.random() < 0.5,
            "resolution": between(48, 100),
            "keep": between(0.35, 0.9),
            "grow": between(0.85, 1.2),
            "gain": three(1.0, 0.03),
            "offset": three(0.0, 4.0),
            "motion": between(0.015, 0.04),
        },
        "expression": {
            "resolution": between(60, 120),
            "keep": between(0.4, 0.9),
            "motion": between(0.015, 0.04),
            "warp": between(0.003, 0.01),
        },
    }
    return Recipe(**{**common, **typical[family]})  # type: ignore[arg-type]
