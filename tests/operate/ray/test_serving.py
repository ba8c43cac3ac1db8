"""The same calls to a local Ray Serve with two replicas as to uvicorn: the same answers, errors and
refusals; what a killed replica takes with it; and where nothing of an upload is left."""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import re
import secrets
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import onnx
import pytest

from deploy.ray import probe
from tests import media
from tests.onnx_models import brightness_model
from tests.operate.ray import clusters
from tests.operate.ray.clusters import needs_ray
from tests.security.server_process import ServerProcess
from tests.security.test_no_persistence import (
    WAYS,
    Way,
    as_job,
    as_stream,
    by_bytes,
    by_form,
)

pytestmark = needs_ray

MP4 = {"Content-Type": "video/mp4"}
REPLICAS, PLACES = 2, 2
"""Replicas that take requests, and videos that each holds at a time."""

SETTINGS = {
    "DEEPFAKE_LIMITS__CONCURRENCY": "1",
    "DEEPFAKE_LIMITS__WAITING": str(PLACES - 1),
    "DEEPFAKE_LIMITS__CALLER_SHARE": "1",
    "DEEPFAKE_LIMITS__DURATION": "30",
    "DEEPFAKE_LIMITS__IDLE_SECONDS": "120",
    "DEEPFAKE_SERVER__DRAIN_SECONDS": "5",
    # Ray has its own, so that the app on it has none.
    "DEEPFAKE_METRICS": "false",
}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    model = tmp_path_factory.mktemp("model") / "brightness.onnx"
    model.write_bytes(brightness_model())
    return SETTINGS | {"DEEPFAKE_MODEL__PATH": str(model)}


@pytest.fixture(scope="module")
def ray(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with clusters.cluster(
        tmp_path_factory.mktemp("ray"), settings, f"decoders={REPLICAS}"
    ) as server:
        yield server


@pytest.fixture(scope="module")
def plain(
    settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    with clusters.uvicorn(tmp_path_factory.mktemp("plain"), settings) as server:
        yield server


@pytest.fixture(scope="module")
def video() -> bytes:
    return media.group_video(15)


def path(server: ServerProcess, query: str = "") -> str:
    return f"{server.url}/v1/detections{query}"


def without(document: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in document.items() if name not in names}


def until(true: Callable[[], bool], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.parametrize("way", WAYS)
def test_reports_are_the_same(
    ray: ServerProcess, plain: ServerProcess, video: bytes, way: Way
) -> None:
    whole = "?sampling=full&detail=full&explain=true"
    found, expected = (
        without(way(path(server, whole), video), "timing") for server in (ray, plain)
    )
    assert len(expected["faces"]) == 6
    assert found == expected


def test_a_stream_tells_the_same_segments(
    ray: ServerProcess, plain: ServerProcess, video: bytes
) -> None:
    told = []
    for server in (ray, plain):
        answer = httpx.post(
            path(server), content=video, headers=MP4 | {"Accept": "application/x-ndjson"}
        )
        events = [json.loads(line) for line in answer.text.splitlines()]
        assert {event["event"] for event in events} >= {"progress", "segment", "report"}
        told.append([event for event in events if event["event"] == "segment"])
    assert told[0] == told[1] != []


REFUSED: dict[str, dict[str, Any]] = {
    "nothing": {"content": b""},
    "text": {"content": b"This is no video.\n" * 100},
    "a picture": {"content": media.png(), "headers": {"Content-Type": "image/png"}},
    "sound": {"content": media.audio_only()},
    "no end of an index": {"content": media.truncated_moov()},
    "too long": {"content": media.numbered_video(25 * 40)},
    "a form without a file": {"data": {"other": "field"}, "headers": {}},
    "an unknown model": {"params": {"model": "other"}, "content": b"x"},
    "an unknown parameter": {"params": {"nothing": "1"}, "content": b"x"},
    "a sampling of nothing": {"params": {"sampling": "stride=0"}, "content": b"x"},
    "a blocked URL": {"json": {"url": "http://127.0.0.1/video.mp4"}, "headers": {}},
    "an answer in XML": {"content": b"x", "headers": MP4 | {"Accept": "text/xml"}},
    "a wrong method": {"method": "PUT", "content": b"x"},
}
HEADERS = ("content-type", "retry-after", "allow", "accept", "cache-control", "x-frame-options")
HEADERS += ("x-content-type-options", "content-security-policy", "referrer-policy")


@pytest.mark.parametrize("name", REFUSED)
def test_refusals_are_the_same(ray: ServerProcess, plain: ServerProcess, name: str) -> None:
    request = {"method": "POST", "headers": MP4} | REFUSED[name]
    found, expected = (
        httpx.request(url=path(server), timeout=60, **request) for server in (ray, plain)
    )
    assert expected.status_code >= 400
    assert said(found) == said(expected)


def said(answer: httpx.Response) -> tuple[int, dict[str, Any], dict[str, str | None]]:
    """What a caller can act on; the id is that of the header."""
    document = answer.json()
    assert document["request_id"] == answer.headers["x-request-id"]
    headers = {name: answer.headers.get(name) for name in HEADERS}
    return answer.status_code, without(document, "request_id"), headers


SERVED = (
    *("/v1/models", "/v1/limits", "/v2/models/brightness", "/problems/busy", "/openapi.json"),
    *("/v2/health/live", "/v2/health/ready"),
)


@pytest.mark.parametrize("route", SERVED)
def test_what_is_served_is_the_same(ray: ServerProcess, plain: ServerProcess, route: str) -> None:
    found, expected = (httpx.get(server.url + route) for server in (ray, plain))
    assert found.status_code == expected.status_code == 200
    assert found.json() == expected.json()


def test_unknown_paths_and_ids_of_callers_are_the_same(
    ray: ServerProcess, plain: ServerProcess
) -> None:
    headers = {"X-Request-ID": "caller-1234"}
    found, expected = (
        httpx.get(f"{server.url}/nothing", headers=headers) for server in (ray, plain)
    )
    assert said(found) == said(expected)
    assert found.json()["request_id"] == "caller-1234"


def test_jobs_are_found_whichever_replica_holds_them(ray: ServerProcess, video: bytes) -> None:
    headers = MP4 | {"Prefer": "respond-async"}
    held = []
    while len({job.split("-")[0] for job in held}) < REPLICAS:
        assert len(held) < 20, "one replica takes all jobs"
        answer = httpx.post(path(ray), content=video, headers=headers)
        if answer.status_code == 202:
            held.append(answer.json()["id"])
    assert all(httpx.get(path(ray, f"/{job}")).status_code == 200 for job in held * 3)
    until(lambda: all(httpx.get(path(ray, f"/{job}")).json()["status"] == "done" for job in held))
    assert all(httpx.delete(path(ray, f"/{job}")).status_code == 204 for job in held)
    gone = httpx.get(path(ray, f"/{held[0]}"))
    assert (gone.status_code, gone.json()["code"]) == (404, "unknown_job")
    other = httpx.get(path(ray, f"/elsewhere-{'0' * 32}"))
    assert (other.status_code, other.json()["code"]) == (404, "other_replica")
    assert not written(ray, held[0].encode()), "who knows an id can read the report"


class Upload:
    """A video whose last bytes are still to come."""

    def __init__(self, server: ServerProcess, video: bytes) -> None:
        self._rest = video[-100:]
        self._connection = http.client.HTTPConnection(httpx.URL(server.url).netloc.decode())
        self._connection.connect()
        self._connection.putrequest("POST", "/v1/detections")
        self._connection.putheader("Content-Type", "video/mp4")
        self._connection.putheader("Content-Length", str(len(video)))
        self._connection.endheaders(video[:-100])

    def answered(self, seconds: float) -> bool:
        """Whether an answer comes before the last bytes are sent."""
        self._connection.sock.settimeout(seconds)
        try:
            return bool(self._connection.sock.recv(1, socket.MSG_PEEK))
        except TimeoutError:
            return False
        finally:
            self._connection.sock.settimeout(60)

    def finish(self) -> None:
        """Send the rest."""
        self._connection.send(self._rest)

    def answer(self) -> tuple[int, dict[str, Any]]:
        """Status and document."""
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())

    def close(self) -> None:
        """Go away."""
        self._connection.close()


def fill(server: ServerProcess, video: bytes, places: int, held: ExitStack) -> list[Upload]:
    """Uploads that hold all places."""
    uploads: list[Upload] = []
    deadline = time.monotonic() + 60
    while len(uploads) < places:
        assert time.monotonic() < deadline
        while len(uploads) < places:
            uploads.append(Upload(server, video))
            held.callback(uploads[-1].close)
        time.sleep(1)
        uploads = [upload for upload in uploads if not upload.answered(0.05)]
    return uploads


def test_overload_is_refused_in_the_same_words(
    ray: ServerProcess, plain: ServerProcess, video: bytes
) -> None:
    told = []
    for server, places in ((ray, REPLICAS * PLACES), (plain, PLACES)):
        with ExitStack() as held:
            uploads = fill(server, video, places, held)
            answers = [httpx.post(path(server), content=video, headers=MP4) for _ in range(4)]
            assert all(1 <= int(answer.headers["retry-after"]) <= 60 for answer in answers)
            told.append([said(answer)[:2] for answer in answers])
            for upload in uploads:
                upload.finish()
            assert [upload.answer()[0] for upload in uploads] == [200] * places
    assert told[0] == told[1]
    status, document = told[0][0]
    assert (status, document["code"]) == (429, "busy")


def test_clients_that_leave_free_their_places(ray: ServerProcess, video: bytes) -> None:
    with ExitStack() as held:
        fill(ray, video, REPLICAS * PLACES, held)
        assert httpx.post(path(ray), content=video, headers=MP4).status_code == 429
    until(lambda: by_status(ray, video) == 200, 20)


def by_status(server: ServerProcess, video: bytes) -> int:
    return httpx.post(path(server), content=video, headers=MP4, timeout=60).status_code


def test_nothing_of_an_upload_is_on_a_disk_or_in_the_object_store(
    ray: ServerProcess, video: bytes
) -> None:
    canary = secrets.token_bytes(32)
    padding = canary * (20_000_000 // len(canary))
    marked = media.padded(video, len(video) + 8)[:-8]
    marked += (len(padding) + 8).to_bytes(4, "big") + b"free" + padding
    with ray.watched() as trace:
        for way in (by_form, as_stream, as_job):
            assert len(way(path(ray), marked)["faces"]) == 6
    print(trace.written, "bytes written")
    assert trace.written < 64 * 1024
    assert not trace.files
    assert not trace.opened
    assert canary not in clusters.object_store(ray)
    assert not written(ray, canary)


def written(server: ServerProcess, words: bytes) -> list[Path]:
    """Files of a cluster's session, such as logs, that hold this."""
    files = [each for each in clusters.place(server)[1].rglob("*") if each.is_file()]
    assert len(files) > 10
    return [each for each in files if words in each.read_bytes()]


def test_the_check_sees_what_is_in_the_object_store(ray: ServerProcess) -> None:
    canary = secrets.token_bytes(32)
    put = (
        "import ray, sys; ray.init(sys.argv[1], log_to_driver=False); "
        "ray.put(bytes.fromhex(sys.argv[2]) * 100_000)"
    )
    address, _ = clusters.place(ray)
    clusters.inside(["-c", put, address, canary.hex()], clusters.token(ray))
    assert canary in clusters.object_store(ray)


def test_a_probe_finds_serves_proxy(ray: ServerProcess) -> None:
    assert probe.well((int(ray.url.rpartition(":")[2]), "/-/healthz"))


def test_no_replica_and_no_proxy_leaves_a_core_dump(ray: ServerProcess) -> None:
    pids = [
        *clusters.decoders(ray),
        *clusters.networks(ray),
        *clusters.named(ray, "ray::ProxyActor"),
    ]
    assert len(pids) == REPLICAS + 2
    for pid in pids:
        lines = Path(f"/proc/{pid}/limits").read_text().splitlines()
        (line,) = [line for line in lines if line.startswith("Max core file size")]
        assert line.split()[4:6] == ["1", "1"]


def exposed(server: ServerProcess) -> str:
    """Metrics of all processes of a cluster."""
    (file,) = clusters.place(server)[1].glob("metrics_export_port_*")
    return httpx.get(f"http://127.0.0.1:{file.read_text().strip()}/metrics").text


def test_metrics_of_all_replicas_are_collected_by_ray(ray: ServerProcess, video: bytes) -> None:
    by_bytes(path(ray), video)
    wanted = {
        "ray_deepfake_verdicts_total": "verdict",
        "ray_deepfake_score_bucket": "le",
        "ray_deepfake_clips_total": "model",
        "ray_deepfake_model_info": "provider",
        "ray_http_requests_total": "route",
    }

    def there() -> bool:
        lines = exposed(ray).splitlines()
        return all(
            any(line.startswith(name + "{") and f'{label}="' in line for line in lines)
            for name, label in wanted.items()
        )

    until(there, 30)
    assert httpx.get(f"{ray.url}/metrics").status_code == 404


def test_a_killed_replica_takes_its_own_requests_alone(ray: ServerProcess, video: bytes) -> None:
    with ExitStack() as held:
        uploads = fill(ray, video, REPLICAS * PLACES, held)
        victim = clusters.decoders(ray)[0]
        os.kill(victim, signal.SIGKILL)
        until(lambda: any(upload.answered(0.05) for upload in uploads), 20)
        time.sleep(1)
        lost = [upload for upload in uploads if upload.answered(0.05)]
        kept = [upload for upload in uploads if upload not in lost]
        assert len(lost) == PLACES
        for upload in lost:
            status, document = upload.answer()
            assert (status, document["code"]) == (500, "worker_lost")
        for upload in kept:
            upload.finish()
        assert [upload.answer()[0] for upload in kept] == [200] * PLACES
    assert by_status(ray, video) == 200
    until(lambda: len(clusters.decoders(ray)) == REPLICAS)
    with ExitStack() as held:
        uploads = fill(ray, video, REPLICAS * PLACES, held)
        for upload in uploads:
            upload.finish()
        assert [upload.answer()[0] for upload in uploads] == [200] * len(uploads)
    # By the proxy: of the replica nothing is left that could.
    (log,) = written(ray, b'"logger": "service.proxy"')
    lines = [line for line in log.read_text().splitlines() if "service.proxy" in line]
    assert [json.loads(line)["problem"] for line in lines].count("worker_lost") == PLACES
    sample = rf"ray_deepfake_problems_total{{[^}}]*code=\"worker_lost\"[^}}]*}} {PLACES}\.0"
    until(lambda: bool(re.search(sample, exposed(ray))), 30)


def test_killed_networks_take_nothing_with_them(ray: ServerProcess, video: bytes) -> None:
    expected = without(by_bytes(path(ray), video), "timing")
    job = httpx.post(path(ray), content=video, headers=MP4 | {"Prefer": "respond-async"})
    (victim,) = clusters.networks(ray)
    os.kill(victim, signal.SIGKILL)
    assert without(by_bytes(path(ray), video), "timing") == expected
    until(lambda: httpx.get(path(ray, f"/{job.json()['id']}")).json()["status"] == "done")
    assert without(as_job(path(ray), video), "timing") == expected


REPLACE = """
import sys
import ray
from ray import serve
from deploy.ray.app import build
from deploy.ray.arguments import Arguments
ray.init(sys.argv[1], log_to_driver=False)
given = Arguments.model_validate(dict(word.split("=") for word in sys.argv[2:]))
serve.run(build(given), name="deepfake")
"""


def test_a_new_version_takes_over_without_a_failure(
    ray: ServerProcess, settings: dict[str, str], video: bytes
) -> None:
    before = {*clusters.decoders(ray), *clusters.networks(ray)}
    # Over soon, and fetched by nobody.
    job = httpx.post(path(ray), content=video, headers=MP4 | {"Prefer": "respond-async"}).json()
    answers: list[httpx.Response] = []
    over = threading.Event()

    def ask() -> None:
        while not over.is_set():
            answers.append(httpx.post(path(ray), content=video, headers=MP4, timeout=60))

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        words = ["decoders=2", "decoder_cpus=0", "classifier_cpus=0", "wait_seconds=0.01"]
        address, _ = clusters.place(ray)
        clusters.inside(["-c", REPLACE, address, *words], settings | clusters.token(ray))
        until(lambda: not before & {*clusters.decoders(ray), *clusters.networks(ray)})
    finally:
        over.set()
        asking.join()
    assert answers[-1].status_code == 200
    for answer in answers:
        assert answer.status_code == 200 or (
            answer.status_code in (429, 503) and answer.headers["retry-after"]
        ), answer.text
    lost = httpx.get(path(ray, f"/{job['id']}"))
    assert (lost.status_code, lost.json()["code"]) == (404, "other_replica")


def darker(model: bytes) -> bytes:
    """Another model of the same name, whose scores are half as high."""
    found = onnx.load_from_string(model)
    (scale,) = found.graph.initializer
    scale.float_data[0] /= 2
    changed: bytes = found.SerializeToString()
    return changed


def test_scores_are_of_the_model_that_the_report_names(
    ray: ServerProcess, settings: dict[str, str], video: bytes
) -> None:
    """Networks that are started anew find another file: decoders had asked for the one before."""
    file = Path(settings["DEEPFAKE_MODEL__PATH"])
    before = by_bytes(path(ray), video)
    file.write_bytes(darker(file.read_bytes()))
    half = pytest.approx(before["score"] / 2, abs=0.001)
    scores: dict[str, Any] = {before["model"]["sha256"]: before["score"]}
    scores[hashlib.sha256(file.read_bytes()).hexdigest()] = half
    (victim,) = clusters.networks(ray)
    os.kill(victim, signal.SIGKILL)
    deadline = time.monotonic() + 60
    renewed = 0
    while renewed < 4:
        assert time.monotonic() < deadline, "the model before is asked for as ever"
        answer = httpx.post(path(ray), content=video, headers=MP4, timeout=60)
        if answer.status_code == 503:
            assert answer.headers["retry-after"]
            assert answer.json()["code"] == "not_ready"
            continue
        report = answer.json()
        assert report["score"] == scores[report["model"]["sha256"]]
        renewed += report["model"]["sha256"] != before["model"]["sha256"]
