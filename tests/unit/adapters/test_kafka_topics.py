"""Which settings of a topic are refused, each by name."""

import pytest

from dualwrite.adapters.kafka_topics import WrongTopic, check

GOOD = {
    "cleanup.policy": "delete",
    "retention.ms": "604800000",
    "retention.bytes": "-1",
    "max.message.bytes": "1048588",
    "unclean.leader.election.enable": "false",
}


def test_our_own_settings_will_do() -> None:
    """And so does a topic that keeps its messages for ever."""
    check(GOOD, "t")
    check(GOOD | {"retention.ms": "-1"}, "t")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cleanup.policy", "compact"),
        ("cleanup.policy", "compact,delete"),
        ("retention.ms", "60000"),
        ("retention.bytes", "1000000"),
        ("max.message.bytes", "1000"),
        ("unclean.leader.election.enable", "true"),
    ],
)
def test_what_loses_or_reorders_work_is_refused(name: str, value: str) -> None:
    """The message names topic and setting."""
    with pytest.raises(WrongTopic, match=f"topic t: {name} is {value}"):
        check(GOOD | {name: value}, "t")
