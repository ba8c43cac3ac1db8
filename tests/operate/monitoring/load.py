"""What is done to a service so that all it counts and times moves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import httpx

from tests import media
from tests.e2e.receiver import Receiver
from tests.origin.running import RunningSite
from tests.security.server_process import ServerProcess
from tests.unit.sandbox.processes import children_of, state_of, until

OCTETS = {"Content-Type": "application/octet-stream"}
LATER = OCTETS | {"Prefer": "respond-async"}


@dataclass(frozen=True)
class Load:
    """A service, and those it has to do with."""

    server: ServerProcess
    site: RunningSite
    called: Receiver

    async def run(self) -> None:
        """Everything once."""
        async with httpx.AsyncClient(base_url=self.server.url, timeout=60) as client:
            faces, long = media.group_video(10), media.group_video(25)
            self.site.put(faces)
            await self._answered(client, faces)
            await self._refused(client, long)
            await self._lost(client, long)
            await self._later(client, faces)
            await self._reloaded()
            await self._without_nursery(client, faces)

    async def _answered(self, client: httpx.AsyncClient, faces: bytes) -> None:
        ask = partial(client.post, "/v1/detections")
        assert (await ask(content=faces, headers=OCTETS)).json()["faces"]
        none = await ask(content=media.numbered_video(10), headers=OCTETS)
        assert none.json()["verdict"] == "no_face"
        assert (await ask(json={"url": self.site.url("whole")})).status_code == 200
        broken = await ask(content=media.truncated_moov(), headers=OCTETS)
        assert broken.json()["code"] == "undecodable"

    async def _refused(self, client: httpx.AsyncClient, long: bytes) -> None:
        """More together than there are places, and enough to wait for each other."""
        answers = await asyncio.gather(
            *(client.post("/v1/detections", content=long, headers=OCTETS) for _ in range(5))
        )
        assert {each.status_code for each in answers} == {200, 429}

    async def _lost(self, client: httpx.AsyncClient, long: bytes) -> None:
        doomed = asyncio.create_task(client.post("/v1/detections", content=long, headers=OCTETS))
        await until(self._readers)
        os.kill(self._readers()[0], signal.SIGKILL)
        assert (await doomed).json()["code"] == "worker_lost"

    async def _later(self, client: httpx.AsyncClient, faces: bytes) -> None:
        """A job, whose end is told."""
        callback = {"callback": self.called.url("/done")}
        taken = await client.post("/v1/detections", content=faces, headers=LATER, params=callback)
        assert taken.status_code == 202, taken.text
        await until(lambda: self.called.of("/done"))
        done = await client.get(taken.headers["location"])
        assert done.json()["status"] == "done"

    async def _reloaded(self) -> None:
        self.server.signal(signal.SIGHUP)
        await until(
            lambda: any(json.loads(line)["event"] == "reloaded" for line in self.server.log)
        )

    async def _without_nursery(self, client: httpx.AsyncClient, faces: bytes) -> None:
        """What starts the readers dies, and is made anew for who comes next."""
        await until(lambda: len(self._nurseries()) == 1)
        os.kill(self._nurseries()[0], signal.SIGKILL)
        await _in_the_end(
            lambda: client.post("/v1/detections", content=faces, headers=OCTETS), status=200
        )

    def _nurseries(self) -> list[int]:
        """One, but for the moment in which another takes its place."""
        return [pid for pid in children_of(self.server.pid) if state_of(pid) != "Z"]

    def _readers(self) -> list[int]:
        children = [pid for each in self._nurseries() for pid in children_of(each)]
        return [pid for pid in children if state_of(pid) != "Z"]


async def _in_the_end(ask: Callable[[], Awaitable[httpx.Response]], status: int) -> None:
    async with asyncio.timeout(20):
        while (await ask()).status_code != status:
            pass
