"""Lists of labelled videos: CSV with a header, or JSON lines.

Columns, or members: ``label`` (``real`` or ``fake``), ``url`` or ``path``, and as one likes ``id``,
``dataset`` and ``group`` (who or what a video shows: intervals draw whole groups). Others are
passed over.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from service.sources.url import LONGEST

Label = Literal["real", "fake"]


class ManifestError(ValueError):
    """A list cannot be used; the message names the line, and never quotes it."""


class Item(BaseModel):
    """One video. ``id`` is its number in the list, from 1, where the list gives none; names hold
    visible characters alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", str_strip_whitespace=True)

    id: str = Field(min_length=1, max_length=200)
    label: Label
    url: str = Field("", max_length=LONGEST)
    path: str = Field("", max_length=4096)
    dataset: str = Field("", max_length=50)
    group: str = Field("", max_length=200)

    @field_validator("id", "dataset", "group")
    @classmethod
    def _visible(cls, text: str) -> str:
        # What terminals and editors obey is no name.
        if not text.isprintable():
            raise ValueError("not visible")
        return text

    @model_validator(mode="after")
    def _one_place(self) -> Item:
        if bool(self.url) == bool(self.path):
            raise ValueError("give either a url or a path")
        return self


def read_manifest(data: bytes, most: int, datasets: int) -> list[Item]:
    """The videos of a list, in its order.

    Raises ``ManifestError`` where it is not UTF-8, holds nothing, more than ``most`` videos, more
    than so many ``datasets``, a video that is not described rightly, or an id twice.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ManifestError("it is not UTF-8") from None
    items: list[Item] = []
    lines: dict[str, int] = {}
    for line, fields in _lines(text):
        if len(items) == most:
            raise ManifestError(f"it holds more than {most} videos")
        item = _item(line, {"id": str(len(items) + 1), **fields})
        if item.id in lines:
            raise ManifestError(f"line {line}: line {lines[item.id]} has the same id")
        lines[item.id] = line
        items.append(item)
    if not items:
        raise ManifestError("it holds no video")
    if len({item.dataset for item in items}) > datasets:
        raise ManifestError(f"it names more than {datasets} datasets")
    return items


def _lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    return _json_lines(text) if text.lstrip().startswith("{") else _csv_lines(text)


def _json_lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    # Not splitlines: it takes characters for line ends that may stand in a JSON string.
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            fields = json.loads(line)
        except (ValueError, RecursionError):
            raise ManifestError(f"line {number}: this is no JSON") from None
        if not isinstance(fields, dict):
            raise ManifestError(f"line {number}: this is no JSON object")
        told = {name.lower(): _text(value) for name, value in fields.items()}
        yield number, {name: value for name, value in told.items() if value not in (None, "")}


def _text(value: Any) -> Any:
    """Numbers are names as well."""
    return str(value) if type(value) is int else value


def _csv_lines(text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    names: list[str] | None = None
    try:
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            if names is None:
                names = [cell.strip().lower() for cell in row]
                if "label" not in names or not {"url", "path"} & set(names):
                    raise ManifestError(
                        "the first line must name the columns label and url (or path)"
                    )
                if len(set(names)) < len(names):
                    raise ManifestError("the first line names a column twice")
                continue
            if len(row) != len(names):
                raise ManifestError(f"line {reader.line_num}: {len(row)} fields, not {len(names)}")
            cells = zip(names, (cell.strip() for cell in row), strict=True)
            yield reader.line_num, {name: cell for name, cell in cells if cell}
    except csv.Error:
        raise ManifestError(f"line {reader.line_num}: this is no CSV") from None


def _item(line: int, fields: dict[str, Any]) -> Item:
    try:
        return Item.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in wrong["loc"])
        reason = _REASONS.get(where, "give either a url or a path")
        raise ManifestError(f"line {line}: {reason}") from None


_REASONS = {
    "id": "an id has 1 to 200 visible characters",
    "label": "the label must be real or fake",
    "url": f"a url has at most {LONGEST} characters",
    "path": "a path has at most 4096 characters",
    "dataset": "the name of a dataset has at most 50 visible characters",
    "group": "the name of a group has at most 200 visible characters",
}
