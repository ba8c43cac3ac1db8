"""A network in OpenVINO, used like a session of ONNX Runtime."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import openvino
from numpy.typing import NDArray
from onnx import ModelProto, TensorProto, ValueInfoProto

from service.errors import ModelError
from service.session import OPENVINO, Arithmetic

_TYPES = {"float32": openvino.Type.f32, "bfloat16": openvino.Type.bf16}


@dataclass(frozen=True, slots=True)
class _Value:
    name: str
    type: str
    shape: list[int | str | None]


@dataclass(frozen=True, slots=True)
class _Metadata:
    custom_metadata_map: dict[str, str]


class OpenVINOSession:
    """One ONNX model on the processor; see ``service.session.Session``.

    ``threads`` 0 takes one per core. Raises ``ModelError`` where OpenVINO cannot load the model or
    the processor has no ``bfloat16``.
    """

    def __init__(self, model: bytes, threads: int, arithmetic: Arithmetic) -> None:
        core = openvino.Core()
        able = core.get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        if arithmetic == "bfloat16" and "BF16" not in able:
            raise ModelError("bfloat16 was asked for, and this processor does not compute in it")
        settings: dict[str, Any] = {
            # Left to itself it takes bfloat16 wherever a processor has it, and scores otherwise.
            "INFERENCE_PRECISION_HINT": _TYPES[arithmetic],
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            # Decoders run on the same cores.
            "ENABLE_CPU_PINNING": False,
        }
        try:
            described = onnx.load_from_string(model)
            compiled = core.compile_model(core.read_model(io.BytesIO(model)), "CPU", settings)
        except Exception as error:  # Protobuf's DecodeError and RuntimeError: no common base.
            raise ModelError("OpenVINO cannot load the model") from error
        if compiled.get_property("INFERENCE_PRECISION_HINT") != _TYPES[arithmetic]:
            raise ModelError(f"OpenVINO does not compute this model in {arithmetic}")
        self._metadata = _Metadata({each.key: each.value for each in described.metadata_props})
        self._inputs = _values(described, described.graph.input)
        self._outputs = _values(described, described.graph.output)
        self._request = compiled.create_infer_request()

    def run(
        self, output_names: list[str] | None, input_feed: dict[str, NDArray[Any]]
    ) -> list[NDArray[Any]]:
        """The named outputs, None: all. Raises ``RuntimeError``."""
        self._request.infer(input_feed)
        names = output_names or [each.name for each in self._outputs]
        # The request's own arrays are written over by the next batch.
        return [np.array(self._request.get_tensor(name).data) for name in names]

    def get_inputs(self) -> Sequence[_Value]:
        return self._inputs

    def get_outputs(self) -> Sequence[_Value]:
        return self._outputs

    def get_modelmeta(self) -> _Metadata:
        return self._metadata

    def get_providers(self) -> list[str]:
        return [OPENVINO]


def _values(model: ModelProto, values: Sequence[ValueInfoProto]) -> list[_Value]:
    """Of a graph's inputs, or outputs, as ONNX Runtime shows them."""
    weights = {tensor.name for tensor in model.graph.initializer}
    return [_value(each) for each in values if each.name not in weights]


def _value(value: ValueInfoProto) -> _Value:
    tensor = value.type.tensor_type
    kind = TensorProto.DataType.Name(tensor.elem_type).lower()
    shape = [axis.dim_value if axis.HasField("dim_value") else None for axis in tensor.shape.dim]
    return _Value(value.name, f"tensor({kind})", shape)
