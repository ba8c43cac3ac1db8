"""The one place that builds sessions on networks, and so owns the policy of what they run on."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import onnxruntime as ort
from onnxruntime import InferenceSession  # noqa: TID251
from onnxruntime.capi import onnxruntime_pybind11_state as state

from service.bound_session import BoundSession
from service.errors import ModelError
from service.session import CPU, CUDA, TENSORRT, Arithmetic, Device, Runtime, Session

ORT_ERRORS = (
    state.Fail,
    state.InvalidArgument,
    state.InvalidGraph,
    state.InvalidProtobuf,
    state.NoSuchFile,
    state.NotImplemented,
    state.RuntimeException,
)
"""What ONNX Runtime raises; its errors have no base of their own."""

_NO_MEMORY = ("out of memory", "failed to allocate memory", "bad_alloc", "bad allocation")


@dataclass(frozen=True, slots=True)
class Gpu:
    """How a GPU is used by a network that takes clips.

    ``batch``: clips at a time at most. ``graphs``: record each size of batch as a CUDA graph.
    ``engines``: folder where TensorRT finds its engines, and leaves them if the process may write.
    """

    batch: int = 16
    graphs: bool = False
    engines: Path | None = None


def out_of_memory(error: Exception) -> bool:
    """Whether a session failed for want of memory, which is all that its message tells."""
    text = str(error).lower()
    # OpenVINO's errors are plain ones.
    return isinstance(error, MemoryError) or (
        isinstance(error, (*ORT_ERRORS, RuntimeError))
        and any(words in text for words in _NO_MEMORY)
    )


def open_session(
    model: bytes,
    *,
    device: Device = "cpu",
    threads: int = 1,
    runtime: Runtime = "onnxruntime",
    arithmetic: Arithmetic = "float32",
    gpu: Gpu | None = None,
) -> Session:
    """A session on a serialised ONNX model; its first provider is the one that runs it.

    ``threads`` 0 takes one per core. ``arithmetic`` is that of what the model leaves in float32.
    With ``gpu``, for networks whose one input and outputs count clips on their first axis, a
    session on a GPU keeps them in its memory. Raises ``ModelError`` where the model cannot be
    loaded or what is asked for (``cuda``, ``openvino``, ``tensorrt``, ``bfloat16``, CUDA graphs)
    cannot be had: nothing stands in for it silently.
    """
    if runtime == "openvino":
        return _open_openvino(model, device, threads, arithmetic)
    if arithmetic != "float32":
        raise ModelError("bfloat16 was asked for, and only OpenVINO computes in it")
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Planning which results may share memory takes time with the square of the number of nodes,
    # seconds for a network of LSTMs; memory is given back as soon without that plan.
    options.enable_mem_reuse = False
    # Waiting threads that spin take their core from the decoder next to them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers = _providers(model, device, runtime, gpu or Gpu())
    if len(providers) > 1:
        ort.preload_dlls()
    try:
        session: Session = InferenceSession(model, sess_options=options, providers=providers)
    except ORT_ERRORS as error:
        raise ModelError("ONNX Runtime cannot load the model") from error
    used = session.get_providers()[0]
    _demand(used, device, runtime, gpu)
    if gpu and used != CPU:
        return BoundSession(session, "cuda", gpu.batch, graphs=gpu.graphs)
    return session


def _providers(
    model: bytes, device: Device, runtime: Runtime, gpu: Gpu
) -> list[tuple[str, dict[str, str]]]:
    """With their options, the first to be asked first."""
    providers: list[tuple[str, dict[str, str]]] = [(CPU, {})]
    available = ort.get_available_providers()
    if device != "cpu" and CUDA in available:
        cuda = {
            "arena_extend_strategy": "kSameAsRequested",
            # Left to itself it rounds factors to TF32, ten bits, and a model says float32.
            "use_tf32": "0",
            "enable_cuda_graph": str(int(gpu.graphs)),
        }
        providers.insert(0, (CUDA, cuda))
    if runtime == "tensorrt" and device != "cpu" and TENSORRT in available:
        tensorrt = {"trt_fp16_enable": str(int(computes_in_float16(model)))}
        if gpu.engines:
            tensorrt |= {
                "trt_engine_cache_enable": "1",
                "trt_engine_cache_path": str(gpu.engines),
            }
        providers.insert(0, (TENSORRT, tensorrt))
    return providers


def _demand(used: str, device: Device, runtime: Runtime, gpu: Gpu | None) -> None:
    """Raises ``ModelError`` where another provider stands in for what was asked for."""
    if runtime == "tensorrt" and used != TENSORRT:
        raise ModelError("TensorRT was asked for and ONNX Runtime cannot use it")
    if runtime == "onnxruntime" and device == "cuda" and used != CUDA:
        raise ModelError("the CUDA provider was asked for and ONNX Runtime cannot use it")
    if gpu and gpu.graphs and used != CUDA:
        raise ModelError("CUDA graphs were asked for, and the CUDA provider does not run the model")


def computes_in_float16(model: bytes) -> bool:
    """Whether a serialised ONNX model multiplies by weights in float16, and does not just keep
    them so. Raises ``ModelError`` where it is none."""
    # Here, since it takes memory and time and few use it.
    import onnx

    try:
        graph = onnx.load_from_string(model).graph
    except Exception as error:  # Protobuf's DecodeError, which has no name of its own here.
        raise ModelError("this is no ONNX model") from error
    halves = {each.name for each in graph.initializer if each.data_type == onnx.TensorProto.FLOAT16}
    return any(node.op_type != "Cast" and halves.intersection(node.input) for node in graph.node)


def _open_openvino(model: bytes, device: Device, threads: int, arithmetic: Arithmetic) -> Session:
    if device == "cuda":
        raise ModelError("a GPU was asked for, and OpenVINO runs on the CPU here")
    if find_spec("openvino") is None:
        raise ModelError("OpenVINO was asked for and is not installed: it is the extra 'openvino'")
    # Here, since it takes half a second and few use it.
    from service.openvino_session import OpenVINOSession

    return OpenVINOSession(model, threads, arithmetic)
