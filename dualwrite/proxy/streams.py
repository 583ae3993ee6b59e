"""Streams of managed tables, read through the proxy.

An iterator is opaque and names no table, so those of managed streams are wrapped: whichever proxy
gets one back knows whose records come and what to leave out of them. Nothing is kept here.
"""

from dualwrite.core.requests import Body
from dualwrite.core.stream_view import client_record, unwrapped, wrapped
from dualwrite.proxy.messages import Answer, HttpRequest
from dualwrite.proxy.passing import answer_in, ask, with_body
from dualwrite.proxy.services import Services


async def iterator(
    services: Services, request: HttpRequest, target: str, body: Body, table_name: str
) -> Answer:
    """GetShardIterator on the stream of a managed table, ``table_name`` its physical name."""
    reply = await ask(services, request, target, body)
    answer = answer_in(reply)
    if answer is None or "ShardIterator" not in answer:
        return reply
    return with_body(reply, {**answer, "ShardIterator": wrapped(answer["ShardIterator"],
                                                                table_name)})  # fmt: skip


async def records(services: Services, request: HttpRequest, target: str, body: Body) -> Answer:
    """GetRecords under a wrapped iterator: a page may lose records, even all; only an answer
    without a next iterator ends a shard."""
    found = unwrapped(body.get("ShardIterator"))
    assert found is not None, "only wrapped iterators name a table"
    table_name, inner = found
    reply = await ask(services, request, target, {**body, "ShardIterator": inner})
    answer = answer_in(reply)
    if answer is None:
        return reply
    shown = [client_record(record) for record in answer.get("Records") or ()]
    answer["Records"] = [record for record in shown if record is not None]
    if answer.get("NextShardIterator"):
        answer["NextShardIterator"] = wrapped(answer["NextShardIterator"], table_name)
    return with_body(reply, answer)
