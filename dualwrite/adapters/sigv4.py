"""AWS Signature Version 4 for DynamoDB's one kind of request, ``POST /``, made for the hot path.

Source: "Create a signed AWS API request", AWS IAM User Guide. All that stays the same within one
second (key, date, scope, canonical headers of a target) is hashed once and copied; a request costs
the hash of its body and three short ones. The tests hold it against botocore's own signer.
"""

import hashlib
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from dualwrite.core.signing import signing_key

ALGORITHM = b"AWS4-HMAC-SHA256"
JSON_TYPE = b"application/x-amz-json-1.0"
TARGETS_MAX = 128
"""Distinct targets whose canonical headers are kept; DynamoDB has about 60 operations."""

NOT_FORWARDED = frozenset(
    {
        b"host",
        b"authorization",
        b"x-amz-date",
        b"x-amz-target",
        b"x-amz-security-token",
        b"x-amz-content-sha256",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"content-length",
        b"transfer-encoding",
        b"expect",
        b"te",
        b"trailer",
        b"upgrade",
    }
)
"""What a client says to the proxy alone: its own signature, and its own connection."""

Headers = Iterable[tuple[bytes, bytes]]


class Credentials(Protocol):
    """Botocore's frozen credentials."""

    @property
    def access_key(self) -> str: ...
    @property
    def secret_key(self) -> str: ...
    @property
    def token(self) -> str | None: ...


@dataclass(slots=True)
class _Template:
    """One target's request, up to what its body decides."""

    head: bytes
    """Request line and headers, open behind ``Signature=``."""
    lines: bytes
    """The signed headers."""
    authorization: bytes
    """That header, open behind ``Signature=``."""
    canonical: Any
    """SHA-256 of the canonical request, which still lacks the body's hash."""


class Signer:
    """Makes signed request heads for one host. ``credentials`` is asked at most once a second."""

    def __init__(
        self,
        host: str,
        *,
        region: str,
        credentials: Callable[[], Credentials],
        wall_ms: Callable[[], int],
    ) -> None:
        self._host = host.encode("ascii")
        self._region = region
        self._credentials = credentials
        self._wall_ms = wall_ms
        self._second = -1
        self._key_of: tuple[str, str] | None = None
        self._inner = self._outer = self._message = hashlib.sha256()
        self._date = self._credential = b""
        self._token: bytes | None = None
        self._templates: dict[str, _Template] = {}

    def head(self, target: str, body: bytes) -> bytes:
        """The head of a signed call of ours; ``body`` follows it on the wire."""
        second = self._wall_ms() // 1000
        if second != self._second:
            self._renew(second)
        template = self._templates.get(target)
        if template is None:
            template = self._template(target)
        canonical = template.canonical.copy()
        canonical.update(hashlib.sha256(body).hexdigest().encode())
        signature = self._sign(canonical)
        return b"%b%b\r\ncontent-length: %d\r\n\r\n" % (template.head, signature, len(body))

    def forward_head(self, headers: Headers, target: str, body: bytes) -> bytes:
        """The head of a client's request, its own headers kept, signed anew.

        Signed are ``host`` and whatever begins with ``content-type`` or ``x-amz-``.
        """
        second = self._wall_ms() // 1000
        if second != self._second:
            self._renew(second)
        kept = [pair for pair in headers if pair[0] not in NOT_FORWARDED]
        signed = [pair for pair in kept if pair[0].startswith(_SIGNED)]
        if signed == _PLAIN:
            kept.remove(_PLAIN[0])
            template = self._templates.get(target) or self._template(target)
            lines, authorization = template.lines, template.authorization
            canonical = template.canonical.copy()
        else:
            ours = self._own_headers(target)
            names, canonical_headers = _canonical([*ours, *signed])
            lines = b"".join([b"%b: %b\r\n" % pair for pair in ours])
            authorization = self._authorization(names)
            canonical = hashlib.sha256(b"POST\n/\n\n%b\n%b\n" % (canonical_headers, names))
        canonical.update(hashlib.sha256(body).hexdigest().encode())
        return b"POST / HTTP/1.1\r\n%b%b%b%b\r\ncontent-length: %d\r\n\r\n" % (
            lines,
            b"".join([b"%b: %b\r\n" % pair for pair in kept]),
            authorization,
            self._sign(canonical),
            len(body),
        )

    def _sign(self, canonical: Any) -> bytes:
        """HMAC-SHA256 of the string to sign, from the states that ``_renew`` prepared."""
        inner = self._message.copy()
        inner.update(canonical.hexdigest().encode())
        outer = self._outer.copy()
        outer.update(inner.digest())
        signature: str = outer.hexdigest()
        return signature.encode()

    def _renew(self, second: int) -> None:
        frozen = self._credentials()
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(second))
        day = stamp[:8]
        if (frozen.secret_key, day) != self._key_of:
            key = signing_key(frozen.secret_key, day, self._region)
            self._inner, self._outer = _hmac_states(key)
            self._key_of = (frozen.secret_key, day)
        scope = f"{day}/{self._region}/dynamodb/aws4_request"
        self._date = stamp.encode()
        self._credential = f"{frozen.access_key}/{scope}".encode()
        self._token = frozen.token.encode() if frozen.token else None
        self._message = self._inner.copy()
        self._message.update(b"%b\n%b\n%b\n" % (ALGORITHM, self._date, scope.encode()))
        self._templates.clear()
        self._second = second

    def _template(self, target: str) -> _Template:
        if len(self._templates) >= TARGETS_MAX:
            self._templates.clear()
        headers = [*self._own_headers(target), (b"content-type", JSON_TYPE)]
        names, canonical_headers = _canonical(headers)
        lines = b"".join(b"%b: %b\r\n" % pair for pair in headers)
        authorization = self._authorization(names)
        template = _Template(
            head=b"POST / HTTP/1.1\r\n%baccept-encoding: identity\r\n%b" % (lines, authorization),
            lines=lines,
            authorization=authorization,
            canonical=hashlib.sha256(b"POST\n/\n\n%b\n%b\n" % (canonical_headers, names)),
        )
        self._templates[target] = template
        return template

    def _own_headers(self, target: str) -> list[tuple[bytes, bytes]]:
        headers = [(b"host", self._host), (b"x-amz-date", self._date)]
        if self._token is not None:
            headers.append((b"x-amz-security-token", self._token))
        if target:
            headers.append((b"x-amz-target", target.encode("latin-1")))
        return headers

    def _authorization(self, names: bytes) -> bytes:
        return b"authorization: %b Credential=%b, SignedHeaders=%b, Signature=" % (
            ALGORITHM,
            self._credential,
            names,
        )


_SIGNED = (b"content-type", b"x-amz-")
_PLAIN = [(b"content-type", JSON_TYPE)]
"""What of a client's own headers is signed, nearly always."""


def _hmac_states(key: bytes) -> tuple[Any, Any]:
    """SHA-256 states fed with HMAC's two pads (RFC 2104); a copy of each makes one HMAC."""
    padded = key.ljust(64, b"\0")
    inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in padded))
    outer = hashlib.sha256(bytes(byte ^ 0x5C for byte in padded))
    return inner, outer


def _canonical(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, bytes]:
    """(signed names, canonical header lines): sorted, values trimmed, repeated names joined."""
    values: dict[bytes, list[bytes]] = {}
    for name, value in headers:
        values.setdefault(name, []).append(b" ".join(value.split()))
    names = sorted(values)
    lines = b"".join(b"%b:%b\n" % (name, b",".join(values[name])) for name in names)
    return b";".join(names), lines
