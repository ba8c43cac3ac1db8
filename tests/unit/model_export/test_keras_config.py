"""What a file says of its layers beyond their shapes is held against the network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import h5py
import pytest

from model_export.errors import KerasImportError
from model_export.keras_import import import_keras

from .parity import SMALL


@pytest.mark.parametrize(
    ("kind", "key", "value"),
    [
        ("ConvLSTM2D", "recurrent_activation", "sigmoid"),
        ("ConvLSTM2D", "activation", "relu"),
        ("ConvLSTM2D", "dilation_rate", [2, 2]),
        ("ConvLSTM2D", "go_backwards", True),
        ("ConvLSTM2D", "data_format", "channels_first"),
        ("BatchNormalization", "epsilon", 1e-5),
        ("Dense", "activation", "sigmoid"),
    ],
)
def test_a_layer_that_computes_something_else_is_refused(
    kind: str, key: str, value: object, tmp_path: Path
) -> None:
    path = tmp_path / "other.h5"
    shutil.copyfile(SMALL / "model.h5", path)
    with h5py.File(path, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        last = [layer for layer in config["config"]["layers"] if layer["class_name"] == kind][-1]
        assert last["config"][key] != value
        last["config"][key] = value
        file.attrs["model_config"] = json.dumps(config)
    with pytest.raises(KerasImportError, match=key if kind != "Dense" else "head"):
        import_keras(path, "clrnet")


def test_gates_of_keras_3_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "keras3.h5"
    shutil.copyfile(SMALL / "model.h5", path)
    with h5py.File(path, "r+") as file:
        file.attrs["keras_version"] = "3.8.0"
    with pytest.raises(KerasImportError, match="Keras 3"):
        import_keras(path, "clrnet")


def test_the_file_as_it_was_saved_is_taken() -> None:
    assert import_keras(SMALL / "model.h5", "clrnet").size == (64, 64)
