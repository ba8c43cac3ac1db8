"""Small real ONNX models that keep the contract, for tests of everything around the network."""

from __future__ import annotations

import onnx
from onnx import TensorProto, helper

from service.classifier.contract import ModelContract, OperatingPoint

CONTRACT = ModelContract(
    name="brightness",
    version="1",
    architecture="brightness",
    clip_length=5,
    input_height=32,
    input_width=32,
    class_order="real,fake",
    crop_margin=1.3,
    alignment="clip",
    precision="float32",
    trained_on="nothing",
    strategy="none",
    operating_point=OperatingPoint(calibration="chosen by hand"),
    metrics=(),
    weights_sha256="0" * 64,
    licence="Apache-2.0",
    notice="unknown",
)


def brightness_model(
    contract: ModelContract = CONTRACT,
    *,
    metadata: dict[str, str] | None = None,
    input_type: int = TensorProto.UINT8,
    batch: int | str = "N",
    output: str = "fake_probability",
    cam: bool = True,
) -> bytes:
    """P(fake) = mean of the clip's pixels / 255; the map is the mean over colours."""
    length, height, width = contract.clip_length, contract.input_height, contract.input_width
    scale = helper.make_tensor("scale", TensorProto.FLOAT, [], [1 / 255])
    nodes = [
        helper.make_node("Cast", ["clips"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["floats", "scale"], ["scaled"]),
        helper.make_node("Constant", [], ["all"], value_ints=[1, 2, 3, 4]),
        helper.make_node("ReduceMean", ["scaled", "all"], [output], keepdims=0),
        helper.make_node("Constant", [], ["colour"], value_ints=[4]),
        helper.make_node("ReduceMean", ["scaled", "colour"], ["cam"], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "brightness",
        [helper.make_tensor_value_info("clips", input_type, [batch, length, height, width, 3])],
        [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, [batch]),
            helper.make_tensor_value_info("cam", TensorProto.FLOAT, [batch, length, height, width]),
        ],
        initializer=[scale],
    )
    if not cam:
        del graph.output[1], graph.node[-2:]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, contract.dump() if metadata is None else metadata)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())
