"""The short cut for plain answers agrees with the parser, or leaves the answer to it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dualwrite.adapters.connection import whole_answer
from tests.fakes.heard import heard_answer

PLAIN = b"HTTP/1.1 200 OK\r\nServer: x\r\nContent-Length: 2\r\n\r\n{}"


def test_a_plain_answer_is_taken_as_it_is() -> None:
    """Status, headers in their order and spelling, body."""
    reply = whole_answer(PLAIN)
    assert reply is not None
    assert (reply.status, reply.body) == (200, b"{}")
    assert reply.headers == ((b"Server", b"x"), (b"Content-Length", b"2"))


@pytest.mark.parametrize(
    "odd",
    [
        PLAIN[:-1],
        PLAIN + b"x",
        PLAIN + PLAIN,
        PLAIN[:30],
        PLAIN.replace(b"HTTP/1.1", b"HTTP/1.0"),
        PLAIN.replace(b"200", b"100"),
        PLAIN.replace(b"200", b"204"),
        PLAIN.replace(b"Length: 2", b"Length: +2"),
        PLAIN.replace(b"Length: 2", b"Length: 2, 2"),
        PLAIN.replace(b"Server: x", b"Content-Length: 2"),
        PLAIN.replace(b"Server: x", b"Transfer-Encoding: chunked"),
        PLAIN.replace(b"Server: x", b"Connection: close"),
        PLAIN.replace(b"Server: x", b"Connection: Keep-Alive, Upgrade\r\nUpgrade: h2c"),
        PLAIN.replace(b"Server: x", b"Server: x\r\n folded"),
        b"HTTP/1.1 200 OK\r\n\r\n{}",
    ],
)
def test_all_that_is_odd_is_left_to_the_parser(odd: bytes) -> None:
    """Pieces, several answers, other framing, other connections."""
    assert whole_answer(odd) is None


token = st.text("abcXYZ-0123456789", min_size=1, max_size=12).map(str.encode)
value = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20).map(str.encode)


@given(
    status=st.sampled_from([200, 400, 413, 500, 503, 299]),
    headers=st.lists(st.tuples(token, value), max_size=6),
    place=st.integers(0, 6),
    body=st.binary(max_size=60),
    length_name=st.sampled_from([b"Content-Length", b"content-length", b"CONTENT-LENGTH"]),
    keep=st.sampled_from([b"", b"Connection: keep-alive\r\n", b"connection:Keep-Alive\r\n"]),
)
def test_the_short_cut_and_the_parser_agree(
    status: int,
    headers: list[tuple[bytes, bytes]],
    place: int,
    body: bytes,
    length_name: bytes,
    keep: bytes,
) -> None:
    """Whatever the headers, an answer that the short cut takes is what the parser makes of it."""
    lines: list[Any] = [b"%b: %b\r\n" % pair for pair in headers]
    lines.insert(place, b"%b: %d\r\n" % (length_name, len(body)))
    data = b"HTTP/1.1 %d Some Reason\r\n%b%b\r\n%b" % (status, b"".join(lines), keep, body)
    reply = whole_answer(data)
    if reply is None:
        return
    heard = heard_answer(data)
    assert heard.whole
    assert heard.keep_alive
    assert reply.status == heard.parser.get_status_code()
    assert reply.body == heard.body
    assert [(n, v.strip()) for n, v in heard.headers] == list(reply.headers)
