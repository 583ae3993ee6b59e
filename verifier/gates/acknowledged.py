"""Everybody works under the present state."""

from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, opened, unknown


def acknowledged(seen: Evidence) -> Finding:
    """Only adjacent states are safe side by side, so a move waits until everybody has left the
    state before the present one; the controller removes members that are dead."""
    if seen.members is None:
        return unknown("the members")
    if not seen.members:
        return opened("no process is registered, so none works under another epoch")
    late = sorted(
        name
        for name, member in seen.members.items()
        if member.acks.get(seen.table.name, -1) < seen.state.epoch
    )
    if late:
        return closed(
            f"{len(late)} of {len(seen.members)} processes have not acknowledged epoch"
            f" {seen.state.epoch}: {', '.join(late[:5])}",
            see="dualwrite status",
            waits=True,
        )
    return opened(f"all {len(seen.members)} processes have acknowledged epoch {seen.state.epoch}")
