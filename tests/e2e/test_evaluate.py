"""Evaluations end to end: the command line, a real server, a real site, real faces."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests import media
from tests.onnx_models import brightness_model
from tests.origin.running import RunningSite, running_site
from tests.security.server_process import REPOSITORY, ServerProcess, free_port, process

VIDEOS = 200
BROKEN = 20
KINDS = 8
SECRET = "canary-in-a-url"


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        for number in range(KINDS):
            frames = media.group_frames(8, drift=number / 8)
            # Brightness is the score of the model below.
            dimmed = [(frame * (0.3 + 0.1 * number)).astype("uint8") for frame in frames]
            running.put(media.encode_video(dimmed), f"v{number}")
        running.put(b"no video at all", "text")
        yield running


@pytest.fixture(scope="module")
def listed(site: RunningSite) -> str:
    """200 videos, every tenth of which cannot be had, in one way or another."""
    broken = [
        site.url("whole", "text"),
        site.url("absent", "nothing"),
        "http://10.1.2.3/private.mp4",
        f"http://127.0.0.1:1/{SECRET}",
    ]
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["id", "label", "url", "dataset", "group"])
    for number in range(VIDEOS):
        kind = number % KINDS
        url = site.url("ranges", f"v{kind}") + f"?{SECRET}"
        if number % 10 == 7:
            url = broken[number // 10 % len(broken)]
        label = "fake" if (kind + number // 60) % 2 else "real"
        writer.writerow([f"n{number}", label, url, "DFW" if number % 3 else "FF", f"g{number % 9}"])
    return text.getvalue()


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("model") / "brightness.onnx"
    path.write_bytes(brightness_model())
    return path


def environment(site: RunningSite) -> dict[str, str]:
    return {
        "DEEPFAKE_FETCH__LOOPBACK": "true",
        "DEEPFAKE_FETCH__PORTS": f"[80, 443, {site.port}]",
        "DEEPFAKE_FETCH__IDLE_SECONDS": "5",
    }


class Command:
    """``deepfake-service evaluate`` on a list."""

    def __init__(
        self, folder: Path, text: str, settings: dict[str, str], *more: str, out: str = "out"
    ) -> None:
        self.folder, self.out = folder, folder / out
        (folder / "list.csv").write_text(text)
        self._arguments = [sys.executable, "-m", "service", "evaluate", "list.csv", "--out", out]
        self._arguments += more
        self._environment = {**os.environ, "PYTHONPATH": str(REPOSITORY), **settings}

    def start(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            self._arguments,
            cwd=self.folder,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, status: int = 0) -> str:
        started = self.start()
        output, _ = started.communicate(timeout=600)
        assert started.returncode == status, output
        return output

    def count(self) -> int:
        """Rows so far."""
        path = self.out / "rows.jsonl"
        return path.read_bytes().count(b"\n") - 1 if path.exists() else 0

    def rows(self) -> list[dict[str, Any]]:
        whole, _ = (self.out / "rows.jsonl").read_text().rsplit("\n", 1)
        return [json.loads(line) for line in whole.splitlines()[1:]]

    def told(self) -> dict[str, Any]:
        """Everything but how long it took."""
        return {
            row["id"]: {key: row[key] for key in row if key not in ("seconds", "attempts")}
            for row in self.rows()
        }


@pytest.fixture(scope="module")
def undisturbed(
    site: RunningSite, listed: str, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Command:
    command = Command(
        tmp_path_factory.mktemp("whole"), listed, environment(site), "--model", str(model)
    )
    command.run()
    return command


def test_every_video_has_its_row(undisturbed: Command) -> None:
    rows = undisturbed.told()
    assert set(rows) == {f"n{number}" for number in range(VIDEOS)}
    errors = [row["code"] for row in rows.values() if row["status"] == "error"]
    assert len(errors) == BROKEN
    assert set(errors) == {"undecodable", "origin_failed", "url_blocked"}
    assert {row["status"] for row in rows.values()} == {"ok", "error"}


def test_the_reports_are_of_all_of_it(undisturbed: Command) -> None:
    result = json.loads((undisturbed.out / "result.json").read_text())
    overall = result["groups"][0]
    assert overall["coverage"]["items"] == VIDEOS
    assert overall["coverage"]["errors"] == BROKEN
    video = overall["measures"][2]
    assert video["counts"]["people"] == 9
    assert video["auc"]["low"] < video["auc"]["value"] < video["auc"]["high"]
    assert [group["dataset"] for group in result["groups"]] == [None, "DFW", "FF"]
    page = (undisturbed.out / "report.html").read_text()
    assert "CLRNet" in page
    assert page.count("data:image/png") == 3
    for file in undisturbed.out.iterdir():
        assert SECRET not in file.read_text(errors="replace")


def test_killed_half_way_and_taken_up_it_gives_the_same_table(
    undisturbed: Command, site: RunningSite, listed: str, model: Path, tmp_path: Path
) -> None:
    command = Command(tmp_path, listed, environment(site), "--model", str(model))
    started = command.start()
    deadline = time.monotonic() + 300
    while command.count() < VIDEOS // 2:
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.05)
    started.send_signal(signal.SIGKILL)
    started.communicate()
    done = len(command.rows())
    assert VIDEOS // 2 - 2 <= done < VIDEOS
    before = (command.out / "rows.jsonl").read_bytes()
    command.run()
    assert (command.out / "rows.jsonl").read_bytes().startswith(before[: before.rindex(b"\n")])
    assert len(command.rows()) == VIDEOS
    assert command.told() == undisturbed.told()
    for name in ("result.json", "report.md", "scores.png", "roc.png", "mistakes.png"):
        assert (command.out / name).read_bytes() == (undisturbed.out / name).read_bytes()


@pytest.fixture(scope="module")
def server(
    site: RunningSite, model: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    settings = environment(site) | {"DEEPFAKE_MODEL__PATH": str(model)}
    with process(command, port, tmp_path_factory.mktemp("server"), settings) as running:
        yield running


def scores(rows: dict[str, Any]) -> dict[str, Any]:
    return {name: (row["status"], row["code"], row["faces"]) for name, row in rows.items()}


def test_a_running_service_gives_the_same_scores(
    undisturbed: Command, server: ServerProcess, listed: str, tmp_path: Path
) -> None:
    some = "".join(listed.splitlines(keepends=True)[:41])
    command = Command(tmp_path, some, {}, "--server", server.url)
    command.run()
    rows = command.told()
    assert len(rows) == 40
    assert scores(rows) == {name: scores(undisturbed.told())[name] for name in rows}


def test_over_http_the_same_comes_as_lines_and_nothing_is_written(
    undisturbed: Command, server: ServerProcess, listed: str
) -> None:
    some = "".join(listed.splitlines(keepends=True)[:31])
    with server.watched() as trace:
        answer = httpx.post(
            f"{server.url}/v1/evaluations",
            content=some,
            headers={"Content-Type": "text/csv"},
            timeout=300,
        )
    _, *rows, result = map(json.loads, answer.text.splitlines())
    found = {row["id"]: row for row in rows if row["event"] == "item"}
    assert scores(found) == {name: scores(undisturbed.told())[name] for name in found}
    assert len(found) == 30
    assert result["event"] == "result"
    assert trace.written < 64 * 1024
    assert not trace.files
    assert not trace.opened
    assert SECRET not in answer.text
    assert not [line for line in server.log if SECRET in line or "/ranges/" in line]


def test_a_client_that_goes_ends_it(server: ServerProcess, listed: str) -> None:
    with httpx.stream(
        "POST",
        f"{server.url}/v1/evaluations",
        content=listed,
        headers={"Content-Type": "text/csv"},
        timeout=60,
    ) as answer:
        lines = answer.iter_lines()
        assert [json.loads(next(lines))["event"] for _ in range(3)][-1] == "item"
    deadline = time.monotonic() + 3
    while time.monotonic() < deadline:
        gauges = httpx.get(f"{server.url}/metrics").text
        if "deepfake_videos_held 0.0" in gauges:
            break
        time.sleep(0.1)
    else:
        pytest.fail("videos of the list are still in work")
    time.sleep(0.5)
    assert "deepfake_videos_held 0.0" in httpx.get(f"{server.url}/metrics").text


def test_files_are_uploaded_and_relative_to_the_list(
    server: ServerProcess, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "a.mp4").write_bytes(media.group_video(8))
    text = "label,path\nfake,videos/a.mp4\nreal,videos/absent.mp4\n"
    by_server = Command(tmp_path, text, {}, "--server", server.url)
    by_server.run()
    first = by_server.told()
    assert (first["1"]["status"], first["2"]["code"]) == ("ok", "malformed_request")
    here = Command(tmp_path, text, {}, "--model", str(model), out="here")
    here.run()
    assert scores(here.told()) == scores(first)


def test_what_stops_it_is_said(tmp_path: Path, model: Path) -> None:
    good = "label,url\nfake,http://127.0.0.1:1/x\n"
    assert "line 2" in Command(tmp_path, "label,url\nno,x\n", {}).run(1)
    gone = f"http://127.0.0.1:{free_port()}"
    assert "cannot be reached" in Command(tmp_path, good, {}, "--server", gone).run(1)
    missing = Command(tmp_path, good, {}, "--model", str(tmp_path / "absent.onnx")).run(1)
    assert "Stopped" in missing
    assert "Traceback" not in missing


def test_another_list_or_model_is_not_mixed_in(
    site: RunningSite, model: Path, tmp_path: Path
) -> None:
    text = f"label,url\nfake,{site.url('ranges', 'v1')}\n"
    Command(tmp_path, text, environment(site), "--model", str(model)).run()
    other = Command(tmp_path, text + text.splitlines()[1], environment(site), "--model", str(model))
    assert "another evaluation (list)" in other.run(1)
    assert len(other.rows()) == 1
