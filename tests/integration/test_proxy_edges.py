"""What clients of the proxy meet at its edges: rows of all kinds, other writers, both ends of the
square, requests that mix tables."""

from collections.abc import Iterator
from typing import Any

import pytest

from dualwrite.core.items import HIDDEN
from dualwrite.core.phases import Phase, Side
from tests.proxy_harness import Rig, a_rig, create_table, outcome

PREFIX = "edges-"
NOTES, NOTES_NEW, TASKS, STEPS = (PREFIX + n for n in ("notes", "notes-v2", "tasks", "steps"))
OTHERS = PREFIX + "notes-others"
HISTORY = {"dw_stamp": {"S": "0000000000000.00000.000000.floor000.00000000"},
           "dw_other": {"M": {"partition_key": {"S": "aws-1#acme"}}}}  # fmt: skip


@pytest.fixture(scope="module")
def shared(engine: str, boto: Any) -> Iterator[Rig]:
    with a_rig(engine, boto, PREFIX) as made:
        create_table(boto, made.tables["notes"].old, OTHERS)
        yield made


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    shared.stand(Phase.MIRROR_OLD)
    shared.hop.calls.clear()
    yield shared
    shared.hop.plan = lambda operation, request: None


def note(number: str, tenant: str = "acme-prod", **more: Any) -> dict[str, Any]:
    return {"endpoint_id": {"S": tenant}, "note_id": {"S": number}, **more}


def new_note(number: str, **more: Any) -> dict[str, Any]:
    return {"partition_key": {"S": "aws-1#acme"}, "note_id": {"S": number}, **more}


def stored(rig: Rig, table: str, side: Side, **wanted: str) -> list[dict[str, Any]]:
    return [item for item in rig.items(table, side)
            if all(item[name] == {"S": text} for name, text in wanted.items())]  # fmt: skip


# -- other writers -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("dialect", "expression", "values"),
    [
        (Side.OLD, "REMOVE gone", {}),
        (Side.OLD, "SET endpoint_id = :e", {":e": {"S": "bolt-prod"}}),
        (Side.NEW, "REMOVE gone", {}),
        (Side.NEW, "SET part_id = :p, partition_key = :k",
         {":p": {"S": "bolt"}, ":k": {"S": "aws-1#bolt"}}),
    ],
)  # fmt: skip
def test_an_update_keeps_what_an_unstamped_writer_wrote_meanwhile(
    rig: Rig, dialect: Side, expression: str, values: dict[str, Any]
) -> None:
    """A proxy that still passes through (the state before ours) stamps nothing: its write between
    our read and our write must not be lost."""
    name = rig.tables["tasks"].side(dialect).name
    key = {"list_id": {"S": dialect.value}, "task_id": {"S": expression}}
    rig.engine.put_item(TableName=TASKS, Item={**key, "gone": {"S": "x"},
                                               "endpoint_id": {"S": "acme-prod"}})  # fmt: skip

    def intrude(operation: str, request: Any) -> None:
        annotates = "SET #g0" in request.get("UpdateExpression", "")
        writes = operation in ("PutItem", "UpdateItem") and not annotates
        if writes and request["TableName"] == TASKS:
            rig.hop.plan = lambda operation, request: None
            rig.engine.update_item(TableName=TASKS, Key=key, UpdateExpression="SET theirs = :x",
                                   ExpressionAttributeValues={":x": {"S": "x"}})  # fmt: skip

    rig.hop.plan = intrude
    more = {"ExpressionAttributeValues": values} if values else {}
    rig.proxied.update_item(TableName=name, Key=key, UpdateExpression=expression, **more)
    [item] = stored(rig, "tasks", Side.OLD, task_id=expression, list_id=dialect.value)
    assert item["theirs"] == {"S": "x"}
    assert item["endpoint_id"] == {"S": "bolt-prod" if values else "acme-prod"}
    [item] = stored(rig, "tasks", Side.NEW, task_id=expression, list_id=dialect.value)
    assert item["partition_key"] == {"S": "aws-1#bolt" if values else "aws-1#acme"}


def test_a_write_whose_reply_cannot_be_told_is_not_called_unwritten(rig: Rig) -> None:
    """The old item's tenant is its parent's, who cannot be asked: the client hears a 500, which it
    must look into, and not that nothing was written."""
    key = {"list_id": {"S": "l"}, "event_id": {"S": "e"}}
    rig.engine.put_item(TableName=PREFIX + "events", Item={**key, "task_id": {"S": "unknown"}})
    own = {"endpoint_id": {"S": "aws-1"}, "part_id": {"S": "acme"},
           "partition_key": {"S": "aws-1#acme"}}  # fmt: skip
    rig.hop.plan = lambda operation, request: "refuse" if operation == "GetItem" else None
    heard = outcome(rig.proxied, "put_item", TableName=PREFIX + "events-v2", Item={**key, **own},
                    ReturnValues="ALL_OLD")  # fmt: skip
    assert heard["error"] == "InternalServerError"
    [item] = rig.items("events", Side.OLD)
    assert item["endpoint_id"] == {"S": "acme-prod"}


# -- both ends of the square ---------------------------------------------------------------------


def test_off_shows_nothing_of_an_earlier_migration(rig: Rig) -> None:
    """After a walk back the rows still carry what the service added; nobody sees it."""
    rig.stand(Phase.OFF)
    rig.engine.put_item(TableName=NOTES, Item={**note("back"), **HISTORY})
    heard = outcome(rig.proxied, "put_item", TableName=NOTES, Item=note("back"),
                    ConditionExpression="attribute_exists(zzz)",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD")  # fmt: skip
    assert heard["error"] == "ConditionalCheckFailedException"
    assert heard["Item"] == note("back")
    heard = outcome(rig.proxied, "update_item", TableName=NOTES, ReturnValues="ALL_NEW",
                    Key=note("back"), UpdateExpression="SET v = :v",
                    ExpressionAttributeValues={":v": {"S": "x"}})  # fmt: skip
    assert not HIDDEN & heard["Attributes"].keys()


def test_off_takes_tenants_that_nobody_has_mapped_yet(rig: Rig) -> None:
    """Before the migration the old table takes whatever it took, alone and in batches."""
    rig.stand(Phase.OFF)
    stray = note("stray", "nobody-yet")
    for operation, parameters in (
        ("put_item", {"TableName": NOTES, "Item": stray}),
        ("batch_write_item", {"RequestItems": {NOTES: [{"PutRequest": {"Item": stray}}]}}),
        ("batch_write_item", {"RequestItems": {NOTES: [{"DeleteRequest": {"Key": stray}}]}}),
        ("transact_write_items", {"TransactItems": [{"Put": {"TableName": NOTES, "Item": stray}}]}),
        ("delete_item", {"TableName": NOTES, "Key": stray}),
    ):
        assert "error" not in outcome(rig.proxied, operation, **parameters), operation
    assert stored(rig, "notes", Side.OLD, note_id="stray") == []


def test_a_search_that_only_old_can_serve_ends_with_the_migration(rig: Rig) -> None:
    """An index that only the old design has is refused when that side is written no more: stale
    rows are never passed off as fresh ones. Legacy parameters are served by whoever leads."""
    conditions = {"endpoint_id": {"ComparisonOperator": "EQ",
                                  "AttributeValueList": [{"S": "acme-prod"}]}}  # fmt: skip
    rig.proxied.put_item(TableName=NOTES, Item=note("legacy"))
    query = {"TableName": NOTES, "KeyConditions": conditions}
    for phase in (Phase.MIRROR_OLD, Phase.DONE):
        rig.stand(phase)
        assert note("legacy") in outcome(rig.proxied, "query", **query)["Items"]
    by_index = outcome(rig.proxied, "query", **query, IndexName="by-old-words")
    assert "only the old design" in by_index["message"]


# -- requests that mix tables --------------------------------------------------------------------


@pytest.mark.parametrize(
    "phase",
    [Phase.OFF, Phase.MIRROR_OLD, Phase.ATOMIC_OLD, Phase.ATOMIC_NEW, Phase.MIRROR_NEW, Phase.DONE],
)
def test_a_transaction_over_all_kinds_of_tables(rig: Rig, phase: Phase) -> None:
    """Managed in both kinds and not managed: all or nothing, each with its own reason."""
    rig.stand(phase)
    run = phase.value
    step = {"task_id": {"S": run}, "step_id": {"S": "s"}}
    puts = [
        {"Put": {"TableName": OTHERS, "Item": note(run, dw_stamp={"S": "mine"})}},
        {"Put": {"TableName": NOTES, "Item": note(run)}},
        {"Put": {"TableName": STEPS, "Item": step}},
    ]
    check = {"ConditionCheck": {"TableName": OTHERS, "Key": note(run + "!"),
                                "ConditionExpression": "attribute_exists(note_id)"}}  # fmt: skip
    heard = outcome(rig.proxied, "transact_write_items", TransactItems=[*puts, check])
    codes = [reason["Code"] for reason in heard["CancellationReasons"]]
    assert codes == ["None", "None", "None", "ConditionalCheckFailed"]
    heard = outcome(rig.proxied, "transact_write_items", TransactItems=puts,
                    ReturnConsumedCapacity="TOTAL")  # fmt: skip
    assert {c["TableName"] for c in heard["ConsumedCapacity"]} == {OTHERS, NOTES, STEPS}
    got = rig.proxied.transact_get_items(TransactItems=[
        {"Get": {"TableName": OTHERS, "Key": note(run)}},
        {"Get": {"TableName": NOTES, "Key": note(run)}},
        {"Get": {"TableName": STEPS, "Key": step}},
    ])["Responses"]  # fmt: skip
    assert [r["Item"] for r in got] == [note(run, dw_stamp={"S": "mine"}), note(run), step]
    got = rig.proxied.batch_get_item(RequestItems={
        OTHERS: {"Keys": [note(run)]}, NOTES: {"Keys": [note(run)]}, STEPS: {"Keys": [step]},
    })["Responses"]  # fmt: skip
    assert got == {OTHERS: [note(run, dw_stamp={"S": "mine"})], NOTES: [note(run)], STEPS: [step]}


def test_an_update_that_cannot_be_evaluated_cancels_its_transaction(rig: Rig) -> None:
    """In atomic mode the proxy finds out before it sends; the client hears what AWS would say."""
    rig.stand(Phase.ATOMIC_OLD)
    heard = outcome(rig.proxied, "transact_write_items", TransactItems=[
        {"Put": {"TableName": NOTES, "Item": note("other")}},
        {"Update": {"TableName": NOTES, "Key": note("evaluated"),
                    "UpdateExpression": "SET a = never_written"}},
    ])  # fmt: skip
    assert heard["error"] == "TransactionCanceledException", heard
    assert [r["Code"] for r in heard["CancellationReasons"]] == ["None", "ValidationError"]
    assert stored(rig, "notes", Side.OLD, note_id="other") == []


def test_statements_on_tables_with_similar_names_pass(rig: Rig) -> None:
    """What is not understood is passed on where it is about others, and refused where it is about a
    managed table, however that is quoted."""
    similar = {"Statement": f'SELECT * FROM "{OTHERS}" x'}
    heard = [outcome(who, "execute_statement", **similar) for who in (rig.proxied, rig.engine)]
    assert heard[0] == heard[1]
    for text in (f'SELECT * FROM "{NOTES}" x', f"SELECT * FROM {NOTES} x"):
        heard = outcome(rig.proxied, "execute_statement", Statement=text)
        assert "Aliasing" in heard["message"] or "well formed" in heard["message"], text


@pytest.mark.parametrize("consistent", [False, True])
def test_a_scan_that_goes_on_after_the_end_reads_what_leads(rig: Rig, consistent: bool) -> None:
    """A page key from before ``done`` does not lead back to the old table, where nothing is written
    any more: no deleted row shows, and none of those behind the key lacks."""
    rig.stand(Phase.ATOMIC_NEW)
    for number in range(6):
        row = {"list_id": {"S": "ends"}, "task_id": {"S": str(number)},
               "endpoint_id": {"S": "acme-prod"}}  # fmt: skip
        rig.proxied.put_item(TableName=TASKS, Item=row)
    first = rig.proxied.scan(TableName=TASKS, Limit=2, ConsistentRead=consistent)
    seen = [item["task_id"]["S"] for item in first["Items"] if item["list_id"] == {"S": "ends"}]
    rig.stand(Phase.DONE)
    left = next(str(number) for number in reversed(range(6)) if str(number) not in seen)
    key = {"list_id": {"S": "ends"}, "task_id": {"S": left}}
    rig.proxied.delete_item(TableName=TASKS, Key=key)
    rest = rig.proxied.scan(TableName=TASKS, ExclusiveStartKey=first["LastEvaluatedKey"],
                            ConsistentRead=consistent)["Items"]  # fmt: skip
    seen += [item["task_id"]["S"] for item in rest if item["list_id"] == {"S": "ends"}]
    assert sorted([*seen, left]) == [str(number) for number in range(6)]


# -- what a batch leaves -------------------------------------------------------------------------


@pytest.mark.parametrize("phase", [Phase.MIRROR_OLD, Phase.MIRROR_NEW])
def test_what_a_batch_left_comes_back_as_it_was_sent(rig: Rig, phase: Phase) -> None:
    """Unprocessed items and keys are the client's own, and nothing of them was mirrored."""
    rig.stand(phase)
    rig.hop.plan = lambda operation, request: "leave" if operation.startswith("Batch") else None
    requests = {
        NOTES: [{"PutRequest": {"Item": note("left", v={"N": "1"})}},
                {"DeleteRequest": {"Key": note("gone")}}],
        NOTES_NEW: [{"DeleteRequest": {"Key": new_note("left too")}}],
        OTHERS: [{"PutRequest": {"Item": note("left")}}],
    }  # fmt: skip
    heard = rig.proxied.batch_write_item(RequestItems=requests)
    assert heard["UnprocessedItems"] == requests
    assert not {"PutItem", "DeleteItem"} & set(rig.hop.calls)
    keys = {NOTES: {"Keys": [note("left")], "ProjectionExpression": "v"},
            OTHERS: {"Keys": [note("left")]}}  # fmt: skip
    assert rig.proxied.batch_get_item(RequestItems=keys)["UnprocessedKeys"] == keys


def test_an_oversize_member_keeps_an_atomic_batch_from_being_written(rig: Rig) -> None:
    """In atomic mode each item is a transaction of its own, yet a batch that a plain table would
    refuse leaves nothing behind."""
    rig.stand(Phase.ATOMIC_OLD)
    members = [note("fits"), note("too-large", text={"S": "x" * 400 * 1024})]
    refused = outcome(rig.proxied, "batch_write_item", RequestItems={
        NOTES: [{"PutRequest": {"Item": item}} for item in members]})  # fmt: skip
    assert refused["error"] == "ValidationException"
    assert "Item size" in refused["message"]
    assert not stored(rig, "notes", Side.OLD, note_id="fits")
    assert not stored(rig, "notes", Side.NEW, note_id="fits")


def test_a_member_whose_outcome_nobody_knows_is_not_told_as_unprocessed(rig: Rig) -> None:
    """What is unprocessed was not written. A lost answer is an unknown outcome of the batch, whose
    other members are written all the same."""
    rig.stand(Phase.ATOMIC_OLD)

    def plan(operation: str, request: Any) -> str | None:
        return "lose" if operation == "TransactWriteItems" and "lost" in str(request) else None

    rig.hop.plan = plan
    members = [{"PutRequest": {"Item": note(name)}} for name in ("lost", "told")]
    heard = outcome(rig.proxied, "batch_write_item", RequestItems={NOTES: members})
    assert heard["error"] == "InternalServerError"
    assert stored(rig, "notes", Side.OLD, note_id="lost")
    assert stored(rig, "notes", Side.NEW, note_id="told")


def test_a_throttled_member_of_an_atomic_batch_is_unprocessed(rig: Rig) -> None:
    """The rest of the batch is written; what was not comes back."""
    rig.stand(Phase.ATOMIC_OLD)

    def plan(operation: str, request: Any) -> str | None:
        return "throttle" if operation == "TransactWriteItems" and "slow" in str(request) else None

    rig.hop.plan = plan
    slow, quick = ({"PutRequest": {"Item": note(name)}} for name in ("slow", "quick"))
    heard = rig.proxied.batch_write_item(RequestItems={NOTES: [slow, quick]})
    assert heard["UnprocessedItems"] == {NOTES: [slow]}
    assert stored(rig, "notes", Side.OLD, note_id="quick")
    assert not stored(rig, "notes", Side.NEW, note_id="slow")
