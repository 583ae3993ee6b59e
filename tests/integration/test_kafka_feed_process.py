"""A consumer with a feed, as a process of its own."""

import signal

import pytest

from tests.kafka_local import Broker, kafka
from tests.process_harness import WAIT_SECONDS_MAX, Installation, until

__all__ = ["kafka"]

pytestmark = pytest.mark.timeout(400)
"""A broker takes a minute to start on a machine that has other things to do."""


def test_sigterm_ends_a_consumer_with_a_feed_in_order(
    installation: Installation, kafka: Broker, table_prefix: str
) -> None:
    """Exit code 0 and no traceback: its shards are released, and it is a member no longer."""
    installation.json("check", "--apply")
    feed = f"kafka://{kafka.server}/{table_prefix}feed"
    installation.ready("control")
    consumer, _ = installation.ready("consume", "--feed", feed)
    installation.json("advance", "mirror/old", "--reason", "test", "--table", "coordinations")

    def is_read() -> bool:
        tables = {table["table"]: table for table in installation.json("status")["tables"]}
        return all(side and side["shards"] for side in tables["coordinations"]["lag"].values())

    until(is_read)
    consumer.send_signal(signal.SIGTERM)
    _, errors = consumer.communicate(timeout=WAIT_SECONDS_MAX)
    assert consumer.returncode == 0, errors
    assert "Traceback" not in errors
    for side in ("old", "new"):
        assert f'{{"shard":"coordinations/{side}/' in errors
    roles = {member["role"] for member in installation.json("status")["members"]}
    assert "controller" in roles
    assert "consumer" not in roles
