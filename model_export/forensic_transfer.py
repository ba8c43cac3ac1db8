"""ForensicTransfer: an autoencoder whose latent maps say which class a frame is of.

Source: Cozzolino et al., "ForensicTransfer: Weakly-supervised Domain Adaptation for Forgery
Detection" (2018), and table 5 of Tariq, Lee, Woo (2020). One half of the 128 latent maps belongs to
*fake*, one to *real*. Training drives the activation of a frame's own half to 1 and that of the
other to 0, and rebuilds the frame from its own half alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from model_export.backbone import leaf_layers
from model_export.detector import Detector, LayerOrder, single_frames

RECONSTRUCTION_WEIGHT = 0.1
"""Gamma of the paper."""

Widths = Annotated[Sequence[PositiveInt], Field(min_length=1)]


class ForensicTransfer(Detector):
    """The single-frame classifier of Cozzolino et al., for pixel values within [-1, 1].

    ``widths`` are the encoder's channels; the last, which must be even, those of the latent. All
    but the first convolution halve the frame; the decoder mirrors them. A logit here is a half's
    activation, the mean of its absolute values: [fake, real], not negative.
    """

    architecture = "forensic_transfer"
    class_order = "fake,real (halves of the latent)"
    clip_length = 1
    published_size = 256

    def __init__(self, widths: Widths = (8, 16, 32, 64, 128)) -> None:
        if widths[-1] % 2:
            raise ValueError(f"a latent of {widths[-1]} maps has no two halves")
        super().__init__()
        encoder: list[nn.Module] = []
        channels = 3
        for place, width in enumerate(widths):
            encoder += [nn.Conv2d(channels, width, 3, 2 if place else 1, 1), nn.ReLU()]
            channels = width
        decoder: list[nn.Module] = []
        for width in reversed(widths[:-1]):
            decoder += [nn.Upsample(scale_factor=2), nn.Conv2d(channels, width, 3, 1, 1), nn.ReLU()]
            channels = width
        self.encoder = nn.Sequential(*encoder)
        self.decoder = nn.Sequential(*decoder)
        self.head = nn.Conv2d(channels, 3, 3, 1, 1)
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d) and layer.bias is not None:
                nn.init.kaiming_normal_(layer.weight)
                nn.init.zeros_(layer.bias)

    def features(self, x: Tensor) -> Tensor:
        """The latent maps (N, 1, 128, h, w): the *fake* half, then the *real* one."""
        latent: Tensor = self.encoder(single_frames(x))
        return latent.unsqueeze(1)

    def classify(self, features: Tensor) -> Tensor:
        """The halves' activations (N, 2) [fake, real]."""
        activations = [half.abs().mean(dim=(1, 2, 3)) for half in features[:, 0].chunk(2, dim=1)]
        return torch.stack(activations, dim=1)

    def fake_probability(self, logits: Tensor) -> Tensor:
        """P(fake) (N,): the fake half's share of the activation.

        Above a half exactly where the paper decides for *fake*; a half where both are silent.
        """
        fake, real = _heard(logits).unbind(dim=1)
        return fake / (fake + real)

    def log_odds(self, logits: Tensor) -> Tensor:
        """Log-odds (N,): the logarithm of the fake half's activation over the real half's."""
        fake, real = _heard(logits).log().unbind(dim=1)
        return fake - real

    def reconstruction(self, features: Tensor, fake: Tensor) -> Tensor:
        """Frames (N, 3, H, W) rebuilt from the half of each one's class; ``fake`` (N,) is 0 or 1.

        Rows and columns are multiples of the shrinkage, so maybe a few more than the frame's.
        """
        of_fake, of_real = features[:, 0].chunk(2, dim=1)
        keep = fake[:, None, None, None]
        chosen = torch.cat([of_fake * keep, of_real * (1 - keep)], dim=1)
        rebuilt: Tensor = torch.tanh(self.head(self.decoder(chosen)))
        return rebuilt

    def loss(self, x: Tensor, fake: Tensor) -> Tensor:
        """Activation loss and 0.1 times reconstruction loss (equations 2 to 4 of the paper)."""
        features = self.features(x)
        wanted = torch.stack([fake, 1 - fake], dim=1)
        activation = (self.classify(features) - wanted).abs().sum(dim=1).mean()
        height, width = x.shape[-2:]
        rebuilt = self.reconstruction(features, fake)[:, :, :height, :width]
        return activation + RECONSTRUCTION_WEIGHT * F.l1_loss(rebuilt, single_frames(x))

    def layer_order(self) -> LayerOrder:
        """Encoder, selection of a half, decoder."""
        return [
            *leaf_layers(self.encoder),
            ("Selection", None),
            *leaf_layers(self.decoder),
            ("Conv2d", self.head),
            ("Tanh", None),
        ]


def _heard(activations: Tensor) -> Tensor:
    """Activations of which none is quite silent, so that their shares are numbers."""
    return activations.clamp_min(torch.finfo(activations.dtype).tiny)
