"""Each gate opens on good evidence, closes on bad, and never opens on evidence it has not."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from dualwrite.core.phases import NEXT, Kind, Phase, Side, TableState, is_flip
from dualwrite.core.records import (
    AuditEntry,
    Barrier,
    BigTransactions,
    Bypass,
    Member,
    StreamProgress,
    SweepResult,
)
from dualwrite.core.spec import Underivable, Unmappable
from tests.fakes.verifying import boards, cards, votes
from verifier.evidence import ABSENT, BackfillSeen, Evidence, PoisonKind, RepairsSeen
from verifier.gates import MOVES, READS_FROM_FOLLOWER, gates_of_move, gates_of_reads
from verifier.gates.verdicts import Gate, judged

NOW_MS = 1_700_000_100_000
SWEEP = SweepResult(
    "sweep-1",
    started_ms=NOW_MS - 50_000,
    finished_ms=NOW_MS - 40_000,
    done=True,
    compared=10,
    phase="mirror/old",
    epoch=5,
    backfill_run="fill-1",
    gaps={"old": 0, "new": 0},
)
STREAM = StreamProgress(
    0.2, 0, NOW_MS, barrier="line-1", unbroken_since_ms=NOW_MS - 90_000, updated_ms=NOW_MS - 500
)
BOTH = {Side.OLD: STREAM, Side.NEW: STREAM}
LEAD = AuditEntry(
    NOW_MS - 60_000, "me", "", "flip", "boards", "atomic/old", "atomic/new", 5,
    gaps={"old": 0, "new": 0},
)  # fmt: skip
READ = {Side.OLD: 0.5, Side.NEW: 0.7}
GOOD = Evidence(
    table=boards(),
    state=TableState("boards", 5, Phase.ATOMIC_NEW, read_share=100, lead_epoch=5),
    now_ms=NOW_MS,
    spec="s1",
    members={"p1": Member("proxy", 1, 1, 3.0, {"boards": 5}, spec="s1")},
    backfill=BackfillSeen("fill-1", 4, 4, "run"),
    sweep=SWEEP,
    streams=BOTH,
    barrier=Barrier("line-1", NOW_MS),
    repairs=RepairsSeen(0, 0, {}),
    bypass=ABSENT,
    big_transactions=ABSENT,
    lead=LEAD,
    ages_seconds=READ,
)
"""Everything is well, five epochs in."""
OLD_LEADS = TableState("boards", 5, Phase.ATOMIC_OLD)
POISON = PoisonKind("old", "unmapped")


def streams(**changes: Any) -> Mapping[Side, StreamProgress]:
    return {Side.OLD: STREAM, Side.NEW: replace(STREAM, **changes)}


def poisoned(*kinds: PoisonKind, **policies: Any) -> dict[str, Any]:
    return {
        "repairs": RepairsSeen(0, 0, dict.fromkeys(kinds, 2)),
        "table": replace(boards(), **policies),
    }


ALL: dict[str, Gate] = {
    gate.__name__: gate for moves in MOVES.values() for gates in moves.values() for gate in gates
} | {gate.__name__: gate for gates in READS_FROM_FOLLOWER.values() for gate in gates}

OPEN: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in sorted(ALL) if name != "reads_on_old"),
    ("reads_on_old", {"state": OLD_LEADS}),
    ("acknowledged", {"members": {}}),
    ("bypass_quiet", {"bypass": Bypass(3, NOW_MS - 31_000)}),
    ("big_transactions", {"big_transactions": BigTransactions(2, NOW_MS, accepted=2)}),
    ("untransformable_accepted", poisoned(POISON, unmappable=Unmappable.LEAVE)),
    ("untransformable_accepted", {"sweep": replace(SWEEP, orphans=2),
                                  "table": replace(boards(), underivable=Underivable.CARRY)}),
    ("untransformable_accepted", {"sweep": ABSENT}),
    ("no_gap", {"streams": streams(gaps=1), "sweep": replace(SWEEP, gaps={"old": 0, "new": 1})}),
    ("coverage_unbroken", {"sweep": replace(SWEEP, different=1)}),
    ("coverage_unbroken",
     {"streams": streams(gaps=1), "sweep": replace(SWEEP, gaps={"old": 0, "new": 1})}),
    ("nothing_only_on_new", {"repairs": RepairsSeen(0, 0, {POISON: 1})}),
    ("nothing_only_on_new",
     {"repairs": RepairsSeen(0, 0, {PoisonKind("old", "oversize"): 1})}),
]  # fmt: skip

CLOSED: list[tuple[str, dict[str, Any], bool]] = [
    ("acknowledged", {"members": {"p1": Member("proxy", 1, 1, 3.0, {"boards": 4})}}, True),
    ("acknowledged", {"members": {"p1": Member("proxy", 1, 1, 3.0)}}, True),
    ("backfill_complete", {"backfill": ABSENT}, False),
    ("backfill_complete", {"backfill": BackfillSeen("fill-1", 4, 3, "run")}, True),
    ("backfill_complete", {"backfill": BackfillSeen("fill-1", 4, 3, "pause")}, False),
    ("barrier_passed", {"barrier": ABSENT}, True),
    ("barrier_passed", {"streams": streams(barrier="line-0")}, True),
    ("barrier_passed", {"ages_seconds": READ | {Side.NEW: 60.0}}, True),
    ("big_transactions", {"big_transactions": BigTransactions(2, NOW_MS, accepted=1)}, False),
    ("bypass_quiet", {"bypass": Bypass(3, NOW_MS - 2_000)}, True),
    ("coverage_unbroken", {"streams": streams(gaps=1)}, False),
    ("coverage_unbroken", {"streams": streams(gaps=1), "sweep": ABSENT}, False),
    ("coverage_unbroken",
     {"streams": streams(gaps=1),
      "sweep": replace(SWEEP, gaps={"old": 0, "new": 1}, different=1)}, False),
    ("coverage_unbroken",
     {"lead": replace(LEAD, gaps={"old": 0}), "sweep": replace(SWEEP, gaps={})}, False),
    ("coverage_unbroken", {"streams": streams(unbroken_since_ms=0)}, True),
    ("sides_together", {"apart": True}, False),
    ("followers_written",
     {"members": {"p1": Member("proxy", 1, 1, 3.0, {}, held_back=["boards"])}}, True),
    ("follower_written", {"state": TableState("boards", 1, Phase.OFF)}, False),
    ("lag_bounded", {"streams": streams(lag_seconds=5.0)}, True),
    ("lag_bounded", {"streams": {Side.OLD: STREAM, Side.NEW: ABSENT}}, True),
    ("no_gap", {"streams": streams(gaps=1)}, False),
    ("no_gap", {"streams": streams(gaps=2),
                "sweep": replace(SWEEP, gaps={"old": 0, "new": 1})}, False),
    ("no_gap", {"streams": streams(gaps=1),
                "sweep": replace(SWEEP, gaps={"old": 0, "new": 1}, errors=1)}, False),
    ("nothing_only_on_new", {"repairs": RepairsSeen(0, 0, {PoisonKind("new", "x"): 1})}, False),
    ("nothing_only_on_new", {"sweep": replace(SWEEP, only_on_new=1)}, False),
    ("nothing_only_on_new", {"repairs": RepairsSeen(
        0, 0, {PoisonKind("old", "refused", since_lead=True): 1})}, False),
    ("one_spec", {"members": {"p1": Member("proxy", 1, 1, 3.0, {"boards": 5}, spec="s2")}}, True),
    ("one_spec", {"members": {"p1": Member("proxy", 1, 1, 3.0, {"boards": 5})}}, True),
    ("reads_on_new", {"state": replace(GOOD.state, read_share=25)}, False),
    ("reads_on_old", {"state": replace(OLD_LEADS, read_share=1)}, False),
    ("repairs_drained", {"repairs": RepairsSeen(2, NOW_MS - 9_000)}, True),
    ("streams_read", {"streams": {Side.OLD: STREAM, Side.NEW: ABSENT}}, True),
    ("streams_read", {"ages_seconds": READ | {Side.NEW: 60.0}}, True),
    ("streams_read", {"ages_seconds": READ | {Side.NEW: None}}, True),
    ("streams_read", {"streams": streams(updated_ms=0)}, True),
    ("sweep_clean", {"sweep": ABSENT}, False),
    ("sweep_clean", {"sweep": replace(SWEEP, done=False)}, True),
    ("sweep_clean", {"sweep": replace(SWEEP, missing=1)}, False),
    ("sweep_clean", {"sweep": replace(SWEEP, extra=1)}, False),
    ("sweep_clean", {"sweep": replace(SWEEP, different=1)}, False),
    ("sweep_clean", {"sweep": replace(SWEEP, errors=1)}, False),
    ("sweep_clean", {"sweep": replace(SWEEP, backfill_run="")}, False),
    ("sweep_clean", {"sweep": replace(SWEEP, backfill_run="fill-0")}, False),
    ("sweep_clean", {"backfill": ABSENT, "sweep": replace(SWEEP, backfill_run="")}, False),
    ("swept_since_flip", {"sweep": ABSENT}, False),
    ("swept_since_flip", {"sweep": replace(SWEEP, epoch=4)}, False),
    ("swept_since_flip", {"state": OLD_LEADS}, False),
    ("untransformable_accepted", poisoned(POISON, unmappable=Unmappable.HOLD), False),
    ("untransformable_accepted", poisoned(replace(POISON, reason="gave up")), False),
    ("untransformable_accepted", {"sweep": replace(SWEEP, orphans=1)}, False),
    ("untransformable_accepted",
     poisoned(replace(POISON, reason="refused"), unmappable=Unmappable.HOLD), False),
    ("untransformable_accepted",
     {"table": replace(cards(), underivable=Underivable.HOLD),
      "repairs": RepairsSeen(0, 0, {PoisonKind("old", "orphan"): 1})}, False),
]  # fmt: skip

UNKNOWN: list[tuple[str, dict[str, Any]]] = [
    ("acknowledged", {"members": None}),
    ("backfill_complete", {"backfill": None}),
    ("barrier_passed", {"barrier": None}),
    ("barrier_passed", {"streams": None}),
    ("big_transactions", {"big_transactions": None}),
    ("bypass_quiet", {"bypass": None}),
    ("coverage_unbroken", {"streams": {Side.OLD: None, Side.NEW: STREAM}}),
    ("coverage_unbroken", {"lead": None, "sweep": ABSENT, "streams": streams(gaps=1)}),
    ("coverage_unbroken", {"lead": None, "sweep": None}),
    ("followers_written", {"members": None}),
    ("lag_bounded", {"streams": {Side.OLD: STREAM, Side.NEW: None}}),
    ("one_spec", {"members": None}),
    ("no_gap", {"streams": {Side.OLD: None, Side.NEW: STREAM}}),
    ("no_gap", {"streams": streams(gaps=1), "sweep": None}),
    ("nothing_only_on_new", {"repairs": None}),
    ("nothing_only_on_new", {"repairs": RepairsSeen(0, 0)}),
    ("untransformable_accepted", {"repairs": RepairsSeen(0, 0)}),
    ("nothing_only_on_new", {"sweep": None}),
    ("repairs_drained", {"repairs": None}),
    ("streams_read", {"streams": None}),
    ("sweep_clean", {"sweep": None}),
    ("sweep_clean", {"backfill": None}),
    ("swept_since_flip", {"sweep": None}),
    ("untransformable_accepted", {"repairs": None}),
    ("untransformable_accepted", {"sweep": None}),
]
OF_THE_STATE_ALONE = {"follower_written", "reads_on_new", "reads_on_old", "sides_together"}
"""They judge by what the caller holds in hand, which is never unknown."""


@pytest.mark.parametrize(("name", "changes"), OPEN)
def test_a_gate_opens_on_good_evidence(name: str, changes: dict[str, Any]) -> None:
    """The gate named is open."""
    verdict = judged(ALL[name], replace(GOOD, **changes))
    assert (verdict.gate, verdict.verdict) == (name, "open")
    assert verdict.reason


@pytest.mark.parametrize(("name", "changes", "waits"), CLOSED)
def test_a_gate_closes_on_bad_evidence(name: str, changes: dict[str, Any], waits: bool) -> None:
    """The gate named is closed, says what mends it, and whether waiting may."""
    verdict = judged(ALL[name], replace(GOOD, **changes))
    assert (verdict.gate, verdict.verdict, verdict.waits) == (name, "closed", waits)
    assert verdict.see.startswith("dualwrite ")


@pytest.mark.parametrize(("name", "changes"), UNKNOWN)
def test_a_gate_never_opens_on_what_is_unknown(name: str, changes: dict[str, Any]) -> None:
    """Evidence that could not be read gives unknown."""
    verdict = judged(ALL[name], replace(GOOD, **changes))
    assert (verdict.gate, verdict.verdict) == (name, "unknown")


def test_no_gate_opens_on_nothing() -> None:
    """With no evidence at all, every gate that needs some is unknown."""
    nothing = Evidence(table=boards(), state=GOOD.state, now_ms=NOW_MS)
    for name in ALL.keys() - OF_THE_STATE_ALONE:
        assert ALL[name](nothing).verdict == "unknown", name


def test_every_gate_is_tested_open_closed_and_unknown() -> None:
    """A new gate comes with its three kinds of cases."""
    assert {name for name, _ in OPEN} == ALL.keys()
    assert {name for name, *_ in CLOSED} == ALL.keys()
    assert {name for name, _ in UNKNOWN} == ALL.keys() - OF_THE_STATE_ALONE


def test_every_gate_says_why_it_exists() -> None:
    """A gate's docstring is the reason of its being."""
    for name, gate in ALL.items():
        assert gate.__doc__, name


def test_where_nobody_works_nobody_is_said_to_have_acknowledged() -> None:
    """A gate that is open because no process is there says so."""
    verdict = ALL["acknowledged"](replace(GOOD, members={}))
    assert verdict.reason.startswith("no process is registered")


def test_an_in_place_table_has_one_stream() -> None:
    """An in-place table is not asked for a second stream."""
    seen = replace(GOOD, table=votes(), streams={Side.OLD: STREAM})
    assert ALL["streams_read"](seen).verdict == "open"
    assert ALL["lag_bounded"](seen).verdict == "open"


# -- the table of moves -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", Kind)
def test_the_table_of_moves_is_that_of_the_square(kind: Kind) -> None:
    """Every legal move has its gates, and nothing else has."""
    legal = {(start, goal) for start, goals in NEXT[kind].items() for goal in goals}
    assert MOVES[kind].keys() == legal


@pytest.mark.parametrize("kind", Kind)
def test_every_move_waits_for_acknowledgements(kind: Kind) -> None:
    """Two states that are not neighbours are never live together."""
    for gates in MOVES[kind].values():
        assert ALL["acknowledged"] in gates


def test_every_flip_needs_the_barrier_the_repairs_and_a_clean_sweep() -> None:
    """The lead changes hands only between tables that are proven equal."""
    needed = {"acknowledged", "barrier_passed", "repairs_drained", "sweep_clean", "streams_read"}
    flips = [move for move in MOVES[Kind.REKEY] if is_flip(*move)]
    assert len(flips) == 2
    for start, goal in flips:
        names = {gate.__name__ for gate in gates_of_move(Kind.REKEY, start, goal)}
        assert needed <= names
        loses_nothing = {"coverage_unbroken", "nothing_only_on_new"}
        assert (loses_nothing <= names) is (goal is Phase.ATOMIC_OLD)


def test_an_illegal_move_has_no_gates() -> None:
    """What is not on the square cannot be judged."""
    with pytest.raises(KeyError):
        gates_of_move(Kind.REKEY, Phase.MIRROR_OLD, Phase.MIRROR_NEW)


@pytest.mark.parametrize(
    ("phase", "now", "share", "gated"),
    [
        (Phase.MIRROR_OLD, 0, 1, True),
        (Phase.MIRROR_OLD, 25, 100, True),
        (Phase.MIRROR_OLD, 25, 0, False),
        (Phase.MIRROR_OLD, 25, 25, False),
        (Phase.MIRROR_NEW, 25, 100, False),
        (Phase.MIRROR_NEW, 100, 25, True),
        (Phase.OFF, 0, 1, True),
    ],
)
def test_only_more_reads_from_the_follower_need_gates(
    phase: Phase, now: int, share: int, gated: bool
) -> None:
    """Whoever goes back to the leader is never held up."""
    state = TableState("boards", 1, phase, read_share=now)
    assert bool(gates_of_reads(state, share)) is gated


def test_reads_from_new_need_what_the_tenth_invariant_says() -> None:
    """Backfill complete, a clean sweep after it, no repairs, lag under its bound."""
    names = {gate.__name__ for gate in READS_FROM_FOLLOWER[Side.OLD]}
    assert {"backfill_complete", "sweep_clean", "repairs_drained", "lag_bounded"} <= names
