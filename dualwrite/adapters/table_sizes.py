"""How large tables are, as DescribeTable says; at AWS that is renewed about every six hours."""

from dualwrite.core.backfills import TableSize
from dualwrite.core.errors import Refused
from dualwrite.core.ports import Dynamo


class DescribedSizes:
    """The ``TableSizes`` port."""

    def __init__(self, dynamo: Dynamo) -> None:
        self._dynamo = dynamo

    async def size(self, table: str) -> TableSize:
        try:
            answer = await self._dynamo.call("DescribeTable", {"TableName": table})
        except Refused:
            return TableSize()  # an estimate is not worth a failure, e.g. for want of a permission
        described = answer["Table"]
        return TableSize(
            int(described.get("ItemCount") or 0), int(described.get("TableSizeBytes") or 0)
        )
