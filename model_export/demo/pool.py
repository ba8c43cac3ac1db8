"""Pairs of real and forged clips: what the demonstration network is trained on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from model_export.demo.degradation import Degradation
from model_export.demo.people import Run
from service.faces.crops import crop, union_box
from service.faces.detector import Box
from service.forge import FAMILIES, Donor, Family, forge

Image = NDArray[np.uint8]

CLIP_LENGTH = 5
INPUT_SIZE = 128
MARGIN = 1.25
"""Side of the crop over the longer side of the face box, as served."""

POOL_SIZE = 144
"""Side of the stored clips; the excess is what random cropping moves in."""

MASK_SIZE = 36
RUN_LENGTH = 10
"""Frames forged together: two clips by one recipe."""

SMALLEST_FACE = 80
FAMILY_ODDS = {
    "self_blend": 0.25,
    "jitter": 0.1,
    "low_resolution": 0.15,
    "swap": 0.25,
    "mouth": 0.125,
    "expression": 0.125,
}


@dataclass(frozen=True, slots=True)
class Pairs:
    """N pairs. ``real`` and ``forged`` uint8 (N, T, S, S, 3) RGB; ``mask`` uint8 (N, T, 36, 36),
    where they differ; ``family`` uint8 (N,), places in ``FAMILIES``; ``person`` str (N,)."""

    real: Image
    forged: Image
    mask: Image
    family: NDArray[np.uint8]
    person: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.family)

    def save(self, path: Path) -> None:
        """Write an ``.npz``, whole or not at all."""
        part = path.with_suffix(".part")
        with part.open("wb") as file:
            np.savez(file, **{name: getattr(self, name) for name in self.__slots__})
        part.replace(path)

    @classmethod
    def load(cls, paths: Sequence[Path]) -> Pairs:
        """Read and join files that ``save`` wrote."""
        files = [np.load(path) for path in paths]
        return cls(**{name: np.concatenate([f[name] for f in files]) for name in cls.__slots__})

    @classmethod
    def join(cls, parts: Sequence[Pairs]) -> Pairs:
        """All of them, in order."""
        return cls(
            **{
                name: np.concatenate([getattr(part, name) for part in parts])
                for name in cls.__slots__
            }
        )


def forge_run(run: Run, others: Sequence[Run], family: Family, rng: np.random.Generator) -> Image:
    """``run``'s frames forged: uint8 (L, h, w, 3) and, as a fourth channel, the mask.

    ``others`` are runs of other people (the donors of a swap) and of the same person (whose other
    moments lend a mouth).
    """
    donor: Donor | None = None
    if family == "swap":
        strangers = [other for other in others if other.person != run.person]
        chosen = strangers[int(rng.integers(len(strangers)))]
        donor = Donor(list(chosen.frames), chosen.faces)
    elif family == "mouth" and rng.random() < 0.7:
        same = [o for o in others if o.person == run.person and o is not run]
        if same:
            chosen = same[int(rng.integers(len(same)))]
            donor = Donor(list(chosen.frames), chosen.faces)
    forged = forge(list(run.frames), run.faces, rng, family, donor)
    return np.concatenate([forged.frames, forged.mask[..., None]], axis=-1)


def random_family(rng: np.random.Generator) -> Family:
    """A family by ``FAMILY_ODDS``."""
    return FAMILIES[int(rng.choice(len(FAMILIES), p=[FAMILY_ODDS[name] for name in FAMILIES]))]


def make_pairs(
    run: Run, others: Sequence[Run], rng: np.random.Generator, *, training: bool
) -> Pairs:
    """The pairs of one run, forged by one recipe.

    Training clips are ``POOL_SIZE`` large around a box that is a little off; others are exactly
    what the service would cut.
    """
    side = run.face_side
    low, high = min(SMALLEST_FACE, side), min(side, 260.0)
    run = run.scaled(float(np.exp(rng.uniform(np.log(low), np.log(high)))) / side)
    family = random_family(rng)
    both = forge_run(run, others, family, rng)
    degradation = Degradation.draw(rng)
    real, forged = degradation.apply(run.frames), degradation.apply(both[..., :3])
    clips: list[tuple[Image, Image, Image]] = []
    size = POOL_SIZE if training else INPUT_SIZE
    margin = MARGIN * size / INPUT_SIZE
    for start in range(0, len(run.faces) - CLIP_LENGTH + 1, CLIP_LENGTH):
        span = range(start, start + CLIP_LENGTH)
        box = union_box(run.faces[index].box for index in span)
        if training:
            box = _disturbed(box, rng)
        cut = [
            np.stack([crop(frames[index], box, margin, (size, size)) for index in span])
            for frames in (real, forged)
        ]
        mask = np.stack([_mask(both[index, ..., 3], box, margin) for index in span])
        clips.append((cut[0], cut[1], mask))
    return Pairs(
        real=np.stack([clip[0] for clip in clips]),
        forged=np.stack([clip[1] for clip in clips]),
        mask=np.stack([clip[2] for clip in clips]),
        family=np.full(len(clips), FAMILIES.index(family), dtype=np.uint8),
        person=np.full(len(clips), run.person),
    )


def _disturbed(box: Box, rng: np.random.Generator) -> Box:
    """A box as another detector might draw it."""
    x0, y0, x1, y1 = box
    side = max(x1 - x0, y1 - y0)
    dx, dy = rng.normal(0, 0.03 * side, 2)
    grow = side * float(np.clip(rng.normal(0, 0.05), -0.1, 0.12)) / 2
    return x0 + dx - grow, y0 + dy - grow, x1 + dx + grow, y1 + dy + grow


def _mask(mask: Image, box: Box, margin: float) -> Image:
    # Beyond the frame the crop repeats its edge, in the mask as in the picture.
    colour = np.repeat(mask[..., None], 3, axis=2)
    cut = crop(colour, box, margin, (POOL_SIZE, POOL_SIZE))[..., 0]
    return np.asarray(cv2.resize(cut, (MASK_SIZE, MASK_SIZE), interpolation=cv2.INTER_AREA))
