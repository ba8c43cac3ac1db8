"""What a Keras file's ``model_config`` says and shapes cannot: activations, constants, data order.

Weights that were trained with other gates or another epsilon fit the shapes just as well, and would
score silently wrong.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from model_export.errors import KerasImportError

_MUST: dict[str, dict[str, object]] = {
    "ConvLSTM2D": {
        "activation": "tanh",
        "recurrent_activation": "hard_sigmoid",
        "data_format": "channels_last",
        "dilation_rate": [1, 1],
        "return_sequences": True,
        "go_backwards": False,
        "stateful": False,
        "use_bias": True,
    },
    "BatchNormalization": {"epsilon": 0.001},
    "Conv2D": {"data_format": "channels_last", "dilation_rate": [1, 1]},
    "SeparableConv2D": {"data_format": "channels_last", "dilation_rate": [1, 1]},
}

HEADS = {
    "clrnet": "softmax",
    "meso4": "sigmoid",
    "mesoinception4": "sigmoid",
    "shallownetv3": "sigmoid",
}
"""Activation of the last layer; Xception is built with whichever the file names."""


def layers(config: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Class name and settings of each layer, in the order of the file."""
    inner = config.get("config")
    # The oldest Sequential models keep the bare list of layers there.
    listed = inner.get("layers") if isinstance(inner, dict) else inner
    for layer in listed if isinstance(listed, list) else []:
        if isinstance(layer, dict) and isinstance(layer.get("config"), dict):
            yield str(layer.get("class_name")), layer["config"]


def check(config: Mapping[str, Any], keras_version: str) -> None:
    """Raises ``KerasImportError`` naming the first layer that computes something else."""
    for kind, settings in layers(config):
        for key, value in _MUST.get(kind, {}).items():
            if key in settings and settings[key] != value:
                name = settings.get("name", kind)
                raise KerasImportError(
                    f"layer '{name}' has {key} {settings[key]!r}, where the network has {value!r}"
                )
        if kind == "ConvLSTM2D" and keras_version.startswith("3."):
            raise KerasImportError(
                "it was saved by Keras 3, whose hard_sigmoid is another function than the gates of "
                "this network"
            )


def check_head(architecture: str, activation: str | None) -> None:
    """Raises ``KerasImportError`` where the file names another last activation."""
    expected = HEADS.get(architecture)
    if expected and activation and activation != expected:
        raise KerasImportError(f"its head is a {activation}, where {architecture} has a {expected}")
