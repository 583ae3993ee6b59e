"""Shadow reads: a share of GetItem calls is looked up on both sides and compared.

Nobody waits for it and nobody's answer depends on it. A key whose write is under way differs for a
moment, so one that differs is looked at once more before it counts.
"""

import asyncio
from typing import Any

from dualwrite.core import metric_names
from dualwrite.core.compare import Verdict, compare
from dualwrite.core.errors import DualwriteError
from dualwrite.core.items import Item, Key
from dualwrite.core.phases import Kind, Mode, Side, TableState
from dualwrite.core.plan import key_on
from dualwrite.core.requests import Body
from dualwrite.core.spec import MigratedTable
from dualwrite.lookups import answered
from dualwrite.proxy.services import Services

SHADOWS_MAX = 32
"""Comparisons under way at once; further ones are left out."""
LOOK_AGAIN_SECONDS = 1.0


class Shadows:
    """Starts comparisons beside the reads that clients wait for."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._running: set[asyncio.Task[None]] = set()

    def consider(self, table: MigratedTable, dialect: Side, state: TableState, body: Body) -> None:
        """Compare this key too, if the share says so and there is room."""
        compared = table.kind is Kind.REKEY and state.phase.mode is not Mode.SINGLE
        if not compared or self._services.random.uniform(0, 100) >= state.shadow_share:
            return
        key = body.get("Key")
        if isinstance(key, dict) and len(self._running) < SHADOWS_MAX:
            task = asyncio.get_running_loop().create_task(
                self._count(table, dialect, state.phase.leader, key)
            )
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    async def _count(self, table: MigratedTable, dialect: Side, leader: Side, key: Key) -> None:
        try:
            verdict = await self._look(table, dialect, leader, key)
            if verdict is not Verdict.MATCH:
                await self._services.clock.sleep(LOOK_AGAIN_SECONDS)
                verdict = await self._look(table, dialect, leader, key)
            name = verdict.value
        except DualwriteError:
            name = "unknown"
        self._services.metrics.add(metric_names.SHADOW_READS, table.name, name)

    async def _look(self, table: MigratedTable, dialect: Side, leader: Side, key: Key) -> Verdict:
        follower_item = await self._read(
            table, leader.other, key_on(table, key, dialect, leader.other)
        )
        leader_item = await self._read(table, leader, key_on(table, key, dialect, leader))
        comparison = await answered(
            self._services.parents, compare, table, leader, leader_item, follower_item
        )
        return comparison.verdict

    async def _read(self, table: MigratedTable, side: Side, key: Key) -> Item | None:
        request: dict[str, Any] = {
            "TableName": table.side(side).name,
            "Key": key,
            "ConsistentRead": True,
        }
        return (await self._services.engine.call("GetItem", request)).get("Item") or None
