"""The ``Records`` port on one DynamoDB table: versioned JSON values under compare-and-set.

An item is ``{pk: kind, sk: name, version: N, value: S, write: S}``. ``write`` is a random id of the
write that stored it: whoever does not hear the answer sends the very same conditional write again,
and the id tells whether it was his own that stands. Sending again rather than only looking is
what makes the lost one harmless: it may still be on its way, and fails once the version moved.
"""

import secrets
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any

import orjson

from dualwrite.adapters.clock import SystemClock
from dualwrite.core.client_tokens import EXPIRES
from dualwrite.core.errors import (
    THROTTLED,
    EngineError,
    OutcomeUnknown,
    Refused,
    SpecError,
    StateConflict,
)
from dualwrite.core.ports import Clock, Dynamo, Page, Record
from dualwrite.core.settle import condition_failed

SENDS_MAX = 4
"""Sends of one write whose outcome stays unknown, before the caller is told so."""
RACES_MAX = 32
"""Tries of a write over "whatever is there" while others keep changing it."""
CREATE_SECONDS_MAX = 60.0
PAGE_RECORDS = 200
"""Of one ``page``: so few that what their reader makes of them holds up nobody for long."""
ASKS_MAX = 4
"""Of one part of a list while the engine has no capacity, lest the other parts be for nothing."""
ASK_AGAIN_SECONDS = 0.05
"""Doubled with each further time."""

_KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]


class ControlTable:
    """The control table of one migration.

    A version never comes back: that of a new record is random, so one that was deleted and
    created anew cannot be taken for its predecessor. Transient refusals surface as EngineError,
    those of a list after a few tries.
    """

    def __init__(
        self,
        dynamo: Dynamo,
        table_name: str,
        *,
        clock: Clock | None = None,
        new_id: Callable[[], str] = lambda: secrets.token_hex(8),
    ) -> None:
        self._dynamo = dynamo
        self._table = table_name
        self._clock = clock or SystemClock()
        self._new_id = new_id

    async def create(self) -> None:
        """Create the table unless it exists, and wait until it is ACTIVE; safe to repeat.

        Raises SpecError where a table of that name has other keys, EngineError in time-outs.
        """
        deadline = self._clock.monotonic_seconds() + CREATE_SECONDS_MAX
        while True:
            described = await self._describe()
            if described is None:
                await self._create()
            elif sorted(described["KeySchema"], key=lambda key: key["KeyType"]) != _KEYS:
                raise SpecError(
                    f"table {self._table} exists and is no control table: its keys are not "
                    "pk and sk; choose another control_table in the spec"
                )
            elif described.get("TableStatus", "ACTIVE") == "ACTIVE":
                return await self._let_expire()
            if self._clock.monotonic_seconds() > deadline:
                raise EngineError(
                    f"table {self._table} was not ACTIVE within {CREATE_SECONDS_MAX:.0f} s"
                )
            await self._clock.sleep(0.1)

    async def read(self, kind: str, name: str) -> Record | None:
        answer = await self._dynamo.call(
            "GetItem",
            {"TableName": self._table, "Key": _key(kind, name), "ConsistentRead": True},
        )
        item = answer.get("Item")
        return None if item is None else _record(item)

    async def list(self, kind: str, prefix: str = "") -> tuple[Record, ...]:
        request = self._query(kind, prefix)
        records: list[Record] = []
        while True:
            page = await self._ask(request)
            records += page.entries
            if not page.next:
                return tuple(records)
            request["ExclusiveStartKey"] = _key(kind, page.next)

    async def page(self, kind: str, prefix: str = "", after: str = "") -> Page[Record]:
        request = self._query(kind, prefix) | {"Limit": PAGE_RECORDS}
        if after:
            request["ExclusiveStartKey"] = _key(kind, after)
        return await self._ask(request)

    def _query(self, kind: str, prefix: str) -> dict[str, Any]:
        request: dict[str, Any] = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "pk = :kind",
            "ExpressionAttributeValues": {":kind": {"S": kind}},
        }
        if prefix:
            request["KeyConditionExpression"] += " AND begins_with(sk, :prefix)"
            request["ExpressionAttributeValues"][":prefix"] = {"S": prefix}
        return request

    async def _ask(self, request: Mapping[str, Any]) -> Page[Record]:
        for ask in count(1):
            try:
                answer = await self._dynamo.call("Query", request)
                break
            except Refused as error:
                if error.code not in THROTTLED or ask == ASKS_MAX:
                    raise
                await self._clock.sleep(ASK_AGAIN_SECONDS * 2 ** (ask - 1))
        last = answer.get("LastEvaluatedKey")
        records = tuple(_record(item) for item in answer.get("Items", ()))
        return Page(records, last["sk"]["S"] if last else "")

    async def write(
        self, kind: str, name: str, value: Mapping[str, Any], *, expected: int | None
    ) -> Record:
        if expected is not None:
            return await self._compare_and_set(kind, name, value, expected)
        for _ in range(RACES_MAX):
            held = await self.read(kind, name)
            try:
                return await self._compare_and_set(kind, name, value, held.version if held else 0)
            except StateConflict:
                continue
        raise StateConflict(f"{kind} {name} was changed by others {RACES_MAX} times in a row")

    async def delete(self, kind: str, name: str, *, expected: int | None) -> None:
        if expected is not None:
            await self._compare_and_delete(kind, name, expected)
            return
        for _ in range(RACES_MAX):
            held = await self.read(kind, name)
            if held is None:
                return
            try:
                await self._compare_and_delete(kind, name, held.version)
            except StateConflict:
                continue
            return
        raise StateConflict(f"{kind} {name} was changed by others {RACES_MAX} times in a row")

    async def _compare_and_set(
        self, kind: str, name: str, value: Mapping[str, Any], expected: int
    ) -> Record:
        write_id = self._new_id()
        # 40 random bits, so that versions of a record's successive lives do not meet.
        version = expected + 1 if expected else int(self._new_id()[:10], 16) + 1
        item = {
            **_key(kind, name),
            "version": {"N": str(version)},
            "value": {"S": orjson.dumps(value).decode()},
            "write": {"S": write_id},
        }
        request = {"TableName": self._table, "Item": item, **_guard(expected)}
        refused, sends = await self._send("PutItem", request)
        if refused is None:
            return Record(kind, name, version, dict(value))
        held = refused.fields.get("Item")
        if held is not None and held["write"]["S"] == write_id:
            return Record(kind, name, version, dict(value))
        if sends > 1 and _may_have_been_ours(held, expected):
            raise OutcomeUnknown(f"whether {kind} {name} was written is unknown: it changed since")
        raise StateConflict(f"{kind} {name} is not at version {expected}: somebody else changed it")

    async def _compare_and_delete(self, kind: str, name: str, expected: int) -> None:
        request = {"TableName": self._table, "Key": _key(kind, name), **_guard(expected)}
        refused, _ = await self._send("DeleteItem", request)
        # Gone is gone, whoever did it; and a lost delete of ours leaves it gone as well.
        if refused is not None and refused.fields.get("Item") is not None:
            raise StateConflict(
                f"{kind} {name} is not at version {expected}: somebody else changed it"
            )

    async def _send(self, operation: str, request: dict[str, Any]) -> tuple[Refused | None, int]:
        """Send a conditional write until its outcome is known: applied (None) or the condition's
        refusal; and how often it was sent."""
        unknown: OutcomeUnknown | None = None
        for sends in range(1, SENDS_MAX + 1):
            try:
                await self._dynamo.call(operation, request)
                return None, sends
            except OutcomeUnknown as error:
                unknown = error
            except Refused as error:
                if condition_failed(error):
                    return error, sends
                if unknown is None:
                    raise
            except EngineError:
                if unknown is None:
                    raise
        assert unknown is not None
        raise unknown

    async def _describe(self) -> dict[str, Any] | None:
        try:
            answer = await self._dynamo.call("DescribeTable", {"TableName": self._table})
        except Refused as error:
            if error.code == "ResourceNotFoundException":
                return None
            raise
        described: dict[str, Any] = answer["Table"]
        return described

    async def _create(self) -> None:
        request = {
            "TableName": self._table,
            "KeySchema": _KEYS,
            "AttributeDefinitions": [
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "S"},
            ],
            "BillingMode": "PAY_PER_REQUEST",
        }
        try:
            await self._dynamo.call("CreateTable", request)
        except OutcomeUnknown:
            return  # the next DescribeTable tells
        except Refused as error:
            if error.code != "ResourceInUseException":
                raise

    async def _let_expire(self) -> None:
        """Let DynamoDB delete the records of clients' tokens once they are over."""
        wanted = {"AttributeName": EXPIRES, "Enabled": True}
        request = {"TableName": self._table, "TimeToLiveSpecification": wanted}
        try:
            await self._dynamo.call("UpdateTimeToLive", request)
        except OutcomeUnknown:
            return  # they are forgotten in time all the same; only their room is not freed
        except Refused as error:
            if error.code != "ValidationException":  # that says: it is on already
                raise


def _key(kind: str, name: str) -> dict[str, Any]:
    return {"pk": {"S": kind}, "sk": {"S": name}}


def _guard(expected: int) -> dict[str, Any]:
    guard: dict[str, Any] = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    if expected == 0:
        return guard | {"ConditionExpression": "attribute_not_exists(pk)"}
    return guard | {
        "ConditionExpression": "#version = :expected",
        "ExpressionAttributeNames": {"#version": "version"},
        "ExpressionAttributeValues": {":expected": {"N": str(expected)}},
    }


def _may_have_been_ours(held: Mapping[str, Any] | None, expected: int) -> bool:
    """Whether a write of ours may have stood before what stands now.

    The successor of ``expected`` is there and is not ours: then ours never was and never will be.
    """
    return held is None or expected == 0 or int(held["version"]["N"]) != expected + 1


def _record(item: Mapping[str, Any]) -> Record:
    return Record(
        item["pk"]["S"],
        item["sk"]["S"],
        int(item["version"]["N"]),
        orjson.loads(item["value"]["S"]),
    )
