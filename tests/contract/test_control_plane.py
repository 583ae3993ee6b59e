"""The control plane through the proxy: what passes, what is refused, and what does not exist."""

import urllib.error
import urllib.request
from typing import Any

import boto3
import pytest
from botocore.config import Config

from dualwrite.core.phases import Phase, Side
from tests.contract.test_streams import of_the_rig
from tests.contract.twins import Twin
from tests.engines_chosen import EngineName
from tests.proxy_harness import AUTHORIZATION, Rig, outcome

SCHEMA = {
    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    "BillingMode": "PAY_PER_REQUEST",
}


def settled(answer: dict[str, Any]) -> Any:
    """An answer without the moment at which it was given."""
    if "TableDescription" not in answer:
        return answer
    told = answer["TableDescription"]
    return {name: value for name, value in told.items() if name != "BillingModeSummary"}


def listed(client: Any, limit: int, **parameters: Any) -> list[list[str]]:
    """All pages of ListTables."""
    pages = []
    while True:
        answer = client.list_tables(Limit=limit, **parameters)
        pages.append(answer["TableNames"])
        if "LastEvaluatedTableName" not in answer:
            return pages
        parameters["ExclusiveStartTableName"] = answer["LastEvaluatedTableName"]


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 100])
def test_tables_are_listed_as_if_the_services_own_were_not_there(rig: Rig, limit: int) -> None:
    """No page is short of a name, none ends with the hidden one, and the last one is not empty."""
    control = rig.migration.control_table
    wanted = [name for page in listed(rig.engine, 100) for name in page if name != control]
    pages = listed(rig.proxied, limit)
    assert [name for page in pages for name in page] == wanted
    assert [len(page) for page in pages[:-1]] == [limit] * (len(pages) - 1)
    assert pages[-1]


def test_a_page_before_the_hidden_name_is_the_last_one_if_nothing_else_follows(rig: Rig) -> None:
    """Wherever a page begins, it ends as it would without the hidden table."""
    control = rig.migration.control_table
    names = [name for page in listed(rig.engine, 100) for name in page]
    rest = names[names.index(control) + 1 :]
    start = {"ExclusiveStartTableName": names[names.index(control) - 2]}
    before = names[names.index(control) - 1]
    assert listed(rig.proxied, 1, **start) == [[name] for name in (before, *rest)]


@pytest.mark.parametrize("limit", [1, 2, 100])
def test_streams_are_listed_without_the_services_own(rig: Rig, limit: int) -> None:
    """By the same rules as tables."""
    proxied, engine = of_the_rig(rig)

    def streams(client: Any) -> list[str]:
        found: list[str] = []
        parameters: dict[str, Any] = {"Limit": limit}
        while True:
            answer = client.list_streams(**parameters)
            found += [stream["TableName"] for stream in answer["Streams"]]
            if "LastEvaluatedStreamArn" not in answer:
                return found
            parameters["ExclusiveStartStreamArn"] = answer["LastEvaluatedStreamArn"]

    control = rig.migration.control_table
    theirs = streams(engine)
    assert control in theirs
    # DynamoDB Local puts a page's streams in an order of its own, so only what is there compares.
    assert sorted(streams(proxied)) == sorted(name for name in theirs if name != control)


def test_the_services_own_table_cannot_be_reached(rig: Rig) -> None:
    """Not read, written, described or deleted, by name or ARN: it does not exist. Only its name is
    taken."""
    name = rig.migration.control_table
    described = rig.engine.describe_table(TableName=name)["Table"]
    key = {"pk": {"S": "a"}, "sk": {"S": "b"}}
    for target in (name, described["TableArn"]):
        for operation, parameters in (
            ("get_item", {"Key": key}), ("put_item", {"Item": key}), ("scan", {}),
            ("update_item", {"Key": key}), ("describe_table", {}), ("delete_table", {}),
            ("update_time_to_live", {"TimeToLiveSpecification": {"Enabled": False}}),
        ):  # fmt: skip
            heard = outcome(rig.proxied, operation, TableName=target, **parameters)
            assert heard["error"] == "ResourceNotFoundException", operation
    batch = {name: [{"PutRequest": {"Item": key}}]}
    heard = outcome(rig.proxied, "batch_write_item", RequestItems=batch)
    assert heard["error"] == "ResourceNotFoundException"
    streams, _ = of_the_rig(rig)
    heard = outcome(streams, "describe_stream", StreamArn=described["LatestStreamArn"])
    assert heard["error"] == "ResourceNotFoundException"
    heard = outcome(rig.proxied, "create_table", TableName=name, **SCHEMA)
    assert heard["error"] == "ResourceInUseException"
    assert rig.engine.scan(TableName=name)["Count"] == 0


def test_endpoint_discovery_finds_the_proxy(rig: Rig) -> None:
    """The address is the one that the client used, so that it stays before the service; an engine
    that knows no such call is heard itself."""
    plain, heard = (outcome(client, "describe_endpoints") for client in (rig.engine, rig.proxied))
    if "error" in plain:
        assert heard == plain
        return
    address = rig.url.removeprefix("http://")
    assert heard["Endpoints"] == [{"Address": address, "CachePeriodInMinutes": 1440}]


def test_a_client_that_discovers_endpoints_keeps_to_the_proxy(rig: Rig) -> None:
    """An SDK told to discover endpoints still reads through the proxy."""
    rig.stand(Phase.MIRROR_OLD)
    client = boto3.client(
        "dynamodb", endpoint_url=rig.url, region_name="us-east-1", aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(endpoint_discovery_enabled=True, retries={"total_max_attempts": 1}),
    )  # fmt: skip
    name = rig.tables["notes"].new.name
    assert client.scan(TableName=name)["Count"] == rig.proxied.scan(TableName=name)["Count"]


@pytest.mark.managed_only
def test_what_would_harm_a_migration_is_refused(twin: Twin) -> None:
    """With the reason, by name and ARN, and nothing is changed."""
    if twin.phase is Phase.DONE:
        pytest.skip("nothing is refused any more")
    name = twin.name("notes")
    table = twin.rig.engine.describe_table(TableName=name)["Table"]
    off = {"StreamSpecification": {"StreamEnabled": False}}
    targets = [name] if twin.rig.engine_name is EngineName.DYNOXIDE else [name, table["TableArn"]]
    for target in targets:
        for operation, parameters in (("delete_table", {}), ("update_table", off)):
            heard = outcome(twin.rig.proxied, operation, TableName=target, **parameters)
            assert heard["error"] == "ValidationException"
            assert "dualwrite refuses" in heard["message"]
            assert name in heard["message"]
    assert twin.rig.engine.describe_table(TableName=name)["Table"] == table


@pytest.mark.managed_only
def test_time_to_live_stands_where_the_lead_is(twin: Twin) -> None:
    """On the leader it passes, on the follower it is refused; off it passes anywhere."""
    if twin.phase is Phase.DONE:
        pytest.skip("there is no follower any more")
    name = twin.name("notes")
    spec = {"Enabled": True, "AttributeName": "until"}
    heard = outcome(twin.rig.proxied, "update_time_to_live", TableName=name,
                    TimeToLiveSpecification=spec)  # fmt: skip
    if twin.dialect is not twin.phase.leader:
        assert "only the leader may expire items" in heard["message"]
        return
    assert heard["TimeToLiveSpecification"] == spec
    outcome(twin.rig.proxied, "update_time_to_live", TableName=name,
            TimeToLiveSpecification={**spec, "Enabled": False})  # fmt: skip
    status = twin.rig.engine.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert status["TimeToLiveStatus"] == "DISABLED"


def test_what_does_no_harm_passes(twin: Twin) -> None:
    """Reading about a table, its throughput, tags; and creating it again is refused as ever."""
    name = twin.name("tasks")
    proxied, engine = twin.rig.proxied, twin.rig.engine
    assert outcome(proxied, "describe_table", TableName=name) == outcome(
        engine, "describe_table", TableName=name
    )
    for operation, parameters in (
        ("describe_time_to_live", {}),
        ("update_table", {"BillingMode": "PAY_PER_REQUEST"}),
        ("describe_continuous_backups", {}),
        ("create_table", SCHEMA),
    ):
        mine = outcome(proxied, operation, TableName=name, **parameters)
        plain = outcome(engine, operation, TableName=name, **parameters)
        assert settled(mine) == settled(plain)
    assert mine["error"] == "ResourceInUseException"


def test_before_the_migration_the_control_plane_is_judged_already(rig: Rig) -> None:
    """The service counts on both tables from off on; what does no harm passes on the new one too,
    though it is not live."""
    rig.stand(Phase.OFF)
    for side in Side:
        name = rig.tables["notes"].side(side).name
        heard = outcome(rig.proxied, "delete_table", TableName=name)
        assert "dualwrite refuses DeleteTable" in heard["message"]
        assert "Table" in outcome(rig.proxied, "describe_table", TableName=name)


def test_an_unknown_operation_is_the_engines_to_refuse(rig: Rig) -> None:
    """Whatever the proxy does not know passes, error and all."""
    headers = {"x-amz-target": "DynamoDB_20120810.NoSuchOperation", "authorization": AUTHORIZATION}
    heard = []
    for url in (rig.url, rig.engine.meta.endpoint_url):
        with pytest.raises(urllib.error.HTTPError) as caught:
            urllib.request.urlopen(urllib.request.Request(url, data=b"{}", headers=headers))
        heard.append((caught.value.code, caught.value.read()))
    assert heard[0] == heard[1]
