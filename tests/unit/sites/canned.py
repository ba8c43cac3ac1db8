"""Answers of sites, invented: only their form is that of real ones."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from service.sites.messages import Denied, Given, Wanted


@dataclass
class Web:
    """Answers the requests of a page; ``asked`` keeps them. What it does not know is missing."""

    answers: Mapping[str, Any]
    """By how the URL begins."""
    asked: list[Wanted] = field(default_factory=list)

    async def send(self, wanted: Wanted, body: bytes) -> tuple[Given | Denied, bytes]:
        self.asked.append(wanted)
        for start, answer in self.answers.items():
            if wanted.url.startswith(start):
                return answer(wanted) if isinstance(answer, Callable) else answer
        return Given(status=404, headers=[]), b""

    @property
    def urls(self) -> list[str]:
        return [each.url for each in self.asked]


def answer(body: object, kind: str = "", status: int = 200, **headers: str) -> tuple[Given, bytes]:
    """Text as it is, everything else as JSON."""
    data = body if isinstance(body, str) else json.dumps(body)
    kind = kind or ("text/html" if isinstance(body, str) else "application/json")
    named = [(name.replace("_", "-"), value) for name, value in headers.items()]
    return Given(status=status, headers=[("Content-Type", kind), *named]), data.encode()


REDDIT_PAGE = "https://www.reddit.com/r/SFWdeepfakes/comments/abc123/a_face/"
REDDIT_DATA = "https://www.reddit.com/r/SFWdeepfakes/comments/abc123/.json"
REDDIT_SESSION = {
    "https://old.reddit.com/": answer("<html>", Set_Cookie="loid=x; Domain=.reddit.com; Path=/"),
}
_HLS = "https://v.redd.it/xyz/HLSPlaylist.m3u8"
_DASH = "https://v.redd.it/xyz/DASHPlaylist.mpd"
_M3U8 = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=900000,RESOLUTION=640x360,CODECS="avc1.4d401e"
HLS_360.m3u8
#EXT-X-STREAM-INF:BANDWIDTH=2900000,RESOLUTION=1280x720,CODECS="avc1.4d401f"
HLS_720.m3u8
"""
_REPRESENTATION = """<Representation id="{height}" width="{width}" height="{height}"
 bandwidth="{rate}" codecs="avc1.640028" mimeType="video/mp4"><BaseURL>DASH_{height}.mp4</BaseURL>
 <SegmentBase indexRange="0-99"/></Representation>"""


def mpd(*heights: int) -> str:
    """A manifest of whole files of these heights."""
    shown = [
        _REPRESENTATION.format(height=each, width=each * 16 // 9, rate=each * 3000)
        for each in heights
    ]
    return (
        '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" mediaPresentationDuration="PT9S"'
        f' type="static"><Period><AdaptationSet contentType="video">{"".join(shown)}'
        "</AdaptationSet></Period></MPD>"
    )


def reddit_post(**data: object) -> tuple[Given, bytes]:
    post = {"title": "A face", "subreddit": "SFWdeepfakes", "author": "somebody", **data}
    return answer([{"data": {"children": [{"data": post}]}}])


def reddit(*heights: int, fallback: int = 480) -> dict[str, Any]:
    """A post with a video of Reddit's own."""
    video = {
        "fallback_url": f"https://v.redd.it/xyz/DASH_{fallback}.mp4?source=fallback",
        "height": fallback,
        "width": fallback * 16 // 9,
        "bitrate_kbps": 1200,
        "dash_url": _DASH,
        "hls_url": _HLS,
        "duration": 9,
    }
    post = reddit_post(url="https://v.redd.it/xyz", secure_media={"reddit_video": video})
    found = {**REDDIT_SESSION, REDDIT_DATA: post, _HLS: answer(_M3U8, "application/x-mpegURL")}
    return found | ({_DASH: answer(mpd(*heights), "application/dash+xml")} if heights else {})


BILIBILI_PAGE = "https://www.bilibili.com/video/BV1xx411c7XX"
_BILIBILI_STATE = {
    "videoData": {
        "bvid": "BV1xx411c7XX",
        "title": "A face",
        "aid": 1,
        "cid": 2,
        "pubdate": 1600000000,
        "stat": {"view": 1, "reply": 0, "like": 0},
        "pages": [{"cid": 2}],
    },
    "upData": {"name": "somebody", "mid": "3"},
}


def _bilibili_file(height: int) -> dict[str, object]:
    return {
        "id": height,
        "baseUrl": f"https://cdn.bilivideo.example/upgcxcode/2-{height}.m4s?e=x",
        "mimeType": "video/mp4",
        "codecs": "avc1.640032",
        "width": height * 16 // 9,
        "height": height,
        "frameRate": "25",
        "bandwidth": height * 1000,
    }


BILIBILI = {
    BILIBILI_PAGE: answer(
        f"<html><script>window.__INITIAL_STATE__={json.dumps(_BILIBILI_STATE)};</script></html>"
    ),
    "https://api.bilibili.com/x/player/pagelist": answer({"data": [{"cid": 2, "page": 1}]}),
    "https://api.bilibili.com/x/web-interface/nav": answer(
        {
            "data": {
                "wbi_img": {
                    "img_url": f"https://i.example/{'a' * 32}.png",
                    "sub_url": f"https://i.example/{'b' * 32}.png",
                }
            }
        }
    ),
    "https://api.bilibili.com/x/player/wbi/playurl": answer(
        {
            "code": 0,
            "data": {
                "dash": {
                    "video": [_bilibili_file(each) for each in (360, 2160, 1080)],
                    "audio": [
                        {
                            "id": 1,
                            "baseUrl": "https://cdn.bilivideo.example/sound.m4s",
                            "mimeType": "audio/mp4",
                            "codecs": "mp4a.40.2",
                            "bandwidth": 64000,
                        }
                    ],
                }
            },
        }
    ),
}


YOUTUBE_PAGE = "https://www.youtube.com/watch?v=abcdefghijk"


def _youtube_file(tag: int, kind: str, height: int) -> dict[str, object]:
    return {
        "itag": tag,
        "url": f"https://r1.googlevideo.example/videoplayback?itag={tag}&expire=9999999999",
        "mimeType": kind,
        "bitrate": height * 1000,
        "width": height * 16 // 9,
        "height": height,
        "fps": 25,
        "qualityLabel": f"{height}p",
        "quality": f"hd{height}",
        "contentLength": "1000000",
        "approxDurationMs": "9000",
    }


YOUTUBE = {
    YOUTUBE_PAGE: answer("<html><body>nothing to see</body></html>"),
    "https://www.youtube.com/youtubei/v1/next": answer({}),
    "https://www.youtube.com/youtubei/v1/player": answer(
        {
            "playabilityStatus": {"status": "OK"},
            "videoDetails": {
                "videoId": "abcdefghijk",
                "title": "A face",
                "lengthSeconds": "9",
                "channelId": "UC123",
                "isLiveContent": False,
                "author": "somebody",
            },
            "streamingData": {
                "expiresInSeconds": "20000",
                "formats": [_youtube_file(18, 'video/mp4; codecs="avc1.42001E, mp4a.40.2"', 360)],
                "adaptiveFormats": [
                    _youtube_file(137, 'video/mp4; codecs="avc1.640028"', 1080),
                    _youtube_file(313, 'video/webm; codecs="vp9"', 2160),
                ],
            },
        }
    ),
}
