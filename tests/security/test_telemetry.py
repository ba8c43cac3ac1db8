"""ONNX Runtime's telemetry leaves no trace of a scored video."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SESSION = """
from onnx import TensorProto, helper
value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1]) for name in "xy"]
graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", value[:1], value[1:])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
{build}
"""
OURS = "from service.runtime import open_session; open_session(model.SerializeToString())"
PLAIN = "import onnxruntime; onnxruntime.InferenceSession(model.SerializeToString())"


def files_left_at_home(build: str, home: Path) -> list[Path]:
    home.mkdir()
    # Of the environment nothing but the search path: telemetry goes off by itself under CI.
    subprocess.run(
        [sys.executable, "-c", SESSION.format(build=build)],
        cwd=Path(__file__).resolve().parents[2],
        env={"HOME": str(home), "PATH": os.environ["PATH"]},
        check=True,
    )
    return [path for path in home.rglob("*") if path.is_file() and "onnxruntime" in str(path)]


def test_a_session_keeps_no_device_identifier(tmp_path: Path) -> None:
    if not files_left_at_home(PLAIN, tmp_path / "plain"):
        pytest.skip("this build of ONNX Runtime keeps none anyway")
    assert files_left_at_home(OURS, tmp_path / "ours") == []
