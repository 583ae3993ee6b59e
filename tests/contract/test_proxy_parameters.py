"""What the parameters of each item operation promise, those that are seldom used too."""

from typing import Any

import pytest

from dualwrite.core.phases import Mode, Side
from tests.contract.twins import Twin
from tests.proxy_harness import TENANTS, outcome

ONE = {":one": {"N": "1"}}


# -- keys and values ---------------------------------------------------------------------------


def test_keys_that_are_numbers_and_bytes(twin: Twin) -> None:
    """N and B keys work in every operation, however a client spells a number."""
    one, half = ("1.0", "02.50") if twin.rig.reference else ("1", "2.5")
    name, key = twin.name("samples"), twin.sample_key(one)
    twin.both("put_item", TableName=name, Item=twin.sample(v={"N": "1"}))
    twin.both("update_item", TableName=name, Key=key, UpdateExpression="ADD v :one",
              ExpressionAttributeValues=ONE, ReturnValues="ALL_NEW")  # fmt: skip
    twin.both("update_item", TableName=name, Key=twin.sample_key(half),
              UpdateExpression="SET v = :one", ExpressionAttributeValues=ONE,
              ReturnValues="ALL_NEW")  # fmt: skip
    twin.both("get_item", TableName=name, Key=key, ConsistentRead=True)
    twin.both("query", TableName=name, KeyConditionExpression="#a = :a AND mark > :m",
              ExpressionAttributeNames={"#a": "at"},
              ExpressionAttributeValues={":a": {"N": "1"}, ":m": {"B": b"\x00"}})  # fmt: skip
    page = twin.both("query", TableName=name, KeyConditionExpression="#a = :a", Limit=1,
                     ExpressionAttributeNames={"#a": "at"},
                     ExpressionAttributeValues={":a": {"N": "1"}})  # fmt: skip
    if "LastEvaluatedKey" in page:
        twin.both("query", TableName=name, KeyConditionExpression="#a = :a",
                  ExpressionAttributeNames={"#a": "at"}, Limit=1,
                  ExpressionAttributeValues={":a": {"N": "1"}},
                  ExclusiveStartKey=page["LastEvaluatedKey"])  # fmt: skip
    requests = {name: [{"DeleteRequest": {"Key": twin.sample_key(half)}}]}
    twin.both("batch_write_item", RequestItems=requests)
    twin.both("delete_item", TableName=name, Key=key, ReturnValues="ALL_OLD")


def test_an_update_counts_with_38_digits(twin: Twin) -> None:
    """A number comes back with all of its digits, also where the proxy did the sum."""
    digits = "1234567890123456789012345678901234567"
    twin.both("put_item", TableName=twin.name("notes"), Item=twin.note(v={"N": digits}))
    got = twin.rig.proxied.get_item(TableName=twin.name("notes"), Key=twin.note_key(),
                                    ConsistentRead=True)  # fmt: skip
    assert got["Item"]["v"] == {"N": digits}


# -- updates -----------------------------------------------------------------------------------


def test_an_update_without_an_expression_makes_an_item(twin: Twin) -> None:
    """It makes an item of its key, and leaves one that is there as it is."""
    for returns in ("ALL_NEW", "UPDATED_NEW", "ALL_OLD"):
        twin.both("update_item", TableName=twin.name("notes"), Key=twin.note_key(),
                  ReturnValues=returns)  # fmt: skip


def test_an_update_that_only_removes_keeps_the_rest(twin: Twin) -> None:
    """REMOVE and DELETE on an item that is there, with a condition of other names."""
    name, item = twin.name("tasks"), twin.task(a={"S": "x"}, v={"N": "1"}, s={"SS": ["a", "b"]})
    twin.both("put_item", TableName=name, Item=item)
    for expression, more in (
        ("REMOVE #gone", {"ExpressionAttributeNames": {"#gone": "a", "#v": "v"},
                          "ConditionExpression": "#v = :one OR #v = :one",
                          "ExpressionAttributeValues": ONE}),
        ("DELETE s :b", {"ExpressionAttributeValues": {":b": {"SS": ["b"]}}}),
        ("REMOVE v", {"ConditionExpression": "attribute_not_exists(v)"}),
    ):  # fmt: skip
        twin.both("update_item", TableName=name, Key=twin.task_key(), UpdateExpression=expression,
                  ReturnValues="ALL_NEW", **more)  # fmt: skip


def test_an_update_that_only_removes_makes_nothing(twin: Twin) -> None:
    """Where there is no item there is none after it, whatever its condition (as AWS does)."""
    for more in (
        {},
        {"ConditionExpression": "attribute_not_exists(#b)",
         "ExpressionAttributeNames": {"#b": "b"}},
    ):  # fmt: skip
        heard = outcome(twin.rig.proxied, "update_item", TableName=twin.name("notes"),
                        Key=twin.note_key(), UpdateExpression="REMOVE a", **more)  # fmt: skip
        assert "error" not in heard
        change = {"Key": twin.note_key(), "TableName": twin.name("notes"),
                  "UpdateExpression": "REMOVE a", **more}  # fmt: skip
        heard = outcome(twin.rig.proxied, "transact_write_items", TransactItems=[
            {"Update": change},
        ])  # fmt: skip
        assert "error" not in heard, heard
    heard = outcome(
        twin.rig.proxied, "update_item", TableName=twin.name("notes"), Key=twin.note_key(),
        UpdateExpression="REMOVE #a", ConditionExpression="attribute_exists(b)",
        ExpressionAttributeNames={"#a": "a"},
    )  # fmt: skip
    assert heard["error"] == "ConditionalCheckFailedException"
    assert twin.rig.items("notes", Side.OLD) == twin.rig.items("notes", Side.NEW) == []


def test_a_derived_attribute_changes_under_a_condition(twin: Twin) -> None:
    """The client's names and values are all used, wherever its parts end up."""
    name = twin.name("tasks")
    twin.both("put_item", TableName=name, Item=twin.task(v={"N": "1"}))
    if twin.dialect is Side.OLD:
        expression, values = "SET #e = :e", {":e": {"S": "bolt-prod"}}
    else:
        expression = "SET #e = :e, part_id = :p, partition_key = :k"
        values = {":e": {"S": "gcp-2"}, ":p": {"S": "cyan"}, ":k": {"S": "gcp-2#cyan"}}
    for returns in ("UPDATED_OLD", "ALL_NEW"):
        twin.both("update_item", TableName=name, Key=twin.task_key(), UpdateExpression=expression,
                  ConditionExpression="#v = :one", ReturnValues=returns,
                  ExpressionAttributeNames={"#e": "endpoint_id", "#v": "v"},
                  ExpressionAttributeValues={**values, **ONE})  # fmt: skip


@pytest.mark.managed_only
def test_an_update_of_what_a_parent_is_looked_up_by(twin: Twin) -> None:
    """A row without a tenant of its own follows its parent, also when it gets another one."""
    if twin.dialect is Side.NEW:
        return
    for number, tenant in ((1, "acme-prod"), (2, "bolt-prod")):
        twin.both("put_item", TableName=twin.name("tasks"), Item=twin.task(number, tenant))
    key = {"list_id": {"S": twin.run}, "event_id": {"S": "e"}}
    twin.both("put_item", TableName=twin.name("events"), Item={**key, "task_id": {"S": "t1"}})
    twin.both("update_item", TableName=twin.name("events"), Key=key,
              UpdateExpression="SET task_id = :t", ReturnValues="ALL_NEW",
              ExpressionAttributeValues={":t": {"S": "t2"}})  # fmt: skip
    [stored] = twin.rig.items("events", Side.NEW)
    assert stored["partition_key"] == {"S": "#".join(TENANTS["bolt-prod"])}


# -- rows that nobody has copied yet -------------------------------------------------------------


def test_a_condition_on_derived_names_decides_on_history_too(twin: Twin) -> None:
    """A row that no one annotated yet has its derived attributes, for a condition as for a read."""
    if twin.phase.mode is not Mode.MIRROR or twin.phase.leader is not Side.OLD:
        return
    name, item = twin.name("tasks"), twin.task()
    own = {**twin.task_key(), "endpoint_id": {"S": "acme-prod"}}
    tenant = {":e": item["endpoint_id"]}
    check = {"TableName": name, "Key": twin.task_key(), "ExpressionAttributeValues": tenant}
    calls: list[tuple[str, dict[str, Any]]] = [
        ("transact_write_items", {"ConditionCheck": check}),
        (
            "transact_write_items",
            {"Put": {"TableName": name, "Item": item, "ExpressionAttributeValues": tenant}},
        ),
        ("update_item", {"Key": twin.task_key(), "UpdateExpression": "SET a = :e"}),
        ("put_item", {"Item": twin.task(a={"S": "y"})}),
        ("delete_item", {"Key": twin.task_key()}),
    ]
    for condition in ("endpoint_id <> :e", "endpoint_id = :e"):
        for operation, parameters in calls:
            twin.rig.engine.put_item(TableName=twin.rig.tables["tasks"].old.name, Item=own)
            twin.rig.engine.put_item(TableName=f"plain-{name}", Item=item)
            if operation == "transact_write_items":
                [(verb, action)] = parameters.items()
                action = {**action, "ConditionExpression": condition}
                twin.both(operation, TransactItems=[{verb: action}])
                continue
            twin.both(operation, TableName=name, ConditionExpression=condition,
                      ReturnValuesOnConditionCheckFailure="ALL_OLD",
                      ExpressionAttributeValues=tenant, **parameters)  # fmt: skip
    twin.both("delete_item", TableName=name, Key=twin.task_key())


def test_an_update_reads_and_writes_derived_names_of_history_too(twin: Twin) -> None:
    """The other dialect's words stand in a row that was never annotated, for an update as well."""
    if twin.phase.mode is not Mode.MIRROR or twin.phase.leader is not Side.OLD:
        return
    name, words = twin.name("tasks"), ["endpoint_id", "partition_key"]
    own = {**twin.task_key(), "endpoint_id": {"S": "acme-prod"}, "kept": {"S": "x"}}
    values = {":e": {"S": "gcp-2"}, ":p": {"S": "cyan"}, ":k": {"S": "gcp-2#cyan"}}
    if twin.dialect is Side.OLD:
        words, values = ["endpoint_id"], {":e": {"S": "cyan-dev"}}
    moved = {"endpoint_id": ":e", "part_id": ":p", "partition_key": ":k"}
    sets = [f"{word} = {value}" for word, value in moved.items() if value in values]
    for expression, used in (
        ("SET a = " + words[-1], {}),
        (f"SET a = {words[-1]}, {', '.join(sets)} REMOVE kept", values),
    ):
        twin.rig.engine.put_item(TableName=twin.rig.tables["tasks"].old.name, Item=own)
        twin.rig.engine.put_item(TableName=f"plain-{name}", Item=twin.task(kept={"S": "x"}))
        more = {"ExpressionAttributeValues": used} if used else {}
        twin.both("update_item", TableName=name, Key=twin.task_key(), UpdateExpression=expression,
                  ReturnValues="ALL_NEW", **more)  # fmt: skip
        twin.both("get_item", TableName=name, Key=twin.task_key(), ConsistentRead=True)


@pytest.mark.managed_only
def test_a_scan_leaves_out_rows_without_a_place(twin: Twin) -> None:
    """A row that cannot be mapped stays on the old table and is no error for new clients."""
    if twin.phase.leader is not Side.OLD:
        return
    old = twin.rig.tables["notes"].old.name
    strays = [{"endpoint_id": {"S": f"nobody-{n}"}, "note_id": {"S": twin.run}} for n in range(4)]
    for stray in strays:
        twin.rig.engine.put_item(TableName=old, Item=stray)
    twin.both("put_item", TableName=twin.name("notes"), Item=twin.note())
    found, start = [], {}
    while True:
        page = twin.rig.proxied.scan(TableName=twin.name("notes"), Limit=1, **start)
        found += page["Items"]
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert len(found) == (5 if twin.dialect is Side.OLD else 1)
    for stray in strays:
        twin.rig.engine.delete_item(TableName=old, Key=stray)


def test_a_query_for_a_tenant_without_a_place(twin: Twin) -> None:
    """It finds nothing, or what was left on the client's own side; it is no error."""
    twin.rig.stand(twin.phase, read_share=100)
    name = next(iter(twin.note_key()))
    for tenant in ("nobody", "no#body"):
        for consistent in (False, True):
            twin.both("query", TableName=twin.name("notes"), KeyConditionExpression=f"{name} = :h",
                      ExpressionAttributeValues={":h": {"S": tenant}},
                      ConsistentRead=consistent)  # fmt: skip


# -- reads ---------------------------------------------------------------------------------------


def fill(twin: Twin) -> None:
    for number in range(4):
        for tenant in TENANTS:
            twin.both("put_item", TableName=twin.name("notes"),
                      Item=twin.note(number, tenant, v={"N": str(number)}))  # fmt: skip


@pytest.mark.parametrize("share", [30, 70])
def test_a_parallel_scan_sees_every_item_once(twin: Twin, share: int) -> None:
    """Its segments are all of one side, for the two sides cut their items differently."""
    fill(twin)
    twin.rig.stand(twin.phase, read_share=share)
    found = []
    for segment in range(8):
        start: dict[str, Any] = {}
        while True:
            page = twin.rig.proxied.scan(TableName=twin.name("notes"), Segment=segment,
                                         TotalSegments=8, Limit=2, **start)  # fmt: skip
            found += [str(sorted(twin_key(twin, item).items())) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert len(found) == len(set(found)) == 12


def twin_key(twin: Twin, item: dict[str, Any]) -> dict[str, Any]:
    return {name: item[name] for name in twin.note_key()}


@pytest.mark.parametrize("forward", [True, False])
def test_a_query_goes_on_where_reads_go_now(twin: Twin, forward: bool) -> None:
    """Its pages give each item once and in order, though each comes from another side than the
    one before; its page keys are those of a plain table."""
    fill(twin)
    name, start, pages = twin.name("notes"), {}, 0
    hash_name, hash_value = next(iter(twin.note_key().items()))
    while True:
        twin.rig.stand(twin.phase, read_share=100 * (pages % 2))
        page = twin.both("query", TableName=name, KeyConditionExpression=f"{hash_name} = :h",
                         ExpressionAttributeValues={":h": hash_value}, Limit=1,
                         ScanIndexForward=forward, **start)  # fmt: skip
        pages += 1
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert pages >= 4


@pytest.mark.parametrize("share", [0, 100])
def test_what_a_read_may_ask_for(twin: Twin, share: int) -> None:
    """Select, ScanIndexForward, AttributesToGet, names in projections, filters of placeholders."""
    fill(twin)
    twin.rig.stand(twin.phase, read_share=share)
    hash_name, hash_value = next(iter(twin.note_key().items()))
    query = {"TableName": twin.name("notes"), "KeyConditionExpression": f"{hash_name} = :h"}
    values = {":h": hash_value}
    for more in (
        {"Select": "ALL_ATTRIBUTES"},
        {"Select": "SPECIFIC_ATTRIBUTES", "ProjectionExpression": "v"},
        {"ScanIndexForward": True, "Limit": 2},
        {"ProjectionExpression": "#v, #p",
         "ExpressionAttributeNames": {"#v": "v", "#p": "part_id"}},
        {"FilterExpression": "#v > :two", "ExpressionAttributeNames": {"#v": "v"}},
    ):  # fmt: skip
        extra = {":two": {"N": "2"}} if "FilterExpression" in more else {}
        twin.both("query", **query, **more, ExpressionAttributeValues={**values, **extra})
    key = {"TableName": twin.name("notes"), "Key": twin.note_key()}
    for more in (
        {"AttributesToGet": ["v", "note_id"]},
        {"ProjectionExpression": "#v", "ExpressionAttributeNames": {"#v": "v"}},
    ):
        twin.both("get_item", **key, **more)
        got = twin.rig.proxied.batch_get_item(
            RequestItems={twin.name("notes"): {"Keys": [twin.note_key()], **more}}
        )
        assert set(got["Responses"][twin.name("notes")][0]) <= {"v", "note_id"}
    twin.both("transact_get_items", TransactItems=[
        {"Get": {**key, "ProjectionExpression": "#v", "ExpressionAttributeNames": {"#v": "v"}}},
        {"Get": {**key, "Key": twin.note_key(99)}},
    ])  # fmt: skip


def test_sets_are_told_in_the_order_of_a_read(twin: Twin) -> None:
    """Sets have no order, but clients see one: an update answers a set as a read then tells it."""
    if not twin.rig.reference:
        pytest.skip("other engines keep the order in which members came")
    name = twin.name("notes")
    twin.both("put_item", TableName=name, Item=twin.note(kept={"SS": ["y", "x"]}))
    heard = twin.both(
        "update_item", TableName=name, Key=twin.note_key(), ReturnValues="ALL_NEW",
        UpdateExpression="SET made = :s, deep = :m ADD kept :s, n :n, b :b",
        ExpressionAttributeValues={
            ":s": {"SS": ["z", "a", "é"]}, ":m": {"M": {"in": {"NS": ["10", "9", "-1"]}}},
            ":n": {"NS": ["3", "-2", "10"]}, ":b": {"BS": [b"\x02", b"\x01\x02", b"\x01"]},
        },
    )  # fmt: skip
    read = twin.both("get_item", TableName=name, Key=twin.note_key(), ConsistentRead=True)
    assert heard["Attributes"] == read["Item"]


def test_booleans_may_come_as_texts(twin: Twin) -> None:
    """Clients without types send them so, in items and beside them, and DynamoDB reads them."""
    if not twin.rig.reference:
        pytest.skip("other engines differ in what they read")
    name, truth = twin.name("notes"), {"BOOL": "true"}
    twin.both(
        "put_item", TableName=name,
        Item=twin.note(flag=truth, none={"NULL": "true"}, deep={"M": {"l": {"L": [truth]}}}),
    )  # fmt: skip
    twin.both(
        "update_item", TableName=name, Key=twin.note_key(), ReturnValues="ALL_NEW",
        UpdateExpression="SET more = :t", ConditionExpression="flag = :t",
        ExpressionAttributeValues={":t": truth},
    )  # fmt: skip
    heard = twin.both("get_item", TableName=name, Key=twin.note_key(), ConsistentRead="true")
    assert heard["Item"]["more"] == heard["Item"]["flag"] == {"BOOL": True}
