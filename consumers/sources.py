"""Which streams a migration reads."""

from consumers.streams.shards import StreamName
from dualwrite.core.spec import Migration


def sources_of(migration: Migration) -> dict[StreamName, str]:
    """The streams that bring changes, with their tables: both sides', or the only one of an
    in-place table."""
    return {
        StreamName(table.name, side): table.side(side).name
        for table in migration.tables
        for side in table.sides
    }
