"""A real Prometheus of the machine's, and what is asked of it."""

from __future__ import annotations

import math
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from tests.security.server_process import REPOSITORY, free_port

FOLDER = REPOSITORY / "deploy" / "prometheus"


def program(name: str) -> str:
    """Where a program of Debian's package ``prometheus`` is. Where CI is set it has to be there."""
    path = shutil.which(name)
    if path is None:
        missing = f"needs {name}: apt install prometheus"
        if "CI" in os.environ:
            pytest.fail(missing)
        pytest.skip(missing)
    return path


def promtool(*arguments: str | Path, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run promtool; ``text`` is what it reads. What it says on either stream is in ``stdout``."""
    return subprocess.run(
        [program("promtool"), *arguments],
        input=text,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )


def rules(file: str) -> list[dict[str, Any]]:
    """All rules of a file beside the configuration."""
    groups = yaml.safe_load((FOLDER / file).read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


class Prometheus:
    """A running one."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, timeout=30)

    def close(self) -> None:
        """Ask nothing more."""
        self._client.close()

    def ready(self) -> bool:
        """Whether it answers."""
        with suppress(httpx.TransportError):
            return self._client.get("/-/ready").status_code == 200
        return False

    def get(self, path: str, **parameters: object) -> Any:
        """The data of an answer of its API."""
        answer = self._client.get(f"/api/v1/{path}", params=parameters)  # type: ignore[arg-type]
        said = answer.json()
        assert said["status"] == "success", (parameters, said)
        return said["data"]

    def instant(self, query: str) -> float:
        """The one value of a query now; NaN where there is none."""
        found = self.get("query", query=query)["result"]
        return float(found[0]["value"][1]) if found else math.nan

    def courses(self, query: str, start: float, end: float) -> list[dict[float, float]]:
        """The values of each series of a query by time, second by second; those that are no numbers
        are left out, as a panel leaves them out."""
        found = self.get("query_range", query=query, start=start, end=end, step=1)["result"]
        series = [{at: float(value) for at, value in each["values"]} for each in found]
        return [
            {at: value for at, value in each.items() if math.isfinite(value)}
            for each in series
            if any(map(math.isfinite, each.values()))
        ]

    def values(self, label: str, match: str) -> list[str]:
        """The values of a label of the series that match."""
        found: list[str] = self.get(f"label/{label}/values", **{"match[]": match})
        return found

    def wait(self, query: str, seconds: float = 20) -> None:
        """Until a query has a value that is not 0."""
        deadline = time.monotonic() + seconds
        while not abs(self.instant(query)) > 0:
            assert time.monotonic() < deadline, query
            time.sleep(0.2)


@contextmanager
def running(folder: Path, targets: Mapping[str, str]) -> Iterator[Prometheus]:
    """One with the committed configuration and rules, but for the addresses of the targets, by job,
    and the time between looks, a second. It keeps its data below ``folder``."""
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [targets[job["job_name"]]]}]
    for file in config["rule_files"]:
        text = (FOLDER / file).read_text()
        (folder / file).write_text(text.replace("interval: 1m", "interval: 1s"))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        program("prometheus"),
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--log.level=warn",
    ]
    log = folder / "log"
    with log.open("w") as lines:
        process = subprocess.Popen(command, cwd=folder, stdout=lines, stderr=lines)
    found = Prometheus(f"http://{address}")
    try:
        deadline = time.monotonic() + 30
        while not found.ready():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.1)
        yield found
    finally:
        found.close()
        process.terminate()
        process.wait(30)
