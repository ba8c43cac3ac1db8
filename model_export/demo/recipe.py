"""The whole way from a folder of videos to the model in the box, step by step.

Every step leaves its result in the work folder and is skipped where that is there already.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console

from model_export.demo.material import Amount, make_material
from model_export.demo.publish import publish
from model_export.demo.runs import Effort, clips_run, frames_run
from model_export.errors import ExportError
from model_export.training.trainer import train
from service.classifier.contract import ModelContract


@dataclass(frozen=True, slots=True)
class Options:
    """How much is made and how long it is trained."""

    amount: Amount = field(default_factory=Amount)
    effort: Effort = field(default_factory=Effort)


def make_demo_model(
    faces: Path,
    stills: Path | None,
    work: Path,
    output: Path,
    options: Options,
    *,
    processes: int,
    console: Console,
) -> ModelContract:
    """Forge, prepare, train on single frames, then on clips, measure, calibrate, export, describe.

    ``output`` is the ONNX file, its card lies beside it. Raises ``ModelExportError``, also where
    ``work`` was made from other videos or options.
    """
    if not output.parent.is_dir():  # Now rather than after all the work.
        raise ExportError(f"{output} cannot be written: there is no folder {output.parent}")
    dataset = make_material(
        faces, stills, work, options.amount, processes=processes, console=console
    )
    effort, seed = options.effort, options.amount.seed
    frames = train(frames_run(dataset, effort, seed), work / "frames", console=console)
    config = clips_run(dataset, effort, seed, frames.folder)
    clips = train(config, work / "clips", console=console)
    return publish(frames, clips, dataset, output, console)
