"""What Ray learns of a decoder by asking whether it is healthy, as a line of JSON for each state.

Run in the environment that has Ray, without a cluster.
"""

from __future__ import annotations

import asyncio
import json

from ray.serve._private.constants import HEALTH_CHECK_METHOD

from deploy.ray.app import Decoder
from service.app import create_app
from service.engine import Readiness
from service.errors import NotReady
from service.settings import Settings
from tests.api.fakes import FakeEngine

STATES = {
    "ready": Readiness(ready=True),
    "without a detector": Readiness(ready=False, missing=("no detector", "no model")),
    "stopping": Readiness(ready=False, missing=("stopping",), draining=True),
}


async def told(state: Readiness) -> str | None:
    """The error, if there is one."""
    decoder = Decoder.__new__(Decoder)
    decoder._built = create_app(Settings(), FakeEngine(readiness=state))
    try:
        await getattr(decoder, HEALTH_CHECK_METHOD)()
    except NotReady as error:
        return error.detail
    return None


def main() -> None:
    """Print them."""
    for name, state in STATES.items():
        print(json.dumps([name, asyncio.run(told(state))]))


if __name__ == "__main__":
    main()
