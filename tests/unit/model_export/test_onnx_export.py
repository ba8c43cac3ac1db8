"""The exported ONNX model computes what Keras computes, says what it is, or is not written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from model_export import onnx_export
from model_export.clrnet import CLRNet
from model_export.detector import Detector
from model_export.errors import ExportError
from model_export.import_contract import Provenance, import_contract
from model_export.keras_import import ImportedModel, import_keras
from model_export.onnx_export import export, random_clips, weights_sha256
from model_export.scaling import Scaling
from service.classifier.contract import CAM_NAME, INPUT_NAME, PROBABILITY_NAME, ModelContract
from tests.shared import SHARED, needs_shared

from .parity import GOLDEN, ODD, OLD, PROBABILITY, RELATIVE, SMALL, difference, load, relative

Outputs = dict[str, NDArray[np.float32]]


def contract(model: Detector, steps: int, height: int, width: int) -> ModelContract:
    """A contract that fits ``model``."""
    imported = ImportedModel(model, (height, width), steps, "none", weights_sha256(model))
    return import_contract(imported, Provenance("test"))


def run(path: Path, clips: NDArray[np.generic]) -> Outputs:
    """What ONNX Runtime answers."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, {INPUT_NAME: clips}), strict=True))


def small() -> CLRNet:
    """A network that is quick to export, its statistics not trivial."""
    torch.manual_seed(0)
    model = CLRNet(8, (1,))
    with torch.no_grad():
        model.train()(torch.rand(4, 2, 3, 40, 40))
    return model.eval()


@pytest.mark.parametrize(
    ("weights", "folder", "size"),
    [(SMALL / "weights_only.h5", SMALL, 64), (OLD / "weights_only.h5", ODD, 97)],
)
def test_clrnet_on_pixels_equals_keras(
    weights: Path, folder: Path, size: int, tmp_path: Path
) -> None:
    imported = import_keras(weights, "clrnet", size)
    path = tmp_path / "clrnet.onnx"
    report = export(imported.model, path, import_contract(imported, Provenance("clrnet")))
    golden = load(folder / "golden_uint8.npz")
    found = run(path, golden["x"])
    probability = difference(found[PROBABILITY_NAME], golden["prob"][:, 0])
    cam = relative(found[CAM_NAME], golden["cam_fake"])
    print(f"{folder.name}: fake_probability {probability:.1e}, cam {cam:.1e}; {report}")
    assert probability <= PROBABILITY
    assert cam <= RELATIVE


@needs_shared("models", "mesonet")
@pytest.mark.parametrize("weights", ["Meso4_F2F", "MesoInception_DF"])
def test_mesonet_on_pixels_equals_keras(weights: str, tmp_path: Path) -> None:
    architecture = "mesoinception4" if "Inception" in weights else "meso4"
    imported = import_keras(SHARED / "models" / "mesonet" / f"{weights}.h5", architecture)
    path = tmp_path / "meso.onnx"
    export(imported.model, path, import_contract(imported, Provenance("meso")))
    golden = load(SHARED / "golden" / "mesonet" / "golden.npz")
    found = run(path, golden["x_uint8"][:, None])
    assert set(found) == {PROBABILITY_NAME}
    worst = difference(1 - found[PROBABILITY_NAME], golden[f"p_real_{weights}"])
    print(f"{weights}: {worst:.1e}")
    assert worst <= PROBABILITY


def test_shallownet_exports(tmp_path: Path) -> None:
    imported = import_keras(GOLDEN / "shallownet" / "weights_only.h5", "shallownetv3")
    path = tmp_path / "shallow.onnx"
    report = export(imported.model, path, import_contract(imported, Provenance("shallow")))
    assert report.probability_difference <= PROBABILITY
    assert run(path, random_clips((3, 1, 40, 40, 3)))[PROBABILITY_NAME].shape == (3,)


@pytest.mark.parametrize(("steps", "height", "width"), [(1, 33, 33), (2, 50, 39), (3, 64, 47)])
def test_clip_lengths_sizes_and_batches(
    steps: int, height: int, width: int, tmp_path: Path
) -> None:
    model, path = small(), tmp_path / "model.onnx"
    export(model, path, contract(model, steps, height, width))
    clips = random_clips((7, steps, height, width, 3), seed=9)
    together = run(path, clips)
    alone = [run(path, clip[None]) for clip in clips]
    with torch.no_grad():
        features = model.features(Scaling()(torch.from_numpy(clips).permute(0, 1, 4, 2, 3)))
        wanted = model.fake_probability(model.classify(features)).numpy()
        cam = model.cam(features).numpy()
    assert wanted.std() > 1e-4
    graph = onnx.load(path).graph
    used = {name for node in graph.node for name in node.input}
    assert {tensor.name for tensor in graph.initializer} <= used
    assert difference(together[PROBABILITY_NAME], wanted) <= PROBABILITY
    assert relative(together[CAM_NAME], cam) <= RELATIVE
    for name in together:
        np.testing.assert_allclose(
            np.concatenate([outputs[name] for outputs in alone]), together[name], atol=1e-6
        )


def test_the_file_describes_itself_and_nothing_of_its_maker(tmp_path: Path) -> None:
    model, path = small(), tmp_path / "model.onnx"
    told = contract(model, 2, 40, 40)
    report = export(model, path, told)
    graph = onnx.load(path)
    metadata = {item.key: item.value for item in graph.metadata_props}
    assert ModelContract.parse(metadata) == told
    assert metadata["weights_sha256"] == weights_sha256(model)
    (clips,) = graph.graph.input
    assert clips.type.tensor_type.elem_type == onnx.TensorProto.UINT8
    axes = clips.type.tensor_type.shape.dim
    assert [axis.dim_param or axis.dim_value for axis in axes] == ["N", 2, 40, 40, 3]
    assert {opset.domain for opset in graph.opset_import} <= {"", "ai.onnx"}
    assert b".py" not in path.read_bytes()
    assert report.bytes_written == path.stat().st_size
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_half_precision_weights_halve_the_file(tmp_path: Path) -> None:
    model = small().train()
    before = weights_sha256(model)
    full = export(model, tmp_path / "full.onnx", contract(model, 2, 40, 40))
    half = export(model, tmp_path / "half.onnx", contract(model, 2, 40, 40), half_weights=True)
    assert half.bytes_written < 0.62 * full.bytes_written
    assert half.probability_difference <= PROBABILITY
    assert weights_sha256(model) == before
    assert model.training
    clips = random_clips((3, 2, 40, 40, 3))
    one, other = run(full.path, clips), run(half.path, clips)
    assert 0 < difference(one[PROBABILITY_NAME], other[PROBABILITY_NAME]) < 1e-2
    metadata = {item.key: item.value for item in onnx.load(half.path).metadata_props}
    assert metadata["precision"] == "float16 weights, float32 sums"


def test_weights_too_large_for_half_precision(tmp_path: Path) -> None:
    model = small()
    with torch.no_grad():
        model.stem.weight[0, 0, 0, 0] = 1e5
    with pytest.raises(ExportError, match="half precision"):
        export(model, tmp_path / "x.onnx", contract(model, 2, 40, 40), half_weights=True)


def test_scaling_of_a_model_of_our_own_is_in_the_graph(tmp_path: Path) -> None:
    model, path, scaling = small(), tmp_path / "model.onnx", Scaling(63.75, -2.0)
    export(model, path, contract(model, 1, 40, 40), scaling=scaling)
    clips = random_clips((2, 1, 40, 40, 3))
    x = (torch.from_numpy(clips).permute(0, 1, 4, 2, 3).float() / 255 - 0.5) * 4
    torch.testing.assert_close(scaling(torch.from_numpy(clips)), x.permute(0, 1, 3, 4, 2))
    with torch.no_grad():
        wanted = model.fake_probability(model(x)).numpy()
    assert difference(run(path, clips)[PROBABILITY_NAME], wanted) <= PROBABILITY


def spoil(monkeypatch: pytest.MonkeyPatch, change: Callable[[onnx.GraphProto], None]) -> None:
    """Change graphs before they are compared with PyTorch."""
    expand = onnx_export.layout.expand

    def wrong(graph: onnx.ModelProto, *, plain: bool) -> None:
        expand(graph, plain=plain)
        change(graph.graph)

    monkeypatch.setattr(onnx_export.layout, "expand", wrong)


def test_an_export_that_differs_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_gates(graph: onnx.GraphProto) -> None:
        gates = [node for node in graph.node if node.op_type == "HardSigmoid"]
        for node in gates:
            next(item for item in node.attribute if item.name == "alpha").f = 1 / 6

    model, path = small(), tmp_path / "model.onnx"
    path.write_bytes(b"what was there")
    spoil(monkeypatch, other_gates)
    with pytest.raises(ExportError, match="differs from PyTorch"):
        export(model, path, contract(model, 2, 40, 40))
    assert path.read_bytes() == b"what was there"
    assert [file.name for file in tmp_path.iterdir()] == ["model.onnx"]


def test_a_network_that_is_sure_cannot_hide_a_difference(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its probabilities are next to nothing whatever the graph does; its log-odds are not."""
    bias = np.array([-6.0, 7.0], np.float32)

    def other_bias(graph: onnx.GraphProto) -> None:
        (tensor,) = [
            each for each in graph.initializer if np.array_equal(numpy_helper.to_array(each), bias)
        ]
        tensor.CopyFrom(numpy_helper.from_array(bias + np.array([0.5, 0], np.float32), tensor.name))

    model, path = small(), tmp_path / "model.onnx"
    with torch.no_grad():
        model.head.bias[:] = torch.from_numpy(bias)
    report = export(model, path, contract(model, 2, 40, 40))
    assert report.log_odds_difference < 1e-3
    path.unlink()
    spoil(monkeypatch, other_bias)
    with pytest.raises(ExportError, match=r"by 5\.0e-01 in its log-odds") as caught:
        export(model, path, contract(model, 2, 40, 40))
    difference = float(str(caught.value).split(" by ")[1].split()[0])
    assert 0 < difference <= onnx_export.PROBABILITY_TOLERANCE
    assert not path.exists()


def test_what_single_precision_rounds_is_no_difference() -> None:
    sure = np.array([1.0, 1 - 2**-24, 1 - 2**-22], np.float32)
    found = onnx_export.log_odds_apart(sure, np.nextafter(sure, np.float32(0)))
    assert found == 0
    small_ones = np.array([1e-6], np.float32)
    found = onnx_export.log_odds_apart(small_ones, 5 * small_ones)
    assert found == pytest.approx(np.log(5), rel=1e-4)
    assert onnx_export.log_odds_apart(0 * small_ones, small_ones * 0.01) == 0


def test_not_a_number_is_not_written(tmp_path: Path) -> None:
    model = small()
    with torch.no_grad():
        model.head.bias[0] = float("nan")
    with pytest.raises(ExportError, match="not finite"):
        export(model, tmp_path / "model.onnx", contract(model, 1, 40, 40))
    assert not list(tmp_path.iterdir())


def test_a_contract_for_another_architecture_is_refused(tmp_path: Path) -> None:
    model = small()
    other = contract(model, 1, 40, 40).model_copy(update={"architecture": "xception"})
    with pytest.raises(ExportError, match="says xception, not clrnet"):
        export(model, tmp_path / "model.onnx", other)


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    model = small()
    with pytest.raises(ExportError, match="cannot be written"):
        export(model, tmp_path / "absent" / "model.onnx", contract(model, 1, 40, 40))
