"""An engine that hurts: what is sent again, what is not, and a follower that is left out."""

import json
import threading
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import pytest
from botocore.exceptions import BotoCoreError

from dualwrite.core import metric_names
from dualwrite.core.phases import Phase, Side
from dualwrite.core.records import REPAIR
from dualwrite.proxy.server import Server
from tests.proxy_harness import (
    AUTHORIZATION,
    Rig,
    a_rig,
    client_for,
    create_table,
    outcome,
    raw_outcome,
    stamp_ahead,
)

WRITES = ("PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems")


@pytest.fixture(scope="module")
def shared(engine: str, boto: Any) -> Iterator[Rig]:
    with a_rig(engine, boto, "sick-") as made:
        create_table(boto, made.tables["notes"].old, "sick-other")
        yield made


@pytest.fixture
def rig(shared: Rig) -> Iterator[Rig]:
    """A rig in mirror/old without faults and without repairs."""
    shared.stand(Phase.MIRROR_OLD)
    shared.hop.calls.clear()
    shared.hop.forwards.clear()
    yield shared
    shared.hop.plan = lambda operation, request: None
    shared.until(lambda: not shared.proxy.health.held_back())
    for record in shared.run(shared.records.list(REPAIR)):
        shared.run(shared.records.delete(REPAIR, record.name, expected=None))


def key(number: str) -> dict[str, Any]:
    return {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": number}}


def note(number: str, value: str = "1") -> dict[str, Any]:
    return {**key(number), "v": {"N": value}}


def put(rig: Rig, number: str, **more: Any) -> dict[str, Any]:
    return outcome(rig.proxied, "put_item", TableName="sick-notes", Item=note(number, **more))


def add(rig: Rig, number: str, returns: str = "ALL_NEW") -> dict[str, Any]:
    return outcome(
        rig.proxied, "update_item", TableName="sick-notes", Key=key(number),
        UpdateExpression="ADD v :one", ExpressionAttributeValues={":one": {"N": "1"}},
        ReturnValues=returns,
    )  # fmt: skip


def stored(rig: Rig, number: str, side: Side = Side.OLD) -> list[dict[str, Any]]:
    return [item for item in rig.items("notes", side) if item["note_id"]["S"] == number]


def repairs(rig: Rig) -> list[str]:
    return [record.value["reason"] for record in rig.run(rig.records.list(REPAIR))]


def first(
    rig: Rig,
    fate: str,
    times: int = 1,
    side: Side = Side.OLD,
    then: Callable[[], Any] | None = None,
) -> None:
    """Let the first writes to one side of the notes meet a fate; ``then`` happens after each."""
    name, met = rig.tables["notes"].side(side).name, []

    def plan(operation: str, request: Any) -> str | None:
        named = request.get("TableName") == name or "TransactItems" in request
        if operation not in WRITES or not named:
            return None
        if len(met) == times:
            if then is not None and len(met) == 1:
                met.append("then")
                then()
            return None
        met.append(operation)
        return fate

    rig.hop.plan = plan


# -- the leader ------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", ["refuse", "cut", "lose"])
def test_an_update_is_applied_once_however_its_first_try_was_lost(rig: Rig, fate: str) -> None:
    """Never sent, lost on the way, or applied and its answer lost: the stamp tells, the count is
    right on both sides, and the client hears nothing of it."""
    put(rig, fate)
    first(rig, fate)
    assert add(rig, fate)["Attributes"]["v"] == {"N": "2"}
    for side in Side:
        [item] = stored(rig, fate, side)
        assert item["v"] == {"N": "2"}
    assert repairs(rig) == []


def test_a_new_item_whose_answer_was_lost_is_known_by_its_stamp(rig: Rig) -> None:
    """The repeat is refused over our own stamp: that is success."""
    first(rig, "lose")
    assert "error" not in put(rig, "told")
    assert len(stored(rig, "told", Side.NEW)) == 1


@pytest.mark.parametrize("fate", ["cut", "lose"])
def test_a_deleted_item_is_not_brought_back_by_a_repeat(rig: Rig, fate: str) -> None:
    """Somebody's acknowledged delete came in between: where nothing stands nothing is proven, so
    nothing is written and the outcome stays unknown."""
    put(rig, f"gone-{fate}")
    engine_key = {"TableName": "sick-notes", "Key": key(f"gone-{fate}")}
    first(rig, fate, then=lambda: rig.engine.delete_item(**engine_key))
    assert put(rig, f"gone-{fate}", value="9")["error"] == "InternalServerError"
    assert stored(rig, f"gone-{fate}") == []
    assert repairs(rig) == ["leader write unknown"]


def test_a_write_that_was_overtaken_is_not_sent_under_a_newer_stamp(rig: Rig) -> None:
    """A newer write may stand over our lost one; to go past it would apply ours twice."""
    put(rig, "overtaken")
    newer = {
        **note("overtaken", "7"),
        "dw_stamp": {"S": "9000000000000.00000.000001.ffffffff.00000001"},
    }
    first(rig, "lose", then=lambda: rig.engine.put_item(TableName="sick-notes", Item=newer))
    assert add(rig, "overtaken")["error"] == "InternalServerError"
    assert [item["v"] for item in stored(rig, "overtaken")] == [{"N": "7"}]


@pytest.mark.parametrize("returns", ["ALL_OLD", "UPDATED_NEW"])
def test_an_answer_that_is_needed_is_not_asked_for_again(rig: Rig, returns: str) -> None:
    """No stamp tells the old values: the client hears that the outcome is unknown."""
    put(rig, returns)
    first(rig, "lose")
    assert add(rig, returns, returns)["error"] == "InternalServerError"
    assert rig.hop.calls.count("UpdateItem") == 1


def test_a_delete_is_sent_again_only_if_it_was_never_sent(rig: Rig) -> None:
    """It leaves no stamp that would tell."""
    for fate, error in (("refuse", None), ("cut", "InternalServerError")):
        put(rig, "delete")
        first(rig, fate)
        heard = outcome(rig.proxied, "delete_item", TableName="sick-notes", Key=key("delete"))
        assert heard.get("error") == error


def test_a_transaction_without_a_token_gets_one_and_counts_once(rig: Rig) -> None:
    """Also before the migration, where no stamp would tell."""
    rig.stand(Phase.OFF)
    first(rig, "lose")
    heard = raw_outcome(rig.url, "TransactWriteItems", {"TransactItems": [
        {"Update": {"TableName": "sick-notes", "Key": key("off"), "UpdateExpression": "ADD v :one",
                    "ExpressionAttributeValues": {":one": {"N": "1"}}}}
    ]})  # fmt: skip
    assert heard == {}
    assert rig.hop.calls.count("TransactWriteItems") == 2
    assert [item["v"] for item in stored(rig, "off")] == [{"N": "1"}]


def test_a_storm_of_lost_answers_ends_and_its_budget_is_bounded(rig: Rig) -> None:
    """Each request is sent three times at most."""
    rig.hop.plan = lambda operation, request: "cut" if operation == "GetItem" else None
    heard = outcome(rig.proxied, "get_item", TableName="sick-notes", Key=key("storm"))
    assert heard["error"] == "InternalServerError"
    assert rig.hop.calls.count("GetItem") == 3
    sent = (metric_names.REPEATS, "old", "unknown", "sent")
    assert rig.metrics.values[sent] >= 2


@pytest.mark.parametrize(("operation", "sends"), [("get_item", 2), ("put_item", 1)])
def test_of_an_unmanaged_table_only_reads_are_repeated(
    rig: Rig, operation: str, sends: int
) -> None:
    """A plain write may have been applied; its SDK decides what it does about that."""
    fates = iter(["cut"])
    rig.hop.plan = lambda operation, request: next(fates, None)
    what = {"Key": key("plain")} if operation == "get_item" else {"Item": note("plain")}
    heard = outcome(rig.proxied, operation, TableName="sick-other", **what)
    assert heard.get("error") == (None if sends == 2 else "InternalServerError")
    assert len(rig.hop.forwards) == sends


# -- the follower ----------------------------------------------------------------------------


def test_a_follower_that_hangs_is_left_out_and_comes_back(rig: Rig) -> None:
    """After five writes in a row the clients wait for it no more and its keys go straight to the
    repair queue; it is seen on the metrics; when it answers again it is written again."""
    rig.hop.patience_seconds = 0.05
    name = rig.tables["notes"].new.name

    def sick(operation: str, request: Any) -> str | None:
        return "hang" if operation in WRITES and request.get("TableName") == name else None

    rig.hop.plan = sick
    for number in range(5):
        assert "error" not in put(rig, f"hang-{number}")
    assert rig.proxy.health.held_back() == ("notes",)
    gauge = (metric_names.FOLLOWER_BREAKER, "notes", "new")
    assert rig.metrics.values[gauge] == 2
    rig.hop.patience_seconds = 600.0
    assert "error" not in put(rig, "held")
    assert "follower write held" in repairs(rig)
    assert len(stored(rig, "held")) == 1
    assert stored(rig, "held", Side.NEW) == []
    rig.hop.patience_seconds = 3.0
    rig.hop.plan = lambda operation, request: None
    rig.until(lambda: rig.metrics.values[gauge] == 0)
    assert "error" not in put(rig, "back")
    assert len(stored(rig, "back", Side.NEW)) == 1
    assert len(stored(rig, "held", Side.NEW)) == 1, "the probe is the newest write that was held"


def test_reads_leave_a_follower_that_is_left_out(rig: Rig) -> None:
    """It misses what waits for repair, so the leader serves its share too until it is back."""
    rig.stand(Phase.MIRROR_OLD, read_share=100)
    rig.hop.patience_seconds = 0.05
    name = rig.tables["notes"].new.name
    rig.hop.plan = lambda operation, request: "cut" if request.get("TableName") == name else None
    for number in range(6):
        put(rig, f"read-{number}")
    wanted = {"TableName": "sick-notes", "Key": key("read-5")}
    assert outcome(rig.proxied, "get_item", **wanted)["Item"] == note("read-5")
    rig.hop.plan = lambda operation, request: None
    rig.until(lambda: not rig.proxy.health.held_back())
    before = rig.metrics.values.get((metric_names.READS, "notes", "new"), 0.0)
    outcome(rig.proxied, "get_item", **wanted)
    assert rig.metrics.values[(metric_names.READS, "notes", "new")] == before + 1


def test_a_follower_that_refuses_an_item_is_not_sick(rig: Rig) -> None:
    """A refusal is an answer: it says something about the item, not about the side."""
    name = rig.tables["notes"].new.name
    for number in range(6):
        ahead = {"partition_key": {"S": "aws-1#acme"}, "note_id": {"S": f"ahead-{number}"},
                 "dw_stamp": {"S": stamp_ahead()}}  # fmt: skip
        rig.engine.put_item(TableName=name, Item=ahead)
        put(rig, f"ahead-{number}")
    assert rig.proxy.health.held_back() == ()


def test_a_breaker_closes_when_the_table_moves_on(rig: Rig) -> None:
    """In atomic mode there is no follower to be left out."""
    first(rig, "cut", times=10, side=Side.NEW)
    for number in range(5):
        put(rig, f"moved-{number}")
    assert rig.proxy.health.held_back() == ("notes",)
    rig.stand(Phase.ATOMIC_OLD, epoch=2)
    rig.until(lambda: rig.proxy.health.held_back() == ())


# -- too many, and gone ----------------------------------------------------------------------


def test_more_than_can_be_in_hand_is_told_to_come_again(rig: Rig) -> None:
    """The error is one that every SDK retries; those in hand end well."""
    rig.hop.patience_seconds, rig.hop.hanging = 2.0, 0
    rig.hop.plan = lambda operation, request: "hang" if operation == "GetItem" else None
    rig.proxy.requests_max = 2

    def read() -> None:
        client_for(rig.url).get_item(TableName="sick-other", Key=key("x"))

    readers = [threading.Thread(target=read) for _ in range(2)]
    try:
        for reader in readers:
            reader.start()
        rig.until(lambda: rig.hop.hanging == 2)
        heard = outcome(rig.proxied, "get_item", TableName="sick-other", Key=key("x"))
        assert heard["error"] == "ThrottlingException"
        assert rig.metrics.values[(metric_names.SHED,)] == 1
    finally:
        for reader in readers:
            reader.join()
        rig.proxy.requests_max = 512
    assert "error" not in outcome(rig.proxied, "get_item", TableName="sick-other", Key=key("x"))


@pytest.mark.parametrize("side", list(Side))
def test_a_client_that_hangs_up_leaves_no_half_write(rig: Rig, side: Side) -> None:
    """Its write goes on to its end on both sides, wherever it was when the client went."""
    number, name = f"hang-up-{side.value}", rig.tables["notes"].side(side).name
    rig.hop.hanging = 0
    rig.hop.gate.clear()
    rig.hop.plan = lambda operation, request: (
        "wait" if operation == "PutItem" and request.get("TableName") == name else None
    )
    hasty = HTTPConnection(rig.url.removeprefix("http://"))
    body = json.dumps({"TableName": "sick-notes", "Item": note(number)})
    headers = {"x-amz-target": "DynamoDB_20120810.PutItem", "authorization": AUTHORIZATION}
    hasty.request("POST", "/", body, headers)
    rig.until(lambda: rig.hop.hanging == 1)
    hasty.close()
    rig.hop.gate.set()
    rig.until(lambda: len(stored(rig, number, Side.NEW)) == 1)
    [old], [new] = (stored(rig, number, each) for each in Side)
    assert old["dw_stamp"] == new["dw_stamp"]
    assert repairs(rig) == []


@pytest.mark.parametrize("side", list(Side))
def test_a_write_that_is_cut_off_by_the_end_of_its_process_is_queued(
    rig: Rig, engine: str, side: Side
) -> None:
    """A drain is bounded; what takes longer is an unknown outcome like any other, whichever side
    it waits for."""
    number, name = f"cut-off-{side.value}", rig.tables["notes"].side(side).name
    rig.hop.hanging, rig.hop.patience_seconds = 0, 600.0
    rig.hop.plan = lambda operation, request: (
        "hang" if operation == "PutItem" and request.get("TableName") == name else None
    )

    async def start() -> tuple[Server, int]:
        server = Server(rig.proxy.handle, host="127.0.0.1", port=0)
        return server, await server.start()

    server, port = rig.run(start())
    heard: list[str] = []

    def write() -> None:
        try:
            client_for(f"http://127.0.0.1:{port}").put_item(
                TableName="sick-notes", Item=note(number)
            )
        except BotoCoreError as error:
            heard.append(type(error).__name__)

    writer = threading.Thread(target=write)
    writer.start()
    rig.until(lambda: rig.hop.hanging == 1)
    assert rig.run(server.stop(0.1)) == 1
    writer.join()
    assert heard
    which = "follower" if side is Side.NEW else "leader"
    assert repairs(rig) == [f"{which} write unknown"]
    assert rig.epochs.in_flight == 0
