"""Detections whose client does not wait."""

from __future__ import annotations

import asyncio
import gc
import threading
import tracemalloc
from collections.abc import Awaitable, Callable

import httpx
import pytest

from service import errors
from service.api.accept import NDJSON, SSE
from service.api.jobs import JobState
from service.auth import entry, new_key
from service.engine import DetectionOptions, Finished, Progress
from service.jobs import Jobs
from service.report import Report
from service.settings import AuthSettings, JobSettings, Limits, Settings
from service.sources.source import Memory
from tests.api.client import OCTETS, client, problem
from tests.api.fakes import SEGMENT, FakeEngine
from tests.api.test_streaming import events

LATER = OCTETS | {"Prefer": "respond-async"}
HALF = Progress(5.0, 10.0, 20)


def jobs(**changed: object) -> Settings:
    return Settings(jobs=JobSettings.model_validate({"replica": "pod-1"} | changed))


async def send(session: httpx.AsyncClient, **headers: str) -> httpx.Response:
    return await session.post("/v1/detections", content=b"xyz", headers=LATER | headers)


async def until(holds: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(5):
        while not await holds():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def status(session: httpx.AsyncClient, path: str) -> str:
    state = JobState.model_validate((await session.get(path)).json())
    return state.status


@pytest.mark.parametrize("prefer", ["respond-async", "wait=10, Respond-Async; x=1"])
async def test_a_job_is_taken_worked_on_and_fetched(prefer: str) -> None:
    gate = threading.Event()
    async with client(FakeEngine(told=[HALF], gate=gate), jobs()) as session:
        taken = await send(session, Prefer=prefer)
        path = taken.headers["location"]
        await until(lambda: _is(session, path, "running"))
        running = (await session.get(path)).json()
        gate.set()
        await until(lambda: _is(session, path, "done"))
        done = await session.get(path)
        again = await session.get(path)
    assert taken.status_code == 202
    assert taken.headers["preference-applied"] == "respond-async"
    assert path == f"/v1/detections/{taken.json()['id']}"
    assert taken.json()["status"] == "queued"
    assert running["progress"]["position"] == 5.0
    assert running["report"] is None
    assert done.headers["cache-control"] == "no-store"
    state = JobState.model_validate(done.json())
    assert isinstance(state.report, Report)
    assert state.report.media.bytes == 3
    assert 0 < (state.expires_in or 0) <= 900
    assert again.json()["report"] == done.json()["report"]


async def _is(session: httpx.AsyncClient, path: str, wanted: str) -> bool:
    return await status(session, path) == wanted


async def test_a_job_that_fails_says_why() -> None:
    async with client(FakeEngine(error=errors.NoVideo("audio only")), jobs()) as session:
        taken = await send(session)
        path = taken.headers["location"]
        await until(lambda: _is(session, path, "failed"))
        response = await session.get(path)
    assert response.status_code == 200
    state = JobState.model_validate(response.json())
    assert state.problem is not None
    assert (state.problem.code, state.problem.status) == ("no_video", 422)
    assert state.problem.request_id == taken.headers["x-request-id"]


async def test_what_is_wrong_with_the_request_is_told_at_once() -> None:
    async with client(FakeEngine(), jobs()) as session:
        empty = await session.post("/v1/detections", content=b"", headers=LATER)
        metrics = (await session.get("/metrics")).text
    problem(empty, 400, "empty_body")
    assert "deepfake_jobs_held 0.0" in metrics


@pytest.mark.parametrize("form", [NDJSON, SSE])
async def test_a_job_is_followed_from_wherever_it_is(form: str) -> None:
    gate = threading.Event()
    engine = FakeEngine(told=[HALF, SEGMENT], gate=gate)
    async with client(engine, jobs()) as session:
        path = (await send(session)).headers["location"]
        await until(lambda: _is(session, path, "running"))
        follower = asyncio.create_task(session.get(path, headers={"Accept": form}))
        await asyncio.sleep(0.05)
        gate.set()
        early = [event["event"] for event in events(iter((await follower).text.split("\n")), form)]
        late = (await session.get(path, headers={"Accept": form})).text
    assert early[-1] == "report"
    assert {"progress", "segment"} <= set(early)
    names = [event["event"] for event in events(iter(late.split("\n")), form)]
    assert names[-1] == "report"
    assert "segment" not in names


async def test_a_follower_that_leaves_does_not_stop_the_job() -> None:
    gate = threading.Event()
    engine = FakeEngine(told=[HALF], gate=gate)
    async with client(engine, jobs()) as session:
        path = (await send(session)).headers["location"]
        await until(lambda: _is(session, path, "running"))
        follower = asyncio.create_task(session.get(path, headers={"Accept": NDJSON}))
        await asyncio.sleep(0.05)
        follower.cancel()
        await asyncio.gather(follower, return_exceptions=True)
        gate.set()
        await until(lambda: _is(session, path, "done"))
    assert "cancelled" not in engine.events


async def test_deleting_cancels_and_forgets() -> None:
    engine = FakeEngine(told=[HALF], gate=threading.Event())
    async with client(engine, jobs()) as session:
        path = (await send(session)).headers["location"]
        await until(lambda: _is(session, path, "running"))
        follower = asyncio.create_task(session.get(path, headers={"Accept": NDJSON}))
        await asyncio.sleep(0.05)
        gone = await session.delete(path)
        told = list(events(iter((await follower).text.split("\n")), NDJSON))
        problem(await session.get(path), 404, "unknown_job")
        problem(await session.delete(path), 404, "unknown_job")
        metrics = (await session.get("/metrics")).text
    assert (gone.status_code, gone.content) == (204, b"")
    assert engine.events[-2:] == ["cancelled", "stop"]
    assert told[-1]["problem"]["code"] == "unknown_job"
    assert "deepfake_jobs_held 0.0" in metrics
    assert "deepfake_videos_held 0.0" in metrics


@pytest.mark.parametrize(
    ("identity", "code"),
    [
        ("pod-1-" + "0" * 32, "unknown_job"),
        ("pod-2-" + "0" * 32, "other_replica"),
        ("pod-1-" + "0" * 31, "unknown_job"),
        ("0" * 32, "unknown_job"),
        ("pod-1-" + "0" * 31 + "G", "unknown_job"),
        ("POD-2-" + "0" * 32, "unknown_job"),
        ("x" * 3000, "unknown_job"),
        ("%00%0A", "unknown_job"),
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_an_id_of_another_replica_is_told_from_no_id(
    method: str, identity: str, code: str
) -> None:
    async with client(FakeEngine(), jobs()) as session:
        problem(await session.request(method, f"/v1/detections/{identity}"), 404, code)


async def test_ids_cannot_be_guessed() -> None:
    async with client(FakeEngine(), Settings()) as session:
        ids = [(await send(session)).json()["id"] for _ in range(5)]
    replicas = {identity.rpartition("-")[0] for identity in ids}
    tokens = {identity.rpartition("-")[2] for identity in ids}
    assert len(replicas) == 1
    assert len(tokens) == 5
    assert all(len(bytes.fromhex(token)) == 16 for token in tokens)


async def test_a_key_sees_its_own_jobs_alone() -> None:
    alice, bob = new_key(), new_key()
    auth = AuthSettings(keys=[entry("alice", alice), entry("bob", bob)])
    engine = FakeEngine(told=[HALF], gate=threading.Event())
    async with client(engine, Settings(auth=auth)) as session:
        path = (await send(session, **{"X-API-Key": alice})).headers["location"]
        for method in ("GET", "DELETE"):
            other = await session.request(method, path, headers={"X-API-Key": bob})
            problem(other, 404, "unknown_job")
        assert (await session.get(path, headers={"X-API-Key": alice})).status_code == 200
    assert "cancelled" in engine.events or "stop" in engine.events


async def test_results_are_forgotten_after_their_time() -> None:
    async with client(FakeEngine(), jobs(seconds=0.2)) as session:
        path = (await send(session)).headers["location"]

        async def forgotten() -> bool:
            return (await session.get(path)).status_code == 404

        await until(forgotten)
        problem(await session.get(path), 404, "unknown_job")
        assert "deepfake_jobs_held 0.0" in (await session.get("/metrics")).text


async def test_jobs_are_bounded_in_number() -> None:
    async with client(FakeEngine(), jobs(most=4)) as session:
        paths = [(await send(session)).headers["location"] for _ in range(2)]
        refused = await send(session)
        problem(refused, 429, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await session.delete(paths[0])).status_code == 204
        assert (await send(session)).status_code == 202


def test_one_caller_leaves_jobs_for_others() -> None:
    held = Jobs(JobSettings(most=4), lambda reason: None)
    first, _ = held.open("", "a"), held.open("", "a")
    with pytest.raises(errors.Busy):
        held.open("", "a")
    held.open("", "b")
    first.expires, first.fetched = 1.0, True
    held.open("", "a")
    assert len(held) == 3
    with pytest.raises(errors.Busy):
        held.open("", "a")


async def test_a_video_refused_for_want_of_a_job_costs_no_token() -> None:
    chosen = jobs(most=2).model_copy(update={"auth": AuthSettings(requests_per_minute=2)})
    async with client(FakeEngine(gate=threading.Event()), chosen) as session:
        assert (await send(session)).status_code == 202
        for _ in range(3):
            problem(await send(session), 429, "busy")


async def size_of_report() -> int:
    """Bytes of the result of each job here."""
    events = [event async for event in FakeEngine().detect(Memory(b"xyz"), DetectionOptions())]
    assert isinstance(events[-1], Finished)
    return len(events[-1].report.model_dump_json())


async def kept(session: httpx.AsyncClient) -> float:
    metrics = (await session.get("/metrics")).text
    return float(metrics.split("\ndeepfake_jobs_bytes ")[-1].split()[0])


KEYS = {name: new_key() for name in ("alice", "bob", "carol")}


def keyed(**changed: object) -> Settings:
    auth = AuthSettings(keys=[entry(name, key) for name, key in KEYS.items()])
    return jobs(**changed).model_copy(update={"auth": auth})


class Caller:
    """Sends and fetches with a key."""

    def __init__(self, session: httpx.AsyncClient, name: str) -> None:
        self._session, self._key = session, {"X-API-Key": KEYS[name]}

    async def send(self) -> httpx.Response:
        return await send(self._session, **self._key)

    async def over(self, response: httpx.Response) -> JobState:
        """The state of a job once it has ended, which this fetches."""
        async with asyncio.timeout(5):
            while True:
                got = await self._session.get(response.headers["location"], headers=self._key)
                state = JobState.model_validate(got.json())
                if state.expires_in is not None:
                    return state
                await asyncio.sleep(0.01)

    async def delete(self, response: httpx.Response) -> None:
        await self._session.delete(response.headers["location"], headers=self._key)

    async def knows(self, response: httpx.Response) -> bool:
        got = await self._session.get(response.headers["location"], headers=self._key)
        return got.status_code == 200


def lost(state: JobState) -> bool:
    """Whether there was no room for a result."""
    return state.report is None and state.problem is not None and state.problem.code == "busy"


async def test_results_are_bounded_in_bytes() -> None:
    size = await size_of_report()
    async with client(FakeEngine(), keyed(bytes=2 * size + size // 2)) as session:
        alice, bob, carol = (Caller(session, name) for name in KEYS)
        first = await alice.send()
        assert (await alice.over(first)).report
        assert (await bob.over(await bob.send())).report
        assert lost(await carol.over(await carol.send()))
        assert await kept(session) == 2 * size
        await alice.delete(first)
        assert (await carol.over(await carol.send())).report


async def test_one_caller_leaves_room_for_the_results_of_others() -> None:
    size = await size_of_report()
    async with client(FakeEngine(), keyed(bytes=5 * size)) as session:
        alice, bob = Caller(session, "alice"), Caller(session, "bob")
        first, second = await alice.send(), await alice.send()
        await until(lambda: _holds(session, 2 * size))
        assert lost(await alice.over(await alice.send()))
        his = await bob.send()
        assert (await bob.over(his)).report
        assert (await bob.over(await bob.send())).report
        assert await bob.knows(his), "there was room for both"
        assert (await alice.over(first)).report
        fourth = await alice.over(await alice.send())
        assert fourth.report, "what was fetched makes room"
        assert not await alice.knows(first)
        assert await alice.knows(second)
        assert await kept(session) == 4 * size


async def test_whose_share_of_results_is_full_waits_until_one_is_fetched() -> None:
    size = await size_of_report()
    async with client(FakeEngine(), keyed(bytes=2 * size)) as session:
        alice, bob = Caller(session, "alice"), Caller(session, "bob")
        first = await alice.send()
        await until(lambda: _holds(session, size))
        refused = await alice.send()
        problem(refused, 429, "busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert (await bob.over(await bob.send())).report
        assert (await alice.over(first)).report
        assert (await alice.over(await alice.send())).report


async def _holds(session: httpx.AsyncClient, size: int) -> bool:
    return await kept(session) == size


async def test_a_waiting_job_holds_a_place() -> None:
    chosen = jobs()
    chosen = chosen.model_copy(update={"limits": Limits(concurrency=1, waiting=1, caller_share=1)})
    gate = threading.Event()
    async with client(FakeEngine(gate=gate), chosen) as session:
        for _ in range(2):
            assert (await send(session)).status_code == 202
        problem(await send(session), 429, "busy")
        gate.set()


async def test_under_a_prefix_the_job_is_there_too() -> None:
    async with client(FakeEngine(), Settings(root_path="/deepfake")) as session:
        taken = await session.post("/deepfake/v1/detections", content=b"x", headers=LATER)
        path = taken.headers["location"]
        assert path.startswith("/deepfake/v1/detections/")
        assert (await session.get(path)).status_code == 200


async def test_a_failed_job_holds_no_media() -> None:
    video = bytes(8_000_000)
    engine = FakeEngine(error=errors.Undecodable("no video"))
    gc.disable()
    tracemalloc.start()
    try:
        async with client(engine, jobs()) as session:
            taken = await session.post("/v1/detections", content=video, headers=LATER)
            path = taken.headers["location"]
            await until(lambda: _is(session, path, "failed"))
            # The fake keeps what it was asked, as an engine does not.
            engine.asked.clear()
            assert tracemalloc.get_traced_memory()[0] < len(video) / 2
    finally:
        tracemalloc.stop()
        gc.enable()
