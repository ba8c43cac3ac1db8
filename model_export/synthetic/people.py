"""Who is in the folder of faces, and who trains, validates and tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.naming import SUFFIXES
from model_export.data.video import PARTS, Part
from model_export.errors import DataError

PHOTOGRAPHS = frozenset({".jpeg", ".jpg", ".png", ".webp"})

Ratios = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Person:
    """One file is one person; ``name`` is the file's, fit for an id."""

    name: str
    path: Path
    part: Part

    @property
    def is_photograph(self) -> bool:
        """A picture, of which clips are made by moving the camera."""
        return self.path.suffix.lower() in PHOTOGRAPHS


def find_people(folder: Path, ratios: Ratios, seed: int) -> list[Person]:
    """Everybody in ``folder``, in order of name, each in a part.

    In ascending order of the SHA-256 of seed and name, the first people test, the next validate,
    the rest train; ``ratios`` are the shares of train, validation and test. Every part that has a
    share gets somebody. Raises ``DataError`` where there are too few people, or two of one name.
    """
    names = _names(_files(folder, SUFFIXES | PHOTOGRAPHS))
    counts = _counts(len(names), ratios, folder)
    ordered = sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    tests, validates = counts["test"], counts["test"] + counts["validation"]
    parts: dict[str, Part] = {
        name: "test" if place < tests else "validation" if place < validates else "train"
        for place, name in enumerate(ordered)
    }
    return [Person(name, names[name], parts[name]) for name in sorted(names)]


def find_stills(folder: Path) -> list[Person]:
    """The photographs in ``folder``, lenders of faces to training videos alone: who is on them is
    not known. Raises ``DataError`` where there are none, or two of one name."""
    names = _names(_files(folder, PHOTOGRAPHS), "still-")
    if not names:
        raise DataError(f"{folder} holds no photographs ({', '.join(sorted(PHOTOGRAPHS))})")
    return [Person(name, path, "train") for name, path in names.items()]


def generator(seed: int, *words: str) -> np.random.Generator:
    """Random numbers of one thing alone, whatever is made before it or beside it."""
    digest = hashlib.sha256("\0".join(words).encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32).tolist()])


def _files(folder: Path, suffixes: frozenset[str]) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.suffix.lower() in suffixes and not path.name.startswith(".")
    )


def _names(paths: Sequence[Path], prefix: str = "") -> dict[str, Path]:
    """Files by names that are fit for an id. Different files can have one: what is made of the
    second would overwrite what is made of the first."""
    names: dict[str, Path] = {}
    for path in paths:
        name = prefix + re.sub(r"[^A-Za-z0-9._+-]+", "-", path.stem)[:80]
        other = names.setdefault(name, path)
        if other != path:
            raise DataError(f"{other} and {path.name} have one name, {name}; rename one")
    return names


def _counts(people: int, ratios: Ratios, folder: Path) -> dict[Part, int]:
    if min(ratios) < 0 or sum(ratios) <= 0:
        raise DataError("the shares of train, validation and test must not be negative or all 0")
    shares: Sequence[float] = [ratio / sum(ratios) for ratio in ratios]
    wanted = sum(share > 0 for share in shares)
    if people < wanted:
        raise DataError(f"{folder} holds {people} videos of people; {wanted} parts need as many")
    counts = {
        part: max(round(share * people), share > 0)
        for part, share in zip(PARTS, shares, strict=True)
    }
    # What rounding gave too much or too little is the largest part's.
    largest = max(PARTS, key=lambda part: counts[part])
    counts[largest] += people - sum(counts.values())
    return counts
