"""Every setting, from the environment: prefix ``DEEPFAKE_``, nested with ``__``.

For example ``DEEPFAKE_LIMITS__BYTES=50000000`` or ``DEEPFAKE_MODEL__PATH=/models/clrnet.onnx``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Limits(BaseModel):
    """What one request may cost. Served at ``GET /v1/limits``."""

    bytes: int = Field(256 * 2**20, gt=0, description="Bytes of one upload")
    duration: float = Field(7200.0, gt=0, description="Seconds of one video")
    pixels: int = Field(4096 * 2304, gt=0, description="Pixels of one frame")
    frames: int = Field(500_000, gt=0, description="Frames in one video")
    streams: int = Field(32, gt=0, description="Streams in one container")
    faces: int = Field(16, gt=0, description="Faces followed in one frame, the largest first")
    smallest_face: int = Field(40, gt=0, description="Pixels of the smallest face's shorter side")
    clips: int = Field(2000, gt=0, description="Clips of one face; longer videos are sampled")
    concurrency: int = Field(2, gt=0, description="Videos worked on at the same time")
    upload_seconds: float = Field(300.0, gt=0, description="Seconds until a body has arrived")
    decode_seconds: float = Field(600.0, gt=0, description="Seconds of decoding and face search")


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

    detector: Literal["mtcnn", "insightface"] = Field(
        "mtcnn", description="mtcnn is built in; insightface needs faces.path"
    )
    path: Path | None = Field(None, description="InsightFace detection model or pack folder")


class Settings(BaseSettings):
    """All settings of the service."""

    model_config = SettingsConfigDict(
        env_prefix="DEEPFAKE_", env_nested_delimiter="__", extra="ignore", frozen=True
    )

    limits: Limits = Limits()
    model: ModelSettings = ModelSettings()
    faces: FaceSettings = FaceSettings()
    root_path: str = Field("", description="Path prefix under which a reverse proxy serves this")
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="Comma-separated addresses whose X-Forwarded-* headers are believed",
    )
    metrics: bool = Field(True, description="Serve GET /metrics on the main port")
