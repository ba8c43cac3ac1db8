"""What is compared: its work, its weights, and that all ways compute the same."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks import networks
from benchmarks.networks import Network
from benchmarks.worker import ROOT, Task, Worker, clips
from service.classifier.classifier import load_classifier
from service.registry import BUILT_IN_MODEL

TINY = Network(4, (1,), 5, 32, 255.0, 0.0)


@pytest.mark.slow
def test_work_of_the_released_network() -> None:
    needed, as_written = networks.work(Network(64, (3, 4, 6, 3), 5, 240, 255.0, 0.0))

    # 26.7 GFLOP from inputs and 150.3 from states, whose first of five is zero.
    assert as_written / 1e9 == pytest.approx(177.0, abs=0.05)
    assert needed / 1e9 == pytest.approx(177.0 - 150.3 / 5, abs=0.1)


def test_weights_come_back_from_the_model_in_the_box(tmp_path: Path) -> None:
    network, weights = networks.from_the_box()
    network.write(tmp_path)
    torch.save(weights, tmp_path / "weights.pt")
    given = clips(2, network.frames, network.side)

    with torch.inference_mode():
        mine = networks.load(tmp_path)(torch.from_numpy(given)).numpy()

    theirs = load_classifier(BUILT_IN_MODEL, device="cpu", threads=1).score(given).fake
    assert np.abs(mine - theirs).max() < 1e-5


def test_an_export_older_than_the_exporter_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "ours.onnx"
    assert not networks.up_to_date(path)
    path.touch()
    assert networks.up_to_date(path)
    os.utime(path, (0, 0))
    assert not networks.up_to_date(path)


@pytest.mark.slow
def test_the_authors_graph_computes_the_same(tmp_path: Path) -> None:
    python = ROOT / ".venv-benchmarks" / "bin" / "python"
    if not python.exists():
        pytest.skip("needs `scripts/setup benchmarks`")
    TINY.write(tmp_path)
    torch.save(networks.random_weights(TINY), tmp_path / "weights.pt")
    plain = networks.load(tmp_path)
    np.savez(tmp_path / "keras.npz", **networks.keras_arrays(plain.model))
    task = Task(str(tmp_path), TINY.frames, TINY.side, threads=1, device="cpu")

    worker = Worker("benchmarks.ways.keras_graph", task, python)
    try:
        theirs = worker.run(3).scores
    finally:
        worker.close()

    with torch.inference_mode():
        mine = plain(torch.from_numpy(clips(3, TINY.frames, TINY.side))).numpy()
    assert np.abs(mine - theirs).max() < 1e-6
    assert np.ptp(mine) > 1e-4, "such weights tell no clips apart"
