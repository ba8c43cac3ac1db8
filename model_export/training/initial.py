"""The network as a run begins with it."""

from __future__ import annotations

import hashlib
from pathlib import Path

from torch import Tensor

from model_export.detector import Detector
from model_export.errors import TrainingError
from model_export.networks import NETWORKS
from model_export.training.checkpoint import WEIGHTS, build_model, load_weights, read_tensors
from model_export.training.config import ModelConfig, RunConfig
from model_export.training.inflation import inflate
from model_export.training.run_folder import read_record

_KERAS = (".h5", ".hdf5", ".keras")


def initial_model(config: RunConfig) -> Detector:
    """Random weights by PyTorch's generator, or those of ``config.init``. Raises
    ``TrainingError``, ``KerasImportError``."""
    model = build_model(config.model)
    if config.init.weights is not None:
        load_weights(model, _weights(config.init.weights, config.model), str(config.init.weights))
    if config.init.inflate:
        _require_single_frames(config.init.weights)
        inflate(model)
    return model


def initial_sha256(config: RunConfig) -> str | None:
    """SHA-256 of the weights file that a run begins with; None for random weights. Raises
    ``TrainingError``."""
    path = config.init.weights
    if path is None:
        return None
    try:
        with (path / WEIGHTS if path.is_dir() else path).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise TrainingError(f"init.weights: {path} cannot be read: {error.strerror}") from error


def _require_single_frames(weights: Path | None) -> None:
    """What a network of clips has learned in its gates, inflating it would throw away. A file alone
    does not say what it was trained on."""
    if weights is None or not weights.is_dir():
        return
    model = read_record(weights).config.model
    length = model.length or NETWORKS[model.architecture].detector.clip_length
    if length != 1:
        raise TrainingError(
            f"init.inflate: {weights} was trained on clips of {length} frames, not on single ones"
        )


def _weights(path: Path, ours: ModelConfig) -> dict[str, Tensor]:
    if path.suffix in _KERAS:
        from model_export.keras_import import import_keras

        return import_keras(path, ours.architecture, ours.size).model.state_dict()
    if not path.is_dir():
        return read_tensors(path)[0]
    theirs = read_record(path).config.model
    if (theirs.architecture, theirs.scaling) != (ours.architecture, ours.scaling):
        raise TrainingError(
            f"init.weights: {path} is a {theirs.architecture} with scaling {theirs.scaling}, this "
            f"run a {ours.architecture} with scaling {ours.scaling}"
        )
    return read_tensors(path / WEIGHTS)[0]
