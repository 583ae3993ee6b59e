"""What the verbs ask for, and what their exit codes and answers say."""

import json
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from dualwrite.cli.main import VERBS, app
from dualwrite.core.records import COMMAND, MEMBER, Command, Member
from tests.unit.cli.conftest import SPEC, Service

DONE = Command("", "", status="done", said=("moved",))
REFUSED = Command(
    "",
    "",
    status="refused",
    gates=(
        {
            "table": "tasks",
            "gate": "repairs_drained",
            "verdict": "closed",
            "reason": "3 keys wait for repair",
            "see": "dualwrite repairs",
        },
    ),
)
REASON = ("--reason", "because")


def test_every_verb_of_the_manual_is_there() -> None:
    """The command has the verbs that docs/cli.md describes, and no others."""
    manual = (SPEC.parents[2] / "docs/cli.md").read_text()
    described = [
        line.split("`")[1].split()[0] for line in manual.splitlines() if line[:4] == "### "
    ]
    assert sorted(set(described)) == sorted(VERBS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb: str) -> None:
    """--help works without a spec, an engine or a controller."""
    result = CliRunner().invoke(app, [verb, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_the_version_is_shown() -> None:
    """That of the package which is installed."""
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"dualwrite {version('dualwrite')}\n"


@pytest.mark.parametrize("arguments", [("--bogus",), ("--bogus", "status", "--json")])
def test_an_option_that_does_not_exist_is_one_line_before_a_verb_too(
    arguments: tuple[str, ...],
) -> None:
    """Plain, like every other error, and in JSON where that was asked for."""
    result = CliRunner().invoke(app, arguments)
    assert result.exit_code == 2
    assert result.stderr.startswith("dualwrite: No such option: --bogus")
    assert result.stderr.count("\n") == 1
    if "--json" in arguments:
        assert json.loads(result.stdout)["exit"] == 2


@pytest.mark.parametrize(
    ("arguments", "verb", "argument"),
    [
        (("advance", *REASON), "advance", ""),
        (("advance", "atomic/old", *REASON), "advance", "atomic/old"),
        (("flip", *REASON), "flip", ""),
        (("rollback", *REASON), "rollback", ""),
        (("reads", "25"), "reads", "25"),
        (("shadow", "5"), "shadow", "5"),
        (("verify",), "verify", ""),
        (("backfill", "start"), "backfill-start", ""),
        (
            ("backfill", "start", "--segments", "8", "--read-units-per-second", "250"),
            "backfill-start",
            "segments=8 reads=250",
        ),
        (
            ("backfill", "change", "--write-units-per-second", "0", "--together", "20"),
            "backfill-change",
            "writes=0 together=20",
        ),
        (("backfill", "pause"), "backfill-pause", ""),
        (("backfill", "resume"), "backfill-resume", ""),
    ],
)
def test_a_verb_asks_the_controller(
    service: Service, arguments: tuple[str, ...], verb: str, argument: str
) -> None:
    """Verb and argument reach the controller in the words it knows, with who asked."""
    service.answer = DONE
    answer = service.json(*arguments, "--who", "eve", "--table", "tasks")
    [asked] = service.asked
    assert (asked.verb, asked.argument, asked.table, asked.who) == (verb, argument, "tasks", "eve")
    assert answer == {
        "verb": verb,
        "table": "tasks",
        "argument": argument,
        "reason": asked.reason,
        "who": "eve",
        "status": "done",
        "message": "moved",
        "gates": [],
        "clean": None,
    }


def test_all_tables_are_meant_where_none_is_named(service: Service) -> None:
    """Without --table a verb is about every table of the spec."""
    service.answer = DONE
    assert service.json("flip", *REASON)["table"] == "*"


@pytest.mark.parametrize("verb", ["advance", "flip", "rollback"])
def test_a_move_needs_a_reason(service: Service, verb: str) -> None:
    """A move without --reason is a usage error, and nothing is asked."""
    service.answer = DONE
    assert service.run(verb).exit_code == 2
    assert service.asked == []


def test_a_closed_gate_refuses_by_name_and_reason(service: Service) -> None:
    """People read the gate's name, verdict, reason and mend; the exit code is 3."""
    service.answer = REFUSED
    result = service.run("flip", *REASON)
    assert result.exit_code == 3
    for words in (
        "tasks",
        "repairs_drained: closed",
        "3 keys wait for repair",
        "dualwrite repairs",
    ):
        assert words in result.stdout


def test_a_closed_gate_refuses_the_same_in_json(service: Service) -> None:
    """--json gives the same gate, and the same exit code."""
    service.answer = REFUSED
    answer = service.json("flip", *REASON, exit_code=3)
    assert answer["status"] == "refused"
    assert answer["gates"] == [dict(gate) for gate in REFUSED.gates]


def test_what_failed_exits_with_1(service: Service) -> None:
    """A command that cannot be carried out says so."""
    service.answer = Command("", "", status="failed", said=("old leads already",))
    result = service.run("rollback", *REASON)
    assert result.exit_code == 1
    assert "old leads already" in result.stdout


@pytest.mark.parametrize(("clean", "code"), [(True, 0), (False, 1)])
def test_a_sweep_that_found_drift_exits_with_1(service: Service, clean: bool, code: int) -> None:
    """So that ``dualwrite verify && ...`` goes on only where both sides are equal."""
    service.answer = Command("", "", status="done", said=("tasks: compared",), clean=clean)
    assert service.json("verify", exit_code=code)["clean"] is clean
    assert service.run("verify").exit_code == code


@pytest.mark.parametrize("silent", [False, True])
def test_without_a_controller_a_verb_says_so(service: Service, silent: bool) -> None:
    """No controller, or one whose counter stands still: exit code 4, and how to start one."""
    if silent:
        member = Member(role="controller", pid=1, counter=7, lease_seconds=0.1)
        service.put(MEMBER, "controller", member)
    result = service.run("flip", *REASON)
    assert result.exit_code == 4
    assert "silent" in result.stderr if silent else "no controller is registered" in result.stderr
    assert "dualwrite control" in result.stderr
    assert service.records.seen(COMMAND, "") == ()


def test_an_unknown_table_is_a_usage_error(service: Service) -> None:
    """The refusal names the tables that there are."""
    service.answer = DONE
    for verb in (("status",), ("plan",), ("audit",), ("repairs",), ("flip", *REASON)):
        result = service.run(*verb, "--table", "nope")
        assert result.exit_code == 2
        assert "it has coordinations" in result.stderr


@pytest.mark.parametrize("percent", ["-1", "101", "many"])
def test_a_share_is_a_percentage(service: Service, percent: str) -> None:
    """Nonsense is refused before anybody is asked."""
    service.answer = DONE
    assert service.run("reads", percent).exit_code == 2
    assert service.asked == []


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("advance", "nowhere", *REASON), "there is no phase 'nowhere'; there are off, "),
        (("flip", "--reason", " "), "flip needs a reason; it goes to the audit"),
        (("flip",), "Missing option '--reason'; see: "),
        (("reads", "101"), "percent"),
        (
            ("verify", "--wait", "0"),
            "Invalid value for '--wait': Input should be greater than or equal to 1",
        ),
        (
            ("flip", *REASON, "--wait", "-1"),
            "Invalid value for '--wait': Input should be greater than or equal to 1",
        ),
        (("status", "--endpoint", ""), "no engine is named"),
        (("status", "--endpoint", "http://127.0.0.1:99999"), "is no URL of an engine: Port out"),
        (("status", "--endpoint", "http://[::1"), "is no URL of an engine"),
        (("bogus",), "bogus"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    service: Service, arguments: tuple[str, ...], words: str
) -> None:
    """Exit code 2, one plain line, the same in JSON, and nobody is asked."""
    service.answer = DONE
    result = service.run(*arguments)
    assert result.exit_code == 2
    assert words in result.stderr
    assert result.stderr.startswith("dualwrite: ")
    assert result.stderr.count("\n") == 1
    answer = service.json(*arguments, exit_code=2)
    assert answer == {"error": result.stderr.removeprefix("dualwrite: ").strip(), "exit": 2}
    assert service.asked == []


def test_a_host_that_is_not_loopback_is_refused() -> None:
    """Without keys no caller is verified, so the proxy listens on loopback only and says why."""
    result = CliRunner().invoke(
        app,
        ["proxy", "--spec", str(SPEC), "--endpoint", "http://127.0.0.1:1", "--host", "0.0.0.0"],
    )
    assert result.exit_code == 2
    assert "refused without --keys" in result.stderr


@pytest.mark.parametrize("verb", ["check", "status", "plan", "audit", "repairs", "proxy", "up"])
def test_a_missing_spec_is_one_line(verb: str) -> None:
    """A spec that is not there is a usage error, in one plain line that names it."""
    result = CliRunner().invoke(
        app, [verb, "--spec", "nowhere.toml", "--endpoint", "http://127.0.0.1:1"]
    )
    assert result.exit_code == 2
    assert result.stderr.startswith("dualwrite: nowhere.toml")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("verb", [("proxy", "--workers", "2"), ("up",)])
@pytest.mark.parametrize("files", [("--keys",), ("--tls-cert", "--tls-key")])
def test_a_missing_file_is_told_before_anything_is_started(
    verb: tuple[str, ...], files: tuple[str, ...]
) -> None:
    """A usage error in one line that names it, before even the engine is asked."""
    given = [part for option in files for part in (option, "nowhere.file")]
    where = ("--spec", str(SPEC), "--endpoint", "http://127.0.0.1:1")
    result = CliRunner().invoke(app, [*verb, *where, *given])
    assert result.exit_code == 2
    assert result.stderr.startswith("dualwrite: nowhere.file")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    "given",
    [
        ("up", "--port", "65535", "--proxies", "2"),
        ("up", "--metrics-port", "65533", "--workers", "2"),
        ("proxy", "--metrics-port", "65535", "--workers", "2"),
    ],
)
def test_ports_that_do_not_suffice_are_told_before_anything_is_started(
    service: Service, given: tuple[str, ...]
) -> None:
    """Parts take ports in a row; where that goes beyond the last one, nobody is started."""
    result = service.run(*given)
    assert result.exit_code == 2
    assert "leaves no room" in result.stderr


@pytest.mark.parametrize("verb", ["check", "status", "proxy", "consume", "control", "up"])
def test_an_engine_that_does_not_answer_is_one_line(verb: str) -> None:
    """Nobody listens on port 1: exit code 4, one plain line."""
    result = CliRunner().invoke(
        app, [verb, "--spec", str(SPEC), "--endpoint", "http://127.0.0.1:1"]
    )
    assert result.exit_code == 4
    assert result.stderr.startswith("dualwrite: the engine cannot be reached")
    assert result.stderr.count("\n") == 1


def test_errors_have_a_shape_in_json() -> None:
    """--json holds for errors too."""
    result = CliRunner().invoke(
        app, ["status", "--spec", str(SPEC), "--endpoint", "http://127.0.0.1:1", "--json"]
    )
    answer = json.loads(result.stdout)
    assert answer["exit"] == result.exit_code == 4
    assert "cannot be reached" in answer["error"]
