"""The whole way from a client's socket to the engine: what hides a managed table, HTTP's edge."""

import gzip
import http.client
import json
import socket
import threading
import zlib
from collections.abc import Iterator
from typing import Any

import pytest

from dualwrite.core.phases import Phase, Side
from tests.proxy_harness import AUTHORIZATION, Rig, a_rig, create_table

PREFIX = "front-"
NOTES = PREFIX + "notes"
OTHERS = PREFIX + "notes-others"
PUT = "DynamoDB_20120810.PutItem"
CONNECTIONS = 400


@pytest.fixture(scope="module")
def shared(engine: str, boto: Any) -> Iterator[Rig]:
    with a_rig(engine, boto, PREFIX) as made:
        create_table(boto, made.tables["notes"].old, OTHERS)
        yield made


@pytest.fixture
def rig(shared: Rig) -> Rig:
    shared.stand(Phase.MIRROR_OLD)
    return shared


def put_of(number: str, table: str = NOTES) -> bytes:
    item = {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": number}}
    return json.dumps({"TableName": table, "Item": item}).encode()


def post(rig: Rig, body: bytes, target: str = PUT, **more: str) -> tuple[int, bytes]:
    headers = {
        "x-amz-target": target,
        "authorization": AUTHORIZATION,
        "content-type": "application/x-amz-json-1.0",
        **{name.replace("_", "-"): value for name, value in more.items()},
    }
    connection = http.client.HTTPConnection("127.0.0.1", int(rig.url.rpartition(":")[2]))
    try:
        connection.request("POST", "/", body, headers)
        reply = connection.getresponse()
        return reply.status, reply.read()
    finally:
        connection.close()


def numbers(rig: Rig, side: Side) -> set[str]:
    return {item["note_id"]["S"] for item in rig.items("notes", side)}


@pytest.mark.parametrize(
    ("number", "encoding"),
    [("gzip", "gzip"), ("deflate", "deflate"), ("utf-16", None), ("utf-32-be", None)],
)
def test_no_encoding_takes_a_write_past_the_other_side(
    rig: Rig, number: str, encoding: str | None
) -> None:
    """An engine would have written it: compressed or in another text encoding, it is mirrored."""
    body = put_of(number)
    if encoding is None:
        status, _ = post(rig, body.decode().encode(number))
    else:
        packed = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
        status, _ = post(rig, packed, content_encoding=encoding)
    assert status == 200
    assert number in numbers(rig, Side.OLD) & numbers(rig, Side.NEW)


def test_what_cannot_be_decoded_is_not_written(rig: Rig) -> None:
    """DynamoDB's error of its own, and nothing on either side."""
    for encoding, body in (("gzip", put_of("broken")), ("br", put_of("broken"))):
        status, error = post(rig, body, content_encoding=encoding)
        assert (status, b"InternalServerError" in error) == (500, True)
    assert "broken" not in numbers(rig, Side.OLD) | numbers(rig, Side.NEW)


@pytest.mark.parametrize(
    ("target", "body", "kind"),
    [
        ("DynamoDB_20111205.PutItem", put_of("v1"), b"UnknownOperationException"),
        ("PutItem", put_of("v1"), b"UnknownOperationException"),
        (f"{PUT}.", put_of("v1"), b"UnknownOperationException"),
        (f"{PUT}.x", put_of("v1"), b"UnknownOperationException"),
        (f"{PUT};", put_of("v1"), b"UnknownOperationException"),
        ("DynamoDB_20120810.x.PutItem", put_of("v1"), b"UnknownOperationException"),
        ("DynamoDBStreams_20120810.PutItem", put_of("v1"), b"UnknownOperationException"),
        (f"{PUT}.", put_of("v1").replace(b"front", rb"\u0066ront"), b"UnknownOperationException"),
        (PUT, put_of("twice").replace(b"{", b'{"TableName":"%b",' % NOTES.encode(), 1).replace(
            b'"TableName": "front-notes"', b'"TableName":"front-notes-others"'),
         b"SerializationException"),
    ],
)  # fmt: skip
def test_no_trick_takes_a_write_past_the_other_side(
    rig: Rig, target: str, body: bytes, kind: bytes
) -> None:
    """An unknown API, an operation with something behind it, which an engine may take
    for the operation, and a table named twice are refused."""
    status, error = post(rig, body, target)
    assert (status, kind in error) == (400, True)
    assert not {"v1", "twice"} & (numbers(rig, Side.OLD) | numbers(rig, Side.NEW))


@pytest.mark.parametrize("blanks", [" ", "\t", " \t "])
def test_blanks_behind_a_header_are_no_part_of_it(rig: Rig, blanks: str) -> None:
    """Nor do they take a write past the other side (RFC 9110, 5.5)."""
    number = f"blank-{len(blanks)}-{ord(blanks[0])}"
    assert post(rig, put_of(number), PUT + blanks)[0] == 200
    assert number in numbers(rig, Side.OLD) & numbers(rig, Side.NEW)


def test_an_unmanaged_table_gets_the_bytes_that_came(rig: Rig) -> None:
    """A compressed request reaches the engine compressed."""
    status, _ = post(rig, gzip.compress(put_of("1", OTHERS)), content_encoding="gzip")
    assert status == 200
    assert rig.engine.scan(TableName=OTHERS)["Count"] == 1


def test_a_long_answer_is_packed_for_who_takes_that(rig: Rig) -> None:
    """The proxy's own answers too, with the checksum of what is sent."""
    long = put_of("long").replace(b'"Item": {', b'"Item": {"t": {"S": "%b"}, ' % (b"x" * 5000))
    assert post(rig, long)[0] == 200
    key = {"endpoint_id": {"S": "acme-prod"}, "note_id": {"S": "long"}}
    body = json.dumps({"TableName": NOTES, "Key": key, "ConsistentRead": True}).encode()
    get = "DynamoDB_20120810.GetItem"
    status, packed = post(rig, body, get, accept_encoding="gzip")
    assert (status, post(rig, body, get)) == (200, (200, gzip.decompress(packed)))


def test_a_request_of_sixteen_megabytes_is_taken_and_a_larger_one_is_not(rig: Rig) -> None:
    """To the engine it goes whole; beyond, the client hears 413 and no reset."""
    listing = "DynamoDB_20120810.ListTables"
    size = 16 * 1024 * 1024
    assert post(rig, b"{" + b" " * (size - 2) + b"}", listing)[0] == 200
    assert post(rig, b"{" + b" " * (size + 70_000) + b"}", listing)[0] == 413


def test_hundreds_of_connections_are_served_at_once(rig: Rig) -> None:
    """All are open before the first request goes out, each is answered, and then again."""
    port = int(rig.url.rpartition(":")[2])
    body = json.dumps({"TableName": NOTES, "Key": {
        "endpoint_id": {"S": "acme-prod"}, "note_id": {"S": "none"}}}).encode()  # fmt: skip
    head = (
        f"POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: DynamoDB_20120810.GetItem\r\n"
        f"content-type: application/x-amz-json-1.0\r\nauthorization: {AUTHORIZATION}\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    ).encode()
    sockets = [socket.create_connection(("127.0.0.1", port), 60) for _ in range(CONNECTIONS)]
    lock, statuses = threading.Lock(), []

    def ask(part: list[socket.socket]) -> None:
        for _ in range(2):
            for each in part:
                each.sendall(head + body)
            for each in part:
                with lock:
                    statuses.append(each.recv(65536)[9:12])

    threads = [threading.Thread(target=ask, args=(sockets[n::8],)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for each in sockets:
        each.close()
    assert statuses == [b"200"] * (2 * CONNECTIONS)
