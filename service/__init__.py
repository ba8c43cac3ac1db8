"""Deepfake detection service: any video in, per-face per-segment scores out."""

__version__ = "0.1.0"
