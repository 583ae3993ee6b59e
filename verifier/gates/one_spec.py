"""Every process makes the same rows."""

from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, closed, opened, unknown


def one_spec(seen: Evidence) -> Finding:
    """A process with other tables, templates or mappings writes rows that nobody else would, and
    calls those of the others drift; the judge's own spec is the measure."""
    if seen.members is None:
        return unknown("the members")
    others = sorted(name for name, member in seen.members.items() if member.spec != seen.spec)
    if others:
        return closed(
            f"{len(others)} of {len(seen.members)} processes were started with another spec:"
            f" {', '.join(others[:5])}",
            see="dualwrite status",
            waits=True,
        )
    return opened(f"all {len(seen.members)} processes were started with this spec")
