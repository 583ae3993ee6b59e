"""``dualwrite clean``: after the end of a migration its marks are taken off the items."""

import asyncio
import signal
from collections.abc import Mapping
from typing import Any

from consumers.cleaning import Cleaned, Cleaner
from dualwrite.adapters.clock import SystemClock
from dualwrite.adapters.control_table import ControlTable
from dualwrite.core.errors import OutcomeUnknown, Refused
from dualwrite.core.items import Item
from dualwrite.core.phases import Phase, TableState
from dualwrite.core.records import STATE, dump
from dualwrite.spec_file import load
from tests.fakes.boto_dynamo import BotoDynamo
from tests.process_harness import WAIT_SECONDS_MAX, Installation
from tests.sweep_scene import Meddling

HIDDEN = {"dw_stamp": {"S": "0001"}, "dw_other": {"M": {"endpoint_id": {"S": "acme"}}}}


def task(number: int) -> Item:
    return {
        "partition_key": {"S": "part#acme"},
        "task_uuid": {"S": f"t-{number:03d}"},
        "coordination_uuid": {"S": f"c-{number:03d}"},
        "note": {"S": "kept"},
    }


def fill(boto: Any, name: str) -> None:
    for number in range(60):
        hidden = HIDDEN if number % 3 else {}
        boto.put_item(TableName=name, Item=task(number) | hidden)


def items(boto: Any, name: str) -> list[Item]:
    return sorted(boto.scan(TableName=name)["Items"], key=lambda item: item["task_uuid"]["S"])


def test_marks_go_when_the_migration_is_done_and_no_proxy_lives(
    installation: Installation, boto: Any, table_prefix: str
) -> None:
    """Not before: old clients are answered out of them. What is not hidden stays as it was, another
    call finds nothing, and the audit has it."""
    why = ("--table", "tasks", "--reason", "over")
    installation.json("check", "--apply")
    proxy, _ = installation.ready("proxy")
    fill(boto, f"{table_prefix}ace-tasks-v2")
    early = installation.json("clean", *why, exit_code=1)
    assert "tasks: not done yet" in early["error"]

    migration = load(installation.spec)
    records = ControlTable(BotoDynamo(boto), migration.control_table, clock=SystemClock())
    done = TableState("tasks", 9, Phase.DONE, read_share=100)
    asyncio.run(records.write(STATE, "tasks", dump(done), expected=None))
    alive = installation.json("clean", *why, exit_code=1)
    assert f"pid {proxy.pid}" in alive["error"]
    assert any("dw_stamp" in item for item in items(boto, f"{table_prefix}ace-tasks-v2"))

    proxy.send_signal(signal.SIGTERM)
    proxy.communicate(timeout=WAIT_SECONDS_MAX)
    for cleaned in (40, 0):
        [answer] = installation.json("clean", *why)["tables"]
        assert answer == {"table": "tasks", "scanned": 60, "cleaned": cleaned}
    assert items(boto, f"{table_prefix}ace-tasks-v2") == [task(number) for number in range(60)]
    entries = [e for e in installation.json("audit")["entries"] if e["verb"] == "clean"]
    assert [(entry["reason"], entry["outcome"]) for entry in entries] == [("over", "done")] * 2


def test_trouble_and_deletes_meanwhile_are_borne(
    installation: Installation, boto: Any, table_prefix: str
) -> None:
    """Throttling and lost answers cost a repeat each, and a deleted item is not made anew."""
    installation.json("check", "--apply")
    side = load(installation.spec).by_name["tasks"].new
    fill(boto, side.name)
    dynamo = Meddling(BotoDynamo(boto))
    trouble: list[Exception] = [
        Refused("ThrottlingException", "slow", 400, {}),
        OutcomeUnknown("no answer"),
    ]
    gone: list[Item] = []

    def meddle(operation: str, request: Mapping[str, Any]) -> None:
        if operation != "UpdateItem":
            return
        if trouble:
            raise trouble.pop()
        if not gone:
            gone.append(request["Key"])
            boto.delete_item(TableName=side.name, Key=request["Key"])

    dynamo.before = meddle
    cleaned = asyncio.run(Cleaner(dynamo, SystemClock(), side).run())
    assert cleaned == Cleaned(60, 39)
    left = items(boto, side.name)
    assert len(left) == 59
    assert not any("dw_stamp" in item or "dw_other" in item for item in left)
