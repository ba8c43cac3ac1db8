"""What a service elsewhere may answer, and what may stand before it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from service.evaluation import server as serving
from service.evaluation.running import Refused
from service.evaluation.server import ServerError, ServerScorer
from tests.api.fakes import EXAMPLE
from tests.unit.evaluation.made import item

Answer = tuple[int, dict[str, str], bytes]


class Scripted(ThreadingHTTPServer):
    """Answers posts one after another as told, alive while ``alive`` says so; None: breaks off."""

    answers: list[Answer | None]
    alive: list[int]
    seen: list[tuple[str, dict[str, str], bytes]]


class Handler(BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        alive = self.server.alive
        self._answer((alive.pop(0) if len(alive) > 1 else alive[0], {}, b"x"))

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.seen.append((self.path, dict(self.headers), body))
        answer = self.server.answers.pop(0)
        if answer is None:
            self.close_connection = True
        else:
            self._answer(answer)

    def _answer(self, answer: Answer) -> None:
        status, headers, body = answer
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing."""


@pytest.fixture
def peer(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scripted]:
    monkeypatch.setattr(serving, "_PAUSE", 0.01)
    scripted = Scripted(("127.0.0.1", 0), Handler)
    scripted.answers, scripted.alive, scripted.seen = [], [200], []
    thread = threading.Thread(target=scripted.serve_forever)
    thread.start()
    try:
        yield scripted
    finally:
        scripted.shutdown()
        thread.join()
        scripted.server_close()


def scorer(peer: Scripted, key: str | None = None) -> ServerScorer:
    url = f"http://127.0.0.1:{peer.server_port}/prefix"
    return ServerScorer(url, key, {"sampling": "paper"}, Path("/nowhere"))


async def test_a_report_is_asked_for_with_clips_and_key(peer: Scripted) -> None:
    peer.answers = [(200, {}, EXAMPLE.model_dump_json().encode())]
    async with scorer(peer, "dfk_1") as asked:
        assert await asked.report(item(1)) == EXAMPLE
    ((path, headers, body),) = peer.seen
    assert path == "/prefix/v1/detections?sampling=paper&detail=clips"
    assert headers["Authorization"] == "Bearer dfk_1"
    assert body == b'{"url":"http://site.test/1"}'


@pytest.mark.parametrize(
    ("answer", "status", "code", "wish"),
    [
        ((422, {}, b'{"code": "no_video"}'), 422, "no_video", None),
        ((429, {"Retry-After": "7"}, b'{"code": "busy"}'), 429, "busy", 7.0),
        ((503, {"Retry-After": "inf"}, b'{"code": "not_ready"}'), 503, "not_ready", None),
        ((413, {}, b"<html>"), 413, "http_413", None),
        ((502, {}, b"<html>"), 503, "http_502", None),
        ((504, {}, b"[]"), 503, "http_504", None),
        ((504, {}, b'{"code": "origin_slow"}'), 504, "origin_slow", None),
        ((500, {}, b'{"code": "<b>"}'), 500, "http_500", None),
        ((200, {}, b"<html>"), 502, "no_report", None),
        (None, 503, "connection_lost", None),
    ],
)
async def test_what_is_no_report_is_that_videos_trouble(
    peer: Scripted, answer: Answer | None, status: int, code: str, wish: float | None
) -> None:
    peer.answers = [answer]
    async with scorer(peer) as asked:
        with pytest.raises(Refused) as refusal:
            await asked.report(item(1))
    assert (refusal.value.status, refusal.value.code) == (status, code)
    assert refusal.value.retry_after == wish


async def test_a_server_that_restarts_is_waited_for(peer: Scripted) -> None:
    peer.alive = [502, 503, 200]
    async with scorer(peer):
        pass


async def test_a_missing_key_ends_it(peer: Scripted) -> None:
    peer.answers = [(401, {}, b'{"code": "unauthorized"}')]
    async with scorer(peer) as asked:
        with pytest.raises(ServerError, match="DEEPFAKE_KEY"):
            await asked.report(item(1))


async def test_a_server_that_goes_in_between_ends_it(peer: Scripted) -> None:
    peer.alive, peer.answers = [200, 502], [None]
    async with scorer(peer) as asked:
        with pytest.raises(ServerError, match="502"):
            await asked.report(item(1))


@pytest.mark.parametrize("status", [404, 502])
async def test_what_is_no_service_is_found_out_at_once(peer: Scripted, status: int) -> None:
    peer.alive = [status]
    with pytest.raises(ServerError, match=str(status)):
        async with scorer(peer):
            pass


@pytest.mark.parametrize("url", ["localhost:8000", "ftp://a.test", ""])
async def test_what_is_no_url_is_said(url: str) -> None:
    with pytest.raises(ServerError, match="URL"):
        async with ServerScorer(url, None, {}, Path()):
            pass
