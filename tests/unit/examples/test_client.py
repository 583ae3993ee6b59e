"""A client's account of what it was told is honest: unknown is never made nicer."""

from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)
from pynamodb.exceptions import PutError

from examples.ai_coordination_engine.client import Client, Pace, classify
from examples.ai_coordination_engine.stores import Change, Design, Ref, Store, Tenant, Values
from verifier.rehearsal.history import Entry, Recorder, Seen, load

TENANT = Tenant("acme-corp-prod", "aws", "acme")
REF = Ref("sessions", TENANT, "c", "s")
URL = {"endpoint_url": "http://x"}


def client_error(code: str, status: int | None) -> ClientError:
    response: Any = {"Error": {"Code": code, "Message": ""}}
    if status is not None:
        response["ResponseMetadata"] = {"HTTPStatusCode": status}
    return ClientError(response, "PutItem")


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (client_error("ConditionalCheckFailedException", 400), "refused"),
        (client_error("InternalServerError", 500), "unknown"),
        (client_error("503", 503), "unknown"),
        (client_error("ConditionalCheckFailedException", None), "refused"),
        (client_error("InternalServerError", None), "unknown"),
        (ReadTimeoutError(**URL), "unknown"),
        (ConnectionClosedError(**URL), "unknown"),
        (EndpointConnectionError(**URL, error="refused"), "refused"),
        (PutError("x", client_error("ValidationException", None)), "refused"),
        (PutError("x", ReadTimeoutError(**URL)), "unknown"),
    ],
)
def test_only_an_answer_or_a_refused_connection_is_certain(error: Exception, outcome: str) -> None:
    """A lost answer and a 5xx may have been applied; a connection never made was not."""
    assert classify(error)[0] == outcome


class Scripted:
    """A store that does what it is told, once a call."""

    sdk = "boto3-client"

    def __init__(self, *script: Exception | Values) -> None:
        self.design = Design(False, {})
        self._script = list(script)
        self.changes: list[Change] = []

    def write(self, change: Change) -> Values | None:
        self.changes.append(change)
        return self._next()

    def batch_write(self, changes: list[Change]) -> list[Ref]:
        self.changes += changes
        return [changes[-1].ref]

    def get(self, ref: Ref, consistent: bool) -> Values | None:
        assert ref
        assert consistent
        return self._next()

    def _next(self) -> Values | None:
        step = self._script.pop(0)
        if isinstance(step, Exception):
            raise step
        return step


def run(tmp_path: Path, stores: list[Any], use: Any) -> list[Entry]:
    path = tmp_path / "w.jsonl"
    with Recorder(path) as recorder:
        typed: list[Store] = stores
        use(Client("w0.0", typed, recorder, Pace(10_000)))
    return load(path)


def test_a_lost_answer_is_written_down_and_not_sent_again(tmp_path: Path) -> None:
    """The next call goes to the other proxy; the lost one went out exactly once."""
    one, two = Scripted(ReadTimeoutError(**URL)), Scripted({})

    def use(client: Client) -> None:
        assert not client.put(REF, {"status": "initial"}).acked
        assert client.update(REF, {"status": "active"}).acked

    first, second = run(tmp_path, [one, two], use)
    assert (first.outcome, first.code, first.endpoint) == ("unknown", "ReadTimeoutError", 0)
    assert (second.outcome, second.endpoint) == ("acked", 1)
    assert len(one.changes) == len(two.changes) == 1
    assert one.changes[0].values == {"status": "initial", "work_tag": first.tag, "revision": 1}
    assert two.changes[0].adds == {"revision": 1}
    assert first.tag != second.tag


def test_a_read_is_asked_for_again_at_the_other_proxy(tmp_path: Path) -> None:
    """Reads may be repeated; what was seen is written down for the judge."""
    one = Scripted(ConnectionClosedError(**URL))
    two = Scripted({"work_tag": "t", "revision": 3})
    [entry] = run(tmp_path, [one, two], lambda client: client.read_own(REF))
    assert entry.seen == Seen(True, "t", 3)
    assert entry.endpoint == 1


def test_unprocessed_items_of_a_batch_were_not_written(tmp_path: Path) -> None:
    """A batch is told item by item."""
    other = Ref("sessions", TENANT, "c", "other")
    changes = [Change("put", REF, {}), Change("put", other, {})]
    first, second = run(tmp_path, [Scripted()], lambda client: client.batch(changes))
    assert (first.outcome, second.outcome) == ("acked", "refused")
    assert first.operation == second.operation == "BatchWriteItem"


def test_return_values_and_hidden_attributes_are_reported(tmp_path: Path) -> None:
    """What came back goes to the judge, and what no plain table shows is a violation."""
    store = Scripted({"work_tag": "t", "revision": 2, "dw_stamp": "x"})
    update, strange = run(
        tmp_path, [store], lambda client: client.update(REF, {}, returns="ALL_OLD")
    )
    assert update.seen == Seen(True, "t", 2)
    assert update.seen_when == "before"
    assert strange.kind == "violation"
    assert "hidden" in strange.note
