"""The stamp: a hybrid logical clock reading that orders all writes to an item.

A stamp has a fixed width, so that string order is time order: wall milliseconds, logical counter,
then the epoch it was written under, the writer, and the operation. The clock is Kulkarni et al.,
"Logical Physical Clocks" (2014): it never runs behind a stamp it has seen.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

LOGICAL_MAX = 99_999
WRITER_LENGTH = 8
AHEAD_MS_MAX = 3_600_000
"""How far the clocks of our processes may be apart: a signature is refused at five minutes, so an
hour is no clock of ours."""
EPOCH_AT = slice(20, 26)
"""Where the epoch stands in a stamp's text."""
FLOOR = "0000000000000.00000.000000.floor000.00000000"
"""Older than every write; carried by items that were copied before anyone stamped them."""


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """A parsed stamp; comparing stamps and comparing their texts agree."""

    wall_ms: int
    logical: int
    epoch: int
    writer: str
    operation: int

    def __str__(self) -> str:
        return _text(self.wall_ms, self.logical, self.epoch, self.writer, self.operation)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises ValueError for a text that no clock of ours wrote."""
        wall, logical, epoch, writer, operation = text.split(".")
        stamp = cls(int(wall), int(logical), int(epoch), writer, int(operation, 16))
        if str(stamp) != text or len(text) != len(FLOOR):
            raise ValueError(f"not of the fixed width that makes stamps comparable: {text!r}")
        return stamp


def epoch_of(text: str) -> int | None:
    """The epoch that a stamp was given out under; None for a text that no clock wrote."""
    part = text[EPOCH_AT]
    return int(part) if part.isdecimal() else None


class HybridClock:
    """Gives out rising stamps for one writer; ``now_ms`` is the injected wall clock."""

    def __init__(self, writer: str, now_ms: Callable[[], int]) -> None:
        if len(writer) != WRITER_LENGTH or "." in writer:
            raise ValueError(f"a writer id has {WRITER_LENGTH} characters and no dot: {writer!r}")
        self._writer = writer
        self._now_ms = now_ms
        self._wall_ms = 0
        self._logical = 0
        self._operation = 0

    def next(self, epoch: int) -> str:
        """A stamp newer than any given out or observed here before."""
        now = self._now_ms()
        if now > self._wall_ms:
            self._wall_ms, self._logical = now, 0
        else:
            self._tick()
        self._operation = (self._operation + 1) & 0xFFFFFFFF
        return _text(self._wall_ms, self._logical, epoch, self._writer, self._operation)

    def observe(self, text: str) -> bool:
        """Move the clock past a stamp that somebody else wrote; False for one that no clock of
        ours can have written: of another form, or further ahead than clocks may differ. It moves
        the clock nowhere, or one item could drive the stamps of all others out of their width."""
        try:
            seen = Stamp.parse(text)
        except ValueError:
            return False
        if seen.wall_ms > self._now_ms() + AHEAD_MS_MAX:
            return False
        if (seen.wall_ms, seen.logical) > (self._wall_ms, self._logical):
            self._wall_ms, self._logical = seen.wall_ms, seen.logical
        return True

    def _tick(self) -> None:
        self._logical += 1
        if self._logical > LOGICAL_MAX:
            self._wall_ms, self._logical = self._wall_ms + 1, 0


def _text(wall_ms: int, logical: int, epoch: int, writer: str, operation: int) -> str:
    return f"{wall_ms:013d}.{logical:05d}.{epoch:06d}.{writer}.{operation:08x}"
