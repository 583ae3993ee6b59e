"""PartiQL on managed tables answers as on a plain table of DynamoDB Local, in every phase and
dialect; what it cannot do exactly is refused by name."""

from collections.abc import Iterator
from typing import Any

import pytest

from dualwrite.core.errors import ValidationError
from dualwrite.core.expressions.reserved import RESERVED as DYNAMODB_RESERVED
from dualwrite.core.items import HIDDEN
from dualwrite.core.partiql import parse_statement
from dualwrite.core.partiql.reserved import RESERVED
from dualwrite.core.phases import Phase, Side
from tests.contract.twins import CASES, Case, Twin, a_twin, a_twin_rig, comparable
from tests.engines_chosen import EngineName
from tests.proxy_harness import Rig, create_table, outcome

MANAGED = [case for case in CASES if case.managed]
READ_CASES = [case for case in MANAGED if case.phase in (Phase.MIRROR_OLD, Phase.ATOMIC_NEW)]
"""Where a read is served depends on the share of reads, not on the mode."""


@pytest.fixture(scope="module")
def rig(dynamodb_local: int) -> Iterator[Rig]:
    """On the oracle alone: the others know another PartiQL."""
    url = f"http://127.0.0.1:{dynamodb_local}"
    with a_twin_rig(EngineName.DYNAMODB_LOCAL, url, "partiql-") as made:
        create_table(made.engine, made.tables["notes"].old, "partiql-unmanaged")
        yield made


@pytest.fixture(params=MANAGED, ids=str)
def twin(rig: Rig, request: pytest.FixtureRequest, table_prefix: str) -> Iterator[Twin]:
    with a_twin(rig, request.param, table_prefix) as made:
        yield made


@pytest.fixture(params=READ_CASES, ids=str)
def reader(rig: Rig, request: pytest.FixtureRequest, table_prefix: str) -> Iterator[Twin]:
    with a_twin(rig, request.param, table_prefix) as made:
        yield made


def said(twin: Twin, text: str, number: int = 1, tenant: str = "acme-prod") -> str:
    """A statement in the twin's dialect: NOTES and TASKS are its tables, NOTE and TASK the
    conditions on a key, HASH and TENANT the words that differ."""
    note, task = twin.note_key(number, tenant), twin.task_key(number)
    words = {
        "NOTES": f'"{twin.name("notes")}"' if "NOTES" in text else "",
        "TASKS": f'"{twin.name("tasks")}"' if "TASKS" in text else "",
        "NOTE": " AND ".join(f"{name}='{value['S']}'" for name, value in note.items()),
        "TASK": " AND ".join(f"{name}='{value['S']}'" for name, value in task.items()),
        "HASH": next(iter(note)),
        "TENANT": "acme-prod" if twin.dialect is Side.OLD else "aws-1",
        "RUN": twin.run,
    }
    for word, meant in words.items():
        text = text.replace(f"<{word}>", meant)
    return text


def struct(item: dict[str, Any], also: str = "") -> str:
    """An item of strings as a statement's map."""
    members = [f"'{name}':'{value['S']}'" for name, value in item.items()]
    return "{" + ",".join([*members, *([also] if also else [])]) + "}"


def execute(twin: Twin, text: str, *parameters: Any, **more: Any) -> dict[str, Any]:
    given = {"Parameters": list(parameters)} if parameters else {}
    return twin.both(
        "execute_statement", apart=("message",), Statement=said(twin, text), **given, **more
    )


def fill(twin: Twin) -> None:
    for number in range(4):
        twin.both(
            "put_item",
            TableName=twin.name("notes"),
            Item=twin.note(number, v={"N": str(number)}, odd={"BOOL": number % 2 == 1}),
        )
        twin.both("put_item", TableName=twin.name("tasks"), Item=twin.task(
            number, owner={"S": f"o{number % 2}"}, v={"N": str(number)}, empty={"NULL": True},
            ss={"SS": ["a", "b"]}, l={"L": [{"S": "x"}, {"N": "2"}]},
            m={"M": {"x": {"L": [{"N": "1"}]}, "a-b": {"N": "1"}}}))  # fmt: skip


# -- mutations ---------------------------------------------------------------------------------


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


# -- reads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0, 100])
def test_selects_show_what_a_plain_table_shows(reader: Twin, share: int) -> None:
    """Projection, filters and key conditions, whichever side serves them."""
    twin = reader
    fill(twin)
    twin.rig.stand(twin.phase, read_share=share)
    of_list = "FROM <TASKS> WHERE list_id='<RUN>'"
    for text in (
        "SELECT * FROM <NOTES> WHERE <NOTE>", "SELECT v, note_id FROM <NOTES> WHERE <NOTE>",
        "SELECT * FROM <NOTES> WHERE <NOTE> AND v=9",
        f"SELECT * {of_list} AND endpoint_id='<TENANT>'", f"SELECT m.x[0], l[1], absent {of_list}",
        f"SELECT task_id {of_list} AND task_id>'t1' AND task_id<'t3' AND v IN [2,3]",
        f"SELECT task_id {of_list} AND task_id BETWEEN 't1' AND 't2'",
        f"SELECT task_id {of_list} AND begins_with(task_id,'t') AND NOT v=1",
        f"SELECT task_id {of_list} AND task_id IN ['t2','t0']",
        f"SELECT task_id {of_list} AND task_id IN <<'t2','t0'>> AND v IN LIST(0,2)",
        f"SELECT task_id {of_list} AND ss=BAG('a','b')",
        f"SELECT task_id {of_list} AND task_id<>'t2' AND empty IS NULL AND absent IS MISSING",
        f"SELECT task_id {of_list} AND (v=0 OR contains(ss,'z') OR l[0]='y' OR m['a-b']=2)",
        f"SELECT task_id {of_list} AND size(ss)=2 AND v IS NOT MISSING AND l=['x',2]",
        'SELECT task_id, v FROM <TASKS>."owner-index" WHERE list_id=\'<RUN>\' AND "owner"=\'o1\'',
        'SELECT * FROM <TASKS>."owner-index" WHERE list_id=\'<RUN>\' ORDER BY "owner" DESC',
    ):  # fmt: skip
        heard = execute(twin, text)
        assert "error" not in heard, text
        assert not any(HIDDEN & item.keys() for item in heard["Items"])


def test_keys_are_compared_with_values_of_their_type(reader: Twin) -> None:
    """A SELECT that compares one with another type is refused, not empty, wherever it does so; what
    is no key is compared with anything."""
    fill(reader)
    index = f"<TASKS>.\"owner-index\" WHERE list_id='{reader.run}'"
    table = "<TASKS> WHERE list_id='<RUN>'"
    for text in (
        f"{table} AND task_id>1", f"{table} AND 1>=task_id", f"{table} AND task_id<>1",
        f"{table} AND task_id BETWEEN 1 AND 2", f"{table} AND task_id IN [1,2]",
        f"{table} AND v=1 AND NOT task_id<1", f"{table} AND (v=1 OR task_id=1)",
        f"{table} AND task_id>'a' AND task_id<1", f"{table} AND list_id>1",
        f"{table} AND contains(task_id,1)", "<TASKS> WHERE task_id=1", "<TASKS> WHERE list_id<>1",
        f'{index} AND "owner">1', f"{index} AND task_id>1",
    ):  # fmt: skip
        heard = execute(reader, f"SELECT * FROM {text}")
        assert heard.get("error") == "ValidationException", text
    for text in (f"{table} AND v='x'", f"{table} AND size(task_id)=2"):
        assert "error" not in execute(reader, f"SELECT * FROM {text}"), text


@pytest.mark.parametrize("share", [0, 100])
def test_selects_page_to_their_end(reader: Twin, share: int) -> None:
    """Every page as a plain table gives it, over IN too; the token stays on its side although the
    share changes in between."""
    twin = reader
    fill(twin)
    keys = [twin.note_key(1, tenant) for tenant in ("acme-prod", "bolt-prod")]
    hashes = [next(iter(key.values()))["S"] for key in keys]
    twin.both("put_item", TableName=twin.name("notes"), Item=twin.note(1, "bolt-prod"))
    listed = ",".join(f"'{each}'" for each in hashes)
    for text, limit in (
        ("SELECT note_id FROM <NOTES> WHERE <HASH>=" + f"'{hashes[0]}'", 3),
        (f"SELECT note_id FROM <NOTES> WHERE <HASH> IN [{listed}]", 3),
        ("SELECT task_id FROM <TASKS> WHERE list_id='<RUN>' AND v<>0", 1),
    ):  # fmt: skip
        twin.rig.stand(twin.phase, read_share=share)
        mine = pages(twin, twin.rig.proxied, said(twin, text), limit)
        plain = pages(
            twin, twin.rig.engine, said(twin, text).replace('"partiql-', '"plain-partiql-'), limit
        )
        assert mine == plain
    refused = outcome(twin.rig.proxied, "execute_statement", NextToken="junk",
                      Statement=said(twin, "SELECT * FROM <NOTES>"))  # fmt: skip
    assert refused["message"] == "Invalid NextToken"


def pages(twin: Twin, client: Any, text: str, limit: int) -> list[list[Any]]:
    found: list[list[Any]] = []
    start: dict[str, Any] = {}
    while len(found) < 20:
        page = client.execute_statement(Statement=text, Limit=limit, **start)
        found.append(page["Items"])
        twin.rig.stand(twin.phase, read_share=50)
        if "NextToken" not in page:
            return found
        start = {"NextToken": page["NextToken"]}
    raise AssertionError("the pages have no end")


@pytest.mark.parametrize("share", [0, 100])
def test_a_select_without_a_partition_reads_the_whole_table(reader: Twin, share: int) -> None:
    """Each item once, over as many pages as it takes, filtered here and there alike."""
    twin = reader
    fill(twin)
    twin.rig.stand(twin.phase, read_share=share)
    text = said(twin, "SELECT note_id FROM <NOTES> WHERE v>0")
    read = pages(twin, twin.rig.proxied, text, 2)
    found = [item["note_id"]["S"] for page in read for item in page]
    assert sorted(found) == [f"{twin.run}-{number}" for number in (1, 2, 3)]


# -- batches and transactions ------------------------------------------------------------------


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


# -- other tables, and what is refused ---------------------------------------------------------


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
