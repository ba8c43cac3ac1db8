"""Every setting, from the environment: prefix ``DEEPFAKE_``, nested with ``__``.

For example ``DEEPFAKE_LIMITS__BYTES=50000000`` or ``DEEPFAKE_MODEL__PATH=/models/clrnet.onnx``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


def _limit(default: float, unit: str, description: str) -> Any:
    """A positive number whose unit stands in the schema, for ``GET /v1/limits`` and the docs."""
    return Field(default, gt=0, description=description, json_schema_extra={"unit": unit})


def _share(default: float, description: str) -> Any:
    """A part of a whole."""
    return Field(default, gt=0, le=1, description=description, json_schema_extra={"unit": "share"})


class Limits(BaseModel):
    """What one request may cost. Served at ``GET /v1/limits``."""

    bytes: int = _limit(256 * 2**20, "bytes", "Size of one upload")
    duration: float = _limit(7200.0, "seconds", "Length of one video")
    pixels: int = _limit(4096 * 2304, "pixels", "Size of one frame")
    frames: int = _limit(500_000, "frames", "Frames in one video")
    streams: int = _limit(32, "streams", "Streams in one container")
    memory: int = _limit(3 * 2**29, "bytes", "Address space of the process that reads a video")
    memory_share: float = _share(
        0.5, "Part of all memory that those processes may hold together; then the largest ends"
    )
    faces: int = _limit(16, "faces", "Faces followed in one frame, the largest first")
    smallest_face: int = _limit(40, "pixels", "Shorter side of the smallest face that is scored")
    clips: int = _limit(
        20_000,
        "clips",
        "Clips of one video by one model, all faces together",
    )
    concurrency: int = _limit(2, "videos", "Videos read at the same time")
    waiting: int = _limit(16, "videos", "Videos received or queued beyond those, before 429")
    media_bytes: int = _limit(2**30, "bytes", "Media of all requests together, before 429")
    clip_bytes: int = _limit(
        64 * 2**20, "bytes", "Clips of all videos that wait to be scored, beyond two of each"
    )
    caller_share: float = _share(
        0.5, "Part of the places and of `media_bytes` that one caller may hold, before 429"
    )
    connections: int = _limit(512, "connections", "Connections open at the same time")
    short_seconds: float = _limit(
        10.0, "seconds", "Time with a place after which a video makes room for shorter ones"
    )
    short_frames: int = _limit(
        600, "frames", "Frames to look at beyond which it does so from the start"
    )
    header_seconds: float = _limit(15.0, "seconds", "Time until the head of a request has arrived")
    idle_seconds: float = _limit(20.0, "seconds", "Longest pause inside a body")
    upload_seconds: float = _limit(300.0, "seconds", "Time until a body has arrived")
    upload_rate: int = _limit(8192, "bytes a second", "Pace below which a body is too slow")
    decode_seconds: float = _limit(600.0, "seconds", "Decoding and face search of one video")
    total_seconds: float = _limit(3600.0, "seconds", "All the work on one video, from its start")
    drain_bytes: int = _limit(
        64 * 2**20, "bytes", "Body still read after a refusal, so that the answer arrives"
    )
    drain_seconds: float = _limit(60.0, "seconds", "Time spent on reading that")


class SamplingSettings(BaseModel):
    """What ``sampling=auto`` means."""

    full_seconds: float = Field(60.0, ge=0, description="Videos up to this long are scored whole")
    auto_clips: int = Field(400, gt=0, description="Windows spread evenly over longer ones")


class ExtraModel(BaseModel):
    """A further network that requests may name."""

    path: Path
    sha256: str | None = Field(None, description="What the file must hash to; else it is refused")


class Ensemble(BaseModel):
    """Several served models under one name."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")
    members: list[str] = Field(min_length=2, max_length=8, description="Names of served models")
    rule: Literal["max", "mean"] = Field("mean", description="How their P(fake) are combined")
    threshold: float = Field(0.5, ge=0, le=1)
    uncertain_low: float = Field(0.5, ge=0, le=1)
    uncertain_high: float = Field(0.5, ge=0, le=1)

    @model_validator(mode="after")
    def _consistent(self) -> Ensemble:
        if not self.uncertain_low <= self.threshold <= self.uncertain_high:
            raise ValueError("uncertain_low <= threshold <= uncertain_high must hold")
        if len(set(self.members)) < len(self.members):
            raise ValueError("a member is named twice")
        return self


class ModelSettings(BaseModel):
    """Which networks score."""

    path: Path | None = Field(None, description="ONNX model; the model in the box when not set")
    sha256: str | None = Field(None, description="What the file must hash to; else it is refused")
    more: list[ExtraModel] = Field([], description="Further models, as JSON")
    ensembles: list[Ensemble] = Field([], description="Ensembles of served models, as JSON")
    default: str | None = Field(
        None, description="Name that scores where a request names none; else the first model"
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="auto takes the GPU where ONNX Runtime can use one"
    )
    cpu_fallback: bool = Field(
        False, description="With cuda: score on the CPU where the GPU cannot be used, and say so"
    )
    runtime: Literal["onnxruntime", "openvino", "tensorrt"] = Field(
        "onnxruntime",
        description="What runs the models; openvino, an extra, on the CPU, tensorrt on a GPU alone",
    )
    arithmetic: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="bfloat16: with openvino, on a processor that has it; other scores",
    )
    threads: int = Field(0, ge=0, description="Threads of the runtime; 0 = one per core")
    batch: int = Field(
        0, ge=0, description="Clips in one batch at most; 0 = 16 on a GPU, 8 on a processor"
    )
    cuda_graphs: bool = Field(
        False, description="On a GPU, with onnxruntime: record each size of batch as a CUDA graph"
    )
    engines: Path | None = Field(
        None, description="Folder of TensorRT's engines, which are built anew at each start without"
    )

    @model_validator(mode="after")
    def _together(self) -> ModelSettings:
        if self.runtime == "openvino" and self.device == "cuda":
            raise ValueError("openvino runs on the CPU: it does not go with device=cuda")
        if self.runtime == "tensorrt" and self.device == "cpu":
            raise ValueError("tensorrt runs on a GPU: it does not go with device=cpu")
        if self.cuda_graphs and (self.runtime != "onnxruntime" or self.device == "cpu"):
            raise ValueError("cuda_graphs needs runtime=onnxruntime and a GPU")
        if self.engines and self.runtime != "tensorrt":
            raise ValueError("engines are TensorRT's: they need runtime=tensorrt")
        if self.arithmetic == "bfloat16" and self.runtime != "openvino":
            raise ValueError("arithmetic=bfloat16 needs runtime=openvino")
        return self


class FaceSettings(BaseModel):
    """Which detector finds the faces."""

    detector: Literal["auto", "mtcnn", "insightface"] = Field(
        "auto", description="auto takes insightface where faces.path is set, else mtcnn"
    )
    path: Path | None = Field(None, description="InsightFace detection model or pack folder")


class AuthSettings(BaseModel):
    """Who may ask. Without keys everybody may."""

    keys: list[Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}:[0-9a-f]{64}$")]] = Field(
        [],
        description="`name:sha256` of each valid key, as JSON; `deepfake-service key` makes one",
    )
    requests_per_minute: float = Field(
        0, ge=0, description="Videos a minute for each key, or address without keys; 0: no bound"
    )
    concurrency: int = Field(
        0,
        ge=0,
        description="Videos at the same time for each key or address; 0: its share of all places",
    )
    metrics_key: bool = Field(False, description="Ask for a key at /metrics too")


class JobSettings(BaseModel):
    """Results kept for clients that do not wait."""

    seconds: float = Field(900.0, gt=0, description="How long a result is kept")
    most: int = Field(200, gt=0, description="Jobs held at the same time, before 429")
    bytes: int = Field(64 * 2**20, gt=0, description="Results of all jobs together, before 429")
    replica: str = Field(
        "", pattern=r"^[a-z0-9-]{0,63}$", description="Name of this replica; random when empty"
    )


HostName = Annotated[str, Field(pattern=r"^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?$", max_length=253)]


SITES = [
    "BiliBili",
    "Dailymotion",
    "Facebook",
    "Imgur",
    "Instagram",
    "Reddit",
    "Streamable",
    "TikTok",
    "Twitter",
    "Vimeo",
    "Youtube",
]
"""Where videos are passed on; by yt-dlp's names of extractors."""


class FetchSettings(BaseModel):
    """Which URLs are fetched, and what an origin may cost."""

    enabled: bool = Field(True, description="Take URLs at all")
    ports: list[Annotated[int, Field(ge=1, le=65535)]] = Field(
        [80, 443], description="Ports that are connected to, as JSON"
    )
    allow_hosts: list[HostName] = Field(
        [], description="Only these hosts and those below them, as JSON; empty: all public ones"
    )
    deny_hosts: list[HostName] = Field(
        [], description="Never these hosts or those below them, as JSON"
    )
    seconds: float = Field(300.0, gt=0, description="Time spent waiting for origins, per video")
    idle_seconds: float = Field(
        20.0, gt=0, description="Longest wait for an answer or a byte of it"
    )
    redirects: int = Field(5, ge=0, le=20, description="Followed one after another")
    sites: list[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]{0,63}$")]] = Field(
        SITES,
        max_length=64,
        description="Sites whose pages are read where the extra `sites` is installed, by yt-dlp's "
        "names, as JSON; [] reads none",
    )
    loopback: bool = Field(
        False,
        description="For tests: 127.0.0.1 counts as public. Refused where the service itself "
        "listens on anything but loopback",
    )


class EvaluationSettings(BaseModel):
    """Lists of videos that are scored in one request."""

    items: int = Field(1000, gt=0, description="Videos of one list, at most")
    bytes: int = Field(2 * 2**20, gt=0, description="Size of one list, at most")
    datasets: int = Field(50, gt=0, description="Datasets that one list names, at most")
    clips: int = Field(
        100_000, gt=0, description="Clips of one list that are measured singly, the first of them"
    )
    concurrency: int = Field(2, gt=0, description="Videos of one list that are scored at a time")
    running: int = Field(
        2, gt=0, description="Lists at the same time, one of each caller, before 429"
    )


class WebhookSettings(BaseModel):
    """Calls at the end of jobs."""

    secret: str = Field(
        "", max_length=1024, description="Signs the calls, 32 characters or more; empty: no calls"
    )
    attempts: int = Field(5, ge=1, le=10, description="Tries of one call")
    pause_seconds: float = Field(
        2.0, gt=0, le=60, description="Before the second try; four times as long before each next"
    )
    waiting: int = Field(
        100, gt=0, description="Calls that are not delivered yet, at most; half for one caller"
    )

    @field_validator("secret")
    @classmethod
    def _hard_to_guess(cls, secret: str) -> str:
        # Every receiver has calls by which it can try guesses without anybody noticing.
        if 0 < len(secret) < 32:
            raise ValueError("at least 32 characters: for example `openssl rand -hex 32`")
        return secret


class ReceiptSettings(BaseModel):
    """Signed records of findings."""

    key: Path | None = Field(
        None, description="PEM file of an Ed25519 key; `deepfake-service receipt-key` makes one"
    )


class ServerSettings(BaseModel):
    """What the web sees."""

    docs: bool = Field(True, description="Serve /docs and /openapi.json")
    page: bool = Field(True, description="Serve the page for people at /")
    cors_origins: list[str] = Field([], description="Origins whose pages may call the API, as JSON")
    metrics_port: int = Field(
        0, ge=0, le=65535, description="Serve /metrics there instead; 0: on the main port"
    )
    heartbeat_seconds: float = Field(
        10.0, gt=0, description="A stream shows a sign of life this often, so that no proxy cuts it"
    )
    drain_seconds: float = Field(
        30.0, gt=0, description="Time for work in flight after SIGTERM, before it is cut off"
    )


class Settings(BaseSettings):
    """All settings of the service."""

    model_config = SettingsConfigDict(
        env_prefix="DEEPFAKE_",
        env_nested_delimiter="__",
        extra="ignore",
        frozen=True,
        # A secret that is wrong is one all the same.
        hide_input_in_errors=True,
    )

    limits: Limits = Limits()
    sampling: SamplingSettings = SamplingSettings()
    model: ModelSettings = ModelSettings()
    faces: FaceSettings = FaceSettings()
    auth: AuthSettings = AuthSettings()
    jobs: JobSettings = JobSettings()
    fetch: FetchSettings = FetchSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    receipt: ReceiptSettings = ReceiptSettings()
    webhook: WebhookSettings = WebhookSettings()
    server: ServerSettings = ServerSettings()
    root_path: str = Field("", description="Path prefix under which a reverse proxy serves this")
    trusted_proxies: str = Field(
        "127.0.0.1",
        description="Comma-separated addresses whose X-Forwarded-* headers are believed",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        "info", description="From which level on the service's own lines are logged"
    )
    metrics: bool = Field(True, description="Serve GET /metrics on the main port")
    tracing: bool = Field(
        False, description="Send spans by OpenTelemetry, where the extra `tracing` is installed"
    )
