"""Bounds on capacity units a second: the operator's, and what the engine is seen to bear."""

from collections.abc import Iterable, Mapping
from math import ceil

from dualwrite.core.capacity import READ_UNIT_BYTES, WRITE_UNIT_BYTES
from dualwrite.core.items import AttributeValue, size_bytes
from dualwrite.core.ports import Clock

BURST_SECONDS = 1.0
CUT = 0.5
"""What is left of the pace after the engine throttled."""
CUT_SECONDS = 0.5
"""Calls that were in flight together are throttled together: that counts once."""
GROWTH_A_SECOND = 1.2
"""How the pace recovers while nothing is throttled: twice as fast after 4 s."""
UNITS_MIN = 1.0
UNITS_MAX = 1e6
"""A pace that has recovered so far is no bound any more."""
PACE_SECONDS = 1.0


class Meter:
    """A token bucket that may go into debt: what costs more than it holds is let through once it is
    not empty, and whoever comes next waits for that. Throttling halves the pace, which recovers by
    itself: so whoever goes by it takes what others leave, and finds out how much that is."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tokens = 0.0
        self._at = self._since = self._cut_at = clock.monotonic_seconds()
        self._bound = 0.0
        self._borne = 0.0
        """Units a second after the last cut; 0: it was never throttled, or has recovered."""
        self._spent = 0.0
        self._pace = 0.0

    def bound(self, per_second: float) -> float:
        """What may be spent a second now, where the operator's bound is ``per_second``; 0 means
        without limit, in both."""
        if self._borne:
            quiet = max(0.0, self._clock.monotonic_seconds() - self._cut_at - CUT_SECONDS)
            borne: float = self._borne * GROWTH_A_SECOND ** min(quiet, 1000.0)
            if borne < UNITS_MAX:
                return min(borne, per_second) if per_second > 0 else borne
            self._borne = 0.0
        return max(0.0, per_second)

    async def ready(self, per_second: float) -> None:
        """Wait until something may be spent."""
        while True:
            now = self._clock.monotonic_seconds()
            elapsed, self._at = now - self._at, now
            self._bound = self.bound(per_second)
            if not self._bound:
                self._tokens = 0.0
                return
            most = self._bound * BURST_SECONDS
            self._tokens = min(most, self._tokens + elapsed * self._bound)
            if self._tokens > 0:
                return
            await self._clock.sleep(min(1.0, (1.0 - self._tokens) / self._bound))

    def spend(self, units: float) -> None:
        """Account for what was, or is about to be, spent."""
        if self._bound:
            self._tokens -= units
        now = self._clock.monotonic_seconds()
        if now - self._since >= PACE_SECONDS:
            self._pace = self._spent / (now - self._since)
            self._since, self._spent = now, 0.0
        self._spent += units

    def throttled(self) -> bool:
        """The engine refused: go slower. False where that was so a moment ago."""
        now = self._clock.monotonic_seconds()
        if self._borne and now - self._cut_at < CUT_SECONDS:
            return False
        before = self.bound(0.0) or self._pace or self._spent
        self._borne = max(UNITS_MIN, before * CUT)
        self._cut_at = now
        return True


def read_units(items: Iterable[Mapping[str, AttributeValue]]) -> float:
    """What a page of consistent reads of these items costs: their sizes add up."""
    return float(ceil(sum(map(size_bytes, items)) / READ_UNIT_BYTES) or 1)


def write_units(
    items: Iterable[Mapping[str, AttributeValue]], *, in_transactions: bool = False
) -> float:
    """What one write of each item costs, which a transaction charges twice."""
    units = sum(ceil(size_bytes(item) / WRITE_UNIT_BYTES) for item in items)
    return float(units * (2 if in_transactions else 1))
