"""The embedded detector: weights, networks and the cascade on a photograph of six people."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray

from service.errors import ModelError
from service.faces import mtcnn, mtcnn_graphs
from service.faces.detector import Detection
from service.faces.geometry import Floats, suppress
from service.faces.mtcnn import MTCNN, MTCNNSettings
from service.runtime import open_session
from tests.unit.faces.photograph import SIX_FACES, assert_six_faces, six_people


@pytest.fixture(scope="module")
def detector() -> MTCNN:
    return MTCNN()


@pytest.fixture(scope="module")
def photograph() -> NDArray[np.uint8]:
    return six_people()


def test_finds_the_six_people(detector: MTCNN, photograph: NDArray[np.uint8]) -> None:
    found = detector.detect(photograph)
    assert_six_faces(found, least_iou=0.85)
    assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)
    assert min(face.score for face in found) > 0.95


def test_boxes_do_not_depend_on_the_size_of_the_frame(
    detector: MTCNN, photograph: NDArray[np.uint8]
) -> None:
    doubled = np.repeat(np.repeat(photograph, 2, axis=0), 2, axis=1)
    halves = [
        Detection(tuple(np.asarray(face.box) / 2), face.score, face.landmarks / 2)  # type: ignore[arg-type]
        for face in detector.detect(doubled)
    ]
    assert_six_faces(halves, least_iou=0.85)


def test_a_face_may_reach_beyond_the_frame(detector: MTCNN, photograph: NDArray[np.uint8]) -> None:
    x0, y0, x1, y1 = (int(value) for value in SIX_FACES[0])
    close = photograph[y0 + 8 : y1 - 8, x0 + 8 : x1 - 8]
    (face,) = detector.detect(np.ascontiguousarray(close))
    assert face.box[0] < 0
    assert face.box[3] > close.shape[0]


def test_smallest_face_is_a_setting(photograph: NDArray[np.uint8]) -> None:
    assert MTCNN(MTCNNSettings(smallest_face=150)).detect(photograph) == []
    with pytest.raises(ValueError, match="smallest_face"):
        MTCNN(MTCNNSettings(smallest_face=11))


@pytest.mark.parametrize("shape", [(1, 1), (8, 600), (600, 8), (40, 40), (13, 4000)])
def test_any_size_of_frame_is_taken(detector: MTCNN, shape: tuple[int, int]) -> None:
    assert detector.detect(np.full((*shape, 3), 90, dtype=np.uint8)) == []


def test_noise_holds_no_faces(detector: MTCNN) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    assert detector.detect(noise) == []


@pytest.mark.parametrize("size", [(360, 640), (443, 640), (97, 131)])
def test_levels_from_floats_are_those_from_bytes(
    size: tuple[int, int], photograph: NDArray[np.uint8]
) -> None:
    height, width = size
    noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    for rgb in (noise, mtcnn._resize(photograph, height, width)):
        for scale in (0.3, 0.2127, 0.151, 0.1):
            plain = mtcnn._resize(rgb, height * scale, width * scale)
            level = mtcnn._level(rgb.astype(np.float32), height * scale, width * scale)
            np.testing.assert_array_equal(level, plain)


def test_proposals_are_bounded(
    photograph: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers: list[int] = []

    def counted(boxes: Floats, *rest: Any, **named: Any) -> NDArray[np.intp]:
        numbers.append(len(boxes))
        return suppress(boxes, *rest, **named)

    monkeypatch.setattr(mtcnn, "suppress", counted)
    eager = MTCNN(MTCNNSettings(most_proposals=50, thresholds=(0.0, 0.0, 0.8)))
    eager.detect(photograph)
    assert max(numbers) == 50


def test_threads_share_a_detector(detector: MTCNN, photograph: NDArray[np.uint8]) -> None:
    alone = [face.box for face in detector.detect(photograph)]
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(detector.detect, [photograph] * 8):
            assert [face.box for face in found] == alone


def test_weights_of_another_version_are_refused_unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def explode(_: object) -> None:
        pytest.fail("unpickled bytes that were not checked")

    monkeypatch.setattr(mtcnn_graphs, "weight_bytes", lambda _: b"not the weights")
    monkeypatch.setattr(mtcnn_graphs.joblib, "load", explode)
    with pytest.raises(ModelError, match=r"pnet\.lz4 .*SHA-256"):
        mtcnn_graphs.load_weights("pnet")


def test_missing_weights_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise mtcnn_graphs.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(mtcnn_graphs.metadata, "distribution", missing)
    with pytest.raises(ModelError, match="package mtcnn"):
        MTCNN()


def numpy_network(
    network: mtcnn_graphs.Network, image: NDArray[np.uint8]
) -> list[NDArray[np.float64]]:
    """One network on one uint8 (side, side, 3) image, layer by layer as Keras defines them."""
    weights = [array.astype(np.float64) for array in mtcnn_graphs.load_weights(network)]
    pools = {"pnet": [(2, 1), None, None], "rnet": [(3, 1), (3, 0), None]}
    pools["onet"] = [(3, 1), (3, 0), (2, 1), None]
    x = (image.astype(np.float64) - 127.5) / 128
    for pool in pools[network]:
        kernel, bias, slope, weights = *weights[:3], weights[3:]
        windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(0, 1))
        x = np.einsum("hwcij,ijco->hwo", windows, kernel) + bias
        x = np.maximum(x, 0) + slope * np.minimum(x, 0)
        if pool:
            size, same = pool
            if same:
                total = [max((-(-n // 2) - 1) * 2 + size - n, 0) for n in x.shape[:2]]
                pads = [(t // 2, t - t // 2) for t in total]
                x = np.pad(x, [*pads, (0, 0)], constant_values=-np.inf)
            windows = np.lib.stride_tricks.sliding_window_view(x, (size, size), axis=(0, 1))
            x = windows[::2, ::2].max(axis=(-1, -2))
    if network == "pnet":
        outputs = [x @ weights[0][0, 0] + weights[1], x @ weights[2][0, 0] + weights[3]]
        outputs = [output[0, 0] for output in outputs]
    else:
        x = x.transpose(1, 0, 2).reshape(-1)
        kernel, bias, slope, weights = *weights[:3], weights[3:]
        x = x @ kernel + bias
        x = np.maximum(x, 0) + slope * np.minimum(x, 0)
        outputs = [x @ weights[i] + weights[i + 1] for i in range(0, len(weights), 2)]
    odds = np.exp(outputs[-1] - outputs[-1].max())
    return [*outputs[:-1], odds[1] / odds.sum()]


@pytest.mark.parametrize("network", ["pnet", "rnet", "onet"])
def test_graphs_compute_what_keras_defines(network: mtcnn_graphs.Network) -> None:
    side = mtcnn_graphs.SIDE[network]
    images = np.random.default_rng(1).integers(0, 256, (3, side, side, 3), dtype=np.uint8)
    results = open_session(mtcnn_graphs.build(network)).run(None, {"images": images})
    for index, image in enumerate(images):
        for result, wanted in zip(results, numpy_network(network, image), strict=True):
            np.testing.assert_allclose(np.squeeze(result[index]), wanted, atol=2e-5)


@pytest.mark.parametrize("network", ["pnet", "rnet", "onet"])
def test_slopes_in_steps_of_their_own_change_no_bit(
    network: mtcnn_graphs.Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    side = mtcnn_graphs.SIDE[network]
    images = np.random.default_rng(1).integers(0, 256, (5, side, side, 3), dtype=np.uint8)
    quick = open_session(mtcnn_graphs.build(network)).run(None, {"images": images})
    monkeypatch.setattr(
        mtcnn_graphs._Graph,
        "prelu",
        lambda graph, value, slope: graph.add("PRelu", [value, graph.constant(slope)]),
    )
    plain = open_session(mtcnn_graphs.build(network)).run(None, {"images": images})
    for one, other in zip(quick, plain, strict=True):
        np.testing.assert_array_equal(one, other)


def test_graphs_are_complete_models() -> None:
    model = onnx.load_model_from_string(mtcnn_graphs.build("onet"))
    assert [output.name for output in model.graph.output] == ["offsets", "landmarks", "face"]
