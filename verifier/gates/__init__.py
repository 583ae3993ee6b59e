"""Which move needs which preconditions: one table, and one precondition a file."""

from collections.abc import Mapping

from dualwrite.core.phases import Kind, Phase, Side, TableState
from verifier.gates.acknowledged import acknowledged
from verifier.gates.backfill_complete import backfill_complete
from verifier.gates.barrier_passed import barrier_passed
from verifier.gates.big_transactions import big_transactions
from verifier.gates.bypass_quiet import bypass_quiet
from verifier.gates.coverage_unbroken import coverage_unbroken
from verifier.gates.follower_written import follower_written
from verifier.gates.followers_written import followers_written
from verifier.gates.lag_bounded import lag_bounded
from verifier.gates.no_gap import no_gap
from verifier.gates.nothing_only_on_new import nothing_only_on_new
from verifier.gates.one_spec import one_spec
from verifier.gates.reads_on_new import reads_on_new
from verifier.gates.reads_on_old import reads_on_old
from verifier.gates.repairs_drained import repairs_drained
from verifier.gates.sides_together import sides_together
from verifier.gates.streams_read import streams_read
from verifier.gates.sweep_clean import sweep_clean
from verifier.gates.swept_since_flip import swept_since_flip
from verifier.gates.untransformable_accepted import untransformable_accepted
from verifier.gates.verdicts import Gate

ABOUT_POISON: frozenset[Gate] = frozenset({nothing_only_on_new, untransformable_accepted})
"""Those that ask for the list of poison, which may be long and is read for them alone."""

MOVES: Mapping[Kind, Mapping[tuple[Phase, Phase], tuple[Gate, ...]]] = {
    Kind.REKEY: {
        (Phase.OFF, Phase.MIRROR_OLD): (acknowledged, one_spec),
        (Phase.MIRROR_OLD, Phase.OFF): (acknowledged, reads_on_old),
        (Phase.MIRROR_OLD, Phase.ATOMIC_OLD): (
            sides_together,
            acknowledged,
            one_spec,
            followers_written,
            streams_read,
            no_gap,
            backfill_complete,
            lag_bounded,
            bypass_quiet,
            big_transactions,
            untransformable_accepted,
        ),
        (Phase.ATOMIC_OLD, Phase.MIRROR_OLD): (acknowledged,),
        (Phase.ATOMIC_OLD, Phase.ATOMIC_NEW): (
            acknowledged,
            one_spec,
            streams_read,
            no_gap,
            backfill_complete,
            barrier_passed,
            lag_bounded,
            repairs_drained,
            sweep_clean,
            bypass_quiet,
            big_transactions,
            untransformable_accepted,
        ),
        (Phase.ATOMIC_NEW, Phase.ATOMIC_OLD): (
            acknowledged,
            streams_read,
            coverage_unbroken,
            barrier_passed,
            lag_bounded,
            repairs_drained,
            sweep_clean,
            bypass_quiet,
            big_transactions,
            nothing_only_on_new,
        ),
        (Phase.ATOMIC_NEW, Phase.MIRROR_NEW): (
            acknowledged,
            streams_read,
            coverage_unbroken,
            lag_bounded,
        ),
        (Phase.MIRROR_NEW, Phase.ATOMIC_NEW): (
            sides_together,
            acknowledged,
            followers_written,
            streams_read,
            coverage_unbroken,
            lag_bounded,
            bypass_quiet,
            big_transactions,
        ),
        (Phase.MIRROR_NEW, Phase.DONE): (
            acknowledged,
            one_spec,
            streams_read,
            no_gap,
            lag_bounded,
            repairs_drained,
            sweep_clean,
            swept_since_flip,
            bypass_quiet,
            reads_on_new,
        ),
    },
    Kind.IN_PLACE: {
        (Phase.OFF, Phase.MIRROR_OLD): (acknowledged, one_spec),
        (Phase.MIRROR_OLD, Phase.OFF): (acknowledged,),
        (Phase.MIRROR_OLD, Phase.DONE): (
            acknowledged,
            one_spec,
            streams_read,
            no_gap,
            backfill_complete,
            lag_bounded,
            repairs_drained,
            sweep_clean,
            untransformable_accepted,
        ),
    },
}
"""Every legal move and its gates; a move that is not here is not judged but refused. ``one_spec``
is asked for on the way forward only: nothing but safety may stand in the way back."""

READS_FROM_FOLLOWER: Mapping[Side, tuple[Gate, ...]] = {
    Side.OLD: (
        one_spec,
        follower_written,
        followers_written,
        streams_read,
        no_gap,
        backfill_complete,
        sweep_clean,
        repairs_drained,
        lag_bounded,
    ),
    Side.NEW: (
        follower_written,
        followers_written,
        streams_read,
        coverage_unbroken,
        repairs_drained,
        lag_bounded,
    ),
}
"""By leader: what more reads from the other side need."""


COPY: tuple[Gate, ...] = (streams_read,)
"""What a backfill needs: what it copies too early is cured from the streams."""


def gates_of_move(kind: Kind, start: Phase, goal: Phase) -> tuple[Gate, ...]:
    """The gates of a legal move; raises KeyError for any other."""
    return MOVES[kind][(start, goal)]


def gates_of_reads(state: TableState, share: int) -> tuple[Gate, ...]:
    """The gates of a change of the share of reads. Reading more from the leader is always safe."""
    leader = state.phase.leader
    from_follower = share if leader is Side.OLD else 100 - share
    now = state.read_share if leader is Side.OLD else 100 - state.read_share
    return READS_FROM_FOLLOWER[leader] if from_follower > now else ()
