"""PartiQL that names managed tables: what each statement of a request is about."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from dualwrite.core import metric_names
from dualwrite.core.errors import ClientError, ValidationError
from dualwrite.core.items import Key, KeySchema
from dualwrite.core.naming import short_name, statements_of
from dualwrite.core.partiql import (
    Binder,
    Insert,
    Select,
    Statement,
    bound,
    mutation,
    names_of,
    parse_statement,
    single_read,
)
from dualwrite.core.phases import Side, TableState
from dualwrite.core.requests import Body, Verb, Wish, managed, refuse_names, wish
from dualwrite.core.settle import CONDITION_FAILED
from dualwrite.core.shapes import shaped
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.proxy import reads, writes
from dualwrite.proxy.services import Services

EXISTS_MISPLACED = "EXISTS can only be used in ExecuteTransaction write requests."
DUPLICATE = "Duplicate primary key exists in table"
LISTS = {
    "BatchExecuteStatement": ("Statements", "BatchStatementRequest"),
    "ExecuteTransaction": ("TransactStatements", "ParameterizedStatement"),
}
"""Where the operations of several statements hold them, and what each of those is."""


@dataclass(frozen=True, slots=True)
class Said:
    """One statement as the client sent it, with the name and keys of the table that it names."""

    body: Body
    statement: Statement
    name: str
    keys: KeySchema

    @property
    def inserts(self) -> bool:
        return isinstance(self.statement.parsed, Insert)

    def binder(self) -> Binder:
        return bound(self.body.get("Parameters") or (), self.statement.parameters)

    def mutation(self) -> tuple[Verb, Body]:
        """The write that it is, as an action which names its table; raises ValidationError."""
        assert not isinstance(self.statement.parsed, Select), "a SELECT writes nothing"
        verb, body = mutation(self.statement.parsed, self.binder(), self.keys)
        body["TableName"] = self.name
        if "ReturnValuesOnConditionCheckFailure" in self.body and not self.inserts:
            given = self.body["ReturnValuesOnConditionCheckFailure"]
            body["ReturnValuesOnConditionCheckFailure"] = given
        return verb, body

    def key(self) -> Key | None:
        """The key of a SELECT that asks for one whole key and nothing else."""
        assert isinstance(self.statement.parsed, Select), "only a SELECT is asked for its key"
        return single_read(self.statement.parsed, self.binder(), self.keys)


@dataclass(frozen=True, slots=True)
class Asked(Said):
    """One of a managed table."""

    table: MigratedTable
    dialect: Side

    def wish(self, also: Body) -> Wish:
        """The mutation that it is; ``also``: what the request asks of all its statements."""
        verb, body = self.mutation()
        return wish(verb, self.table, self.dialect, {**body, **also})


@dataclass(frozen=True, slots=True)
class Foreign:
    """A statement of a table that is not managed; None: it could not be read, DynamoDB words it."""

    body: Body
    statement: Statement | None


@dataclass(frozen=True, slots=True)
class Faulty:
    """A statement that mentions a managed table and cannot be served."""

    body: Body
    error: ClientError


Member = Asked | Foreign | Faulty


def stated(
    migration: Migration, operation: str, body: Body
) -> dict[str, tuple[MigratedTable, frozenset[Side]]]:
    """Managed tables that a request's statements name, by logical name, with the dialects."""
    found: dict[str, tuple[MigratedTable, frozenset[Side]]] = {}
    for member in members_of(migration, operation, body):
        match member:
            case Asked():
                entries = [(member.table, member.dialect)]
            case Faulty():
                entries = list(_mentioned(migration, member.body["Statement"]))
            case _:
                continue
        for table, dialect in entries:
            _, dialects = found.get(table.name, (table, frozenset[Side]()))
            found[table.name] = (table, dialects | {dialect})
    return found


def mentions(name: str, body: Body) -> bool:
    """Whether a statement is, or may be, about a table."""
    for text in statements_of(body):
        try:
            if short_name(parse_statement(text).table) == name:
                return True
        except ClientError:
            if _mentions(name, text):
                return True
    return False


def members_of(migration: Migration, operation: str, body: Body) -> tuple[Member, ...]:
    """The statements of a request, each with what it is about; raises ClientError for bodies of
    another shape."""
    body = shaped(body, operation)
    if operation == "ExecuteStatement":
        return (_member(migration, body),)
    listed, kind = LISTS[operation]
    return tuple(_member(migration, shaped(part, kind)) for part in body.get(listed) or ())


def _member(migration: Migration, body: Body) -> Member:
    text = body.get("Statement")
    if not isinstance(text, str):
        return Foreign(body, None)
    try:
        statement = parse_statement(text)
        found = managed(migration, short_name(statement.table))
        if found is None:
            return Foreign(body, statement)
        refuse_names(tuple(names_of(statement.parsed)))
    except ClientError as error:
        mentions = next(_mentioned(migration, text), None) is not None
        return Faulty(body, error) if mentions else Foreign(body, None)
    table, dialect = found
    side = table.side(dialect)
    return Asked(body, statement, side.name, side.keys, table, dialect)


def _mentioned(migration: Migration, text: str) -> Iterator[tuple[MigratedTable, Side]]:
    """Managed tables whose names stand in a text that was not understood."""
    return (entry for name, entry in migration.by_physical.items() if _mentions(name, text))


def _mentions(name: str, text: str) -> bool:
    return re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text) is not None


def kinds(members: Iterable[Member]) -> set[bool]:
    """Whether they write, of those that could be read: a request has one kind."""
    return {
        member.statement.writes
        for member in members
        if not isinstance(member, Faulty) and member.statement is not None
    }


def asked_of_all(body: Body) -> Body:
    """What a request asks about each of its statements."""
    name = "ReturnConsumedCapacity"
    return {name: body[name]} if name in body else {}


# -- one statement ---------------------------------------------------------------------------------


async def change(services: Services, asked: Asked, state: TableState, also: Body) -> Body:
    """Carry out one mutation; raises ClientError with PartiQL's own error for a duplicate."""
    try:
        reply = await writes.write(services, asked.wish(also), state)
    except ClientError as error:
        count_write(services, state, error.code)
        if asked.inserts and error.code == CONDITION_FAILED:
            raise ClientError("DuplicateItemException", DUPLICATE) from error
        raise
    count_write(services, state, "applied")
    return reply


def count_write(services: Services, state: TableState, outcome: str) -> None:
    services.metrics.add(metric_names.WRITES, state.table, state.phase.value, outcome)


async def read_one(services: Services, asked: Asked, state: TableState, also: Body) -> Body:
    """GetItem for a SELECT of one key; raises ClientError."""
    key = asked.key()
    if key is None:
        raise ValidationError("Only single item select is supported")
    request: Body = {"TableName": asked.name, "Key": key, **also}
    if "ConsistentRead" in asked.body:
        request["ConsistentRead"] = asked.body["ConsistentRead"]
    return await reads.get(services, asked.table, asked.dialect, state, request)
