"""The Dockerfile by the linter's rules and this project's. That it builds and that the image serves
is seen by hand: ``python -m tests.operate.containers.build``."""

from __future__ import annotations

import json
import re
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from tests.docs.commands import check
from tests.operate.containers.dockerfile import DOCKERFILE, complaints, copied, inherited, stages
from tests.operate.tools import REPOSITORY, needs_tools

pytestmark = needs_tools

TEXT = DOCKERFILE.read_text()


def test_nothing_is_wrong_with_it() -> None:
    assert complaints(TEXT) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("USER 10001:10001\n", "", "cpu: it runs as root"),
        ("USER 10001:10001", "USER root", "DL3002"),
        ("--require-hashes -r build.txt", "-r build.txt", "wheel: what is installed has no hash"),
        ("--require-hashes -r", "-r", "environment-gpu: what is installed has no hash"),
        ("FROM ${BASE} AS wheel", "FROM python:latest AS wheel", "DL3007"),
        ("FROM ${BASE} AS runtime", "FROM debian:12 AS runtime", "runtime: another base"),
        ("COPY service service", "ADD service service", "wheel: ADD may fetch anything"),
        ("FROM runtime AS cpu", "FROM environment-cpu AS cpu", "cpu: it holds what building left"),
        ("environment-${HARDWARE}", "environment-${CHIP}", "inventory: another base"),
        ("HEALTHCHECK", "LABEL a=", "gpu: nobody asks"),
        ('"/requirements/$each.txt" ||', "/requirements/$each.txt ||", "SC2086"),
        ("EXPOSE 8000", "RUN apt-get install -y curl", "runtime: Debian's packages"),
    ],
)
def test_what_is_wrong_is_noticed(old: str, new: str, said: str) -> None:
    assert old in TEXT
    assert said in "\n".join(complaints(TEXT.replace(old, new)))


def test_it_takes_what_is_let_through_and_no_more() -> None:
    """From the repository; see .dockerignore."""
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert ignored[1] == "*"
    let_through = {line[1:] for line in ignored if line.startswith("!")}
    taken = {source for stage in stages(TEXT) for source in copied(stage)}
    assert {source.split("/")[0] for source in taken} == let_through
    assert all((REPOSITORY / source).exists() for source in taken)


@pytest.mark.parametrize("hardware", ["cpu", "gpu"])
def test_each_target_installs_its_own_pins(hardware: str) -> None:
    every = {stage.name: stage for stage in stages(TEXT)}
    (run, _) = every[f"environment-{hardware}"].all("RUN")
    assert re.search(rf"for each in {hardware} \$\{{EXTRA\}}", run)
    assert (REPOSITORY / "requirements" / f"{hardware}.txt").exists()
    copies = " ".join(every[hardware].all("COPY"))
    assert copies == f"--from=environment-{hardware} /opt/venv /opt/venv"
    assert stages(TEXT)[-1].base == "cpu"


def test_either_image_can_be_listed() -> None:
    every = {stage.name: stage for stage in stages(TEXT)}
    inventory = every["inventory"]
    bases = {inventory.base.replace("${HARDWARE}", hardware) for hardware in ("cpu", "gpu")}
    assert bases == {"environment-cpu", "environment-gpu"}
    # Outside of any stage, or it would be empty in FROM.
    assert re.search(r"^ARG HARDWARE=cpu$", TEXT.partition("\nFROM ")[0], re.M)
    (listing,) = inventory.all("RUN")
    assert listing.endswith("--output-file /bom.json /opt/venv/bin/python")
    assert every["sbom"].all("COPY") == ["--from=inventory /bom.json /bom.json"]


def test_cuda_and_cudnn_come_as_pinned_wheels() -> None:
    pins = (REPOSITORY / "requirements" / "gpu.txt").read_text()
    assert re.search(r"^onnxruntime-gpu==1\.3\d\.", pins, re.M)
    for library in ("cublas==13", "cuda-runtime==13", "cudnn-cu13==9", "cufft==12", "curand==10"):
        assert re.search(rf"^nvidia-{library}\.", pins, re.M), library
    assert not re.search(r"^onnxruntime==", pins, re.M)


def test_it_starts_the_service() -> None:
    every = stages(TEXT)
    (command,) = [value for name, value in inherited(every[-1], every) if name == "CMD"]
    words = json.loads(command)
    check(words)
    assert words[words.index("--port") + 1] == "8000"


@contextmanager
def answering(status: int) -> Iterator[int]:
    """A server that gives this status where liveness is asked for; gives its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/v2/health/live" else 404)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "healthy"), [(200, True), (503, False)])
def test_health_is_what_liveness_says(status: int, healthy: bool) -> None:
    every = stages(TEXT)
    (value,) = [value for name, value in inherited(every[-1], every) if name == "HEALTHCHECK"]
    options, _, command = value.partition(" CMD ")
    assert {word.split("=")[0] for word in shlex.split(options)} >= {"--interval", "--timeout"}
    program, option, code = json.loads(command.replace("\\\n", ""))
    assert (program, option) == ("python", "-c")
    with answering(status) as port, pytest.raises(SystemExit) as ended:
        exec(code.replace("8000", str(port)))
    assert ended.value.code == (not healthy)
