"""Ids and numbers that are used again: what they stood for before is kept (I2)."""

from __future__ import annotations

import os
import shutil
import signal
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, Done, task
from tests.e2e.gitworld import REF, Agent
from tests.e2e.gitworld import World as GitWorld
from tests.repos import Repo

RESCUES = "refs/chargehand/rescue/run/task"


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "world")


def runs_folder(cli: CliWorld) -> Path:
    return cli.repo.path / ".git" / "chargehand" / "runs"


def refs(cli: CliWorld, under: str) -> dict[str, str]:
    listed = cli.repo.git("for-each-ref", "--format=%(refname) %(objectname)", under)
    return dict(line.split(" ", 1) for line in listed.splitlines())


def rescued(cli: CliWorld) -> list[str]:
    """What the rescues of the run stand on."""
    return cli.repo.git("for-each-ref", "--format=%(parent)", "refs/chargehand/rescue/todo-1/").split()


# -- the id of a run


@pytest.fixture
def forgotten(cli: CliWorld) -> dict[str, str]:
    """A finished run of which nothing is left but its refs."""
    assert cli.run(cli.plan([task("a")]), "--quiet").code == 0
    kept = refs(cli, "refs/chargehand/attempts/todo-1/")
    assert kept
    shutil.rmtree(runs_folder(cli) / "todo-1")
    cli.repo.git("branch", "-D", "chargehand/todo-1")
    return kept


def test_the_id_of_a_run_whose_refs_are_left_is_not_given_again(cli: CliWorld, forgotten: dict[str, str]):
    """I2: the refs of the forgotten run stand where they stood."""
    cli.script({"a": [{"write": {"a.txt": "something else\n"}}]})
    done = cli.run(cli.plan([task("a")]), "--quiet", "--json")
    assert (done.code, done.document["run"]) == (0, "todo-2")
    assert refs(cli, "refs/chargehand/attempts/todo-1/") == forgotten


@pytest.mark.parametrize("kind", ["attempts", "rescue", "candidates", "bases"])
def test_such_an_id_is_refused_when_it_is_asked_for(cli: CliWorld, kind: str):
    """I2: whatever is kept under it."""
    end = "" if kind == "bases" else "/a/1"
    cli.repo.git("update-ref", f"refs/chargehand/{kind}/mine{end}", cli.repo.head("main"))
    done = cli.run(cli.plan([task("a")]), "--run-id", "mine", "--json")
    assert done.code == 2
    error = done.document["error"]
    assert error["code"] == "run_refs_exist"
    assert "--run-id" in error["hint"]
    assert not (runs_folder(cli) / "mine").exists()
    assert cli.run(cli.plan([task("a")]), "--run-id", "min", "--quiet").code == 0


# -- the number of an attempt


def test_a_seal_keeps_what_its_ref_held(world: GitWorld):
    """I2: an attempt of the same number does not replace the work of the one before; each is kept once."""
    sealed = []
    for text in ("one\n", "two\n", "three\n"):
        workspace = world.acquire()
        Agent(workspace, dict(world.repo.environ)).write("a.txt", text)
        sealed.append(world.seal(workspace).commit)
        world.release(workspace)
    assert world.repo.head(REF) == sealed[2]
    assert [world.repo.head(f"{RESCUES}/{n}^2") for n in (1, 2)] == sealed[:2]


@pytest.mark.parametrize("packed", [False, True])
def test_a_seal_sees_refs_wherever_git_keeps_them(world: GitWorld, packed: bool):
    """I2: also when `git pack-refs` has put the ref away."""
    workspace = world.acquire()
    agent = Agent(workspace, dict(world.repo.environ))
    agent.write("a.txt", "one\n")
    first = world.seal(workspace).commit
    if packed:
        world.repo.git("pack-refs", "--all", "--prune")
    agent.write("a.txt", "two\n")
    second = world.seal(workspace).commit
    assert (world.repo.head(REF), world.repo.head(f"{RESCUES}/1^2")) == (second, first)


def test_what_the_new_work_builds_on_needs_no_rescue(world: GitWorld):
    """The base, where the attempt before changed nothing, above all."""
    workspace = world.acquire()
    world.seal(workspace)
    Agent(workspace, dict(world.repo.environ)).write("a.txt", "one\n")
    sealed = world.seal(workspace)
    assert world.repo.head(REF) == sealed.commit
    assert world.repo.git("for-each-ref", RESCUES) == ""


def test_a_ref_that_nobody_can_read_is_no_hindrance(world: GitWorld):
    """A file that the loss of power left empty holds nothing that could be kept."""
    file = world.repo.path / ".git" / REF
    file.parent.mkdir(parents=True)
    file.write_text("")
    workspace = world.acquire()
    Agent(workspace, dict(world.repo.environ)).write("a.txt", "one\n")
    assert world.seal(workspace).commit == world.repo.head(REF)


# -- a journal that has lost its end


@pytest.fixture
def rewound(cli: CliWorld) -> dict[str, str]:
    """A run that was killed after its first attempt was sealed, and whose journal is set back to the beginning."""
    cli.script({"a": [{"write": {"a.txt": "first\n"}}, {"write": {"a.txt": "half\n"}, "stay": True}, {}]})
    with cli.start(
        "run",
        cli.plan([task("a", verify=[["grep", "-q", "second", "a.txt"]])]),
        "--agent-command",
        cli.agent,
        "--sandbox",
        "none",
        "--quiet",
    ) as process:
        cli.wait_until_written()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    kept = refs(cli, "refs/chargehand/attempts/todo-1/")
    assert list(kept) == ["refs/chargehand/attempts/todo-1/a/1"]
    for end in ("-wal", "-shm"):
        (runs_folder(cli) / "todo-1" / f"journal.db{end}").unlink()
    return kept


def unknown_work(done: Done) -> list[dict[str, object]]:
    return [row for row in done.document["findings"] if row["name"] == "unknown work"]


def test_work_that_the_journal_does_not_know_survives_resume(cli: CliWorld, rewound: dict[str, str]):
    """I2: its number is used again, and it is found with the rescues."""
    (old,) = rewound.values()
    cli.script({"a": [{"write": {"a.txt": "second\n"}}]})
    cli.call("resume", "--no-wait", "--json")
    assert refs(cli, "refs/chargehand/attempts/todo-1/")["refs/chargehand/attempts/todo-1/a/1"] != old
    assert rescued(cli).count(old) == 1


def test_the_doctor_tells_of_work_that_the_journal_does_not_know(cli: CliWorld, rewound: dict[str, str]):
    """I2: and keeps it, once."""
    (old,) = rewound.values()
    (row,) = unknown_work(cli.call("doctor", "--json"))
    assert row["ok"] is False
    assert "a/1" in str(row["text"])
    cli.call("doctor", "--repair", "--yes", "--json")
    assert rescued(cli).count(old) == 1
    assert unknown_work(cli.call("doctor", "--json")) == []


# -- a copy of a run


def test_a_copied_folder_makes_no_second_driver(cli: CliWorld):
    """I2: the copy is refused and named, the run goes on."""
    with cli.started_run(cli.plan([task("a")])) as process:
        process.communicate()
    folder = runs_folder(cli)
    shutil.copytree(folder / "todo-1", folder / "todo-2")
    done = cli.call("resume", "todo-2", "--json")
    assert done.code == 2
    assert done.document["error"]["code"] == "copied_run"
    listed = cli.call("runs", "--json").document
    (row,) = listed["unreadable"]
    assert "holds run todo-1" in str(row)
    assert [row["run"] for row in listed["runs"]] == ["todo-1"]
    assert not cli.call("doctor", "--json").document["ok"]
