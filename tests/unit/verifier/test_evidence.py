"""Evidence is gathered whole, and what could not be read is unknown, not absent."""

import asyncio
from typing import Any

import pytest

from dualwrite.core.phases import Phase, Side, TableState
from dualwrite.core.records import (
    AUDIT,
    BACKFILL,
    BARRIER,
    BIG_TRANSACTIONS,
    BYPASS,
    MEMBER,
    POISON,
    REPAIR,
    SEGMENT,
    STREAM,
    SWEPT,
    AuditEntry,
    BackfillOrder,
    Barrier,
    BigTransactions,
    Bypass,
    Member,
    Repair,
    Segment,
    StreamProgress,
    SweepResult,
    dump,
)
from dualwrite.core.stillness import Stillness
from tests.fakes.clock import VirtualClock
from tests.fakes.records import Fault, MemoryRecords
from tests.fakes.verifying import boards, votes
from verifier.evidence import ABSENT, BackfillSeen, Evidence, PoisonKind, gather

STATE = TableState("boards", 7, Phase.MIRROR_NEW, lead_epoch=6)


def full() -> MemoryRecords:
    records = MemoryRecords()
    put = records.put
    put(MEMBER, "p1", dump(Member("proxy", 1, 1, 3.0, {"boards": 7})))
    put(MEMBER, "c0", dump(Member("controller", 2, 1, 3.0)))
    put(BACKFILL, "boards", dump(BackfillOrder("fill-2", "run", 2, 0)))
    put(SEGMENT, "boards/fill-2/0", dump(Segment(done=True)))
    put(SEGMENT, "boards/fill-2/1", dump(Segment()))
    put(SEGMENT, "boards/fill-1/0", dump(Segment(done=True)))
    put(SWEPT, "boards", dump(SweepResult("sweep-1", 10)))
    put(STREAM, "boards/old", dump(StreamProgress(0.5, 1, 2)))
    put(BARRIER, "boards", dump(Barrier("line", 1)))
    put(REPAIR, "boards/a", dump(Repair("boards", "a", "old", "r", first_ms=20)))
    put(REPAIR, "boards/b", dump(Repair("boards", "b", "old", "r", first_ms=10)))
    for name, side, reason, first_ms in [
        ("c", "old", "orphan: r", 5),
        ("d", "old", "orphan: s", 199),
        ("e", "old", "orphan: s", 200),
        ("f", "new", "refused", 5),
    ]:
        put(POISON, f"boards/{name}", dump(Repair("boards", name, side, reason, first_ms=first_ms)))
    put(POISON, "cards/a", dump(Repair("cards", "a", "old", "orphan: r")))
    put(REPAIR, "cards/a", dump(Repair("cards", "a", "old", "r")))
    put(BYPASS, "boards", dump(Bypass(1, 2)))
    put(BIG_TRANSACTIONS, "boards/p1", dump(BigTransactions(2, 5, 3)))
    put(BIG_TRANSACTIONS, "boards/p2", dump(BigTransactions(4, 9, 1)))
    audit = {"who": "w", "reason": "r", "verb": "flip", "before": "b", "after": "a"}
    for name, at_ms, table, epoch, outcome in [
        ("1", 100, "boards", 5, "done"),
        ("2", 150, "boards", 6, "abandoned"),
        ("3", 200, "boards", 6, "done"),
        ("4", 300, "cards", 6, "done"),
        ("5", 400, "boards", 7, "done"),
    ]:
        entry = AuditEntry(at_ms=at_ms, table=table, epoch=epoch, outcome=outcome, **audit)
        put(AUDIT, name, dump(entry))
    return records


def gathered(records: MemoryRecords, state: TableState = STATE) -> Evidence:
    return asyncio.run(gather(records, boards(), state, 1_000, Stillness(VirtualClock())))


def test_everything_is_gathered() -> None:
    """Members without controllers, this run's segments, this table's repairs, sums of counts."""
    seen = gathered(full())
    assert seen.members is not None
    assert set(seen.members) == {"p1"}
    assert seen.backfill == BackfillSeen("fill-2", 2, 1, "run")
    assert seen.sweep == SweepResult("sweep-1", 10)
    assert seen.stream(Side.OLD) == StreamProgress(0.5, 1, 2)
    assert seen.stream(Side.NEW) is ABSENT
    assert seen.barrier == Barrier("line", 1)
    assert seen.repairs is not None
    assert (seen.repairs.waiting, seen.repairs.oldest_ms) == (2, 10)
    assert seen.repairs.poison == {
        PoisonKind("old", "orphan"): 2,
        PoisonKind("old", "orphan", since_lead=True): 1,
        PoisonKind("new", "refused"): 1,
    }
    assert seen.bypass == Bypass(1, 2)
    assert seen.big_transactions == BigTransactions(6, 9, 3)
    assert isinstance(seen.lead, AuditEntry)
    assert seen.lead.at_ms == 200


def test_what_is_not_there_is_known_to_be_absent() -> None:
    """An empty control table is knowledge."""
    seen = gathered(MemoryRecords(), TableState("boards"))
    assert seen.members == {}
    for found in (seen.backfill, seen.sweep, seen.barrier, seen.bypass, seen.big_transactions):
        assert found is ABSENT
    assert seen.stream(Side.OLD) is ABSENT
    assert seen.lead is ABSENT
    assert seen.repairs is not None
    assert seen.repairs.waiting == 0


@pytest.mark.parametrize(
    ("kind", "field"),
    [
        (MEMBER, "members"),
        (BACKFILL, "backfill"),
        (SEGMENT, "backfill"),
        (SWEPT, "sweep"),
        (BARRIER, "barrier"),
        (REPAIR, "repairs"),
        (POISON, "repairs"),
        (BYPASS, "bypass"),
        (BIG_TRANSACTIONS, "big_transactions"),
        (AUDIT, "lead"),
    ],
)
def test_what_cannot_be_read_is_unknown(kind: str, field: str) -> None:
    """A failed read leaves its own field None, and no other."""
    records = full()

    async def fail(operation: str, asked: str, name: str) -> Fault | None:
        return Fault.UNREACHABLE if asked == kind else None

    records.hook = fail
    seen = gathered(records)
    fields: dict[str, Any] = {
        name: getattr(seen, name) for name in Evidence.__dataclass_fields__ if name != "policy"
    }
    assert [name for name, value in fields.items() if value is None] == [field]


def test_a_record_that_makes_no_sense_is_unknown() -> None:
    """A value without its fields proves nothing."""
    records = full()
    records.put(SWEPT, "boards", {"nonsense": 1})
    assert gathered(records).sweep is None


def test_a_flip_that_the_audit_does_not_know_has_an_unknown_time() -> None:
    """The time of the lead is never guessed."""
    records = full()
    records.forget(AUDIT, "3")
    assert gathered(records).lead is None


def test_an_in_place_table_has_one_side() -> None:
    """Only the old side's stream is read for it."""
    seen = asyncio.run(
        gather(MemoryRecords(), votes(), TableState("votes"), 1, Stillness(VirtualClock()))
    )
    assert seen.sides == (Side.OLD,)
    assert seen.streams == {Side.OLD: ABSENT}


def test_a_stream_is_as_old_as_the_judge_has_seen_it_stand_still() -> None:
    """Whatever its reader's wall clock says: at first nothing is known of its age, then it is what
    has passed since it was seen renewed."""
    records, clock = full(), VirtualClock()
    stillness = Stillness(clock)

    async def age() -> float | None:
        seen = await gather(records, boards(), STATE, 1_000, stillness)
        return seen.ages_seconds[Side.OLD]

    async def go() -> None:
        assert await age() is None
        await clock.advance(60.0)
        assert await age() is None
        records.put(STREAM, "boards/old", dump(StreamProgress(0.5, 1, 2, updated_ms=10**15)))
        assert await age() == 0.0
        await clock.advance(7.0)
        assert await age() == 7.0

    asyncio.run(go())
