"""What happens to pixel values before a network sees them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

Channels = tuple[float, float, float]
"""A number each for red, green, blue."""


@dataclass(frozen=True)
class Scaling:
    """x / divisor + shift. The default is [0, 1], as the published weights expect.

    Numbers for each channel apply to the axis before rows and columns, (..., 3, H, W).
    """

    divisor: float | Channels = 255.0
    shift: float | Channels = 0.0

    def __call__(self, x: Tensor) -> Tensor:
        """Scaled float32 of pixel values 0 to 255 of any dtype; any shape, if not by channels."""
        scaled = x.to(torch.float32) / _as_factor(self.divisor, x)
        return scaled + _as_factor(self.shift, x) if self.shift else scaled


def _as_factor(value: float | Channels, x: Tensor) -> float | Tensor:
    if isinstance(value, tuple):
        return torch.tensor(value, dtype=torch.float32, device=x.device)[:, None, None]
    return value


def _imagenet() -> Scaling:
    """ImageNet's usual normalisation, (x / 255 - mean) / deviation."""
    red, green, blue = zip((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), strict=True)
    return Scaling(
        (255 * red[1], 255 * green[1], 255 * blue[1]),
        (-red[0] / red[1], -green[0] / green[1], -blue[0] / blue[1]),
    )


SCALINGS: Mapping[str, Scaling] = {
    "unit": Scaling(),
    "centred": Scaling(63.75, -2.0),
    "symmetric": Scaling(127.5, -1.0),
    "imagenet": _imagenet(),
}
"""By name: [0, 1]; (x / 255 - 0.5) * 4, on which small networks with saturating gates learn
sooner; [-1, 1], for Xception, Inception and ForensicTransfer; ImageNet's, for DenseNet."""
