"""What stands around Ray's proxy."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

import httpx
import pytest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deploy.ray.proxy import SESSION, Front
from tests.api.client import problem

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


async def asked(app: ASGIApp, path: str = "/", **options: object) -> httpx.Response:
    transport = httpx.ASGITransport(Front(app))
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
    assert len(found["x-request-id"]) == 32
    assert not {name.lower().replace("_", "-") for name in orders} & set(found) - {
        "accept",
        "x-request-id",
    }


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

    await Front(app)({"type": "lifespan"}, receive, send)
    assert seen == [{"type": "lifespan"}]
