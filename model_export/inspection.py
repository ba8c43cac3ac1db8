"""Looking into an ONNX model file: its interface, and the contract in its metadata."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx

from model_export.errors import ModelExportError
from service.classifier.contract import ModelContract
from service.errors import ModelError


@dataclass(frozen=True)
class Inspection:
    """What ``inspect_model`` found."""

    rows: tuple[tuple[str, str], ...]
    """Inputs, outputs and metadata, as text."""
    refusal: str | None
    """Why the metadata breaks the contract; None where it keeps it."""


def inspect_model(path: Path) -> Inspection:
    """Read interface and metadata of the ONNX file at ``path``."""
    try:
        model = onnx.load(path, load_external_data=False)
    except OSError as error:
        raise ModelExportError(f"{path} cannot be read: {error.strerror}") from error
    except Exception as error:  # protobuf's DecodeError, of no public base class
        raise ModelExportError(f"{path.name} is no ONNX file") from error
    if not model.graph.output:
        raise ModelExportError(f"{path.name} is no ONNX file")
    rows = [(f"input {value.name}", _type(value)) for value in model.graph.input]
    rows += [(f"output {value.name}", _type(value)) for value in model.graph.output]
    metadata = {item.key: item.value for item in model.metadata_props}
    rows += list(metadata.items())
    try:
        ModelContract.parse(metadata)
    except ModelError as error:
        return Inspection(tuple(rows), str(error))
    return Inspection(tuple(rows), None)


def _type(value: onnx.ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    dimensions = [axis.dim_param or str(axis.dim_value) for axis in tensor.shape.dim]
    return f"{onnx.TensorProto.DataType.Name(tensor.elem_type).lower()} ({', '.join(dimensions)})"
