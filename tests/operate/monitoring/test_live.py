"""A real Prometheus looks at a real service at work: every query of every panel tells of it."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest

from tests.e2e.receiver import receiver
from tests.operate.monitoring import dashboards
from tests.operate.monitoring.dashboards import Query
from tests.operate.monitoring.history import remember
from tests.operate.monitoring.load import Load
from tests.operate.monitoring.prometheus import Prometheus, program, promtool, running
from tests.origin.running import running_site
from tests.security.server_process import free_port, process

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

SECRET = "a secret of callers that is long enough"
EXPOSITION = Path(__file__).parent / "dcgm.prom"

STEADY = {
    "Replicas ready": "it is ready all the time",
    "Alerts": "most wait for minutes before they fire",
    "Slow videos against the objective": "none takes 30 s",
    "Latency budget left": "none takes 30 s",
    "Replicas": "one, since before the load",
    "Models": "one, since before the load",
    "Operating point": "of one model",
}
"""Panels that load does not move, and why."""
BOUNDS = ("limit", "week before")
"""Ends of legends of what load does not move."""


@dataclass(frozen=True)
class Live:
    """A Prometheus, and the seconds from before the load until after it."""

    prometheus: Prometheus
    server: str
    start: float
    end: float

    def queries(self, name: str) -> list[Query]:
        """Those of a dashboard, as Grafana would send them for these seconds."""
        dashboard = dashboards.read(name)
        times = {"__rate_interval": "10s", "__range": f"{round(self.end - self.start)}s"}
        found = dashboards.variables(dashboard, self.prometheus)
        return list(dashboards.queries(dashboard, found | times))

    def courses(self, query: Query) -> list[dict[float, float]]:
        """Values by time of each of its series."""
        return self.prometheus.courses(query.text, self.start, self.end)


@contextmanager
def exporter() -> Iterator[str]:
    """The address of who tells of GPUs as DCGM exporter would."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            text = EXPOSITION.read_bytes()
            self.send_response(200)
            self.send_header("Content-Type", "text/plain; version=0.0.4")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    program("prometheus")
    folder = tmp_path_factory.mktemp("prometheus")
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with running_site() as site, receiver() as called, exporter() as gpus:
        settings = {
            "DEEPFAKE_LIMITS__CONCURRENCY": "2",
            "DEEPFAKE_LIMITS__WAITING": "1",
            "DEEPFAKE_LIMITS__CALLER_SHARE": "1",
            "DEEPFAKE_FETCH__LOOPBACK": "true",
            "DEEPFAKE_FETCH__PORTS": f"[{site.port}, {called.port}]",
            "DEEPFAKE_WEBHOOK__SECRET": SECRET,
        }
        with process(command, port, tmp_path_factory.mktemp("service"), settings) as server:
            remember(folder, server.url)
            address = server.url.removeprefix("http://")
            with running(folder, {"deepfake": address, "dcgm": gpus}) as prometheus:
                prometheus.wait('count_over_time(up{job="deepfake"}[1m]) > 1')
                prometheus.wait("model:deepfake_score:median1w")
                start = time.time()
                asyncio.run(Load(server, site, called).run())
                # Until what is recorded of the last look has been looked at as well.
                time.sleep(3)
                yield Live(prometheus, server.url, start, time.time())


def test_every_target_answers_and_every_rule_is_well(live: Live) -> None:
    targets = live.prometheus.get("targets", state="active")["activeTargets"]
    assert {each["labels"]["job"]: each["health"] for each in targets} == {
        "deepfake": "up",
        "dcgm": "up",
    }
    groups = live.prometheus.get("rules")["groups"]
    health = {rule["name"]: rule["health"] for group in groups for rule in group["rules"]}
    assert set(health.values()) == {"ok"}
    assert len(health) > 30


@pytest.mark.parametrize("name", ["deepfake-service", "deepfake-model"])
def test_every_panel_shows_the_load(live: Live, name: str) -> None:
    empty, still = [], []
    for query in live.queries(name):
        courses = live.courses(query)
        if not courses:
            empty.append((query.panel, query.legend))
        elif not any(_moved(each, live.start) for each in courses) and not _steady(query):
            still.append((query.panel, query.legend))
    assert (empty, still) == ([], []), "no data, or not moved by the load"


def _moved(course: Mapping[float, float], start: float) -> bool:
    """It has several values, or none from before the load, such as a share of nothing."""
    return max(course.values()) - min(course.values()) > 1e-9 or min(course) > start + 0.5


def _steady(query: Query) -> bool:
    return query.panel in STEADY or query.legend.endswith(BOUNDS)


def test_every_gpu_panel_has_data(live: Live) -> None:
    empty = [query.panel for query in live.queries("deepfake-gpu") if not live.courses(query)]
    assert not empty


def test_a_death_is_told_at_once(live: Live) -> None:
    alerts = live.prometheus.get("alerts")["alerts"]
    firing = {each["labels"]["alertname"] for each in alerts if each["state"] == "firing"}
    assert "DeepfakeWorkersRestarted" in firing
    # Nothing is down, and a processor that was asked for is no fallback.
    assert firing <= {"DeepfakeWorkersRestarted", "DeepfakeWorkersLost"}


def test_what_the_service_shows_is_well_formed(live: Live) -> None:
    done = promtool("check", "metrics", text=httpx.get(f"{live.server}/metrics").text)
    assert (done.returncode, done.stdout) == (0, "")
