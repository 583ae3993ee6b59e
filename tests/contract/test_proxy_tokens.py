"""A ClientRequestToken binds a transaction as on a plain table, whichever proxy hears it."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from dualwrite.core.items import HIDDEN
from dualwrite.core.phases import Phase, Side
from tests.contract.twins import Twin
from tests.proxy_harness import Rig, outcome


def add(twin: Twin, amount: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "Update": {
            "TableName": twin.name("tasks"), "Key": twin.task_key(),
            "UpdateExpression": "ADD v :n", "ExpressionAttributeValues": {":n": {"N": str(amount)}},
            **more,
        }
    }  # fmt: skip


def check(twin: Twin) -> dict[str, Any]:
    return {
        "ConditionCheck": {
            "TableName": twin.name("notes"), "Key": twin.note_key(),
            "ConditionExpression": "attribute_exists(v)",
        }
    }  # fmt: skip


def transact(client: Any, token: str, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    return outcome(client, "transact_write_items", TransactItems=list(actions),
                   ClientRequestToken=token, **more)  # fmt: skip


def called(twin: Twin, token: str, *actions: dict[str, Any]) -> None:
    """At both; every engine has another text for a token that stands for another request."""
    heard = twin.both("transact_write_items", apart=("message",), TransactItems=list(actions),
                      ClientRequestToken=token)  # fmt: skip
    if twin.managed and heard.get("error") == "IdempotentParameterMismatchException":
        assert heard["message"].startswith("Specified idempotent token was used with different")


def value(twin: Twin) -> str | None:
    got = twin.rig.proxied.get_item(
        TableName=twin.name("tasks"), Key=twin.task_key(), ConsistentRead=True
    )
    return got.get("Item", {}).get("v", {}).get("N")


def test_another_request_under_a_used_token_is_refused(twin: Twin) -> None:
    """IdempotentParameterMismatch, with nothing written; the first request still repeats."""
    token = f"mismatch-{twin.run}"
    for amount in (1, 2, 1):
        called(twin, token, add(twin, amount))
    assert value(twin) == "1"


def test_a_token_is_known_to_every_proxy(twin: Twin) -> None:
    """Through another proxy a repetition is one, and another request is refused."""
    token = f"two-{twin.run}"
    assert transact(twin.rig.proxied, token, add(twin)) == {}
    assert transact(twin.rig.beside, token, add(twin)) == {}
    refused = transact(twin.rig.beside, token, add(twin, 2))
    assert refused["error"] == "IdempotentParameterMismatchException"
    assert value(twin) == "1"


@pytest.mark.managed_only
@pytest.mark.parametrize(("passed", "heard"), [(1, {}), (2, {"error": "InternalServerError"})])
def test_a_repetition_over_changes_of_state_is_told_what_is_certain(
    twin: Twin, passed: int, heard: dict[str, Any]
) -> None:
    """A transaction that came when its state was over will be undone, and its record does not say
    when it came. After one change it was in time; after two nobody can tell."""
    token = f"late-{passed}-{twin.run}"
    assert transact(twin.rig.proxied, token, add(twin)) == {}
    twin.rig.stand(twin.phase, epoch=1 + passed)
    again = transact(twin.rig.beside, token, add(twin))
    assert {name: again[name] for name in heard} == heard
    assert ("error" in again) == ("error" in heard)
    assert value(twin) == "1"


def test_a_cancelled_transaction_frees_its_token(twin: Twin) -> None:
    """What was not applied binds nothing: the same request, or another, may use the token, and
    the reasons of a cancellation are the client's own actions' alone."""
    token = f"cancel-{twin.run}"
    for _ in range(2):
        twin.both("transact_write_items", TransactItems=[add(twin), check(twin)],
                  ClientRequestToken=token)  # fmt: skip
    twin.both("transact_write_items", TransactItems=[add(twin, 5)], ClientRequestToken=token)
    called(twin, token, add(twin), check(twin))
    assert value(twin) == "5"


def test_a_repetition_succeeds_though_its_conditions_hold_no_more(twin: Twin) -> None:
    """What the first one made must not refuse the second: neither a condition, nor an attribute
    that it removed and would have to read again."""
    first = add(twin, ConditionExpression="attribute_not_exists(v)")
    key = "partition_key" if twin.dialect is Side.NEW else "endpoint_id"
    create = {
        "Put": {
            "TableName": twin.name("notes"), "Item": twin.note(3),
            "ConditionExpression": f"attribute_not_exists({key})",
        }
    }  # fmt: skip
    for _ in range(2):
        twin.both("transact_write_items", TransactItems=[first, create],
                  ClientRequestToken=f"cond-{twin.run}")  # fmt: skip
    move = add(twin, UpdateExpression="SET w = v REMOVE v")
    move["Update"].pop("ExpressionAttributeValues")
    for _ in range(2):
        twin.both("transact_write_items", TransactItems=[move],
                  ClientRequestToken=f"move-{twin.run}")  # fmt: skip
    twin.both("get_item", TableName=twin.name("tasks"), Key=twin.task_key(), ConsistentRead=True)


def test_concurrent_repetitions_are_applied_once(twin: Twin) -> None:
    """All at once, through two proxies: each succeeds or is told to come again, one counts."""
    clients = [twin.rig.proxied, twin.rig.beside] * 4
    with ThreadPoolExecutor(8) as pool:
        heard = list(pool.map(lambda c: transact(c, f"many-{twin.run}", add(twin)), clients))
    assert {h.get("error") for h in heard} <= {
        None, "TransactionInProgressException", "ThrottlingException",
    }  # fmt: skip
    assert None in {h.get("error") for h in heard}
    assert value(twin) == "1"


@pytest.mark.managed_only
def test_a_token_is_forgotten_after_its_time(twin: Twin) -> None:
    """Ten minutes after it was applied the token is free, whether or not DynamoDB has deleted its
    record yet."""
    token = f"old-{twin.run}"
    assert transact(twin.rig.proxied, token, add(twin)) == {}
    control = twin.rig.migration.control_table
    for record in twin.rig.engine.scan(TableName=control)["Items"]:
        assert not HIDDEN & record.keys()
        twin.rig.engine.put_item(TableName=control, Item={**record, "expires": {"N": "1"}})
    assert transact(twin.rig.proxied, token, add(twin, 2)) == {}
    assert value(twin) == "3"


@pytest.mark.parametrize("returns", ["TOTAL", "INDEXES"])
def test_a_claim_is_no_part_of_what_the_client_consumed(twin: Twin, returns: str) -> None:
    """ConsumedCapacity names the client's tables alone, for the first request and the next."""
    name = twin.name("tasks")
    for _ in range(2):
        heard = transact(twin.rig.proxied, f"cap-{twin.run}", add(twin),
                         ReturnConsumedCapacity=returns)  # fmt: skip
        assert [each["TableName"] for each in heard["ConsumedCapacity"]] == [name]
        assert heard["ConsumedCapacity"][0]["CapacityUnits"] >= 2.0


@pytest.mark.managed_only
@pytest.mark.parametrize("token", ["", "x" * 37])
def test_a_token_has_1_to_36_characters(twin: Twin, token: str) -> None:
    """Another length is refused by DynamoDB's own constraint."""
    refused = transact(twin.rig.proxied, token, add(twin))
    assert refused["error"] == "ValidationException"
    assert "'clientRequestToken' failed to satisfy constraint" in refused["message"]


def test_a_full_transaction_keeps_its_token_too(rig: Rig, table_prefix: str) -> None:
    """A hundred actions leave no room for the claim: it is made beside them, and tells the same."""
    rig.stand(Phase.MIRROR_OLD)
    twin = Twin(rig, Side.OLD, Phase.MIRROR_OLD, table_prefix)
    keys = [
        {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": f"{table_prefix}{n}"}}
        for n in range(99)
    ]
    checks = [
        {"ConditionCheck": {"TableName": twin.name("notes"), "Key": key,
                            "ConditionExpression": "attribute_not_exists(v)"}}
        for key in keys
    ]  # fmt: skip
    assert transact(rig.proxied, "full", add(twin), *checks) == {}
    assert transact(rig.beside, "full", add(twin), *checks) == {}
    for other in (checks, []):
        refused = transact(rig.proxied, "full", add(twin, 2), *other)
        assert refused["error"] == "IdempotentParameterMismatchException"
    assert value(twin) == "1"


def test_a_token_holds_over_a_change_of_phase(rig: Rig, table_prefix: str) -> None:
    """A repetition is known though the table has begun, or moved on with, its migration."""
    twin = Twin(rig, Side.OLD, Phase.OFF, table_prefix)
    for phase in (Phase.OFF, Phase.MIRROR_OLD, Phase.ATOMIC_NEW, Phase.DONE):
        rig.stand(phase)
        assert transact(rig.proxied, f"phase-{table_prefix}", add(twin)) == {}
    rig.stand(Phase.MIRROR_OLD)
    assert value(twin) == "1"
