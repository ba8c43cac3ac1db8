"""Receipts as a client gets them, and as whoever is shown one later checks them."""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from service import __version__
from service.engine import DetectionOptions
from service.receipt import LARGEST, Receipt
from service.report import Report
from service.signing import Signer
from tests import media
from tests.onnx_models import brightness_model
from tests.origin.running import RunningSite, running_site
from tests.security.server_process import ServerProcess, free_port, process

OCTETS = {"Content-Type": "application/octet-stream"}


def run(*arguments: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        env={"PYTHONIOENCODING": "ascii"} | settings,
    )


@dataclass
class Key:
    file: Path
    public: str


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Key:
    file = tmp_path_factory.mktemp("keys") / "key.pem"
    made = run("receipt-key", file)
    assert made.returncode == 0, made.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    return Key(file, made.stdout.strip())


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "brightness.onnx"
    path.write_bytes(brightness_model())
    return path


@pytest.fixture(scope="module")
def site() -> Iterator[RunningSite]:
    with running_site() as running:
        yield running


@pytest.fixture(scope="module")
def settings(key: Key, model: Path, site: RunningSite) -> dict[str, str]:
    return {
        "DEEPFAKE_MODEL__PATH": str(model),
        "DEEPFAKE_RECEIPT__KEY": str(key.file),
        "DEEPFAKE_FETCH__LOOPBACK": "true",
        "DEEPFAKE_FETCH__PORTS": f"[{site.port}]",
    }


@pytest.fixture(scope="module")
def server(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with process(command, port, tmp_path_factory.mktemp("server"), settings) as running:
        yield running


@pytest.fixture(scope="module")
def video() -> bytes:
    return media.group_video(30)


@pytest.fixture(scope="module")
def long() -> bytes:
    """Of which a few frames need few bytes."""
    return media.repeated_video(media.group_frames(25), seconds=200, size=20_000_000)


def checked(report: dict[str, Any], whole: bytes, key: Key, model: Path) -> dict[str, Any]:
    """A receipt that says what the report says, of these very bytes, signed with this key."""
    receipt: dict[str, Any] = report["receipt"]
    assert receipt["media_sha256"] == hashlib.sha256(whole).hexdigest()
    assert receipt["media_bytes"] == len(whole)
    assert report["media"]["sha256"] == receipt["media_sha256"]
    (scorer,) = receipt["models"]
    assert scorer["sha256"] == hashlib.sha256(model.read_bytes()).hexdigest()
    assert receipt["software"] == f"clrnet-deepfake {__version__}"
    assert receipt["options"]["sampling"] == report["coverage"]["sampling"]
    assert (receipt["verdict"], receipt["score"]) == (report["verdict"], report["score"])
    assert [face["score"] for face in receipt["faces"]] == [f["score"] for f in report["faces"]]
    assert receipt["faces"]
    made = time.mktime(time.strptime(receipt["time"], "%Y-%m-%dT%H:%M:%S+00:00")) - time.timezone
    assert abs(made - time.time()) < 120
    assert receipt["key"] == key.public
    content = {name: value for name, value in receipt.items() if name != "signature"}
    text = json.dumps(content, sort_keys=True, separators=(",", ":")).encode("ascii")
    private = Signer.load(key.file)._key
    private.public_key().verify(base64.b64decode(receipt["signature"]), text)
    return receipt


def posted(server: ServerProcess, headers: dict[str, str] | None = None, **body: Any) -> Any:
    query = {"receipt": "true", "sampling": "paper"}
    return httpx.post(
        f"{server.url}/v1/detections", params=query, headers=headers, timeout=120, **body
    )


def test_an_upload_gets_its_receipt(
    server: ServerProcess, video: bytes, key: Key, model: Path
) -> None:
    response = posted(server, OCTETS, content=video)
    checked(response.json(), video, key, model)


def test_for_a_receipt_every_byte_behind_a_url_is_read(
    server: ServerProcess, site: RunningSite, long: bytes, key: Key, model: Path
) -> None:
    site.put(long, "long")
    link = {"url": site.url("ranges", "long")}
    without = httpx.post(
        f"{server.url}/v1/detections", json=link, params={"sampling": "paper"}, timeout=120
    ).json()
    assert without["media"]["sha256"] is None
    assert without["receipt"] is None
    assert without["coverage"]["bytes_fetched"] < 0.9 * len(long)
    report = posted(server, json=link).json()
    checked(report, long, key, model)
    assert report["coverage"]["bytes_fetched"] == len(long)


def test_a_stream_of_events_ends_with_it(
    server: ServerProcess, site: RunningSite, long: bytes, key: Key, model: Path
) -> None:
    site.put(long, "long")
    headers = {"Accept": "application/x-ndjson"}
    response = posted(server, headers, json={"url": site.url("ranges", "long")})
    *_, last = map(json.loads, response.text.splitlines())
    assert last["event"] == "report"
    checked(last["report"], long, key, model)


def test_a_job_keeps_it(server: ServerProcess, video: bytes, key: Key, model: Path) -> None:
    taken = posted(server, OCTETS | {"Prefer": "respond-async"}, content=video)
    assert taken.status_code == 202
    deadline = time.monotonic() + 60
    state = taken.json()
    while state["status"] != "done":
        assert time.monotonic() < deadline
        time.sleep(0.1)
        state = httpx.get(server.url + taken.headers["location"]).json()
    checked(state["report"], video, key, model)


def test_a_file_that_breaks_off_gets_none(
    server: ServerProcess, site: RunningSite, long: bytes
) -> None:
    """The scores were there, the rest of the bytes was not."""
    site.put(long, "cut")
    response = posted(server, json={"url": site.url("gone-later", "cut")})
    assert (response.status_code, response.json()["code"]) == (502, "origin_failed")


def test_what_is_scored_without_being_kept_gets_none(
    settings: dict[str, str], site: RunningSite, long: bytes, tmp_path: Path
) -> None:
    site.put(long, "long")
    link = {"url": site.url("ranges", "long")}
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    limits = {"DEEPFAKE_LIMITS__BYTES": str(len(long) // 2)}
    with process(command, port, tmp_path, settings | limits) as running:
        before = site.sent()
        response = posted(running, json=link)
        assert (response.status_code, response.json()["code"]) == (422, "over_limits")
        # It is said before anything is scored.
        assert site.sent() - before <= 2**20
        scored = httpx.post(
            f"{running.url}/v1/detections", json=link, params={"sampling": "paper"}, timeout=120
        )
        assert scored.status_code == 200


def test_without_a_key_none_is_promised(model: Path, tmp_path: Path, video: bytes) -> None:
    port = free_port()
    command = [sys.executable, "-m", "service", "serve", "--port", str(port)]
    with process(command, port, tmp_path, {"DEEPFAKE_MODEL__PATH": str(model)}) as running:
        response = posted(running, OCTETS, content=video)
    assert (response.status_code, response.json()["code"]) == (400, "malformed_request")
    assert "key" in response.json()["detail"]


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory, video: bytes) -> Path:
    path = tmp_path_factory.mktemp("videos") / "film.mp4"
    path.write_bytes(video)
    return path


@pytest.fixture(scope="module")
def receipt(film: Path, settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("receipts") / "receipt.json"
    done = run("score", film, "--receipt", path, **settings)
    assert done.returncode == 0, done.stderr
    return path


def test_the_command_line_writes_one_that_holds(receipt: Path, film: Path, key: Key) -> None:
    done = run("verify", receipt, film, "--key", key.public)
    assert done.returncode == 0, done.stderr
    assert hashlib.sha256(film.read_bytes()).hexdigest() in done.stdout
    assert run("verify", receipt).returncode == 0


def test_so_it_does_of_a_url(
    site: RunningSite, long: bytes, settings: dict[str, str], key: Key, tmp_path: Path
) -> None:
    site.put(long, "long")
    path, copy = tmp_path / "receipt.json", tmp_path / "long.mp4"
    url = site.url("ranges", "long")
    done = run("score", url, "--sampling", "paper", "--receipt", path, **settings)
    assert done.returncode == 0, done.stderr
    copy.write_bytes(long)
    assert run("verify", path, copy, "--key", key.public).returncode == 0


def refused(*arguments: str | Path) -> str:
    done = run("verify", *arguments)
    assert done.returncode == 1, done.stdout
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("Not valid: ")
    return done.stderr.removeprefix("Not valid: ").strip()


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("score",), 0.125),
        (("faces", 0, "score"), 0.125),
        (("models", 0, "sha256"), "0" * 64),
        (("media_sha256",), "0" * 64),
        (("software",), "clrnet-deepfake 9"),
        (("time",), "2020-01-01T00:00:00+00:00"),
        (("options", "sampling"), "stride=9"),
    ],
    ids=lambda value: ".".join(map(str, value)) if isinstance(value, tuple) else "",
)
def test_a_changed_one_does_not_hold(
    receipt: Path, tmp_path: Path, path: tuple[Any, ...], value: object
) -> None:
    content = json.loads(receipt.read_text())
    place = content
    for step in path[:-1]:
        place = place[step]
    assert place[path[-1]] != value
    place[path[-1]] = value
    changed = tmp_path / "changed.json"
    changed.write_text(json.dumps(content))
    assert "was changed" in refused(changed)


def test_it_is_about_one_file_and_of_one_key(receipt: Path, film: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(film.read_bytes() + b"\0")
    assert "another file" in refused(receipt, other)
    stranger = Signer(Ed25519PrivateKey.generate()).public_key
    assert "another key" in refused(receipt, film, "--key", stranger)
    assert "another key" in refused(receipt, film, "--key", "no key")


def _with(receipt: bytes, **changes: object) -> bytes:
    return json.dumps(json.loads(receipt) | changes).encode()


HOSTILE: dict[str, Any] = {
    "empty": lambda _: b"",
    "no text": lambda _: bytes(range(256)),
    "utf-16": lambda text: text.decode().encode("utf-16"),
    "a number": lambda _: b"1",
    "deep": lambda _: b"[" * 10**6,
    "deep in a field": lambda text: _with(text, options={"sampling": 0}).replace(
        b'"sampling": 0', b'"sampling": ' + b"[" * 10**5 + b"]" * 10**5
    ),
    "huge": lambda text: text + b" " * LARGEST,
    "huge number": lambda text: _with(text, media_bytes=0).replace(
        b'"media_bytes": 0', b'"media_bytes": 1' + b"0" * 10**5
    ),
    "NaN": lambda text: _with(text, score=float("nan")),
    "infinity": lambda text: _with(text, threshold=float("inf")),
    "twice": lambda text: text.replace(b'"score"', b'"score": 0.0, "score"', 1),
    "number as text": lambda text: _with(text, media_bytes=str(json.loads(text)["media_bytes"])),
    "text as list": lambda text: _with(text, software=["a"]),
    "no faces": lambda text: _with(text, faces=None),
    "more": lambda text: _with(text, comment="a"),
    "no base64": lambda text: _with(text, signature="*" * 88),
    "not ASCII": lambda text: _with(text, signature="\u00e9" * 88),
    "short signature": lambda text: _with(text, signature="AAAA"),
    "no signature": lambda text: _with(text, signature=""),
    "no key": lambda text: _with(text, key="A"),
    "weak key": lambda text: _with(text, key="A" * 43 + "="),
    "lone surrogate": lambda text: _with(text, software="\ud800"),
    "other format": lambda text: _with(text, format="deepfake-receipt/2"),
}


@pytest.mark.parametrize("hostile", HOSTILE)
def test_hostile_files_are_refused_in_one_sentence(
    receipt: Path, tmp_path: Path, hostile: str
) -> None:
    file = tmp_path / "hostile.json"
    file.write_bytes(HOSTILE[hostile](receipt.read_bytes()))
    assert len(refused(file)) < 200


def test_words_of_a_stranger_do_not_reach_the_terminal_as_they_are(
    receipt: Path, tmp_path: Path
) -> None:
    """Anybody can sign anything with a key of their own."""
    stranger = Signer(Ed25519PrivateKey.generate())
    signed = stranger.sign(_report(), DetectionOptions())
    odd = signed.model_copy(update={"software": "\x1b[2J\u202e\u00e9\r\n", "signature": ""})
    signature = base64.b64encode(stranger._key.sign(odd.signed_bytes())).decode()
    file = tmp_path / "odd.json"
    file.write_text(odd.model_copy(update={"signature": signature}).model_dump_json())
    done = run("verify", file)
    assert done.returncode == 0, done.stderr
    assert r"\x1b[2J\u202e\xe9\r\n" in done.stdout
    assert done.stdout.replace("\n", "").isprintable()


def _report() -> Report:
    from service.api.examples import REPORT

    return Report.model_validate(REPORT)


def test_a_receipt_that_cannot_be_written_is_said(
    film: Path, settings: dict[str, str], tmp_path: Path
) -> None:
    done = run("score", film, "--json", "--receipt", tmp_path / "no" / "r.json", **settings)
    assert done.returncode == 1
    assert "Not written" in done.stderr
    assert "Traceback" not in done.stderr
    assert Receipt.model_validate(json.loads(done.stdout)["receipt"])


def test_a_receipt_without_a_key_is_said_at_once(film: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    done = run("score", film, "--receipt", tmp_path / "r.json")
    assert done.returncode == 2
    assert "DEEPFAKE_RECEIPT__KEY" in done.stderr
    assert time.monotonic() - began < 20
    assert not any(tmp_path.iterdir())
