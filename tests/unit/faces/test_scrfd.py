"""The InsightFace adapter: which file it takes, the input size it runs at, the boxes it gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest

from service.errors import ModelError
from service.faces.scrfd import SCRFD, canonical_box, input_size
from tests.shared import SHARED, needs_shared
from tests.unit.faces.photograph import assert_six_faces, six_people
from tests.unit.faces.scrfd_model import bright_cell_model

MODELS = ("models", "insightface")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "secret-place" / "det_bright.onnx"
    path.parent.mkdir()
    path.write_bytes(bright_cell_model().SerializeToString())
    return path


@pytest.mark.parametrize(
    ("frame", "size"),
    [
        ((720, 1280), (320, 192)),
        ((1280, 720), (192, 320)),
        ((512, 512), (320, 320)),
        ((480, 640), (320, 256)),
        ((360, 640), (320, 192)),
        ((10, 5000), (320, 32)),
    ],
)
def test_the_input_follows_the_frame(frame: tuple[int, int], size: tuple[int, int]) -> None:
    assert input_size(*frame, 320) == size


@pytest.mark.parametrize("side", [160, 320, 640])
def test_a_file_of_fixed_size_runs_at_the_size_asked_for(model: Path, side: int) -> None:
    frame = np.zeros((640, 640, 3), dtype=np.uint8)
    # A bright square of one coarsest cell at that input size.
    cell = 640 * 32 // side
    frame[cell : 2 * cell, 2 * cell : 3 * cell] = 255
    boxes, _ = SCRFD(model, input_side=side).network_output(frame)
    sides = boxes[:, 2] - boxes[:, 0]
    assert sides.max() == pytest.approx(2 * 2.0 * cell, rel=0.01)
    largest = boxes[sides.argmax()]
    assert largest[:2] == pytest.approx((0.0, -cell), abs=1)


def test_gives_mapped_boxes_scores_and_landmarks(model: Path) -> None:
    frame = np.zeros((360, 640, 3), dtype=np.uint8)
    frame[64:128, 192:256] = 255
    detector = SCRFD(model)
    boxes, points = detector.network_output(frame)
    found = detector.detect(frame)
    assert found
    for face, row, landmarks in zip(found, boxes, points, strict=True):
        assert face.box == canonical_box(row[:4])
        assert face.score == pytest.approx(float(row[4]))
        np.testing.assert_array_equal(face.landmarks, landmarks)
        assert face.landmarks.dtype == np.float32
    assert detector.detect(np.zeros_like(frame)) == []


def test_colours_are_taken_as_rgb(tmp_path: Path) -> None:
    bright = bright_cell_model()
    for weight in bright.graph.initializer:
        array = onnx.numpy_helper.to_array(weight).copy()
        if array.ndim == 4 and array.any():
            array[:, 0] *= 3
            array[:, 1:] = 0
            weight.CopyFrom(onnx.numpy_helper.from_array(array, weight.name))
    path = tmp_path / "red.onnx"
    path.write_bytes(bright.SerializeToString())
    detector = SCRFD(path)
    for channel, seen in ((0, True), (2, False)):
        frame = np.zeros((320, 320, 3), dtype=np.uint8)
        frame[64:128, 64:128, channel] = 255
        assert bool(detector.detect(frame)) is seen


def test_a_pack_folder_is_searched_for_its_detector(model: Path) -> None:
    other = bright_cell_model()
    del other.graph.output[1:]
    (model.parent / "det_aaa.onnx").write_bytes(other.SerializeToString())
    (model.parent / "genderage.onnx").write_bytes(b"not looked at")
    assert SCRFD(model.parent).detect(np.zeros((64, 64, 3), dtype=np.uint8)) == []


def broken(folder: Path, name: str) -> Path:
    path = folder / name
    whole = bright_cell_model()
    if name == "missing.onnx":
        return path
    if name == "empty-pack":
        path.mkdir()
        return path
    if name == "text.onnx":
        path.write_text("a face detector")
    if name == "truncated.onnx":
        path.write_bytes(whole.SerializeToString()[:-40])
    if name == "no-landmarks.onnx":
        path.write_bytes(bright_cell_model(outputs=6).SerializeToString())
    if name == "nine-outputs.onnx":
        path.write_bytes(nine_copies().SerializeToString())
    if name == "disconnected.onnx":
        del whole.graph.node[3]
        path.write_bytes(whole.SerializeToString())
    return path


def nine_copies() -> onnx.ModelProto:
    """A model that has as many outputs as a detector, all of them its input."""
    floats = onnx.TensorProto.FLOAT
    names = [f"o{number}" for number in range(9)]
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["x"], [name]) for name in names],
        "copies",
        [onnx.helper.make_tensor_value_info("x", floats, [1, 3, 640, 640])],
        [onnx.helper.make_tensor_value_info(name, floats, [1, 3, 640, 640]) for name in names],
    )
    opsets = [onnx.helper.make_opsetid("", 18)]
    return onnx.helper.make_model(graph, opset_imports=opsets, ir_version=10)


@pytest.mark.parametrize(
    "name",
    [
        "missing.onnx",
        "empty-pack",
        "text.onnx",
        "truncated.onnx",
        "no-landmarks.onnx",
        "disconnected.onnx",
        "nine-outputs.onnx",
    ],
)
def test_what_is_no_detector_is_named_without_its_folder(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "secret-place"
    folder.mkdir()
    with pytest.raises(ModelError, match=name) as caught:
        SCRFD(broken(folder, name))
    assert "secret-place" not in str(caught.value)


@pytest.mark.parametrize("shape", [(2, 1000), (1000, 2), (4, 2304), (1, 1)])
def test_a_strip_of_a_frame_has_no_face(model: Path, shape: tuple[int, int]) -> None:
    assert SCRFD(model).detect(np.full((*shape, 3), 20, np.uint8)) == []


def test_an_input_side_below_one_stride_is_refused(model: Path) -> None:
    with pytest.raises(ValueError, match="input_side"):
        SCRFD(model, input_side=16)


@needs_shared(*MODELS)
@pytest.mark.parametrize("name", ["scrfd_2.5g_kps.onnx", "scrfd_500m_kps.onnx"])
def test_released_models_find_the_six_people(name: str) -> None:
    assert_six_faces(SCRFD(SHARED.joinpath(*MODELS, name)).detect(six_people()), least_iou=0.7)
