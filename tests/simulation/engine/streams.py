"""One table's stream: shards that split and end, records that show late, are trimmed and expire.

What AWS promises is kept: records of one item come in order, each once, a parent's before its
children's. What it does not promise is not: records of different items may change places.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from tests.simulation.engine.errors import invalid, refused
from tests.simulation.engine.tables import HASHES

RETENTION_SECONDS = 24 * 3600.0
ITERATOR_SECONDS = 15 * 60.0
PAGE_SHARDS = 100
RECORDS_MAX = 1000
FIRST_SEQUENCE = 100_000_000_000_000_000_000
KINDS = ("TRIM_HORIZON", "LATEST", "AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER")


@dataclass(slots=True)
class Pending:
    """A record that is written and does not show yet."""

    due: float
    number: int
    place: Any
    record: dict[str, Any]


@dataclass(slots=True)
class Shard:
    """``base`` is the position of the oldest record that is kept."""

    id: str
    parent: str
    low: int
    high: int
    closed_at: float | None = None
    log: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    base: int = 0
    pending: list[Pending] = field(default_factory=list)

    @property
    def end(self) -> int:
        return self.base + len(self.log)


class Stream:
    """``delay`` says how late the next record shows; ``empties`` how many empty pages lie between
    where an iterator was opened, or the last page with records, and the records that follow."""

    def __init__(self, arn: str, now: Callable[[], float], random: Random) -> None:
        self.arn = arn
        self.retention_seconds = RETENTION_SECONDS
        self.iterator_seconds = ITERATOR_SECONDS
        self.delay: Callable[[], float] = lambda: 0.0
        self.empties: Callable[[], int] = lambda: 0
        self.shards: dict[str, Shard] = {}
        self.lost: list[float] = []
        """When those records were shown that were trimmed before anybody was given them."""
        self._given: set[str] = set()
        self._now = now
        self._random = random
        self._written = 0
        self._sequence = FIRST_SEQUENCE
        self._newest_due: dict[Any, float] = {}
        self._shard("", 0, HASHES)

    # -- writing ------------------------------------------------------------------------------

    def append(self, place: Any, record: dict[str, Any]) -> None:
        """Note a change of the item at ``place``, whose first member is its digest."""
        shard = next(s for s in self._open() if s.low <= place[0] < s.high)
        due = max(self._now() + self.delay(), self._newest_due.get(place, 0.0))
        self._newest_due[place] = due
        self._written += 1
        shard.pending.append(Pending(due, self._written, place, record))

    def split(self) -> None:
        """End one open shard; two take over, or one does."""
        shard = self._random.choice(self._open())
        shard.closed_at = self._now()
        middle = (shard.low + shard.high) // 2
        if self._random.random() < 0.3 or middle in (shard.low, shard.high):
            self._shard(shard.id, shard.low, shard.high)
            return
        self._shard(shard.id, shard.low, middle)
        self._shard(shard.id, middle, shard.high)

    def _shard(self, parent: str, low: int, high: int) -> None:
        number = len(self.shards)
        id = f"shardId-{number:020d}-{self._random.getrandbits(32):08x}"
        self.shards[id] = Shard(id, parent, low, high)

    def _open(self) -> list[Shard]:
        return [shard for shard in self.shards.values() if shard.closed_at is None]

    # -- time ---------------------------------------------------------------------------------

    def settle(self) -> None:
        """Show what is due, forget what is too old."""
        now = self._now()
        for shard in list(self.shards.values()):
            self._show(shard, now)
            oldest = now - self.retention_seconds
            while shard.log and shard.log[0][0] < oldest:
                shown, gone = shard.log.pop(0)
                if gone["eventID"] not in self._given:
                    self.lost.append(shown)
                shard.base += 1
            over = shard.closed_at is not None and shard.closed_at < oldest
            if over and not shard.log and not shard.pending:
                del self.shards[shard.id]

    def _show(self, shard: Shard, now: float) -> None:
        if not shard.pending:
            return
        due = sorted(
            (one for one in shard.pending if one.due <= now), key=lambda one: (one.due, one.number)
        )
        if not due:
            return
        shard.pending = [one for one in shard.pending if one.due > now]
        for one in due:
            self._sequence += 1
            one.record["dynamodb"]["SequenceNumber"] = str(self._sequence)
            shard.log.append((one.due, one.record))

    # -- the streams API ----------------------------------------------------------------------

    def describe(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.settle()
        ids = list(self.shards)
        start = request.get("ExclusiveStartShardId")
        rest = ids[ids.index(start) + 1 :] if start in ids else ids
        page = rest[: int(request.get("Limit", PAGE_SHARDS))]
        described: dict[str, Any] = {
            "StreamArn": self.arn,
            "StreamStatus": "ENABLED",
            "StreamViewType": "NEW_AND_OLD_IMAGES",
            "Shards": [self._described(self.shards[id]) for id in page],
        }
        if len(rest) > len(page):
            described["LastEvaluatedShardId"] = page[-1]
        return {"StreamDescription": described}

    def _described(self, shard: Shard) -> dict[str, Any]:
        span = {"StartingSequenceNumber": str(FIRST_SEQUENCE)}
        if shard.closed_at is not None:
            span["EndingSequenceNumber"] = str(self._sequence)
        found: dict[str, Any] = {"ShardId": shard.id, "SequenceNumberRange": span}
        return found | ({"ParentShardId": shard.parent} if shard.parent else {})

    def iterator(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.settle()
        shard = self._held(request["ShardId"])
        kind = request.get("ShardIteratorType")
        if kind not in KINDS:
            raise invalid("1 validation error detected: Value at 'shardIteratorType' is invalid")
        if kind == "TRIM_HORIZON":
            position = shard.base
        elif kind == "LATEST":
            position = shard.end
        else:
            position = self._position(shard, int(request["SequenceNumber"]), kind)
        return {"ShardIterator": self._issued(shard, position, self.empties())}

    def _position(self, shard: Shard, wanted: int, kind: str) -> int:
        for offset, (_, record) in enumerate(shard.log):
            number = int(record["dynamodb"]["SequenceNumber"])
            if number == wanted:
                return shard.base + offset + (kind == "AFTER_SEQUENCE_NUMBER")
        raise refused(
            "TrimmedDataAccessException",
            "The sequence number is older than the oldest record that is kept",
        )

    def _issued(self, shard: Shard, position: int, empties: int) -> str:
        return f"{shard.id}|{position}|{empties}|{self._now()!r}"

    def records(self, request: Mapping[str, Any]) -> dict[str, Any]:
        self.settle()
        id, text, empties, issued = request["ShardIterator"].split("|")
        if self._now() - float(issued) > self.iterator_seconds:
            raise refused("ExpiredIteratorException", "Iterator expired")
        shard, position = self._held(id), int(text)
        if position < shard.base:
            raise refused("TrimmedDataAccessException", "Records were trimmed")
        limit = int(request.get("Limit", RECORDS_MAX))
        if not 1 <= limit <= RECORDS_MAX:
            raise invalid("Limit must be between 1 and 1000")
        if left := int(empties):
            return {"Records": [], "NextShardIterator": self._issued(shard, position, left - 1)}
        start = position - shard.base
        page = [record for _, record in shard.log[start : start + limit]]
        self._given.update(record["eventID"] for record in page)
        following = position + len(page)
        answer: dict[str, Any] = {"Records": page}
        over = shard.closed_at is not None and not shard.pending and following >= shard.end
        if not over:
            left = self.empties() if page else 0
            answer["NextShardIterator"] = self._issued(shard, following, left)
        return answer

    def _held(self, id: str) -> Shard:
        if id not in self.shards:
            raise refused("ResourceNotFoundException", "Requested resource not found: Shard")
        return self.shards[id]
