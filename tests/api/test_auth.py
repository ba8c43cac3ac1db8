"""Who may ask, and that nobody else learns or starts anything."""

from __future__ import annotations

import json
import logging

import pytest
from typer.testing import CliRunner

from service.api.caller import network
from service.app import create_app
from service.auth import Keys, entry, new_key
from service.cli import app
from service.logs import JsonFormatter
from service.settings import AuthSettings, ServerSettings, Settings
from tests.api.client import OCTETS, client, problem
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS

ALICE, ALICE_NEXT, BOB = new_key(), new_key(), new_key()
ENTRIES = [entry("alice", ALICE), entry("alice", ALICE_NEXT), entry("bob", BOB)]
KEYED = Settings(auth=AuthSettings(keys=ENTRIES))

CLOSED = [
    ("POST", "/v1/detections"),
    ("GET", "/v1/detections/x"),
    ("DELETE", "/v1/detections/x"),
    ("GET", "/v1/models"),
    ("GET", "/v1/limits"),
    ("GET", "/v2"),
    ("GET", "/v2/models/clrnet"),
    ("GET", "/v2/models/clrnet/ready"),
]
OPEN = ["/v2/health/live", "/v2/health/ready", "/health", "/metrics", "/problems/busy", "/docs"]


def test_a_key_is_known_by_its_hash_alone() -> None:
    keys = Keys(ENTRIES)
    assert [keys.name(key) for key in (ALICE, ALICE_NEXT, BOB)] == ["alice", "alice", "bob"]
    for wrong in ("", ALICE[:-1], ALICE + "x", "ä", "\N{SNOWMAN}", ENTRIES[0].split(":")[1]):
        assert keys.name(wrong) is None
    assert not Keys([])


def test_keys_are_long_and_never_the_same() -> None:
    made = {new_key() for _ in range(100)}
    assert len(made) == 100
    assert all(key.startswith("dfk_") and len(key) >= 4 + 43 for key in made)


@pytest.mark.parametrize(
    ("host", "bounded"),
    [
        ("1.2.3.4", "1.2.3.4"),
        ("::ffff:1.2.3.4", "1.2.3.4"),
        ("::ffff:5.6.7.8", "5.6.7.8"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("nonsense", "unknown"),
    ],
)
def test_bounds_are_for_whoever_holds_an_address(host: str, bounded: str) -> None:
    assert network(host) == bounded


@pytest.mark.parametrize(
    "wrong", ["alice", "alice:", "alice:abc", ":" + "0" * 64, "A b:" + "0" * 64]
)
def test_a_setting_that_is_no_key_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="pattern"):
        AuthSettings(keys=[wrong])


@pytest.mark.parametrize(("method", "path"), CLOSED)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {ALICE}x"},
        {"Authorization": f"Basic {ALICE}"},
        {"Authorization": ALICE},
        {"X-API-Key": ALICE.lower()},
        {"X-API-Key": ""},
    ],
)
async def test_without_a_key_nothing_is_told(
    method: str, path: str, headers: dict[str, str]
) -> None:
    engine = FakeEngine(readiness=TWO_MODELS)
    async with client(engine, KEYED) as session:
        response = await session.request(method, path, headers=OCTETS | headers)
    problem(response, 401, "unauthorized")
    assert response.headers["www-authenticate"].startswith("Bearer ")
    assert ALICE not in response.text
    assert not engine.asked


@pytest.mark.parametrize("key", [ALICE, ALICE_NEXT, BOB], ids=["alice", "alice's next", "bob"])
@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_with_a_key_all_is_as_without_any(key: str, header: str) -> None:
    headers = {header: f"Bearer {key}" if header == "Authorization" else key}
    async with client(FakeEngine(readiness=TWO_MODELS), KEYED) as session:
        answers = {
            path: (await session.request(method, path, content=b"x", headers=OCTETS | headers))
            for method, path in CLOSED
        }
    assert answers["/v1/models"].status_code == 200
    assert answers["/v2"].status_code == 200
    problem(answers["/v1/detections/x"], 404, "unknown_job")


@pytest.mark.parametrize("path", OPEN)
async def test_probes_and_explanations_are_open(path: str) -> None:
    async with client(FakeEngine(readiness=TWO_MODELS), KEYED) as session:
        assert (await session.get(path)).status_code == 200


async def test_metrics_may_ask_for_a_key() -> None:
    chosen = Settings(auth=AuthSettings(keys=ENTRIES, metrics_key=True))
    async with client(FakeEngine(), chosen) as session:
        problem(await session.get("/metrics"), 401, "unauthorized")
        response = await session.get("/metrics", headers={"X-API-Key": BOB})
    assert response.status_code == 200


async def test_the_log_names_the_key_and_never_holds_it(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        async with client(FakeEngine(), KEYED) as session:
            await session.get("/v1/limits", headers={"Authorization": f"bearer {ALICE}"})
            await session.get("/v1/limits", headers={"X-API-Key": BOB})
            await session.get("/v1/limits", headers={"X-API-Key": "dfk_wrong"})
    lines = [JsonFormatter().format(record) for record in caplog.records]
    access = [json.loads(line) for line in lines if '"event": "request"' in line]
    assert [line["key"] for line in access] == ["alice", "bob", None]
    assert not any(key in line for line in lines for key in (ALICE, BOB, "dfk_"))


async def test_each_key_has_its_own_rate() -> None:
    chosen = Settings(auth=AuthSettings(keys=ENTRIES, requests_per_minute=1))
    async with client(FakeEngine(), chosen) as session:
        statuses = []
        for key in (ALICE, BOB, ALICE_NEXT):
            response = await session.post(
                "/v1/detections", content=b"x", headers=OCTETS | {"X-API-Key": key}
            )
            statuses.append(response.status_code)
    assert statuses == [200, 200, 429]


def test_the_schema_names_both_ways_to_show_a_key() -> None:
    schema = create_app(KEYED, FakeEngine()).openapi()
    assert set(schema["components"]["securitySchemes"]) == {"bearer", "apiKey"}
    for method, path in CLOSED:
        template = path.replace("/x", "/{id}").replace("/clrnet", "/{name}")
        operation = schema["paths"][template][method.lower()]
        assert operation["security"] == [{"bearer": []}, {"apiKey": []}]
        assert "401" in operation["responses"]
    assert "security" not in schema["paths"]["/health"]["get"]
    assert "securitySchemes" not in create_app(Settings(), FakeEngine()).openapi()["components"]


async def test_the_schema_can_be_kept_private() -> None:
    async with client(FakeEngine(), Settings(server=ServerSettings(docs=False))) as session:
        for path in ("/docs", "/openapi.json"):
            problem(await session.get(path), 404, "not_found")


def test_the_command_makes_a_key_that_its_setting_lets_in() -> None:
    printed = CliRunner().invoke(app, ["key", "carol"])
    assert printed.exit_code == 0
    made, setting = printed.stdout.splitlines()
    assert Keys(AuthSettings(keys=[json.loads(setting)]).keys).name(made) == "carol"
    assert CliRunner().invoke(app, ["key", "Not A Name"]).exit_code == 2


@pytest.mark.parametrize("name", ["DEEPFAKE_AUTH__KEYS", "DEEPFAKE_MODEL__MORE", "DEEPFAKE_JOBS"])
def test_a_setting_that_is_no_json_is_named_and_not_shown(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "dfk_SECRET")
    done = CliRunner().invoke(app, ["serve"])
    assert done.exit_code == 2
    assert name in done.output
    assert "SECRET" not in done.output
    assert "Traceback" not in done.output
