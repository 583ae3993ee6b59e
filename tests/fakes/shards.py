"""A DynamoDB Streams API in memory that splits, trims, expires and throttles on demand.

No engine that can be embedded does these things; what both do is proven on the real one too.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dualwrite.core.errors import Refused

PAGE_SHARDS = 2
"""Shards listed a page; AWS lists 100, here two make paging happen."""


@dataclass
class FakeShard:
    """Records by position; ``base`` is the position of the oldest one kept."""

    parent: str = ""
    records: list[dict[str, Any]] = field(default_factory=list)
    base: int = 0
    closed: bool = False


class FakeStreams:
    """The ``Dynamo`` port of one table's stream."""

    def __init__(self, table: str = "t") -> None:
        self.table = table
        self.arn = "arn:one"
        self.shards: dict[str, FakeShard] = {}
        self.empty_pages = 0
        """So many of the next pages are empty although records follow."""
        self.faults: list[Exception] = []
        """Raised by the next calls of GetRecords, in order."""
        self.before_listing: Callable[[], Awaitable[None]] = _at_once
        """May fail a listing of the shards, or keep it waiting."""
        self.calls: list[tuple[str, Mapping[str, Any]]] = []
        self._sequence = 8

    def shard(self, id: str, parent: str = "") -> FakeShard:
        self.shards[id] = FakeShard(parent)
        return self.shards[id]

    def split(self, parent: str, *children: str) -> None:
        self.shards[parent].closed = True
        for child in children:
            self.shard(child, parent)

    def write(self, shard: str, key: str, created_ms: int = 0, **images: Any) -> str:
        """One record; sequence numbers grow from one digit to two, as integers do."""
        self._sequence += 1
        sequence = str(self._sequence)
        data = {
            "SequenceNumber": sequence,
            "ApproximateCreationDateTime": created_ms / 1000,
            "Keys": {"id": {"S": key}},
        }
        self.shards[shard].records.append({"eventName": "MODIFY", "dynamodb": data | images})
        return sequence

    def trim(self, shard: str, count: int) -> None:
        held = self.shards[shard]
        del held.records[:count]
        held.base += count

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        self.calls.append((operation, request))
        match operation:
            case "DescribeTable":
                await self.before_listing()
                specification = {"StreamEnabled": bool(self.arn)}
                return {
                    "Table": {"StreamSpecification": specification, "LatestStreamArn": self.arn}
                }
            case "DescribeStream":
                return self._describe(request)
            case "GetShardIterator":
                return {"ShardIterator": self._iterator(request)}
            case "GetRecords":
                return self._records(request)
        raise AssertionError(f"{operation} is not of the streams API")

    def _describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        ids = list(self.shards)
        start = request.get("ExclusiveStartShardId")
        rest = ids[ids.index(start) + 1 :] if start else ids
        page = rest[:PAGE_SHARDS]
        shards = []
        for id in page:
            described: dict[str, Any] = {"ShardId": id, "SequenceNumberRange": {}}
            if self.shards[id].parent:
                described["ParentShardId"] = self.shards[id].parent
            shards.append(described)
        described = {"Shards": shards}
        if len(rest) > len(page):
            described["LastEvaluatedShardId"] = page[-1]
        return {"StreamDescription": described}

    def _iterator(self, request: Mapping[str, Any]) -> str:
        shard = self._held(request["ShardId"])
        kind = request["ShardIteratorType"]
        position = shard.base
        if kind == "AFTER_SEQUENCE_NUMBER":
            wanted = request["SequenceNumber"]
            found = [
                index
                for index, record in enumerate(shard.records)
                if record["dynamodb"]["SequenceNumber"] == wanted
            ]
            if not found:
                raise refused("TrimmedDataAccessException")
            position = shard.base + found[0] + 1
        return f"{request['ShardId']}:{position}"

    def _records(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if self.faults:
            raise self.faults.pop(0)
        id, _, text = request["ShardIterator"].partition(":")
        shard, position = self._held(id), int(text)
        if position < shard.base:
            raise refused("TrimmedDataAccessException")
        if self.empty_pages:
            self.empty_pages -= 1
            return {"Records": [], "NextShardIterator": request["ShardIterator"]}
        start = position - shard.base
        page = shard.records[start : start + request["Limit"]]
        following = position + len(page)
        answer: dict[str, Any] = {"Records": page}
        if not (shard.closed and following >= shard.base + len(shard.records)):
            answer["NextShardIterator"] = f"{id}:{following}"
        return answer

    def _held(self, id: str) -> FakeShard:
        if id not in self.shards:
            raise refused("ResourceNotFoundException")
        return self.shards[id]


async def _at_once() -> None:
    return


def refused(code: str) -> Refused:
    return Refused(code, "as told", 400, {})
