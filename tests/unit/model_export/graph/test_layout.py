"""A graph written for processors computes what the plain one does, whatever the network's sizes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from model_export.clrnet import CLRNet
from model_export.graph import tiles
from model_export.onnx_export import CAM_TOLERANCE, export, random_clips
from service.classifier.contract import CAM_NAME, PROBABILITY_NAME
from tests.unit.model_export.test_onnx_export import contract, run

LOG_ODDS = 1e-5


def network(
    peepholes: bool = False, filters: int = 8, repetitions: tuple[int, ...] = (1, 2)
) -> CLRNet:
    """A network whose statistics and peepholes are not trivial, and that is not sure of itself."""
    torch.manual_seed(0)
    model = CLRNet(filters, repetitions, peepholes=peepholes)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "peepholes" in name:
                parameter.normal_(std=0.5)
        model.train()(torch.rand(4, 2, 3, 40, 40))
    return model.eval()


def log_odds(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    exact = probabilities.astype(np.float64)
    return np.log(exact / (1 - exact))


def operators(path: Path) -> list[str]:
    return [node.op_type for node in onnx.load(path, load_external_data=False).graph.node]


@pytest.mark.parametrize(
    ("steps", "height", "width", "peepholes"),
    [(5, 64, 64, False), (2, 97, 65, False), (3, 50, 81, True), (1, 64, 47, False)],
)
@pytest.mark.parametrize("tiled", [False, True], ids=["rows", "tiles"])
def test_the_same_scores_as_the_plain_graph(
    steps: int,
    height: int,
    width: int,
    peepholes: bool,
    tiled: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tiles, "GAIN", 0.0 if tiled else np.inf)
    monkeypatch.setattr(tiles, "FEWEST", 1)
    model, told = network(peepholes), contract(CLRNet(8, (1, 2)), steps, height, width)
    export(model, tmp_path / "plain.onnx", told, plain=True)
    export(model, tmp_path / "fast.onnx", told)
    assert ("MatMul" in operators(tmp_path / "fast.onnx")) == tiled
    assert "Conv" in operators(tmp_path / "plain.onnx")
    clips = random_clips((3, steps, height, width, 3), seed=5)
    plain, fast = run(tmp_path / "plain.onnx", clips), run(tmp_path / "fast.onnx", clips)
    apart = np.abs(log_odds(fast[PROBABILITY_NAME]) - log_odds(plain[PROBABILITY_NAME])).max()
    cam = np.abs(fast[CAM_NAME] - plain[CAM_NAME]).max() / np.abs(plain[CAM_NAME]).max()
    print(f"log-odds {apart:.1e}, maps {cam:.1e}")
    assert plain[PROBABILITY_NAME].std() > 1e-4
    assert apart <= LOG_ODDS
    assert cam <= CAM_TOLERANCE


def test_spectra_are_made_when_a_file_is_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tiled file is as small as a plain one but for constants that no weight is part of."""
    monkeypatch.setattr(tiles, "GAIN", 0.0)
    model = network(filters=16, repetitions=(1,))
    told = contract(model, 2, 128, 128)
    plain = export(model, tmp_path / "plain.onnx", told, plain=True)
    fast = export(model, tmp_path / "fast.onnx", told)
    assert "MatMul" in operators(tmp_path / "fast.onnx")
    assert fast.bytes_written - plain.bytes_written < 3_000_000
    kept = {each.name: each for each in onnx.load(tmp_path / "fast.onnx").graph.initializer}
    weight = onnx.numpy_helper.to_array(kept["model.stem.recurrent_weight"])
    np.testing.assert_array_equal(weight, model.stem.recurrent_weight.detach().numpy())


def test_rows_go_through_all_but_a_stem_too_small_for_tiles(tmp_path: Path) -> None:
    """A stem that stays a convolution gives images; everything behind its pool is rows."""
    model = network(repetitions=(1,))
    export(model, tmp_path / "fast.onnx", contract(model, 2, 40, 40))
    names = operators(tmp_path / "fast.onnx")
    assert names.count("Conv") == 2
    assert names.count("Gemm") == 4 * 2 + 1
    assert names.count("MaxPool") == names.count("BatchNormalization") == 1
