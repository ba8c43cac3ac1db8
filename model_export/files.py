"""Files that are whole or not there, at whatever moment a process is killed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place beside ``path`` to write to; what lies there at the end becomes ``path`` in one step.

    Where writing fails, ``path`` is as it was and nothing is left behind. Raises ``OSError`` that
    names ``path``: what a full disk raises names no file.
    """
    part = path.with_name(f".{path.name}.part")
    try:
        yield part
        part.replace(path)
    except OSError as error:
        raise OSError(error.errno, error.strerror or str(error), str(path)) from error
    finally:
        part.unlink(missing_ok=True)


def replace_bytes(path: Path, data: bytes) -> None:
    """Write a file, whole or not at all. Raises ``OSError`` that names it."""
    with replacing(path) as part:
        part.write_bytes(data)


def replace_text(path: Path, text: str) -> None:
    """The same with text, as UTF-8."""
    replace_bytes(path, text.encode())
