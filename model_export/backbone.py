"""Convolutional networks of timm's as part of a detector: by name, and their trained weights."""

from __future__ import annotations

import pickle
from pathlib import Path

import timm
import timm.models
from torch import Tensor, nn

from model_export.detector import LayerOrder
from model_export.errors import TrainingError


class Backbone(nn.Module):
    """From frames to feature maps by the network that timm calls ``name``.

    ``weights`` is a file of timm's weights for that network, .safetensors or .pth, of which the
    classifier is left out; without it, weights are random. Raises ``TrainingError`` for a name
    that timm does not know and a file that does not fit.
    """

    def __init__(self, name: str, weights: str | None = None) -> None:
        super().__init__()
        if name not in timm.list_models():
            raise TrainingError(f"timm has no network '{name}' to take as a backbone")
        self.name = name
        self.network: nn.Module = timm.create_model(name, num_classes=0, global_pool="")
        self.channels: int = self.network.head_hidden_size  # type: ignore[assignment]
        if weights is not None:
            self._load(Path(weights))

    def forward(self, frames: Tensor) -> Tensor:
        """(B, C, h, w) of frames (B, 3, H, W)."""
        features: Tensor = self.network(frames)
        if features.ndim != 4:
            raise ValueError(f"timm's {self.name} gives no map of features")
        return features

    def clips(self, x: Tensor) -> Tensor:
        """(N, T, C, h, w) of clips (N, T, 3, H, W), frame by frame."""
        maps: Tensor = self(x.flatten(0, 1))
        return maps.reshape(*x.shape[:2], *maps.shape[1:])

    def layer_order(self) -> LayerOrder:
        """As timm lists the network, which is the order of the forward pass but for branches."""
        return leaf_layers(self.network)

    def _load(self, path: Path) -> None:
        try:
            weights = timm.models.load_state_dict(str(path), weights_only=True)
        except FileNotFoundError as error:
            raise TrainingError(f"{path} is not there") from error
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise TrainingError(f"{path} holds no weights that can be read safely") from error
        classifier = timm.get_pretrained_cfg_value(self.name, "classifier")
        surplus = (f"{classifier}.", "AuxLogits.")
        given = {name: value for name, value in weights.items() if not name.startswith(surplus)}
        wanted = self.network.state_dict()
        for name in (*wanted, *given):
            if name not in given:
                raise TrainingError(f"{path} is not of {self.name}: '{name}' is missing")
            if name not in wanted:
                raise TrainingError(f"{path} is not of {self.name}: '{name}' has no place in it")
            if given[name].shape != wanted[name].shape:
                raise TrainingError(
                    f"{path} is not of {self.name}: '{name}' has shape "
                    f"{tuple(given[name].shape)}, not {tuple(wanted[name].shape)}"
                )
        self.network.load_state_dict(given)


def leaf_layers(network: nn.Module) -> LayerOrder:
    """The layer list of a network that is no Keras model: its innermost modules.

    In the order in which they were made, under PyTorch's class names, without those that do
    nothing.
    """
    return [
        (type(module).__name__, module if any(True for _ in module.parameters()) else None)
        for module in network.modules()
        if not isinstance(module, nn.Identity)
        and (any(True for _ in module.parameters(recurse=False)) or not any(module.children()))
    ]
