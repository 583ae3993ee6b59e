"""Who should read which shard. A pure choice that each consumer makes for itself, from what all of
them see; compare-and-set settles it where they see differently.

Both sides of a table are kept on one consumer where that can be: only there are the two records of
one write matched without a read.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass

SMALL_GROUP = 2
"""A table with more shards than this is worth splitting between consumers."""


@dataclass(frozen=True, slots=True)
class Seat:
    """One shard that has records left, and who reads it."""

    table: str
    owner: str
    free: bool
    """Nobody owns it, or its lease stood still for too long."""


def choose(seats: Mapping[str, Seat], live: Collection[str], me: str) -> tuple[str, ...]:
    """The leases that ``me`` should take now: free ones that fall to it; else, where another
    consumer has clearly more, one table's (or one shard's) of that one's."""
    everybody = sorted({*live, me})
    held = {name: seat.owner for name, seat in seats.items() if not seat.free}
    free = sorted(name for name, seat in seats.items() if seat.free)
    if free:
        return tuple(name for name in free if _falls_to(name, seats, held, everybody) == me)
    return _stolen(seats, held, everybody, me)


def _falls_to(
    name: str, seats: Mapping[str, Seat], held: dict[str, str], everybody: list[str]
) -> str:
    """Who takes a free lease: whoever reads that table already, else who has least to read."""
    table = seats[name].table
    load = Counter(dict.fromkeys(everybody, 0))
    load.update(owner for owner in held.values() if owner in load)
    siblings = Counter(
        owner for other, owner in held.items() if seats[other].table == table and owner in load
    )
    best = min(everybody, key=lambda who: (load[who], who))
    if siblings:
        neighbour = min(siblings, key=lambda who: (-siblings[who], load[who], who))
        # A large table is spread: its neighbour takes more only while he has not too much.
        if siblings[neighbour] < SMALL_GROUP or load[neighbour] <= load[best]:
            best = neighbour
    held[name] = best
    return best


def _stolen(
    seats: Mapping[str, Seat], held: Mapping[str, str], everybody: list[str], me: str
) -> tuple[str, ...]:
    load = Counter(dict.fromkeys(everybody, 0))
    load.update(held.values())
    if any(load[who] < load[me] or (load[who] == load[me] and who < me) for who in everybody):
        return ()  # one steals at a time: the one with least
    victim = max(everybody, key=lambda who: (load[who], who))
    surplus = load[victim] - load[me]
    groups: dict[str, list[str]] = defaultdict(list)
    for name, owner in sorted(held.items()):
        if owner == victim:
            groups[seats[name].table].append(name)
    candidates = [tuple(group) for group in groups.values()]
    candidates += [(group[0],) for group in groups.values() if len(group) > SMALL_GROUP]
    fitting = [group for group in candidates if 2 * len(group) <= surplus]
    return max(fitting, key=lambda group: (len(group), group), default=())
