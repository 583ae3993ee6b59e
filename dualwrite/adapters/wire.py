"""DynamoDB over HTTP, bytes in and bytes out: the only way service code reaches an engine."""

import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import orjson

from dualwrite.adapters.connection import Address, Limits, Reply
from dualwrite.adapters.pool import Pool
from dualwrite.adapters.sigv4 import Credentials, Headers, Signer
from dualwrite.core.encoding import in_json
from dualwrite.core.endpoints import endpoint_problem, streams_url
from dualwrite.core.errors import OutcomeUnknown, Refused, Unanswered
from dualwrite.core.operations import API, OF_STREAMS, OPERATIONS, STREAMS_API, Right
from dualwrite.core.ports import Clock, Dynamo

_MEMBERS_OF_TYPE = frozenset({"__type", "message", "Message"})


class WireClient(Dynamo):
    """One DynamoDB endpoint. Every request is signed and sent exactly once, never retried.

    ``credentials`` gives botocore's frozen credentials and is asked at most once a second.
    ``streams_endpoint_url`` is needed only where the streams API lives on a host of its own; AWS's
    own hosts are known.
    """

    def __init__(
        self,
        endpoint_url: str,
        *,
        region: str,
        credentials: Callable[[], Credentials],
        clock: Clock,
        connections_max: int = 64,
        timeout_seconds: float = 10.0,
        waiters_max: int = Limits._field_defaults["waiters_max"],
        idle_seconds_max: float = Limits._field_defaults["idle_seconds_max"],
        response_bytes_max: int = Limits._field_defaults["response_bytes_max"],
        streams_endpoint_url: str | None = None,
    ) -> None:
        limits = Limits(
            connections_max, waiters_max, timeout_seconds, idle_seconds_max, response_bytes_max
        )

        def endpoint(url: str) -> tuple[Signer, Pool]:
            address, host = _address(url)
            signer = Signer(host, region=region, credentials=credentials, wall_ms=clock.wall_ms)
            return signer, Pool(address, limits)

        self._signer, self._pool = endpoint(endpoint_url)
        there = streams_endpoint_url or streams_url(endpoint_url)
        self._streams_signer, self._streams_pool = (
            (self._signer, self._pool) if there == endpoint_url else endpoint(there)
        )

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        """Send one operation and return its answer.

        Raises Refused, Unreachable or OutcomeUnknown, of a read Unanswered; a 5xx is an unknown
        outcome.
        """
        api = STREAMS_API if operation in OF_STREAMS else API
        try:
            reply = await self.send(f"{api}.{operation}", in_json(request))
            return answer_of(operation, reply)
        except OutcomeUnknown as error:
            if OPERATIONS[operation].right is Right.READ:
                raise Unanswered(str(error)) from error
            raise

    async def send(self, target: str, body: bytes) -> Reply:
        """Send one signed request, e.g. to "DynamoDB_20120810.PutItem", and return what came.

        Raises Unreachable (nothing was sent) or OutcomeUnknown (no whole answer came).
        """
        if target.startswith(STREAMS_API):
            return await self._streams_pool.exchange(self._streams_signer.head(target, body), body)
        return await self._pool.exchange(self._signer.head(target, body), body)

    async def forward(self, headers: Headers, target: str, body: bytes) -> Reply:
        """Pass a client's request on: its headers (lower-case names) kept, its signature replaced
        by ours, its body and the answer untouched. Raises as ``send`` does."""
        if target.startswith(STREAMS_API):
            head = self._streams_signer.forward_head(headers, target, body)
            return await self._streams_pool.exchange(head, body)
        return await self._pool.exchange(self._signer.forward_head(headers, target, body), body)

    async def close(self) -> None:
        """Drop all connections; what is in flight ends as OutcomeUnknown."""
        await self._pool.close()
        if self._streams_pool is not self._pool:
            await self._streams_pool.close()


def answer_of(operation: str, reply: Reply) -> dict[str, Any]:
    """The body of a success. Raises Refused for a 4xx and OutcomeUnknown for all else."""
    status = reply.status
    if 400 <= status < 500:
        raise refusal(reply)
    if status != 200:
        raise OutcomeUnknown(f"{operation} was answered with HTTP status {status}")
    try:
        answer = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        answer = None
    if not isinstance(answer, dict):
        raise OutcomeUnknown(f"{operation} was answered with something that is no JSON object")
    return answer


def refusal(reply: Reply) -> Refused:
    """What a 4xx says, also where something other than DynamoDB said it."""
    try:
        fields = orjson.loads(reply.body)
    except orjson.JSONDecodeError:
        fields = None
    if not isinstance(fields, dict):
        return Refused("UnknownError", f"HTTP status {reply.status}", reply.status, {})
    code = str(fields.get("__type", "UnknownError")).rpartition("#")[2]
    message = fields.get("message", fields.get("Message"))
    rest = {name: value for name, value in fields.items() if name not in _MEMBERS_OF_TYPE}
    return Refused(code, "" if message is None else str(message), reply.status, rest)


def _address(url: str) -> tuple[Address, str]:
    """Where to connect, and the Host header. Raises ValueError for what is no endpoint."""
    problem = endpoint_problem(url)
    if problem is not None:
        raise ValueError(f"{url!r} {problem}")
    parts = urlsplit(url)
    assert parts.hostname is not None
    default = 443 if parts.scheme == "https" else 80
    port = parts.port or default
    name = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    host = name if port == default else f"{name}:{port}"
    tls = ssl.create_default_context() if parts.scheme == "https" else None
    return Address(parts.hostname, port, tls), host
