"""Parent rows: answers the look-ups that a derivation asks, from the side that leads the parent.

The answer is the parent's old id, which never changes while the parent lives, so a positive answer
is kept for long, in an index until that is built anew; a negative one only briefly, for the parent
may be written right after its child, or be mended.
"""

import asyncio
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from dualwrite.adapters.rows import Rows
from dualwrite.core.derivation import Missing, Problem, Question, Reason, invert
from dualwrite.core.errors import SpecError
from dualwrite.core.items import OTHER, AttributeValue, Item
from dualwrite.core.phases import Side
from dualwrite.core.ports import Clock, Dynamo, Epochs, Parents
from dualwrite.core.spec import LookupHow, MigratedTable, Migration
from dualwrite.core.transform import Row, row_from_stored, translate_key
from dualwrite.lookups import answered

ANSWERS_MAX = 100_000
"""Answers kept, the least recently used going first."""
NEGATIVE_SECONDS = 2.0
POSITIVE_SECONDS = 600.0
"""A parent may be deleted, and made anew under another id."""
INDEX_ENTRIES_MAX = 2_000_000
REBUILD_SECONDS_MIN = 5.0
"""An index is built anew on a miss, but no sooner than this after it was built; a build that took
long is repeated ten times less often than it took."""
SCAN_PAGE_ITEMS = 1000


@dataclass(slots=True)
class _Index:
    """Old ids by the values that children match, from one scan of the parent table."""

    held: Mapping[tuple[str, ...], str | Missing] = field(default_factory=dict)
    next_build: float = 0.0
    building: asyncio.Lock = field(default_factory=asyncio.Lock)

    def told(self, values: tuple[str, ...]) -> str | Missing:
        return self.held.get(values, Missing.ABSENT)


class ParentRows(Parents):
    """The ``Parents`` port over the tables themselves."""

    def __init__(self, dynamo: Dynamo, migration: Migration, epochs: Epochs, clock: Clock) -> None:
        self._dynamo = dynamo
        self._rows = Rows(dynamo)
        self._migration = migration
        self._epochs = epochs
        self._clock = clock
        self._kept: OrderedDict[Question, tuple[str | Missing, float]] = OrderedDict()
        self._indexes: dict[tuple[str, tuple[str, ...]], _Index] = {}

    async def answer(self, question: Question) -> str | Missing:
        """The parent's old id, or why there is none. Raises EngineError, LeaseExpired."""
        kept = self._kept.get(question)
        if kept is not None and self._clock.monotonic_seconds() < kept[1]:
            self._kept.move_to_end(question)
            return kept[0]
        found = await self._find(self._migration.by_name[question.table], question)
        seconds = NEGATIVE_SECONDS if isinstance(found, Missing) else POSITIVE_SECONDS
        self._kept[question] = (found, self._clock.monotonic_seconds() + seconds)
        self._kept.move_to_end(question)
        if len(self._kept) > ANSWERS_MAX:
            self._kept.popitem(last=False)
        return found

    async def _find(self, parent: MigratedTable, question: Question) -> str | Missing:
        side = self._epochs.current(parent.name).phase.leader
        match question.how:
            case LookupHow.KEY:
                return await self._by_key(parent, side, dict(question.match))
            case LookupHow.HASH:
                return await self._by_hash(parent, side, dict(question.match))
            case LookupHow.INDEX:
                return await self._by_index(parent, side, question)

    async def _by_key(
        self, parent: MigratedTable, side: Side, values: Mapping[str, str]
    ) -> str | Missing:
        key = {name: {"S": values[name]} for name in parent.old.keys.names}
        there = translate_key(parent, key, Side.OLD, side)
        if isinstance(there, Problem):
            return Missing.ABSENT
        item = await self._rows.get(parent.side(side), there)
        return Missing.ABSENT if item is None else await self._old_id(parent, side, item)

    async def _by_hash(
        self, parent: MigratedTable, side: Side, values: Mapping[str, str]
    ) -> str | Missing:
        [(name, value)] = values.items()
        if name in parent.swapped:
            raise SpecError(
                f"table {parent.name}: a look-up by hash key needs one that both designs share, "
                f"and {name} differs; use how = 'key' or 'index'"
            )
        answer = await self._dynamo.call(
            "Query",
            {
                "TableName": parent.side(side).name,
                "KeyConditionExpression": "#h = :h",
                "ExpressionAttributeNames": {"#h": name},
                "ExpressionAttributeValues": {":h": {"S": value}},
                "ConsistentRead": True,
                "Limit": 1,
            },
        )
        items = answer.get("Items")
        return await self._old_id(parent, side, items[0]) if items else Missing.ABSENT

    async def _by_index(
        self, parent: MigratedTable, side: Side, question: Question
    ) -> str | Missing:
        names = tuple(name for name, _ in question.match)
        wanted = tuple(value for _, value in question.match)
        index = self._indexes.setdefault((parent.name, names), _Index())
        if not isinstance(found := index.told(wanted), Missing):
            return found
        asked = self._clock.monotonic_seconds()
        async with index.building:
            # Whoever waited for the lock is served by the build that began after he asked.
            if isinstance(index.told(wanted), Missing) and asked >= index.next_build:
                await self._build(index, parent, side, names)
        return index.told(wanted)

    async def _build(
        self, index: _Index, parent: MigratedTable, side: Side, names: tuple[str, ...]
    ) -> None:
        began = self._clock.monotonic_seconds()
        held: dict[tuple[str, ...], str | Missing] = {}
        async for item in self._scan(parent, side, names):
            matched = _values(parent, side, item, names)
            if matched is None:
                continue
            old_id = await self._old_id(parent, side, item)
            if held.setdefault(matched, old_id) != old_id:
                held[matched] = Missing.AMBIGUOUS
            if len(held) > INDEX_ENTRIES_MAX:
                raise SpecError(
                    f"table {parent.name} has over {INDEX_ENTRIES_MAX} values of "
                    f"{', '.join(names)}: too many to index; use how = 'key' or 'hash'"
                )
        index.held = held
        ended = self._clock.monotonic_seconds()
        index.next_build = ended + max(REBUILD_SECONDS_MIN, 10 * (ended - began))

    async def _scan(
        self, parent: MigratedTable, side: Side, names: tuple[str, ...]
    ) -> AsyncIterator[Item]:
        wanted = sorted({*names, *parent.side(side).keys.names, *_needed(parent)})
        placeholders = {f"#n{number}": name for number, name in enumerate(wanted)}
        request: dict[str, Any] = {
            "TableName": parent.side(side).name,
            "ConsistentRead": True,
            "Limit": SCAN_PAGE_ITEMS,
            "ProjectionExpression": ",".join(placeholders),
            "ExpressionAttributeNames": placeholders,
        }
        while True:
            page = await self._dynamo.call("Scan", request)
            for item in page.get("Items", ()):
                yield item
            start = page.get("LastEvaluatedKey")
            if not start:
                return
            request["ExclusiveStartKey"] = start

    async def _old_id(
        self, parent: MigratedTable, side: Side, item: Mapping[str, AttributeValue]
    ) -> str | Missing:
        """The old id of a parent row, which may itself have to ask its own parent."""
        source = parent.derivation.source
        if side is Side.OLD and source is not None:
            own = item.get(source, {}).get("S")
            if own:
                return str(own)
        row: Row | Problem = await answered(self, row_from_stored, parent, item, side)
        return Missing.ABSENT if isinstance(row, Problem) else _own_id(parent, row)


def _own_id(parent: MigratedTable, row: Row) -> str | Missing:
    source = parent.derivation.source
    if source is not None:
        text = row.seen(Side.OLD).get(source, {}).get("S")
        if text:
            return str(text)
    texts = invert(parent, row.new) if row.new else None
    if isinstance(texts, dict) and source is not None and source in texts:
        return texts[source]
    if row.problem is not None and row.problem.reason is Reason.AMBIGUOUS:
        return Missing.AMBIGUOUS
    return Missing.ABSENT


def _values(
    parent: MigratedTable, side: Side, item: Mapping[str, AttributeValue], names: tuple[str, ...]
) -> tuple[str, ...] | None:
    """What the old dialect says under ``names``; None where one is no text."""
    other = item.get(OTHER, {}).get("M", {}) if side is Side.NEW else {}
    values = []
    for name in names:
        held = other.get(name) if side is Side.NEW and name in parent.swapped else item.get(name)
        text = (held or {}).get("S")
        if not text:
            return None
        values.append(text)
    return tuple(values)


def _needed(parent: MigratedTable) -> set[str]:
    """Attributes that tell a row's old id, or whom to ask for it."""
    return {OTHER, *parent.derivation.names, *parent.sources}
