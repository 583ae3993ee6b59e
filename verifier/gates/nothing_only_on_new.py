"""Every row of new has a place on old."""

from dualwrite.core.derivation import Reason
from dualwrite.core.phases import Side
from dualwrite.core.records import SweepResult
from verifier.evidence import Evidence, PoisonKind
from verifier.gates.verdicts import Finding, closed, for_table, opened, unknown


def nothing_only_on_new(seen: Evidence) -> Finding:
    """A row that new took and old cannot hold would be lost by going back. What the spec accepts
    is that rows stay behind on old, never this."""
    poison = None if seen.repairs is None else seen.repairs.poison
    if poison is None or seen.sweep is None:
        return unknown("the repair queue" if poison is None else "the newest sweep")
    only = sum(count for kind, count in poison.items() if _is_new_only(kind))
    if isinstance(seen.sweep, SweepResult):
        only = max(only, seen.sweep.only_on_new)
    if only:
        return closed(f"{only} rows of new have no place on old", see=for_table("repairs", seen))
    return opened("no row is known to stand on new only")


def _is_new_only(kind: PoisonKind) -> bool:
    """Named in new words, so old has no name for it; or found too much for the other side since
    new leads, and that other side is old. (A left row of old may be meant: rather once too often.)
    """
    if kind.side == Side.NEW:
        return True
    return kind.since_lead and kind.reason in (Reason.REFUSED, Reason.OVERSIZE)
