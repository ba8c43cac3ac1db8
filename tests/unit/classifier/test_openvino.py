"""Another runtime: the same scores, the same refusals, and nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import openvino
import pytest
from onnx import TensorProto

from service import openvino_session
from service.classifier.classifier import Classifier, load_classifier
from service.errors import ModelError
from service.registry import BUILT_IN_MODEL, Registry
from service.runtime import open_session, out_of_memory
from service.session import Arithmetic, Device, Runtime
from service.settings import ModelSettings
from tests.onnx_models import CONTRACT, brightness_model

ROOT = Path(__file__).resolve().parents[3]
HAS_BFLOAT16 = "BF16" in openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")

FROM_A_CONFINED_PROCESS = """
import resource
resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
import numpy as np
from service.classifier.classifier import Classifier
from tests.onnx_models import brightness_model
network = Classifier(brightness_model(), runtime="openvino", threads=1)
score = network.score(np.full((2, 5, 32, 32, 3), 51, np.uint8)).fake
assert abs(score - 0.2).max() < 1e-5, score
"""


def test_the_model_in_the_box_scores_the_same() -> None:
    ours = load_classifier(BUILT_IN_MODEL, device="cpu", threads=1)
    theirs = load_classifier(BUILT_IN_MODEL, device="cpu", threads=1, runtime="openvino")
    assert theirs.contract == ours.contract
    told = theirs.contract
    shape = (5, told.clip_length, told.input_height, told.input_width, 3)
    clips = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    clips[1] //= 3
    wanted, found = ours.score(clips, cam=True), theirs.score(clips, cam=True)
    assert found.fake.std() > 0
    np.testing.assert_allclose(found.fake, wanted.fake, atol=1e-4)
    assert wanted.cam is not None
    assert found.cam is not None
    np.testing.assert_allclose(found.cam, wanted.cam, atol=1e-4 * float(np.abs(wanted.cam).max()))


def test_scores_do_not_depend_on_the_company_and_outlive_the_next_batch() -> None:
    network = Classifier(brightness_model(), runtime="openvino")
    clips = np.stack([np.full((5, 32, 32, 3), level, np.uint8) for level in (0, 51, 255)])
    together = network.score(clips, cam=True)
    alone = [network.score(clip[None]).fake for clip in clips]
    np.testing.assert_allclose(together.fake, [0.0, 0.2, 1.0], atol=1e-5)
    np.testing.assert_allclose(together.fake, np.concatenate(alone), atol=1e-6)
    assert together.cam is not None
    assert together.cam.shape == (3, 5, 32, 32)
    assert network.provider == "OpenVINO CPU"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (b"not an onnx file", "OpenVINO cannot load"),
        (brightness_model(metadata={}), "'name'"),
        (brightness_model(input_type=TensorProto.FLOAT), "uint8"),
        (brightness_model(batch=4), "batch"),
        (brightness_model(metadata=CONTRACT.dump() | {"input_height": "64"}), "must be uint8"),
    ],
    ids=["text", "no metadata", "float", "fixed batch", "size"],
)
def test_what_breaks_the_contract_is_refused_here_too(model: bytes, words: str) -> None:
    with pytest.raises(ModelError, match=words):
        Classifier(model, runtime="openvino")


@pytest.mark.skipif(HAS_BFLOAT16, reason="this processor computes in bfloat16")
def test_bfloat16_is_refused_where_the_processor_has_none() -> None:
    with pytest.raises(ModelError, match="this processor does not compute in it"):
        Classifier(brightness_model(), runtime="openvino", arithmetic="bfloat16")


@pytest.mark.skipif(HAS_BFLOAT16, reason="this processor computes in bfloat16")
def test_a_runtime_that_says_yes_and_does_otherwise_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Core(openvino.Core):  # type: ignore[misc]
        def get_property(self, device: str, name: str) -> list[str]:
            return ["FP32", "BF16"]

    monkeypatch.setattr(openvino_session.openvino, "Core", Core)
    with pytest.raises(ModelError, match="does not compute this model in bfloat16"):
        Classifier(brightness_model(), runtime="openvino", arithmetic="bfloat16")


@pytest.mark.skipif(not HAS_BFLOAT16, reason="this processor does not compute in bfloat16")
def test_bfloat16_is_used_and_told_where_the_processor_has_it() -> None:
    network = load_classifier(BUILT_IN_MODEL, runtime="openvino", arithmetic="bfloat16")
    assert network.contract.precision.endswith("; computed in bfloat16")


@pytest.mark.parametrize(
    ("device", "runtime", "arithmetic", "words"),
    [
        ("cuda", "openvino", "float32", "OpenVINO runs on the CPU"),
        ("cpu", "onnxruntime", "bfloat16", "only OpenVINO computes in it"),
    ],
)
def test_what_cannot_be_had_together_is_refused(
    device: Device, runtime: Runtime, arithmetic: Arithmetic, words: str
) -> None:
    with pytest.raises(ModelError, match=words):
        open_session(brightness_model(), device=device, runtime=runtime, arithmetic=arithmetic)
    with pytest.raises(ValueError, match="openvino"):
        ModelSettings(device=device, runtime=runtime, arithmetic=arithmetic)


def test_without_the_extra_it_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.runtime.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="extra 'openvino'"):
        Classifier(brightness_model(), runtime="openvino")


async def test_the_setting_decides_and_what_serves_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(brightness_model())
    for settings, provider in (
        (ModelSettings(path=tmp_path / "a.onnx"), "CPUExecutionProvider"),
        (ModelSettings(path=tmp_path / "a.onnx", runtime="openvino"), "OpenVINO CPU"),
    ):
        registry = Registry(settings, 2**30)
        await registry.load()
        assert [each.served.provider for each in registry.models()] == [provider]
        await registry.close()


def test_float32_is_asked_for_even_where_bfloat16_is_the_default(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked = []

    class Core(openvino.Core):  # type: ignore[misc]
        def compile_model(self, model: object, device: str, settings: dict[str, object]) -> object:
            asked.append(settings["INFERENCE_PRECISION_HINT"])
            return super().compile_model(model, device, settings)

    monkeypatch.setattr(openvino_session.openvino, "Core", Core)
    Classifier(brightness_model(), runtime="openvino")
    assert asked == [openvino.Type.f32]


def test_it_scores_without_writing_a_byte(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "-B", "-c", FROM_A_CONFINED_PROCESS],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_want_of_memory_is_told_from_other_errors() -> None:
    assert out_of_memory(RuntimeError("std::bad_alloc"))
    assert not out_of_memory(RuntimeError("shape mismatch"))
