"""Who called: botocore's signatures hold, and nothing else does."""

import hashlib
import hmac
from collections.abc import Callable

import pytest

from dualwrite.core.access import Access
from dualwrite.core.callers import HEADS_MAX, MOMENTS_MAX, SIGNERS_MAX, CallerKey, Keyring
from dualwrite.core.errors import ClientError
from dualwrite.core.operations import Right
from dualwrite.core.signatures import fields_of
from dualwrite.core.signing import signing_key
from tests.unit.core.signed import ACCESS_KEY, BODY, NOW_SECONDS, SECRET, Wire, sign

ALL = Access(("*",), frozenset(Right))
MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your "
    "AWS Secret Access Key and signing method. Consult the service documentation for details."
)
NO_SUCH_TOKEN = "The security token included in the request is invalid."


def key(**values: object) -> CallerKey:
    given: dict[str, object] = {"access_key": ACCESS_KEY, "secret": SECRET, "name": "shop"}
    return CallerKey(access=ALL, **(given | values))  # type: ignore[arg-type]  # a test's short cut


def ring(**values: object) -> Keyring:
    return Keyring([key(**values), key(access_key="OTHER", secret="other", name="other")])


def verify(keyring: Keyring, request: Wire, now: int = NOW_SECONDS) -> tuple[str, str]:
    caller = keyring.verify(request, fields_of(request.headers), now)
    return caller.key.name, caller.region


def refusal(keyring: Keyring, request: Wire, now: int = NOW_SECONDS) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        verify(keyring, request, now)
    assert caught.value.status == 400
    assert SECRET not in str(caught.value)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize("region", ["eu-west-1", "us-gov-east-1", "local", "x"])
@pytest.mark.parametrize("host", ["127.0.0.1:8001", "dynamodb.us-east-1.amazonaws.com", "[::1]:1"])
def test_a_signature_of_any_region_for_any_host_holds(region: str, host: str) -> None:
    """What an SDK signs is taken as it is, the second time by the quicker way."""
    keyring = ring()
    request = sign(region=region, host=host)
    assert verify(keyring, request) == ("shop", region)
    assert verify(keyring, request) == ("shop", region)


@pytest.mark.parametrize(
    "extra",
    [
        {"X-Amz-Meta": "  a   b  ", "Accept-Encoding": "identity"},
        {"X-Amz-Empty": "", "Zebra": "1", "a-b": "2"},
        {"X-Amz-Content-Sha256": hashlib.sha256(BODY).hexdigest()},
        {"Date": "Thu, 01 Jan 1970 00:00:00 GMT"},
    ],
)
def test_odd_headers_are_signed_as_botocore_signs_them(extra: dict[str, str]) -> None:
    """Blanks, empty values and other names go into the canonical form alike."""
    request = sign(extra=extra)
    assert verify(ring(), request)[0] == "shop"
    assert refusal(ring(), request.having(b"x-amz-target", b"DynamoDB_20120810.PutItem"))


@pytest.mark.parametrize("path", ["/", "/a/b", "/a%20b//c/../d/", "/?x=1&a=%2F&a=", "/?b=%20&a"])
@pytest.mark.parametrize("presigned_seconds", [None, 60])
def test_paths_and_queries_are_signed(path: str, presigned_seconds: int | None) -> None:
    """In both forms; another path or parameter is another request."""
    request = sign(path=path, presigned_seconds=presigned_seconds)
    assert verify(ring(), request)[0] == "shop"
    joint = b"&" if b"?" in request.path else b"?"
    for other in (b"/other" + request.path, request.path + joint + b"y=1"):
        assert refusal(ring(), request._replace(path=other)) == (
            "InvalidSignatureException",
            MISMATCH,
        )


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 1_000_000, bytes(range(256))])
@pytest.mark.parametrize("presigned_seconds", [None, 60])
def test_the_body_is_signed(body: bytes, presigned_seconds: int | None) -> None:
    """A signature says nothing about another body: replayed with one, it is refused."""
    keyring = ring()
    request = sign(body=body, presigned_seconds=presigned_seconds)
    assert verify(keyring, request)[0] == "shop"
    for other in (body + b" ", b"[]"):
        changed = request._replace(body=other)
        assert refusal(keyring, changed) == ("InvalidSignatureException", MISMATCH)


def changed_date(request: Wire) -> Wire:
    return request.having(b"x-amz-date", b"20251231T235958Z")


CHANGES: list[Callable[[Wire], Wire]] = [
    lambda request: request.having(b"host", b"elsewhere"),
    lambda request: request.having(b"x-amz-target", b"DynamoDB_20120810.DeleteItem"),
    lambda request: request.having(b"content-type", b"application/json"),
    lambda request: request.lacking(b"content-type"),
    lambda request: request._replace(method=b"PUT"),
    lambda request: request._replace(
        headers=(*request.headers, (b"x-amz-target", b"DynamoDB_20120810.DeleteItem"))
    ),
    lambda request: request._replace(headers=(*request.headers, (b"host", b"elsewhere"))),
    changed_date,
]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("warm", [False, True])
def test_what_was_signed_cannot_be_changed(change: Callable[[Wire], Wire], warm: bool) -> None:
    """Changed, dropped or doubled, by the long way and by the quick one."""
    keyring = ring()
    request = sign()
    if warm:
        verify(keyring, request)
    assert refusal(keyring, change(request)) == ("InvalidSignatureException", MISMATCH)


@pytest.mark.parametrize("warm", [False, True])
@pytest.mark.parametrize("name", [b"x-amz-security-token", b"x-amz-content-sha256", b"x-amz-x"])
def test_an_unsigned_amz_header_cannot_be_added(name: bytes, warm: bool) -> None:
    """Nobody on the way may say more than the signer did; the SDKs' user agent says nothing."""
    keyring = ring()
    request = sign()
    if warm:
        verify(keyring, request)
    code, message = refusal(keyring, request.having(name, b"1"))
    assert code == "InvalidSignatureException"
    shown = name.decode().title()
    assert message == f"'{shown}' must be a 'SignedHeader' in the AWS Authorization."
    assert verify(keyring, request.having(b"x-amz-user-agent", b"aws-sdk"))[0] == "shop"


@pytest.mark.parametrize("warm", [False, True])
def test_a_wrong_signature_is_refused(warm: bool) -> None:
    """Also one of another length, in capitals, of the right key for another day or secret."""
    keyring = ring()
    request = sign()
    if warm:
        verify(keyring, request)
    authorization = request.header(b"authorization")
    head, _, signature = authorization.rpartition(b"=")
    for wrong in (b"0" * 64, signature[:-1], signature + b"0", signature.upper(), b"\xff" * 64):
        changed = request.having(b"authorization", head + b"=" + wrong)
        assert refusal(keyring, changed) == ("InvalidSignatureException", MISMATCH)
    forged = sign(secret="guess")
    assert refusal(keyring, forged) == ("InvalidSignatureException", MISMATCH)


def test_an_unknown_key_is_told_no_more_than_that() -> None:
    """Letters of another case are another key."""
    request = sign()
    authorization = request.header(b"authorization")
    for other in (b"NOBODY", ACCESS_KEY.lower().encode(), ACCESS_KEY.encode() + b"X"):
        changed = request.having(
            b"authorization", authorization.replace(ACCESS_KEY.encode(), other)
        )
        assert refusal(ring(), changed) == ("UnrecognizedClientException", NO_SUCH_TOKEN)
    swapped = authorization.replace(ACCESS_KEY.encode(), b"OTHER")
    assert refusal(ring(), request.having(b"authorization", swapped))[1] == MISMATCH


@pytest.mark.parametrize("warm", [False, True])
def test_the_window_is_five_minutes_both_ways(warm: bool) -> None:
    """To the second, in DynamoDB's words."""
    keyring = ring()
    request = sign()
    if warm:
        verify(keyring, request)
    for now in (NOW_SECONDS - 300, NOW_SECONDS + 300):
        assert verify(keyring, request, now)[0] == "shop"
    assert refusal(keyring, request, NOW_SECONDS + 301) == (
        "InvalidSignatureException",
        "Signature expired: 20251231T235959Z is now earlier than 20260101T000000Z "
        "(20260101T000500Z - 5 min.)",
    )
    assert refusal(keyring, request, NOW_SECONDS - 301) == (
        "InvalidSignatureException",
        "Signature not yet current: 20251231T235959Z is still later than 20251231T235958Z "
        "(20251231T235458Z + 5 min.)",
    )


def test_a_presigned_request_ends_when_it_says() -> None:
    """Its own time counts, not the window."""
    keyring = ring()
    request = sign(presigned_seconds=3600)
    assert verify(keyring, request, NOW_SECONDS + 3600)[0] == "shop"
    assert refusal(keyring, request, NOW_SECONDS + 3601)[1].endswith("- 60 min.)")
    assert refusal(keyring, request, NOW_SECONDS - 301)[1].startswith("Signature not yet current")
    short = sign(presigned_seconds=10)
    assert refusal(keyring, short, NOW_SECONDS + 11)[1].startswith("Signature expired")
    assert refusal(keyring, sign(presigned_seconds=604_801))[0] == "IncompleteSignatureException"


def test_a_key_signs_for_its_regions_only() -> None:
    """A Region that the key may not sign for is no valid one."""
    keyring = ring(regions=frozenset({"eu-west-1"}))
    assert verify(keyring, sign())[0] == "shop"
    assert refusal(keyring, sign(region="us-east-1")) == (
        "InvalidSignatureException",
        "Credential should be scoped to a valid region. ",
    )


@pytest.mark.parametrize("presigned_seconds", [None, 60])
def test_session_tokens_are_ignored_or_matched(presigned_seconds: int | None) -> None:
    """As the key file declares; a token that is missing or another is an invalid one."""
    with_token = sign(token="FwoG/token", presigned_seconds=presigned_seconds)
    other = sign(token="another", presigned_seconds=presigned_seconds)
    without = sign(presigned_seconds=presigned_seconds)
    for request in (with_token, other, without):
        assert verify(ring(), request)[0] == "shop"
    matching = ring(session_token="FwoG/token")
    for _ in range(2):
        assert verify(matching, with_token)[0] == "shop"
        for request in (other, without):
            assert refusal(matching, request) == ("UnrecognizedClientException", NO_SUCH_TOKEN)


def test_a_key_that_has_ended_is_refused() -> None:
    """From its second on, also by the quick way."""
    keyring = ring(expires_seconds=NOW_SECONDS + 10)
    request = sign()
    assert verify(keyring, request, NOW_SECONDS + 9)[0] == "shop"
    assert refusal(keyring, request, NOW_SECONDS + 10) == (
        "ExpiredTokenException",
        "The security token included in the request is expired",
    )


def test_secrets_do_not_show() -> None:
    """A key that is logged by mistake shows neither its secret nor its token."""
    shown = repr(key(session_token="FwoG/token"))
    assert "shop" in shown
    assert SECRET not in shown
    assert "FwoG" not in shown


def hand_signed(names: list[bytes], headers: tuple[tuple[bytes, bytes], ...]) -> Wire:
    """A request whose signer chose what to sign, in whatever order and case."""
    fields = fields_of(headers)
    listed = sorted({name.lower() for name in names})
    lines = b"".join(b"%b:%b\n" % (name, fields.get(name, b"")) for name in listed)
    canonical = b"POST\n/\n\n%b\n%b\n%b" % (
        lines, b";".join(listed), hashlib.sha256(BODY).hexdigest().encode(),
    )  # fmt: skip
    scope = "20251231/eu-west-1/dynamodb/aws4_request"
    message = (
        f"AWS4-HMAC-SHA256\n20251231T235959Z\n{scope}\n{hashlib.sha256(canonical).hexdigest()}"
    )
    signature = hmac.digest(
        signing_key(SECRET, "20251231", "eu-west-1"), message.encode(), "sha256"
    ).hex()
    authorization = (
        f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope},"
        f"SignedHeaders={b';'.join(names).decode()},Signature={signature}"
    )
    pairs = (*headers, (b"authorization", authorization.encode()))
    return Wire(b"POST", b"/", pairs, BODY)


HEADERS = (
    (b"host", b"h"),
    (b"x-amz-date", b"20251231T235959Z"),
    (b"x-amz-target", b"DynamoDB_20120810.GetItem"),
)


def test_other_signers_than_botocore() -> None:
    """Without blanks between the parts, names in capitals, and a time in the Date header: what
    DynamoDB takes."""
    names = [b"Host", b"X-Amz-Date", b"X-Amz-Target"]
    assert verify(ring(), hand_signed(names, HEADERS))[0] == "shop"
    dated = (HEADERS[0], (b"date", b"20251231T235959Z"), HEADERS[2])
    keyring = ring()
    for _ in range(2):
        request = hand_signed([b"host", b"x-amz-target"], dated)
        assert verify(keyring, request)[0] == "shop"


@pytest.mark.parametrize("names", [[b"x-amz-date", b"x-amz-target"], [b"Hos\xc3\xbf", b"hosts"]])
def test_the_host_must_be_signed(names: list[bytes]) -> None:
    """A request for one proxy is none for another."""
    signed = hand_signed(names, HEADERS[1:] if names[0].islower() else HEADERS[1:2])
    assert refusal(ring(), signed.having(b"host", b"h")) == (
        "InvalidSignatureException",
        "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
    )


def test_the_target_must_be_signed() -> None:
    """Otherwise a read could be made a delete of the same key."""
    request = hand_signed([b"host", b"x-amz-date"], HEADERS)
    assert refusal(ring(), request) == (
        "InvalidSignatureException",
        "'X-Amz-Target' must be a 'SignedHeader' in the AWS Authorization.",
    )


def test_what_is_remembered_is_bounded() -> None:
    """Many clients, many seconds, many operations: the rings forget, and go on being right."""
    keyring = ring()
    names = [b"host", b"x-amz-date", b"x-amz-target"]
    for number in range(SIGNERS_MAX + 10):
        request = hand_signed([*names, b"x-%d" % number], HEADERS)
        assert verify(keyring, request)[0] == "shop"
    assert len(keyring._signers) <= SIGNERS_MAX
    for number in range(HEADS_MAX + 10):
        target = b"DynamoDB_20120810.Op%d" % number
        request = hand_signed(names, (*HEADERS[:2], (b"x-amz-target", target)))
        assert verify(keyring, request)[0] == "shop"
    assert all(len(signer.heads) <= HEADS_MAX for signer in keyring._signers.values())


@pytest.mark.parametrize("warm", [False, True])
def test_a_new_day_needs_a_new_scope(warm: bool) -> None:
    """What is remembered of a client ends with its day; each day's own signature holds."""
    keyring = ring()
    if warm:
        verify(keyring, sign())
    tomorrow = sign().having(b"x-amz-date", b"20260101T000001Z")
    assert refusal(keyring, tomorrow) == (
        "InvalidSignatureException",
        "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
        "HTTP: '20251231' != '20260101', from '20260101T000001Z'. ",
    )
    assert verify(keyring, sign(at=NOW_SECONDS + 2))[0] == "shop"
    assert verify(keyring, sign())[0] == "shop"


def test_times_that_are_remembered_are_bounded() -> None:
    """A client may make up any."""
    keyring = ring()
    request = sign()
    verify(keyring, request)
    for number in range(MOMENTS_MAX + 10):
        code, _ = refusal(keyring, request.having(b"x-amz-date", b"%d" % number))
        assert code == "IncompleteSignatureException"
    assert len(keyring._moments) <= MOMENTS_MAX
    assert verify(keyring, request)[0] == "shop"
