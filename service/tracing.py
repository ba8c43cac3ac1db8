"""Spans of requests and of the stages of their work, for who collects them by OpenTelemetry.

Without the extra ``tracing``, or without the setting, they are the API's empty ones. No span holds
anything that a caller sent but the trace it belongs to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from types import TracebackType

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service import __version__
from service.errors import ModelError, ServiceError

_tracer = trace.get_tracer("deepfake-service", __version__)
_w3c = TraceContextTextMapPropagator()


def configure() -> Callable[[], None]:
    """Send spans where the standard variables ``OTEL_...`` say; the function that is returned
    sends what is left and ends it. Raises ``ModelError`` without the extra."""
    if find_spec("opentelemetry.sdk") is None:
        raise ModelError("tracing was asked for and is not installed: it is the extra 'tracing'")
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import OTELResourceDetector, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    named = Resource({"service.name": "deepfake-service", "service.version": __version__})
    provider = TracerProvider(resource=named.merge(OTELResourceDetector().detect()))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    return provider.shutdown


@contextmanager
def request(traceparent: str) -> Iterator[trace.Span]:
    """A request, as part of the trace that its W3C ``traceparent`` names, if any. Everything that
    begins within belongs to it."""
    # Without tracestate: it is the caller's text.
    parent = _w3c.extract({"traceparent": traceparent})
    with _tracer.start_as_current_span(
        "request",
        parent,
        SpanKind.SERVER,
        # Its text may quote the caller.
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        yield span


def trace_id() -> str | None:
    """Of the request in whose context this runs, 32 hex digits; None where none is traced."""
    context = trace.get_current_span().get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


class Stage:
    """A part of the work on one video; begins when it is made. A context manager, so that it ends
    in any case, and may end before. It never becomes the current span: generators, which may be
    closed from anywhere, have stages."""

    def __init__(self, name: str) -> None:
        self._span = _tracer.start_span(name)

    def end(self, **attributes: float) -> None:
        """It is over; again does nothing."""
        if self._span.is_recording():
            self._span.set_attributes(attributes)
            self._span.end()

    def __enter__(self) -> Stage:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is not None and self._span.is_recording():
            name = error.code if isinstance(error, ServiceError) else type(error).__name__
            self._span.set_attribute("error.type", name)
            self._span.set_status(StatusCode.ERROR)
        self.end()
