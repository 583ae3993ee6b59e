"""Requests that are put to the engine in other words than the client's."""

import asyncio
from typing import Any

from dualwrite.proxy.messages import HttpReply, HttpRequest
from dualwrite.proxy.passing import ask, error_code
from tests.fakes.clock import VirtualClock


class Heard:
    """An engine that keeps what it was sent."""

    def __init__(self) -> None:
        self.engine, self.clock = self, VirtualClock()
        self.sent: list[Any] = []

    async def forward(self, headers: Any, target: str, body: bytes) -> HttpReply:
        self.sent.append((headers, target, body))
        return HttpReply(200, (), b"{}")


def test_what_is_asked_is_not_told_to_be_compressed() -> None:
    """The client's body was: the one that takes its place is not."""
    headers = ((b"content-encoding", b"gzip"), (b"accept-encoding", b"gzip"), (b"x-own", b"1"))
    request = HttpRequest(b"POST", b"/", headers, b"packed", decoded=b"{}")
    services: Any = Heard()
    asyncio.run(ask(services, request, "DynamoDB_20120810.ListTables", {"Limit": 3}))
    assert services.sent == [(((b"x-own", b"1"),), "DynamoDB_20120810.ListTables", b'{"Limit":3}')]


def test_the_type_of_an_error() -> None:
    """Only a 4xx in DynamoDB's form tells one."""
    told = b'{"__type":"com.amazon.coral.validate#ValidationException","Message":"x"}'
    assert error_code(HttpReply(400, (), told)) == "ValidationException"
    for status, body in ((200, told), (500, told), (400, b"<html>"), (400, b"[]"), (400, b"{}")):
        assert error_code(HttpReply(status, (), body)) == ""
