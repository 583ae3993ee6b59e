"""Parent look-ups: by key, by hash key and by an index; cached, and asked of the leading side."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any

import pytest

from dualwrite.adapters.parents import (
    NEGATIVE_SECONDS,
    POSITIVE_SECONDS,
    REBUILD_SECONDS_MIN,
    ParentRows,
)
from dualwrite.core.derivation import Missing, Question
from dualwrite.core.errors import Unreachable
from dualwrite.core.items import Item, key_token
from dualwrite.core.phases import Phase, Side
from dualwrite.core.spec import LookupHow
from dualwrite.core.transform import Row, row_from_client
from tests.consumer_harness import a_migration
from tests.fakes.clock import VirtualClock
from tests.fakes.epochs import SetEpochs

MIGRATION = a_migration("")
TASKS = MIGRATION.by_name["tasks"]


class Tables:
    """Items by table and key, read by GetItem, Query and Scan."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Item]] = {}
        self.calls: list[str] = []
        self.broken = False

    def put(self, side: Side, item: Item) -> None:
        row = row_from_client(TASKS, item, Side.OLD)
        stored = row.stored(side) if side is Side.NEW and isinstance(row, Row) else item
        name = TASKS.side(side).name
        self.held.setdefault(name, {})[key_token(stored, TASKS.side(side).keys)] = stored

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append(operation)
        if self.broken:
            raise Unreachable("away")
        held = self.held.get(request["TableName"], {})
        match operation:
            case "GetItem":
                found = held.get(key_token(request["Key"], TASKS.old.keys))
                return {} if found is None else {"Item": found}
            case "Query":
                wanted = request["ExpressionAttributeValues"][":h"]
                name = request["ExpressionAttributeNames"]["#h"]
                items = [item for item in held.values() if item[name] == wanted]
                return {"Items": items[: request["Limit"]]}
            case "Scan":
                # Two pages, so that paging happens.
                tokens = list(held)
                start = request.get("ExclusiveStartKey", {"at": {"N": "0"}})
                at = int(start["at"]["N"])
                middle = (len(tokens) + 1) // 2
                page = tokens[at:middle] if at == 0 else tokens[at:]
                more = at == 0 and middle < len(tokens)
                last = {"LastEvaluatedKey": {"at": {"N": str(middle)}}} if more else {}
                return {"Items": [held[token] for token in page]} | last
        raise AssertionError(operation)


class Scene:
    def __init__(self, phase: Phase = Phase.MIRROR_OLD) -> None:
        self.clock = VirtualClock()
        self.tables = Tables()
        self.epochs = SetEpochs(phase)
        self.parents = ParentRows(self.tables, MIGRATION, self.epochs, self.clock)


def task(list_id: str, task_id: str, tenant: str | None) -> Item:
    item: Item = {"list_id": {"S": list_id}, "task_id": {"S": task_id}}
    return item if tenant is None else item | {"endpoint_id": {"S": tenant}}


BY_KEY = Question("tasks", LookupHow.KEY, (("list_id", "l"), ("task_id", "t")))
BY_HASH = Question("tasks", LookupHow.HASH, (("list_id", "l"),))
BY_INDEX = Question("tasks", LookupHow.INDEX, (("task_id", "t"),))


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@pytest.mark.parametrize("question", [BY_KEY, BY_HASH, BY_INDEX])
@pytest.mark.parametrize("phase", [Phase.OFF, Phase.MIRROR_OLD, Phase.ATOMIC_NEW, Phase.DONE])
def test_the_answer_is_the_parents_old_id(question: Question, phase: Phase) -> None:
    """On either side, though new says something else under the same name; and it is kept."""

    async def go() -> None:
        scene = Scene(phase)
        scene.tables.put(phase.leader, task("l", "t", "acme-prod"))
        scene.tables.put(phase.leader, task("m", "u", "bolt-prod"))
        assert await scene.parents.answer(question) == "acme-prod"
        calls = len(scene.tables.calls)
        assert await scene.parents.answer(question) == "acme-prod"
        assert len(scene.tables.calls) == calls

    run(go())


@pytest.mark.parametrize("question", [BY_KEY, BY_HASH, BY_INDEX])
def test_an_absent_parent_may_come_later(question: Question) -> None:
    """A negative answer is kept only briefly, and an index is built anew."""

    async def go() -> None:
        scene = Scene()
        assert await scene.parents.answer(question) is Missing.ABSENT
        scene.tables.put(Side.OLD, task("l", "t", "acme-prod"))
        assert await scene.parents.answer(question) is Missing.ABSENT
        await scene.clock.advance(NEGATIVE_SECONDS + REBUILD_SECONDS_MIN)
        assert await scene.parents.answer(question) == "acme-prod"

    run(go())


def test_an_index_is_not_built_for_every_miss() -> None:
    """Orphans cost one scan now and then, however many they are."""

    async def go() -> None:
        scene = Scene()
        for number in range(50):
            question = Question("tasks", LookupHow.INDEX, (("task_id", f"none-{number}"),))
            assert await scene.parents.answer(question) is Missing.ABSENT
        assert scene.tables.calls == ["Scan"]

    run(go())


def test_an_id_under_two_tenants_proves_nothing() -> None:
    """The same id twice under one tenant does."""

    async def go() -> None:
        scene = Scene()
        scene.tables.put(Side.OLD, task("l", "t", "acme-prod"))
        scene.tables.put(Side.OLD, task("m", "t", "acme-prod"))
        assert await scene.parents.answer(BY_INDEX) == "acme-prod"
        other = Scene()
        other.tables.put(Side.OLD, task("l", "t", "acme-prod"))
        other.tables.put(Side.OLD, task("m", "t", "bolt-prod"))
        assert await other.parents.answer(BY_INDEX) is Missing.AMBIGUOUS

    run(go())


@pytest.mark.parametrize("mended", [task("m", "t", "acme-prod"), None])
def test_an_index_that_proved_nothing_is_asked_again(mended: Item | None) -> None:
    """An id that two tenants had, or that a parent has only by now, is told once it is mended."""

    async def go() -> None:
        scene = Scene()
        if mended is None:
            scene.tables.put(Side.OLD, task("l", "t", None))
            assert await scene.parents.answer(BY_INDEX) is Missing.ABSENT
        else:
            scene.tables.put(Side.OLD, task("l", "t", "acme-prod"))
            scene.tables.put(Side.OLD, task("m", "t", "bolt-prod"))
            assert await scene.parents.answer(BY_INDEX) is Missing.AMBIGUOUS
        scene.tables.put(Side.OLD, mended or task("l", "t", "acme-prod"))
        await scene.clock.advance(NEGATIVE_SECONDS + REBUILD_SECONDS_MIN)
        assert await scene.parents.answer(BY_INDEX) == "acme-prod"

    run(go())


@pytest.mark.parametrize("question", [BY_KEY, BY_HASH])
def test_a_parent_that_was_made_anew_is_believed_in_the_end(question: Question) -> None:
    """The answer of its former life is not kept for ever."""

    async def go() -> None:
        scene = Scene()
        scene.tables.put(Side.OLD, task("l", "t", "acme-prod"))
        assert await scene.parents.answer(question) == "acme-prod"
        scene.tables.put(Side.OLD, task("l", "t", "bolt-prod"))
        await scene.clock.advance(POSITIVE_SECONDS + 1)
        assert await scene.parents.answer(question) == "bolt-prod"

    run(go())


def test_a_parent_without_an_id_is_no_parent() -> None:
    """Nothing is guessed for it."""

    async def go() -> None:
        scene = Scene()
        scene.tables.put(Side.OLD, task("l", "t", None))
        assert await scene.parents.answer(BY_KEY) is Missing.ABSENT

    run(go())


def test_an_engine_that_is_away_is_no_answer() -> None:
    """Unknown is not absent, and is not kept."""

    async def go() -> None:
        scene = Scene()
        scene.tables.put(Side.OLD, task("l", "t", "acme-prod"))
        scene.tables.broken = True
        with pytest.raises(Unreachable):
            await scene.parents.answer(BY_INDEX)
        scene.tables.broken = False
        assert await scene.parents.answer(BY_INDEX) == "acme-prod"

    run(go())
