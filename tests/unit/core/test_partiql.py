"""Statements as parsed, and the calls that they stand for; the contract compares with DynamoDB."""

from typing import Any

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.items import Item, KeyAttribute, KeySchema
from dualwrite.core.partiql import (
    Leg,
    Plan,
    Select,
    bound,
    mutation,
    names_of,
    parse_statement,
    plan_of,
    shown,
    single_read,
)
from dualwrite.core.requests import Body, Verb
from dualwrite.core.spec import IndexSpec

KEYS = KeySchema(KeyAttribute("pk"), KeyAttribute("sk"))


def written(text: str, *parameters: Any) -> tuple[Verb, Body]:
    statement = parse_statement(text)
    assert not isinstance(statement.parsed, Select)
    return mutation(statement.parsed, bound(parameters, statement.parameters), KEYS)


def plan_for(text: str, *parameters: Any, index: IndexSpec | None = None) -> Plan:
    statement = parse_statement(text)
    assert isinstance(statement.parsed, Select)
    return plan_of(statement.parsed, bound(parameters, statement.parameters), KEYS, index)


def planned(text: str, *parameters: Any) -> list[tuple[str, Body]]:
    plan = plan_for(text, *parameters)
    return [plan.search(leg) for leg in plan.legs]


def test_a_delete_returns_only_what_was_there() -> None:
    """What else it is asked for is said back, in DynamoDB's words."""
    with pytest.raises(ValidationError) as refused:
        parse_statement("DELETE FROM t WHERE pk = 'x' returning modified old *")
    assert str(refused.value).endswith(
        "Invalid returning clause: RETURNING MODIFIED OLD *. Only RETURNING ALL OLD * is allowed "
        "in DELETE statements."
    )


@pytest.mark.parametrize("local", [True, False])
def test_an_index_filters_by_what_it_holds(local: bool) -> None:
    """Where its partitions are read any other attribute is refused, whatever is asked of it; a scan
    of it takes that for missing, also where the table's own value comes along."""
    keys = KeySchema(KeyAttribute("pk" if local else "gk"), KeyAttribute("gs"))
    index = IndexSpec("i", keys, local, ("p",))
    hash_name = keys.hash.name
    for keyed in (f"{hash_name} = 'x'", f"{hash_name} IN ['x', 'y']"):
        for asked in ("n = 1", "NOT n = 1", "n IS MISSING", "(p = 1 OR n = 1)"):
            with pytest.raises(ValidationError) as refused:
                plan_for(f"SELECT * FROM t.i WHERE {keyed} AND {asked}", index=index)
            assert str(refused.value).endswith(
                "Secondary index i does not project one or more filter attributes: [n]"
            )
        plan_for(f"SELECT * FROM t.i WHERE {keyed} AND p = 1 AND sk > 'a'", index=index)
    item: Item = {"pk": {"S": "x"}, "gs": {"S": "x"}, "p": {"N": "1"}, "n": {"N": "1"}}
    for asked, admitted in (("n = 1", False), ("NOT n = 1", True), ("p = 1", True)):
        plan = plan_for(f"SELECT pk, n FROM t.i WHERE {asked}", index=index)
        assert plan.admits(item) is admitted
    body = plan_for("SELECT pk FROM t.i WHERE n = 1", index=index).search(Leg(None))[1]
    assert list(body["ExpressionAttributeNames"].values()) == ["pk"]


def test_an_insert_is_a_put_of_what_is_absent() -> None:
    """Literals of every kind, parameters at the top, under the condition that there is none."""
    verb, body = written(
        "INSERT INTO \"a-b\" VALUE {'pk':'p','sk':?,'n':-1.50,'l':[1,true,null],'s':<<'x','y'>>}",
        {"S": "it's"},
    )
    assert verb is Verb.PUT
    assert body["Item"] == {
        "pk": {"S": "p"}, "sk": {"S": "it's"}, "n": {"N": "-1.5"},
        "l": {"L": [{"N": "1"}, {"BOOL": True}, {"NULL": True}]}, "s": {"SS": ["x", "y"]},
    }  # fmt: skip
    assert body["ConditionExpression"] == "attribute_not_exists(#0)"
    assert body["ExpressionAttributeNames"] == {"#0": "pk"}


def test_an_update_needs_its_row_and_the_rest_of_its_where() -> None:
    """The key comes out of the WHERE, either way round; constants of a sum are added up."""
    verb, body = written(
        "update t set v = v + 1 - 3 set m.x[0] = ? remove w where 'p' = pk and (v = 1 or v = 2) "
        "and sk = 's' returning modified new * -- done",
        {"BOOL": True},
    )
    assert verb is Verb.UPDATE
    assert body["Key"] == {"pk": {"S": "p"}, "sk": {"S": "s"}}
    assert body["ReturnValues"] == "UPDATED_NEW"
    assert body["UpdateExpression"] == "SET #1 = #1 + :2,#2.#3[0] = :3 REMOVE #4"
    assert body["ConditionExpression"] == "attribute_exists(#0) AND (#1 = :0 OR #1 = :1)"
    assert body["ExpressionAttributeValues"] == {
        ":0": {"N": "1"}, ":1": {"N": "2"}, ":2": {"N": "-2"}, ":3": {"BOOL": True},
    }  # fmt: skip


def test_a_delete_asks_only_what_is_there() -> None:
    """A row that is not there is deleted already; without more of a WHERE nothing is asked."""
    assert written("DELETE FROM t WHERE pk='p' AND sk='s'")[1] == {
        "Key": {"pk": {"S": "p"}, "sk": {"S": "s"}}
    }
    _, body = written("DELETE FROM t WHERE pk='p' AND sk='s' AND v IS MISSING")
    assert body["ConditionExpression"] == "attribute_not_exists(#0) OR attribute_not_exists(#1)"


@pytest.mark.parametrize(
    ("where", "operations"),
    [("pk='a'", 1), ("pk IN ['b','a'] AND sk IN ('1','2','1')", 4), ("v=1", 0),
     ("pk='a' OR v=1", 0), ("pk=? AND sk>'1'", 1)],
)  # fmt: skip
def test_a_select_is_a_query_for_each_key_it_names(where: str, operations: int) -> None:
    """And one Scan where it names no partition."""
    parameters = [{"S": "a"}] if "?" in where else []
    found = planned(f"SELECT * FROM t WHERE {where}", *parameters)
    expected = ["Query"] * operations or ["Scan"]
    assert [operation for operation, _ in found] == expected


def test_order_by_turns_the_searches_and_their_items() -> None:
    """The partitions by their own order, what is in them by theirs."""
    found = planned("SELECT * FROM t WHERE pk IN ['a','b'] ORDER BY pk DESC, sk DESC")
    assert [body["ExpressionAttributeValues"] for _, body in found] == [
        {":0": {"S": "b"}}, {":0": {"S": "a"}},
    ]  # fmt: skip
    assert all(body["ScanIndexForward"] is False for _, body in found)


def test_what_is_shown_is_named_by_the_end_of_its_path() -> None:
    """With the indexes after it; what is not there is left out."""
    parsed = parse_statement('SELECT m.x[0], m."y z", absent FROM t').parsed
    assert isinstance(parsed, Select)
    item = {"m": {"M": {"x": {"L": [{"N": "1"}]}, "y z": {"S": "q"}}}}
    assert shown(parsed.paths, item) == {"x[0]": {"N": "1"}, "y z": {"S": "q"}}


def test_one_key_and_nothing_else_is_a_single_read() -> None:
    """Batches and transactions take no other."""
    for text, single in (("pk='a' AND sk='b'", True), ("pk='a'", False),
                         ("pk='a' AND sk='b' AND v=1", False)):  # fmt: skip
        parsed = parse_statement(f"SELECT v FROM t WHERE {text}").parsed
        assert isinstance(parsed, Select)
        assert (single_read(parsed, bound((), 0), KEYS) is not None) is single


def test_every_name_of_a_statement_is_seen() -> None:
    """So that a hidden one can be refused wherever it stands."""
    for text in ("SELECT dw_x FROM t", "SELECT a.dw_x FROM t", "UPDATE t SET dw_x=1 WHERE pk='a'",
                 "UPDATE t SET a=dw_x WHERE pk='a'", "UPDATE t REMOVE a['dw_x'] WHERE pk='a'",
                 "INSERT INTO t VALUE {'dw_x':1}", "DELETE FROM t WHERE size(dw_x)=1",
                 "EXISTS(SELECT * FROM t WHERE NOT dw_x IS NULL)"):  # fmt: skip
        assert "dw_x" in set(names_of(parse_statement(text).parsed)), text


def test_spaces_and_comments_make_no_other_statement() -> None:
    """A token of a transaction is bound to what a statement says."""
    one = parse_statement("SELECT a FROM t /* x */ WHERE pk='a'")
    assert one.tokens == parse_statement("SELECT  a FROM t WHERE pk = 'a' -- y").tokens
    assert one.tokens != parse_statement("SELECT a FROM t WHERE pk='A'").tokens


@pytest.mark.parametrize(
    "text",
    ["", "FOO", "SELECT", "SELECT * FROM t WHERE", "SELECT * FROM t WHERE a", "SELECT a FROM t u",
     "SELECT * FROM t WHERE a IN []", "SELECT * FROM t WHERE size(a) IS NULL",
     "SELECT * FROM t WHERE a = 'x", "SELECT size FROM t",
     "UPDATE t SET a=1, a.b=2 WHERE pk='a' AND sk='b'",
     "UPDATE t SET a=b+c+d WHERE pk='a' AND sk='b'",
     "UPDATE t SET a=1 WHERE pk='a'", "UPDATE t SET a=[?] WHERE pk='a' AND sk='b'",
     "INSERT INTO t VALUE {'pk':'a'}", "INSERT INTO t VALUE {'pk':'a','sk':1}",
     "INSERT INTO t VALUE {'pk':'a','sk':'b','s':<<>>}", "DELETE FROM t",
     "DELETE FROM t.i WHERE a=1", "SELECT * FROM t WHERE " + "(" * 70 + "a=1" + ")" * 70,
     "SELECT a FROM t WHERE pk='" + "x" * 8200,
     "SELECT a, a FROM t", "SELECT * FROM t WHERE pk=1", "SELECT * FROM t ORDER BY pk"],
)  # fmt: skip
def test_what_is_no_statement_is_refused(text: str) -> None:
    """By a ValidationError, never by another one."""
    with pytest.raises(ValidationError):
        made(text)


def made(text: str) -> object:
    if isinstance(parse_statement(text).parsed, Select):
        return planned(text)
    return written(text, *[{"S": "x"}] * text.count("?"))
