"""``POST /v1/evaluations`` in front of an engine that is told what to answer."""

from __future__ import annotations

import asyncio
import json
import re
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from service.api import lines
from service.app import create_app
from service.engine import DetectionOptions
from service.errors import Undecodable
from service.evaluation.result import Result, result_of
from service.evaluation.tally import Tally
from service.lifecycle import Lifecycle
from service.settings import (
    AuthSettings,
    EvaluationSettings,
    FetchSettings,
    Limits,
    ServerSettings,
    Settings,
)
from tests.api.client import client, problem
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS
from tests.origin.running import RunningSite, running_site

CSV = {"Content-Type": "text/csv"}


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        running.put(b"a video, says the engine")
        yield running


def chosen(site: RunningSite, **changes: Any) -> Settings:
    fetch = FetchSettings(loopback=True, ports=[80, 443, site.port], idle_seconds=5)
    return Settings(fetch=fetch).model_copy(update=changes)


def listed(*urls: str) -> str:
    return "label,url\n" + "".join(f"fake,{url}\n" for url in urls)


def lines_of(response: httpx.Response) -> list[dict[str, Any]]:
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/x-ndjson"
    assert response.headers["cache-control"] == "no-store"
    return [json.loads(line) for line in response.text.splitlines()]


async def counted(session: httpx.AsyncClient) -> dict[str, int]:
    """How often callers were told of which error."""
    text = (await session.get("/metrics")).text
    found = re.findall(r'^deepfake_problems_total\{code="(\w+)"\} (\d+)', text, re.MULTILINE)
    assert found
    return {code: int(much) for code, much in found if int(much)}


async def evaluated(
    session: httpx.AsyncClient, body: str, query: str = "", headers: dict[str, str] = CSV
) -> httpx.Response:
    return await session.post(f"/v1/evaluations{query}", content=body, headers=headers)


async def test_every_video_becomes_a_line_and_the_figures_come_last(site: RunningSite) -> None:
    engine = FakeEngine(readiness=TWO_MODELS)
    urls = [site.url("ranges"), site.url("nowhere", "absent"), "http://10.0.0.1/x", "gopher://a"]
    async with client(engine, chosen(site)) as session:
        answer = await evaluated(session, listed(*urls), "?sampling=full&model=clrnet")
    first, *rows, result = lines_of(answer)
    assert first == {"event": "progress", "done": 0, "items": 4}
    assert {row["id"]: (row["status"], row["code"]) for row in rows} == {
        "1": ("ok", None),
        "2": ("error", "origin_failed"),
        "3": ("error", "url_blocked"),
        "4": ("error", "url_blocked"),
    }
    assert engine.asked[0][1] == DetectionOptions("full", "clips", model="clrnet")
    assert result["event"] == "result"
    (overall,) = result["groups"]
    assert (overall["coverage"]["items"], overall["coverage"]["errors"]) == (4, 3)
    video = overall["measures"][2]
    assert (video["level"], video["recall"]["value"]) == ("video", 1.0)
    assert video["auc"]["value"] is None
    assert "only recall" in video["auc"]["reason"]
    assert "http" not in "".join(answer.text.splitlines()[1:])


async def test_json_lines_are_taken_too(site: RunningSite) -> None:
    line = json.dumps({"id": "x", "label": "real", "url": site.url("ranges"), "group": "g"})
    async with client(FakeEngine(), chosen(site)) as session:
        answer = await evaluated(session, line, headers={"Content-Type": "application/x-ndjson"})
    _, row, _ = lines_of(answer)
    assert (row["id"], row["label"], row["group"], row["status"]) == ("x", "real", "g", "ok")


@pytest.mark.parametrize(
    ("body", "headers", "status", "code"),
    [
        ("label,path\nfake,/etc/passwd\n", CSV, 400, "malformed_request"),
        ("label,url\nmaybe,http://a.test\n", CSV, 400, "malformed_request"),
        ("label,url\n" + "fake,http://a.test\n" * 6, CSV, 400, "malformed_request"),
        ("", CSV, 400, "empty_body"),
        ("label,url\n" + "x" * 3000, CSV, 413, "too_large"),
        ("{}", {"Content-Type": "application/json"}, 415, "unsupported_media_type"),
        ("x", {}, 415, "unsupported_media_type"),
        ("x", CSV | {"Content-Encoding": "gzip"}, 415, "unsupported_media_type"),
        ("x", CSV | {"Accept": "application/json"}, 406, "not_acceptable"),
        ("label,url,dataset\nfake,u,a\nfake,u,b\nfake,u,c\n", CSV, 400, "malformed_request"),
    ],
)
async def test_a_bad_list_is_refused_before_anything_is_scored(
    site: RunningSite, body: str, headers: dict[str, str], status: int, code: str
) -> None:
    engine = FakeEngine()
    limits = EvaluationSettings(items=5, bytes=2000, datasets=2)
    async with client(engine, chosen(site, evaluation=limits)) as session:
        answer = await evaluated(session, body, headers=headers)
        assert "passwd" not in problem(answer, status, code)["detail"]
        if status == 415:
            assert answer.headers["accept"] == "text/csv, application/x-ndjson"
        good = await evaluated(session, listed(site.url("ranges")))
    assert len(engine.asked) == 1
    assert good.status_code == 200


@pytest.mark.parametrize("query", ["?sampling=all", "?model=unknown", "?detail=full"])
async def test_a_bad_query_is_refused(site: RunningSite, query: str) -> None:
    async with client(FakeEngine(readiness=TWO_MODELS), chosen(site)) as session:
        answer = await evaluated(session, listed(site.url("ranges")), query)
    code = "unknown_model" if "model" in query else "malformed_request"
    problem(answer, 400, code)


async def test_without_fetching_there_are_no_evaluations(site: RunningSite) -> None:
    off = Settings(fetch=FetchSettings(enabled=False))
    async with client(FakeEngine(), off) as session:
        problem(await evaluated(session, listed("http://a.test")), 404, "not_found")


async def test_what_the_engine_refuses_is_a_row(site: RunningSite) -> None:
    async with client(FakeEngine(error=Undecodable("x")), chosen(site)) as session:
        _, row, result = lines_of(await evaluated(session, listed(site.url("ranges"))))
    assert (row["status"], row["code"]) == ("error", "undecodable")
    assert result["groups"][0]["coverage"]["unscored"] == {"undecodable": 1}


async def test_a_video_that_fails_counts_as_if_it_had_come_by_itself(site: RunningSite) -> None:
    urls = [site.url("ranges"), site.url("ranges"), "http://10.0.0.1", "gopher://a"]
    async with client(FakeEngine(error=RuntimeError("odd")), chosen(site)) as session:
        _, *rows, _ = lines_of(await evaluated(session, listed(*urls)))
        told = await counted(session)
    assert {row["status"] for row in rows} == {"error"}
    assert told == {"internal": 2, "url_blocked": 2}


async def test_each_video_takes_a_place_and_gives_it_back(site: RunningSite) -> None:
    tight = chosen(
        site,
        limits=Limits(concurrency=1, waiting=1, caller_share=1.0),
        auth=AuthSettings(requests_per_minute=30),
    )
    async with client(FakeEngine(), tight) as session:
        # More than the places there are, and after the first 30 at most one in two seconds.
        _, *rows, _ = lines_of(await evaluated(session, listed(*[site.url("ranges")] * 32)))
        told = await counted(session)
        text = (await session.get("/metrics")).text
    assert [row["status"] for row in rows] == ["ok"] * 32
    assert max(row["attempts"] for row in rows) > 1
    assert told == {}, "who had to wait was told of no error"
    assert 'deepfake_detection_duration_seconds_count{outcome="finished"} 32.0\n' in text


@asynccontextmanager
async def under_way(
    session: httpx.AsyncClient, engine: FakeEngine, body: str
) -> AsyncIterator[asyncio.Task[httpx.Response]]:
    task = asyncio.create_task(evaluated(session, body))
    try:
        while not engine.asked:  # noqa: ASYNC110 - an engine of tests tells nobody
            await asyncio.sleep(0.01)
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_a_caller_has_one_list_at_a_time(site: RunningSite) -> None:
    gate = threading.Event()
    engine = FakeEngine(gate=gate)
    async with client(engine, chosen(site)) as session:
        async with under_way(session, engine, listed(site.url("ranges"))) as first:
            answer = await evaluated(session, listed(site.url("ranges")))
            problem(answer, 429, "rate_limited")
            assert answer.headers["retry-after"]
            gate.set()
            assert len(lines_of(await first)) == 3
        assert len(lines_of(await evaluated(session, listed(site.url("ranges"))))) == 3


async def test_the_stream_shows_signs_of_life(site: RunningSite) -> None:
    gate = threading.Event()
    engine = FakeEngine(gate=gate)
    quick = chosen(site, server=ServerSettings(heartbeat_seconds=0.05))
    async with (
        client(engine, quick) as session,
        under_way(session, engine, listed(site.url("ranges"))) as task,
    ):
        await asyncio.sleep(0.4)
        gate.set()
        events = [line["event"] for line in lines_of(await task)]
    assert events.count("progress") >= 4
    assert [each for each in events if each != "progress"] == ["item", "result"]


async def test_signs_of_life_while_figures_are_computed(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(tally: Tally) -> Result:
        time.sleep(0.5)
        return result_of(tally)

    monkeypatch.setattr(lines, "result_of", slowly)
    quick = chosen(site, server=ServerSettings(heartbeat_seconds=0.05))
    async with client(FakeEngine(), quick) as session:
        answer = await evaluated(session, listed(site.url("ranges")))
    events = [line["event"] for line in lines_of(answer)]
    after = events[events.index("item") + 1 :]
    assert after.count("progress") >= 3
    assert after[-1] == "result"


async def test_what_nobody_foresaw_fails_one_video(site: RunningSite) -> None:
    engine = FakeEngine(error=RuntimeError("secret"))
    async with client(engine, chosen(site)) as session:
        answer = await evaluated(session, listed(site.url("ranges"), "http://10.0.0.1"))
    _, *rows, result = lines_of(answer)
    assert {row["code"] for row in rows} == {"internal", "url_blocked"}
    assert result["event"] == "result"
    assert "secret" not in answer.text


async def test_what_nobody_foresaw_in_the_figures_is_told(
    site: RunningSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(tally: Tally) -> Result:
        raise RuntimeError("secret")

    monkeypatch.setattr(lines, "result_of", failing)
    async with client(FakeEngine(), chosen(site)) as session:
        answer = await evaluated(session, listed(site.url("ranges")))
        again = await evaluated(session, listed(site.url("ranges")))
        told = await counted(session)
    *_, last = lines_of(answer)
    assert last["problem"]["code"] == "internal"
    assert "secret" not in answer.text
    assert again.status_code == 200
    assert told == {"internal": 2}, "as the end of a stream"


@asynccontextmanager
async def served(
    engine: FakeEngine, settings: Settings
) -> AsyncIterator[tuple[httpx.AsyncClient, Lifecycle]]:
    app = create_app(settings, engine)
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://service") as session,
    ):
        await app.state.lifecycle.started()
        yield session, app.state.lifecycle


async def test_a_service_that_stops_finishes_what_it_took_and_says_so(site: RunningSite) -> None:
    gate = threading.Event()
    engine = FakeEngine(gate=gate)
    async with (
        served(engine, chosen(site)) as (session, lifecycle),
        under_way(session, engine, listed(*[site.url("ranges")] * 20)) as task,
    ):
        draining = asyncio.create_task(lifecycle.drain(20))
        await asyncio.sleep(0.3)
        gate.set()
        _, *rows, last = lines_of(await task)
        await draining
    assert last["event"] == "error"
    assert last["problem"]["code"] == "not_ready"
    assert 1 <= len(engine.asked) < 20
    assert [row["status"] for row in rows] == ["ok"] * len(engine.asked)
    assert "cancelled" not in engine.events


async def test_a_video_that_outlasts_the_drain_does_not_hide_that_the_service_stops(
    site: RunningSite,
) -> None:
    engine = FakeEngine(gate=threading.Event())
    async with (
        served(engine, chosen(site)) as (session, lifecycle),
        under_way(session, engine, listed(*[site.url("ranges")] * 3)) as task,
    ):
        await lifecycle.drain(0.3)
        *_, last = lines_of(await asyncio.wait_for(task, 2))
    assert last["problem"]["code"] == "not_ready"


async def test_who_waits_for_a_place_is_told_at_once_that_the_service_stops(
    site: RunningSite,
) -> None:
    slow = chosen(site, auth=AuthSettings(requests_per_minute=1))
    engine = FakeEngine()
    async with (
        served(engine, slow) as (session, lifecycle),
        under_way(session, engine, listed(*[site.url("ranges")] * 3)) as task,
    ):
        await asyncio.sleep(0.3)
        await lifecycle.drain(20)
        _, row, last = lines_of(await asyncio.wait_for(task, 2))
    assert row["status"] == "ok"
    assert last["problem"]["code"] == "not_ready"
