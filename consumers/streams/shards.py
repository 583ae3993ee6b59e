"""Which shards a table's stream has, and in which order they may be read."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dualwrite.core.phases import Side
from dualwrite.core.ports import Dynamo
from dualwrite.core.records import ShardLease

SHARD_END = "SHARD_END"
TRIM_HORIZON = "TRIM_HORIZON"
PAGES_MAX = 1000
"""AWS lists 100 shards a page."""


@dataclass(frozen=True, slots=True)
class Shard:
    """One shard as DescribeStream lists it."""

    id: str
    parent: str


@dataclass(frozen=True, slots=True, order=True)
class StreamName:
    """The stream of one side of one table."""

    table: str
    side: Side

    @property
    def text(self) -> str:
        """Its name in the control table."""
        return f"{self.table}/{self.side.value}"


@dataclass(frozen=True, slots=True)
class Listing:
    """A stream's ARN and shards; no ARN: the table has no stream."""

    arn: str
    shards: tuple[Shard, ...] = ()


async def listed(dynamo: Dynamo, table: str) -> Listing:
    """Ask the engine which shards the stream of a table has. Raises EngineError."""
    answer = await dynamo.call("DescribeTable", {"TableName": table})
    described = answer["Table"]
    if not described.get("StreamSpecification", {}).get("StreamEnabled"):
        return Listing("")
    arn = described["LatestStreamArn"]
    shards: list[Shard] = []
    request: dict[str, Any] = {"StreamArn": arn}
    for _ in range(PAGES_MAX):
        page = (await dynamo.call("DescribeStream", request))["StreamDescription"]
        shards += [
            Shard(shard["ShardId"], shard.get("ParentShardId", "")) for shard in page["Shards"]
        ]
        last = page.get("LastEvaluatedShardId")
        if not last:
            break
        request["ExclusiveStartShardId"] = last
    return Listing(arn, tuple(shards))


def parents_first(shards: Iterable[Shard]) -> tuple[Shard, ...]:
    """The shards in an order in which no child stands before its parent."""
    waiting = {shard.id: shard for shard in shards}
    ordered: list[Shard] = []
    while waiting:
        ready = [shard for shard in waiting.values() if shard.parent not in waiting]
        if not ready:  # a circle, which no stream has
            ready = list(waiting.values())
        ordered += ready
        for shard in ready:
            del waiting[shard.id]
    return tuple(ordered)


def may_start(lease: ShardLease, leases: Mapping[str, ShardLease]) -> bool:
    """Whether a shard may be read: it has records left, and its parent's are all applied.

    ``leases`` by shard id. A parent nobody holds a lease of was trimmed long ago.
    """
    if lease.checkpoint == SHARD_END:
        return False
    parent = leases.get(lease.parent)
    return parent is None or parent.checkpoint == SHARD_END
