"""Prometheus behind the ``Metrics`` port.

The hot path adds to plain numbers; Prometheus' own objects are made when somebody scrapes.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from dualwrite.core.metric_names import LATENCY_BUCKETS_SECONDS, METRICS, MetricSpec

CHILDREN_MAX = 2_000
"""Label sets of one metric; beyond it they are counted together, as ``other``. Labels may come
from clients (names of tables that pass through), and memory must not."""

_BOUNDS = [*(str(bound) for bound in LATENCY_BUCKETS_SECONDS), "+Inf"]

_Key = tuple[str, tuple[str, ...]]


class PrometheusMetrics(Collector):
    """Every metric of ``METRICS`` in a registry of its own, so that two may live in one process.

    One thread writes; the thread that answers scrapes reads copies, so a scrape may be a write
    behind and is never torn.
    """

    def __init__(self, specs: Mapping[str, MetricSpec] = METRICS) -> None:
        self._specs = specs
        self._numbers: dict[_Key, float] = {}
        self._histograms: dict[_Key, list[float]] = {}
        self._counts = dict.fromkeys(specs, 0)
        self.registry = CollectorRegistry()
        self.registry.register(self)

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        key = (name, labels)
        try:
            self._numbers[key] += amount
        except KeyError:
            key = self._admitted(name, labels)
            self._numbers[key] = self._numbers.get(key, 0.0) + amount

    def set(self, name: str, *labels: str, value: float) -> None:
        key = (name, labels)
        if key not in self._numbers:
            key = self._admitted(name, labels)
        self._numbers[key] = value

    def observe(self, name: str, *labels: str, value: float) -> None:
        found = self._histograms.get((name, labels))
        if found is None:
            key = self._admitted(name, labels)
            found = self._histograms.setdefault(key, [0.0] * (len(_BOUNDS) + 1))
        found[bisect_left(LATENCY_BUCKETS_SECONDS, value)] += 1.0
        found[-1] += value

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def collect(self) -> Iterable[Metric]:
        """What a scrape shows; called by prometheus_client."""
        numbers, histograms = dict(self._numbers), dict(self._histograms)
        for name, spec in self._specs.items():
            family = _family(name, spec)
            for (owner, labels), value in numbers.items():
                if owner == name and not isinstance(family, HistogramMetricFamily):
                    family.add_metric(labels, value)
            for (owner, labels), counts in histograms.items():
                if owner == name and isinstance(family, HistogramMetricFamily):
                    *buckets, total = counts.copy()
                    below = zip(_BOUNDS, accumulate(buckets), strict=True)
                    family.add_metric(labels, list(below), total)
            yield family

    def _admitted(self, name: str, labels: tuple[str, ...]) -> _Key:
        """The key to count under: a new label set, or ``other`` where there are too many."""
        spec = self._specs[name]
        if len(labels) != len(spec.labels):
            raise ValueError(f"{name} has the labels {spec.labels}, not {len(labels)} of them")
        if self._counts[name] >= CHILDREN_MAX:
            return (name, ("other",) * len(labels))
        self._counts[name] += 1
        return (name, labels)


def _family(
    name: str, spec: MetricSpec
) -> CounterMetricFamily | GaugeMetricFamily | HistogramMetricFamily:
    match spec.kind:
        case "counter":
            return CounterMetricFamily(name.removesuffix("_total"), spec.help, labels=spec.labels)
        case "gauge":
            return GaugeMetricFamily(name, spec.help, labels=spec.labels)
        case "histogram":
            return HistogramMetricFamily(name, spec.help, labels=spec.labels)
    raise ValueError(f"{name} has the unknown kind {spec.kind!r}")
