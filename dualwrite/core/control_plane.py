"""Which control-plane calls would harm a table under migration, and why; all others pass."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from dualwrite.core.errors import ClientError, ValidationError
from dualwrite.core.items import HIDDEN_PREFIX
from dualwrite.core.naming import short_name, tables_named
from dualwrite.core.phases import Kind, Phase, Side
from dualwrite.core.requests import Body
from dualwrite.core.spec import MigratedTable

STREAM_VIEW = "NEW_AND_OLD_IMAGES"
"""What the stream of a migrated table must show."""

Rule = Callable[[Body, MigratedTable, Side, Phase], str | None]
"""The reason against a call on one side of a table; None: it does no harm."""


def refusal(
    operation: str, body: Body, table: MigratedTable, side: Side, phase: Phase
) -> ValidationError | None:
    """What a client hears of a call that would harm ``table``; None where it may pass."""
    rule = RULES.get(operation)
    reason = None if rule is None else rule(body, table, side, phase)
    if reason is None:
        return None
    return ValidationError(
        f"dualwrite refuses {operation} on table {table.side(side).name} "
        f"while it is migrated: {reason}; nothing was changed"
    )


def harmed(operation: str, body: Body) -> Iterator[str]:
    """The tables that a call would change: a restore changes its target, not its source."""
    if operation in _RESTORES:
        if body.get("TargetTableName") is not None:
            yield short_name(body["TargetTableName"])
        return
    yield from tables_named(operation, body)


def refuse_hidden_table(operation: str, names: Iterable[str], control_table: str) -> None:
    """The service's own table is none that a client could reach: where it is among the ``names`` of
    a request, raises ClientError as for a table that does not exist. Its name is taken, though,
    which the engine itself says."""
    if operation not in _CREATES and control_table in names:
        raise no_such_table(operation, control_table)


def no_such_table(operation: str, name: str) -> ClientError:
    """DynamoDB's words for a table that does not exist; item operations name none."""
    tells = operation in _TELL_THE_NAME
    message = "Requested resource not found" + (f": Table: {name} not found" if tells else "")
    return ClientError("ResourceNotFoundException", message)


# -- the rules --------------------------------------------------------------------------------


def _delete(_body: Body, _table: MigratedTable, _side: Side, phase: Phase) -> str | None:
    if phase is Phase.DONE:
        return None
    return "both designs and their streams are needed until the migration is done"


def _update(body: Body, table: MigratedTable, _side: Side, phase: Phase) -> str | None:
    if phase is Phase.DONE:
        return None
    if _deletes_replica(body):
        return "deleting a replica may delete the table itself"
    stream = body.get("StreamSpecification")
    if isinstance(stream, dict) and (
        not stream.get("StreamEnabled") or stream.get("StreamViewType") != STREAM_VIEW
    ):
        return f"its stream must go on, with {STREAM_VIEW}"
    if "KeySchema" in body:
        return "its keys are those of the declared design"
    if body.get("MultiRegionConsistency") == "STRONG" and table.kind is Kind.REKEY:
        return "tables of strong multi-Region consistency take no transactions"
    return None


def _replicas(body: Body, _table: MigratedTable, _side: Side, phase: Phase) -> str | None:
    if phase is Phase.DONE or not _deletes_replica(body):
        return None
    return "deleting a replica may delete the table itself"


def _deletes_replica(body: Body) -> bool:
    updates = body.get("ReplicaUpdates")
    return isinstance(updates, list) and any(
        isinstance(update, dict) and update.get("Delete") is not None for update in updates
    )


def _time_to_live(body: Body, table: MigratedTable, side: Side, phase: Phase) -> str | None:
    wanted: Any = body.get("TimeToLiveSpecification")
    if not isinstance(wanted, dict) or not wanted.get("Enabled"):
        return None
    if str(wanted.get("AttributeName", "")).startswith(HIDDEN_PREFIX):
        return f"names that begin with {HIDDEN_PREFIX} are reserved"
    if table.kind is Kind.IN_PLACE or phase is Phase.DONE or side is phase.leader:
        return None
    return "only the leader may expire items; what it expires is deleted on the follower too"


def _overwrite(_body: Body, _table: MigratedTable, _side: Side, _phase: Phase) -> str | None:
    return "its contents are those of the other design"


def _show_all(_body: Body, _table: MigratedTable, _side: Side, phase: Phase) -> str | None:
    if phase is Phase.DONE:
        return None
    return "the destination would be sent hidden attributes and records of the service's own"


def _search_vectors(_body: Body, _table: MigratedTable, _side: Side, _phase: Phase) -> str | None:
    return "its index is built on one design only"


RULES: Mapping[str, Rule] = {
    "DeleteTable": _delete,
    "UpdateTable": _update,
    "UpdateGlobalTable": _replicas,
    "UpdateTimeToLive": _time_to_live,
    "EnableKinesisStreamingDestination": _show_all,
    "ImportTable": _overwrite,
    "RestoreTableFromBackup": _overwrite,
    "RestoreTableToPointInTime": _overwrite,
    "SearchVectors": _search_vectors,
}
"""Operations that are looked into; the rest of the control plane passes unjudged."""

_RESTORES = frozenset({"RestoreTableFromBackup", "RestoreTableToPointInTime"})
_CREATES = frozenset({"CreateTable", "ImportTable"})
_TELL_THE_NAME = frozenset(
    {"DescribeTable", "DeleteTable", "UpdateTable", "DescribeTimeToLive", "UpdateTimeToLive"}
)
