"""What every implementation of ``Records`` promises: the fake and the real control table."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest

from dualwrite.adapters.control_table import PAGE_RECORDS, ControlTable
from dualwrite.core.errors import Refused, StateConflict
from dualwrite.core.items import ITEM_BYTES_MAX
from dualwrite.core.ports import Record, Records
from tests.fakes.engine_client import engine_client
from tests.fakes.records import MemoryRecords

Scene = Callable[[Callable[[Records], Awaitable[None]]], None]


@pytest.fixture(params=["memory", "control table"])
def on(request: pytest.FixtureRequest) -> Scene:
    """Runs a test's coroutine against one implementation."""
    if request.param == "memory":
        return lambda test: asyncio.run(test(MemoryRecords()))  # type: ignore[arg-type]
    engine = request.getfixturevalue("engine")
    prefix = request.getfixturevalue("table_prefix")

    async def prepared(test: Callable[[Records], Awaitable[None]]) -> None:
        async with engine_client(engine) as dynamo:
            records = ControlTable(dynamo, f"{prefix}control")
            await records.create()
            await test(records)

    return lambda test: asyncio.run(prepared(test))


async def written(records: Records, name: str, value: Mapping[str, Any]) -> Record:
    return await records.write("kind", name, value, expected=0)


def test_what_was_written_is_read(on: Scene) -> None:
    """A value comes back as it went in, under the version its writer was told."""

    async def go(records: Records) -> None:
        value = {"text": "ä#/", "list": [1, 2.5, None], "map": {"x": True}}
        record = await written(records, "a", value)
        assert await records.read("kind", "a") == record
        assert record.value == value
        assert record.version > 0

    on(go)


def test_nothing_is_read_where_nothing_is(on: Scene) -> None:
    """An absent record is None, an absent kind is empty."""

    async def go(records: Records) -> None:
        assert await records.read("kind", "a") is None
        assert await records.list("kind") == ()

    on(go)


def test_a_write_replaces_the_version_it_names(on: Scene) -> None:
    """The right version is replaced by a newer one."""

    async def go(records: Records) -> None:
        first = await written(records, "a", {"n": 1})
        second = await records.write("kind", "a", {"n": 2}, expected=first.version)
        assert second.version != first.version
        assert await records.read("kind", "a") == second

    on(go)


def test_a_write_over_another_version_is_a_conflict(on: Scene) -> None:
    """A stale version, or 0 where a record is, changes nothing and says so."""

    async def go(records: Records) -> None:
        first = await written(records, "a", {"n": 1})
        second = await records.write("kind", "a", {"n": 2}, expected=first.version)
        for stale in (0, first.version, second.version + 1):
            with pytest.raises(StateConflict):
                await records.write("kind", "a", {"n": 3}, expected=stale)
        assert await records.read("kind", "a") == second

    on(go)


def test_a_version_expected_of_nothing_is_a_conflict(on: Scene) -> None:
    """Nobody revives a deleted record by naming its version."""

    async def go(records: Records) -> None:
        with pytest.raises(StateConflict):
            await records.write("kind", "a", {"n": 1}, expected=7)
        assert await records.read("kind", "a") is None

    on(go)


def test_none_expects_whatever_is_there(on: Scene) -> None:
    """Without an expectation a record is created, and replaced."""

    async def go(records: Records) -> None:
        await records.write("kind", "a", {"n": 1}, expected=None)
        last = await records.write("kind", "a", {"n": 2}, expected=None)
        assert await records.read("kind", "a") == last
        assert last.value == {"n": 2}

    on(go)


def test_a_deleted_record_is_gone(on: Scene) -> None:
    """Deleting needs the right version or None; deleting nothing does nothing."""

    async def go(records: Records) -> None:
        first = await written(records, "a", {"n": 1})
        with pytest.raises(StateConflict):
            await records.delete("kind", "a", expected=first.version + 1)
        await records.delete("kind", "a", expected=first.version)
        assert await records.read("kind", "a") is None
        await records.delete("kind", "a", expected=first.version)
        await written(records, "b", {"n": 1})
        await records.delete("kind", "b", expected=None)
        await records.delete("kind", "b", expected=None)
        assert await records.list("kind") == ()

    on(go)


def test_a_version_never_comes_back(on: Scene) -> None:
    """A record that was deleted and created anew is told from its predecessor."""

    async def go(records: Records) -> None:
        first = await written(records, "a", {"n": 1})
        await records.delete("kind", "a", expected=first.version)
        second = await written(records, "a", {"n": 2})
        assert second.version != first.version
        with pytest.raises(StateConflict):
            await records.delete("kind", "a", expected=first.version)

    on(go)


def test_a_list_holds_one_kind_under_a_prefix_in_order(on: Scene) -> None:
    """Names come in order; other kinds and prefixes stay out."""

    async def go(records: Records) -> None:
        for name in ("t/2", "u/1", "t/10", "t/1"):
            await written(records, name, {"name": name})
        await records.write("other", "t/3", {}, expected=0)
        assert [r.name for r in await records.list("kind")] == ["t/1", "t/10", "t/2", "u/1"]
        assert [r.name for r in await records.list("kind", "t/")] == ["t/1", "t/10", "t/2"]
        assert [r.value["name"] for r in await records.list("kind", "u")] == ["u/1"]

    on(go)


def test_a_list_is_whole_however_large(on: Scene) -> None:
    """More than one page of 1 MB comes back complete."""

    async def go(records: Records) -> None:
        for number in range(12):
            await written(records, f"{number:02d}", {"text": "x" * 150_000})
        assert len(await records.list("kind")) == 12

    on(go)


def test_a_value_larger_than_an_item_is_refused(on: Scene) -> None:
    """Whoever keeps what clients wrote has to part it."""

    async def go(records: Records) -> None:
        with pytest.raises(Refused) as caught:
            await written(records, "a", {"text": "x" * ITEM_BYTES_MAX})
        assert caught.value.code == "ValidationException"
        assert await records.read("kind", "a") is None

    on(go)


def test_a_list_is_read_page_by_page(on: Scene) -> None:
    """Each page says behind which name the next begins, be it there still or not; together they
    are the whole list in order."""

    async def go(records: Records) -> None:
        names = [f"t/{number:03d}" for number in range(2 * PAGE_RECORDS)]
        for first in range(0, len(names), 50):
            await asyncio.gather(*(written(records, n, {"n": n}) for n in names[first:][:50]))
        await written(records, "u/1", {})
        found, after, pages = [], "", 0
        while True:
            page = await records.page("kind", "t/", after)
            pages += 1
            assert len(page.entries) <= PAGE_RECORDS
            found += [record.value["n"] for record in page.entries]
            after = page.next
            if not after:
                break
            await records.delete("kind", after, expected=None)
        assert found == names
        assert pages in (2, 3)
        assert (await records.page("kind", "u/")).entries == await records.list("kind", "u/")
        assert (await records.page("none")).entries == ()
        assert (await records.page("none")).next == ""

    on(go)


def test_of_many_writers_of_one_version_one_wins(on: Scene) -> None:
    """Compare-and-set lets exactly one of them through."""

    async def go(records: Records) -> None:
        first = await written(records, "a", {"n": 0})
        results = await asyncio.gather(
            *(records.write("kind", "a", {"n": n}, expected=first.version) for n in range(1, 9)),
            return_exceptions=True,
        )
        won = [result for result in results if isinstance(result, Record)]
        assert len(won) == 1
        assert await records.read("kind", "a") == won[0]
        assert all(isinstance(r, StateConflict) for r in results if not isinstance(r, Record))

    on(go)
