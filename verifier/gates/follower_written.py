"""Both sides are written."""

from dualwrite.core.phases import Mode
from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, for_table, opened


def follower_written(seen: Evidence) -> Finding:
    """Before the mirror and after ``done`` only one side is written: the other cannot be read."""
    phase = seen.state.phase
    if phase.mode is Mode.SINGLE:
        return closed(
            f"in {phase.value} only the {phase.leader.value} side is written",
            see=for_table("status", seen),
        )
    return opened(f"in {phase.value} both sides are written")
