"""Pause, cancel, retry, skip and replan from another process, whoever drives the run (SPEC 9, 10.1)."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cliworld import CliWorld, read_until, task
from tests.repos import Repo

FAILED = {"report": {"status": "FAILED", "summary": "it does not work"}, "write": {}}


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


def states(cli: CliWorld) -> dict[str, str]:
    return {row["id"]: row["state"] for row in cli.call("status", "--json").document["tasks"]}


def types(cli: CliWorld) -> list[str]:
    return [line["type"] for line in cli.call("log", "--json").lines]


def kept(cli: CliWorld, path: str) -> set[str | None]:
    """What the refs of attempts and rescues hold of a file."""
    refs = cli.repo.git("for-each-ref", "--format=%(refname)", "refs/chargehand").split()
    return {cli.repo.files(ref).get(path) for ref in refs}


def driven(process: subprocess.Popen[str], code: int) -> str:
    """The rest of what a driving process said, once it has ended with that code."""
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    return out + err


# -- pause ----------------------------------------------------------------------------------------


def test_a_pause_lets_what_is_under_way_go_on_to_its_end(cli: CliWorld):
    """The process that drives the run ends with 130; resume goes on where it stood."""
    cli.script({"a": [{"wait": True}]})
    with cli.started_run(cli.plan([task("a"), task("b", depends_on=["a"])])) as process:
        read_until(process, "a     running")
        said = cli.call("pause")
        assert said.code == 0
        assert "todo-1 starts nothing more; 1 step under way goes on to the end." in said.stdout
        assert f"Process {process.pid} on " in said.stdout
        assert "run todo-1  running (pausing: live attempts go on)" in cli.call("status").stdout
        cli.go_on()
        rest = driven(process, 130)
    assert "paused: 1 integrated, 1 waiting" in rest
    assert "next: chargehand resume todo-1" in rest
    assert states(cli) == {"a": "integrated", "b": "waiting"}
    assert cli.call("status", "--json").document["state"] == "paused"
    assert cli.call("resume", "--quiet").code == 0


def test_a_pause_at_once_ends_what_is_under_way_and_keeps_it(cli: CliWorld):
    """I2, I11: what the attempt had written is not lost; ended so, it does not count."""
    cli.script({"a": [{"write": {"a.txt": "half\n"}, "stay": True}]})
    with cli.started_run(cli.plan([task("a")])) as process:
        cli.wait_until_written()
        said = cli.call("pause", "--now", "--json").document
        assert said["request"] == {"kind": "pause", "task": None, "taken": True}
        driven(process, 130)
    assert said["state"] in {"running", "paused"}
    assert cli.call("status", "--json").document["tasks"][0]["attempts"] == 0
    assert "half" in kept(cli, "a.txt")
    cli.script({})
    assert cli.call("resume", "--quiet").code == 0


def test_a_run_that_nobody_drives_is_marked_as_paused(cli: CliWorld):
    cli.run(cli.plan([task("a", needs_human=True)]), "--quiet")
    said = cli.call("pause")
    assert said.stdout.splitlines() == [
        "Run todo-1 is paused.",
        "Go on with `chargehand resume todo-1`: nobody drives run todo-1 now.",
    ]
    assert cli.call("status", "--json").document["state"] == "paused"
    assert cli.call("resume", "--quiet").code == 4


# -- cancel ---------------------------------------------------------------------------------------


def test_a_task_is_cancelled_while_the_run_goes_on(cli: CliWorld):
    """I11, I12."""
    cli.script({"a": [{"hang": True}]})
    with cli.started_run(cli.plan([task("a"), task("b"), task("c", depends_on=["a"])])) as process:
        read_until(process, "a     running")
        said = cli.call("cancel", "a")
        assert (said.code, said.stdout) == (0, "a is being ended; its work is kept.\n"), said.stderr
        driven(process, 1)
    assert states(cli) == {"a": "cancelled", "b": "integrated", "c": "blocked"}


def test_a_run_is_given_up_while_it_is_driven(cli: CliWorld):
    """I9: without a terminal only --yes is one."""
    cli.script({"a": [{"hang": True}]})
    with cli.started_run(cli.plan([task("a"), task("b", depends_on=["a"])])) as process:
        read_until(process, "a     running")
        refused = cli.call("cancel", "--json")
        assert (refused.code, refused.document["error"]["code"]) == (2, "needs_yes")
        said = cli.call("cancel", "--yes", "--json")
        assert (said.code, said.document["request"]) == (0, {"kind": "cancel", "task": None, "taken": True})
        driven(process, 1)
    document = cli.call("status", "--json").document
    assert (document["state"], document["counts"]) == ("cancelled", {"cancelled": 2})
    again = cli.call("cancel", "--yes", "--json")
    assert (again.code, again.document["error"]["code"]) == (2, "request_refused")


def test_a_run_whose_process_was_killed_is_taken_up_and_ended(cli: CliWorld):
    """I2, I11: nothing is started, what was left is ended and kept."""
    cli.script({"a": [{"write": {"a.txt": "half\n"}, "stay": True}]})
    with cli.started_run(cli.plan([task("a"), task("b", depends_on=["a"])])) as process:
        cli.wait_until_written()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    said = cli.call("cancel", "--yes", "--json")
    assert said.code == 0, said.stderr
    assert (said.document["state"], said.document["request"]["taken"]) == ("cancelled", True)
    assert types(cli).count("effect_intended") == 3, "branch, canary, the attempt that was killed"
    assert "half" in kept(cli, "a.txt")


def test_a_run_is_no_task(cli: CliWorld):
    cli.run(cli.plan([task("a", needs_human=True)]), "--quiet")
    refused = cli.call("cancel", "todo-1")
    assert refused.code == 2
    assert "`chargehand cancel --run todo-1`" in refused.stderr
    assert "has no task nope" in cli.call("cancel", "nope").stderr


# -- retry and skip -------------------------------------------------------------------------------


def test_tasks_are_taken_up_again_with_a_note(cli: CliWorld):
    cli.script({"a": [FAILED, FAILED, {}], "b": [FAILED, FAILED, {}]})
    done = cli.run(cli.plan([task("a"), task("b"), task("c", depends_on=["a"])]), "--unattended", "--quiet")
    assert done.code == 1
    assert cli.call("retry").code == cli.call("retry", "a", "--all").code == 2
    said = cli.call("retry", "a", "b", "--note", "use the blue one", "--json").document
    assert said["request"] == said["requests"][1] == {"kind": "retry", "task": "b", "taken": True}
    assert said["counts"] == {"waiting": 3}
    assert cli.call("resume", "--quiet").code == 0
    assert "use the blue one" in cli.call("show", "b", "--brief").stdout
    refused = cli.call("retry", "a", "--json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "request_refused")


def test_all_that_did_not_make_it_is_taken_up_again_by_who_drives(cli: CliWorld):
    cli.script({"a": [FAILED, FAILED, {}], "b": [{"wait": True}]})
    with cli.started_run(cli.plan([task("a"), task("b")]), "--unattended") as process:
        read_until(process, "a     failed")
        assert cli.call("retry", "--all").stdout == "What did not make it is taken up again.\n"
        read_until(process, "a     integrated")
        cli.go_on()
        driven(process, 0)


def test_a_skip_says_what_it_blocks(cli: CliWorld):
    cli.script({"a": [FAILED]})
    plan = cli.plan([task("a"), task("b", depends_on=["a"]), task("c", depends_on=["b"]), task("d")])
    assert cli.run(plan, "--quiet").code == 4
    said = cli.call("skip", "a")
    assert said.code == 0
    assert said.stderr == "blocked by that: b, c\n"
    assert said.stdout.startswith("a is left out.\n")
    shown = cli.call("status").stdout
    assert "to be skipped" in shown
    assert "chargehand answer" not in shown, "it is to end whatever is said"
    assert cli.call("resume", "--quiet").code == 1
    assert states(cli) == {"a": "skipped", "b": "blocked", "c": "blocked", "d": "integrated"}
    assert cli.call("skip").code == cli.call("skip", "a").code == 2


def test_what_is_asked_of_a_run_whose_process_was_killed_waits_for_resume(cli: CliWorld):
    """I5: what was under way is looked after first; only a pause needs no looking, and does not outlast a resume."""
    cli.script({"a": [{"hang": True}]})
    with cli.started_run(cli.plan([task("a"), task("b", depends_on=["a"])])) as process:
        read_until(process, "a     running")
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    said = cli.call("skip", "b")
    assert said.stdout == (
        "Nobody drives run todo-1: `chargehand resume todo-1` takes it, after it has looked after what was under way.\n"
    )
    assert cli.call("pause", "--json").document["request"]["taken"] is True
    cli.script({})
    assert cli.call("resume", "--quiet").code == 0
    assert states(cli) == {"a": "integrated", "b": "skipped"}


# -- replan ---------------------------------------------------------------------------------------


def replanned(cli: CliWorld, tasks: list[Any], *words: str, **keys: Any) -> Any:
    return cli.call("replan", cli.plan(tasks, **keys), *words)


def test_a_plan_is_replaced_and_what_landed_stays(cli: CliWorld):
    """SPEC 3.2, I4."""
    cli.script({"b": [FAILED]})
    first = cli.plan([task("a"), task("b"), task("c", depends_on=["b"])])
    assert cli.run(first, "--quiet", "--barrier", "wave", "--weight", "light").code == 4
    landed = cli.call("status", "--json").document["tasks"][0]["landed"]
    tasks = [task("a"), task("b", description="Otherwise."), task("b2"), task("d", depends_on=["b2"])]
    shown = replanned(cli, tasks, "--dry-run")
    assert (shown.code, [line.split(None, 1) for line in shown.stdout.splitlines()]) == (
        0,
        [
            ["added", "b2, d"],
            ["changed", "b: they begin anew"],
            ["removed", "c: they are skipped"],
            ["unchanged", "1"],
        ],
    )
    assert replanned(cli, tasks).code == 2, "it needs a yes"
    said = replanned(cli, tasks, "--yes", "--json").document
    assert said["request"] == {"kind": "replan", "task": None, "taken": True}
    assert said["changes"] == {"added": ["b2", "d"], "changed": ["b"], "removed": ["c"], "kept": [], "canary": False}
    assert "changes nothing" in replanned(cli, tasks).stdout
    cli.script({})
    assert cli.call("resume", "--quiet").code == 0
    document = cli.call("status", "--json").document
    assert document["tasks"][0]["landed"] == landed
    assert document["counts"] == {"integrated": 4, "skipped": 1}


def test_a_plan_that_cannot_be_taken_changes_nothing(cli: CliWorld):
    cli.script({"b": [FAILED]})
    assert cli.run(cli.plan([task("a"), task("b")]), "--quiet").code == 4
    before = types(cli)
    wrong = replanned(cli, [task("a", depends_on=["z"])], "--json")
    assert (wrong.code, wrong.document["error"]["code"]) == (2, "unknown_dependency")
    other = replanned(cli, [task("a", description="Another."), task("b")], "--yes", "--json")
    assert (other.code, other.document["error"]["code"]) == (2, "replan_refused")
    assert "its description changed" in other.document["error"]["message"]
    assert types(cli) == before


def test_a_run_that_is_driven_takes_a_plan(cli: CliWorld):
    cli.script({"a": [{"wait": True}]})
    with cli.started_run(cli.plan([task("a")])) as process:
        read_until(process, "running")
        said = replanned(cli, [task("a"), task("b", depends_on=["a"])], "--yes")
        assert said.stdout.endswith("Run todo-1 has the new plan.\n")
        cli.go_on()
        driven(process, 0)
    assert states(cli) == {"a": "integrated", "b": "integrated"}


# -- questions, locks, shells ---------------------------------------------------------------------


def test_a_question_says_since_when_it_waits_and_what_was_tried(cli: CliWorld):
    cli.script({"a": [{"write": {"a.txt": ""}}, FAILED]})
    assert cli.run(cli.plan([task("a"), task("b", needs_human=True)]), "--quiet").code == 4
    text = cli.call("decisions").stdout
    assert text.count("    asked ") == 2
    assert "    tried: attempt 1: " in text
    assert "    tried: attempt 2: it reported FAILED (it does not work)" in text
    assert "    - approve: the task starts" in text
    (about,) = (row for row in cli.call("decisions", "--json").document["decisions"] if row["task"] == "a")
    assert len(about["tried"]) == 2
    assert about["since"].endswith("Z")
    refused = cli.call("accept", "--yes")
    assert refused.code == 2
    assert "It asks d1, d2: see `chargehand decisions todo-1`, and answer. Then finish it with" in (
        " ".join(refused.stderr.split())
    )


def test_a_run_that_is_held_names_its_holder_and_how_to_follow_it(cli: CliWorld):
    cli.script({"a": [{"wait": True}]})
    with cli.started_run(cli.plan([task("a")])) as process:
        read_until(process, "running")
        refused = cli.call("resume")
        assert refused.code == 2
        assert f"Run todo-1 is held by process {process.pid} on " in refused.stderr
        assert " since " in refused.stderr
        assert "chargehand log todo-1 --follow" in refused.stderr
        cli.go_on()
        driven(process, 0)


def test_resume_says_first_what_it_will_do(cli: CliWorld):
    """SPEC 8."""
    cli.script({"a": [{"write": {"a.txt": "half\n"}, "stay": True}]})
    with cli.started_run(cli.plan([task("a")])) as process:
        cli.wait_until_written()
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    cli.script({})
    done = cli.call("resume")
    assert done.code == 0
    lines = done.stderr.splitlines()
    assert lines[2].startswith("  a: attempt 1 was under way; if it ended unseen it is judged, else ")
    assert any(line.startswith("found: ") for line in lines)


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("pause ", ["todo-1"]),
        ("cancel ", ["a", "b"]),
        ("retry a ", ["a", "b"]),
        ("skip ", ["a", "b"]),
        ("skip --run ", ["todo-1"]),
    ],
)
def test_shells_complete_runs_and_tasks(cli: CliWorld, words: str, found: list[str]):
    cli.run(cli.plan([task("a", needs_human=True), task("b", needs_human=True)]), "--quiet")
    line = f"chargehand {words}"
    env = {"_CHARGEHAND_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    got = subprocess.run(
        [sys.executable, "-c", "from chargehand.cli.main import cli; cli(prog_name='chargehand')"],
        cwd=cli.repo.path,
        env={**cli.environ, **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert [entry.split(",")[1] for entry in got.stdout.split()] == found, got.stderr


def test_a_request_lies_in_the_inbox_where_who_drives_does_not_take_it(cli: CliWorld):
    """I5: nothing is lost on the way: a process that stands still takes it when it goes on."""
    cli.script({"a": [{"hang": True}]})
    with cli.started_run(cli.plan([task("a")])) as process:
        read_until(process, "running")
        os.kill(process.pid, signal.SIGSTOP)
        said = cli.call("pause", "--now", "--json").document
        assert said["request"] == {"kind": "pause", "task": None, "taken": False}
        assert "it is left in the inbox of run todo-1" in cli.call("pause").stdout
        os.kill(process.pid, signal.SIGCONT)
        driven(process, 130)
    assert json.loads(cli.call("status", "--json").stdout)["state"] == "paused"


def test_of_many_runs_of_one_plan_at_once_one_begins(cli: CliWorld):
    """Without --new; the others name `resume`."""
    plan = cli.plan([task("a")])
    words = ("run", plan, "--agent-command", cli.agent, "--sandbox", "none", "--quiet")
    argv = [sys.executable, "-m", "chargehand", *map(str, words)]
    cli.script({"a": [{"hang": True}]})
    started = [
        subprocess.Popen(argv, cwd=cli.repo.path, env=cli.environ, stderr=subprocess.PIPE, text=True) for _ in range(4)
    ]
    losers = _first_to_end(started, 3)
    (winner,) = [each for each in started if each not in losers]
    winner.terminate()
    assert [each.returncode for each in losers] == [2, 2, 2]
    assert all("resume" in (each.communicate()[1] or "") for each in losers)
    winner.communicate(timeout=60)
    assert len(cli.call("runs", "--json").document["runs"]) == 1


def _first_to_end(processes: list[subprocess.Popen[str]], number: int) -> list[subprocess.Popen[str]]:
    """The first processes that end, that many of them."""
    left = {os.pidfd_open(each.pid): each for each in processes}
    ended: list[subprocess.Popen[str]] = []
    while len(ended) < number:
        ready, _, _ = select.select(list(left), [], [], 60)
        assert ready, "they do not end"
        for descriptor in ready:
            each = left.pop(descriptor)
            os.close(descriptor)
            each.wait()
            ended.append(each)
    for descriptor in left:
        os.close(descriptor)
    return ended
