"""The application's PynamoDB models, in both designs; nothing here knows of a migration.

The class bodies are the schema; ``bound`` gives a class that talks to one endpoint and table.
"""

from functools import cache
from typing import Any

from pynamodb.attributes import (
    ListAttribute,
    MapAttribute,
    NumberAttribute,
    UnicodeAttribute,
)
from pynamodb.indexes import AllProjection, LocalSecondaryIndex
from pynamodb.models import Model


class Row(Model):
    """What every table has."""

    updated_by = UnicodeAttribute(null=True)
    created_at = UnicodeAttribute(null=True)
    updated_at = UnicodeAttribute(null=True)
    work_tag = UnicodeAttribute(null=True)
    revision = NumberAttribute(null=True)
    claimed_by = UnicodeAttribute(null=True)


class Coordination(Row):
    endpoint_id = UnicodeAttribute(hash_key=True)
    coordination_uuid = UnicodeAttribute(range_key=True)
    coordination_name = UnicodeAttribute(null=True)
    coordination_description = UnicodeAttribute(null=True)
    agents: Any = ListAttribute(null=True)
    turns = NumberAttribute(null=True)


class CoordinationV2(Row):
    partition_key = UnicodeAttribute(hash_key=True)
    coordination_uuid = UnicodeAttribute(range_key=True)
    endpoint_id = UnicodeAttribute(null=True)
    part_id = UnicodeAttribute(null=True)
    coordination_name = UnicodeAttribute(null=True)
    coordination_description = UnicodeAttribute(null=True)
    agents: Any = ListAttribute(null=True)
    turns = NumberAttribute(null=True)


class Task(Row):
    coordination_uuid = UnicodeAttribute(hash_key=True)
    task_uuid = UnicodeAttribute(range_key=True)
    endpoint_id = UnicodeAttribute(null=True)
    task_name = UnicodeAttribute(null=True)
    task_description = UnicodeAttribute(null=True)
    initial_task_query = UnicodeAttribute(null=True)
    subtask_queries: Any = ListAttribute(null=True)
    agent_actions: Any = MapAttribute(null=True)


class TaskV2(Task):
    partition_key = UnicodeAttribute(null=True)
    part_id = UnicodeAttribute(null=True)


class TaskSchedule(Row):
    task_uuid = UnicodeAttribute(hash_key=True)
    schedule_uuid = UnicodeAttribute(range_key=True)
    coordination_uuid = UnicodeAttribute(null=True)
    endpoint_id = UnicodeAttribute(null=True)
    schedule = UnicodeAttribute(null=True)
    status = UnicodeAttribute(null=True)


class TaskScheduleV2(TaskSchedule):
    partition_key = UnicodeAttribute(null=True)
    part_id = UnicodeAttribute(null=True)


class SessionsByTask(LocalSecondaryIndex["Session"]):
    class Meta:
        index_name = "task_uuid-index"
        projection = AllProjection()

    coordination_uuid = UnicodeAttribute(hash_key=True)
    task_uuid = UnicodeAttribute(range_key=True)


class SessionsByUser(LocalSecondaryIndex["Session"]):
    class Meta:
        index_name = "user_id-index"
        projection = AllProjection()

    coordination_uuid = UnicodeAttribute(hash_key=True)
    user_id = UnicodeAttribute(range_key=True)


class Session(Row):
    by_task = SessionsByTask()
    by_user = SessionsByUser()
    coordination_uuid = UnicodeAttribute(hash_key=True)
    session_uuid = UnicodeAttribute(range_key=True)
    task_uuid = UnicodeAttribute(null=True)
    user_id = UnicodeAttribute(null=True)
    endpoint_id = UnicodeAttribute(null=True)
    task_query = UnicodeAttribute(null=True)
    input_files: Any = ListAttribute(null=True)
    iteration_count = NumberAttribute(null=True)
    subtask_queries: Any = ListAttribute(null=True)
    status = UnicodeAttribute(null=True)
    logs = UnicodeAttribute(null=True)


class SessionV2(Session):
    partition_key = UnicodeAttribute(null=True)
    part_id = UnicodeAttribute(null=True)


class SessionAgent(Row):
    session_uuid = UnicodeAttribute(hash_key=True)
    session_agent_uuid = UnicodeAttribute(range_key=True)
    coordination_uuid = UnicodeAttribute(null=True)
    agent_uuid = UnicodeAttribute(null=True)
    agent_action: Any = MapAttribute(null=True)
    user_input = UnicodeAttribute(null=True)
    agent_input = UnicodeAttribute(null=True)
    agent_output = UnicodeAttribute(null=True)
    in_degree = NumberAttribute(null=True)
    state = UnicodeAttribute(null=True)
    notes = UnicodeAttribute(null=True)


class SessionAgentV2(SessionAgent):
    partition_key = UnicodeAttribute(null=True)
    endpoint_id = UnicodeAttribute(null=True)
    part_id = UnicodeAttribute(null=True)


class RunsByAgent(LocalSecondaryIndex["SessionRun"]):
    class Meta:
        index_name = "agent_uuid-index"
        projection = AllProjection()

    session_uuid = UnicodeAttribute(hash_key=True)
    agent_uuid = UnicodeAttribute(range_key=True)


class RunsByThread(LocalSecondaryIndex["SessionRun"]):
    class Meta:
        index_name = "thread_uuid-index"
        projection = AllProjection()

    session_uuid = UnicodeAttribute(hash_key=True)
    thread_uuid = UnicodeAttribute(range_key=True)


class SessionRun(Row):
    by_agent = RunsByAgent()
    by_thread = RunsByThread()
    session_uuid = UnicodeAttribute(hash_key=True)
    run_uuid = UnicodeAttribute(range_key=True)
    thread_uuid = UnicodeAttribute(null=True)
    agent_uuid = UnicodeAttribute(null=True)
    coordination_uuid = UnicodeAttribute(null=True)
    endpoint_id = UnicodeAttribute(null=True)
    async_task_uuid = UnicodeAttribute(null=True)
    session_agent_uuid = UnicodeAttribute(null=True)


class SessionRunV2(SessionRun):
    partition_key = UnicodeAttribute(null=True)
    part_id = UnicodeAttribute(null=True)


MODELS: dict[str, tuple[type[Row], type[Row]]] = {
    "coordinations": (Coordination, CoordinationV2),
    "tasks": (Task, TaskV2),
    "task_schedules": (TaskSchedule, TaskScheduleV2),
    "sessions": (Session, SessionV2),
    "session_agents": (SessionAgent, SessionAgentV2),
    "session_runs": (SessionRun, SessionRunV2),
}
"""Logical table -> the model of the old and of the new design."""


@cache
def bound(base: type[Row], table_name: str, endpoint_url: str, timeout_seconds: float) -> type[Row]:
    """A model class for one endpoint; PynamoDB keeps a connection per class. It never retries."""
    meta = type(
        "Meta",
        (),
        {
            "table_name": table_name,
            "host": endpoint_url,
            "region": "us-east-1",
            "aws_access_key_id": "test",
            "aws_secret_access_key": "test",
            "max_retry_attempts": 0,
            "connect_timeout_seconds": timeout_seconds,
            "read_timeout_seconds": timeout_seconds,
            "max_pool_connections": 8,
        },
    )
    return type(base.__name__, (base,), {"Meta": meta})
