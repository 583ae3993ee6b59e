"""SELECT shows what it shows of a plain table, whichever side serves it."""

from typing import Any

import pytest

from dualwrite.core.items import HIDDEN
from tests.contract.partiql.statements import execute, fill, said
from tests.contract.twins import Twin
from tests.proxy_harness import outcome


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
