"""Which detector runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from service.errors import ModelError
from service.faces.factory import load_detector
from tests.unit.faces.scrfd_model import bright_cell_model


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "scrfd.onnx"
    path.write_bytes(bright_cell_model().SerializeToString())
    return path


def test_mtcnn_is_the_default() -> None:
    assert load_detector().name == "mtcnn"


def test_a_configured_model_is_taken(model: Path) -> None:
    assert load_detector("auto", model).name == "scrfd"
    assert load_detector("insightface", model).name == "scrfd"
    assert load_detector("mtcnn", model).name == "mtcnn"


def test_insightface_needs_a_path() -> None:
    with pytest.raises(ModelError, match="path"):
        load_detector("insightface")
