"""Who else consumes, as this process sees it: by counters that move, never by other clocks."""

from collections.abc import Iterable
from hashlib import sha256

from dualwrite.core.ports import Clock, Record
from dualwrite.core.records import Member, Role, load
from dualwrite.core.stillness import Stillness


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
            if (member := load(Member, record.value)).role == Role.CONSUMER
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
