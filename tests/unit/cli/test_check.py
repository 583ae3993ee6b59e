"""What ``dualwrite check`` says."""

import pytest

from dualwrite.adapters.preflight import Finding, Report, Standing
from dualwrite.cli import check
from tests.unit.cli.conftest import Service

OK = Finding("t", "keys", Standing.OK, "id S (hash)")
NOTE = Finding("t", "i", Standing.NOTE, "long " * 50 + "end")
WRONG = Finding("t", "table", Standing.WRONG, "does not exist", "correct the spec")


@pytest.mark.parametrize(
    ("findings", "apply", "last"),
    [
        ((OK, OK, NOTE), False, ["2 ok, 1 note", "ready"]),
        ((OK, WRONG), False, ["1 ok, 1 wrong", "not ready"]),
        (
            (OK, WRONG),
            True,
            ["nothing was applied: mend first what is wrong", "1 ok, 1 wrong", "not ready"],
        ),
    ],
)
def test_check_ends_with_what_it_means(
    service: Service,
    monkeypatch: pytest.MonkeyPatch,
    findings: tuple[Finding, ...],
    apply: bool,
    last: list[str],
) -> None:
    """A line for each finding that is not ok, however long, then counts and the answer."""

    async def report(*_: object) -> Report:
        return Report(findings)

    monkeypatch.setattr(check, "_run", report)
    lines = service.run("check", *(["--apply"] if apply else [])).stdout.splitlines()
    assert lines[1:] == last
