"""What an operator may say of a backfill: the words of a command's argument."""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from math import isfinite
from typing import Any

from dualwrite.core.backfills import SEGMENTS_MAX
from dualwrite.core.items import TRANSACTION_ACTIONS_MAX
from dualwrite.core.records import BackfillOrder

TOGETHER_MAX = TRANSACTION_ACTIONS_MAX // 2
"""Copying an item takes two actions of a transaction."""


@dataclass(frozen=True, slots=True)
class Copying:
    """None: what it was, or the default."""

    segments: int | None = None
    """None at the start: by the table's size."""
    reads: float | None = None
    """Read units a second; 0: no limit."""
    writes: float | None = None
    """Write units a second, on either side; 0: no limit."""
    together: int | None = None

    @property
    def words(self) -> str:
        """As a command's argument: ``segments=8 reads=100``."""
        told = {name: value for name, value in asdict(self).items() if value is not None}
        return " ".join(f"{name}={value:.15g}" for name, value in told.items())

    def applied(self, order: BackfillOrder) -> BackfillOrder:
        """An order changed by what is told; another number of segments is another split."""
        changed = replace(
            order,
            read_units_per_second_max=_told(self.reads, order.read_units_per_second_max),
            write_units_per_second_max=_told(self.writes, order.write_units_per_second_max),
            items_together=_told(self.together, order.items_together),
        )
        if self.segments in (None, order.segments):
            return changed
        assert self.segments is not None
        return replace(changed, segments=self.segments, split=order.split + 1)


def copying_of(argument: str) -> Copying | None:
    """The inverse of ``words``; None for nonsense."""
    told: dict[str, Any] = {}
    for word in argument.split():
        name, _, text = word.partition("=")
        if name not in _WORDS or name in told:
            return None
        parse, low, high = _WORDS[name]
        try:
            told[name] = parse(text)
        except ValueError:
            return None
        if not isfinite(told[name]) or not low <= told[name] <= high:
            return None
    return Copying(**told)


_WORDS: Mapping[str, tuple[Callable[[str], float], float, float]] = {
    "segments": (int, 1, SEGMENTS_MAX),
    "reads": (float, 0.0, float("inf")),
    "writes": (float, 0.0, float("inf")),
    "together": (int, 1, TOGETHER_MAX),
}
"""What each word is, its least and its most."""


def _told(told: Any, before: Any) -> Any:
    return before if told is None else told
