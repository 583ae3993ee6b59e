"""The key file: who may call a proxy, and what each may do. See docs/callers.md.

No message of here holds a secret: they name the file, the key and the field, never a value.
"""

import stat
import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import structlog
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic import ValidationError as ShapeError

from dualwrite.core.access import Access
from dualwrite.core.callers import CallerKey, Keyring
from dualwrite.core.errors import UnusableFile
from dualwrite.core.operations import Right
from dualwrite.core.spec import Migration

FILE_BYTES_MAX = 4 * 1024 * 1024
FAULTS_SHOWN_MAX = 20

log = structlog.get_logger()


class _Shape(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _plain(value: str) -> str:
    if not value.isascii() or any(c.isspace() or c == "/" for c in value):
        raise ValueError("an access key is ASCII text without blanks and slashes")
    return value


_Text = Annotated[str, Field(min_length=1, max_length=4096)]
_AccessKey = Annotated[str, Field(min_length=1, max_length=128), AfterValidator(_plain)]


class _Key(_Shape):
    secret: _Text
    tables: list[_Text]
    actions: list[Right]
    name: Annotated[str, Field(min_length=1, max_length=128)] | None = None
    regions: Annotated[list[_Text], Field(min_length=1)] | None = None
    session_token: _Text | None = None
    expires: datetime | None = None


class _File(_Shape):
    keys: Annotated[dict[_AccessKey, _Key], Field(min_length=1, max_length=10_000)]


def load(path: Path, migration: Migration) -> Keyring:
    """The keys of a file. Raises UnusableFile: a line for each problem."""
    try:
        status = path.stat()
        if status.st_size > FILE_BYTES_MAX:
            raise UnusableFile(f"{path}: is larger than {FILE_BYTES_MAX} bytes")
        data = tomllib.loads(path.read_text(encoding="utf-8"))
        shape = _File.model_validate(data)
    except FileNotFoundError:
        raise UnusableFile(f"{path}: does not exist; give the path of a key file") from None
    except UnicodeDecodeError:
        raise UnusableFile(f"{path}: is not UTF-8 text") from None
    except OSError as error:
        raise UnusableFile(f"{path}: cannot be read: {error.strerror}") from None
    except tomllib.TOMLDecodeError as error:
        raise UnusableFile(f"{path}: is not TOML: {error}") from None
    except ShapeError as error:
        raise UnusableFile(_told(path, error)) from None
    if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        log.warning("key file open to others", file=str(path), see="chmod 600")
    twins = _twins(migration)
    return Keyring(_key(name, entry, twins) for name, entry in shape.keys.items())


def _told(path: Path, error: ShapeError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    lines = [
        f"{path}: [{'.'.join(map(str, problem['loc']))}] {problem['msg'][:1].lower()}"
        f"{problem['msg'][1:]}"
        for problem in problems[:FAULTS_SHOWN_MAX]
    ]
    if len(problems) > len(lines):
        lines.append(f"{path}: and {len(problems) - len(lines)} more problems")
    return "\n".join(lines)


def _twins(migration: Migration) -> dict[str, str]:
    """Each managed table's physical names, by one another."""
    found: dict[str, str] = {}
    for table in migration.tables:
        if table.old.name != table.new.name:
            found[table.old.name] = table.new.name
            found[table.new.name] = table.old.name
    return found


def _key(access_key: str, entry: _Key, twins: Mapping[str, str]) -> CallerKey:
    return CallerKey(
        access_key,
        entry.secret,
        entry.name or access_key,
        Access(tuple(entry.tables), frozenset(entry.actions), twins),
        None if entry.regions is None else frozenset(entry.regions),
        entry.session_token,
        None if entry.expires is None else _seconds(entry.expires),
    )


def _seconds(moment: datetime) -> int:
    """A time without a zone is UTC."""
    zoned: Any = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return int(zoned.timestamp())
