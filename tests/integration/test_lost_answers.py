"""Answers of the engine that are lost while a process or a verb begins."""

import pytest

from tests.process_harness import WAIT_SECONDS_MAX, Installation, events_of
from tests.tcp_hop import a_hop


@pytest.mark.parametrize("verb", ["control", "consume", "proxy"])
def test_a_start_outlives_lost_answers(installation: Installation, verb: str) -> None:
    """What a process asks first is asked again, twice if need be."""
    installation.json("check", "--apply")
    with a_hop(installation.endpoint) as hop:
        hop.losses = 2
        installation.endpoint = hop.url
        process, said = installation.ready(verb)
        assert said["ready"]
        assert hop.losses == 0
        process.terminate()
        assert process.wait(WAIT_SECONDS_MAX) == 0


def test_the_look_before_all_parts_outlives_lost_answers(installation: Installation) -> None:
    """So that a lost answer about one of many tables starts nothing anew."""
    installation.json("check", "--apply")
    with a_hop(installation.endpoint) as hop:
        hop.losses = 2
        installation.endpoint = hop.url
        up = installation.start("up", "--json")
        events_of(up, "up", 1)
        up.terminate()
        up.communicate(timeout=WAIT_SECONDS_MAX)
        assert up.returncode == 0


def test_a_read_without_an_answer_is_not_told_as_a_write(installation: Installation) -> None:
    """There is nothing that one would have to look for before asking again."""
    installation.json("check", "--apply")
    with a_hop(installation.endpoint) as hop:
        hop.losses = 1
        installation.endpoint = hop.url
        heard = installation.verb("status")
    assert heard.exit_code == 4
    assert heard.stderr.startswith("dualwrite: the engine did not answer: ")
    assert "look before you repeat" not in heard.stderr
