"""What may be committed of a partition, and whose acknowledgement counts."""

import threading

from dualwrite.adapters.kafka_shares import Message, Shares


def given(shares: Shares, partition: int, *offsets: int) -> list[Message]:
    """Messages that have arrived under the partition's claim, and are offered."""
    claim = shares.claim(partition)
    assert claim is not None
    messages = [Message(partition, at, b"k", b"v", claim) for at in offsets]
    shares.add(messages)
    return messages


def ack(shares: Shares, *messages: Message) -> None:
    for one in messages:
        shares.ack(one.partition, one.offset, one.claim)


def test_an_offset_is_due_once_all_before_it_are_acknowledged() -> None:
    """What is out of order waits; gaps that the broker left in the offsets hold up nothing."""
    shares = Shares()
    shares.assign([3])
    first, second, third = given(shares, 3, 5, 8, 9)
    ack(shares, third, second)
    assert shares.due() == {}
    ack(shares, first)
    assert shares.due() == {3: 10}
    assert shares.held() == 0


def test_what_is_committed_is_not_due_again_and_what_came_since_is() -> None:
    """An acknowledgement during a commit is not lost."""
    shares = Shares()
    shares.assign([0])
    first, second = given(shares, 0, 0, 1)
    ack(shares, first)
    due = shares.due()
    ack(shares, second)
    shares.committed(due)
    assert shares.due() == {0: 2}
    shares.committed({0: 2})
    assert shares.due() == {}


def test_a_claim_ends_with_its_partition_and_a_new_one_begins() -> None:
    """Neither messages nor acknowledgements of an ended claim count for the next."""
    shares = Shares()
    shares.assign([1])
    late = given(shares, 1, 0)
    shares.forget([1])
    assert shares.take(9) == []
    shares.assign([1])
    ack(shares, *late)
    shares.add(late)
    assert shares.due() == {}
    assert shares.take(9) == []
    assert shares.held() == 0


def test_one_message_goes_to_one_taker_and_stays_held_until_acknowledged() -> None:
    """Taking hands out in order; what is taken counts as held."""
    shares = Shares()
    shares.assign([0, 1])
    given(shares, 0, 0, 1)
    given(shares, 1, 0)
    assert [one.offset for one in shares.take(2)] == [0, 1]
    assert [one.partition for one in shares.take(9)] == [1]
    assert shares.take(9) == []
    assert shares.held() == 3


def test_a_partition_is_finished_when_what_was_taken_is_acknowledged() -> None:
    """What nobody has taken goes away at once; the rest is waited for, and may be committed."""
    shares = Shares()
    shares.assign([0, 1])
    given(shares, 0, 0, 1, 2)
    other = given(shares, 1, 0)
    taken = shares.take(2)
    left: dict[int, int] = {}
    finishing = threading.Thread(target=lambda: left.update(shares.finish([0], 60.0)))
    finishing.start()
    while shares.held() > 3:  # until the one that nobody took is gone
        finishing.join(0.001)
    assert finishing.is_alive()
    ack(shares, *taken)
    finishing.join(60.0)
    assert not finishing.is_alive()
    assert shares.due() == {0: 2}
    assert left == {0: 2}
    assert shares.take(9) == other


def test_what_is_never_acknowledged_holds_up_nobody_for_ever() -> None:
    """The wait is bounded."""
    shares = Shares()
    shares.assign([0])
    given(shares, 0, 0)
    shares.take(1)
    assert shares.finish([0], 0.0) == {0: 0}
    assert shares.due() == {}
    assert shares.held() == 1
