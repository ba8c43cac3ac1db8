"""A dataset's videos made into a prepared folder: side by side, resumable, nothing dropped."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path

from rich.console import Console

from model_export.data.prepared import (
    Preparation,
    PreparedDataset,
    PreparedVideo,
    clips_path,
    write_preparation,
    write_rows,
)
from model_export.data.processes import prepare_all
from model_export.data.report import PreparationProgress
from model_export.data.video import LabelledVideo
from model_export.data.worker import OK, CutOptions, Job, StorageFailed, VideoCutter
from model_export.errors import DataError
from service.errors import ModelError
from service.video.sampling import PATTERN

_SAVING_SHARE = 0.01
"""Share of the time that may go into writing the table of rows again and again."""

_BEGUN = {"clips", "videos.csv", ".videos.csv.part", ".dataset.json.part"}
"""What a folder may hold that was killed before it said how it is prepared."""


def prepare(
    videos: Sequence[LabelledVideo],
    folder: Path,
    options: CutOptions,
    *,
    origin: str,
    processes: int = 1,
    stop_on_failure: bool = False,
    console: Console | None = None,
) -> list[PreparedVideo]:
    """Cut the clips of all ``videos`` into ``folder`` and give their rows, in the same order.

    Videos that are done are not done again unless their file was written since, and a folder is
    whole at every moment: a run that was killed is taken up by the same call. Rows of other videos
    in the folder stay.

    Raises ``DataError`` where the folder was prepared in another way or is being prepared now,
    where it cannot be written (what is done is kept), where the detector is missing, and with
    ``stop_on_failure`` at the first video that gives no clips.
    """
    _check(videos, options)
    preparation = _preparation(options, origin, folder)
    with _alone(folder):
        table = _Table(folder, _opened(folder, preparation))
        by_id = {video.id: video for video in videos}
        jobs = [Job(video, by_id.get(video.twin or "")) for video in videos]
        todo = table.take_over(jobs)
        try:
            with PreparationProgress(len(jobs), len(jobs) - len(todo), console) as progress:
                for row in prepare_all(todo, options, folder, processes):
                    table.add(row)
                    progress.add(row)
                    if stop_on_failure and row.status != OK:
                        raise DataError(f"stopped at a failure: {row.message} ({row.status})")
        except StorageFailed as error:
            raise table.full(error) from error
        finally:
            table.close(videos)
    return [table.rows[video.id] for video in videos]


class _Table:
    """The rows of a folder, on disk at most a few moments behind. Written whole each time, which
    a reader can rely on, and seldom enough to cost nothing."""

    def __init__(self, folder: Path, rows: Sequence[PreparedVideo]) -> None:
        self.folder = folder
        self.rows = {row.video.id: row for row in rows}
        self._saved_at, self._cost = 0.0, 0.0

    def take_over(self, jobs: Sequence[Job]) -> list[Job]:
        """Keep what is done of these jobs; the others are to do."""
        todo = []
        for job in jobs:
            row = self.rows.get(job.video.id)
            if row is not None and self._is_done(row, job):
                # Labels and parts may have been corrected since.
                self.rows[job.video.id] = replace(row, video=job.video)
            else:
                todo.append(job)
        return todo

    def add(self, row: PreparedVideo) -> None:
        """Take a new row in. Raises ``StorageFailed``."""
        self.rows[row.video.id] = row
        if time.monotonic() - self._saved_at > self._cost / _SAVING_SHARE:
            self._save(list(self.rows.values()))

    def close(self, videos: Sequence[LabelledVideo]) -> None:
        """Bring the rows into the order of the dataset and tidy up. Raises ``DataError``."""
        for part in (self.folder / "clips").glob(".*.part"):
            part.unlink(missing_ok=True)
        first = [self.rows[video.id] for video in videos if video.id in self.rows]
        named = {video.id for video in videos}
        try:
            self._save([*first, *(row for id, row in self.rows.items() if id not in named)])
        except StorageFailed as error:
            raise self.full(error) from error

    def full(self, error: StorageFailed) -> DataError:
        """What to say when nothing can be written any more."""
        kept = Counter(row.status for row in self.rows.values())[OK]
        return DataError(
            f"{self.folder} cannot be written: {error}. The videos prepared so far ({kept}) are "
            "kept: make room and repeat the command to go on"
        )

    def _is_done(self, row: PreparedVideo, job: Job) -> bool:
        """Whether the clips are there and newer than what they were cut from."""
        video = job.video
        same = (row.video.location, row.video.twin) == (video.location, video.twin)
        whole = row.status == OK and not row.message
        if not (same and whole):
            return False
        try:
            made = clips_path(self.folder, video.id).stat().st_mtime_ns
        except FileNotFoundError:
            return False
        return made >= max(_changed(each) for each in (video, job.twin) if each)

    def _save(self, rows: Sequence[PreparedVideo]) -> None:
        began = time.monotonic()
        try:
            write_rows(rows, self.folder / "videos.csv")
        except OSError as error:
            raise StorageFailed(error.strerror or str(error)) from error
        self._saved_at = time.monotonic()
        self._cost = self._saved_at - began


def _changed(video: LabelledVideo) -> int:
    """When a video's file was last written, in nanoseconds. One that is gone cannot be prepared
    anew: what was made of it stays."""
    try:
        return os.stat(video.location).st_mtime_ns
    except OSError:
        return 0


def _check(videos: Sequence[LabelledVideo], options: CutOptions) -> None:
    if not videos:
        raise DataError("there is no video to prepare")
    names = Counter(video.id for video in videos)
    for name, count in names.items():
        if count > 1:
            raise DataError(f"{count} videos are called {name}: each needs an id of its own")
        if not re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,119}", name):
            raise DataError(f"'{name}' cannot be a video's id: it becomes a file's name")
    if not re.fullmatch(PATTERN, options.sampling):
        raise DataError(f"sampling '{options.sampling}': auto, full, paper or stride=SECONDS")


def _preparation(options: CutOptions, origin: str, folder: Path) -> Preparation:
    try:
        detector = VideoCutter(options, folder).detector
    except ModelError as error:
        raise DataError(str(error)) from error
    return Preparation(
        length=options.length,
        size=options.size,
        margin=options.margin,
        alignment=options.alignment,
        sampling=options.sampling,
        detector=detector,
        origin=origin,
        faces=options.faces,
    )


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Make the folder and keep others from preparing into it for as long."""
    try:
        (folder / "clips").mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise DataError(f"{folder} cannot be made: {error.strerror}") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise DataError(f"{folder} is being prepared by another process") from None
    finally:
        os.close(handle)


def _opened(folder: Path, preparation: Preparation) -> Sequence[PreparedVideo]:
    """The rows of a folder that is prepared in this way, or of a new one."""
    if (folder / "dataset.json").exists():
        dataset = PreparedDataset(folder)
        _agree(folder, asdict(dataset.preparation), asdict(preparation))
        return dataset.rows
    strangers = {path.name for path in folder.iterdir()} - _BEGUN
    if strangers:
        raise DataError(
            f"{folder} holds {min(strangers)} and is no prepared dataset: name a folder of its own"
        )
    try:
        write_rows([], folder / "videos.csv")
        write_preparation(preparation, folder)
    except OSError as error:
        raise DataError(f"{folder} cannot be written: {error.strerror}") from error
    return ()


def _agree(folder: Path, there: dict[str, object], asked: dict[str, object]) -> None:
    for key, value in asked.items():
        if there[key] != value:
            raise DataError(
                f"{folder} was prepared with {key} {there[key]}, not {value}: "
                "repeat it as it was, or name another folder"
            )
