"""All reads go to new."""

from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, for_table, opened


def reads_on_new(seen: Evidence) -> Finding:
    """After ``done`` nobody writes old any more, so nobody may read it; and new must have carried
    the whole load before there is no way back."""
    share = seen.state.read_share
    if share != 100:
        return closed(
            f"new serves {share} % of the reads, not all of them",
            see=for_table("reads 100", seen),
        )
    return opened("new serves all reads")
