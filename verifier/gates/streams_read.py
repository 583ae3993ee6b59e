"""Somebody reads every stream that brings this table's changes."""

from dualwrite.core.records import GateVerdict
from verifier.evidence import Evidence
from verifier.gates.verdicts import freshness, opened

GATE = "streams_read"


def streams_read(seen: Evidence) -> GateVerdict:
    """A follower's write that failed, and a write past the proxy, are cured from the streams alone;
    with a stream unread the follower silently stays behind."""
    stale = freshness(GATE, seen)
    if stale is not None:
        return stale
    return opened(GATE, f"fresh evidence from {len(seen.sides)} of {len(seen.sides)} streams")
