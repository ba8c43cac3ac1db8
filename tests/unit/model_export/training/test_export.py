"""A trained run as a model: the same scores, and a true account of itself."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import typer
from typer.testing import CliRunner

from model_export.data.prepared import PreparedDataset
from model_export.errors import TrainingError
from model_export.scaling import SCALINGS
from model_export.training.ancestry import ancestry
from model_export.training.checkpoint import load_run
from model_export.training.command import export, train
from model_export.training.export import Told, export_run, read_metrics, trained_on
from model_export.training.run_folder import RunRecord
from service.classifier.classifier import load_classifier
from tests.unit.model_export.training.tiny import LENGTH, SIZE, tiny_run

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
    changes = ["--set", "seed=3", "--set", "precision=bf16"]
    trained = call(app, ["train", str(run), "--folder", str(folder), *changes])
    assert trained.exit_code == 0, trained.output
    assert "layers 0 to 1 of" in trained.output
    assert "the model waited" in trained.output
    told = ["--operating-point", str(point), "--licence", "CC0", "--notice", "Noise."]
    written = call(app, ["export", str(folder), "-o", str(model), *told])
    assert written.exit_code == 0, written.output

    contract = load_classifier(model, device="cpu").contract
    # A single-frame model takes one frame out of the stored clips.
    assert (contract.architecture, contract.clip_length) == ("meso4", 1)
    assert LENGTH > 1
    assert (contract.crop_margin, contract.alignment) == (1.3, "clip")
    assert contract.trained_on == "noise with patches: videos 3 DF and 3 real"
    assert "seed 3" in contract.strategy
    assert "frozen first:2" in contract.strategy
    assert contract.operating_point.threshold == 0.4
    assert (contract.licence, contract.notice) == ("CC0", "Noise.")
    result = json.loads((folder / "result.json").read_text())
    assert contract.metrics[1].value == round(result["validation_auc"], 4)
    assert "validation part" in contract.metrics[1].data
    assert contract.metrics[1].data.endswith(", computed in bf16")

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


def test_what_the_source_was_trained_on_is_told_too(data: Path, tmp_path: Path) -> None:
    def record(name: str, videos: dict[str, int], start: Path | None, **changes: Any) -> Path:
        config = tiny_run(data, name=name, init__weights=start and str(start), **changes)
        told = RunRecord(
            config=config,
            preparation=PreparedDataset(data).preparation,
            videos=videos,
            clips=4,
            data_sha256="0",
        )
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text(told.model_dump_json())
        return tmp_path / name

    source = record("source", {"FS": 9, "NT": 8, "real": 17}, None)
    again = record("again", {"FS": 9, "NT": 8, "real": 17}, source)
    moved = record("moved", {"DF": 2, "FS": 2, "NT": 2}, again, data__twins=True)
    assert trained_on(ancestry(moved)) == (
        "noise with patches: videos 2 DF, 2 FS, 2 NT and their real twins; before that, videos 9 "
        "FS, 8 NT and 17 real"
    )
    shutil.rmtree(source)
    assert trained_on(ancestry(moved)).endswith(
        "9 FS, 8 NT and 17 real; before that, what the weights source were trained on is not known"
    )
