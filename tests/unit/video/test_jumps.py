"""Of long MP4 files little is read and decoded, and that changes no pixel and no time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from service.video import skimming, video
from service.video.deadline import Deadline
from service.video.readable import Held
from service.video.route import Astray, Key, Route
from service.video.skimming import coded_frames
from service.video.video import Video, VideoLimits
from tests import media

FRAMES, GOP = 100, 15
WINDOWS = [12, 13, 14, 43, 44, 45, 46, 71, 98, 99]

CODINGS = {
    "h264": ("libx264", {"bf": "3", "g": str(GOP)}),
    "h264 open": ("libx264", {"bf": "3", "g": str(GOP), "x264-params": "open-gop=1"}),
    "h264 refresh": ("libx264", {"g": str(GOP), "x264-params": "intra-refresh=1"}),
    "h264 sole key": ("libx264", {"g": "1000", "sc_threshold": "0"}),
    "hevc": ("libx265", {"x265-params": f"keyint={GOP}:open-gop=0:log-level=none"}),
    "hevc open": ("libx265", {"x265-params": f"keyint={GOP}:open-gop=1:log-level=none"}),
    "mpeg4": ("mpeg4", {"bf": "2", "g": str(GOP)}),
    "vp9": ("libvpx-vp9", {"g": str(GOP), "auto-alt-ref": "1", "lag-in-frames": "10", "b": "1M"}),
    "av1": ("libsvtav1", {"g": str(GOP), "preset": "10", "svtav1-params": "lp=1"}),
}


class Counted:
    """Media that count what is read of them, in blocks as they are fetched."""

    def __init__(self, data: bytes, block: int = 4096) -> None:
        self._held, self.size, self._block = Held(data), len(data), block
        self.blocks: set[int] = set()

    def read(self, offset: int, size: int) -> bytes:
        end = min(offset + size, self.size)
        self.blocks |= set(range(offset // self._block, -(-end // self._block)))
        return self._held.read(offset, size)

    @property
    def share(self) -> float:
        return len(self.blocks) * self._block / self.size


@pytest.fixture(scope="module")
def moving() -> list[media.Image]:
    rng = np.random.default_rng(1)
    return [
        np.clip(frame + rng.normal(0, 3, frame.shape), 0, 255).astype(np.uint8)
        for frame in media.group_frames(FRAMES, 0.1, 1.5)
    ]


@pytest.fixture(scope="module", params=CODINGS)
def coding(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def coded(coding: str, moving: list[media.Image]) -> bytes:
    codec, options = CODINGS[coding]
    with media.ordinary_priority():
        return media.encode_video(moving, codec=codec, options=options)


def opened(data: bytes | Counted) -> Video:
    deadline = Deadline(60)
    deadline.resume()
    return Video(data, VideoLimits(), deadline)


def pictures(data: bytes | Counted, wanted: Sequence[int]) -> dict[int, bytes]:
    return {frame.index: frame.rgb.tobytes() for frame in opened(data).frames(wanted)}


def test_jumping_and_skimming_change_nothing(
    coding: str, coded: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    jumps: list[Key] = []
    real = Route.jump

    def noted(self: Route) -> Key | None:
        jump = real(self)
        jumps.extend([jump] if jump else [])
        return jump

    monkeypatch.setattr(Route, "jump", noted)
    times, some = opened(coded).times, pictures(coded, WINDOWS)
    assert bool(jumps) == (coding != "h264 sole key")
    monkeypatch.setattr(video, "CODECS", frozenset())
    np.testing.assert_array_equal(times, opened(coded).times)
    whole = pictures(coded, range(FRAMES))
    assert some == {index: whole[index] for index in WINDOWS}


@pytest.mark.parametrize("late", [False, True], ids=["moov first", "moov last"])
def test_what_is_not_wanted_is_not_read(moving: list[media.Image], late: bool) -> None:
    coded = media.encode_video(moving * 6, quality=10, options={"bf": "3", "g": str(GOP)})
    source = Counted(coded if late else media.faststart(coded))
    wanted = [500, 501, 502]
    assert sorted(pictures(source, wanted)) == wanted
    assert source.share < 0.25


def test_a_stretch_at_the_end_is_decoded_from_its_own_key_frame(
    moving: list[media.Image],
) -> None:
    found = opened(media.encode_video(moving, options={"g": str(GOP)}))
    decoded = 0
    real = found._position

    def counted(picture: object, ordinal: int) -> int:
        nonlocal decoded
        decoded += 1
        return real(picture, ordinal)  # type: ignore[arg-type]

    found._position = counted  # type: ignore[method-assign]
    assert [frame.index for frame in found.frames([85, 86])] == [85, 86]
    assert decoded <= GOP


def test_frames_that_a_jump_misses_are_decoded_from_the_start(
    moving: list[media.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    coded = media.encode_video(moving, options={"g": str(GOP)})
    whole = pictures(coded, range(FRAMES))
    # Key frames whose stamps are those of others.
    real = Video._read_stamps

    def lying(self: Video, *arguments: object) -> object:
        stamps, keys = real(self, *arguments)  # type: ignore[arg-type]
        return stamps, [Key(key.ordinal, key.pts, key.dts + 1) for key in keys]

    monkeypatch.setattr(Video, "_read_stamps", lying)
    assert pictures(coded, WINDOWS) == {index: whole[index] for index in WINDOWS}


KEYS = [Key(0, 0, -2), Key(20, 20, 18), Key(40, 40, 38)]


def test_a_route_jumps_to_the_last_key_frame_before_what_is_wanted() -> None:
    route = Route([5, 45], range(60), KEYS)
    assert route.jump() is None
    for number in range(9):
        route.took(number - 2)
    route.showed(5)
    assert route.jump() == KEYS[2]
    assert route.jump() is None  # it is on its way
    route.took(38)
    route.showed(40)
    assert route.jump() is None


def test_a_route_does_not_jump_back_or_to_where_it_is() -> None:
    route = Route([19, 20], range(60), KEYS)
    for number in range(20):
        route.took(number - 2)
    route.showed(19)
    assert route.jump() is None
    route.took(18)
    route.showed(20)
    assert route.jump() is None


@pytest.mark.parametrize("dts", [None, 17, 58, -2])
def test_a_jump_that_ends_elsewhere_is_told(dts: int | None) -> None:
    route = Route([0, 45], range(60), KEYS)
    route.took(-2)
    route.showed(0)
    assert route.jump() == KEYS[2]
    with pytest.raises(Astray):
        route.took(dts)


def test_a_jump_after_which_the_wanted_frame_does_not_come_is_told() -> None:
    route = Route([45], range(60), KEYS)
    assert route.jump() == KEYS[2]
    route.took(38)
    with pytest.raises(Astray):
        route.showed(46)


def box(kind: bytes, size: int) -> bytes:
    return size.to_bytes(4) + kind + bytes(max(0, size - 8))


@pytest.mark.parametrize(
    ("data", "frames"),
    [
        (box(b"ftyp", 16) + box(b"mdat", 20) + box(b"moov", 12), [range(24, 36)]),
        (box(b"ftyp", 16) + box(b"moov", 12) + box(b"mdat", 0) + bytes(9), [range(36, 45)]),
        (box(b"wide", 8) + b"\0\0\0\1mdat" + (24).to_bytes(8) + bytes(8), [range(24, 32)]),
        (box(b"mdat", 100)[:60], [range(8, 60)]),
        (box(b"ftyp", 16) + box(b"moof", 8) + box(b"mdat", 20), []),
        (box(b"ftyp", 16) + box(b"mdat", 20) + box(b"moof", 8), []),
        (box(b"mdat", 4), []),
        (box(b"ftyp", 8) * 100, []),
        (box(b"ftyp", 8) + b"12", []),
        (b"\x1aE\xdf\xa3" + bytes(50), []),
        (b"", []),
        (b"\0\0\0\1mdat", []),
    ],
)
def test_only_files_without_fragments_are_skimmed(data: bytes, frames: list[range]) -> None:
    assert coded_frames(Held(data)) == frames


def test_fragments_are_read_whole(moving: list[media.Image]) -> None:
    data = media.remuxed(
        media.encode_video(moving, options={"g": str(GOP)}),
        container="mp4",
        options={"movflags": "frag_keyframe+empty_moov"},
    )
    assert not coded_frames(Held(data))
    whole = pictures(data, range(FRAMES))
    assert pictures(data, WINDOWS) == {index: whole[index] for index in WINDOWS}


def test_zeros_are_given_for_frames_alone() -> None:
    media_ = skimming.Skimmed(Held(b"headFRAMESfoot"), [range(4, 10)])
    assert media_.read(4, 6) == b"FRAMES"
    media_.on = True
    assert media_.read(4, 6) == bytes(6)
    assert media_.read(5, 2) == bytes(2)
    assert media_.read(3, 3) == b"dFR"
    assert media_.read(8, 4) == b"ESfo"
    assert media_.read(12, 9) == b"ot"
