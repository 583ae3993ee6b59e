"""What the service needs from the world. Real adapters are built in ``wiring`` alone; the
simulator and the tests build theirs. All that speaks to DynamoDB goes through ``Dynamo``."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Generic, Protocol, TypeVar

from dualwrite.core.backfills import TableSize
from dualwrite.core.derivation import Missing, Question
from dualwrite.core.phases import Side, TableState
from dualwrite.core.records import Repair

T = TypeVar("T")


class Dynamo(Protocol):
    """One DynamoDB endpoint, both of its APIs, in DynamoDB JSON."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send one operation, exactly once; ``GetRecords`` and its kin go to the streams API.

        Raises Refused (answered with an error), Unreachable (never sent) or OutcomeUnknown.
        """
        ...


class TableSizes(Protocol):
    """How large the engine says that tables are."""

    async def size(self, table: str) -> TableSize:
        """Of a physical table; zeros where the engine does not tell. Raises EngineError."""
        ...


class Clock(Protocol):
    """Time, injected so that a simulator can drive it."""

    def wall_ms(self) -> int:
        """Milliseconds since 1970, UTC."""
        ...

    def monotonic_seconds(self) -> float:
        """Seconds that never run backwards, for leases and time-outs."""
        ...

    async def sleep(self, seconds: float) -> None: ...


class Metrics(Protocol):
    """Counters, gauges and histograms named in ``metric_names``; label values in order there."""

    def add(self, name: str, *labels: str, amount: float = 1.0) -> None: ...

    def set(self, name: str, *labels: str, value: float) -> None: ...

    def observe(self, name: str, *labels: str, value: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Record:
    """One durable value; see ``dualwrite.core.records`` for the kinds."""

    kind: str
    name: str
    version: int
    value: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of a list that may be long."""

    entries: tuple[T, ...]
    next: str = ""
    """The name behind which the next page begins; empty where this is the last one."""


class Records(Protocol):
    """The control table: small JSON values, changed by compare-and-set."""

    async def read(self, kind: str, name: str) -> Record | None:
        """The newest value (a consistent read)."""
        ...

    async def list(self, kind: str, prefix: str = "") -> tuple[Record, ...]:
        """All records of a kind whose names start with ``prefix``, in the order of names."""
        ...

    async def page(self, kind: str, prefix: str = "", after: str = "") -> Page[Record]:
        """The next few of the same, with names behind ``after``: for lists of any length, whose
        reader neither holds all of it nor keeps others from their turn."""
        ...

    async def write(
        self, kind: str, name: str, value: Mapping[str, Any], *, expected: int | None
    ) -> Record:
        """Store a value. ``expected``: the version it replaces, 0 for "must not exist yet", None
        for whatever is there. Raises StateConflict where that does not hold."""
        ...

    async def delete(self, kind: str, name: str, *, expected: int | None) -> None:
        """Forget a record; nothing happens where there is none. Raises StateConflict."""
        ...


class Epochs(Protocol):
    """What this process may do now: each table's state, under a lease.

    Whatever touches a table is wrapped in ``enter`` and ``leave``, so that the process
    acknowledges an epoch only when all that began under the one before is over.
    """

    def enter(self, table: str) -> TableState:
        """The state to work under. Raises LeaseExpired."""
        ...

    def leave(self, state: TableState) -> None:
        """The work begun by ``enter`` is over, its unknown outcomes are queued for repair."""
        ...

    def current(self, table: str) -> TableState:
        """The state as last polled, for reads and displays; raises LeaseExpired."""
        ...

    async def look(self, table: str) -> TableState:
        """The state as it stands at this moment, whatever was polled; raises EngineError."""
        ...


class RepairQueue(Protocol):
    """Keys that may differ between the two sides; durable, one entry a key."""

    async def put(self, table: str, side: Side, token: str, reason: str) -> None:
        """Remember a key (``key_token`` in the words of ``side``) that may differ. Repeatable."""
        ...


class BigTransactionLog(Protocol):
    """Client transactions that atomic mode would refuse, because doubled they exceed a
    transaction's bound; the count closes the gate to atomic until an operator accepts it."""

    async def seen(self, table: str) -> None:
        """Count one, durably. Raises EngineError where it may not have been counted."""
        ...


@dataclass(frozen=True, slots=True)
class WaitingRepair:
    """One entry of the repair queue as it was read; ``version`` fences what is done about it."""

    name: str
    version: int
    repair: Repair


class RepairStore(RepairQueue, Protocol):
    """The repair queue as its workers see it."""

    async def poison(self, table: str, side: Side, token: str, reason: str) -> None:
        """List a key that cannot be made equal; it waits for a person. Repeatable: nothing is
        written where it stands there for the same reason."""
        ...

    async def absolve(self, table: str, side: Side, token: str) -> None:
        """Forget a key's poison entry, for it has become clean; a waiting repair stays."""
        ...

    async def waiting(self, after: str = "") -> Page[WaitingRepair]:
        """The next few entries behind a name, in the order of names."""
        ...

    async def poisoned(self, after: str = "") -> Page[str]:
        """The same of the list of poison: the names (``repair_name``) that stand there."""
        ...

    async def done(self, entry: WaitingRepair) -> None:
        """Forget an entry, unless its key was put again since it was read."""
        ...

    async def retry_later(self, entry: WaitingRepair, delay_seconds: float) -> None:
        """Count a failed attempt and wait, unless the key was put again since it was read."""
        ...


class Parents(Protocol):
    """Answers the look-ups that a derivation asks."""

    async def answer(self, question: Question) -> str | Missing:
        """The parent's old id, cached; raises EngineError."""
        ...


class Lane(StrEnum):
    """What kind of work a shared queue carries; each kind waits in a line of its own."""

    DIRTY = "dirty-keys"
    """Keys that may differ, to be reconciled."""
    SEGMENTS = "segments"
    """Segments of a backfill that somebody should scan."""
    SWEEPS = "sweep-parts"
    """Parts of a sweep that somebody should compare."""
    DEAD = "dead-letters"
    """What nobody could work on, kept for a person to look at."""


@dataclass(frozen=True, slots=True)
class Parcel:
    """One piece of work. All parcels of a key are worked on in the order they were put in."""

    key: str
    body: Mapping[str, Any]
    """JSON-ready; a key and where it came from, never an item's contents."""


@dataclass(frozen=True, slots=True)
class Ticket:
    """Where a parcel that was put stands in its lane; only its queue can read it."""

    place: str
    number: int


@dataclass(frozen=True, slots=True)
class Job:
    """A parcel that was taken, and by which claim: one that is over acknowledges nothing."""

    lane: Lane
    parcel: Parcel
    ticket: Ticket
    claim: int


class WorkQueue(Protocol):
    """Work shared by all consumers: at least once, one worker a key, in order of each key.

    It never holds the only copy of anything. Who puts work in keeps it until it is ``settled``, and
    puts in again what no longer is ``standing``: a queue that lost all it held costs time.
    """

    async def put(self, lane: Lane, parcels: Sequence[Parcel]) -> tuple[Ticket, ...]:
        """Store parcels durably; one that waits there already may be given the same ticket. Raises
        EngineError, after which any of them may be in."""
        ...

    async def take(self, lane: Lane, most: int) -> tuple[Job, ...]:
        """Up to ``most`` jobs, or none at once; asking also renews the claims on those taken
        before. Raises EngineError."""
        ...

    async def ack(self, jobs: Sequence[Job]) -> None:
        """Their work is applied; what is not acknowledged is given to somebody again. Raises
        EngineError."""
        ...

    async def bury(self, parcel: Parcel, reason: str) -> None:
        """Keep a copy with the dead letters, or none where too many lie there already: it is for
        people to look at, and nobody's work depends on it. Raises EngineError."""
        ...

    async def settled(self, lane: Lane, tickets: Collection[Ticket]) -> frozenset[Ticket]:
        """Those that are acknowledged for sure. Raises EngineError."""
        ...

    async def standing(self, lane: Lane, tickets: Collection[Ticket]) -> frozenset[Ticket]:
        """Of tickets that are not settled, those whose parcels the queue still has, however long
        they wait: to put them in again would only lengthen the line. Raises EngineError."""
        ...

    async def step_back(self, lane: Lane) -> None:
        """Give back what was taken of a lane, for this process cannot do it; others may. The next
        ``take`` comes forward again."""
        ...

    async def close(self) -> None:
        """Leave; what was taken and not acknowledged goes to others."""
        ...


@dataclass(frozen=True, slots=True)
class FeedEvent:
    """One committed write as the feed stores it; those of one key keep their order."""

    key: bytes
    body: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.key) + len(self.body)


class MutationFeed(Protocol):
    """Where committed writes are told, for others to consume."""

    @property
    def event_bytes_max(self) -> int:
        """The feed takes no longer event. Room for a write without its images, and it may shrink
        when an event was refused."""
        ...

    async def tell(self, events: Sequence[FeedEvent]) -> None:
        """Store events durably, those of one key in order. Raises EngineError, after which any of
        them may be told, and all are told again."""
        ...

    async def close(self) -> None: ...
