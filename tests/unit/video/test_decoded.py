"""Parts of a decoded picture are what they are in the whole, whatever its format and its turn."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from av.video.frame import VideoFrame
from av.video.reformatter import VideoReformatter

from service.faces.crops import crop
from service.faces.cuts import thumbnail
from service.video import decoded
from service.video.decoded import IN_PARTS, Converters, Decoded
from service.video.frames import Pixels, Still
from tests import media

COLOURS = [("ITU709", "MPEG"), ("ITU601", "JPEG"), ("BT2020", "MPEG"), ("DEFAULT", "UNSPECIFIED")]
BY_NAME = {"ITU709": 1, "ITU601": 5, "BT2020": 9, "DEFAULT": 2, "MPEG": 1, "JPEG": 2}
MATRICES = {
    "upright": None,
    "90": (0, 1, -1, 0),
    "180": (-1, 0, 0, -1),
    "270": (0, -1, 1, 0),
    "mirrored": (-1, 0, 0, 1),
    "upside down": (1, 0, 0, -1),
    "transposed": (0, 1, 1, 0),
}


def noise(width: int, height: int, name: str, colours: tuple[str, str] = COLOURS[0]) -> VideoFrame:
    """A frame whose neighbouring pixels have nothing in common."""
    rng = np.random.default_rng(7)
    frame = VideoFrame(width, height, name)
    for plane in frame.planes:
        if "10" in name:
            values = np.frombuffer(plane, np.uint16)
            values[:] = rng.integers(0, 1024, values.size)
        else:
            samples = np.frombuffer(plane, np.uint8)
            samples[:] = rng.integers(0, 256, samples.size, dtype=np.uint8)
    frame.colorspace, frame.color_range = (BY_NAME.get(each, 0) for each in colours)
    return frame


def whole(frame: VideoFrame) -> Pixels:
    """The plain way: all of it, as FFmpeg converts it."""
    rgb = VideoReformatter().reformat(frame, format="rgb24", threads=1).to_ndarray()
    return np.asarray(rgb, np.uint8)


def parts(height: int, width: int, count: int = 12) -> Iterator[tuple[slice, slice]]:
    rng = np.random.default_rng(11)
    for _ in range(count):
        (top, bottom), (left, right) = (
            sorted(rng.choice(side + 1, 2, replace=False).tolist()) for side in (height, width)
        )
        yield slice(top, bottom), slice(left, right)


@pytest.mark.parametrize("name", sorted(IN_PARTS))
@pytest.mark.parametrize("size", [(642, 362), (854, 480), (638, 361), (333, 250)], ids=str)
@pytest.mark.parametrize("colours", COLOURS, ids=" ".join)
def test_a_part_is_what_it_is_in_the_whole(
    name: str, size: tuple[int, int], colours: tuple[str, str]
) -> None:
    frame = noise(*size, name, colours)
    plain = whole(frame)
    for part in parts(*plain.shape[:2]):
        # Each of a picture of its own: many parts of one end up in the whole.
        np.testing.assert_array_equal(Decoded(frame, Converters())[part], plain[part])


@pytest.mark.parametrize("name", ["gray", "gbrp", "nv12", "yuv411p", "yuva420p"])
def test_other_formats_are_converted_whole(name: str) -> None:
    frame = noise(64, 48, name)
    part = (slice(5, 31), slice(7, 60))
    np.testing.assert_array_equal(Decoded(frame, Converters())[part], whole(frame)[part])


@pytest.mark.parametrize("name", ["yuv420p", "yuv444p"])
def test_a_part_takes_no_conversion_of_the_whole(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken: list[int] = []
    real = decoded._rgb

    def counted(converter: VideoReformatter, frame: VideoFrame, **options: object) -> Pixels:
        taken.append(frame.width * frame.height)
        return real(converter, frame, **options)

    monkeypatch.setattr(decoded, "_rgb", counted)
    picture = Decoded(noise(1280, 720, name), Converters())
    thumbnail(picture)
    assert taken == []
    crop(picture, (600.0, 300.0, 700.0, 400.0), 1.3, (64, 64))
    assert sum(taken) < 0.1 * 1280 * 720
    for _ in range(200):
        crop(picture, (600.0, 300.0, 700.0, 400.0), 1.3, (64, 64))
    assert sum(taken) <= 2 * 1280 * 720, "no picture is converted more than twice over"


@pytest.fixture
def turned(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Frames have the display matrix asked for; FFmpeg alone can attach one."""
    if request.param is not None:
        a, b, c, d = request.param
        matrix = np.array([a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30], np.int32)
        turn = decoded._Turn.asked_for(matrix.tobytes())
        monkeypatch.setattr(decoded._Turn, "of", lambda frame: turn)


@pytest.mark.parametrize("turned", MATRICES.values(), ids=MATRICES, indirect=True)
@pytest.mark.parametrize("name", ["yuv420p", "yuv444p", "gbrp"])
@pytest.mark.usefixtures("turned")
def test_a_part_of_a_turned_picture_is_what_it_is_in_the_whole(name: str) -> None:
    frame = noise(322, 182, name)
    plain = Still(decoded._Turn.of(frame).upright(whole(frame)))
    picture = Decoded(frame, Converters())
    assert picture.shape == plain.shape
    for part in parts(*plain.shape[:2]):
        np.testing.assert_array_equal(Decoded(frame, Converters())[part], plain[part])
    if name == "gbrp":
        levels = plain.grey(2)
    else:
        bright = np.frombuffer(frame.planes[0], np.uint8).reshape(182, -1)[:, :322].astype(float)
        scaled = np.clip((decoded._Turn.of(frame).turned(bright) - 16) * 255 / 219, 0, 255)
        levels = np.rint(scaled)[::2, ::2]
    np.testing.assert_allclose(picture.grey(2), levels, atol=1)
    small = picture.coarse(100)
    assert (small.shape[0] > small.shape[1]) == (plain.shape[0] > plain.shape[1])


def moving(name: str) -> VideoFrame:
    """A photograph in this format."""
    shot = media.group_frames(1, zoom=0.8)[0]
    height, width = (side // 2 * 2 for side in shot.shape[:2])
    frame = VideoFrame.from_ndarray(np.ascontiguousarray(shot[:height, :width]), format="rgb24")
    colours = {"dst_colorspace": "ITU601", "dst_color_range": "MPEG"}
    return VideoReformatter().reformat(frame, format=name, threads=1, **colours)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["yuv420p", "yuvj420p", "yuv422p"])
def test_what_converts_quickly_is_given_to_detectors_as_it_is(name: str) -> None:
    frame = noise(1280, 720, name)
    np.testing.assert_array_equal(Decoded(frame, Converters()).coarse(640), whole(frame))


@pytest.mark.parametrize("name", ["yuv444p", "yuv420p10le", "yuv444p10le"])
def test_what_converts_slowly_is_shrunk_first(name: str) -> None:
    frame = moving(name)
    picture = Decoded(frame, Converters())
    small = picture.coarse(640)
    assert max(small.shape) == 640
    plain = cv2.resize(whole(frame), small.shape[1::-1], interpolation=cv2.INTER_AREA)
    # Colour is averaged over two columns, brightness is not.
    assert np.abs(small.astype(int) - plain).mean() < 1
    grey, plain_grey = (each.astype(int) @ (299, 587, 114) // 1000 for each in (small, plain))
    assert np.quantile(np.abs(grey - plain_grey), 0.999) <= 4
    np.testing.assert_array_equal(picture.coarse(5000), whole(frame))


@pytest.mark.parametrize("name", sorted(IN_PARTS))
def test_grey_levels_are_those_of_the_whole(name: str) -> None:
    # Grey is what television of old took for brightness, whose colours these frames have.
    frame = moving(name)
    grey, plain = (
        each.grey(2).astype(int) for each in (Decoded(frame, Converters()), Still(whole(frame)))
    )
    # The converter is a level or two too dark or too bright for some formats; cuts do not see that.
    difference = np.abs(grey - plain - np.median(grey - plain))
    assert difference.mean() < 1
    assert np.quantile(difference, 0.999) <= 3
