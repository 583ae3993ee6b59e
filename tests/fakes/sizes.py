"""The ``TableSizes`` port: what the test wants the engine to say."""

from dualwrite.core.backfills import TableSize


class FixedSizes:
    """Every table is of one size."""

    def __init__(self, size: TableSize | None = None) -> None:
        self.told = size or TableSize()

    async def size(self, table: str) -> TableSize:
        return self.told
