"""Names of videos: which files are taken for one, and ids made from their names."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path

from model_export.data.reading import Compression

SUFFIXES = frozenset({".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm"})

LONGEST = 120
_URL = re.compile(r"https?://", re.IGNORECASE)
_OTHERS = re.compile(r"[^A-Za-z0-9._+-]+")


def identifier(*words: str) -> str:
    """The words joined by ``_`` as an id of ``LabelledVideo``. What had to be changed for that
    gets a digest of the whole, so that different texts never become the same id."""
    text = "_".join(words)
    plain = _OTHERS.sub("-", text).lstrip(".")
    if plain == text and len(text) <= LONGEST:
        return text
    digest = hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:8]
    return f"{plain[: LONGEST - 9]}-{digest}"


def drawn(seed: int, name: str) -> str:
    """A name's place in a random order: sorting by it shuffles, the same on every machine."""
    return hashlib.sha256(f"{seed}:{name}".encode("utf-8", "surrogateescape")).hexdigest()


def natural(path: Path) -> list[tuple[int, str]]:
    """Sorts ``part_2`` before ``part_10``."""
    return [(int(word or -1), other) for word, other in re.findall(r"(\d*)(\D*)", str(path))]


def some(names: Iterable[str], most: int = 3) -> str:
    """A few names for a sentence, and how many there are more."""
    listed = list(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more:,} more" if more > 0 else "")


def shown(text: str) -> str:
    """Text with file names in it as any terminal can show it: names are bytes, and those that are
    not UTF-8 stand in Python's text as halves of characters, which cannot be printed."""
    return text.encode("utf-8", "backslashreplace").decode()


def compressed(base: Path, compression: Compression) -> Path:
    """Where FaceForensics++ keeps the videos of one compression; c0 is called ``raw`` by some
    versions of its script."""
    names = ("raw", "c0") if compression == "c0" else (compression,)
    folders = [base / name / "videos" for name in names]
    return next((folder for folder in folders if folder.is_dir()), folders[0])


def is_url(location: str) -> bool:
    """Whether a location is an address and not a path."""
    return _URL.match(location) is not None
