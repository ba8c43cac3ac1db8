"""A server in a process of its own, and what that process does to the disk and the network."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx

SEEN = () if os.geteuid() == 0 else ("unshare", "--user", "--map-root-user")
"""Prefix of a command whose process can be looked into: it is not dumpable, so that nobody but the
owner of its user namespace can."""

REPOSITORY = Path(__file__).resolve().parents[2]


def free_port() -> int:
    """A port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@dataclass
class Trace:
    """What a process did to the disk and the network while it was watched."""

    written: int = 0
    """Bytes."""
    files: set[str] = field(default_factory=set)
    """Left in its working or temporary folder."""
    opened: set[str] = field(default_factory=set)
    """Regular files, deleted ones as well, that it held open for writing at some moment."""
    sockets: set[str] = field(default_factory=set)
    """Of the internet that it had at some moment, those at its own port left out."""

    @property
    def clean(self) -> bool:
        """Whether nothing of note was written, left or opened."""
        return self.written < 64 * 1024 and not self.files and not self.opened and not self.sockets


class ServerProcess:
    """A running server."""

    def __init__(self, running: subprocess.Popen[bytes], port: int, folder: Path) -> None:
        self._running = running
        self.pid, self._port = running.pid, port
        self.url = f"http://127.0.0.1:{port}"
        self.log: list[str] = []
        """Lines that it wrote on standard error."""
        self._folder = folder
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def signal(self, number: int) -> None:
        """Send it a signal."""
        self._running.send_signal(number)

    def ended(self, seconds: float) -> int:
        """Wait for its end; its exit status. Raises ``TimeoutExpired``."""
        status = self._running.wait(seconds)
        self._reader.join(seconds)
        return status

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._running.poll() is None

    def _read(self) -> None:
        assert self._running.stderr is not None
        # A pipe that nobody reads would stop the server once it is full.
        with self._running.stderr as lines:
            for line in lines:
                self.log.append(line.decode(errors="replace").rstrip())

    @contextmanager
    def watched(self) -> Iterator[Trace]:
        """Watch the process during the block; the trace is complete after it."""
        trace = Trace()
        files, opened, written = self._files(), self._open_files(), self._written()
        ended = threading.Event()

        def look() -> None:
            while not ended.is_set():
                trace.opened |= self._open_files() - opened
                trace.sockets |= self._sockets()
                time.sleep(0.001)

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield trace
        finally:
            ended.set()
            watcher.join()
            trace.written = self._written() - written
            trace.files = self._files() - files

    def limits(self, name: str) -> list[list[str]]:
        """Soft and hard value of a resource limit, as the kernel names it, of each process."""
        found = []
        for process in self.processes():
            lines = (process / "limits").read_text().splitlines()
            line = next(line for line in lines if line.startswith(name))
            found.append(line.removeprefix(name).split()[:2])
        return found

    def processes(self) -> list[Path]:
        """Folders in /proc of the server and all that come from it, such as those that read
        videos; the server first."""
        found = []
        waiting = [str(self.pid)]
        while waiting:
            process = Path("/proc", waiting.pop())
            found.append(process)
            for thread in _threads(process):
                with suppress(OSError):
                    waiting += (thread / "children").read_text().split()
        return found

    def memory(self) -> int:
        """Bytes of memory that the server itself holds, those that read videos left out."""
        line = Path("/proc", str(self.pid), "statm").read_text()
        return int(line.split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def _written(self) -> int:
        # What a process wrote that has ended is counted for the one that waited for it.
        total = 0
        for process in self.processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                lines = (process / "io").read_text().splitlines()
                total += int(dict(line.split(": ") for line in lines)["write_bytes"])
        return total

    def _files(self) -> set[str]:
        return {str(path) for path in self._folder.rglob("*")}

    def _descriptors(self) -> Iterator[Path]:
        for process in self.processes():
            with suppress(FileNotFoundError, ProcessLookupError):
                yield from (process / "fd").iterdir()

    def _open_files(self) -> set[str]:
        return set().union(*map(_written_to, self._descriptors()))

    def _sockets(self) -> set[str]:
        """The server accepts at its own port alone; nobody else has any business there."""
        known = _internet_sockets(self.pid)
        own = f":{self._port:04X}"
        held = {known[target] for target in map(_target, self._descriptors()) if target in known}
        return {each for each in held if not each.split()[1].endswith(own)}


def _threads(process: Path) -> list[Path]:
    """None of a process that has ended meanwhile."""
    with suppress(FileNotFoundError, ProcessLookupError):
        return list((process / "task").iterdir())
    return []


def _target(entry: Path) -> str:
    try:
        return os.readlink(entry)
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _internet_sockets(pid: int) -> dict[str, str]:
    """Kind and local address of each that is in the network of a process, by what a descriptor of
    it links to."""
    found = {}
    for kind in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        with suppress(FileNotFoundError):
            for line in Path(f"/proc/{pid}/net/{kind}").read_text().splitlines()[1:]:
                fields = line.split()
                found[f"socket:[{fields[9]}]"] = f"{kind} {fields[1]}"
    return found


def _written_to(entry: Path) -> set[str]:
    """The regular file behind a descriptor that is open for writing, if it is one."""
    try:
        target = os.readlink(entry)
        flags = (entry.parent.parent / "fdinfo" / entry.name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return set()
    # Modules imported late are opened for reading only.
    writable = int(flags.split("flags:")[1].split()[0], 8) & os.O_ACCMODE
    kernel = target.startswith(("/dev/", "/proc/")) or not target.startswith("/")
    return {target} if writable and not kernel else set()


@contextmanager
def process(
    command: list[str],
    port: int,
    folder: Path,
    environment: Mapping[str, str],
    seconds: float = 60,
) -> Iterator[ServerProcess]:
    """Run a server until the end of the block; ``folder`` is its home, work and temporary one. It
    must be ready after so many seconds."""
    variables = dict(os.environ) | {
        "PYTHONPATH": str(REPOSITORY),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TMPDIR": str(folder),
        "HOME": str(folder),
    }
    running = subprocess.Popen(
        command,
        cwd=folder,
        env=variables | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    server = ServerProcess(running, port, folder)
    try:
        deadline = time.monotonic() + seconds
        while True:
            assert server.running, "\n".join(server.log)
            assert time.monotonic() < deadline
            try:
                if httpx.get(f"http://127.0.0.1:{port}/v2/health/ready").status_code == 200:
                    break
            except httpx.TransportError:
                pass
            time.sleep(0.05)
        yield server
    finally:
        running.terminate()
        try:
            server.ended(40)
        except subprocess.TimeoutExpired:
            running.kill()
            raise
