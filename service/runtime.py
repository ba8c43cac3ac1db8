"""The one place that builds ONNX Runtime sessions, and so owns provider policy."""

from __future__ import annotations

from typing import Literal

import onnxruntime as ort
from onnxruntime import InferenceSession  # noqa: TID251
from onnxruntime.capi import onnxruntime_pybind11_state as state

from service.errors import ModelError

Device = Literal["auto", "cpu", "cuda"]

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


def out_of_memory(error: Exception) -> bool:
    """Whether a session failed for want of memory, which is all that its message tells."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, ORT_ERRORS) and any(words in text for words in _NO_MEMORY)
    )


def open_session(model: bytes, *, device: Device = "cpu", threads: int = 1) -> InferenceSession:
    """A session on a serialised ONNX model; its first provider is the one that runs it.

    ``threads`` 0 takes one per core. Raises ``ModelError`` where the model cannot be loaded or
    ``cuda`` is asked for and cannot be had: ONNX Runtime itself falls back to the CPU silently.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4
    # Waiting threads that spin take their core from the decoder next to them.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    providers: list[str | tuple[str, dict[str, str]]] = ["CPUExecutionProvider"]
    if device != "cpu" and "CUDAExecutionProvider" in ort.get_available_providers():
        ort.preload_dlls()
        cuda = {"arena_extend_strategy": "kSameAsRequested"}
        providers.insert(0, ("CUDAExecutionProvider", cuda))
    try:
        session = InferenceSession(model, sess_options=options, providers=providers)
    except ORT_ERRORS as error:
        raise ModelError("ONNX Runtime cannot load the model") from error
    if device == "cuda" and session.get_providers()[0] != "CUDAExecutionProvider":
        raise ModelError("the CUDA provider was asked for and ONNX Runtime cannot use it")
    return session
