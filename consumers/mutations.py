"""Tells the mutation feed of each committed write, as the leader's stream shows it.

At least once: a checkpoint waits until what it passes is told, and events carry an id that is the
same each time. A feed that is away delays checkpoints, never the migration of data; an event that
is too long for it goes without its images, lest it stop all that come after it.
"""

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

import orjson
import structlog

from consumers.changes import Change
from consumers.effort import Effort
from consumers.pace import Pace
from consumers.prefix import Mark
from dualwrite.core.errors import EngineError
from dualwrite.core.items import Item, key_token, stamp_of, visible
from dualwrite.core.phases import Mode, Side, TableState
from dualwrite.core.ports import Clock, FeedEvent, MutationFeed, Parcel
from dualwrite.core.spec import MigratedTable
from dualwrite.core.stamps import FLOOR, Stamp

BATCH_MAX = 500
BATCH_BYTES_MAX = 1024 * 1024
"""Told in one call, or one event that is longer: a call that fails is told again, all of it."""
IMAGES = ("before", "after")

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Mutations:
    """What the feed is told; without ``images`` no item contents but the key."""

    images: bool = False

    def event(
        self, table: MigratedTable, side: Side, state: TableState, change: Change
    ) -> Parcel | None:
        """One committed write; None for a record of the service's own, or one that the other side
        tells."""
        if change.only_annotates or not _tells(state, side, change):
            return None
        key = key_token(change.keys, table.side(side).keys)
        stamp, before = stamp_of(change.new), stamp_of(change.old)
        body: dict[str, Any] = {
            "id": _id_on_both_sides(change) or f"{table.name}/{side.value}/{change.sequence}",
            "event": _kind(change),
            "table": table.name,
            "side": side.value,
            "key": change.keys,
            "stamp": stamp,
            "stamp_before": before,
            "at_ms": change.created_ms,
            "by_ttl": change.by_ttl,
        }
        if self.images:
            body |= zip(IMAGES, (_visible(change.old), _visible(change.new)), strict=True)
        return Parcel(f"{table.name}/{key}", body)


class Teller:
    """Holds marks back until their events are told."""

    def __init__(
        self,
        feed: MutationFeed,
        mutations: Mutations,
        clock: Clock,
        effort: Effort,
        pace: Pace,
    ) -> None:
        self._feed = feed
        self._mutations = mutations
        self._clock = clock
        self._effort = effort
        self._pace = pace
        self._waiting: deque[tuple[Parcel, Mark]] = deque()
        """Bounded by the readers, which stop where too many marks are open."""

    def note(
        self, table: MigratedTable, side: Side, state: TableState, change: Change, mark: Mark
    ) -> None:
        """Take in one record."""
        event = self._mutations.event(table, side, state, change)
        if event is not None:
            mark.held = True
            self._waiting.append((event, mark))

    async def run(self) -> None:
        """Tell, for ever, in the order in which records came."""
        failures = 0
        while True:
            batch = self._batch()
            if not batch:
                await self._clock.sleep(self._pace.apply_seconds)
                continue
            try:
                await self._feed.tell(batch)
            except EngineError as error:
                failures += 1
                log.warning("the mutation feed was not told", error=str(error))
                await self._effort.back_off(failures)
                continue
            failures = 0
            for _ in batch:
                _, mark = self._waiting.popleft()
                mark.held = False
            await asyncio.sleep(0)

    def _batch(self) -> list[FeedEvent]:
        """The next events, as short as the feed takes them now."""
        bytes_max, sum_bytes = self._feed.event_bytes_max, 0
        batch: list[FeedEvent] = []
        for parcel, _ in islice(self._waiting, BATCH_MAX):
            event = stored(parcel, bytes_max)
            sum_bytes += event.size_bytes
            if batch and sum_bytes > BATCH_BYTES_MAX:
                break
            batch.append(event)
        return batch


def stored(event: Parcel, bytes_max: int) -> FeedEvent:
    """An event as the feed takes it: one that is too long says so instead of showing its images."""
    whole = FeedEvent(event.key.encode(), orjson.dumps(event.body))
    if whole.size_bytes <= bytes_max:
        return whole
    short = {name: value for name, value in event.body.items() if name not in IMAGES}
    return FeedEvent(whole.key, orjson.dumps(short | {"images": "too large"}))


def _tells(state: TableState, side: Side, change: Change) -> bool:
    """Whether a record of this side is told: where the side decided the write, and where nobody can
    say which side did. The two records of one write may be read before and after a change of the
    lead is heard of; then each would be left to the other."""
    leader = state.phase.leader
    epoch = _epoch_of(change)
    if epoch is None:
        # A removal does not show the epoch in which it was decided.
        removed_on_both = change.new is None and state.phase.mode is Mode.ATOMIC
        return side is leader or removed_on_both
    if epoch > state.epoch:
        return True
    return side is (leader.other if epoch < state.lead_epoch else leader)


def _epoch_of(change: Change) -> int | None:
    """The epoch of the write; None where it gave no stamp of its own."""
    text = stamp_of(change.new)
    if text is None or text == stamp_of(change.old):
        return None
    try:
        return Stamp.parse(text).epoch
    except ValueError:
        return None


def _id_on_both_sides(change: Change) -> str | None:
    """What is the same in both sides' records of one write, if anything is."""
    stamp, before = stamp_of(change.new), stamp_of(change.old)
    if stamp is not None and stamp != before:
        return stamp
    removed = change.new is None and before is not None and before != FLOOR
    return f"{before}/removed" if removed else None


def _kind(change: Change) -> str:
    if change.new is None:
        return "remove"
    return "insert" if change.old is None else "modify"


def _visible(item: Item | None) -> Mapping[str, Any] | None:
    return None if item is None else visible(item)
