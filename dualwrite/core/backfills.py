"""What the records of one backfill say together: into how many segments, and how far it is.

A run may be split anew while it goes on. Each split has segments of its own, whose names tell it,
so that no checkpoint is ever taken for that of another split; a new one begins at the start of the
table. What was copied before is found present, which costs reads and no write.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from dualwrite.core.records import RUN, BackfillOrder, Segment

SEGMENTS_MIN = 4
SEGMENTS_MAX = 1_000
SEGMENT_BYTES = 1024**3
SEGMENT_ITEMS = 1_000_000
"""One segment for so much: large enough that its records cost nothing, small enough that a process
which dies leaves only little undone for whoever takes over."""
SHARE_MAX = 0.99
"""The engine's counts are hours old at AWS, so an unfinished copy never claims to be whole."""


@dataclass(frozen=True, slots=True)
class TableSize:
    """What the engine says of a table; at AWS it is some hours old."""

    items: int = 0
    bytes: int = 0


def segments_for(size: TableSize) -> int:
    """Into how many segments a table of that size is split."""
    wanted = max(-(-size.bytes // SEGMENT_BYTES), -(-size.items // SEGMENT_ITEMS))
    return min(SEGMENTS_MAX, max(SEGMENTS_MIN, wanted))


def segments_prefix(table: str, order: BackfillOrder) -> str:
    """What the names of the segments of the newest split begin with."""
    return f"{table}/{order.scan}/"


def segment_name(table: str, order: BackfillOrder, number: int) -> str:
    """A segment's name in the control table."""
    return f"{segments_prefix(table, order)}{number}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is, in its newest split."""

    segments: int
    segments_done: int
    scanned: int
    copied: int
    present: int
    left: int
    bytes: int
    share: float
    """0..1; 1 only where it is complete."""
    eta_seconds: float | None
    """None where nothing tells."""

    @property
    def complete(self) -> bool:
        return self.segments_done >= self.segments > 0


def progress_of(order: BackfillOrder, segments: Iterable[Segment]) -> Progress:
    """Put the segments of the newest split together."""
    found = list(segments)
    done = sum(segment.done for segment in found)
    complete = done >= order.segments > 0
    share = 1.0 if complete else _share(order, found, done)
    return Progress(
        segments=order.segments,
        segments_done=done,
        scanned=sum(segment.scanned for segment in found),
        copied=sum(segment.copied for segment in found),
        present=sum(segment.present for segment in found),
        left=sum(segment.left for segment in found),
        bytes=sum(segment.bytes for segment in found),
        share=share,
        eta_seconds=0.0 if complete else _eta_seconds(order, found, share),
    )


def _share(order: BackfillOrder, segments: Sequence[Segment], done: int) -> float:
    if order.items_estimate:
        return min(SHARE_MAX, sum(one.scanned for one in segments) / order.items_estimate)
    if order.bytes_estimate:
        return min(SHARE_MAX, sum(one.bytes for one in segments) / order.bytes_estimate)
    return done / max(1, order.segments)


def _eta_seconds(order: BackfillOrder, segments: Sequence[Segment], share: float) -> float | None:
    """From the time that the segments in work have really taken, so that a pause does not count."""
    hands = sum(bool(segment.owner) and not segment.done for segment in segments)
    busy_seconds = sum(segment.busy_ms for segment in segments) / 1000
    if order.wanted != RUN or not hands or not busy_seconds or share <= 0:
        return None
    return busy_seconds * (1 - share) / share / hands
