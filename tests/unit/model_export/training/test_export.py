"""A trained run as a model: the same scores, and a true account of itself."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from model_export.errors import TrainingError
from model_export.scaling import SCALINGS
from model_export.training.checkpoint import load_run
from model_export.training.command import export, train
from model_export.training.export import Told, export_run, read_metrics
from service.classifier.classifier import load_classifier
from tests.unit.model_export.training.tiny import LENGTH, SIZE

RUN = """
name = "tiny"
freeze = "first:2"
[model]
architecture = "meso4"
size = {size}
scaling = "centred"
[data]
folder = "{data}"
videos = {{ DF = 3 }}
[schedule]
epochs = 1
batch = 4
"""


@pytest.fixture
def app() -> typer.Typer:
    app = typer.Typer()
    app.command("train")(train)
    app.command("export")(export)
    return app


def test_from_a_file_to_a_model_that_the_service_takes(
    data: Path, tmp_path: Path, app: typer.Typer
) -> None:
    run, folder, model = tmp_path / "run.toml", tmp_path / "run", tmp_path / "tiny.onnx"
    run.write_text(RUN.format(size=SIZE, data=data))
    point = tmp_path / "point.json"
    point.write_text('{"threshold": 0.4, "uncertain_low": 0.3, "uncertain_high": 0.6}')
    call = CliRunner().invoke
    trained = call(app, ["train", str(run), "--folder", str(folder), "--set", "seed=3"])
    assert trained.exit_code == 0, trained.output
    assert "layers 0 to 1 of" in trained.output
    assert "the model waited" in trained.output
    told = ["--operating-point", str(point), "--licence", "CC0", "--notice", "Noise."]
    written = call(app, ["export", str(folder), "-o", str(model), *told])
    assert written.exit_code == 0, written.output

    contract = load_classifier(model, device="cpu").contract
    assert (contract.architecture, contract.clip_length) == ("meso4", 1)
    assert (contract.crop_margin, contract.alignment) == (1.3, "clip")
    assert contract.trained_on == "noise with patches: videos 3 DF and 3 real"
    assert "seed 3" in contract.strategy
    assert "frozen first:2" in contract.strategy
    assert contract.operating_point.threshold == 0.4
    assert (contract.licence, contract.notice) == ("CC0", "Noise.")
    result = json.loads((folder / "result.json").read_text())
    assert contract.metrics[1].value == round(result["validation_auc"], 4)
    assert "validation part" in contract.metrics[1].data

    clips = np.random.default_rng(0).integers(0, 256, (3, 1, SIZE, SIZE, 3)).astype(np.uint8)
    network, config = load_run(folder)
    with torch.no_grad():
        pixels = SCALINGS[config.model.scaling](torch.from_numpy(clips).permute(0, 1, 4, 2, 3))
        wanted = network.fake_probability(network(pixels)).numpy()
    found = load_classifier(model, device="cpu").score(clips).fake
    np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_what_is_wrong_is_one_line(tmp_path: Path, app: typer.Typer) -> None:
    run = tmp_path / "run.toml"
    run.write_text(RUN.format(size=SIZE, data=tmp_path / "nowhere"))
    refused = CliRunner().invoke(app, ["train", str(run), "--folder", str(tmp_path / "run")])
    assert refused.exit_code == 1
    assert "nowhere/dataset.json cannot be read" in refused.output
    assert not (tmp_path / "run").exists()


def test_an_unfinished_run_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="not the folder of a run"):
        export_run(tmp_path, tmp_path / "x.onnx", Told())


def test_figures_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "metrics.json"
    path.write_text('[{"name": "AUC", "value": 0.9, "data": "test people", "low": 0.8}]')
    (metric,) = read_metrics(path)
    assert (metric.value, metric.low, metric.high) == (0.9, 0.8, None)
    path.write_text('[{"name": "AUC"}]')
    with pytest.raises(TrainingError, match="is no list of figures"):
        read_metrics(path)


assert LENGTH > 1  # A single-frame model takes one frame out of the stored clips.
