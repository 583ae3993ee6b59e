"""Which encoding an answer gets, and that it is one."""

import gzip
import zlib

import pytest

from dualwrite.proxy.answers import success
from dualwrite.proxy.encodings import PACKED_BYTES_MIN, accepted


@pytest.mark.parametrize(
    ("header", "encoding"),
    [
        ("gzip", "gzip"), ("deflate", "deflate"), ("GZIP, identity", "gzip"),
        ("gzip, deflate", "gzip"), ("br, identity, deflate, gzip", "deflate"),
        ("dog, gzip ,, cat", "gzip"), ("gzip;q=0.8, deflate;q=0.5", "gzip"),
        ("br, gzip;q=0, deflate; q = 0.5 , identity;q=0", "deflate"),
        ("*", "gzip"), ("*, deflate;q=0.5", "gzip"), ("*, deflate", "deflate"),
        ("*, identity", "gzip"), ("*, gzip;q=0.5", "deflate"), ("*;q=0.5,identity", "gzip"),
        ("gzip;q=0.5,identity;q=0.8", "gzip"), ("deflate;q=0.5, gzip;q=31", "gzip"),
        ("gzip;q=31,deflate;q=51", "gzip"), ("deflate;q=0.5, gzip;q=0.2", "deflate"),
        ("deflate;q=0.5, gzip;q=1;q=0.2", "gzip"), ("deflate;q=0.5,gzip;q=0.", "deflate"),
        ("deflate;q=0.5,gzip;q=0.x", "gzip"), ("deflate;q=-0.5,gzip;q=0.2", "gzip"),
        ("gzip;q=0, gzip;q=1, gzip;q=0", "gzip"), ("br,identity;q=0.5,gzip;q=0.0001", "gzip"),
        ("deflate;q=0.5,gzip;q=", "gzip"), ("deflate;q=0.5,gzip;q=.", "gzip"),
    ],
)  # fmt: skip
def test_what_a_client_takes(header: str, encoding: str) -> None:
    """Order, weights, wildcards, and what DynamoDB was seen to make of wrong ones."""
    assert accepted(header.encode()) == encoding.encode()


@pytest.mark.parametrize(
    "header",
    ["", "identity", "br", "zstd", "compress", "x-gzip", "gzip ;q=0", "identity;q=0", "*;q=0",
     "br;q=0.8,identity;q=0.5,*;q=0", '"gzip"', "gzip br", "gzip:q=1", "gzip;nq=1;q=0 "],
)  # fmt: skip
def test_what_it_does_not_take(header: str) -> None:
    """Then it gets the answer as it is."""
    assert accepted(header.encode()) is None


def test_an_answer_is_packed_from_four_kilobytes_on() -> None:
    """Its checksum is that of the packed bytes; smaller ones stay as they are."""
    body = b"x" * PACKED_BYTES_MIN
    for encoding, unpack in ((b"gzip", gzip.decompress), (b"deflate", zlib.decompress)):
        asked = ((b"accept-encoding", encoding),)
        reply = success(body, "id", asked)
        headers = dict(reply.headers)
        assert headers[b"content-encoding"] == encoding
        assert headers[b"x-amz-crc32"] == b"%d" % zlib.crc32(reply.body)
        assert unpack(reply.body) == body
        assert success(body[1:], "id", asked).body == body[1:]
    plain = success(body, "id", ((b"accept-encoding", b"identity"),))
    assert plain.body == body
    assert b"content-encoding" not in dict(plain.headers)
