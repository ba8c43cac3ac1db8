"""What is counted and timed. Labels have few values: no path, address, key or id is one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import get_args

from service.engine import ServedModel
from service.instruments import (
    Counter,
    Histogram,
    Instruments,
    Kind,
    Metric,
    PrometheusInstruments,
    Readings,
)
from service.report import Report, Verdict

_SECONDS = (0.005, 0.025, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
_TENTHS = tuple(step / 10 for step in range(1, 11))
_CLIPS = (1, 2, 4, 8, 16, 32, 64, 128)
_FACES = (0, 1, 2, 3, 4, 6, 10, 20)
_PIXELS = (40, 60, 80, 120, 160, 240, 320, 480, 640)
_LENGTHS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600)

_MODEL = ("model", "version")
_SERVED = (*_MODEL, "provider", "precision", "fallback")
_SHED = ("draining", "rate", "caller_concurrency", "places", "media_bytes", "jobs", "connections")
_ABSTAINED = ("uncertain", "no_face", "unable")
_BOUNDS = ("lower", "threshold", "upper")
_CALLBACKS = ("delivered", "given_up")
_ENDS = ("finished", "abandoned")
_RELOADS = ("done", "failed")
_TAKEN = {
    ("POST", "/v1/detections"): (200, 202, 503),
    ("POST", "/v1/evaluations"): (200, 503),
    ("OTHER", "unread"): (503,),
}
"""Method and route of what may have brought videos, and how that is answered, well or not taken."""


class Metrics:
    """Observes requests and finished detections, on whichever instruments it is given."""

    def __init__(self, instruments: Instruments | None = None) -> None:
        self._instruments = instruments or PrometheusInstruments()
        self._requests = self._counter(
            "http_requests_total",
            "HTTP requests answered; 499: the client went away first",
            ("method", "route", "status"),
        )
        for (method, route), statuses in _TAKEN.items():
            for status in statuses:
                self._requests.add(method, route, str(status), by=0)
        self._request_seconds = self._histogram(
            "http_request_duration_seconds",
            "From the first byte of a request to the last of its answer",
            _SECONDS,
            ("method", "route"),
        )
        self._problems = self._counter(
            "deepfake_problems_total",
            "Errors told, by code: problem documents, ends of streams and jobs, videos of lists",
            ("code",),
        )
        self._shed = self._counter(
            "deepfake_shed_total", "Requests turned away, by reason", ("reason",), _SHED
        )
        self._stage_seconds = self._histogram(
            "deepfake_stage_duration_seconds",
            "Time of one video in each stage",
            _SECONDS,
            ("stage",),
        )
        self._detection_seconds = self._histogram(
            "deepfake_detection_duration_seconds",
            "From a video's first byte to its report, or until its caller gave it up",
            _SECONDS,
            ("outcome",),
            _ENDS,
        )
        self._batches = self._counter("deepfake_batches_total", "Batches scored", _MODEL)
        self._clips = self._counter("deepfake_clips_total", "Clips scored", _MODEL)
        self._batch_size = self._histogram(
            "deepfake_batch_size", "Clips in a batch", _CLIPS, _MODEL
        )
        self._score = self._histogram("deepfake_score", "Score of a video", _TENTHS, _MODEL)
        self._segment_score = self._histogram(
            "deepfake_segment_score", "Score of a segment of a face", _TENTHS, _MODEL
        )
        self._verdicts = self._counter(
            "deepfake_verdicts_total", "Videos answered, by verdict", (*_MODEL, "verdict")
        )
        self._abstained = self._counter(
            "deepfake_abstain_total",
            "Videos answered neither fake nor real, by verdict",
            (*_MODEL, "reason"),
        )
        self._faces = self._histogram("deepfake_faces", "Scored faces of a video", _FACES)
        self._face_pixels = self._histogram(
            "deepfake_face_pixels",
            "Shorter side of the face's box in each segment, pixels of the video",
            _PIXELS,
        )
        self._face_frames = self._histogram(
            "deepfake_face_frames_ratio", "Share of a video's decoded frames with a face", _TENTHS
        )
        self._lengths = self._histogram(
            "deepfake_video_duration_seconds", "Length of a scored video", _LENGTHS
        )
        self._fetched = self._counter(
            "deepfake_fetched_bytes_total", "Bytes that came from outside for scored videos"
        )
        self._callbacks = self._counter(
            "deepfake_callbacks_total", "Calls of clients' URLs", ("outcome",), _CALLBACKS
        )
        self._reloads = self._counter(
            "deepfake_model_reloads_total",
            "Times that models were to be loaded anew",
            ("outcome",),
            _RELOADS,
        )

    @property
    def catalogue(self) -> Sequence[Metric]:
        """All there are, without those of the process."""
        return self._instruments.catalogue

    def gauge(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a value that is read whenever somebody collects."""
        self._watch(name, "gauge", text, (), lambda: {(): read()})

    def total(self, name: str, text: str, read: Callable[[], float]) -> None:
        """Show a count that is read whenever somebody collects."""
        self._watch(name, "counter", text, (), lambda: {(): read()})

    def models(self, read: Callable[[], Sequence[ServedModel]]) -> None:
        """Show which models serve, and on what, whenever somebody collects."""
        self._watch(
            "deepfake_model_info",
            "gauge",
            "Served models; fallback: the CPU stands in for a GPU",
            _SERVED,
            lambda: {_described(each): 1.0 for each in read()},
        )
        self._watch(
            "deepfake_operating_point",
            "gauge",
            "Scores of a served model below lower read real, from upper on fake",
            (*_MODEL, "bound"),
            lambda: {bound: at for each in read() for bound, at in _bounds(each)},
        )

    def serving(self, models: Sequence[ServedModel]) -> None:
        """These models answer from now on: what is counted of each begins with 0."""
        for each in models:
            told = each.contract
            for verdict in get_args(Verdict):
                self._verdicts.add(told.name, told.version, verdict, by=0)
            for verdict in _ABSTAINED:
                self._abstained.add(told.name, told.version, verdict, by=0)

    def errors(self, codes: Iterable[str]) -> None:
        """Callers can be told of these: what is counted of each begins with 0."""
        for code in codes:
            self._problems.add(code, by=0)

    def version(self, version: str) -> None:
        """Show the service's own."""
        self._watch(
            "deepfake_service_info", "gauge", "The service", ("version",), lambda: {(version,): 1.0}
        )

    def shed(self, reason: str) -> None:
        """One request was turned away to protect the others."""
        self._shed.add(reason)

    def problem(self, code: str) -> None:
        """One caller was told of an error."""
        self._problems.add(code)

    def callback(self, outcome: str) -> None:
        """One call was delivered or given up."""
        self._callbacks.add(outcome)

    def reload(self, outcome: str) -> None:
        """Loading models anew is over."""
        self._reloads.add(outcome)

    def batch(self, model: str, version: str, size: int) -> None:
        """One batch of so many clips went through a model."""
        self._batches.add(model, version)
        self._clips.add(model, version, by=size)
        self._batch_size.observe(size, model, version)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """One HTTP request is done. ``route`` is the template, never the path."""
        self._requests.add(method, route, str(status))
        self._request_seconds.observe(seconds, method, route)

    def abandoned(self, took: float) -> None:
        """The caller of one video went away, or deleted its job, ``took`` seconds after it came."""
        self._detection_seconds.observe(took, "abandoned")

    def detection(self, report: Report, received: float, took: float) -> None:
        """One video is scored: its body took ``received`` seconds to arrive, and everything from
        its first byte to the report ``took``."""
        self._detection_seconds.observe(took, "finished")
        timing, coverage = report.timing, report.coverage
        stages = {
            "receive": received,
            "fetch": timing.fetch,
            "queued": timing.queued,
            "extract": timing.extract,
            "classify": timing.classify,
        }
        for stage, seconds in stages.items():
            self._stage_seconds.observe(seconds, stage)
        self._judged(report)
        self._faces.observe(len(report.faces))
        self._lengths.observe(report.media.duration)
        self._fetched.add(by=coverage.bytes_fetched)
        if coverage.frames_decoded:
            self._face_frames.observe(coverage.frames_with_face / coverage.frames_decoded)

    def _judged(self, report: Report) -> None:
        model = (report.model.name, report.model.version)
        self._verdicts.add(*model, report.verdict)
        if report.verdict in _ABSTAINED:
            self._abstained.add(*model, report.verdict)
        if report.score is not None:
            self._score.observe(report.score, *model)
        for face in report.faces:
            for segment in face.segments:
                left, top, right, bottom = segment.box
                self._segment_score.observe(segment.score, *model)
                self._face_pixels.observe(min(right - left, bottom - top))

    def expose(self, accept: str) -> tuple[bytes, str]:
        """The text for a scraper that sends this ``Accept`` header, and its content type."""
        return self._instruments.expose(accept)

    def _counter(
        self, name: str, text: str, labels: Sequence[str] = (), values: Sequence[str] = ()
    ) -> Counter:
        """``values`` of its one label are there from the start: a rate needs the 0 before."""
        made = self._instruments.counter(Metric(name, "counter", text, tuple(labels)))
        for value in values:
            made.add(value, by=0)
        return made

    def _histogram(
        self,
        name: str,
        text: str,
        buckets: Sequence[float],
        labels: Sequence[str] = (),
        values: Sequence[str] = (),
    ) -> Histogram:
        return self._instruments.histogram(
            Metric(name, "histogram", text, tuple(labels), tuple(buckets), tuple(values))
        )

    def _watch(
        self,
        name: str,
        kind: Kind,
        text: str,
        labels: Sequence[str],
        read: Callable[[], Readings],
    ) -> None:
        self._instruments.watch(Metric(name, kind, text, tuple(labels)), read)


def _described(served: ServedModel) -> tuple[str, ...]:
    told = served.contract
    fallback = str(served.fallback).lower()
    return (told.name, told.version, served.provider, told.precision, fallback)


def _bounds(served: ServedModel) -> list[tuple[tuple[str, ...], float]]:
    told = served.contract
    point = told.operating_point
    bounds = (point.uncertain_low, point.threshold, point.uncertain_high)
    return [((told.name, told.version, name), at) for name, at in zip(_BOUNDS, bounds, strict=True)]
