"""Reading the people once and writing pools of pairs, on several processes."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np
from rich.progress import Progress

from model_export.demo.people import Run, find_videos, read_runs, split, still_run
from model_export.demo.pool import RUN_LENGTH, Pairs, make_pairs
from service.faces.detector import Detection
from service.faces.mtcnn import MTCNN

STILL_ODDS = 0.25
"""Share of training runs that are animated photographs."""

SHARD_RUNS = 50

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Still:
    """A photograph, uint8 (H, W, 3) RGB, with one face."""

    name: str
    rgb: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]
    face: Detection


def read_people(
    folder: Path, people: Sequence[str], length: int, most: int, workers: int
) -> dict[str, list[Run]]:
    """Runs of ``length`` frames of each person, at most ``most``."""
    videos = find_videos(folder)
    tasks = [(name, videos[name], length, most) for name in people]
    return dict(parallel(_read_person, tasks, workers, "reading people"))


def read_stills(folder: Path, workers: int) -> list[Still]:
    """The photographs that show exactly one clear face of 80 pixels or more."""
    found = parallel(_read_still, sorted(folder.glob("*.jpg")), workers, "reading photographs")
    return [still for still in found if still is not None]


def write_pool(
    runs: Sequence[Run],
    stills: Sequence[Still],
    folder: Path,
    count: int,
    seed: int,
    workers: int,
    *,
    training: bool,
) -> list[Path]:
    """Write pairs of ``count`` runs as ``.npz`` files of ``SHARD_RUNS`` runs each.

    People take turns, whatever the number of their runs. Files that are there already are kept.
    """
    folder.mkdir(parents=True, exist_ok=True)
    tasks = [
        (folder / f"{seed}-{start:05d}.npz", start, min(SHARD_RUNS, count - start))
        for start in range(0, count, SHARD_RUNS)
    ]
    missing = [task for task in tasks if not task[0].exists()]
    # The children inherit the runs by fork: they are too large to be sent.
    work = partial(_write_shard, list(runs), list(stills), seed, training)
    parallel(work, missing, workers, "forging")
    return [path for path, _, _ in tasks]


def parts(folder: Path) -> dict[str, list[str]]:
    """Names of the people in each part."""
    chosen = split(find_videos(folder))
    return {
        part: [name for name in chosen if chosen[name] == part]
        for part in ("train", "validation", "test")
    }


def _read_person(task: tuple[str, Path, int, int]) -> tuple[str, list[Run]]:
    name, path, length, most = task
    return name, list(read_runs(name, path.read_bytes(), length, MTCNN(), most))


def _read_still(path: Path) -> Still | None:
    bgr = cv2.imread(str(path))
    if bgr is None:
        return None
    rgb = np.ascontiguousarray(np.asarray(bgr, dtype=np.uint8)[..., ::-1])
    faces = MTCNN().detect(rgb)
    if len(faces) != 1 or faces[0].score < 0.95:
        return None
    x0, y0, x1, y1 = faces[0].box
    return Still(path.stem, rgb, faces[0]) if max(x1 - x0, y1 - y0) >= 80 else None


def _write_shard(
    runs: list[Run],
    stills: list[Still],
    seed: int,
    training: bool,
    task: tuple[Path, int, int],
) -> Path:
    path, start, count = task
    people = sorted({run.person for run in runs})
    by_person = {name: [run for run in runs if run.person == name] for name in people}
    made = []
    for place in range(start, start + count):
        rng = np.random.default_rng([seed, place])
        if stills and rng.random() < STILL_ODDS:
            still = stills[int(rng.integers(len(stills)))]
            run = still_run(f"still:{still.name}", still.rgb, still.face, RUN_LENGTH, rng)
        else:
            own = by_person[people[place % len(people)]]
            run = own[int(rng.integers(len(own)))]
        made.append(make_pairs(run, runs, rng, training=training))
    Pairs.join(made).save(path)
    return path


_shared: dict[str, Callable[..., object]] = {}


def _call(task: object) -> object:
    cv2.setNumThreads(1)
    return _shared["work"](task)


def parallel(
    work: Callable[[_Task], _Result], tasks: Iterable[_Task], workers: int, title: str
) -> list[_Result]:
    """``work`` on every task, results in order, with a progress bar.

    One worker is this process; more are forked, and then this process never does any of the work
    itself: OpenCV's and x264's threads, once started here, would be missing in a later fork, which
    waits for them for ever.
    """
    todo = list(tasks)
    results: list[_Result] = []
    with Progress() as progress:
        for result in progress.track(_results(work, todo, workers), len(todo), description=title):
            results.append(result)
    return results


def _results(
    work: Callable[[_Task], _Result], todo: list[_Task], workers: int
) -> Iterator[_Result]:
    if workers <= 1:
        yield from map(work, todo)
        return
    _shared["work"] = work
    with multiprocessing.get_context("fork").Pool(workers) as pool:
        yield from pool.imap(_call, todo)
