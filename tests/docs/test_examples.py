"""The examples on the pages are run, against one real server where they ask one."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import httpx
import pytest

from service.receipt import new_key
from service.video.encode import encode_video
from tests import media
from tests.docs.pages import Block, all_blocks, documented
from tests.origin.running import RunningSite, running_site
from tests.security.server_process import SEEN, ServerProcess, free_port, process
from tests.unit.model_export.data.trees import faceforensics, official_splits

PROGRAMS = str(Path(sys.executable).parent)
TOGETHER = 2
"""Videos at a time that the server takes of one caller."""

RUN = [block for block in all_blocks() if "prints: " in block.mark]
LIST = """label,url,dataset,group
fake,https://example.org/video.mp4,DFW,will-smith
real,https://example.org/interview.mp4,DFW,will-smith
"""


@dataclass(frozen=True)
class Desk:
    """A reader's folder, with the service at port 8000 and the site that the pages speak of."""

    folder: Path
    server: ServerProcess
    site: RunningSite

    def here(self, text: str) -> str:
        """A text of a page with this test's port, site and programs in the place of the page's."""
        port = self.server.url.rpartition(":")[2]
        text = text.replace("8000", port).replace(".venv/bin/", "")
        return re.sub(
            r"https://example\.org/(\w+)\.mp4", lambda name: self.site.url("ranges", name[1]), text
        )


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    folder = tmp_path_factory.mktemp("desk")
    private, public = new_key()
    (folder / "key.pem").write_bytes(private)
    (folder / "key.pub").write_text(public)
    pairs = {"train": [("000", "003")], "val": [("750", "751")], "test": [("875", "876")]}
    faceforensics(folder / "FaceForensics++", chain(*pairs.values()), methods=("DF", "NT"))
    official_splits(folder / "FaceForensics++/splits", pairs)
    # One face of the six: examples are many.
    video = encode_video([frame[40:200, 100:220] for frame in media.group_frames(10)])
    (folder / "video.mp4").write_bytes(video)
    port = free_port()
    words = [*SEEN, sys.executable, "-m", "service", "serve", "--port", str(port)]
    with running_site() as site:
        site.put(video)
        site.put(video, "interview")
        settings = {
            "DEEPFAKE_AUTH__CONCURRENCY": str(TOGETHER),
            "DEEPFAKE_FETCH__LOOPBACK": "true",
            "DEEPFAKE_FETCH__PORTS": f"[80, 443, {site.port}]",
            "DEEPFAKE_RECEIPT__KEY": str(folder / "key.pem"),
        }
        with process(words, port, tmp_path_factory.mktemp("server"), settings) as server:
            made = Desk(folder, server, site)
            (folder / "dfw.csv").write_text(made.here(LIST))
            yield made


def program(name: str) -> str:
    """Where it is; what is not needed to work on the service may be missing outside of CI."""
    found = shutil.which(name)
    if found is None and not os.environ.get("CI"):
        pytest.skip(f"{name} is not installed")
    assert found is not None, f"{name} is not installed"
    return found


def command(block: Block, desk: Desk) -> list[str]:
    """What runs it; a program of several lines is written into the folder."""
    text = desk.here(block.shell)
    if block.language == "python":
        script = desk.folder / "example.py"
        script.write_text(text)
        return [sys.executable, str(script)]
    if block.language == "javascript":
        module = desk.folder / "example.mjs"
        module.write_text(text)
        return [program("node"), str(module)]
    for name in ("curl", "lsof"):
        if name in text:
            program(name)
    return [program("bash"), "-euo", "pipefail", "-c", text]


def run(words: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        words,
        cwd=folder,
        env=dict(os.environ) | {"PATH": f"{PROGRAMS}:{os.environ['PATH']}", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_it_prints_what_it_should(block: Block, desk: Desk) -> None:
    when, _, expected = block.mark.partition("prints: ")
    words = command(block, desk)
    with ExitStack() as stack:
        if when:
            stack.enter_context(turned_away_at_first(desk.server))
        done = run(words, desk.folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.search(expected, done.stdout, re.MULTILINE), done.stdout + done.stderr


@contextmanager
def turned_away_at_first(server: ServerProcess) -> Iterator[None]:
    """This address has as many videos in work as it may have, until one more is refused."""
    port = int(server.url.rpartition(":")[2])
    head = (
        b"POST /v1/detections HTTP/1.1\r\nHost: a\r\nContent-Type: video/mp4\r\n"
        b"Content-Length: 100000\r\n\r\n"
    )
    wait_for(lambda: held(server) == 0)
    before = refused(server)
    with ExitStack() as stack:
        for _ in range(TOGETHER):
            slow = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            slow.sendall(head)
        wait_for(lambda: held(server) == TOGETHER)

        def make_room() -> None:
            with stack:
                wait_for(lambda: refused(server) > before)

        waiting = threading.Thread(target=make_room)
        waiting.start()
        yield
        waiting.join()
    assert refused(server) > before, "it was never turned away"


def wait_for(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def held(server: ServerProcess) -> float:
    return value(server, "deepfake_videos_held ")


def refused(server: ServerProcess) -> float:
    return value(server, 'deepfake_shed_total{reason="caller_concurrency"} ')


def value(server: ServerProcess, name: str) -> float:
    """A value of the service's metrics; 0 where it has none yet."""
    for line in httpx.get(f"{server.url}/metrics").text.splitlines():
        if line.startswith(name):
            return float(line.removeprefix(name))
    return 0.0


def test_all_there_is_about_a_video(desk: Desk) -> None:
    done = run(
        ["deepfake-service", "score", "video.mp4", "--json", "--full", "--explain"], desk.folder
    )
    assert done.returncode == 0, done.stderr
    (face,) = json.loads(done.stdout)["faces"]
    assert face["boxes"]
    assert all(each["clips"] and each["cam_png"] for each in face["segments"])


def test_the_demo_tells_which_face_was_forged(tmp_path: Path) -> None:
    done = run(["deepfake-service", "demo"], tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"Truly forged: face \d\. The model ranks it 1 of 6", done.stdout), done.stdout


def test_metrics_that_are_named_are_there(desk: Desk) -> None:
    text = httpx.get(f"{desk.server.url}/metrics").text
    known = set(re.findall(r"^# TYPE (\w+)", text, re.MULTILINE))
    assert len(known) > 20
    for page in documented():
        # Behind a colon it is the name of a recording rule.
        for name in re.findall(
            r"(?<![:\w])(?:deepfake|http_request)s?_[a-z_]+[a-z]\b", page.read_text()
        ):
            plain = re.sub(r"_(bucket|count|sum)$", "", name)
            assert {name, plain} & known, f"{page.name}: {name}"
