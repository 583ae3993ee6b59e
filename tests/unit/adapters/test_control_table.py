"""The control table when answers are lost: what is unknown is found out, or said to be unknown."""

import asyncio
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import pytest

from dualwrite.adapters.control_table import ASKS_MAX, SENDS_MAX, ControlTable
from dualwrite.core.errors import (
    EngineError,
    OutcomeUnknown,
    Refused,
    SpecError,
    StateConflict,
    Unreachable,
)
from tests.fakes.clock import VirtualClock

NAME = ("kind", "a")


class Engine:
    """Just enough of DynamoDB for conditional writes of one table; ``plan`` says what happens to
    each write in turn: "ok", "lost answer", "lost request", or an error to raise."""

    def __init__(self) -> None:
        self.items: dict[tuple[str, str], dict[str, Any]] = {}
        self.plan: list[str | EngineError | Callable[[], None]] = []
        self.writes: list[Mapping[str, Any]] = []
        self.tables: dict[str, dict[str, Any]] = {}
        self.expiring: dict[str, dict[str, Any]] = {}
        self.page_items = 2
        self.queries = 0
        self.throttled: set[int] = set()
        """Which queries, counted from 1, are refused."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        match operation:
            case "GetItem":
                item = self.items.get(_name(request["Key"]))
                return {"Item": item} if item else {}
            case "Query":
                return self._query(request)
            case "PutItem" | "DeleteItem":
                return self._write(operation, request)
            case "DescribeTable":
                table = self.tables.get(request["TableName"])
                if table is None:
                    raise Refused("ResourceNotFoundException", "no table", 400, {})
                return {"Table": table}
            case "CreateTable":
                self.tables[request["TableName"]] = {
                    "KeySchema": request["KeySchema"],
                    "TableStatus": "ACTIVE",
                }
                return {}
            case "UpdateTimeToLive":
                name = request["TableName"]
                if name in self.expiring:
                    raise Refused("ValidationException", "TimeToLive is already enabled", 400, {})
                self.expiring[name] = request["TimeToLiveSpecification"]
                return {}
        raise AssertionError(operation)

    def _query(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.queries += 1
        if self.queries in self.throttled:
            raise THROTTLED
        start = request.get("ExclusiveStartKey")
        after = _name(start) if start else ("", "")
        found = [item for name, item in sorted(self.items.items()) if name > after]
        page, left = found[: self.page_items], found[self.page_items :]
        return {"Items": page} | ({"LastEvaluatedKey": page[-1]} if left else {})

    def _write(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        step = self.plan.pop(0) if self.plan else "ok"
        while callable(step):
            step()
            step = self.plan.pop(0) if self.plan else "ok"
        if isinstance(step, EngineError):
            raise step
        self.writes.append(request)
        if step != "lost request":
            self.apply(operation, request)
        if step != "ok":
            raise OutcomeUnknown("no answer came")
        return {}

    def apply(self, operation: str, request: Mapping[str, Any]) -> None:
        name = _name(request.get("Item") or request["Key"])
        held = self.items.get(name)
        wanted = request.get("ExpressionAttributeValues", {}).get(":expected")
        if (held or {}).get("version") != wanted:
            fields = {"Item": held} if held else {}
            raise Refused("ConditionalCheckFailedException", "it failed", 400, fields)
        if operation == "PutItem":
            self.items[name] = request["Item"]
        else:
            self.items.pop(name, None)


def _name(key: Mapping[str, Any]) -> tuple[str, str]:
    return key["pk"]["S"], key["sk"]["S"]


def table(engine: Engine, clock: VirtualClock | None = None) -> ControlTable:
    ids = count(1)
    return ControlTable(engine, "control", clock=clock, new_id=lambda: f"{next(ids):010x}")


THROTTLED = Refused("ThrottlingException", "slow down", 400, {})


@pytest.mark.parametrize(
    "plan",
    [
        ["lost answer"],
        ["lost request"],
        ["lost answer", "lost request"],
        ["lost request", "lost answer"],
        ["lost request", THROTTLED],
        ["lost answer", Unreachable("no connection")],
    ],
)
def test_a_write_whose_answer_is_lost_is_found_out(plan: list[Any]) -> None:
    """Whether or not it arrived the first time, it stands once in the end."""

    async def go() -> None:
        engine = Engine()
        records = table(engine)
        first = await records.write(*NAME, {"n": 1}, expected=0)
        engine.plan = list(plan)
        second = await records.write(*NAME, {"n": 2}, expected=first.version)
        assert second.version == first.version + 1
        assert await records.read(*NAME) == second

    asyncio.run(go())


def test_a_lost_write_that_arrives_late_changes_nothing() -> None:
    """It was sent again meanwhile, so its version is over."""

    async def go() -> None:
        engine = Engine()
        records = table(engine)
        first = await records.write(*NAME, {"n": 1}, expected=0)
        engine.plan = ["lost request"]
        second = await records.write(*NAME, {"n": 2}, expected=first.version)
        third = await records.write(*NAME, {"n": 3}, expected=second.version)
        with pytest.raises(Refused):
            engine.apply("PutItem", engine.writes[1])
        assert await records.read(*NAME) == third

    asyncio.run(go())


def test_a_lost_write_that_another_overtook_is_a_conflict() -> None:
    """The very next version is another's, so ours never was."""

    async def go() -> None:
        engine = Engine()
        records = table(engine)
        first = await records.write(*NAME, {"n": 1}, expected=0)
        engine.plan = ["lost request", lambda: _overwrite(engine, first.version + 1)]
        with pytest.raises(StateConflict):
            await records.write(*NAME, {"n": 2}, expected=first.version)

    asyncio.run(go())


def test_a_lost_write_under_two_later_ones_stays_unknown() -> None:
    """Ours may have stood in between: unknown is not folded into a conflict."""

    async def go() -> None:
        engine = Engine()
        records = table(engine)
        first = await records.write(*NAME, {"n": 1}, expected=0)
        engine.plan = ["lost answer", lambda: _overwrite(engine, first.version + 2)]
        with pytest.raises(OutcomeUnknown):
            await records.write(*NAME, {"n": 2}, expected=first.version)

    asyncio.run(go())


def test_what_cannot_be_found_out_is_unknown_in_the_end() -> None:
    """After a bounded number of sends."""

    async def go() -> None:
        engine = Engine()
        engine.plan = ["lost request"] * 100
        with pytest.raises(OutcomeUnknown):
            await table(engine).write(*NAME, {}, expected=0)
        assert len(engine.writes) == SENDS_MAX

    asyncio.run(go())


@pytest.mark.parametrize("error", [THROTTLED, Unreachable("no connection")])
def test_a_write_that_was_not_made_says_so(error: EngineError) -> None:
    """A plain refusal is the caller's to handle; nothing is sent behind his back."""

    async def go() -> None:
        engine = Engine()
        engine.plan = [error]
        with pytest.raises(type(error)):
            await table(engine).write(*NAME, {}, expected=0)
        assert not engine.writes

    asyncio.run(go())


@pytest.mark.parametrize("step", ["lost answer", "lost request"])
def test_a_delete_whose_answer_is_lost_is_found_out(step: str) -> None:
    """Gone is gone."""

    async def go() -> None:
        engine = Engine()
        records = table(engine)
        first = await records.write(*NAME, {}, expected=0)
        engine.plan = [step]
        await records.delete(*NAME, expected=first.version)
        assert not engine.items

    asyncio.run(go())


def test_creating_twice_is_creating_once() -> None:
    """A second call finds the table, with its time to live, and is content."""

    async def go() -> None:
        engine, clock = Engine(), VirtualClock()
        await clock.drive(table(engine, clock).create())
        await clock.drive(table(engine, clock).create())
        assert list(engine.tables) == ["control"]
        assert engine.expiring == {"control": {"AttributeName": "expires", "Enabled": True}}

    asyncio.run(go())


def test_a_table_with_other_keys_is_no_control_table() -> None:
    """An application's table of that name is left alone."""

    async def go() -> None:
        engine, clock = Engine(), VirtualClock()
        engine.tables["control"] = {"KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}]}
        with pytest.raises(SpecError, match="no control table"):
            await clock.drive(table(engine, clock).create())

    asyncio.run(go())


def test_a_table_that_never_becomes_active_ends_the_wait() -> None:
    """With an error that names it."""

    async def go() -> None:
        engine, clock = Engine(), VirtualClock()
        await clock.drive(table(engine, clock).create())
        engine.tables["control"]["TableStatus"] = "CREATING"
        with pytest.raises(EngineError, match="control was not ACTIVE"):
            await clock.drive(table(engine, clock).create())

    asyncio.run(go())


def _overwrite(engine: Engine, version: int) -> None:
    engine.items[NAME] = engine.items[NAME] | {
        "version": {"N": str(version)},
        "write": {"S": "somebody else's"},
    }


def test_a_throttled_part_of_a_list_is_asked_for_again() -> None:
    """What was read of it before is not thrown away, nor read again; page and list alike."""

    async def go() -> None:
        engine, clock = Engine(), VirtualClock()
        records = table(engine, clock)
        for name in "abcde":
            await records.write("kind", name, {}, expected=0)
        engine.throttled = {2, 4, 5}
        found = await clock.drive(records.list("kind"))
        assert [record.name for record in found] == list("abcde")
        assert engine.queries == 6
        engine.throttled = {7}
        page = await clock.drive(records.page("kind", "", "b"))
        assert ([record.name for record in page.entries], page.next) == (["c", "d"], "d")

    asyncio.run(go())


def test_a_list_that_stays_throttled_says_so() -> None:
    """After a few tries, within a second."""

    async def go() -> None:
        engine, clock = Engine(), VirtualClock()
        engine.throttled = set(range(1, 100))
        with pytest.raises(Refused, match="slow down"):
            await clock.drive(table(engine, clock).list("kind"))
        assert engine.queries == ASKS_MAX
        assert clock.monotonic_seconds() < 1.0

    asyncio.run(go())
