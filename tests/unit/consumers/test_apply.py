"""What a table's applier says of the records it takes."""

import asyncio
from typing import Any

from consumers.apply import Applier
from consumers.bypass import Bypasses
from consumers.changes import change_of
from consumers.hands import OwnHands
from consumers.pace import Pace
from consumers.poison import Poison
from consumers.prefix import Mark
from dualwrite.adapters.repair_queue import Repairs
from dualwrite.core import metric_names
from dualwrite.core.phases import Phase, Side
from tests.consumer_harness import a_migration, note
from tests.fakes.clock import VirtualClock
from tests.fakes.epochs import SetEpochs
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords
from tests.fakes.verifying import ListedParents


def removal(number: int, identity: dict[str, str]) -> dict[str, Any]:
    """A REMOVE record as AWS words it."""
    item = note(number)
    return {
        "eventName": "REMOVE",
        "userIdentity": identity,
        "dynamodb": {
            "SequenceNumber": str(number),
            "ApproximateCreationDateTime": 1_700_000_000 + number,
            "Keys": item,
            "OldImage": item,
        },
    }


def test_expired_items_are_counted_apart_and_are_no_writes_past_the_proxy() -> None:
    """AWS names DynamoDB itself as who removed them; a person's removal is none of them."""

    async def go() -> None:
        clock, metrics, records = VirtualClock(), MemoryMetrics(), MemoryRecords()
        repairs = Repairs(records, clock)
        bypasses = Bypasses(records, clock, metrics)
        bypasses.begin("notes", 0)
        table = a_migration("").by_name["notes"]
        hands = OwnHands(None, repairs)  # type: ignore[arg-type]  # nothing comes to be settled
        applier = Applier(
            table, SetEpochs(Phase.MIRROR_OLD), ListedParents(), hands, Poison(repairs), bypasses,
            clock, metrics, Pace(),
        )  # fmt: skip
        ours = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
        found = [removal(1, ours), removal(2, ours), removal(3, {})]
        changes = [change_of(record) for record in found]
        marks = [Mark(change.sequence, change.created_ms) for change in changes]
        await applier.take(Side.OLD, list(zip(changes, marks, strict=True)))
        counted = metrics.values
        assert counted[metric_names.RECORDS, "notes", "old", "expired"] == 2
        assert counted[metric_names.RECORDS, "notes", "old", "read"] == 3
        assert not any(key[0] == metric_names.BYPASS_WRITES for key in counted)

    asyncio.run(go())
