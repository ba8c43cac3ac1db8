"""Health, model metadata and limits."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from pydantic import BaseModel

from service.api.limits import table
from service.engine import Readiness
from service.settings import Limits, Settings
from tests.api.client import OCTETS, client, problem, settings
from tests.api.fakes import FakeEngine
from tests.api.served import MODEL, SERVED, TWO_MODELS

FOLDER = Path(__file__).resolve().parents[2] / "docs"
DOCS, OPERATING = (FOLDER / f"{name}.md" for name in ("limits", "operating"))

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


def test_every_setting_is_documented_with_its_default() -> None:
    section = OPERATING.read_text().split("## Settings")[1].split("\n## ")[0]
    rows = [line.split("|") for line in section.splitlines() if "| `DEEPFAKE_" in line]
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
