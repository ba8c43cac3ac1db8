"""Training a CLRNet on pairs: single frames first, then clips.

Clips from random weights stay at chance for long (recurrence in every layer hides the small
differences a forgery leaves), so the network learns on single frames and is then inflated: its
recurrent parts start almost switched off and are trained with the rest.
"""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor, nn
from torch.nn import functional as F

from model_export.clrnet import CLRNet
from model_export.demo.pool import INPUT_SIZE, POOL_SIZE, Pairs
from model_export.demo.ranking import auc
from model_export.demo.single_frame import faster_single_frames
from model_export.layers import ConvLSTM2d
from model_export.outputs import FAKE_CLASS, REAL_CLASS
from model_export.scaling import SCALINGS

SCALING = SCALINGS["centred"]
"""CLRNet's saturating gates learn little from [0, 1]."""

STEP = 4
"""Random crops move by whole cells of the stored masks."""


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage of training. ``frames`` is T; ``pairs`` the number of pairs in a batch."""

    name: str
    frames: int
    steps: int
    pairs: int
    rate: float
    seconds: float = math.inf
    """The stage ends after this time if not after ``steps``; the rate falls accordingly."""
    warmup: int = 150
    weight_decay: float = 0.02
    mask_weight: float = 1.0
    average: float = 0.997
    """Decay of the moving average of the weights."""
    check_every: int = 250


class MaskHead(nn.Module):
    """Where is it forged? Read from the first blocks while training, thrown away after.

    A label for each place teaches the early layers far sooner than one label for a clip does.
    """

    def __init__(self, model: CLRNet, blocks: int = 2) -> None:
        super().__init__()
        channels = [model.initial_filters * 4 * 2**place for place in range(blocks)]
        self.layers = nn.ModuleList([nn.Conv2d(count, 1, 1) for count in channels])
        self._seen: list[Tensor] = []
        self._hooks = [
            model.blocks[place].register_forward_hook(self._keep) for place in range(blocks)
        ]

    def _keep(self, module: nn.Module, inputs: object, output: Tensor) -> None:
        if module.training:
            self._seen.append(output)

    def loss(self, mask: Tensor) -> Tensor:
        """Cross-entropy against masks (T * N, 1, h, w) in 0..1, time-major."""
        total = torch.zeros(())
        for layer, seen in zip(self.layers, self._seen, strict=True):
            height, width = seen.shape[-2:]
            target = F.adaptive_avg_pool2d(mask, (height, width))
            total = total + F.binary_cross_entropy_with_logits(layer(seen), target)
        self._seen.clear()
        return total / len(self.layers)

    def detach_from_model(self) -> None:
        """Take the hooks off."""
        for hook in self._hooks:
            hook.remove()


def inflate(model: CLRNet) -> None:
    """Make a network trained on single frames ready for clips.

    The forget gate and the recurrent kernels, which single frames never used, are set so that
    each step gives almost what a single frame gives, yet every gate is in its sloping range.
    """
    with torch.no_grad():
        for layer in model.modules():
            if isinstance(layer, ConvLSTM2d):
                forget = slice(layer.filters, 2 * layer.filters)
                layer.recurrent_weight.mul_(0.05)
                layer.weight[forget].mul_(0.05)
                layer.bias[forget] = -2.0  # the hard sigmoid of -2 is 0.1


def batches(pairs: Pairs, stage: Stage, rng: np.random.Generator) -> Iterator[tuple[Tensor, ...]]:
    """Endless batches of ``stage.pairs`` forged clips and their real twins.

    Yields clips float32 (2 * pairs, T, 3, H, W) in the network's range, real ones first, labels
    (2 * pairs,) and masks float32 (T * 2 * pairs, 1, h, w), time-major. Twins get the same crop,
    flip and colour.
    """
    _, place = np.unique(pairs.person, return_inverse=True)
    weight = 1.0 / np.bincount(place)[place]
    # Photographs count as one person each otherwise, and there are many.
    stills = np.char.startswith(pairs.person.astype(str), "still:")
    if stills.any() and not stills.all():
        weight[stills] *= 0.25 / weight[stills].sum()
        weight[~stills] *= 0.75 / weight[~stills].sum()
    weight = weight / weight.sum()
    cells = (POOL_SIZE - INPUT_SIZE) // STEP
    labels = torch.tensor([REAL_CLASS] * stage.pairs + [FAKE_CLASS] * stage.pairs)
    while True:
        chosen = rng.choice(len(pairs), stage.pairs, p=weight)
        real, forged, masks = [], [], []
        for index in chosen:
            row, column = rng.integers(cells + 1, size=2)
            start = int(rng.integers(pairs.real.shape[1] - stage.frames + 1))
            time_span = slice(start, start + stage.frames)
            rows = slice(row * STEP, row * STEP + INPUT_SIZE)
            columns = slice(column * STEP, column * STEP + INPUT_SIZE)
            small_rows = slice(row, row + INPUT_SIZE // STEP)
            small_columns = slice(column, column + INPUT_SIZE // STEP)
            turn = slice(None, None, -1 if rng.random() < 0.5 else 1)
            real.append(pairs.real[index, time_span, rows, columns][:, :, turn])
            forged.append(pairs.forged[index, time_span, rows, columns][:, :, turn])
            masks.append(pairs.mask[index, time_span, small_rows, small_columns][:, :, turn])
        clips = torch.from_numpy(np.stack(real + forged)).permute(0, 1, 4, 2, 3).float() / 255
        gain, shift = _colours(stage.pairs, rng)
        clips = (clips * gain + shift).clamp_(0, 1)
        mask = torch.from_numpy(np.stack(masks)).float().div_(255)
        mask = torch.cat([torch.zeros_like(mask), mask]).transpose(0, 1).flatten(0, 1)[:, None]
        yield SCALING(clips * 255), labels, mask


def _colours(pairs: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Gain and shift (2 * pairs, 1, 3, 1, 1) of colours, twins alike."""
    contrast = rng.uniform(0.8, 1.2, (pairs, 1)) * rng.normal(1, 0.04, (pairs, 3))
    light = rng.normal(0, 0.06, (pairs, 1)) + 0.5 * (1 - contrast)
    both = [np.tile(each.astype(np.float32), (2, 1)) for each in (contrast, light)]
    gain, shift = (torch.from_numpy(each)[:, None, :, None, None] for each in both)
    return gain, shift


@torch.inference_mode()
def predict(model: CLRNet, clips: NDArray[np.uint8], batch: int = 32) -> NDArray[np.float64]:
    """P(fake) float64 (N,) of clips uint8 (N, T, H, W, 3) RGB."""
    model.eval()
    scores = []
    for start in range(0, len(clips), batch):
        part = torch.from_numpy(np.ascontiguousarray(clips[start : start + batch]))
        logits = model(SCALING(part.permute(0, 1, 4, 2, 3)))
        scores.append(model.fake_probability(logits).double().numpy())
    return np.concatenate(scores)


def held_out_auc(model: CLRNet, pairs: Pairs, frames: int) -> float:
    """Clip AUC over pairs as large as the network's input; T = 1 takes the middle frame."""
    middle = (pairs.real.shape[1] - frames) // 2
    span = slice(middle, middle + frames)
    fake = predict(model, pairs.forged[:, span])
    real = predict(model, pairs.real[:, span])
    return auc(fake, real)


def train(
    model: CLRNet, pairs: Pairs, validation: Pairs, stage: Stage, folder: Path, seed: int
) -> CLRNet:
    """One stage. Returns the averaged network; ``model`` itself is trained in place.

    ``folder`` gets ``<stage>.jsonl`` with one line a check, and ``<stage>.pt`` with the averaged
    weights once it is finished; until then those of the last check are in
    ``<stage>.unfinished.pt``.
    """
    rng = np.random.default_rng([seed, stage.frames])
    torch.manual_seed(seed)
    head = MaskHead(model)
    mean = copy.deepcopy(model)
    for block in mean.blocks:
        block._forward_hooks.clear()
    parameters = [*model.parameters(), *head.parameters()]
    optimiser = torch.optim.AdamW(parameters, lr=stage.rate, weight_decay=stage.weight_decay)
    source = batches(pairs, stage, rng)
    fast = faster_single_frames(model) if stage.frames == 1 else nullcontext()
    losses: list[float] = []
    started = time.monotonic()
    with fast, Progress() as progress, (folder / f"{stage.name}.jsonl").open("a") as log:
        task = progress.add_task(f"training on {stage.name}", total=stage.steps)
        done = 0.0
        for step in range(1, stage.steps + 1):
            for group in optimiser.param_groups:
                group["lr"] = stage.rate * _schedule(step, done, stage)
            losses.append(_step(model, head, optimiser, next(source), stage))
            _follow(mean, model, min(stage.average, 1 - 1 / step))
            done = max(step / stage.steps, (time.monotonic() - started) / stage.seconds)
            progress.update(task, completed=min(done, 1.0) * stage.steps)
            if step % stage.check_every == 0 or done >= 1:
                line = {
                    "step": step,
                    "images": step * 2 * stage.pairs * stage.frames,
                    "seconds": round(time.monotonic() - started),
                    "loss": round(float(np.mean(losses)), 4),
                    "auc": round(held_out_auc(mean, validation, stage.frames), 4),
                }
                losses.clear()
                log.write(json.dumps(line) + "\n")
                log.flush()
                progress.console.print(line)
                save(mean, folder / f"{stage.name}.unfinished.pt", stage)
            if done >= 1:
                break
    # Only now: a stage that was interrupted must not be taken for a finished one.
    (folder / f"{stage.name}.unfinished.pt").replace(folder / f"{stage.name}.pt")
    head.detach_from_model()
    return mean.eval()


def _step(
    model: CLRNet,
    head: MaskHead,
    optimiser: torch.optim.Optimizer,
    batch: tuple[Tensor, ...],
    stage: Stage,
) -> float:
    clips, labels, mask = batch
    model.train()
    optimiser.zero_grad(set_to_none=True)
    loss = F.cross_entropy(model(clips), labels)
    whole = loss + stage.mask_weight * head.loss(mask)
    whole.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimiser.step()
    return loss.item()


def _schedule(step: int, done: float, stage: Stage) -> float:
    """Share of the rate: a linear start, times half a cosine down to nothing."""
    return min(1.0, step / stage.warmup) * (0.5 + 0.5 * math.cos(math.pi * min(done, 1.0)))


@torch.no_grad()
def _follow(mean: CLRNet, model: CLRNet, decay: float) -> None:
    for ours, theirs in zip(mean.state_dict().values(), model.state_dict().values(), strict=True):
        if ours.is_floating_point():
            ours.lerp_(theirs, 1 - decay)
        else:
            ours.copy_(theirs)


def save(model: CLRNet, path: Path, stage: Stage) -> None:
    """Write weights and how they came about, whole or not at all."""
    part = path.with_suffix(".part")
    shape = {"initial_filters": model.initial_filters, "repetitions": model.repetitions}
    torch.save({"weights": model.state_dict(), "model": shape, "stage": asdict(stage)}, part)
    part.replace(path)


def load(path: Path) -> CLRNet:
    """A network that ``save`` wrote."""
    saved = torch.load(path, weights_only=True)
    model = CLRNet(**saved["model"], dropout=0.0, batch_norm_momentum=0.05)
    model.load_state_dict(saved["weights"])
    return model.eval()


def images_seen(log: Path) -> int:
    """Images a stage was trained on, from its log."""
    lines = log.read_text().splitlines()
    return int(json.loads(lines[-1])["images"])
