"""The scripted agent as a real program: every step does what its name says, and every mistake has its exit code."""

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from chargehand.adapters.agents import make_agent
from chargehand.adapters.answers import read_object
from chargehand.adapters.lock import start_ticks
from chargehand.adapters.reports import read_report
from chargehand.adapters.restorations import read_restoration
from chargehand.adapters.verdicts import read_verdict
from chargehand.domain.line import Restoration
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import Report, ReportStatus, Role
from chargehand.domain.review import Verdict
from chargehand.ports import AttemptSpec, Places
from chargehand.testing.scripted.scenario import chosen
from tests.repos import Repo

BRIEF = "# The task\n\nWrite `a.txt`, é.\n"


class Stage:
    """A workspace with everything the contract promises an agent."""

    def __init__(self, root: Path, repo: Repo) -> None:
        self.repo = repo
        self.out = root / "out"
        self.scratch = root / "scratch"
        self.inputs = root / "in"
        for folder in (self.out, self.scratch, self.inputs):
            folder.mkdir()
        self.result = self.out / "result.json"
        (self.inputs / "brief.md").write_text(BRIEF)
        self.env = {
            **repo.environ,
            "CHARGEHAND_RUN": "r",
            "CHARGEHAND_BASE": repo.head(),
            "CHARGEHAND_RESULT": str(self.result),
            "CHARGEHAND_BRIEF": str(self.inputs / "brief.md"),
            "CHARGEHAND_SCRATCH": str(self.scratch),
        }

    def start(self, scenario: object, task: str, attempt: int, role: Role) -> "subprocess.Popen[bytes]":
        path = self.inputs / "given.json"
        path.write_text(json.dumps(scenario))
        agent = make_agent(AgentDef(name="s", kind="scripted", command=str(path)))
        spec = AttemptSpec(
            key="k", run="r", task=task, attempt=attempt, role=role, base="", title="", brief=BRIEF, agent="s"
        )
        places = Places(
            workspace=self.repo.path,
            home=self.out,
            tmp=self.out,
            scratch=self.scratch,
            brief=self.inputs / "brief.md",
            result=self.result,
        )
        launch = agent.launch(spec, places)
        env = {**self.env, "CHARGEHAND_TASK": task, "CHARGEHAND_ATTEMPT": str(attempt), "CHARGEHAND_ROLE": role.value}
        pipe = subprocess.PIPE
        process = subprocess.Popen(launch.argv, cwd=self.repo.path, env=env, stdin=pipe, stdout=pipe, stderr=pipe)
        assert process.stdin is not None
        process.stdin.write(launch.stdin)
        process.stdin.close()
        process.stdin = None
        return process

    def play(
        self, entry: object, *, task: str = "a", attempt: int = 1, role: Role = Role.IMPLEMENTER
    ) -> "subprocess.CompletedProcess[str]":
        scenario = entry if isinstance(entry, dict) and "tasks" in entry else {"tasks": {"a": entry}}
        process = self.start(scenario, task, attempt, role)
        out, err = process.communicate(timeout=60)
        return subprocess.CompletedProcess([], process.returncode, out.decode(), err.decode())

    def good(self, entry: object, **more: object) -> str:
        done = self.play(entry, **more)  # type: ignore[arg-type]
        assert (done.returncode, done.stderr) == (0, "")
        return str(done.stdout)

    def text(self, path: str) -> str:
        return (self.repo.path / path).read_text()


@pytest.fixture
def stage(tmp_path, repo):
    return Stage(tmp_path, repo)


# -- files ----------------------------------------------------------------------------------------


def test_files(stage):
    stage.good(
        [
            {"write": {"path": "new/deep/a.txt", "text": "one\né"}},
            {"append": {"path": "new/deep/a.txt", "text": "\ntwo"}},
            {"replace": {"path": "README.md", "old": "A project", "new": "Our project"}},
            {"delete": "src"},
            {"rename": {"path": "new/deep/a.txt", "to": "moved/b.txt"}},
            {"chmod": {"path": "moved/b.txt", "mode": 755}},
            {"symlink": {"path": "link", "target": "moved/b.txt"}},
            {"symlink": {"path": "link", "target": "/etc/passwd"}},
            {"mkdir": "empty/folder"},
            {"write": {"path": "gone.txt", "text": ""}},
            {"delete": "gone.txt"},
        ]
    )
    assert stage.text("moved/b.txt") == "one\né\ntwo"
    assert stage.text("README.md") == "Our project.\n"
    assert stat.S_IMODE((stage.repo.path / "moved/b.txt").stat().st_mode) == 0o755
    assert (stage.repo.path / "link").readlink() == Path("/etc/passwd")
    assert (stage.repo.path / "empty/folder").is_dir()
    assert not (stage.repo.path / "src").exists()
    assert not (stage.repo.path / "gone.txt").exists()


def test_commits(stage):
    base = stage.repo.head()
    stage.good(
        [
            {"write": {"path": "a.txt", "text": "a"}},
            {"write": {"path": "b.txt", "text": "b"}},
            {"commit": {"message": "only a", "paths": ["a.txt"], "date": "2020-01-01T00:00:00Z"}},
            {"commit": "the rest"},
            {"commit": {"message": "nothing", "empty": True}},
            {"git": ["tag", "{{task}}-{{attempt}}"]},
            {"report": {"status": "DONE", "commit": "{{head}}", "base": "{{base}}"}},
        ]
    )
    assert stage.repo.git("log", "--format=%s", f"{base}..").splitlines() == ["nothing", "the rest", "only a"]
    assert stage.repo.git("show", "--name-only", "--format=%aI", "HEAD~2").split() == [
        "2020-01-01T00:00:00+00:00",
        "a.txt",
    ]
    assert stage.repo.head("a-1") == stage.repo.head()
    report = read_report(stage.result)
    assert isinstance(report, Report)
    assert (report.commit, json.loads(report.extra)) == (stage.repo.head(), {"base": base})


def test_strays(stage, tmp_path):
    """Outside the workspace too; one that is refused stops nothing."""
    done = stage.play(
        [
            {"stray": str(tmp_path / "outside.txt")},
            {"stray": {"path": "undeclared.txt", "text": "x"}},
            {"stray": "/proc/version/x"},
            {"print": "went on"},
        ]
    )
    assert (done.returncode, done.stdout) == (0, "went on\n")
    assert "stray write was refused" in done.stderr
    assert (tmp_path / "outside.txt").exists()
    assert stage.text("undeclared.txt") == "x"


# -- answers --------------------------------------------------------------------------------------


def test_reports(stage):
    stage.good([{"report": {"status": "BLOCKED", "blocker": "no {{role}} for {{task}}"}}])
    report = read_report(stage.result)
    assert isinstance(report, Report)
    assert report.blocker is not None
    assert (report.status, report.blocker.text) == (ReportStatus.BLOCKED, "no implementer for a")


def test_a_lie(stage):
    stage.good([{"lie": {"files_changed": ["a.txt"]}}])
    report = read_report(stage.result)
    assert isinstance(report, Report)
    assert (report.status, report.files_changed) == (ReportStatus.DONE, ("a.txt",))
    assert stage.repo.git("status", "--porcelain") == ""


@pytest.mark.parametrize("tag", ["report", "verdict"])
def test_fences(stage, tmp_path, tag):
    data = {"status": "FAILED"} if tag == "report" else {"verdict": "PASS"}
    output = tmp_path / "output"
    output.write_text(stage.good([{"print": "```"}, {"report_fence": data}, {"print": "bye"}]))
    assert read_object(stage.result, output, f"chargehand-{tag}") == data


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ("not json", "not JSON"),
        ({"hex": "ff00"}, "not UTF-8"),
        ({"size": 2_000_000}, "larger than"),
        ({"symlink": "/etc/passwd"}, "regular file"),
        ({"fifo": True}, "regular file"),
        ({"folder": True}, "regular file"),
    ],
)
def test_results_that_are_no_report(stage, step, said):
    stage.good([{"report_text": step}])
    assert said in str(read_report(stage.result))


def test_verdicts(stage):
    entry = {
        "roles": {
            "spec-reviewer": [{"verdict": "PASS"}],
            "quality-reviewer": {
                "attempts": {"3": [{"verdict": {"verdict": "FAIL", "findings": []}}], "default": [{"exit": 9}]}
            },
            "default": [{"exit": 8}],
        }
    }
    stage.good(entry, role=Role.SPEC_REVIEWER)
    assert json.loads(stage.result.read_text()) == {"verdict": "PASS"}
    stage.good(entry, role=Role.QUALITY_REVIEWER, attempt=3)
    assert json.loads(stage.result.read_text()) == {"verdict": "FAIL", "findings": []}
    assert stage.play(entry, role=Role.QUALITY_REVIEWER, attempt=4).returncode == 9
    assert stage.play(entry, role=Role.FIXER).returncode == 8


STEPS = [{"exit": 7}]


@pytest.mark.parametrize("entry", [STEPS, {"attempts": {"1": STEPS, "2": STEPS}}, {"roles": {"implementer": STEPS}}])
def test_of_whom_nothing_is_said_all_is_well(stage, entry):
    """Steps without a role are meant for who implements and fixes; a task that is not named needs no reviewer."""
    assert stage.play(entry, role=Role.IMPLEMENTER).returncode == 7
    assert stage.play(entry, role=Role.FIXER).returncode == 7
    for role in (Role.SPEC_REVIEWER, Role.QUALITY_REVIEWER, Role.HOLISTIC_REVIEWER):
        stage.good(entry, role=role, attempt=2)
        assert isinstance(read_verdict(stage.result), Verdict)
    stage.good(entry, role=Role.RESEARCHER)
    assert isinstance(read_report(stage.result), Report)
    stage.good(entry, role=Role.FITTER)
    assert isinstance(read_restoration(stage.result, None, "tests"), Restoration)
    assert chosen({"tasks": {}}, "a", 1, "holistic-reviewer") == [{"verdict": "PASS"}]


def test_a_reviewer_is_named_by_role_and_by_attempt(stage):
    fails = [{"verdict": ["major src/a.py:12 It returns nothing."]}]
    entry = {"attempts": {"1": STEPS, "default": {"roles": {"spec-reviewer": {"attempts": {"2": fails}}}}}}
    stage.good(entry, role=Role.SPEC_REVIEWER, attempt=2)
    verdict = read_verdict(stage.result)
    assert isinstance(verdict, Verdict)
    (finding,) = verdict.findings
    assert (verdict.passed, finding.severity, finding.file) == (False, "major", "src/a.py")
    assert (finding.line, finding.claim) == (12, "It returns nothing.")
    stage.good(entry, role=Role.SPEC_REVIEWER, attempt=3)
    assert json.loads(stage.result.read_text()) == {"verdict": "PASS"}
    stage.good(entry, role=Role.QUALITY_REVIEWER, attempt=2)
    assert json.loads(stage.result.read_text()) == {"verdict": "PASS"}


@pytest.mark.parametrize(
    ("given", "verdict"),
    [
        ([], "PASS"),
        (["minor a.py Odd."], "PASS"),
        ({"criteria": [{"criterion": "c", "met": True}]}, "PASS"),
        ({"criteria": [{"criterion": "c", "met": False}]}, "FAIL"),
        ({"findings": [{"severity": "critical"}], "summary": "s"}, "FAIL"),
        ({"verdict": "PASS", "findings": ["critical a.py:1 But."]}, "PASS"),
    ],
)
def test_the_word_of_a_verdict_follows_from_what_it_holds(stage, given, verdict):
    stage.good([{"verdict": given}], role=Role.IMPLEMENTER)
    assert json.loads(stage.result.read_text())["verdict"] == verdict


def test_a_verdict_that_is_none(stage):
    stage.good([{"verdict": {"text": "It looks good to me."}}])
    assert stage.result.read_text() == "It looks good to me."


def test_a_restoration(stage, tmp_path):
    data = {"gate_id": "tests", "outcome": "RED", "mitigation_applied": []}
    stage.good([{"restoration": data}])
    assert json.loads(stage.result.read_text()) == data
    output = tmp_path / "output"
    output.write_text(stage.good([{"report_fence": data}]))
    assert read_object(stage.result, output, "chargehand-restoration") == data


# -- what was given -------------------------------------------------------------------------------


def test_the_environment_is_seen(stage, tmp_path):
    stage.good([{"env": str(tmp_path / "env.json")}])
    seen = json.loads((tmp_path / "env.json").read_text())
    assert seen["cwd"] == str(stage.repo.path)
    assert seen["stdin"] == BRIEF
    assert {name for name in seen["env"] if name.startswith("CHARGEHAND_")} == {
        *(name for name in stage.env if name.startswith("CHARGEHAND_")),
        "CHARGEHAND_TASK",
        "CHARGEHAND_ATTEMPT",
        "CHARGEHAND_ROLE",
    }


def test_the_brief_is_checked(stage):
    stage.good([{"read_brief_check": ["# The task", "é"]}])
    done = stage.play([{"read_brief_check": "not in there"}])
    assert (done.returncode, "on stdin does not hold" in done.stderr) == (65, True)
    (stage.inputs / "brief.md").write_text("other")
    assert "in CHARGEHAND_BRIEF does not hold" in stage.play([{"read_brief_check": "The task"}]).stderr


def test_attempts_and_what_went_before(stage, tmp_path):
    entry = {
        "attempts": {
            "1": [{"print": "first"}],
            "default": [
                {
                    "if": {"previous": True, "brief": "task"},
                    "then": [{"read_previous_check": "+line"}, {"print": "again"}],
                },
                {"if": {"previous": False}, "then": [{"print": "anew"}], "else": [{"print": "{{attempt}}"}]},
                {"if": {"exists": "README.md"}, "then": [{"print": "there"}]},
            ],
        }
    }
    assert stage.good(entry) == "first\n"
    assert stage.good(entry, attempt=2) == "anew\nthere\n"
    patch = tmp_path / "previous.patch"
    patch.write_text("+line\n")
    stage.env["CHARGEHAND_PREVIOUS"] = str(patch)
    assert stage.good(entry, attempt=7) == "again\n7\nthere\n"
    patch.write_text("-line\n")
    assert stage.play(entry, attempt=7).returncode == 65


def test_the_change_under_review_is_checked(stage, tmp_path):
    patch = tmp_path / "change.patch"
    patch.write_text("+line\n")
    stage.env["CHARGEHAND_DIFF"] = str(patch)
    stage.good([{"read_diff_check": "+line"}])
    assert stage.play([{"read_diff_check": ["+line", "-line"]}]).returncode == 65


def test_any_task(stage):
    assert stage.good({"tasks": {"*": [{"print": "{{task}} of {{run}}"}]}}, task="what.ever-1") == "what.ever-1 of r\n"


# -- endings --------------------------------------------------------------------------------------


def test_exit_codes_and_signals(stage):
    assert stage.play([{"exit": 3}, {"print": "never"}]).returncode == 3
    for name, number in (("KILL", signal.SIGKILL), ("SIGSEGV", signal.SIGSEGV), (15, signal.SIGTERM)):
        done = stage.play([{"print": "before"}, {"crash": name}])
        assert (done.returncode, done.stdout) == (-number, "before\n")


def test_waiting(stage):
    (stage.scratch / "flag").touch()
    stage.good([{"wait": 0.01}, {"wait_for": "flag"}, {"wait_for": {"path": str(stage.inputs), "seconds": 1}}])
    done = stage.play([{"wait_for": {"path": "never", "seconds": 0.05}}])
    assert (done.returncode, "did not come within 0.05 s" in done.stderr) == (65, True)


def test_output(stage):
    done = stage.play(
        [
            {"print": {"text": "é\x1b[31m", "repeat": 3}},
            {"print": {"text": "err", "to": "stderr"}},
            {"flood": 1_000_000},
        ]
    )
    assert done.stdout.startswith("é\x1b[31m\n" * 3)
    assert len(done.stdout.encode()) == 3 * 8 + 1_000_000
    assert done.stderr == "err\n"


@pytest.mark.parametrize("how", ["silent", "chatter"])
def test_hanging(stage, how):
    """It ignores what it is told to ignore, and only SIGKILL is left."""
    entry = [{"print": "started"}, {"hang": {"how": how, "ignore_signals": True}}]
    process = stage.start({"tasks": {"a": entry}}, "a", 1, Role.IMPLEMENTER)
    assert process.stdout.readline() == b"started\n"
    if how == "chatter":
        assert process.stdout.readline() == b"still working\n"
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == b"still working\n"
        assert process.stdout.readline() == b"still working\n"
    assert process.poll() is None
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def test_hanging_for_a_while(stage):
    assert stage.good([{"hang": {"how": "chatter", "seconds": 0.3}}]).count("still working\n") >= 1


@pytest.mark.parametrize("how", ["plain", "setsid", "double_fork"])
def test_processes_that_stay_behind(stage, tmp_path, how):
    """They live on after the agent has ended, each as far away as it said."""
    file = tmp_path / "pid"
    stage.good([{"spawn": {"how": how, "pid": str(file), "seconds": 60}}, {"report": {"status": "DONE"}}])
    pid = int(file.read_text())
    try:
        assert start_ticks(pid) is not None
        assert (os.getsid(pid) != os.getsid(0)) == (how != "plain")
        assert (os.getsid(pid) == pid) == (how == "setsid")
    finally:
        os.kill(pid, signal.SIGKILL)


def test_processes_that_write_later(stage, tmp_path):
    late = tmp_path / "late"
    stage.good([{"spawn": {"how": "double_fork", "write": str(late), "seconds": 0.2}}])
    end = time.monotonic() + 20
    while not (late.exists() and late.read_text().startswith("written by")):
        assert time.monotonic() < end
        time.sleep(0.02)


# -- mistakes -------------------------------------------------------------------------------------


def test_nothing_for_this_task(stage):
    done = stage.play({"tasks": {"b": []}})
    assert (done.returncode, done.stderr) == (64, "scripted agent: the scenario has no entry for task `a`\n")
    done = stage.play({"attempts": {"2": []}})
    assert (done.returncode, "nothing for task `a`, attempt 1, role implementer" in done.stderr) == (64, True)


def test_a_wrong_scenario_does_nothing_at_all(stage):
    done = stage.play([{"write": {"path": "a.txt", "text": "x"}}, {"fly": 1}, {"wait": "long"}])
    assert done.returncode == 64
    assert "tasks.a[1]: unknown step `fly`" in done.stderr
    assert "tasks.a[2]: `wait.seconds` must be a number" in done.stderr
    assert not (stage.repo.path / "a.txt").exists()


@pytest.mark.parametrize(
    ("step", "said"),
    [
        ({"replace": {"path": "README.md", "old": "nothing like it", "new": ""}}, "does not hold"),
        ({"replace": {"path": "none", "old": "a", "new": ""}}, "No such file"),
        ({"delete": "none"}, "No such file"),
        ({"rename": {"path": "none", "to": "x"}}, "No such file"),
        ({"git": ["no-such-command"]}, "ended with 1"),
        ({"report_text": {"hex": "xyz"}}, "non-hexadecimal"),
    ],
)
def test_a_step_that_cannot_be_done(stage, step, said):
    done = stage.play([step])
    assert (done.returncode, said in done.stderr) == (66, True)


def test_by_hand(stage, tmp_path):
    """As a module, with YAML, options and --check; without Chargehand around it."""
    scenario = tmp_path / "demo.yaml"
    scenario.write_text("scenario: 1\ntasks:\n  a:\n    attempts: {2: [{print: hello}]}\n")

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        argv = [sys.executable, "-m", "chargehand.testing.scripted", *words]
        env = {"PATH": os.environ["PATH"]}
        return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=env, check=False)

    assert run(str(scenario), "--task", "a", "--attempt", "2").stdout == "hello\n"
    assert run("--check", str(scenario)).stdout == f"{scenario}: 1 tasks, nothing wrong.\n"
    assert run(str(scenario)).returncode == 64
    assert "'two', which is no number" in run(str(scenario), "--task", "a", "--attempt", "two").stderr
    scenario.write_text("tasks: [")
    assert run("--check", str(scenario)).returncode == 64
    assert run(str(tmp_path / "none.json")).returncode == 64
