"""A cluster of this machine with the application on it, in an environment that has Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.security.server_process import REPOSITORY, ServerProcess, free_port, process

PYTHON = Path(os.environ.get("RAY_PYTHON", REPOSITORY / ".venv-ray" / "bin" / "python"))
"""Of the environment that ``scripts/setup ray`` makes."""

needs_ray = pytest.mark.skipif(
    not PYTHON.exists() and "CI" not in os.environ, reason="needs Ray: scripts/setup ray"
)

START_SECONDS = 150.0


@contextmanager
def cluster(
    folder: Path, environment: Mapping[str, str], *arguments: str
) -> Iterator[ServerProcess]:
    """The application by ``python -m deploy.ray.local``, ready."""
    port = free_port()
    command = [str(PYTHON), "-m", "deploy.ray.local", "--port", str(port), *arguments]
    with process(command, port, folder, environment, START_SECONDS) as server:
        yield server


@contextmanager
def uvicorn(folder: Path, environment: Mapping[str, str]) -> Iterator[ServerProcess]:
    """The application as it is served without Ray, ready."""
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with process(command, port, folder, environment) as server:
        yield server


def inside(words: Sequence[str], environment: Mapping[str, str] | None = None) -> str:
    """What Python prints in the environment that has Ray."""
    variables = {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [str(PYTHON), *words],
        env={**os.environ, **variables, **(environment or {})},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=120,
    ).stdout


def token(server: ServerProcess) -> dict[str, str]:
    """What lets a program ask something of a cluster: its token is in its home."""
    entries = Path(f"/proc/{server.pid}/environ").read_text().split("\0")
    home = dict(entry.split("=", 1) for entry in entries if entry)["HOME"]
    return {"HOME": home, "RAY_AUTH_MODE": "token"}


def place(server: ServerProcess) -> tuple[str, Path]:
    """Address of a cluster, and the folder of its session."""
    line = next(line for line in server.log if line.startswith("Ray: "))
    _, address, folder = line.split()
    return address, Path(folder)


def named(server: ServerProcess, name: str) -> list[int]:
    """Processes of a cluster whose command line has this in it."""
    found = []
    for folder in server.processes():
        with suppress(OSError):
            if name in (folder / "cmdline").read_bytes().decode(errors="replace"):
                found.append(int(folder.name))
    return found


def decoders(server: ServerProcess) -> list[int]:
    """Processes of the replicas that take requests."""
    return named(server, "ServeReplica:deepfake:Decoder")


def networks(server: ServerProcess) -> list[int]:
    """Processes of the replicas that score."""
    return named(server, "ServeReplica:deepfake:Networks")


def object_store(server: ServerProcess) -> bytes:
    """All that is in the memory of the object store, freed or not."""
    for pid in named(server, "raylet/raylet"):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if "/plasma" in os.readlink(descriptor):
                return descriptor.read_bytes()
    raise AssertionError("there is no object store")
