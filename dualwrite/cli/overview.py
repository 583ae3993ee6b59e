"""What the control table says of a migration, as the JSON-ready answer of ``dualwrite status``."""

from collections.abc import Mapping
from typing import Any

from dualwrite.copied import newest
from dualwrite.core.backfills import Progress
from dualwrite.core.phases import TableState
from dualwrite.core.ports import Record, Records
from dualwrite.core.records import (
    BYPASS,
    QUARANTINE,
    STATE,
    STREAM,
    SWEPT,
    BackfillOrder,
    Bypass,
    StreamProgress,
    SweepResult,
    load,
)
from dualwrite.core.spec import MigratedTable
from dualwrite.queued import Queued, queued


async def state_of(records: Records, table: str) -> TableState:
    """The state as it stands; a table that nobody moved yet is off. Raises EngineError."""
    record = await records.read(STATE, table)
    return TableState(table) if record is None else load(TableState, record.value)


async def table_overview(records: Records, table: MigratedTable, now_ms: int) -> dict[str, Any]:
    """One entry of ``tables``. Raises EngineError."""
    state = await state_of(records, table.name)
    swept = await records.read(SWEPT, table.name)
    bypass = await records.read(BYPASS, table.name)
    return {
        "table": table.name,
        "kind": table.kind.value,
        "phase": state.phase.value,
        "leader": state.phase.leader.value,
        "mode": state.phase.mode.value,
        "epoch": state.epoch,
        "lead_epoch": state.lead_epoch,
        "read_share": state.read_share,
        "shadow_share": state.shadow_share,
        "backfill": await backfill_of(records, table),
        "lag": {
            side.value: stream_overview(
                await records.read(STREAM, f"{table.name}/{side.value}"), now_ms
            )
            for side in table.sides
        },
        "drift": sweep_overview(swept),
        "repairs": repairs_overview(await queued(records, table.name), now_ms),
        "bypass_writes": load(Bypass, bypass.value).count if bypass else 0,
        "quarantined": len(await records.list(QUARANTINE, f"{table.name}/")),
    }


async def backfill_of(records: Records, table: MigratedTable) -> dict[str, Any] | None:
    """The newest backfill of a table; None where there was none. Raises EngineError."""
    found = await newest(records, table.name)
    return None if found is None else backfill_overview(*found)


def backfill_overview(order: BackfillOrder, seen: Progress) -> dict[str, Any]:
    """Progress of one backfill; ``share`` is 0..1, ``eta_seconds`` None where nothing tells."""
    return {
        "run": order.run,
        "split": order.split,
        "wanted": order.wanted,
        "complete": seen.complete,
        "share": round(seen.share, 4),
        "eta_seconds": None if seen.eta_seconds is None else round(seen.eta_seconds, 1),
        "segments": seen.segments,
        "segments_done": seen.segments_done,
        "scanned": seen.scanned,
        "items_estimate": order.items_estimate,
        "bytes": seen.bytes,
        "bytes_estimate": order.bytes_estimate,
        "copied": seen.copied,
        "present": seen.present,
        "left": seen.left,
        "read_units_per_second_max": order.read_units_per_second_max,
        "write_units_per_second_max": order.write_units_per_second_max,
        "items_together": order.items_together,
    }


def stream_overview(record: Record | None, now_ms: int) -> dict[str, Any] | None:
    """One side's stream; None where nobody has read it yet."""
    if record is None:
        return None
    seen = load(StreamProgress, record.value)
    return {
        "seconds": round(seen.lag_seconds, 3),
        "records": seen.lag_records,
        "shards": seen.shards,
        "gaps": seen.gaps,
        "said_seconds_ago": max(0.0, round((now_ms - seen.updated_ms) / 1000, 1)),
    }


def sweep_overview(record: Record | None) -> dict[str, Any] | None:
    """The newest sweep; None where there was none."""
    if record is None:
        return None
    swept = load(SweepResult, record.value)
    return {
        "run": swept.run,
        "done": swept.done,
        "clean": swept.clean,
        "compared": swept.compared,
        "missing": swept.missing,
        "extra": swept.extra,
        "different": swept.different,
        "untransformable": swept.untransformable,
        "orphans": swept.orphans,
        "errors": swept.errors,
        "phase": swept.phase,
        "finished_ms": swept.finished_ms,
    }


def repairs_overview(found: Queued, now_ms: int) -> dict[str, Any]:
    """Counts of the repair queue; ``poison`` waits for a person."""
    return {
        "waiting": found.waiting,
        "poison": found.poison,
        "oldest_seconds": round(found.age_seconds(now_ms), 1),
    }


def member_overview(process: str, value: Mapping[str, Any], alive: bool) -> dict[str, Any]:
    """One entry of ``members``."""
    return {
        "process": value.get("process") or process,
        "role": value["role"],
        "alive": alive,
        "pid": value["pid"],
        "port": value.get("port", 0),
        "metrics_port": value.get("metrics_port", 0),
        "acks": dict(value.get("acks", {})),
        "held_back": list(value.get("held_back", ())),
        "spec": value.get("spec", ""),
    }
