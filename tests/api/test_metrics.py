"""What is counted, and that it is what happened."""

from __future__ import annotations

import asyncio
import dataclasses
import threading
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from service import wire
from service.app import create_app
from service.engine import Readiness
from service.errors import ModelError, Undecodable
from service.instruments import Metric
from service.metrics import _TAKEN, Metrics
from service.server import Server
from service.settings import Limits, Settings
from tests.api.client import OCTETS, client, problem, settings
from tests.api.fakes import FakeEngine
from tests.api.served import SERVED, TWO_MODELS
from tests.api.wire import POST, code, connected, eventually, read_all, served

CATALOGUE = Path(__file__).resolve().parents[2] / "docs" / "metrics.md"
READY = Readiness(ready=True, models=(SERVED,), running=1, waiting=2)
BROKEN = Readiness(ready=False, missing=("the model file is missing", "no detector"))
CLRNET = (("model", "clrnet"), ("version", "1"))


async def samples(session_text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(session_text)
        for sample in family.samples
    }


async def test_metrics_count_by_route_and_never_by_path() -> None:
    async with client(FakeEngine(readiness=READY)) as session:
        await session.post("/v1/detections", content=b"x", headers=OCTETS)
        for path in ("/v2/models/SECRET1", "/v2/models/SECRET2", "/SECRET3", "/SECRET4"):
            await session.get(path)
        await session.request("SECRET", "/SECRET5")
        text = (await session.get("/metrics")).text
    values = await samples(text)

    def count(method: str, route: str, status: str) -> float:
        labels = (("method", method), ("route", route), ("status", status))
        return values["http_requests_total", labels]

    assert count("POST", "/v1/detections", "200") == 1
    assert count("GET", "/v2/models/{name}", "404") == 2
    assert count("GET", "unmatched", "404") == 2
    assert count("OTHER", "unmatched", "404") == 1
    assert "SECRET" not in text


async def test_metrics_observe_what_the_report_says() -> None:
    async with client(FakeEngine(readiness=READY)) as session:
        for _ in range(2):
            await session.post("/v1/detections", content=b"x", headers=OCTETS)
        values = await samples((await session.get("/metrics")).text)
    model = (("model", "clrnet"), ("version", "1"))
    assert values["deepfake_score_sum", model] == 2 * 0.93
    assert values["deepfake_stage_duration_seconds_sum", (("stage", "extract"),)] == 2 * 1.9
    assert values["deepfake_requests_running", ()] == 1
    assert values["deepfake_requests_waiting", ()] == 2
    assert values["deepfake_ready", ()] == 1
    post = (("le", "300.0"), ("method", "POST"), ("route", "/v1/detections"))
    assert values["http_request_duration_seconds_bucket", post] == 2


async def test_metrics_tell_on_what_each_model_runs_now() -> None:
    engine = FakeEngine(readiness=TWO_MODELS)

    async def told() -> list[dict[str, str]]:
        values = await samples((await session.get("/metrics")).text)
        found = [key for key in values if key[0] == "deepfake_model_info"]
        assert all(values[key] == 1 for key in found)
        return [dict(labels) for _, labels in found]

    async with client(engine) as session:
        cpu = {"version": "1", "provider": "CPUExecutionProvider", "precision": "float32"}
        assert await told() == [
            {"model": "clrnet", "fallback": "false", **cpu},
            {"model": "mesonet", "fallback": "true", **cpu},
        ]
        gpu = dataclasses.replace(SERVED, provider="CUDAExecutionProvider")
        engine.state = Readiness(ready=True, models=(gpu,))
        assert await told() == [
            {"model": "clrnet", "fallback": "false", **cpu, "provider": "CUDAExecutionProvider"}
        ]
        engine.state = BROKEN
        assert await told() == []


async def test_metrics_can_be_left_out() -> None:
    async with client(FakeEngine(), Settings(metrics=False)) as session:
        problem(await session.get("/metrics"), 404, "not_found")


async def test_an_engine_tells_its_batches() -> None:
    metrics = Metrics()
    app = create_app(Settings(), FakeEngine(), metrics)
    for size in (3, 16):
        metrics.batch("clrnet", "1", size)
    metrics.gauge("deepfake_queue", "Clips waiting for a batch", lambda: 7.0)
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as session:
        values = await samples((await session.get("/metrics")).text)
    model = (("model", "clrnet"), ("version", "1"))
    assert values["deepfake_batches_total", model] == 2
    assert values["deepfake_batch_size_sum", model] == 19
    assert values["deepfake_clips_total", model] == 19
    assert values["deepfake_batch_size_bucket", (("le", "4.0"), *model)] == 1
    assert values["deepfake_queue", ()] == 7


async def test_a_report_is_counted_with_all_that_may_drift() -> None:
    async with client(FakeEngine(readiness=READY)) as session:
        before = await samples((await session.get("/metrics")).text)
        report = (await session.post("/v1/detections", content=b"x", headers=OCTETS)).json()
        values = await samples((await session.get("/metrics")).text)

    def verdicts(verdict: str) -> tuple[str, tuple[tuple[str, str], ...]]:
        return "deepfake_verdicts_total", tuple(sorted((*CLRNET, ("verdict", verdict))))

    assert before[verdicts("fake")] == before[verdicts("no_face")] == 0
    assert (values[verdicts(report["verdict"])], values[verdicts("no_face")]) == (1, 0)
    segments = [segment for face in report["faces"] for segment in face["segments"]]
    assert values["deepfake_segment_score_count", CLRNET] == len(segments) > 0
    sides = [min(box[2] - box[0], box[3] - box[1]) for box in (each["box"] for each in segments)]
    assert values["deepfake_face_pixels_sum", ()] == sum(sides)
    assert values["deepfake_faces_sum", ()] == len(report["faces"])
    assert values["deepfake_video_duration_seconds_sum", ()] == report["media"]["duration"]
    coverage = report["coverage"]
    share = coverage["frames_with_face"] / coverage["frames_decoded"]
    assert values["deepfake_face_frames_ratio_sum", ()] == share
    assert values["deepfake_fetched_bytes_total", ()] == coverage["bytes_fetched"]


FORMS = [
    pytest.param(OCTETS, id="waited for"),
    pytest.param(OCTETS | {"Accept": "application/x-ndjson"}, id="streamed"),
    pytest.param(OCTETS | {"Prefer": "respond-async"}, id="a job"),
]


async def times(session: httpx.AsyncClient, outcome: str) -> tuple[float, float]:
    """How many videos ended so, and after how many seconds together."""
    values = await samples((await session.get("/metrics")).text)
    labels = (("outcome", outcome),)
    name = "deepfake_detection_duration_seconds"
    return values[f"{name}_count", labels], values[f"{name}_sum", labels]


@pytest.mark.parametrize("headers", FORMS)
async def test_a_video_is_timed_until_its_report(headers: dict[str, str]) -> None:
    gate = threading.Event()
    engine = FakeEngine(gate=gate, readiness=READY)
    async with client(engine) as session:
        assert await times(session, "finished") == await times(session, "abandoned") == (0, 0)
        asked = asyncio.create_task(session.post("/v1/detections", content=b"x", headers=headers))
        while not engine.asked:  # noqa: ASYNC110 - an engine of tests tells nobody
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.2)
        gate.set()
        answer = await asked
        if "location" in answer.headers:
            await session.get(answer.headers["location"], headers={"Accept": "text/event-stream"})
        count, seconds = await times(session, "finished")
        assert await times(session, "abandoned") == (0, 0)
    assert count == 1
    assert seconds >= 0.2


@pytest.mark.parametrize("headers", FORMS)
async def test_a_video_that_fails_has_no_time(headers: dict[str, str]) -> None:
    async with client(FakeEngine(error=Undecodable("No."), readiness=READY)) as session:
        answer = await session.post("/v1/detections", content=b"x", headers=headers)
        if "location" in answer.headers:
            await session.get(answer.headers["location"], headers={"Accept": "text/event-stream"})
        assert await times(session, "finished") == await times(session, "abandoned") == (0, 0)


async def test_a_job_that_is_deleted_is_timed_as_abandoned() -> None:
    async with client(FakeEngine(gate=threading.Event(), readiness=READY)) as session:
        headers = OCTETS | {"Prefer": "respond-async"}
        taken = await session.post("/v1/detections", content=b"x", headers=headers)
        await session.delete(taken.headers["location"])
        assert (await times(session, "abandoned"))[0] == 1
        assert await times(session, "finished") == (0, 0)


def test_who_goes_away_is_timed_as_abandoned() -> None:
    engine = FakeEngine(gate=threading.Event(), readiness=READY)
    with served(Settings(), engine) as port:

        def timed(outcome: str, count: int) -> bool:
            line = f'deepfake_detection_duration_seconds_count{{outcome="{outcome}"}} {count}.0\n'
            return line in httpx.get(f"http://127.0.0.1:{port}/metrics").text

        with connected(port) as waiting:
            waiting.sendall(POST + b"Content-Length: 1\r\n\r\nx")
            assert eventually(lambda: len(engine.asked) == 1)
            assert timed("abandoned", 0)
        assert eventually(lambda: timed("abandoned", 1))
        assert timed("finished", 0)


async def test_errors_are_counted_by_code_however_they_are_told() -> None:
    async def told(code: str) -> float:
        text = (await session.get("/metrics")).text
        return (await samples(text)).get(("deepfake_problems_total", (("code", code),)), 0)

    async with client(FakeEngine(error=Undecodable("No."), readiness=READY)) as session:
        sent = {"content": b"x", "headers": OCTETS}
        problem(await session.post("/v1/detections", **sent), 422, "undecodable")
        assert await told("undecodable") == 1
        streamed = {"content": b"x", "headers": OCTETS | {"Accept": "application/x-ndjson"}}
        assert '"undecodable"' in (await session.post("/v1/detections", **streamed)).text
        assert await told("undecodable") == 2
        later = {"content": b"x", "headers": OCTETS | {"Prefer": "respond-async"}}
        place = (await session.post("/v1/detections", **later)).headers["location"]
        headers = {"Accept": "application/x-ndjson"}
        assert '"undecodable"' in (await session.get(place, headers=headers)).text
        assert await told("undecodable") == 3
        await session.get("/nothing")
        assert await told("not_found") == 1


async def test_who_asks_whether_it_is_ready_is_told_of_no_error() -> None:
    not_ready = "deepfake_problems_total", (("code", "not_ready"),)
    async with client(FakeEngine(readiness=BROKEN)) as session:
        for path in ("/v2/health/ready", "/health", "/v1/models"):
            problem(await session.get(path), 503, "not_ready")
        assert (await samples((await session.get("/metrics")).text))[not_ready] == 0
        refused = await session.post("/v1/detections", content=b"x", headers=OCTETS)
        problem(refused, 503, "not_ready")
        assert (await samples((await session.get("/metrics")).text))[not_ready] == 1


async def test_what_is_refused_unread_is_told_and_turned_away() -> None:
    with served(settings(connections=1), FakeEngine()) as port:
        with connected(port), connected(port) as refused:
            assert code(read_all(refused)) == "not_ready"
        shown: list[httpx.Response] = []

        def free() -> bool:
            shown.append(httpx.get(f"http://127.0.0.1:{port}/metrics"))
            return shown[-1].status_code == 200

        assert eventually(free)
    values = await samples(shown[-1].text)
    unread = (("method", "OTHER"), ("route", "unread"), ("status", "503"))
    # Those that looked too early were refused as well.
    times = 1 + [each.status_code for each in shown].count(503)
    assert values["http_requests_total", unread] == times
    assert values["deepfake_problems_total", (("code", "not_ready"),)] == times
    assert values["deepfake_shed_total", (("reason", "connections"),)] == times


async def test_answers_to_who_brings_videos_begin_with_0() -> None:
    app = create_app(Settings(), FakeEngine())
    values = await samples(app.state.metrics.expose("")[0].decode())
    paths = app.openapi()["paths"].items()
    known = {(method.upper(), path) for path, operations in paths for method in operations}
    assert set(_TAKEN) <= known | {(wire._METHOD, wire._ROUTE)}
    for (method, route), statuses in _TAKEN.items():
        for status in statuses:
            labels = (("method", method), ("route", route), ("status", str(status)))
            assert values["http_requests_total", labels] == 0


async def test_a_job_that_its_owner_deletes_is_no_failure() -> None:
    async with client(FakeEngine(gate=threading.Event(), readiness=READY)) as session:
        headers = OCTETS | {"Prefer": "respond-async"}
        taken = await session.post("/v1/detections", content=b"x", headers=headers)
        assert (await session.delete(taken.headers["location"])).status_code == 204
        values = await samples((await session.get("/metrics")).text)
    told = [value for (name, _), value in values.items() if name == "deepfake_problems_total"]
    assert told
    assert not any(told)


async def test_reloads_are_counted_by_how_they_went() -> None:
    metrics, engine = Metrics(), FakeEngine(readiness=READY)
    app = create_app(Settings(), engine, metrics)
    async with app.router.lifespan_context(app):
        for error in (None, ModelError("It is no model."), RuntimeError("odd")):
            engine.reload_error = error
            app.state.lifecycle.reload()
            await app.state.lifecycle._reloading
    values = await samples(metrics.expose("")[0].decode())
    assert values["deepfake_model_reloads_total", (("outcome", "done"),)] == 1
    assert values["deepfake_model_reloads_total", (("outcome", "failed"),)] == 2


async def test_limits_stand_beside_what_they_bound() -> None:
    limits = Limits(concurrency=3, waiting=4, media_bytes=2**30)
    async with client(FakeEngine(readiness=READY), Settings(limits=limits)) as session:
        values = await samples((await session.get("/metrics")).text)
    assert values["deepfake_requests_running_limit", ()] == 3
    assert values["deepfake_videos_limit", ()] == 7
    assert values["deepfake_media_bytes_limit", ()] == 2**30
    assert values["deepfake_jobs_limit", ()] == Settings().jobs.most


async def test_operating_points_and_restarts_are_read_when_asked_for() -> None:
    point = SERVED.contract.operating_point.model_copy(
        update={"uncertain_low": 0.3, "threshold": 0.4, "uncertain_high": 0.7}
    )
    contract = SERVED.contract.model_copy(update={"operating_point": point})
    served = dataclasses.replace(SERVED, contract=contract)
    engine = FakeEngine(readiness=dataclasses.replace(READY, models=(served,), worker_restarts=2))
    async with client(engine) as session:
        values = await samples((await session.get("/metrics")).text)
    bounds = {
        dict(labels)["bound"]: value
        for (name, labels), value in values.items()
        if name == "deepfake_operating_point"
    }
    assert bounds == {"lower": 0.3, "threshold": 0.4, "upper": 0.7}
    assert values["deepfake_worker_restarts_total", ()] == 2


def test_the_catalogue_in_the_documentation_is_that_of_the_code() -> None:
    metrics = Metrics()
    Server(Settings(), FakeEngine(), "127.0.0.1", 0, metrics)
    lines = CATALOGUE.read_text().splitlines()
    documented = [line for line in lines if line.startswith(("| `http_", "| `deepfake_"))]
    assert documented == [row(each) for each in sorted(metrics.catalogue, key=by_name)]


def by_name(metric: Metric) -> str:
    return metric.name


def row(metric: Metric) -> str:
    labels = ", ".join(f"`{label}`" for label in metric.labels)
    return f"| `{metric.name}` | {metric.kind} | {labels} | {metric.text} |"
