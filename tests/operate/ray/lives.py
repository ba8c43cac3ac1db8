"""How decoders begin and end, as a line of JSON for each.

Run in the environment that has Ray, without a cluster.
"""

from __future__ import annotations

import asyncio
import json

from ray.serve._private.constants import HEALTH_CHECK_METHOD
from starlette.types import Message

from deploy.ray.app import Decoder, application
from deploy.ray.instruments import RayInstruments
from deploy.ray.remote import RemoteNetworks
from service.engine import Readiness
from service.errors import NotReady
from service.metrics import Metrics
from service.settings import Settings
from tests.api.fakes import FakeEngine

STATES = {
    "ready": Readiness(ready=True),
    "without a detector": Readiness(ready=False, missing=("no detector", "no model")),
    "stopping": Readiness(ready=False, missing=("stopping",), draining=True),
}
_SECONDS = 15.0
"""Half of what an app without Ray waits for results that nobody fetches."""


def decoder(engine: FakeEngine) -> Decoder:
    """One on an engine that does nothing."""
    made = Decoder.__new__(Decoder)
    made._built = application(Settings(), engine, Metrics())
    made._networks = RemoteNetworks(None)
    made._end_tracing = lambda: None
    return made


async def healthy(state: Readiness) -> str | None:
    """What Ray is told where it asks whether one is healthy."""
    try:
        await getattr(decoder(FakeEngine(readiness=state)), HEALTH_CHECK_METHOD)()
    except NotReady as error:
        return error.detail
    return None


async def life() -> list[str]:
    """What an engine lives through: networks change, and a result is left that nobody fetches."""
    engine = FakeEngine()
    one = decoder(engine)
    one._live(RayInstruments())
    lifecycle = one._built.state.lifecycle
    async with asyncio.timeout(_SECONDS), one._built.router.lifespan_context(one._built):
        # As from the thread of the networks.
        await asyncio.to_thread(one._networks.changed)
        while "reload" not in engine.events:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        lifecycle._jobs.open("somebody").expires = 1.0
        assert lifecycle._jobs.unfetched
    return engine.events


async def past() -> int:
    """The status of what came past the proxies that are ours."""
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/v2/health/live", "query_string": b""}
    await decoder(FakeEngine())._built(scope | {"headers": []}, receive, send)
    status: int = sent[0]["status"]
    return status


def main() -> None:
    """Print them."""
    for name, state in STATES.items():
        print(json.dumps([name, asyncio.run(healthy(state))]))
    print(json.dumps(["life", asyncio.run(life())]))
    print(json.dumps(["past", asyncio.run(past())]))


if __name__ == "__main__":
    main()
