"""Hostile and broken bytes never open anything and always give a clear error."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from service.errors import NotReady, NoVideo, OverLimits, ServiceError, TooSlow, Undecodable
from service.video.container import open_container
from service.video.deadline import Deadline
from service.video.video import Video, VideoLimits
from tests import media


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


@pytest.mark.parametrize(
    "script",
    [
        "ffconcat version 1.0\nfile '{path}'\n",
        "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\nfile://{path}\n#EXT-X-ENDLIST\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n",
    ],
    ids=["concat", "hls", "sdp"],
)
def test_a_script_that_names_a_real_video_opens_nothing(script: str, tmp_path: Path) -> None:
    target = tmp_path / "real.mp4"
    target.write_bytes(media.numbered_video())
    os.utime(target, (1, 1))
    with pytest.raises(Undecodable):
        open_video(script.format(path=target).encode())
    assert target.stat().st_atime == 1


def test_limits_on_size_length_and_frames() -> None:
    video = media.numbered_video(50)
    with pytest.raises(OverLimits):
        open_video(video, pixels=96 * 64 - 1)
    with pytest.raises(OverLimits):
        open_video(video, duration=1.9)
    with pytest.raises(OverLimits):
        open_video(video, frames=49)
    assert len(open_video(video, pixels=96 * 64, duration=2.1, frames=50).times) == 50


@pytest.mark.parametrize("container", ["mp4", "matroska"])
def test_more_streams_than_allowed_are_refused_not_dropped(container: str) -> None:
    video = media.many_streams(5, container)
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
