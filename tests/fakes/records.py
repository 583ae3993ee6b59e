"""The ``Records`` port in memory; it passes the contract suite of the real control table."""

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from itertools import count
from typing import Any

import orjson

from dualwrite.core.errors import OutcomeUnknown, StateConflict, Unreachable
from dualwrite.core.ports import Record


class Fault(Enum):
    """What goes wrong with one call."""

    UNREACHABLE = "nothing was sent"
    LOST_ANSWER = "applied, but nobody heard"
    LOST_REQUEST = "not applied, and nobody heard"


Hook = Callable[[str, str, str], Awaitable[Fault | None]]
"""(operation, kind, name or prefix) -> what goes wrong; may sleep, to be slow."""


class MemoryRecords:
    """``hook`` makes calls fail or wait; without one all goes well."""

    def __init__(self, hook: Hook | None = None) -> None:
        self.hook = hook
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

    async def write(
        self, kind: str, name: str, value: Mapping[str, Any], *, expected: int | None
    ) -> Record:
        fault = await self._fault("write", kind, name)
        if fault is Fault.LOST_REQUEST:
            raise OutcomeUnknown("no answer came")
        self._check(kind, name, expected)
        held = (next(self._versions), orjson.dumps(value))
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


def _record(kind: str, name: str, held: tuple[int, bytes]) -> Record:
    version, value = held
    return Record(kind, name, version, orjson.loads(value))
