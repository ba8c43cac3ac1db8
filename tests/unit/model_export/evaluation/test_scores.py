"""Scoring prepared clips with networks and exported models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.progress import Progress
from torch import Tensor

from model_export.data.prepared import PreparedDataset
from model_export.errors import EvaluationError
from model_export.evaluation.orders import ORDERS, Order, reorder
from model_export.evaluation.scores import score_onnx, score_run
from model_export.onnx_export import random_clips
from model_export.scaling import Scaling
from tests.onnx_models import CONTRACT, brightness_model
from tests.unit.model_export.evaluation.made import Brightness, grey, prepared


@pytest.fixture
def dataset(tmp_path: Path) -> PreparedDataset:
    moving = grey(3, 0)
    moving[:] = np.arange(5, dtype=np.uint8)[None, :, None, None, None] * 51
    return prepared(
        tmp_path / "data",
        [
            ("bright", "anna", "DF", "test", grey(2, 255)),
            ("dark", "ben", "real", "test", grey(1, 0)),
            ("moving", "cleo;ben", "FS", "test", moving),
            ("seen", "dora", "DF", "train", grey(2, 255)),
        ],
    )


def test_every_clip_of_the_part_is_scored(dataset: PreparedDataset) -> None:
    table = score_run(Brightness(), Scaling(), dataset, "test")
    assert table.video.tolist() == ["bright"] * 2 + ["dark"] + ["moving"] * 3
    assert table.people.tolist()[-1] == "ben;cleo"
    assert table.first_frame.tolist() == [0, 5, 0, 0, 5, 10]
    assert table.label.tolist() == ["fake", "fake", "real", "fake", "fake", "fake"]
    sigmoid = 1 / (1 + np.exp(-4 * np.array([0.5, 0.5, -0.5, -0.1, -0.1, -0.1])))
    assert table.score == pytest.approx(sigmoid, abs=1e-6)


def test_parts_and_methods(dataset: PreparedDataset) -> None:
    only = score_run(Brightness(), "unit", dataset, "test", methods=["DF", "real"])
    assert set(only.video.tolist()) == {"bright", "dark"}
    assert len(score_run(Brightness(), "unit", dataset, None)) == 8
    with pytest.raises(EvaluationError, match="no clips of NT in the part 'test'"):
        score_run(Brightness(), "unit", dataset, "test", methods=["NT"])


def test_scaling_by_name(dataset: PreparedDataset) -> None:
    centred = score_run(Brightness(), "centred", dataset, "test", ["real"])
    assert centred.score == pytest.approx([1 / (1 + np.exp(4 * 2.5))], rel=1e-4)


def test_scores_do_not_depend_on_company(dataset: PreparedDataset) -> None:
    def noisy(clip: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        return rng.integers(0, 256, clip.shape, dtype=np.uint8)

    together = score_run(Brightness(), "unit", dataset, "test", transform=noisy, batch=2)
    alone = score_run(Brightness(), "unit", dataset, "test", ["FS"], transform=noisy, batch=32)
    assert np.array_equal(together.score[-3:], alone.score)
    assert len(set(together.score.tolist())) == 6


def test_a_single_frame_network_scores_the_middle_frame(dataset: PreparedDataset) -> None:
    # Frame 2 of 5 has brightness 102 / 255.
    table = score_run(Brightness(weights=[1.0]), "unit", dataset, "test", ["FS"], length=1)
    assert len(table) == 3
    assert table.score == pytest.approx(1 / (1 + np.exp(0.4)), abs=1e-6)


def test_longer_clips_than_stored_are_refused(dataset: PreparedDataset) -> None:
    with pytest.raises(EvaluationError, match=r"clips of 20 frames, but .* holds clips of 5"):
        score_run(Brightness(), "unit", dataset, "test", length=20)


@pytest.mark.parametrize(
    ("order", "mean"), [("as_is", 0.0), ("reversed", 204.0), ("repeated", 102.0)]
)
def test_the_order_of_frames(dataset: PreparedDataset, order: Order, mean: float) -> None:
    first_alone = Brightness(weights=[1.0, 0, 0, 0, 0])
    table = score_run(first_alone, "unit", dataset, "test", ["FS"], order=order)
    assert table.score == pytest.approx(1 / (1 + np.exp(-4 * (mean / 255 - 0.5))), abs=1e-6)


def test_shuffling_moves_frames_and_keeps_them_all(dataset: PreparedDataset) -> None:
    clip = random_clips((1, 5, 16, 16, 3))[0]
    for seed in range(200):
        shuffled = reorder(clip, "shuffled", np.random.default_rng(seed))
        assert not np.array_equal(shuffled, clip)
        assert sorted(f.tobytes() for f in shuffled) == sorted(f.tobytes() for f in clip)
    pair = clip[:2]
    assert np.array_equal(reorder(pair, "shuffled", np.random.default_rng(0)), pair[::-1])
    for order in ORDERS:
        assert np.array_equal(reorder(clip[:1], order, np.random.default_rng(0)), clip[:1])


def test_all_orders_are_the_same_to_a_network_that_does_not_read_them(
    dataset: PreparedDataset,
) -> None:
    tables = [score_run(Brightness(), "unit", dataset, "test", order=order) for order in ORDERS[:3]]
    assert all(each.score == pytest.approx(tables[0].score, abs=1e-6) for each in tables)


class Dropping(Brightness):
    """Scores at random while it is trained."""

    def classify(self, features: Tensor) -> Tensor:
        return torch.nn.functional.dropout(super().classify(features), 0.5, self.training)


def test_a_network_in_training_is_scored_as_it_will_serve(dataset: PreparedDataset) -> None:
    network = Dropping().train()
    table = score_run(network, "unit", dataset, "test")
    assert np.array_equal(table.score, score_run(network.eval(), "unit", dataset, "test").score)
    network.train()
    score_run(network, "unit", dataset, "test")
    assert network.training


def test_an_exported_model(dataset: PreparedDataset, tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(brightness_model())
    with Progress(disable=True) as progress:
        table = score_onnx(path, dataset, "test", batch=2, progress=progress)
        assert [(task.completed, task.total) for task in progress.tasks] == [(3, 3)]
    assert table.score == pytest.approx([1, 1, 0, 0.4, 0.4, 0.4], abs=1e-5)


def test_an_exported_model_that_takes_other_crops_is_refused(
    dataset: PreparedDataset, tmp_path: Path
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(brightness_model(CONTRACT.model_copy(update={"crop_margin": 1.5})))
    with pytest.raises(EvaluationError, match=r"margin 1\.5, aligned clip, but .* margin 1\.3"):
        score_onnx(path, dataset, "test")
    path.write_bytes(b"no model")
    with pytest.raises(EvaluationError, match=r"model\.onnx"):
        score_onnx(path, dataset, "test")
