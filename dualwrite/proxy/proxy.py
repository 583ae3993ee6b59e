"""The write proxy: which requests concern a managed table, and answers in DynamoDB's form."""

import re
from collections.abc import Mapping
from random import Random
from time import perf_counter
from typing import Any
from zlib import crc32

import orjson
import structlog

from dualwrite.core import metric_names
from dualwrite.core.errors import (
    ClientError,
    DualwriteError,
    LeaseExpired,
    Unreachable,
    ValidationError,
)
from dualwrite.core.phases import Phase, Side, TableState
from dualwrite.core.ports import (
    BigTransactionLog,
    Clock,
    Dynamo,
    Epochs,
    Metrics,
    Parents,
    RepairQueue,
)
from dualwrite.core.requests import (
    SCOPES,
    VERBS,
    Body,
    Scope,
    managed,
    statements_of,
    tables_named,
    unsupported,
    wish,
)
from dualwrite.core.settle import CANCELED, shed_error, unknown_error, unreached_error
from dualwrite.core.spec import MigratedTable, Migration
from dualwrite.core.stamps import WRITER_LENGTH, HybridClock
from dualwrite.proxy import batch_reads, batches, reads, transactions, writes
from dualwrite.proxy.health import Health
from dualwrite.proxy.messages import HttpReply, HttpRequest
from dualwrite.proxy.services import Engine, Services, forward
from dualwrite.proxy.shadow import Shadows

log = structlog.get_logger()

API = "DynamoDB_20120810"
UNMANAGED = "-"
"""The table label of what is passed through."""
SEVERAL = "several"
"""The table label of a request that names more than one managed table."""
REQUESTS_MAX = 512
"""Requests in hand at once; one more is told to come again. At 64 connections to the engine the
last of them waits for eight others, which is a pause; with more it would be a queue."""
CONTENT_TYPE = (b"content-type", b"application/x-amz-json-1.0")
TYPE_PREFIXES = {
    "ValidationException": "com.amazon.coral.validate#",
    "SerializationException": "com.amazon.coral.service#",
    "UnknownOperationException": "com.amazon.coral.service#",
    "InternalServerError": "com.amazonaws.dynamodb.v20120810#",
}
"""Where DynamoDB's error types live; the rest is in its own name space."""
CAPITAL_MESSAGES = frozenset({CANCELED, "IdempotentParameterMismatchException"})
"""Errors whose text DynamoDB puts under "Message"."""
WRITE_SCOPES = frozenset({Scope.WRITE, Scope.BATCH_WRITE, Scope.TRANSACT_WRITE})

Named = Mapping[str, tuple[MigratedTable, frozenset[Side]]]
"""Managed tables of a request, by logical name, with the dialects it names them in."""


class Proxy:
    """One proxy process's request handler."""

    def __init__(
        self,
        engine: Engine,
        migration: Migration,
        epochs: Epochs,
        parents: Parents,
        repairs: RepairQueue,
        clock: Clock,
        metrics: Metrics,
        *,
        process_id: str,
        big_transactions: BigTransactionLog,
        random: Random | None = None,
        follower: Dynamo | None = None,
        health: Health | None = None,
        requests_max: int = REQUESTS_MAX,
    ) -> None:
        """``follower`` is what followers are written through, where that is not ``engine``;
        ``requests_max`` bounds the requests in hand at once."""
        self._random = random or Random()
        self.requests_max = requests_max
        self._in_hand = 0
        self.health = health or Health(clock, metrics, self._random)
        writer = f"{crc32(process_id.encode()):08x}"[:WRITER_LENGTH]
        self._services = Services(
            engine, migration, epochs, parents, repairs, big_transactions, clock, metrics,
            HybridClock(writer, clock.wall_ms), self._random,
            self.health, follower or engine,
        )  # fmt: skip
        self._shadows = Shadows(self._services)
        self._needles = tuple(name.encode() for name in migration.by_physical)

    async def handle(self, request: HttpRequest) -> HttpReply:
        """Answer one request; never raises."""
        if request.method != b"POST":
            return _healthy(request)
        if self._in_hand >= self.requests_max:
            return self._shed()
        self._in_hand += 1
        started = perf_counter()
        target = _target_of(request)
        operation = target.rpartition(".")[2]
        request_id = f"{self._random.getrandbits(208):052X}"
        table = UNMANAGED
        try:
            named: Named = {}
            if self._concerns(target, operation, request.body):
                body = _parsed(request.body)
                named = self._tables(operation, body)
            if not named:
                reply = await forward(self._services, request.headers, target, request.body)
                return HttpReply(reply.status, reply.headers, reply.body)
            table = next(iter(named)) if len(named) == 1 else SEVERAL
            answer = _json(200, orjson.dumps(await self._serve(operation, body, named)), request_id)
            status = "ok"
        except Exception as error:
            heard = _heard(error)
            if heard.status >= 500:
                log.warning("request failed", operation=operation, table=table,
                            request_id=request_id, error=str(error),
                            exc_info=not isinstance(error, DualwriteError))  # fmt: skip
            answer, status = _error(heard, request_id), heard.code
        finally:
            self._in_hand -= 1
        self._count(table, operation, status, started)
        return answer

    def _shed(self) -> HttpReply:
        """Refuse a request before it is looked at: those in hand would only get slower by it."""
        self._services.metrics.add(metric_names.SHED)
        return _error(shed_error(), f"{self._random.getrandbits(208):052X}")

    def _concerns(self, target: str, operation: str, body: bytes) -> bool:
        """Whether a request could touch a managed table; a quick look at the bytes. JSON escapes
        could hide a name, so a body that has any is parsed."""
        if not target.startswith(API) or operation not in SCOPES:
            return False
        for needle in self._needles:
            if needle in body:
                return True
        return b"\\u" in body

    def _tables(self, operation: str, body: Body) -> Named:
        """Managed tables in a request and the dialects it names them in; raises ClientError."""
        migration = self._services.migration
        scope = SCOPES[operation]
        if scope is Scope.STATEMENT:
            for text in statements_of(body):
                for name, (table, _) in migration.by_physical.items():
                    if re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w-])", text):
                        raise unsupported(table, "PartiQL")
            return {}
        found: dict[str, tuple[MigratedTable, frozenset[Side]]] = {}
        for name in tables_named(operation, body):
            entry = managed(migration, name)
            if entry is not None:
                table, dialect = entry
                _, dialects = found.get(table.name, (table, frozenset[Side]()))
                found[table.name] = (table, dialects | {dialect})
        if found and scope is Scope.REFUSED:
            raise unsupported(next(iter(found.values()))[0], operation)
        return found

    async def _serve(self, operation: str, body: Body, tables: Named) -> Body:
        """Serve under the states of all tables involved, each entered for the whole request."""
        epochs = self._services.epochs
        states: dict[str, TableState] = {}
        try:
            for table, dialects in tables.values():
                state = epochs.enter(table.name)
                states[table.name] = state
                if state.phase is Phase.OFF and Side.NEW in dialects and table.swapped:
                    raise ValidationError(
                        f"table {table.new.name} is not live: its migration has not begun"
                    )
            reply = await self._dispatch(operation, body, tables, states)
        except ClientError as error:
            self._count_writes(operation, states, error.code)
            raise
        finally:
            for state in states.values():
                epochs.leave(state)
        self._count_writes(operation, states, "applied")
        return reply

    async def _dispatch(
        self,
        operation: str,
        body: Body,
        tables: Named,
        states: Mapping[str, TableState],
    ) -> Body:
        services = self._services
        match SCOPES[operation]:
            case Scope.BATCH_WRITE:
                return await batches.write(services, body, states)
            case Scope.BATCH_GET:
                return await batch_reads.batch_get(services, body, states)
            case Scope.TRANSACT_WRITE:
                return await transactions.write(services, body, states)
            case Scope.TRANSACT_GET:
                return await batch_reads.transact_get(services, body, states)
        [(table, dialects)] = tables.values()
        [dialect] = dialects
        state = states[table.name]
        if operation in VERBS:
            return await writes.write(services, wish(VERBS[operation], table, dialect, body), state)
        if operation == "GetItem":
            reply = await reads.get(services, table, dialect, state, body)
            self._shadows.consider(table, dialect, state, body)
            return reply
        return await reads.search(services, table, dialect, state, operation, body)

    def _count_writes(self, operation: str, states: Mapping[str, TableState], outcome: str) -> None:
        if SCOPES[operation] in WRITE_SCOPES:
            for name, state in states.items():
                self._services.metrics.add(metric_names.WRITES, name, state.phase.value, outcome)

    def _count(self, table: str, operation: str, status: str, started: float) -> None:
        metrics = self._services.metrics
        metrics.add(metric_names.REQUESTS, table, operation, status)
        metrics.observe(
            metric_names.CLIENT_SECONDS, table, operation, value=perf_counter() - started
        )


def _heard(error: Exception) -> ClientError:
    """The error a client hears for whatever went wrong; an unknown outcome stays unknown."""
    match error:
        case ClientError():
            return error
        case LeaseExpired():
            return ClientError("ServiceUnavailable", f"{error}; nothing was written", status=503)
        case Unreachable():
            return unreached_error(error)
    return unknown_error()


def _target_of(request: HttpRequest) -> str:
    for name, value in request.headers:
        if name == b"x-amz-target":
            return value.decode("latin-1")
    return ""


def _parsed(body: bytes) -> Body:
    try:
        parsed: Any = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ClientError("SerializationException", "Start of structure or map found where not "
                          "expected") from error  # fmt: skip
    if not isinstance(parsed, dict):
        raise ClientError("SerializationException", "Unexpected token: a JSON object is expected")
    return parsed


def _json(status: int, body: bytes, request_id: str) -> HttpReply:
    headers = (
        CONTENT_TYPE,
        (b"x-amzn-requestid", request_id.encode()),
        (b"x-amz-crc32", b"%d" % crc32(body)),
    )
    return HttpReply(status, headers, body)


def _error(error: ClientError, request_id: str) -> HttpReply:
    prefix = TYPE_PREFIXES.get(error.code, "com.amazonaws.dynamodb.v20120810#")
    name = "Message" if error.code in CAPITAL_MESSAGES else "message"
    body = {"__type": prefix + error.code, name: error.message, **error.fields}
    return _json(error.status, orjson.dumps(body), request_id)


def _healthy(request: HttpRequest) -> HttpReply:
    """GET and HEAD: DynamoDB answers load balancers with one healthy line."""
    body = b"" if request.method == b"HEAD" else b"healthy: dynamodb.dualwrite"
    return HttpReply(200, ((b"content-type", b"text/plain"),), body)
