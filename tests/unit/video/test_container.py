"""Hostile and broken bytes never open anything and always give a clear error."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from service.errors import NotReady, NoVideo, OverLimits, ServiceError, TooSlow, Undecodable
from service.video import container
from service.video.container import open_container
from service.video.deadline import Deadline
from service.video.video import Video, VideoLimits
from tests import media
from tests.security import hostile_media
from tests.security.bait import Planted


def open_video(data: bytes, **limits: float) -> Video:
    deadline = Deadline(20)
    deadline.resume()
    return Video(data, VideoLimits(**limits), deadline)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("data", "error"),
    [
        pytest.param(b"no video at all, just words. " * 50, Undecodable, id="text"),
        pytest.param(media.png(), Undecodable, id="png"),
        pytest.param(media.jpeg(), Undecodable, id="jpeg"),
        pytest.param(media.truncated_moov(), Undecodable, id="truncated index"),
        pytest.param(media.no_frames(), Undecodable, id="no frames"),
        pytest.param(media.audio_only(), NoVideo, id="audio only"),
        pytest.param(media.audio_only(cover=True), NoVideo, id="cover art only"),
    ],
)
def test_what_is_no_video_is_refused_by_kind(data: bytes, error: type[ServiceError]) -> None:
    with pytest.raises(error):
        open_video(data)


SCRIPTS = tuple(hostile_media.scripts(Path("/planted"), 1))

LOOSE = {
    "protocol_whitelist": "file,http,tcp,crypto,data",
    "enable_drefs": "1",
    "use_absolute_path": "1",
    "safe": "0",
    "allowed_extensions": "ALL",
    "extension_picky": "0",
}
"""Every door open, also those that FFmpeg keeps shut when nobody says anything: ``enable_drefs``
and ``use_absolute_path`` only repeat its defaults, in case these change."""

DEFENCES = {
    "format_whitelist": "ffconcat file",
    # Not the same as io_open: what a concat script or an SDP names is opened past that.
    "protocol_whitelist": "ffconcat file",
    "enable_drefs": "dref",
    "use_absolute_path": "dref",
    "io_open": "dref",
    "no name": "hls file",
}
"""Each with what it alone stops."""


@pytest.fixture
def planted(tmp_path: Path) -> Iterator[Planted]:
    with closing(Planted(tmp_path / "planted.mp4")) as made:
        yield made


def leave(monkeypatch: pytest.MonkeyPatch, defence: str | None) -> None:
    """Take all defences away but this."""
    kept = {name: value for name, value in container._OPTIONS.items() if name == defence}
    monkeypatch.setattr(container, "_OPTIONS", LOOSE | kept)
    if defence != "io_open":
        monkeypatch.setattr(container, "_refuse", None)
    if defence != "no name":
        monkeypatch.setattr(container._Reader, "name", "list.m3u8", raising=False)


def read_all(data: bytes) -> None:
    video = open_video(data)
    for _ in video.frames(range(len(video.times))):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="sees who opens a file by inotify")
@pytest.mark.parametrize("defence", DEFENCES)
def test_each_defence_holds_alone(
    defence: str, planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = hostile_media.scripts(planted.path, 1)[DEFENCES[defence]]
    leave(monkeypatch, defence)
    with pytest.raises(Undecodable):
        read_all(data)
    assert not planted.opened()


@pytest.mark.skipif(sys.platform != "linux", reason="sees who opens a file by inotify")
@pytest.mark.parametrize("script", sorted(set(DEFENCES.values())))
def test_without_any_defence_the_file_is_opened(
    script: str, planted: Planted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the test above would prove nothing."""
    leave(monkeypatch, None)
    with suppress(Undecodable):
        read_all(hostile_media.scripts(planted.path, 1)[script])
    assert planted.opened()


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_script_is_refused(script: str, tmp_path: Path) -> None:
    """By all defences together; which of them matters is shown above."""
    target = tmp_path / "real.mp4"
    target.write_bytes(media.numbered_video())
    with pytest.raises(Undecodable):
        read_all(hostile_media.scripts(target, 1)[script])


def test_limits_on_size_length_and_frames() -> None:
    video = media.numbered_video(50)
    with pytest.raises(OverLimits):
        open_video(video, pixels=96 * 64 - 1)
    with pytest.raises(OverLimits):
        open_video(video, duration=1.9)
    with pytest.raises(OverLimits):
        open_video(video, frames=49)
    assert len(open_video(video, pixels=96 * 64, duration=2.1, frames=50).times) == 50


@pytest.mark.parametrize("kind", ["mp4", "matroska"])
def test_more_streams_than_allowed_are_refused_not_dropped(kind: str) -> None:
    video = media.many_streams(5, kind)
    with pytest.raises(OverLimits, match="streams"):
        open_video(video, streams=4)
    assert len(open_video(video, streams=5).times) == 1


def test_the_deadline_holds_while_reading_and_while_decoding() -> None:
    video = media.numbered_video(50)
    spent = Deadline(0)
    spent.resume()
    with pytest.raises(TooSlow), open_container(video, deadline=spent):
        pass
    deadline = Deadline(20)
    deadline.resume()
    opened = Video(video, VideoLimits(), deadline)
    frames = opened.frames(range(50))
    next(frames)
    deadline._seconds = 0.0
    with pytest.raises(TooSlow):
        list(frames)


def test_a_cancelled_deadline_ends_the_work_at_the_next_check() -> None:
    deadline = Deadline(20)
    deadline.cancel(NotReady("stopping"))
    with pytest.raises(NotReady):
        Video(media.numbered_video(5), VideoLimits(), deadline)


def test_a_paused_deadline_does_not_run() -> None:
    deadline = Deadline(0.5)
    deadline.resume()
    deadline.pause()
    spent = deadline.spent
    assert deadline.spent == spent
    deadline.check()
