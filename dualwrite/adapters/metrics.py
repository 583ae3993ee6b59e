"""Prometheus behind the ``Metrics`` port."""

from collections.abc import Callable, Mapping

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)

from dualwrite.core.metric_names import LATENCY_BUCKETS_SECONDS, METRICS, MetricSpec

CHILDREN_MAX = 2_000
"""Label sets of one metric; beyond it they are counted together, as ``other``. Labels may come
from clients (names of tables that pass through), and memory must not."""

_Family = Counter | Gauge | Histogram
_Apply = Callable[[float], None]


class PrometheusMetrics:
    """Every metric of ``METRICS`` in a registry of its own, so that two may live in one process."""

    def __init__(self, specs: Mapping[str, MetricSpec] = METRICS) -> None:
        self._registry = CollectorRegistry()
        self._families = {name: _family(name, spec, self._registry) for name, spec in specs.items()}
        self._specs = specs
        self._children: dict[tuple[str, tuple[str, ...]], _Apply] = {}
        self._counts = dict.fromkeys(specs, 0)

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        (self._children.get((name, labels)) or self._child(name, labels))(amount)

    def set(self, name: str, *labels: str, value: float) -> None:
        (self._children.get((name, labels)) or self._child(name, labels))(value)

    def observe(self, name: str, *labels: str, value: float) -> None:
        (self._children.get((name, labels)) or self._child(name, labels))(value)

    def exposition(self) -> bytes:
        """All metrics in Prometheus' text format."""
        return generate_latest(self._registry)

    def serve(self, port: int) -> int:
        """Answer ``/metrics`` on loopback from a daemon thread; gives the port (0: a free one).

        Raises OSError where the port is in use.
        """
        server, _ = start_http_server(port, addr="127.0.0.1", registry=self._registry)
        return server.server_port

    def _child(self, name: str, labels: tuple[str, ...]) -> _Apply:
        spec = self._specs[name]
        if len(labels) != len(spec.labels):
            raise ValueError(f"{name} has the labels {spec.labels}, not {len(labels)} of them")
        key = (name, labels)
        if self._counts[name] >= CHILDREN_MAX:
            # The overflow label set is kept, the one that overflowed is not.
            key = (name, ("other",) * len(labels))
            if key in self._children:
                return self._children[key]
        apply = _bound(self._families[name], key[1])
        self._children[key] = apply
        self._counts[name] += 1
        return apply


def _family(name: str, spec: MetricSpec, registry: CollectorRegistry) -> _Family:
    match spec.kind:
        case "counter":
            return Counter(name.removesuffix("_total"), spec.help, spec.labels, registry=registry)
        case "gauge":
            return Gauge(name, spec.help, spec.labels, registry=registry)
        case "histogram":
            return Histogram(
                name, spec.help, spec.labels, registry=registry, buckets=LATENCY_BUCKETS_SECONDS
            )
    raise ValueError(f"{name} has the unknown kind {spec.kind!r}")


def _bound(family: _Family, labels: tuple[str, ...]) -> _Apply:
    child = family.labels(*labels) if labels else family
    match child:
        case Counter():
            return child.inc
        case Gauge():
            return child.set
        case Histogram():
            return child.observe
    raise AssertionError("families are built by _family alone")
