"""One sandbox for all tests of a module: starting it takes a second or more."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from service.sandbox.workers import Workers
from tests import media
from tests.unit.sandbox.jobs import MEMORY


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def workers() -> AsyncIterator[Workers]:
    made = Workers(memory=MEMORY, cpu_seconds=120)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture(scope="session")
def group() -> bytes:
    """Six moving faces, twenty frames."""
    return media.group_video(20)
