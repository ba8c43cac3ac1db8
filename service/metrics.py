"""What is counted and timed, in one registry per app."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector
from prometheus_client.core import InfoMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from service.engine import ServedModel
from service.report import Report

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_SCORES = tuple(step / 10 for step in range(1, 11))
_MODEL = ("model", "version")
_SERVED = (*_MODEL, "provider", "precision", "fallback")
_SIZES = (1, 2, 4, 8, 16, 32, 64, 128)
_SHED = ("draining", "rate", "caller_concurrency", "places", "media_bytes", "jobs", "connections")
_ABSTAINED = ("uncertain", "no_face", "unable")


class Metrics:
    """Observes requests and finished detections."""

    def __init__(self) -> None:
        self._registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self._requests = Counter(
            "http_requests_total",
            "HTTP requests answered; 499: the client went away first",
            ("method", "route", "status"),
            registry=registry,
        )
        self._request_seconds = Histogram(
            "http_request_duration_seconds",
            "From the first byte of a request to the last of its answer",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._stage_seconds = Histogram(
            "deepfake_stage_duration_seconds",
            "Time of one video in each stage",
            ("stage",),
            buckets=_SECONDS,
            registry=registry,
        )
        self._clips = Counter("deepfake_clips_total", "Clips scored", _MODEL, registry=registry)
        self._score = Histogram(
            "deepfake_score", "Score of a video", _MODEL, buckets=_SCORES, registry=registry
        )
        self._abstained = Counter(
            "deepfake_abstain_total",
            "Videos answered neither fake nor real, by verdict",
            (*_MODEL, "reason"),
            registry=registry,
        )
        self._shed = Counter(
            "deepfake_shed_total", "Requests turned away, by reason", ("reason",), registry=registry
        )
        for reason in _SHED:
            self._shed.labels(reason)
        self._batches = Counter(
            "deepfake_batches_total", "Batches scored", _MODEL, registry=registry
        )
        self._batch_size = Histogram(
            "deepfake_batch_size", "Clips in a batch", _MODEL, buckets=_SIZES, registry=registry
        )

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a value that is read whenever somebody scrapes."""
        Gauge(name, text, registry=self._registry).set_function(read)

    def models(self, read: Callable[[], Sequence[ServedModel]]) -> None:
        """Show which models serve, and on what, whenever somebody scrapes."""
        self._registry.register(_Models(read))

    def shed(self, reason: str) -> None:
        """One request was turned away to protect the others."""
        self._shed.labels(reason).inc()

    def batch(self, model: str, version: str, size: int) -> None:
        """One batch of so many clips went through a model."""
        self._batches.labels(model, version).inc()
        self._clips.labels(model, version).inc(size)
        self._batch_size.labels(model, version).observe(size)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One HTTP request is done. ``route`` is the template, never the path."""
        self._requests.labels(method, route, str(status)).inc()
        self._request_seconds.labels(method, route).observe(seconds)

    def detection(self, report: Report, received: float) -> None:
        """One video is scored; its body took ``received`` seconds to arrive."""
        model = (report.model.name, report.model.version)
        timing = report.timing
        stages = {
            "receive": received,
            "fetch": timing.fetch,
            "queued": timing.queued,
            "extract": timing.extract,
            "classify": timing.classify,
        }
        for stage, seconds in stages.items():
            self._stage_seconds.labels(stage).observe(seconds)
        if report.score is not None:
            self._score.labels(*model).observe(report.score)
        if report.verdict in _ABSTAINED:
            self._abstained.labels(*model, report.verdict).inc()

    def expose(self, accept: str) -> tuple[bytes, str]:
        """The text for a scraper that sends this ``Accept`` header, and its content type."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Models(Collector):
    """A line for each served model; no metric that is set once would follow a reload."""

    def __init__(self, read: Callable[[], Sequence[ServedModel]]) -> None:
        self._read = read

    def collect(self) -> Iterator[InfoMetricFamily]:
        family = InfoMetricFamily(
            "deepfake_model", "Served models; fallback: the CPU stands in for a GPU", labels=_SERVED
        )
        for each in self._read():
            told = each.contract
            labels = (told.name, told.version, each.provider, told.precision)
            family.add_metric((*labels, str(each.fallback).lower()), {})
        yield family
