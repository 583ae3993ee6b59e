"""Frozen settings of one process, parsed once from the command line and the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from dualwrite.core.endpoints import endpoint_problem
from dualwrite.core.errors import DualwriteError
from dualwrite.core.spec import HOME, Migration, Place
from dualwrite.queue_url import QueueUrlError, parse_kafka, parse_queue

LOOPBACK = "127.0.0.1"
_LOOPBACK_HOSTS = frozenset({LOOPBACK, "localhost", "::1"})
PORT_MAX = 65_535
WORKERS_MAX = 64


class SettingsError(DualwriteError):
    """A process cannot be started with these settings; the message says which and why."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Where a process finds its migration and its engine, and where it is found itself."""

    spec: Path
    endpoint_url: str
    region: str = "us-east-1"
    host: str = LOOPBACK
    port: int = 0
    """0: a free one; the ready line says which."""
    metrics_port: int = 0
    lease_seconds: float = 3.0
    upstream_connections_max: int = 64
    upstream_timeout_seconds: float = 10.0
    follower_timeout_seconds: float = 3.0
    """How long a client may wait for a follower that does not answer."""
    grace_seconds: float = 5.0
    """How long a stopping proxy lets the requests in flight end."""
    keys: Path | None = None
    """The key file; None: callers are not verified, and the proxy stays on loopback."""
    tls_cert: Path | None = None
    tls_key: Path | None = None
    """Together with ``tls_cert``: the proxy listens with TLS."""
    workers: int = 1
    """Processes that share a proxy's port."""
    reuse_port: bool = False
    """True: this process is one of them."""
    queue: str = "memory"
    """Where consumers share their work; see ``queue_url``."""
    feed: str = ""
    """Where consumers tell each committed write; nowhere where empty."""
    feed_images: bool = False
    """True: the feed shows the items too."""
    supervised: bool = False
    """True: stop when standard input ends, so that nobody outlives the process that started us."""

    old_place: Place = HOME
    new_place: Place = HOME
    """What the environment says of one side alone; it wins over the spec."""

    @property
    def engine_is_local(self) -> bool:
        """Whether the endpoint is on this machine, where credentials mean nothing."""
        return is_local(self.endpoint_url)

    def located(self, migration: Migration) -> Migration:
        """The migration with both places whole: the environment's word, else the spec's, else what
        this process was told for both."""
        both = Place(self.endpoint_url, self.region, None, self.upstream_timeout_seconds)
        return replace(
            migration,
            old_place=self.old_place.over(migration.old_place).over(both),
            new_place=self.new_place.over(migration.new_place).over(both),
        )


def is_local(endpoint_url: str) -> bool:
    """Whether an engine is on this machine, where credentials mean nothing."""
    return urlsplit(endpoint_url).hostname in _LOOPBACK_HOSTS


def parse(
    spec: Path,
    endpoint_url: str | None,
    *,
    region: str | None = None,
    host: str = LOOPBACK,
    port: int = 0,
    metrics_port: int = 0,
    lease_seconds: float = 3.0,
    keys: Path | None = None,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    workers: int = 1,
    reuse_port: bool = False,
    queue: str = "memory",
    feed: str = "",
    feed_images: bool = False,
    supervised: bool = False,
    environment: Mapping[str, str] = os.environ,
) -> Settings:
    """Check all of it at once. ``environment`` fills what was not given: DUALWRITE_ENDPOINT, then
    AWS_REGION and AWS_DEFAULT_REGION. Raises SettingsError."""
    endpoint = endpoint_url or environment.get("DUALWRITE_ENDPOINT") or ""
    _check_endpoint("--endpoint", endpoint)
    _check_host(host, keys)
    if (tls_cert is None) != (tls_key is None):
        raise SettingsError("--tls-cert and --tls-key belong together: give both or none")
    for name, value in (("--port", port), ("--metrics-port", metrics_port)):
        if not 0 <= value <= PORT_MAX:
            raise SettingsError(f"{name} {value} is no port: 0 (a free one) to {PORT_MAX}")
    if metrics_port and metrics_port + workers - 1 > PORT_MAX:
        raise SettingsError(f"--metrics-port {metrics_port} leaves no room for {workers} workers")
    if lease_seconds <= 0:
        raise SettingsError(f"--lease-seconds {lease_seconds} must be above 0")
    try:
        parse_queue(queue)
    except QueueUrlError as error:
        raise SettingsError(f"--queue {error}") from None
    try:
        if feed:
            parse_kafka(feed)
    except QueueUrlError as error:
        raise SettingsError(f"--feed {error}") from None
    return Settings(
        old_place=_place("OLD", environment),
        new_place=_place("NEW", environment),
        spec=spec,
        endpoint_url=endpoint.rstrip("/"),
        region=region
        or environment.get("AWS_REGION")
        or environment.get("AWS_DEFAULT_REGION")
        or "us-east-1",
        host=host,
        port=port,
        metrics_port=metrics_port,
        lease_seconds=lease_seconds,
        keys=keys,
        tls_cert=tls_cert,
        tls_key=tls_key,
        workers=workers,
        reuse_port=reuse_port,
        queue=queue,
        feed=feed,
        feed_images=feed_images,
        supervised=supervised,
    )


def _check_endpoint(name: str, url: str) -> None:
    problem = endpoint_problem(url)
    if problem is not None:
        raise SettingsError(f"{name} {url!r} {problem}")


def _check_host(host: str, keys: Path | None) -> None:
    try:
        address = ip_address(host)
    except ValueError:
        raise SettingsError(
            f"--host {host} is no IP address; for example {LOOPBACK}, 0.0.0.0 or ::"
        ) from None
    if keys is None and not address.is_loopback:
        raise SettingsError(
            f"--host {host} is refused without --keys: the proxy signs with credentials that can "
            "write all tables, so who may call must be told before others can reach it"
        )


def serving_arguments_of(settings: Settings) -> tuple[str, ...]:
    """What only a proxy among the children is started with."""
    given = (
        ("--host", settings.host),
        ("--keys", settings.keys),
        ("--tls-cert", settings.tls_cert),
        ("--tls-key", settings.tls_key),
    )
    return tuple(str(part) for pair in given if pair[1] is not None for part in pair)


def _place(side: str, environment: Mapping[str, str]) -> Place:
    """DUALWRITE_OLD_ENDPOINT, _REGION, _PROFILE and _TIMEOUT_SECONDS, and the same for NEW."""

    def told(name: str) -> str | None:
        return environment.get(f"DUALWRITE_{side}_{name}") or None

    url = told("ENDPOINT")
    if url is not None:
        _check_endpoint(f"DUALWRITE_{side}_ENDPOINT", url)
    timeout = told("TIMEOUT_SECONDS")
    try:
        seconds = None if timeout is None else float(timeout)
    except ValueError:
        seconds = 0.0
    if seconds is not None and seconds <= 0:
        raise SettingsError(f"DUALWRITE_{side}_TIMEOUT_SECONDS {timeout!r} must be above 0")
    return Place(url and url.rstrip("/"), told("REGION"), told("PROFILE"), seconds)


def arguments_of(settings: Settings) -> tuple[str, ...]:
    """What a child process is started with, so that it parses to the same settings; its ports are
    its supervisor's to give."""
    return (
        *("--spec", str(settings.spec), "--endpoint", settings.endpoint_url),
        *("--region", settings.region, "--lease-seconds", str(settings.lease_seconds)),
        "--supervised",
    )


def consumer_arguments_of(settings: Settings) -> tuple[str, ...]:
    """The same for what consumers alone are told."""
    feed = ("--feed", settings.feed) if settings.feed else ()
    images = ("--feed-images",) if settings.feed_images else ()
    return ("--queue", settings.queue, *feed, *images)
