"""A video on this machine's disk."""

from __future__ import annotations

from pathlib import Path

from service.errors import MalformedRequest, TooLarge


def read_file(path: Path, largest: int) -> bytes:
    """A file of at most ``largest`` bytes. Raises ``TooLarge``, and ``MalformedRequest`` where it
    cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(largest + 1)
    except (OSError, ValueError):
        raise MalformedRequest("The file cannot be read.") from None
    if len(data) > largest:
        raise TooLarge(f"A video may have at most {largest} bytes.")
    return data
