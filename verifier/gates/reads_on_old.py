"""No reads go to new."""

from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, for_table, opened


def reads_on_old(seen: Evidence) -> Finding:
    """Once the mirror is off, new grows stale without a bound: nobody may read it then."""
    share = seen.state.read_share
    if share:
        return closed(f"new serves {share} % of the reads", see=for_table("reads 0", seen))
    return opened("old serves all reads")
