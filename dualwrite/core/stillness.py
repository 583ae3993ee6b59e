"""Whether records still move, by the observer's own monotonic clock and no other."""

from collections.abc import Iterable

from dualwrite.core.ports import Clock, Record


class Stillness:
    """For how long records of one kind have stood still since they were first looked at."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float, bool]] = {}
        """By name: the version, since when, and whether it was seen to change."""

    def observe(self, records: Iterable[Record]) -> None:
        """Look at all records of the kind; those that are gone are forgotten."""
        before, self._seen = self._seen, {}
        for record in records:
            if record.name in before:
                self._seen[record.name] = before[record.name]
            self.see(record)

    def see(self, record: Record) -> None:
        """Look at one record."""
        held = self._seen.get(record.name)
        if held is None or held[0] != record.version:
            now = self._clock.monotonic_seconds()
            self._seen[record.name] = (record.version, now, held is not None)

    def forget(self, name: str) -> None:
        """Begin anew with a record."""
        self._seen.pop(name, None)

    def seconds(self, name: str) -> float:
        """0 for a record never seen."""
        held = self._seen.get(name)
        return 0.0 if held is None else self._clock.monotonic_seconds() - held[1]

    def age_seconds(self, name: str) -> float | None:
        """For how long at most the record has not been renewed; None for one that was not seen to
        move: it may have been old when it was first looked at."""
        held = self._seen.get(name)
        return self.seconds(name) if held is not None and held[2] else None
