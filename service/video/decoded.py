"""Decoded pictures that become RGB where and when somebody looks at them.

Decoders give brightness and colour in planes of their own. Of a large frame the service looks at a
face or two, and of most frames at nothing else: to convert all of each costs, for 4:4:4 and ten
bits, several times what decoding it does. So a part is cut out of the planes and converted alone.
The result is the whole frame's, bit for bit: a part begins where the converter's blocks and the
colour samples do and has a border for what it interpolates.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import cv2
import numpy as np
from av.error import FFmpegError
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

from service.errors import Undecodable
from service.video.container import demand_memory
from service.video.frames import Pixels, Still

_QUICK = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p"})
"""Formats that FFmpeg converts in a fraction of the time in which it decodes them."""

_TEN_BITS = frozenset({"yuv420p10le", "yuv422p10le", "yuv444p10le"})

IN_PARTS = _QUICK | _TEN_BITS | {"yuv444p", "yuvj444p"}
"""Formats of which a part converts to what it is in the whole."""

_ROWS, _COLUMNS = 16, 64
"""A part begins at multiples of these: the converter works on so many pixels at once, and repeats
its dither."""

_BORDER = 16
"""Pixels around a part that interpolated colours may come from."""

_LEVELS = np.clip(np.rint((np.arange(256) - 16) * 255 / 219), 0, 255).astype(np.uint8)
"""Grey level by brightness as television stores it, black at 16 and white at 235."""


class Converters:
    """What the pictures of one video share: FFmpeg's converters, each of which is prepared anew
    whenever what it is given has another size, and what is known of the picture before."""

    def __init__(self) -> None:
        self.whole, self.part, self.shrinking = (VideoReformatter() for _ in range(3))
        self._rotation: int | None = None
        self._turn = _Turn()
        self._kind: object = None
        self._works = False

    def turn(self, frame: VideoFrame) -> _Turn:
        """How a frame is turned, which is looked up where its rotation is not that of the one
        before. PyAV ties a frame whose side data is looked at to itself: its memory, and with it
        the decoder's pool, waits for Python's collector of cycles."""
        if frame.rotation != self._rotation:
            self._rotation, self._turn = frame.rotation, _Turn.of(frame)
        return self._turn

    def convert(self, picture: Decoded, kind: object) -> bool:
        """Whether they can do anything with a picture; tried where the one before was of another
        ``kind``."""
        if kind != self._kind:
            try:
                picture[:2, :2]
            except Undecodable:
                self._works = False
            else:
                self._works = True
            self._kind = kind
        return self._works


class Decoded:
    """A picture as it came from the decoder, turned and mirrored as the container asks.

    What gives pixels raises ``MemoryError``, and ``Undecodable`` where it is not ``convertible``.
    """

    def __init__(self, frame: VideoFrame, converters: Converters) -> None:
        self._frame, self._converters = frame, converters
        self._turn = converters.turn(frame)
        height, width = self._turn.sides(frame.height, frame.width)
        self.shape: tuple[int, ...] = (height, width, 3)
        self._rgb: Pixels | None = None
        """All of it as stored, where parts would cost more."""
        has_parts = _has_parts(frame)
        self._quick = has_parts and frame.format.name in _QUICK
        self._unconverted = frame.height * frame.width if has_parts else 0
        """Pixels that parts may still take."""

    @property
    def convertible(self) -> bool:
        """Whether it has colours and a size that can become RGB."""
        frame = self._frame
        kind = (frame.format.name, frame.height, frame.width, frame.colorspace, frame.color_range)
        return self._converters.convert(self, kind)

    def __getitem__(self, part: tuple[slice, slice]) -> Pixels:
        """See ``Picture``."""
        rows, columns = (
            slice(*each.indices(side)[:2]) for each, side in zip(part, self.shape[:2], strict=True)
        )
        rows, columns = self._turn.stored(rows, columns, self.shape)
        return self._turn.upright(self._stored(rows, columns))

    def coarse(self, longest: int) -> Pixels:
        """See ``Picture``."""
        height, width = self._frame.height, self._frame.width
        share = longest / max(height, width)
        if share >= 1 or self._quick:
            return self._turn.upright(self._whole())
        shrunk = _rgb(
            self._converters.shrinking,
            self._frame,
            height=max(1, round(height * share)),
            width=max(1, round(width * share)),
            interpolation=Interpolation.AREA,
        )
        return self._turn.upright(shrunk)

    def grey(self, step: int) -> Pixels:
        """See ``Picture``. Grey is brightness as the planes hold it."""
        frame = self._frame
        if not _has_parts(frame):
            return Still(self[:, :]).grey(step)
        full = frame.color_range == ColorRange.JPEG or frame.format.name.startswith("yuvj")
        levels = self._turn.turned(_plane(frame.planes[0], frame))[::step, ::step]
        if frame.format.name in _TEN_BITS:
            levels = levels >> 2
        eight_bits = np.ascontiguousarray(levels, np.uint8)
        return eight_bits if full else np.asarray(cv2.LUT(eight_bits, _LEVELS), np.uint8)

    def _stored(self, rows: slice, columns: slice) -> Pixels:
        """A part of the picture as it is stored."""
        top, bottom = _widened(rows, self._frame.height, _ROWS)
        left, right = _widened(columns, self._frame.width, _COLUMNS)
        # Faces that overlap could ask for more than there is.
        self._unconverted -= (bottom - top) * (right - left)
        if self._rgb is None and self._unconverted < 0:
            self._rgb = self._whole()
        if self._rgb is not None:
            return self._rgb[rows, columns]
        part = _cut_out(self._frame, top, bottom, left, right)
        return _rgb(self._converters.part, part)[
            rows.start - top : rows.stop - top, columns.start - left : columns.stop - left
        ]

    def _whole(self) -> Pixels:
        return _rgb(self._converters.whole, self._frame) if self._rgb is None else self._rgb


@dataclass(frozen=True, slots=True)
class _Turn:
    """From the stored to the upright picture: first transposed, then mirrored left to right and
    upended, where each is asked for."""

    transposed: bool = False
    mirrored: bool = False
    upended: bool = False

    @classmethod
    def of(cls, frame: VideoFrame) -> _Turn:
        """What the container asks for."""
        matrix = cast("bytes | None", frame.side_data.get("DISPLAYMATRIX"))
        return cls() if matrix is None else cls.asked_for(matrix)

    @classmethod
    def asked_for(cls, matrix: bytes) -> _Turn:
        """What a display matrix (9,), ISO 14496-12 6.2.2, asks for, to the nearest quarter turn.

        x' = a x + c y and y' = b x + d y. Of ``frame.rotation`` a mirrored picture would only get
        the turn.
        """
        a, b, _, c, d = (int(each) for each in np.frombuffer(matrix, np.int32)[:5])
        if a * d == b * c:
            return cls()
        if abs(b) > abs(a):
            return cls(True, c < 0, b < 0)
        return cls(False, a < 0, d < 0)

    def sides(self, height: int, width: int) -> tuple[int, int]:
        """Of the upright picture from the stored one's, and back."""
        return (width, height) if self.transposed else (height, width)

    def stored(self, rows: slice, columns: slice, shape: tuple[int, ...]) -> tuple[slice, slice]:
        """Where a part of the upright picture, whose shape is given, is stored."""
        if self.upended:
            rows = slice(shape[0] - rows.stop, shape[0] - rows.start)
        if self.mirrored:
            columns = slice(shape[1] - columns.stop, shape[1] - columns.start)
        return (columns, rows) if self.transposed else (rows, columns)

    def turned(self, pixels: NDArray[Any]) -> NDArray[Any]:
        """Stored pixels the right way round, as a view."""
        if self.transposed:
            pixels = pixels.swapaxes(0, 1)
        return pixels[:: -1 if self.upended else 1, :: -1 if self.mirrored else 1]

    def upright(self, rgb: Pixels) -> Pixels:
        """The same, contiguous where anything had to be turned."""
        return rgb if self == _Turn() else np.ascontiguousarray(self.turned(rgb))


def _has_parts(frame: VideoFrame) -> bool:
    """Whether parts of it convert alone. Where colour samples reach beyond the edge they do not."""
    name = frame.format.name
    even = frame.width % 2 == frame.height % 2 == 0
    return (
        name in IN_PARTS
        and (even or "444" in name)
        and all(plane.line_size > 0 for plane in frame.planes)
    )


def _widened(part: slice, length: int, step: int) -> tuple[int, int]:
    start = max(0, part.start - _BORDER) // step * step
    stop = -(-(part.stop + _BORDER) // step) * step
    return start, min(stop, length)


def _cut_out(frame: VideoFrame, top: int, bottom: int, left: int, right: int) -> VideoFrame:
    """A part of a frame as a frame of its own."""
    format = frame.format
    part = VideoFrame(right - left, bottom - top, format.name)
    part.colorspace, part.color_range = frame.colorspace, frame.color_range
    for number, (source, target) in enumerate(zip(frame.planes, part.planes, strict=True)):
        row, column = top, left
        if number:
            # Of 0 pixels PyAV takes the frame's own width.
            row, column = top and format.chroma_height(top), left and format.chroma_width(left)
        pixels = _plane(source, frame)
        _plane(target, frame)[:] = pixels[row : row + target.height, column : column + target.width]
    return part


def _plane(plane: VideoPlane, frame: VideoFrame) -> NDArray[Any]:
    """A view of its samples, uint8 or uint16 (h, w)."""
    kind = np.dtype("<u2" if frame.format.name in _TEN_BITS else "u1")
    return np.ndarray(
        (plane.height, plane.width), kind, cast("Any", plane), 0, (plane.line_size, kind.itemsize)
    )


def _rgb(converter: VideoReformatter, frame: VideoFrame, **options: Any) -> Pixels:
    try:
        # Left to itself, each frame's conversion starts a thread per core.
        converted = converter.reformat(frame, format="rgb24", threads=1, **options)
        return cast("Pixels", converted.to_ndarray())
    except (FFmpegError, ValueError) as error:
        if isinstance(error, FFmpegError):
            demand_memory(error)
        raise Undecodable("a picture has colours or a size that cannot be converted") from error
