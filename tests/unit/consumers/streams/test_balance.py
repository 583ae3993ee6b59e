"""Who reads which shard."""

from collections import Counter

from consumers.streams.balance import Seat, choose

TABLES = ("a", "b", "c", "d", "e")


def seats(owner: str = "", *, tables: tuple[str, ...] = TABLES, shards: int = 1) -> dict[str, Seat]:
    return {
        f"{table}/{side}/{shard}": Seat(table, owner, not owner)
        for table in tables
        for side in ("old", "new")
        for shard in range(shards)
    }


def settle(held: dict[str, Seat], live: tuple[str, ...], rounds: int = 60) -> dict[str, Seat]:
    """All consumers choose in turn until nobody wants more."""
    for _ in range(rounds):
        before = dict(held)
        for me in live:
            for name in choose(held, live, me):
                held[name] = Seat(held[name].table, me, False)
        if held == before:
            return held
    raise AssertionError("the consumers never come to rest")


def test_one_consumer_takes_everything() -> None:
    """Nothing stays unread."""
    assert set(choose(seats(), ["x"], "x")) == set(seats())


def test_free_shards_are_shared_and_tables_stay_whole() -> None:
    """Consumers that start together take disjoint shares, both sides of a table together."""
    one, two = (set(choose(seats(), ["x", "y"], me)) for me in "xy")
    assert one | two == set(seats())
    assert not one & two
    assert {name[0] for name in one} & {name[0] for name in two} == set()
    assert abs(len(one) - len(two)) <= 2


def test_who_joins_gets_his_share_one_table_at_a_time() -> None:
    """Stealing ends, and leaves tables whole."""
    held = seats("x")
    assert len(choose(held, ["x", "y"], "y")) == 2
    assert choose(held, ["x", "y"], "x") == ()
    settled = settle(held, ("x", "y"))
    assert sorted(Counter(seat.owner for seat in settled.values()).values()) == [4, 6]
    owners = {(seat.table, seat.owner) for seat in settled.values()}
    assert len(owners) == len(TABLES)


def test_a_large_table_is_spread() -> None:
    """One table's many shards are no reason for one consumer to do all the work."""
    held = settle(seats("x", tables=("a",), shards=8), ("x", "y"))
    assert sorted(Counter(seat.owner for seat in held.values()).values()) == [8, 8]
    fresh = settle(seats(tables=("a",), shards=8), ("x", "y"))
    assert max(Counter(seat.owner for seat in fresh.values()).values()) <= 9


def test_the_dead_ones_shards_go_to_the_living() -> None:
    """A lease that stood still is free; its table's reader gets it, where there is one."""
    held = seats("x", tables=("a", "b"))
    held["b/new/0"] = Seat("b", "y", False)
    held["b/old/0"] = Seat("b", "dead", True)
    assert choose(held, ["x", "y"], "y") == ("b/old/0",)
    assert choose(held, ["x", "y"], "x") == ()
