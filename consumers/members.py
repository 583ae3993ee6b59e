"""Who else consumes, as this process sees it: by counters that move, never by other clocks."""

from collections.abc import Iterable
from hashlib import sha256

from dualwrite.core.ports import Clock, Record
from dualwrite.core.records import Member, load

ROLE = "consumer"


class Stillness:
    """For how long a record has stood still, on this process's own monotonic clock."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def observe(self, records: Iterable[Record]) -> None:
        """Look at all records of a kind; those that are gone are forgotten."""
        now = self._clock.monotonic_seconds()
        seen = {}
        for record in records:
            before = self._seen.get(record.name)
            moved = before is None or before[0] != record.version
            seen[record.name] = (record.version, now if moved or before is None else before[1])
        self._seen = seen

    def seconds(self, name: str) -> float:
        """0 for a record never seen."""
        before = self._seen.get(name)
        return 0.0 if before is None else self._clock.monotonic_seconds() - before[1]


class Consumers:
    """The live consumers, this one among them."""

    def __init__(self, clock: Clock, process_id: str) -> None:
        self.me = process_id
        self.live: tuple[str, ...] = (process_id,)
        self._stillness = Stillness(clock)

    def observe(self, members: Iterable[Record]) -> None:
        """Take over what the MEMBER records say."""
        consumers = [
            (record, member)
            for record in members
            if (member := load(Member, record.value)).role == ROLE
        ]
        self._stillness.observe(record for record, _ in consumers)
        alive = {
            record.name
            for record, member in consumers
            if self._stillness.seconds(record.name) <= member.lease_seconds
        }
        self.live = tuple(sorted({self.me, *alive}))

    def is_mine(self, name: str) -> bool:
        """Whether this consumer is the one of the live ones that a name falls to."""
        digest = int.from_bytes(sha256(name.encode()).digest()[:8])
        return self.live[digest % len(self.live)] == self.me
