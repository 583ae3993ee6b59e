"""What must hold when writes have stopped and streams have drained; one named rule each."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dualwrite.core.compare import Comparison, Verdict, compare, compare_in_place
from dualwrite.core.derivation import Missing, Question
from dualwrite.core.items import OTHER, key_token, stamp_of
from dualwrite.core.phases import Kind, Mode, Phase, Side, TableState
from dualwrite.core.records import STREAM
from dualwrite.core.spec import MigratedTable, Migration
from tests.simulation.checks.history import ACKED, REFUSED, Entry, History, State, value_of
from tests.simulation.checks.linear import Undecided, explained, final
from tests.simulation.checks.watch import KeyStory, Late, Watch
from tests.simulation.engine import FakeDynamo
from tests.simulation.world.tables import CONTROL_TABLE, key_in

DIRTY_SECONDS_MAX = 20.0
"""A key that differed for longer than this when reads of the follower were opened."""
SHOWN_MAX = 8
"""Calls of a history that are told."""
CURES_MAX = 12
"""Writes of consumers at one key for each of everybody else's."""


@dataclass(frozen=True, slots=True)
class Over:
    """A run that is over."""

    engine: FakeDynamo
    migration: Migration
    history: History
    watch: Watch
    first: Mapping[tuple[str, str], State]
    looks: tuple[tuple[str, str, str], ...]
    now: float
    stops: bool
    """Whether processes were stopped and woken in this run."""
    deaths: Mapping[str, float]
    """When each process was killed, the last time."""
    still: bool
    """Whether the tables came to rest."""
    count: Callable[[str], None]


def judge(over: Over) -> None:
    """Add to the watch's violations what the end of a run shows."""
    for table in over.migration.tables:
        if table.kind is Kind.REKEY:
            _equal(over, table)
        else:
            _derived(over, table)
    _histories(over)
    _late(over)
    _late_copies(over)
    _gaps(over)
    _ends(over)
    _looks(over)


# -- invariants 2 and 3 -------------------------------------------------------------------------


def _equal(over: Over, table: MigratedTable) -> None:
    phase = over.watch.phase(table.name)
    if phase.mode is Mode.SINGLE:
        return
    leader = phase.leader
    mine, theirs = (
        {
            over.watch.token(table, side, item): item
            for _, item in over.engine.tables[table.side(side).name].all()
        }
        for side in (leader, leader.other)
    )
    for token in sorted({*mine, *theirs}, key=str):
        seen = compare(table, leader, mine.get(token), theirs.get(token))
        if not isinstance(seen, Comparison) or seen.verdict is Verdict.MATCH:
            continue
        over.watch.violated(
            2, "new is T of old",
            f"{token} of {table.name} is {seen.verdict} on the {leader.other} side"
            f" in {phase.value}",
        )  # fmt: skip


def _derived(over: Over, table: MigratedTable) -> None:
    """What a table that is changed in place got is what its rows' parents say."""
    phase = over.watch.phase(table.name)
    if phase is Phase.OFF:
        return
    for _, item in over.engine.tables[table.old.name].all():
        answers: dict[Question, str | Missing] = {}
        while isinstance(seen := compare_in_place(table, item, answers), Question):
            answers[seen] = _parent(over, seen)
        if seen.verdict is not Verdict.MATCH:
            over.watch.violated(
                2, "derived attributes are right",
                f"{item} of {table.name} is {seen.verdict} in {phase.value}",
            )  # fmt: skip


def _parent(over: Over, question: Question) -> str | Missing:
    """The old id of the row that a look-up by key finds."""
    parents = over.migration.by_name[question.table]
    leader = over.watch.phase(parents.name).leader
    wanted = {name: {"S": value} for name, value in question.match}
    row = over.engine.tables[parents.side(leader).name].get(wanted)
    if row is None:
        return Missing.ABSENT
    other = row if leader is Side.OLD else row[OTHER]["M"]
    return str(other["endpoint_id"]["S"])


# -- invariants 1, 3, 5, 6, 7 ---------------------------------------------------------------------


def _histories(over: Over) -> None:
    for (name, key), entries in sorted(over.history.by_key().items()):
        table = over.migration.by_name[name]
        token = key_token(key_in(table, key, Side.OLD), table.old.keys)
        if (name, token) in over.watch.untold:
            over.count("history exempt: a late copy or token")
            continue
        leader = over.watch.phase(name).leader
        place = over.engine.tables[table.side(leader).name]
        found = value_of(place.get(key_in(table, key, leader)))
        first = over.first.get((name, key))
        try:
            if explained(final(entries, found, over.now), first):
                over.count("history explained")
                continue
            _name_the_fault(over, entries, first, found, f"{key} of {name}")
        except Undecided:
            over.count("history undecided")


def _name_the_fault(over: Over, entries: list[Entry], first: State, found: State, key: str) -> None:
    """Which promise is broken: what is told without looking at return values and reads, and then
    without the state at the end, says it."""
    entries = _shortest(entries, first)
    story = f"{key}: {_story(entries[-SHOWN_MAX:])}; in the end {found}"
    if not explained(entries, first):
        blind = [_without_answer(entry) for entry in entries if entry.op.kind != "read"]
        if explained(blind, first):
            over.watch.violated(7, "each key's history is linearizable", story)
        else:
            over.watch.violated(5, "a condition is decided once", story)
        return
    writes = [e for e in entries if e.op.kind not in ("read", "check") and e.outcome == ACKED]
    last = max(writes, key=lambda e: e.ended, default=None)
    if found is not None and last is not None and last.op.kind == "delete":
        over.watch.violated(3, "a deleted key stays deleted", story)
    else:
        over.watch.violated(1, "an acknowledged write stands", story)


def _shortest(entries: list[Entry], first: State) -> list[Entry]:
    """The calls up to the first one that nothing explains, or all of them."""
    ordered = sorted(entries, key=lambda entry: entry.began)
    for length in range(1, len(ordered)):
        if not explained(ordered[:length], first):
            return ordered[:length]
    return ordered


def _without_answer(entry: Entry) -> Entry:
    return Entry(
        entry.table, entry.key, entry.op, entry.began, entry.who, entry.call, entry.ended,
        entry.outcome, True if entry.outcome in (ACKED, REFUSED) else entry.seen,
    )  # fmt: skip


def _story(entries: list[Entry]) -> str:
    return ", ".join(
        f"[{e.began:.3f}-{e.ended:.3f} {e.who} {e.op.kind} {e.op.tag} if {e.op.condition!r}"
        f" {e.op.returns}: {e.outcome} {e.seen if e.seen is not True else ''}]"
        for e in entries
    )


def _looks(over: Over) -> None:
    """An eventually consistent read is late at worst: it shows what somebody wrote."""
    written = {(e.table, e.key, e.op.tag) for e in over.history.entries}
    written |= {(*key, state.tag or "") for key, state in over.first.items() if state}
    for look in over.looks:
        if look not in written:
            over.watch.violated(6, "a read shows what was written", f"{look}")


# -- invariant 8 ----------------------------------------------------------------------------------


def _late(over: Over) -> None:
    for late in over.watch.late:
        if not over.stops:
            over.watch.violated(8, "no write is committed under an epoch that is over", str(late))
        elif late.epoch < late.lead_epoch and not _settled(over, late):
            over.watch.violated(8, "what is late is quarantined", str(late))


def _late_copies(over: Over) -> None:
    """A copy that came to the leader after the lead had moved is gone again, unless who sent it
    died before it could take it back."""
    for (name, token, side, stamp), (at, actor) in sorted(over.watch.late_copies.items()):
        standing = over.watch.stories[name, token].items[side]
        if stamp_of(standing) != stamp or over.deaths.get(actor, -1.0) >= at:
            continue
        over.watch.violated(
            3, "a deleted key stays deleted",
            f"{actor} put {token} of {name} on {side.value} at {at:.3f}, and it stands",
        )  # fmt: skip


def _settled(over: Over, late: Late) -> bool:
    """Whether a late write was quarantined, or is what the leader holds, or made way for another
    client's write, or was a removal, which leaves nothing to be kept."""
    story: KeyStory = over.watch.stories[late.table, late.token]
    leader = over.watch.phase(late.table).leader
    if f"{late.table}/{late.stamp}" in over.watch.quarantined or late.side is leader:
        return True
    if late.stamp not in story.stamps[late.side]:
        return True
    if late.stamp in story.stamps[late.side.other]:
        return True
    number = story.stamps[late.side][late.stamp]
    return any(other > number for stamp, other in story.stamps[leader].items())


# -- invariant 9 ----------------------------------------------------------------------------------


def _gaps(over: Over) -> None:
    """Records that were trimmed before anybody read them are a gap, and never skipped on; but for
    those shown before the stream's coverage began, which no evidence builds on."""
    for name, (table, side) in sorted(over.migration.by_physical.items()):
        record = f"{table.name}/{side.value}"
        began = over.watch.covered_from.get(record, -math.inf)
        if not any(shown >= began for shown in over.engine.streams[name].lost):
            continue
        over.count("trimmed unread")
        key = {"pk": {"S": STREAM}, "sk": {"S": record}}
        held = over.engine.tables[CONTROL_TABLE].get(key)
        if held is not None and not json.loads(held["value"]["S"])["gaps"]:
            over.watch.violated(9, "a trimmed position is a gap", f"{name} lost records in silence")


# -- invariant 11 ---------------------------------------------------------------------------------


def _ends(over: Over) -> None:
    if not over.still:
        over.watch.violated(11, "reconciliation ends", "the tables did not come to rest")
    for (name, token), story in sorted(over.watch.stories.items()):
        others = story.commits - story.by_consumers
        if story.by_consumers > CURES_MAX + 4 * others:
            detail = f"{token} of {name}: {story.by_consumers} cures for {others} writes"
            over.watch.violated(11, "one write causes a bounded number of records", detail)


# -- invariants 10 and 12, when a state changes ---------------------------------------------------


def watch_states(
    watch: Watch, migration: Migration, now: Callable[[], float], *, stops: bool
) -> None:
    """Judge each change of state by what is true at that moment. ``stops``: whether a process may
    be stopped in the middle of a send, so that what it sent comes when it is counted for dead."""

    def changed(before: TableState, after: TableState) -> None:
        table = migration.by_name[after.table]
        if table.kind is not Kind.REKEY:
            return
        dirty = [
            (token, now() - story.dirty_since)
            for (name, token), story in sorted(watch.stories.items())
            if name == table.name
            and not watch.is_clean(table, story)
            and not (stops and (name, token) in watch.past_keys)
        ]
        if before.phase.leader is not after.phase.leader and dirty:
            back = after.phase.leader is Side.OLD
            rule = "a rollback loses nothing" if back else "the lead moves between equal tables"
            watch.violated(12 if back else 2, rule, f"{table.name} differs at {dirty}")
        follower = after.read_share if after.phase.leader is Side.OLD else 100 - after.read_share
        was = before.read_share if before.phase.leader is Side.OLD else 100 - before.read_share
        moved = before.phase is after.phase and after.phase is not Phase.DONE
        long = [token for token, seconds in dirty if seconds > DIRTY_SECONDS_MAX]
        if moved and follower > was and long:
            watch.violated(10, "a share of reads needs equal tables", f"{table.name}: {long}")

    watch.on_state.append(changed)
