"""Schedules written down by hand: what the simulator once met by chance, pinned for good."""

import asyncio
from collections.abc import Callable, Mapping
from random import Random
from typing import Any, cast

import orjson
import pytest

from consumers.copy import Copier
from consumers.effort import Effort
from consumers.pace import Pace
from consumers.poison import Poison
from consumers.reconcile import Reconciler, Work
from dualwrite.adapters.big_transactions import BigTransactionCounts
from dualwrite.adapters.parents import ParentRows
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.core.dirty_keys import dirty_key
from dualwrite.core.errors import LeaseExpired, OutcomeUnknown
from dualwrite.core.items import Item, key_of
from dualwrite.core.phases import Phase, Side, TableState
from dualwrite.proxy.messages import HttpReply, HttpRequest
from dualwrite.proxy.proxy import Proxy
from dualwrite.proxy.services import Engine
from tests.fakes.clock import VirtualClock
from tests.fakes.epochs import SetEpochs
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords
from tests.simulation.engine import FakeDynamo
from tests.simulation.world.tables import base_item, create, migration_of


class Slow:
    """The engine, with something that happens while a read of one table is under way."""

    def __init__(self, engine: FakeDynamo, table: str, meanwhile: Callable[[], None]) -> None:
        self._engine = engine
        self._table = table
        self._meanwhile = meanwhile

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = await self._engine.call(operation, request)
        if operation == "GetItem" and request["TableName"] == self._table:
            self._meanwhile()
        return answer


class Stopped(Slow):
    """The same before a write to it arrives: its sender was stopped in the middle of the send."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        writes = operation in ("PutItem", "DeleteItem", "TransactWriteItems")
        if writes and f"'{self._table}'" in str(request):
            self._meanwhile()
        return await self._engine.call(operation, request)


class Unheard(Stopped):
    """And its sender gave the request up before it arrived, so that it hears no answer."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = await super().call(operation, request)
        if operation == "PutItem" and request["TableName"] == self._table:
            raise OutcomeUnknown("no answer in time")
        return answer


class Scene:
    """Items that somebody is about to copy or to cure; the last one is of the table in question."""

    def __init__(
        self, items: Mapping[str, str], slow: str, line: Callable[..., Slow] = Slow
    ) -> None:
        """``items``: a key of each table; ``slow``: the table whose reads, or writes, take long."""
        self.migration = migration_of(tuple(items))
        self.table = self.migration.tables[-1]
        self.engine = FakeDynamo()
        create(self.engine, self.migration)
        for name, key in items.items():
            self.item = base_item(name, key)
            self.engine.execute("PutItem", {"TableName": name, "Item": self.item})
        self.epochs = SetEpochs(Phase.MIRROR_OLD, epoch=2)
        self.sent: list[str] = []
        self.engine.watchers.append(lambda commit: self.sent.append(commit.table))
        self._slow = slow
        self._line = line

    def moved_on(self) -> None:
        """Two epochs later."""
        self.epochs.states[self.table.name] = TableState(self.table.name, 4, Phase.ATOMIC_NEW)

    def copier(self, meanwhile: Callable[[], None]) -> Copier:
        """Also he who reconciles."""
        dynamo, clock, records = (
            self._line(self.engine, self._slow, meanwhile),
            VirtualClock(),
            MemoryRecords(),
        )
        parents = ParentRows(dynamo, self.migration, self.epochs, clock)
        repairs, effort = Repairs(records, clock), Effort(clock, Random(1), Pace())
        poison = Poison(repairs)
        self.reconciler = Reconciler(
            dynamo, records, self.epochs, parents, poison, MemoryMetrics(), effort
        )
        return Copier(dynamo, self.epochs, parents, repairs, poison, self.reconciler, effort)

    def reconcile(self, meanwhile: Callable[[], None]) -> None:
        async def go() -> None:
            self.copier(meanwhile)
            work = Work(dirty_key(self.table, self.item, Side.OLD))
            await self.reconciler.reconcile(self.table, work)

        asyncio.run(go())

    def copy(self, meanwhile: Callable[[], None]) -> None:
        asyncio.run(self._copied(self.copier(meanwhile)))

    async def _copied(self, copier: Copier) -> None:
        await copier.copy(self.table, self.item)

    async def put_through_a_proxy(self, meanwhile: Callable[[], None]) -> HttpReply:
        """A client's PutItem of the item, in old words; ``meanwhile`` is on the follower's way."""
        dynamo = self._line(self.engine, self._slow, meanwhile)
        clock, records = VirtualClock(), MemoryRecords()
        proxy = Proxy(
            cast(Engine, dynamo), self.migration, self.epochs,
            ParentRows(dynamo, self.migration, self.epochs, clock), Repairs(records, clock), clock,
            MemoryMetrics(), process_id="p1",
            big_transactions=BigTransactionCounts(records, clock, process_id="p1"),
        )  # fmt: skip
        body = orjson.dumps({"TableName": self.table.old.name, "Item": self.item})
        headers = ((b"x-amz-target", b"DynamoDB_20120810.PutItem"),)
        request = HttpRequest(b"POST", b"/", headers, body)
        return cast(HttpReply, await clock.drive(proxy.handle(request)))

    def rows(self, side: Side) -> list[Item]:
        return [item for _, item in self.engine.tables[self.table.side(side).name].all()]

    def delete(self, side: Side) -> None:
        """As a client of what leads by now."""
        place = self.table.side(side)
        for item in self.rows(side):
            key = key_of(item, place.keys)
            self.engine.execute("DeleteItem", {"TableName": place.name, "Key": key})

    def copy_together(self, meanwhile: Callable[[], None]) -> None:
        [*_, range_name] = self.table.old.keys.names
        other = self.item | {range_name: {"S": "other"}}
        self.engine.execute("PutItem", {"TableName": self.table.old.name, "Item": other})
        self.sent.clear()

        async def go() -> None:
            items = [self.item, other]
            await self.copier(meanwhile).copy_all(self.table, items, in_one=True)

        asyncio.run(go())


NOTE = {"notes": "acme-prod/n1"}
STEP = {"tasks": "l1/t1", "steps": "t1/0"}


def test_a_cure_is_not_sent_once_the_lease_ran_out_over_its_reads() -> None:
    """The controller waits for a lease and one request's life: a cure that is sent after that could
    meet another leader, and bring back what was deleted there since."""
    scene = Scene(NOTE, slow="notes")
    with pytest.raises(LeaseExpired):
        scene.reconcile(lambda: setattr(scene.epochs, "expired", True))
    assert not scene.sent
    assert scene.epochs.in_flight == 0


def test_a_cure_is_not_sent_two_epochs_later() -> None:
    """The next state may be live beside ours, the one after that may not."""
    scene = Scene(NOTE, slow="notes")
    with pytest.raises(LeaseExpired):
        scene.reconcile(scene.moved_on)
    assert not scene.sent


def test_an_in_place_cure_is_not_sent_two_epochs_later() -> None:
    """The same for derived attributes, which are written in their own table."""
    scene = Scene(STEP, slow="steps")
    with pytest.raises(LeaseExpired):
        scene.reconcile(scene.moved_on)
    assert not scene.sent


def test_copies_in_one_transaction_are_not_sent_two_epochs_later() -> None:
    """The parents' reads come before the transaction."""
    scene = Scene(STEP, slow="tasks")
    with pytest.raises(LeaseExpired):
        scene.copy_together(scene.moved_on)
    assert not scene.sent


@pytest.mark.parametrize("how", [Scene.reconcile, Scene.copy, Scene.copy_together])
def test_a_copy_that_was_stopped_in_its_send_is_taken_back(
    how: Callable[[Scene, Callable[[], None]], None],
) -> None:
    """While it was on its way the lead moved and the clients deleted the rows: nothing in the table
    tells "deleted" from "never there", so the copies arrive, and have to go again."""
    scene = Scene(NOTE, "notes-v2", Stopped)
    scene.reconcile(lambda: None)  # the row has its hidden map: nothing but its copy is wanted
    [scene.item] = scene.rows(Side.OLD)
    scene.delete(Side.NEW)
    scene.sent.clear()

    def moved_on_and_deleted() -> None:
        scene.moved_on()
        scene.delete(Side.OLD)

    with pytest.raises(LeaseExpired):
        how(scene, moved_on_and_deleted)
    assert "notes-v2" in scene.sent
    assert not scene.rows(Side.NEW)


def test_a_late_copy_that_somebody_wrote_over_stays() -> None:
    """Only what was put is taken back: a client may have found it and written since."""
    scene = Scene(NOTE, "notes-v2", Stopped)
    theirs = {"S": "1700000000001.00000.000004.7e99b335.00000001"}

    def moved_on_then_written_over() -> None:
        scene.moved_on()
        for item in scene.rows(Side.NEW):
            put = {"TableName": "notes-v2", "Item": {**item, "dw_stamp": theirs}}
            scene.engine.execute("PutItem", put)

    with pytest.raises(LeaseExpired):
        scene.reconcile(moved_on_then_written_over)
    [item] = scene.rows(Side.NEW)
    assert item["dw_stamp"] == theirs


def test_a_late_copy_of_what_the_leader_still_holds_stays() -> None:
    """The lease ran out for a moment and nothing has moved: readers of the copy miss nothing."""
    scene = Scene(NOTE, "notes-v2", Stopped)
    with pytest.raises(LeaseExpired):
        scene.reconcile(lambda: setattr(scene.epochs, "expired", True))
    assert len(scene.rows(Side.NEW)) == 1


@pytest.mark.parametrize("line", [Stopped, Unheard])
def test_a_mirror_write_that_was_stopped_in_its_send_is_taken_back(
    line: Callable[..., Slow],
) -> None:
    """The lead went to where a proxy's mirror write was still on its way, consumers mirrored it
    themselves, and a client deleted the row: it stays deleted, whether the proxy hears of the
    write's arrival or not."""
    scene = Scene(NOTE, "notes-v2", line)

    def moved_on_and_deleted() -> None:
        if not scene.epochs.states:
            scene.moved_on()
            scene.delete(Side.OLD)

    asyncio.run(scene.put_through_a_proxy(moved_on_and_deleted))
    assert "notes-v2" in scene.sent
    assert not scene.rows(Side.NEW)


def test_a_mirror_write_of_what_the_other_side_holds_stays() -> None:
    """The lease ran out for a moment and nothing has moved: the row is on both sides."""
    scene = Scene(NOTE, "notes-v2", Stopped)
    asyncio.run(scene.put_through_a_proxy(lambda: setattr(scene.epochs, "expired", True)))
    [old], [new] = scene.rows(Side.OLD), scene.rows(Side.NEW)
    assert old["dw_stamp"] == new["dw_stamp"]


def test_a_write_that_came_after_its_leader_had_lost_the_lead_is_not_told_to_be_done() -> None:
    """Nothing refuses it, and it is undone as a straggler: its client hears that the outcome is
    unknown."""
    scene = Scene(NOTE, "notes", Stopped)
    reply = asyncio.run(scene.put_through_a_proxy(scene.moved_on))
    assert reply.status == 500
    assert b"InternalServerError" in reply.body


@pytest.mark.parametrize(("renewed", "status"), [(True, 200), (False, 500)])
def test_an_answer_waits_for_a_lease_that_has_just_run_out(renewed: bool, status: int) -> None:
    """Nearly always it is renewed and nothing has moved: the client is told that it is done. Where
    it is not renewed, nobody can tell."""
    scene = Scene(NOTE, "notes", Stopped)

    def runs_out() -> None:
        scene.epochs.expired = True
        if renewed:
            asyncio.get_running_loop().call_soon(setattr, scene.epochs, "expired", False)

    assert asyncio.run(scene.put_through_a_proxy(runs_out)).status == status
