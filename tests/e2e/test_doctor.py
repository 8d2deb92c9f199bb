"""`chargehand doctor` in worlds that are broken on purpose, as a person would call it."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.confined import mark_of
from chargehand.adapters.process.spec import MARKER_VARIABLE
from tests.e2e.cliworld import CliWorld, Done, task
from tests.e2e.screens import screen
from tests.repos import Repo


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "world")


def finding(done: Done, name: str, area: str = "") -> dict[str, Any]:
    """The finding of that name; fails when there is none."""
    rows = [row for row in done.document["findings"] if row["name"] == name and row["area"].startswith(area)]
    assert rows, (name, [(row["area"], row["name"]) for row in done.document["findings"]])
    return dict(rows[0])


def names(done: Done, *, ok: bool | None) -> set[str]:
    """The findings that are well, wrong, or remarks."""
    return {row["name"] for row in done.document["findings"] if row["ok"] is ok}


def kill_in(cli: CliWorld, tasks: list[dict[str, Any]], steps: dict[str, Any], *words: str) -> None:
    """Start a run and kill it with SIGKILL when an agent whose step says `stay` has written its files."""
    cli.script(steps)
    with cli.started_run(cli.plan(tasks), *words) as process:
        cli.wait_until_written()
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    cli.script({})


def forget_refs(repo: Repo) -> None:
    """Remove every ref of ours, and what only they held."""
    for ref in repo.git("for-each-ref", "--format=%(refname)", "refs/chargehand", "refs/heads/chargehand").split():
        repo.git("update-ref", "-d", ref)
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")


STAY = [{"write": {"b.txt": "half a b\n"}, "stay": True}, {}]


@pytest.fixture
def killed(cli: CliWorld) -> CliWorld:
    """A run of three tasks, a landed, b killed at work, c behind b."""
    tasks = [task("a"), task("b", depends_on=["a"]), task("c", depends_on=["b"])]
    kill_in(cli, tasks, {"b": STAY})
    return cli


@pytest.fixture
def run_folder(cli: CliWorld) -> Path:
    return cli.repo.path / ".git" / "chargehand" / "runs" / "todo-1"


# -- the machine ----------------------------------------------------------------------------------


def test_nothing_is_wrong_in_a_fresh_repository(cli: CliWorld):
    done = cli.call("doctor", "--json")
    assert (done.code, done.document["ok"]) == (0, True)
    assert {"git", "journal", "disk"} <= names(done, ok=True)
    assert all(set(row) == {"area", "name", "ok", "text", "hint", "repair"} for row in done.document["findings"])
    said = cli.call("doctor", env={"COLUMNS": "80"})
    assert said.code == 0
    assert said.stdout.endswith("Nothing is wrong.\n")
    assert "\x1b" not in said.stdout


def test_a_plan_brings_its_programs(cli: CliWorld):
    done = cli.call("doctor", cli.plan([task("a"), task("b", verify=[["no-such-program-at-all"]])]), "--json")
    assert finding(done, "program test")["ok"] is True
    assert finding(done, "program no-such-program-at-all")["ok"] is None


def test_a_state_folder_that_cannot_be_written_is_told(cli: CliWorld, tmp_path: Path):
    (tmp_path / "file").write_text("")
    done = cli.call("doctor", "--json", "--state-dir", tmp_path / "file" / "state")
    assert done.code == 1
    assert "--state-dir" in finding(done, "journal")["hint"]


def call_inside(cli: CliWorld, binds: list[str], *words: str | Path) -> Done:
    """A command in a mount namespace of its own."""
    argv = ["bwrap", "--dev-bind", "/", "/", *binds, sys.executable, "-m", "chargehand", *map(str, words)]
    got = subprocess.run(
        argv,
        cwd=cli.repo.path,
        env=cli.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(got.returncode, got.stdout, got.stderr)


NEEDS_BWRAP = pytest.mark.skipif(shutil.which("bwrap") is None, reason="needs a mount namespace")


@NEEDS_BWRAP
def test_a_full_disk_is_told(cli: CliWorld, tmp_path: Path):
    """On a file system of 16 MiB nothing could be sealed or rescued."""
    (tmp_path / "small").mkdir()
    binds = ["--size", str(1 << 24), "--tmpfs", str(tmp_path / "small")]
    done = call_inside(cli, binds, "doctor", "--json", "--state-dir", tmp_path / "small")
    row = finding(done, "disk of state")
    assert (done.code, row["ok"]) == (1, False)
    assert "nothing can be recorded, sealed or rescued there" in row["text"]


@NEEDS_BWRAP
def test_a_repository_that_can_only_be_read_is_told(killed: CliWorld):
    """What cannot be looked at hides nothing of the rest."""
    where = str(killed.repo.path)
    done = call_inside(killed, ["--ro-bind", where, where], "doctor", "--json")
    assert done.code == 1, done.stderr
    assert "--state-dir" in finding(done, "journal", "this machine")["hint"]
    assert "resume" in finding(done, "state", "run")["hint"]


def test_a_missing_agent_is_wrong(cli: CliWorld):
    cli.repo.write("chargehand.toml", "[agents.away]\ncommand = 'no-such-agent-program'\n")
    done = cli.call("doctor", "--json")
    assert (done.code, names(done, ok=False)) == (1, {"agent away"})


def test_neither_a_run_nor_a_file_is_a_usage_error(cli: CliWorld):
    done = cli.call("doctor", "nope", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "unknown_run")


def test_without_a_commit_it_is_told_as_a_finding(cli: CliWorld, tmp_path: Path):
    bare = Repo(path=tmp_path / "empty", environ=cli.repo.environ).init()
    done = cli.call("doctor", "--json", cwd=bare.path)
    assert (done.code, names(done, ok=False)) == (1, {"git"})


def test_messages_are_tried_out_on_request(cli: CliWorld, tmp_path: Path):
    told = tmp_path / "told"
    cli.environ["CHARGEHAND_NOTIFY_COMMAND"] = f"sh -c 'cat > {told}'"
    assert cli.call("doctor").code == 0
    assert not told.exists()
    assert finding(cli.call("doctor", "--notify", "--json"), "notify.command")["ok"] is True
    assert told.exists()
    cli.environ["CHARGEHAND_NOTIFY_COMMAND"] = "no-such-program-here"
    assert cli.call("doctor", "--notify").code == 1


def test_a_channel_whose_variable_is_not_set_is_wrong(cli: CliWorld):
    cli.repo.write("chargehand.toml", '[notify]\nwebhook = "env:NO_SUCH_HOOK"\n')
    done = cli.call("doctor", "--notify", "--json")
    assert (done.code, names(done, ok=False)) == (1, {"notify.webhook"})
    assert "NO_SUCH_HOOK, which is not set" in finding(done, "notify.webhook")["text"]


@NEEDS_BWRAP
def test_init_in_a_folder_that_can_only_be_read_is_a_plain_error(cli: CliWorld):
    where = str(cli.repo.path)
    done = call_inside(cli, ["--ro-bind", where, where], "init", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "unwritable")
    assert "chargehand.toml cannot be written: Read-only file system." in done.document["error"]["message"]
    assert "--repo DIR" in done.document["error"]["hint"]


# -- runs -----------------------------------------------------------------------------------------


def test_a_killed_run_is_explained(killed: CliWorld):
    """I12: what was under way, who drove it, and what resume does about it."""
    done = killed.call("doctor", "--json")
    assert done.code == 0
    assert "chargehand resume todo-1" in finding(done, "state")["hint"]
    assert "is gone" in finding(done, "lock")["text"]
    assert "resume rescues what it left" in finding(done, "attempt 1 of b")["text"]
    assert killed.call("resume", "--json").document["state"] == "finished"
    assert killed.call("doctor", "--json").document["ok"] is True


def test_a_run_that_is_driven_is_told_with_its_holder(cli: CliWorld):
    cli.script({"a": [{"stay": True}]})
    with cli.started_run(cli.plan([task("a")])) as process:
        cli.wait_until_written()
        done = cli.call("doctor", "--json")
        assert f"process {process.pid}" in finding(done, "lock")["text"]
        assert (done.code, finding(done, "state")["ok"]) == (0, True)


def test_a_question_is_told_with_its_answers(cli: CliWorld):
    cli.run(cli.plan([task("a", needs_human=True)]), "--quiet")
    row = finding(cli.call("doctor", "--json"), "question d1")
    assert row["hint"] == "`chargehand answer d1 approve|reject --run todo-1`"


def test_one_run_alone(cli: CliWorld):
    cli.run(cli.plan([task("a")]), "--quiet")
    done = cli.call("doctor", "todo-1", "--json")
    assert "chargehand accept todo-1" in finding(done, "state")["hint"]
    assert finding(done, "program test")["ok"] is True


def test_an_agent_beside_the_plan_is_found_from_where_the_run_was_started(cli: CliWorld):
    """A relative program counts from the folder the run began in, not from a workspace; a finished run needs none."""
    script = cli.repo.path / "agent.sh"
    script.write_text(f"#!/bin/sh\nexec {cli.agent}\n")
    script.chmod(0o755)
    words = ("--agent-command", "./agent.sh", "--sandbox", "none", "--quiet", "--unattended")
    cli.script({"a": [{"report": {"status": "FAILED"}}]})
    ran = cli.call("run", cli.plan([task("a")]), *words)
    assert ran.code == 1, ran.stderr
    done = cli.call("doctor", "todo-1", "--json")
    assert (done.code, names(done, ok=False)) == (0, set()), done.stdout
    cli.script({})
    assert cli.call("run", cli.plan([task("a")]), "--new", *words).code == 0
    script.unlink()
    assert names(cli.call("doctor", "todo-1", "--json"), ok=False) == {"agent command"}
    assert cli.call("doctor", "todo-2", "--json").code == 0


# -- locks ----------------------------------------------------------------------------------------


def test_a_lock_of_another_machine_is_released_after_a_yes(killed: CliWorld, run_folder: Path):
    """A holder elsewhere is never taken over silently (SPEC 8)."""
    lock = run_folder / "lock"
    holder = json.loads(lock.read_text()) | {"host": "elsewhere", "boot": "another"}
    lock.write_text(json.dumps(holder))
    told = killed.call("doctor", "--json")
    assert (told.code, finding(told, "lock")["repair"]) == (0, None)
    lock.write_text(json.dumps(holder | {"heartbeat": 1.0}))
    told = killed.call("doctor", "--json")
    assert "elsewhere" in finding(told, "lock")["text"]
    refused = killed.call("doctor", "--repair", "--json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "needs_yes")
    locked = killed.call("resume", "--json")
    assert (locked.code, locked.document["error"]["code"]) == (2, "run_locked")
    assert "`chargehand doctor todo-1 --repair`, then `chargehand resume todo-1`" in locked.document["error"]["hint"]
    assert "pause" not in locked.document["error"]["hint"]
    assert killed.call("doctor", "--repair", "--yes", "--json").code == 0
    assert killed.call("resume", "--json").document["state"] == "finished"


def test_a_removed_lock_of_a_run_that_is_driven_is_told(cli: CliWorld, run_folder: Path):
    cli.script({"a": [{"stay": True}]})
    with cli.started_run(cli.plan([task("a")])):
        cli.wait_until_written()
        (run_folder / "lock").unlink()
        assert "still drives" in finding(cli.call("doctor", "--json"), "lock")["text"]


def test_a_removed_lock_is_told(killed: CliWorld, run_folder: Path):
    (run_folder / "lock").unlink()
    assert "removed" in finding(killed.call("doctor", "--json"), "lock")["text"]
    assert killed.call("resume", "--json").document["state"] == "finished"


# -- the branch and the commits -------------------------------------------------------------------


def test_a_deleted_branch_is_made_again(killed: CliWorld):
    head = killed.repo.head("chargehand/todo-1")
    killed.repo.git("update-ref", "-d", "refs/heads/chargehand/todo-1")
    told = killed.call("doctor", "--json")
    assert (told.code, finding(told, "branch")["ok"]) == (1, False)
    mended = killed.call("doctor", "--repair", "--json")
    assert (mended.code, finding(mended, "branch")["repair"]["state"]) == (0, "done")
    assert killed.repo.head("chargehand/todo-1") == head
    assert killed.call("resume", "--json").document["state"] == "finished"


def test_a_deleted_branch_whose_commits_are_gone_too_says_what_is_lost(killed: CliWorld):
    forget_refs(killed.repo)
    row = finding(killed.call("doctor", "--json"), "branch")
    assert (row["ok"], row["repair"]) == (False, None)
    assert "what landed is lost here" in row["text"]
    assert "git fetch COPY" in row["hint"]


def test_a_moved_branch_is_explained_and_left_to_people(killed: CliWorld):
    """I3: nobody but the run moves the branch; which state is right is for people to say."""
    repo, head = killed.repo, killed.repo.head("chargehand/todo-1")
    tree = repo.git("rev-parse", f"{head}^{{tree}}")
    other = repo.git("commit-tree", tree, "-p", head, "-m", "mine")
    repo.git("update-ref", "refs/heads/chargehand/todo-1", other)
    row = finding(killed.call("doctor", "--json"), "branch")
    assert (row["ok"], row["repair"]) == (False, None)
    assert "1 commit of others on top" in row["text"]
    words = row["hint"].split("`")[1].split()
    repo.git(*words[1:])
    assert repo.head("chargehand/todo-1") == head
    assert killed.call("doctor", "--json").code == 0


def test_a_deleted_branch_of_an_ended_run_may_be_meant(cli: CliWorld):
    cli.run(cli.plan([task("a")]), "--quiet")
    cli.repo.git("update-ref", "-d", "refs/heads/chargehand/todo-1")
    done = cli.call("doctor", "--json")
    assert (done.code, finding(done, "branch")["ok"], finding(done, "branch")["repair"]) == (0, None, None)
    cli.repo.git(*finding(done, "branch")["hint"].split("`")[1].split()[1:])
    assert "branch" not in names(cli.call("doctor", "--json"), ok=None)


def test_a_branch_that_is_checked_out_elsewhere_is_told(killed: CliWorld, tmp_path: Path):
    killed.repo.git("worktree", "add", "-q", str(tmp_path / "there"), "chargehand/todo-1")
    assert str(tmp_path / "there") in finding(killed.call("doctor", "--json"), "checkout")["text"]


def test_refs_of_sealed_work_are_made_again(cli: CliWorld):
    """I2: what an attempt left stays reachable."""
    cli.script({"a": [{"write": {"a.txt": ""}}]})
    cli.run(cli.plan([task("a")]), "--quiet")
    refs = cli.repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/chargehand/attempts")
    for line in refs.splitlines():
        cli.repo.git("update-ref", "-d", line.split()[0])
    assert finding(cli.call("doctor", "--json"), "refs")["ok"] is False
    assert cli.call("doctor", "--repair").code == 0
    assert cli.repo.git("for-each-ref", "--format=%(refname) %(objectname)", "refs/chargehand/attempts") == refs


def test_sealed_work_that_is_gone_is_named(cli: CliWorld):
    cli.script({"a": [{"write": {"a.txt": ""}}]})
    cli.run(cli.plan([task("a")]), "--quiet")
    repo = cli.repo
    for ref in repo.git("for-each-ref", "--format=%(refname)", "refs/chargehand").split():
        repo.git("update-ref", "-d", ref)
    repo.git("reflog", "expire", "--expire=now", "--all")
    repo.git("gc", "-q", "--prune=now")
    row = finding(cli.call("doctor", "--json"), "sealed work")
    assert row["ok"] is False
    assert "of a (" in row["text"]


def test_a_base_that_is_gone_is_told(cli: CliWorld):
    repo = cli.repo
    side = repo.git("commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "side")
    kill_in(cli, [task("b")], {"b": STAY}, "--base", side)
    forget_refs(repo)
    done = cli.call("doctor", "--json")
    assert names(done, ok=False) >= {"base", "branch"}
    assert f"git fetch REMOTE {side}" in finding(done, "base")["hint"]


def test_a_journal_of_a_newer_release_is_no_damage(killed: CliWorld, run_folder: Path):
    """I14: it is told which release can go on, and nothing is offered that would throw its events away."""
    connection = sqlite3.connect(run_folder / "journal.db")
    connection.execute("PRAGMA user_version = 9999")
    connection.close()
    row = finding(killed.call("doctor", "--json"), "journal", "run")
    assert (row["ok"], row["repair"]) == (False, None)
    assert "or a later one" in row["hint"]


# -- workspaces and leftovers ---------------------------------------------------------------------


def pool(cli: CliWorld) -> Path:
    return next((cli.folder / "state" / "chargehand").glob("*/agents"))


def test_a_deleted_workspace_is_told_and_forgotten(killed: CliWorld):
    work = next(pool(killed).glob("s*/*/.git")).parent
    shutil.rmtree(work)
    done = killed.call("doctor", "--json")
    assert "was deleted" in finding(done, f"workspace {work.parent.name}")["text"]
    assert killed.call("doctor", "--repair").code == 0
    assert killed.call("resume", "--json").document["state"] == "finished"


def test_work_of_a_run_that_is_not_here_any_more_is_rescued(killed: CliWorld, run_folder: Path, tmp_path: Path):
    """I2: what an agent left is kept, also when the run that it belonged to is gone."""
    run_folder.rename(tmp_path / "away")
    done = killed.call("doctor", "--repair", "--yes", "--json")
    rescued = [row for row in done.document["findings"] if row["repair"] and "rescue" in row["repair"]["text"]]
    assert [row["repair"]["state"] for row in rescued] == ["done"]
    (kept,) = killed.call("rescue", "list", "--json").document["rescues"]
    assert "half a b" in killed.call("rescue", "show", kept["name"]).stdout


def test_a_note_that_cannot_be_read_has_its_files_set_aside(killed: CliWorld):
    """I2: files whose owner is not known are not overwritten by the next attempt."""
    note = next(pool(killed).glob("s*/note.json"))
    note.write_text("{")
    assert finding(killed.call("doctor", "--json"), f"workspace {note.parent.name}")["ok"] is False
    assert killed.call("doctor", "--repair").code == 0
    assert [file.read_text() for file in pool(killed).glob("kept/*/*/b.txt")] == ["half a b\n"]


def test_a_repository_that_was_moved_keeps_the_work_of_its_old_place(killed: CliWorld, tmp_path: Path):
    """I2: workspaces are found by the path of the repository; after a move those of before are still rescued."""
    killed.repo.path.rename(tmp_path / "moved here")
    killed.repo.path = tmp_path / "moved here"
    told = killed.call("doctor", "--json")
    assert finding(told, "left by b")["ok"] is False
    mended = killed.call("doctor", "--repair", "--json")
    assert finding(mended, "left by b")["repair"]["state"] == "done"
    (kept,) = killed.call("rescue", "list", "--json").document["rescues"]
    assert kept["name"] == "todo-1/b/1"
    assert "half a b" in killed.call("rescue", "show", kept["name"]).stdout
    assert killed.call("resume", "--json").document["state"] == "finished"


def test_leftovers_are_removed_after_a_yes(cli: CliWorld, tmp_path: Path):
    cli.run(cli.plan([task("a")]), "--quiet")
    state = cli.repo.path / ".git" / "chargehand"
    private = next((cli.folder / "state" / "chargehand").glob("*/agents")).parent / "private"
    left = [state / "runs" / ".new-abc", state / "doctor-xyz", private / "0badcafe" / "room" / "home"]
    lock = cli.repo.path / ".git" / "refs" / "heads" / "chargehand" / "todo-1.lock"
    for folder in left:
        folder.mkdir(parents=True)
        os.utime(folder, (0, 0))
    lock.write_text("")
    os.utime(lock, (0, 0))
    told = cli.call("doctor", "--json")
    assert {"half-made runs", "temporary folders", "private folders"} <= names(told, ok=None)
    assert names(told, ok=False) == {"git locks"}
    assert cli.call("doctor", "--repair").code == 2
    assert all(path.exists() for path in (*left, lock))
    done = cli.call("doctor", "--repair", "--yes")
    assert done.code == 0, done.stdout
    assert not any(path.exists() for path in (*left, lock))


def test_a_fresh_lock_of_git_is_told_by_the_doctor_and_by_who_meets_it(killed: CliWorld):
    """It may be of a git that is at work, so it is only a remark; git's own advice helps nobody here."""
    lock = killed.repo.path / ".git" / "refs" / "heads" / "chargehand" / "todo-1.lock"
    lock.write_text("")
    told = killed.call("doctor", "--json")
    assert finding(told, "git locks")["ok"] is None
    assert "git locks" not in names(told, ok=False)
    stopped = killed.call("resume", "--quiet", env={"COLUMNS": "1000"})
    assert stopped.code == 3, stopped.stdout
    assert f"the lock {lock} is in the way" in stopped.stderr
    assert "`chargehand doctor --repair`" in stopped.stderr
    assert "Another git process" not in stopped.stderr
    os.utime(lock, (0, 0))
    assert killed.call("doctor", "--repair", "--yes").code == 0
    assert killed.call("resume", "--json").document["state"] == "finished"


def test_removing_is_asked_on_a_terminal(cli: CliWorld):
    """I9: an empty line is no yes."""
    left = cli.repo.path / ".git" / "chargehand" / "doctor-xyz"
    for keys, stays in (("\n", True), ("n\n", True), ("y\n", False)):
        left.mkdir(parents=True, exist_ok=True)
        os.utime(left, (0, 0))
        with screen(cli, "doctor", "--repair", columns=80) as shown:
            shown.wait_for("Remove 1 temporary folder? [y/N]: ")
            shown.press(keys)
            assert shown.end() == 0
        assert left.exists() is stays
        assert ("nobody said yes" in shown.text) is stays


def test_processes_of_a_dead_run_are_ended(killed: CliWorld, run_folder: Path):
    """I11: found by the mark in their environment; nobody else's processes are touched."""
    left, mine = (
        subprocess.Popen(["sleep", "600"], env={**os.environ, MARKER_VARIABLE: mark})
        for mark in (f"{mark_of(run_folder)}/b/1/attempt", f"{mark_of(run_folder)}x/b/1/attempt")
    )
    try:
        row = finding(killed.call("doctor", "--json"), "processes")
        assert f"{left.pid} (sleep)" in row["text"]
        assert str(mine.pid) not in row["text"]
        assert killed.call("doctor", "--repair", "--yes").code == 0
        assert left.wait(timeout=10) == -signal.SIGKILL
        assert mine.poll() is None
    finally:
        for process in (left, mine):
            process.kill()
            process.wait()
