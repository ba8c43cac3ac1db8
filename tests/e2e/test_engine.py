"""The whole way on real parts: real video, real detector, real ONNX Runtime."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import os
import signal
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest

from service.engine import DetectionOptions, Event, Finished, Progress, SegmentScored
from service.errors import NotReady, TooSlow, Undecodable
from service.local_engine import LocalEngine
from service.report import Report
from service.settings import Limits, ModelSettings, Settings
from service.sources.source import Memory
from tests import media
from tests.onnx_models import CONTRACT, brightness_model
from tests.unit.sandbox.processes import children_of, nursery_of, state_of, until

LIT_FACE = 4
"""The face, from left to right, that tests light up."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("models") / "brightness.onnx"
    path.write_bytes(brightness_model())
    return path


@pytest.fixture(scope="module")
def lit_video() -> bytes:
    """Four seconds of six faces, one of them lit up during the third second alone."""
    frames = media.group_frames(100, drift=0.2)
    x0, y0, x1, y1 = media.group_faces(frames[50])[LIT_FACE]
    for frame in frames[50:75]:
        face = frame[int(y0) : int(y1), int(x0) : int(x1)]
        face[:] = 255 - (255 - face) // 3
    return media.encode_video(frames)


def settings_for(model: Path, **limits: float) -> Settings:
    return Settings(model=ModelSettings(path=model, batch=7), limits=Limits(**limits))  # type: ignore[arg-type]


def as_media(data: bytes) -> Memory:
    return Memory(data)


async def detect(settings: Settings, data: bytes, options: DetectionOptions) -> list[Event]:
    engine = LocalEngine(settings)
    await engine.start()
    try:
        return [event async for event in engine.detect(as_media(data), options)]
    finally:
        await engine.stop()


def report_of(events: list[Event]) -> Report:
    assert isinstance(events[-1], Finished)
    return events[-1].report


async def test_the_lit_face_ranks_first_and_in_its_second_only(
    model: Path, lit_video: bytes
) -> None:
    events = await detect(settings_for(model), lit_video, DetectionOptions(detail="full"))
    report = report_of(events)
    assert len(report.faces) == 6
    by_side = sorted(report.faces, key=lambda face: face.segments[0].box[0])
    lit = by_side[LIT_FACE]
    assert lit.score == report.score == max(face.score for face in report.faces)
    scores = [segment.score for segment in lit.segments]
    assert [(s.start, s.end) for s in lit.segments] == [
        pytest.approx((second, second + 1.0)) for second in range(4)
    ]
    assert int(np.argmax(scores)) == 2
    rest = scores[:2] + scores[3:]
    assert scores[2] - max(rest) > 0.05
    assert max(rest) - min(rest) < 0.01
    assert report.coverage.clips_scored == 6 * 20
    assert report.coverage.longest_unscored == pytest.approx(0.0, abs=1e-6)
    assert report.media.sha256 == hashlib.sha256(lit_video).hexdigest()
    assert report.media.duration == pytest.approx(4.0)


async def test_events_tell_every_segment_once_before_the_report(
    model: Path, lit_video: bytes
) -> None:
    events = await detect(settings_for(model), lit_video, DetectionOptions())
    report = report_of(events)
    told = [(e.face, e.segment) for e in events if isinstance(e, SegmentScored)]
    final = [(face.id, segment) for face in report.faces for segment in face.segments]
    assert sorted(told, key=str) == sorted(final, key=str)
    first = next(n for n, event in enumerate(events) if isinstance(event, SegmentScored))
    assert first < len(events) / 2, "segments must come while the work goes on"
    positions = [event.position for event in events if isinstance(event, Progress)]
    assert positions == sorted(positions)
    assert len(set(positions)) > 3


async def test_single_frame_models_use_the_same_contract(tmp_path: Path, lit_video: bytes) -> None:
    path = tmp_path / "single.onnx"
    path.write_bytes(brightness_model(CONTRACT.model_copy(update={"clip_length": 1})))
    report = report_of(
        await detect(settings_for(path), lit_video, DetectionOptions(sampling="paper"))
    )
    assert report.model.clip_length == 1
    assert report.coverage.frames_decoded == 80
    # The detector may lose the face for a frame while the light goes on or off.
    assert 6 * 80 * 0.97 <= report.coverage.clips_scored <= 6 * 80


async def test_explain_adds_a_map_to_each_segment(model: Path, lit_video: bytes) -> None:
    options = DetectionOptions(sampling="paper", explain=True)
    report = report_of(await detect(settings_for(model), lit_video, options))
    for face in report.faces:
        for segment in face.segments:
            assert segment.cam_png is not None
            png = np.frombuffer(base64.b64decode(segment.cam_png), np.uint8)
            assert cv2.imdecode(png, cv2.IMREAD_UNCHANGED).shape == (32, 32)  # type: ignore[union-attr]


async def test_a_model_without_maps_says_so_when_asked_for_them(tmp_path: Path) -> None:
    path = tmp_path / "mapless.onnx"
    path.write_bytes(brightness_model(cam=False))
    options = DetectionOptions(sampling="paper", explain=True)
    report = report_of(await detect(settings_for(path), media.group_video(20), options))
    assert all(each.cam_png is None for face in report.faces for each in face.segments)
    assert any("no class activation map" in reason for reason in report.reasons)


async def test_a_video_without_faces_says_so(model: Path) -> None:
    report = report_of(
        await detect(settings_for(model), media.numbered_video(50), DetectionOptions())
    )
    assert report.verdict == "no_face"
    assert report.score is None
    assert report.coverage.longest_unscored == pytest.approx(2.0)


async def test_a_video_shorter_than_a_clip_is_unable_not_real(model: Path) -> None:
    report = report_of(await detect(settings_for(model), media.group_video(4), DetectionOptions()))
    assert report.verdict == "unable"
    assert report.coverage.faces_dropped == {"no_whole_clip": 6}
    assert report.coverage.frames_with_face == 4


async def test_without_a_usable_model_it_is_not_ready_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    for content in (None, b"corrupt"):
        path = tmp_path / "wanted.onnx"
        if content is not None:
            path.write_bytes(content)
        engine = LocalEngine(settings_for(path))
        await engine.start()
        readiness = engine.readiness()
        assert not readiness.ready
        assert "wanted.onnx" in readiness.missing[0]
        assert str(tmp_path) not in readiness.missing[0]
        with pytest.raises(NotReady, match=r"wanted\.onnx"):
            await anext(engine.detect(as_media(b""), DetectionOptions()))
        await engine.stop()


async def test_a_failed_or_abandoned_detection_frees_its_slot(
    model: Path, lit_video: bytes
) -> None:
    engine = LocalEngine(settings_for(model, concurrency=1))
    await engine.start()
    with pytest.raises(Undecodable):
        await anext(engine.detect(as_media(b"text"), DetectionOptions()))
    events = engine.detect(as_media(lit_video), DetectionOptions())
    await anext(events)
    assert engine.readiness().running == 1
    await events.aclose()  # type: ignore[attr-defined]
    assert engine.readiness().running == 0
    task = asyncio.create_task(_last(engine, lit_video))
    await asyncio.sleep(0.3)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert engine.readiness().running == 0
    assert isinstance(await _last(engine, media.numbered_video(10)), Finished)
    await engine.stop()


async def test_cancelling_twice_leaves_nothing_behind(model: Path, lit_video: bytes) -> None:
    engine = LocalEngine(settings_for(model, concurrency=1))
    await engine.start()
    task = asyncio.create_task(_last(engine, lit_video))
    await asyncio.sleep(0.3)
    task.cancel()
    await asyncio.sleep(0)
    task.cancel()
    began = time.monotonic()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert time.monotonic() - began < 2, "a client that has left must not hold its slot"
    assert engine.readiness().running == 0
    assert engine._workers.alive == 0
    assert all(member.batcher.pending == 0 for member in engine._registry.models())
    assert isinstance(await _last(engine, media.numbered_video(10)), Finished)
    await engine.stop()


async def test_stopping_ends_what_runs_and_what_waits_with_not_ready(
    model: Path, lit_video: bytes
) -> None:
    engine = LocalEngine(settings_for(model, concurrency=1))
    await engine.start()
    tasks = [asyncio.create_task(_last(engine, lit_video)) for _ in range(2)]
    await asyncio.sleep(0.5)
    assert (engine.readiness().running, engine.readiness().waiting) == (1, 1)
    await asyncio.wait_for(engine.stop(), 5)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [NotReady, NotReady]


async def test_stopping_ends_what_is_halted_too(model: Path, lit_video: bytes) -> None:
    engine = LocalEngine(settings_for(model, concurrency=1, short_seconds=0.1))
    await engine.start()
    tasks = [asyncio.create_task(_last(engine, lit_video))]
    await until(lambda: children_of(nursery_of(engine._workers)))
    (child,) = children_of(nursery_of(engine._workers))
    await until(lambda: all(claim.held > 0.1 for claim in engine._slots._claims))
    tasks.append(asyncio.create_task(_last(engine, lit_video)))
    await until(lambda: state_of(child) == "T")
    await asyncio.wait_for(engine.stop(), 5)
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [NotReady, NotReady]
    assert state_of(child) == ""


async def test_work_that_takes_too_long_is_ended_and_gives_all_back(
    model: Path, lit_video: bytes
) -> None:
    engine = LocalEngine(settings_for(model, total_seconds=0.5))
    await engine.start()
    began = time.monotonic()
    with pytest.raises(TooSlow):
        await _last(engine, lit_video)
    assert 0.5 <= time.monotonic() - began < 5
    readiness = engine.readiness()
    assert (readiness.running, readiness.clips_waiting, readiness.workers) == (0, 0, 0)
    await engine.stop()


async def test_a_sandbox_that_keeps_failing_is_not_ready_until_it_works_again(
    model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine, video = LocalEngine(settings_for(model)), as_media(media.numbered_video(10))
    await engine.start()
    with monkeypatch.context() as broken:
        broken.setattr(sys, "executable", "/bin/false")
        os.kill(nursery_of(engine._workers), signal.SIGKILL)
        await until(lambda: not engine.readiness().ready)
        assert engine.readiness().missing == ("the sandbox for videos cannot start",)
        began = time.monotonic()
        with pytest.raises(NotReady, match="sandbox"):
            await anext(engine.detect(video, DetectionOptions()))
        assert time.monotonic() - began < 0.2
    await until(lambda: engine.readiness().ready)
    assert isinstance(await _last(engine, await video.read(0, video.size)), Finished)
    await engine.stop()


async def test_a_file_that_breaks_off_is_not_reported_as_whole(model: Path) -> None:
    frames = media.group_frames(100, drift=0.2)
    whole = media.encode_video(frames, container="matroska", options={"g": "10"})
    report = report_of(
        await detect(settings_for(model), whole[: len(whole) // 2], DetectionOptions())
    )
    assert report.coverage.seconds_missing > 1
    assert report.coverage.longest_unscored >= report.coverage.seconds_missing
    assert any("breaks off" in reason for reason in report.reasons)


async def test_clips_over_the_limit_are_said(model: Path) -> None:
    options = DetectionOptions(sampling="paper")
    report = report_of(await detect(settings_for(model, clips=20), media.group_video(100), options))
    assert report.coverage.clips_scored == 20
    assert report.coverage.clips_dropped["over_clip_limit"] > 60
    assert any("over the limit" in reason for reason in report.reasons)


async def test_no_more_videos_are_read_at_once_than_allowed(model: Path) -> None:
    engine = LocalEngine(settings_for(model, concurrency=2))
    await engine.start()
    video = media.group_video(20)
    tasks = [asyncio.create_task(_last(engine, video)) for _ in range(5)]
    most = 0
    while not all(task.done() for task in tasks):
        most = max(most, sum(claim.has_place for claim in engine._slots._claims))
        await asyncio.sleep(0.005)
    results = [task.result() for task in tasks]
    assert most == 2
    faces = [result.report.faces for result in results if isinstance(result, Finished)]
    assert len(faces) == 5
    assert all(each == faces[0] for each in faces), "company must not change scores"
    await engine.stop()


async def _last(engine: LocalEngine, data: bytes) -> Event:
    return [event async for event in engine.detect(as_media(data), DetectionOptions())][-1]
