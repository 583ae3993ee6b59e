"""Two engines behind one port: each call goes to the one that has its table.

The old side's engine is home: it has the control table and all tables of nobody's migration too.
A batch that names tables of both is sent as two; a transaction cannot be.
"""

import asyncio
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import orjson

from dualwrite.adapters.connection import Reply
from dualwrite.adapters.wire import WireClient
from dualwrite.core.errors import Refused, Unreachable

THERE = "there|"
"""Before a shard iterator that the other engine gave: nothing else in GetRecords tells."""
WRITES = "BatchWriteItem"
UNPROCESSED = "UnprocessedItems"
LISTED = ("ConsumedCapacity",)
MAPPED = (UNPROCESSED, "UnprocessedKeys", "Responses", "ItemCollectionMetrics")
NAMED_BY = ("TableName", "TargetTableName", "StreamArn", "ResourceArn", "TableArn")

Request = Mapping[str, Any]


class Routes:
    """A ``Dynamo`` of two; ``names`` are the tables that are ``there``, the rest is ``home``."""

    def __init__(self, home: WireClient, there: WireClient, names: frozenset[str]) -> None:
        self._home = home
        self._there = there
        self._names = names
        some = "|".join(re.escape(name) for name in sorted(names))
        self._pattern = re.compile(rf"(?<![\w.-])(?:{some})(?![\w-])")
        self._needles = tuple(name.encode() for name in names)

    async def call(self, operation: str, request: Request) -> dict[str, Any]:
        """Send one operation. Raises as ``WireClient.call`` does, and Refused for a transaction
        over both engines."""
        if "RequestItems" in request:
            return await self._batch(operation, request)
        if "TransactItems" in request:
            actions = request["TransactItems"]
            parts = [self._of(part) for action in actions for part in action.values()]
            return await self._only(set(parts), operation, request)
        if texts := list(statements(request)):
            return await self._only({self._named_in(text) for text in texts}, operation, request)
        if "ShardIterator" in request:
            return await self._records(operation, request)
        client = self._of(request)
        answer = await client.call(operation, request)
        if operation == "GetShardIterator" and client is self._there:
            answer["ShardIterator"] = THERE + answer["ShardIterator"]
        return answer

    async def forward(
        self, headers: tuple[tuple[bytes, bytes], ...], target: str, body: bytes
    ) -> Reply:
        """Pass a client's request on to the engine that has the table it names."""
        client = self._home
        if any(needle in body for needle in self._needles):
            with suppress(orjson.JSONDecodeError, AttributeError):  # home words the refusal
                client = self._of(orjson.loads(body))
        return await client.forward(headers, target, body)

    # -- one table ------------------------------------------------------------------------------

    def _of(self, request: Request) -> WireClient:
        for member in NAMED_BY:
            name = request.get(member)
            if isinstance(name, str):
                return self._there if table_of(name) in self._names else self._home
        return self._home

    def _named_in(self, statement: str) -> WireClient:
        return self._there if self._pattern.search(statement) else self._home

    async def _records(self, operation: str, request: Request) -> dict[str, Any]:
        iterator = request["ShardIterator"]
        if not iterator.startswith(THERE):
            return await self._home.call(operation, request)
        own = {**request, "ShardIterator": iterator.removeprefix(THERE)}
        answer = await self._there.call(operation, own)
        if answer.get("NextShardIterator"):
            answer["NextShardIterator"] = THERE + answer["NextShardIterator"]
        return answer

    # -- several tables -------------------------------------------------------------------------

    async def _only(
        self, clients: set[WireClient], operation: str, request: Request
    ) -> dict[str, Any]:
        """What is one whole goes to one engine."""
        if len(clients) > 1:
            raise Refused(
                "ValidationException",
                "The two sides of this migration are in different accounts, Regions or endpoints, "
                "and this request names tables of both; nothing was written",
                400,
                {},
            )
        [client] = clients or {self._home}
        return await client.call(operation, request)

    async def _batch(self, operation: str, request: Request) -> dict[str, Any]:
        items = request["RequestItems"]
        there = {name: part for name, part in items.items() if table_of(name) in self._names}
        home = {name: part for name, part in items.items() if name not in there}
        if not there:
            return await self._home.call(operation, request)
        if not home:
            return await self._there.call(operation, request)
        halves = (
            (self._home, {**request, "RequestItems": home}),
            (self._there, {**request, "RequestItems": there}),
        )
        if operation == WRITES:
            return await self._write_both(halves)
        answers = await asyncio.gather(*(client.call(operation, half) for client, half in halves))
        return merged(answers)

    async def _write_both(self, halves: tuple[tuple[WireClient, Request], ...]) -> dict[str, Any]:
        """One half after the other. A half that was surely not written, after another was, comes
        back as unprocessed: sent again alone it hears its own error. What may have been written
        makes the whole unknown."""
        answers: list[dict[str, Any]] = []
        for client, half in halves:
            try:
                answers.append(await client.call(WRITES, half))
            except (Refused, Unreachable):
                if not answers:
                    raise
                answers.append({UNPROCESSED: half["RequestItems"]})
        return merged(answers)


def merged(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """One answer of several; they are about different tables."""
    whole: dict[str, Any] = {}
    for answer in answers:
        for member, value in answer.items():
            if member in LISTED:
                whole.setdefault(member, []).extend(value)
            elif member in MAPPED:
                whole.setdefault(member, {}).update(value)
            else:
                whole[member] = value
    return whole


def table_of(name: str) -> str:
    """A table's name, where it may be given as its ARN, or as that of its stream or index."""
    return name.partition(":table/")[2].partition("/")[0] if name.startswith("arn:") else name


def statements(request: Request) -> Iterator[str]:
    """The PartiQL texts of a request."""
    if isinstance(request.get("Statement"), str):
        yield request["Statement"]
    for member in ("Statements", "TransactStatements"):
        for part in request.get(member) or ():
            yield str(part.get("Statement", ""))
