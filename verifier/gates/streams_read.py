"""Somebody reads every stream that brings this table's changes."""

from verifier.evidence import Evidence
from verifier.gates.verdicts import Finding, freshness, opened


def streams_read(seen: Evidence) -> Finding:
    """A follower's write that failed, and a write past the proxy, are cured from the streams alone;
    with a stream unread the follower silently stays behind."""
    stale = freshness(seen)
    if stale is not None:
        return stale
    return opened(f"fresh evidence from {len(seen.sides)} of {len(seen.sides)} streams")
