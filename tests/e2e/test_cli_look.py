"""The commands that look at runs, plans and this place: exit codes and the shape of their documents (SPEC 10.1)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.cliworld import CliWorld, read_until, task
from tests.repos import Repo, hermetic_environment

ERROR = {"code", "message", "file", "line", "hint"}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> CliWorld:
    """A repository with one run that failed: `good` is integrated, `bad` failed twice, `after` is blocked on it."""
    folder = tmp_path_factory.mktemp("ran")
    (folder / "home").mkdir()
    repo = Repo(path=folder / "project", environ=hermetic_environment(folder / "home")).init()
    repo.commit("base", readme="A project.\n")
    cli = CliWorld(repo, folder / "cli")
    hostile = "\x1b]0;owned\x07red \x1b[31mhot\x1b[0m\u202e"
    cli.script(
        {
            "good": [{"say": "from good"}],
            "bad": [{"report": {"status": "FAILED", "summary": hostile}, "write": {}, "say": hostile}],
        }
    )
    plan = cli.plan([task("good", description="Be good."), task("bad"), task("after", depends_on=["bad"])])
    done = cli.run(plan, "--unattended", "--json")
    assert done.code == 1, done.stderr
    return cli


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


# -- a run ----------------------------------------------------------------------------------------


def test_status_is_the_document_of_run(ran: CliWorld):
    done = ran.call("status", "--json")
    assert done.code == 0
    assert (done.document["run"], done.document["state"]) == ("todo-1", "failed")
    assert done.document["counts"] == {"integrated": 1, "failed": 1, "blocked": 1}
    assert ran.call("status", "todo-1", "--json").document == done.document
    assert ran.call("status", "--watch", "--json").document == done.document


def test_status_for_people_says_why_and_what_next(ran: CliWorld):
    done = ran.call("status")
    assert done.code == 0
    assert "bad failed (" in done.stdout
    assert "chargehand show bad --log" in done.stdout
    assert "branch: chargehand/todo-1" in done.stdout


def test_runs(ran: CliWorld):
    (row,) = ran.call("runs", "--json").document["runs"]
    assert set(row) == {"run", "plan", "state", "started_at"}
    assert (row["run"], row["plan"], row["state"]) == ("todo-1", "todo", "failed")
    assert "1 of 3 integrated" in ran.call("runs").stdout


def test_show(ran: CliWorld):
    shown = ran.call("show", "bad", "--json").document
    assert set(shown) == {"run", "task", "why", "planned", "attempts", "together", "shown"}
    assert (shown["together"], shown["shown"]) == (None, [])
    assert [attempt["attempt"] for attempt in shown["attempts"]] == [1, 2]
    assert shown["attempts"][0]["result"]["report"]["status"] == "FAILED"
    assert shown["attempts"][0]["sent_back"] == "retry"
    text = ran.call("show", "good", "--run", "todo-1").stdout
    assert "landed as" in text
    assert "gate verify-1 (task): pass" in text


def test_show_one_part(ran: CliWorld):
    brief = ran.call("show", "good", "--brief", "--json").document
    assert (brief["run"], brief["task"], brief["attempt"]) == ("todo-1", "good", 1)
    assert "Be good." in brief["brief"]
    assert "+good" in ran.call("show", "good", "--diff").stdout
    diff = ran.call("show", "good", "--diff", "--json").document
    assert set(diff) == {"run", "task", "attempt", "base", "commit", "diff"}
    assert ran.call("show", "good", "--log").stdout == "from good\n"
    assert ran.call("show", "bad", "--log", "--attempt", "1", "--json").document["attempt"] == 1
    assert "The after" in ran.call("show", "after", "--brief").stdout, "of a task that never started"


def test_control_sequences_of_agents_reach_no_screen(ran: CliWorld):
    for words in (["status"], ["show", "bad"], ["show", "bad", "--log"], ["log"], ["why", "bad"], ["log", "--json"]):
        done = ran.call(*words)
        assert done.code == 0
        assert not {"\x1b", "\x07", "\u202e"} & set(done.stdout + done.stderr), words


def test_why(ran: CliWorld):
    document = ran.call("why", "after", "--json").document
    assert set(document) == {"run", "task", "state", "reason", "why"}
    assert (document["state"], document["reason"]) == ("blocked", "blocked_on")
    assert "bad" in ran.call("why", "after").stdout


def test_log_is_one_event_a_line(ran: CliWorld):
    """I14: the journal from its first event, sequence numbers without gaps."""
    events = ran.call("log", "--json").lines
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert all({"seq", "at", "type", "run", "task", "attempt"} <= set(event) for event in events)
    types = [event["type"] for event in events]
    assert types[0] == "run_started"
    assert types[-1] == "run_finished"
    assert {"attempt_finished", "task_integrated", "effect_intended"} <= set(types)
    finished = next(event for event in events if event["type"] == "attempt_finished")
    assert (finished["run"], finished["attempt"]) == ("todo-1", 1)
    assert len(ran.call("log").stdout.splitlines()) == len(events)
    about = ran.call("log", "--task", "bad", "--json").lines
    assert {event["task"] for event in about} == {"bad"}
    assert [event["seq"] for event in ran.call("log", "--follow", "--json").lines] == list(range(1, len(events) + 1))


def test_decisions_and_unknown_names(ran: CliWorld):
    assert ran.call("decisions", "--json").document == {"run": "todo-1", "decisions": []}
    for words, code in (
        (["status", "nope"], "unknown_run"),
        (["show", "nope"], "unknown_task"),
        (["why", "god"], "unknown_task"),
        (["log", "--task", "nope"], "unknown_task"),
        (["show", "good", "--attempt", "9", "--log"], "unknown_attempt"),
        (["show", "after", "--log"], "no_attempt"),
        (["answer", "d9", "retry"], "unknown_decision"),
        (["rescue", "show", "nope"], "unknown_rescue"),
    ):
        done = ran.call(*words, "--json")
        assert (done.code, done.document["error"]["code"]) == (2, code), words
        assert set(done.document["error"]) == ERROR
    assert "Did you mean 'good'?" in ran.call("why", "god").stderr


def test_rescue_list_is_empty_without_rescues(ran: CliWorld):
    assert ran.call("rescue", "list", "--json").document == {"rescues": []}


def test_documents_are_whole_in_any_encoding(ran: CliWorld):
    narrow = {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    assert ran.call("status", "--json", env=narrow).document == ran.call("status", "--json").document


def test_a_reader_that_has_seen_enough_is_no_failure(ran: CliWorld):
    command = '"$0" -m chargehand log | head -n 1; echo "${PIPESTATUS[0]}"'
    got = subprocess.run(
        ["bash", "-c", command, sys.executable],
        cwd=ran.repo.path,
        env=ran.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (got.stdout.splitlines()[-1], got.stderr) == ("0", "")


@pytest.mark.parametrize("words", ["log >&-", "status --json >&-", "log 2>&-", "nonsense 2>&-", "nonsense --json >&-"])
def test_a_stream_that_is_closed_is_no_failure(ran: CliWorld, words: str):
    got = subprocess.run(
        ["bash", "-c", f'"$0" -m chargehand {words}', sys.executable],
        cwd=ran.repo.path,
        env=ran.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert got.returncode == (2 if "nonsense" in words else 0)
    assert "Traceback" not in got.stderr
    assert "Exception" not in got.stderr


@pytest.mark.parametrize("words", ["--help", "why nope --json", "nonsense", "completion bash", "status --json"])
def test_a_pipe_that_nobody_reads_is_no_failure(ran: CliWorld, words: str):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        got = subprocess.run(
            [sys.executable, "-m", "chargehand", *words.split()],
            cwd=ran.repo.path,
            env=ran.environ,
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writing)
    assert got.returncode in (0, 1, 2), "never a crash, nor the complaint of an interpreter that cannot flush"
    assert "Exception" not in got.stderr
    assert "BrokenPipe" not in got.stderr


def test_the_columns_of_the_log_are_aligned(ran: CliWorld):
    lines = ran.call("log").stdout.splitlines()
    assert {line[5:6] + line[14:15] for line in lines} == {"  "}
    states = {line[6 + 9 + 6 :][:18] for line in lines}
    assert {state[-1] for state in states} == {" "}, states


# -- after a run ----------------------------------------------------------------------------------


def test_accept_asks_and_silence_never_approves(cli: CliWorld):
    """I1, I9: without a terminal only --yes lands anything."""
    cli.run(cli.plan([task("a")]), "--quiet")
    before = cli.repo.head()
    refused = cli.call("accept", "--json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "needs_yes")
    assert cli.repo.head() == before
    done = cli.call("accept", "--yes", "--json")
    assert done.code == 0
    assert set(done.document) == {"run", "target", "before", "after", "how", "checkout", "gates", "warnings"}
    assert done.document["warnings"] == []
    assert (done.document["target"], done.document["how"]) == ("main", "fast-forward")
    assert done.document["after"] == cli.repo.head()
    assert cli.call("accept", "--json").document["how"] == "nothing"


def test_landing_a_failed_run_is_never_silent(cli: CliWorld):
    """What is integrated may be landed; what is missing is told, also with --yes and with --json."""
    cli.script({"bad": [{"report": {"status": "FAILED", "summary": "no"}, "write": {}}]})
    plan = cli.plan([task("good"), task("bad"), task("after", depends_on=["bad"])])
    assert cli.run(plan, "--unattended", "--quiet").code == 1
    cli.repo.git("branch", "other")
    said = "run todo-1 has failed: 2 of 3 tasks are not integrated: bad, after"
    human = cli.call("accept", "--yes", "--quiet", "--target", "other")
    assert (human.code, human.stderr.startswith(said)) == (0, True), human.stderr
    done = cli.call("accept", "--yes", "--json")
    assert (done.code, done.document["how"]) == (0, "fast-forward")
    (warning,) = done.document["warnings"]
    assert (warning["code"], warning["text"].startswith(said)) == ("run_failed", True)


def test_accept_squashes_onto_a_named_branch(cli: CliWorld):
    cli.run(cli.plan([task("a")]), "--quiet")
    cli.repo.git("branch", "other")
    done = cli.call("accept", "todo-1", "--target", "other", "--squash", "--yes")
    assert done.code == 0
    assert "other is at" in done.stdout
    assert cli.repo.git("rev-list", "--count", "main..other") == "1"
    assert "Chargehand-Run: todo-1" in cli.repo.git("log", "-1", "--format=%B", "other")


def test_accept_runs_the_gates_on_a_target_that_has_moved(cli: CliWorld):
    gate = {"id": "alone", "run": ["sh", "-c", "test ! -e a.txt || test ! -e mine.txt"], "on": ["run"]}
    cli.run(cli.plan([task("a")], gates=[gate]), "--quiet")
    cli.repo.commit("meanwhile", mine="mine\n")
    refused = cli.call("accept", "--yes", "--json")
    assert (refused.code, refused.document["error"]["code"]) == (2, "gates_red")
    assert "alone" in refused.document["error"]["message"]


def test_clean_says_what_goes_and_what_stays(cli: CliWorld):
    cli.run(cli.plan([task("a")]), "--quiet")
    would = cli.call("clean", "--dry-run", "--json").document
    assert set(would) == {"dry_run", "removed", "kept"}
    assert would["removed"]
    done = cli.call("clean", "--json").document
    assert done["removed"] == would["removed"]
    assert cli.call("clean", "--json").document["removed"] == []
    assert cli.repo.head("chargehand/todo-1")
    assert cli.call("status", "--json").document["state"] == "finished"


def test_what_a_killed_attempt_left_is_found_and_brought_back(cli: CliWorld, tmp_path: Path):
    """I2: no work is lost, and bringing it back leaves the checkout alone."""
    cli.script({"a": [{"stay": True, "write": {"a.txt": "half done\n"}}]})
    plan = cli.plan([task("a")])
    with cli.started_run(plan) as process:
        read_until(process, "a     running")
        cli.wait_until_written()
        os.kill(process.pid, signal.SIGKILL)
        process.wait(30)
    step = "was at work when the run stopped; `chargehand resume todo-1` looks what became of it"
    assert step in cli.call("status").stdout
    assert "was running" in cli.call("status").stdout
    assert step in cli.call("why", "a").stdout
    assert step in cli.call("show", "a").stdout
    document = cli.call("status", "--json").document
    assert (document["state"], document["tasks"][0]["state"]) == ("interrupted", "running"), "as it is stored"
    cli.script({})
    assert cli.call("resume", "--quiet").code == 0
    (row,) = cli.call("rescue", "list", "--json").document["rescues"]
    assert set(row) == {"name", "ref", "run", "task", "commit", "at", "message"}
    assert (row["run"], row["task"]) == ("todo-1", "a")
    assert "+half done" in cli.call("rescue", "show", row["name"]).stdout
    before = (cli.repo.head(), cli.repo.git("status", "--porcelain"))
    branch = cli.call("rescue", "restore", row["name"], "--branch", "back", "--json").document
    assert (branch["branch"], branch["folder"]) == ("back", None)
    assert cli.repo.git("show", "back:a.txt") == "half done"
    folder = cli.call("rescue", "restore", row["name"], "--to", tmp_path / "back", "--json").document
    assert folder["branch"] is None
    assert (tmp_path / "back" / "a.txt").read_text() == "half done\n"
    assert (cli.repo.head(), cli.repo.git("status", "--porcelain")) == before
    both = cli.call("rescue", "restore", row["name"], "--to", "x", "--branch", "y", "--json")
    assert (both.code, both.document["error"]["code"]) == (2, "usage")
    assert row["name"] in cli.call("rescue", "list").stdout


# -- plans ----------------------------------------------------------------------------------------


def test_check_of_a_sound_plan(cli: CliWorld):
    plan = cli.plan([task("a"), task("b"), task("c", depends_on=["a", "b"])])
    done = cli.call("check", plan, "--json")
    assert done.code == 0
    assert set(done.document) == {
        *("plan", "profile", "source", "counts", "waves", "critical_path", "width", "serialised", "inferred"),
        *("errors", "warnings"),
    }
    assert done.document["waves"] == [["a", "b"], ["c"]]
    assert (done.document["width"], done.document["errors"]) == (2, [])
    assert all(set(row) == {"code", "task", "text", "command"} for row in done.document["warnings"])
    human = cli.call("check", plan)
    assert "critical path: a → c" in human.stdout
    assert "no errors" in human.stdout


def test_check_finds_all_errors_at_once(cli: CliWorld):
    plan = cli.folder / "bad.yaml"
    plan.write_text(
        "chargehand: 1\nplan: x\nsurprise: 1\ntasks:\n"
        "  - {id: a, title: A, depends_on: [b]}\n  - {id: b, title: B, depends_on: [a]}\n"
        "  - {id: c, title: C, files: {create: [../out]}, verify: [[no-such-program-here]]}\n"
    )
    done = cli.call("check", plan, "--json")
    assert done.code == 2
    assert all(set(row) == ERROR for row in done.document["errors"])
    assert len(done.document["errors"]) == 4
    assert {row["line"] for row in done.document["errors"]} <= {3, 5, 6, 7}
    human = cli.call("check", plan)
    assert human.code == 2
    assert "a → b → a" in human.stdout or "a -> b -> a" in human.stdout


def test_check_tells_errors_in_the_order_of_the_file(cli: CliWorld):
    plan = cli.folder / "bad.yaml"
    plan.write_text(
        "chargehand: 1\nplan: x\ntasks:\n"
        "  - {id: a, title: A, verify: [[no-such-program-here]]}\n"
        "  - {id: b, title: B, depends_on: [z]}\nsurprise: 1\n"
    )
    assert [row["line"] for row in cli.call("check", plan, "--json").document["errors"]] == [4, 5, 6]
    plan.write_text("")
    assert cli.call("check", plan).stdout.count("bad.yaml") == 1


def test_a_gate_of_the_settings_is_told_with_their_file(cli: CliWorld):
    cli.repo.write("chargehand.toml", "jobs = 2\n[[gates]]\nid = 'lint'\nrun = ['no-such-program-here']\n")
    (error,) = cli.call("check", cli.plan([task("a")]), "--json").document["errors"]
    assert (error["file"], error["line"]) == (str(cli.repo.path / "chargehand.toml"), 2)


def test_check_of_what_is_no_plan(cli: CliWorld):
    missing = cli.call("check", "nowhere.yaml", "--json")
    assert missing.code == 2
    assert [row["code"] for row in missing.document["errors"]] == ["unreadable"]
    none = cli.call("check", "--json")
    assert (none.code, none.document["error"]["code"]) == (2, "no_plan")


def test_check_needs_no_repository(cli: CliWorld):
    plan = cli.plan([task("a")])
    done = cli.call("check", plan, "--json", cwd=cli.folder)
    assert (done.code, done.document["errors"]) == (0, [])
    assert "not_a_repository" in [warning["code"] for warning in done.document["warnings"]]


def test_init_writes_a_plan_that_passes_check_and_never_overwrites(cli: CliWorld):
    cli.repo.write("pyproject.toml", "[tool.pytest.ini_options]\n")
    first = cli.call("init", "--json").document
    assert first["written"] == ["chargehand.toml", "plan.yaml"]
    assert "pytest" in (cli.repo.path / "plan.yaml").read_text()
    checked = cli.call("check", "--json")
    assert (checked.code, checked.document["errors"]) == (0, [])
    (cli.repo.path / "plan.yaml").write_text("mine\n")
    (cli.repo.path / "chargehand.toml").unlink()
    again = cli.call("init", "--json").document
    assert (again["written"], again["kept"]) == (["chargehand.toml"], ["plan.yaml"])
    assert (cli.repo.path / "plan.yaml").read_text() == "mine\n"


def test_schema_is_a_schema(cli: CliWorld):
    schema = json.loads(cli.call("schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"chargehand", "plan", "tasks"} <= set(schema["properties"])


# -- this place -----------------------------------------------------------------------------------


def test_config_says_where_each_value_came_from(cli: CliWorld):
    cli.repo.write("chargehand.toml", "jobs = 7\n[agents.mine]\ncommand = 'true'\n")
    rows = cli.call("config", "--set", "rescue_days=3", "--json", env={"CHARGEHAND_ACCEPT": "true"}).document[
        "settings"
    ]
    sources = {row["key"]: (row["value"], row["source"]) for row in rows}
    assert sources["jobs"][0] == "7"
    assert "chargehand.toml" in sources["jobs"][1]
    assert sources["rescue_days"][0] == "3"
    assert "CHARGEHAND_ACCEPT" in sources["accept"][1]
    assert sources["caps.run_wall"][1] == "default"
    only = cli.call("config", "agents", "--json").document["settings"]
    assert {row["key"].split(".")[0] for row in only} == {"agents"}


def test_agents_tells_what_can_run(cli: CliWorld):
    cli.repo.write(
        "chargehand.toml",
        "agent = 'here'\n[agents.here]\ncommand = 'sh -c true'\n[agents.away]\ncommand = 'no-such-agent-program -x'\n",
    )
    rows = {row["name"]: row for row in cli.call("agents", "--json").document["agents"]}
    assert (rows["here"]["runnable"], rows["here"]["default"], rows["here"]["problem"]) == (True, True, None)
    assert rows["away"]["runnable"] is False
    assert "no-such-agent-program" in rows["away"]["problem"]


def test_settings_are_told_where_no_run_could_start(cli: CliWorld, tmp_path: Path):
    outside = cli.call("config", "jobs", "--set", "jobs=3", "--json", cwd=tmp_path)
    assert outside.document["settings"] == [{"key": "jobs", "value": "3", "source": "--set jobs"}]
    assert cli.call("agents", "--json", cwd=tmp_path).document["agents"] == []
    empty = Repo(path=tmp_path / "empty", environ=cli.repo.environ).init()
    empty.write("chargehand.toml", "[agents.away]\ncommand = 'no-such-agent-program'\n")
    (row,) = cli.call("agents", "--json", cwd=empty.path).document["agents"]
    assert (row["name"], row["runnable"]) == ("away", False)
    given = cli.call("config", "--repo", tmp_path, "--json")
    assert (given.code, given.document["error"]["code"]) == (2, "not_a_repository")


def test_an_unknown_setting_names_the_nearest(cli: CliWorld):
    done = cli.call("config", "caps.run_wal_", "--json")
    assert (done.code, done.document["error"]["code"]) == (2, "unknown_key")
    assert done.document["error"]["hint"] == "Did you mean 'caps.run_wall'?"
    unset = cli.call("config", "notify.webhook")
    assert (unset.code, unset.stderr) == (0, "notify.webhook is not set.\n")


def test_a_table_named_agent_is_told_with_its_place(cli: CliWorld):
    cli.repo.write("chargehand.toml", "jobs = 2\n\n[agent.claude]\ncommand = 'claude -p'\n")
    error = cli.call("agents", "--json").document["error"]
    assert (error["hint"], error["line"]) == ("Did you mean [agents.claude]?", 3)
    assert error["file"].endswith("chargehand.toml")


def test_completion_for_each_shell(cli: CliWorld):
    for shell in ("bash", "zsh", "fish"):
        assert "_CHARGEHAND_COMPLETE" in cli.call("completion", shell).stdout
    words = {"COMP_WORDS": "chargehand sta", "COMP_CWORD": "1", "_CHARGEHAND_COMPLETE": "bash_complete"}
    assert "plain,status" in cli.call(env=words).stdout


def test_completion_knows_runs_tasks_questions_and_their_choices(cli: CliWorld, tmp_path: Path):
    cli.run(cli.plan([task("a", needs_human=True), task("b")]), "--quiet")
    for line, found in (
        ("status ", ["todo-1"]),
        ("show ", ["a", "b"]),
        ("log --task ", ["a", "b"]),
        ("answer ", ["d1"]),
        ("approve d", ["d1"]),
        ("answer d1 ", ["approve", "reject"]),
        ("answer --run nope ", []),
    ):
        words = f"chargehand {line}"
        env = {
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split(" ")) - 1),
            "_CHARGEHAND_COMPLETE": "bash_complete",
        }
        done = cli.call(env=env)
        assert [word.removeprefix("plain,") for word in done.stdout.split()] == found, line
        assert done.stderr == ""
        silent = cli.call(env=env, cwd=tmp_path)
        assert (silent.stdout.strip(), silent.stderr) == ("", "")


# -- mistakes -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words", [["statsu"], ["run", "--no-such-flag"], ["answer"], ["status", "a", "b"], ["accept", "--tarjet", "x"]]
)
def test_mistakes_of_usage_are_2_and_one_document(cli: CliWorld, words: list[str]):
    done = cli.call(*words, "--json")
    assert done.code == 2
    assert set(done.document["error"]) == ERROR
    assert done.document["error"]["code"] == "usage"
    human = cli.call(*words)
    assert (human.code, human.stdout) == (2, "")
    assert human.stderr.startswith("error: ")


def test_no_repository_and_no_commit(cli: CliWorld, tmp_path: Path):
    outside = cli.call("status", "--json", cwd=tmp_path)
    assert (outside.code, outside.document["error"]["code"]) == (2, "not_a_repository")
    empty = Repo(path=tmp_path / "empty", environ=cli.repo.environ).init()
    done = cli.call("run", cli.plan([task("a")]), "--repo", empty.path, "--json", cwd=tmp_path)
    assert (done.code, done.document["error"]["code"]) == (2, "no_commit")
    none = cli.call("status", "--json")
    assert (none.code, none.document["error"]["code"]) == (2, "no_runs")


def test_wrong_settings_are_told_all_at_once(cli: CliWorld):
    cli.repo.write("chargehand.toml", "jobs = 'many'\ncolour = 1\n")
    done = cli.call("config", "--json")
    assert done.code == 2
    assert len(done.document["errors"]) == 2
    assert done.document["error"]["file"].endswith("chargehand.toml")


def test_state_can_lie_elsewhere(cli: CliWorld, tmp_path: Path):
    state = tmp_path / "elsewhere"
    done = cli.run(cli.plan([task("a")]), "--state-dir", state, "--quiet")
    assert done.code == 0
    assert done.stdout.splitlines()[-1] == f"next: chargehand accept todo-1 --state-dir {state}"
    assert cli.call("runs", "--json").document == {"runs": []}
    assert len(cli.call("runs", "--state-dir", state, "--json").document["runs"]) == 1
    assert cli.call("status", "--json", env={"CHARGEHAND_STATE_DIR": str(state)}).document["state"] == "finished"
