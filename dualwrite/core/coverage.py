"""What was read of the streams without a gap, in an order that no clock can turn around.

Each stream counts its gaps. Who takes the counts of a moment knows later whether there was a gap
since then: they are higher, or there are counts of streams that were not read yet.
"""

from collections.abc import Iterable, Mapping

from dualwrite.core.ports import Record
from dualwrite.core.records import StreamProgress, load


def gaps_of(streams: Iterable[Record]) -> dict[str, int]:
    """One table's count of gaps by side, from its STREAM records."""
    return {
        record.name.rpartition("/")[2]: load(StreamProgress, record.value).gaps
        for record in streams
    }


def unbroken(before: Mapping[str, int], now: Mapping[str, int]) -> bool:
    """Whether every stream that is read now has been read since then, without a gap."""
    return bool(now) and all(before.get(side) == gaps for side, gaps in now.items())
