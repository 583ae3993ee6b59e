"""What status, plan, repairs and audit show."""

from dataclasses import replace

import pytest

from dualwrite.cli.overview import backfill_overview
from dualwrite.cli.repairs import SHOWN_MAX
from dualwrite.core.backfills import progress_of
from dualwrite.core.phases import Phase, TableState
from dualwrite.core.records import (
    AUDIT,
    BACKFILL,
    BYPASS,
    MEMBER,
    POISON,
    QUARANTINE,
    REPAIR,
    SEGMENT,
    STATE,
    STREAM,
    SWEPT,
    AuditEntry,
    BackfillOrder,
    Bypass,
    Command,
    GateVerdict,
    Member,
    Repair,
    Segment,
    StreamProgress,
    SweepResult,
    load,
)
from tests.unit.cli.conftest import FixedGates, Service

OPEN = GateVerdict("acknowledged", "open", "all 3 have")
SHUT = GateVerdict("repairs_drained", "closed", "2 keys wait", "dualwrite repairs", waits=True)


def test_status_of_a_service_that_was_never_started(service: Service) -> None:
    """Every table of the spec is shown, off, with nothing invented."""
    found = service.json("status")
    assert found["migration"] == "ai-coordination-engine"
    assert [entry["table"] for entry in found["tables"]] == list(service.migration.by_name)
    assert found["members"] == []
    first = found["tables"][0]
    assert (first["phase"], first["epoch"], first["read_share"]) == ("off", 0, 0)
    assert (first["backfill"], first["drift"]) == (None, None)
    assert first["lag"] == {"old": None, "new": None}
    assert found["tables"][-1]["lag"] == {"old": None}


def test_status_shows_what_the_records_say(service: Service) -> None:
    """State, backfill, lag, drift, repairs, alarms and members of one table."""
    service.put(STATE, "tasks", TableState("tasks", 5, Phase.ATOMIC_NEW, 25, 1, 4))
    service.put(BACKFILL, "tasks", BackfillOrder("r1", "run", 2, 0, items_estimate=100))
    service.put(SEGMENT, "tasks/r1/0000", Segment(done=True, scanned=50, copied=40, present=10))
    service.put(SEGMENT, "tasks/r1/0001", Segment(scanned=20, copied=19, left=1))
    service.put(STREAM, "tasks/old", StreamProgress(0.25, 3, 0, gaps=1, shards=2))
    service.put(SWEPT, "tasks", SweepResult("s1", 0, done=True, compared=70, missing=2))
    service.put(REPAIR, "tasks/a", Repair("tasks", "k", "old", "failed"))
    service.put(POISON, "tasks/b", Repair("tasks", "l", "old", "orphan"))
    service.put(BYPASS, "tasks", Bypass(7, 1))
    service.put(QUARANTINE, "tasks/x", Bypass(0, 0))
    service.put(MEMBER, "p1", Member("proxy", 9, 1, 0.1, {"tasks": 4}, 9121, 8001))
    found = service.json("status", "--table", "tasks")
    [entry] = found["tables"]
    assert (entry["phase"], entry["leader"], entry["mode"]) == ("atomic/new", "new", "atomic")
    assert (entry["epoch"], entry["lead_epoch"]) == (5, 4)
    assert (entry["read_share"], entry["shadow_share"]) == (25, 1)
    assert entry["backfill"]["share"] == 0.7
    assert (entry["backfill"]["copied"], entry["backfill"]["left"]) == (59, 1)
    assert entry["lag"]["old"]["seconds"] == 0.25
    assert (entry["drift"]["clean"], entry["drift"]["missing"]) == (False, 2)
    assert (entry["repairs"]["waiting"], entry["repairs"]["poison"]) == (1, 1)
    assert (entry["bypass_writes"], entry["quarantined"]) == (7, 1)
    [member] = found["members"]
    assert (member["process"], member["alive"], member["acks"]) == ("p1", False, {"tasks": 4})
    text = service.run("status", "--table", "tasks").stdout
    for words in ("atomic/new", "70 %", "2 missing", "1, 1 for a person", "7 writes went past"):
        assert words in text
    for words in ("1 straggler", "stream has 1 gaps", "silent", "not yet: tasks"):
        assert words in text
    assert "another spec" not in text, "the silent are no longer asked"


def test_a_member_whose_counter_moves_is_alive(service: Service) -> None:
    """Liveness is seen, not read: the controller's counter rises while status looks."""
    service.answer = Command("", "")
    found = service.json("status")
    [member] = found["members"]
    assert (member["role"], member["alive"]) == ("controller", True)
    assert found["spec"], "what the alive are held against"
    assert member["spec"] != found["spec"]
    text = service.run("status").stdout
    assert f"controller {member['process']} was started with another spec than this" in text


ORDER = BackfillOrder("r", "run", 2, 0, items_estimate=100)
HALF = Segment("c", scanned=25, bytes=2500, busy_ms=10_000)


def test_the_estimate_of_a_backfill() -> None:
    """Half done in ten seconds: ten more are left."""
    shown = backfill_overview(ORDER, progress_of(ORDER, [HALF, HALF]))
    assert (shown["share"], shown["eta_seconds"]) == (0.5, 10.0)


@pytest.mark.parametrize(
    ("order", "segments", "share", "eta"),
    [
        (ORDER, [], 0.0, None),
        (ORDER, [replace(HALF, scanned=500)] * 2, 0.99, 0.1),
        (ORDER, [replace(HALF, owner="")] * 2, 0.5, None),
        (replace(ORDER, items_estimate=0, bytes_estimate=10_000), [HALF, HALF], 0.5, 10.0),
        (replace(ORDER, wanted="pause"), [HALF, HALF], 0.5, None),
        (replace(ORDER, items_estimate=0), [HALF, replace(HALF, done=True)], 0.5, 20.0),
        (ORDER, [replace(HALF, done=True)] * 2, 1.0, 0.0),
    ],
)
def test_a_backfill_claims_no_more_than_is_known(
    order: BackfillOrder, segments: list[Segment], share: float, eta: float | None
) -> None:
    """An old estimate never makes it whole, a paused copy has no end, a finished one is whole."""
    shown = backfill_overview(order, progress_of(order, segments))
    assert (shown["share"], shown["eta_seconds"]) == (share, eta)
    assert shown["complete"] is (share == 1.0)


def test_plan_shows_the_next_move_and_every_gate(service: Service) -> None:
    """Open gates are shown with closed ones, with verdict, reason and mend."""
    service.gates = FixedGates((OPEN, SHUT))
    service.put(STATE, "tasks", TableState("tasks", 3, Phase.ATOMIC_OLD, 25))
    [move] = service.json("plan", "--table", "tasks")["tables"]
    assert (move["phase"], move["next"], move["flip"]) == ("atomic/old", "atomic/new", True)
    assert [gate["gate"] for gate in move["gates"]] == ["acknowledged", "repairs_drained"]
    assert move["gates"][1] == {
        "gate": "repairs_drained",
        "verdict": "closed",
        "reason": "2 keys wait",
        "see": "dualwrite repairs",
        "waits": True,
    }
    assert move["reads"]["share"] == 25
    text = service.run("plan", "--table", "tasks").stdout
    assert "atomic/old -> atomic/new (the flip)" in text
    assert "2 keys wait" in text


def test_plan_of_a_table_that_is_done(service: Service) -> None:
    """Nothing is ahead of it, and that is no error."""
    service.put(STATE, "tasks", TableState("tasks", 9, Phase.DONE, 100))
    [move] = service.json("plan", "--table", "tasks")["tables"]
    assert (move["next"], move["gates"], move["reads"]) == (None, [], None)
    assert "nothing is ahead" in service.run("plan", "--table", "tasks").stdout


def test_repairs_are_listed_and_made_due(service: Service) -> None:
    """retry makes all due at once, those that wait for a person too; these stay listed until
    they are equal. Keys are shown as stored."""
    waiting = Repair("tasks", '[["S","b"]]', "old", "failed", 3, 1, 2**53)
    poison = Repair("tasks", '[["S","a[/b]"]]', "old", "orphan", 0, 2, 2)
    service.put(REPAIR, "tasks/b", waiting)
    service.put(POISON, "tasks/a", poison)
    shown = service.json("repairs")["repairs"]
    assert [(e["token"], e["reason"], e["attempts"], e["poison"]) for e in shown] == [
        (waiting.token, "failed", 3, False),
        (poison.token, "orphan", 0, True),
    ]
    assert set(shown[0]) == {
        "table", "token", "side", "reason", "attempts", "first_ms", "next_ms", "poison"
    }  # fmt: skip
    assert poison.token in service.run("repairs", "list").stdout
    assert service.json("repairs", "retry", "--table", "sessions") == {"retried": 0}
    assert service.json("repairs", "retry") == {"retried": 2}
    again, due = (load(Repair, record.value) for record in service.records.seen(REPAIR, ""))
    assert (due.listed, due.attempts, due.first_ms) == (False, 3, 1)
    assert (again.listed, again.token, again.first_ms) == (True, poison.token, 2)
    assert poison.next_ms < again.next_ms == due.next_ms < waiting.next_ms
    assert len(service.records.seen(POISON)) == 1


def test_of_many_repairs_the_first_are_shown_and_the_others_counted(service: Service) -> None:
    """Whoever wants all of them asks for JSON."""
    for number in range(SHOWN_MAX):
        service.put(POISON, f"tasks/{number}", Repair("tasks", f"k{number}", "old", "orphan"))
    service.put(REPAIR, "tasks/x", Repair("tasks", "waits", "old", "failed"))
    text = service.run("repairs", "list").stdout
    assert "waits" in text
    assert "and 1 more" in text
    assert len(service.json("repairs")["repairs"]) == SHOWN_MAX + 1


def test_audit_lists_who_changed_what_when_and_why(service: Service) -> None:
    """The newest entries, the oldest of them first."""
    for number in range(3):
        entry = AuditEntry(number, "eve", f"why {number}", "flip", "tasks", "a", "b", number)
        service.put(AUDIT, f"{number:013d}-x", entry)
    entries = service.json("audit", "--last", "2")["entries"]
    assert [entry["reason"] for entry in entries] == ["why 1", "why 2"]
    assert "why 2" in service.run("audit").stdout
    assert service.run("audit").stdout.splitlines()[1].split()[7:] == ["-", "done", "why", "0"]
    assert service.json("audit", "--table", "sessions") == {"entries": []}
