"""`run` and `resume` as people and scripts call them: exit codes, documents, signals (SPEC 10.1)."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, read_until, task
from tests.repos import Repo

DOCUMENT = {
    *("run", "plan", "profile", "state", "base", "branch", "head", "tasks", "counts", "decisions", "usage"),
    *("baseline", "warnings"),
}
TASK = {
    *("id", "title", "state", "reason", "detail", "wave", "attempts", "commit", "landed", "blocked_on"),
    "files_changed",
}
FAILED = {"report": {"status": "FAILED", "summary": "it does not work"}, "write": {}}


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


def test_a_run_lands_on_its_own_branch_and_touches_nothing_else(cli: CliWorld):
    """I1: the user's branch, index and work tree are as they were; stdout holds exactly one document."""
    cli.repo.write("dirty.txt", "mine\n")
    before = (cli.repo.head(), cli.repo.git("status", "--porcelain"))
    plan = cli.plan([task("model"), task("api", depends_on=["model"])])
    done = cli.run(plan, "--json")
    assert done.code == 0, done.stderr
    document = done.document
    assert set(document) == DOCUMENT
    assert all(set(row) == TASK for row in document["tasks"])
    assert (document["run"], document["plan"], document["profile"]) == ("todo-1", "todo", "house")
    assert (document["state"], document["counts"]) == ("finished", {"integrated": 2})
    assert [row["files_changed"] for row in document["tasks"]] == [["model.txt"], ["api.txt"]]
    assert document["usage"] == {"tokens": None, "usd": None, "wall_s": document["usage"]["wall_s"]}
    assert done.stderr.splitlines()[0] == "run todo-1"
    assert document["head"] == cli.repo.head("chargehand/todo-1") == document["tasks"][1]["landed"]
    assert (cli.repo.head(), cli.repo.git("status", "--porcelain")) == before


def test_people_get_progress_a_summary_and_the_next_step(cli: CliWorld):
    done = cli.run(cli.plan([task("model")]))
    assert done.code == 0
    lines = done.stderr.splitlines()
    assert lines[0] == "run todo-1"
    assert any("caps" in line and "30m an attempt" in line for line in lines)
    assert any(line[8:].split()[:2] == ["model", "running"] for line in lines)
    assert any(line[8:].split()[:2] == ["model", "integrated"] for line in lines)
    assert "finished: 1 integrated" in done.stdout
    assert done.stdout.splitlines()[-1] == "next: chargehand accept todo-1"
    assert "\x1b" not in done.stdout + done.stderr
    assert "Install bubblewrap" not in done.stderr, "it was chosen"


def test_the_header_tells_what_the_run_does_not_see(cli: CliWorld):
    """I1: looking at the checkout runs nothing of the user's, and changes nothing."""
    ran = cli.folder / "ran"
    hook = cli.repo.path / ".git" / "watch"
    hook.write_text(f"#!/bin/sh\ntouch {ran}\n")
    hook.chmod(0o755)
    cli.repo.git("config", "core.fsmonitor", str(hook))
    cli.repo.write("one.txt", "mine\n")
    cli.repo.write("two.txt", "mine\n")
    plan = cli.plan([task("a")], path=cli.repo.path / "plan.json")
    ran.unlink(missing_ok=True)
    index = (cli.repo.path / ".git" / "index").read_bytes()
    done = cli.run(plan)
    assert "2 uncommitted changes in your checkout are not part of the run" in done.stderr
    assert not ran.exists()
    assert (cli.repo.path / ".git" / "index").read_bytes() == index
    cli.repo.git("checkout", "-q", "--detach")
    again = cli.run(plan, "--new")
    assert "HEAD is detached: `accept` will need --target BRANCH" in again.stderr


def test_a_gate_that_is_red_on_the_base_is_explained_once_and_never_called_green(cli: CliWorld):
    gate = {"id": "lint", "run": "echo old sin; exit 1", "on": ["task", "integrate", "run"]}
    done = cli.run(cli.plan([task("a")], gates=[gate]), "--no-wait")
    assert done.stderr.count("is red on the untouched base: it holds no task up until it is first green;") == 1
    assert "| old sin" in done.stderr
    log = next(line.split("log: ")[1] for line in done.stderr.splitlines() if "log: " in line)
    assert Path(log).read_text() == "old sin\n"
    told = [line for line in cli.call("log", "--task", "a").stdout.splitlines() if "lint" in line]
    assert told
    assert all("lint red as on the base" in line or "red as on the base (lint)" in line for line in told)
    assert "gate lint (task): red as on the base" in cli.call("show", "a").stdout


def test_a_setup_that_fails_shows_what_it_printed(cli: CliWorld):
    done = cli.run(cli.plan([task("a")], setup={"run": "echo no network here; exit 7"}), "--quiet")
    assert done.code == 1
    assert "| no network here" in done.stdout
    assert "canary/setup.log" in done.stdout
    assert "| no network here" in cli.call("status").stdout


def test_a_note_goes_with_an_answer_into_the_next_brief(cli: CliWorld):
    cli.script({"a": [FAILED, FAILED, {}]})
    first = cli.run(cli.plan([task("a")]))
    assert first.code == 4
    assert "see: chargehand show a --log --run todo-1" in first.stdout
    assert cli.call("answer", "d1", "retry", "--note", "use the blue one").code == 0
    assert cli.call("resume", "--quiet").code == 0
    assert "use the blue one" in cli.call("show", "a", "--brief").stdout


def test_quiet_leaves_the_name_of_the_run_and_the_summary(cli: CliWorld):
    done = cli.run(cli.plan([task("model")]), "--quiet")
    assert (done.code, done.stderr) == (0, "run todo-1\n")
    assert "finished" in done.stdout


def test_failures_end_in_exit_code_1_with_reasons(cli: CliWorld):
    """I12: every task that is not integrated has a reason."""
    cli.script({"model": [FAILED]})
    done = cli.run(cli.plan([task("model"), task("api", depends_on=["model"])]), "--unattended", "--json")
    assert done.code == 1
    model, api = done.document["tasks"]
    assert done.document["state"] == "failed"
    assert (model["state"], model["attempts"], model["commit"]) == ("failed", 2, None)
    assert "it does not work" in model["detail"]
    assert (api["state"], api["reason"], api["blocked_on"]) == ("blocked", "blocked_on", "model")


def test_only_decisions_left_is_4_and_an_answer_waits_for_resume(cli: CliWorld):
    """I9: nothing is taken for an answer but an answer; it survives without a process."""
    cli.script({"model": [FAILED, FAILED, {}]})
    plan = cli.plan([task("model")])
    first = cli.run(plan, "--json")
    assert (first.code, first.document["state"]) == (4, "waiting")
    (decision,) = first.document["decisions"]
    assert set(decision) == {"id", "task", "kind", "question", "command", "choices"}
    assert (decision["task"], decision["choices"]) == ("model", ["retry", "skip", "stop"])
    again = cli.call("resume", "--json")
    assert (again.code, again.document["state"]) == (4, "waiting")

    listed = cli.call("decisions", "--json").document
    assert [row["id"] for row in listed["decisions"]] == [decision["id"]]
    wrong = cli.call("answer", decision["id"], "approve", "--json")
    assert (wrong.code, wrong.document["error"]["code"]) == (2, "unknown_choice")
    said = cli.call("answer", decision["id"], "retry")
    assert said.code == 0
    assert "`chargehand resume todo-1`" in said.stdout
    last = cli.call("resume", "--json")
    assert (last.code, last.document["state"]) == (0, "finished"), last.stderr
    assert last.document["tasks"][0]["attempts"] == 3


def test_resume_unattended_takes_the_safe_default(cli: CliWorld):
    """I9: nobody's silence approves anything."""
    plan = cli.plan([task("model", needs_human=True)])
    assert cli.run(plan, "--quiet").code == 4
    done = cli.call("resume", "--unattended", "--json")
    assert (done.code, done.document["tasks"][0]["state"]) == (1, "blocked")


def test_an_answer_reaches_a_run_that_is_being_driven(cli: CliWorld):
    """I9: the holder is woken; nobody polls."""
    cli.script({"ui": [{"hang": True}]})
    plan = cli.plan([task("model", needs_human=True), task("ui")])
    with cli.started_run(plan) as process:
        read_until(process, "d1:")
        said = cli.call("approve", "d1", "--json")
        assert said.document == {
            "run": "todo-1",
            "decision": "d1",
            "choice": "approve",
            "by": "uma",
            "held": True,
            "taken": True,
        }
        read_until(process, "landed as")
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_ctrl_c_stops_cleanly_and_resume_goes_on(cli: CliWorld):
    """I4, I11: nothing is left running, what was done is not done again."""
    cli.script({"api": [{"hang": True}]})
    plan = cli.plan([task("model"), task("api", depends_on=["model"])])
    with cli.started_run(plan, "--json") as process:
        head = read_until(process, "api   running")
        process.send_signal(signal.SIGINT)
        rest = read_until(process, "interrupted")
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert head.startswith("run todo-1\n")
    assert "press again to stop at once" in rest
    assert '"state": "interrupted"' in out
    landed = cli.call("status", "--json").document["tasks"][0]["landed"]

    cli.script({})
    done = cli.call("resume", "--json")
    assert (done.code, done.document["state"]) == (0, "finished"), done.stderr
    assert done.stderr.splitlines()[0] == "run todo-1"
    assert done.document["tasks"][0]["landed"] == landed
    assert len(cli.repo.git("rev-list", "--first-parent", "main..chargehand/todo-1").split()) == 2


def test_others_can_follow_until_the_run_is_over_whoever_drives_it(cli: CliWorld):
    """Across an interrupt and a resume; a document is printed as soon as nobody drives the run."""
    cli.script({"model": [{"hang": True}]})
    with cli.started_run(cli.plan([task("model")])) as process:
        read_until(process, "model running")
        with cli.start("log", "--follow", "--json") as log, cli.start("status", "--watch", "--json") as watch:
            assert log.stdout is not None
            first = [json.loads(log.stdout.readline()) for _ in range(3)]
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 130
            last, _ = watch.communicate(timeout=30)
            read_until(log, "Nobody drives run todo-1 (interrupted): `chargehand resume todo-1` goes on with it")
            cli.script({})
            assert cli.call("resume", "--quiet").code == 0
            rest = log.stdout.read()
            assert log.stderr is not None
            told = log.stderr.read()
            log.wait(30)
    assert (log.returncode, watch.returncode) == (0, 0)
    assert "drives run todo-1 now." in told
    events = [*first, *map(json.loads, rest.splitlines())]
    assert events[-1]["type"] == "run_finished"
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert "run_interrupted" in [event["type"] for event in events]
    assert json.loads(last)["state"] == "interrupted"


def test_sigterm_is_a_clean_stop_too_and_a_second_one_kills(cli: CliWorld):
    """I11: an agent that ignores signals is gone when we are."""
    stubborn = "trap '' INT TERM; touch started; while :; do sleep 1; done"
    plan = cli.plan([{"id": "a", "title": "A"}])
    with cli.start("run", plan, "--agent-command", f'sh -c "{stubborn}"', "--sandbox", "none") as process:
        read_until(process, "a     running")
        process.send_signal(signal.SIGTERM)
        read_until(process, "stopping")
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 130


def test_a_killed_run_is_resumed_with_the_flags_it_was_started_with(cli: CliWorld):
    """I4: SIGKILL loses nothing, and each task lands once."""
    cli.script({"api": [{"hang": True}]})
    plan = cli.plan([task("model"), task("api", depends_on=["model"])])
    with cli.started_run(plan, "--jobs", "3", "--unattended") as process:
        read_until(process, "api   running")
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    assert cli.call("status", "--json").document["state"] == "interrupted"
    cli.script({})
    done = cli.call("resume")
    assert done.code == 0, done.stderr
    assert "3 slots" in done.stderr
    assert "  api: attempt 1 was under way; " in done.stderr
    assert len(cli.repo.git("rev-list", "--first-parent", "main..chargehand/todo-1").split()) == 2


def test_one_process_drives_a_run(cli: CliWorld):
    cli.script({"model": [{"hang": True}]})
    plan = cli.plan([task("model")])
    with cli.started_run(plan) as process:
        read_until(process, "model running")
        locked = cli.call("resume", "--json")
        assert (locked.code, locked.document["error"]["code"]) == (2, "run_locked")
        assert "resume" in locked.document["error"]["hint"]
        assert cli.call("status", "--json").document["state"] == "running"
        second = cli.run(plan, "--json")
        assert (second.code, second.document["error"]["code"]) == (2, "unfinished_run")
        assert "chargehand resume todo-1" in second.document["error"]["hint"]
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130


def test_new_starts_another_run_of_an_unfinished_plan(cli: CliWorld):
    cli.script({"model": [FAILED]})
    plan = cli.plan([task("model")])
    assert cli.run(plan, "--quiet").code == 4
    assert cli.run(plan).code == 2
    cli.script({})
    done = cli.run(plan, "--new", "--json", "--run-id", "again")
    assert (done.code, done.document["run"], done.document["branch"]) == (0, "again", "chargehand/again")
    taken = cli.run(plan, "--new", "--json", "--run-id", "again")
    assert taken.code == 2


def test_what_has_ended_is_shown_by_resume(cli: CliWorld):
    plan = cli.plan([task("model")])
    assert cli.run(plan).code == 0
    done = cli.call("resume", "--json")
    assert (done.code, done.document["state"]) == (0, "finished")


def test_accept_at_the_end(cli: CliWorld):
    plan = cli.plan([task("model")])
    done = cli.run(plan, "--accept", "--json")
    assert done.code == 0, done.stderr
    assert cli.repo.head("main") == done.document["head"]
    assert (cli.repo.path / "model.txt").is_file()


def test_an_accept_that_is_refused_is_not_a_success(cli: CliWorld):
    """I1: local changes that overlap are not overwritten."""
    cli.repo.write("model.txt", "mine\n")
    done = cli.run(cli.plan([task("model")]), "--accept", "--json")
    assert done.code == 1
    assert done.document["state"] == "finished"
    assert [w["code"] for w in done.document["warnings"]][-1] == "not_accepted"
    assert (cli.repo.path / "model.txt").read_text() == "mine\n"


def test_only_some_tasks(cli: CliWorld):
    plan = cli.plan([task("a"), task("b", depends_on=["a"]), task("c"), task("d")])
    done = cli.run(plan, "--only", "b", "d", "--json")
    states = {row["id"]: row["state"] for row in done.document["tasks"]}
    assert (done.code, states) == (0, {"a": "integrated", "b": "integrated", "c": "skipped", "d": "integrated"})


def test_without_a_plan_the_one_at_a_known_place_is_taken(cli: CliWorld):
    cli.plan([task("a")], path=cli.repo.path / "plan.json")
    done = cli.call("run", "--agent-command", cli.agent, "--sandbox", "none", "--json")
    assert (done.code, done.document["state"]) == (0, "finished")
    assert done.stderr.splitlines()[0] == "run todo-1"
    assert "plan.json" in done.stderr.splitlines()[1]


def test_dry_run_prints_what_check_prints_and_starts_nothing(cli: CliWorld):
    plan = cli.plan([task("a"), task("b", depends_on=["a"])])
    dry, checked = cli.run(plan, "--dry-run", "--json"), cli.call("check", plan, "--json")
    assert dry.code == checked.code == 0
    assert dry.document["waves"] == checked.document["waves"] == [["a"], ["b"]]
    assert cli.call("runs", "--json").document == {"runs": []}
    assert cli.repo.git("branch", "--list", "chargehand/*") == ""


REFUSED = [
    (["--only", "nope"], "unknown_task"),
    (["--profile", "nosuch"], "bad_setting"),
    (["--base", "nowhere"], "unknown_revision"),
    (["--set", "colour=blue"], "unknown_key"),
    (["--jobs", "0"], "usage"),
    (["--sandbox", "cage"], "usage"),
    (["--run-id", "../x"], "bad_run_id"),
    (["--agent-command", "'unbalanced"], "agent_command"),
]


@pytest.mark.parametrize(("words", "code"), REFUSED, ids=[code for _, code in REFUSED])
def test_a_wrong_flag_is_2_and_one_document(cli: CliWorld, words: list[str], code: str):
    done = cli.run(cli.plan([task("a")]), *words, "--json")
    assert done.code == 2, done.stderr
    assert set(done.document["error"]) == {"code", "message", "file", "line", "hint"}
    assert done.document["error"]["code"] == code
    assert cli.call("runs", "--json").document == {"runs": []}


def test_a_fallback_nobody_defined_is_2(cli: CliWorld):
    plan = cli.plan([task("a")])
    sets = ("--set", "agents.real.command=true", "--set", "agents.real.fallback=ghost")
    done = cli.call("run", plan, *sets, "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "unknown_agent")
    assert "'ghost'" in done.document["error"]["message"]
    itself = ("--set", "agents.real.command=true", "--set", "agents.real.fallback=real")
    assert "itself" in cli.call("run", plan, *itself, "--json").document["error"]["message"]


def test_an_agent_nobody_defined_is_2_with_the_known_ones(cli: CliWorld):
    plan = cli.plan([task("a", agent="ghost")])
    sets = ("--set", "agents.real.command=true")
    done = cli.call("run", plan, *sets, "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "unknown_agent")
    assert "real" in done.document["error"]["message"]


def test_a_plan_with_errors_is_refused_with_the_place_of_each(cli: CliWorld):
    plan = cli.folder / "bad.yaml"
    plan.write_text("chargehand: 1\nplan: x\ntasks:\n  - {id: a, title: A, depends_on: [b]}\n  - {id: a, title: B}\n")
    done = cli.run(plan, "--json")
    assert done.code == 2
    assert (done.document["error"]["file"], done.document["error"]["line"]) == (str(plan), 4)
    assert {error["code"] for error in done.document["errors"]} == {"unknown_dependency", "duplicate_id"}
    human = cli.run(plan)
    assert f"{plan}:5: " in human.stderr
    assert human.stdout == ""
