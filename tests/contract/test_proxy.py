"""No client can tell the proxy from a plain table: the same calls go to both, the answers compare.

Each promise runs in every phase and in both dialects against one real engine. After each, the two
sides of every table hold the same, without any consumer running.
"""

from typing import Any

import pytest

from dualwrite.core.items import HIDDEN
from dualwrite.core.phases import Mode, Side
from tests.contract.twins import Twin
from tests.proxy_harness import TENANTS, outcome

# -- single writes ----------------------------------------------------------------------------


def test_put_then_get_gives_the_item_back(twin: Twin) -> None:
    """An item reads back as it was written: every type, nothing hidden, nothing lost."""
    item = twin.note(
        text={"S": "Grüße"}, empty={"S": ""}, amount={"N": "123.45"}, flag={"BOOL": True},
        nothing={"NULL": True}, strings={"SS": ["b", "a"]}, numbers={"NS": ["2", "1"]},
        binary={"B": b"\x00\xff"}, deep={"M": {"list": {"L": [{"N": "1"}, {"S": "x"}]}}},
    )  # fmt: skip
    twin.both("put_item", TableName=twin.name("notes"), Item=item)
    got = twin.both(
        "get_item", TableName=twin.name("notes"), Key=twin.note_key(), ConsistentRead=True
    )
    assert got["Item"].keys() == item.keys()


@pytest.mark.parametrize("returns", ["NONE", "ALL_OLD"])
def test_put_and_delete_return_the_old_item(twin: Twin, returns: str) -> None:
    """ReturnValues of Put and Delete are those of a plain table."""
    name = twin.name("notes")
    for number in (1, 2):
        twin.both("put_item", TableName=name, Item=twin.note(v={"N": str(number)}),
                  ReturnValues=returns)  # fmt: skip
    twin.both("delete_item", TableName=name, Key=twin.note_key(), ReturnValues=returns)
    twin.both("delete_item", TableName=name, Key=twin.note_key(), ReturnValues=returns)


def test_a_conditional_create_succeeds_once(twin: Twin) -> None:
    """attribute_not_exists on a key attribute means "no such item", in both dialects."""
    key = "endpoint_id" if twin.dialect is Side.OLD else "partition_key"
    for _ in range(2):
        twin.both("put_item", TableName=twin.name("notes"), Item=twin.note(v={"N": "1"}),
                  ConditionExpression=f"attribute_not_exists({key})")  # fmt: skip


@pytest.mark.parametrize(
    "condition",
    ["v = :one", "v <> :one", "v = :one OR v = :two", "(v = :one OR v = :two)", "NOT v = :one",
     "attribute_exists(v) AND size(#t) > :one", "v IN (:one, :two)", "v BETWEEN :one AND :two"],
)  # fmt: skip
def test_conditions_decide_as_on_a_plain_table(twin: Twin, condition: str) -> None:
    """A condition holds, or fails with the old item, exactly as it would have."""
    name = twin.name("notes")
    twin.both("put_item", TableName=name, Item=twin.note(v={"N": "1"}, text={"S": "long"}))
    values = {":one": {"N": "1"}, ":two": {"N": "2"}}
    used = {key: value for key, value in values.items() if key in condition}
    more: dict[str, Any] = {"ExpressionAttributeValues": used}
    if "#t" in condition:
        more["ExpressionAttributeNames"] = {"#t": "text"}
    for _ in range(2):
        twin.both("put_item", TableName=name, Item=twin.note(v={"N": "3"}, text={"S": "l"}),
                  ConditionExpression=condition, ReturnValuesOnConditionCheckFailure="ALL_OLD",
                  **more)  # fmt: skip
    twin.both("delete_item", TableName=name, Key=twin.note_key(),
              ConditionExpression=condition, ReturnValuesOnConditionCheckFailure="ALL_OLD",
              **more)  # fmt: skip


@pytest.mark.parametrize("returns", ["NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"])
def test_update_returns_what_a_plain_table_returns(twin: Twin, returns: str) -> None:
    """Every ReturnValues of an update of top-level attributes, on a new and on an old item."""
    name = twin.name("notes")
    for _ in range(2):
        twin.both(
            "update_item", TableName=name, Key=twin.note_key(),
            UpdateExpression="SET a = :a, b = if_not_exists(b, :b) REMOVE c ADD n :n",
            ExpressionAttributeValues={":a": {"S": "x"}, ":b": {"L": []}, ":n": {"N": "2"}},
            ReturnValues=returns,
        )  # fmt: skip
    twin.both("get_item", TableName=name, Key=twin.note_key(), ConsistentRead=True)


@pytest.mark.parametrize(
    "condition", ["", "attribute_not_exists({key})", "attribute_exists({key})"]
)
def test_an_update_that_makes_an_item_may_read_its_key(twin: Twin, condition: str) -> None:
    """What is not there yet has its key, for the update though not for its condition."""
    for number, key in enumerate(twin.note_key()):
        request: dict[str, Any] = {
            "TableName": twin.name("notes"), "Key": twin.note_key(number),
            "UpdateExpression": f"SET a = {key}, b = if_not_exists(b, {key})",
            "ReturnValues": "UPDATED_NEW",
        }  # fmt: skip
        if condition:
            request["ConditionExpression"] = condition.format(key=key)
        heard = twin.both("update_item", **request)
        assert ("error" in heard) is ("_exists" in condition and "not" not in condition)
        twin.both("get_item", TableName=twin.name("notes"), Key=twin.note_key(number),
                  ConsistentRead=True)  # fmt: skip


def test_updates_of_tasks_keep_everything_else(twin: Twin) -> None:
    """An update touches what it names and nothing else, on a table whose key does not change."""
    name = twin.name("tasks")
    twin.both("put_item", TableName=name, Item=twin.task(m={"M": {"x": {"N": "1"}}}))
    for expression in ("SET m.x = m.x + :n", "SET m.y = :n", "REMOVE m.x", "ADD cnt :n"):
        twin.both(
            "update_item", TableName=name, Key=twin.task_key(), UpdateExpression=expression,
            ReturnValues="ALL_NEW",
            **({"ExpressionAttributeValues": {":n": {"N": "5"}}} if ":n" in expression else {}),
        )  # fmt: skip


def test_an_update_may_change_a_derived_attribute(twin: Twin) -> None:
    """A dialect's own words change through an update, and the other dialect's follow."""
    name = twin.name("tasks")
    twin.both("put_item", TableName=name, Item=twin.task())
    if twin.dialect is Side.OLD:
        expression, values = "SET endpoint_id = :e", {":e": {"S": "bolt-prod"}}
    else:
        expression = "SET endpoint_id = :e, part_id = :p, partition_key = :k"
        values = {":e": {"S": "gcp-2"}, ":p": {"S": "cyan"}, ":k": {"S": "gcp-2#cyan"}}
    twin.both("update_item", TableName=name, Key=twin.task_key(), UpdateExpression=expression,
              ExpressionAttributeValues=values, ReturnValues="UPDATED_NEW")  # fmt: skip
    twin.both("get_item", TableName=name, Key=twin.task_key(), ConsistentRead=True)


def test_conditions_on_derived_attributes_hold_in_either_dialect(twin: Twin) -> None:
    """A tenant check on the dialect's own attribute works, whichever side leads."""
    name = twin.name("tasks")
    twin.both("put_item", TableName=name, Item=twin.task())
    for wanted in ("acme-prod", "bolt-prod"):
        value = wanted if twin.dialect is Side.OLD else TENANTS[wanted][0]
        twin.both("update_item", TableName=name, Key=twin.task_key(),
                  UpdateExpression="SET seen = :t", ConditionExpression="endpoint_id = :e",
                  ExpressionAttributeValues={":t": {"BOOL": True}, ":e": {"S": value}},
                  ReturnValues="ALL_NEW")  # fmt: skip


def test_concurrent_adds_all_count(twin: Twin) -> None:
    """An ADD is applied once a request, whoever else adds at the same time."""
    from concurrent.futures import ThreadPoolExecutor

    def add(_: int) -> bool:
        answer = outcome(twin.rig.proxied, "update_item", TableName=twin.name("notes"),
                         Key=twin.note_key(), UpdateExpression="ADD n :one",
                         ExpressionAttributeValues={":one": {"N": "1"}})  # fmt: skip
        assert "error" not in answer or answer["error"] == "ThrottlingException"
        return "error" not in answer

    with ThreadPoolExecutor(4) as pool:
        done = sum(pool.map(add, range(16)))
    got = twin.rig.proxied.get_item(TableName=twin.name("notes"), Key=twin.note_key(),
                                    ConsistentRead=True)  # fmt: skip
    assert got["Item"]["n"] == {"N": str(done)}
    reconcile_by_hand(twin)


def reconcile_by_hand(twin: Twin) -> None:
    """Concurrent mirror writes may leave an older image for the streams to cure; here nobody
    reads streams, so the follower is written once more by a quiet update."""
    twin.rig.proxied.update_item(TableName=twin.name("notes"), Key=twin.note_key(),
                                 UpdateExpression="SET quiet = :t",
                                 ExpressionAttributeValues={":t": {"BOOL": True}})  # fmt: skip


# -- reads -------------------------------------------------------------------------------------


def fill(twin: Twin) -> None:
    for number in range(7):
        twin.both(
            "put_item",
            TableName=twin.name("notes"),
            Item=twin.note(number, v={"N": str(number)}, odd={"BOOL": number % 2 == 1}),
        )
        twin.both(
            "put_item",
            TableName=twin.name("tasks"),
            Item=twin.task(number, owner={"S": f"o{number % 2}"}, v={"N": str(number)}),
        )


@pytest.mark.parametrize("share", [0, 100])
@pytest.mark.parametrize("consistent", [False, True])
def test_queries_page_and_filter_as_on_a_plain_table(
    twin: Twin, share: int, consistent: bool
) -> None:
    """Items, Count, ScannedCount and order of every page, on whichever side serves it."""
    fill(twin)
    twin.rig.stand(twin.phase, read_share=share)
    hash_name, hash_value = next(iter(twin.note_key().items()))
    for more in (
        {}, {"ScanIndexForward": False}, {"Select": "COUNT"},
        {"FilterExpression": "odd = :t"}, {"FilterExpression": "odd = :t", "Select": "COUNT"},
        {"ProjectionExpression": "note_id, v"}, {"range": "begins_with(note_id, :r)"},
    ):  # fmt: skip
        ranged = dict(more)
        condition = "#h = :h"
        values = {":h": hash_value}
        if "range" in ranged:
            condition += " AND " + ranged.pop("range")
            values[":r"] = {"S": twin.run + "-"}
        if "FilterExpression" in ranged:
            values[":t"] = {"BOOL": True}
        names = {"ExpressionAttributeNames": {"#h": hash_name}}
        start: dict[str, Any] = {}
        for _ in range(6):
            page = twin.both(
                "query", TableName=twin.name("notes"), KeyConditionExpression=condition, Limit=3,
                ExpressionAttributeValues=values, ConsistentRead=consistent,
                **names, **ranged, **start,
            )  # fmt: skip
            if "LastEvaluatedKey" not in page:
                break
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


@pytest.mark.parametrize("share", [0, 100])
def test_index_queries_and_filters_on_derived_names(twin: Twin, share: int) -> None:
    """A local index answers in the client's dialect; so does a filter on its own tenant names."""
    fill(twin)
    twin.rig.stand(twin.phase, read_share=share)
    tenant = {"S": "acme-prod" if twin.dialect is Side.OLD else "aws-1"}
    twin.both("query", TableName=twin.name("tasks"), IndexName="owner-index",
              KeyConditionExpression="list_id = :l AND #o = :o",
              ExpressionAttributeNames={"#o": "owner"},
              ExpressionAttributeValues={":l": {"S": twin.run}, ":o": {"S": "o1"}})  # fmt: skip
    twin.both("query", TableName=twin.name("tasks"), KeyConditionExpression="list_id = :l",
              FilterExpression="endpoint_id = :e", Select="COUNT",
              ExpressionAttributeValues={":l": {"S": twin.run}, ":e": tenant})  # fmt: skip
    twin.both("query", TableName=twin.name("tasks"), KeyConditionExpression="list_id = :l",
              FilterExpression="endpoint_id <> :e",
              ExpressionAttributeValues={":l": {"S": twin.run}, ":e": tenant})  # fmt: skip


@pytest.mark.parametrize("share", [0, 50, 100])
def test_a_scan_sees_every_item_once(twin: Twin, share: int) -> None:
    """Pages of a scan stay on one side to the end and give each item once, in the dialect."""
    fill(twin)
    twin.rig.stand(twin.phase, read_share=share)
    found, start = [], None
    while True:
        page = twin.rig.proxied.scan(
            TableName=twin.name("notes"), Limit=2,
            **({"ExclusiveStartKey": start} if start else {}),
        )  # fmt: skip
        found += [item["note_id"]["S"] for item in page["Items"]]
        assert not any(HIDDEN & item.keys() for item in page["Items"])
        start = page.get("LastEvaluatedKey")
        if start is None:
            break
        if twin.phase.mode is Mode.ATOMIC:
            assert start.keys() == twin.note_key().keys(), "a plain table's page keys"
    assert sorted(found) == sorted(twin.note_key(number)["note_id"]["S"] for number in range(7))


@pytest.mark.parametrize("share", [0, 100])
def test_get_projects_as_a_plain_table(twin: Twin, share: int) -> None:
    """ProjectionExpression gives just its paths, and never what is hidden."""
    item = twin.task(m={"M": {"a": {"L": [{"N": "1"}, {"N": "2"}]}, "b": {"S": "x"}}})
    twin.both("put_item", TableName=twin.name("tasks"), Item=item)
    twin.rig.stand(twin.phase, read_share=share)
    for projection in ("m.a[1]", "m.b, endpoint_id", "task_id", "missing"):
        twin.both("get_item", TableName=twin.name("tasks"), Key=twin.task_key(),
                  ProjectionExpression=projection)  # fmt: skip


# -- batches and transactions -----------------------------------------------------------------


def test_batches_write_and_read_all_their_items(twin: Twin) -> None:
    """BatchWriteItem puts and deletes over two tables; BatchGetItem gives them all back."""
    notes, tasks = twin.name("notes"), twin.name("tasks")
    twin.both("put_item", TableName=notes, Item=twin.note(9))
    requests = {
        notes: [{"PutRequest": {"Item": twin.note(n, v={"N": str(n)})}} for n in range(3)]
        + [{"DeleteRequest": {"Key": twin.note_key(9)}}],
        tasks: [{"PutRequest": {"Item": twin.task(n)}} for n in range(3)],
    }
    assert twin.both("batch_write_item", RequestItems=requests)["UnprocessedItems"] == {}
    keys = {
        notes: {"Keys": [twin.note_key(n) for n in (0, 1, 2, 9)], "ConsistentRead": True},
        tasks: {"Keys": [twin.task_key(n) for n in range(3)], "ProjectionExpression": "task_id"},
    }
    mine = twin.rig.proxied.batch_get_item(RequestItems=keys)["Responses"]
    assert sorted(i["note_id"]["S"] for i in mine[notes]) == [f"{twin.run}-{n}" for n in range(3)]
    assert sorted(i["task_id"]["S"] for i in mine[tasks]) == ["t0", "t1", "t2"]
    assert all(i.keys() == {"task_id"} for i in mine[tasks])
    assert all(i.keys() == twin.note(v={"N": "0"}).keys() for i in mine[notes])


def test_transactions_apply_all_or_nothing(twin: Twin) -> None:
    """Put, Update, Delete and ConditionCheck together; a failed one cancels all, with reasons in
    the client's order and the old item in its dialect."""
    notes, tasks = twin.name("notes"), twin.name("tasks")
    twin.both("put_item", TableName=notes, Item=twin.note(1, v={"N": "1"}))
    twin.both("put_item", TableName=tasks, Item=twin.task(1, v={"N": "1"}))
    twin.both("put_item", TableName=tasks, Item=twin.task(2))

    def actions(expected: str) -> list[dict[str, Any]]:
        return [
            {"ConditionCheck": {"TableName": notes, "Key": twin.note_key(1),
                                "ConditionExpression": "v = :v",
                                "ExpressionAttributeValues": {":v": {"N": expected}},
                                "ReturnValuesOnConditionCheckFailure": "ALL_OLD"}},
            {"Update": {"TableName": tasks, "Key": twin.task_key(1),
                        "UpdateExpression": "ADD v :one",
                        "ConditionExpression": "attribute_exists(v)",
                        "ExpressionAttributeValues": {":one": {"N": "1"}}}},
            {"Put": {"TableName": notes, "Item": twin.note(2, w={"S": "x"})}},
            {"Delete": {"TableName": tasks, "Key": twin.task_key(2)}},
        ]  # fmt: skip

    twin.both("transact_write_items", TransactItems=actions("7"))
    twin.both("transact_write_items", TransactItems=actions("1"))
    twin.both("transact_get_items", TransactItems=[
        {"Get": {"TableName": notes, "Key": twin.note_key(2)}},
        {"Get": {"TableName": tasks, "Key": twin.task_key(1), "ProjectionExpression": "v"}},
        {"Get": {"TableName": tasks, "Key": twin.task_key(2)}},
    ])  # fmt: skip


def test_a_token_applies_a_transaction_once(twin: Twin) -> None:
    """The same token with the same body is the same transaction, although the stamps differ."""
    update = {
        "TableName": twin.name("tasks"), "Key": twin.task_key(),
        "UpdateExpression": "ADD v :one", "ExpressionAttributeValues": {":one": {"N": "1"}},
    }  # fmt: skip
    for _ in range(2):
        twin.both("transact_write_items", TransactItems=[{"Update": update}],
                  ClientRequestToken=f"token-{twin.run}"[:36])  # fmt: skip
    got = twin.both("get_item", TableName=twin.name("tasks"), Key=twin.task_key(),
                    ConsistentRead=True)  # fmt: skip
    assert got["Item"]["v"] == {"N": "1"}


# -- what is refused ----------------------------------------------------------------------------


@pytest.mark.managed_only
def test_hidden_names_are_refused(twin: Twin) -> None:
    """A client that names the service's attributes is told so, and nothing is written."""
    refused = outcome(twin.rig.proxied, "put_item", TableName=twin.name("notes"),
                      Item=twin.note(dw_stamp={"S": "x"}))  # fmt: skip
    assert refused["error"] == "ValidationException"
    refused = outcome(twin.rig.proxied, "get_item", TableName=twin.name("notes"),
                      Key=twin.note_key(), ProjectionExpression="dw_other")  # fmt: skip
    assert refused["error"] == "ValidationException"
    assert "Item" not in twin.both("get_item", TableName=twin.name("notes"), Key=twin.note_key())


@pytest.mark.managed_only
def test_an_unmapped_key_is_refused_by_name(twin: Twin) -> None:
    """A key that has no place in the other design is refused before anything is written."""
    key = {"S": "nobody"} if twin.dialect is Side.OLD else {"S": "no#body"}
    hash_name = next(iter(twin.note_key()))
    refused = outcome(twin.rig.proxied, "put_item", TableName=twin.name("notes"),
                      Item={**twin.note(), hash_name: key})  # fmt: skip
    assert refused["error"] == "ValidationException"
    assert "notes" in refused["message"]
    assert twin.rig.items("notes", Side.OLD) == twin.rig.items("notes", Side.NEW) == []


def test_engine_errors_read_the_same(twin: Twin) -> None:
    """A wrong request is refused in the words of a plain table."""
    name = twin.name("notes")
    twin.both("put_item", TableName=name, Item={"note_id": {"S": "x"}})
    twin.both("delete_item", TableName=name, Key={"note_id": {"S": "x"}})
    twin.both("update_item", TableName=name, Key=twin.note_key(),
              UpdateExpression="SET a = missing",)  # fmt: skip


@pytest.mark.managed_only
def test_without_a_lease_nothing_is_written(twin: Twin) -> None:
    """A process whose lease has run out refuses; what it knew may be over."""
    twin.rig.epochs.expired = True
    try:
        refused = outcome(twin.rig.proxied, "put_item", TableName=twin.name("notes"),
                          Item=twin.note())  # fmt: skip
    finally:
        twin.rig.epochs.expired = False
    assert refused["error"] == "ServiceUnavailable"
    assert twin.rig.items("notes", Side.OLD) == twin.rig.items("notes", Side.NEW) == []
