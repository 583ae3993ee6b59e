"""The broker of a rehearsal: one Kafka node of its own, or one that runs already."""

import asyncio
import socket
from pathlib import Path

from verifier.rehearsal import jvm
from verifier.rehearsal.engine import free_port, until_healthy
from verifier.rehearsal.processes import ChildFailed, Processes

OWN = "kafka"
CLUSTER = "AAAAAAAAAAAAAAAAAAAAAA"
LOUD = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=1
group.initial.rebalance.delay.ms=0
auto.create.topics.enable=false
"""
FORMAT_SECONDS_MAX = 120.0


async def start(processes: Processes, wanted: str, folder: Path) -> str:
    """The ``--queue`` for consumers; starts a broker where one of our own is wanted. Raises
    ChildFailed."""
    if wanted != OWN:
        return wanted
    jars = await jvm.jars(OWN)
    port = free_port()
    properties = str(_prepared(folder / "broker", port))
    base = [jvm.java(), *jvm.SHORT_LIVED, LOUD, "-cp", jars]
    formatting = ["kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER]
    formatted = await asyncio.create_subprocess_exec(
        *base, *formatting, "-c", properties, stdout=asyncio.subprocess.DEVNULL
    )
    if await asyncio.wait_for(formatted.wait(), FORMAT_SECONDS_MAX) != 0:
        raise ChildFailed("the broker's directory could not be made")
    command = [*base[:1], "-Xmx256m", *base[1:], "kafka.Kafka", properties]
    child = await processes.start_mute("broker", command, {})
    await until_healthy(child, "broker", lambda: _accepts(port))
    return f"kafka://127.0.0.1:{port}/rehearsal"


def _prepared(home: Path, port: int) -> Path:
    """A broker's properties; its directory is its own each time, so that nothing of an earlier
    rehearsal is on its topics."""
    home = home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    text = PROPERTIES.format(port=port, controller=free_port(), data=home / f"data-{port}")
    properties = home / "server.properties"
    properties.write_text(text)
    return properties


def _accepts(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True
