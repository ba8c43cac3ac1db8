"""All replicas are replaced, one after the other, and nobody who waits and asks again notices."""

from __future__ import annotations

import itertools
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from tests import media
from tests.security.server_process import ServerProcess, free_port, process

REPLICAS = 2
CLIENTS = 4
UNROUTED = 0.5
"""Seconds until requests go nowhere near a replica that is to end, as until an orchestrator's
routes have changed everywhere."""
PAUSE = 1.0
"""Seconds between the decision to end a replica and its signal: the chart's ``preStop``."""
OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass
class Balancer:
    """Requests go to each of ``targets`` in turn, from clients that ask again and again."""

    video: bytes
    targets: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)
    """Whatever is neither a report nor a refusal that says when to come again."""

    @contextmanager
    def loaded(self) -> Iterator[None]:
        """Clients ask during the block; those that wait at its end get their answers."""
        over, turns = threading.Event(), itertools.count()

        def ask() -> None:
            while not over.is_set():
                targets = list(self.targets)
                self._ask(targets[next(turns) % len(targets)])

        clients = [threading.Thread(target=ask) for _ in range(CLIENTS)]
        for client in clients:
            client.start()
        try:
            yield
        finally:
            over.set()
            for client in clients:
                client.join()

    def _ask(self, target: str) -> None:
        try:
            answer = httpx.post(
                f"{target}/v1/detections", content=self.video, headers=OCTETS, timeout=60
            )
        except httpx.HTTPError as error:
            self.broken.append(repr(error))
            return
        self.statuses.append(answer.status_code)
        refused = answer.status_code in (429, 503) and "retry-after" in answer.headers
        if not refused and (answer.status_code != 200 or not answer.json()["faces"]):
            self.broken.append(f"{answer.status_code}: {answer.text[:200]}")


@contextmanager
def replica(folder: Path) -> Iterator[ServerProcess]:
    port = free_port()
    folder.mkdir()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with process(command, port, folder, {"DEEPFAKE_LIMITS__WAITING": "2"}) as running:
        yield running


def test_a_rolling_restart_under_load_fails_no_request(tmp_path: Path) -> None:
    balancer = Balancer(media.group_video(8))
    with ExitStack() as stack:
        old = [
            stack.enter_context(replica(tmp_path / f"old-{number}")) for number in range(REPLICAS)
        ]
        balancer.targets += [each.url for each in old]
        with balancer.loaded():
            for number, server in enumerate(old):
                new = stack.enter_context(replica(tmp_path / f"new-{number}"))
                balancer.targets.append(new.url)
                time.sleep(UNROUTED)
                balancer.targets.remove(server.url)
                time.sleep(PAUSE - UNROUTED)
                server.signal(signal.SIGTERM)
                assert server.ended(45) == 0
            before = len(balancer.statuses)
            while len(balancer.statuses) < before + CLIENTS:
                time.sleep(0.05)
    assert not balancer.broken
    assert balancer.statuses.count(200) > 2 * CLIENTS


def test_a_replica_that_is_asked_while_it_drains_says_when_to_come_again(tmp_path: Path) -> None:
    """For routes that change later than they should."""
    balancer = Balancer(media.group_video(25))
    with replica(tmp_path / "one") as server:
        balancer.targets.append(server.url)
        with ExitStack() as load:
            load.enter_context(balancer.loaded())
            while not balancer.statuses:
                time.sleep(0.05)
            server.signal(signal.SIGTERM)
            while 503 not in balancer.statuses and not balancer.broken:
                time.sleep(0.01)
        assert 503 in balancer.statuses
        assert server.ended(45) == 0
