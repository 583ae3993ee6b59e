"""No process leaves the follower out."""

from dualwrite.core.records import GateVerdict
from verifier.evidence import Evidence
from verifier.gates.verdicts import closed, opened, unknown

GATE = "followers_written"


def followers_written(seen: Evidence) -> GateVerdict:
    """A proxy whose breaker is open does not reach the follower: in atomic mode none of its writes
    would succeed, and reads from the follower would be old."""
    if seen.members is None:
        return unknown(GATE, "the processes")
    name = seen.table.name
    out = sorted(process for process, member in seen.members.items() if name in member.held_back)
    if out:
        return closed(
            GATE,
            f"the follower does not answer {len(out)} of the proxies: {', '.join(out[:3])}",
            see="dualwrite status",
            waits=True,
        )
    return opened(GATE, "every proxy writes the follower")
