"""How face detectors run on ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence

import onnxruntime as ort

# A detector's session is small, and its worker lives where the classifier's provider policy
# does not reach.
from onnxruntime import InferenceSession  # noqa: TID251


def session_options(threads: int = 1) -> ort.SessionOptions:
    """Options for a small network beside a decoder.

    One thread by default, since videos in parallel beat threads inside one; and no spinning:
    waiting threads that burn their core slow the decoder next to them.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def open_session(
    model: bytes, providers: Sequence[str] = ("CPUExecutionProvider",), threads: int = 1
) -> InferenceSession:
    """A session on a serialised ONNX model held in memory."""
    return InferenceSession(model, sess_options=session_options(threads), providers=list(providers))
