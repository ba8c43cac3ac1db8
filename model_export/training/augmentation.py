"""Random changes of training clips that leave the label true.

Rotation, zoom, channel shift, brightness and mirroring do what Keras' ``ImageDataGenerator`` does,
with which the papers' authors trained; all frames of a clip get the same parameters.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

from model_export.degradation import Kind, degrade, require_level

Image = NDArray[np.uint8]
Share = Annotated[float, Field(ge=0, le=1)]


class Chance(BaseModel):
    """A degradation that befalls a clip with ``probability``, at a level drawn evenly between
    ``low`` and ``high`` (units: :func:`model_export.degradation.degrade`)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    probability: Share
    low: float
    high: float

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low > self.high:
            raise ValueError("low must not be above high")
        return self


_KINDS: Mapping[str, Kind] = MappingProxyType(
    {"blur": "blur", "noise": "noise", "downscale": "resize", "jpeg": "jpeg", "h264": "h264"}
)
"""The keys of degradations in the order of a camera and a platform: lens and sensor first, then
size and codec."""


class AugmentationConfig(BaseModel):
    """How far clips are changed; the defaults are the papers'.

    In a run's file it may be the name of a preset (``augmentation = "mild"``), or a table whose
    ``preset`` names the values that the others change.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rotation: float = Field(default=30.0, ge=0, le=180)
    """Degrees to either side."""
    zoom: float = Field(default=0.2, ge=0, lt=1)
    """How much of the crop's width and of its height is shown: two factors between 1 - zoom and
    1 + zoom, drawn apart, as in Keras."""
    shift: float = Field(default=0.0, ge=0, le=0.5)
    """Share of width and height by which the crop moves to either side."""
    flip: Share = 0.5
    """Probability of mirroring left and right."""
    channel_shift: float = Field(default=50.0, ge=0, le=255)
    """Added to all three channels alike, at most this to either side, of 255."""
    brightness: tuple[float, float] = (0.7, 1.3)
    """Least and greatest factor."""
    jpeg: Chance | None = None
    h264: Chance | None = None
    blur: Chance | None = None
    noise: Chance | None = None
    downscale: Chance | None = None

    @model_validator(mode="before")
    @classmethod
    def _from_preset(cls, given: Any) -> Any:
        if isinstance(given, str):
            given = {"preset": given}
        if not isinstance(given, Mapping) or "preset" not in given:
            return given
        changes = {key: value for key, value in given.items() if key != "preset"}
        name = given["preset"]
        if name not in PRESETS:
            raise ValueError(f"no preset is called {name!r}; there are {', '.join(PRESETS)}")
        return {**PRESETS[name].model_dump(), **changes}

    @field_validator(*_KINDS)
    @classmethod
    def _possible(cls, chance: Chance | None, info: ValidationInfo) -> Chance | None:
        # A level that does not exist would end the run when it is first drawn.
        if chance is not None and info.field_name is not None:
            for level in (chance.low, chance.high):
                require_level(_KINDS[info.field_name], level)
        return chance

    @model_validator(mode="after")
    def _brightness_in_order(self) -> Self:
        low, high = self.brightness
        if not 0 <= low <= high:
            raise ValueError("brightness is two factors, the smaller one first")
        return self


_OFF = AugmentationConfig(rotation=0, zoom=0, flip=0, channel_shift=0, brightness=(1, 1))

PRESETS: Mapping[str, AugmentationConfig] = MappingProxyType(
    {
        "none": _OFF,
        "papers": AugmentationConfig(),
        "code": AugmentationConfig(brightness=(0.7, 1.0)),
        "mild": AugmentationConfig(
            rotation=8, zoom=0.08, shift=0.04, channel_shift=12, brightness=(0.88, 1.12)
        ),
    }
)
"""``papers`` as their text says, ``code`` as the authors' program does it, which only darkens."""


@dataclass(frozen=True, slots=True)
class _Drawn:
    """What befalls one clip."""

    angle: float
    shown: tuple[float, float]
    move: tuple[float, float]
    mirrored: bool
    added: float
    factor: float
    degradations: tuple[tuple[Kind, float], ...]


def augment(pixels: Image, config: AugmentationConfig, rng: np.random.Generator) -> Image:
    """Augment a clip uint8 (T, H, W, 3) RGB; the same shape comes back.

    Every frame is changed alike. What is drawn does not depend on the pixels: a generator in the
    same state does to a clip's twin what it did to the clip (the levels too; noise is of the same
    draw). Where nothing is to be changed, ``pixels`` itself comes back.

    One warp by OpenCV turns, scales and moves at once: the affine transforms of torchvision and
    kornia cannot repeat the edge ("fill nearest") and want floats.
    """
    drawn = _draw(config, rng)
    pixels = _warped(pixels, drawn)
    if drawn.mirrored:
        pixels = np.ascontiguousarray(pixels[:, :, ::-1])
    pixels = _coloured(pixels, drawn)
    for kind, level in drawn.degradations:
        pixels = degrade(pixels, kind, level, rng)
    return pixels


def _draw(config: AugmentationConfig, rng: np.random.Generator) -> _Drawn:
    def either_side(most: float) -> float:
        return float(rng.uniform(-most, most))

    chances: list[tuple[Kind, Chance | None]] = [
        (kind, getattr(config, key)) for key, kind in _KINDS.items()
    ]
    return _Drawn(
        angle=either_side(config.rotation),
        shown=(1 + either_side(config.zoom), 1 + either_side(config.zoom)),
        move=(either_side(config.shift), either_side(config.shift)),
        mirrored=bool(rng.random() < config.flip),
        added=either_side(config.channel_shift),
        factor=float(rng.uniform(*config.brightness)),
        degradations=tuple(
            (kind, float(rng.uniform(chance.low, chance.high)))
            for kind, chance in chances
            if chance is not None and rng.random() < chance.probability
        ),
    )


def _warped(pixels: Image, drawn: _Drawn) -> Image:
    """Rotation, then scale, about the middle, then the shift; the edge is repeated beyond it."""
    if drawn.angle == 0 and drawn.shown == (1, 1) and drawn.move == (0, 0):
        return pixels
    height, width = pixels.shape[1:3]
    turn = math.radians(drawn.angle)
    rotation = np.array([[math.cos(turn), math.sin(turn)], [-math.sin(turn), math.cos(turn)]])
    linear = np.diag(1 / np.asarray(drawn.shown)) @ rotation
    middle = np.array([(width - 1) / 2, (height - 1) / 2])
    move = middle + np.multiply(drawn.move, (width, height)) - linear @ middle
    matrix = np.column_stack([linear, move])
    warped = [
        cv2.warpAffine(
            frame, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        for frame in pixels
    ]
    return np.asarray(warped, dtype=np.uint8)


def _coloured(pixels: Image, drawn: _Drawn) -> Image:
    """Channel shift, then brightness, through one table of 256 entries.

    As Keras the same amount is added to all channels. Keras then keeps the result between the least
    and the greatest value that the image had; here it is kept within 0 and 255, since a clip and
    its twin differ in those two and must be changed alike. Brightness is a factor.
    """
    if drawn.added == 0 and drawn.factor == 1:
        return pixels
    table = np.arange(256, dtype=np.float64)
    if drawn.added:
        table = np.clip(table + drawn.added, 0, 255)
    table = np.rint(np.clip(table * drawn.factor, 0, 255)).astype(np.uint8)
    mapped = cv2.LUT(pixels.reshape(-1, pixels.shape[2], 3), table)
    return np.asarray(mapped, dtype=np.uint8).reshape(pixels.shape)
