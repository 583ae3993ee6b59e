"""Watches every commit of the engine, and knows what no process of the service can know."""

from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from dualwrite.core.compare import Comparison, Verdict, compare
from dualwrite.core.derivation import Problem
from dualwrite.core.items import STAMP, Item, key_of, key_token, same, stamp_of, visible
from dualwrite.core.phases import Kind, Mode, Phase, Side, TableState
from dualwrite.core.records import (
    BACKFILL,
    POISON,
    QUARANTINE,
    REPAIR,
    SHARD,
    STATE,
    STREAM,
    Repair,
    load,
)
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.core.stamps import Stamp
from dualwrite.core.transform import translate_key
from tests.simulation.engine import Commit, FakeDynamo

VIOLATIONS_MAX = 20
FOREVER = 1 << 60


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant of the protocol (by its number) that did not hold."""

    invariant: int
    rule: str
    detail: str

    def __str__(self) -> str:
        return f"invariant {self.invariant} ({self.rule}): {self.detail}"


@dataclass(frozen=True, slots=True)
class Late:
    """A write that was committed under an epoch that was over for more than one change."""

    table: str
    token: str
    side: Side
    stamp: str
    epoch: int
    live: int
    lead_epoch: int
    actor: str


@dataclass(slots=True)
class KeyStory:
    """One key of a rekey table; commits are known by their numbers."""

    items: dict[Side, Item | None] = field(default_factory=lambda: {Side.OLD: None, Side.NEW: None})
    stamps: dict[Side, dict[str, int]] = field(default_factory=lambda: {Side.OLD: {}, Side.NEW: {}})
    """By side: the number of the newest commit that brought each stamp."""
    removals: dict[Side, dict[str | None, int]] = field(
        default_factory=lambda: {Side.OLD: {}, Side.NEW: {}}
    )
    """The same, of commits that removed an item with that stamp."""
    clean_number: int = FOREVER
    """The number of the newest commit after which the sides were equal; FOREVER: they are."""
    dirty_since: float = 0.0
    queued_number: int = -1
    commits: int = 0
    by_consumers: int = 0


class Watch:
    """``violations`` grow while the run goes on; the rest is for the checks at its end."""

    def __init__(
        self, engine: FakeDynamo, migration: Migration, control_table: str,
        now: Callable[[], float], count: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.violations: list[Violation] = []
        self.stories: dict[tuple[str, str], KeyStory] = defaultdict(KeyStory)
        """By table and key token in old words."""
        self.states: dict[str, TableState] = {}
        self.single_number: dict[str, int] = defaultdict(lambda: FOREVER)
        """By table: the newest commit up to which no follower was wanted, or copies were not yet
        asked for; FOREVER while that is so."""
        self.late: list[Late] = []
        self.late_copies: dict[tuple[str, str, Side, str], tuple[float, str]] = {}
        """Copies that were put where the leader held nothing, by (table, token, side, stamp): when,
        and by whom."""
        self.quarantined: set[str] = set()
        self.past_keys: set[tuple[str, str]] = set()
        """Keys that were written under an epoch when the next one stood already."""
        self.untold: set[tuple[str, str]] = set()
        """Keys of which a client may be told what is undone."""
        self.covered_from: dict[str, float] = {}
        """By name of a stream's record: when the coverage of the stream began, by the engine."""
        self.number = 0
        self.on_state: list[Callable[[TableState, TableState], None]] = []
        self.request: Mapping[str, Any] = {}
        self.stamped: dict[str, tuple[str, str]] = {}
        self._engine = engine
        self._migration = migration
        self._control_table = control_table
        self._now = now
        self._count = count
        self._checkpoints: dict[str, str] = {}
        engine.watchers.append(self._heard)

    def violated(self, invariant: int, rule: str, detail: str) -> None:
        if len(self.violations) < VIOLATIONS_MAX:
            text = f"at {self._now():.3f} s: {detail}"
            self.violations.append(Violation(invariant, rule, text))

    def phase(self, table: str) -> Phase:
        state = self.states.get(table)
        return Phase.OFF if state is None else state.phase

    def token(self, table: MigratedTable, side: Side, item: Mapping[str, Any]) -> str | None:
        """The key's name in old words."""
        key = key_of(item, table.side(side).keys)
        old = translate_key(table, key, side, Side.OLD)
        return None if isinstance(old, Problem) else key_token(old, table.old.keys)

    def is_clean(self, table: MigratedTable, story: KeyStory) -> bool:
        leader = self.phase(table.name).leader
        seen = compare(table, leader, story.items[leader], story.items[leader.other])
        return isinstance(seen, Comparison) and seen.verdict is Verdict.MATCH

    # -- commits ------------------------------------------------------------------------------

    def _heard(self, commit: Commit) -> None:
        if commit.table == self._control_table:
            self._control(commit)
            return
        self.number = self._engine.events
        table, side = self._migration.by_physical[commit.table]
        if table.kind is Kind.IN_PLACE:
            return
        token = self.token(table, side, commit.key)
        if token is None:
            return
        story = self.stories[table.name, token]
        if commit.actor.startswith("consumer"):
            story.by_consumers += 1
        if self._taken_back(table, side, token, commit):
            self._count("late copy taken back")
        elif commit.actor.startswith("consumer"):
            self._by_consumer(table, side, token, story, commit)
        elif commit.actor.startswith("proxy"):
            self._by_proxy(table, side, token, story, commit)
        self._note(table, side, story, commit)

    def _note(self, table: MigratedTable, side: Side, story: KeyStory, commit: Commit) -> None:
        was_clean = story.clean_number == FOREVER
        story.items[side] = commit.after
        story.commits += 1
        if commit.after is None:
            story.removals[side][stamp_of(commit.before)] = self.number
        elif (stamp := stamp_of(commit.after)) is not None:
            story.stamps[side][stamp] = self.number
        clean = self.is_clean(table, story)
        if clean:
            story.clean_number = FOREVER
        elif was_clean:
            story.clean_number = self.number - 1
            story.dirty_since = self._now()

    def _taken_back(self, table: MigratedTable, side: Side, token: str, commit: Commit) -> bool:
        """Whether a removal is that of a copy that had come to what leads."""
        place = (table.name, token, side, stamp_of(commit.before) or "")
        return commit.after is None and self.late_copies.pop(place, None) is not None

    def _by_consumer(
        self, table: MigratedTable, side: Side, token: str, story: KeyStory, commit: Commit
    ) -> None:
        """Repairs and copies never overwrite what is newer, nor put or remove what leads."""
        state = self.states.get(table.name)
        puts = commit.before is None or commit.after is None
        if state is not None and side is state.phase.leader and puts:
            # No guard tells that an item was deleted since it was read to be absent: who was
            # stopped in mid-send over a change of the lead takes it back.
            text = stamp_of(commit.after) or stamp_of(commit.before) or ""
            self._count("late cure")
            self.past_keys.add((table.name, token))
            self.untold.add((table.name, token))
            if commit.before is None:
                self.late_copies[table.name, token, side, text] = (self._now(), commit.actor)
            self.late.append(
                Late(
                    table.name, token, side, text, 0, state.epoch, state.lead_epoch, commit.actor
                )
            )  # fmt: skip
            return
        before, after = stamp_of(commit.before), stamp_of(commit.after)
        there = story.stamps[side.other]
        if before is None or before not in there:
            return
        if commit.after is None:
            if stamp_of(story.items[side.other]) == before:
                self.violated(
                    4, "never overwrites newer",
                    f"{commit.actor} removed {token} of {commit.table}, which the other side holds",
                )  # fmt: skip
        elif after is not None and after in there and there[before] > there[after]:
            self.violated(
                4, "never overwrites newer",
                f"{commit.actor} put {token} of {commit.table} back from {before} to {after}",
            )  # fmt: skip

    def _by_proxy(
        self, table: MigratedTable, side: Side, token: str, story: KeyStory, commit: Commit
    ) -> None:
        stamp, before = stamp_of(commit.after), stamp_of(commit.before)
        if stamp is None or stamp == before:
            stamp = _stamp_in(self._engine.request, commit)
        state = self.states.get(table.name)
        if stamp is None or state is None:
            return
        epoch = Stamp.parse(stamp).epoch
        late = bool(epoch) and state.epoch >= epoch + 2
        # The members of a client's batch have no conditions: they count when they come. One that
        # comes to what follows by now is a straggler.
        blind = "RequestItems" in self._engine.request and (late or side is state.phase.leader)
        if before is not None and before > stamp and not blind:
            self.violated(
                4, "nothing is put over what is newer",
                f"{commit.actor} put {token} of {commit.table} back from {before} to {stamp}",
            )  # fmt: skip
        if epoch and state.epoch > epoch:
            self.past_keys.add((table.name, token))
        if late:
            self._count("late commit")
            self._came_late(table, side, token, story, commit, stamp)
            self.late.append(
                Late(
                    table.name, token, side, stamp, epoch, state.epoch, state.lead_epoch,
                    commit.actor,
                )
            )  # fmt: skip

    def _came_late(
        self, table: MigratedTable, side: Side, token: str, story: KeyStory, commit: Commit,
        stamp: str,
    ) -> None:  # fmt: skip
        """Note what can be seen of a proxy's late write until it is taken back."""
        members = self._engine.request.get("TransactItems", ())
        put = not members and commit.before is None and commit.after is not None
        leads = side is self.phase(table.name).leader
        if put and leads and stamp in story.stamps[side.other]:
            self._count("late mirror write")
            self.untold.add((table.name, token))
            self.late_copies[table.name, token, side, stamp] = (self._now(), commit.actor)

    # -- the control table --------------------------------------------------------------------

    def _control(self, commit: Commit) -> None:
        kind, name = commit.key["pk"]["S"], commit.key["sk"]["S"]
        if kind == STREAM:
            self.covered_from.setdefault(name, self._engine.now())
        if kind not in (STATE, REPAIR, POISON, QUARANTINE, SHARD, BACKFILL) or commit.after is None:
            return
        value = orjson.loads(commit.after["value"]["S"])
        if kind == STATE:
            self._state(load(TableState, value))
        elif kind in (REPAIR, POISON):
            repair = load(Repair, value)
            table = self._migration.by_name[repair.table]
            key = _key(repair.token, table, Side(repair.side))
            token = self.token(table, Side(repair.side), key)
            if token is not None:
                self.stories[table.name, token].queued_number = self._engine.events
        elif kind == QUARANTINE:
            self._count("quarantined")
            self.quarantined.add(name)
        elif kind == BACKFILL:
            if self.single_number[name] == FOREVER:
                self.single_number[name] = self._engine.events
        elif kind == SHARD:
            self._lineage(name, value["checkpoint"], value["parent"])
            self._checkpoint(name, value["checkpoint"])

    def _state(self, state: TableState) -> None:
        before = self.states.get(state.table, TableState(state.table))
        self.states[state.table] = state
        self._count(f"state {state.phase.value}")
        if state.phase.mode is Mode.SINGLE or before.phase.mode is Mode.SINGLE:
            self.single_number[state.table] = FOREVER
        table = self._migration.by_name[state.table]
        for told in self.on_state:
            told(before, state)
        if table.kind is Kind.REKEY and before.phase.leader is not state.phase.leader:
            for (name, _), story in self.stories.items():
                if name == state.table and not self.is_clean(table, story):
                    story.clean_number = min(story.clean_number, self._engine.events)

    # -- checkpoints --------------------------------------------------------------------------

    def _lineage(self, name: str, checkpoint: str, parent: str) -> None:
        before = self._checkpoints.get(f"{name.rpartition('/')[0]}/{parent}")
        if parent and checkpoint.isdigit() and before not in (None, "SHARD_END"):
            self.violated(
                9, "a child shard never starts before its parent is applied",
                f"{name} is at {checkpoint} while its parent is at {before}",
            )  # fmt: skip

    def _checkpoint(self, name: str, checkpoint: str) -> None:
        before = self._checkpoints.get(name, "")
        self._checkpoints[name] = checkpoint
        if checkpoint == before or not (checkpoint.isdigit() or checkpoint == "SHARD_END"):
            return
        table_name, side_name, shard_id = name.rsplit("/", 2)
        table, side = self._migration.by_name[table_name], Side(side_name)
        stream = self._engine.streams[table.side(side).name]
        shard = stream.shards.get(shard_id)
        if shard is None or table.kind is Kind.IN_PLACE:
            return
        since = int(before) if before.isdigit() else 0
        ended = not checkpoint.isdigit()
        for _, record in shard.log:
            sequence = int(record["dynamodb"]["SequenceNumber"])
            if sequence > since and (ended or sequence <= int(checkpoint)):
                self._must_be_applied(table, side, record, name)
        if ended:
            for pending in shard.pending:
                self._must_be_applied(table, side, pending.record, name)

    def _must_be_applied(
        self, table: MigratedTable, side: Side, record: Mapping[str, Any], shard: str
    ) -> None:
        data = record["dynamodb"]
        number = int(record["eventID"], 16)
        token = self.token(table, side, data["Keys"])
        if token is None or self.single_number[table.name] >= number:
            return
        story = self.stories[table.name, token]
        old, new = data.get("OldImage"), data.get("NewImage")
        if story.clean_number >= number or story.queued_number >= number:
            return
        if old and new and same(visible(old), visible(new)):
            return
        if new is not None:
            counterpart = stamp_of(new) in story.stamps[side.other]
        else:
            counterpart = stamp_of(old) in story.removals[side.other]
        if not counterpart:
            self.violated(
                9, "a checkpoint never passes an unapplied record",
                f"{shard} has passed a change of {token}, which the other side does not show",
            )  # fmt: skip


def _key(token: str, table: MigratedTable, side: Side) -> Mapping[str, Any]:
    parts = orjson.loads(token)
    names = table.side(side).keys.names
    return {name: {kind: value} for name, (kind, value) in zip(names, parts, strict=True)}


def _stamp_in(request: Mapping[str, Any], commit: Commit) -> str | None:
    """The stamp that a proxy's request carries for the item that changed: each action of a
    transaction has its own."""
    for member in request.get("TransactItems", ()):
        for action in member.values():
            place = action.get("Item") or action.get("Key") or {}
            same = action.get("TableName") == commit.table and commit.key.items() <= place.items()
            if same and (found := _stamp_in(action, commit)) is not None:
                return found
    value = (request.get("ExpressionAttributeValues") or {}).get(f":{STAMP}")
    return value["S"] if value else None
