"""The ``Metrics`` port in memory."""

from dualwrite.core.metric_names import METRICS


class MemoryMetrics:
    """Remembers the newest value of gauges, the sum of counters, all that was observed."""

    def __init__(self) -> None:
        self.values: dict[tuple[str, ...], float] = {}
        self.observed: dict[tuple[str, ...], list[float]] = {}

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None:
        key = self._key(name, labels)
        self.values[key] = self.values.get(key, 0.0) + amount

    def set(self, name: str, *labels: str, value: float) -> None:
        self.values[self._key(name, labels)] = value

    def observe(self, name: str, *labels: str, value: float) -> None:
        self.observed.setdefault(self._key(name, labels), []).append(value)

    def _key(self, name: str, labels: tuple[str, ...]) -> tuple[str, ...]:
        assert len(METRICS[name].labels) == len(labels), f"{name} has {METRICS[name].labels}"
        return (name, *labels)
