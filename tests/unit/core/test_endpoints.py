"""Which host serves the streams of which."""

import pytest
from botocore.endpoint_provider import EndpointProvider
from botocore.loaders import create_loader

from dualwrite.core.endpoints import streams_url

LOADER = create_loader()


def url_of(service: str, region: str, *, fips: bool, dual: bool) -> str:
    """Where botocore's rules send a service's requests."""
    rules = LOADER.load_service_model(service, "endpoint-rule-set-1")
    provider = EndpointProvider(rules, LOADER.load_data("partitions"))
    found = provider.resolve_endpoint(Region=region, UseFIPS=fips, UseDualStack=dual)
    return str(found.url)


@pytest.mark.parametrize("region", ["eu-west-1", "us-east-1", "cn-north-1", "us-gov-west-1"])
@pytest.mark.parametrize("fips", [False, True])
@pytest.mark.parametrize("dual", [False, True])
def test_streams_are_where_botocore_looks_for_them(region: str, *, fips: bool, dual: bool) -> None:
    """For each kind of host that AWS has."""
    tables = url_of("dynamodb", region, fips=fips, dual=dual)
    assert streams_url(tables) == url_of("dynamodbstreams", region, fips=fips, dual=dual)


def test_an_account_s_own_host_has_its_regions_streams() -> None:
    """botocore prefers such a host where it knows the account."""
    own = "https://123456789012.ddb.eu-west-1.amazonaws.com"
    assert streams_url(own) == "https://streams.dynamodb.eu-west-1.amazonaws.com"


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:4566", "http://dynamodb:8000", "https://dynamodb.example.com"]
)
def test_others_serve_both_from_one_host(url: str) -> None:
    """Nothing is guessed of a host that is not AWS's."""
    assert streams_url(url) == url
