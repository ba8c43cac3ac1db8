"""From a float32 model to one that computes in float16, as GPUs do fastest."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper
from onnxruntime.transformers.float16 import convert_float_to_float16

from model_export.errors import ExportError
from model_export.files import replacing
from model_export.onnx_export import log_odds_apart, random_clips
from model_export.quantisation.layers import widened
from service.classifier.classifier import Classifier, load_classifier
from service.classifier.contract import ModelContract
from service.errors import ModelError, ServiceError

LOG_ODDS_TOLERANCE = 0.1
"""Largest difference of the log-odds of P(fake) from the source: at even odds a fortieth of P."""
CHECKED = 8
"""Clips that both score."""
PRECISION = "float16; scaling, last sums and probability in float32"

_PRODUCTS = ("Conv", "ConvTranspose", "Gemm", "MatMul", "GRU", "LSTM")
_DENSE = ("Gemm", "MatMul")
"""Products that the end of a network may hold: those of what has been averaged."""
_INNER = ("BatchNormalization", *(each for each in _PRODUCTS if each not in _DENSE))


@dataclass(frozen=True, slots=True)
class Halved:
    """What was written; ``log_odds_difference`` is the largest on the clips of the check."""

    contract: ModelContract
    bytes_before: int
    bytes_after: int
    log_odds_difference: float


def half(source: Path, output: Path) -> Halved:
    """Write the plain model ``source`` in float16 as ``output``, replacing it in one step.

    Pixels stay uint8 and outputs float32. Before the file gets its name, it scores random clips
    with every result rounded to float16, whether or not the processor computes in it. Raises
    ``ExportError`` where the source is no model of ours, is quantised or rearranged for
    processors, or where log-odds differ by more than ``LOG_ODDS_TOLERANCE``; then nothing is
    written.
    """
    try:
        before = load_classifier(source, device="cpu")
    except ModelError as error:
        raise ExportError(str(error)) from error
    model = widened(onnx.load(source))
    _demand_plain(model)
    told = before.contract.model_copy(
        update={"name": f"{before.contract.name}-half", "precision": PRECISION}
    )
    made = halved(model)
    helper.set_model_props(made, told.dump())
    onnx.checker.check_model(made)
    apart = _apart(before, rounding(made))
    if not apart <= LOG_ODDS_TOLERANCE:
        raise ExportError(
            f"in float16 the log-odds differ by {apart:.3f} on random clips (allowed: "
            f"{LOG_ODDS_TOLERANCE:g}); no file was written"
        )
    try:
        with replacing(output) as partial:
            onnx.save(made, partial)
    except OSError as problem:
        raise ExportError(f"{output} cannot be written: {problem.strerror}") from problem
    return Halved(told, source.stat().st_size, output.stat().st_size, apart)


def halved(model: ModelProto) -> ModelProto:
    """A widened model with its products in float16.

    What comes before the first and after the last of them stays in float32: pixels are scaled,
    and means, scores and maps summed, as they were.
    """
    made: ModelProto = convert_float_to_float16(
        copy.deepcopy(model), keep_io_types=True, node_block_list=sorted(_kept(model))
    )
    _join_casts(made)
    del made.graph.value_info[:]
    return made


def rounding(model: ModelProto) -> ModelProto:
    """A model in float16 as one in float32 that rounds every result to float16.

    ONNX Runtime's own casts between float32 kernels round nothing, so on a processor the file
    itself would tell nothing of what a GPU makes of it. Sums are float32 here, as in tensor cores.
    """
    wide = copy.deepcopy(model)
    graph = wide.graph
    types = onnx.shape_inference.infer_shapes(model).graph
    rounded = {
        value.name
        for value in (*types.value_info, *types.output)
        if value.type.tensor_type.elem_type == TensorProto.FLOAT16
    }
    for tensor in graph.initializer:
        _widen(tensor)
    nodes = []
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and attribute.i == TensorProto.FLOAT16:
                attribute.i = TensorProto.FLOAT
            _widen(attribute.t)
        nodes.append(node)
        for place, name in enumerate(node.output):
            if name in rounded:
                node.output[place] = f"{name}/exact"
                nodes.append(_cast(f"{name}/exact", f"{name}/short", TensorProto.FLOAT16))
                nodes.append(_cast(f"{name}/short", name, TensorProto.FLOAT))
    _replace_nodes(graph, nodes)
    return wide


def _demand_plain(model: ModelProto) -> None:
    operators = [node.op_type for node in model.graph.node]
    if "DequantizeLinear" in operators:
        raise ExportError("the model is quantised: give the float32 model it was made from")
    if sum(each in _DENSE for each in operators) > operators.count("Conv"):
        raise ExportError(
            "the graph was rearranged for processors, which GPUs gain nothing by: export it "
            "with --plain"
        )


def _kept(model: ModelProto) -> set[str]:
    """Names of the nodes that stay in float32."""
    nodes = model.graph.node
    made = {
        name for node in nodes if node.op_type != "Constant" for name in filter(None, node.output)
    }
    early = {each.name for each in model.graph.input}
    kept: set[str] = set()
    for node in nodes:
        given = [name for name in node.input if name in made or name in early]
        if given and node.op_type not in _PRODUCTS and early.issuperset(given):
            early.update(node.output)
            kept.add(node.name)
    inner: set[str] = set()
    for node in reversed(nodes):
        if node.name in kept:
            continue
        if node.op_type in _INNER or inner.intersection(node.output):
            inner.update(filter(None, node.input))
        else:
            kept.add(node.name)
    return kept


def _join_casts(model: ModelProto) -> None:
    """Let nodes that stay in float32 hand each other what they have, which the conversion leads
    through float16."""
    graph = model.graph
    makers = {name: node for node in graph.node for name in node.output}

    def exact(node: NodeProto) -> str | None:
        """What a cast back to float32 was float32 before."""
        maker = makers.get(node.input[0]) if _casts(node, TensorProto.FLOAT) else None
        return maker.input[0] if maker and _casts(maker, TensorProto.FLOAT16) else None

    outputs = {each.name for each in graph.output}
    same: dict[str, str] = {}
    nodes = []
    for node in graph.node:
        first = exact(node)
        if first is None:
            nodes.append(node)
        elif node.output[0] in outputs:
            nodes.append(helper.make_node("Identity", [first], [node.output[0]], node.name))
        else:
            same[node.output[0]] = first
    for node in nodes:
        for place, name in enumerate(node.input):
            node.input[place] = same.get(name, name)
    _replace_nodes(graph, _in_order(nodes, outputs))


def _in_order(nodes: list[NodeProto], outputs: set[str]) -> list[NodeProto]:
    """What the outputs need, makers before takers; the conversion appends its casts at the end."""
    makers = {name: node for node in nodes for name in filter(None, node.output)}
    placed: set[str] = set()
    ordered = []
    waiting = [makers[name] for name in sorted(outputs)]
    while waiting:
        node = waiting[-1]
        needed = [makers[name] for name in node.input if name in makers and name not in placed]
        waiting.extend(needed)
        if not needed:
            waiting.pop()
            if node.output[0] not in placed:
                ordered.append(node)
            placed.update(node.output)
    return ordered


def _apart(before: Classifier, after: ModelProto) -> float:
    told = before.contract
    clips = random_clips((CHECKED, told.clip_length, told.input_height, told.input_width, 3))
    try:
        found = Classifier(after.SerializeToString(), device="cpu").score(clips).fake
    except ServiceError:
        return float("inf")  # What is over 65504 is no number any more.
    return log_odds_apart(before.score(clips).fake, found)


def _casts(node: NodeProto, to: int) -> bool:
    return node.op_type == "Cast" and node.attribute[0].i == to


def _cast(source: str, result: str, to: int) -> NodeProto:
    return helper.make_node("Cast", [source], [result], f"{result}/cast", to=to)


def _widen(tensor: TensorProto) -> None:
    if tensor.data_type == TensorProto.FLOAT16:
        array: NDArray[np.float32] = numpy_helper.to_array(tensor).astype(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))


def _replace_nodes(graph: onnx.GraphProto, nodes: list[NodeProto]) -> None:
    kept = [copy.deepcopy(node) for node in nodes]
    del graph.node[:]
    graph.node.extend(kept)
