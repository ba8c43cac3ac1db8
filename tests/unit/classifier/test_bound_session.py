"""Input and outputs bound to a device's memory; here to that of the CPU, where all can run it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.capi import onnxruntime_pybind11_state as state

from service import bound_session, registry, runtime
from service.bound_session import BoundSession
from service.classifier.classifier import Classifier, load_classifier
from service.errors import ModelError
from service.registry import BUILT_IN_MODEL, Registry
from service.runtime import Gpu, open_session
from service.session import CPU, CUDA, TENSORRT, Device, Runtime, Session
from service.settings import ModelSettings
from tests.onnx_models import CONTRACT, brightness_model

NAMES = ["fake_probability", "cam"]


def clips(count: int, seed: int = 0) -> NDArray[np.uint8]:
    """Noise that fits the small model."""
    shape = (count, 5, 32, 32, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


class Watched:
    """A session that notes what shapes it is run in, and with what graphs."""

    def __init__(self, session: Any) -> None:
        self._session = session
        self.runs: list[tuple[tuple[int, ...], str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._session, name)

    def run_with_iobinding(self, binding: Any, options: Any) -> None:
        try:
            graph = options.get_run_config_entry("gpu_graph_id")
        except RuntimeError:
            graph = ""
        (bound,) = binding._bound_inputs.values()
        self.runs.append((tuple(bound.shape()), graph))
        self._session.run_with_iobinding(binding, options)


def opened(most: int = 8, **how: bool) -> tuple[BoundSession, Watched, Session]:
    """The small model bound on the CPU, what watches it, and the same unbound."""
    plain = open_session(brightness_model())
    watched = Watched(plain)
    return BoundSession(watched, "cpu", most, **how), watched, plain


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 9, 21])
def test_results_are_those_of_the_plain_session_bit_for_bit(count: int) -> None:
    bound, _, plain = opened()
    for seed in range(3):  # First, settled, and again.
        given = clips(count, seed)
        for names in (["fake_probability"], NAMES, None):
            wanted = plain.run(names, {"clips": given})
            found = bound.run(names, {"clips": given})
            assert len(found) == len(wanted)
            for one, other in zip(found, wanted, strict=True):
                assert one.dtype == other.dtype
                np.testing.assert_array_equal(one, other)


def test_the_device_meets_few_shapes() -> None:
    bound, watched, _ = opened(most=12)
    assert bound.sizes == (1, 2, 4, 8, 12)
    for count in (1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 30):
        bound.run(["cam"], {"clips": clips(count)})
    assert {shape[0] for shape, _ in watched.runs} == {1, 2, 4, 8, 12}
    assert [shape[0] for shape, _ in watched.runs[-3:]] == [12, 12, 8]


def test_what_fills_a_batch_up_does_not_come_from_an_earlier_one() -> None:
    bound, watched, _ = opened()
    for count in (4, 3):
        bound.run(["cam"], {"clips": clips(count)})
    (place,) = bound._bound.values()
    left = place.input.numpy()
    assert left[:3].any()
    assert not left[3:].any()
    assert len(watched.runs) == 2


def test_results_outlive_the_next_run() -> None:
    bound, _, plain = opened()
    first, second = clips(3, 1), clips(3, 2)
    kept = bound.run(NAMES, {"clips": first})
    bound.run(NAMES, {"clips": second})
    for one, other in zip(kept, plain.run(NAMES, {"clips": first}), strict=True):
        np.testing.assert_array_equal(one, other)


def test_outputs_lie_where_they_lay_once_the_shape_is_known() -> None:
    """A recorded graph writes to the addresses that it was recorded with."""
    bound, _, _ = opened()
    places = []
    for seed in range(3):
        bound.run(NAMES, {"clips": clips(4, seed)})
        (place,) = bound._bound.values()
        outputs = place.binding.get_outputs()
        places.append([place.input.data_ptr(), *(each.data_ptr() for each in outputs)])
    assert places[0] == places[1] == places[2]


def test_each_shape_and_choice_of_outputs_is_a_graph_and_none_is_recorded_at_first() -> None:
    bound, watched, _ = opened(graphs=True)
    for names in (["fake_probability"], NAMES):
        for count in (2, 4, 2, 4):
            bound.run(names, {"clips": clips(count)})
    numbers = [(shape[0], graph) for shape, graph in watched.runs]
    assert numbers[:4] == [(2, "-1"), (4, "-1"), (2, "1"), (4, "2")]
    assert numbers[4:] == [(2, "-1"), (4, "-1"), (2, "3"), (4, "4")]


def test_page_locked_memory_is_used_where_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    ordinary = state.OrtDevice(state.OrtDevice.cpu(), state.OrtDevice.default_memory(), 0)
    monkeypatch.setattr(bound_session, "_PAGE_LOCKED", ordinary)
    session = onnxruntime.InferenceSession(brightness_model(), providers=[CPU])
    bound = BoundSession(session, "cpu", 8)
    for count in (4, 3, 1):
        given = clips(count)
        (found,) = bound.run(["cam"], {"clips": given})
        np.testing.assert_array_equal(found, session.run(["cam"], {"clips": given})[0])
    hosts = {size: place.host for (_, size), place in bound._bound.items()}
    assert hosts[4] is not None
    assert hosts[4].array.ctypes.data == hosts[4].owner.data_ptr()
    np.testing.assert_array_equal(hosts[4].array[:3], clips(3))


def test_a_session_without_page_locked_memory_does_without() -> None:
    bound, _, _ = opened()
    bound.run(["cam"], {"clips": clips(2)})
    assert [each.host for each in bound._bound.values()] == [None]


def test_a_run_that_fails_leaves_nothing_bound() -> None:
    bound, watched, _ = opened()

    def fail(binding: Any, options: Any) -> None:
        raise RuntimeError("out of memory")

    watched.run_with_iobinding = fail  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="out of memory"):
        bound.run(["cam"], {"clips": clips(2)})
    assert not bound._bound


def test_the_model_in_the_box_scores_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = load_classifier(BUILT_IN_MODEL, device="cpu", threads=1)
    bound = load_classifier(BUILT_IN_MODEL, device="cpu", threads=1)
    monkeypatch.setattr(bound, "_session", BoundSession(bound._session, "cpu", 4))
    told = plain.contract
    shape = (3, told.clip_length, told.input_height, told.input_width, 3)
    given = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    wanted, found = plain.score(given, cam=True), bound.score(given, cam=True)
    np.testing.assert_allclose(found.fake, wanted.fake, atol=1e-6)
    assert wanted.cam is not None
    assert found.cam is not None
    np.testing.assert_allclose(found.cam, wanted.cam, atol=1e-5)
    assert (plain.sizes, bound.sizes) == ((1,), (4, 2, 1))


def test_on_the_cpu_nothing_is_bound() -> None:
    assert not isinstance(open_session(brightness_model(), gpu=Gpu()), BoundSession)
    assert Classifier(brightness_model()).sizes == (1,)


def provided(monkeypatch: pytest.MonkeyPatch, *names: str) -> list[Any]:
    """Pretend that ONNX Runtime has ``names``; gives what sessions are then asked for."""
    asked: list[Any] = []
    real = onnxruntime.InferenceSession

    class Pretending:
        def __init__(self, model: bytes, sess_options: Any, providers: Any) -> None:
            asked.append(providers)
            self._session = real(model, sess_options, providers=[CPU])

        def __getattr__(self, name: str) -> Any:
            return getattr(self._session, name)

        def get_providers(self) -> list[str]:
            return [name for name, _ in asked[-1]]

    monkeypatch.setattr(runtime.ort, "get_available_providers", lambda: [*names, CPU])
    monkeypatch.setattr(runtime.ort, "preload_dlls", lambda: None)
    monkeypatch.setattr(runtime, "InferenceSession", Pretending)
    return asked


def test_on_a_gpu_clips_are_bound_and_float32_is_float32(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = provided(monkeypatch, TENSORRT, CUDA)
    session = open_session(brightness_model(), device="auto", gpu=Gpu(12, graphs=True))
    assert isinstance(session, BoundSession)
    assert session.sizes == (1, 2, 4, 8, 12)
    ((name, options), (last, _)) = asked[-1]
    assert (name, last) == (CUDA, CPU)
    assert options["use_tf32"] == "0"
    assert options["enable_cuda_graph"] == "1"
    open_session(brightness_model(), device="auto", gpu=Gpu())
    assert asked[-1][0][1]["enable_cuda_graph"] == "0"
    # Networks of other inputs, such as detectors, are not bound.
    assert not isinstance(open_session(brightness_model(), device="cuda"), BoundSession)


@pytest.mark.parametrize("half", [False, True])
def test_tensorrt_keeps_engines_where_it_is_told_and_float16_for_what_is(
    half: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = provided(monkeypatch, TENSORRT, CUDA)
    model = onnx.load_from_string(brightness_model())
    if half:  # A weight that is multiplied by, and none that is widened first.
        model.graph.node[1].input[0] = "short"
        into = onnx.helper.make_node("Cast", ["floats"], ["short"], to=onnx.TensorProto.FLOAT16)
        back = onnx.helper.make_node("Cast", ["half"], ["scaled"], to=onnx.TensorProto.FLOAT)
        model.graph.node[1].output[0] = "half"
        scale = numpy_helper.from_array(np.array(1 / 255, np.float16), "scale")
        model.graph.initializer[0].CopyFrom(scale)
        model.graph.node.insert(1, into)
        model.graph.node.insert(3, back)
    data = model.SerializeToString()
    open_session(data, device="auto", runtime="tensorrt", gpu=Gpu(engines=tmp_path))
    assert [name for name, _ in asked[-1]] == [TENSORRT, CUDA, CPU]
    options = asked[-1][0][1]
    assert options["trt_fp16_enable"] == str(int(half))
    assert options["trt_engine_cache_path"] == str(tmp_path)
    open_session(data, device="auto", runtime="tensorrt", gpu=Gpu())
    assert "trt_engine_cache_enable" not in asked[-1][0][1]


def test_what_tensorrt_may_round_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    provided(monkeypatch, TENSORRT, CUDA)
    told = Classifier(brightness_model(), device="auto", runtime="tensorrt").contract.precision
    assert told == "float32; TensorRT may round further"
    assert Classifier(brightness_model(), device="auto").contract.precision == "float32"


def test_weights_that_are_only_stored_in_float16_are_not_computed_in_it() -> None:
    assert "float16" in load_classifier(BUILT_IN_MODEL, device="cpu").contract.precision
    assert not runtime.computes_in_float16(BUILT_IN_MODEL.read_bytes())
    with pytest.raises(ModelError, match="no ONNX model"):
        runtime.computes_in_float16(b"not an onnx file")


@pytest.mark.parametrize(
    ("there", "device", "runs", "gpu", "words"),
    [
        ((), "auto", "tensorrt", Gpu(), "TensorRT was asked for"),
        ((), "cpu", "tensorrt", Gpu(), "TensorRT was asked for"),
        ((CUDA,), "cuda", "tensorrt", Gpu(), "TensorRT was asked for"),
        ((), "auto", "onnxruntime", Gpu(graphs=True), "CUDA graphs were asked for"),
        ((), "cuda", "onnxruntime", Gpu(), "CUDA provider was asked for"),
        ((TENSORRT, CUDA), "cuda", "tensorrt", Gpu(graphs=True), "CUDA graphs were asked for"),
    ],
)
def test_nothing_stands_in_for_what_was_asked_for(
    there: tuple[str, ...],
    device: Device,
    runs: Runtime,
    gpu: Gpu,
    words: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if there:
        provided(monkeypatch, *there)
    with pytest.raises(ModelError, match=words):
        open_session(brightness_model(), device=device, runtime=runs, gpu=gpu)


@pytest.mark.parametrize(
    "settings",
    [
        {"runtime": "tensorrt", "device": "cpu"},
        {"runtime": "tensorrt", "cuda_graphs": True},
        {"device": "cpu", "cuda_graphs": True},
        {"engines": "/engines"},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"tensorrt|cuda_graphs"):
        ModelSettings(**settings)


async def test_settings_reach_the_session_and_the_cpu_may_stand_in_where_that_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []
    real = registry.load_classifier

    def noting(path: Path, **how: Any) -> Classifier:
        asked.append(how)
        return real(path, **how)

    monkeypatch.setattr(registry, "load_classifier", noting)
    (tmp_path / "a.onnx").write_bytes(brightness_model())
    settings = ModelSettings(
        path=tmp_path / "a.onnx",
        device="cuda",
        runtime="tensorrt",
        engines=tmp_path,
        batch=4,
        cpu_fallback=True,
    )
    served = Registry(settings, 2**30)
    await served.load()
    assert asked[0]["gpu"] == Gpu(4, graphs=False, engines=tmp_path)
    assert (asked[0]["runtime"], asked[0]["device"]) == ("tensorrt", "cuda")
    assert [each.served.fallback for each in served.models()] == [True]
    await served.close()


def test_a_batch_too_large_to_try_leaves_the_smaller_ones() -> None:
    tried = []

    class Small:
        contract = CONTRACT
        sizes = (4, 2, 1)

        def score(self, given: NDArray[np.uint8]) -> None:
            tried.append(len(given))
            if len(given) > 1:
                raise RuntimeError("CUDA out of memory")

    registry.warm(Small())  # type: ignore[arg-type]
    assert tried == [4, 2, 1]
