"""Attackers who know the network: small changes of pixels that make forged clips look real.

FGSM (Goodfellow et al. 2015) takes one step along the sign of the gradient; PGD (Madry et al.
2018) many small ones from a random start, each time led back to within epsilon of every pixel. The
attacker here has the weights and changes the very crops that the network sees; there are stronger
attacks than these two. Reported, not defended against.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Literal, get_args
from zlib import crc32

import numpy as np
import torch
from rich.progress import Progress
from torch import Tensor, nn

from model_export.data.prepared import PreparedDataset
from model_export.data.video import REAL, Part
from model_export.detector import Detector
from model_export.errors import EvaluationError
from model_export.evaluation.scores import Image, Scorer, network_scorer, resolve, score_videos
from model_export.scaling import Scaling
from service.classifier.contract import OperatingPoint
from service.measures.levels import Level
from service.measures.metrics import Estimate, measure, point_of
from service.measures.rendering import Table, with_interval
from service.measures.table import ScoreTable, concatenate

Kind = Literal["fgsm", "pgd"]

KINDS: tuple[Kind, ...] = get_args(Kind)
EPSILONS = (1, 2, 4, 8)
"""Largest change of a pixel's channel, in steps of 255."""


@dataclass(frozen=True, slots=True)
class Attack:
    """``epsilon`` is the largest change of any channel, a whole number of steps of 255; ``steps``
    and ``seed`` (of the random start) are PGD's."""

    kind: Kind
    epsilon: int
    steps: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        if self.epsilon < 1 or self.steps < 1:
            raise ValueError("an attack takes at least one step of at least 1/255")


@dataclass(frozen=True, slots=True)
class Attacked:
    """What is left of a detector under an attack (None: under none)."""

    attack: Attack | None
    recall: Estimate
    auc: Estimate


def perturb(
    model: Detector, scaling: Scaling | str, clips: Image, attack: Attack, *, toward_real: bool
) -> Image:
    """Clips uint8 (N, T, H, W, 3), as the network takes them, changed so that it calls them real
    (or fake, where not ``toward_real``); the same shape, whole pixel values 0 to 255.

    The model is attacked as it will serve, in evaluation mode. What comes out for a clip does not
    depend on the others.
    """
    device = next(model.parameters()).device
    clean = torch.from_numpy(clips).to(device, torch.float32)
    low, high = (clean - attack.epsilon).clamp(min=0), (clean + attack.epsilon).clamp(max=255)
    down, scale, steps = (-1.0 if toward_real else 1.0), resolve(scaling), 1
    size, changed = float(attack.epsilon), clean
    if attack.kind == "pgd":
        steps = attack.steps
        # Far enough to reach the edge from anywhere within (Madry et al.: 2.5 epsilon / steps).
        size = min(size, 2.5 * attack.epsilon / steps)
        changed = torch.clamp(clean + _starts(clips, attack).to(device), low, high)
    with _evaluating(model):
        for _ in range(steps):
            changed = changed.detach().requires_grad_()
            # Not of P(fake): where a network is sure, that is flat and would pass for robust.
            odds = model.log_odds(model(scale(changed.permute(0, 1, 4, 2, 3)))).sum()
            (gradient,) = torch.autograd.grad(odds, changed)
            changed = torch.clamp(changed.detach() + down * size * gradient.sign(), low, high)
    # Epsilon and the clip are whole numbers: rounding cannot leave the range.
    return np.asarray(changed.detach().round().to(torch.uint8).cpu().numpy())


def score_attacked(
    model: Detector,
    scaling: Scaling | str,
    dataset: PreparedDataset,
    part: Part | None,
    attack: Attack | None,
    methods: Sequence[str] | None = None,
    *,
    length: int | None = None,
    real_too: bool = False,
    batch: int = 8,
    progress: Progress | None = None,
) -> ScoreTable:
    """Scores of attacked forged clips, and of real ones: untouched, or with ``real_too`` attacked
    to look forged. Parameters as in ``score_run``."""
    plain = network_scorer(model, scaling, length)

    def attacking(toward_real: bool) -> Scorer:
        if attack is None:
            return plain
        chosen = attack
        return Scorer(
            plain.length,
            lambda clips: plain.score(
                perturb(model, scaling, clips, chosen, toward_real=toward_real)
            ),
        )

    forged = [each for each in methods or dataset.methods() if each != REAL]
    if not forged:
        raise EvaluationError(f"{dataset.folder} holds nothing forged to attack")
    parts = [score_videos(attacking(True), dataset, part, forged, batch=batch, progress=progress)]
    if dataset.videos(part, [REAL]):
        scorer = attacking(False) if real_too else plain
        parts.append(score_videos(scorer, dataset, part, [REAL], batch=batch, progress=progress))
    return concatenate(parts)


def under_attack(
    model: Detector,
    scaling: Scaling | str,
    dataset: PreparedDataset,
    part: Part | None,
    attacks: Sequence[Attack],
    methods: Sequence[str] | None = None,
    *,
    level: Level = "clip",
    point: OperatingPoint | None = None,
    length: int | None = None,
    real_too: bool = False,
    draws: int = 1000,
    progress: Progress | None = None,
) -> list[Attacked]:
    """Recall and AUC without attack and under each one, measured as everything else is: faces and
    videos at ``point``, clips as the network scores them. Parameters as in ``score_attacked``."""
    rows = []
    for attack in (None, *attacks):
        table = score_attacked(
            *(model, scaling, dataset, part, attack, methods),
            length=length,
            real_too=real_too,
            progress=progress,
        )
        found = measure(table, level, draws=draws, point=point_of(level, point))
        rows.append(Attacked(attack, found.recall, found.auc))
    return rows


def attack_table(
    rows: Sequence[Attacked],
    level: Level,
    point: OperatingPoint | None = None,
    *,
    real_too: bool = False,
) -> Table:
    """A row an attack; ``level`` and ``point`` as in ``under_attack``."""
    used = point_of(level, point)
    who = "forged clips toward real and real ones toward fake" if real_too else "forged clips alone"
    steps = {row.attack.steps for row in rows if row.attack and row.attack.kind == "pgd"}
    pgd = f" PGD takes {', '.join(map(str, sorted(steps)))} steps." if steps else ""
    return Table(
        title=f"White-box attacks, by {level}",
        columns=("attack", "epsilon", "recall (95 %)", "AUC (95 %)"),
        rows=tuple(
            (
                row.attack.kind.upper() if row.attack else "none",
                f"{row.attack.epsilon}/255" if row.attack else "",
                with_interval(row.recall),
                with_interval(row.auc),
            )
            for row in rows
        ),
        notes=(
            f"Attacked: {who}, on the crops the network sees.{pgd} Intervals draw people.",
            f"Recall is at a threshold of {used.threshold:g} of scores at the operating point."
            if used
            else "Recall is at a threshold of 0.5 of the network's own scores.",
        ),
    )


def _starts(clips: Image, attack: Attack) -> Tensor:
    """Uniform within epsilon, float32 like ``clips``, from the clip's own pixels and the seed."""
    starts = [
        np.random.default_rng([attack.seed, crc32(clip.tobytes())]).uniform(
            -attack.epsilon, attack.epsilon, clip.shape
        )
        for clip in clips
    ]
    return torch.from_numpy(np.stack(starts).astype(np.float32))


@contextmanager
def _evaluating(model: Detector) -> Iterator[None]:
    """Evaluation mode, and gradients in it: cuDNN's recurrent layers have none, PyTorch's own
    have."""
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    training = model.training
    model.eval()
    try:
        with torch.backends.cudnn.flags(enabled=False) if recurrent else nullcontext():
            yield
    finally:
        model.train(training)
