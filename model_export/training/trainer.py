"""The training loop: one for every network.

A run depends on nothing but its settings and its data. Before each batch the random generator is
set from seed, epoch and batch, so a run that was killed anywhere goes on as if nothing had
happened; on a CPU, bit for bit.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import asdict
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

from model_export.errors import TrainingError
from model_export.scaling import SCALINGS
from model_export.training import checkpoint
from model_export.training.batch import Batch
from model_export.training.checkpoint import CHECKPOINT, WEIGHTS, Best
from model_export.training.config import RunConfig
from model_export.training.curves import draw_curves
from model_export.training.distributed import World, joined_world
from model_export.training.freezing import freeze, training_mode
from model_export.training.initial import initial_model
from model_export.training.interruption import Interruption
from model_export.training.logs import Board, write_log
from model_export.training.machine import explained, repeatable
from model_export.training.mask_head import MaskHead
from model_export.training.objective import Objective
from model_export.training.optimiser import add_penalty, build_optimiser, follow, rate_at
from model_export.training.position import Position
from model_export.training.reporting import Reporter
from model_export.training.run_folder import (
    RunResult,
    Stopped,
    open_folder,
    read_result,
    summarise,
    write_result,
)
from model_export.training.single_frame import faster_single_frames
from model_export.training.sources import Sources, open_sources
from model_export.training.validation import validate

CHECKPOINT_SECONDS = 60.0
"""At most so much work is lost when a run is killed."""

MOST_SKIPPED = 30
"""Steps in a row that fp16 may skip: so many halvings bring any scale of losses below 1, and where
gradients still overflow the network is lost."""

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def train(
    config: RunConfig,
    folder: Path,
    *,
    console: Console | None = None,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> RunResult:
    """Train as ``config`` says and leave everything in ``folder``; ``console`` shows the progress.

    A finished folder of the same run gives its result, an unfinished one is taken up where it
    stood. Raises ``TrainingError`` for the folder of another run, a loss that is no number, a full
    disk or Ctrl-C, saying what was kept, and ``DataError`` for a dataset that does not do.
    """
    with joined_world() as world, repeatable(world.device), explained(folder):
        checkpoint.check_model(config.model)
        sources = open_sources(config, world.rank, world.size)
        if world.first:
            open_folder(folder, sources.record)
        world.any(False)  # The others wait for the folder.
        result = read_result(folder)
        if result is None:
            shown = console if world.first else None
            # Nobody keeps the run: DistributedDataParallel must be gone before its group is, or
            # the group's threads and its end may wait for each other.
            result = _Run(sources, folder, world, shown).train(checkpoint_seconds)
        if console is not None and world.first:
            console.print(str(result), markup=False, soft_wrap=True)
        return result


class _Run:
    """A run in the memory of this process."""

    def __init__(
        self, sources: Sources, folder: Path, world: World, console: Console | None
    ) -> None:
        config = self.config = sources.config
        self.sources, self.folder, self.world = sources, folder, world
        torch.manual_seed(config.seed)
        model = initial_model(config).to(world.device)
        frozen = freeze(model, config.freeze)
        # Before anything hooks into the model: a copy's hooks would speak to the original's owners.
        mean = copy.deepcopy(model).requires_grad_(False) if config.average else None
        head = MaskHead(model) if config.mask_weight else None
        scaling = SCALINGS[config.model.scaling]
        self.objective = Objective(model, scaling, head).to(world.device)
        self.kept = Objective(mean, scaling) if mean is not None else self.objective
        single = sources.length == 1
        self.fast = faster_single_frames(model) if single else nullcontext()
        # A single frame leaves recurrent kernels without a gradient.
        self.shared = world.wrap(self.objective, unused=single)
        self.parameters = [each for each in self.objective.parameters() if each.requires_grad]
        self.penalised = [each for each in model.penalised() if each.requires_grad]
        self.optimiser = build_optimiser(self.parameters, config.optimiser)
        self.scaler = torch.amp.GradScaler(world.device.type, enabled=config.precision == "fp16")
        self.skipped = 0
        self.steps = config.schedule.epochs * sources.steps
        self.at = Position()
        self.best: Best | None = None
        if (folder / CHECKPOINT).exists():
            self._load()
        self.reporter = Reporter(console, self.steps, self.at.step)
        self.reporter.say(f"{config.name}: {sources}; {frozen}")
        if self.at.step:
            self.reporter.say(f"taken up at epoch {self.at.epoch}, step {self.at.step}")

    def train(self, checkpoint_seconds: float) -> RunResult:
        """To the end."""
        self.saved_at, self.save_every = time.monotonic(), checkpoint_seconds
        board = closing(Board(self.folder, self.at.step)) if self.world.first else nullcontext()
        with board as self.board, Interruption() as self.interruption, self.reporter, self.fast:
            over = self._stopped() is not None
            while not over:
                self._train_epoch()
                (over,) = self.world.any(self._finish_epoch())
        if self.world.first:
            self._finish()
        self.world.any(False)  # The others wait for the result.
        result = read_result(self.folder)
        assert result is not None
        return result

    def _train_epoch(self) -> None:
        at = self.at
        training_mode(self.objective)
        batches = self.sources.epoch(at.epoch, at.batch)
        while at.batch < self.sources.batches:
            started = time.monotonic()
            todo = min(self.config.schedule.accumulate, self.sources.batches - at.batch)
            group = list(islice(batches, todo))
            at.tally.waited += time.monotonic() - started
            loss = self._step(group)
            at.tally.seconds += time.monotonic() - started
            self.reporter.step(at.step, at.epoch, loss, at.tally.clips / at.tally.seconds)
            self._pause(loss)

    def _step(self, group: Sequence[Batch]) -> float:
        """One step of the optimiser on the batches of ``group``. Returns their mean loss."""
        at, optimiser, device = self.at, self.config.optimiser, self.world.device
        own, before = sum(len(batch) for batch in group), at.tally.loss
        clips = self.world.total(own)
        rate = rate_at(at.step, self.steps, optimiser.rate, self.config.schedule)
        self.optimiser.zero_grad(set_to_none=True)
        for place, batch in enumerate(group):
            torch.manual_seed(self._seed(at.batch + place))
            last = place == len(group) - 1
            with nullcontext() if last else self.world.accumulating(self.shared):
                there = batch.to(device)
                with self._autocast():
                    outcome = self.shared(there.clips, there.fake, there.mask)
                loss = outcome.loss
                if outcome.mask_loss is not None:
                    loss = loss + self.config.mask_weight * outcome.mask_loss
                # Each clip weighs the same, in a small last batch too; devices are averaged over.
                share = self.world.size * len(batch) / clips
                self.scaler.scale(loss * share).backward()
            at.tally.add(there, outcome)
        mean_loss = (at.tally.loss - before) / own
        self.scaler.unscale_(self.optimiser)
        add_penalty(self.penalised, optimiser.l2)
        norm = nn.utils.get_total_norm([p.grad for p in self.parameters if p.grad is not None])
        self._check(mean_loss, norm.item(), rate)
        if optimiser.clip_norm is not None:
            nn.utils.clip_grads_with_norm_(self.parameters, optimiser.clip_norm, norm)
        for parameters in self.optimiser.param_groups:
            parameters["lr"] = rate
        self.scaler.step(self.optimiser)
        self._update_scale()
        at.batch, at.step = at.batch + len(group), at.step + 1
        at.samples += clips
        if self.config.average is not None:
            follow(self.kept.model, self.objective.model, self.config.average, at.step)
        return mean_loss

    def _check(self, loss: float, norm: float, rate: float) -> None:
        # A gradient that is too large for fp16 is the scaler's business: it skips the step.
        fine = math.isfinite(loss) and (self.scaler.is_enabled() or math.isfinite(norm))
        if any(self.world.any(not fine)):
            raise TrainingError(
                f"epoch {self.at.epoch}, step {self.at.step + 1}: loss {loss}, gradient {norm} at "
                f"a learning rate of {rate:g}. {self._kept()} Lower optimiser.rate or set "
                "optimiser.clip_norm, for a run of its own"
            )

    def _update_scale(self) -> None:
        """Of losses under fp16; it falls where a step was skipped."""
        before = self.scaler.get_scale()
        self.scaler.update()
        self.skipped = self.skipped + 1 if self.scaler.get_scale() < before else 0
        if self.skipped == MOST_SKIPPED:
            raise TrainingError(
                f"epoch {self.at.epoch}, step {self.at.step + 1}: the gradients of {self.skipped} "
                f"steps in a row were too large for fp16, and none was taken. {self._kept()} Set "
                "precision to bf16 or fp32, or lower optimiser.rate, for a run of its own"
            )

    def _pause(self, loss: float) -> None:
        """Between two steps: save if it is time, stop if that was asked for."""
        (asked,) = self.world.any(self.interruption.asked)
        if not asked and time.monotonic() - self.saved_at < self.save_every:
            return
        if self.board is not None:
            self.board.add_loss(loss, self.at.step)
            self._save()
        if asked:
            self.world.any(False)  # The others wait until it is saved.
            raise TrainingError(
                f"stopped at epoch {self.at.epoch}, step {self.at.step} of {self.steps}. "
                f"{self._kept()} The same command goes on from there"
            )

    def _finish_epoch(self) -> bool:
        """Validate and keep what is best; whether the run is over, as the first process says."""
        if self.board is None:
            self.at.next_epoch()
            return False
        started = time.monotonic()
        found = validate(self.kept, self.sources.held_out(), self.world.device, self._autocast())
        if not math.isfinite(found.loss):
            raise TrainingError(
                f"epoch {self.at.epoch}: the validation loss is {found.loss}. {self._kept()}"
            )
        schedule = self.config.schedule
        rate = rate_at(self.at.step - 1, self.steps, self.config.optimiser.rate, schedule)
        row = self.at.finish_epoch(found, time.monotonic() - started, rate)
        if self.best is None or row.validation_loss < self.best.loss:
            self.best = Best(row.epoch, row.validation_loss)
            weights = self.kept.model.state_dict()
            checkpoint.replace_tensors(self.folder / WEIGHTS, weights, asdict(self.best))
        self._save()
        write_log(self.at.rows, self.folder)
        self.board.add(row)
        self.reporter.say(str(row))
        return self._stopped() is not None

    def _stopped(self) -> Stopped | None:
        schedule, done = self.config.schedule, self.at.epoch - 1
        if done >= schedule.epochs:
            return "epochs"
        if schedule.patience is None or self.best is None:
            return None
        return "patience" if done - self.best.epoch >= schedule.patience else None

    def _finish(self) -> None:
        stopped = self._stopped()
        assert stopped is not None
        assert self.best is not None
        write_log(self.at.rows, self.folder)  # The disk may have been full the last time.
        draw_curves(self.at.rows, self.best.epoch, self.folder)
        write_result(summarise(self.folder, self.at.rows, self.best.epoch, stopped))
        (self.folder / CHECKPOINT).unlink()

    def _save(self) -> None:
        tensors = {
            **checkpoint.with_prefix("objective", self.objective.state_dict()),
            **checkpoint.with_prefix("optimiser", checkpoint.optimiser_tensors(self.optimiser)),
        }
        if self.kept is not self.objective:
            tensors |= checkpoint.with_prefix("mean", self.kept.model.state_dict())
        state = {"position": self.at.dump(), "scaler": self.scaler.state_dict()}
        checkpoint.replace_tensors(self.folder / CHECKPOINT, tensors, state)
        self.saved_at = time.monotonic()

    def _load(self) -> None:
        tensors, state = checkpoint.read_tensors(self.folder / CHECKPOINT)
        self.objective.load_state_dict(checkpoint.under_prefix("objective", tensors))
        optimiser = checkpoint.under_prefix("optimiser", tensors)
        checkpoint.load_optimiser(self.optimiser, optimiser)
        if self.kept is not self.objective:
            self.kept.model.load_state_dict(checkpoint.under_prefix("mean", tensors))
        self.scaler.load_state_dict(state["scaler"])
        self.at = Position.load(state["position"])
        self.best = checkpoint.read_best(self.folder)

    def _kept(self) -> str:
        path = self.folder / CHECKPOINT
        if not path.exists():
            return "No checkpoint was written yet."
        step = checkpoint.read_state(path)["position"]["step"]
        return f"The checkpoint of step {step} is kept in {self.folder}."

    def _autocast(self) -> torch.autocast:
        precision = self.config.precision
        device, enabled = self.world.device.type, precision != "fp32"
        return torch.autocast(device, _DTYPES[precision] if enabled else None, enabled=enabled)

    def _seed(self, batch: int) -> int:
        """What dropout draws from, of its own for each batch of the run."""
        place = [self.config.seed, self.at.epoch, batch, self.world.rank]
        return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0])
