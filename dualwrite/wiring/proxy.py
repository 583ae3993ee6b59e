"""The process that serves applications."""

import asyncio
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from random import Random

from dualwrite.adapters import key_file, tls
from dualwrite.adapters.big_transactions import BigTransactionCounts
from dualwrite.adapters.reach import Reach
from dualwrite.adapters.reloading import Reloading
from dualwrite.control.member import Member
from dualwrite.core.callers import Keyring
from dualwrite.core.errors import LeaseExpired
from dualwrite.core.phases import Kind, Side
from dualwrite.core.records import Role
from dualwrite.proxy.front import Front
from dualwrite.proxy.health import Health
from dualwrite.proxy.proxy import Proxy
from dualwrite.proxy.server import HttpReply, HttpRequest, Server
from dualwrite.settings import Settings
from dualwrite.wiring.process import Parts, port_in_use, run, running


def run_proxy(settings: Settings) -> None:
    """Serve until a signal; raises DualwriteError where it cannot start or go on."""
    run(settings, _proxy)


async def _proxy(parts: Parts) -> None:
    with ExitStack() as stack:
        callers = stack.enter_context(_callers(parts))
        context = stack.enter_context(_certificate(parts))
        await _serve(parts, callers, context)


async def _serve(parts: Parts, callers: "Callers", context: ssl.SSLContext | None) -> None:
    settings = parts.settings
    server = Server(
        _not_yet,
        host=settings.host,
        port=settings.port,
        reuse_port=settings.reuse_port,
        tls=context,
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
        follower=parts.engines.tables(
            settings.upstream_connections_max, settings.follower_timeout_seconds
        ),
        health=health,
    )
    front = Front(
        proxy.handle,
        region=settings.region,
        callers=callers,
        clock=parts.clock,
        metrics=parts.metrics,
    )
    await member.start()
    server.handler = front.handle
    runs = [member.run()]
    far = _far_side(parts, member)
    if far is not None:
        runs.append(far.run())
    # The lease is renewed until the last request in flight has ended.
    async with running(parts, *runs):
        parts.ready(Role.PROXY, port)
        await parts.stop.wait()
        await server.stop(settings.grace_seconds)
        await member.stop()


class Callers:
    """The keys of the moment; None where callers are not verified."""

    def __init__(self, keyring: Keyring | None) -> None:
        self.keyring = keyring

    def __call__(self) -> Keyring | None:
        return self.keyring


@contextmanager
def _callers(parts: Parts) -> Iterator[Callers]:
    """The key file, read again when it changes. Raises UnusableFile."""
    path = parts.settings.keys
    if path is None:
        yield Callers(None)
        return
    reloading = Reloading((path,), parts.clock)
    callers = Callers(key_file.load(path, parts.migration))

    def reload() -> None:
        callers.keyring = key_file.load(path, parts.migration)

    with _reloaded(reloading, reload):
        yield callers


@contextmanager
def _certificate(parts: Parts) -> Iterator[ssl.SSLContext | None]:
    """The listening side's certificate, read again when it changes. Raises UnusableFile."""
    certificate, key = parts.settings.tls_cert, parts.settings.tls_key
    if certificate is None or key is None:
        yield None
        return
    reloading = Reloading((certificate, key), parts.clock)
    context = tls.context_for(certificate, key)
    with _reloaded(reloading, lambda: tls.renew(context, certificate, key)):
        yield context


@contextmanager
def _reloaded(reloading: Reloading, reload: Callable[[], None]) -> Iterator[None]:
    task = asyncio.create_task(reloading.run(reload))
    try:
        yield
    finally:
        task.cancel()


def _far_side(parts: Parts, member: Member) -> Reach | None:
    """Watches the new side where no lease tells that it is reached: the control table is elsewhere.
    A process is not ready while a side that serves its clients is silent."""
    migration = parts.migration
    moved = [table for table in migration.tables if table.kind is Kind.REKEY]
    if not migration.apart or not moved:
        return None
    reach = Reach(parts.dynamo, moved[0].new.name, parts.clock)

    def check() -> str | None:
        try:
            states = [member.current(table.name) for table in moved]
        except LeaseExpired:
            return None  # the lease has its own line
        serves = any(state.phase.leader is Side.NEW or state.read_share for state in states)
        return "the new side's engine does not answer" if serves and not reach.reached() else None

    parts.readiness.require(check)
    return reach


async def _not_yet(_request: HttpRequest) -> HttpReply:
    """Clients that come before the lease is taken are asked to come again; SDKs do."""
    body = b'{"__type":"InternalServerError","message":"This proxy is starting."}'
    return HttpReply(503, ((b"content-type", b"application/x-amz-json-1.0"),), body)
