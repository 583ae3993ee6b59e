"""A mutation in PartiQL does what its twin among the operations does, on every engine: what goes
upstream are ordinary operations, so it matters nothing what the engine knows of PartiQL."""

from typing import Any

import pytest

from tests.contract.partiql.statements import said, struct
from tests.contract.twins import Twin, comparable
from tests.proxy_harness import outcome

pytestmark = pytest.mark.managed_only


def twins(twin: Twin, text: str, operation: str, **parameters: Any) -> dict[str, Any]:
    """The statement at the proxy, the operation at the plain table; what is returned compares."""
    mine = outcome(twin.rig.proxied, "execute_statement", Statement=said(twin, text))
    plain = outcome(twin.rig.engine, operation, **twin._plain(parameters))
    assert mine.get("error") == plain.get("error"), text
    if "error" not in plain:
        attributes = [plain["Attributes"]] if plain.get("Attributes") else []
        assert comparable({"Items": mine["Items"]}) == comparable({"Items": attributes}), text
    twin.both("scan", TableName=parameters["TableName"], ConsistentRead=True)
    return mine


def test_statements_do_what_their_twins_do(twin: Twin) -> None:
    """INSERT as a Put of what is absent, UPDATE under attribute_exists, DELETE."""
    name, key, item = twin.name("tasks"), twin.task_key(), twin.task(v={"N": "1"})
    there = "attribute_exists(list_id)"
    insert = f"INSERT INTO <TASKS> VALUE {struct(twin.task(), also='ALSO')}".replace(
        "ALSO", "'v':1"
    )
    twins(twin, insert, "put_item", TableName=name, Item=item)
    duplicate = outcome(twin.rig.proxied, "execute_statement", Statement=said(twin, insert))
    assert duplicate["error"] == "DuplicateItemException"
    one = {":one": {"N": "1"}}
    for returning, returns in (("ALL OLD", "ALL_OLD"), ("ALL NEW", "ALL_NEW"),
                               ("MODIFIED NEW", "UPDATED_NEW")):  # fmt: skip
        twins(twin, f"UPDATE <TASKS> SET v=v+1 WHERE <TASK> RETURNING {returning} *", "update_item",
              TableName=name, Key=key, UpdateExpression="SET v = v + :one", ReturnValues=returns,
              ConditionExpression=there, ExpressionAttributeValues=one)  # fmt: skip
    twins(twin, "UPDATE <TASKS> SET w=1 WHERE <TASK> AND v=9", "update_item", TableName=name,
          Key=key, UpdateExpression="SET w = :one", ConditionExpression="v = :nine",
          ExpressionAttributeValues={**one, ":nine": {"N": "9"}})  # fmt: skip
    twins(twin, "DELETE FROM <TASKS> WHERE <TASK> AND v=4 RETURNING ALL OLD *", "delete_item",
          TableName=name, Key=key, ReturnValues="ALL_OLD")  # fmt: skip
    twins(twin, "DELETE FROM <TASKS> WHERE <TASK>", "delete_item", TableName=name, Key=key)
    twins(twin, "UPDATE <TASKS> SET v=1 WHERE <TASK>", "update_item", TableName=name, Key=key,
          UpdateExpression="SET v = :one", ConditionExpression=there,
          ExpressionAttributeValues=one)  # fmt: skip


def test_selects_find_what_their_twins_find(twin: Twin) -> None:
    """A partition by Query, a key by GetItem, in a batch and in a transaction."""
    items = [twin.task(number, v={"N": str(number)}) for number in range(3)]
    for item in items:
        twin.both("put_item", TableName=twin.name("tasks"), Item=item)
    proxied, whole = twin.rig.proxied, said(twin, "SELECT * FROM <TASKS> WHERE list_id='<RUN>'")
    assert proxied.execute_statement(Statement=whole, ConsistentRead=True)["Items"] == items
    one = [{"Statement": said(twin, "SELECT v FROM <TASKS> WHERE <TASK>"), "ConsistentRead": True}]
    [answer] = proxied.batch_execute_statement(Statements=one)["Responses"]
    assert answer == {"TableName": twin.name("tasks"), "Item": {"v": {"N": "1"}}}
    del one[0]["ConsistentRead"]
    [answer] = proxied.execute_transaction(TransactStatements=one)["Responses"]
    assert answer == {"Item": {"v": {"N": "1"}}}


def test_a_transaction_of_statements_is_one(twin: Twin) -> None:
    """All or nothing, over two tables, whatever the engine knows of ExecuteTransaction."""
    texts = [f"INSERT INTO <TASKS> VALUE {struct(twin.task())}",
             f"INSERT INTO <NOTES> VALUE {struct(twin.note())}"]  # fmt: skip
    statements = [{"Statement": said(twin, text)} for text in texts]
    proxied = twin.rig.proxied
    assert outcome(proxied, "execute_transaction", TransactStatements=statements) == {
        "Responses": []
    }
    statements[0] = {"Statement": said(twin, "UPDATE <TASKS> SET v=1 WHERE <TASK>")}
    cancelled = outcome(proxied, "execute_transaction", TransactStatements=statements)
    codes = [each["Code"] for each in cancelled["CancellationReasons"]]
    assert codes == ["None", "ValidationError"]
    got = proxied.get_item(TableName=twin.name("tasks"), Key=twin.task_key(), ConsistentRead=True)
    assert "v" not in got["Item"]


def test_a_table_may_be_named_by_its_arn(twin: Twin) -> None:
    """As AWS allows it; it is the same table, and nothing of it goes upstream as it is."""
    arn = '"arn:aws:dynamodb:us-east-1:000000000000:table/' + twin.name("tasks") + '"'
    texts = [f"INSERT INTO {arn} VALUE {struct(twin.task())}",
             said(twin, f"SELECT task_id FROM {arn} WHERE <TASK>"),
             said(twin, f"SELECT dw_stamp FROM {arn} WHERE <TASK>")]  # fmt: skip
    heard = [outcome(twin.rig.proxied, "execute_statement", Statement=text) for text in texts]
    assert heard[0] == {"Items": []}
    assert heard[1] == {"Items": [{"task_id": twin.task_key()["task_id"]}]}
    assert "reserved by dualwrite" in heard[2]["message"]
