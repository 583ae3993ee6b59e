"""Batches and transactions of statements answer as on a plain table, other tables included; what
cannot be done exactly is refused by name."""

from typing import Any

import pytest

from dualwrite.core.phases import Phase, Side
from tests.contract.partiql.statements import execute, fill, said, struct
from tests.contract.twins import Case, Twin, a_twin, comparable
from tests.proxy_harness import Rig, outcome


def test_a_batch_answers_each_statement_for_itself(twin: Twin) -> None:
    """Successes, rows and errors by their codes, in order, with HTTP 200."""
    fill(twin)
    other = struct(twin.note(7))
    reads = [
        "SELECT v, odd FROM <NOTES> WHERE <NOTE>",
        "SELECT * FROM <TASKS> WHERE <TASK>",
        "SELECT v FROM <TASKS> WHERE list_id='<RUN>' AND task_id='t9'",
        "SELECT * FROM <TASKS> WHERE list_id='<RUN>'",
        "SELECT FROM <NOTES>",
        "SELECT v FROM \"partiql-unmanaged\" WHERE endpoint_id='x' AND note_id='y'",
    ]
    writes = [f"INSERT INTO <NOTES> VALUE {other}", "UPDATE <NOTES> SET w=5 WHERE <NOTE> AND v=9",
              f"INSERT INTO <TASKS> VALUE {struct(twin.task(2))}",
              "UPDATE <TASKS> SET v=v+1 WHERE <TASK> RETURNING ALL NEW *",
              "UPDATE <TASKS> SET v=absent WHERE list_id='<RUN>' AND task_id='t3'",
              "DELETE FROM <TASKS> WHERE list_id='<RUN>' AND task_id='t9'",
              "DELETE FROM <TASKS> WHERE list_id='<RUN>' AND task_id='t0' RETURNING ALL OLD *",
              "UPDATE <TASKS> SET v=1", "FOO <NOTES>"]  # fmt: skip
    for texts in (reads, writes):
        twin.both("batch_execute_statement", apart=("message",),
                  Statements=[{"Statement": said(twin, text)} for text in texts])  # fmt: skip
    for wrong in ([reads[0], writes[0]], [reads[0], reads[0]], reads[:1] * 26):
        refused = twin.both(
            "batch_execute_statement",
            Statements=[{"Statement": said(twin, text)} for text in wrong],
        )
        assert refused["error"] == "ValidationException"


def transact(twin: Twin, *texts: str, apart: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    return twin.both("execute_transaction", apart=("message", *apart), TransactStatements=[
        {"Statement": said(twin, text)} for text in texts], **more)  # fmt: skip


def test_a_transaction_applies_all_or_nothing(twin: Twin) -> None:
    """Mutations and checks of two tables; cancelled ones with their reasons; reads of both."""
    fill(twin)
    create = f"INSERT INTO <NOTES> VALUE {struct(twin.note(7))}"
    count = "UPDATE <TASKS> SET v=v+1 WHERE <TASK>"
    for check in ("v=9", "v=1"):
        transact(twin, f"EXISTS(SELECT * FROM <NOTES> WHERE <NOTE> AND {check})", count, create)
    transact(twin, create, count, "DELETE FROM <NOTES> WHERE <NOTE> AND v=9")
    transact(twin, "DELETE FROM <NOTES> WHERE <NOTE>", count,
             "DELETE FROM <TASKS> WHERE list_id='<RUN>' AND task_id='t9'")  # fmt: skip
    one = "SELECT v, ss FROM <TASKS> WHERE <TASK>"
    transact(twin, "SELECT * FROM <NOTES> WHERE <NOTE>", one)
    for wrong in (
        ["SELECT * FROM <TASKS> WHERE list_id='<RUN>'"], [one, count],
        [count, count], [count + " RETURNING ALL NEW *"], 
        ["EXISTS(SELECT * FROM <TASKS> WHERE <TASK>)"],
    ):  # fmt: skip
        assert "error" in transact(twin, *wrong)
    refused = transact(twin, "UPDATE <TASKS> SET v=1", create, apart=("CancellationReasons",))
    assert [each["Code"] for each in refused["CancellationReasons"]] == ["ValidationError", "None"]


def test_what_is_shown_is_judged_where_there_is_no_item_too(reader: Twin) -> None:
    """Two paths of one name, or one inside the other, are refused in a batch and a transaction, as
    in a statement of its own; one key may be named twice."""
    gone = "FROM <TASKS> WHERE list_id='<RUN>' AND task_id='gone'"
    for shown in ("v, v", "m.x, n.x", "l[0], m.l[0]", "m, m.x", "v"):
        text = f"SELECT {shown} {gone}"
        transact(reader, text)
        transact(reader, f"{text} AND task_id='gone'")
        reader.both("batch_execute_statement",
                    Statements=[{"Statement": said(reader, text)}])  # fmt: skip


def test_a_batch_and_a_transaction_show_paths_in_their_places(reader: Twin) -> None:
    """Where a statement of its own puts each path under its last name."""
    fill(reader)
    for shown in ("m.x", "m['a-b'], v", "l[1], l[0]", "m.x[0], l[0]", "m.nope, l[9]", "m, l"):
        text = f"SELECT {shown} FROM <TASKS> WHERE <TASK>"
        execute(reader, text, ConsistentRead=True)
        heard = transact(reader, text)
        batch = {"Statement": said(reader, text), "ConsistentRead": True}
        answered = reader.both("batch_execute_statement", Statements=[batch])["Responses"]
        assert answered[0]["Item"] == heard["Responses"][0]["Item"]


def test_what_a_transaction_of_statements_is_refused_for(twin: Twin) -> None:
    """A statement that is wrong in itself is named by its place; one that does not fit its table
    cancels the transaction. Nothing is written."""
    fill(twin)
    count = "UPDATE <TASKS> SET v=v+1 WHERE <TASK>"
    for wrong in (
        f"{count} AND [1]<v", f"{count} AND w=?", "UPDATE <TASKS> SET v=1, v=2 WHERE <TASK>",
        "UPDATE <TASKS> SET v=set_add(w,<<1>>) WHERE <TASK>", "FOO <TASKS>",
        "UPDATE <TASKS> SET v=<<1,1>> WHERE <TASK>", "UPDATE <TASKS> SET v='a'+1 WHERE <TASK>",
        "EXISTS(SELECT * FROM <TASKS> WHERE list_id='<RUN>' AND v=1)",
    ):  # fmt: skip
        heard = transact(twin, "DELETE FROM <NOTES> WHERE <NOTE>", wrong)
        assert heard["error"] == "ValidationException", wrong
        assert heard["message"].startswith("Validation failed in TransactStatements[1]: "), wrong
    for misfit in (
        "UPDATE <TASKS> SET v=1 WHERE list_id='<RUN>' AND task_id=1",
        "INSERT INTO <TASKS> VALUE {'list_id':'<RUN>'}",
        "EXISTS(SELECT * FROM <TASKS> WHERE list_id=1 AND task_id='t1' AND v=1)",
    ):
        assert transact(twin, count, misfit)["error"] == "TransactionCanceledException", misfit
    again = transact(twin, f"{count} AND task_id='other'", apart=("CancellationReasons",))
    assert [each["Code"] for each in again["CancellationReasons"]] == ["ValidationError"]
    read = "SELECT * FROM <TASKS> WHERE list_id='<RUN>' AND task_id=1"
    assert transact(twin, read)["error"] == "TransactionCanceledException"


def test_a_parameter_that_is_no_value_is_an_error_of_its_batch(twin: Twin) -> None:
    """Not of the statement that has it: nothing of the batch is carried out."""
    fill(twin)
    statements = [
        {"Statement": said(twin, "DELETE FROM <NOTES> WHERE <NOTE>")},
        {"Statement": said(twin, "UPDATE <TASKS> SET v=? WHERE <TASK>"),
         "Parameters": [{"SS": []}]},
    ]  # fmt: skip
    for operation, name in (("batch_execute_statement", "Statements"),
                            ("execute_transaction", "TransactStatements")):  # fmt: skip
        heard = twin.both(operation, apart=("message",), **{name: statements})
        assert heard["error"] == "ValidationException"
    twin.both("get_item", TableName=twin.name("notes"), Key=twin.note_key(), ConsistentRead=True)


def test_a_token_binds_a_transaction_of_statements(twin: Twin) -> None:
    """Spaces do not count, parameters do; whatever the proxy."""
    fill(twin)
    token = {"ClientRequestToken": f"tx-{twin.run}"}
    count = "UPDATE <TASKS> SET v=v+? WHERE <TASK>"

    def called(text: str, amount: str) -> None:
        twin.both("execute_transaction", apart=("message",), **token, TransactStatements=[
            {"Statement": said(twin, text), "Parameters": [{"N": amount}]}])  # fmt: skip

    for text, amount in ((count, "1"), (count.replace(" ", "  "), "1"), (count, "2"), (count, "1")):
        called(text, amount)
    execute(twin, "SELECT v FROM <TASKS> WHERE <TASK>", ConsistentRead=True)


def test_statements_of_other_tables_come_along(twin: Twin) -> None:
    """A batch or transaction may mix them; alone they pass as they are, whatever they mention."""
    other, key = '"partiql-unmanaged"', f"endpoint_id='{twin.run}' AND note_id='1'"
    made = f"INSERT INTO {other} VALUE {{'endpoint_id':'{twin.run}','note_id':'1','v':1}}"
    mine = f"INSERT INTO <NOTES> VALUE {struct(twin.note())}"
    proxied = twin.rig.proxied

    def both_kinds(operation: str, name: str, *texts: str) -> Any:
        listed = [{"Statement": said(twin, text)} for text in texts]
        return outcome(proxied, operation, **{name: listed})

    assert both_kinds("execute_transaction", "TransactStatements", made, mine) == {"Responses": []}
    again = both_kinds("execute_transaction", "TransactStatements", mine, made)
    assert [each["Code"] for each in again["CancellationReasons"]] == ["ValidationError"] * 2
    read = both_kinds("execute_transaction", "TransactStatements",
                      f"SELECT v FROM {other} WHERE {key}",
                      "SELECT note_id FROM <NOTES> WHERE <NOTE>")  # fmt: skip
    assert read.get("error") is None, read
    note = {"Item": {"note_id": twin.note_key()["note_id"]}}
    assert read["Responses"] == [{"Item": {"v": {"N": "1"}}}, note]
    heard = both_kinds(
        "batch_execute_statement",
        "Statements",
        "DELETE FROM <NOTES> WHERE <NOTE>",
        f"DELETE FROM {other} WHERE {key}",
        f"UPDATE {other} SET v=1 WHERE endpoint_id='x' AND note_id='y'",
    )
    assert heard["Responses"][0] == {"TableName": twin.name("notes")}
    assert heard["Responses"][1] == {"TableName": "partiql-unmanaged"}
    assert heard["Responses"][2]["Error"]["Code"] == "ConditionalCheckFailed"
    text = f"SELECT * FROM {other} WHERE {key} AND v='{twin.name('notes')}'"
    assert outcome(proxied, "execute_statement", Statement=text) == {"Items": []}


@pytest.mark.parametrize(
    "text",
    ["SELECT dw_stamp FROM <NOTES>", "SELECT * FROM <NOTES> WHERE dw_other IS MISSING",
     "UPDATE <NOTES> SET dw_stamp='x' WHERE <NOTE>",
     "UPDATE <NOTES> REMOVE dw_other.x WHERE <NOTE>",
     "INSERT INTO <NOTES> VALUE {'<HASH>':'x','note_id':'y','dw_stamp':'z'}",
     "DELETE FROM <NOTES> WHERE <NOTE> AND size(\"dw_stamp\")>1"],
)  # fmt: skip
def test_hidden_names_are_reserved_in_statements(rig: Rig, text: str) -> None:
    """The service's own attributes can neither be seen nor written."""
    with a_twin(rig, Case(Phase.MIRROR_OLD, Side.OLD), "hidden-") as twin:
        refused = outcome(rig.proxied, "execute_statement", Statement=said(twin, text))
        assert refused["error"] == "ValidationException"
        assert "reserved by dualwrite" in refused["message"]


def test_capacity_is_told_as_one_table_would_have_told_it(twin: Twin) -> None:
    """DynamoDB Local tells none for statements, AWS does: under the client's name of its table."""
    fill(twin)
    for text in ("SELECT v FROM <NOTES> WHERE <NOTE>", "UPDATE <NOTES> SET w=1 WHERE <NOTE>"):
        heard = outcome(twin.rig.proxied, "execute_statement", Statement=said(twin, text),
                        ReturnConsumedCapacity="TOTAL")  # fmt: skip
        assert heard["ConsumedCapacity"]["TableName"] == twin.name("notes")
        assert heard["ConsumedCapacity"]["CapacityUnits"] in (0.5, 1.0)
    assert comparable(heard) == {"Items": []}
