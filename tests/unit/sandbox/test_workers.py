"""Extraction in a process of its own gives what it gives in this one, and its end harms nobody."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import subprocess
import sys
import time
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from service.clips import Clip, ClipSpec
from service.errors import (
    MalformedRequest,
    ModelError,
    NotReady,
    NoVideo,
    OverLimits,
    ServiceError,
    TooSlow,
    Undecodable,
    WorkerLost,
)
from service.extraction import Extracted, ExtractionLimits, extract
from service.faces.mtcnn import MTCNN
from service.faces.tracking import TrackerSettings
from service.sandbox import workers as workers_module
from service.sandbox.workers import Workers
from service.sources.source import Memory
from service.video.deadline import Deadline
from service.video.video import VideoLimits
from tests import media
from tests.unit.faces.scrfd_model import bright_cell_model
from tests.unit.sandbox.jobs import JOB, MEMORY, SPEC, done
from tests.unit.sandbox.processes import (
    children_of,
    descriptors,
    environment_of,
    facts_of,
    nursery_of,
    state_of,
    until,
)

pytestmark = [
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.skipif(sys.platform != "linux", reason="looks at processes in /proc"),
]

ROOT = Path(__file__).resolve().parents[3]


async def started(**options: object) -> Workers:
    made = Workers(**({"memory": MEMORY, "cpu_seconds": 120} | options))  # type: ignore[arg-type]
    await made.start()
    return made


class Slow(Memory):
    """Media that take their time."""

    async def read(self, offset: int, size: int) -> bytes:
        await asyncio.sleep(0.5)
        return await super().read(offset, size)


async def test_a_child_gives_what_this_process_would(workers: Workers, group: bytes) -> None:
    job = replace(JOB, specs=(SPEC, ClipSpec(2, 24, 32, 1.1, "per_frame")), start=0.2, end=0.75)
    clips, summary, positions = await done(workers, group, job)
    here = list(
        extract(
            group,
            job.specs,
            job.sampling,
            start=job.start,
            end=job.end,
            detector=MTCNN(),
            tracking=job.tracking,
            limits=job.limits,
            deadline=Deadline(math.inf),
        )
    )
    assert positions
    expected = [item for item in here if isinstance(item, Clip)]
    assert len(clips) == len(expected) == 6 * 2 * 3
    for clip, same in zip(clips, expected, strict=True):
        np.testing.assert_array_equal(clip.pixels, same.pixels)
        assert replace(clip, pixels=same.pixels) == same
    last = here[-1]
    assert isinstance(last, Extracted)
    for field in fields(Extracted):
        if field.name != "tracks":
            assert getattr(summary, field.name) == getattr(last, field.name), field.name
    assert summary.tracks.keys() == last.tracks.keys()
    for number, track in summary.tracks.items():
        for name in ("frames", "times", "boxes"):
            given, same = getattr(track, name), getattr(last.tracks[number], name)
            np.testing.assert_array_equal(given, same)
            assert given.dtype == same.dtype


@pytest.mark.parametrize(
    ("data", "changes", "error"),
    [
        (b"no video at all " * 100, {}, Undecodable),
        (b"", {}, Undecodable),
        (media.audio_only(), {}, NoVideo),
        (media.numbered_video(20), {"start": 9.0}, MalformedRequest),
        (media.numbered_video(20), {"sampling": "nonsense"}, MalformedRequest),
        (
            media.numbered_video(20),
            {"limits": ExtractionLimits(VideoLimits(pixels=100))},
            OverLimits,
        ),
    ],
    ids=["text", "empty", "audio", "range", "sampling", "limits"],
)
async def test_refusals_keep_their_kind_and_words(
    workers: Workers, data: bytes, changes: dict[str, object], error: type[ServiceError]
) -> None:
    restarts = workers.restarts
    with pytest.raises(error) as raised:
        await done(workers, data, **changes)
    assert "process" not in raised.value.detail
    assert workers.restarts == restarts, "a refusal is no crash"


async def test_a_real_child_has_nothing_left(workers: Workers, group: bytes) -> None:
    async with workers.extract(Memory(group), JOB) as extraction:
        await anext(extraction)
        (child,) = children_of(nursery_of(workers))
        status, limits = facts_of(child)
        assert os.listdir(f"/proc/{child}/fd") == ["0"]
    held = set(workers.layers)
    expected = {"memory", "processor", "files", "capabilities", "unreadable", "descriptors"}
    assert expected <= held
    assert (status["NoNewPrivs"], int(status["CapEff"], 16), status["Threads"]) == ("1", 0, "1")
    assert ("seccomp" in held) == (status["Seccomp"] == "2")
    assert limits["Max address space"] == [str(MEMORY)] * 2
    assert limits["Max cpu time"] == ["120", "121"]
    for name in ("Max file size", "Max open files", "Max processes"):
        assert limits[name] == ["0", "0"], name
    assert limits["Max core file size"] == ["1", "1"]


async def test_media_over_many_blocks_are_pulled_as_needed(workers: Workers) -> None:
    asked: list[tuple[int, int]] = []

    class Watched(Memory):
        async def read(self, offset: int, size: int) -> bytes:
            asked.append((offset, size))
            return await super().read(offset, size)

    data = media.padded(media.numbered_video(20), 20 * 2**20)
    _, summary, _ = await done(workers, Watched(data))
    assert summary.frames_decoded == 20
    assert max(size for _, size in asked) <= 2**20
    assert sum(size for _, size in asked) < 8 * 2**20, "what is skipped is not read"


async def test_what_the_source_raises_is_raised_and_its_time_is_not_charged(
    workers: Workers,
) -> None:
    class Failing(Memory):
        async def read(self, offset: int, size: int) -> bytes:
            raise NotReady("the source is gone")

    with pytest.raises(NotReady, match="gone"):
        await done(workers, Failing(bytes(100)))
    began = time.monotonic()
    async with workers.extract(Slow(media.numbered_video(5)), JOB) as extraction:
        async for _ in extraction:
            pass
    assert extraction.spent <= time.monotonic() - began - 0.5


async def test_a_killed_child_fails_its_own_request_alone(
    workers: Workers, group: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    restarts = workers.restarts
    async with workers.extract(Memory(group), JOB) as victim:
        await anext(victim)
        (pid,) = children_of(nursery_of(workers))
        other = asyncio.create_task(done(workers, group))
        os.kill(pid, signal.SIGKILL)
        with pytest.raises(WorkerLost):
            async for _ in victim:
                pass
    began = time.monotonic()
    async with workers.extract(Memory(media.numbered_video(5)), JOB) as following:
        await anext(following)
    assert time.monotonic() - began < 2
    clips, _, _ = await other
    assert len(clips) == 24
    await asyncio.sleep(0)
    assert workers.restarts == restarts + 1
    assert [record.fields for record in caplog.records if record.msg == "worker lost"] == [  # type: ignore[attr-defined]
        {"exit": -signal.SIGKILL}
    ]


async def test_after_a_crash_children_come_from_a_new_nursery(group: bytes) -> None:
    workers = await started()
    before = nursery_of(workers)
    running = workers.extract(Memory(group), JOB)
    async with running:
        await anext(running)
        async with workers.extract(Memory(group), JOB) as victim:
            await anext(victim)
            os.kill(max(children_of(before)), signal.SIGSEGV)
            with pytest.raises(WorkerLost):
                async for _ in victim:
                    pass
        await until(lambda: nursery_of(workers) != before)
        assert state_of(before), "it lives as long as its last child"
        assert [item async for item in running]
    await until(lambda: not state_of(before))
    assert (await done(workers, media.numbered_video(5)))[1].frames_decoded == 5
    await workers.stop()


async def test_a_nursery_does_not_go_on_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers_module, "_CHILDREN", 3)
    workers = await started()
    first = nursery_of(workers)
    for _ in range(4):
        await done(workers, media.numbered_video(5))
    await until(lambda: nursery_of(workers) != first)
    assert workers.restarts == 0, "nothing was wrong with it"
    await workers.stop()


async def test_a_dead_nursery_fails_its_requests_and_is_replaced(group: bytes) -> None:
    workers = await started()
    async with workers.extract(Memory(group), JOB) as extraction:
        await anext(extraction)
        (child,) = children_of(nursery_of(workers))
        os.kill(nursery_of(workers), signal.SIGKILL)
        with pytest.raises(WorkerLost):
            async for _ in extraction:
                pass
    assert (await done(workers, media.numbered_video(5)))[1].frames_decoded == 5
    assert workers.restarts == 1
    assert state_of(child) in ("", "Z")
    await workers.stop()


async def test_a_child_that_hangs_is_too_slow_and_gone(workers: Workers, group: bytes) -> None:
    async with workers.extract(Memory(group), replace(JOB, seconds=1.5)) as extraction:
        await anext(extraction)
        (child,) = children_of(nursery_of(workers))
        os.kill(child, signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(TooSlow):
            async for _ in extraction:
                pass
        assert time.monotonic() - began < 3.5
    assert state_of(child) == ""


async def test_processor_time_is_bounded_by_the_kernel_as_well() -> None:
    workers = await started(cpu_seconds=1)
    with pytest.raises(TooSlow, match="processor"):
        await done(workers, media.group_video(100))
    assert workers.restarts == 0, "using too much is no crash"
    await workers.stop()


async def test_a_paused_child_does_nothing_and_is_not_charged(
    workers: Workers, group: bytes
) -> None:
    async with workers.extract(Memory(group), replace(JOB, seconds=20)) as extraction:
        await anext(extraction)
        (child,) = children_of(nursery_of(workers))
        extraction.pause()
        await until(lambda: state_of(child) == "T")
        spent = extraction.spent
        waiting = asyncio.create_task(_rest(extraction))
        await asyncio.sleep(0.5)
        assert extraction.spent == spent
        assert not waiting.done()
        extraction.resume()
        await waiting
        assert extraction.spent > spent


async def test_all_of_a_child_that_makes_way_is_nicer_than_the_rest(
    workers: Workers, group: bytes
) -> None:
    async with workers.extract(Memory(group), JOB) as extraction:
        await anext(extraction)
        nursery = nursery_of(workers)
        (child,) = children_of(nursery)
        assert set(niceness(child)) == {0}
        extraction.make_way()
        await until(lambda: set(niceness(child)) == {10})
        assert {*niceness(nursery), *niceness(os.getpid())} == {0}
        await _rest(extraction)


def niceness(pid: int) -> list[int]:
    """Of each thread of a process."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return [os.getpriority(os.PRIO_PROCESS, int(task.name)) for task in tasks]


async def _rest(extraction: object) -> None:
    async for _ in extraction:  # type: ignore[attr-defined]
        pass


async def test_leaving_early_and_being_cancelled_end_the_child(
    workers: Workers, group: bytes
) -> None:
    await until(lambda: not workers._renewal)
    restarts = workers.restarts
    async with workers.extract(Memory(group), JOB) as extraction:
        await anext(extraction)
        (child,) = children_of(nursery_of(workers))
    assert state_of(child) == ""
    task = asyncio.create_task(done(workers, group))
    await until(lambda: children_of(nursery_of(workers)))
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert children_of(nursery_of(workers)) == []
    assert workers.alive == 0
    assert workers.restarts == restarts, "who is killed has not crashed"


async def test_nothing_is_left_of_many_extractions(workers: Workers, group: bytes) -> None:
    await until(lambda: not (workers._renewal or workers._retired))
    small = media.numbered_video(5)
    await done(workers, small)
    before = descriptors()
    nursery, held = nursery_of(workers), descriptors(nursery_of(workers))
    others = set(children_of(os.getpid())) - {nursery}
    for _ in range(10):
        await asyncio.gather(*(done(workers, small) for _ in range(5)))
    assert (nursery_of(workers), descriptors(nursery)) == (nursery, held)
    for _ in range(10):
        async with workers.extract(Memory(group), JOB) as extraction:
            await anext(extraction)
            os.kill(max(children_of(nursery_of(workers))), signal.SIGKILL)
            with pytest.raises(WorkerLost):
                await _rest(extraction)
    await until(lambda: not (workers._renewal or workers._retired))
    assert descriptors() == before
    assert set(children_of(os.getpid())) - others == {nursery_of(workers)}
    assert children_of(nursery_of(workers)) == []
    assert workers.alive == 0


async def test_stopping_ends_everything(group: bytes) -> None:
    before = descriptors()
    workers = await started()
    nursery = nursery_of(workers)
    async with workers.extract(Memory(group), JOB) as extraction:
        await anext(extraction)
        (child,) = children_of(nursery)
        await workers.stop()
        assert (state_of(nursery), state_of(child)) == ("", "")
        with pytest.raises(WorkerLost):
            await _rest(extraction)
    assert descriptors() == before
    with pytest.raises(NotReady):
        await done(workers, group)


async def test_a_missing_detector_is_named_without_its_folder(tmp_path: Path) -> None:
    before = descriptors()
    workers = Workers(
        detector="insightface", detector_path=tmp_path / "det.onnx", memory=MEMORY, cpu_seconds=9
    )
    with pytest.raises(ModelError, match=r"det\.onnx") as raised:
        await workers.start()
    assert str(tmp_path) not in str(raised.value)
    assert descriptors() == before


async def test_insightface_models_work_in_children_too(tmp_path: Path) -> None:
    path = tmp_path / "bright.onnx"
    await asyncio.to_thread(path.write_bytes, bright_cell_model().SerializeToString())
    frames = [np.full((96, 128, 3), 40, np.uint8) for _ in range(10)]
    for frame in frames:
        frame[24:56, 48:80] = 255
    workers = await started(detector="insightface", detector_path=path)
    limits = TrackerSettings(smallest_face=8)
    clips, summary, _ = await done(workers, media.encode_video(frames), tracking=limits)
    assert workers.detector == "scrfd"
    assert summary.frames_with_face == 10
    assert len(clips) == 2 * len(summary.tracks) > 0
    await workers.stop()


async def test_too_little_memory_to_start_is_said() -> None:
    workers = Workers(memory=300 * 2**20, cpu_seconds=9)
    with pytest.raises(ModelError):
        await workers.start()


async def test_secrets_stay_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEEPFAKE_AUTH__KEYS", '["somebody:secret"]')
    workers = await started()
    environment = environment_of(nursery_of(workers))
    assert b"PATH=" in environment
    assert b"secret" not in environment
    await workers.stop()


async def test_a_nursery_ends_with_its_parent(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, os, signal\n"
        "from service.sandbox.workers import Workers\n"
        "async def main():\n"
        f"    workers = Workers(memory={MEMORY}, cpu_seconds=9)\n"
        "    await workers.start()\n"
        "    print(workers._nurse._process.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    ran = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, str(script)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        check=False,
    )
    assert ran.returncode == -signal.SIGKILL
    await until(lambda: state_of(int(ran.stdout)) in ("", "Z"), 5)
