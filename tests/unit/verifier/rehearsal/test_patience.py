"""A rehearsal waits while things move, however slowly, and gives up once nothing does."""

from dualwrite.core.records import StreamProgress
from dualwrite.queued import Queued
from verifier.rehearsal.monitor import Seen
from verifier.rehearsal.patience import Patience, Settling


def stream(tip_ms: int, lag_seconds: float) -> StreamProgress:
    return StreamProgress(lag_seconds=lag_seconds, lag_records=0, tip_ms=tip_ms)


def test_slow_progress_is_waited_for_without_end() -> None:
    """Each movement begins the patience anew."""
    patience = Patience(150.0, 0.0)
    assert all(patience.lasts(step, step * 140.0) for step in range(100))


def test_standstill_ends_the_wait() -> None:
    """The same value for longer than the bound, and not before."""
    patience = Patience(150.0, 0.0)
    assert patience.lasts("half", 10.0)
    assert patience.lasts("half", 160.0)
    assert not patience.lasts("half", 161.0)


def test_going_to_and_fro_is_no_progress() -> None:
    """Lag and repairs that only swing show nothing new, nor does a tip past the wanted moment: a
    gate that never opens cannot be waited for for ever."""
    settling = Settling(since_ms=1000)
    seen = Seen(streams={"t/old": stream(900, 5.0)}, repairs={"t": Queued(1, 0, 0)})
    first = settling.shown(seen)
    seen.streams["t/old"] = stream(1000, 3.0)
    nearer = settling.shown(seen)
    assert nearer != first
    seen.streams["t/old"] = stream(5000, 9.0)
    seen.repairs["t"] = Queued(2, 0, 0)
    assert settling.shown(seen) == nearer
