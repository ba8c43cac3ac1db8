"""Loading and running ONNX models."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto

from service.classifier.classifier import Classifier, load_classifier
from service.errors import ModelError, ServiceError
from tests.onnx_models import CONTRACT, brightness_model


def test_scores_are_p_fake_of_each_clip_and_maps_come_on_demand() -> None:
    model = brightness_model()
    classifier = Classifier(model)
    clips = np.stack([np.full((5, 32, 32, 3), level, np.uint8) for level in (0, 51, 255)])
    scores = classifier.score(clips)
    # A float32 sum over 15,360 pixels is good to about five digits.
    np.testing.assert_allclose(scores.fake, [0.0, 0.2, 1.0], atol=1e-5)
    assert scores.cam is None
    maps = classifier.score(clips, cam=True).cam
    assert maps is not None
    assert maps.shape == (3, 5, 32, 32)
    assert classifier.sha256 == hashlib.sha256(model).hexdigest()
    assert classifier.provider == "CPUExecutionProvider"


@pytest.mark.parametrize(
    ("model", "word"),
    [
        (b"", "ONNX Runtime"),
        (b"not an onnx file", "ONNX Runtime"),
        (brightness_model()[:200], "ONNX Runtime"),
        (brightness_model(metadata={}), "'name'"),
        (brightness_model(input_type=TensorProto.FLOAT), "uint8"),
        (brightness_model(batch=4), "batch"),
        (brightness_model(output="p"), "fake_probability"),
        (
            brightness_model(metadata=CONTRACT.dump() | {"input_height": "64"}),
            "must be uint8",
        ),
    ],
    ids=["empty", "text", "truncated", "no metadata", "float", "fixed batch", "output", "size"],
)
def test_what_breaks_the_contract_is_refused_by_name(model: bytes, word: str) -> None:
    with pytest.raises(ModelError, match=word):
        Classifier(model)


def test_asking_for_cuda_without_one_is_refused_not_ignored() -> None:
    with pytest.raises(ModelError, match="CUDA"):
        Classifier(brightness_model(), device="cuda")


def test_a_missing_file_is_named_without_its_folder(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"absent\.onnx") as raised:
        load_classifier(tmp_path / "absent.onnx")
    assert str(tmp_path) not in str(raised.value)


def test_an_output_that_is_no_probability_is_an_error_not_a_report() -> None:
    model = onnx.load_from_string(brightness_model())
    model.graph.initializer[0].CopyFrom(
        onnx.helper.make_tensor("scale", TensorProto.FLOAT, [], [float("nan")])
    )
    classifier = Classifier(model.SerializeToString())
    with pytest.raises(ServiceError, match="no probability"):
        classifier.score(np.zeros((2, 5, 32, 32, 3), np.uint8))
