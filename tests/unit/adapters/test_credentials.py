"""What is wrong with AWS credentials is one plain line, whatever botocore makes of it."""

from pathlib import Path

import pytest

from dualwrite.adapters.credentials import NoCredentials, standard


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No credentials anywhere, and shared files of the test's own."""
    for name in ("AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "config"
    config.write_text("")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    return config


def test_an_engine_of_this_machine_needs_none() -> None:
    """It does not look at them."""
    assert standard(engine_is_local=True).dummy


@pytest.mark.parametrize("local", [True, False])
def test_a_profile_that_does_not_exist_is_named(
    monkeypatch: pytest.MonkeyPatch, local: bool
) -> None:
    """Named by the spec or by the environment, for an engine here or far away."""
    with pytest.raises(NoCredentials, match="nope"):
        standard(engine_is_local=local, profile="nope")
    monkeypatch.setenv("AWS_PROFILE", "none-such")
    with pytest.raises(NoCredentials, match="none-such"):
        standard(engine_is_local=local)


def test_half_a_key_pair_is_no_key_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    """The half that lacks is named."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    with pytest.raises(NoCredentials, match="AWS_SECRET_ACCESS_KEY"):
        standard(engine_is_local=True)


def test_a_broken_file_is_named(bare: Path) -> None:
    """So that somebody can mend it."""
    bare.write_text("[profile\n")
    with pytest.raises(NoCredentials, match="config"):
        standard(engine_is_local=True)
