"""The short cut for plain requests agrees with the parser, or leaves the request to it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwrite.proxy import plain
from dualwrite.proxy.messages import HttpRequest
from dualwrite.proxy.plain import PlainRequests
from tests.fakes.heard import heard_request

PLAIN = b"POST / HTTP/1.1\r\nHost: x\r\nX-Amz-Target:a  b\r\nContent-Length: 2\r\n\r\n{}"
HEADERS_MAX = 4096


def taken(data: bytes, headers_bytes_max: int = HEADERS_MAX) -> HttpRequest | None:
    return PlainRequests().request(data, headers_bytes_max)


def test_a_plain_request_is_taken() -> None:
    """Header names in lower case, values as they came, the body; the same again from memory."""
    requests = PlainRequests()
    wanted = HttpRequest(
        b"POST",
        b"/",
        ((b"host", b"x"), (b"x-amz-target", b"a  b"), (b"content-length", b"2")),
        b"{}",
    )
    for _ in range(2):
        assert requests.request(PLAIN, HEADERS_MAX) == wanted


@pytest.mark.parametrize(
    "odd",
    [
        PLAIN[:-1],
        PLAIN + b"x",
        PLAIN + PLAIN,
        PLAIN[:30],
        PLAIN.replace(b"POST", b"PUT"),
        PLAIN.replace(b"POST / ", b"POST /?a "),
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b"Length: 2", b"Length: +2"),
        PLAIN.replace(b"Length: 2", b"Length: 02"),
        PLAIN.replace(b"Length: 2", b"Length: 2, 2"),
        PLAIN.replace(b"Host: x", b"Content-Length: 2"),
        PLAIN.replace(b"Host: x", b"Transfer-Encoding: chunked"),
        PLAIN.replace(b"Host: x", b"Expect: 100-continue"),
        PLAIN.replace(b"Host: x", b"Connection: close"),
        PLAIN.replace(b"Host: x", b"Connection: keep-alive, Upgrade\r\nUpgrade: h2c"),
        PLAIN.replace(b"Host: x", b"Host: x\r\n folded"),
        PLAIN.replace(b"Host: x", b"Host : x"),
        PLAIN.replace(b"Host: x", b"Host: x\nTransfer-Encoding: chunked"),
        PLAIN.replace(b"Host: x", b"Host: x\rTransfer-Encoding: chunked"),
        PLAIN.replace(b"Host: x", b"Host: \0"),
        PLAIN.replace(b"Host: x", b": x"),
        b"POST / HTTP/1.1\r\n\r\n",
    ],
)
def test_all_that_is_odd_is_left_to_the_parser(odd: bytes) -> None:
    """Pieces, several requests, other framing, other connections, headers that are none."""
    assert taken(odd) is None


def test_many_headers_are_left_to_the_parser() -> None:
    """It refuses what is over the bound, and counts each header's overhead."""
    many = PLAIN.replace(b"Host: x", b"\r\n".join([b"a:b"] * 20))
    size = len(many) - len(b"\r\n\r\n{}") + 22 * plain.HEADER_OVERHEAD_BYTES
    assert taken(many, size) is not None
    assert taken(many, size - 1) is None


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clients that never say the same twice do not fill the memory, and are understood."""
    monkeypatch.setattr(plain, "LINES_MAX", 8)
    requests = PlainRequests()
    for number in range(100):
        request = requests.request(PLAIN.replace(b"Host: x", b"Host: %d" % number), HEADERS_MAX)
        assert request is not None
        assert request.headers[0] == (b"host", b"%d" % number)
        assert len(requests._lines) <= 8


name = st.text("abcXYZ-0123456789", min_size=1, max_size=12).map(str.encode)
value = st.text(st.characters(max_codepoint=255), max_size=20).map(lambda t: t.encode("latin-1"))


@given(
    headers=st.lists(st.tuples(name, value), max_size=6),
    place=st.integers(0, 6),
    body=st.binary(max_size=60),
    length_name=st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH"]),
    keep=st.sampled_from([b"", b"Connection: keep-alive\r\n", b"connection:Keep-Alive\r\n"]),
)
def test_the_short_cut_and_the_parser_agree(
    headers: list[tuple[bytes, bytes]], place: int, body: bytes, length_name: bytes, keep: bytes
) -> None:
    """Whatever the headers, a request that the short cut takes is what the parser makes of it."""
    lines = [b"%b: %b\r\n" % pair for pair in headers]
    lines.insert(place, b"%b: %d\r\n" % (length_name, len(body)))
    data = b"POST / HTTP/1.1\r\n%b%b\r\n%b" % (b"".join(lines), keep, body)
    request = taken(data)
    if request is None:
        return
    heard = heard_request(data)
    assert heard.whole
    assert heard.keep_alive
    assert (heard.parser.get_method(), heard.path) == (request.method, request.path)
    assert heard.parser.get_http_version() == "1.1"
    assert (
        tuple((name.lower(), value) for name, value in heard.headers),
        heard.body,
    ) == (request.headers, request.body)
