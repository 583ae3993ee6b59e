"""Which settings of a topic are refused, each by name; and clients that raise."""

import pytest
from kafka.errors import KafkaTimeoutError

from dualwrite.adapters import kafka_topics
from dualwrite.adapters.kafka_topics import KafkaPlace, Topics, WrongTopic, check
from dualwrite.core.errors import Unreachable

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


class Admin:
    """An admin client whose loop ended with its first error, as the library's do."""

    def __init__(self, error: Exception | None) -> None:
        self._error = error
        self.closed = False

    def describe_topics(self, topics: list[str]) -> list[dict[str, str]]:
        if self._error is not None:
            raise self._error
        return [{"name": name, "topic_id": "id"} for name in topics]

    def close(self) -> None:
        self.closed = True
        if self._error is not None:
            raise self._error


@pytest.mark.parametrize("error", [KafkaTimeoutError(), KeyError("a mistake of the library's")])
def test_a_client_that_raised_is_not_used_again(
    error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever it was is an absent broker to whoever asked; the next one asks another client."""
    built: list[Admin] = []

    def build(**settings: object) -> Admin:
        built.append(Admin(None if built else error))
        return built[-1]

    monkeypatch.setattr(kafka_topics, "KafkaAdminClient", build)
    topics = Topics(KafkaPlace(("nobody:1",)))
    with pytest.raises(Unreachable, match=f"Kafka at nobody:1: {type(error).__name__}"):
        topics.ids(("t",))
    assert built[0].closed
    assert topics.ids(("t",)) == topics.ids(("t",)) == {"t": "id"}
    assert len(built) == 2
