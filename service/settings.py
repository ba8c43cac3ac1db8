"""Every setting, from the environment: prefix ``DEEPFAKE_``, nested with ``__``.

For example ``DEEPFAKE_LIMITS__BYTES=50000000`` or ``DEEPFAKE_MODEL__PATH=/models/clrnet.onnx``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


def _limit(default: float, unit: str, description: str) -> Any:
    """A positive number whose unit stands in the schema, for ``GET /v1/limits`` and the docs."""
    return Field(default, gt=0, description=description, json_schema_extra={"unit": unit})


class Limits(BaseModel):
    """What one request may cost. Served at ``GET /v1/limits``."""

    bytes: int = _limit(256 * 2**20, "bytes", "Size of one upload")
    duration: float = _limit(7200.0, "seconds", "Length of one video")
    pixels: int = _limit(4096 * 2304, "pixels", "Size of one frame")
    frames: int = _limit(500_000, "frames", "Frames in one video")
    streams: int = _limit(32, "streams", "Streams in one container")
    faces: int = _limit(16, "faces", "Faces followed in one frame, the largest first")
    smallest_face: int = _limit(40, "pixels", "Shorter side of the smallest face that is scored")
    clips: int = _limit(20_000, "clips", "Clips of one video, all faces together")
    concurrency: int = _limit(2, "videos", "Videos worked on at the same time")
    upload_seconds: float = _limit(300.0, "seconds", "Time until a body has arrived")
    decode_seconds: float = _limit(600.0, "seconds", "Decoding and face search of one video")
    total_seconds: float = _limit(3600.0, "seconds", "All the work on one video, from its start")
    drain_bytes: int = _limit(
        64 * 2**20, "bytes", "Body still read after a refusal, so that the answer arrives"
    )
    drain_seconds: float = _limit(10.0, "seconds", "Time spent on reading that")


class SamplingSettings(BaseModel):
    """What ``sampling=auto`` means."""

    full_seconds: float = Field(60.0, ge=0, description="Videos up to this long are scored whole")
    auto_clips: int = Field(400, gt=0, description="Windows spread evenly over longer ones")


class ModelSettings(BaseModel):
    """Which network scores."""

    path: Path | None = Field(None, description="ONNX model; the model in the box when not set")
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes the GPU where ONNX Runtime can use one"
    )
    threads: int = Field(0, ge=0, description="ONNX Runtime threads; 0 = one per core")
    batch: int = Field(16, gt=0, description="Clips in one batch at most")


class FaceSettings(BaseModel):
    """Which detector finds the faces."""

    detector: Literal["auto", "mtcnn", "insightface"] = Field(
        "auto", description="auto takes insightface where faces.path is set, else mtcnn"
    )
    path: Path | None = Field(None, description="InsightFace detection model or pack folder")


class Settings(BaseSettings):
    """All settings of the service."""

    model_config = SettingsConfigDict(
        env_prefix="DEEPFAKE_", env_nested_delimiter="__", extra="ignore", frozen=True
    )

    limits: Limits = Limits()
    sampling: SamplingSettings = SamplingSettings()
    model: ModelSettings = ModelSettings()
    faces: FaceSettings = FaceSettings()
    root_path: str = Field("", description="Path prefix under which a reverse proxy serves this")
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="Comma-separated addresses whose X-Forwarded-* headers are believed",
    )
    metrics: bool = Field(True, description="Serve GET /metrics on the main port")
