"""Programs that run on Java: fetched by Maven on request, into a checkout of this repository."""

import asyncio
import re
import shutil
import subprocess
from pathlib import Path

from verifier.rehearsal.processes import ChildFailed

HOME = Path(__file__).parents[2] / "tests" / "engines"
FETCH_SECONDS_MAX = 600.0
JAVA_MIN = 17
SHORT_LIVED = ("-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
"""For minutes on few cores: compiling less, and collecting garbage without threads of its own,
took DynamoDB Local half the processor time a call."""


def java() -> str:
    """Where a Java is that is new enough. Raises ChildFailed."""
    found = shutil.which("java")
    if found is None:
        raise ChildFailed(f"this needs Java ({JAVA_MIN} or later), and there is none on the PATH")
    asked = subprocess.run([found, "-version"], capture_output=True, text=True, check=False)
    told = re.search(r'version "(\d+)', asked.stderr)
    if told is None or int(told[1]) < JAVA_MIN:
        first = (asked.stderr.strip().splitlines() or ["it does not say its version"])[0]
        raise ChildFailed(f"this needs Java ({JAVA_MIN} or later); {found} is another: {first}")
    return found


async def jars(program: str) -> str:
    """A class path of all jars of a program, fetched where they lack. Raises ChildFailed."""
    home = HOME / program
    pom, lib = home / "pom.xml", home / "lib"
    if not pom.exists():
        raise ChildFailed(f"{program} is fetched in a checkout of the repository only")
    stamp, wanted = lib / ".done", pom.read_text()
    if not (stamp.exists() and stamp.read_text() == wanted):
        await _fetch(program, home)
        stamp.write_text(wanted)
    return str(lib / "*")


async def _fetch(program: str, home: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ChildFailed(f"{program} is fetched by Maven, and there is none on the PATH")
    shutil.rmtree(home / "lib", ignore_errors=True)
    fetching = await asyncio.create_subprocess_exec(
        maven, "-q", "-B", "-ntp", "dependency:copy-dependencies", "-DoutputDirectory=lib",
        cwd=home, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        code = await asyncio.wait_for(fetching.wait(), FETCH_SECONDS_MAX)
    except TimeoutError:
        code = -1
    finally:
        if fetching.returncode is None:
            fetching.kill()
    if code != 0:
        raise ChildFailed(f"Maven could not fetch {program}")
