"""Whether two videos are frame for frame the same but for a forgery."""

from __future__ import annotations

from collections.abc import Iterable

from service.clips import Clip
from service.extraction import Extracted
from service.video.video import Video


def difference(real: Video, forged: Extracted, clips: Iterable[Clip]) -> str | None:
    """What keeps a real video from showing the frames that a forgery's ``clips`` were cut from, in
    words; None where nothing does.

    Frames are paired by number. That is wrong from the first frame on that one video lacks or
    shows twice, so that they must also be shown at the same time, to half a frame. A forgery may
    end early (many tools stop with the lender's video) but has no frame that its twin lacks.
    """
    count = len(real.times)
    if count < forged.frames_in_video:
        return f"has {count} frames, its forgery {forged.frames_in_video}"
    used = {frame for clip in clips for frame in range(clip.first_frame, clip.last_frame + 1)}
    seen: dict[int, float] = {}
    for track in forged.tracks.values():
        seen.update(zip(track.frames.tolist(), track.times.tolist(), strict=True))
    for frame in sorted(used):
        ours, theirs = float(real.times[frame]), seen[frame]
        if abs(ours - theirs) > real.interval / 2:
            return (
                f"shows frame {frame} after {ours:.3f} s, its forgery after {theirs:.3f} s "
                f"({_rate(real.fps)} and {_rate(forged.fps)} frames a second, "
                f"{count} and {forged.frames_in_video} frames)"
            )
    return None


def _rate(fps: float | None) -> str:
    return "unknown" if fps is None else f"{fps:.4g}"
