"""How fast videos become clips, beside decoding alone.

    python -m benchmarks.preparation VIDEOS WORK [--sampling paper] [--repeats 3]

For every file in turn, again and again: the frames that the sampling takes are decoded and nothing
else; then the file is prepared, from reading it to its written clips. Both in this process and one
thread, in seconds of processor time, which what else the machine does changes little. The figures
are medians of each file's repeats, the ratio that of the pairs.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from statistics import median

import cv2
from rich.console import Console
from rich.table import Table

from benchmarks.machine import machine
from model_export.data.video import LabelledVideo
from model_export.data.worker import CutOptions, Job, VideoCutter
from service.video.deadline import Deadline
from service.video.sampling import plan
from service.video.video import Video, VideoLimits


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("videos", type=Path, help="folder of .mp4 files")
    parser.add_argument("work", type=Path, help="folder for clips; may be deleted afterwards")
    parser.add_argument("--sampling", default="paper")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--files", type=int, help="so many files alone")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    console = Console(highlight=False)
    console.print(machine())
    options = CutOptions(sampling=given.sampling)
    (given.work / "clips").mkdir(parents=True, exist_ok=True)
    cutter = VideoCutter(options, given.work)
    table = Table("file", "frames", "decoding, frames/s", "preparing, frames/s", "ratio")
    totals = [0.0, 0.0, 0.0]
    ratios = []
    for path in sorted(given.videos.glob("*.mp4"))[: given.files]:
        frames, pairs = 0, []
        for _ in range(given.repeats):
            frames, decoding = decode(path, options)
            pairs.append((decoding, prepare(path, cutter)))
        decoding, preparing = (median(each) for each in zip(*pairs, strict=True))
        ratio = median(whole / alone for alone, whole in pairs)
        ratios.append(ratio)
        totals = [a + b for a, b in zip(totals, (frames, decoding, preparing), strict=True)]
        speeds = (f"{frames / seconds:.0f}" for seconds in (decoding, preparing))
        table.add_row(path.stem, str(frames), *speeds, f"{ratio:.1f}")
    table.add_section()
    speeds = (f"{totals[0] / seconds:.0f}" for seconds in totals[1:])
    table.add_row("all", f"{totals[0]:.0f}", *speeds, f"{median(ratios):.1f}")
    console.print(table)


def decode(path: Path, options: CutOptions) -> tuple[int, float]:
    """Frames decoded and the seconds it took from the file's bytes."""
    began = time.process_time()
    deadline = Deadline(600)
    deadline.resume()
    video = Video(path.read_bytes(), VideoLimits(), deadline)
    wanted = plan(
        video.times,
        options.length,
        options.sampling,
        full_seconds=60,
        auto_windows=400,
        max_windows=20_000,
    ).frames()
    frames = sum(1 for _ in video.frames(wanted))
    return frames, time.process_time() - began


def prepare(path: Path, cutter: VideoCutter) -> float:
    """Seconds from the file to its written clips."""
    people = frozenset({path.stem})
    video = LabelledVideo(path.stem, str(path), "real", "real", None, people, people)
    began = time.process_time()
    row = cutter.prepare(Job(video))
    if row.status != "ok":
        raise SystemExit(row.message)
    return time.process_time() - began


if __name__ == "__main__":
    main()
