"""Videos and other media, made in memory."""

from __future__ import annotations

import io
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction

import av
import cv2
import numpy as np
from av.stream import Disposition
from numpy.typing import NDArray

from service.demo import group_photograph
from service.faces.detector import Box
from service.faces.mtcnn import MTCNN
from service.video.encode import encode_video

Image = NDArray[np.uint8]


def numbered_frames(count: int, width: int = 96, height: int = 64) -> list[Image]:
    """Frames whose grey level tells their number: level = 4 * number % 256."""
    return [np.full((height, width, 3), number * 4 % 256, np.uint8) for number in range(count)]


def number_of(rgb: Image) -> int:
    """The number of a frame of ``numbered_frames`` (up to 63) after lossy coding."""
    return round(float(rgb.mean()) / 4)


def numbered_video(count: int = 50, **options: object) -> bytes:
    """An H.264 MP4 of ``numbered_frames`` at 25 frames a second."""
    return encode_video(numbered_frames(count), **options)  # type: ignore[arg-type]


def group_frames(count: int, zoom: float = 0.5, drift: float = 0.5) -> list[Image]:
    """Six real faces, slowly moving: uint8 (H, W, 3) of the insightface package's photograph."""
    photograph = group_photograph()
    height, width = (round(side * zoom / 2) * 2 for side in photograph.shape[:2])
    small = cv2.resize(photograph, (width, height), interpolation=cv2.INTER_AREA)
    frames = []
    for number in range(count):
        move = np.array([[1, 0, drift * number], [0, 1, 0]])
        shot = cv2.warpAffine(small, move, (width, height), borderMode=cv2.BORDER_REPLICATE)
        frames.append(np.asarray(shot, np.uint8))
    return frames


def group_video(count: int = 50, zoom: float = 0.5) -> bytes:
    """``group_frames`` as an MP4."""
    return encode_video(group_frames(count, zoom))


def timed_video(stamps: Sequence[float]) -> bytes:
    """One numbered frame at each of these seconds, in Matroska, whose clock is 1 ms."""
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        for rgb, stamp in zip(numbered_frames(len(stamps)), stamps, strict=True):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.time_base = stream.codec_context.time_base
            frame.pts = round(stamp * 1000)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return target.getvalue()


def late_video(seconds: float, count: int = 50) -> bytes:
    """``numbered_video`` in an MP4 whose silent sound begins so long before its pictures."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        pictures = output.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        sound = output.add_stream("aac", rate=44100)
        sound.layout = "mono"
        for number in range(int((seconds + count / 25) * 44100 / 1024)):
            output.mux(sound.encode(_silence(number)))
        output.mux(sound.encode(None))
        for number, rgb in enumerate(numbered_frames(count)):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = round(seconds * 25) + number, Fraction(1, 25)
            output.mux(pictures.encode(frame))
        output.mux(pictures.encode(None))
    return target.getvalue()


def remuxed(
    video: bytes,
    change: Callable[[int, av.Packet], None] = lambda number, packet: None,
    container: str = "matroska",
    options: dict[str, str] | None = None,
) -> bytes:
    """The same coded pictures in another container, each packet changed by number before."""
    target = io.BytesIO()
    with (
        av.open(io.BytesIO(video)) as source,
        av.open(target, "w", format=container, container_options=options or {}) as output,
    ):
        stream = output.add_stream_from_template(source.streams.video[0])
        for number, packet in enumerate(source.demux(video=0)):
            if packet.size:
                change(number, packet)
                packet.stream = stream
                output.mux(packet)
    return target.getvalue()


def repeated_video(frames: Sequence[Image], seconds: int, size: int) -> bytes:
    """An H.264 MP4 of about ``size`` bytes: the frames, which are a second, again and again, each
    time from a key frame on; its index comes last."""
    target = io.BytesIO()
    second = io.BytesIO(encode_video(frames, options={"bf": "2"}))
    with av.open(second) as source, av.open(target, "w", format="mp4") as output:
        original = source.streams.video[0]
        stream = output.add_stream_from_template(original)
        coded = [packet for packet in source.demux(original) if packet.size]
        missing = size // seconds - sum(packet.size for packet in coded)
        filled = [bytes(packet) + _filler(missing // len(coded)) for packet in coded]
        assert original.time_base is not None
        length = round(1 / original.time_base)
        for number in range(seconds):
            for model, data in zip(coded, filled, strict=True):
                packet = av.Packet(data)
                packet.pts, packet.dts = (
                    (stamp or 0) + number * length for stamp in (model.pts, model.dts)
                )
                packet.is_keyframe, packet.time_base = model.is_keyframe, original.time_base
                packet.stream = stream
                output.mux(packet)
    return target.getvalue()


def _filler(size: int) -> bytes:
    """A NAL unit of filler data (H.264, 7.3.2.7) behind its length, so many bytes in all."""
    return struct.pack(">I", size - 4) + b"\x0c" + b"\xff" * (size - 6) + b"\x80"


def boxes(video: bytes) -> Iterator[tuple[bytes, int]]:
    """Kind and place of each box on the top level of an MP4."""
    at = 0
    while at < len(video):
        yield video[at + 4 : at + 8], at
        at += struct.unpack_from(">I", video, at)[0]


def faststart(video: bytes) -> bytes:
    """The same MP4 with its index before its pictures."""
    places = dict(boxes(video))
    start = places[b"moov"]
    end = start + struct.unpack_from(">I", video, start)[0]
    moov = bytearray(video[start:end])
    at = moov.find(b"stco")
    while at >= 0:
        (count,) = struct.unpack_from(">I", moov, at + 8)
        offsets = struct.unpack_from(f">{count}I", moov, at + 12)
        struct.pack_into(f">{count}I", moov, at + 12, *(each + len(moov) for each in offsets))
        at = moov.find(b"stco", at + 4)
    (first,) = struct.unpack_from(">I", video)
    return video[:first] + bytes(moov) + video[first:start] + video[end:]


def many_streams(count: int, container: str) -> bytes:
    """A file with this many video streams of one frame each."""
    target = io.BytesIO()
    with av.open(target, "w", format=container) as output:
        for _ in range(count):
            stream = output.add_stream("mpeg4", rate=25)
            stream.width = stream.height = 64
            stream.pix_fmt = "yuv420p"
        for stream in output.streams.video:
            output.mux(stream.encode(_picture()))
            output.mux(stream.encode(None))
    return target.getvalue()


def audio_only(*, cover: bool = False) -> bytes:
    """An MP4 with a silent AAC stream and, if asked, cover art beside it."""
    target = io.BytesIO()
    with av.open(target, "w", format="mp4") as output:
        sound = output.add_stream("aac", rate=44100)
        sound.layout = "mono"
        if cover:
            picture = output.add_stream("mjpeg", rate=1)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuvj420p"
            picture.disposition = Disposition.attached_pic
            output.mux(picture.encode(_picture()))
            output.mux(picture.encode(None))
        for number in range(20):
            output.mux(sound.encode(_silence(number)))
        output.mux(sound.encode(None))
    return target.getvalue()


def _silence(number: int) -> av.AudioFrame:
    silence = np.zeros((1, 1024), np.float32)
    frame = av.AudioFrame.from_ndarray(silence, format="fltp", layout="mono")
    frame.sample_rate, frame.pts = 44100, number * 1024
    return frame


def no_frames() -> bytes:
    """A Matroska file that announces a video stream and holds no frame of it."""
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as output:
        stream = output.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        output.start_encoding()
    return target.getvalue()


def truncated_moov() -> bytes:
    """An MP4 that breaks off in the middle of its index."""
    video = numbered_video()
    return video[: video.index(b"moov") + 60]


def spoiled(video: bytes, start: float, end: float) -> bytes:
    """An MP4 with its index at the end, a share of its picture data overwritten with zeros."""
    first, last = video.index(b"mdat") + 4, video.index(b"moov") - 4
    assert first < last, "the index must come last"
    at, to = (first + round((last - first) * share) for share in (start, end))
    return video[:at] + bytes(to - at) + video[to:]


def padded(video: bytes, size: int) -> bytes:
    """The MP4 made ``size`` bytes long by a box that players skip."""
    missing = size - len(video)
    assert missing >= 8
    return video + missing.to_bytes(4, "big") + b"free" + bytes(missing - 8)


def png() -> bytes:
    """A PNG picture."""
    return bytes(cv2.imencode(".png", np.zeros((64, 64, 3), np.uint8))[1])


def jpeg() -> bytes:
    """A JPEG picture."""
    return bytes(cv2.imencode(".jpg", np.zeros((64, 64, 3), np.uint8))[1])


def _picture() -> av.VideoFrame:
    return av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")


@contextmanager
def ordinary_priority() -> Iterator[None]:
    """Undo what SVT-AV1 does to whom it lets encode: run by root, it makes the calling thread, and
    so all that this starts, one that takes the processor from every other."""
    try:
        yield
    finally:
        if hasattr(os, "sched_setscheduler"):
            os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


def av1_video(frames: Sequence[Image]) -> bytes:
    """Frames as AV1 in an MP4."""
    with ordinary_priority():
        return encode_video(frames, codec="libsvtav1", options={"preset": "11"})


def group_faces(rgb: Image) -> list[Box]:
    """Where the faces of a frame are, from left to right."""
    return sorted(face.box for face in MTCNN().detect(rgb))
