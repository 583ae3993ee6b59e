"""What a group member holds: its partitions, the messages taken, and what may be committed.

Used by three threads at once: the event loop takes and acknowledges, the reader's thread adds and
commits, and the library's own thread gives partitions and takes them away. Nothing here asks a
broker.
"""

import threading
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Message:
    """One message, and the claim under which it was fetched."""

    partition: int
    offset: int
    key: bytes
    value: bytes
    claim: int


@dataclass(slots=True)
class _Share:
    """One partition that is assigned to this member."""

    claim: int
    open: deque[int] = field(default_factory=deque)
    """Offsets that wait here or are taken, and are not in the acknowledged prefix, in order."""
    acked: set[int] = field(default_factory=set)
    next: int = -1
    """The offset to commit; -1: nothing new."""


class Shares:
    """The partitions of one member. A claim ends when its partition goes away, also if the same
    one comes back."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._shares: dict[int, _Share] = {}
        self._ready: deque[Message] = deque()
        self._claims = 0

    # -- for the event loop -------------------------------------------------------------------

    def take(self, most: int) -> list[Message]:
        """Up to so many messages, each to one taker."""
        with self._changed:
            return [self._ready.popleft() for _ in range(min(most, len(self._ready)))]

    def ack(self, partition: int, offset: int, claim: int) -> None:
        """Note that a message's work is applied, if the claim still stands."""
        with self._changed:
            share = self._shares.get(partition)
            if share is None or share.claim != claim:
                return
            share.acked.add(offset)
            while share.open and share.open[0] in share.acked:
                share.next = share.open.popleft() + 1
                share.acked.discard(share.next - 1)
            self._changed.notify_all()

    # -- for the threads ----------------------------------------------------------------------

    def assign(self, partitions: Iterable[int]) -> None:
        """These are this member's from now on, each under a new claim."""
        with self._changed:
            for partition in partitions:
                self._claims += 1
                self._shares[partition] = _Share(self._claims)

    def claim(self, partition: int) -> int | None:
        """None for a partition that is not this member's."""
        with self._changed:
            share = self._shares.get(partition)
            return None if share is None else share.claim

    def add(self, messages: Sequence[Message]) -> None:
        """Offer messages to takers; those whose claim is over are somebody else's by now."""
        with self._changed:
            for message in messages:
                share = self._shares.get(message.partition)
                if share is not None and share.claim == message.claim:
                    share.open.append(message.offset)
                    self._ready.append(message)

    def held(self) -> int:
        """How many messages wait here or are taken, and are not acknowledged."""
        with self._changed:
            return sum(len(share.open) for share in self._shares.values())

    def finish(self, partitions: Iterable[int], seconds_max: float) -> dict[int, int]:
        """Offer no more of these partitions, and wait until what was taken is acknowledged. By
        partition: the first offset that was not, where there is one."""
        numbers = set(partitions)
        with self._changed:
            waiting = {(m.partition, m.offset) for m in self._ready if m.partition in numbers}
            self._ready = deque(m for m in self._ready if m.partition not in numbers)
            shares = {n: share for n, share in self._shares.items() if n in numbers}
            for number, share in shares.items():
                share.open = deque(at for at in share.open if (number, at) not in waiting)
            self._changed.wait_for(lambda: not any(s.open for s in shares.values()), seconds_max)
            left = {*waiting, *((n, at) for n, share in shares.items() for at in share.open)}
            return {n: min(at for number, at in left if number == n) for n in {n for n, _ in left}}

    def due(self) -> dict[int, int]:
        """The offsets to commit, by partition."""
        with self._changed:
            return {n: share.next for n, share in self._shares.items() if share.next >= 0}

    def committed(self, offsets: dict[int, int]) -> None:
        """These need not be committed again."""
        with self._changed:
            for partition, at in offsets.items():
                share = self._shares.get(partition)
                if share is not None and share.next == at:
                    share.next = -1

    def forget(self, partitions: Iterable[int] | None = None) -> None:
        """End the claims on these partitions; on all of them where none are named."""
        with self._changed:
            gone = set(self._shares) if partitions is None else set(partitions)
            for partition in gone:
                self._shares.pop(partition, None)
            self._ready = deque(m for m in self._ready if m.partition not in gone)
