"""One full comparison of a table: old against new, then what only new has, then the suspects."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

import structlog

from dualwrite.core.compare import Comparison, Verdict
from dualwrite.core.derivation import Problem, Question
from dualwrite.core.dirty_keys import DirtyKey, dirty_key, places
from dualwrite.core.errors import EngineError
from dualwrite.core.items import Item, Key, key_of, key_token
from dualwrite.core.phases import Kind, Side
from dualwrite.core.ports import Clock, Parents, RepairQueue
from dualwrite.core.spec import MigratedTable
from dualwrite.core.transform import translate_key
from dualwrite.gathering import gathered
from dualwrite.lookups import answered
from verifier.reading import BATCH_KEYS_MAX, TableReader
from verifier.suspects import (
    PAUSES_SECONDS,
    Look,
    Outcome,
    Watched,
    judge,
    verdict_of,
)
from verifier.throttling import patiently

SEGMENTS = 4
"""Parallel scans a table and side."""
SUSPECTS_MAX = 20_000
"""Suspects held at once; the scans wait while so many are looked at again."""
SUSPECT_BATCHES_MAX = 4
"""Batches of 100 suspects whose images are in memory at once."""
REPAIRS_MAX = 1_000
"""Keys one sweep puts on the repair queue: more drift than that is work for a backfill."""
PARENTS_MAX = 16
"""Rows of one table that ask for their parents at once."""
PARENT_SECONDS_MAX = 300.0
"""How long a row waits for capacity for its parents. They are not waited for without end as the
table itself is, for a look-up may scan their table from its beginning each time."""
ITEMS_A_TURN = 25
"""Items compared before others on the event loop have their turn: about a millisecond's work."""
ERRORS_MAX = 20
"""Failed reads after which a sweep stops: it can prove nothing any more."""

log = structlog.get_logger(__name__)


class LeaderChanged(Exception):
    """The lead changed hands under a sweep, so what it compared has no meaning."""


@dataclass(slots=True)
class Tally:
    """What a sweep has found so far; the fields are those of ``SweepResult``."""

    compared: int = 0
    rechecked: int = 0
    missing: int = 0
    extra: int = 0
    different: int = 0
    untransformable: int = 0
    orphans: int = 0
    errors: int = 0
    only_on_new: int = 0

    def settle(self, comparison: Comparison, leader: Side, *, drift: bool) -> None:
        """Count a key whose comparison is sure; each key comes here once."""
        if comparison.problem is not None:
            if comparison.left:
                self.untransformable += 1
                # A row that is left has something wanted only where the leader lacks it.
                self.only_on_new += leader is Side.NEW and comparison.wanted is None
            else:
                self.orphans += 1
        if drift:
            match verdict_of(comparison):
                case Verdict.MISSING:
                    self.missing += 1
                case Verdict.EXTRA:
                    self.extra += 1
                case Verdict.DIFFERENT | Verdict.MATCH:
                    self.different += 1


class Passes:
    """Compares one table once, under one leader."""

    def __init__(
        self,
        table: MigratedTable,
        leader: Side,
        reader: TableReader,
        parents: Parents,
        repairs: RepairQueue | None,
        clock: Clock,
        *,
        leads: Callable[[], bool],
    ) -> None:
        """``leads`` says whether ``leader`` leads still, or raises LeaseExpired where nobody here
        knows; ``repairs`` is None where there is no follower to repair."""
        self.tally = Tally()
        self._table = table
        self._leader = leader
        self._reader = reader
        self._parents = parents
        self._repairs = repairs
        self._clock = clock
        self._leads = leads
        self._suspects: dict[DirtyKey, None] = {}
        self._looking = asyncio.Lock()
        self._asking = asyncio.Semaphore(PARENTS_MAX)
        self._repairs_put = 0

    async def run(self) -> Tally:
        """Compare everything. Raises LeaderChanged, LeaseExpired; failed reads are counted, not
        raised."""
        for side in self._table.sides:
            await self._scan(side)
        await self._look_again()
        return self.tally

    async def run_part(self, side: Side, segment: int, segments: int) -> Tally:
        """Compare one segment of one side. Raises LeaderChanged, LeaseExpired."""
        await self._scan_segment(side, segment, segments)
        await self._look_again()
        return self.tally

    async def _scan(self, side: Side) -> None:
        await gathered(self._scan_segment(side, at, SEGMENTS) for at in range(SEGMENTS))

    async def _scan_segment(self, side: Side, segment: int, segments: int) -> None:
        """On new only the keys are read, to find those that old lacks."""
        handle = self._compare_old_page if side is Side.OLD else self._compare_new_page
        start = None
        while self.tally.errors < ERRORS_MAX:
            self._check_leader()
            try:
                page = await self._reader.page(
                    self._table.side(side),
                    segment=segment,
                    segments=segments,
                    start=start,
                    wanted=self._check_leader,
                    keys_only=side is Side.NEW,
                )
            except EngineError as error:
                self._failed("scan", error)
                return
            for at in range(0, len(page.items), BATCH_KEYS_MAX):
                try:
                    await handle(page.items[at : at + BATCH_KEYS_MAX])
                except EngineError as error:
                    self._failed("compare", error)
                await self._clock.sleep(0)
            if len(self._suspects) >= SUSPECTS_MAX:
                await self._look_again()
            if page.next is None:
                return
            start = page.next

    def _check_leader(self) -> None:
        if not self._leads():
            raise LeaderChanged

    def _failed(self, what: str, error: EngineError) -> None:
        self.tally.errors += 1
        log.warning("sweep read failed", table=self._table.name, what=what, error=str(error))

    # -- the two passes -----------------------------------------------------------------------

    async def _compare_old_page(self, items: Sequence[Item]) -> None:
        pairs: list[tuple[Item | None, Item | None]]
        if self._table.kind is Kind.IN_PLACE:
            pairs = [(item, None) for item in items]
        else:
            pairs = [*await self._with_new(items)]
        comparisons = await self._compare(pairs)
        self.tally.compared += len(comparisons)
        for (old, _), comparison in zip(pairs, comparisons, strict=True):
            assert old is not None
            await self._take(dirty_key(self._table, old, Side.OLD), comparison)

    async def _with_new(self, items: Sequence[Item]) -> Iterable[tuple[Item, Item | None]]:
        """Each old item with the new one of its key. A key without a place on new has none."""
        keys = [self._translated(item, Side.OLD) for item in items]
        found = await self._get(Side.NEW, keys)
        schema = self._table.new.keys
        return [
            (item, None if key is None else found.get(key_token(key, schema)))
            for item, key in zip(items, keys, strict=True)
        ]

    async def _compare_new_page(self, keys: Sequence[Item]) -> None:
        """Only new keys that old lacks are of interest: all others were compared before."""
        wanted = [self._translated(key, Side.NEW) for key in keys]
        found = await self._get(Side.OLD, wanted, keys_only=True)
        schema = self._table.old.keys
        for key, old_key in zip(keys, wanted, strict=True):
            if old_key is None or key_token(old_key, schema) not in found:
                self.tally.compared += 1
                self._suspects[dirty_key(self._table, key, Side.NEW)] = None

    def _translated(self, item: Item, side: Side) -> Key | None:
        key = key_of(item, self._table.side(side).keys)
        translated = translate_key(self._table, key, side, side.other)
        return None if isinstance(translated, Problem) else translated

    async def _compare(self, pairs: Sequence[tuple[Item | None, Item | None]]) -> list[Comparison]:
        """Compare copies; those that need parents ask for them side by side."""
        decided: list[Comparison | Question] = []
        for old, new in pairs:
            decided.append(judge(self._table, self._leader, old, new))
            if len(decided) % ITEMS_A_TURN == 0:
                await self._clock.sleep(0)
        asking = [at for at, found in enumerate(decided) if isinstance(found, Question)]
        answers = await asyncio.gather(*(self._ask(*pairs[at]) for at in asking))
        for at, comparison in zip(asking, answers, strict=True):
            decided[at] = comparison
        return [found for found in decided if isinstance(found, Comparison)]

    async def _ask(self, old: Item | None, new: Item | None) -> Comparison:
        def ask() -> Awaitable[Comparison]:
            return answered(self._parents, judge, self._table, self._leader, old, new)

        def wanted() -> None:
            self._check_leader()
            if self._clock.monotonic_seconds() - begun > PARENT_SECONDS_MAX:
                raise EngineError("there was no capacity for look-ups of parents")

        async with self._asking:
            begun = self._clock.monotonic_seconds()
            return await patiently(self._clock, wanted, ask)

    async def _take(self, suspect: DirtyKey, comparison: Comparison) -> None:
        if verdict_of(comparison) is Verdict.MATCH:
            self.tally.settle(comparison, self._leader, drift=False)
            return
        self._suspects[suspect] = None
        if comparison.verdict is Verdict.MATCH:
            # Nobody else would look at it: no stream record follows from a missing hidden map.
            await self._repair(suspect, "sweep: hidden map missing")

    # -- suspects -----------------------------------------------------------------------------

    async def _look_again(self) -> None:
        async with self._looking:
            watched = {suspect: Watched() for suspect in self._suspects}
            self._suspects.clear()
            self.tally.rechecked += len(watched)
            for pause in PAUSES_SECONDS:
                if not watched:
                    return
                await self._clock.sleep(pause)
                self._check_leader()
                await self._look_at_all(watched)
            for suspect in watched:
                # It never stood still and never matched: nothing is proven about it.
                self.tally.errors += 1
                await self._repair(suspect, "sweep: never stood still")

    async def _look_at_all(self, watched: dict[DirtyKey, Watched]) -> None:
        suspects = list(watched)
        batches = [
            suspects[at : at + BATCH_KEYS_MAX] for at in range(0, len(suspects), BATCH_KEYS_MAX)
        ]
        slots = asyncio.Semaphore(SUSPECT_BATCHES_MAX)

        async def look(batch: Sequence[DirtyKey]) -> None:
            async with slots:
                await self._look_at(batch, watched)

        await gathered(look(batch) for batch in batches)

    async def _look_at(self, batch: Sequence[DirtyKey], watched: dict[DirtyKey, Watched]) -> None:
        try:
            pairs = await self._both(batch)
            comparisons = await self._compare(pairs)
        except EngineError as error:
            self._failed("look again", error)
            return
        for suspect, (old, new), comparison in zip(batch, pairs, comparisons, strict=True):
            leader, follower = (old, new) if self._leader is Side.OLD else (new, old)
            look = Look(leader, follower, comparison)
            outcome = watched[suspect].see(
                self._table, self._leader, look, self._clock.monotonic_seconds()
            )
            if outcome is Outcome.UNPROVEN:
                continue
            del watched[suspect]
            self.tally.settle(comparison, self._leader, drift=outcome is Outcome.DRIFT)
            if outcome is Outcome.DRIFT:
                await self._repair(suspect, f"sweep: {look.verdict.value}")

    async def _both(self, batch: Sequence[DirtyKey]) -> list[tuple[Item | None, Item | None]]:
        """Both copies of each suspect; no key, no copy."""
        found = [places(self._table, suspect) for suspect in batch]
        olds = [place[Side.OLD] for place in found]
        if self._table.kind is Kind.IN_PLACE:
            return [(old, None) for old in await self._read(Side.OLD, olds)]
        news = [place[Side.NEW] for place in found]
        both = await gathered([self._read(Side.OLD, olds), self._read(Side.NEW, news)])
        return list(zip(*both, strict=True))

    async def _read(self, side: Side, keys: Sequence[Key | None]) -> list[Item | None]:
        found = await self._get(side, keys)
        schema = self._table.side(side).keys
        return [None if key is None else found.get(key_token(key, schema)) for key in keys]

    async def _get(
        self, side: Side, keys: Sequence[Key | None], *, keys_only: bool = False
    ) -> dict[str, Item]:
        """By token; no key, no item."""
        return await self._reader.get(
            self._table.side(side),
            [key for key in keys if key is not None],
            wanted=self._check_leader,
            keys_only=keys_only,
        )

    async def _repair(self, suspect: DirtyKey, reason: str) -> None:
        """Queue a key. A full queue or an unreachable one is no reason to stop a sweep: what is
        not queued is in the counts, and the next sweep finds it again."""
        if self._repairs is None or self._repairs_put >= REPAIRS_MAX:
            return
        self._repairs_put += 1
        try:
            await self._repairs.put(self._table.name, suspect.side, suspect.token, reason)
        except EngineError as error:
            log.warning("repair not queued", table=self._table.name, error=str(error))
