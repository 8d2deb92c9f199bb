"""The files of a run beside its journal can be deleted: every looking command says the same without them (SPEC 8)."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, task
from tests.repos import Repo

NEEDS = {"status": "NEEDS_CONTEXT", "missing_context": ["README.md"]}
LOOKS = [
    ("runs",),
    ("status",),
    ("log",),
    ("decisions",),
    ("why", "d"),
    ("show", "a"),
    ("show", "c"),
    ("show", "a", "--diff"),
    ("show", "a", "--brief"),
    ("show", "b", "--brief"),
    ("show", "c", "--brief"),
    ("show", "e", "--brief"),
    ("show", "a", "--brief", "-n", "1"),
    ("show", "b", "--brief", "-n", "1"),
]


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "world")


@pytest.fixture
def played(cli: CliWorld) -> CliWorld:
    """A run in which tasks were retried, asked for context, landed, failed, wait for an answer, and wait for others."""
    cli.script(
        {
            "a": [{"write": {"a.txt": ""}, "say": "first try of a"}, {"say": "second try of a"}],
            "b": [{"write": {}, "report": NEEDS}, {}],
            "c": [{"write": {"c.txt": ""}, "say": "try of c"}],
        }
    )
    tasks = [
        task("a", description="The token is s3cr3t-t0ken-value."),
        task("b"),
        task("c", depends_on=["a"]),
        task("d", needs_human=True),
        task("e", depends_on=["d"]),
    ]
    plan = cli.plan(tasks, env={"pass": ["SERVICE_TOKEN"]})
    cli.environ["SERVICE_TOKEN"] = "s3cr3t-t0ken-value"
    done = cli.run(plan, "--quiet", "--no-wait")
    assert done.code == 4, done.stderr
    return cli


_AGE = re.compile(r"\b\d+[smhd] ago")


def look(cli: CliWorld) -> dict[tuple[str, ...], str]:
    """What every looking command prints, without the ages that go on counting."""
    found = {}
    for words in LOOKS:
        for more in ((), ("--json",)):
            done = cli.call(*words, *more)
            assert done.code == 0, (words, done.stderr)
            found[*words, *more] = _AGE.sub("", " ".join(done.stdout.split()))
    return found


def forget_all_but_the_journal(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name in {"journal.db", "journal.db-wal"}:
            continue
        shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def test_looking_needs_the_journal_alone(played: CliWorld):
    folder = played.repo.path / ".git" / "chargehand" / "runs" / "todo-1"
    before = look(played)
    assert "s3cr3t" not in before["show", "a", "--brief"]
    forget_all_but_the_journal(folder)
    assert look(played) == before


def test_a_log_that_is_gone_is_told_and_its_end_shown(played: CliWorld):
    folder = played.repo.path / ".git" / "chargehand" / "runs" / "todo-1"
    assert played.call("show", "a", "--log", "-n", "1").stdout == "first try of a\n"
    forget_all_but_the_journal(folder)
    for attempt, said in (("1", "first try of a"), ("2", "second try of a")):
        text = played.call("show", "a", "--log", "-n", attempt).stdout
        assert "is not in" in text
        assert text.endswith(f"as the journal has it:\n{said}\n")
    assert played.call("show", "a", "--log", "--json").document["files"] == []


def test_a_run_goes_on_from_its_journal_alone(played: CliWorld):
    """I4: what lies beside the journal is not needed to finish; each task lands once."""
    forget_all_but_the_journal(played.repo.path / ".git" / "chargehand" / "runs" / "todo-1")
    played.script({})
    for decision in played.call("decisions", "--json").document["decisions"]:
        choice = "approve" if "approve" in decision["choices"] else "retry"
        assert played.call("answer", decision["id"], choice).code == 0
    done = played.call("resume", "--json")
    assert (done.code, done.document["state"]) == (0, "finished")
    subjects = played.repo.git("log", "--first-parent", "--format=%s", "main..chargehand/todo-1").splitlines()
    assert sorted(line[0] for line in subjects) == list("abcde")
