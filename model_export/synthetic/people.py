"""Who is in the folder of faces, and who trains, validates and tests."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from model_export.data.video import PARTS, Part
from model_export.errors import DataError

VIDEOS = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})
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
    paths = _files(folder, VIDEOS | PHOTOGRAPHS)
    names = {name: path for path in reversed(paths) for name in [_name(path)]}
    for path in paths:
        if names[_name(path)] != path:
            raise DataError(f"{path} and {names[_name(path)].name} have one name; rename one")
    counts = _counts(len(paths), ratios, folder)
    ordered = sorted(names, key=lambda name: hashlib.sha256(f"{seed} {name}".encode()).digest())
    tests, validates = counts["test"], counts["test"] + counts["validation"]
    parts: dict[str, Part] = {
        name: "test" if place < tests else "validation" if place < validates else "train"
        for place, name in enumerate(ordered)
    }
    return [Person(name, names[name], parts[name]) for name in sorted(names)]


def find_stills(folder: Path) -> list[Person]:
    """The photographs in ``folder``, lenders of faces to training videos alone: who is on them is
    not known. Raises ``DataError`` where there are none."""
    stills = [Person(f"still-{_name(path)}", path, "train") for path in _files(folder, PHOTOGRAPHS)]
    if not stills:
        raise DataError(f"{folder} holds no photographs ({', '.join(sorted(PHOTOGRAPHS))})")
    return stills


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


def _name(path: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._+-]+", "-", path.stem)[:80]


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
