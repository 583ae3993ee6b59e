"""Every row that has no full place in the new design is accepted by the spec."""

from enum import Enum

from dualwrite.core.derivation import Reason
from dualwrite.core.records import SweepResult
from dualwrite.core.spec import MigratedTable, Underivable, Unmappable
from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, for_table, opened, unknown


class _Trouble(Enum):
    UNMAPPABLE = "rows that cannot be carried"
    UNDERIVABLE = "rows whose derived attributes cannot be made"
    OTHER = "keys listed for a reason that is not known here"


def untransformable_accepted(seen: Evidence) -> Finding:
    """Such rows are missing or incomplete once new leads; whether that is acceptable only the
    operator can say, and he says it in the spec (``leave``, ``carry``)."""
    poison = None if seen.repairs is None else seen.repairs.poison
    if poison is None or seen.sweep is None:
        return unknown("the repair queue" if poison is None else "the newest sweep")
    table = seen.table
    counts = dict.fromkeys(_Trouble, 0)
    for kind, count in poison.items():
        counts[_trouble(table, kind.reason)] += count
    if isinstance(seen.sweep, SweepResult):
        # The sweep sees all rows as they are; the queue may have forgotten some, or lag behind.
        counts[_Trouble.UNMAPPABLE] = max(counts[_Trouble.UNMAPPABLE], seen.sweep.untransformable)
        counts[_Trouble.UNDERIVABLE] = max(counts[_Trouble.UNDERIVABLE], seen.sweep.orphans)
    held = {trouble: n for trouble, n in counts.items() if n and not _accepted(table, trouble)}
    if held:
        found = " and ".join(f"{n} {trouble.value}" for trouble, n in held.items())
        return closed(
            f"{found} are not accepted by the spec",
            see=for_table("repairs", seen),
        )
    accepted = sum(counts.values())
    return opened(
        f"{accepted} rows with problems, all accepted by the spec"
        if accepted
        else "no row is untransformable",
    )


def _accepted(table: MigratedTable, trouble: _Trouble) -> bool:
    match trouble:
        case _Trouble.UNMAPPABLE:
            return table.unmappable is Unmappable.LEAVE
        case _Trouble.UNDERIVABLE:
            return table.underivable is Underivable.CARRY
        case _Trouble.OTHER:
            return False


def _trouble(table: MigratedTable, reason: str) -> _Trouble:
    if reason in (Reason.REFUSED, Reason.OVERSIZE):
        return _Trouble.UNMAPPABLE
    if reason not in set(Reason):
        return _Trouble.OTHER
    return _Trouble.UNMAPPABLE if table.key_is_derived else _Trouble.UNDERIVABLE
