"""INSERT, UPDATE and DELETE answer as on a plain table, in every phase and dialect."""

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions.reserved import RESERVED as DYNAMODB_RESERVED
from dualwrite.core.partiql import parse_statement
from dualwrite.core.partiql.reserved import RESERVED
from dualwrite.core.phases import Phase, Side
from tests.contract.partiql.statements import MANAGED, execute, fill, struct
from tests.contract.twins import Case, Twin, a_twin
from tests.proxy_harness import Rig, outcome


def test_insert_creates_and_never_overwrites(twin: Twin) -> None:
    """INSERT puts what is absent; a second one is a duplicate, and the first one stands."""
    for also in ("'v':1.50,'t':true,'z':null,'l':[1,'a',[2]],'m':{'a':{'b':-1}}", "'v':2"):
        item = struct(twin.note(), also + ",'ss':<<'a','b'>>,'ns':<<1,2e1>>,'q':'it''s'")
        execute(twin, f"INSERT INTO <NOTES> VALUE {item}")
    task = struct(twin.task(), "'p':?")
    execute(twin, f"insert into <TASKS> value {task};",
            {"M": {"deep": {"BS": [b"1"]}}}, ReturnConsumedCapacity="TOTAL")  # fmt: skip
    twin.both("get_item", TableName=twin.name("notes"), Key=twin.note_key(), ConsistentRead=True)


def test_update_changes_what_is_there(twin: Twin) -> None:
    """Each clause of an UPDATE, with each RETURNING in its turn."""
    fill(twin)
    turn = MANAGED.index(Case(twin.phase, twin.dialect))
    endings = ["", "RETURNING ALL OLD *", "RETURNING ALL NEW *", "RETURNING MODIFIED OLD *",
               "RETURNING MODIFIED NEW *"]  # fmt: skip
    for actions in (
        "SET v=v+1", "SET v=v-1-1 SET w='x', n={'a':2}", "SET w=NULL REMOVE empty",
        "SET ss=set_add(ss,<<'c'>>) SET ss2=SET_ADD(ss2,<<1>>)", "SET ss=set_delete(ss,<<'a'>>)",
        "SET l=list_append(l,l)", "REMOVE l[0] REMOVE m.x", "SET m['a-b']=?", "REMOVE absent",
        'SET "odd name"=v', "SET v=v+1 SET w=v", "REMOVE w",
        "SET b=BAG(1,2) SET l=LIST('x',LIST(1),bag('a')) SET e=list()",
        "SET l=list_append(l,LIST(2)) SET b=set_add(b,BAG(3))",
    ):  # fmt: skip
        # DynamoDB Local shows the whole top attribute where AWS shows the nested path alone.
        ending = endings[turn % 3 if "[" in actions else turn % 5]
        turn += 1
        execute(twin, f"UPDATE <TASKS> {actions} WHERE <TASK> {ending}",
                *([{"S": "p"}] if "?" in actions else []))  # fmt: skip
    twin.both("get_item", TableName=twin.name("tasks"), Key=twin.task_key(), ConsistentRead=True)


def test_conditions_of_mutations_decide_as_on_a_plain_table(twin: Twin) -> None:
    """An UPDATE needs its row and the whole WHERE, a DELETE only where there is a row."""
    fill(twin)
    old = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}
    for condition in (
        "v=7", "v=7 OR v=8", "(v=7 OR v=8)", "NOT v=1", "v IS MISSING", "odd IS NULL",
        "v IN [5,6]", "begins_with(note_id,'no')", "attribute_type(v,'S')", "size(note_id)<2",
        "v BETWEEN 5 AND 6",
    ):  # fmt: skip
        execute(twin, f"UPDATE <NOTES> SET w=1 WHERE <NOTE> AND {condition}", **old)
        execute(twin, f"DELETE FROM <NOTES> WHERE <NOTE> AND {condition}")
    execute(twin, "UPDATE <NOTES> SET w=1 WHERE <NOTE> AND v=1 AND odd=true RETURNING ALL NEW *")
    execute(twin, "DELETE FROM <NOTES> WHERE v=1 AND <NOTE> RETURNING ALL OLD *")
    for gone in ("UPDATE <NOTES> SET w=1 WHERE <NOTE>", "UPDATE <NOTES> REMOVE v WHERE <NOTE>",
                 "DELETE FROM <NOTES> WHERE <NOTE> RETURNING ALL OLD *",
                 "DELETE FROM <NOTES> WHERE <NOTE> AND v=9"):  # fmt: skip
        execute(twin, gone)
    execute(twin, "DELETE FROM <TASKS> WHERE <TASK> AND endpoint_id='<TENANT>'")
    execute(twin, "DELETE FROM <TASKS> WHERE <TASK> AND endpoint_id='<TENANT>'")


def test_a_derived_attribute_changes_by_a_statement(twin: Twin) -> None:
    """A dialect's own words are set and asked for in statements as in expressions."""
    fill(twin)
    if twin.dialect is Side.OLD:
        change = "SET endpoint_id='bolt-prod'"
    else:
        change = "SET endpoint_id='gcp-2', part_id='cyan', partition_key='gcp-2#cyan'"
    execute(twin, f"UPDATE <TASKS> {change} WHERE <TASK> AND endpoint_id='<TENANT>' "
                  "RETURNING ALL NEW *")  # fmt: skip
    execute(twin, "SELECT endpoint_id, v FROM <TASKS> WHERE <TASK>", ConsistentRead=True)


@pytest.mark.parametrize(
    "text",
    ["INSERT INTO <NOTES> VALUE {'v':1}", "INSERT INTO <NOTES> VALUE {'<HASH>':1,'note_id':'x'}",
     "INSERT INTO <NOTES> VALUE ?", "UPDATE <NOTES> SET v=1", "UPDATE <NOTES> SET v=1 WHERE v=1",
     "UPDATE <NOTES> SET v=1 WHERE <NOTE> OR v=1", "UPDATE <NOTES> SET note_id='x' WHERE <NOTE>",
     "UPDATE <NOTES> SET v=absent WHERE <NOTE>", "UPDATE <NOTES> SET a=1, a=2 WHERE <NOTE>",
     "UPDATE <NOTES> SET v=v*2 WHERE <NOTE>", "UPDATE <NOTES> SET v=foo(v) WHERE <NOTE>",
     "UPDATE <NOTES> SET v=1 WHERE <NOTE> AND v=v",
     "UPDATE <NOTES> SET v=set_add(w,<<1>>) WHERE <NOTE>",
     "UPDATE <NOTES> WHERE <NOTE>", "DELETE FROM <NOTES>", "DELETE FROM <NOTES> WHERE <HASH>='x'",
     "DELETE FROM <NOTES> WHERE <NOTE> RETURNING ALL NEW *", "DELETE <NOTES> WHERE <NOTE>",
     "UPDATE <NOTES> SET v=? WHERE <NOTE>", "UPDATE <NOTES> SET v=1 WHERE <NOTE> AND v IN []",
     "UPDATE <NOTES> SET s=<<1,'a'>> WHERE <NOTE>", "UPDATE <NOTES> SET s=<<>> WHERE <NOTE>",
     "UPDATE <NOTES> SET s=BAG() WHERE <NOTE>", "UPDATE <NOTES> SET s=BAG(1,1) WHERE <NOTE>",
     "UPDATE <NOTES> SET s=LIST(v) WHERE <NOTE>", "UPDATE <NOTES> SET s=ARRAY(1) WHERE <NOTE>",
     "UPDATE <NOTES> SET v=1 WHERE <NOTE> RETURNING ALL OLD v", "SELECT FROM <NOTES>",
     "SELECT * FROM <NOTES> n", "SELECT * FROM <NOTES> LIMIT 1", "SELECT v, v FROM <NOTES>",
     "SELECT count(*) FROM <NOTES>", "SELECT * FROM <NOTES> ORDER BY note_id",
     "SELECT * FROM <NOTES> WHERE <HASH>='x' ORDER BY v", "SELECT size FROM <NOTES>",
     "SELECT * FROM <NOTES> WHERE <HASH>=1", "SELECT * FROM <NOTES>.nope WHERE v=1",
     "EXISTS(SELECT * FROM <NOTES> WHERE <NOTE> AND v=1)", "SELECT v, v.x FROM <NOTES>",
     "SELECT m.x, x FROM <NOTES> WHERE <HASH>='nobody'",
     "UPDATE <NOTES> SET v=2 WHERE <NOTE> AND note_id='another'",
     "DELETE FROM <NOTES> WHERE <NOTE> AND 1=note_id"],
)  # fmt: skip
def test_wrong_statements_are_refused_as_on_a_plain_table(rig: Rig, text: str) -> None:
    """The same error, and nothing written."""
    with a_twin(rig, Case(Phase.ATOMIC_NEW, Side.OLD), "wrong-") as twin:
        twin.both("put_item", TableName=twin.name("notes"), Item=twin.note(v={"N": "1"}))
        assert "error" in execute(twin, text)
        twin.both("get_item", TableName=twin.name("notes"), Key=twin.note_key(),
                  ConsistentRead=True)  # fmt: skip


def test_the_reserved_words_are_those_of_the_engine(rig: Rig) -> None:
    """A word is a name without quotes here exactly where it is one there."""
    name = rig.tables["notes"].old.name
    different = []
    for word in sorted(RESERVED | DYNAMODB_RESERVED):
        text = f"UPDATE \"plain-{name}\" SET {word}=1 WHERE endpoint_id='x' AND note_id='y'"
        heard = outcome(rig.engine, "execute_statement", Statement=text)
        try:
            parse_statement(text)
            ours = "ConditionalCheckFailedException"
        except ValidationError:
            ours = "ValidationException"
        if heard["error"] != ours:
            different.append(word)
    assert different == []
