"""The operations. ``execute`` carries one out at once; ``call`` is the ``Dynamo`` port."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import orjson

from dualwrite.core.errors import Refused
from dualwrite.core.items import Item, Key, KeyAttribute, KeySchema
from tests.simulation.engine import reads
from tests.simulation.engine.errors import CONDITION_FAILED, invalid, missing_table, refused
from tests.simulation.engine.streams import Stream
from tests.simulation.engine.tables import Table
from tests.simulation.engine.writes import Planned, check_key, planned, returned

VERBS = {"PutItem": "Put", "UpdateItem": "Update", "DeleteItem": "Delete"}
BATCH_WRITES_MAX = 25
BATCH_READS_MAX = 100
ACTIONS_MAX = 100
TOKEN_SECONDS = 600.0
TTL_IDENTITY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}


@dataclass(frozen=True, slots=True)
class Commit:
    """One change of one item, as those hear of it who watch the engine."""

    table: str
    key: Key
    before: Item | None
    after: Item | None
    actor: str
    at: float


@dataclass
class Whims:
    """What an engine may do and mostly does not."""

    seconds_old: Callable[[], float] = lambda: 0.0
    """How old an eventually consistent read is."""
    leave: Callable[[], bool] = lambda: False
    """Whether a member of a batch is left unprocessed."""


@dataclass
class FakeDynamo:
    """All tables of one account and Region. ``now`` gives seconds since 1970 on its own clock."""

    now: Callable[[], float] = time.time
    random: Random = field(default_factory=lambda: Random(0))
    whims: Whims = field(default_factory=Whims)

    def __post_init__(self) -> None:
        self.tables: dict[str, Table] = {}
        self.streams: dict[str, Stream] = {}
        """By table name."""
        self.watchers: list[Callable[[Commit], None]] = []
        self.actor = ""
        """Whose request is being carried out; and the request."""
        self.request: Mapping[str, Any] = {}
        self.identity: dict[str, str] | None = None
        self._tokens: dict[str, tuple[float, bytes, dict[str, Any]]] = {}
        self._arns = 0
        self.events = 0
        """Changes so far, of tables that have a stream."""

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return self.execute(operation, request)

    def execute(
        self, operation: str, request: Mapping[str, Any], actor: str = ""
    ) -> dict[str, Any]:
        """Carry an operation out at once. Raises Refused. Nothing is shared with the answer."""
        self.actor, self.request = actor, request
        handler = getattr(self, f"_{operation}", None)
        if handler is None:
            raise refused("UnknownOperationException", f"{operation} is not known")
        answer: dict[str, Any] = handler(request)
        return answer

    def expire(self, table: str, key: Key) -> None:
        """Remove an item as DynamoDB's time to live does."""
        self.actor, self.identity = "ttl", TTL_IDENTITY
        try:
            self.tables[table].put(key, None)
        finally:
            self.identity = None

    # -- tables -------------------------------------------------------------------------------

    def _CreateTable(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802 (AWS's name)
        name = request["TableName"]
        if name in self.tables:
            raise refused("ResourceInUseException", "Cannot create preexisting table")
        types = {a["AttributeName"]: a["AttributeType"] for a in request["AttributeDefinitions"]}
        keys = {key["KeyType"]: key["AttributeName"] for key in request["KeySchema"]}
        attributes = [KeyAttribute(keys[kind], types[keys[kind]]) for kind in keys]
        self.tables[name] = Table(name, KeySchema(*attributes), self.now, self._changed)
        if request.get("StreamSpecification", {}).get("StreamEnabled"):
            self._arns += 1
            arn = f"arn:aws:dynamodb:us-east-1:000000000000:table/{name}/stream/{self._arns}"
            self.streams[name] = Stream(arn, self.now, self.random)
        return {"TableDescription": self._described(name)}

    def _DescribeTable(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._table(request)
        return {"Table": self._described(request["TableName"])}

    def _DeleteTable(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        self._table(request)
        name = request["TableName"]
        described = self._described(name)
        del self.tables[name]
        self.streams.pop(name, None)
        return {"TableDescription": described}

    def _described(self, name: str) -> dict[str, Any]:
        table = self.tables[name]
        kinds = ("HASH", "RANGE")
        schema = [
            {"AttributeName": attribute, "KeyType": kind}
            for attribute, kind in zip(table.keys.names, kinds, strict=False)
        ]
        found: dict[str, Any] = {
            "TableName": name, "TableStatus": "ACTIVE", "KeySchema": schema,
            "ItemCount": len(table),
        }  # fmt: skip
        if name in self.streams:
            found["StreamSpecification"] = {
                "StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES",
            }  # fmt: skip
            found["LatestStreamArn"] = self.streams[name].arn
        return found

    def _table(self, request: Mapping[str, Any]) -> Table:
        table = self.tables.get(request["TableName"])
        if table is None:
            raise missing_table()
        return table

    def _changed(self, table: Table, key: Key, before: Item | None, after: Item | None) -> None:
        now = self.now()
        stream = self.streams.get(table.name)
        if stream is not None:
            self.events += 1
            kind = "INSERT" if before is None else "REMOVE" if after is None else "MODIFY"
            # AWS rounds the time of creation down to a whole second.
            data: dict[str, Any] = {"ApproximateCreationDateTime": float(int(now)), "Keys": key}
            data |= {"OldImage": before} if before is not None else {}
            data |= {"NewImage": after} if after is not None else {}
            record = {"eventID": f"{self.events:032x}", "eventName": kind, "dynamodb": data}
            if self.identity is not None:
                record["userIdentity"] = self.identity
            stream.append(table.place(key), record)
        for watcher in self.watchers:
            watcher(Commit(table.name, key, before, after, self.actor, now))

    # -- single items -------------------------------------------------------------------------

    def _write(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        plan = planned(self._table(request), VERBS[operation], request)
        plan.commit()
        return returned(plan, request.get("ReturnValues", "NONE")) | _units(request)

    def _PutItem(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._write("PutItem", request)

    def _UpdateItem(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._write("UpdateItem", request)

    def _DeleteItem(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._write("DeleteItem", request)

    def _GetItem(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        table = self._table(request)
        check_key(request["Key"], table.keys)
        item = table.get(request["Key"], self._seconds_ago(request))
        found = {} if item is None else {"Item": reads.projected(request, item)}
        return found | _units(request)

    def _Query(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return reads.query(self._table(request), request, self._seconds_ago(request))

    def _Scan(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return reads.scan(self._table(request), request, self._seconds_ago(request))

    def _seconds_ago(self, request: Mapping[str, Any]) -> float:
        return 0.0 if request.get("ConsistentRead") else self.whims.seconds_old()

    # -- batches ------------------------------------------------------------------------------

    def _BatchWriteItem(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        plans: list[tuple[str, Any, Planned]] = []
        seen = set()
        for name, members in request["RequestItems"].items():
            table = self._table({"TableName": name})
            for member in members:
                [(kind, action)] = member.items()
                plan = planned(table, "Put" if kind == "PutRequest" else "Delete", action)
                seen.add((name, table.place(plan.key)))
                plans.append((name, member, plan))
        if not 1 <= len(plans) <= BATCH_WRITES_MAX:
            raise invalid("Too many items requested for the BatchWriteItem call")
        if len(seen) < len(plans):
            raise invalid("Provided list of item keys contains duplicates")
        left: dict[str, list[Any]] = {}
        for name, member, plan in plans:
            if self.whims.leave():
                left.setdefault(name, []).append(member)
            else:
                plan.commit()
        return {"UnprocessedItems": left}

    def _BatchGetItem(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        found: dict[str, list[Item]] = {}
        left: dict[str, Any] = {}
        count = 0
        for name, asked in request["RequestItems"].items():
            table, unread = self._table({"TableName": name}), []
            old = self._seconds_ago(asked)
            places = set()
            found[name] = []
            for key in asked["Keys"]:
                check_key(key, table.keys)
                places.add(table.place(key))
                count += 1
                item = table.get(key, old)
                if self.whims.leave():
                    unread.append(key)
                elif item is not None:
                    found[name].append(reads.projected(asked, item))
            if len(places) < len(asked["Keys"]):
                raise invalid("Provided list of item keys contains duplicates")
            if unread:
                left[name] = {**asked, "Keys": unread}
        if count > BATCH_READS_MAX:
            raise invalid("Too many items requested for the BatchGetItem call")
        return {"Responses": found, "UnprocessedKeys": left}

    # -- transactions -------------------------------------------------------------------------

    def _TransactWriteItems(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        token = request.get("ClientRequestToken")
        body = orjson.dumps(request["TransactItems"], option=orjson.OPT_SORT_KEYS)
        known = self._tokens.get(token) if token else None
        if known is not None and known[0] > self.now():
            if known[1] != body:
                raise refused("IdempotentParameterMismatchException", "")
            return known[2]
        actions = [next(iter(member.items())) for member in request["TransactItems"]]
        if not 1 <= len(actions) <= ACTIONS_MAX:
            raise invalid("Member must have length less than or equal to 100")
        answer = self._transacted(actions)
        if token:
            self._tokens[token] = (self.now() + TOKEN_SECONDS, body, answer)
        return answer

    def _transacted(self, actions: list[tuple[str, Any]]) -> dict[str, Any]:
        plans: list[Planned] = []
        reasons: list[dict[str, Any]] = []
        places = set()
        for verb, action in actions:
            table = self._table(action)
            key = action["Key"] if verb != "Put" else action["Item"]
            if set(table.keys.names) <= key.keys():
                places.add((table.name, table.place(key)))
            try:
                plans.append(planned(table, verb, action))
                reasons.append({"Code": "None"})
            except Refused as error:
                reasons.append(_reason(error))
        if len(places) < len(actions):
            raise invalid("Transaction request cannot include multiple operations on one item")
        codes = [reason["Code"] for reason in reasons]
        if set(codes) != {"None"}:
            raise refused(
                "TransactionCanceledException",
                "Transaction cancelled, please refer cancellation reasons for specific reasons "
                f"[{', '.join(codes)}]",
                CancellationReasons=reasons,
            )
        for plan in plans:
            plan.commit()
        return {}

    def _TransactGetItems(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        answers = []
        for member in request["TransactItems"]:
            asked = member["Get"]
            item = self._table(asked).get(asked["Key"])
            answers.append({} if item is None else {"Item": reads.projected(asked, item)})
        return {"Responses": answers}

    # -- streams ------------------------------------------------------------------------------

    def _DescribeStream(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        return self._stream(request["StreamArn"]).describe(request)

    def _GetShardIterator(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        stream = self._stream(request["StreamArn"])
        answer = stream.iterator(request)
        return {"ShardIterator": f"{stream.arn}|{answer['ShardIterator']}"}

    def _GetRecords(self, request: Mapping[str, Any]) -> dict[str, Any]:  # noqa: N802
        arn, _, inner = request["ShardIterator"].partition("|")
        answer = self._stream(arn).records({**request, "ShardIterator": inner})
        if "NextShardIterator" in answer:
            answer["NextShardIterator"] = f"{arn}|{answer['NextShardIterator']}"
        return answer

    def _stream(self, arn: str) -> Stream:
        for stream in self.streams.values():
            if stream.arn == arn:
                return stream
        raise refused("ResourceNotFoundException", "Requested resource not found: Stream")


def _reason(error: Refused) -> dict[str, Any]:
    if error.code == CONDITION_FAILED:
        code = "ConditionalCheckFailed"
    elif error.code == "ValidationException":
        code = "ValidationError"
    else:
        raise error
    return {"Code": code, "Message": error.message, **error.fields}


def _units(request: Mapping[str, Any]) -> dict[str, Any]:
    if request.get("ReturnConsumedCapacity", "NONE") == "NONE":
        return {}
    return {"ConsumedCapacity": {"TableName": request["TableName"], "CapacityUnits": 1.0}}
