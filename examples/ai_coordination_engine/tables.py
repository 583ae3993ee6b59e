"""The engine's physical tables, as its deployments create them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dualwrite.adapters.preflight import create_request
from dualwrite.core.phases import Kind, Side
from dualwrite.core.spec import Migration

HERE = Path(__file__).parent
SPEC = HERE / "migration.toml"
ACTIVE_WAIT = {"Delay": 1, "MaxAttempts": 60}


def requests(
    migration: Migration, side: Side, *, streams: bool = False
) -> Iterator[dict[str, Any]]:
    """CreateTable requests of one side; on new, an in-place table has nothing to create."""
    for table in migration.tables:
        if side is Side.NEW and table.kind is Kind.IN_PLACE:
            continue
        request = create_request(table.side(side))
        if not streams:
            del request["StreamSpecification"]
        yield request


def create(
    client: Any, migration: Migration, side: Side = Side.OLD, *, streams: bool = False
) -> tuple[str, ...]:
    """Create the tables of one side with a boto3 client and wait until they are ACTIVE.

    Deployed tables of the engine have no stream; ``dualwrite check --apply`` switches it on.
    Safe to repeat: a table that exists is left as it is. Returns all names.
    """
    names = []
    for request in requests(migration, side, streams=streams):
        names.append(request["TableName"])
        try:
            client.create_table(**request)
        except client.exceptions.ResourceInUseException:
            continue
    for name in names:
        client.get_waiter("table_exists").wait(TableName=name, WaiterConfig=ACTIVE_WAIT)
    return tuple(names)
