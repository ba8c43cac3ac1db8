"""A labelled list of videos, scored by all machines of a cluster.

    python -m deploy.ray.evaluate videos.csv --tasks 8 --model /models/clrnet.onnx

Rows, journal and report are those of ``deepfake-service evaluate``: what one has begun the other
can end, and the same command goes on where it was interrupted. Media are read where they are
scored: paths must mean the same file on every machine. Exit status: 0 once every video has its row,
1 where something stopped it.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from service import hardening
from service.cli.evaluating import MOST, about
from service.engine import DetectionOptions
from service.errors import NotReady
from service.evaluation.journal import Journal, JournalError, open_journal
from service.evaluation.manifest import Item, ManifestError, read_manifest
from service.evaluation.rows import ItemRow
from service.evaluation.running import Effort, evaluate
from service.evaluation.scorers import EngineScorer
from service.evaluation.tally import Tally
from service.settings import Settings
from service.sources.remote import Fetcher

_TRIES = 2
"""More, of a task whose machine or process is lost."""


@dataclass(frozen=True, slots=True)
class Work:
    """What every task is told: where relative paths start, how to sample, ``concurrency`` videos at
    a time, and the model where it is not the environment's."""

    folder: Path
    sampling: str
    concurrency: int
    model: Path | None


def score(items: Sequence[Item], work: Work) -> Iterator[str]:
    """Rows as JSON, as they come: on an engine of this process. Raises ``NotReady``."""
    # Videos are in the memory of this process, and nothing of them passes through Ray.
    hardening.forbid_dumps()
    rows = _rows(items, work)

    async def following() -> ItemRow | None:
        return await anext(rows, None)

    with asyncio.Runner() as runner:
        while (row := runner.run(following())) is not None:
            yield row.model_dump_json()


async def _rows(items: Sequence[Item], work: Work) -> AsyncIterator[ItemRow]:
    from service.cli.engine import started_engine

    settings = Settings()
    if work.model is not None:
        chosen = settings.model.model_copy(update={"path": work.model})
        settings = settings.model_copy(update={"model": chosen})
    async with started_engine(settings) as engine:
        state = engine.readiness()
        if not state.ready:
            raise NotReady("; ".join(state.missing))
        scorer = EngineScorer(
            engine,
            Fetcher(settings.fetch, settings.limits.bytes),
            DetectionOptions(work.sampling),
            work.folder,
            settings.limits.bytes,
        )
        async for row in evaluate(items, scorer, Effort(work.concurrency)):
            yield row


def run(items: Sequence[Item], work: Work, tasks: int, size: int, cpus: float) -> Iterator[ItemRow]:
    """Rows of all items, as they come: ``tasks`` at a time, of ``size`` videos each. What a lost
    task had not told is scored anew. Raises what a task raises."""
    import ray

    remote = ray.remote(num_returns="streaming", num_cpus=cpus, max_retries=_TRIES)(score)
    left = [items[at : at + size] for at in range(0, len(items), size)][::-1]
    running: list[Any] = []
    told: set[str] = set()
    while left or running:
        while left and len(running) < tasks:
            running.append(remote.remote(left.pop(), work))
        (ready,), running = ray.wait(running, num_returns=1)
        try:
            row = ItemRow.model_validate_json(ray.get(next(ready)))
        except StopIteration:
            continue
        running.append(ready)
        if row.id not in told:
            told.add(row.id)
            yield row


def collect(rows: Iterator[ItemRow], journal: Journal, tally: Tally) -> None:
    """Keep rows as they come. Raises ``JournalError`` where another model scores than before."""
    model = next((row.sha256 for row in tally.rows if row.sha256), None)
    for row in rows:
        model = model or row.sha256
        if row.sha256 not in (None, model):
            raise JournalError(
                "another model scores than at the beginning: start anew in another folder"
            )
        journal.append(row)
        tally.add(row)
        print(f"{len(tally.rows)} {row.id} {row.status}", file=sys.stderr)  # noqa: T201


def main() -> int:
    """Score and measure."""
    given = _arguments()
    import ray

    from service.evaluation.result import result_of
    from service.evaluation.writing import write_report

    manifest: Path = given.manifest
    folder = given.out or Path(f"{manifest.stem}-evaluation")
    tally = Tally()
    try:
        data = manifest.read_bytes()
        items = read_manifest(data, MOST, MOST)
        folder.mkdir(parents=True, exist_ok=True)
        with open_journal(
            folder / "rows.jsonl", about(data, given.sampling, None), again=given.again
        ) as journal:
            for row in journal.rows:
                tally.add(row)
            done = {row.id for row in tally.rows}
            left = [item for item in items if item.id not in done]
            if left:
                ray.init(given.address, log_to_driver=False)
                work = Work(
                    manifest.parent.absolute(), given.sampling, given.concurrency, given.model
                )
                collect(run(left, work, given.tasks, given.size, given.cpus), journal, tally)
        write_report(tally, result_of(tally), folder)
    except (ManifestError, JournalError, OSError, ray.exceptions.RayError) as error:
        # Of a task's error Ray's own text is its whole traceback.
        print(f"Stopped: {getattr(error, 'cause', None) or error}", file=sys.stderr)  # noqa: T201
        return 1
    print(folder / "report.html")  # noqa: T201
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--address", default="auto", help="of the cluster; local: one of its own")
    parser.add_argument("--out", type=Path, help="default: the list's name + -evaluation")
    parser.add_argument("--model", type=Path)
    parser.add_argument("--sampling", default="paper")
    parser.add_argument("--tasks", type=int, default=4, help="at a time")
    parser.add_argument("--size", type=int, default=50, help="videos of one task")
    parser.add_argument("--concurrency", type=int, default=2, help="videos of a task at a time")
    parser.add_argument("--cpus", type=float, default=2.0, help="processors of a task")
    parser.add_argument("--again", action="store_true", help="try those with errors once more")
    return parser.parse_args()


if __name__ == "__main__":
    # What runs on other machines must not be of this one's `__main__`.
    sys.exit(import_module("deploy.ray.evaluate").main())
