"""Building blocks of the methods: faces swapped, given back, bent or re-textured.

Each is a :class:`service.forge.Recipe` with one kind of trace. How large it is is drawn, and scaled
by the strength.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from service.forge import Family, Recipe


class Dice:
    """Random numbers whose distance from 'no trace' grows with the strength."""

    def __init__(self, rng: np.random.Generator, strength: float) -> None:
        self.rng, self.strength = rng, strength

    def between(self, low: float, high: float) -> float:
        """Of any strength."""
        return float(self.rng.uniform(low, high))

    def amount(self, low: float, high: float) -> float:
        """A trace that is 0 where there is none."""
        return self.strength * self.between(low, high)

    def either(self, low: float, high: float) -> float:
        """An amount to either side."""
        return self.amount(low, high) * (1 if self.rng.random() < 0.5 else -1)

    def kept(self, low: float, high: float) -> float:
        """A share of the resolution that is left, 1 where there is no trace."""
        return float(self.between(low, high) ** self.strength)

    def resolution(self, low: float, high: float) -> float:
        """Pixels across the face, more than a face has where there is no trace."""
        return self.between(low, high) / self.strength

    def colour(self, deviation: float) -> tuple[float, float, float]:
        r, g, b = self.strength * self.rng.normal(0, deviation, 3)
        return float(r), float(g), float(b)

    def gain(self, deviation: float) -> tuple[float, float, float]:
        r, g, b = self.colour(deviation)
        return 1 + r, 1 + g, 1 + b


RESAMPLED = 0.6
"""Sharpening that gives back most of what two interpolations take from a face: all methods would
share that blur otherwise."""

_CLEAN = Recipe(
    family="self_blend",
    region="face",
    blending="feather",
    resolution=400.0,
    keep=1.0,
    feather=0.03,
    grow=1.0,
    ripple=0.0,
    warp=0.0,
    shift=(0.0, 0.0),
    angle=0.0,
    zoom=1.0,
    gain=(1.0, 1.0, 1.0),
    offset=(0.0, 0.0, 0.0),
    transfer=False,
    sharpen=RESAMPLED,
    jitter=0.0,
    flicker=0.0,
    motion=0.0,
    opacity=1.0,
)
"""A face put back where it was, almost without a trace."""


def swap(dice: Dice) -> Recipe:
    """Another person's face, bent to the landmarks of the one it covers and coloured like it."""
    return _recipe(
        "swap",
        fit=dice.between(0.7, 1.0),
        transfer=True,
        grow=dice.between(0.88, 1.02),
        feather=dice.between(0.012, 0.025),
        shift=(dice.either(0.004, 0.015), dice.either(0.004, 0.015)),
        angle=dice.either(0.3, 1.5),
        zoom=1 + dice.either(0.005, 0.02),
    )


def resynthesis(dice: Dice) -> Recipe:
    """The same face as a small network gives it back: few pixels, other colours, anew each time."""
    return _recipe(
        "low_resolution",
        keep=dice.kept(0.35, 0.5),
        sharpen=0.0,
        warp=dice.amount(0.006, 0.012),
        grow=dice.between(0.85, 1.0),
        feather=dice.between(0.012, 0.03),
        gain=dice.gain(0.03),
        offset=(dice.either(2, 7), dice.either(2, 7), dice.either(2, 7)),
        jitter=dice.amount(0.002, 0.006),
        flicker=dice.amount(2.0, 4.5),
    )


def expression(dice: Dice) -> Recipe:
    """The same face as a plain renderer draws it: brows, chin and mouth moved, shaking a little,
    its texture aliased; without a seam."""
    return _recipe(
        "expression",
        aliased=True,
        sharpen=0.2,
        resolution=dice.resolution(80, 110),
        feather=dice.between(0.05, 0.08),
        grow=dice.between(0.9, 1.0),
        motion=dice.amount(0.018, 0.035),
        tremor=dice.amount(0.006, 0.012),
    )


def mouth(dice: Dice) -> Recipe:
    """The mouth with the texture of an upsampling network."""
    return _recipe(
        "mouth",
        region="mouth",
        transfer=True,
        keep=dice.kept(0.7, 0.9),
        grow=dice.between(1.1, 1.35),
        feather=dice.between(0.015, 0.03),
        pattern=dice.amount(8.0, 14.0),
        motion=dice.amount(0.01, 0.025),
        flicker=dice.amount(0.5, 1.5),
    )


def _recipe(family: Family, **values: object) -> Recipe:
    return replace(_CLEAN, family=family, **values)  # type: ignore[arg-type]
