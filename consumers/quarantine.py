"""Keeps a write from an epoch that was over, whole, before it is undone."""

from typing import Any

import orjson
import structlog

from dualwrite.core import metric_names
from dualwrite.core.items import Item, stamp_of
from dualwrite.core.phases import Side
from dualwrite.core.ports import Metrics, Records
from dualwrite.core.records import QUARANTINE, QUARANTINE_PIECE

PIECE_CHARACTERS = 90_000
"""Of JSON, in one record. Within a record each may take four bytes, and an item of DynamoDB has
room for 400 KB."""

log = structlog.get_logger(__name__)


class Quarantine:
    """Two images may be twice as large as an item, and larger still in JSON, so they are kept in
    pieces where they are long."""

    def __init__(self, records: Records, metrics: Metrics) -> None:
        self._records = records
        self._metrics = metrics

    async def keep(
        self, table: str, side: Side, straggler: Item | None, leader: Item | None
    ) -> None:
        """``straggler`` is what ``side`` holds; ``leader`` what will stand in its place. Raises
        EngineError."""
        name = f"{table}/{stamp_of(straggler)}"
        images: dict[str, Any] = {"straggler": straggler, "leader": leader}
        text = orjson.dumps(images).decode()
        if len(text) > PIECE_CHARACTERS:
            starts = range(0, len(text), PIECE_CHARACTERS)
            for number, at in enumerate(starts):
                piece = {"json": text[at : at + PIECE_CHARACTERS]}
                await self._records.write(
                    QUARANTINE_PIECE, f"{name}/{number:04}", piece, expected=None
                )
            images = {"pieces": len(starts)}
        await self._records.write(QUARANTINE, name, {"side": side.value, **images}, expected=None)
        self._metrics.add(metric_names.QUARANTINED, table)
        log.error("a write from an epoch that was over is in quarantine", table=table)
