"""Nothing waits to be made equal."""

from dualwrite.core.records import GateVerdict
from verifier.evidence import Evidence
from verifier.gates.verdicts import age_seconds, closed, for_table, opened, unknown

GATE = "repairs_drained"


def repairs_drained(seen: Evidence) -> GateVerdict:
    """A key that waits for repair may still differ, so the lead must not change over it, and reads
    must not move over it."""
    repairs = seen.repairs
    if repairs is None:
        return unknown(GATE, "the repair queue")
    if repairs.waiting:
        return closed(
            GATE,
            f"{repairs.waiting} keys wait for repair, the oldest for"
            f" {age_seconds(seen, repairs.oldest_ms):.0f} s",
            see=for_table("repairs", seen),
            waits=True,
        )
    return opened(GATE, "no repairs are waiting")
