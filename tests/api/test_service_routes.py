"""Health, model metadata, limits and metrics."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import re
from pathlib import Path

import httpx
from prometheus_client.parser import text_string_to_metric_families
from pydantic import BaseModel

from service.api.limits import table
from service.app import create_app
from service.engine import Readiness
from service.metrics import Metrics
from service.settings import Limits, Settings
from tests.api.client import OCTETS, client, problem, settings
from tests.api.fakes import FakeEngine
from tests.api.served import MODEL, SERVED, TWO_MODELS
from tests.api.wire import served

FOLDER = Path(__file__).resolve().parents[2] / "docs"
DOCS, API, OPERATING = (FOLDER / f"{name}.md" for name in ("limits", "api", "operating"))

READY = Readiness(ready=True, models=(SERVED,), running=1, waiting=2)
BROKEN = Readiness(ready=False, missing=("the model file is missing", "no detector"))


async def test_a_ready_service() -> None:
    async with client(FakeEngine(readiness=READY)) as session:
        assert (await session.get("/v2/health/live")).json() == {"live": True}
        ready = (await session.get("/v2/health/ready")).json()
        assert ready == (await session.get("/health")).json()
        assert (ready["provider"], ready["precision"]) == ("CPUExecutionProvider", "float32")
        assert (ready["running"], ready["waiting"]) == (1, 2)
        assert (await session.get("/v2")).json()["name"] == "deepfake-service"
        model = (await session.get("/v2/models/clrnet")).json()
        assert model["versions"] == ["1"]
        assert model["inputs"] == [
            {"name": "clips", "datatype": "UINT8", "shape": [-1, 5, 240, 128, 3]}
        ]
        assert model["outputs"] == [{"name": "fake_probability", "datatype": "FP32", "shape": [-1]}]
        assert (await session.get("/v2/models/clrnet/ready")).status_code == 200
        problem(await session.get("/v2/models/other"), 404, "not_found")
        problem(await session.get("/v2/models/other/ready"), 404, "not_found")


async def test_a_service_that_misses_something_lives_and_names_it() -> None:
    async with client(FakeEngine(readiness=BROKEN)) as session:
        assert (await session.get("/v2/health/live")).status_code == 200
        for path in ("/v2/health/ready", "/health", "/v2/models/clrnet", "/v2/models/clrnet/ready"):
            response = await session.get(path)
            detail = problem(response, 503, "not_ready")["detail"]
            assert detail == "the model file is missing; no detector"
            assert response.headers["retry-after"] == "5"


async def test_every_model_and_ensemble_is_listed() -> None:
    async with client(FakeEngine(readiness=TWO_MODELS)) as session:
        shown = (await session.get("/v1/models")).json()
        refused = await session.get("/v1/models", headers={"Accept": "text/html"})
    problem(refused, 406, "not_acceptable")
    assert shown["default"] == "both"
    first, second = shown["models"]
    for key in ("name", "version", "precision", "clip_length", "trained_on", "weights_sha256"):
        assert first[key] == getattr(MODEL, key)
    assert (first["input_height"], first["input_width"]) == (240, 128)
    assert first["operating_point"]["calibration"] == "uncalibrated"
    assert (first["sha256"], first["fallback"], first["default"]) == ("0" * 64, False, False)
    assert (second["name"], second["provider"]) == ("mesonet", "CPUExecutionProvider")
    assert (second["sha256"], second["fallback"]) == ("1" * 64, True)
    assert shown["ensembles"] == [
        {"name": "both", "default": True, "rule": "max", "members": ["clrnet", "mesonet"]}
    ]


async def test_models_are_not_listed_before_they_are_loaded() -> None:
    async with client(FakeEngine(readiness=BROKEN)) as session:
        problem(await session.get("/v1/models"), 503, "not_ready")


async def test_every_model_and_ensemble_has_metadata_of_its_own() -> None:
    async with client(FakeEngine(readiness=TWO_MODELS)) as session:
        shapes = {}
        for name in ("clrnet", "mesonet", "both"):
            shown = (await session.get(f"/v2/models/{name}")).json()
            shapes[shown["name"]] = shown["inputs"][0]["shape"]
            ready = await session.get(f"/v2/models/{name}/ready")
            assert ready.json() == {"name": name, "ready": True}
        assert shown["platform"] == "ensemble"
        assert (await session.get("/health")).json()["fallback"] is True
    assert shapes == {
        "clrnet": [-1, 5, 240, 128, 3],
        "mesonet": [-1, 1, 240, 128, 3],
        "both": [-1, -1, 240, 128, 3],
    }


async def test_a_draining_service_is_not_ready_but_knows_its_models() -> None:
    state = dataclasses.replace(TWO_MODELS, draining=True)
    async with client(FakeEngine(readiness=state)) as session:
        for path in ("/v2/health/ready", "/health", "/v2/models/clrnet/ready"):
            response = await session.get(path)
            assert "draining" in problem(response, 503, "not_ready")["detail"]
            assert "retry-after" in response.headers
        assert len((await session.get("/v1/models")).json()["models"]) == 2
        response = await session.post("/v1/detections", content=b"x", headers=OCTETS)
        problem(response, 503, "not_ready")


async def test_limits_show_what_is_in_force() -> None:
    async with client(FakeEngine(), settings(bytes=1000)) as session:
        shown = (await session.get("/v1/limits")).json()
        refused = await session.get("/v1/limits", headers={"Accept": "text/html"})
    problem(refused, 406, "not_acceptable")
    assert list(shown) == list(Limits.model_fields)
    assert (shown["bytes"]["value"], shown["bytes"]["default"]) == (1000, 268435456)
    assert all(limit["unit"] and limit["description"] for limit in shown.values())


def test_the_documented_limits_are_those_of_the_code() -> None:
    lines = [line for line in DOCS.read_text().splitlines() if line.startswith("| `")]
    documented = [tuple(cell.strip() for cell in line.split("|")[1:5]) for line in lines]
    assert documented == [
        (
            f"`{name}`",
            f"{limit.default:g}" if limit.default < 1e5 else f"{limit.default:.0f}",
            limit.unit,
            limit.description,
        )
        for name, limit in table(Limits()).items()
    ]


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


async def test_every_metric_is_documented() -> None:
    documented = set(re.findall(r"`((?:http|deepfake)_[a-z_]+)`", API.read_text()))
    with served(Settings(), FakeEngine()) as port:
        text = await asyncio.to_thread(lambda: httpx.get(f"http://127.0.0.1:{port}/metrics").text)
    families = [
        family
        for family in text_string_to_metric_families(text)
        if not family.name.startswith("process_") and not family.name.endswith("_created")
    ]
    shown = {family.name + ("_total" if family.type == "counter" else "") for family in families}
    assert shown == documented


def test_every_setting_is_documented_with_its_default() -> None:
    rows = [
        line.split("|") for line in OPERATING.read_text().splitlines() if "| `DEEPFAKE_" in line
    ]
    documented = {row[1].strip(" `"): row[2].strip(" `") for row in rows}
    expected = {}
    for name, field in Settings.model_fields.items():
        part = field.get_default(call_default_factory=True)
        if not isinstance(part, BaseModel):
            expected[f"DEEPFAKE_{name.upper()}"] = shown_default(part)
        elif name != "limits":
            for key in type(part).model_fields:
                value = getattr(part, key)
                expected[f"DEEPFAKE_{name.upper()}__{key.upper()}"] = shown_default(value)
    assert documented == expected


def shown_default(value: object) -> str:
    """As the table writes it."""
    if value is None or value == "":
        return ""
    return json.dumps(value) if isinstance(value, bool | list) else str(value)
