"""Measures the face detectors and the tracker on real videos.

    python -m tests.measure.faces tracks FOLDER MODEL   coverage, false boxes, equal crops
    python -m tests.measure.faces boxes FOLDER MODEL    how SCRFD's boxes map to MTCNN's
    python -m tests.measure.faces cuts FOLDER           how far cuts differ from motion

FOLDER holds .mp4 files, MODEL is an SCRFD 2.5G ONNX file with key points. ``docs/faces.md`` has
what these printed.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from service.faces.crops import square
from service.faces.cuts import scene_change, thumbnail
from service.faces.detector import FaceDetector
from service.faces.geometry import overlaps
from service.faces.mtcnn import MTCNN
from service.faces.scrfd import SCRFD
from service.faces.tracking import Tracker, TrackerSettings
from service.video.deadline import Deadline
from service.video.frames import Frame
from service.video.video import Video, VideoLimits

Boxes = NDArray[np.float64]
MARGIN = 1.3


def read(path: Path, most: int | None = None, every: int = 1) -> Iterator[Frame]:
    """Every n-th of the first ``most`` frames of a video file."""
    video = Video(path.read_bytes(), VideoLimits(), Deadline(3600))
    yield from video.frames(range(0, min(len(video.times), most or len(video.times)), every))


@dataclass
class Tally:
    """What tracks are worth against a reference; merges with ``+=``."""

    frames: int = 0
    """Reference frames with a face."""
    whole: int = 0
    """Of these, frames in which every reference face has a track's box on it."""
    faces: int = 0
    """Reference faces in them."""
    covered: int = 0
    """Of these, faces with a track's box on them."""
    boxes: int = 0
    """Tracks' boxes in reference frames."""
    false: int = 0
    """Of these, boxes on no reference face."""

    def __iadd__(self, other: Tally) -> Tally:
        for name in ("frames", "whole", "faces", "covered", "boxes", "false"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        return self

    def __str__(self) -> str:
        return (
            f"frames {self.whole}/{self.frames} = {self.whole / max(1, self.frames):.4f}, "
            f"faces {self.covered}/{self.faces} = {self.covered / max(1, self.faces):.4f}, "
            f"false boxes {self.false}/{self.boxes} = {self.false / max(1, self.boxes):.4f}"
        )


@dataclass
class Reference:
    """What SCRFD sees in a video's frames, by index; boxes as the network draws them."""

    at_640: dict[int, Boxes] = field(default_factory=dict)
    at_any: dict[int, Boxes] = field(default_factory=dict)
    """Also at 320: at 640 it is blind to faces that fill the frame."""

    @classmethod
    def of(cls, path: Path, large: SCRFD, small: SCRFD, most: int | None, every: int) -> Reference:
        result = cls()
        for frame in read(path, most, every):
            seen = [
                np.asarray(detector.network_output(frame.rgb)[0][:, :4], dtype=np.float64)
                for detector in (large, small)
            ]
            result.at_640[frame.index] = seen[0]
            result.at_any[frame.index] = np.concatenate(seen)
        return result


def track(
    path: Path, detector: FaceDetector, wanted: set[int], most: int | None = None
) -> tuple[dict[int, Boxes], Tracker, float]:
    """Tracks' boxes in the wanted frames, the tracker, and its processor seconds per frame."""
    tracker = Tracker(detector, TrackerSettings())
    started, decoding, count = time.process_time(), 0.0, 0

    def frames() -> Iterator[Frame]:
        nonlocal decoding, count
        source = read(path, most)
        while True:
            began = time.process_time()
            frame = next(source, None)
            decoding += time.process_time() - began
            if frame is None:
                return
            count += 1
            yield frame

    found = {
        item.frame.index: np.asarray([face.box for face in item.faces]).reshape(-1, 4)
        for item in tracker.follow(frames())
        if item.frame.index in wanted
    }
    return found, tracker, (time.process_time() - started - decoding) / max(1, count)


def compare(found: dict[int, Boxes], reference: Reference) -> Tally:
    """Coverage of what SCRFD sees at 640; false where it sees nothing at 640 nor at 320."""
    tally = Tally()
    for index, boxes in found.items():
        seen = reference.at_640[index]
        table = overlaps(seen, boxes) >= 0.5
        hits = int(table.any(axis=1).sum())
        tally.frames += bool(len(seen))
        tally.whole += bool(len(seen)) and hits == len(seen)
        tally.faces += len(seen)
        tally.covered += hits
        tally.boxes += len(boxes)
        tally.false += int((~(overlaps(reference.at_any[index], boxes) >= 0.5).any(axis=0)).sum())
    return tally


def equal_crops(first: dict[int, Boxes], second: dict[int, Boxes]) -> list[float]:
    """IoU of the two detectors' crops of each face that both follow."""
    result: list[float] = []
    for index, boxes in first.items():
        squares, others = (
            np.asarray([square(tuple(box), MARGIN) for box in each]).reshape(-1, 4)
            for each in (boxes, second[index])
        )
        table = overlaps(squares, others)
        # Boxes of one face overlap by half at least; others are different faces.
        result.extend(float(row.max()) for row in table if row.size and row.max() >= 0.5)
    return result


def measure_tracks(folder: Path, model: Path, every: int) -> None:
    large, small = SCRFD(model, input_side=640), SCRFD(model)
    detectors: list[FaceDetector] = [MTCNN(), small]
    totals = {detector.name: Tally() for detector in detectors}
    agreement: dict[str, float] = {}
    seconds: dict[str, list[float]] = {detector.name: [] for detector in detectors}
    for path in sorted(folder.glob("*.mp4")):
        reference = Reference.of(path, large, small, None, every)
        wanted = set(reference.at_640)
        found = {}
        for detector in detectors:
            found[detector.name], tracker, spent = track(path, detector, wanted)
            seconds[detector.name].append(spent)
            tally = compare(found[detector.name], reference)
            totals[detector.name] += tally
            print(f"{path.stem:12} {detector.name:6} {tally} dropped {tracker.dropped}", flush=True)
        crops = equal_crops(found["mtcnn"], found["scrfd"])
        agreement[path.stem] = float(np.mean(crops))
        print(f"{path.stem:12} crops {agreement[path.stem]:.4f}", flush=True)
    for name, tally in totals.items():
        print(f"all {name}: {tally}; {1000 * np.median(seconds[name]):.1f} ms of one core a frame")
    worst = min(agreement, key=lambda name: agreement[name])
    print(
        f"crops: mean {np.mean(list(agreement.values())):.4f}, worst {agreement[worst]:.4f} {worst}"
    )


def measure_boxes(folder: Path, model: Path, every: int) -> None:
    """Least squares per axis, each video weighing the same: MTCNN's centre and sides, as shares
    of SCRFD's sides; and the crops' IoU when fitted on the other videos only."""
    mtcnn, scrfd = MTCNN(), SCRFD(model)
    rows: list[tuple[str, NDArray[np.float64], Boxes, NDArray[np.float64]]] = []
    for path in sorted(folder.glob("*.mp4")):
        for frame in read(path, None, every):
            boxes, landmarks = scrfd.network_output(frame.rgb)
            others = np.asarray([face.box for face in mtcnn.detect(frame.rgb)]).reshape(-1, 4)
            table = overlaps(boxes[:, :4], others)
            for box, points, row in zip(boxes[:, :4], landmarks, table, strict=True):
                if row.size and row.max() >= 0.5:
                    rows.append((path.stem, box, others[row.argmax()], points))
    names = np.asarray([row[0] for row in rows])
    source, target, points = (np.asarray([row[i] for row in rows], np.float64) for i in (1, 2, 3))
    size, centre = source[:, 2:] - source[:, :2], (source[:, 2:] + source[:, :2]) / 2
    wanted = np.concatenate(
        [
            ((target[:, 2:] + target[:, :2]) / 2 - centre) / size,
            (target[:, 2:] - target[:, :2]) / size,
        ],
        axis=1,
    )
    shares = (points - centre[:, None]) / size[:, None]
    parts = [shares[:, :2].mean(axis=1), shares[:, 3:].mean(axis=1), shares[:, 2]]
    constant = np.ones((len(rows), 1))
    weight = np.asarray([(names == name).sum() ** -0.5 for name in names])[:, None]

    def fit(features: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
        w = weight[chosen]
        return np.asarray(np.linalg.lstsq(features[chosen] * w, wanted[chosen] * w, rcond=None)[0])

    def agreement(boxes: Boxes, chosen: NDArray[np.bool_]) -> float:
        pairs = zip(boxes[chosen], target[chosen], strict=True)
        return float(
            np.mean(
                [
                    overlaps(
                        np.asarray(square(tuple(a), MARGIN)), np.asarray(square(tuple(b), MARGIN))
                    )
                    for a, b in pairs
                ]
            )
        )

    everything = np.ones(len(rows), dtype=np.bool_)
    print(f"{len(rows)} faces")
    for label, features in (
        ("constant", constant),
        ("landmarks", np.concatenate([constant, *parts], axis=1)),
    ):
        scores = {}
        for name in sorted(set(names)):
            guess = features @ fit(features, names != name)
            middle, half = centre + guess[:, :2] * size, guess[:, 2:] * size / 2
            mapped: Boxes = np.concatenate([middle - half, middle + half], axis=1)
            scores[name] = agreement(mapped, names == name)
        mean, worst = float(np.mean(list(scores.values()))), min(scores.values())
        print(f"{label}: crops agree {mean:.4f}, worst video {worst:.4f}")
        print(f"  fit {fit(features, everything).round(3).tolist()}")
    raw = [agreement(source, names == name) for name in sorted(set(names))]
    print(f"unmapped: crops agree {np.mean(raw):.4f}, worst video {min(raw):.4f}")


def measure_cuts(folder: Path) -> None:
    """Scene change between neighbouring frames, and between frames of different videos."""
    motion: list[float] = []
    some = []
    for path in sorted(folder.glob("*.mp4")):
        thumbs = [thumbnail(frame.picture) for frame in read(path)]
        changes = [scene_change(a, b) for a, b in itertools.pairwise(thumbs)]
        motion += changes
        print(
            f"{path.stem:12} median {np.median(changes):.2f} most {np.sort(changes)[-5:].round(1)}"
        )
        some.append(thumbs[:: max(1, len(thumbs) // 3)])
    cuts = [
        scene_change(a, b)
        for first, second in itertools.combinations(some, 2)
        for a, b in itertools.product(first, second)
    ]
    print("motion, 50 99 99.9 100 %:", np.percentile(motion, [50, 99, 99.9, 100]).round(1))
    print("cuts, 0 1 5 50 %:", np.percentile(cuts, [0, 1, 5, 50]).round(1))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["tracks", "boxes", "cuts"])
    parser.add_argument("folder", type=Path)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--every", type=int, default=3, help="look at each n-th frame")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    if given.what == "cuts":
        measure_cuts(given.folder)
    elif given.what == "tracks":
        measure_tracks(given.folder, given.model, given.every)
    else:
        measure_boxes(given.folder, given.model, given.every)


if __name__ == "__main__":
    main()
