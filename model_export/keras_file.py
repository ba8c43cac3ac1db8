"""Reading the layers of a Keras HDF5 file, with h5py alone and without trusting it.

Three layouts are known: a whole model (group ``model_weights``, written by ``model.save`` and
``ModelCheckpoint``), weights only (root attribute ``layer_names``), and what newer Keras writes
for names that end in ``.weights.h5`` (group ``layers`` or ``_layer_checkpoint_dependencies``).
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from model_export import keras_config
from model_export.errors import KerasImportError

MAX_LAYERS = 4096
MAX_WEIGHTS_PER_LAYER = 16
MAX_ARRAY_BYTES = 1 << 30
MAX_TOTAL_BYTES = 4 << 30
MAX_SPARE_CHUNK_BYTES = 16 << 20
MAX_CONFIG_CHARACTERS = 16 << 20
_NEW_ROOTS = ("layers", "_layer_checkpoint_dependencies")
_ZIP = b"PK\x03\x04"


@dataclass(frozen=True)
class KerasLayer:
    """One layer with weights: its name in the file, and its arrays, not yet read."""

    name: str
    arrays: tuple[h5py.Dataset, ...]

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """The arrays' shapes in Keras' axis order."""
        return tuple(tuple(array.shape) for array in self.arrays)

    def read(self) -> list[NDArray[np.float32]]:
        """The arrays as float32 in Keras' axis order."""
        values = []
        for array in self.arrays:
            try:
                value = np.asarray(array[()], dtype=np.float32)
            except (OSError, ValueError, RuntimeError) as error:
                raise KerasImportError(
                    f"the weights of layer '{self.name}' cannot be read: the file is damaged"
                ) from error
            if not np.isfinite(value).all():
                raise KerasImportError(f"layer '{self.name}' holds weights that are not finite")
            values.append(value)
        return values


@dataclass(frozen=True)
class KerasFile:
    """What a Keras file holds."""

    layout: str
    """``whole model``, ``weights only`` or ``.weights.h5``."""
    layers: tuple[KerasLayer, ...]
    """Layers with weights, in the order of Keras' layer list where ``ordered``."""
    ordered: bool
    """False for ``.weights.h5``: there each class of layer is numbered for itself."""
    input_shape: tuple[int | None, ...] | None
    """``batch_input_shape`` without the batch, where the file says it: (T, H, W, 3), (H, W, 3)."""
    head_activation: str | None
    """The last layer's activation, where the file says it."""
    sha256: str
    """Of the file's bytes, hexadecimal."""


@contextmanager
def open_keras(path: Path) -> Iterator[KerasFile]:
    """Open a Keras HDF5 file for reading; its layers can be read until the block ends.

    Raises ``KerasImportError`` for anything that is no such file.
    """
    with _named(path):
        digest = _sha256(path)
        try:
            handle = h5py.File(path, "r")
        except OSError as error:
            # The library's own message names offsets in the file, which help nobody here.
            raise KerasImportError("damaged or truncated: its HDF5 structure ends early") from error
    with handle:
        with _named(path):
            try:
                contents = _contents(handle, digest)
            except (OSError, RuntimeError, LookupError, ValueError, TypeError) as error:
                raise KerasImportError("damaged: its layers cannot be listed") from error
        yield contents


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Put the file's name before what is wrong with it."""
    try:
        yield
    except KerasImportError as error:
        raise KerasImportError(f"{path.name}: {error}") from error.__cause__


def _sha256(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            start = stream.read(8)
            stream.seek(0)
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise KerasImportError(f"cannot be read: {error.strerror}") from error
    if start.startswith(_ZIP):
        raise KerasImportError(
            "a zip archive (a .keras file?), not HDF5; save the model as HDF5 (.h5) instead"
        )
    if not h5py.is_hdf5(path):
        raise KerasImportError("no HDF5 file")
    return digest


def _contents(handle: h5py.File, digest: str) -> KerasFile:
    config = _config(handle)
    keras_config.check(config, _text(handle.attrs.get("keras_version", "")))
    if "model_weights" in handle:
        layout, layers = "whole model", _legacy_layers(_group(handle, "model_weights"))
    elif _names(handle, "layer_names") is not None:
        layout, layers = "weights only", _legacy_layers(handle)
    elif any(root in handle for root in _NEW_ROOTS):
        root = next(root for root in _NEW_ROOTS if root in handle)
        layout, layers = ".weights.h5", _new_layers(_group(handle, root))
    else:
        raise KerasImportError("an HDF5 file, but one that holds no Keras model or weights")
    if not layers:
        raise KerasImportError("it holds no layer with weights")
    total = sum(array.size * 4 for layer in layers for array in layer.arrays)
    if total > MAX_TOTAL_BYTES:
        raise KerasImportError(f"it claims {total >> 20} MiB of weights: too many")
    return KerasFile(
        layout=layout,
        layers=layers,
        ordered=layout != ".weights.h5",
        input_shape=_input_shape(config),
        head_activation=_head_activation(config),
        sha256=digest,
    )


def _legacy_layers(group: h5py.Group) -> tuple[KerasLayer, ...]:
    names = _names(group, "layer_names")
    if names is None:
        raise KerasImportError("the file does not say its layers' order ('layer_names' is missing)")
    if len(names) > MAX_LAYERS:
        raise KerasImportError(f"the file lists {len(names)} layers: too many")
    layers = []
    for name in names:
        if name not in group:
            raise KerasImportError(f"layer '{name}' is listed, but its weights are missing")
        layer = _group(group, name)
        weights = _names(layer, "weight_names") or []
        if weights:
            layers.append(_layer(name, [_dataset(layer, weight) for weight in weights]))
    return tuple(layers)


def _new_layers(group: h5py.Group) -> tuple[KerasLayer, ...]:
    if len(group) > MAX_LAYERS:
        raise KerasImportError(f"the file lists {len(group)} layers: too many")
    layers = []
    for name in sorted(group, key=_by_counter):
        layer = _group(group, name)
        # A recurrent layer keeps its weights in its cell.
        owner = _group(layer, "cell") if "cell" in layer else layer
        if "vars" not in owner:
            continue
        variables = _group(owner, "vars")
        numbers = sorted(variables, key=_by_counter)
        if numbers:
            layers.append(_layer(name, [_dataset(variables, number) for number in numbers]))
    return tuple(layers)


def _layer(name: str, arrays: list[h5py.Dataset]) -> KerasLayer:
    if len(arrays) > MAX_WEIGHTS_PER_LAYER:
        raise KerasImportError(
            f"layer '{name}' holds {len(arrays)} arrays: it is a model inside the model, which "
            "is not read; save its layers as one flat model"
        )
    return KerasLayer(name, tuple(arrays))


def _by_counter(name: str) -> tuple[str, int]:
    """``conv2d`` < ``conv2d_2`` < ``conv2d_10``, and 2 < 10."""
    match = re.fullmatch(r"(.*?)_?(\d+)", name, re.DOTALL)
    if match is None or len(match[2]) > 9:
        return name, -1
    return match[1], int(match[2])


def _hard(group: h5py.Group, path: str) -> Any:
    """Follow ``path`` through hard links only: others could lead to other files."""
    node: Any = group
    for part in path.split("/"):
        if not part:
            continue
        if not isinstance(node, h5py.Group) or part not in node:
            raise KerasImportError(f"the weights '{path}' are listed, but missing")
        if not isinstance(node.get(part, getlink=True), h5py.HardLink):
            raise KerasImportError(f"'{path}' is a link to somewhere else, which is not followed")
        node = node[part]
    return node


def _group(parent: h5py.Group, name: str) -> h5py.Group:
    node = _hard(parent, name)
    if not isinstance(node, h5py.Group):
        raise KerasImportError(f"'{name}' is no group of weights")
    return node


def _dataset(parent: h5py.Group, path: str) -> h5py.Dataset:
    node = _hard(parent, path)
    if not isinstance(node, h5py.Dataset):
        raise KerasImportError(f"'{path}' is no array of weights")
    if node.external or node.is_virtual:
        raise KerasImportError(f"'{path}' keeps its values in another file, which is not read")
    if node.dtype.kind != "f" or node.shape is None:
        raise KerasImportError(f"'{path}' holds {node.dtype}, not floating-point weights")
    if node.size * 4 > MAX_ARRAY_BYTES:
        raise KerasImportError(f"'{path}' claims {node.size * 4 >> 20} MiB: too large")
    if node.chunks and math.prod(node.chunks) * 4 > max(node.size * 4, MAX_SPARE_CHUNK_BYTES):
        # A chunk is unpacked whole, however little of it the array needs.
        raise KerasImportError(f"'{path}' is stored in pieces larger than itself")
    return node


def _names(group: h5py.Group, attribute: str) -> list[str] | None:
    """A list of names kept as an attribute; Keras splits long ones into ``<attribute>0``, ..."""
    if attribute in group.attrs:
        return [_text(name) for name in group.attrs[attribute]]
    names: list[str] = []
    part = 0
    while f"{attribute}{part}" in group.attrs:
        names += [_text(name) for name in group.attrs[f"{attribute}{part}"]]
        part += 1
    return names if part else None


def _text(value: Any) -> str:
    return value.decode("utf-8") if isinstance(value, bytes) else str(value)


def _config(handle: h5py.File) -> Mapping[str, Any]:
    """``model_config`` as plain data; it is read, never built from."""
    raw = handle.attrs.get("model_config")
    if raw is None:
        return {}
    text = _text(raw)
    if len(text) > MAX_CONFIG_CHARACTERS:
        raise KerasImportError("the file's model_config is too long")
    try:
        config = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise KerasImportError("the file's model_config is no valid JSON") from error
    return config if isinstance(config, dict) else {}


def _input_shape(config: Mapping[str, Any]) -> tuple[int | None, ...] | None:
    for _, layer in islice(keras_config.layers(config), 1):
        shape = layer.get("batch_input_shape", layer.get("batch_shape"))
        if isinstance(shape, list) and all(n is None or isinstance(n, int) for n in shape):
            return tuple(shape[1:])
    return None


def _head_activation(config: Mapping[str, Any]) -> str | None:
    for _, layer in list(keras_config.layers(config))[-1:]:
        activation = layer.get("activation")
        return activation if isinstance(activation, str) else None
    return None
