"""Logs: one JSON object a line on standard error, without anything a caller sent."""

from __future__ import annotations

import json
import logging
import traceback
from contextvars import ContextVar
from datetime import UTC, datetime

from service import tracing

request_id: ContextVar[str | None] = ContextVar("request_id", default=None)
"""Of the request in whose context a line is logged."""


class JsonFormatter(logging.Formatter):
    """One line a record; of an exception its type alone, since its text may quote a URL."""

    def format(self, record: logging.LogRecord) -> str:
        """Render one record."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage().strip(),
        }
        ids = {"request_id": request_id.get(), "trace_id": tracing.trace_id()}
        line |= {name: value for name, value in ids.items() if value is not None}
        line |= getattr(record, "fields", {})
        if record.exc_info and record.exc_info[0]:
            line["exception"] = record.exc_info[0].__name__
        return json.dumps(line, ensure_ascii=True)


def configure(level: str = "info") -> None:
    """Send every logger of the process through the formatter.

    ``level`` is that of the service's own loggers: nobody can promise what libraries tell at
    ``debug``.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JsonFormatter())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.getLogger("service").setLevel(level.upper())
    # Its warnings quote bytes of the body.
    logging.getLogger("python_multipart").disabled = True


def origin(error: Exception) -> dict[str, str]:
    """Type and place of an exception as fields of a log line, without its text, which may quote
    the caller."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f"{frames[-1].name}:{frames[-1].lineno}" if frames else "unknown"
    return {"exception": type(error).__name__, "at": place}
