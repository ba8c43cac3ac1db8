"""CNN+LSTM: InceptionV3 features of every frame, then one wide LSTM.

Source: Güera, Delp, "Deepfake Video Detection Using Recurrent Neural Networks" (AVSS 2018): the
2,048 averaged features of 20 frames, an LSTM 2,048 wide with dropout 0.5, a dense layer of 512 with
dropout 0.5, a softmax. There InceptionV3 keeps its ImageNet weights; here it is trained too unless
it is frozen.
"""

from __future__ import annotations

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from model_export.backbone import Backbone
from model_export.detector import Detector, LayerOrder, Share
from model_export.outputs import Softmax


class CNNLSTM(Detector):
    """The clip classifier of Güera and Delp; any number of frames.

    ``backbone`` is a convolutional network of timm's, ``weights`` a file of its weights, ``hidden``
    the width of the LSTM, ``dense`` that of the layer after it. ``dropout`` is, as in Keras, that
    of the LSTM's input, and of the dense layer.
    """

    architecture = "cnn_lstm"
    clip_length = 20
    published_size = 299
    output = Softmax()

    def __init__(
        self,
        backbone: str = "inception_v3",
        weights: str | None = None,
        hidden: PositiveInt = 2048,
        dense: PositiveInt = 512,
        dropout: Share = 0.5,
    ) -> None:
        super().__init__()
        self.backbone = Backbone(backbone, weights)
        self.recurrent = nn.LSTM(self.backbone.channels, hidden, batch_first=True)
        self.dense = nn.Linear(hidden, dense)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(dense, 2)

    def features(self, x: Tensor) -> Tensor:
        """The backbone's maps (N, T, C, h, w)."""
        return self.backbone.clips(x)

    def classify(self, features: Tensor) -> Tensor:
        """Logits (N, 2) [fake, real], from the LSTM's last state."""
        states, _ = self.recurrent(self.dropout(features.mean(dim=(3, 4))))
        y = torch.relu(self.dense(states[:, -1]))
        logits: Tensor = self.head(self.dropout(y))
        return logits

    def layer_order(self) -> LayerOrder:
        """The backbone's layers, pooling, LSTM with its dropout, dense layers."""
        return [
            *self.backbone.layer_order(),
            ("GlobalAveragePooling2D", None),
            ("LSTM", self.recurrent),
            ("Linear", self.dense),
            ("ReLU", None),
            ("Dropout", None),
            ("Linear", self.head),
        ]
