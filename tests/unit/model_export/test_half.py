"""Models in float16: as good as their source, in float32 where range matters, or not written."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, numpy_helper
from typer.testing import CliRunner

from model_export import half as module
from model_export.cli import app
from model_export.errors import ExportError
from model_export.half import LOG_ODDS_TOLERANCE, half, halved, rounding
from model_export.import_contract import Provenance, import_contract
from model_export.keras_import import ImportedModel
from model_export.onnx_export import export, log_odds_apart, random_clips, weights_sha256
from model_export.quantisation.layers import widened
from service.classifier.classifier import Classifier, ClipScores, load_classifier
from service.runtime import open_session
from tests.networks import SMALL, one_thread, small

__all__ = ["one_thread"]


def exported(architecture: str, path: Path, steps: int = 5, **options: bool) -> Path:
    """A small network as a model of ours, plain unless ``options`` say otherwise."""
    model, size = small(architecture).eval(), SMALL[architecture].size
    imported = ImportedModel(model, (size, size), steps, "none", weights_sha256(model))
    contract = import_contract(imported, Provenance(architecture, alignment="clip"))
    export(model, path, contract, **{"plain": True, **options})
    return path


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported("clrnet", tmp_path_factory.mktemp("model") / "small.onnx")


def scores(model: Path | onnx.ModelProto, seed: int = 1) -> ClipScores:
    """Of random clips that no check has seen, maps too."""
    data = model.read_bytes() if isinstance(model, Path) else model.SerializeToString()
    classifier = Classifier(data, device="cpu", threads=1)
    told = classifier.contract
    size = (told.clip_length, told.input_height, told.input_width, 3)
    return classifier.score(random_clips((6, *size), seed), cam=classifier.has_cam)


@pytest.mark.parametrize(
    ("architecture", "steps"), [("clrnet", 5), ("mesoinception4", 1), ("cnn_lstm", 5)]
)
def test_scores_are_near_the_source_with_every_result_rounded(
    architecture: str, steps: int, tmp_path: Path
) -> None:
    path = exported(architecture, tmp_path / "plain.onnx", steps)
    made = half(path, tmp_path / "half.onnx")
    wanted = scores(path)
    for found in (
        scores(tmp_path / "half.onnx"),
        scores(rounding(onnx.load(tmp_path / "half.onnx"))),
    ):
        assert log_odds_apart(wanted.fake, found.fake) < LOG_ODDS_TOLERANCE
        if wanted.cam is not None:
            assert found.cam is not None
            np.testing.assert_allclose(found.cam, wanted.cam, atol=0.02 * np.abs(wanted.cam).max())
    assert made.log_odds_difference <= LOG_ODDS_TOLERANCE
    assert made.bytes_after < 0.9 * made.bytes_before


def test_products_are_in_float16_and_scaling_and_sums_are_not(source: Path, tmp_path: Path) -> None:
    half(source, tmp_path / "half.onnx")
    graph = onnx.shape_inference.infer_shapes(onnx.load(tmp_path / "half.onnx")).graph
    types = {
        value.name: value.type.tensor_type.elem_type
        for value in (*graph.input, *graph.value_info, *graph.output)
    }
    assert types["clips"] == TensorProto.UINT8
    assert {types[each.name] for each in graph.output} == {TensorProto.FLOAT}
    found = {node.op_type: types[node.output[0]] for node in graph.node}
    for operator in ("Conv", "HardSigmoid", "Tanh", "BatchNormalization", "Relu"):
        assert found[operator] == TensorProto.FLOAT16, operator
    for operator in ("Div", "ReduceMean", "Gemm", "Softmax", "Gather", "Einsum"):
        assert found[operator] == TensorProto.FLOAT, operator
    # One way in and one way out: what stays in float32 is not led through float16 in between.
    casts = [node.attribute[0].i for node in graph.node if node.op_type == "Cast"]
    assert sorted(casts) == [TensorProto.FLOAT, TensorProto.FLOAT, TensorProto.FLOAT16]


def test_it_says_what_it_is(source: Path, tmp_path: Path) -> None:
    half(source, tmp_path / "half.onnx")
    before, after = (
        load_classifier(path, device="cpu").contract for path in (source, tmp_path / "half.onnx")
    )
    assert after.precision.startswith("float16; ")
    assert after.name == f"{before.name}-half"
    assert after.model_copy(update={"name": before.name, "precision": before.precision}) == before


def test_weights_stored_in_half_precision_are_taken_too(tmp_path: Path) -> None:
    path = exported("clrnet", tmp_path / "stored.onnx", half_weights=True)
    half(path, tmp_path / "half.onnx")
    wanted, found = scores(path), scores(tmp_path / "half.onnx")
    assert log_odds_apart(wanted.fake, found.fake) < LOG_ODDS_TOLERANCE


def test_what_overflows_is_refused_though_a_processor_would_not_notice(
    source: Path, tmp_path: Path
) -> None:
    """Twice 1024 times as large and twice a 1024th of that: over 65504 in between."""
    model = onnx.load(source)
    for name, value in (("more", 1024.0), ("less", 1 / 1024)):
        tensor = numpy_helper.from_array(np.array(value, np.float32), name)
        model.graph.initializer.append(tensor)
    nodes = list(model.graph.node)
    at = next(n for n, node in enumerate(nodes) if node.op_type == "BatchNormalization")
    value = nodes[at].input[0]
    for number, factor in enumerate(("more", "more", "less", "less")):
        made = f"scaled{number}"
        model.graph.node.insert(
            at + number, onnx.helper.make_node("Mul", [value, factor], [made], made)
        )
        value = made
    model.graph.node[at + 4].input[0] = value
    onnx.save(model, tmp_path / "large.onnx")
    with pytest.raises(ExportError, match="in float16 the log-odds differ"):
        half(tmp_path / "large.onnx", tmp_path / "half.onnx")
    assert not (tmp_path / "half.onnx").exists()


def test_graphs_for_processors_are_refused(tmp_path: Path) -> None:
    path = exported("clrnet", tmp_path / "rows.onnx", plain=False)
    with pytest.raises(ExportError, match="--plain"):
        half(path, tmp_path / "half.onnx")


def test_more_than_the_tolerance_is_not_written(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOG_ODDS_TOLERANCE", 1e-9)
    with pytest.raises(ExportError, match="no file was written"):
        half(source, tmp_path / "half.onnx")
    assert not list(tmp_path.iterdir())


def test_a_recurrent_operator_whose_outputs_are_not_all_named(tmp_path: Path) -> None:
    path = exported("dbirnn", tmp_path / "plain.onnx")
    made = halved(widened(onnx.load(path)))
    onnx.checker.check_model(made)
    assert log_odds_apart(scores(path).fake, scores(made).fake) < LOG_ODDS_TOLERANCE


def test_the_command(source: Path, tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["half", str(source), "-o", str(tmp_path / "half.onnx")])
    assert done.exit_code == 0, done.output
    assert "log-odds differ by at most 0.0" in done.output
    refused = CliRunner().invoke(
        app, ["half", str(tmp_path / "half.onnx"), "-o", str(tmp_path / "absent" / "half.onnx")]
    )
    assert refused.exit_code == 1


def test_rounding_does_round() -> None:
    """The check must not be one that a processor optimises away."""
    nodes = [
        onnx.helper.make_node("Cast", ["x"], ["short"], "in", to=TensorProto.FLOAT16),
        onnx.helper.make_node("Mul", ["short", "three"], ["large"], "large"),
        onnx.helper.make_node("Mul", ["large", "third"], ["back"], "back"),
        onnx.helper.make_node("Cast", ["back"], ["y"], "out", to=TensorProto.FLOAT),
    ]
    weights = [
        numpy_helper.from_array(np.array(value, np.float16), name)
        for name, value in (("three", 3000), ("third", 1 / 4096))
    ]
    x, y = (onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("x", "y"))
    graph = onnx.helper.make_graph(nodes, "graph", [x], [y], weights)
    opset = [onnx.helper.make_opsetid("", 20)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=10)
    session = open_session(rounding(model).SerializeToString())
    found = session.run(None, {"x": np.array([1.0001, 30], np.float32)})[0]
    assert found[0] == np.float32(np.float16(3000) * np.float16(1 / 4096))
    assert np.isinf(found[1])
