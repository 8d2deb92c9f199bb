"""The parts of the command line that need no repository."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest

from chargehand.cli.commands.run import run
from chargehand.cli.failing import PlanRefused, explain
from chargehand.cli.main import main
from chargehand.cli.reference import reference
from chargehand.cli.registry import COMMANDS
from chargehand.cli.samples import find_commands, sample_plan, sample_settings
from chargehand.cli.session import Session
from chargehand.cli.spreading import spread
from chargehand.domain.errors import AdapterError, RunLocked, Stuck, UserError
from chargehand.domain.events import Recorded, WarningRaised
from chargehand.domain.problem import Problem
from chargehand.plans.checking import check_loaded
from chargehand.plans.native import parse_plan
from chargehand.settings import OPTIONS

ROOT = Path(__file__).parents[2]


# -- help and reference ---------------------------------------------------------------------------


def test_help_imports_nothing_heavy():
    """`chargehand --help` stays quick: no command, no pydantic, no rich, no asyncio."""
    code = (
        "import sys; from chargehand.cli.main import main; main(['--help']);"
        "heavy = {'pydantic', 'rich', 'asyncio', 'yaml', 'sqlite3', 'chargehand.wiring', 'chargehand.cli.call'};"
        "sys.exit(', '.join(sorted(heavy & set(sys.modules))) or 0)"
    )
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (got.returncode, got.stderr) == (0, "")
    assert all(f"  {name} " in got.stdout for name in COMMANDS)


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_has_help_with_examples(name: str, capsys: pytest.CaptureFixture[str]):
    assert main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"Usage: chargehand {name}")
    assert "Examples:" in text or name == "rescue"


def test_the_bare_command_is_its_help(capsys: pytest.CaptureFixture[str]):
    assert main([]) == 0
    assert capsys.readouterr().out.startswith("Usage: chargehand")
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("chargehand 0.")


def test_the_reference_page_is_what_the_commands_say():
    """Renew it with `python -m chargehand.cli.reference > docs/reference/command-line.md`."""
    assert (ROOT / "docs/reference/command-line.md").read_text(encoding="utf-8") == reference()


def test_the_documents_of_all_commands_are_described():
    text = (ROOT / "docs/reference/json.md").read_text(encoding="utf-8")
    assert [name for name in COMMANDS if f"`{name}" not in text and name != "demo"] == []


def test_every_flag_of_a_setting_is_one_of_run():
    flags = {name for param in run.params if isinstance(param, click.Option) for name in param.opts}
    assert {option.flag for option in OPTIONS if option.flag} <= flags


# -- --only ---------------------------------------------------------------------------------------

TAKES_VALUE = {"--only", "--jobs"}


@pytest.mark.parametrize(
    ("words", "spread_out"),
    [
        ("plan --only a b --json", "plan --only a --only b --json"),
        ("plan --only a b c", "plan --only a --only b --only c"),
        ("--only a plan", "--only a plan"),
        ("--only a plan --only b c", "--only a plan --only b --only c"),
        ("plan --jobs 2 --only a", "plan --jobs 2 --only a"),
        ("--jobs 2 --only a plan", "--jobs 2 --only a plan"),
        ("plan --only a -- b", "plan --only a -- b"),
        ("plan --only", "plan --only"),
        ("plan extra", "plan extra"),
    ],
)
def test_only_takes_words_until_the_next_option(words: str, spread_out: str):
    assert spread(words.split(), "--only", TAKES_VALUE) == spread_out.split()


# -- failing --------------------------------------------------------------------------------------


def explained(error: BaseException, session: Session, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = explain(error, session)
    seen = capsys.readouterr()
    return code, seen.out, seen.err


@pytest.mark.parametrize(
    ("error", "code", "name"),
    [
        (UserError("Wrong.", code="wrong", hint="Do right."), 2, "wrong"),
        (RunLocked("todo-1", "process 7 on host"), 2, "run_locked"),
        (click.UsageError("no such thing"), 2, "usage"),
        (click.ClickException("no"), 2, "usage"),
        (AdapterError("journal", "The disk is full."), 3, "journal_failed"),
        (click.Abort(), 130, "interrupted"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_each_kind_of_failure_has_its_exit_code(
    error: BaseException, code: int, name: str, capsys: pytest.CaptureFixture[str]
):
    got, out, err = explained(error, Session(words=("run", "--json")), capsys)
    assert (got, json.loads(out)["error"]["code"], err) == (code, name, "")
    got, out, err = explained(error, Session(words=("run",)), capsys)
    assert (got, out) == (code, "")
    assert err.startswith("error: ")


def test_a_failing_world_names_the_run_that_can_be_resumed(capsys: pytest.CaptureFixture[str]):
    _, _, err = explained(AdapterError("git", "It is gone"), Session(run="todo-1"), capsys)
    assert "chargehand resume todo-1" in err


def test_all_errors_of_a_plan_are_told(capsys: pytest.CaptureFixture[str]):
    problems = [Problem(code=f"c{n}", message=f"Error {n}.", file="p.yaml", line=n, hint="") for n in (3, 4)]
    _, out, _ = explained(PlanRefused(problems), Session(words=("--json",)), capsys)
    assert [row["code"] for row in json.loads(out)["errors"]] == ["c3", "c4"]
    _, _, err = explained(PlanRefused(problems), Session(), capsys)
    assert err.splitlines() == ["error: p.yaml:3: Error 3.", "error: p.yaml:4: Error 4."]


def test_json_behind_two_dashes_is_a_word():
    assert Session(words=("run", "--json")).json
    assert not Session(words=("run", "--", "--json")).json


def test_a_bug_leaves_a_report_with_the_last_events(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    session = Session(words=("run", "secret-plan"), run="todo-1", crashes=tmp_path / "crashes")
    for number in range(30):
        session.recent.append(Recorded(seq=number, at=0.0, event=WarningRaised(code=f"w{number}", text="x")))
    try:
        raise Stuck("Nothing moves.")
    except Stuck as error:
        code, _, err = explained(error, session, capsys)
    (report,) = (tmp_path / "crashes").iterdir()
    text = report.read_text()
    assert code == 3
    assert str(report) in err
    assert "chargehand resume todo-1" in err
    assert "Traceback" in text
    assert '"code": "w29"' in text
    assert '"code": "w9"' not in text
    assert "secret-plan" not in text


def test_a_report_that_cannot_be_written_is_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
):
    blocked = tmp_path / "file"
    blocked.write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(blocked))
    code, _, err = explained(ValueError("odd"), Session(crashes=blocked / "crashes"), capsys)
    assert code == 3
    assert "cannot be written" in err
    assert "ValueError: odd" in err


def test_an_unknown_command_names_the_nearest(capsys: pytest.CaptureFixture[str]):
    assert main(["staus"]) == 2
    assert "Did you mean 'status'?" in capsys.readouterr().err


# -- samples --------------------------------------------------------------------------------------


_PYTHON = "python" if shutil.which("python") else "python3"


@pytest.mark.parametrize(
    ("files", "argv"),
    [
        ({"Makefile": "all:\n\ntest: all\n\tpytest\n"}, ("make", "test")),
        ({"pyproject.toml": "[tool.pytest.ini_options]\n"}, (_PYTHON, "-m", "pytest", "-q")),
        ({"tests/test_a.py": ""}, (_PYTHON, "-m", "pytest", "-q")),
        ({"package.json": '{"scripts": {"test": "vitest"}}'}, ("npm", "test")),
        ({"package.json": '{"scripts": {"test": "echo no test specified"}}'}, None),
        ({"package.json": "[broken"}, None),
        ({"Cargo.toml": ""}, ("cargo", "test", "--quiet")),
        ({"go.mod": ""}, ("go", "test", "./...")),
        ({}, None),
    ],
)
def test_the_test_command_is_found_in_the_files_of_the_project(
    tmp_path: Path, files: dict[str, str], argv: tuple[str, ...] | None
):
    for name, text in files.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    assert find_commands(tmp_path).get("tests") == argv


@pytest.mark.parametrize(
    ("there", "first"), [(["python", "python3"], "python"), (["python3"], "python3"), ([], "python")]
)
def test_the_python_of_a_sample_is_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: list[str], first: str
):
    for name in there:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (tmp_path / "pytest.ini").touch()
    assert find_commands(tmp_path) == {"tests": (first, "-m", "pytest", "-q")}


@pytest.mark.parametrize("folder", ["My Project!", "x", "漢字"])
def test_the_sample_plan_is_sound_wherever_it_is_written(tmp_path: Path, folder: str):
    commands = {"tests": ("make", "test"), "lint": ("ruff", "check", ".")}
    for found in ({}, commands):
        loaded = parse_plan(sample_plan(tmp_path / folder, found), "plan.yaml")
        assert loaded.problems == ()
        assert check_loaded(loaded).problems == ()
        assert "[[gates]]" in sample_settings(found)
