"""Xception as FaceForensics++ has it: the ImageNet network with another last layer.

Source: Rössler et al., "FaceForensics++: Learning to Detect Manipulated Facial Images" (ICCV 2019):
299 x 299, RGB in [-1, 1], two units under a softmax. It is the network of ``xception`` in
PyTorch's arrangement: poolings and strided convolutions pad both sides alike, where Keras pads less
before than after; batch norm's epsilon is 1e-5, not 1e-3.
"""

from __future__ import annotations

from torch import Tensor, nn

from model_export.backbone import Backbone
from model_export.detector import LayerOrder, PooledDetector, single_frames
from model_export.outputs import Softmax


class XceptionFFPP(PooledDetector):
    """The single-frame classifier of Rössler et al.; ``weights`` is a file of timm's for
    ``legacy_xception``, ``backbone`` another convolutional network of timm's in its place."""

    architecture = "xception_ffpp"
    clip_length = 1
    published_size = 299
    output = Softmax()

    def __init__(self, backbone: str = "legacy_xception", weights: str | None = None) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, weights)
        self.head = nn.Linear(self.backbone.channels, 2)

    def features(self, x: Tensor) -> Tensor:
        """The backbone's maps (N, 1, C, h, w)."""
        features: Tensor = self.backbone(single_frames(x))
        return features.unsqueeze(1)

    def layer_order(self) -> LayerOrder:
        """The backbone's layers, pooling, dense layer."""
        return [
            *self.backbone.layer_order(),
            ("GlobalAveragePooling2D", None),
            ("Linear", self.head),
        ]
