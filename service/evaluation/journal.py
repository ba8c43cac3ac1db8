"""The rows of an evaluation on disk: JSON lines, each written as soon as it is known."""

from __future__ import annotations

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError

from service.evaluation.rows import ItemRow


class JournalError(Exception):
    """The file cannot be used; the message names it and says what to do."""


class Journal:
    """A file that begins with what the rows are of (``about``) and goes on with rows."""

    def __init__(self, path: Path, rows: list[ItemRow], descriptor: int) -> None:
        self.rows = rows
        """What was there already."""
        self._path, self._descriptor = path, descriptor

    def append(self, row: ItemRow) -> None:
        """Write one more. Raises ``JournalError``."""
        line = row.model_dump_json().encode() + b"\n"
        try:
            # One call, so that a process that is killed leaves a torn line at the end at worst.
            if os.write(self._descriptor, line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as error:
            raise _unwritable(self._path, error) from error


@contextmanager
def open_journal(path: Path, about: Mapping[str, str], *, again: bool = False) -> Iterator[Journal]:
    """The journal of such an evaluation, new or taken up; with ``again`` without its errors, so
    that those are tried once more. One process at a time has it.

    Raises ``JournalError`` for one of another list or other options, that another process writes,
    or that cannot be written.
    """
    with _alone(path):
        rows = _read(path, about) if path.exists() else []
        if again:
            rows = [row for row in rows if row.status != "error"]
        try:
            descriptor = _renewed(path, about, rows)
        except OSError as error:
            raise _unwritable(path, error) from error
        try:
            yield Journal(path, rows, descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise _unwritable(path, error) from error
    try:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalError(f"another process writes {path}") from None
        yield
    finally:
        os.close(folder)


def _renewed(path: Path, about: Mapping[str, str], rows: list[ItemRow]) -> int:
    """Write the file anew, which drops a torn line and what is to be tried again."""
    part = path.with_name(f".{path.name}.part")
    with part.open("wb") as file:
        file.write(json.dumps(dict(about)).encode() + b"\n")
        for row in rows:
            file.write(row.model_dump_json().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
    return os.open(path, os.O_WRONLY | os.O_APPEND)


def _read(path: Path, about: Mapping[str, str]) -> list[ItemRow]:
    try:
        head, *lines = path.read_bytes().split(b"\n")
        found = json.loads(head)
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise JournalError(f"{path} is no journal of an evaluation")
    if found != dict(about):
        names = sorted(name for name in about if found.get(name) != about[name])
        raise JournalError(
            f"{path} is of another evaluation ({', '.join(names)}): name another folder"
        )
    rows = []
    for number, line in enumerate(lines, 2):
        try:
            rows.append(ItemRow.model_validate_json(line))
        except ValidationError as error:
            if number < len(lines) + 1:
                raise JournalError(f"{path}, line {number}: this is no row") from error
            # The last line is empty, or torn: its video is looked at again.
    return rows


def _unwritable(path: Path, error: OSError) -> JournalError:
    return JournalError(f"{path} cannot be written: {error.strerror}")
