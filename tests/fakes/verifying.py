"""What the verifier meets in its tests: three small tables, and who stands behind its ports."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from dualwrite.core.derivation import Missing, Question
from dualwrite.core.errors import LeaseExpired
from dualwrite.core.items import Item, KeyAttribute, KeySchema, key_token
from dualwrite.core.phases import Kind, Phase, Side, TableState
from dualwrite.core.spec import (
    Derivation,
    LookupHow,
    MigratedTable,
    Migration,
    ParentLookup,
    TableSide,
    Template,
    Underivable,
    Unmappable,
    ValueMap,
)
from dualwrite.core.transform import Row, row_from_client

TENANTS = ValueMap(
    "tenants",
    ("endpoint_id", "part_id"),
    {"acme-prod": ("aws-1", "acme"), "birch-prod": ("aws-1", "birch")},
)
_KEY = Template("{endpoint_id}#{part_id}")


def _schema(hash_name: str, range_name: str) -> KeySchema:
    return KeySchema(KeyAttribute(hash_name), KeyAttribute(range_name))


def boards(prefix: str = "") -> MigratedTable:
    """A rekey table: its new hash key is derived from its old one."""
    return MigratedTable(
        "boards",
        Kind.REKEY,
        TableSide(f"{prefix}boards", _schema("endpoint_id", "board_id")),
        TableSide(f"{prefix}boards-v2", _schema("partition_key", "board_id")),
        Derivation("endpoint_id", TENANTS, (("partition_key", _KEY),)),
        unmappable=Unmappable.LEAVE,
    )


def cards(prefix: str = "") -> MigratedTable:
    """A rekey table whose keys stay; its tenant may have to be looked up."""
    keys = _schema("board_id", "card_id")
    return MigratedTable(
        "cards",
        Kind.REKEY,
        TableSide(f"{prefix}cards", keys),
        TableSide(f"{prefix}cards-v2", keys),
        Derivation(
            "endpoint_id",
            TENANTS,
            (("partition_key", _KEY),),
            (ParentLookup("boards", LookupHow.INDEX, (("board_id", "board_id"),)),),
        ),
        underivable=Underivable.CARRY,
        unmappable=Unmappable.LEAVE,
    )


def votes(prefix: str = "") -> MigratedTable:
    """An in-place table whose derived attributes all come from a parent."""
    side = TableSide(f"{prefix}votes", _schema("card_id", "vote_id"))
    return MigratedTable(
        "votes",
        Kind.IN_PLACE,
        side,
        side,
        Derivation(
            None,
            TENANTS,
            (("partition_key", _KEY),),
            (ParentLookup("boards", LookupHow.INDEX, (("board_id", "board_id"),)),),
        ),
        underivable=Underivable.CARRY,
        unmappable=Unmappable.LEAVE,
    )


def migration(prefix: str = "") -> Migration:
    tables = (boards(prefix), cards(prefix), votes(prefix))
    return Migration("sample", "#", tables, f"{prefix}control")


def stamp(number: int) -> str:
    """The ``number``-th of a row of rising stamps."""
    return f"{number:013d}.00000.000001.writer01.{number:08x}"


def row(table: MigratedTable, item: Mapping[str, Any], stamped: str = stamp(1)) -> Row:
    """The row of a client's old-dialect item that needs no parents."""
    made = row_from_client(table, item, Side.OLD)
    assert isinstance(made, Row)
    return made.stamped(stamped)


def text(**values: str) -> Item:
    """An item of strings."""
    return {name: {"S": value} for name, value in values.items()}


class HeldStates:
    """The ``Epochs`` of a process that never takes part: states as the test sets them."""

    def __init__(self, tables: Migration, phase: Phase = Phase.MIRROR_OLD) -> None:
        self.states = {
            table.name: TableState(table.name, epoch=1, phase=phase) for table in tables.tables
        }
        self.lease = True

    def move(self, table: str, phase: Phase) -> None:
        state = self.states[table]
        epoch = state.epoch + 1
        lead = state.lead_epoch if phase.leader is state.phase.leader else epoch
        self.states[table] = replace(state, phase=phase, epoch=epoch, lead_epoch=lead)

    def enter(self, table: str) -> TableState:
        return self.current(table)

    def leave(self, state: TableState) -> None:
        """Nothing is counted here."""

    def current(self, table: str) -> TableState:
        if not self.lease:
            raise LeaseExpired("the lease ran out")
        return self.states[table]


class ListedParents:
    """The ``Parents`` port over a table of answers: board id -> old tenant id."""

    def __init__(self, tenants: Mapping[str, str | Missing] | None = None) -> None:
        self.tenants = dict(tenants or {})

    async def answer(self, question: Question) -> str | Missing:
        [(_, board_id)] = question.match
        return self.tenants.get(board_id, Missing.ABSENT)


class ListedRepairs:
    """The ``RepairQueue`` port as a list of what was put."""

    def __init__(self) -> None:
        self.put_keys: list[tuple[str, Side, str, str]] = []

    async def put(self, table: str, side: Side, token: str, reason: str) -> None:
        self.put_keys.append((table, side, token, reason))

    def tokens(self, table: MigratedTable) -> set[str]:
        return {token for name, _, token, _ in self.put_keys if name == table.name}


def token(table: MigratedTable, side: Side, **values: str) -> str:
    return key_token(text(**values), table.side(side).keys)
