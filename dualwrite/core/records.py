"""The durable records that the processes share, one frozen value each.

They live in the control table behind the ``Records`` port: a record has a kind, a name and a
version, and is changed by compare-and-set. ``dump`` and ``load`` turn the values into JSON.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from hashlib import sha256
from typing import Any, TypeVar

from dualwrite.core.phases import Phase, Side, TableState

T = TypeVar("T")

DIGEST_LENGTH = 32

STATE = "state"
"""name = table; value = TableState."""
MEMBER = "member"
"""name = process id; value = Member."""
COMMAND = "command"
"""name = command id; value = Command."""
AUDIT = "audit"
"""name = 13-digit ms, dash, random; value = AuditEntry; append-only."""
BACKFILL = "backfill"
"""name = table; value = BackfillOrder."""
SEGMENT = "segment"
"""name = table/scan/number (``core/backfills.py``); value = Segment."""
SWEEP = "sweep"
"""name = table; value = SweepOrder."""
SWEPT = "swept"
"""name = table; value = SweepResult."""
SWEEP_PART = "sweep-part"
"""name = table/sweep/side-number; value = SweepPart."""
BARRIER = "barrier"
"""name = table; value = Barrier."""
STREAM = "stream"
"""name = table/side; value = StreamProgress."""
SHARD = "shard"
"""name = table/side/shard id; value = ShardLease."""
REPAIR = "repair"
"""name = table/key token digest (``repair_name``); value = Repair."""
POISON = "poison"
"""The same names; value = Repair. A kind of its own, for whoever repairs must not have to read
what only a person can mend."""
QUARANTINE = "quarantine"
"""name = table/stamp; value = both images of a straggler write, kept whole, or in how many
pieces they are kept."""
QUARANTINE_PIECE = "quarantine-piece"
"""name = table/stamp/number; value = a part of the JSON of both images."""
WORK = "work"
"""name = lane/key digest/when it was put; value = QueuedWork."""
BYPASS = "bypass"
"""name = table; value = Bypass."""
BIG_TRANSACTIONS = "big-transactions"
"""name = table/process id; value = BigTransactions."""


class Role(StrEnum):
    """What a process does."""

    PROXY = "proxy"
    CONSUMER = "consumer"
    CONTROLLER = "controller"
    VERIFIER = "verifier"
    """The controller's process, as the reader of both sides that its sweeps are."""


@dataclass(frozen=True, slots=True)
class Member:
    """A live process: its lease and the epochs it has acknowledged, by table.

    An epoch is acknowledged once it is applied and all that began under an earlier one is over.
    """

    role: str
    """A ``Role``."""
    pid: int
    counter: int
    """Rises with every renewal; a watcher whose own clock saw it stand still past
    ``lease_seconds`` takes the process for dead."""
    lease_seconds: float
    acks: Mapping[str, int] = field(default_factory=dict)
    metrics_port: int = 0
    port: int = 0
    started_ms: int = 0
    process: str = ""
    """Whose life this is; the controller's record has a fixed name."""
    held_back: Sequence[str] = ()
    """Tables whose follower this proxy leaves out, because it does not answer."""
    spec: str = ""
    """The digest of the spec that it was started with."""


@dataclass(frozen=True, slots=True)
class Command:
    """What an operator asks of the controller; the controller writes the outcome into it."""

    verb: str
    """advance, flip, rollback, reads, shadow, backfill-start, backfill-change, backfill-pause,
    backfill-resume, verify."""
    table: str
    """A logical table name, or "*" for all of them."""
    argument: str = ""
    reason: str = ""
    who: str = ""
    asked_ms: int = 0
    wait_seconds: float = 0.0
    """How long the asker waits for the outcome; 0: nobody said."""
    status: str = "asked"
    """asked, running, done, refused (a gate is closed) or failed."""
    said: tuple[str, ...] = ()
    """What came of it, a sentence each; without the gates."""
    gates: tuple[Mapping[str, str], ...] = ()
    """Closed or unknown gates: table, gate, verdict, reason, see."""
    clean: bool | None = None
    """Of a verify that is done: whether every sweep found both sides equal."""
    goals: Mapping[str, str] = field(default_factory=dict)
    """What the controller took the command to mean, by table: a phase, or a share in percent.
    Written before the first step, so that whoever resumes the command goes to the same place."""

    @property
    def message(self) -> str:
        """All of it in one line."""
        closed = (f"{g['table']}: {g['gate']} is {g['verdict']}: {g['reason']}" for g in self.gates)
        return "; ".join((*self.said, *closed))


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """Who changed what, when and why."""

    at_ms: int
    who: str
    reason: str
    verb: str
    table: str
    before: str
    after: str
    epoch: int
    outcome: str = "done"
    gaps: Mapping[str, int] = field(default_factory=dict)
    """Of a flip: how often each side's stream had been broken before it, by side."""


RUN, PAUSE = "run", "pause"


@dataclass(frozen=True, slots=True)
class BackfillOrder:
    """The wanted backfill of one table; ``wanted`` is RUN or PAUSE."""

    run: str
    wanted: str
    segments: int
    asked_ms: int
    items_estimate: int = 0
    """What the engine said when it was asked for; 0: it did not tell. So of the bytes."""
    bytes_estimate: int = 0
    read_units_per_second_max: float = 0.0
    """0 means unlimited; of all consumers together."""
    write_units_per_second_max: float = 0.0
    """The same, on either side."""
    items_together: int = 1
    """Items copied in one transaction: fewer calls for twice the capacity units. 1: none."""
    split: int = 0
    """Rises whenever the number of segments is changed while it runs."""

    @property
    def scan(self) -> str:
        """One scan of the table: no two of them have segments, or checkpoints, in common."""
        return f"{self.run}.{self.split}" if self.split else self.run


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment of a parallel scan: lease, checkpoint (after apply) and counts."""

    owner: str = ""
    counter: int = 0
    checkpoint: Mapping[str, Any] | None = None
    """ExclusiveStartKey of the next page; None at the start (and when done)."""
    done: bool = False
    scanned: int = 0
    copied: int = 0
    present: int = 0
    """Items the follower held already, maybe newer."""
    left: int = 0
    """Items that cannot be mapped; each is in the repair queue with its reason."""
    bytes: int = 0
    busy_ms: int = 0
    """How long its pages took, pauses not counted."""
    started_ms: int = 0
    finished_ms: int = 0


@dataclass(frozen=True, slots=True)
class SweepOrder:
    """A wanted two-way comparison."""

    run: str
    asked_ms: int


@dataclass(frozen=True, slots=True)
class SweepResult:
    """What a sweep found; ``drift`` counts are after in-flight keys were looked at again."""

    run: str
    started_ms: int
    finished_ms: int = 0
    done: bool = False
    compared: int = 0
    rechecked: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    untransformable: int = 0
    orphans: int = 0
    errors: int = 0
    """Above 0 nothing is proven, whatever the counts say."""
    only_on_new: int = 0
    """Those of ``untransformable`` that stand on new while new leads: going back loses them."""
    phase: str = ""
    """The phase in which the sweep began."""
    epoch: int = 0
    backfill_run: str = ""
    """The completed backfill run this sweep began after; empty for none."""
    gaps: Mapping[str, int] = field(default_factory=dict)
    """How often each side's stream had been broken when the sweep began, by side."""

    @property
    def clean(self) -> bool:
        return self.done and not (self.errors or self.missing or self.extra or self.different)


@dataclass(frozen=True, slots=True)
class SweepPart:
    """One segment of one side of a sweep that is shared out: lease and counts."""

    owner: str = ""
    counter: int = 0
    done: bool = False
    tally: Mapping[str, int] = field(default_factory=dict)
    """The counts of ``SweepResult``, so far."""


@dataclass(frozen=True, slots=True)
class Barrier:
    """A line in both streams; readers that saw ``id`` and then the tip write it into STREAM."""

    id: str
    asked_ms: int


@dataclass(frozen=True, slots=True)
class StreamProgress:
    """How far one side's stream has been read and applied."""

    lag_seconds: float
    lag_records: int
    tip_ms: int
    """Wall clock of the newest request that found the tip with everything before it applied."""
    barrier: str = ""
    """The newest barrier whose records are all applied on every shard."""
    unbroken_since_ms: int = 0
    """Coverage holds from here on; a gap moves it. 0: it has not begun. What came before what is
    told by ``gaps``, which no clock can turn around."""
    gaps: int = 0
    """How often records were lost unread; it only rises."""
    shards: int = 0
    updated_ms: int = 0


@dataclass(frozen=True, slots=True)
class ShardLease:
    """Who reads one shard, and the last sequence number that is applied."""

    owner: str = ""
    counter: int = 0
    checkpoint: str = ""
    """A sequence number, TRIM_HORIZON, LATEST or SHARD_END."""
    parent: str = ""
    created_ms: int = 0
    """When the oldest of the shards that this one continues was first seen."""
    barrier: str = ""
    """The newest barrier whose records on this shard are all applied."""
    tip_ms: int = 0
    """As in StreamProgress, of this shard alone; so are the two below."""
    lag_seconds: float = 0.0
    lag_records: int = 0

    @property
    def read_until_ms(self) -> int:
        """Wall clock up to which every record that counts is known to be applied."""
        return self.tip_ms or self.created_ms


@dataclass(frozen=True, slots=True)
class Repair:
    """A key that may differ; as poison, one that cannot be made equal (untransformable, oversize,
    orphan): it waits for a person, and blocks nobody else."""

    table: str
    token: str
    """``key_token`` of the key, in the words of ``side``."""
    side: str
    reason: str
    attempts: int = 0
    first_ms: int = 0
    next_ms: int = 0
    listed: bool = False
    """It stands on the list of poison too, and is tried again for a person who asked."""


@dataclass(frozen=True, slots=True)
class QueuedWork:
    """One parcel of the work queue where that is in the control table."""

    key: str
    body: Mapping[str, Any]
    owner: str = ""
    """The claim of whoever works on it; a record that stands still is nobody's."""
    counter: int = 0
    reason: str = ""
    """Why it lies with the dead letters."""


@dataclass(frozen=True, slots=True)
class Bypass:
    """Writes that went past the proxy."""

    count: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class BigTransactions:
    """Client transactions that doubled exceed 100 actions or 4 MB, as one process saw them in
    mirror mode: in atomic mode they are refused. What was sent again counts again."""

    count: int
    last_ms: int
    accepted: int = 0
    """How many of them the operator has looked at and accepted."""


OPEN, CLOSED, UNKNOWN = "open", "closed", "unknown"


@dataclass(frozen=True, slots=True)
class GateVerdict:
    """What one precondition of a move says. Not a record of its own: it goes into ``Command``."""

    gate: str
    verdict: str
    """OPEN, CLOSED or UNKNOWN; a move needs every gate open."""
    reason: str
    see: str = ""
    """The command that shows more, or mends it."""
    waits: bool = False
    """True: it may open by itself soon (a barrier, lag, repairs that drain), so waiting helps."""


def repair_name(table: str, side: Side, token: str) -> str:
    """The name of a key's records: one for each key, whatever the key's length."""
    return f"{table}/{sha256((side + token).encode()).hexdigest()[:DIGEST_LENGTH]}"


def dump(value: Any) -> dict[str, Any]:
    """A record value as JSON-ready data."""
    return asdict(value)


def load(kind: type[T], data: Mapping[str, Any]) -> T:
    """The inverse of ``dump``; fields a newer version added are ignored."""
    known = {entry.name for entry in fields(kind)}  # type: ignore[arg-type]  # T is a dataclass
    chosen = {name: value for name, value in data.items() if name in known}
    if kind is TableState:
        chosen["phase"] = Phase(chosen["phase"])
    return kind(**chosen)
