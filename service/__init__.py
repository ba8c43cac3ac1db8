"""Deepfake detection service: any video in, per-face per-segment scores out."""

import os

__version__ = "0.1.0"

# ONNX Runtime's official builds report models and errors to their maker, and keep a device
# identifier in the home folder, unless they are told otherwise before they are first imported.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
