"""DBiRNN: DenseNet features of every frame, then a bidirectional recurrent layer.

Source: Sabir et al., "Recurrent Convolutional Strategies for Face Manipulation Detection in
Videos" (CVPR workshops 2019): DenseNet and gated recurrent units in both directions over 5 aligned
frames, trained together. Width of the recurrent layer and what is read off it are left open there:
here the last state of each direction.
"""

from __future__ import annotations

from pydantic import PositiveInt
from torch import Tensor, nn

from model_export.backbone import Backbone
from model_export.detector import Detector, LayerOrder
from model_export.outputs import Softmax


class DBiRNN(Detector):
    """The clip classifier of Sabir et al.; any number of frames.

    ``backbone`` is a convolutional network of timm's, ``weights`` a file of its weights, ``hidden``
    the width of the recurrent layer in each direction.
    """

    architecture = "dbirnn"
    clip_length = 5
    published_size = 224
    output = Softmax()

    def __init__(
        self,
        backbone: str = "densenet121",
        weights: str | None = None,
        hidden: PositiveInt = 512,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, weights)
        self.recurrent = nn.GRU(
            self.backbone.channels, hidden, batch_first=True, bidirectional=True
        )
        self.head = nn.Linear(2 * hidden, 2)

    def features(self, x: Tensor) -> Tensor:
        """The backbone's maps (N, T, C, h, w)."""
        return self.backbone.clips(x)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, 2) [fake, real]."""
        _, last = self.recurrent(features.mean(dim=(3, 4)))
        logits: Tensor = self.head(last.transpose(0, 1).flatten(1))
        return logits

    def layer_order(self) -> LayerOrder:
        """The backbone's layers, pooling, recurrent layer, dense layer."""
        return [
            *self.backbone.layer_order(),
            ("GlobalAveragePooling2D", None),
            ("GRU", self.recurrent),
            ("Linear", self.head),
        ]
