"""Nothing waits to be made equal."""

from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, age_seconds, closed, for_table, opened, unknown


def repairs_drained(seen: Evidence) -> Finding:
    """A key that waits for repair may still differ, so the lead must not change over it, and reads
    must not move over it."""
    repairs = seen.repairs
    if repairs is None:
        return unknown("the repair queue")
    if repairs.waiting:
        return closed(
            f"{repairs.waiting} keys wait for repair, the oldest for"
            f" {age_seconds(seen, repairs.oldest_ms):.0f} s",
            see=for_table("repairs", seen),
            waits=True,
        )
    return opened("no repairs are waiting")
