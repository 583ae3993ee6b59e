"""What a request says about its signature, and whether that is well formed.

The order of the checks and the words of the refusals are DynamoDB's own. Nothing here knows a
secret: who signed, and whether the signature holds, is ``callers``' to say.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote_to_bytes

from dualwrite.core.errors import ClientError
from dualwrite.core.signing import SERVICE

ALGORITHM = "AWS4-HMAC-SHA256"
TERMINATOR = "aws4_request"
WINDOW_SECONDS = 300
"""How far a client's clock may be from ours."""
EXPIRES_SECONDS_MAX = 7 * 24 * 3600
"""How long a presigned request may be valid."""
UNSIGNED_HEADERS = frozenset({b"x-amz-user-agent"})
"""The one ``x-amz-`` header that some SDKs do not sign; it says nothing that anybody acts upon."""

_HEADER_PARTS = ("Credential", "Signature", "SignedHeaders")
_QUERY_PARTS = (
    "X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Signature", "X-Amz-SignedHeaders", "X-Amz-Date",
)  # fmt: skip
_SEPARATORS = re.compile(r"[, ]+")
_BASIC_DATE = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")


class Request(Protocol):
    """A whole HTTP request; header names are in lower case."""

    @property
    def method(self) -> bytes: ...
    @property
    def path(self) -> bytes: ...
    @property
    def headers(self) -> tuple[tuple[bytes, bytes], ...]: ...
    @property
    def body(self) -> bytes: ...


Fields = Mapping[bytes, bytes]
"""Headers by name; the values of one that is repeated are joined by commas, as SigV4 does it."""


@dataclass(frozen=True, slots=True)
class Signature:
    """A well formed signature, not verified."""

    access_key: str
    day: str
    region: str
    date: str
    """As it was signed: "20260131T235959Z"; it begins with ``day``."""
    names: tuple[bytes, ...]
    """Signed headers, sorted."""
    signature: bytes
    token: bytes | None
    query: bytes
    """The canonical query string."""

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{SERVICE}/{TERMINATOR}"


@dataclass(frozen=True, slots=True)
class _Said:
    """The parts of a signature as they came, by header or by query."""

    algorithm: str
    credential: str
    date: str
    signed_headers: str
    signature: str
    token: bytes | None
    valid_seconds: int


def fields_of(headers: tuple[tuple[bytes, bytes], ...]) -> dict[bytes, bytes]:
    """Headers by name, repeated ones joined."""
    fields = dict(headers)
    if len(fields) != len(headers):
        fields.clear()
        for name, value in headers:
            fields[name] = b"%b,%b" % (fields[name], value) if name in fields else value
    return fields


def signature_of(request: Request, fields: Fields, now_seconds: int) -> Signature:
    """What a request says. Raises ClientError."""
    _, _, query = request.path.partition(b"?")
    pairs = (
        parse_qsl(query.decode("latin-1"), keep_blank_values=True, encoding="latin-1")
        if query
        else ()
    )
    authorization = fields.get(b"authorization")
    by_query = any(name == "X-Amz-Algorithm" for name, _ in pairs)
    if by_query and authorization is not None:
        raise invalid(
            "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP "
            "header."
        )
    if by_query:
        return _by_query(dict(pairs), query, fields, now_seconds)
    if authorization is None or not authorization.strip().startswith(b"AWS4-"):
        raise ClientError(
            "MissingAuthenticationTokenException", "Request is missing Authentication Token"
        )
    return _by_header(authorization.decode("latin-1"), query, fields, now_seconds)


def _by_header(authorization: str, query: bytes, fields: Fields, now_seconds: int) -> Signature:
    algorithm, *pairs = _SEPARATORS.split(authorization.strip())
    parts: dict[str, str] = {}
    for pair in filter(None, pairs):
        name, equals, value = pair.partition("=")
        if not equals:
            raise incomplete(
                f"'{pair}' not a valid key=value pair (missing equal-sign) in Authorization "
                f"header: '{authorization}'."
            )
        parts[name] = value
    date = _date_of(fields)
    lacking = "".join(
        f"Authorization header requires '{part}' parameter. "
        for part in _HEADER_PARTS
        if not parts.get(part)
    )
    if not date:
        lacking += (
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
        )
    if lacking or not date:
        raise incomplete(f"{lacking}Authorization={authorization}")
    said = _Said(
        algorithm,
        parts["Credential"],
        date,
        parts["SignedHeaders"],
        parts["Signature"],
        fields.get(b"x-amz-security-token"),
        WINDOW_SECONDS,
    )
    return _checked(said, query, fields, now_seconds)


def _date_of(fields: Fields) -> str:
    """When it was signed, in the form that is signed: a Date header may have HTTP's own."""
    amz_date = fields.get(b"x-amz-date")
    date = (amz_date or fields.get(b"date", b"")).decode("latin-1")
    if amz_date or _BASIC_DATE.fullmatch(date):
        return date
    try:
        return _basic(int(parsedate_to_datetime(date).timestamp()))
    except (ValueError, OverflowError):
        return date


def _by_query(
    parts: Mapping[str, str], query: bytes, fields: Fields, now_seconds: int
) -> Signature:
    lacking = "".join(
        f"AWS query-string parameters must include '{part}'. "
        for part in _QUERY_PARTS
        if not parts.get(part)
    )
    if lacking:
        raise incomplete(f"{lacking}Re-examine the query-string parameters.")
    expires = parts.get("X-Amz-Expires", str(WINDOW_SECONDS))
    if not re.fullmatch(r"[0-9]{1,6}", expires) or int(expires) > EXPIRES_SECONDS_MAX:
        raise incomplete(
            f"X-Amz-Expires must be a number of seconds between 0 and {EXPIRES_SECONDS_MAX}"
        )
    said = _Said(
        parts["X-Amz-Algorithm"],
        parts["X-Amz-Credential"],
        parts["X-Amz-Date"],
        parts["X-Amz-SignedHeaders"],
        parts["X-Amz-Signature"],
        token.encode("latin-1") if (token := parts.get("X-Amz-Security-Token")) else None,
        int(expires),
    )
    return _checked(said, query, fields, now_seconds)


def _checked(said: _Said, query: bytes, fields: Fields, now_seconds: int) -> Signature:
    date = said.date
    check_time(date, now_seconds, said.valid_seconds)
    listed = {name for name in said.signed_headers.lower().encode("latin-1").split(b";") if name}
    check_signed(listed, fields)
    if said.algorithm != ALGORITHM:
        raise incomplete(
            f"Unsupported AWS 'algorithm': '{said.algorithm}' (only {ALGORITHM} for now). "
        )
    elements = said.credential.rstrip("/").split("/")
    if len(elements) != 5:
        raise incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            f"keyid/date/region/service/term, got '{said.credential}'"
        )
    access_key, day, region, service, terminator = elements
    faults = ""
    if service != SERVICE:
        faults += f"Credential should be scoped to correct service: '{SERVICE}'. "
    if terminator != TERMINATOR:
        faults += (
            f"Credential should be scoped with a valid terminator: '{TERMINATOR}', "
            f"not '{terminator}'. "
        )
    if day != date[:8]:
        faults += (
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
            f"HTTP: '{day}' != '{date[:8]}', from '{date}'. "
        )
    if faults:
        raise invalid(faults)
    signature = said.signature.encode("latin-1")
    return Signature(
        access_key, day, region, date, tuple(sorted(listed)), signature,
        said.token, canonical_query(query),
    )  # fmt: skip


def check_signed(listed: Iterable[bytes], fields: Fields) -> None:
    """Raise ClientError unless the host is signed and whatever begins with ``x-amz-``: who could
    add or change one of those on the way could make another operation of the same body."""
    if b"host" not in listed:
        raise invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for name in fields:
        if name.startswith(b"x-amz-") and name not in listed and name not in UNSIGNED_HEADERS:
            shown = name.decode("latin-1").title()
            raise invalid(f"'{shown}' must be a 'SignedHeader' in the AWS Authorization.")


def check_time(date: str, now_seconds: int, valid_seconds: int) -> None:
    """Raises ClientError where a request's date is no time, or not now."""
    signed_seconds = seconds_of(date)
    if signed_seconds is None:
        raise incomplete(
            f"Date must be in ISO-8601 'basic format'. Got '{date}'. "
            "See http://en.wikipedia.org/wiki/ISO_8601"
        )
    earliest, latest = now_seconds - valid_seconds, now_seconds + WINDOW_SECONDS
    if earliest <= signed_seconds <= latest:
        return
    now = _basic(now_seconds)
    if signed_seconds < earliest:
        raise invalid(
            f"Signature expired: {date} is now earlier than {_basic(earliest)} "
            f"({now} - {valid_seconds // 60} min.)"
        )
    raise invalid(
        f"Signature not yet current: {date} is still later than {_basic(latest)} "
        f"({now} + {WINDOW_SECONDS // 60} min.)"
    )


def seconds_of(date: str) -> int | None:
    """ "20260131T235959Z" in seconds since 1970; None for what is no time in that form."""
    found = _BASIC_DATE.fullmatch(date)
    if found is None:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    try:
        return int(datetime(year, month, day, hour, minute, second, tzinfo=UTC).timestamp())
    except ValueError:
        return None


def _basic(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y%m%dT%H%M%SZ")


def canonical_query(query: bytes) -> bytes:
    """The query string as SigV4 hashes it: decoded, encoded anew, sorted, without the signature."""
    if not query:
        return b""
    pairs = []
    for part in query.split(b"&"):
        name, _, value = part.partition(b"=")
        pairs.append((_encoded(name), _encoded(value)))
    return "&".join(
        f"{name}={value}" for name, value in sorted(pairs) if name != "X-Amz-Signature"
    ).encode()


def _encoded(text: bytes) -> str:
    return quote(unquote_to_bytes(text), safe="-_.~")


def canonical_path(path: bytes) -> bytes:
    """A request's path as SigV4 hashes it: without dots and empty segments, encoded once more."""
    bare = path.partition(b"?")[0].decode("latin-1")
    if bare in ("", "/"):
        return b"/"
    kept: list[str] = []
    for segment in bare.split("/"):
        if segment == "..":
            kept = kept[:-1]
        elif segment not in ("", "."):
            kept.append(segment)
    tail = "/" if kept and bare.endswith("/") else ""
    return quote("/" + "/".join(kept) + tail, safe="/~").encode()


def canonical_value(value: bytes) -> bytes:
    """A header's value as SigV4 hashes it: trimmed, runs of blanks as one."""
    return b" ".join(value.split()) if b" " in value or b"\t" in value else value


def invalid(message: str) -> ClientError:
    """The signature is wrong, or its time is."""
    return ClientError("InvalidSignatureException", message)


def incomplete(message: str) -> ClientError:
    """The signature is not one."""
    return ClientError("IncompleteSignatureException", message)
