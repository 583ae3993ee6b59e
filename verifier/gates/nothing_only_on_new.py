"""Every row of new has a place on old."""

from dualwrite.core.phases import Side
from dualwrite.core.records import GateVerdict
from verifier.evidence import Evidence
from verifier.gates.verdicts import closed, for_table, opened, unknown

GATE = "nothing_only_on_new"


def nothing_only_on_new(seen: Evidence) -> GateVerdict:
    """A row that new took and old cannot hold would be lost by going back. What the spec accepts
    is that rows stay behind on old, never this."""
    if seen.repairs is None:
        return unknown(GATE, "the repair queue")
    only = sum(repair.side == Side.NEW for repair in seen.repairs.poison)
    if only:
        return closed(
            GATE, f"{only} rows of new have no place on old", see=for_table("repairs", seen)
        )
    return opened(GATE, "no row is known to stand on new only")
