"""Attempts of agents that tell what they do: a program that prints what a real one printed, and works like it."""

from __future__ import annotations

import json
import shlex
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.adapters.agent_run import AgentHome
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import ExitKind, ReportStatus, Role
from tests.e2e.execution import OUTER, Execution

STREAMS = Path(__file__).parents[1] / "golden" / "streams"
KEY = "made-up-key-of-nobody"


@pytest.fixture
def each(repo, tmp_path) -> Execution:
    return Execution(repo=repo, root=tmp_path, outer={**OUTER, "MY_KEY": KEY})


def fake(each: Execution, body: str, kind: str = "claude", **changes) -> AgentDef:
    """A driver whose program is a Python script: `play` prints a recorded stream, `argv` is how it was started."""
    each.scripts += 1
    script = each.root / f"program {each.scripts}.py"
    folder = next(path for path in STREAMS.iterdir() if path.name.startswith(f"{kind}-"))
    head = (
        "import json, os, pathlib, sys, time\n"
        "argv, brief = sys.argv[1:], sys.stdin.read()\n"
        f"def play(name): print((pathlib.Path({str(folder)!r}) / name).read_text(), flush=True)\n"
    )
    script.write_text(head + body)
    return AgentDef(
        name="fake",
        kind=kind,
        command=shlex.join([sys.executable, "-I", "-S", str(script)]),
        key="env:MY_KEY",
        **changes,
    )


WORK = "pathlib.Path('hello.txt').write_text('hello')\n"


def test_the_report_stands_in_the_last_message(each):
    """I6: and what was done is told in plain words, not in the program's JSON."""
    result = each.attempt(fake(each, WORK + "play('finished.jsonl')"))
    assert result.exit.kind is ExitKind.EXITED
    assert result.report is not None
    assert (result.report.status, result.report.summary) == (ReportStatus.DONE, "made it")
    assert result.session
    assert result.model == "claude-sonnet-4-5"
    assert (result.usage.tokens, result.usage.usd) == (540, pytest.approx(0.0019575))
    assert "> Bash: ls no-such-file" in result.output
    assert '"type"' not in result.output
    log = (each.folder / result.log).read_text()
    assert log.startswith("model: claude-sonnet-4-5\nI will write it.\n> Bash: echo hello > hello.txt && git add")
    assert "  ls: cannot access 'no-such-file': No such file or directory\n" in log
    assert (each.folder / result.log).with_name("stream.jsonl").read_text().strip().endswith("}")
    assert "All done." in {line for _, line in each.lines}
    assert not [line for _, line in each.lines if line.startswith("{")]


def test_another_mode_than_the_one_asked_for_is_told(each):
    """What the program's own stream says of it, beside what it was started with."""
    result = each.attempt(fake(each, WORK + "play('finished.jsonl')"))
    assert (result.mode, result.warnings) == ("bypassPermissions", ())
    result = each.attempt(fake(each, WORK + "play('finished.jsonl')", args=("--permission-mode", "plan")))
    text = "The mode plan was asked for, and the agent ran in mode bypassPermissions."
    assert result.warnings == (text,)


def test_the_key_comes_from_our_environment_and_is_written_nowhere(each):
    body = WORK + "print(json.dumps({'type': 'assistant', 'message': {'content': [{'type': 'text', 'text': "
    body += "'the key is ' + os.environ['ANTHROPIC_API_KEY']}]}}), flush=True)\nplay('finished.jsonl')"
    result = each.attempt(fake(each, body))
    assert result.report is not None
    assert "the key is [redacted]" in (each.folder / result.log).read_text()
    kept = [path for path in each.folder.rglob("*") if path.is_file()]
    assert len(kept) >= 4
    assert [path for path in kept if KEY.encode() in path.read_bytes()] == []


def test_a_key_that_is_not_set_is_named(each):
    agent = replace(fake(each, ""), key="env:NOT_SET")
    result = each.attempt(agent)
    assert result.exit.kind is ExitKind.ENV_MISSING
    assert result.exit.detail == "The variable NOT_SET, which holds the key of agent fake, is not set."


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("401", ExitKind.ENV_MISSING),
        ("429", ExitKind.RATE_LIMITED),
        ("500", ExitKind.PROVIDER_DOWN),
        ("turns", "over_budget"),
    ],
)
def test_the_stream_says_how_it_ended(each, name, kind, code):
    """Whatever the exit code: a refused login, a rate limit, a provider that is down and a used-up limit are told."""
    result = each.attempt(fake(each, WORK + f"play('{name}.jsonl')\nsys.exit({code})"))
    assert result.exit.kind == kind
    assert result.exit.detail
    assert result.report is None
    assert result.sealed is not None


def test_an_exit_code_that_lies(each):
    """An error result with exit code 0 is no success: it counts as a crash."""
    result = each.attempt(fake(each, "play('badjson.jsonl')"))
    assert (result.exit.kind, result.exit.code) == (ExitKind.EXITED, 1)
    assert "JSON Parse error" in result.exit.detail
    assert "exit code 0 all the same" in result.exit.detail


def test_a_report_goes_before_what_the_stream_says_of_the_end(each):
    """I6: the work is there and reported; that the provider refused afterwards is a warning."""
    report = "pathlib.Path(os.environ['CHARGEHAND_RESULT']).write_text('{\"status\": \"DONE\"}')\n"
    result = each.attempt(fake(each, WORK + report + "play('429.jsonl')\nsys.exit(1)"))
    assert result.report is not None
    assert result.exit.kind is ExitKind.EXITED
    assert any("The report counts, although" in warning for warning in result.warnings)


ASKED = """
if '--resume' in argv:
    assert 'its report cannot be used' in brief
    play('resumed.jsonl')
else:
    pathlib.Path('hello.txt').write_text('hello')
    play('noreport.jsonl')
"""


def test_a_missing_report_is_asked_for_in_the_same_session(each):
    """SPEC 3.6: once; tokens of both processes are counted once each."""
    result = each.attempt(fake(each, ASKED))
    assert result.report is not None
    assert result.report.summary == "made it"
    assert any("asked for its report once more" in warning for warning in result.warnings)
    assert result.usage.tokens == 540


AGAIN = """
result = pathlib.Path(os.environ['CHARGEHAND_RESULT'])
if '--resume' in argv:
    assert not result.exists()
    time.sleep(PAUSE)
    ANSWER
    play('noreport.jsonl')
else:
    result.write_text(json.dumps({'status': 'maybe'}))
    time.sleep(1)
    play('noreport.jsonl')
"""


def test_the_second_answer_counts_where_the_first_stood(each):
    """SPEC 3.6: a malformed file does not stand in its way, nor does the sign that there was an answer."""
    body = WORK + AGAIN.replace("PAUSE", "3").replace("ANSWER", 'result.write_text(\'{"status": "DONE"}\')')
    result = each.attempt(fake(each, body), grace_s=2.0)
    assert result.exit.kind is ExitKind.EXITED
    assert result.report is not None
    assert result.report.status is ReportStatus.DONE
    (warning,) = (each for each in result.warnings if "once more" in each)
    assert warning.startswith("It was asked for its report once more: The report is malformed: `status` must be one of")


def test_what_was_wrong_first_is_told_when_nothing_comes_after_it(each):
    result = each.attempt(fake(each, WORK + AGAIN.replace("PAUSE", "0").replace("ANSWER", "pass")), grace_s=5.0)
    assert result.report is None
    assert result.report_problem.startswith("The report is malformed: `status` must be one of")


@pytest.mark.parametrize("answer", ['result.write_text(\'{"verdict": "PASS"}\')', "pass"])
def test_a_reviewer_is_asked_for_its_verdict_once_more(each, answer):
    """SPEC 4: in its own session, with words of its own."""
    told = "assert not argv.count('--resume') or 'its verdict cannot be used' in brief\n"
    spec = each.spec(role=Role.SPEC_REVIEWER, commit=each.repo.head())
    result = each.attempt(fake(each, told + AGAIN.replace("PAUSE", "0").replace("ANSWER", answer)), spec, grace_s=5.0)
    assert result.review is not None
    assert result.review.violations == ()
    assert (result.review.verdict is not None) == (answer != "pass")
    assert (result.review.problem.startswith("The verdict is malformed: it is a report;")) == (answer == "pass")
    assert any("asked for its verdict once more" in warning for warning in result.warnings)


@pytest.mark.parametrize(
    ("first", "since", "asked"),
    [
        (
            {"verdict": "FAIL", "findings": [{"severity": "major", "file": "none.py", "line": 1, "claim": "c"}]},
            "",
            "none.py:1",
        ),
        (
            {"verdict": "FAIL", "findings": [{"severity": "major", "file": "none.py", "line": 1, "claim": "c"}]},
            "base",
            "",
        ),
        ({"verdict": "FAIL", "findings": [{"severity": "minor", "claim": "c"}]}, "", "there is none"),
        ({"verdict": "PASS", "criteria": [{"criterion": "it runs", "met": False}]}, "", "is open: it runs"),
        (
            {"verdict": "FAIL", "findings": [{"severity": "major", "file": "README.md", "line": 1, "claim": "c"}]},
            "",
            "",
        ),
    ],
)
def test_a_verdict_that_does_not_hold_together_is_returned(each, first, since, asked):
    """SPEC 4: to the one who gave it; in a later round it may speak of what was found before."""
    body = f"""
if '--resume' in argv:
    assert {asked!r} in brief
    pathlib.Path(os.environ['CHARGEHAND_RESULT']).write_text('{{"verdict": "PASS"}}')
else:
    pathlib.Path(os.environ['CHARGEHAND_RESULT']).write_text({json.dumps(first)!r})
play('noreport.jsonl')
"""
    head = each.repo.head()
    spec = each.spec(role=Role.SPEC_REVIEWER, commit=head, since=head if since else "")
    result = each.attempt(fake(each, body), spec, grace_s=5.0)
    assert result.review is not None
    assert result.review.verdict is not None
    assert result.review.verdict.passed == (bool(asked) or first["verdict"] == "PASS")
    assert bool([text for text in result.warnings if "asked for its verdict once more" in text]) == bool(asked)


def test_it_is_not_asked_for_twice(each):
    body = "calls = pathlib.Path(os.environ['CHARGEHAND_SCRATCH']) / 'calls'\ncalls.open('a').write('x')\n"
    body += "pathlib.Path('calls').write_text(calls.read_text())\nplay('noreport.jsonl')"
    result = each.attempt(fake(each, body))
    assert result.report is None
    assert result.sealed is not None
    assert each.repo.git("show", f"{result.sealed.commit}:calls") == "xx"


def test_what_goes_wrong_with_the_second_question_takes_nothing_away(each):
    """The work was finished before it: a rate limit then does not throw it away."""
    body = "if '--resume' in argv:\n    play('429.jsonl')\n    sys.exit(1)\n" + WORK + "play('noreport.jsonl')"
    result = each.attempt(fake(each, body))
    assert (result.exit.kind, result.exit.code) == (ExitKind.EXITED, 0)
    assert result.report_problem


def test_a_budget_ends_it_while_it_runs(each):
    """I10: a program that tells what it used is ended when that is too much."""
    body = "play('finished.jsonl')\ntime.sleep(60)"
    result = each.attempt(fake(each, body, "opencode"), each.spec(tokens=200))
    assert result.exit.kind is ExitKind.OVER_BUDGET
    assert "200 were allowed" in result.exit.detail
    assert result.usage.wall_s < 30


def test_output_that_is_no_stream_is_no_error(each):
    body = (
        WORK
        + "sys.stdout.buffer.write(b'\\xff\\x00' * 10 + b'\\n' + b'[' * 100000 + b'\\n{\"type\": 1}\\nno line end')"
    )
    result = each.attempt(fake(each, body))
    assert result.exit.kind is ExitKind.EXITED
    assert result.report is None
    assert result.warnings == ()


def test_files_and_login_lie_in_its_home(each, tmp_path):
    """A private HOME gets a copy of the login each time, and of nothing else."""
    (tmp_path / "user/.codex").mkdir(parents=True)
    (tmp_path / "user/.codex/auth.json").write_text('{"made": "up"}')
    (tmp_path / "user/.codex/config.toml").write_text("mine = 1\n")
    body = "pathlib.Path('seen').write_text(json.dumps(sorted(str(p.relative_to(os.environ['HOME'])) for p in "
    body += "pathlib.Path(os.environ['HOME']).rglob('*') if p.is_file())))\nplay('finished.jsonl')"
    homes = {"fake": AgentHome(login=tmp_path / "user")}
    result = each.attempt(fake(each, body, "codex"), homes=homes)
    assert result.sealed is not None
    assert json.loads(each.repo.git("show", f"{result.sealed.commit}:seen")) == [".codex/auth.json"]


def test_a_login_that_is_not_there_is_named(each, tmp_path):
    result = each.attempt(fake(each, "", "codex"), homes={"fake": AgentHome(login=tmp_path)})
    assert result.exit.kind is ExitKind.ENV_MISSING
    assert "There is no login of fake" in result.exit.detail
    assert ".codex/auth.json" in result.exit.detail


def test_a_kept_home_keeps_what_was_renewed(each, tmp_path):
    """The login is copied once; what the program made of it stays, readable by nobody else."""
    (tmp_path / "user/.codex").mkdir(parents=True)
    (tmp_path / "user/.codex/auth.json").write_text("old")
    kept = tmp_path / "kept/codex"
    body = "auth = pathlib.Path(os.environ['HOME']) / '.codex/auth.json'\n"
    body += "pathlib.Path('was').write_text(auth.read_text())\n"
    body += "auth.write_text(auth.read_text() + '+')\nplay('finished.jsonl')"
    agent = fake(each, body, "codex")
    homes = {"fake": AgentHome(kept=kept, login=tmp_path / "user")}
    for number in (1, 2):
        result = each.attempt(agent, each.spec(f"t{number}", key=f"t{number}/1/attempt"), homes=homes)
    assert result.sealed is not None
    assert each.repo.git("show", f"{result.sealed.commit}:was") == "old+"
    assert (kept / ".codex/auth.json").read_text() == "old++"
    assert (tmp_path / "user/.codex/auth.json").read_text() == "old"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o700


def test_configuration_of_the_repository_is_not_obeyed(each):
    """SPEC 7.4: a program that cannot be told to leave it alone is not started, unless that is allowed."""
    each.repo.write(".gemini/settings.json", "{}")
    each.repo.commit("settings")
    agent = fake(each, "", "gemini")
    result = each.attempt(agent)
    assert result.exit.kind is ExitKind.ENV_MISSING
    assert "The repository holds .gemini" in result.exit.detail
    allowed = each.attempt(replace(agent, project_config=True), each.spec("t2", key="t2/1/attempt"))
    assert allowed.exit.kind is ExitKind.EXITED
