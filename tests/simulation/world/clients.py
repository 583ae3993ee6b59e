"""Applications: they speak either dialect through the proxies, and write down what they heard."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

import orjson

from dualwrite.core.errors import OutcomeUnknown, Unreachable
from dualwrite.core.items import key_token
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.proxy.messages import HttpReply, HttpRequest
from tests.simulation.checks.history import (
    ACKED,
    NEVER,
    NOTHING,
    REFUSED,
    UNKNOWN,
    Entry,
    History,
    Op,
    State,
    value_of,
)
from tests.simulation.machine.clock import SimClock
from tests.simulation.machine.loop import SimLoop
from tests.simulation.machine.network import Network
from tests.simulation.world.parts import Fleet
from tests.simulation.world.speech import UPDATES, action, as_stated, statement
from tests.simulation.world.tables import key_in, keys_of

CLIENT_TIMEOUT_SECONDS = 12.0
TOKEN_TRIES_MAX = 3
UNKNOWN_STATUS = 500

WHOLE = ("tasks", "steps")
"""Tables whose items lack what others are derived from, where an update makes them."""
FALSE = ("ConditionalCheckFailed", "DuplicateItem")

Answer = tuple[str, dict[str, Any]]
"""An error code, "" for success, "unknown" for no answer, and the body."""


@dataclass(frozen=True)
class Habits:
    """What a client does; weights."""

    think_seconds: float = 0.8
    batches: float = 0.06
    transactions: float = 0.14
    queries: float = 0.05
    eventual: float = 0.08
    foreign: float = 0.4
    """Share of the calls in the new dialect."""
    statements: float = 0.0
    bulk_reads: float = 0.0
    in_place: bool = False
    """Whether tables that are changed in place are written too."""


WIDE = Habits(statements=0.15, bulk_reads=0.06, in_place=True)
"""Of an application that says everything it can."""


def tables_of(migration: Migration, habits: Habits) -> list[MigratedTable]:
    """The tables that an application with these habits writes."""
    return [table for table in migration.tables if table.kind is Kind.REKEY or habits.in_place]


class Client:
    """One application process."""

    def __init__(
        self, name: str, loop: SimLoop, network: Network, fleet: Fleet, migration: Migration,
        history: History, clock: SimClock, random: Random, habits: Habits,
        count: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.name = name
        self.stopped = False
        self.idle = True
        self.looks: list[tuple[str, str, str]] = []
        """(table, key, tag) as eventually consistent reads showed them."""
        self._loop = loop
        self._network = network
        self._fleet = fleet
        self._migration = migration
        self._history = history
        self._clock = clock
        self._random = random
        self._habits = habits
        self._count = count
        self._tags = 0

    async def run(self) -> None:
        """Call after call until stopped."""
        tables = tables_of(self._migration, self._habits)
        while not self.stopped:
            await self._clock.sleep(self._random.random() * 2 * self._habits.think_seconds)
            self.idle = False
            await self._one(self._random.choice(tables))
            self.idle = True

    async def _one(self, table: MigratedTable) -> None:
        draw, habits = self._random.random(), self._habits
        dialect = Side.NEW if self._random.random() < habits.foreign else Side.OLD
        key = self._random.choice(keys_of(table.name))
        for share, work in (
            (habits.batches, self._batch),
            (habits.transactions, self._transaction),
            (habits.queries, self._query),
            (habits.eventual, self._look),
            (habits.statements, self._stated),
            (habits.bulk_reads, self._bulk_read),
        ):
            if draw < share:
                await work(table, key, dialect)
                return
            draw -= share
        await self._single(table, key, dialect)

    # -- calls --------------------------------------------------------------------------------

    def _op(self, table: str, kinds: tuple[str, ...]) -> Op:
        kind = self._random.choice(kinds)
        self._tags += 1
        tag = f"{self.name}.{self._tags}"
        condition = self._random.choice(("", "", "absent", "present", "tag"))
        if kind in UPDATES and (condition == "absent" or table in WHOLE):
            condition = "present"
        if kind == "check" and not condition:
            condition = "present"
        if condition == "tag":
            written = [e.op.tag for e in self._history.entries[-12:] if e.op.tag] or ["none"]
            condition = f"tag={self._random.choice(written)}"
        returns = ("NONE", "NONE", "ALL_OLD")
        if kind in UPDATES:
            returns = ("NONE", "ALL_OLD", "ALL_NEW", "UPDATED_NEW")
        if kind == "check":
            returns = ("NONE",)
        return Op(kind, tag, condition, self._random.choice(returns))

    async def _single(self, table: MigratedTable, key: str, dialect: Side) -> None:
        op = self._op(table.name, ("put", "put", "update", "update", "add", "strip", "delete"))
        if self._random.random() < 0.2:
            op = Op("read")
        [entry] = self._begin(table, [(key, op)])
        operation = {"put": "PutItem", "delete": "DeleteItem", "read": "GetItem"}.get(
            op.kind, "UpdateItem"
        )
        body = action(table, key, op, dialect)
        if op.kind == "read":
            body["ConsistentRead"] = True
        elif op.returns != "NONE":
            body["ReturnValues"] = op.returns
        if self._random.random() < 0.5 and op.condition:
            body["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        code, heard = await self._call(operation, body)
        self._end(entry, code)
        entry.seen = _seen(entry, heard)

    async def _batch(self, table: MigratedTable, key: str, dialect: Side) -> None:
        keys = self._some_keys(table, key)
        ops = [(one, Op(*self._blind(table.name))) for one in keys]
        entries = self._begin(table, ops)
        members: list[dict[str, Any]] = []
        for one, op in ops:
            if op.kind == "put":
                item = action(table, one, op, dialect)["Item"]
                members.append({"PutRequest": {"Item": item}})
            else:
                members.append({"DeleteRequest": {"Key": key_in(table, one, dialect)}})
        name = table.side(dialect).name
        code, heard = await self._call("BatchWriteItem", {"RequestItems": {name: members}})
        left = (heard.get("UnprocessedItems") or {}).get(name, [])
        for entry, member in zip(entries, members, strict=True):
            self._end(entry, code)
            if member in left:
                entry.outcome = NOTHING

    def _blind(self, table: str) -> tuple[str, str]:
        op = self._op(table, ("put", "put", "delete"))
        return op.kind, op.tag

    async def _transaction(self, table: MigratedTable, key: str, dialect: Side) -> None:
        ops = [
            (one, self._op(table.name, ("put", "update", "add", "delete", "check")))
            for one in self._some_keys(table, key)
        ]
        ops = [(one, Op(op.kind, op.tag, op.condition)) for one, op in ops]
        entries = self._begin(table, ops)
        verbs = {"put": "Put", "delete": "Delete", "check": "ConditionCheck"}
        members = [
            {verbs.get(op.kind, "Update"): action(table, one, op, dialect)} for one, op in ops
        ]
        token = f"{self.name}-{entries[0].call}"
        body = {"TransactItems": members, "ClientRequestToken": token}
        await self._transact("TransactWriteItems", body, entries)

    async def _transact(
        self, operation: str, body: dict[str, Any], entries: Sequence[Entry]
    ) -> None:
        """All or nothing; again under the same token where no answer came."""
        code, heard, unknown = "", {}, False
        for _ in range(TOKEN_TRIES_MAX):
            code, heard = await self._call(operation, body)
            if code != "unknown":
                break
            unknown = True
        reasons = heard.get("CancellationReasons") or [{}] * len(entries)
        for entry, reason in zip(entries, reasons, strict=True):
            self._end(entry, code)
            if reason.get("Code") in FALSE:
                entry.outcome = REFUSED
            if unknown and code:
                # The first one may be on its way still.
                entry.outcome = UNKNOWN

    async def _query(self, table: MigratedTable, key: str, dialect: Side) -> None:
        hash_name = table.side(dialect).keys.hash.name
        partition = key.partition("/")[0]
        keys = [one for one in keys_of(table.name) if one.partition("/")[0] == partition]
        entries = self._begin(table, [(one, Op("read")) for one in keys])
        body = {
            "TableName": table.side(dialect).name,
            "KeyConditionExpression": "#h = :h",
            "ExpressionAttributeNames": {"#h": hash_name},
            "ExpressionAttributeValues": {":h": key_in(table, key, dialect)[hash_name]},
            "ConsistentRead": True,
        }
        code, heard = await self._call("Query", body)
        schema = table.side(dialect).keys
        found = {key_token(item, schema): item for item in heard.get("Items", ())}
        for entry, one in zip(entries, keys, strict=True):
            self._end(entry, code)
            if entry.outcome == ACKED:
                entry.seen = value_of(found.get(key_token(key_in(table, one, dialect), schema)))

    async def _look(self, table: MigratedTable, key: str, dialect: Side) -> None:
        """An eventually consistent read: what it shows was written some time."""
        body = {"TableName": table.side(dialect).name, "Key": key_in(table, key, dialect)}
        code, heard = await self._call("GetItem", body)
        value = value_of(heard.get("Item")) if not code else None
        if value is not None and value.tag is not None:
            self.looks.append((table.name, key, value.tag))

    async def _bulk_read(self, table: MigratedTable, key: str, dialect: Side) -> None:
        keys = self._some_keys(table, key)
        entries = self._begin(table, [(one, Op("read")) for one in keys])
        places = [key_in(table, one, dialect) for one in keys]
        name = table.side(dialect).name
        found: list[Any] = []
        if self._random.random() < 0.5:
            gets = [{"Get": {"TableName": name, "Key": place}} for place in places]
            code, heard = await self._call("TransactGetItems", {"TransactItems": gets})
            found = [one.get("Item") for one in heard.get("Responses", ())]
            left = []
        else:
            asked = {name: {"Keys": places, "ConsistentRead": True}}
            code, heard = await self._call("BatchGetItem", {"RequestItems": asked})
            items = (heard.get("Responses") or {}).get(name, ())
            found = [
                next((i for i in items if place.items() <= i.items()), None) for place in places
            ]
            left = (heard.get("UnprocessedKeys") or {}).get(name, {}).get("Keys", [])
        for at, entry in enumerate(entries):
            self._end(entry, code)
            if places[at] in left:
                entry.outcome = NOTHING
            if entry.outcome == ACKED:
                entry.seen = value_of(found[at])

    # -- statements ---------------------------------------------------------------------------

    async def _stated(self, table: MigratedTable, key: str, dialect: Side) -> None:
        draw = self._random.random()
        if draw < 0.5:
            await self._statement(table, key, dialect)
        else:
            await self._statements(table, key, dialect, together=draw < 0.75)

    def _said(self, table: MigratedTable) -> Op:
        return as_stated(self._op(table.name, ("put", *UPDATES, "delete")))

    async def _statement(self, table: MigratedTable, key: str, dialect: Side) -> None:
        op = Op("read") if self._random.random() < 0.25 else self._said(table)
        [entry] = self._begin(table, [(key, op)])
        body = statement(table, key, op, dialect)
        if op.kind == "read":
            body["ConsistentRead"] = True
        code, heard = await self._call("ExecuteStatement", body)
        self._end(entry, code)
        shown = next(iter(heard.get("Items", ())), None)
        entry.seen = _seen(entry, {"Item": shown, "Attributes": shown} if not code else heard)

    async def _statements(
        self, table: MigratedTable, key: str, dialect: Side, *, together: bool
    ) -> None:
        """Several: all or none of them, or each for itself."""
        said = [(one, self._said(table)) for one in self._some_keys(table, key)]
        ops = [(one, Op(op.kind, op.tag, op.condition)) for one, op in said]
        entries = self._begin(table, ops)
        members = [statement(table, one, op, dialect) for one, op in ops]
        if not together:
            code, heard = await self._call("BatchExecuteStatement", {"Statements": members})
            answers = heard.get("Responses") or [{}] * len(entries)
            for entry, answer in zip(entries, answers, strict=True):
                error = answer.get("Error", {}).get("Code", "")
                self._end(entry, code)
                if error in FALSE:
                    entry.outcome = REFUSED
                elif error:
                    entry.outcome, entry.ended = UNKNOWN, NEVER
            return
        token = f"{self.name}-{entries[0].call}"
        body = {"TransactStatements": members, "ClientRequestToken": token}
        await self._transact("ExecuteTransaction", body, entries)

    # -- keys ---------------------------------------------------------------------------------

    def _some_keys(self, table: MigratedTable, key: str) -> list[str]:
        others = [one for one in keys_of(table.name) if one != key]
        return [key, *self._random.sample(others, self._random.randint(1, min(2, len(others))))]

    # -- the wire -----------------------------------------------------------------------------

    def _begin(self, table: MigratedTable, ops: list[tuple[str, Op]]) -> list[Entry]:
        return self._history.begin(table.name, ops, self._loop.time(), self.name)

    def _end(self, entry: Entry, code: str) -> None:
        if code == "unknown":
            return
        entry.ended = self._loop.time()
        entry.outcome = ACKED
        if code:
            false = code.removesuffix("Exception") in FALSE
            entry.outcome = REFUSED if false else NOTHING

    async def _call(self, operation: str, body: dict[str, Any]) -> Answer:
        """Ask any proxy that seems to live."""
        lives = self._fleet.proxies()
        if not lives:
            return "Unreachable", {}
        life = self._random.choice(lives)
        proxy = life.proxy
        assert proxy is not None, "only those are listed"
        headers = ((b"x-amz-target", b"DynamoDB_20120810." + operation.encode()),)
        request = HttpRequest(b"POST", b"/", headers, orjson.dumps(body))
        self._count(f"call {operation}")
        try:
            reply: HttpReply = await self._network.ask(
                self.name, life.name, life.lane, lambda: proxy.handle(request),
                CLIENT_TIMEOUT_SECONDS,
            )  # fmt: skip
        except Unreachable:
            return "Unreachable", {}
        except OutcomeUnknown:
            self._count("client heard nothing")
            return "unknown", {}
        heard: dict[str, Any] = orjson.loads(reply.body)
        if reply.status == 200:
            return "", heard
        code = str(heard["__type"]).rpartition("#")[2]
        self._count(f"client heard {code}")
        return ("unknown" if reply.status == UNKNOWN_STATUS else code), heard


def _seen(entry: Entry, heard: dict[str, Any]) -> State | bool:
    """What an answer shows of the item; True: nothing, or not all of it."""
    op = entry.op
    if entry.outcome == REFUSED:
        return value_of(heard["Item"]) if "Item" in heard else True
    if entry.outcome != ACKED:
        return True
    if op.kind == "read":
        return value_of(heard.get("Item"))
    whole = op.returns in ("ALL_OLD", "ALL_NEW")
    if whole or (op.returns == "UPDATED_NEW" and op.kind == "update"):
        return value_of(heard.get("Attributes"))
    return True
