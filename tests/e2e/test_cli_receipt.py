"""`chargehand receipt`: what is printed, and the exit codes (SPEC 10.1)."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, task
from tests.repos import Repo, hermetic_environment


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> CliWorld:
    """Two runs: one of two tasks that both landed, one of which nothing did."""
    folder = tmp_path_factory.mktemp("receipt")
    (folder / "home").mkdir()
    repo = Repo(path=folder / "project", environ=hermetic_environment(folder / "home")).init()
    repo.write("README.md", "A project.\n")
    repo.commit("base")
    cli = CliWorld(repo, folder / "cli")
    cli.script({"bad": [{"write": {}}]})
    gates = [{"id": "whole", "run": ["test", "-f", "README.md"]}]
    plan = cli.plan([task("bad")], features={"code_review": False})
    assert cli.run(plan, "--run-id", "none", "--unattended").code == 1
    plan = cli.plan([task("a"), task("b", depends_on=["a"])], gates=gates, features={"code_review": False})
    assert cli.run(plan, "--run-id", "two").code == 0
    return cli


@pytest.fixture
def cli(played: CliWorld, tmp_path: Path) -> CliWorld:
    """A copy of the repository, to be tampered with."""
    shutil.copytree(played.repo.path, tmp_path / "project", symlinks=True)
    return CliWorld(Repo(path=tmp_path / "project", environ=played.repo.environ), tmp_path / "cli")


def test_verify_says_of_each_receipt_that_it_holds(cli: CliWorld) -> None:
    done = cli.call("receipt", "verify")
    assert done.code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [["ok", "a"], ["ok", "b"], ["ok", "(run)"]]
    assert lines[-1] == "Everything of run two holds; the gates were run again."
    assert "gates of" not in done.stderr  # progress is for a terminal


def test_verify_as_one_document(cli: CliWorld) -> None:
    done = cli.call("receipt", "verify", "two", "--json")
    document = done.document
    assert (done.code, document["run"], document["holds"], document["gates_run"]) == (0, "two", True, True)
    assert [each["task"] for each in document["receipts"]] == ["a", "b", None]
    (verify, whole) = document["receipts"][0]["gates"]
    assert (verify["gate"], verify["point"], verify["then"], verify["now"], verify["holds"]) == (
        "verify-1",
        "task",
        "pass",
        "pass",
        True,
    )
    assert whole["gate"] == "whole"
    assert len(document["journal"]["hash"]) == 64
    assert document["written"] == {"files": [], "notes": 0}


def test_verify_tells_what_no_longer_holds(cli: CliWorld) -> None:
    file = cli.repo.path / ".git/chargehand/runs/two/receipts/a.json"
    file.write_text(file.read_text().replace("implementer", "reviewer"))
    cli.repo.git("notes", "--ref=chargehand", "remove", "chargehand/two")
    done = cli.call("receipt", "verify", "--no-run")
    assert done.code == 1
    assert "bad  a " in done.stdout
    assert "says something else than the journal in attempts[0].role" in done.stdout
    assert "is gone." in done.stdout
    assert done.stdout.splitlines()[-1].endswith("of run two no longer hold; no gate was run.")
    document = cli.call("receipt", "verify", "--no-run", "--json").document
    assert [problem["code"] for problem in document["receipts"][0]["problems"]] == ["receipt_changed"]
    assert cli.call("receipt", "verify", "--no-run", "--task", "b").code == 1
    assert cli.call("receipt", "verify", "--no-run", "--task", "a", "--json").document["holds"] is False


def test_verify_of_a_damaged_journal_names_the_event(cli: CliWorld) -> None:
    import sqlite3
    from contextlib import closing

    path = cli.repo.path / ".git/chargehand/runs/two/journal.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("DROP TRIGGER events_are_never_edited")
        connection.execute("UPDATE events SET at = at + 1.0 WHERE seq = 5")
    done = cli.call("receipt", "verify")
    assert done.code == 1
    assert "does not hold from event 5 on" in done.stdout
    assert "no gate was run" in done.stdout
    assert cli.call("receipt", "show").code == 3


def test_a_run_of_which_nothing_landed_has_nothing_to_prove(cli: CliWorld) -> None:
    done = cli.call("receipt", "verify", "none", "--no-run")
    assert done.code == 0
    assert "(run)" in done.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("verify", "three"), "unknown_run"),
        (("verify", "two", "--task", "c"), "no_receipt"),
        (("show", "c"), "unknown_task"),
        (("show", "bad", "--run", "none"), "no_receipt"),
    ],
)
def test_what_is_not_there_is_a_mistake_of_the_user(cli: CliWorld, words: tuple[str, ...], code: str) -> None:
    done = cli.call("receipt", *words, "--json")
    assert (done.code, done.document["error"]["code"]) == (2, code)


def test_show_tells_a_person_and_a_program(cli: CliWorld) -> None:
    done = cli.call("receipt", "show", "a")
    assert done.code == 0
    text = done.stdout
    assert text.startswith("task a: The a\n")
    for word in ("landed", "sealed", "inside: a.txt", "1 implementer by command", "verify-1 pass at task", "journal"):
        assert word in text
    document = cli.call("receipt", "show", "a", "--json").document
    file = cli.repo.path / ".git/chargehand/runs/two/receipts/a.json"
    assert document == json.loads(file.read_text())
    assert cli.call("receipt", "show", "--json").document["kind"] == "run"
    assert "2 of 2 landed" in cli.call("receipt", "show").stdout


def test_show_makes_what_is_missing(cli: CliWorld) -> None:
    folder = cli.repo.path / ".git/chargehand/runs/two/receipts"
    shutil.rmtree(folder)
    cli.repo.git("update-ref", "-d", "refs/notes/chargehand")
    assert cli.call("receipt", "list").stdout.count("nowhere yet") == 3
    assert cli.call("receipt", "show").code == 0
    assert sorted(file.name for file in folder.iterdir()) == ["a.json", "b.json", "run.json"]
    assert cli.call("receipt", "list").stdout.count("file, note") == 3


def test_list_is_a_line_for_each(cli: CliWorld) -> None:
    rows = cli.call("receipt", "list", "--json").document["receipts"]
    assert [(row["task"], row["file"], row["noted"]) for row in rows] == [
        ("a", True, True),
        ("b", True, True),
        (None, True, True),
    ]
    assert rows[1]["commit"] == rows[2]["commit"] == cli.repo.head("chargehand/two")


def test_the_bare_command_is_its_help(cli: CliWorld) -> None:
    done = cli.call("receipt")
    assert (done.code, "verify" in done.stdout) == (0, True)


def test_progress_is_shown_on_a_terminal(cli: CliWorld) -> None:
    leader, follower = pty.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "chargehand", "receipt", "verify"],
            cwd=cli.repo.path,
            env=cli.environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=follower,
            timeout=90,
            check=False,
        )
        os.close(follower)
        told = os.read(leader, 65536).decode()
    finally:
        os.close(leader)
    assert done.returncode == 0
    assert "gates of task a (task), 1 of" in told


def test_a_yes_of_then_is_none_of_today(repo: Repo, tmp_path: Path) -> None:
    """I9: commands that the run asked about are not run again unasked."""
    cli = CliWorld(repo, tmp_path / "cli")
    gates = [{"id": "clean", "run": "rm -rf build && test -s a.txt", "on": ["run"]}]
    asked = cli.run(cli.plan([task("a")], gates=gates, features={"code_review": False}), "--no-wait", "--json")
    assert cli.call("approve", asked.document["decisions"][0]["id"]).code == 0
    assert cli.call("resume").code == 0
    done = cli.call("receipt", "verify", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "needs_yes")
    assert "rm -rf build" in done.document["error"]["message"]
    assert cli.call("receipt", "verify", "--no-run").code == 0
    assert cli.call("receipt", "verify", "--yes", "--json").document["gates_run"] is True
