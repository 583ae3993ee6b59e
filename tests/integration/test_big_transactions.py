"""A client's own transaction that atomic mode would refuse: counted while there is time."""

from collections.abc import Iterator
from typing import Any

import pytest

from dualwrite.adapters.clock import SystemClock
from dualwrite.core import metric_names
from dualwrite.core.phases import Phase, Side
from dualwrite.core.ports import Record
from dualwrite.core.records import BIG_TRANSACTIONS, BigTransactions, dump, load
from dualwrite.core.stillness import Stillness
from tests.fakes.records import Fault
from tests.proxy_harness import Rig, a_rig, outcome
from verifier.evidence import gather
from verifier.gates.big_transactions import big_transactions
from verifier.gates.verdicts import Finding


@pytest.fixture(scope="module")
def shared(engine: str, boto: Any) -> Iterator[Rig]:
    with a_rig(engine, boto, "big-") as made:
        yield made


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    """A rig in mirror/old that has counted nothing."""
    shared.stand(Phase.MIRROR_OLD)
    shared.hop.calls.clear()
    shared.metrics.values.clear()
    yield shared
    shared.records.hook = None
    shared.epochs.expired = False
    shared.hop.plan = lambda operation, request: None
    for record in shared.records.seen(BIG_TRANSACTIONS):
        shared.records.forget(BIG_TRANSACTIONS, record.name)


def key(name: str, number: int) -> dict[str, Any]:
    return {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": f"{name}-{number:03}"}}


def puts(name: str, count: int) -> list[dict[str, Any]]:
    return [{"Put": {"TableName": "big-notes", "Item": key(name, n)}} for n in range(count)]


def checks(name: str, count: int) -> list[dict[str, Any]]:
    """Conditions that hold: none of these items exists."""
    return [
        {
            "ConditionCheck": {
                "TableName": "big-notes",
                "Key": key(f"{name}-absent", n),
                "ConditionExpression": "attribute_not_exists(note_id)",
            }
        }
        for n in range(count)
    ]


def steps(name: str, count: int) -> list[dict[str, Any]]:
    """Writes of an in-place table, which has no second side."""
    return [
        {
            "Delete": {
                "TableName": "big-steps",
                "Key": {"task_id": {"S": name}, "step_id": {"S": f"{n}"}},
            }
        }
        for n in range(count)
    ]


def transact(rig: Rig, actions: list[dict[str, Any]]) -> dict[str, Any]:
    return outcome(rig.proxied, "transact_write_items", TransactItems=actions)


def standing(rig: Rig, name: str, side: Side) -> int:
    return sum(item["note_id"]["S"].startswith(name) for item in rig.items("notes", side))


def counts(rig: Rig) -> dict[str, int]:
    return {
        record.name: load(BigTransactions, record.value).count
        for record in rig.records.seen(BIG_TRANSACTIONS)
    }


def gate(rig: Rig, table: str = "notes") -> Finding:
    state = rig.epochs.current(table)
    seen = rig.run(gather(rig.records, rig.tables[table], state, 0, Stillness(SystemClock())))
    return big_transactions(seen)


@pytest.mark.parametrize("phase", [Phase.MIRROR_OLD, Phase.MIRROR_NEW])
def test_it_succeeds_in_mirror_mode_is_counted_and_closes_the_gate(rig: Rig, phase: Phase) -> None:
    """60 puts are applied on both sides; the gate to atomic says so, and what opens it."""
    rig.stand(phase)
    assert gate(rig).verdict == "open"
    name = phase.value
    assert transact(rig, puts(name, 60)) == {}
    assert [standing(rig, name, side) for side in Side] == [60, 60]
    assert counts(rig) == {"notes/big-": 1}
    assert rig.metrics.values[metric_names.BIG_TRANSACTIONS, "notes"] == 1
    closed = gate(rig)
    assert closed.verdict == "closed"
    assert closed.see.startswith("dualwrite accept --table notes")


def test_an_accepted_one_opens_the_gate_until_the_next(rig: Rig) -> None:
    """What the operator accepted stays accepted, and no later one is taken to be."""
    transact(rig, puts("first", 60))
    [record] = rig.records.seen(BIG_TRANSACTIONS)
    rig.records.put(record.kind, record.name, dump(BigTransactions(1, 1, accepted=1)))
    assert gate(rig).verdict == "open"
    assert transact(rig, puts("second", 60)) == {}
    assert gate(rig).verdict == "closed"


@pytest.mark.parametrize("phase", [Phase.ATOMIC_OLD, Phase.ATOMIC_NEW])
def test_it_is_refused_in_atomic_mode_and_writes_nothing(rig: Rig, phase: Phase) -> None:
    """The client is told why; it is never made non-atomic, and there is nothing left to count."""
    rig.stand(phase)
    heard = transact(rig, puts(phase.value, 60))
    assert heard["error"] == "ValidationException"
    assert "a transaction whose two sides exceed 100 actions" in heard["message"]
    assert "nothing was written" in heard["message"]
    assert [standing(rig, phase.value, side) for side in Side] == [0, 0]
    assert counts(rig) == {}


@pytest.mark.parametrize(
    ("name", "puts_sent", "others", "big"),
    [
        ("halves", 50, [], False),
        ("above", 51, [], True),
        ("checks", 40, checks("checks", 20), False),
        ("checked", 41, checks("checked", 19), True),
        ("steps", 40, steps("steps", 20), False),
        ("stepped", 40, steps("stepped", 21), True),
    ],
)
def test_what_is_counted_is_what_atomic_mode_refuses(
    rig: Rig, name: str, puts_sent: int, others: list[dict[str, Any]], big: bool
) -> None:
    """Only writes of a table with two sides count twice; at 100 actions it still fits."""
    actions = puts(name, puts_sent) + others
    assert transact(rig, actions) == {}
    assert counts(rig) == ({"notes/big-": 1} if big else {})
    rig.stand(Phase.ATOMIC_OLD)
    assert (transact(rig, actions).get("error") == "ValidationException") is big


def test_each_table_it_writes_is_counted(rig: Rig) -> None:
    """The gate of both tables hears of it; one that is only checked is not written."""
    tasks = [
        {
            "Put": {
                "TableName": "big-tasks",
                "Item": {"list_id": {"S": "both"}, "task_id": {"S": f"{n}"},
                         "endpoint_id": {"S": "acme-prod"}},
            }
        }
        for n in range(30)
    ]  # fmt: skip
    assert transact(rig, puts("both", 30) + tasks) == {}
    assert counts(rig) == {"notes/big-": 1, "tasks/big-": 1}
    assert gate(rig, "tasks").verdict == "closed"
    assert transact(rig, checks("both", 30) + tasks[:20]) == {}
    assert counts(rig) == {"notes/big-": 1, "tasks/big-": 1}


def test_it_is_counted_before_it_is_sent(rig: Rig) -> None:
    """However the transaction ends, also if the proxy dies with it, the gate has heard of it."""
    at_sending: list[tuple[Record, ...]] = []

    def plan(operation: str, request: Any) -> str | None:
        if operation == "TransactWriteItems":
            at_sending.append(rig.records.seen(BIG_TRANSACTIONS))
            return "refuse"
        return None

    rig.hop.plan = plan
    assert transact(rig, puts("before", 60))["error"] == "ServiceUnavailable"
    assert [len(seen) for seen in at_sending][:1] == [1]
    assert gate(rig).verdict == "closed"


@pytest.mark.parametrize("fault", list(Fault))
def test_one_that_cannot_be_counted_is_not_sent(rig: Rig, fault: Fault) -> None:
    """The client is told that nothing was written and may try again."""

    async def broken(operation: str, kind: str, name: str) -> Fault | None:
        return fault if kind == BIG_TRANSACTIONS else None

    rig.records.hook = broken
    heard = transact(rig, puts(f"uncounted-{fault.name}", 60))
    assert heard["error"] == "ServiceUnavailable"
    assert "nothing was written" in heard["message"]
    assert rig.hop.calls == []


@pytest.mark.parametrize("change", ["lease", "state"])
def test_one_that_was_overtaken_while_it_counted_is_not_sent(rig: Rig, change: str) -> None:
    """The lease ran out or the table moved on meanwhile: a late write would be a straggler."""

    async def overtaken(operation: str, kind: str, name: str) -> Fault | None:
        if kind == BIG_TRANSACTIONS:
            rig.epochs.expired = change == "lease"
            rig.stand(Phase.ATOMIC_OLD, epoch=2)
        return None

    rig.records.hook = overtaken
    heard = transact(rig, puts(f"late-{change}", 60))
    assert heard["error"] == "ServiceUnavailable"
    assert "nothing was written" in heard["message"]
    assert rig.hop.calls == []


def test_one_that_dynamodb_refuses_anyway_is_not_counted(rig: Rig) -> None:
    """More than 100 actions of the client's own are its error, with DynamoDB's reason."""
    heard = transact(rig, puts("too-many", 101))
    assert heard["error"] == "ValidationException"
    assert "less than or equal to 100" in heard["message"]
    assert counts(rig) == {}


FILLER = "x" * 350_000


def large(name: str, count: int) -> list[dict[str, Any]]:
    """Puts that have together as many times 350 KB."""
    return [
        {"Put": {"TableName": "big-notes", "Item": key(name, n) | {"v": {"S": FILLER}}}}
        for n in range(count)
    ]


def touches(name: str, count: int) -> list[dict[str, Any]]:
    """Small updates of those items, which go to the other side whole."""
    return [
        {
            "Update": {
                "TableName": "big-notes",
                "Key": key(name, n),
                "UpdateExpression": "SET w = :w",
                "ExpressionAttributeValues": {":w": {"N": "1"}},
            }
        }
        for n in range(count)
    ]


@pytest.mark.parametrize(("count", "big"), [(5, False), (6, True)])
def test_bytes_count_twice_too(rig: Rig, count: int, big: bool) -> None:
    """Puts of 2.1 MB do not fit twice into a transaction's 4 MB; nor do small updates of such
    items, whose images are looked up."""
    name = f"large-{count}"
    assert transact(rig, large(name, count)) == {}
    assert counts(rig) == ({"notes/big-": 1} if big else {})
    assert transact(rig, touches(name, count)) == {}
    assert counts(rig) == ({"notes/big-": 2} if big else {})


def test_many_small_updates_are_not_big(rig: Rig) -> None:
    """What their images hold counts, not what items may hold."""
    assert transact(rig, puts("small", 20)) == {}
    assert transact(rig, touches("small", 20)) == {}
    assert counts(rig) == {}


def test_images_that_cannot_be_looked_up_are_taken_to_be_as_large_as_items_get(rig: Rig) -> None:
    """The gate hears of one too many rather than of one too few."""
    rig.hop.plan = lambda operation, request: "refuse" if operation == "BatchGetItem" else None
    assert transact(rig, touches("unseen", 6)) == {}
    assert counts(rig) == {"notes/big-": 1}
