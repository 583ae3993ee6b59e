"""A day that went by: records that nobody read in time are gone from their streams."""

from tests.simulation.world.plan import SHORT_DAY_SECONDS, Event, Plan
from tests.simulation.world.world import World

CUT_AT, CUT_SECONDS = 12.0, 10.0
UNREAD = Plan(
    seed=4, seconds=70.0, tables=("notes",), proxies=2, consumers=1, controllers=1, clients=3,
    splits_first=0, skew_seconds=0.0, hurried=True, bold=True, dwell_seconds=24.0,
    think_seconds=0.3, retention_seconds=SHORT_DAY_SECONDS,
    events=(
        Event("cut from engine", CUT_AT, CUT_SECONDS, 0.0),  # the consumer, for over two days
        *(Event("bypass", CUT_AT + n / 2, 0.0, 0.0) for n in range(8)),
    ),
)  # fmt: skip
"""The only consumer reads nothing for longer than records are kept, while somebody writes past the
proxies: the stream alone could have told of that."""


def test_a_stream_left_unread_closes_the_gates_and_a_sweep_heals_it() -> None:
    """The lead does not move while changes may be unknown; once a sweep has found them it does,
    and in the end both tables are equal."""
    world = World(UNREAD)
    outcome = world.run()
    assert not outcome.violations
    assert outcome.counts["trimmed unread"] == 2
    assert outcome.counts["gate no_gap closed"]
    assert outcome.counts["command verify done"]
    assert outcome.counts["command flip done"]
