"""Weights and state of a run, as files that are whole or not there.

``weights.safetensors`` holds the weights of the best epoch so far and says which it is;
``checkpoint.safetensors`` everything else that going on needs, until the run is finished. Each is
whole without the other: a run may be killed between the two. Safetensors holds arrays and text, no
code.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from model_export import networks
from model_export.detector import Detector
from model_export.errors import TrainingError
from model_export.files import replacing
from model_export.training.config import ModelConfig, RunConfig

WEIGHTS = "weights.safetensors"
CHECKPOINT = "checkpoint.safetensors"

_STATE = "state"
"""Key of the text beside the arrays."""


@dataclass(frozen=True, slots=True)
class Best:
    """The epoch with the lowest validation loss, from 1."""

    epoch: int
    loss: float


def load_run(folder: Path) -> tuple[Detector, RunConfig]:
    """The network of a run with its best weights so far, in evaluation mode, and its settings.

    Raises ``TrainingError`` where there is none.
    """
    from model_export.training.run_folder import read_record

    config = read_record(folder).config
    path = folder / WEIGHTS
    if not path.exists():
        raise TrainingError(f"{folder} has no weights yet: no epoch of it is finished")
    # Without weights that an option names: the run's own replace them.
    options = {name: value for name, value in config.model.options.items() if name != "weights"}
    model = build_model(config.model.model_copy(update={"options": options}))
    load_weights(model, read_tensors(path)[0], str(path))
    return model.eval(), config


def build_model(config: ModelConfig) -> Detector:
    """The network that ``config`` describes, new. Raises ``TrainingError``."""
    size = (config.size, config.size)
    return networks.build(config.architecture, size, config.options, config.length)


def check_model(config: ModelConfig) -> None:
    """See whether clips of that size and length pass through the network that ``config`` describes,
    without building it. Raises ``TrainingError``."""
    size = (config.size, config.size)
    networks.check(config.architecture, size, config.options, config.length)


def load_weights(model: Detector, weights: Mapping[str, Tensor], source: str) -> None:
    """Put ``weights`` into ``model``. Raises ``TrainingError`` naming ``source``."""
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        detail = " ".join(str(error).splitlines()[1:2]).strip()
        raise TrainingError(
            f"{source} does not fit this run's {model.architecture}: {detail}"
        ) from error


def read_best(folder: Path) -> Best | None:
    """Which epoch the weights in a run's folder are from; None before the first."""
    path = folder / WEIGHTS
    return Best(**read_state(path)) if path.exists() else None


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """An optimiser's moments by ``<index>/<name>``; what else it has, the run's settings say."""
    state = optimiser.state_dict()["state"]
    return {f"{index}/{name}": value for index in state for name, value in state[index].items()}


def load_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what ``optimiser_tensors`` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        index, _, name = key.partition("/")
        state.setdefault(int(index), {})[name] = value
    groups = optimiser.state_dict()["param_groups"]
    optimiser.load_state_dict({"state": state, "param_groups": groups})


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """``tensors`` under ``<prefix>/<name>``."""
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def under_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those that ``with_prefix`` put there."""
    start = f"{prefix}/"
    return {name.removeprefix(start): t for name, t in tensors.items() if name.startswith(start)}


def replace_tensors(path: Path, tensors: Mapping[str, Tensor], state: Mapping[str, Any]) -> None:
    """Write arrays and ``state`` (as JSON) as one file, whole or not at all. Raises ``OSError``."""
    with replacing(path) as part:
        part.touch()
        readable = part.stat().st_mode
        try:
            save_file(dict(tensors), part, {_STATE: json.dumps(state)})
            # It lets nobody but their owner read what it writes.
            part.chmod(readable)
        except SafetensorError as error:
            raise OSError(str(error)) from error


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """What ``replace_tensors`` wrote. Raises ``TrainingError``."""
    try:
        return load_file(path), read_state(path)
    except (OSError, SafetensorError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error


def read_state(path: Path) -> dict[str, Any]:
    """The text beside the arrays; empty in a file from elsewhere. Raises ``TrainingError``."""
    try:
        with safe_open(path, framework="pt") as file:
            state: dict[str, Any] = json.loads((file.metadata() or {}).get(_STATE, "{}"))
            return state
    except (OSError, SafetensorError, ValueError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error
