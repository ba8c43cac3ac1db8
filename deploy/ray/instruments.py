"""Metrics by Ray: pushed by every process to its node, where Prometheus finds those of all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ray.util import metrics

from service.instruments import Counter, Histogram, Metric, Readings

_SECONDS = 5.0


class RayInstruments:
    """See ``service.instruments.Instruments``. Names get the prefix ``ray_``. What would be read at
    a scrape is read and pushed by ``keep``."""

    def __init__(self) -> None:
        self.catalogue: list[Metric] = []
        self._watched: list[_Watched] = []

    def counter(self, metric: Metric) -> Counter:
        """See ``Instruments``."""
        self.catalogue.append(metric)
        return _Counter(metric)

    def histogram(self, metric: Metric) -> Histogram:
        """See ``Instruments``."""
        self.catalogue.append(metric)
        return _Histogram(metric)

    def watch(self, metric: Metric, read: Callable[[], Readings]) -> None:
        """See ``Instruments``."""
        self.catalogue.append(metric)
        self._watched.append(_Watched(metric, read))

    def expose(self, accept: str) -> tuple[bytes, str]:
        """Nothing: Ray exposes them."""
        return b"", "text/plain; version=0.0.4"

    async def keep(self) -> None:
        """Push what is watched, for ever."""
        while True:
            for each in self._watched:
                each.push()
            await asyncio.sleep(_SECONDS)


class _Counter:
    def __init__(self, metric: Metric) -> None:
        self._labels = metric.labels
        self._inner = metrics.Counter(metric.name, metric.text, metric.labels)

    def add(self, *labels: str, by: float = 1) -> None:
        # Ray has no counters that stand at 0.
        if by > 0:
            self._inner.inc(by, dict(zip(self._labels, labels, strict=True)))


class _Histogram:
    def __init__(self, metric: Metric) -> None:
        self._labels = metric.labels
        # Ray has no bucket that ends at 0.
        bounds = [bound for bound in metric.buckets if bound > 0]
        self._inner = metrics.Histogram(metric.name, metric.text, bounds, metric.labels)

    def observe(self, value: float, *labels: str) -> None:
        self._inner.observe(value, dict(zip(self._labels, labels, strict=True)))


class _Watched:
    def __init__(self, metric: Metric, read: Callable[[], Readings]) -> None:
        self._metric, self._read = metric, read
        self._counter = _Counter(metric) if metric.kind == "counter" else None
        self._gauge = (
            metrics.Gauge(metric.name, metric.text, metric.labels)
            if metric.kind == "gauge"
            else None
        )
        self._last: Readings = {}

    def push(self) -> None:
        now = self._read()
        # Ray goes on showing the last value of what is not there any more.
        for labels, value in {**dict.fromkeys(self._last, 0.0), **now}.items():
            if self._counter is not None:
                self._counter.add(*labels, by=value - self._last.get(labels, 0.0))
            if self._gauge is not None:
                named = dict(zip(self._metric.labels, labels, strict=True))
                self._gauge.set(float(value), named)
        self._last = dict(now)
