"""Layers with the arithmetic of Keras 2, as the published weights expect it.

Source: Keras 2 (``ConvLSTM2D``, ``hard_sigmoid``, padding ``same``, ``BatchNormalization``,
``he_normal``, ``orthogonal``); Shi et al. 2015 for the convolutional LSTM itself.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01
"""Keras' momentum 0.99 is the share of the old value; PyTorch's is the share of the new one."""

Padding = Literal["same", "valid"]


def same_padding(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Zeros (before, after) an axis of ``size`` so that ceil(size / stride) outputs come out.

    An odd total puts the larger half after, so stride 2 is often asymmetric, depending on size.
    """
    # int(): while a graph is traced, a size may arrive as a tensor, whose // is not Python's.
    size = int(size)
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2


def pad_same(x: Tensor, kernel: int, stride: int, value: float = 0.0) -> Tensor:
    """Pad the last two axes of ``x`` as Keras' ``same`` does."""
    top, bottom = same_padding(x.shape[-2], kernel, stride)
    left, right = same_padding(x.shape[-1], kernel, stride)
    if top == bottom == left == right == 0:
        return x
    return F.pad(x, (left, right, top, bottom), value=value)


def conv2d_same(x: Tensor, weight: Tensor, bias: Tensor | None, stride: int = 1) -> Tensor:
    """2-D convolution of (B, C, H, W) with Keras' ``same`` padding; square kernel."""
    kernel = weight.shape[-1]
    top, bottom = same_padding(x.shape[-2], kernel, stride)
    left, right = same_padding(x.shape[-1], kernel, stride)
    if top == bottom and left == right:
        # Inside the convolution the zeros cost no copy of the input.
        return F.conv2d(x, weight, bias, stride, (top, left))
    return F.conv2d(F.pad(x, (left, right, top, bottom)), weight, bias, stride)


def max_pool_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """2-D max pooling of (B, C, H, W) with Keras' ``same`` padding (padding never wins)."""
    return F.max_pool2d(pad_same(x, kernel, stride, -math.inf), kernel, stride)


def hard_sigmoid(x: Tensor) -> Tensor:
    """Keras 2's hard sigmoid, clip(0.2 x + 0.5, 0, 1); PyTorch's own has slope 1/6."""
    return torch.clamp(0.2 * x + 0.5, 0.0, 1.0)


def he_normal_(weight: Tensor) -> Tensor:
    """Keras' ``he_normal``: normal truncated at two deviations, then variance 2 / fan-in."""
    fan_in = weight[0].numel()
    # 0.8796...: deviation of a standard normal that is cut at +-2.
    std = math.sqrt(2.0 / fan_in) / 0.87962566103423978
    return nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)


def batch_norm(channels: int, momentum: float = BATCH_NORM_MOMENTUM) -> nn.BatchNorm2d:
    """Batch normalisation with Keras' constants.

    Applied to (T * N, C, H, W): statistics over clips, time, rows and columns alike.
    """
    return nn.BatchNorm2d(channels, eps=BATCH_NORM_EPSILON, momentum=momentum)


class ConvLSTM2d(nn.Module):
    """Convolutional LSTM that returns every hidden state, as Keras 2's ``ConvLSTM2D``.

    Gates in the order input, forget, cell, output; zero state at the start. The input convolution
    has the layer's stride and padding, the recurrent one is always stride 1 ``same``. Frames are
    flattened time-major so that one convolution serves all of them.

    ``peepholes``, which Keras does not have, let the gates see the cell: input and forget gate the
    old one, the output gate the new one (Shi et al. 2015, equation 3; equation 1 of the CLRNet
    papers). One weight for each channel, the same everywhere, where Shi et al. have one for each
    position too: so the layer still takes any size. They begin at zero.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel: int,
        stride: int = 1,
        padding: Padding = "same",
        *,
        peepholes: bool = False,
    ) -> None:
        super().__init__()
        self.filters = filters
        self.stride = stride
        self.padding = padding
        self.weight = nn.Parameter(torch.empty(4 * filters, in_channels, kernel, kernel))
        self.recurrent_weight = nn.Parameter(torch.empty(4 * filters, filters, kernel, kernel))
        self.bias = nn.Parameter(torch.empty(4 * filters))
        self.peepholes = nn.Parameter(torch.zeros(3, filters, 1, 1)) if peepholes else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """he_normal input kernels, orthogonal recurrent kernels, forget bias 1."""
        he_normal_(self.weight)
        nn.init.orthogonal_(self.recurrent_weight)
        with torch.no_grad():
            self.bias.zero_()
            self.bias[self.filters : 2 * self.filters] = 1.0

    def forward(self, x: Tensor, steps: int) -> Tensor:
        """Run ``steps`` time steps.

        ``x`` float (T * N, C, H, W), time-major: the N clips' first frames, then their second
        ones. Returns the hidden states (T * N, filters, h, w) in the same order.
        """
        if self.padding == "same":
            inputs = conv2d_same(x, self.weight, self.bias, self.stride)
        else:
            inputs = F.conv2d(x, self.weight, self.bias, self.stride)
        if steps == 1:
            return self._step(inputs, None)[0]
        hidden: list[Tensor] = []
        cell: Tensor | None = None
        for gates in inputs.reshape(steps, -1, *inputs.shape[1:]).unbind(0):
            if hidden:  # The first step's state is zero: nothing to convolve.
                gates = gates + conv2d_same(hidden[-1], self.recurrent_weight, None)
            state, cell = self._step(gates, cell)
            hidden.append(state)
        return torch.cat(hidden)

    def _step(self, gates: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor]:
        """One step from summed gate inputs (N, 4 * filters, h, w): hidden state and cell."""
        i, f, c, o = gates.chunk(4, dim=1)
        if cell is not None and self.peepholes is not None:
            i, f = i + self.peepholes[0] * cell, f + self.peepholes[1] * cell
        new_cell = hard_sigmoid(i) * torch.tanh(c)
        if cell is not None:
            new_cell = new_cell + hard_sigmoid(f) * cell
        if self.peepholes is not None:
            o = o + self.peepholes[2] * new_cell
        return hard_sigmoid(o) * torch.tanh(new_cell), new_cell

    def extra_repr(self) -> str:
        """What ``print(model)`` shows of this layer."""
        out, inputs, kernel, _ = self.weight.shape
        return f"{inputs}, {out // 4}, kernel={kernel}, stride={self.stride}, {self.padding}"
