"""What a second of video costs by the video's length, each in a process of its own.

python -m benchmarks.lengths DESCRIPTOR SIZE    the process: media come from an open descriptor
"""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import cv2

from benchmarks.report import Section
from benchmarks.talking import repeated
from service.clips import Clip, ClipSpec
from service.extraction import ExtractionLimits, extract
from service.faces.factory import load_detector
from service.faces.tracking import TrackerSettings
from service.video.deadline import Deadline

SAMPLING = "full"
SPEC = ClipSpec(5, 240, 240, 1.3, "per_frame")
MOST = 1.1
"""A second of the longest video may take so many of the shortest's."""


class Described:
    """Media behind a descriptor, so that they are no memory of the process that is measured."""

    def __init__(self, descriptor: int, size: int) -> None:
        self._descriptor, self.size = descriptor, size

    def read(self, offset: int, size: int) -> bytes:
        """See ``Readable``."""
        return os.pread(self._descriptor, size, offset)


def section(video: bytes, seconds: int, lengths: Sequence[int]) -> Section:
    """The table, for ``video`` of so many ``seconds`` repeated to each of the ``lengths``."""
    table = Section(
        f"A second of video by its length, `{SAMPLING}`",
        ["seconds of video", "processor time, s a second", "memory at most, MiB", "clips"],
    )
    costs = []
    for length in lengths:
        found = _measured(repeated(video, max(1, length // seconds)))
        costs.append(found["seconds"] / length)
        cells = (f"{costs[-1]:.3f}", f"{found['memory'] / 1024:.0f}", f"{found['clips']}")
        table.rows.append([f"{length}", *cells])
    ratio = costs[-1] / costs[0]
    table.remarks.append(f"A second of the longest took {ratio:.2f} of one of the shortest.")
    if not 2 - MOST <= ratio <= MOST:
        table.broken.append("The cost was to grow with the length, within a tenth.")
    return table


def _measured(video: bytes) -> dict[str, float]:
    descriptor = os.memfd_create("video")
    try:
        os.truncate(descriptor, len(video))
        os.pwrite(descriptor, video, 0)
        command = [sys.executable, "-m", __name__, str(descriptor), str(len(video))]
        told = subprocess.run(command, pass_fds=[descriptor], stdout=subprocess.PIPE, check=True)
    finally:
        os.close(descriptor)
    found: dict[str, float] = json.loads(told.stdout)
    return found


def main() -> None:
    """Extract, and print what it took: seconds, KiB of memory, clips."""
    cv2.setNumThreads(1)
    detector = load_detector("mtcnn")
    began, clips = time.process_time(), 0
    for item in extract(
        Described(*map(int, sys.argv[1:])),
        (SPEC,),
        SAMPLING,
        detector=detector,
        tracking=TrackerSettings(),
        limits=ExtractionLimits(),
        deadline=Deadline(math.inf),
    ):
        clips += isinstance(item, Clip)
    seconds = time.process_time() - began
    # Not ru_maxrss, which a process has from who started it.
    status = Path("/proc/self/status").read_text().splitlines()
    memory = next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))
    print(json.dumps({"seconds": seconds, "memory": memory, "clips": clips}))


if __name__ == "__main__":
    main()
