"""A real browser, and services whose page it shows.

Playwright's asynchronous interface, in one loop for all tests: its synchronous one keeps the
thread's loop running, in which no other asynchronous test could begin. So modules say

    pytestmark = pytest.mark.asyncio(loop_scope="session")
"""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from service.receipt import new_key
from service.settings import Settings
from service.video.encode import encode_video
from tests import media
from tests.api.fakes import FakeEngine
from tests.api.served import TWO_MODELS
from tests.api.wire import served
from tests.origin.running import RunningSite, running_site
from tests.security.server_process import ServerProcess, free_port, process
from tests.web.browser import Visits, chromium
from tests.web.fake_api import FakeApi


@pytest.fixture(scope="session")
def site() -> Iterator[RunningSite]:
    """An origin of videos that the service fetches from."""
    with running_site() as running:
        yield running


@pytest.fixture(scope="session")
def service(site: RunningSite, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """The service as it is run, with the model in the box and a key for receipts."""
    folder = tmp_path_factory.mktemp("web")
    private, _ = new_key()
    (folder / "key.pem").write_bytes(private)
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    settings = {
        "DEEPFAKE_FETCH__LOOPBACK": "true",
        "DEEPFAKE_FETCH__PORTS": f"[80, 443, {site.port}]",
        "DEEPFAKE_RECEIPT__KEY": str(folder / "key.pem"),
    }
    with process(command, port, tmp_path_factory.mktemp("server"), settings) as running:
        yield running


@pytest.fixture(scope="session")
def swift() -> Iterator[str]:
    """Where a service answers at once, with the example report, whatever is sent."""
    with served(Settings(), FakeEngine(readiness=TWO_MODELS)) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def film() -> bytes:
    """Two seconds of real faces, H.264 in MP4, 25 frames a second."""
    frames = media.group_frames(50)
    return encode_video([frame[:240, :320] for frame in frames])


@pytest.fixture(scope="session")
def dull() -> bytes:
    """A video without a face."""
    return media.numbered_video(10)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium."""
    async with chromium() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="session")
async def visits(browser: Browser) -> AsyncIterator[Visits]:
    """Opens pages; what they did wrong fails the test."""
    opened = Visits(browser)
    try:
        yield opened
        assert await opened.complaints() == []
    finally:
        await opened.close()


@pytest_asyncio.fixture(loop_scope="session")
async def page(visits: Visits, service: ServerProcess) -> Page:
    """The page of the real service."""
    return await visits.open(f"{service.url}/")


@pytest_asyncio.fixture(loop_scope="session")
async def api(visits: Visits, swift: str) -> FakeApi:
    """A page (``api.page``) whose detections are answered by the test."""
    fake = FakeApi(await visits.open(f"{swift}/"))
    await fake.attach()
    return fake
