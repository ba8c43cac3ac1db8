"""``deepfake-models`` on the command line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import onnx
import pytest
from typer.testing import CliRunner

from model_export.architectures import ARCHITECTURES
from model_export.cli import ArchitectureName, app
from service.classifier.contract import ModelContract

from .parity import GOLDEN, SMALL

SHALLOW = GOLDEN / "shallownet" / "weights_only.h5"
runner = CliRunner()


def test_every_architecture_is_offered() -> None:
    assert {name.value for name in ArchitectureName} == set(ARCHITECTURES)


def test_import_and_inspect(tmp_path: Path) -> None:
    path = tmp_path / "shallow.onnx"
    options = ["--trained-on", "FF++ [DF]", "--threshold", "0.7", "--licence", "BSD-3-Clause"]
    arguments = ["import-keras", str(SHALLOW), "-a", "shallownetv3", "-o", str(path), *options]
    result = runner.invoke(app, arguments)
    assert result.exit_code == 0, result.output
    assert "clips of 1 frame(s) of 40x40" in result.output
    metadata = {item.key: item.value for item in onnx.load(path).metadata_props}
    contract = ModelContract.parse(metadata)
    assert contract.name == "shallow"
    assert contract.alignment == "per_frame"
    assert contract.trained_on == "FF++ [DF]"
    assert contract.licence == "BSD-3-Clause"
    assert contract.strategy == contract.notice == "unknown"
    assert contract.operating_point.threshold == 0.7
    assert "not measured" in contract.operating_point.calibration

    result = runner.invoke(app, ["inspect", str(path)])
    assert result.exit_code == 0
    assert "FF++ [DF]" in result.output
    assert "uint8 (N, 1, 40, 40, 3)" in result.output


def test_unknown_is_written_where_nobody_knows(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    result = runner.invoke(
        app, ["import-keras", str(SHALLOW), "-a", "shallownetv3", "-o", str(path)]
    )
    assert result.exit_code == 0, result.output
    metadata = {item.key: item.value for item in onnx.load(path).metadata_props}
    assert metadata["operating_point"] == "uncalibrated"
    assert metadata["trained_on"] == metadata["licence"] == metadata["metrics"] == "unknown"


@pytest.mark.parametrize(
    ("file", "architecture", "said"),
    [
        (Path(__file__), "clrnet", "no HDF5 file"),
        (Path("absent.h5"), "clrnet", "cannot be read"),
        (SHALLOW, "clrnet", "its layers are those of shallownetv3"),
        (SMALL / "weights_only.h5", "clrnet", "--input-size"),
    ],
)
def test_refusals_are_one_line(file: Path, architecture: str, said: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    result = runner.invoke(app, ["import-keras", str(file), "-a", architecture, "-o", str(path)])
    assert result.exit_code == 1
    assert said in result.stderr
    assert "Traceback" not in result.output
    assert len(result.stderr.strip().splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_inspect_names_the_missing_key(tmp_path: Path) -> None:
    graph = onnx.helper.make_graph([], "empty", [], [_value("x")])
    model = onnx.helper.make_model(graph)
    onnx.save(model, tmp_path / "bare.onnx")
    result = runner.invoke(app, ["inspect", str(tmp_path / "bare.onnx")])
    assert result.exit_code == 1
    assert "lacks the key 'name'" in result.stderr
    result = runner.invoke(app, ["inspect", str(SHALLOW)])
    assert result.exit_code == 1
    assert "is no ONNX file" in result.stderr


def _value(name: str) -> onnx.ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [1])


def test_help_does_not_load_pytorch() -> None:
    code = "import sys, model_export.cli; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    result = runner.invoke(app, ["import-keras", "--help"])
    assert result.exit_code == 0
    assert "per_frame" in result.output
