"""The topics of the service: their names, their settings, and whether those of a broker will do."""

import contextlib
import threading
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from kafka import TopicPartition
from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient, OffsetSpec
from kafka.errors import (
    KafkaError,
    MessageSizeTooLargeError,
    RecordListTooLargeError,
    TopicAlreadyExistsError,
)

from dualwrite.adapters.kafka_clients import Connections, built
from dualwrite.core.errors import DualwriteError, EngineError, Unreachable
from dualwrite.core.ports import Lane

REQUEST_MS = 5_000
PARTITIONS = 12
"""More than there are consumers, so that each has a share; a topic may have more."""
REPLICAS_WANTED = 3
RETENTION_MS = 7 * 24 * 3600 * 1000
RETENTION_MS_MIN = 24 * 3600 * 1000
"""Work that waits longer is put in again, but dead letters and mutations are read by people."""
MESSAGE_BYTES_MIN = 64 * 1024
"""A dirty key is at most two key attributes, 3 KB."""

log = structlog.get_logger()


class WrongTopic(DualwriteError):
    """A topic exists whose settings would lose or reorder work; the message says which."""


class TooLarge(EngineError):
    """A message is longer than the topic, or we, allow. Nothing of it was stored, and nothing of it
    ever will be."""


@dataclass(frozen=True, slots=True)
class KafkaPlace:
    """Which brokers, and what the names of our topics and groups begin with."""

    servers: tuple[str, ...]
    prefix: str = "dualwrite"

    def topic(self, name: str) -> str:
        return f"{self.prefix}.{name}"

    def group(self, lane: Lane, identity: str) -> str:
        """The consumer group of a lane's workers. It has the id of the topic in its name, so that
        what was committed of a topic that is lost never counts for one of the same name."""
        return f"{self.prefix}.{lane.value}.{identity}"


class Topics:
    """Creates and checks topics, and knows their identities. Blocks; used by threads only."""

    def __init__(self, place: KafkaPlace) -> None:
        self._place = place
        self._admin: KafkaAdminClient | None = None
        self._connections = Connections()
        self._lock = threading.Lock()

    def ensure(self, names: tuple[str, ...]) -> dict[str, str]:
        """Create what lacks, check all; the topics' ids by name. Raises WrongTopic, Unreachable."""
        topics = [self._place.topic(name) for name in names]
        with self._asking() as admin:
            known = self._ids(admin, topics)
            missing = [topic for topic in topics if topic not in known]
            if missing:
                self._create(admin, missing)
                known = self._ids(admin, topics)
            for topic in topics:
                check(self._settings(admin, topic), topic)
            return known

    def message_bytes_max(self, topic: str) -> int:
        """How long a batch of a topic may be, with its headers. Raises Unreachable."""
        with self._asking() as admin:
            return int(self._settings(admin, topic)["max.message.bytes"] or 0)

    def ids(self, topics: tuple[str, ...]) -> dict[str, str]:
        """The ids of those that exist, by name. Raises Unreachable."""
        with self._asking() as admin:
            return self._ids(admin, list(topics))

    def committed(self, group: str) -> list[tuple[int, int]]:
        """A group's partitions and the offset of each. Raises Unreachable."""
        with self._asking() as admin:
            found = admin.list_group_offsets(group).get(group, {})
            return [(where.partition, commit.offset) for where, commit in found.items()]

    def ends(self, topic: str, partitions: Collection[int]) -> dict[int, int]:
        """The offset behind the last message of each partition. Raises Unreachable."""
        wanted = {TopicPartition(topic, one): OffsetSpec.LATEST for one in partitions}
        with self._asking() as admin:
            found = admin.list_partition_offsets(wanted)
            return {where.partition: seen.offset for where, seen in found.items()}

    def close(self) -> None:
        with self._lock:
            self._drop()

    @contextlib.contextmanager
    def _asking(self) -> Iterator[KafkaAdminClient]:
        """The client, for one asker at a time. After an error another one is built: where the
        library's thread ended, each later call would raise what ended it."""
        with self._lock, reached(self._place):
            try:
                yield self._client()
            except Exception:
                self._drop()
                raise

    def _drop(self) -> None:
        admin, self._admin = self._admin, None
        if admin is not None:
            with contextlib.suppress(Exception):
                admin.close()
        self._connections.end()

    def _client(self) -> KafkaAdminClient:
        if self._admin is None:
            self._admin = built(
                KafkaAdminClient,
                self._connections,
                bootstrap_servers=list(self._place.servers),
                request_timeout_ms=REQUEST_MS,
                bootstrap_timeout_ms=REQUEST_MS,
                reconnect_backoff_max_ms=1_000,
                metadata_max_age_ms=5_000,
            )
        return self._admin

    def _settings(self, admin: KafkaAdminClient, topic: str) -> dict[str, str | None]:
        resource = ConfigResource(ConfigResourceType.TOPIC, topic)
        found = admin.describe_configs([resource], config_filter="all")["topic"][topic]
        return {name: seen.get("value") for name, seen in found.items()}

    def _create(self, admin: KafkaAdminClient, topics: list[str]) -> None:
        brokers = len(admin.describe_cluster()["brokers"])
        replicas = min(REPLICAS_WANTED, brokers)
        wanted = {
            "num_partitions": PARTITIONS,
            "replication_factor": replicas,
            "configs": {
                "cleanup.policy": "delete",
                "retention.ms": str(RETENTION_MS),
                "retention.bytes": "-1",
                "min.insync.replicas": str(max(1, replicas - 1)),
                "unclean.leader.election.enable": "false",
            },
        }
        # Another consumer may start at the same time.
        with contextlib.suppress(TopicAlreadyExistsError):
            admin.create_topics(dict.fromkeys(topics, wanted))
        admin.wait_for_topics(topics)

    def _ids(self, admin: KafkaAdminClient, topics: list[str]) -> dict[str, str]:
        return {
            found["name"]: str(found["topic_id"])
            for found in admin.describe_topics(topics)
            if not found.get("error_code")
        }


def check(configs: Mapping[str, str | None], topic: str) -> None:
    """Raises WrongTopic where a topic's settings would lose or reorder work."""

    def number(name: str) -> int:
        return int(configs.get(name) or 0)

    wrong: list[str] = []
    if configs.get("cleanup.policy") != "delete":
        wrong.append(f"cleanup.policy is {configs.get('cleanup.policy')}, not delete")
    if 0 <= number("retention.ms") < RETENTION_MS_MIN:
        wrong.append(f"retention.ms is {number('retention.ms')}, under {RETENTION_MS_MIN}")
    if configs.get("retention.bytes") not in ("-1", None):
        wrong.append(f"retention.bytes is {configs['retention.bytes']}, not -1")
    if number("max.message.bytes") < MESSAGE_BYTES_MIN:
        wrong.append(f"max.message.bytes is {number('max.message.bytes')}, under 65536")
    if configs.get("unclean.leader.election.enable") == "true":
        wrong.append("unclean.leader.election.enable is true")
    if wrong:
        raise WrongTopic(f"topic {topic}: {'; '.join(wrong)}; change it, or choose another prefix")


class reached:  # noqa: N801  # reads as a phrase: with reached(place)
    """Turns whatever the client library raises into Unreachable: for an absent broker, and for a
    mistake of its own, which is logged. A message that is too large is TooLarge."""

    def __init__(self, place: KafkaPlace) -> None:
        self._place = place

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if not isinstance(error, Exception) or isinstance(error, DualwriteError):
            return
        servers = ", ".join(self._place.servers)
        if isinstance(error, (MessageSizeTooLargeError, RecordListTooLargeError)):
            raise TooLarge(f"Kafka at {servers}: a message is larger than it takes") from error
        if not isinstance(error, (KafkaError, OSError)):
            log.error("the Kafka library failed", exc_info=error)
        raise Unreachable(f"Kafka at {servers}: {type(error).__name__}") from error
