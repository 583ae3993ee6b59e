"""Accepting big transactions, and what verbs that change records leave in the audit."""

import pytest

from dualwrite.core.records import (
    AUDIT,
    BIG_TRANSACTIONS,
    POISON,
    REPAIR,
    AuditEntry,
    BigTransactions,
    Repair,
    dump,
    load,
)
from tests.fakes.records import Fault
from tests.unit.cli.conftest import Service

ASKED = ("accept", "--table", "tasks", "--who", "eve", "--reason", "the importer is retired")


def counted(service: Service) -> dict[str, BigTransactions]:
    return {
        record.name: load(BigTransactions, record.value)
        for record in service.records.seen(BIG_TRANSACTIONS)
    }


def audit(service: Service) -> list[AuditEntry]:
    return [load(AuditEntry, record.value) for record in service.records.seen(AUDIT)]


def scene(service: Service) -> None:
    service.put(BIG_TRANSACTIONS, "tasks/p1", BigTransactions(5, 10, accepted=2))
    service.put(BIG_TRANSACTIONS, "tasks/p2", BigTransactions(1, 20))
    service.put(BIG_TRANSACTIONS, "sessions/p1", BigTransactions(9, 30))


def test_all_seen_so_far_are_accepted(service: Service) -> None:
    """Those of every process, of this table alone; repeating it changes nothing more."""
    scene(service)
    assert service.json(*ASKED) == {"table": "tasks", "seen": 6, "accepted": 4}
    assert counted(service) == {
        "tasks/p1": BigTransactions(5, 10, accepted=5),
        "tasks/p2": BigTransactions(1, 20, accepted=1),
        "sessions/p1": BigTransactions(9, 30),
    }
    assert "0 big transactions accepted, of 6 seen" in service.run(*ASKED).stdout
    assert len(audit(service)) == 1


def test_an_acceptance_is_in_the_audit(service: Service) -> None:
    """Who accepted how many, and why."""
    scene(service)
    service.run(*ASKED)
    [entry] = audit(service)
    assert (entry.verb, entry.table, entry.who) == ("accept", "tasks", "eve")
    assert (entry.reason, entry.outcome) == ("the importer is retired", "done")
    assert entry.before == "4 big transactions not accepted"


def test_what_comes_meanwhile_is_not_accepted(service: Service) -> None:
    """A proxy counts one more while the operator's command runs: that one closes the gate again."""
    scene(service)
    counting = ["tasks/p1"]

    async def count(operation: str, kind: str, name: str) -> Fault | None:
        if operation == "write" and name in counting:
            counting.remove(name)
            service.records.put(kind, name, dump(BigTransactions(6, 40, accepted=2)))
        return None

    service.records.hook = count
    assert service.json(*ASKED)["accepted"] == 4
    assert counted(service)["tasks/p1"] == BigTransactions(6, 40, accepted=5)


def test_records_that_never_stand_still_are_an_error(service: Service) -> None:
    """Tries are bounded: exit code 1, and the audit does not claim that it was done."""
    scene(service)

    async def count(operation: str, kind: str, name: str) -> Fault | None:
        if operation == "write" and kind == BIG_TRANSACTIONS:
            service.records.put(kind, name, dump(counted(service)[name]))
        return None

    service.records.hook = count
    result = service.run(*ASKED)
    assert result.exit_code == 1
    assert "try again" in result.stderr
    assert [entry.outcome for entry in audit(service)] == ["intended"]


def test_nothing_is_accepted_that_is_not_audited(service: Service) -> None:
    """Where the audit cannot be written, nothing is changed: exit code 4."""
    scene(service)

    async def broken(operation: str, kind: str, name: str) -> Fault | None:
        return Fault.LOST_REQUEST if (operation, kind) == ("write", AUDIT) else None

    service.records.hook = broken
    result = service.run(*ASKED)
    assert result.exit_code == 4
    assert counted(service)["tasks/p1"].accepted == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ("--table", "tasks"),
        ("--reason", "because"),
        ("--table", "tasks", "--reason", " "),
        ("--table", "nope", "--reason", "because"),
    ],
)
def test_an_acceptance_names_a_table_and_a_reason(
    service: Service, arguments: tuple[str, ...]
) -> None:
    """Without one of them it is a usage error, and nothing is accepted."""
    scene(service)
    assert service.run("accept", *arguments).exit_code == 2
    assert counted(service)["tasks/p1"].accepted == 2
    assert audit(service) == []


def test_retried_repairs_are_in_the_audit(service: Service) -> None:
    """An entry for each table whose repairs were made due, with a reason also where none is
    given; none for a table without repairs."""
    service.put(POISON, "tasks/a", Repair("tasks", "k", "old", "orphan"))
    service.put(REPAIR, "tasks/b", Repair("tasks", "l", "old", "failed"))
    service.put(REPAIR, "sessions/a", Repair("sessions", "m", "old", "failed"))
    assert service.json("repairs", "retry", "--who", "eve") == {"retried": 3}
    entries = {entry.table: entry for entry in audit(service)}
    assert sorted(entries) == ["sessions", "tasks"]
    entry = entries["tasks"]
    assert (entry.verb, entry.who, entry.outcome) == ("repairs-retry", "eve", "done")
    assert entry.before == "2 repairs, 1 of them waited for a person"
    assert entry.reason
    service.run("repairs", "retry", "--table", "sessions", "--reason", "the parent is back")
    assert audit(service)[-1].reason == "the parent is back"


def test_listing_repairs_leaves_no_trace(service: Service) -> None:
    """Who only looks changes nothing, so the audit stays empty."""
    service.put(REPAIR, "tasks/a", Repair("tasks", "k", "old", "failed"))
    service.run("repairs", "list")
    assert audit(service) == []
