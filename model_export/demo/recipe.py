"""The whole way from a folder of videos to the model in the box, step by step.

Every step leaves its result in the work folder and is skipped where that is there already.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from model_export.clrnet import CLRNet
from model_export.demo import cases, trainer
from model_export.demo.people import Part
from model_export.demo.pool import RUN_LENGTH, Pairs
from model_export.demo.prepare import (
    SHARD_RUNS,
    parallel,
    parts,
    read_people,
    read_stills,
    write_pool,
)
from model_export.demo.publish import Story, publish
from model_export.demo.trainer import Stage
from model_export.errors import ModelExportError
from service.classifier.contract import ModelContract

VERSION = "1"
RUNS_OF_ONE_PERSON = 48
LONG_RUNS_OF_ONE_PERSON = 6
VALIDATION_RUNS = 150

POOL_SEEDS: dict[Part, int] = {"train": 1, "validation": 2}
CASE_ROUNDS: dict[Part, int] = {"validation": 2, "test": 1}
CASE_SEEDS: dict[Part, int] = {"validation": 4, "test": 5}


@dataclass(frozen=True, slots=True)
class Budget:
    """How much is made and how long it is trained."""

    runs: int
    frame_seconds: float
    clip_seconds: float
    filters: int
    seed: int
    workers: int


def make_demo_model(
    faces: Path, stills: Path | None, work: Path, output: Path, budget: Budget
) -> ModelContract:
    """Pools, two stages of training, evaluation, export and card."""
    work.mkdir(parents=True, exist_ok=True)
    torch.set_flush_denormal(True)
    chosen = parts(faces)
    _same_inputs(work / "inputs.json", faces, stills, budget)
    pairs = Pairs.load(_pool(faces, chosen["train"], stills, work, "train", budget))
    held_out = Pairs.load(_pool(faces, chosen["validation"], None, work, "validation", budget))
    model = train_stages(pairs, held_out, work, budget)
    validation = _cases(faces, chosen["validation"], work, "validation", budget)
    test = _cases(faces, chosen["test"], work, "test", budget)
    story = tell(chosen, pairs, work)
    return publish(model, validation, test, story, output, work)


def _same_inputs(path: Path, faces: Path, stills: Path | None, budget: Budget) -> None:
    """Refuse a work folder made from other files or with another budget.

    One more video moves people between parts: what was trained on would then be measured as unseen.
    """
    files = [*sorted(faces.glob("*.mp4")), *(sorted(stills.glob("*.jpg")) if stills else [])]
    inputs = {
        "files": {file.name: file.stat().st_size for file in files},
        "budget": {key: value for key, value in asdict(budget).items() if key != "workers"},
    }
    if path.exists() and json.loads(path.read_text()) != inputs:
        raise ModelExportError(
            f"the work folder {path.parent} was made from other videos or options; choose another "
            "with --work"
        )
    path.write_text(json.dumps(inputs))


def train_stages(pairs: Pairs, held_out: Pairs, work: Path, budget: Budget) -> CLRNet:
    """Single frames from random weights, then clips from what that gave."""
    frames, clips = stages(budget)
    if not (work / "frames.pt").exists():
        torch.manual_seed(budget.seed)
        model = CLRNet(budget.filters, (1, 1, 1, 1), 0.0, 0.05)
        trainer.train(model, pairs, held_out, frames, work, budget.seed)
    if not (work / "clips.pt").exists():
        model = trainer.load(work / "frames.pt")
        trainer.inflate(model)
        trainer.train(model, pairs, held_out, clips, work, budget.seed)
    return trainer.load(work / "clips.pt")


def stages(budget: Budget) -> tuple[Stage, Stage]:
    """Both stages; whichever of steps and time is used up first ends one."""
    frames = Stage(
        "frames",
        frames=1,
        steps=6000,
        pairs=16,
        rate=1.5e-3,
        seconds=budget.frame_seconds,
        check_every=200,
    )
    clips = Stage(
        "clips",
        frames=5,
        steps=3000,
        pairs=6,
        rate=6e-4,
        seconds=budget.clip_seconds,
        warmup=50,
        average=0.99,
        check_every=100,
    )
    return frames, clips


def tell(chosen: dict[str, list[str]], pairs: Pairs, work: Path) -> Story:
    """What the metadata says about data and training."""
    still = sum(name.startswith("still:") for name in set(pairs.person.tolist()))
    images = {name: trainer.images_seen(work / f"{name}.jsonl") for name in ("frames", "clips")}
    return Story(
        version=VERSION,
        trained_on=(
            f"short public example videos of {len(chosen['train'])} people and {still} "
            f"photographs, forged in {len(set(pairs.family.tolist()))} ways ({len(pairs)} pairs of "
            "a real and a forged clip)"
        ),
        strategy=(
            f"single frames from random weights ({images['frames']:,} images), then five-frame "
            f"clips ({images['clips'] // 5:,}); each forged clip beside its real twin; an "
            "auxiliary map of the forged pixels in training only; averaged weights; "
            f"{len(chosen['validation'])} other people for validation, {len(chosen['test'])} "
            "others for test"
        ),
    )


def _pool(
    faces: Path, people: list[str], stills: Path | None, work: Path, part: Part, budget: Budget
) -> list[Path]:
    training = part == "train"
    count = budget.runs if training else VALIDATION_RUNS
    written = sorted((work / part).glob("*.npz"))
    if len(written) * SHARD_RUNS >= count:
        return written
    found = read_people(faces, people, RUN_LENGTH, RUNS_OF_ONE_PERSON, budget.workers)
    photographs = read_stills(stills, budget.workers) if stills else []
    runs = [run for name in people for run in found[name]]
    return write_pool(
        runs,
        photographs,
        work / part,
        count,
        POOL_SEEDS[part],
        budget.workers,
        training=training,
    )


def _cases(
    faces: Path, people: list[str], work: Path, part: Part, budget: Budget
) -> list[cases.Case]:
    path = work / f"{part}-cases.npz"
    if not path.exists():
        runs = read_people(
            faces, people, cases.CASE_FRAMES, LONG_RUNS_OF_ONE_PERSON, budget.workers
        )
        make = partial(cases.make_cases, runs=runs, seed=CASE_SEEDS[part], rounds=CASE_ROUNDS[part])
        seen = [name for name in people if runs[name]]
        made = parallel(make, seen, budget.workers, f"making {part} videos")
        cases.save([case for each in made for case in each], path)
    return cases.load(path)
