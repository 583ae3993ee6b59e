"""All that the gates judge by, read once into one frozen value.

A read that fails leaves its field None: unknown, which opens nothing. What was read and is not
there is ABSENT, which is knowledge.
"""

from collections import Counter
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Literal, TypeVar

from dualwrite.copied import newest
from dualwrite.core.errors import EngineError
from dualwrite.core.phases import Side, TableState
from dualwrite.core.ports import Record, Records
from dualwrite.core.records import (
    AUDIT,
    BARRIER,
    BIG_TRANSACTIONS,
    BYPASS,
    MEMBER,
    POISON,
    STREAM,
    SWEPT,
    AuditEntry,
    Barrier,
    BigTransactions,
    Bypass,
    Member,
    Repair,
    Role,
    StreamProgress,
    SweepResult,
    load,
)
from dualwrite.core.spec import MigratedTable
from dualwrite.core.stillness import Stillness
from dualwrite.queued import pages, waiting_repairs

T = TypeVar("T")


class Absence(Enum):
    """The type of ABSENT."""

    ABSENT = "absent"


ABSENT: Final = Absence.ABSENT
"""Read, and not there."""
Absent = Literal[Absence.ABSENT]


EVIDENCE_AGE_SECONDS_MAX = 10.0
"""A consumer reports every second or two; what is older says nothing of now."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The bounds the gates hold evidence against."""

    lag_seconds_max: float = 5.0
    """Above it, the follower's reads are too old to serve and a barrier would take long."""
    evidence_age_seconds_max: float = EVIDENCE_AGE_SECONDS_MAX
    """Stream evidence not renewed for this long is no evidence: its reader may be dead. Measured by
    the judge's own clock, from when it saw the evidence renewed."""
    bypass_quiet_seconds: float = 30.0
    """How long no write past the proxy may have been seen."""


@dataclass(frozen=True, slots=True)
class BackfillSeen:
    """How far the newest backfill of a table is."""

    run: str
    segments: int
    segments_done: int
    wanted: str

    @property
    def done(self) -> bool:
        return 0 < self.segments <= self.segments_done


@dataclass(frozen=True, slots=True)
class PoisonKind:
    """All that gates ask of a key that cannot be made equal. There may be a great many keys, of
    few kinds."""

    side: str
    """In whose words the key is named."""
    reason: str
    """The word before the colon, which is a ``Reason``."""
    since_lead: bool = False
    """Listed since new took the lead."""


@dataclass(frozen=True, slots=True)
class RepairsSeen:
    """The repair queue of one table."""

    waiting: int
    """Keys that wait to be made equal, poison not counted."""
    oldest_ms: int
    """When the oldest of them was queued; 0 for none."""
    poison: Mapping[PoisonKind, int] | None = None
    """How many keys of each kind cannot be made equal; None where nobody asked."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known about one table at one moment. None is unknown, ABSENT is known absence."""

    table: MigratedTable
    state: TableState
    now_ms: int
    policy: Policy = Policy()
    apart: bool = False
    """Whether no transaction spans the two sides, by where the spec puts them."""
    spec: str = ""
    """The digest of the judge's own spec."""
    members: Mapping[str, Member] | None = None
    """Proxies and consumers whose record exists, by process id."""
    backfill: BackfillSeen | Absent | None = None
    sweep: SweepResult | Absent | None = None
    streams: Mapping[Side, StreamProgress | Absent | None] | None = None
    """By side; an in-place table has the old one only."""
    barrier: Barrier | Absent | None = None
    repairs: RepairsSeen | None = None
    bypass: Bypass | Absent | None = None
    big_transactions: BigTransactions | Absent | None = None
    lead: AuditEntry | Absent | None = None
    """How new took the lead; ABSENT while old leads."""
    ages_seconds: Mapping[Side, float | None] = field(default_factory=dict)
    """For how long at most each stream's progress was not renewed; None where it was not seen to
    be."""

    @property
    def sides(self) -> tuple[Side, ...]:
        """The sides whose streams carry this table's changes."""
        return self.table.sides

    @property
    def gaps(self) -> Mapping[str, int]:
        """How often each stream that is read was broken, by side."""
        streams = {} if self.streams is None else self.streams
        return {
            side.value: seen.gaps
            for side, seen in streams.items()
            if isinstance(seen, StreamProgress)
        }

    def stream(self, side: Side) -> StreamProgress | Absent | None:
        return None if self.streams is None else self.streams.get(side)


async def gather(
    records: Records,
    table: MigratedTable,
    state: TableState,
    now_ms: int,
    stillness: Stillness,
    policy: Policy | None = None,
    *,
    apart: bool = False,
    spec: str = "",
    poison: bool = True,
) -> Evidence:
    """Read everything the gates may ask for; never raises for a record that cannot be read.

    ``stillness`` is the judge's own, of the streams' records, and learns from this look. Without
    ``poison`` that list is not read, for it may be long.
    """
    name = table.name
    lead = await _known(_lead(records, state))
    return Evidence(
        table=table,
        state=state,
        now_ms=now_ms,
        policy=policy or Policy(),
        apart=apart,
        spec=spec,
        members=await _known(_members(records)),
        backfill=await _known(_backfill(records, name)),
        sweep=await _known(_one(records, SWEPT, name, SweepResult)),
        streams={
            side: await _known(_stream(records, f"{name}/{side.value}", stillness))
            for side in table.sides
        },
        ages_seconds={side: stillness.age_seconds(f"{name}/{side.value}") for side in table.sides},
        barrier=await _known(_one(records, BARRIER, name, Barrier)),
        repairs=await _known(_repairs(records, name, lead, poison)),
        bypass=await _known(_one(records, BYPASS, name, Bypass)),
        big_transactions=await _known(_big_transactions(records, name)),
        lead=lead,
    )


async def _known(read: Awaitable[T]) -> T | None:
    """What was read, or None where reading it failed or what stands there makes no sense."""
    try:
        return await read
    except (EngineError, KeyError, TypeError, ValueError):
        return None


async def _one(records: Records, kind: str, name: str, of: type[T]) -> T | Absent:
    record = await records.read(kind, name)
    return ABSENT if record is None else load(of, record.value)


async def _stream(records: Records, name: str, stillness: Stillness) -> StreamProgress | Absent:
    record = await records.read(STREAM, name)
    if record is None:
        return ABSENT
    stillness.see(record)
    return load(StreamProgress, record.value)


async def _members(records: Records) -> Mapping[str, Member]:
    found = {record.name: load(Member, record.value) for record in await records.list(MEMBER)}
    return {name: member for name, member in found.items() if member.role != Role.CONTROLLER}


async def _backfill(records: Records, table: str) -> BackfillSeen | Absent:
    found = await newest(records, table)
    if found is None:
        return ABSENT
    order, seen = found
    return BackfillSeen(order.scan, seen.segments, seen.segments_done, order.wanted)


async def _repairs(
    records: Records, table: str, lead: AuditEntry | Absent | None, poison: bool
) -> RepairsSeen:
    waiting, oldest_ms = await waiting_repairs(records, table)
    if not poison:
        return RepairsSeen(waiting, oldest_ms)
    # In this order: a key that is found to be poison is listed before its repair is forgotten.
    kinds: Counter[PoisonKind] = Counter()
    async for entries in pages(records, POISON, f"{table}/"):
        kinds.update(_kind(load(Repair, record.value), lead) for record in entries)
    return RepairsSeen(waiting, oldest_ms, kinds)


def _kind(repair: Repair, lead: AuditEntry | Absent | None) -> PoisonKind:
    since_lead = isinstance(lead, AuditEntry) and repair.first_ms >= lead.at_ms
    return PoisonKind(repair.side, repair.reason.partition(":")[0], since_lead)


async def _big_transactions(records: Records, table: str) -> BigTransactions | Absent:
    """The sum over all processes, each of which counts its own."""
    found = [
        load(BigTransactions, record.value)
        for record in await records.list(BIG_TRANSACTIONS, f"{table}/")
    ]
    if not found:
        return ABSENT
    return BigTransactions(
        count=sum(one.count for one in found),
        last_ms=max(one.last_ms for one in found),
        accepted=sum(min(one.accepted, one.count) for one in found),
    )


async def _lead(records: Records, state: TableState) -> AuditEntry | Absent:
    if state.phase.leader is Side.OLD:
        return ABSENT
    entries: tuple[Record, ...] = await records.list(AUDIT)
    for record in reversed(entries):
        entry = load(AuditEntry, record.value)
        same_epoch = (entry.table, entry.epoch) == (state.table, state.lead_epoch)
        if same_epoch and entry.outcome != "abandoned":
            return entry
    raise KeyError(f"the audit has no entry for epoch {state.lead_epoch}")
