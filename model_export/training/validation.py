"""How a network does on the validation part after an epoch."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import roc_auc_score

from model_export.training.batch import Batch
from model_export.training.objective import Objective


@dataclass(frozen=True, slots=True)
class Validation:
    """Mean loss without penalty, share of clips right at a threshold of 0.5, clip AUC."""

    loss: float
    accuracy: float
    auc: float


@torch.inference_mode()
def validate(
    objective: Objective,
    batches: Iterable[Batch],
    device: torch.device,
    autocast: AbstractContextManager[object],
) -> Validation:
    """Measure on ``batches``. The objective is left in evaluation mode."""
    objective.eval()
    losses, scores, fakes = [], [], []
    with autocast:
        for batch in batches:
            there = batch.to(device)
            outcome = objective(there.clips, there.fake)
            losses.append(outcome.loss.float() * len(batch))
            scores.append(outcome.score)
            fakes.append(batch.fake)
    score, fake = torch.cat(scores).cpu().numpy(), torch.cat(fakes).numpy() > 0.5
    loss = float(torch.stack(losses).double().sum()) / len(fake)
    if not np.isfinite(score).all():
        return Validation(float("nan"), float("nan"), float("nan"))
    return Validation(
        loss, float(((score >= 0.5) == fake).mean()), float(roc_auc_score(fake, score))
    )
