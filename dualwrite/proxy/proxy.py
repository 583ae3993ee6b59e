"""Which requests concern a managed table, and what they are answered, in DynamoDB's form."""

from collections.abc import Mapping
from random import Random
from time import perf_counter
from typing import Any
from zlib import crc32

import orjson
import structlog

from dualwrite.core import metric_names
from dualwrite.core.doubled import may_hide, refuse_doubled
from dualwrite.core.errors import (
    ClientError,
    DualwriteError,
    LeaseExpired,
    Unreachable,
    ValidationError,
)
from dualwrite.core.naming import NAMING_MEMBERS
from dualwrite.core.operations import operation_of
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
from dualwrite.core.requests import Body
from dualwrite.core.settle import shed_error, unknown_error, unreached_error
from dualwrite.core.sharing import from_leader
from dualwrite.core.spec import Migration
from dualwrite.core.stamps import WRITER_LENGTH, HybridClock
from dualwrite.proxy.answers import error_reply, new_request_id, success
from dualwrite.proxy.dispatch import PASSED, Call, Route, routes
from dualwrite.proxy.health import Health
from dualwrite.proxy.messages import Answer, HttpRequest
from dualwrite.proxy.passing import pass_on
from dualwrite.proxy.services import Engine, Services
from dualwrite.proxy.shadow import Shadows
from dualwrite.proxy.wording import Worded, worded

log = structlog.get_logger()

NAMING = (*NAMING_MEMBERS, "RequestItems", "TransactItems")
"""Members by which a request names tables."""
UNMANAGED = "-"
"""The table label of what is passed through."""
SEVERAL = "several"
"""The table label of a request that names more than one managed table."""
REQUESTS_MAX = 512
"""Requests in hand at once; one more is told to come again. At 64 connections to the engine the
last of them waits for eight others, which is a pause; with more it would be a queue."""


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
            engine=engine,
            migration=migration,
            epochs=epochs,
            parents=parents,
            repairs=repairs,
            big_transactions=big_transactions,
            clock=clock,
            metrics=metrics,
            stamps=HybridClock(writer, clock.wall_ms),
            random=self._random,
            health=self.health,
            follower=follower or engine,
        )
        self._routes = routes(Shadows(self._services))
        known = {*migration.by_physical, migration.control_table}
        self._needles = tuple(
            name.encode() for name in known if not any(other in name for other in known - {name})
        )
        """The known tables' names, but for those in which another one is found anyway."""

    async def handle(self, request: HttpRequest) -> Answer:
        """Answer one request; never raises."""
        if self._in_hand >= self.requests_max:
            return self._shed()
        self._in_hand += 1
        started = perf_counter()
        target = _target_of(request)
        operation = operation_of(target)
        table = UNMANAGED
        try:
            route = self._route(operation, request.content)
            if route is None or operation is None:
                return await pass_on(self._services, request, target)
            body = _parsed(request.content)
            tables = route.names(self._services.migration, operation, body)
            if tables:
                table = next(iter(tables)) if len(tables) == 1 else SEVERAL
            elif not route.always:
                refuse_doubled(request.content, NAMING)
                return await pass_on(self._services, request, target)
            answer = await self._serve(route, Call(operation, body, request, target, tables))
            if isinstance(answer, dict):
                answer = success(
                    orjson.dumps(answer), new_request_id(self._random), request.headers
                )
            status = "ok"
        except Exception as error:
            heard, request_id = _heard(error), new_request_id(self._random)
            if heard.status >= 500:
                log.warning("request failed", operation=operation, table=table,
                            request_id=request_id, error=str(error),
                            exc_info=not isinstance(error, DualwriteError))  # fmt: skip
            told = heard.reply if isinstance(heard, Worded) else error_reply(heard, request_id)
            answer, status = told, heard.code
        finally:
            self._in_hand -= 1
        self._count(table, operation or "", status, started)
        return answer

    def _shed(self) -> Answer:
        """Refuse a request before it is looked at: those in hand would only get slower by it."""
        self._services.metrics.add(metric_names.SHED)
        return error_reply(shed_error(), new_request_id(self._random))

    def _route(self, operation: str | None, body: bytes) -> Route | None:
        """How a request is served that may concern the service, None for one that passes: a quick
        look at the bytes. JSON escapes could hide a name, so a body that has any is parsed. A
        target that is not understood here could write past us: raises ClientError."""
        if operation is None:
            if may_hide(body) or any(needle in body for needle in self._needles):
                raise ClientError("UnknownOperationException", "")
            return None
        route = self._routes.get(operation, PASSED)
        if route.always:
            return route
        for needle in self._needles:
            if needle in body:
                return route
        return route if may_hide(body) else None

    async def _serve(self, route: Route, call: Call) -> Body | Answer:
        """Serve under the states of all tables involved, each entered for the whole request."""
        epochs = self._services.epochs
        states = call.states
        try:
            for table, dialects in call.tables.values():
                state = epochs.enter(table.name)
                if table.name in self.health.left_out:
                    state = from_leader(state)
                states[table.name] = state
                if (
                    route.live
                    and state.phase is Phase.OFF
                    and Side.NEW in dialects
                    and table.swapped
                ):
                    raise ValidationError(
                        f"table {table.new.name} is not live: its migration has not begun"
                    )
            reply = await route.serve(self._services, call)
            if route.live:
                await self._services.confirm(states.values())
        except ClientError as error:
            self._count_writes(route, states, error.code)
            raise await worded(self._services, call, error) from None
        finally:
            for state in states.values():
                epochs.leave(state)
        self._count_writes(route, states, "applied")
        return reply

    def _count_writes(self, route: Route, states: Mapping[str, TableState], outcome: str) -> None:
        if route.writes:
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
