"""Whether a request was signed by a key that may call, and is what was signed.

Source: "Create a signed AWS API request", AWS IAM User Guide. What does not change from one
request of a client to its next (the key of the day, the names it signs) is kept, so that a request
costs the hash of its body, that of its headers and one HMAC.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from dualwrite.core.access import Access
from dualwrite.core.errors import ClientError
from dualwrite.core.signatures import (
    ALGORITHM,
    UNSIGNED_HEADERS,
    WINDOW_SECONDS,
    Fields,
    Request,
    Signature,
    canonical_path,
    canonical_value,
    invalid,
    seconds_of,
    signature_of,
)
from dualwrite.core.signing import signing_key

_ALGORITHM = ALGORITHM.encode()
SIGNERS_MAX = 1024
"""Verified signers that are remembered; there is one for each key, day, Region and SDK."""
MOMENTS_MAX = 1024
"""Times of signing that are remembered; clients sign at the same few seconds."""
DAY_KEYS_MAX = 1024
HEADS_MAX = 64
"""Sets of signed header values that are remembered of one signer: its operations."""


@dataclass(frozen=True)
class CallerKey:
    """One entry of the key file."""

    access_key: str
    secret: str = field(repr=False)
    name: str
    """What it is called in refusals and logs."""
    access: Access
    regions: frozenset[str] | None = None
    """Regions it may sign for; None: any."""
    session_token: str | None = field(default=None, repr=False)
    """What its requests must carry; None: whatever they carry is ignored."""
    expires_seconds: int | None = None
    """When it ends, in seconds since 1970."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a verified request, and for which Region it was signed."""

    key: CallerKey
    region: str


@dataclass(frozen=True, slots=True)
class _Signer:
    """What one client's requests of one day have in common."""

    caller: Caller
    day: bytes
    scope: bytes
    names: tuple[bytes, ...]
    quiet: frozenset[bytes]
    """Header names that are signed or need not be."""
    joined: bytes
    """``names`` as they stand in the canonical request."""
    key: bytes
    heads: dict[tuple[bytes | None, ...], Any] = field(default_factory=dict, repr=False)
    """By the values of the signed headers, SHA-256 of what stands before the body's hash."""

    def head(self, fields: Fields) -> Any:
        """SHA-256 of the canonical request of a ``POST /``, open for the body's hash."""
        values = tuple(map(fields.get, self.names))
        found = self.heads.get(values)
        if found is None:
            if len(self.heads) >= HEADS_MAX:
                self.heads.clear()
            found = hashlib.sha256(self.canonical_head(b"POST", b"/", b"", fields))
            self.heads[values] = found
        return found.copy()

    def canonical_head(self, method: bytes, path: bytes, query: bytes, fields: Fields) -> bytes:
        """The canonical request up to its last line, the body's hash."""
        lines = [b"%b:%b\n" % (name, canonical_value(fields.get(name, b""))) for name in self.names]
        return b"%b\n%b\n%b\n%b\n%b\n" % (
            method, canonical_path(path), query, b"".join(lines), self.joined,
        )  # fmt: skip


class Keyring:
    """All keys that may call. A new key file is a new ring: nothing outlives its file."""

    def __init__(self, keys: Iterable[CallerKey]) -> None:
        self._keys = {key.access_key: key for key in keys}
        self._day_keys: dict[tuple[str, str, str], bytes] = {}
        self._signers: dict[bytes, _Signer] = {}
        """By the Authorization header without its signature."""
        self._moments: dict[bytes, int | None] = {}

    def verify(self, request: Request, fields: Fields, now_seconds: int) -> Caller:
        """Who sent a request; ``fields`` are its headers. Raises ClientError with DynamoDB's type
        and words."""
        authorization = fields.get(b"authorization")
        if authorization is not None and request.path == b"/" and request.method == b"POST":
            head, _, signature = authorization.rpartition(b"=")
            signer = self._signers.get(head)
            date = fields.get(b"x-amz-date", b"")
            if signer is not None and self._still_holds(signer, date, fields, now_seconds):
                _check_signature(signer, signature, date, signer.head(fields), request.body)
                _check_key(signer.caller.key, fields.get(b"x-amz-security-token"), now_seconds)
                return signer.caller
        return self._verify_anew(request, fields, now_seconds)

    def _verify_anew(self, request: Request, fields: Fields, now_seconds: int) -> Caller:
        signed = signature_of(request, fields, now_seconds)
        key = self._keys.get(signed.access_key)
        if key is None:
            raise _unrecognized()
        if key.regions is not None and signed.region not in key.regions:
            raise invalid("Credential should be scoped to a valid region. ")
        signer = self._signer(signed, key)
        head = signer.canonical_head(request.method, request.path, signed.query, fields)
        date = signed.date.encode()
        _check_signature(signer, signed.signature, date, hashlib.sha256(head), request.body)
        _check_key(key, signed.token, now_seconds)
        self._remember(signer, signed, request, fields)
        return signer.caller

    def _remember(
        self, signer: _Signer, signed: Signature, request: Request, fields: Fields
    ) -> None:
        """For requests in the form that SDKs give them; the others go the long way each time."""
        head, _, last = fields.get(b"authorization", b"").rpartition(b"=")
        if request.path != b"/" or last != signed.signature:
            return
        if len(self._signers) >= SIGNERS_MAX:
            self._signers.clear()
        self._signers[head] = signer

    def _still_holds(self, signer: _Signer, date: bytes, fields: Fields, now_seconds: int) -> bool:
        """Whether all that was found out about a signer is true of this request too; where not,
        the long way finds the words for it."""
        signed_seconds = self._moment(date)
        if signed_seconds is None or abs(now_seconds - signed_seconds) > WINDOW_SECONDS:
            return False
        if not date.startswith(signer.day):
            return False
        for name in fields:  # noqa: SIM110  # on every request: a generator takes twice as long
            if name.startswith(b"x-amz-") and name not in signer.quiet:
                return False
        return True

    def _moment(self, date: bytes) -> int | None:
        """Seconds since 1970; None for what is no time."""
        if date not in self._moments:
            if len(self._moments) >= MOMENTS_MAX:
                self._moments.clear()
            self._moments[date] = seconds_of(date.decode("latin-1"))
        return self._moments[date]

    def _signer(self, signed: Signature, key: CallerKey) -> _Signer:
        return _Signer(
            Caller(key, signed.region),
            signed.day.encode(),
            signed.scope.encode(),
            signed.names,
            frozenset(signed.names) | UNSIGNED_HEADERS,
            b";".join(signed.names),
            self._day_key(key, signed.day, signed.region),
        )

    def _day_key(self, key: CallerKey, day: str, region: str) -> bytes:
        found = self._day_keys.get((key.access_key, day, region))
        if found is None:
            if len(self._day_keys) >= DAY_KEYS_MAX:
                self._day_keys.clear()
            found = signing_key(key.secret, day, region)
            self._day_keys[key.access_key, day, region] = found
        return found


def _check_signature(
    signer: _Signer, signature: bytes, date: bytes, canonical: Any, body: bytes
) -> None:
    """``canonical``: SHA-256 of the canonical request, which still lacks the body's hash."""
    canonical.update(hashlib.sha256(body).hexdigest().encode())
    message = b"%b\n%b\n%b\n%b" % (
        _ALGORITHM, date, signer.scope, canonical.hexdigest().encode(),
    )  # fmt: skip
    expected = hmac.digest(signer.key, message, "sha256").hex().encode()
    if not hmac.compare_digest(expected, signature):
        raise invalid(
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method. Consult the service documentation for "
            "details."
        )


def _check_key(key: CallerKey, token: bytes | None, now_seconds: int) -> None:
    """What a key asks beside a right signature."""
    wanted = key.session_token
    if wanted is not None and not hmac.compare_digest(token or b"", wanted.encode()):
        raise _unrecognized()
    if key.expires_seconds is not None and now_seconds >= key.expires_seconds:
        raise ClientError(
            "ExpiredTokenException", "The security token included in the request is expired"
        )


def _unrecognized() -> ClientError:
    return ClientError(
        "UnrecognizedClientException", "The security token included in the request is invalid."
    )
