"""How long no client anywhere got a write acknowledged: around a flip, and ordinarily.

A gap is the time between two acknowledgements that follow each other, over all workers (the items
of one batch or transaction are one acknowledgement). It
belongs to a window if it touches it. *Ordinary* gaps are those under the full workload that touch
neither a flip's window nor a moment in which something was killed, paused or restarted: leaving
those out makes the figure that a flip is held against smaller, never larger.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from dualwrite.core.phases import Side

FLIP_FACTOR_MAX = 3.0
"""The goal: no gap at a flip is above this many times the ordinary 99.9 percentile."""


@dataclass(frozen=True, slots=True)
class Window:
    """From ``start`` to ``end``, both monotonic seconds."""

    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Flip:
    """One change of the leader: from 1 s before the command to 1 s after the last
    acknowledgement."""

    direction: Side
    window: Window


@dataclass(frozen=True, slots=True)
class FlipGap:
    """What a report says of one flip."""

    direction: str
    gap_ms: float
    ordinary_p999_ms: float
    calm_p999_ms: float
    """The same without the moments in which a backfill or a sweep loads the engine."""
    started: float
    seconds: float
    writes: int
    """Acknowledged within the window."""
    own_gap_ms: float
    """The longest that touches no moment in which a process was struck: the flip's own."""

    @property
    def within_goal(self) -> bool:
        return self.gap_ms <= FLIP_FACTOR_MAX * self.ordinary_p999_ms


def flip_gaps(
    acked: Sequence[float],
    flips: Sequence[Flip],
    unusual: Sequence[Window],
    busy: Sequence[Window] = (),
) -> tuple[FlipGap, ...]:
    """Measure each flip. ``acked`` are the ends of all acknowledged writes, in any order;
    ``busy`` are ordinary moments that are not calm."""
    times = sorted(set(acked))
    excluded = [flip.window for flip in flips] + list(unusual)
    ordinary_ms = _p999_ms(times, excluded)
    calm_ms = _p999_ms(times, [*excluded, *busy])
    return tuple(_measure(times, flip, ordinary_ms, calm_ms, unusual) for flip in flips)


def percentile(values: Sequence[float], share: float) -> float:
    """Nearest rank; 0.0 of nothing."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def _p999_ms(times: Sequence[float], excluded: Sequence[Window]) -> float:
    gaps = [
        later - earlier
        for earlier, later in pairwise(times)
        if not any(_touches(earlier, later, window) for window in excluded)
    ]
    return percentile(gaps, 0.999) * 1000


def _measure(
    times: Sequence[float],
    flip: Flip,
    ordinary_ms: float,
    calm_ms: float,
    unusual: Sequence[Window],
) -> FlipGap:
    window = flip.window
    inside = [time for time in times if window.start <= time <= window.end]
    before = [time for time in times if time < window.start][-1:]
    after = [time for time in times if time > window.end][:1]
    bounded = (before or [window.start]) + inside + (after or [window.end])
    gaps = list(pairwise(bounded))
    own = [gap for gap in gaps if not any(_touches(*gap, window) for window in unusual)]
    return FlipGap(
        direction=flip.direction.value,
        gap_ms=_longest_ms(gaps),
        ordinary_p999_ms=ordinary_ms,
        calm_p999_ms=calm_ms,
        started=window.start,
        seconds=window.end - window.start,
        writes=len(inside),
        own_gap_ms=_longest_ms(own),
    )


def _longest_ms(gaps: Sequence[tuple[float, float]]) -> float:
    return max((later - earlier for earlier, later in gaps), default=0.0) * 1000


def _touches(earlier: float, later: float, window: Window) -> bool:
    return earlier <= window.end and later >= window.start
