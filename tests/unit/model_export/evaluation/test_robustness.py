"""AUC under degradation."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from model_export.data.prepared import PreparedDataset
from model_export.evaluation.robustness import MEASURED, robustness, robustness_table
from model_export.evaluation.scores import score_run
from service.measures.metrics import Estimate
from service.measures.rendering import markdown
from tests.unit.model_export.evaluation.made import Brightness, grey, prepared


class Roughness(Brightness):
    """P(fake) grows with how much neighbouring pixels differ: blur takes that away."""

    def classify(self, features: Tensor) -> Tensor:
        rough = (features[..., 1:] - features[..., :-1]).abs().mean(dim=(1, 2, 3, 4))
        return (torch.log(rough + 1e-4) + 4)[:, None]


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    """Forged faces are striped; real ones have an edge, which blur leaves, and a little noise."""
    rng = np.random.default_rng(0)
    videos = []
    for person in range(4):
        striped = grey(2, 100)
        striped[..., ::2, :] += np.uint8(30 + 5 * person)
        noisy = grey(2, 100)
        noisy[..., 16:, :] += np.uint8(60)
        noisy += rng.integers(0, 12 + person, noisy.shape).astype(np.uint8)
        videos += [
            (f"f{person}", f"p{person}", "DF", "test", striped),
            (f"r{person}", f"p{person}", "real", "test", noisy),
        ]
    return prepared(tmp_path / "data", videos)


def test_what_the_network_lives_on_is_taken_away(dataset: PreparedDataset) -> None:
    score = partial(score_run, Roughness(), "unit", dataset, "test", None)
    rows = robustness(score, "clip", {"blur": (1, 3), "resize": (0.5,), "noise": (20,)}, draws=50)
    assert [(row.kind, row.level) for row in rows] == [
        *((None, None), ("blur", 1), ("blur", 3), ("resize", 0.5), ("noise", 20)),
    ]
    clean, *_, blurred, _, _ = rows
    assert clean.auc.value == 1
    assert clean.change == Estimate(0.0)
    assert blurred.auc.value is not None
    assert blurred.auc.value < 0.2
    assert blurred.change.value == pytest.approx(blurred.auc.value - 1)
    assert blurred.change.high is not None
    assert blurred.change.high < 0


def test_h264_goes_over_whole_clips(dataset: PreparedDataset) -> None:
    score = partial(score_run, Roughness(), "unit", dataset, "test", None)
    weak, strong = robustness(score, "face", {"h264": (10, 51)}, draws=20)[1:]
    assert weak.auc.value == 1
    assert strong.auc.value is not None
    assert strong.auc.value < 1


def test_the_table_says_what_the_levels_are(dataset: PreparedDataset) -> None:
    score = partial(score_run, Roughness(), "unit", dataset, "test", None)
    rows = robustness(score, "clip", {"blur": (3,)}, draws=20)
    text = markdown(robustness_table(rows, "clip"))
    assert "| none |  | 1.000 (1.000 to 1.000) |  |" in text
    assert "| blur | 3 pixels |" in text
    assert set(MEASURED) == {"h264", "resize", "blur", "noise"}
