"""What metrics are made of, and Prometheus' own: counters, histograms, and values that are read.

Behind one interface, so that what is counted does not depend on who collects it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import prometheus_client
from prometheus_client import CollectorRegistry, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

Kind = Literal["counter", "gauge", "histogram"]
Readings = Mapping[tuple[str, ...], float]
"""Values by those of their labels."""


@dataclass(frozen=True, slots=True)
class Metric:
    """One entry of the catalogue. A counter's name ends in ``_total``."""

    name: str
    kind: Kind
    text: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    values: tuple[str, ...] = ()
    """Of the one label of a histogram, there from the start: a rate needs the 0 before."""


class Counter(Protocol):
    """Only grows."""

    def add(self, *labels: str, by: float = 1) -> None:
        """So much more."""
        ...


class Histogram(Protocol):
    """How often values came, by size."""

    def observe(self, value: float, *labels: str) -> None:
        """One more value."""
        ...


class Instruments(Protocol):
    """Makes metrics and remembers which."""

    @property
    def catalogue(self) -> Sequence[Metric]:
        """All that were made."""
        ...

    def counter(self, metric: Metric) -> Counter:
        """One that is told."""
        ...

    def histogram(self, metric: Metric) -> Histogram:
        """One that is told; its ``buckets`` are upper bounds."""
        ...

    def watch(self, metric: Metric, read: Callable[[], Readings]) -> None:
        """A gauge or counter whose values are read when somebody collects."""
        ...

    def expose(self, accept: str) -> tuple[bytes, str]:
        """All values, for a scraper that sends this ``Accept`` header, and their content type."""
        ...


class PrometheusInstruments:
    """In a registry of its own, with what the kernel tells of this process."""

    def __init__(self) -> None:
        self.catalogue: list[Metric] = []
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)

    def counter(self, metric: Metric) -> Counter:
        """See ``Instruments``."""
        self.catalogue.append(metric)
        return _Counter(
            prometheus_client.Counter(
                metric.name, metric.text, metric.labels, registry=self._registry
            )
        )

    def histogram(self, metric: Metric) -> Histogram:
        """See ``Instruments``."""
        self.catalogue.append(metric)
        made = prometheus_client.Histogram(
            metric.name,
            metric.text,
            metric.labels,
            buckets=metric.buckets,
            registry=self._registry,
        )
        for value in metric.values:
            made.labels(value)
        return _Histogram(made)

    def watch(self, metric: Metric, read: Callable[[], Readings]) -> None:
        """See ``Instruments``."""
        self.catalogue.append(metric)
        self._registry.register(_Watched(metric, read))

    def expose(self, accept: str) -> tuple[bytes, str]:
        """See ``Instruments``."""
        encode, content_type = choose_encoder(accept)
        return encode(self._registry), content_type


class _Counter:
    def __init__(self, inner: prometheus_client.Counter) -> None:
        self._inner = inner

    def add(self, *labels: str, by: float = 1) -> None:
        (self._inner.labels(*labels) if labels else self._inner).inc(by)


class _Histogram:
    def __init__(self, inner: prometheus_client.Histogram) -> None:
        self._inner = inner

    def observe(self, value: float, *labels: str) -> None:
        (self._inner.labels(*labels) if labels else self._inner).observe(value)


class _Watched(Collector):
    """No metric that is set once would follow what it shows."""

    def __init__(self, metric: Metric, read: Callable[[], Readings]) -> None:
        self._metric, self._read = metric, read

    def describe(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Its name; reading may not be possible yet."""
        yield self._family()

    def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
        """Its values now."""
        family = self._family()
        for labels, value in self._read().items():
            family.add_metric(labels, value)
        yield family

    def _family(self) -> CounterMetricFamily | GaugeMetricFamily:
        kind = CounterMetricFamily if self._metric.kind == "counter" else GaugeMetricFamily
        return kind(self._metric.name, self._metric.text, labels=self._metric.labels)
