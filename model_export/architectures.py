"""The architectures that can be imported, and what a Keras file tells about each."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping
from typing import ClassVar

from model_export.clrnet import EXPANSION, CLRNet
from model_export.detector import Detector
from model_export.errors import KerasImportError
from model_export.keras_file import KerasFile
from model_export.mesonet import Meso4, MesoInception4, pooled_size
from model_export.shallownet import ShallowNetV3, unpadded_size
from model_export.xception import HeadActivation, Xception

Size = tuple[int, int]
MAX_SIZE = 1024
MIN_SIZE = 16
_HEAD_ACTIVATIONS: Mapping[str, HeadActivation] = {"softmax": "softmax", "sigmoid": "sigmoid"}


class Architecture(ABC):
    """How to rebuild one architecture from the shapes in a Keras file."""

    detector: ClassVar[type[Detector]]

    @property
    def name(self) -> str:
        """The network's name."""
        return self.detector.architecture

    @property
    def published_size(self) -> int:
        """Height and width the published weights were trained with."""
        return self.detector.published_size

    @abstractmethod
    def build(self, file: KerasFile, size: Size) -> Detector:
        """The network whose layers ``file`` should hold. Raises ``KerasImportError``."""

    def implied_size(self, file: KerasFile) -> Size | None:
        """The input size that the weights' shapes imply; None where they leave it open."""
        return None

    def accepts_size(self, file: KerasFile, size: Size) -> bool:
        """Whether the weights' shapes fit inputs of ``size``."""
        return True


class ClrnetArchitecture(Architecture):
    """CLRNet of any width and depth."""

    detector = CLRNet

    def build(self, file: KerasFile, size: Size) -> Detector:
        """Width from the stem, blocks of each stage from the kernels of that stage's width."""
        kernels = Counter(layer.shapes[0] for layer in file.layers if len(layer.shapes) == 3)
        stems = [shape for shape in kernels if shape[:3] == (7, 7, 3)]
        if len(stems) != 1 or stems[0][3] % 4:
            raise KerasImportError("the file is no clrnet: it has no 7x7 ConvLSTM2D stem")
        initial = filters = stems[0][3] // 4
        repetitions: list[int] = []
        while True:
            # Each block has one kernel of each shape; stage 0 one more (its first block's opening
            # 3x3, its projection). Two counts, so that one lost layer is not a lost block.
            middle = kernels[3, 3, filters, 4 * filters]
            last = kernels[1, 1, filters, 4 * EXPANSION * filters]
            count = max(middle, last) - (1 if not repetitions else 0)
            if count < 1:
                break
            repetitions.append(count)
            filters *= 2
        if not repetitions:
            raise KerasImportError("the file is no clrnet: no block follows its stem")
        return CLRNet(initial, repetitions)


class DenseHeadArchitecture(Architecture):
    """A network whose flattened last map tells the input size."""

    def __init__(
        self,
        network: Callable[[Size], Detector],
        last_map: Callable[[Size], Size],
        channels: int,
        step: int,
    ) -> None:
        self._network = network
        self._last_map = last_map
        self._channels = channels
        self._step = step

    def build(self, file: KerasFile, size: Size) -> Detector:
        """The network at ``size``."""
        return self._network(size)

    def implied_size(self, file: KerasFile) -> Size | None:
        """The square size, a multiple of the pooling, that gives the first dense layer's inputs."""
        inputs = self._flattened(file)
        for side in range(MIN_SIZE, MAX_SIZE + 1):
            rows, columns = self._last_map((side, side))
            if side % self._step == 0 and rows > 0 and rows * columns * self._channels == inputs:
                return side, side
        return None

    def accepts_size(self, file: KerasFile, size: Size) -> bool:
        """Whether the last map of ``size`` has as many values as the dense layer takes."""
        rows, columns = self._last_map(size)
        inputs = self._flattened(file)
        return inputs is None or (rows > 0 and rows * columns * self._channels == inputs)

    def _flattened(self, file: KerasFile) -> int | None:
        dense = [layer.shapes[0] for layer in file.layers if len(layer.shapes[0]) == 2]
        return dense[0][0] if dense else None


class Meso4Architecture(DenseHeadArchitecture):
    """Meso4."""

    detector = Meso4

    def __init__(self) -> None:
        super().__init__(Meso4, pooled_size, channels=16, step=32)


class MesoInception4Architecture(DenseHeadArchitecture):
    """MesoInception4."""

    detector = MesoInception4

    def __init__(self) -> None:
        super().__init__(MesoInception4, pooled_size, channels=16, step=32)


class ShallowNetV3Architecture(DenseHeadArchitecture):
    """ShallowNetV3."""

    detector = ShallowNetV3

    def __init__(self) -> None:
        super().__init__(ShallowNetV3, unpadded_size, channels=32, step=4)


class XceptionArchitecture(Architecture):
    """Keras' Xception with one dense layer on top."""

    detector = Xception

    def build(self, file: KerasFile, size: Size) -> Detector:
        """Units from the last dense layer, its activation from the file or, unsaid, softmax."""
        dense = [layer.shapes[0] for layer in file.layers if len(layer.shapes[0]) == 2]
        if len(dense) != 1 or dense[0][1] not in (1, 2):
            units = [shape[1] for shape in dense]
            raise KerasImportError(
                "an xception detector ends in one dense layer of 1 or 2 units; this file's dense "
                f"layers have {units}"
            )
        activation = file.head_activation or "softmax"
        if activation not in _HEAD_ACTIVATIONS:
            raise KerasImportError(
                f"the head's activation is '{activation}'; only softmax and sigmoid are read"
            )
        return Xception(dense[0][1], _HEAD_ACTIVATIONS[activation])


ARCHITECTURES: Mapping[str, Architecture] = {
    architecture.name: architecture
    for architecture in (
        ClrnetArchitecture(),
        MesoInception4Architecture(),
        Meso4Architecture(),
        ShallowNetV3Architecture(),
        XceptionArchitecture(),
    )
}
