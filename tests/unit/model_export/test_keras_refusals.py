"""A file that does not fit is refused with a sentence; a hostile one does no harm."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import pytest

from model_export import keras_file
from model_export.architectures import ARCHITECTURES
from model_export.errors import KerasImportError
from model_export.keras_import import import_keras
from tests.shared import SHARED, needs_shared

from .parity import GOLDEN, OLD, SMALL

Change = Callable[[h5py.File], None]
LAST = "batch_normalization_16"


@pytest.fixture
def changed(tmp_path: Path) -> Callable[[Change], Path]:
    """A copy of a good weights-only file, changed."""

    def make(change: Change, source: Path = SMALL / "weights_only.h5") -> Path:
        path = tmp_path / "changed.h5"
        shutil.copyfile(source, path)
        with h5py.File(path, "r+") as file:
            change(file)
        return path

    return make


def refusal(path: Path, architecture: str = "clrnet", size: int | None = 64) -> str:
    """The message of the refusal that must come."""
    with pytest.raises(KerasImportError) as caught:
        import_keras(path, architecture, size)
    print(caught.value)
    return str(caught.value)


def _rename_layers(file: h5py.File, change: Callable[[list[str]], list[str]]) -> None:
    file.attrs["layer_names"] = change([str(name) for name in file.attrs["layer_names"]])


def test_not_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "notes.h5"
    path.write_text("no weights here")
    assert "no HDF5 file" in refusal(path)
    path.write_bytes(b"")
    assert "no HDF5 file" in refusal(path)
    path.write_bytes(b"PK\x03\x04 and so on")
    assert "zip archive" in refusal(path)


def test_missing_file_and_folder(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path / "absent.h5")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("name", ["model.h5", "weights_only.h5", "model.weights.h5"])
def test_truncated(tmp_path: Path, share: float, name: str) -> None:
    whole = (SMALL / name).read_bytes()
    path = tmp_path / name
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "truncated" in refusal(path)


def test_damaged_bytes_are_refused_or_harmless(tmp_path: Path) -> None:
    whole = bytearray((SMALL / "weights_only.h5").read_bytes())
    path = tmp_path / "damaged.h5"
    rng = np.random.default_rng(3)
    for _ in range(30):
        damaged = bytearray(whole)
        start = int(rng.integers(8, 40_000))
        damaged[start : start + 64] = rng.bytes(64)
        path.write_bytes(damaged)
        with suppress(KerasImportError):
            import_keras(path, "clrnet", 64)


def test_hdf5_that_keras_did_not_write(tmp_path: Path) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        file["numbers"] = np.arange(3)
    assert "one that holds no Keras model" in refusal(path)


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "clrnet"])
def test_wrong_architecture_names_the_right_one(architecture: str) -> None:
    message = refusal(SMALL / "weights_only.h5", architecture, None)
    assert "its layers are those of clrnet" in message
    message = refusal(SMALL / "model.weights.h5", architecture, None)
    assert "its layers are those of clrnet" in message


@pytest.mark.parametrize("architecture", [name for name in ARCHITECTURES if name != "shallownetv3"])
def test_wrong_architecture_of_a_single_frame_file(architecture: str) -> None:
    message = refusal(GOLDEN / "shallownet" / "weights_only.h5", architecture, None)
    assert "its layers are those of shallownetv3" in message


@needs_shared("models", "mesonet")
def test_wrong_mesonet() -> None:
    path = SHARED / "models" / "mesonet" / "MesoInception_DF.h5"
    message = refusal(path, "meso4", None)
    assert "'conv2d_2' (number 1 with weights)" in message
    assert "its layers are those of mesoinception4" in message


def test_missing_layer(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        _rename_layers(file, lambda names: [name for name in names if name != "conv_lstm2d_5"])

    message = refusal(changed(change))
    assert "a layer is missing: clrnet has a ConvLSTM2D" in message
    assert "before 'batch_normalization_6'" in message


def test_missing_last_layers(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        _rename_layers(file, lambda names: names[:-1])

    assert "a layer is missing: clrnet has a Dense" in refusal(changed(change))


def test_missing_weights_of_a_listed_layer(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        del file[LAST]

    assert f"layer '{LAST}' is listed, but its weights are missing" in refusal(changed(change))


def test_missing_array(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        del file[f"{LAST}/{LAST}/gamma:0"]

    assert "gamma:0' are listed, but missing" in refusal(changed(change))


def test_extra_layer(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        file.copy(file["dense"], file, "dense_extra")
        file["dense_extra"].attrs["weight_names"] = ["dense/kernel:0", "dense/bias:0"]
        _rename_layers(file, lambda names: [*names, "dense_extra"])

    assert "layer 'dense_extra' is one too many" in refusal(changed(change))


def test_layers_in_another_order(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        def swap(names: list[str]) -> list[str]:
            a, b = names.index("conv_lstm2d_6"), names.index("conv_lstm2d_7")
            names[a], names[b] = names[b], names[a]
            return names

        _rename_layers(file, swap)

    assert "the file is no clrnet of this shape: its layer 'conv_lstm2d_6'" in refusal(
        changed(change)
    )


def test_new_layout_with_layers_named_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "named.weights.h5"
    shutil.copyfile(SMALL / "model.weights.h5", path)
    with h5py.File(path, "r+") as file:
        file.move("layers/conv_lstm2d_16", "layers/res0a_branch2a")
    assert "a ConvLSTM2D layer is missing" in refusal(path)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_weights_that_are_not_finite(changed: Callable[[Change], Path], value: float) -> None:
    def change(file: h5py.File) -> None:
        file["dense/dense/bias:0"][0] = value

    assert "layer 'dense' holds weights that are not finite" in refusal(changed(change))


def test_weights_that_are_no_floats(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        del file["dense/dense/bias:0"]
        file["dense/dense/bias:0"] = np.array([b"a", b"b"])

    assert "not floating-point" in refusal(changed(change))


def test_model_inside_the_model(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        names = ["dense/kernel:0"] * 40
        file["dense"].attrs["weight_names"] = names

    assert "a model inside the model" in refusal(changed(change))


def test_links_are_not_followed(changed: Callable[[Change], Path], tmp_path: Path) -> None:
    with h5py.File(tmp_path / "secret.h5", "w") as secret:
        secret["bias"] = np.ones(2, np.float32)

    def external(file: h5py.File) -> None:
        del file["dense/dense/bias:0"]
        file["dense/dense/bias:0"] = h5py.ExternalLink(str(tmp_path / "secret.h5"), "bias")

    def soft(file: h5py.File) -> None:
        del file["dense/dense/bias:0"]
        file["dense/dense/bias:0"] = h5py.SoftLink("/conv_lstm2d/conv_lstm2d/bias:0")

    def storage(file: h5py.File) -> None:
        del file["dense/dense/bias:0"]
        file["dense/dense"].create_dataset(
            "bias:0", (2,), "f4", external=[(str(tmp_path / "secret.h5"), 0, 8)]
        )

    def virtual(file: h5py.File) -> None:
        del file["dense/dense/bias:0"]
        layout = h5py.VirtualLayout((2,), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "secret.h5"), "bias", (2,))
        file["dense/dense"].create_virtual_dataset("bias:0", layout)

    assert "a link to somewhere else" in refusal(changed(external))
    assert "a link to somewhere else" in refusal(changed(soft))
    assert "in another file" in refusal(changed(storage))
    assert "in another file" in refusal(changed(virtual))


def test_whole_model_behind_a_link(tmp_path: Path) -> None:
    path = tmp_path / "link.h5"
    with h5py.File(path, "w") as file:
        file["model_weights"] = h5py.ExternalLink(str(SMALL / "model.h5"), "model_weights")
    assert "a link to somewhere else" in refusal(path)


def test_claimed_sizes_are_bounded(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        del file["dense/dense/kernel:0"]
        # Empty chunks: 4 TB that take no room in the file.
        file["dense/dense"].create_dataset("kernel:0", (1 << 20, 1 << 20), "f4", chunks=(64, 64))

    def chunked(file: h5py.File) -> None:
        del file["dense/dense/bias:0"]
        file["dense/dense"].create_dataset(
            "bias:0", (2,), "f4", maxshape=(None,), chunks=(1 << 28,), compression="gzip"
        )

    assert "too large" in refusal(changed(change))
    assert "larger than itself" in refusal(changed(chunked))
    with mock.patch.object(keras_file, "MAX_TOTAL_BYTES", 1 << 20):
        assert "MiB of weights: too many" in refusal(SMALL / "weights_only.h5")
    with mock.patch.object(keras_file, "MAX_LAYERS", 10):
        assert "lists 63 layers: too many" in refusal(SMALL / "weights_only.h5")
        assert "layers: too many" in refusal(SMALL / "model.weights.h5")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, ""])
def test_configuration_that_is_no_json(changed: Callable[..., Path], text: str) -> None:
    def change(file: h5py.File) -> None:
        file.attrs["model_config"] = text

    assert "no valid JSON" in refusal(changed(change, SMALL / "model.h5"))


@pytest.mark.parametrize("config", [[], {"config": 3}, {"config": {"layers": [7, {"config": []}]}}])
def test_configuration_of_another_form_tells_nothing(
    changed: Callable[..., Path], config: object
) -> None:
    def change(file: h5py.File) -> None:
        file.attrs["model_config"] = json.dumps(config)

    path = changed(change, SMALL / "model.h5")
    assert "give it with --input-size" in refusal(path, size=None)
    assert import_keras(path, "clrnet", 64).size == (64, 64)


def test_input_size() -> None:
    assert "give it with --input-size (the published clrnet weights have 240)" in refusal(
        OLD / "weights_only.h5", size=None
    )
    assert import_keras(SMALL / "model.h5", "clrnet").size == (64, 64)
    assert "the file says 64x64 frames, not 128x128" in refusal(SMALL / "model.h5", size=128)
    shallow = GOLDEN / "shallownet" / "weights_only.h5"
    assert import_keras(shallow, "shallownetv3", 43).size == (43, 43)
    assert "do not fit frames of 128x128" in refusal(shallow, "shallownetv3", 128)
    assert "between 16 and 1024" in refusal(shallow, "shallownetv3", 5000)


def test_names_split_over_several_attributes(changed: Callable[[Change], Path]) -> None:
    def change(file: h5py.File) -> None:
        names = [str(name) for name in file.attrs["layer_names"]]
        del file.attrs["layer_names"]
        file.attrs["layer_names0"], file.attrs["layer_names1"] = names[:30], names[30:]

    assert import_keras(changed(change), "clrnet", 64).layout == "weights only"
