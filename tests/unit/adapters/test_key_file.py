"""The key file: what it grants, and what is wrong with it."""

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dualwrite.adapters import key_file
from dualwrite.core.callers import Keyring
from dualwrite.core.errors import ClientError, UnusableFile
from dualwrite.core.signatures import fields_of
from tests.proxy_harness import a_migration
from tests.unit.core.signed import ACCESS_KEY, NOW_SECONDS, SECRET, sign

PLAIN = f"""
[keys.{ACCESS_KEY}]
secret = "{SECRET}"
tables = ["notes", "orders-*"]
actions = ["read", "write"]
"""


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


def loaded(tmp_path: Path, text: str) -> Keyring:
    return key_file.load(written(tmp_path / "keys.toml", text), a_migration(""))


def caller(keyring: Keyring, **signing: Any) -> Any:
    request = sign(**signing)
    return keyring.verify(request, fields_of(request.headers), NOW_SECONDS)


def test_a_key_and_what_it_may_do(tmp_path: Path) -> None:
    """A managed table is allowed under both of its names; what is not said is not allowed."""
    keyring = loaded(tmp_path, PLAIN)
    key = caller(keyring, region="anywhere").key
    assert key.name == ACCESS_KEY
    for table in ("notes", "notes-v2", "orders-1"):
        key.access.check("PutItem", b'{"TableName":"%b"}' % table.encode(), user="x", region="r")
    for operation, table in (("PutItem", "tasks"), ("DeleteTable", "notes")):
        with pytest.raises(ClientError, match="not authorized"):
            key.access.check(
                operation, b'{"TableName":"%b"}' % table.encode(), user="x", region="r"
            )


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    """Name, Regions, token and end, each as it is declared."""
    more = """
name = "shop"
regions = ["eu-west-1"]
session_token = "FwoG"
expires = 2026-01-01T00:00:00Z
"""
    keyring = loaded(tmp_path, PLAIN + more)
    assert caller(keyring, token="FwoG").key.name == "shop"
    for wrong in ({"region": "us-east-1", "token": "FwoG"}, {"token": "x"}):
        with pytest.raises(ClientError):
            caller(keyring, **wrong)
    for day in ("2025-12-31T23:59:59Z", "2025-12-31T23:59:59", "2026-01-01T00:59:59+01:00"):
        ended = loaded(tmp_path, PLAIN + more.replace("2026-01-01T00:00:00Z", day))
        with pytest.raises(ClientError, match="expired"):
            caller(ended, token="FwoG")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("keys = [", "is not TOML"),
        ("", "[keys] field required"),
        ("[keys]", "[keys] "),
        ("[keys.A]\nsecret='s3cr3t'\ntables=[]", "[keys.A.actions] field required"),
        ("[keys.A]\nsecret='s3cr3t'\ntables=[]\nactions=['s3cr3t']", "[keys.A.actions.0] "),
        ("[keys.A]\nsecret='s3cr3t'\ntables='*'\nactions=[]", "[keys.A.tables] "),
        ("[keys.A]\nsecrets='s3cr3t'\ntables=[]\nactions=[]", "[keys.A.secrets] "),
        ("[keys.A]\nsecret=''\ntables=[]\nactions=[]", "[keys.A.secret] "),
        ("[keys.'a b']\nsecret='s3cr3t'\ntables=[]\nactions=[]", "without blanks"),
        ("[keys.A]\nsecret='s3cr3t'\ntables=[]\nactions=[]\nregions=[]", "[keys.A.regions] "),
        ("[keys.A]\nsecret='s3cr3t'\ntables=[]\nactions=[]\nexpires='s3cr3t'", "[keys.A.expires]"),
    ],
)
def test_what_is_wrong_is_named_and_no_secret_is(tmp_path: Path, text: str, said: str) -> None:
    """File, key and field, never a value."""
    with pytest.raises(UnusableFile) as caught:
        loaded(tmp_path, text)
    assert said in str(caught.value)
    assert str(tmp_path / "keys.toml") in str(caught.value)
    assert "s3cr3t" not in str(caught.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """Not there, no text, a directory, far too large: each is said."""
    migration = a_migration("")
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    written(tmp_path / "large", " " * (key_file.FILE_BYTES_MAX + 1))
    for name, said in (
        ("absent", "does not exist"),
        ("binary", "not UTF-8"),
        ("large", "larger than"),
        (".", "cannot be read"),
    ):
        with pytest.raises(UnusableFile, match=said):
            key_file.load(tmp_path / name, migration)


def test_a_file_open_to_others_is_told_of(tmp_path: Path) -> None:
    """It is used all the same: how a secret comes into a container is not ours to say."""
    path = written(tmp_path / "keys.toml", PLAIN)
    path.chmod(0o644)
    with capture_logs() as logs:
        key_file.load(path, a_migration(""))
    assert [entry["event"] for entry in logs] == ["key file open to others"]
    assert SECRET not in str(logs)
