"""A network that is ready to run, whatever runs it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol

from numpy.typing import NDArray

Device = Literal["auto", "cpu", "cuda"]
Runtime = Literal["onnxruntime", "openvino", "tensorrt"]
Arithmetic = Literal["float32", "bfloat16"]

OPENVINO = "OpenVINO CPU"
"""What stands where ONNX Runtime names its execution provider."""
CPU, CUDA, TENSORRT = (
    "CPUExecutionProvider",
    "CUDAExecutionProvider",
    "TensorrtExecutionProvider",
)


class Value(Protocol):
    """An input or output. ``type`` is ``tensor(uint8)``, ``tensor(float)``, ...; an axis of any
    size is no number in ``shape``."""

    @property
    def name(self) -> str: ...

    @property
    def type(self) -> str: ...

    @property
    def shape(self) -> Sequence[int | str | None]: ...


class Metadata(Protocol):
    """What a model says about itself."""

    @property
    def custom_metadata_map(self) -> Mapping[str, str]: ...


class Session(Protocol):
    """A network ready to run: what is used of ONNX Runtime's ``InferenceSession``."""

    def run(
        self, output_names: list[str] | None, input_feed: dict[str, NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """The named outputs, None: all, as arrays of their own. For one thread at a time."""
        ...

    def get_inputs(self) -> Sequence[Value]: ...

    def get_outputs(self) -> Sequence[Value]: ...

    def get_modelmeta(self) -> Metadata: ...

    def get_providers(self) -> Sequence[str]:
        """What runs it comes first."""
        ...
