"""White-box attacks: they work, stay within epsilon, and give the same again."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_export.clrnet import CLRNet
from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError
from model_export.evaluation.adversary import (
    EPSILONS,
    KINDS,
    Attack,
    Kind,
    attack_table,
    perturb,
    score_attacked,
    under_attack,
)
from model_export.evaluation.scores import network_scorer, score_run
from model_export.onnx_export import random_clips
from service.classifier.contract import OperatingPoint
from service.measures.rendering import markdown
from tests.unit.model_export.evaluation.made import Brightness, grey, prepared

Image = NDArray[np.uint8]


def _distance(ours: Image, theirs: Image) -> int:
    return int(np.abs(ours.astype(int) - theirs.astype(int)).max())


@pytest.fixture(scope="module")
def network() -> CLRNet:
    """A small CLRNet whose statistics are not trivial."""
    torch.manual_seed(0)
    model = CLRNet(4, (1,), dropout=0.0)
    with torch.no_grad():
        for _ in range(3):
            model.train()(torch.rand(4, 5, 3, 32, 32))
    return model.eval()


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    return prepared(
        tmp_path / "data",
        [
            ("f", "anna", "DF", "test", grey(3, 140)),
            ("g", "cleo", "FS", "test", grey(2, 160)),
            ("r", "ben", "real", "test", grey(3, 120)),
        ],
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("toward_real", [True, False])
def test_an_attack_moves_the_score_and_stays_within_epsilon(
    network: CLRNet, kind: Kind, epsilon: int, toward_real: bool
) -> None:
    clips = random_clips((3, 5, 32, 32, 3))
    clips[0, :, :8], clips[0, :, 8:16] = 0, 255
    attack = Attack(kind, epsilon, steps=4)
    changed = perturb(network, "unit", clips, attack, toward_real=toward_real)
    assert changed.dtype == np.uint8
    assert changed.shape == clips.shape
    assert _distance(changed, clips) == epsilon
    score = network_scorer(network, "unit", 5).score
    moved = score(changed) - score(clips)
    assert np.all(moved < 0) if toward_real else np.all(moved > 0)


def test_fgsm_of_a_linear_network_is_known_exactly() -> None:
    # P(fake) grows with every pixel, so every pixel goes down, and black ones stay black.
    clips = np.concatenate([grey(1, 2), grey(1, 200)])
    changed = perturb(Brightness(), "unit", clips, Attack("fgsm", 4), toward_real=True)
    assert np.array_equal(changed, np.concatenate([grey(1, 0), grey(1, 196)]))
    changed = perturb(Brightness(), "centred", clips, Attack("fgsm", 8), toward_real=False)
    assert np.array_equal(changed, np.concatenate([grey(1, 10), grey(1, 208)]))


def test_pgd_finds_what_one_step_does_not(network: CLRNet) -> None:
    clips = random_clips((4, 5, 32, 32, 3), seed=3)
    score = network_scorer(network, "unit", 5).score
    fgsm, pgd = (
        score(perturb(network, "unit", clips, Attack(kind, 4), toward_real=True)).mean()
        for kind in KINDS
    )
    assert pgd < fgsm < score(clips).mean()


def test_a_network_that_is_sure_still_has_a_gradient() -> None:
    # P(fake) of log-odds 200 is 1 in any precision, and its gradient nothing.
    network = Brightness(slope=400.0)
    clips = grey(1, 255)
    assert network_scorer(network, "unit").score(clips) == 1
    changed = perturb(network, "unit", clips, Attack("fgsm", 8), toward_real=True)
    assert np.array_equal(changed, grey(1, 247))


def test_an_attack_gives_the_same_alone_and_again_and_hangs_on_the_seed(network: CLRNet) -> None:
    clips = random_clips((3, 5, 32, 32, 3))
    attack = Attack("pgd", 4, steps=2)
    together = perturb(network, "unit", clips, attack, toward_real=True)
    alone = perturb(network, "unit", clips[1:2], attack, toward_real=True)
    assert np.mean(together[1:2] != alone) < 0.001  # Sums in another order may round otherwise.
    assert np.array_equal(together, perturb(network, "unit", clips, attack, toward_real=True))
    other = perturb(network, "unit", clips, Attack("pgd", 4, 2, seed=1), toward_real=True)
    assert not np.array_equal(together, other)


class Recurrent(Brightness):
    """Reads the mean of each frame with an LSTM, and drops at random while it is trained."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 4, batch_first=True)
        self.dropout = nn.Dropout(0.5)

    def classify(self, features: Tensor) -> Tensor:
        hidden, _ = self.lstm(features.mean(dim=(3, 4)))
        return self.dropout(hidden).mean(dim=(1, 2))[:, None]


def test_a_recurrent_network_in_training_is_attacked_as_it_will_serve() -> None:
    network = Recurrent().train()
    clips = random_clips((2, 5, 16, 16, 3))
    attack = Attack("fgsm", 8)
    changed = perturb(network, "unit", clips, attack, toward_real=True)
    assert network.training
    assert np.array_equal(changed, perturb(network.eval(), "unit", clips, attack, toward_real=True))
    score = network_scorer(network, "unit").score
    assert np.all(score(changed) < score(clips))
    assert all(parameter.grad is None for parameter in network.parameters())


def test_forged_clips_are_attacked_and_real_ones_left_alone(dataset: PreparedDataset) -> None:
    clean = score_run(Brightness(), "unit", dataset, "test", ["DF", "FS", "real"])
    found = score_attacked(Brightness(), "unit", dataset, "test", Attack("fgsm", 8))
    assert found.video.tolist() == clean.video.tolist()
    assert np.all(found.score[found.fake] < clean.score[clean.fake])
    assert np.array_equal(found.score[~found.fake], clean.score[~clean.fake])
    both = score_attacked(Brightness(), "unit", dataset, "test", Attack("fgsm", 8), real_too=True)
    assert np.all(both.score[~both.fake] > clean.score[~clean.fake])
    none = score_attacked(Brightness(), "unit", dataset, "test", None)
    assert np.array_equal(none.score, clean.score)


def test_only_the_frames_that_the_network_sees_are_attacked(dataset: PreparedDataset) -> None:
    single = Brightness(weights=[1.0])
    attack = Attack("fgsm", 8)
    found = score_attacked(single, "unit", dataset, "test", attack, ["DF"], length=1)
    assert found.score[found.fake] == pytest.approx(1 / (1 + np.exp(-4 * (132 / 255 - 0.5))))


def test_what_is_left_under_attack(dataset: PreparedDataset) -> None:
    # Forged faces are 20 and 40 brighter than real ones, half grey is 127.5.
    attacks = [Attack("fgsm", epsilon) for epsilon in (8, 16, 64)]
    rows = under_attack(Brightness(), "unit", dataset, "test", attacks, ["DF"], draws=20)
    assert [row.recall.value for row in rows] == [1, 1, 0, 0]
    assert [row.auc.value for row in rows] == [1, 1, 1, 0]
    text = markdown(attack_table(rows, "clip"))
    assert "| none |  | 1.000 (1.000 to 1.000) |" in text
    assert "| FGSM | 64/255 | 0.000" in text
    assert "forged clips alone" in text
    assert "Recall is at a threshold of 0.5 of the network's own scores." in text


def test_recall_under_attack_is_at_the_operating_point(dataset: PreparedDataset) -> None:
    # Every face is called fake there, so no attack of 16 steps takes any recall.
    point = OperatingPoint(offset=5.0, threshold=0.6, uncertain_high=0.7)
    attacks = [Attack("fgsm", 16)]
    for level, wanted in (("clip", [1, 0]), ("face", [1, 1]), ("video", [1, 1])):
        rows = under_attack(
            *(Brightness(), "unit", dataset, "test", attacks, ["DF"]),
            level=level,
            point=point,
            draws=20,
        )
        assert [row.recall.value for row in rows] == wanted
        text = markdown(attack_table(rows, level, point))
        assert ("threshold of 0.6 of scores at the operating point" in text) == (level != "clip")


def test_attacks_that_are_none_are_refused(dataset: PreparedDataset) -> None:
    with pytest.raises(ValueError, match="at least"):
        Attack("fgsm", 0)
    with pytest.raises(EvaluationError, match="nothing forged"):
        score_attacked(Brightness(), "unit", dataset, "test", Attack("fgsm", 1), ["real"])
