"""What a URL of an engine is, for all who take one."""

from urllib.parse import urlsplit

EXAMPLE = "for example http://127.0.0.1:4566"


def endpoint_problem(url: str) -> str | None:
    """Why that is no engine's URL, in words that follow it; None where it is one."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        return f"is no URL of an engine: {error}"
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return f"is no http(s) URL of an engine; {EXAMPLE}"
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        return f"has more than a host and a port, and an engine's URL has not; {EXAMPLE}"
    return None
