"""One table: its items in order, what they were a moment ago, and who hears of changes."""

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from typing import Any
from zlib import crc32

from dualwrite.core.items import AttributeValue, Item, Key, KeySchema, canonical_number, same

REMEMBERED_SECONDS = 30.0
"""How far back an eventually consistent read can look."""
HASHES = 1 << 32

Place = tuple[int, str, Any]
"""Where an item stands in a scan: digest of its hash key, the key's token, order of its range."""

Heard = Callable[["Table", Key, Item | None, Item | None], None]


class Table:
    """Items by hash and range. ``changed`` is told of every write that changed something."""

    def __init__(self, name: str, keys: KeySchema, now: Callable[[], float], changed: Heard):
        self.name = name
        self.keys = keys
        self._now = now
        self._changed = changed
        self._items: dict[Place, Item] = {}
        self._order: list[Any] | None = []
        self._recent: deque[tuple[float, Place, Item | None]] = deque()

    def place(self, key: Mapping[str, AttributeValue]) -> Place:
        token = _token(key[self.keys.hash.name])
        ranged = None if self.keys.range is None else _ordered(key[self.keys.range.name])
        return crc32(token.encode()), token, ranged

    def get(self, key: Mapping[str, AttributeValue], seconds_ago: float = 0.0) -> Item | None:
        """The item, as it was a moment ago where that is asked for."""
        place = self.place(key)
        found = self._items.get(place)
        if seconds_ago > 0.0:
            return self._undone(seconds_ago).get(place, found)
        return found

    def put(self, key: Key, item: Item | None) -> None:
        """Store or, with None, remove; a write that changes nothing leaves no trace."""
        place = self.place(key)
        before = self._items.get(place)
        if before is None and item is None:
            return
        if before is not None and item is not None and same(before, item):
            return
        now = self._now()
        self._recent.append((now, place, before))
        while self._recent[0][0] < now - REMEMBERED_SECONDS:
            self._recent.popleft()
        if (before is None) != (item is None):
            self._order = None
        if item is None:
            del self._items[place]
        else:
            self._items[place] = item
        self._changed(self, {name: key[name] for name in self.keys.names}, before, item)

    def all(self, seconds_ago: float = 0.0) -> Iterator[tuple[Place, Item]]:
        """Items in the order of a scan."""
        if seconds_ago > 0.0 and (undone := self._undone(seconds_ago)):
            for place in sorted({*self._items, *undone}):
                item = undone.get(place, self._items.get(place))
                if item is not None:
                    yield place, item
            return
        for place in self._sorted():
            yield place, self._items[place]

    def partition(self, hash_value: AttributeValue, seconds_ago: float) -> list[tuple[Place, Item]]:
        token = _token(hash_value)
        first = (crc32(token.encode()), token)
        if seconds_ago > 0.0:
            return [one for one in self.all(seconds_ago) if one[0][:2] == first]
        order = self._sorted()
        found = []
        for at in range(bisect_left(order, first), len(order)):
            if order[at][:2] != first:
                break
            found.append((order[at], self._items[order[at]]))
        return found

    def _sorted(self) -> list[Any]:
        if self._order is None:
            self._order = sorted(self._items)
        return self._order

    def __len__(self) -> int:
        return len(self._items)

    def _undone(self, seconds_ago: float) -> dict[Place, Item | None]:
        """What the items that changed since then were."""
        then = self._now() - seconds_ago
        before: dict[Place, Item | None] = {}
        for at, place, item in reversed(self._recent):
            if at <= then:
                break
            before[place] = item
        return before


def _token(value: AttributeValue) -> str:
    [(kind, content)] = value.items()
    return f"{kind}:{canonical_number(content) if kind == 'N' else content}"


def _ordered(value: AttributeValue) -> Any:
    [(kind, content)] = value.items()
    return Decimal(content) if kind == "N" else str(content).encode()
