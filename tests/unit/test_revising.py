"""A record is changed by what stands there, also when others are at it."""

import asyncio

import pytest

from dualwrite.core.errors import EngineError
from dualwrite.core.ports import Record
from dualwrite.core.records import BYPASS, Bypass, dump, load
from dualwrite.revising import revised
from tests.fakes.records import Fault, MemoryRecords


def one_more(held: Record | None) -> dict[str, object]:
    before = 0 if held is None else load(Bypass, held.value).count
    return dict(dump(Bypass(before + 1, 0)))


def count(records: MemoryRecords) -> int:
    [record] = records.seen(BYPASS)
    return load(Bypass, record.value).count


def test_changes_of_others_are_built_upon() -> None:
    """Ten who add one at once make ten, the first of them where nothing stood."""

    async def go() -> None:
        records = MemoryRecords()
        await asyncio.gather(*(revised(records, BYPASS, "tasks", one_more) for _ in range(10)))
        assert count(records) == 10

    asyncio.run(go())


def test_what_is_to_stay_is_not_written() -> None:
    """No version is spent on it."""

    async def go() -> None:
        records = MemoryRecords()
        records.put(BYPASS, "tasks", dump(Bypass(3, 0)))
        [before] = records.seen(BYPASS)
        await revised(records, BYPASS, "tasks", lambda held: None)
        assert records.seen(BYPASS) == (before,)

    asyncio.run(go())


def test_a_race_that_never_ends_is_an_error() -> None:
    """Whoever counts must not believe that it was counted."""

    async def go() -> None:
        records = MemoryRecords()

        async def lose(operation: str, kind: str, name: str) -> Fault | None:
            if operation == "write":
                records.put(BYPASS, "tasks", dump(Bypass(3, 0)))
            return None

        records.hook = lose
        with pytest.raises(EngineError, match="keeps changing"):
            await revised(records, BYPASS, "tasks", one_more)

    asyncio.run(go())
