"""Six ways to forge, each a stand-in for a method the papers train or test on.

None of them is the method it is named for: no network generates anything here. Each has the traces
its namesake is known for, in space (resolution, seam, colour, texture) and in time (jitter,
flicker, lag), and few of the others', so that a detector of one need not know the next.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal

import numpy as np

from model_export.degradation import Kind
from model_export.synthetic.recipes import RESAMPLED, Dice, expression, mouth, resynthesis, swap
from service.forge import Recipe

Source = Literal["self", "earlier", "donor"]
"""Where a layer's pixels come from: the forged frame, one shortly before it, another person."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One forgery over the face. ``lag``: frames between an ``earlier`` source and its use."""

    recipe: Recipe
    source: Source
    lag: int = 0


@dataclass(frozen=True, slots=True)
class Finish:
    """What is done to all of a forged video afterwards: factors of R, G and B, and an exponent of
    brightness, then degradations in turn."""

    gain: tuple[float, float, float]
    gamma: float
    degradations: tuple[tuple[Kind, float], ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """How one video is forged: layers one over the other, and what is done to the whole."""

    layers: tuple[Layer, ...]
    finish: Finish | None = None


@dataclass(frozen=True, slots=True)
class Method:
    """A family of forgeries. ``held_out`` ones are never trained on. ``draw(rng, strength)`` draws
    a plan; the same generator state at another strength is the same plan with its traces scaled.
    """

    name: str
    words: str
    needs_donor: bool
    held_out: bool
    draw: Callable[[np.random.Generator, float], Plan]


def _deepfakes(rng: np.random.Generator, strength: float) -> Plan:
    dice = Dice(rng, strength)
    return Plan((Layer(resynthesis(dice), "self"),))


def _faceswap(rng: np.random.Generator, strength: float) -> Plan:
    dice = Dice(rng, strength)
    recipe = replace(
        swap(dice),
        resolution=dice.resolution(100, 140),
        sharpen=RESAMPLED + dice.amount(1.0, 2.0),
        ripple=dice.amount(0.005, 0.02),
        jitter=dice.amount(0.006, 0.012),
        offset=dice.colour(5),
    )
    return Plan((Layer(recipe, "donor"),))


def _face2face(rng: np.random.Generator, strength: float) -> Plan:
    return Plan((Layer(expression(Dice(rng, strength)), "self"),))


def _neural_textures(rng: np.random.Generator, strength: float) -> Plan:
    return Plan((_mouth(Dice(rng, strength)),))


def _deepfake_detection(rng: np.random.Generator, strength: float) -> Plan:
    dice = Dice(rng, strength)
    recipe = replace(
        swap(dice),
        feather=dice.between(0.05, 0.09),
        jitter=dice.amount(0.003, 0.007),
        flicker=dice.amount(1.5, 3.5),
        offset=dice.colour(3),
    )
    kept, resolution = dice.kept(0.4, 0.6), dice.resolution(100, 140)
    sharpened = RESAMPLED + dice.amount(0.8, 1.6)
    if rng.random() < 0.5:
        recipe = replace(recipe, keep=kept, blending="membrane")
    else:
        recipe = replace(recipe, resolution=resolution, sharpen=sharpened)
    return Plan((Layer(recipe, "donor"),))


def _in_the_wild(rng: np.random.Generator, strength: float) -> Plan:
    # What nobody knows is better made: its traces are weaker.
    dice = Dice(rng, 0.8 * strength)
    kind = int(rng.integers(4))
    if kind == 0:
        layers: tuple[Layer, ...] = (Layer(swap(dice), "donor"), _mouth(dice))
    elif kind == 1:
        layers = (Layer(resynthesis(dice), "self"), _mouth(dice))
    elif kind == 2:
        sharpened = RESAMPLED + dice.amount(1.0, 2.0)
        recipe = replace(swap(dice), resolution=dice.resolution(100, 140), sharpen=sharpened)
        layers = (Layer(recipe, "donor"),)
    else:
        layers = (Layer(replace(swap(dice), keep=dice.kept(0.4, 0.6)), "donor"),)
    flicker, feather = dice.amount(0.5, 2.0), dice.between(0.04, 0.08)
    polished = tuple(
        replace(layer, recipe=replace(layer.recipe, flicker=flicker, feather=feather))
        for layer in layers
    )
    return Plan(polished, _finish(rng))


def _mouth(dice: Dice) -> Layer:
    """A mouth of shortly before."""
    return Layer(mouth(dice), "earlier", int(dice.rng.integers(3, 10)))


def _finish(rng: np.random.Generator) -> Finish:
    """A colour grade and one or two stations of a video that is shared."""
    r, g, b = rng.normal(1, 0.04, 3)
    stations: list[tuple[Kind, float]] = [
        ("resize", float(rng.uniform(0.6, 0.85))),
        ("blur", float(rng.uniform(0.5, 0.8))),
        ("jpeg", float(rng.integers(60, 90))),
        ("h264", float(rng.integers(24, 30))),
    ]
    chosen = sorted(rng.choice(len(stations), int(rng.integers(1, 3)), replace=False))
    return Finish(
        (float(r), float(g), float(b)),
        float(rng.uniform(0.85, 1.15)),
        tuple(stations[place] for place in chosen),
    )


_ALL = (
    Method(
        "DF",
        "synthetic stand-in for Deepfakes: the face re-synthesised at low resolution, with a seam, "
        "other colours and flicker",
        needs_donor=False,
        held_out=False,
        draw=_deepfakes,
    ),
    Method(
        "FS",
        "synthetic stand-in for FaceSwap: another person's face, warped, colour transferred, "
        "sharpened, trembling",
        needs_donor=True,
        held_out=False,
        draw=_faceswap,
    ),
    Method(
        "F2F",
        "synthetic stand-in for Face2Face: the expression warped, without a seam",
        needs_donor=False,
        held_out=False,
        draw=_face2face,
    ),
    Method(
        "NT",
        "synthetic stand-in for NeuralTextures: the mouth alone re-textured, late",
        needs_donor=False,
        held_out=False,
        draw=_neural_textures,
    ),
    Method(
        "DFD",
        "synthetic stand-in for DeepFakeDetection: swaps of several kinds, better blended",
        needs_donor=True,
        held_out=False,
        draw=_deepfake_detection,
    ),
    Method(
        "DFW",
        "synthetic stand-in for deepfakes in the wild: unknown mixtures, blended well, graded and "
        "compressed again",
        needs_donor=True,
        held_out=True,
        draw=_in_the_wild,
    ),
)

METHODS: Mapping[str, Method] = MappingProxyType({method.name: method for method in _ALL})
