"""What the control tests share: a migration of two tables and its processes."""

from dualwrite.control.member import Member
from dualwrite.core.items import KeyAttribute, KeySchema
from dualwrite.core.phases import Kind, Phase, TableState
from dualwrite.core.ports import Records
from dualwrite.core.records import MEMBER, STATE, dump, load
from dualwrite.core.records import Member as MemberRecord
from dualwrite.core.spec import Derivation, MigratedTable, Migration, TableSide, Template
from tests.fakes.clock import VirtualClock
from tests.fakes.metrics import MemoryMetrics
from tests.fakes.records import MemoryRecords

_KEYS = KeySchema(KeyAttribute("id"))
_RULE = Derivation("id", None, (("key", Template("{id}")),))

MOVED = MigratedTable(
    "moved", Kind.REKEY, TableSide("moved-old", _KEYS), TableSide("moved-new", _KEYS), _RULE
)
ALSO = MigratedTable(
    "also", Kind.REKEY, TableSide("also-old", _KEYS), TableSide("also-new", _KEYS), _RULE
)
STAYS = MigratedTable(
    "stays", Kind.IN_PLACE, TableSide("stays", _KEYS), TableSide("stays", _KEYS), _RULE
)
MIGRATION = Migration("test", "#", (MOVED, ALSO, STAYS), "control")


def member(
    records: Records, clock: VirtualClock, name: str = "proxy-1", poll_seconds: float = 0.2
) -> Member:
    """A proxy's member with a lease of 3 s."""
    return Member(
        records,
        MIGRATION,
        clock,
        MemoryMetrics(),
        role="proxy",
        process_id=name,
        poll_seconds=poll_seconds,
    )


def put_state(
    records: MemoryRecords, epoch: int, phase: Phase, table: str = "moved", share: int = 0
) -> None:
    """Set the scene: the table is in that phase."""
    records.put(STATE, table, dump(TableState(table, epoch, phase, read_share=share)))


def acks(records: MemoryRecords, name: str = "proxy-1", table: str = "moved") -> int:
    """The epoch which that process says it acknowledged."""
    [record] = [record for record in records.seen(MEMBER) if record.name == name]
    return load(MemberRecord, record.value).acks[table]
