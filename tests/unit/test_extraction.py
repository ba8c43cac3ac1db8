"""What extraction gives for a range, for several specs and from media that come in pieces."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator

import numpy as np
import pytest
from av.error import err_check

from service import extraction
from service.clips import Clip, ClipSpec
from service.errors import MalformedRequest, OverLimits
from service.extraction import Extracted, ExtractionLimits, Position, extract
from service.faces.detector import Detection
from service.faces.mtcnn import MTCNN
from service.faces.tracking import TrackerSettings
from service.video import video as video_module
from service.video.deadline import Deadline
from service.video.frames import Frame, Still
from service.video.readable import Readable
from service.video.video import Video
from tests import media
from tests.media import Image
from tests.unit.faces.fakes import face

SPEC = ClipSpec(5, 32, 32, 1.3, "clip")


class OneFace:
    """Sees one face in the middle of every frame."""

    name = "one"

    def detect(self, rgb: Image) -> list[Detection]:
        return [face((20.0, 10.0, 70.0, 60.0))]


class Pieces:
    """Media read through a protocol; notes what was asked for."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)
        self.asked: list[tuple[int, int]] = []

    def read(self, offset: int, size: int) -> bytes:
        self.asked.append((offset, size))
        return self._data[offset : offset + size]


def extracted(
    data: bytes | Readable, *specs: ClipSpec, sampling: str = "full", **options: object
) -> tuple[list[Clip], Extracted, list[Position]]:
    items = list(
        extract(
            data,
            specs or (SPEC,),
            sampling,
            tracking=TrackerSettings(),
            limits=ExtractionLimits(),
            deadline=Deadline(math.inf),
            **{"detector": OneFace(), **options},  # type: ignore[arg-type]
        )
    )
    last = items[-1]
    assert isinstance(last, Extracted)
    clips = [item for item in items if isinstance(item, Clip)]
    return clips, last, [item for item in items if isinstance(item, Position)]


def test_media_may_come_in_pieces() -> None:
    data = media.numbered_video(30)
    pieces = Pieces(data)
    from_pieces, _, _ = extracted(pieces)
    whole, _, _ = extracted(data)
    assert len(whole) == 6
    assert pieces.asked
    for one, other in zip(from_pieces, whole, strict=True):
        np.testing.assert_array_equal(one.pixels, other.pixels)


def test_a_range_gives_the_clips_that_lie_wholly_within() -> None:
    data = media.numbered_video(50)
    whole, _, _ = extracted(data)
    clips, summary, positions = extracted(data, start=0.4, end=1.1)
    assert [clip.first_frame for clip in clips] == [10, 15, 20]
    assert (summary.range, summary.duration) == ((0.4, 1.1), pytest.approx(2.0))
    assert summary.frames_decoded == 15
    assert (positions[0].time, positions[0].duration) == (0.4, 1.1)
    for clip, same in zip(clips, whole[2:5], strict=True):
        np.testing.assert_array_equal(clip.pixels, same.pixels)
    open_ended, summary, _ = extracted(data, start=1.6)
    assert [clip.first_frame for clip in open_ended] == [40, 45]
    assert summary.range == (1.6, pytest.approx(2.0))
    with pytest.raises(MalformedRequest):
        extracted(data, start=2.0)


def test_what_a_file_lacks_after_the_range_is_not_missing_from_it() -> None:
    whole = media.encode_video(
        media.group_frames(100, 0.25, 1.5), container="matroska", options={"g": "10"}
    )
    broken = whole[: len(whole) // 2]
    _, everything, _ = extracted(broken)
    assert everything.seconds_missing > 1.5
    _, within, _ = extracted(broken, end=1.0)
    assert within.seconds_missing == 0.0
    _, beyond, _ = extracted(broken, end=everything.duration + 0.5)
    assert beyond.seconds_missing == pytest.approx(0.5)


def test_boxes_are_arrays_and_empty_where_nobody_wants_them() -> None:
    data = media.numbered_video(20)
    _, summary, _ = extracted(data)
    (track,) = summary.tracks.values()
    np.testing.assert_array_equal(track.frames, np.arange(20))
    np.testing.assert_allclose(track.times, np.arange(20) / 25, atol=1e-6)
    np.testing.assert_array_equal(track.boxes, np.tile(np.float32([20, 10, 70, 60]), (20, 1)))
    assert (track.frames.dtype, track.times.dtype, track.boxes.dtype) == ("i4", "f8", "f4")
    _, without, _ = extracted(data, boxes=False)
    assert list(without.tracks) == list(summary.tracks)
    assert without.tracks[0].boxes.shape == (0, 4)
    assert without.frames_with_face == 20


def test_an_ensemble_gets_what_each_member_would_get_alone() -> None:
    data = media.numbered_video(20)
    single = ClipSpec(1, 24, 24, 1.2, "per_frame")
    clips, _, _ = extracted(data, SPEC, single)
    for number, spec in enumerate((SPEC, single)):
        alone, _, _ = extracted(data, spec)
        members = [clip for clip in clips if clip.spec == number]
        for one, other in zip(members, alone, strict=True):
            assert (one.first_frame, one.last_frame) == (other.first_frame, other.last_frame)
            np.testing.assert_array_equal(one.pixels, other.pixels)


class PlainVideo(Video):
    """Its frames are RGB as a whole, before anybody has looked at them."""

    def frames(self, wanted: Collection[int]) -> Iterator[Frame]:
        for frame in super().frames(wanted):
            yield Frame(frame.index, frame.time, Still(np.ascontiguousarray(frame.rgb)))


@pytest.mark.parametrize("sampling", ["full", "stride=0.4"])
@pytest.mark.parametrize(("pixel_format", "zoom"), [("yuv420p", 0.8), ("yuv444p", 0.5)])
def test_converting_no_more_than_is_looked_at_changes_no_bit_of_a_clip(
    pixel_format: str, zoom: float, sampling: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = media.encode_video(media.group_frames(20, zoom, 1.5), pixel_format=pixel_format)
    specs = (ClipSpec(5, 64, 64, 1.3, "per_frame"), ClipSpec(1, 48, 48, 1.6, "clip"))
    sparing, _, _ = extracted(data, *specs, sampling=sampling, detector=MTCNN())
    monkeypatch.setattr(extraction, "Video", PlainVideo)
    plain, _, _ = extracted(data, *specs, sampling=sampling, detector=MTCNN())
    assert len(sparing) == len(plain) >= 6 * len(specs)
    for one, other in zip(sparing, plain, strict=True):
        assert (one.track, one.first_frame, one.boxes) == (
            other.track,
            other.first_frame,
            other.boxes,
        )
        np.testing.assert_array_equal(one.pixels, other.pixels)


@pytest.mark.parametrize("error", [MemoryError(), "ffmpeg"], ids=["python", "ffmpeg"])
def test_memory_refused_is_over_the_limits_not_damage(
    error: MemoryError | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        if isinstance(error, MemoryError):
            raise error
        err_check(-12)

    class Refusing:
        def __init__(self, packet: object) -> None:
            self.packet = packet

        def __getattr__(self, name: str) -> object:
            return refuse if name == "decode" else getattr(self.packet, name)

    packets = video_module._packets
    monkeypatch.setattr(
        video_module, "_packets", lambda *given: (Refusing(each) for each in packets(*given))
    )
    with pytest.raises(OverLimits, match="memory"):
        extracted(media.numbered_video(20))
