"""Every row of new has a place on old."""

from dualwrite.core.derivation import Reason
from dualwrite.core.phases import Side
from dualwrite.core.records import AuditEntry, Repair, SweepResult
from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, for_table, opened, unknown


def nothing_only_on_new(seen: Evidence) -> Finding:
    """A row that new took and old cannot hold would be lost by going back. What the spec accepts
    is that rows stay behind on old, never this."""
    if seen.repairs is None or seen.sweep is None:
        what = "the repair queue" if seen.repairs is None else "the newest sweep"
        return unknown(what)
    only = sum(_is_new_only(seen, repair) for repair in seen.repairs.poison)
    if isinstance(seen.sweep, SweepResult):
        only = max(only, seen.sweep.only_on_new)
    if only:
        return closed(f"{only} rows of new have no place on old", see=for_table("repairs", seen))
    return opened("no row is known to stand on new only")


def _is_new_only(seen: Evidence, repair: Repair) -> bool:
    """Named in new words, so old has no name for it; or found too much for the other side since
    new leads, and that other side is old. (A left row of old may be meant: rather once too often.)
    """
    if repair.side == Side.NEW:
        return True
    if not isinstance(seen.lead, AuditEntry) or repair.first_ms < seen.lead.at_ms:
        return False
    return repair.reason.partition(":")[0] in (Reason.REFUSED, Reason.OVERSIZE)
