"""Reads one shard, from its checkpoint on: iterators, pages, tips, gaps and the end."""

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import structlog

from consumers.changes import Change, change_of
from consumers.effort import Effort
from consumers.pace import Pace
from consumers.prefix import Mark, Prefix
from consumers.streams.shards import TRIM_HORIZON
from consumers.streams.tips import Streak, is_short
from dualwrite.core.errors import RETRYABLE, EngineError, LeaseExpired, Refused
from dualwrite.core.ports import Clock, Dynamo

SLICE_RECORDS = 100
"""Records handed on between two chances for other tasks to run."""
NAP_SECONDS = 0.1
TIPS_MAX = 16

log = structlog.get_logger()


class Feed(Protocol):
    """Where a reader's records go."""

    async def take(self, records: Sequence[tuple[Change, Mark]]) -> None:
        """Note records. Raises LeaseExpired before it has noted any."""
        ...

    def behind(self, behind: bool) -> None:
        """Say whether the reader is known to be behind its shard's tip."""
        ...

    def wake(self) -> None:
        """Records came: their counterparts will come too, so look sooner."""
        ...

    def woken(self) -> bool:
        """Whether there is reason to look at once; forgets it."""
        ...


class ShardGone(Exception):
    """The engine no longer knows the shard, or its stream."""


class Page(NamedTuple):
    """One answer of GetRecords, and when it was asked for."""

    records: list[Any]
    following: str | None
    """The next iterator; None: the shard has ended."""
    short: bool
    """Whether it did not end for its size: as far as one page can tell, there was no more."""
    sent_ms: int
    sent_at: float


class Tip(NamedTuple):
    """A request that found the tip: when it was sent, and how many records stood before it."""

    sent_ms: int
    sent_at: float
    fetched: int


@dataclass(slots=True)
class Progress:
    """What one reader can prove about its shard."""

    tip_ms: int = 0
    tip_sent_at: float = float("-inf")
    """Monotonic time at which the newest proven tip's request was sent."""
    lag_seconds: float = 0.0
    lag_records: int = 0


class ShardReader:
    """``run`` ends when the shard has ended and all of its records are applied."""

    def __init__(
        self,
        dynamo: Dynamo,
        shard_id: str,
        arn: Callable[[], str],
        checkpoint: str,
        feed: Feed,
        on_gap: Callable[[], Awaitable[None]],
        clock: Clock,
        effort: Effort,
        pace: Pace,
        *,
        lag_seconds: float = 0.0,
        proven_ms: int | None = None,
        may_read: Callable[[], bool] = lambda: True,
    ) -> None:
        """``proven_ms``: the wall clock up to which every record is known to be applied; None: now.
        ``may_read``: whether the lease is ours for sure. A process that was frozen must not be one
        more reader of a shard that is another's by now: AWS allows two in all."""
        self._may_read = may_read
        self.prefix = Prefix(checkpoint)
        self._dynamo = dynamo
        self._shard_id = shard_id
        self._arn = arn
        self._feed = feed
        self._on_gap = on_gap
        self._clock = clock
        self._effort = effort
        self._pace = pace
        self._tips: deque[Tip] = deque(maxlen=TIPS_MAX)
        self._streak = Streak(pace)
        self._progress = Progress()
        self._began_ms = clock.wall_ms() - int(lag_seconds * 1000)
        self._newest_ms = self._began_ms
        """Creation of the newest record fetched; before the first, as far back as was known."""
        self._proven_ms = clock.wall_ms() if proven_ms is None else proven_ms
        self._at_tip = False
        self._failures = 0

    async def run(self) -> None:
        """Read to the end. Raises ShardGone; survives other engine errors with back-off."""
        iterator: str | None = None
        first = True
        delay = 0.0
        while True:
            await self._room()
            try:
                if iterator is None:
                    iterator, first = await self._open(), True
                page = await self._page(iterator)
            except EngineError as error:
                iterator = await self._recover(error, iterator)
                continue
            self._failures = 0
            if first and self._horizon_has_moved():
                await self._gap()
                iterator = None
                continue
            first = False
            self._feed.behind(not page.short)
            await self._hand_on(page)
            self._at_tip = self._finds_tip(page)
            if self._at_tip and len(self._tips) < TIPS_MAX:
                self._tips.append(Tip(page.sent_ms, page.sent_at, self.prefix.fetched))
            iterator = page.following
            if iterator is None:
                break
            delay = self._wait_after(page, delay)
            await self._pause(delay)
        while self.prefix.outstanding:
            await self._clock.sleep(self._pace.apply_seconds)
            self.prefix.advance()

    def progress(self) -> Progress:
        """What is proven by now."""
        prefix = self.prefix
        prefix.advance()
        proven = self._progress
        while self._tips and self._tips[0].fetched <= prefix.applied:
            tip = self._tips.popleft()
            proven.tip_ms, proven.tip_sent_at = tip.sent_ms, tip.sent_at
        oldest_ms = prefix.oldest_ms
        if oldest_ms is None and not self._at_tip:
            # What was created before a proven tip is applied, however long ago a record came.
            oldest_ms = max(self._newest_ms, proven.tip_ms)
        now_ms = self._clock.wall_ms()
        proven.lag_seconds = 0.0 if oldest_ms is None else max(0.0, (now_ms - oldest_ms) / 1000)
        proven.lag_records = prefix.outstanding
        return proven

    # -- pages --------------------------------------------------------------------------------

    async def _open(self) -> str:
        self._streak.broken()
        request: dict[str, Any] = {"StreamArn": self._arn(), "ShardId": self._shard_id}
        position = self.prefix.position
        if position.isdigit():
            request |= {
                "ShardIteratorType": "AFTER_SEQUENCE_NUMBER",
                "SequenceNumber": position,
            }
        else:
            request["ShardIteratorType"] = position
        answer = await self._dynamo.call("GetShardIterator", request)
        iterator: str = answer["ShardIterator"]
        return iterator

    def _horizon_has_moved(self) -> bool:
        """Whether records may have been trimmed that stood before the oldest one, asked once the
        first page is there, which may have been long in coming. No engine tells: to read from a
        sequence number that is gone is an error, from the trim horizon it is not."""
        if self.prefix.position != TRIM_HORIZON:
            return False
        proven_ms = max(self._proven_ms, self.progress().tip_ms)
        return self._clock.wall_ms() - proven_ms > self._pace.retention_seconds * 1000

    async def _page(self, iterator: str) -> Page:
        sent_ms, sent_at = self._clock.wall_ms(), self._clock.monotonic_seconds()
        answer = await self._dynamo.call(
            "GetRecords", {"ShardIterator": iterator, "Limit": self._pace.page_records}
        )
        records: list[Any] = answer.get("Records") or []
        following: str | None = answer.get("NextShardIterator") or None
        short = following is None or is_short(records, self._pace)
        return Page(records, following, short, sent_ms, sent_at)

    def _finds_tip(self, page: Page) -> bool:
        """Whether the request of this page, whose records are noted, found the tip. The end of a
        shard is none: what its children hold is as old, and nobody has read it."""
        if page.following is None:
            return False
        age = (page.sent_ms - self._newest_ms) / 1000 if page.records else None
        return self._streak.saw(short=page.short, newest_age_seconds=age)

    def _wait_after(self, page: Page, before: float) -> float:
        """Seconds until the next page: 0 behind the tip, few while records come or may follow, ever
        more while the tip has none."""
        pace = self._pace
        if page.records or not self._at_tip:
            return pace.poll_busy_seconds if page.short else 0.0
        return min(pace.poll_idle_seconds, max(pace.poll_busy_seconds, before * 1.5))

    async def _hand_on(self, page: Page) -> None:
        fresh: list[tuple[Change, Mark]] = []
        for record in page.records:
            change = change_of(record)
            created_ms = change.created_ms_max(page.sent_ms)
            mark = self.prefix.add(change.sequence, created_ms, change.size_bytes)
            if mark is not None:
                fresh.append((change, mark))
        if not fresh:
            return
        self._newest_ms = fresh[-1][1].created_ms
        self._feed.wake()
        for start in range(0, len(fresh), SLICE_RECORDS):
            part = fresh[start : start + SLICE_RECORDS]
            while True:
                try:
                    await self._feed.take(part)
                    break
                except LeaseExpired:
                    await self._clock.sleep(self._pace.match_seconds)
            await self._clock.sleep(0)

    async def _room(self) -> None:
        """Wait while too many records are unapplied, or nobody knows whose the shard is."""
        self.prefix.advance()
        while self._is_full() or not self._may_read():
            await self._clock.sleep(self._pace.apply_seconds)
            self.prefix.advance()

    def _is_full(self) -> bool:
        return (
            self.prefix.outstanding >= self._pace.unapplied_records_max
            or self.prefix.outstanding_bytes >= self._pace.unapplied_bytes_max
        )

    async def _pause(self, seconds: float) -> None:
        deadline = self._clock.monotonic_seconds() + seconds
        while (left := deadline - self._clock.monotonic_seconds()) > 0:
            if seconds > self._pace.poll_busy_seconds and self._feed.woken():
                return
            await self._clock.sleep(min(left, NAP_SECONDS))

    # -- trouble ------------------------------------------------------------------------------

    async def _recover(self, error: EngineError, iterator: str | None) -> str | None:
        """The iterator to go on with; None to open another. Raises ShardGone."""
        self._at_tip = False
        code = error.code if isinstance(error, Refused) else type(error).__name__
        match code:
            case "ExpiredIteratorException":
                # Also what an engine says whose stream was switched off: never without a wait.
                await self._back_off()
                return None
            case "TrimmedDataAccessException":
                if self.prefix.position != TRIM_HORIZON or self._horizon_has_moved():
                    await self._gap()
                else:
                    # DynamoDB Local says so to whoever waited for a shard's first record, for it
                    # numbers the records of all tables in one row. AWS trims after 24 hours.
                    await self._back_off()
                return None
            case "ResourceNotFoundException":
                raise ShardGone(self._shard_id) from error
        if code not in RETRYABLE:
            log.warning("shard not read", shard=self._shard_id, error=code)
        await self._back_off()
        # Reading twice does no harm, so whatever happened to the request it is sent again.
        return iterator

    async def _gap(self) -> None:
        """Records were trimmed before anybody read them: say so durably, then read the rest."""
        log.error("records were trimmed unread", shard=self._shard_id)
        while True:
            try:
                await self._on_gap()
                break
            except EngineError:
                await self._back_off()
        self._tips.clear()
        self._proven_ms = self._clock.wall_ms()
        self.prefix.restart(TRIM_HORIZON)

    async def _back_off(self) -> None:
        self._failures += 1
        await self._effort.back_off(self._failures)
