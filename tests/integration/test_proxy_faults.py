"""What a client hears, and what is queued, when a side cannot be reached or an answer is lost."""

from collections.abc import Iterator
from typing import Any

import pytest

from dualwrite.core import metric_names
from dualwrite.core.phases import Phase, Side
from dualwrite.core.records import REPAIR
from tests.proxy_harness import Rig, a_rig, create_table, outcome, raw_outcome, stamp_ahead


@pytest.fixture(scope="module")
def shared(engine: str, boto: Any) -> Iterator[Rig]:
    with a_rig(engine, boto, "faults-") as made:
        yield made


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    """A rig in mirror/old without faults and without repairs."""
    shared.stand(Phase.MIRROR_OLD)
    shared.hop.calls.clear()
    yield shared
    shared.hop.plan = lambda operation, request: None
    for record in shared.run(shared.records.list(REPAIR)):
        shared.run(shared.records.delete(REPAIR, record.name, expected=None))


def note(number: str) -> dict[str, Any]:
    return {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": number}, "v": {"N": "1"}}


def repairs(rig: Rig) -> list[str]:
    return [record.value["reason"] for record in rig.run(rig.records.list(REPAIR))]


def fail(rig: Rig, side: Side, fate: str) -> None:
    """Let the writes to one side of the notes fail."""
    name = rig.tables["notes"].side(side).name

    def plan(operation: str, request: Any) -> str | None:
        writes = operation in ("PutItem", "UpdateItem", "DeleteItem")
        return fate if writes and request.get("TableName") == name else None

    rig.hop.plan = plan


@pytest.mark.parametrize(("fate", "reason"), [("refuse", "failed"), ("deafen", "unknown")])
def test_a_follower_that_fails_is_repaired_and_the_client_succeeds(
    rig: Rig, fate: str, reason: str
) -> None:
    """The leader decides: the client is told success, the key waits for repair, by its reason."""
    fail(rig, Side.NEW, fate)
    assert "error" not in outcome(rig.proxied, "put_item", TableName="faults-notes",
                                  Item=note(f"follower-{fate}"))  # fmt: skip
    assert repairs(rig) == [f"follower write {reason}"]


def test_a_leader_that_was_not_reached_wrote_nothing(rig: Rig) -> None:
    """Nothing was sent, so the client is told that nothing was written, on either side."""
    fail(rig, Side.OLD, "refuse")
    heard = outcome(rig.proxied, "put_item", TableName="faults-notes", Item=note("unreached"))
    assert heard["error"] == "ServiceUnavailable"
    assert not [
        i for side in Side for i in rig.items("notes", side) if i["note_id"]["S"] == "unreached"
    ]
    assert repairs(rig) == []


def test_a_lost_answer_of_the_leader_stays_unknown(rig: Rig) -> None:
    """The write may stand or not: the client hears DynamoDB's own 500 and the key is repaired."""
    fail(rig, Side.OLD, "deafen")
    heard = outcome(rig.proxied, "put_item", TableName="faults-notes", Item=note("lost"))
    assert heard["error"] == "InternalServerError"
    assert repairs(rig) == ["leader write unknown"]


def test_a_lost_answer_of_a_transaction_is_asked_again_and_applied_once(rig: Rig) -> None:
    """In atomic mode the token makes our own retries harmless: the ADD counts once."""
    rig.stand(Phase.ATOMIC_OLD)
    lost = []

    def plan(operation: str, request: Any) -> str | None:
        if operation == "TransactWriteItems" and not lost:
            lost.append(operation)
            return "lose"
        return None

    rig.hop.plan = plan
    heard = outcome(
        rig.proxied, "update_item", TableName="faults-notes", ReturnValues="ALL_NEW",
        Key={"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": "token"}},
        UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}},
    )  # fmt: skip
    assert lost
    assert heard["Attributes"]["n"] == {"N": "1"}
    [stored] = [i for i in rig.items("notes", Side.OLD) if i["note_id"]["S"] == "token"]
    assert stored["n"] == {"N": "1"}


def test_a_newer_stamp_on_the_leader_moves_the_clock(rig: Rig) -> None:
    """A write that meets a stamp from a clock ahead of ours is tried again past it."""
    ahead = stamp_ahead()
    rig.engine.put_item(TableName="faults-notes", Item={**note("ahead"), "dw_stamp": {"S": ahead}})
    heard = outcome(rig.proxied, "put_item", TableName="faults-notes", Item=note("ahead"))
    assert "error" not in heard
    [stored] = [i for i in rig.items("notes", Side.OLD) if i["note_id"]["S"] == "ahead"]
    assert stored["dw_stamp"]["S"] > ahead


def test_off_is_a_plain_pass_through_of_the_old_table(rig: Rig) -> None:
    """Before the migration old clients see their table, and the new name is refused, not half
    served."""
    rig.stand(Phase.OFF)
    assert outcome(rig.proxied, "put_item", TableName="faults-notes", Item=note("off")) == {}
    [stored] = [i for i in rig.items("notes", Side.OLD) if i["note_id"]["S"] == "off"]
    assert stored == note("off")
    refused = outcome(rig.proxied, "get_item", TableName="faults-notes-v2", Key={})
    assert "has not begun" in refused["message"]


def test_an_unmanaged_table_passes_through_untouched(rig: Rig) -> None:
    """Other tables, and their reserved-looking names, are none of the service's business."""
    create_table(rig.engine, rig.tables["notes"].old, "faults-other")
    item = {**note("x"), "dw_stamp": {"S": "mine"}}
    rig.proxied.put_item(TableName="faults-other", Item=item)
    got = rig.proxied.scan(TableName="faults-other")
    assert got["Items"] == [item]
    assert rig.hop.calls == []


def test_an_in_place_put_gets_its_derived_attributes(rig: Rig) -> None:
    """The same write adds what the new design needs, found at the parent."""
    rig.engine.put_item(TableName="faults-tasks", Item={
        "list_id": {"S": "l1"}, "task_id": {"S": "t1"}, "endpoint_id": {"S": "bolt-prod"},
    })  # fmt: skip
    step = {"task_id": {"S": "t1"}, "step_id": {"S": "s1"}, "list_id": {"S": "l1"}}
    rig.proxied.put_item(TableName="faults-steps", Item=step)
    got = rig.proxied.get_item(
        TableName="faults-steps", Key={"task_id": {"S": "t1"}, "step_id": {"S": "s1"}}
    )["Item"]
    assert got == {**step, "endpoint_id": {"S": "aws-1"}, "part_id": {"S": "bolt"},
                   "partition_key": {"S": "aws-1#bolt"}}  # fmt: skip


def test_shadow_reads_count_what_differs(rig: Rig) -> None:
    """A key that differs is counted as such, without its reader noticing."""
    rig.stand(Phase.MIRROR_OLD, shadow_share=100)
    rig.proxied.put_item(TableName="faults-notes", Item=note("shadow"))
    key = {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": "shadow"}}
    rig.proxied.get_item(TableName="faults-notes", Key=key)
    rig.until(lambda: rig.metrics.values.get((metric_names.SHADOW_READS, "notes", "match")) == 1)
    rig.engine.delete_item(
        TableName="faults-notes-v2",
        Key={"partition_key": {"S": "aws-1#acme"}, "note_id": {"S": "shadow"}},
    )
    rig.proxied.get_item(TableName="faults-notes", Key=key)
    rig.until(lambda: rig.metrics.values.get((metric_names.SHADOW_READS, "notes", "missing")) == 1)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"faults-notes"', "SerializationException"),
        (b'["faults-notes"]', "SerializationException"),
        (b'{"TableName": "faults-notes"}', "ValidationException"),
        (b'{"TableName": "faults-notes", "Item": []}', "SerializationException"),
        (b'{"TableName": "faults-notes", "Item": {"endpoint_id": "x"}}', "SerializationException"),
        (b'{"TableName": 7, "x": "faults-notes"}', "ValidationException"),
    ],
)
def test_malformed_requests_get_dynamodbs_error_json(rig: Rig, body: bytes, code: str) -> None:
    """Bad input ends in an error of the form an SDK expects, and writes nothing."""
    heard = raw_outcome(rig.url, "PutItem", body)
    assert heard["status"] == 400
    assert heard["error"] == code


@pytest.mark.parametrize("phase", [Phase.MIRROR_OLD, Phase.ATOMIC_OLD])
@pytest.mark.parametrize("how", ["lease", "epoch"])
def test_a_write_is_not_sent_when_its_time_ran_out_on_the_way(
    rig: Rig, phase: Phase, how: str
) -> None:
    """The lease is looked at again before each sending: what came before it may have taken long,
    and the state that it was planned for may be over."""
    rig.stand(phase)
    key = {"list_id": {"S": "late"}, "task_id": {"S": f"{phase}-{how}"}}

    def plan(operation: str, request: Any) -> None:
        if operation == "GetItem":
            if how == "lease":
                rig.epochs.expired = True
            else:
                rig.stand(phase, epoch=3)

    rig.hop.plan = plan
    heard = outcome(
        rig.proxied, "update_item", TableName="faults-tasks", Key=key,
        UpdateExpression="SET endpoint_id = :e",
        ExpressionAttributeValues={":e": {"S": "acme-prod"}},
    )  # fmt: skip
    rig.epochs.expired = False
    assert heard["error"] == "ServiceUnavailable"
    written = [item for side in Side for item in rig.items("tasks", side)]
    assert key["task_id"] not in [item["task_id"] for item in written]


def test_a_lost_answer_is_not_asked_for_again_without_a_lease(rig: Rig) -> None:
    """A repeat could come after the lead has moved: the outcome stays unknown, and is repaired."""
    rig.stand(Phase.ATOMIC_OLD)

    def plan(operation: str, request: Any) -> str | None:
        rig.epochs.expired = operation == "TransactWriteItems"
        return "lose" if operation == "TransactWriteItems" else None

    rig.hop.plan = plan
    heard = outcome(rig.proxied, "put_item", TableName="faults-notes", Item=note("unasked"))
    rig.epochs.expired = False
    assert heard["error"] == "InternalServerError"
    assert rig.hop.calls.count("TransactWriteItems") == 1
    assert repairs(rig) == ["transaction unknown"]


@pytest.mark.parametrize("phase", [Phase.OFF, Phase.MIRROR_OLD, Phase.ATOMIC_OLD])
def test_a_client_that_repeats_an_unknown_transaction_applies_it_once(
    rig: Rig, phase: Phase
) -> None:
    """Each answer of the engine was lost, the client hears 500 and its SDK sends the same again."""
    rig.stand(phase)
    update = {
        "TableName": "faults-notes",
        "Key": {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": f"repeat-{phase.value}"}},
        "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": {":one": {"N": "1"}},
    }  # fmt: skip

    def transact() -> dict[str, Any]:
        return outcome(rig.proxied, "transact_write_items", TransactItems=[{"Update": update}],
                       ClientRequestToken=f"unknown-{phase.value}")  # fmt: skip

    rig.hop.plan = lambda operation, request: "lose" if operation == "TransactWriteItems" else None
    assert transact()["error"] == "InternalServerError"
    rig.hop.plan = lambda operation, request: None
    assert transact() == {}
    [stored] = [
        i for i in rig.items("notes", Side.OLD) if i["note_id"]["S"] == f"repeat-{phase.value}"
    ]
    assert stored["n"] == {"N": "1"}


@pytest.mark.parametrize(
    ("phase", "single"),
    [
        (Phase.OFF, False),
        (Phase.MIRROR_OLD, False),
        (Phase.ATOMIC_OLD, False),
        (Phase.ATOMIC_OLD, True),
    ],
)
def test_a_refused_repeat_does_not_say_that_nothing_will_be_written(
    rig: Rig, phase: Phase, *, single: bool
) -> None:
    """A transaction without an answer may be on its way still, and find its condition true when it
    gets there: the client is not told that it was false."""
    rig.stand(phase)
    cut: list[str] = []

    def plan(operation: str, request: Any) -> str | None:
        if operation == "TransactWriteItems" and not cut:
            cut.append(operation)
            return "cut"
        return None

    rig.hop.plan = plan
    put = {"TableName": "faults-notes", "Item": note(f"not-yet-{phase.value}"),
           "ConditionExpression": "attribute_exists(endpoint_id)"}  # fmt: skip
    if single:
        heard = outcome(rig.proxied, "put_item", **put)
    else:
        heard = outcome(rig.proxied, "transact_write_items", TransactItems=[{"Put": put}],
                        ClientRequestToken=f"not-yet-{phase.value}")  # fmt: skip
    assert cut
    assert heard["error"] == "InternalServerError"


@pytest.mark.parametrize("phase", [Phase.MIRROR_OLD, Phase.ATOMIC_OLD])
@pytest.mark.parametrize("together", [False, True])
def test_an_update_on_a_base_is_newer_than_its_base(
    rig: Rig, phase: Phase, *, together: bool
) -> None:
    """Also where a proxy whose clock is ahead wrote the base, or a younger request did while this
    one was reading: an older stamp over a newer one would let a late repeat pass the guard."""
    rig.stand(phase)
    name = f"based-{phase.value}-{together}"
    ahead = stamp_ahead()
    rig.engine.put_item(TableName="faults-notes", Item={**note(name), "dw_stamp": {"S": ahead}})
    key = {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": name}}
    update = {"TableName": "faults-notes", "Key": key, "UpdateExpression": "REMOVE v"}
    if together:
        heard = outcome(rig.proxied, "transact_write_items", TransactItems=[
            {"Update": update},
            {"Put": {"TableName": "faults-notes", "Item": note(f"{name}-beside")}},
        ])  # fmt: skip
    else:
        heard = outcome(rig.proxied, "update_item", **update)
    assert "error" not in heard
    [stored] = [i for i in rig.items("notes", Side.OLD) if i["note_id"]["S"] == name]
    assert "v" not in stored
    assert stored["dw_stamp"]["S"] > ahead
