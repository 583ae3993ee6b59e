"""``--queue`` and ``--feed``: what they mean, and a plain refusal of anything else."""

import pytest

from dualwrite.queue_url import QueueKind, QueueUrl, QueueUrlError, parse_kafka, parse_queue


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("memory", QueueUrl(QueueKind.MEMORY)),
        ("dynamodb", QueueUrl(QueueKind.DYNAMODB)),
        ("kafka://b:9092", QueueUrl(QueueKind.KAFKA, ("b:9092",), "dualwrite")),
        ("kafka://a:1,b.c:2/mine", QueueUrl(QueueKind.KAFKA, ("a:1", "b.c:2"), "mine")),
        ("kafka://[::1]:9092/", QueueUrl(QueueKind.KAFKA, ("[::1]:9092",), "dualwrite")),
    ],
)
def test_a_queue_is_what_its_name_says(text: str, meant: QueueUrl) -> None:
    """Several brokers go with commas; the prefix of topics has a default."""
    assert parse_queue(text) == meant


@pytest.mark.parametrize(
    "text", ["", "redis", "kafka://", "kafka://h", "kafka://h:0", "kafka://h:99999",
             "kafka://h:1/a/b", "kafka://u:p@h:1", "http://h:1"],
)  # fmt: skip
def test_what_is_no_queue_is_refused(text: str) -> None:
    """The message shows the form."""
    with pytest.raises(QueueUrlError, match="kafka://HOST:PORT"):
        parse_queue(text)


def test_a_feed_is_kafka_only() -> None:
    """The control table is no place for others to read from."""
    with pytest.raises(QueueUrlError):
        parse_kafka("dynamodb")
