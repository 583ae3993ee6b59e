"""What is no signature is told so in DynamoDB's words, in its order."""

import pytest

from dualwrite.core.errors import ClientError
from dualwrite.core.signatures import canonical_path, canonical_query, fields_of, signature_of
from tests.unit.core.signed import NOW_SECONDS, Wire

DATE = (b"x-amz-date", b"20251231T235959Z")
CREDENTIAL = "AKID/20251231/eu-west-1/dynamodb/aws4_request"
GOOD = f"AWS4-HMAC-SHA256 Credential={CREDENTIAL}, SignedHeaders=host;x-amz-date, Signature=ab"
QUERY_PARTS = ("Algorithm", "Credential", "Signature", "SignedHeaders", "Date")
LACKING_ALL = "".join(
    f"AWS query-string parameters must include 'X-Amz-{part}'. " for part in QUERY_PARTS
)


def request(*headers: tuple[bytes, bytes], path: bytes = b"/") -> Wire:
    return Wire(b"POST", path, ((b"host", b"h"), *headers), b"{}")


def authorized(text: str, *headers: tuple[bytes, bytes]) -> Wire:
    return request((b"authorization", text.encode()), *headers)


def refusal(wire: Wire) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        signature_of(wire, fields_of(wire.headers), NOW_SECONDS)
    return caught.value.code, caught.value.message


@pytest.mark.parametrize(
    "wire",
    [
        request(DATE),
        authorized("AWS4", DATE),
        authorized("Basic abc", DATE),
        authorized("aws4-hmac-sha256 Credential=a", DATE),
        request(path=b"/?X-Amz-Credential=a&X-Amz-Signature=b&X-Amz-SignedHeaders=c&X-Amz-Date=d"),
        request(path=b"/?x-amz-algorithm=a"),
    ],
)
def test_a_request_without_a_signature(wire: Wire) -> None:
    """Neither form is there: letters of another case make none."""
    assert refusal(wire) == (
        "MissingAuthenticationTokenException",
        "Request is missing Authentication Token",
    )


def test_both_forms_at_once_are_none() -> None:
    """Nobody can tell which one is meant."""
    both = request((b"authorization", b"X"), path=b"/?X-Amz-Algorithm")
    assert refusal(both) == (
        "InvalidSignatureException",
        "Found both 'X-Amz-Algorithm' as a query-string param and 'Authorization' as HTTP header.",
    )


@pytest.mark.parametrize(
    ("wire", "message"),
    [
        (
            authorized("AWS4-"),
            "Authorization header requires 'Credential' parameter. "
            "Authorization header requires 'Signature' parameter. "
            "Authorization header requires 'SignedHeaders' parameter. "
            "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. "
            "Authorization=AWS4-",
        ),
        (
            authorized("AWS4- Signature=b,Credential=a", (b"date", b"a")),
            "Authorization header requires 'SignedHeaders' parameter. "
            "Authorization=AWS4- Signature=b,Credential=a",
        ),
        (
            authorized("AWS4-HMAC-SHA256 Signature=b, Credential, SignedHeaders=", DATE),
            "'Credential' not a valid key=value pair (missing equal-sign) in Authorization header: "
            "'AWS4-HMAC-SHA256 Signature=b, Credential, SignedHeaders='.",
        ),
        (
            authorized(GOOD, (b"x-amz-date", b"201")),
            "Date must be in ISO-8601 'basic format'. Got '201'. "
            "See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            authorized(GOOD, (b"x-amz-date", b"20251331T235959Z")),
            "Date must be in ISO-8601 'basic format'. Got '20251331T235959Z'. "
            "See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            authorized(GOOD, DATE, DATE),
            "Date must be in ISO-8601 'basic format'. Got '20251231T235959Z,20251231T235959Z'. "
            "See http://en.wikipedia.org/wiki/ISO_8601",
        ),
        (
            authorized(GOOD.replace("SHA256", "SHA25"), DATE),
            "Unsupported AWS 'algorithm': 'AWS4-HMAC-SHA25' (only AWS4-HMAC-SHA256 for now). ",
        ),
        (
            authorized(GOOD.replace(CREDENTIAL, "a/b/c/d"), DATE),
            "Credential must have exactly 5 slash-delimited elements, e.g. "
            "keyid/date/region/service/term, got 'a/b/c/d'",
        ),
        (
            request(path=b"/?X-Amz-Algorithm"),
            f"{LACKING_ALL}Re-examine the query-string parameters.",
        ),
        (
            request(path=b"/?X-Amz-Algorithm=a&X-Amz-Credential=b&X-Amz-Signature=c&X-Amz-Date=d"),
            "AWS query-string parameters must include 'X-Amz-SignedHeaders'. "
            "Re-examine the query-string parameters.",
        ),
    ],
)
def test_an_incomplete_signature(wire: Wire, message: str) -> None:
    """The parts that lack are named, as DynamoDB names them."""
    assert refusal(wire) == ("IncompleteSignatureException", message)


@pytest.mark.parametrize(
    ("credential", "faults"),
    [
        ("AKID/20251231/r/s3/aws4_request",
         "Credential should be scoped to correct service: 'dynamodb'. "),
        ("AKID/20251231/r/DynamoDB/aws4_request",
         "Credential should be scoped to correct service: 'dynamodb'. "),
        ("AKID/20251231/r/dynamodb/e",
         "Credential should be scoped with a valid terminator: 'aws4_request', not 'e'. "),
        ("AKID/b/r/dynamodb/aws4_request",
         "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from "
         "HTTP: 'b' != '20251231', from '20251231T235959Z'. "),
    ],
)  # fmt: skip
def test_a_wrong_scope(credential: str, faults: str) -> None:
    """Service, terminator and day must match exactly, in their case too."""
    wire = authorized(GOOD.replace(CREDENTIAL, credential), DATE)
    assert refusal(wire) == ("InvalidSignatureException", faults)


def test_time_is_looked_at_before_the_rest() -> None:
    """An old request is told that it is old, whatever else is wrong with it."""
    old = authorized(
        "AWS4-HMAC-SHA256 Credential=a/2/3/4/aws4_request SignedHeaders=x-amz-date Signature=1",
        (b"x-amz-date", b"20170101T010101Z"),
    )
    assert refusal(old) == (
        "InvalidSignatureException",
        "Signature expired: 20170101T010101Z is now earlier than 20251231T235459Z "
        "(20251231T235959Z - 5 min.)",
    )


@pytest.mark.parametrize("expires", ["-1", "1e3", "604801", "9" * 5000, "٣"])
def test_how_long_a_presigned_request_lives_is_bounded(expires: str) -> None:
    """Seven days, in plain figures."""
    query = "&".join(f"X-Amz-{part}=a" for part in QUERY_PARTS) + f"&X-Amz-Expires={expires}"
    code, message = refusal(request(path=b"/?" + query.encode()))
    assert code == "IncompleteSignatureException"
    assert message.startswith("X-Amz-Expires must be a number of seconds")


def test_a_signature_says_what_was_signed() -> None:
    """Names are sorted and in lower case, a slash too many does no harm."""
    text = GOOD.replace("host;x-amz-date", "X-Amz-Date;Host").replace(CREDENTIAL, CREDENTIAL + "/")
    wire = authorized(text, DATE)
    signed = signature_of(wire, fields_of(wire.headers), NOW_SECONDS)
    assert signed.names == (b"host", b"x-amz-date")
    assert signed.scope == "20251231/eu-west-1/dynamodb/aws4_request"
    assert (signed.access_key, signed.date) == ("AKID", "20251231T235959Z")


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        (b"/", b"/"), (b"/?a", b"/"), (b"", b"/"), (b"//a//", b"/a/"), (b"/a/../b/./c", b"/b/c"),
        (b"/../..", b"/"), (b"/a%20b", b"/a%2520b"), (b"/~a", b"/~a"),
    ],
)  # fmt: skip
def test_paths_in_canonical_form(path: bytes, canonical: bytes) -> None:
    """Without dots and empty segments, encoded once more."""
    assert canonical_path(path) == canonical


@pytest.mark.parametrize(
    ("query", "canonical"),
    [
        (b"", b""),
        (b"b=2&a=1&X-Amz-Signature=x", b"a=1&b=2"),
        (b"a=%2f&a=&a", b"a=&a=&a=%2F"),
        (b"%41=~%7E", b"A=~~"),
    ],
)
def test_queries_in_canonical_form(query: bytes, canonical: bytes) -> None:
    """Encoded anew, sorted, without the signature."""
    assert canonical_query(query) == canonical
