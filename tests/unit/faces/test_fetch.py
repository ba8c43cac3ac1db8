"""Fetching a model from a server on loopback: whole, hashed, or not at all."""

from __future__ import annotations

import hashlib
import io
import threading
import time
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from service.errors import ModelError
from service.faces.fetch import LICENCE, PACKS, Pack, fetch_file, fetch_pack

BODY = bytes(range(256)) * 4000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def packed(member: str, data: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        # By name alone they would bear the time, and two packs of the same differ.
        archive.writestr(zipfile.ZipInfo(f"pack/{member}"), data)
        archive.writestr(zipfile.ZipInfo("pack/other.onnx"), b"other")
    return buffer.getvalue()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/missing":
            self.send_error(404)
            return
        body = packed("det.onnx", BODY) if self.path == "/pack.zip" else BODY
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path == "/slow":
            time.sleep(1.0)
        half = self.path == "/half"
        self.wfile.write(body[: len(body) // 2] if half else body)

    def log_message(self, *_: object) -> None:
        pass


class QuietServer(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that hangs up is part of the test."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with QuietServer(("127.0.0.1", 0), Handler) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_address[1]}"
        running.shutdown()
        thread.join()


def test_a_file_arrives_whole_and_says_how_far_it_is(server: str, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    target = tmp_path / "new" / "model.onnx"
    fetch_file(f"{server}/model", sha256(BODY), target, progress=lambda *given: seen.append(given))
    assert target.read_bytes() == BODY
    assert seen[-1] == (len(BODY), len(BODY))
    assert [path.name for path in target.parent.iterdir()] == ["model.onnx"]


@pytest.mark.parametrize(
    ("path", "digest", "options", "says"),
    [
        ("/model", sha256(b"else"), {}, "SHA-256"),
        ("/half", sha256(BODY), {}, "broke off|IncompleteRead"),
        ("/missing", sha256(BODY), {}, "failed"),
        ("/slow", sha256(BODY), {"timeout": 0.2}, "timed out"),
        ("/slow", sha256(BODY), {"most_seconds": 0.2}, "longer"),
        ("/model", sha256(BODY), {"most_bytes": 1000}, "larger"),
    ],
)
def test_a_failed_download_leaves_what_was_there(
    server: str, tmp_path: Path, path: str, digest: str, options: dict[str, float], says: str
) -> None:
    target = tmp_path / "model.onnx"
    target.write_bytes(b"the old one")
    with pytest.raises(ModelError, match=says):
        fetch_file(server + path, digest, target, **options)  # type: ignore[arg-type]
    assert target.read_bytes() == b"the old one"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_server_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="failed"):
        fetch_file("http://127.0.0.1:9/model", sha256(BODY), tmp_path / "model.onnx")


def test_a_pack_leaves_its_detector_alone(server: str, tmp_path: Path) -> None:
    archive = packed("det.onnx", BODY)
    pack = Pack(f"{server}/pack.zip", sha256(archive), "det.onnx", sha256(BODY))
    assert fetch_pack(pack, tmp_path).read_bytes() == BODY
    assert [path.name for path in tmp_path.iterdir()] == ["det.onnx"]


@pytest.mark.parametrize(
    ("member", "digest", "says"),
    [("det.onnx", sha256(b""), "SHA-256"), ("gone.onnx", sha256(BODY), "holds no gone")],
)
def test_a_pack_without_the_right_detector_leaves_nothing(
    server: str, tmp_path: Path, member: str, digest: str, says: str
) -> None:
    pack = Pack(f"{server}/pack.zip", sha256(packed("det.onnx", BODY)), member, digest)
    with pytest.raises(ModelError, match=says):
        fetch_pack(pack, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_known_packs_are_pinned_and_their_licence_is_told() -> None:
    assert "non-commercial" in LICENCE
    for pack in PACKS.values():
        assert pack.url.startswith("https://github.com/deepinsight/insightface/releases/")
        assert len(pack.sha256) == len(pack.member_sha256) == 64
