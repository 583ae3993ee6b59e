"""What a key, of a table or of an index, cannot hold is refused by both designs' tables before
anything is written.

Only DynamoDB Local judges lengths and global indexes, so only there the plain table is asked too.
"""

from typing import Any

import pytest

from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Mode, Phase, Side, TableState
from dualwrite.core.spec import Derivation, IndexSpec, MigratedTable, Migration, TableSide
from tests.contract.twins import Twin
from tests.proxy_harness import MAPPING, TEMPLATES, outcome, raw_outcome, wire_form

pytestmark = pytest.mark.managed_only
HASH_TOO_LONG = {"S": "h" * 2049}
RANGE_TOO_LONG = {"S": "r" * 1025}


def migration(prefix: str) -> Migration:
    """Tables whose designs have other indexes, and one whose keys change their places."""

    def keys(hash_name: str, range_name: str | None = None, kind: str = "S") -> KeySchema:
        ranged = None if range_name is None else KeyAttribute(range_name, kind)
        return KeySchema(KeyAttribute(hash_name), ranged)

    own = Derivation("endpoint_id", MAPPING, TEMPLATES)
    task, note = keys("list_id", "task_id"), KeyAttribute("note_id")
    mark = KeyAttribute("mark", "B")
    by_status = IndexSpec("status-index", keys("status"), local=False)
    by_part = IndexSpec("part-index", keys("part_id"), local=False)
    by_rank = IndexSpec("rank-index", keys("list_id", "rank", "N"))
    by_guest = IndexSpec("guest-index", keys("guest", "hall"), local=False)
    tables = (
        MigratedTable(
            "tasks", Kind.REKEY, TableSide(f"{prefix}tasks", task, (by_status,)),
            TableSide(f"{prefix}tasks-v2", task, (by_part, by_rank)), own,
        ),
        MigratedTable(
            "notes", Kind.REKEY,
            TableSide(f"{prefix}notes", KeySchema(KeyAttribute("endpoint_id"), note)),
            TableSide(f"{prefix}notes-v2", KeySchema(KeyAttribute("partition_key"), note)), own,
        ),
        MigratedTable(
            "samples", Kind.REKEY,
            TableSide(f"{prefix}samples", KeySchema(KeyAttribute("at", "N"), mark)),
            TableSide(f"{prefix}samples-v2", KeySchema(KeyAttribute("at", "N"), mark)), own,
        ),
        MigratedTable(
            "turned", Kind.REKEY, TableSide(f"{prefix}turned", keys("a", "b")),
            TableSide(f"{prefix}turned-v2", keys("b", "a")), Derivation(None, None, ()),
        ),
        MigratedTable(
            "seats", Kind.REKEY, TableSide(f"{prefix}seats", keys("hall", "seat"), (by_guest,)),
            TableSide(f"{prefix}seats-v2", keys("hall", "seat")), Derivation(None, None, ()),
        ),
    )  # fmt: skip
    return Migration("test", "#", tables, prefix + "control")


def refused(twin: Twin, operation: str, **parameters: Any) -> dict[str, Any]:
    """What the client hears: of an engine that is exact, compared with its own answer."""
    if twin.rig.reference:
        heard = twin.both(operation, apart=("CancellationReasons",), **parameters)
    else:
        heard = outcome(twin.rig.proxied, operation, **parameters)
    assert "error" in heard, (operation, parameters)
    return heard


def untouched(twin: Twin) -> None:
    for table in twin.used:
        for side in Side:
            assert twin.rig.items(table, side) == []


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("list_id", HASH_TOO_LONG),
        ("task_id", RANGE_TOO_LONG),
        ("task_id", {"S": "\N{EURO SIGN}" * 342}),
    ],
)
def test_a_key_that_is_too_long(twin: Twin, part: str, value: dict[str, str]) -> None:
    """It refuses each write, the whole of a batch, and cancels a transaction for that reason."""
    name = twin.name("tasks")
    good = {"PutRequest": {"Item": twin.task(2)}}
    key = {**twin.task_key(), part: value}
    for operation, more in (
        ("put_item", {"Item": {**twin.task(), part: value}}),
        ("update_item", {"Key": key, "UpdateExpression": "REMOVE v"}),
        ("delete_item", {"Key": key}),
        ("get_item", {"Key": key}),
    ):
        assert refused(twin, operation, TableName=name, **more)["error"] == "ValidationException"
    for bad in (
        {"PutRequest": {"Item": {**twin.task(), part: value}}},
        {"DeleteRequest": {"Key": key}},
    ):
        refused(twin, "batch_write_item", RequestItems={name: [good, bad]})
    members = [
        {"Put": {"TableName": name, "Item": twin.task(2)}},
        {"Delete": {"TableName": name, "Key": key}},
    ]
    cancelled = refused(twin, "transact_write_items", TransactItems=members)
    codes = [reason["Code"] for reason in cancelled["CancellationReasons"]]
    assert codes == ["None", "ValidationError"]
    untouched(twin)


@pytest.mark.parametrize("keys", [{}, {"task_id": {"N": "1"}}, {"list_id": {"M": {}}}])
def test_a_batch_with_an_item_of_another_key(twin: Twin, keys: dict[str, Any]) -> None:
    """An item that lacks a key, or has one of another type, refuses its batch in the words that
    AWS has for keys there (as LocalStack's and dynalite's tests recorded them)."""
    item = {**twin.task(), **keys}
    if not keys:
        del item["task_id"]
    requests = [{"PutRequest": {"Item": twin.task(2)}}, {"PutRequest": {"Item": item}}]
    heard = refused(twin, "batch_write_item", RequestItems={twin.name("tasks"): requests})
    assert heard["error"] == "ValidationException"
    assert heard["message"] == "The provided key element does not match the schema"
    untouched(twin)


def test_a_key_as_long_as_keys_may_be(twin: Twin) -> None:
    """The limits themselves are within them, counted in bytes."""
    key = {"list_id": {"S": "h" * 2048}, "task_id": {"S": "\N{EURO SIGN}" * 341 + "r"}}
    item = {**twin.task(), **key}
    twin.both("batch_write_item",
              RequestItems={twin.name("tasks"): [{"PutRequest": {"Item": item}}]})  # fmt: skip
    twin.both("get_item", TableName=twin.name("tasks"), Key=key, ConsistentRead=True)


def bad_updates(twin: Twin) -> list[tuple[str, dict[str, str]]]:
    """Index keys of the client's own table, with what they cannot hold, in an update: of local
    indexes DynamoDB Local judges none there."""
    name = "status" if twin.dialect is Side.OLD else "part_id"
    return [(name, value) for value in ({"N": "1"}, {"S": ""}, HASH_TOO_LONG)]


def bad_index_values(twin: Twin) -> list[dict[str, Any]]:
    """Attributes that an index of the client's own table cannot hold."""
    if twin.dialect is Side.OLD:
        return [{"status": value} for value in ({"N": "1"}, {"S": ""}, HASH_TOO_LONG)]
    return [{"rank": {"S": "1"}}]


def test_a_value_that_an_index_of_its_own_table_cannot_hold(twin: Twin) -> None:
    """It refuses a put, and the whole of a batch or transaction, whichever table leads."""
    name = twin.name("tasks")
    for bad in bad_index_values(twin):
        refused(twin, "put_item", TableName=name, Item=twin.task(**bad))
        items = [twin.task(2), twin.task(**bad)]
        requests = [{"PutRequest": {"Item": item}} for item in items]
        refused(twin, "batch_write_item", RequestItems={name: requests})
        puts = [{"Put": {"TableName": name, "Item": item}} for item in items]
        refused(twin, "transact_write_items", TransactItems=puts)
        untouched(twin)


def test_a_hash_key_that_an_index_orders_by(twin: Twin) -> None:
    """It has an index's shorter room for it, whichever table leads: no write may leave an item that
    its own table refuses. One that is there already may be read and deleted."""
    name = twin.name("seats")
    key = {"hall": {"S": "h" * 1025}, "seat": {"S": twin.run}}
    if twin.dialect is Side.NEW:  # its table has no such index
        if twin.phase.mode is Mode.ATOMIC and twin.rig.reference:
            heard = outcome(twin.rig.proxied, "put_item", TableName=name, Item=key)
            assert heard["error"] == "ValidationException"
            untouched(twin)
        return
    update = {"Key": key, "UpdateExpression": "REMOVE guest"}
    legacy = {"Key": key, "AttributeUpdates": {"v": {"Action": "DELETE"}}}
    good = {"PutRequest": {"Item": {**key, "hall": {"S": "h" * 1024}}}}
    insert = f"INSERT INTO \"{name}\" VALUE {{'hall': ?, 'seat': ?}}"
    for operation, parameters in (
        ("put_item", {"TableName": name, "Item": key}),
        ("update_item", {"TableName": name, **update}),
        ("update_item", {"TableName": name, **legacy}),
        ("batch_write_item", {"RequestItems": {name: [good, {"PutRequest": {"Item": key}}]}}),
        ("transact_write_items", {"TransactItems": [{"Put": {"TableName": name, "Item": key}}]}),
        ("transact_write_items", {"TransactItems": [{"Update": {"TableName": name, **update}}]}),
        ("execute_statement", {"Statement": insert, "Parameters": list(key.values())}),
    ):  # fmt: skip
        refused(twin, operation, **parameters)
        untouched(twin)
    twin.both("get_item", TableName=name, Key=key)
    twin.both("delete_item", TableName=name, Key=key)


def test_an_update_to_a_value_that_an_index_of_its_own_table_cannot_hold(twin: Twin) -> None:
    """It is refused whichever table leads, however the value is made, and after the condition."""
    name, key = twin.name("tasks"), twin.task_key()
    for attribute, bad in bad_updates(twin):
        twin.both("put_item", TableName=name, Item=twin.task(kept=bad))
        texts = ("SET #n = :v", "SET #n = if_not_exists(lacking, :v)", "SET #n = kept")
        for text in (*texts, "ADD #n :v") if "N" in bad else texts:
            parameters: dict[str, Any] = {
                "TableName": name, "Key": key, "UpdateExpression": text,
                "ExpressionAttributeNames": {"#n": attribute},
                **({"ExpressionAttributeValues": {":v": bad}} if ":v" in text else {}),
            }  # fmt: skip
            if twin.dialect is not twin.phase.leader or twin.rig.reference:
                refused(twin, "update_item", **parameters)
                heard = outcome(
                    twin.rig.proxied, "transact_write_items", TransactItems=[{"Update": parameters}]
                )
                assert heard["error"] in ("ValidationException", "TransactionCanceledException")
            heard = twin.both("update_item", **parameters,
                              ConditionExpression="attribute_exists(lacking)")  # fmt: skip
            assert heard["error"] == "ConditionalCheckFailedException"
        twin.both("get_item", TableName=name, Key=key, ConsistentRead=True)


def test_an_update_that_empties_an_index_key(twin: Twin) -> None:
    """It is refused in words of its own, and a legacy one in those of a put."""
    name, key, attribute = twin.name("tasks"), twin.task_key(), bad_updates(twin)[0][0]
    if twin.dialect is twin.phase.leader and twin.phase.mode is not Mode.ATOMIC:
        return  # the engine words it
    expression = {
        "UpdateExpression": "SET #n = :v", "ExpressionAttributeNames": {"#n": attribute},
        "ExpressionAttributeValues": {":v": {"S": ""}},
    }  # fmt: skip
    legacy = {"AttributeUpdates": {attribute: {"Action": "PUT", "Value": {"S": ""}}}}
    for parameters, words in (
        (expression, "The update expression attempted to update a secondary index key to a value"),
        (legacy, "A value specified for a secondary index key is not supported"),
    ):
        heard = refused(twin, "update_item", TableName=name, Key=key, **parameters)
        assert heard["error"] == "ValidationException"
        assert words in heard["message"]


def test_an_update_of_an_index_key(twin: Twin) -> None:
    """What the index holds is written, also where the table that leads has no such index."""
    name, key = twin.name("tasks"), twin.task_key()
    attribute = bad_updates(twin)[0][0]
    twin.both("put_item", TableName=name, Item=twin.task(kept={"S": "acme"}))
    for text in ("SET #n = :v", "SET #n = if_not_exists(lacking, :v)", "SET #n = kept"):
        values = {"ExpressionAttributeValues": {":v": {"S": "acme"}}} if ":v" in text else {}
        twin.both("update_item", TableName=name, Key=key, UpdateExpression=text,
                  ExpressionAttributeNames={"#n": attribute}, ReturnValues="ALL_NEW",
                  **values)  # fmt: skip
    twin.both("get_item", TableName=name, Key=key, ConsistentRead=True)


def test_a_batch_of_which_the_other_design_cannot_hold_an_item(twin: Twin) -> None:
    """Where both tables are written at once, it is refused whole: nothing of it is written."""
    if twin.phase.mode is not Mode.ATOMIC:
        return  # elsewhere one table decides, of the whole batch
    foreign = {"rank": {"S": "x"}} if twin.dialect is Side.OLD else {"status": {"N": "1"}}
    requests = [{"PutRequest": {"Item": item}} for item in (twin.task(2), twin.task(**foreign))]
    heard = outcome(twin.rig.proxied, "batch_write_item",
                    RequestItems={twin.name("tasks"): requests})  # fmt: skip
    assert heard["error"] == "ValidationException"
    assert "Index" in heard["message"]
    untouched(twin)


def test_a_batch_that_spans_phases(twin: Twin) -> None:
    """What is wrong with an item of one table refuses those of the others, too."""
    atomic = Phase.ATOMIC_OLD if twin.phase.leader is Side.OLD else Phase.ATOMIC_NEW
    twin.rig.epochs.states["tasks"] = TableState("tasks", 1, atomic)
    refused(twin, "batch_write_item", RequestItems={
        twin.name("notes"): [{"PutRequest": {"Item": twin.note()}}],
        twin.name("tasks"): [{"PutRequest": {"Item": {**twin.task(), "task_id": RANGE_TOO_LONG}}}],
    })  # fmt: skip
    untouched(twin)


def test_a_key_that_is_too_long_for_the_other_design(twin: Twin) -> None:
    """It is refused by name, as every key without a place there, so that no table has it alone."""
    name, long = twin.name("turned"), "a" if twin.dialect is Side.OLD else "b"
    key = {"a": {"S": "1"}, "b": {"S": twin.run}, long: {"S": "x" * 1500}}
    for operation, more in (
        ("put_item", {"Item": key}),
        ("update_item", {"Key": key, "UpdateExpression": "REMOVE v"}),
        ("delete_item", {"Key": key}),
    ):
        heard = outcome(twin.rig.proxied, operation, TableName=name, **more)
        assert heard["error"] == "ValidationException"
        assert f"(too-long): {long} is over 1024 bytes" in heard["message"]
    good = {"PutRequest": {"Item": {**key, long: {"S": "2"}}}}
    for bad in ({"PutRequest": {"Item": key}}, {"DeleteRequest": {"Key": key}}):
        heard = outcome(twin.rig.proxied, "batch_write_item", RequestItems={name: [good, bad]})
        assert heard["error"] == "ValidationException"
    untouched(twin)


@pytest.mark.parametrize("value", [{"NULL": True}, {"N": "5"}, {"L": [{"S": "x"}]}])
def test_a_derived_attribute_that_is_no_string(twin: Twin, value: dict[str, Any]) -> None:
    """A new client reads back what it wrote, and both sides hold it, whether it came with a put or
    an update; where the key is derived it is refused."""
    if twin.dialect is Side.OLD:
        return  # it has no derived attributes
    name = twin.name("tasks")
    for number in (1, 2):
        twin.both("put_item", TableName=name, Item=twin.task(number))
    twin.both("put_item", TableName=name, Item={**twin.task(1), "endpoint_id": value})
    twin.both("update_item", TableName=name, Key=twin.task_key(2), ReturnValues="ALL_NEW",
              UpdateExpression="SET endpoint_id = :e",
              ExpressionAttributeValues={":e": value})  # fmt: skip
    for number in (1, 2):
        twin.both("get_item", TableName=name, Key=twin.task_key(number), ConsistentRead=True)
    if twin.phase is not Phase.DONE:
        item = {**twin.note(), "endpoint_id": value}
        heard = outcome(twin.rig.proxied, "put_item", TableName=twin.name("notes"), Item=item)
        assert "(wrong-type): endpoint_id is not a string" in heard["message"]


@pytest.mark.parametrize(
    "value", [{"S": None, "N": "1"}, {"N": "1e0000000001"}, {"N": "1e-00000000002"}]
)
def test_values_that_no_sdk_writes_so(twin: Twin, value: dict[str, Any]) -> None:
    """A null is a member that is not given, and an exponent may have zeros before it."""
    item = twin.task(v=value, deep={"M": {"l": {"L": [dict(value)]}}})
    body = {"TableName": twin.name("tasks"), "Item": item}
    assert "error" not in raw_outcome(twin.rig.url, "PutItem", body)
    got = outcome(twin.rig.proxied, "get_item", TableName=twin.name("tasks"),
                  Key=twin.task_key(), ConsistentRead=True)["Item"]  # fmt: skip
    assert list(got["v"]) == list(got["deep"]["M"]["l"]["L"][0]) == ["N"]


def test_a_batch_with_one_key_in_two_spellings(twin: Twin) -> None:
    """The same bytes may be written in more than one text of base64."""
    requests = [
        {"PutRequest": {"Item": {**wire_form(twin.sample()), "mark": {"B": text}}}}
        for text in ("AQ==", "AR==")
    ]
    body = {"RequestItems": {twin.name("samples"): requests}}
    if twin.rig.reference or twin.phase.mode is Mode.ATOMIC:
        assert raw_outcome(twin.rig.url, "BatchWriteItem", body)["error"] == "ValidationException"
        untouched(twin)
