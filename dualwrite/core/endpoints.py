"""What a URL of an engine is, for all who take one."""

import re
from urllib.parse import urlsplit

EXAMPLE = "for example http://127.0.0.1:4566"
_AWS_HOST = re.compile(
    r"(?:dynamodb(?P<fips>-fips)?|\d{12}\.ddb)"
    r"\.(?P<region>[a-z0-9-]+)"
    r"\.(?:(?P<plain>amazonaws\.com(?:\.cn)?)"
    r"|(?P<dual>api\.aws|api\.amazonwebservices\.com\.cn))"
)
"""DynamoDB's hosts in botocore's rules: plain, FIPS, of one account; some speak IPv6 too."""


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


def streams_url(url: str) -> str:
    """Where the streams of DynamoDB at this URL are: AWS has hosts of their own for them, as
    botocore's rules say; all others serve them from the same host."""
    parts = urlsplit(url)
    found = _AWS_HOST.fullmatch(parts.hostname or "")
    if found is None:
        return url
    fips = found["fips"] or ""
    if found["plain"]:
        host = f"streams.dynamodb{fips}.{found['region']}.{found['plain']}"
    else:
        host = f"streams-dynamodb{fips}.{found['region']}.{found['dual']}"
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}"
