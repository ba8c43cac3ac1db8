"""Hostile, broken and merely unusual media, made in memory, with what is to become of each.

python -m tests.security.hostile_media FOLDER    writes them to files, to try them by hand
"""

from __future__ import annotations

import io
import struct
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path

import av
import numpy as np

from tests import media
from tests.media import Image

REPORT = "report"
"""The outcome of media that can be scored; all others are error codes."""


@dataclass(frozen=True, slots=True)
class Sample:
    """``make`` gives the bytes; ``outcomes`` are those that are right, any of them."""

    make: Callable[[], bytes]
    outcomes: frozenset[str]
    frames: int | None = None
    """Frames that must be decoded of it."""
    clips: int | None = None
    """Clips of five frames that must be cut of it."""


def scripts(planted: Path, port: int) -> dict[str, bytes]:
    """What makes FFmpeg open other things, if it is let: the file and the port on this machine."""
    url = f"http://127.0.0.1:{port}"
    hls = (
        "#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:10\n"
        "{key}#EXTINF:10,\n{segment}\n#EXT-X-ENDLIST\n"
    )
    texts = {
        "hls file": hls.format(key="", segment=f"file://{planted}"),
        "hls path": hls.format(key="", segment=planted),
        "hls url": hls.format(key="", segment=f"{url}/0.ts"),
        "hls key": hls.format(key=f'#EXT-X-KEY:METHOD=AES-128,URI="{url}/key"\n', segment=planted),
        "hls master": f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{url}/list.m3u8\n",
        "hls concat": hls.format(key="", segment=f"concat:{url}/a|file://{planted}"),
        "ffconcat file": f"ffconcat version 1.0\nfile '{planted}'\n",
        "ffconcat url": f"ffconcat version 1.0\nfile '{url}/0.mp4'\n",
        "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
        f"<Period><BaseURL>{url}/</BaseURL><AdaptationSet><Representation id='1' bandwidth='1'>"
        "<SegmentList><SegmentURL media='0.mp4'/></SegmentList></Representation></AdaptationSet>"
        "</Period></MPD>",
        "asx": f'<asx version="3.0"><entry><ref href="{url}/0.asf"/></entry></asx>',
        "reference": f"[Reference]\r\nRef1={url}/0.asf\r\n",
        "smil": f'<smil><body><video src="{url}/0.mp4"/></body></smil>',
    }
    return {name: text.encode() for name, text in texts.items()} | {
        "dref": external_reference(planted)
    }


def external_reference(path: Path) -> bytes:
    """An MP4 whose pictures lie in another file: its data reference is an alias to that."""
    video = media.numbered_video(5)
    at = video.index(b"dref") - 4
    (old_size,) = struct.unpack(">I", video[at : at + 4])
    target = str(path).encode()
    target += bytes(len(target) % 2)
    # As FFmpeg reads an alias: volume, file name and levels up and down stay empty; 2: the path.
    alias = bytes(10 + 28 + 12 + 64 + 16 + 4 + 16) + struct.pack(">HH", 2, len(target)) + target
    alias += struct.pack(">HH", 0xFFFF, 0)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    box = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    return _resized(video, at, old_size, box)


def _resized(video: bytes, at: int, old_size: int, box: bytes) -> bytes:
    """One box put in another's place, the boxes around it made to fit; the index is at the end."""
    data = bytearray(video)
    data[at : at + old_size] = box
    for around in (b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        place = video.rindex(around, 0, at) - 4
        (size,) = struct.unpack(">I", video[place : place + 4])
        data[place : place + 4] = struct.pack(">I", size + len(box) - old_size)
    return bytes(data)


def sample_count_bomb(count: int) -> bytes:
    """Under a kilobyte of MP4 whose tables announce ``count`` pictures of one byte each; indexing
    them takes 24 bytes of memory a picture."""
    data = bytearray(media.numbered_video(1, codec="mpeg4"))
    for name, skip, new in (
        (b"stsz", 8, struct.pack(">II", 1, count)),
        (b"stts", 12, struct.pack(">II", count, 1)),
        (b"stsc", 12, struct.pack(">III", 1, count, 1)),
    ):
        at = data.index(name) + skip
        data[at : at + len(new)] = new
    return bytes(data)


def coded(
    frames: Sequence[Image],
    codec: str,
    *,
    container: str = "mp4",
    pixels: str = "yuv420p",
    rate: int = 25,
    options: Mapping[str, str] | None = None,
    container_options: Mapping[str, str] | None = None,
) -> bytes:
    """Frames in any codec and container, with any options."""
    target = io.BytesIO()
    with av.open(
        target, "w", format=container, container_options=dict(container_options or {})
    ) as output:
        stream = output.add_stream(codec, rate=rate)
        stream.height, stream.width = frames[0].shape[:2]
        stream.pix_fmt = pixels
        stream.options = dict(options or {})
        for frame in frames:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        output.mux(stream.encode(None))
    return target.getvalue()


def flat(width: int, height: int, count: int = 1) -> list[Image]:
    """Grey frames."""
    return [np.full((height, width, 3), 99, np.uint8)] * count


def greedy(count: int) -> bytes:
    """A few kilobytes that take 25 MB a frame to read: large pictures of which sixteen are kept."""
    options = {"preset": "ultrafast", "refs": "16", "g": "250"}
    return coded(flat(2560, 1440, count), "libx264", pixels="yuv444p10le", options=options)


def sixteen_k(*, announced: bool) -> bytes:
    """An AVI whose picture says that it is 16K; the container says so too if ``announced``."""
    data = coded(flat(64, 64), "mjpeg", container="avi", pixels="yuvj420p")
    # In a JPEG's frame header: precision, height, width.
    data = data.replace(struct.pack(">BHH", 8, 64, 64), struct.pack(">BHH", 8, 8640, 15360))
    if announced:
        data = data.replace(struct.pack("<II", 64, 64), struct.pack("<II", 15360, 8640))
    return data


def changing_size() -> bytes:
    """A transport stream whose pictures change their size, twice."""
    small, large = media.group_frames(10, 0.4), media.group_frames(10, 0.5)
    return b"".join(coded(each, "libx264", container="mpegts") for each in (small, large, small))


def hours(count: float, rate: int = 60) -> bytes:
    """An MP4 of so many hours, all of them one picture; its index is that of a real film."""
    target = io.BytesIO()
    with (
        av.open(io.BytesIO(coded(flat(64, 64), "mpeg4"))) as source,
        av.open(target, "w", format="mp4") as output,
    ):
        picture = bytes(next(source.demux(video=0)))
        stream = output.add_stream_from_template(source.streams.video[0])
        for number in range(int(count * 3600 * rate)):
            packet = av.Packet(picture)
            packet.stream, packet.time_base = stream, Fraction(1, rate)
            packet.pts = packet.dts = number
            packet.is_keyframe = True
            output.mux(packet)
    return target.getvalue()


def with_all_kinds_of_streams() -> bytes:
    """A Matroska file with pictures, sound, subtitles and an attached file."""
    target = io.BytesIO()
    with av.open(target, "w", format="matroska") as output:
        pictures = output.add_stream("libx264", rate=25)
        pictures.width, pictures.height, pictures.pix_fmt = 96, 64, "yuv420p"
        words = output.add_mux_stream("subrip")
        output.add_stream("aac", rate=44100).layout = "mono"
        output.add_attachment("notes.txt", "text/plain", b"notes")
        for frame in media.numbered_frames(5):
            output.mux(pictures.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        packet = av.Packet(b"words")
        packet.stream, packet.time_base = words, Fraction(1, 1000)
        packet.pts = packet.dts = 0
        output.mux(packet)
        output.mux(pictures.encode(None))
    return target.getvalue()


def no_time_passes() -> bytes:
    """A Matroska file all of whose pictures are shown at the same moment."""

    def at_once(_: int, packet: av.Packet) -> None:
        packet.pts = packet.dts = 0

    return media.remuxed(media.numbered_video(5, options={"bf": "0"}), at_once)


def turned(video: bytes, a: int, b: int, c: int, d: int) -> bytes:
    """The MP4 with this display matrix."""
    data = bytearray(video)
    at = data.index(b"tkhd") + 4 + 40  # ISO 14496-12, 8.3.2: after version 0's fixed fields
    data[at : at + 36] = struct.pack(">9i", a << 16, b << 16, 0, c << 16, d << 16, 0, 0, 0, 1 << 30)
    return bytes(data)


def _of_faces(codec: str, count: int = 10, **options: object) -> Callable[[], bytes]:
    return lambda: coded(media.group_frames(count, 0.5), codec, **options)  # type: ignore[arg-type]


def _with_faces(codec: str, **options: object) -> Sample:
    """Ten frames of six faces."""
    return _sample(_of_faces(codec, **options), REPORT, frames=10, clips=12)


def _half(make: Callable[[], bytes]) -> bytes:
    whole = make()
    return whole[: len(whole) // 2]


def _sample(
    make: Callable[[], bytes], *outcomes: str, frames: int | None = None, clips: int | None = None
) -> Sample:
    return Sample(make, frozenset(outcomes), frames, clips)


_H264 = "libx264"
_SHORT_GROUPS = {"g": "5"}

SAMPLES: dict[str, Sample] = {
    "sample bomb, 2 GB": _sample(partial(sample_count_bomb, 80_000_000), "undecodable"),
    "sample bomb, 100 GB": _sample(partial(sample_count_bomb, 2**32 - 1), "undecodable"),
    "sample bomb that fits": _sample(partial(sample_count_bomb, 10_000_000), "undecodable"),
    "sample bomb that just fits": _sample(
        partial(sample_count_bomb, 28_000_000), "undecodable", "over_limits"
    ),
    "16K": _sample(partial(sixteen_k, announced=True), "over_limits"),
    "16K that says 64": _sample(partial(sixteen_k, announced=False), "undecodable"),
    "largest allowed": _sample(
        lambda: coded(flat(4096, 2304, 10), _H264, options={"preset": "ultrafast"}),
        REPORT,
        frames=10,
    ),
    "a million frames a second": _with_faces(
        _H264, rate=10**6, options={"bf": "0"}, container_options={"use_editlist": "0"}
    ),
    "one frame": _sample(lambda: coded(flat(96, 64), _H264), REPORT, frames=1),
    "two by two pixels": _sample(lambda: coded(flat(2, 2, 5), _H264), REPORT, frames=5),
    "one line high": _sample(
        lambda: coded(flat(4096, 2, 5), "mjpeg", container="avi", pixels="yuvj420p"),
        REPORT,
        frames=5,
    ),
    "changing size": _sample(changing_size, REPORT, frames=30),
    "turned": _sample(lambda: turned(_of_faces(_H264)(), 0, 1, -1, 0), REPORT, frames=10),
    "10 bit": _with_faces(_H264, pixels="yuv420p10le"),
    "4:4:4": _with_faces(_H264, pixels="yuv444p"),
    "hevc": _with_faces("libx265", options={"x265-params": "log-level=none"}),
    "vp9 with alpha": _with_faces(
        "libvpx-vp9", container="webm", pixels="yuva420p", options={"cpu-used": "8"}
    ),
    "av1": _sample(lambda: media.av1_video(media.group_frames(10)), REPORT, frames=10, clips=12),
    "interlaced": _with_faces(
        "mpeg2video", container="mpegts", options={"flags": "+ildct+ilme", "b": "9000000"}
    ),
    "fragmented": _with_faces(
        _H264,
        options=_SHORT_GROUPS,
        container_options={"movflags": "frag_keyframe+empty_moov+default_base_moof"},
    ),
    "index at the end": _with_faces(_H264),
    "index at the start": _with_faces(_H264, container_options={"moov_size": "20000"}),
    "all kinds of streams": _sample(with_all_kinds_of_streams, REPORT, frames=5),
    "no time passes": _sample(no_time_passes, REPORT, frames=5),
    "cut off, index lost": _sample(partial(_half, _of_faces(_H264)), "undecodable"),
    "cut off": _sample(
        partial(_half, _of_faces(_H264, 20, container="matroska", options=_SHORT_GROUPS)), REPORT
    ),
    "spoiled": _sample(
        lambda: media.spoiled(_of_faces(_H264, 20, options=_SHORT_GROUPS)(), 0.3, 0.5), REPORT
    ),
    "index spoiled": _sample(media.truncated_moov, "undecodable"),
    "nothing but zeros": _sample(lambda: bytes(2**20), "undecodable"),
    "one byte": _sample(lambda: b"\0", "undecodable"),
    "sound alone": _sample(media.audio_only, "no_video"),
    "a cover": _sample(partial(media.audio_only, cover=True), "no_video"),
    "many streams": _sample(partial(media.many_streams, 200, "mp4"), "over_limits"),
    "a picture": _sample(media.png, "undecodable"),
}


def main() -> None:
    """Write all of them."""
    folder = Path(sys.argv[1])
    for name, sample in SAMPLES.items():
        (folder / name.replace(" ", "_").replace(":", "")).write_bytes(sample.make())


if __name__ == "__main__":
    main()
