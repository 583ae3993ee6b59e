"""The ``Records`` port in memory; it passes the contract suite of the real control table."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from itertools import count
from typing import Any

import orjson

from dualwrite.core.errors import OutcomeUnknown, Refused, StateConflict, Unreachable
from dualwrite.core.items import ITEM_BYTES_MAX
from dualwrite.core.ports import Page, Record
from dualwrite.core.records import MEMBER


class Fault(Enum):
    """What goes wrong with one call."""

    UNREACHABLE = "nothing was sent"
    LOST_ANSWER = "applied, but nobody heard"
    LOST_REQUEST = "not applied, and nobody heard"


Hook = Callable[[str, str, str], Awaitable[Fault | None]]
"""(operation, kind, name or prefix) -> what goes wrong; may sleep, to be slow."""


class MemoryRecords:
    """``hook`` makes calls fail or wait; without one all goes well."""

    def __init__(self, hook: Hook | None = None, page_records: int = 200) -> None:
        self.hook = hook
        self._page_records = page_records
        self.calls: list[tuple[str, str, str]] = []
        self._held: dict[tuple[str, str], tuple[int, bytes]] = {}
        # Versions never come back, not even after a deletion; nobody may count on their start.
        self._versions = count(1_000)

    async def read(self, kind: str, name: str) -> Record | None:
        await self._reading("read", kind, name)
        held = self._held.get((kind, name))
        return None if held is None else _record(kind, name, held)

    async def list(self, kind: str, prefix: str = "") -> tuple[Record, ...]:
        await self._reading("list", kind, prefix)
        return self.seen(kind, prefix)

    async def page(self, kind: str, prefix: str = "", after: str = "") -> Page[Record]:
        await self._reading("page", kind, prefix)
        left = [record for record in self.seen(kind, prefix) if record.name > after]
        entries = tuple(left[: self._page_records])
        return Page(entries, entries[-1].name if len(left) > len(entries) else "")

    async def write(
        self, kind: str, name: str, value: Mapping[str, Any], *, expected: int | None
    ) -> Record:
        fault = await self._fault("write", kind, name)
        if fault is Fault.LOST_REQUEST:
            raise OutcomeUnknown("no answer came")
        self._check(kind, name, expected)
        held = (next(self._versions), orjson.dumps(value))
        if len(held[1]) > ITEM_BYTES_MAX:
            message = "Item size has exceeded the maximum allowed size"
            raise Refused("ValidationException", message, 400, {})
        self._held[kind, name] = held
        if fault is Fault.LOST_ANSWER:
            raise OutcomeUnknown("no answer came")
        return _record(kind, name, held)

    async def delete(self, kind: str, name: str, *, expected: int | None) -> None:
        fault = await self._fault("delete", kind, name)
        if fault is Fault.LOST_REQUEST:
            raise OutcomeUnknown("no answer came")
        if (kind, name) in self._held:
            self._check(kind, name, expected)
            del self._held[kind, name]
        if fault is Fault.LOST_ANSWER:
            raise OutcomeUnknown("no answer came")

    def seen(self, kind: str, prefix: str = "") -> tuple[Record, ...]:
        """What ``list`` would answer, at once and without faults: for the test itself."""
        found = sorted(
            (name for held_kind, name in self._held if held_kind == kind),
            key=lambda name: name.encode(),
        )
        return tuple(
            _record(kind, name, self._held[kind, name]) for name in found if name.startswith(prefix)
        )

    def put(self, kind: str, name: str, value: Mapping[str, Any]) -> None:
        """Set the scene: store a value at once, without faults."""
        self._held[kind, name] = (next(self._versions), orjson.dumps(value))

    def forget(self, kind: str, name: str) -> None:
        """Set the scene: remove a value at once, without faults."""
        self._held.pop((kind, name), None)

    def _check(self, kind: str, name: str, expected: int | None) -> None:
        if expected is None:
            return
        held = self._held.get((kind, name))
        if (held[0] if held else 0) != expected:
            raise StateConflict(f"{kind} {name} is not at version {expected}")

    async def _fault(self, operation: str, kind: str, name: str) -> Fault | None:
        self.calls.append((operation, kind, name))
        fault = await self.hook(operation, kind, name) if self.hook else None
        if fault is Fault.UNREACHABLE:
            raise Unreachable("no connection")
        return fault

    async def _reading(self, operation: str, kind: str, name: str) -> None:
        if await self._fault(operation, kind, name) is not None:
            raise OutcomeUnknown("no answer came")


class Line:
    """The way of one process to the records; ``cut`` it, and it is as if the process were killed:
    none of its calls comes back, nor does another arrive."""

    def __init__(
        self, records: MemoryRecords, *, last_write: int = 0, arrives: bool = True
    ) -> None:
        """``last_write``: the number of the write, not counting leases, at which it is cut."""
        self._records = records
        self._last_write = last_write
        self._arrives = arrives
        self._writes = 0
        self.cut = False

    async def read(self, kind: str, name: str) -> Record | None:
        await self._alive()
        return await self._records.read(kind, name)

    async def list(self, kind: str, prefix: str = "") -> tuple[Record, ...]:
        await self._alive()
        return await self._records.list(kind, prefix)

    async def page(self, kind: str, prefix: str = "", after: str = "") -> Page[Record]:
        await self._alive()
        return await self._records.page(kind, prefix, after)

    async def write(
        self, kind: str, name: str, value: Mapping[str, Any], *, expected: int | None
    ) -> Record:
        await self._alive()
        self._writes += kind != MEMBER
        last = self._writes == self._last_write and kind != MEMBER
        if last and not self._arrives:
            self.cut = True
            await self._alive()
        record = await self._records.write(kind, name, value, expected=expected)
        self.cut = self.cut or last
        await self._alive()
        return record

    async def delete(self, kind: str, name: str, *, expected: int | None) -> None:
        await self._alive()
        await self._records.delete(kind, name, expected=expected)

    async def _alive(self) -> None:
        if self.cut:
            await asyncio.get_running_loop().create_future()


def _record(kind: str, name: str, held: tuple[int, bytes]) -> Record:
    version, value = held
    return Record(kind, name, version, orjson.loads(value))
