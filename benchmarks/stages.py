"""What each stage before the classifier costs, how that grows, and what is done at the same time.

    python -m benchmarks.stages [--rounds 5] [--detector-path SCRFD.onnx] [--format yuv444p]
    python -m benchmarks.stages growth [--lengths 10 60 600]
    python -m benchmarks.stages overlap [--rounds 5]

Ten seconds of a talking head, 1920 x 1080 at 25 frames a second, go through the service's own code
in this process and one thread, with both samplings and each detector. Figures are processor time,
which what else the machine does changes less than wall time; the ways take turns. Naive is the loop
that one would write first: every frame is decoded and made RGB, a detector looks at each that is
sampled with an input of 640 pixels, and the face is cut out of the RGB.

``growth``: a second of video by the video's length, in a process of its own each, and the memory
that held at most. ``overlap``: the wall time of a whole ``full`` detection with the model in the
box, against the slower of its halves, each by itself.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path

import cv2

from benchmarks import lengths, overlap
from benchmarks.naive_pipeline import naive
from benchmarks.pairs import Spread, in_turns, ratios
from benchmarks.report import Section, command
from benchmarks.stopwatch import STAGES, staged
from benchmarks.talking import FPS, talking_head
from service.clips import ClipSpec
from service.faces.detector import FaceDetector
from service.faces.factory import load_detector
from service.faces.scrfd import SCRFD

SPEC = ClipSpec(5, 240, 240, 1.3, "per_frame")
SECONDS = 10
BUDGET = {"full": 2.5, "paper": 1.5}
"""Seconds of processor time that decoding and detection may take."""


def arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command line."""
    parser.add_argument(
        "what", nargs="?", default="stages", choices=("stages", "growth", "overlap")
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--video", type=Path, help="ten seconds to take instead")
    parser.add_argument("--format", default="yuv420p", help="how the talking head keeps colours")
    parser.add_argument("--detector-path", type=Path, help="an SCRFD model, beside MTCNN")
    parser.add_argument("--lengths", type=int, nargs="+", default=[10, 60, 600], help="seconds")


def measure(given: argparse.Namespace) -> list[Section]:
    """All tables."""
    cv2.setNumThreads(1)
    video = given.video.read_bytes() if given.video else talking_head(SECONDS, given.format)
    if given.what == "growth":
        return [lengths.section(video, SECONDS, given.lengths)]
    if given.what == "overlap":
        return [overlap.section(video, given.rounds)]
    mtcnn = load_detector("mtcnn")
    found = [section("mtcnn", mtcnn, mtcnn, video, given.rounds)]
    if path := given.detector_path:
        plain = SCRFD(path, input_side=640)
        found.append(section(path.stem, SCRFD(path), plain, video, given.rounds))
    return found


def section(
    name: str, detector: FaceDetector, plain: FaceDetector, video: bytes, rounds: int
) -> Section:
    """One detector's table; ``plain`` is what the naive loop has."""
    table = Section(f"Stages, {name}, ms of processor time", ["stage"])
    columns: list[list[float]] = []
    for sampling, budget in BUDGET.items():
        ways = {
            "ours": partial(staged, video, detector, sampling, SPEC),
            "naive": partial(naive, video, plain, sampling, SPEC),
        }
        found = in_turns(ways, rounds, f"{name}, {sampling}")
        clips = found["ours"][0][1]
        totals, loops = ([sum(spent.values()) for spent, _ in found[way]] for way in ways)
        table.header = [
            *table.header, sampling, f"{sampling}, a frame of video", f"{sampling}, a clip",
        ]  # fmt: skip
        taken = [Spread.of(spent[each] for spent, _ in found["ours"]).middle for each in STAGES]
        total = Spread.of(totals)
        columns.append([*taken, total.middle, Spread.of(loops).middle])
        columns.append([each / (SECONDS * FPS) for each in columns[-1]])
        columns.append([each / clips for each in columns[-2]])
        table.remarks.append(
            f"`{sampling}`: {clips} clips ({found['naive'][0][1]} by the naive loop) in "
            f"{total.text()} s, {ratios(totals, loops).text()} of the naive loop."
        )
        if total.middle > budget:
            table.broken.append(f"`{sampling}` was to take {budget} s at most.")
    for label, *cells in zip((*STAGES, "all", "naive"), *columns, strict=True):
        table.rows.append(
            [label, *(f"{1000 * cell:.{2 * (at % 3 == 1)}f}" for at, cell in enumerate(cells))]
        )
    return table


if __name__ == "__main__":
    sys.exit(command("stages", __doc__, arguments, measure))
