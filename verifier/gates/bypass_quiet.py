"""Nobody writes past the proxy."""

from verifier.evidence import ABSENT, Evidence
from verifier.gates.verdicts import Finding, age_seconds, closed, for_table, opened, unknown


def bypass_quiet(seen: Evidence) -> Finding:
    """A writer that goes to the old table directly is followed while old leads in mirror mode; in
    atomic mode it breaks the equality, and after the flip its writes would be undone."""
    bypass, quiet = seen.bypass, seen.policy.bypass_quiet_seconds
    if bypass is None:
        return unknown("the count of writes past the proxy")
    if bypass is ABSENT or not bypass.count:
        return opened("no write past the proxy has been seen")
    age = age_seconds(seen, bypass.last_ms)
    if age < quiet:
        return closed(
            f"{bypass.count} writes went past the proxy, the last {age:.0f} s ago;"
            f" {quiet:.0f} s without any are needed",
            see=for_table("status", seen),
            waits=True,
        )
    return opened(f"the last write past the proxy was seen {age:.0f} s ago")
