"""Models in int8: as good as what they were made from, honest about it, or not written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from typer.testing import CliRunner

from model_export.cli import app
from model_export.data.prepared import PreparedDataset
from model_export.errors import DataError, EvaluationError, ExportError
from model_export.evaluation.calibration import log_odds
from model_export.quantisation import recipe
from model_export.quantisation.calibrating import Calibration, calibrate, draw
from model_export.quantisation.layers import layers, widened
from model_export.quantisation.recipe import quantise
from model_export.quantisation.sensitivity import Sensitivity, left_out
from service.classifier.classifier import load_classifier
from service.session import OPENVINO
from tests.unit.model_export.evaluation.made import grey, prepared

from .made import CLIPS, LENGTH, SIZE, clips, dataset, trained


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> PreparedDataset:
    return dataset(tmp_path_factory.mktemp("data") / "prepared")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return trained(tmp_path_factory.mktemp("model") / "small.onnx")


@pytest.fixture(scope="module")
def fast(source: Path, people: PreparedDataset) -> Path:
    path = source.with_name("fast.onnx")
    quantise(source, path, people, clips=6, draws=20)
    return path


def logits(path: Path, pixels: np.ndarray, runtime: str = "onnxruntime") -> np.ndarray:
    classifier = load_classifier(path, device="cpu", runtime=runtime)
    return log_odds(classifier.score(pixels).fake.astype(np.float64))


def test_scores_are_near_those_it_was_made_from_on_clips_it_never_saw(
    source: Path, fast: Path
) -> None:
    pixels = np.concatenate([clips(900, 20, 8), clips(901, 24, 8)])
    wanted, found = logits(source, pixels), logits(fast, pixels)
    assert wanted.std() > 1
    apart = np.sqrt(np.mean((found - wanted) ** 2))
    print(f"{apart:.3f} of {wanted.std():.2f}")
    assert 0 < apart < 2 * recipe.ERROR
    other = logits(fast, pixels, "openvino")
    assert np.sqrt(np.mean((other - wanted) ** 2)) < 2 * recipe.ERROR


def test_weights_are_int8_and_sums_exact_on_processors_that_saturate(fast: Path) -> None:
    """Seven bits: two products of 255 and 64 fit into the 16 bits in which they are added."""
    graph = onnx.load(fast).graph
    scales = {tensor.name: tensor for tensor in graph.initializer}
    kernels = [
        numpy_helper.to_array(tensor)
        for tensor in graph.initializer
        if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(kernels) > 3
    assert max(int(np.abs(kernel.astype(int)).max()) for kernel in kernels) <= 64
    per_channel = [
        scales[node.input[1]].dims
        for node in graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in scales
        if len(scales[node.input[0]].dims) == 4
    ]
    assert all(len(dims) == 1 and dims[0] > 1 for dims in per_channel)


def test_optimised_it_computes_what_its_graph_says(fast: Path) -> None:
    pixels = clips(902, 22, 8)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    literal = onnxruntime.InferenceSession(str(fast), options, providers=["CPUExecutionProvider"])
    wanted = literal.run(["fake_probability"], {"clips": pixels})[0]
    np.testing.assert_allclose(logits(fast, pixels), log_odds(wanted.astype(float)), atol=0.02)


def test_it_says_what_it_is_and_what_it_costs(source: Path, fast: Path) -> None:
    theirs = load_classifier(source, device="cpu").contract
    ours = load_classifier(fast, device="cpu").contract
    assert ours.name == "small-int8"
    assert ours.precision.startswith("int8")
    assert (ours.weights_sha256, ours.operating_point) == (
        theirs.weights_sha256,
        theirs.operating_point,
    )
    figures = {metric.name: metric for metric in ours.metrics}
    assert figures["source's clip_auc"].value == 0.9
    assert "clip_auc" in figures
    assert "face verdicts unlike the source's" in figures
    assert figures["clip_auc"].data.startswith(f"{3 * CLIPS} forged and {3 * CLIPS} real clips")
    assert ours.notice.startswith("A test's. In int8")
    large = [
        tensor.name
        for tensor in onnx.load(fast).graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and np.prod(tensor.dims) >= 1024
    ]
    assert f"; {len(large)} of " in ours.precision
    assert load_classifier(fast, device="cpu", runtime="openvino").provider == OPENVINO


def test_a_wrong_calibration_is_not_written(
    source: Path, people: PreparedDataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of_black_pictures(model, found, pixels, progress=None):  # type: ignore[no-untyped-def]
        return calibrate(model, found, 0 * pixels, progress)

    def everything_is_good(*_: object) -> list[Sensitivity]:
        return []

    monkeypatch.setattr(recipe, "calibrate", of_black_pictures)
    monkeypatch.setattr(recipe, "left_out", everything_is_good)
    with pytest.raises(ExportError, match=r"log-odds differ by .*no file was written"):
        quantise(source, tmp_path / "fast.onnx", people, clips=6, draws=20)
    assert not list(tmp_path.iterdir())


def test_layers_that_cost_too_much_stay_in_float32(
    source: Path, people: PreparedDataset, tmp_path: Path
) -> None:
    loose = quantise(source, tmp_path / "a.onnx", people, clips=4, error=10, draws=20)
    strict = quantise(source, tmp_path / "b.onnx", people, clips=4, error=0.02, draws=20)
    assert not loose.kept
    assert 0 < len(strict.kept) < len(strict.measured)
    assert strict.error < loose.error
    assert f"{len(strict.kept)} of {len(strict.measured)} layers" in strict.contract.precision


def test_what_adds_most_for_its_work_is_left_out_first(source: Path) -> None:
    found = layers(widened(onnx.load(source)))
    dear = Sensitivity(found[0], 0.3, 0.5, share=0.9)
    cheap = Sensitivity(found[1], 0.2, 0.5, share=0.01)
    small = Sensitivity(found[2], 0.01, 0.1, share=0.09)
    assert left_out([dear, cheap, small], 0.31) == [cheap]
    assert left_out([dear, cheap, small], 0.1) == [cheap, dear]
    assert left_out([dear, cheap, small], 1.0) == []


def test_sums_are_counted_as_the_graph_multiplies(source: Path) -> None:
    model = widened(onnx.load(source))
    found = layers(model)
    sums: Calibration = calibrate(model, found, clips(0, 20, 1))
    stem = {each.weight: sums.sums[each.weight] for each in found if "stem" in each.weight}
    half = SIZE // 2
    assert stem == {
        "model.stem.weight": 7 * 7 * 3 * 32 * half * half * LENGTH,
        "model.stem.recurrent_weight": 7 * 7 * 8 * 32 * half * half * (LENGTH - 1),
    }


def test_clips_are_drawn_from_all_videos_and_none_twice(people: PreparedDataset) -> None:
    drawn = draw(people, "train", 6, LENGTH, seed=0)
    theirs = [people.load(row.video.id).pixels for row in people.videos("train")]
    places = [
        (number, index)
        for clip in drawn
        for number, pixels in enumerate(theirs)
        for index, one in enumerate(pixels)
        if np.array_equal(one, clip)
    ]
    assert sorted(number for number, _ in places) == list(range(6))
    everything = draw(people, "train", 1000, LENGTH, seed=0)
    assert len(np.unique(everything.reshape(len(everything), -1), axis=0)) == 6 * CLIPS
    assert draw(people, "train", 2, 3, seed=0).shape == (2, 3, SIZE, SIZE, 3)


def spoilt(source: Path, path: Path, change: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(source)
    change(model)
    onnx.save(model, path)
    return path


def test_what_cannot_be_quantised_is_refused(
    source: Path, fast: Path, people: PreparedDataset, tmp_path: Path
) -> None:
    output = tmp_path / "out" / "fast.onnx"
    output.parent.mkdir()

    def refused(model: Path, data: PreparedDataset, words: str) -> None:
        with pytest.raises((DataError, EvaluationError, ExportError), match=words):
            quantise(model, output, data, clips=4, draws=20)
        assert not list(output.parent.iterdir())

    refused(fast, people, "quantised already")
    foreign = spoilt(
        source, tmp_path / "foreign.onnx", lambda model: model.ClearField("metadata_props")
    )
    refused(foreign, people, r"foreign\.onnx.*lacks the key 'name'")
    small = [("a", "p", "real", "train", grey(2, 9, size=24))]
    refused(source, prepared(tmp_path / "small", small, size=24), "32x32.*24x24")
    train_only = [("a", "p", "real", "train", grey(2, 9))]
    refused(source, prepared(tmp_path / "one", train_only), "no clips of the part 'validation'")
    short = [("a", "p", "real", "train", grey(2, 9, length=3))]
    refused(source, prepared(tmp_path / "short", short, length=3), "clips of 3 frames, not of 5")
    with pytest.raises(ExportError, match="cannot be written: there is no folder"):
        quantise(source, tmp_path / "absent" / "fast.onnx", people)


def test_a_graph_without_plain_products_is_refused(source: Path) -> None:
    def kernels_are_computed(model: onnx.ModelProto) -> None:
        for node in model.graph.node:
            if node.op_type == "Conv":
                node.input[1] += "/computed"

    model = widened(onnx.load(source))
    kernels_are_computed(model)
    with pytest.raises(ExportError, match="exported plainly"):
        layers(model)


def test_the_commands(source: Path, people: PreparedDataset, tmp_path: Path) -> None:
    fast, runner = tmp_path / "fast.onnx", CliRunner()
    arguments = [str(source), str(people.folder), "-o", str(fast), "--clips", "4", "--draws", "20"]
    made = runner.invoke(app, ["quantise", *arguments])
    assert made.exit_code == 0, made.output
    assert "layers stay in float32" in made.output
    assert fast.exists()
    both = ["cost", str(source), str(source), str(people.folder), "--draws", "20"]
    same = runner.invoke(app, [*both, "--runtime", "openvino"], terminal_width=200)
    assert same.exit_code == 0, same.output
    assert "in openvino, float32" in same.output
    refused = runner.invoke(app, [*both, "--arithmetic", "bfloat16"])
    assert refused.exit_code == 1
    assert "only OpenVINO computes in it" in refused.output
