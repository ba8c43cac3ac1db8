"""Batches of clips: read, augmented and put together, in this process or a worker's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal, Protocol

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from model_export.data.prepared import Image, PreparedDataset

MASK_CELL = 4
"""Side in pixels of a mask's cell."""
MASK_BLUR = 2.0
"""Standard deviation in pixels of the blur before a difference is averaged over cells."""
MASK_NOISE, MASK_SURE = 3.0, 9.0
"""Mean difference of grey levels (0 to 255) that counts nothing, and from which on it is 1. Where
nobody forged, 99 % of the cells of two encodings differ by less than 2.5 at CRF 23 and by less than
8 at CRF 40, which shows faintly; slight forgeries differ by 3."""


class Purpose(IntEnum):
    """What a generator is for. NumPy draws the same from [seed, 5] and [seed, 5, 0]; with the
    purpose in the second place no two uses meet."""

    CHOICE = 1
    ORDER = 2
    CLIP = 3


class Augment(Protocol):
    """Alters a clip, uint8 (T, H, W, 3) RGB, without changing its shape. Must be picklable where
    there are workers: a ``functools.partial`` of a module's function is."""

    def __call__(self, pixels: Image, *, rng: np.random.Generator) -> Image: ...


@dataclass(frozen=True, slots=True)
class Batch:
    """N clips, forged and real ones in turn. ``clips`` uint8 (N, T, 3, H, W) RGB; ``fake`` float32
    (N,), 1 where forged; ``mask`` float32 (N, T, h, w) in 0..1, where each frame was forged (0 in
    real ones), None where not asked for; ``videos`` the ids of the clips' videos, a twin's that of
    the forged one."""

    clips: Tensor
    fake: Tensor
    mask: Tensor | None
    videos: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.videos)

    def pin_memory(self) -> Batch:
        """The same in page-locked memory; called by ``DataLoader``."""
        mask = None if self.mask is None else self.mask.pin_memory()
        return Batch(self.clips.pin_memory(), self.fake.pin_memory(), mask, self.videos)

    def to(self, device: torch.device | str) -> Batch:
        """The same on another device."""
        mask = None if self.mask is None else self.mask.to(device, non_blocking=True)
        clips = self.clips.to(device, non_blocking=True)
        return Batch(clips, self.fake.to(device, non_blocking=True), mask, self.videos)


Clip = tuple[str, int]
"""A prepared video's id and a clip's index in it."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A clip and what its generator starts from. Twins share all but ``array``."""

    clip: Clip
    array: Literal["pixels", "twin"]
    epoch: int
    key: int


class BatchReader(Dataset[Batch]):
    """Reads the clips of a batch from the mapped files and augments them. A batch is given as
    draws, forged and real ones in turn; for ``masks`` the real ones must be twins."""

    def __init__(
        self,
        dataset: PreparedDataset,
        *,
        seed: int,
        length: int,
        augment: Augment | None,
        masks: bool,
    ) -> None:
        self._dataset, self._seed, self._length = dataset, seed, length
        self._augment, self._masks = augment, masks

    def __getitem__(self, draws: Sequence[Draw]) -> Batch:
        clips = np.stack([self._clip(draw) for draw in draws])
        return Batch(
            clips=torch.from_numpy(clips).permute(0, 1, 4, 2, 3).contiguous(),
            fake=torch.tensor([1.0, 0.0]).repeat(len(draws) // 2),
            mask=_masks(clips) if self._masks else None,
            videos=tuple(draw.clip[0] for draw in draws),
        )

    def _clip(self, draw: Draw) -> Image:
        rng = np.random.default_rng([self._seed, Purpose.CLIP, draw.epoch, draw.key])
        clip = self._dataset.clip(*draw.clip, draw.array)
        start = int(rng.integers(len(clip) - self._length + 1))
        clip = clip[start : start + self._length]
        return clip if self._augment is None else self._augment(clip, rng=rng)


def forgery_mask(forged: Image, twin: Image) -> NDArray[np.float32]:
    """Where frames were forged, float32 (T, h, w) in 0..1, h = H // ``MASK_CELL``, from a forged
    clip and its twin, both uint8 (T, H, W, 3) and augmented alike.

    Their mean absolute difference over colours, smoothed, averaged over cells, and stretched so
    that what two encodings of one picture differ by (``MASK_NOISE``) counts nothing.
    """
    height, width = (side // MASK_CELL for side in forged.shape[1:3])
    cells = []
    for ours, theirs in zip(forged, twin, strict=True):
        difference = cv2.absdiff(ours, theirs).mean(axis=2, dtype=np.float32)
        smooth = cv2.GaussianBlur(difference, (0, 0), MASK_BLUR)
        cells.append(cv2.resize(smooth, (width, height), interpolation=cv2.INTER_AREA))
    scaled = (np.stack(cells) - MASK_NOISE) / (MASK_SURE - MASK_NOISE)
    return np.clip(scaled, 0, 1).astype(np.float32)


def _masks(clips: Image) -> Tensor:
    """Masks (N, T, h, w) of clips (N, T, H, W, 3), forged ones and their twins in turn."""
    forged = np.stack([forgery_mask(*pair) for pair in zip(clips[::2], clips[1::2], strict=True)])
    return torch.from_numpy(np.stack([forged, np.zeros_like(forged)], axis=1)).flatten(0, 1)
