"""How each operation of DynamoDB and its streams is served: one table, one line an operation.

An operation that is not in it passes as it came. So does one that is, where its request names none
of the tables that the service knows.
"""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field

from dualwrite.core.control_plane import (
    harmed,
    no_such_table,
    refusal,
    refuse_hidden_table,
)
from dualwrite.core.naming import short_name, tables_named
from dualwrite.core.phases import Side, TableState
from dualwrite.core.requests import VERBS, Body, managed, wish
from dualwrite.core.shapes import shaped
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.core.stream_view import unwrapped
from dualwrite.proxy import (
    batch_reads,
    batches,
    listings,
    partiql,
    reads,
    statements,
    streams,
    transactions,
    writes,
)
from dualwrite.proxy.messages import Answer, HttpRequest
from dualwrite.proxy.passing import pass_on
from dualwrite.proxy.services import Services
from dualwrite.proxy.shadow import Shadows

ENDPOINT_MINUTES = 1440
"""AWS's own answer: an SDK asks again after a day."""

Named = Mapping[str, tuple[MigratedTable, frozenset[Side]]]
"""Managed tables of a request, by logical name, with the dialects it names them in."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that is looked into."""

    operation: str
    body: Body
    request: HttpRequest
    target: str
    tables: Named
    states: dict[str, TableState] = field(default_factory=dict)
    """The state of each managed table: filled as they are entered, for as long as the request
    lasts."""

    @property
    def only(self) -> tuple[MigratedTable, Side, TableState]:
        """The one table of an operation that takes one, and the dialect it is named in."""
        [(table, dialects)] = self.tables.values()
        [dialect] = dialects
        return table, dialect, self.states[table.name]


Serve = Callable[[Services, Call], Awaitable[Body | Answer]]
"""Answers with a body of its own, or with a reply to be passed on; raises DualwriteError."""
Names = Callable[[Migration, str, Body], Named]
"""Which managed tables a request is about; raises ClientError where it may not be served."""


def named(migration: Migration, operation: str, body: Body) -> Named:
    """The tables that an item operation names. Raises ClientError."""
    names = tuple(tables_named(operation, body))
    refuse_hidden_table(operation, names, migration.control_table)
    return _found(migration, names)


def changed(migration: Migration, operation: str, body: Body) -> Named:
    """The tables that a call of the control plane would change. Raises ClientError."""
    refuse_hidden_table(operation, tables_named(operation, body), migration.control_table)
    return _found(migration, harmed(operation, body))


def unhidden(migration: Migration, operation: str, body: Body) -> Named:
    """No table: all but the service's own is passed on. Raises ClientError."""
    refuse_hidden_table(operation, tables_named(operation, body), migration.control_table)
    return {}


def stated(migration: Migration, operation: str, body: Body) -> Named:
    """The tables that PartiQL statements name. Raises ClientError."""
    if statements.mentions(migration.control_table, body):
        raise no_such_table(operation, migration.control_table)
    return statements.stated(migration, operation, body)


def iterated(migration: Migration, _operation: str, body: Body) -> Named:
    """The table whose stream an iterator reads, where it was given out here."""
    found = unwrapped(body.get("ShardIterator"))
    return {} if found is None else _found(migration, found[:1])


def _found(migration: Migration, names: Iterable[str]) -> Named:
    found: dict[str, tuple[MigratedTable, frozenset[Side]]] = {}
    for name in names:
        entry = managed(migration, name)
        if entry is not None:
            table, dialect = entry
            _, dialects = found.get(table.name, (table, frozenset[Side]()))
            found[table.name] = (table, dialects | {dialect})
    return found


@dataclass(frozen=True, slots=True)
class Route:
    """How one operation is served."""

    serve: Serve
    names: Names = named
    always: bool = False
    """Served here although it names no managed table."""
    writes: bool = False
    """Counted among the writes of its tables."""
    live: bool = True
    """Needs the tables it names to be live: the new one is not before the migration begins."""


async def _write(services: Services, call: Call) -> Body:
    table, dialect, state = call.only
    body = shaped(call.body, call.operation)
    wanted = wish(VERBS[call.operation], table, dialect, body, call.operation)
    return await writes.write(services, wanted, state)


async def _search(services: Services, call: Call) -> Body:
    table, dialect, state = call.only
    return await reads.search(services, table, dialect, state, call.operation, call.body)


async def _batch_write(services: Services, call: Call) -> Body:
    return await batches.write(services, call.body, call.states)


async def _batch_get(services: Services, call: Call) -> Body:
    return await batch_reads.batch_get(services, call.body, call.states)


async def _transact_write(services: Services, call: Call) -> Body:
    return await transactions.write(services, call.body, call.states)


async def _transact_get(services: Services, call: Call) -> Body:
    return await batch_reads.transact_get(services, call.body, call.states)


async def _execute(services: Services, call: Call) -> Body:
    return await partiql.serve(services, call.operation, call.body, call.states)


async def _passed(services: Services, call: Call) -> Answer:
    return await pass_on(services, call.request, call.target)


async def _judged(services: Services, call: Call) -> Answer:
    """The engine's own answer, unless the call would harm a table under migration."""
    for table, sides in call.tables.values():
        for side in sides:
            refused = refusal(call.operation, call.body, table, side, call.states[table.name].phase)
            if refused is not None:
                raise refused
    return await _passed(services, call)


async def _list_tables(services: Services, call: Call) -> Answer:
    return await listings.listed(services, listings.TABLES, call.request, call.target, call.body)


async def _list_streams(services: Services, call: Call) -> Answer:
    return await listings.listed(services, listings.STREAMS, call.request, call.target, call.body)


async def _iterator(services: Services, call: Call) -> Answer:
    name = short_name(call.body["StreamArn"])
    return await streams.iterator(services, call.request, call.target, call.body, name)


async def _records(services: Services, call: Call) -> Answer:
    return await streams.records(services, call.request, call.target, call.body)


async def _endpoints(services: Services, call: Call) -> Body | Answer:
    """This proxy's own address, as the client wrote it: an SDK that discovers endpoints must not
    walk around the service. An engine that has no such call says so itself."""
    reply = await _passed(services, call)
    if reply.status != 200:
        return reply
    for name, value in call.request.headers:
        if name == b"host":
            address = value.decode("latin-1")
            return {"Endpoints": [{"Address": address, "CachePeriodInMinutes": ENDPOINT_MINUTES}]}
    return reply


PASSED = Route(_passed, names=unhidden)
"""Whatever is not in the table."""
_STATEMENT = Route(_execute, names=stated)
_JUDGED = Route(_judged, names=changed, live=False)


def routes(shadows: Shadows) -> Mapping[str, Route]:
    """The table."""

    async def get(services: Services, call: Call) -> Body:
        table, dialect, state = call.only
        reply = await reads.get(services, table, dialect, state, call.body)
        shadows.consider(table, dialect, state, call.body)
        return reply

    return {
        "PutItem": Route(_write, writes=True),
        "UpdateItem": Route(_write, writes=True),
        "DeleteItem": Route(_write, writes=True),
        "GetItem": Route(get),
        "Query": Route(_search),
        "Scan": Route(_search),
        "BatchWriteItem": Route(_batch_write, writes=True),
        "BatchGetItem": Route(_batch_get),
        "TransactWriteItems": Route(_transact_write, writes=True),
        "TransactGetItems": Route(_transact_get),
        "ExecuteStatement": _STATEMENT,
        "BatchExecuteStatement": _STATEMENT,
        "ExecuteTransaction": _STATEMENT,
        "DeleteTable": _JUDGED,
        "UpdateTable": _JUDGED,
        "UpdateGlobalTable": _JUDGED,
        "UpdateTimeToLive": _JUDGED,
        "EnableKinesisStreamingDestination": _JUDGED,
        "ImportTable": _JUDGED,
        "RestoreTableFromBackup": _JUDGED,
        "RestoreTableToPointInTime": _JUDGED,
        "SearchVectors": _JUDGED,
        "ListTables": Route(_list_tables, names=unhidden, always=True),
        "ListStreams": Route(_list_streams, names=unhidden, always=True),
        "DescribeEndpoints": Route(_endpoints, names=unhidden, always=True),
        "GetShardIterator": Route(_iterator, live=False),
        "GetRecords": Route(_records, names=iterated, live=False),
    }
