"""Large answers leave in pieces, so that who reads slowly makes nobody keep a copy."""

from __future__ import annotations

import json
from typing import Any

import pytest

from service.api import events
from service.api.accept import NDJSON, SSE
from service.api.pieces import Pieces, sliced
from service.work import Outcome

REPORT = b'{"x":"' + b"y" * 1_000_000 + b'"}'


async def test_no_piece_is_large_and_together_they_are_all() -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    await Pieces(b"[", REPORT, b"]")({"type": "http"}, None, send)  # type: ignore[arg-type]
    bodies = [message["body"] for message in sent[1:]]
    assert max(map(len, bodies)) <= 2**16
    assert b"".join(bodies) == b"[" + REPORT + b"]"
    assert (b"content-length", b"%d" % (len(REPORT) + 2)) in sent[0]["headers"]
    assert [message["more_body"] for message in sent[1:]] == [True] * (len(bodies) - 1) + [False]


@pytest.mark.parametrize("form", [NDJSON, SSE])
def test_the_last_event_holds_the_report_itself(form: str) -> None:
    parts = events.last(Outcome(REPORT), "request", form)
    assert any(part is REPORT for part in parts)
    line = b"".join(sliced(*parts)).decode().split("data: ")[-1]
    assert json.loads(line) == {"event": "report", "report": json.loads(REPORT)}
