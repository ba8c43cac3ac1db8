"""How each kind of Keras layer's weights go into its PyTorch counterpart."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from model_export.layers import ConvLSTM2d
from model_export.xception import SeparableConv2d

Shapes = tuple[tuple[int, ...], ...]
Arrays = Sequence[NDArray[np.float32]]


@dataclass(frozen=True)
class LayerKind:
    """A Keras layer class as this package has it."""

    name: str
    """Keras' class name."""
    snake_name: str
    """What the ``.weights.h5`` layout calls it."""
    tensors: Callable[[nn.Module], list[Tensor]]
    """The module's tensors in the order in which Keras stores them."""


def _conv_lstm(module: nn.Module) -> list[Tensor]:
    assert isinstance(module, ConvLSTM2d)
    return [module.weight, module.recurrent_weight, module.bias]


def _batch_norm(module: nn.Module) -> list[Tensor]:
    assert isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d)
    assert module.running_mean is not None
    assert module.running_var is not None
    return [module.weight, module.bias, module.running_mean, module.running_var]


def _plain(module: nn.Module) -> list[Tensor]:
    assert isinstance(module, nn.Conv2d | nn.Linear)
    return [module.weight] if module.bias is None else [module.weight, module.bias]


def _separable(module: nn.Module) -> list[Tensor]:
    assert isinstance(module, SeparableConv2d)
    return [module.depthwise.weight, module.pointwise.weight]


_KINDS: dict[type[nn.Module], LayerKind] = {
    ConvLSTM2d: LayerKind("ConvLSTM2D", "conv_lstm2d", _conv_lstm),
    nn.BatchNorm1d: LayerKind("BatchNormalization", "batch_normalization", _batch_norm),
    nn.BatchNorm2d: LayerKind("BatchNormalization", "batch_normalization", _batch_norm),
    nn.Conv2d: LayerKind("Conv2D", "conv2d", _plain),
    nn.Linear: LayerKind("Dense", "dense", _plain),
    SeparableConv2d: LayerKind("SeparableConv2D", "separable_conv2d", _separable),
}


def kind_of(module: nn.Module) -> LayerKind:
    """The Keras layer class that ``module`` stands for."""
    return _KINDS[type(module)]


def keras_shapes(module: nn.Module) -> Shapes:
    """The shapes of ``module``'s weights as Keras stores them."""
    return tuple(_keras_shape(module, tensor) for tensor in kind_of(module).tensors(module))


def _keras_shape(module: nn.Module, tensor: Tensor) -> tuple[int, ...]:
    shape = tuple(tensor.shape)
    if len(shape) == 4:
        out, inputs, rows, columns = shape
        if isinstance(module, SeparableConv2d) and tensor is module.depthwise.weight:
            out, inputs = inputs, out  # Keras: one multiplier for each input channel.
        return rows, columns, inputs, out
    return shape[::-1]


@torch.no_grad()
def assign(module: nn.Module, arrays: Arrays) -> None:
    """Copy ``arrays``, in Keras' order and axes, into ``module``.

    Raises ``ValueError`` where a shape differs: a broadcast would hide a wrong file.
    """
    tensors = kind_of(module).tensors(module)
    for tensor, array, shape in zip(tensors, arrays, keras_shapes(module), strict=True):
        if array.shape != shape:
            raise ValueError(f"weights of shape {array.shape} where {shape} belongs")
        if array.ndim == 4:
            # Rows, columns, inputs, outputs to outputs, inputs, rows, columns; in a depthwise
            # kernel inputs and outputs have changed places.
            depthwise = isinstance(module, SeparableConv2d) and tensor is module.depthwise.weight
            array = array.transpose((2, 3, 0, 1) if depthwise else (3, 2, 0, 1))
        elif array.ndim == 2:
            array = array.T
        tensor.copy_(torch.from_numpy(np.ascontiguousarray(array)))
