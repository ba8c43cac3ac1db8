"""A loaded deepfake model: clips in, P(fake) out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from service.bound_session import BoundSession
from service.classifier.contract import CAM_NAME, INPUT_NAME, PROBABILITY_NAME, ModelContract
from service.errors import ModelError, ServiceError
from service.runtime import Gpu, open_session
from service.session import Arithmetic, Device, Runtime

_GPU = Gpu()


@dataclass(frozen=True, slots=True)
class ClipScores:
    """``fake`` float32 (N,): P(fake). ``cam`` float32 (N, T, h, w), raw, or None."""

    fake: NDArray[np.float32]
    cam: NDArray[np.float32] | None


class Scorer(Protocol):
    """Whatever scores clips: a network of this process, or one elsewhere."""

    @property
    def contract(self) -> ModelContract:
        """What the model says about itself."""
        ...

    @property
    def has_cam(self) -> bool:
        """Whether the network gives class activation maps."""
        ...

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of batches to try before serving, the largest first."""
        ...

    def score(self, clips: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        """As ``Classifier.score``; blocking. Raises ``MemoryError`` for more clips than fit."""
        ...


class Classifier:
    """One ONNX model that keeps the contract, in one session.

    ``contract.precision`` also tells of arithmetic that is not the model's own. ``gpu`` None leaves
    input and outputs of a network on a GPU to ONNX Runtime. Raises ``ModelError`` where the bytes
    are no ONNX model or break the contract, or where what is asked for cannot be had.
    """

    def __init__(
        self,
        model: bytes,
        *,
        device: Device = "auto",
        threads: int = 0,
        runtime: Runtime = "onnxruntime",
        arithmetic: Arithmetic = "float32",
        gpu: Gpu | None = _GPU,
    ) -> None:
        self.sha256 = hashlib.sha256(model).hexdigest()
        self._session = open_session(
            model,
            device=device,
            threads=threads,
            runtime=runtime,
            arithmetic=arithmetic,
            gpu=gpu,
        )
        contract = ModelContract.parse(self._session.get_modelmeta().custom_metadata_map)
        if arithmetic != "float32":
            precision = f"{contract.precision}; computed in {arithmetic}"
            contract = contract.model_copy(update={"precision": precision})
        if runtime == "tensorrt":
            # TF32 instead of float32, and where a model is float16, that in place of float32.
            precision = f"{contract.precision}; TensorRT may round further"
            contract = contract.model_copy(update={"precision": precision})
        self.contract = contract
        self.provider: str = self._session.get_providers()[0]
        self._outputs = self._check()

    @property
    def sizes(self) -> tuple[int, ...]:
        """Sizes of batches to try before serving: where each is prepared when it first comes, all,
        the largest first."""
        # TensorRT builds an engine for the range of what it has seen: 16 and 1 hold all between.
        return self._session.sizes[::-1] if isinstance(self._session, BoundSession) else (1,)

    @property
    def has_cam(self) -> bool:
        """Whether the network gives class activation maps."""
        return CAM_NAME in self._outputs

    def score(self, clips: NDArray[np.uint8], *, cam: bool = False) -> ClipScores:
        """Score clips, uint8 (N, T, H, W, 3) RGB; the maps are computed only when asked for.

        Raises ``ServiceError`` where the network's output is no probability.
        """
        wanted = self._outputs if cam else self._outputs[:1]
        results = self._session.run(list(wanted), {INPUT_NAME: clips})
        fake = np.asarray(results[0], np.float32)
        if fake.shape != (len(clips),) or not np.all((fake >= 0) & (fake <= 1)):
            raise ServiceError("the model gave a score that is no probability")
        if len(results) == 1:
            return ClipScores(fake, None)
        maps = np.asarray(results[1], np.float32)
        if maps.shape[:2] != clips.shape[:2]:
            raise ServiceError("the model gave class activation maps of other clips")
        return ClipScores(fake, maps)

    def _check(self) -> tuple[str, ...]:
        """The outputs to ask for, probability first."""
        contract = self.contract
        inputs = {each.name: each for each in self._session.get_inputs()}
        outputs = {each.name: each for each in self._session.get_outputs()}
        if set(inputs) != {INPUT_NAME}:
            raise ModelError(f"the model's one input must be called '{INPUT_NAME}'")
        shape = [contract.clip_length, contract.input_height, contract.input_width, 3]
        if inputs[INPUT_NAME].type != "tensor(uint8)" or inputs[INPUT_NAME].shape[1:] != shape:
            raise ModelError(f"the input '{INPUT_NAME}' must be uint8 (N, {shape})")
        if isinstance(inputs[INPUT_NAME].shape[0], int):
            raise ModelError("the batch axis must be dynamic")
        if PROBABILITY_NAME not in outputs:
            raise ModelError(f"the model lacks the output '{PROBABILITY_NAME}'")
        for name, axes in ((PROBABILITY_NAME, 1), (CAM_NAME, 4)):
            output = outputs.get(name)
            if output and (output.type != "tensor(float)" or len(output.shape) != axes):
                raise ModelError(f"the output '{name}' must be float32 with {axes} axes")
        return (PROBABILITY_NAME, CAM_NAME) if CAM_NAME in outputs else (PROBABILITY_NAME,)


def load_classifier(
    path: Path,
    *,
    device: Device = "auto",
    threads: int = 0,
    runtime: Runtime = "onnxruntime",
    arithmetic: Arithmetic = "float32",
    gpu: Gpu | None = _GPU,
) -> Classifier:
    """Read and check a model file.

    Raises ``ModelError``, whose text names the file but not the folder it should be in.
    """
    try:
        model = path.read_bytes()
    except OSError as error:
        raise ModelError(f"the model file '{path.name}' cannot be read") from error
    try:
        return Classifier(
            model,
            device=device,
            threads=threads,
            runtime=runtime,
            arithmetic=arithmetic,
            gpu=gpu,
        )
    except ModelError as error:
        raise ModelError(f"the model file '{path.name}' cannot be used: {error}") from error
