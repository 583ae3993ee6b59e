"""No process leaves the follower out."""

from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, opened, unknown


def followers_written(seen: Evidence) -> Finding:
    """A proxy whose breaker is open does not reach the follower: in atomic mode none of its writes
    would succeed, and reads from the follower would be old."""
    if seen.members is None:
        return unknown("the processes")
    name = seen.table.name
    out = sorted(process for process, member in seen.members.items() if name in member.held_back)
    if out:
        return closed(
            f"the follower does not answer {len(out)} of the proxies: {', '.join(out[:3])}",
            see="dualwrite status",
            waits=True,
        )
    return opened("every proxy writes the follower")
