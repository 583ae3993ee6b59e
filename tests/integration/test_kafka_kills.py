"""Any process of the whole service is killed, at any time, and the broker too."""

import random
import threading

import pytest

from tests.engines_local import dynamodb_local
from tests.integration.test_kafka_processes import (
    PATIENCE_SECONDS,
    SEGMENTS,
    Scene,
    boto,
    database,
    engine,
    scene,
)
from tests.kafka_local import kafka
from tests.process_harness import until

__all__ = ["boto", "database", "dynamodb_local", "engine", "kafka", "scene"]

pytestmark = pytest.mark.timeout(900)
"""Broker, engine and service take minutes to start on a machine that has other things to do."""


@pytest.mark.parametrize("seed", [1])
def test_killing_any_process_at_any_time_loses_and_repeats_nothing(scene: Scene, seed: int) -> None:
    """SIGKILL at random moments of a backfill and live writes: proxy, both consumers, controller,
    supervisor and broker. Each write that was answered is there, no counter was raised twice for
    one request, and both sides are equal."""
    chance = random.Random(seed)
    for writer in scene.writers:
        writer.start()
    scene.verb("backfill", "start", "--segments", str(SEGMENTS), "--write-units-per-second", "20")
    early = ["controller", "supervisor"]
    later = ["proxy-1", "consumer-1", "consumer-2", "broker", "consumer-1", "proxy-1"]
    chance.shuffle(early)
    chance.shuffle(later)
    between = threading.Event()
    for victim in early + later:
        between.wait(chance.uniform(0.2, 2.5))
        if victim == "broker":
            scene.broker.kill()
            scene.broker.start()
        elif victim == "supervisor":
            scene.up.kill_supervisor()
            scene.up.begin()
        else:
            scene.up.kill(victim)
    until(scene.backfilled, PATIENCE_SECONDS)
    for writer in scene.writers:
        writer.stop()
    scene.verified()
    scene.nothing_lost_nothing_repeated()
    for writer in scene.writers:
        assert writer.told["done"] > 0
        assert writer.told["unknown"] > 0
