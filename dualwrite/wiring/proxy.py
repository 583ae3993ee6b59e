"""The process that serves applications."""

from random import Random

from dualwrite.adapters.big_transactions import BigTransactionCounts
from dualwrite.proxy.health import Health
from dualwrite.proxy.proxy import Proxy
from dualwrite.proxy.server import HttpReply, HttpRequest, Server
from dualwrite.settings import Role, Settings
from dualwrite.wiring.process import Parts, port_in_use, run, running


def run_proxy(settings: Settings) -> None:
    """Serve until a signal; raises DualwriteError where it cannot start or go on."""
    run(settings, _proxy)


async def _proxy(parts: Parts) -> None:
    settings = parts.settings
    server = Server(
        _not_yet, host=settings.host, port=settings.port, reuse_port=settings.reuse_port
    )
    with port_in_use("--port", settings.port):
        port = await server.start()
    random = Random()
    health = Health(parts.clock, parts.metrics, random)
    member = parts.member(Role.PROXY, port, health.held_back)
    proxy = Proxy(
        parts.dynamo,
        parts.migration,
        member,
        parts.parents(member),
        parts.repairs(),
        parts.clock,
        parts.metrics,
        process_id=parts.process_id,
        big_transactions=BigTransactionCounts(
            parts.records, parts.clock, process_id=parts.process_id
        ),
        random=random,
        follower=parts.connect(settings.follower_timeout_seconds),
        health=health,
    )
    await member.start()
    server.handler = proxy.handle
    # The lease is renewed until the last request in flight has ended.
    async with running(parts, member.run()):
        parts.ready(Role.PROXY, port)
        await parts.stop.wait()
        await server.stop(settings.grace_seconds)
        await member.stop()


async def _not_yet(_request: HttpRequest) -> HttpReply:
    """Clients that come before the lease is taken are asked to come again; SDKs do."""
    body = b'{"__type":"InternalServerError","message":"This proxy is starting."}'
    return HttpReply(503, ((b"content-type", b"application/x-amz-json-1.0"),), body)
