"""Settings are checked once, before anything is opened."""

from pathlib import Path

import pytest

from dualwrite.core.spec import Migration, Place
from dualwrite.settings import (
    LOOPBACK,
    SettingsError,
    arguments_of,
    parse,
    serving_arguments_of,
)

SPEC = Path("migration.toml")
URL = "http://127.0.0.1:8000"


def test_what_was_given_stands() -> None:
    """Options win over the environment, and a trailing slash makes no other endpoint."""
    settings = parse(
        SPEC,
        URL + "/",
        region="eu-west-1",
        port=1,
        metrics_port=2,
        environment={"DUALWRITE_ENDPOINT": "http://other", "AWS_REGION": "us-west-2"},
    )
    assert (settings.endpoint_url, settings.region) == (URL, "eu-west-1")
    assert (settings.host, settings.port, settings.metrics_port) == (LOOPBACK, 1, 2)


@pytest.mark.parametrize(
    ("environment", "region"),
    [
        ({"AWS_REGION": "a", "AWS_DEFAULT_REGION": "b"}, "a"),
        ({"AWS_DEFAULT_REGION": "b"}, "b"),
        ({}, "us-east-1"),
    ],
)
def test_the_environment_fills_in(environment: dict[str, str], region: str) -> None:
    """Endpoint and Region come from the environment where the command line is silent."""
    settings = parse(SPEC, None, environment=environment | {"DUALWRITE_ENDPOINT": URL})
    assert (settings.endpoint_url, settings.region) == (URL, region)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7"])
def test_others_reach_a_proxy_only_where_callers_are_verified(host: str) -> None:
    """Beyond loopback a key file is needed, and the refusal says why."""
    with pytest.raises(SettingsError, match="is refused without --keys"):
        parse(SPEC, URL, host=host)
    keys = Path("keys.toml")
    settings = parse(SPEC, URL, host=host, keys=keys)
    assert (settings.host, settings.keys) == (host, keys)


def test_loopback_needs_no_keys() -> None:
    """Whichever of its addresses; a name may stand for several and is none."""
    for host in ("127.0.0.1", "127.0.0.2", "::1"):
        assert parse(SPEC, URL, host=host).host == host
    for name in ("example.org", "localhost", ""):
        with pytest.raises(SettingsError, match="no IP address"):
            parse(SPEC, URL, host=name, keys=Path("keys.toml"))


def test_a_certificate_and_its_key_belong_together() -> None:
    """One without the other is refused."""
    pem = Path("a.pem")
    assert parse(SPEC, URL, tls_cert=pem, tls_key=pem).tls_key == pem
    for given in ({"tls_cert": pem}, {"tls_key": pem}):
        with pytest.raises(SettingsError, match="belong together"):
            parse(SPEC, URL, **given)  # type: ignore[arg-type]  # either of the two options


def test_a_proxy_among_children_is_told_what_it_needs() -> None:
    """And nothing that was not given."""
    plain = parse(SPEC, URL)
    assert serving_arguments_of(plain) == ("--host", LOOPBACK)
    pem = Path("a.pem")
    full = parse(SPEC, URL, host="::", keys=Path("k"), tls_cert=pem, tls_key=pem)
    assert serving_arguments_of(full) == (
        *("--host", "::", "--keys", "k", "--tls-cert", "a.pem", "--tls-key", "a.pem"),
    )


@pytest.mark.parametrize(
    "url", ["", "127.0.0.1:8000", "ftp://host", "http://", "http://h/path", "http://h?x=1"]
)
def test_an_endpoint_is_a_url(url: str) -> None:
    """What is no http(s) URL of a host is refused with an example of one, whoever names it."""
    with pytest.raises(SettingsError, match=r"for example http://127.0.0.1:4566"):
        parse(SPEC, url, environment={})
    if url:
        with pytest.raises(SettingsError, match=r"^DUALWRITE_NEW_ENDPOINT .*for example http://"):
            parse(SPEC, URL, environment={"DUALWRITE_NEW_ENDPOINT": url})


def test_a_port_that_is_none_is_told_too() -> None:
    """In the words of who found it."""
    with pytest.raises(SettingsError, match=r"DUALWRITE_OLD_ENDPOINT .* is no URL of an engine"):
        parse(SPEC, URL, environment={"DUALWRITE_OLD_ENDPOINT": "http://127.0.0.1:abc"})


def test_a_wrong_queue_and_a_wrong_feed_are_told_apart() -> None:
    """By the name of the option."""
    with pytest.raises(SettingsError, match=r"^--queue "):
        parse(SPEC, URL, queue="rabbit", feed="kafka://h:1/p")
    with pytest.raises(SettingsError, match=r"^--feed "):
        parse(SPEC, URL, feed="rabbit")


@pytest.mark.parametrize(
    ("port", "metrics_port", "option"), [(-1, 0, "--port"), (0, 65_536, "--metrics-port")]
)
def test_a_port_is_a_port(port: int, metrics_port: int, option: str) -> None:
    """The refusal names the option."""
    with pytest.raises(SettingsError, match=f"^{option} "):
        parse(SPEC, URL, port=port, metrics_port=metrics_port)


def test_a_lease_has_a_length() -> None:
    """A lease of no time would let nobody work."""
    with pytest.raises(SettingsError, match="--lease-seconds"):
        parse(SPEC, URL, lease_seconds=0)


@pytest.mark.parametrize(
    ("url", "local"),
    [
        (URL, True),
        ("http://localhost:1", True),
        ("http://[::1]:1", True),
        ("https://dynamodb.us-east-1.amazonaws.com", False),
    ],
)
def test_a_local_engine_is_known_by_its_address(url: str, local: bool) -> None:
    """Only an engine on this machine is spoken to with made-up credentials."""
    assert parse(SPEC, url).engine_is_local is local


def test_workers_need_room_for_their_metrics_ports() -> None:
    """Each worker has a metrics port; a first one without room after it is refused."""
    with pytest.raises(SettingsError, match="no room for 3 workers"):
        parse(SPEC, URL, metrics_port=65_534, workers=3)


def test_a_child_is_started_with_its_parents_settings() -> None:
    """What a supervisor hands on names the same engine, Region and lease."""
    arguments = arguments_of(parse(SPEC, URL, region="eu-west-1", lease_seconds=1.5))
    told = dict(zip(arguments[:-1:2], arguments[1::2], strict=True))
    assert told == {"--spec": str(SPEC), "--endpoint": URL, "--region": "eu-west-1",
                    "--lease-seconds": "1.5"}  # fmt: skip
    assert arguments[-1] == "--supervised"


def test_places_are_what_the_environment_the_spec_and_the_process_say() -> None:
    """In this order, field by field; sides that end up in one place are together."""
    spec = Migration("m", "#", (), "control", new_place=Place("http://far", "r-2", "p", 3.0))
    plain = parse(SPEC, URL, region="r-1", environment={})
    located = plain.located(spec)
    assert located.old_place == Place(URL, "r-1", None, 10.0)
    assert located.new_place == Place("http://far", "r-2", "p", 3.0)
    assert located.apart
    told = {"DUALWRITE_NEW_ENDPOINT": URL + "/", "DUALWRITE_NEW_REGION": "r-1",
            "DUALWRITE_OLD_PROFILE": "p", "DUALWRITE_NEW_TIMEOUT_SECONDS": "2.5"}  # fmt: skip
    near = parse(SPEC, URL, region="r-1", environment=told).located(spec)
    assert near.new_place == Place(URL, "r-1", "p", 2.5)
    assert not near.apart
    assert near.timeout_seconds_max == 10.0


@pytest.mark.parametrize(
    ("name", "value"), [("ENDPOINT", "far"), ("TIMEOUT_SECONDS", "soon"), ("TIMEOUT_SECONDS", "0")]
)
def test_a_wrong_place_is_refused_by_its_name(name: str, value: str) -> None:
    """The refusal names the variable."""
    with pytest.raises(SettingsError, match=f"DUALWRITE_NEW_{name}"):
        parse(SPEC, URL, environment={f"DUALWRITE_NEW_{name}": value})
