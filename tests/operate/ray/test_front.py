"""What stands around Ray's proxy."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import httpx
import pytest
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.ray.fronted import MARK, Fronted
from deploy.ray.proxy import SESSION, Front
from service.app import create_app
from service.logs import JsonFormatter
from service.metrics import Metrics
from service.settings import Settings
from tests.api.client import OCTETS, problem
from tests.api.fakes import FakeEngine

Headers = Iterable[tuple[bytes, bytes]]
RAYS_ID = (b"X-Request-ID", b"of-ray-itself")
JOB = "/v1/detections/abcd1234-" + "0" * 32


def answering(
    status: int, headers: Headers = (), body: bytes = b"plain", seen: list[Scope] | None = None
) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if seen is not None:
            seen.append(scope)
        start = {"type": "http.response.start", "status": status, "headers": list(headers)}
        await send(start)
        await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


async def asked(
    app: ASGIApp, path: str = "/", metrics: Metrics | None = None, **options: object
) -> httpx.Response:
    transport = httpx.ASGITransport(Front(app, metrics or Metrics()))
    async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
        return await client.get(path, **options)  # type: ignore[arg-type]


async def test_what_the_service_says_is_passed_on_under_one_id() -> None:
    headers = [(b"x-request-id", b"caller-1234"), (b"X-Request-ID", b"caller-1234")]
    answer = await asked(answering(429, headers), headers={"X-Request-ID": "caller-1234"})
    assert (answer.status_code, answer.content) == (429, b"plain")
    assert answer.headers.get_list("x-request-id") == ["caller-1234"]


@pytest.mark.parametrize(
    ("status", "headers", "expected", "retry_after"),
    [
        (503, [], (503, "not_ready"), "5"),
        (503, [(b"retry-after", b"7")], (503, "not_ready"), "7"),
        (429, [(b"retry-after", b"9")], (503, "not_ready"), "9"),
        (404, [], (503, "not_ready"), "5"),
        (408, [], (503, "not_ready"), "5"),
        (500, [], (500, "worker_lost"), None),
    ],
)
async def test_what_ray_says_becomes_a_problem(
    status: int,
    headers: list[tuple[bytes, bytes]],
    expected: tuple[int, str],
    retry_after: str | None,
) -> None:
    answer = await asked(answering(status, [*headers, RAYS_ID]))
    problem(answer, *expected)
    assert answer.headers.get("retry-after") == retry_after
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


async def nothing(scope: Scope, receive: Receive, send: Send) -> None:
    pass


async def failing(scope: Scope, receive: Receive, send: Send) -> None:
    raise RuntimeError("the actor died")


@pytest.mark.parametrize("app", [nothing, failing])
async def test_a_request_without_an_answer_is_lost(
    app: Callable[[Scope, Receive, Send], Awaitable[None]],
) -> None:
    problem(await asked(app), 500, "worker_lost")


async def test_an_answer_that_breaks_off_is_not_made_whole() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        ids = [(b"x-request-id", b"1" * 8)] * 2
        await send({"type": "http.response.start", "status": 200, "headers": ids})
        raise RuntimeError("the actor died")

    with pytest.raises(RuntimeError, match="died"):
        await asked(app)


async def test_clients_give_no_orders_to_the_proxy() -> None:
    seen: list[Scope] = []
    orders = {
        "X-Session-Id": "abcd1234",
        "X_Session_Id": "abcd1234",
        "Serve_Multiplexed_Model_Id": "any",
        "X-Request-Timeout-Seconds": "-1",
        "X-Request-Disconnect-Disabled": "?1",
        "X-Request-ID": "not one!",
        "Accept": "text/plain",
    }
    await asked(answering(200, [RAYS_ID], seen=seen), headers=orders)
    found = {name.decode(): value.decode() for name, value in seen[0]["headers"]}
    assert found["accept"] == "text/plain"
    assert found[MARK] == "1"
    assert len(found["x-request-id"]) == 32
    left = {name.replace("_", "-") for name in found}
    given = {name.lower().replace("_", "-") for name in orders}
    assert given & left == {"accept", "x-request-id"}


@pytest.mark.parametrize(
    ("path", "replica"),
    [
        (JOB, "abcd1234"),
        (f"{JOB}/report", "abcd1234"),
        (f"/prefix{JOB}", "abcd1234"),
        ("/v1/detections", None),
        ("/v1/detections/abcd1234-00", None),
        ("/v1/models/abcd1234-" + "0" * 32, None),
    ],
)
async def test_a_job_is_asked_of_its_replica(path: str, replica: str | None) -> None:
    seen: list[Scope] = []
    await asked(answering(200, [RAYS_ID], seen=seen), path)
    headers = dict(seen[0]["headers"])
    assert headers.get(SESSION.encode()) == (replica and replica.encode())


async def test_ray_answers_probes_of_its_own() -> None:
    answer = await asked(answering(200, [RAYS_ID], b"success"), "/-/healthz")
    assert answer.content == b"success"


async def test_other_protocols_pass() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)

    async def receive() -> Message:
        return {"type": "lifespan.startup"}

    async def send(message: Message) -> None:
        pass

    await Front(app, Metrics())({"type": "lifespan"}, receive, send)
    assert seen == [{"type": "lifespan"}]


def counted(metrics: Metrics) -> set[str]:
    """Samples that are not 0, of requests and errors."""
    lines = metrics.expose("")[0].decode().splitlines()
    wanted = ("http_requests_total{", "deepfake_problems_total{")
    return {line for line in lines if line.startswith(wanted) and not line.endswith(" 0.0")}


def logged(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """Lines of the proxy's log."""
    records = [each for each in caplog.records if each.name == "service.proxy"]
    return [json.loads(JsonFormatter().format(record)) for record in records]


@pytest.mark.parametrize(
    ("app", "status", "code"),
    [(answering(429, [RAYS_ID]), 503, "not_ready"), (failing, 500, "worker_lost")],
)
async def test_what_the_proxy_answers_is_counted_and_logged(
    app: ASGIApp, status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "service")
    metrics = Metrics()
    given = {"X-Request-ID": "caller-1234"}
    await asked(app, "/v1/detections", metrics, headers=given, params={"a": "secret"})
    assert counted(metrics) == {
        f'http_requests_total{{method="GET",route="/v1/detections",status="{status}"}} 1.0',
        f'deepfake_problems_total{{code="{code}"}} 1.0',
    }
    (line,) = logged(caplog)
    assert line["request_id"] == "caller-1234"
    assert (line["status"], line["problem"]) == (status, code)
    assert line.get("exception") == ("RuntimeError" if app is failing else None)
    assert "secret" not in str(line)
    assert "died" not in str(line)


async def test_paths_are_neither_counted_nor_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service")
    metrics = Metrics()
    await asked(failing, "/v1/detections/secret", metrics)
    labels = 'method="GET",route="unmatched",status="500"'
    assert f"http_requests_total{{{labels}}} 1.0" in counted(metrics)
    assert "secret" not in str([vars(record) for record in caplog.records])


async def test_what_a_replica_answers_it_counts_itself(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "service")
    metrics = Metrics()
    await asked(answering(429, [RAYS_ID, RAYS_ID]), "/", metrics)
    assert not counted(metrics)
    assert not logged(caplog)


@pytest.mark.parametrize(("status", "lost"), [(200, True), (429, False)])
async def test_an_answer_whose_replica_dies_is_counted_but_no_refusal_that_lingers(
    status: int, lost: bool
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [RAYS_ID, RAYS_ID]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": b"half", "more_body": True})

    metrics = Metrics()
    kinds = [message["type"] for message in await told(app, metrics)]
    assert kinds == ["http.response.start", "http.response.body"]
    assert ('deepfake_problems_total{code="worker_lost"} 1.0' in counted(metrics)) is lost


async def test_a_client_that_leaves_loses_no_worker() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()

    metrics = Metrics()
    assert await told(app, metrics) == []
    assert not counted(metrics)


async def told(app: ASGIApp, metrics: Metrics) -> list[Message]:
    """All that a client is sent that leaves at once."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    await Front(app, metrics)(scope, receive, send)
    return sent


async def test_what_came_past_it_is_not_taken() -> None:
    app = create_app(Settings(), FakeEngine())
    app.user_middleware.append(Middleware(Fronted))
    through, past = (
        httpx.AsyncClient(transport=httpx.ASGITransport(each), base_url="http://service")
        for each in (Front(app, Metrics()), app)
    )
    async with app.router.lifespan_context(app), through, past:
        taken = await through.get("/v2/health/live")
        refused = await past.post("/v1/detections", content=b"x", headers=OCTETS)
    assert taken.status_code == 200
    problem(refused, 503, "not_ready")
    labels = 'method="POST",route="unmatched",status="503"'
    assert f"http_requests_total{{{labels}}} 1.0" in counted(app.state.metrics)
