"""Tool calls of real processes in real sandboxes: ruled on by the hook, the dangerous ones asked about (SPEC 7.2)."""

from __future__ import annotations

import asyncio
import shlex
import sys
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from chargehand.adapters.guarding.plans import attempt_place
from chargehand.adapters.held_calls import HeldCalls
from chargehand.domain.events import CommandAsked, CommandDropped
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import AttemptResult, ExitKind, ReportStatus
from chargehand.domain.plan import Command
from tests.e2e.execution import KINDS, Execution, available
from tests.play import a_plan, a_task

# A program that asks before each tool call as Claude Code does: a shell runs the command of its settings.
PROGRAM = """\
import json, os, pathlib, subprocess, sys
argv = sys.argv[1:]
settings = json.loads(argv[argv.index("--settings") + 1])
hook = settings["hooks"]["PreToolUse"][0]["hooks"][0]["command"]
def call(command):
    asked = {"session_id": "s", "cwd": os.getcwd(), "tool_name": "Bash", "tool_input": {"command": command}}
    got = subprocess.run(["sh", "-c", hook], input=json.dumps(asked), capture_output=True, text=True)
    told = json.loads(got.stdout or "{}").get("hookSpecificOutput", {})
    return told.get("permissionDecision", f"none: {got.stdout} {got.stderr}"), told.get("permissionDecisionReason", "")
def tell(document):
    print(json.dumps(document), flush=True)
for number, command in enumerate(TOLD):
    part = {"type": "tool_use", "id": str(number), "name": "Bash", "input": {"command": command}}
    tell({"type": "assistant", "message": {"content": [part]}})
found = [call(command) for command in COMMANDS]
denials = [{"tool_name": "Bash", "tool_input": {"command": command}} for command in REFUSED]
tell({"type": "result", "subtype": "success", "result": "", "permission_denials": denials})
pathlib.Path("found.json").write_text(json.dumps(found))
pathlib.Path(os.environ["CHARGEHAND_RESULT"]).write_text(json.dumps({"status": "DONE"}))
"""


@pytest.fixture(params=KINDS)
def each(request: pytest.FixtureRequest, repo: Any, tmp_path: Any) -> Execution:
    if request.param not in available():
        pytest.skip(f"{request.param} does not work on this machine")
    return Execution(repo=repo, root=tmp_path, kind=request.param)


def program(each: Execution, *commands: str, told: tuple[str, ...] = (), refused: tuple[str, ...] = ()) -> AgentDef:
    """It asks about `commands`, says in its stream that it called `told`, and that it refused `refused` itself."""
    script = each.root / "program.py"
    script.write_text(f"COMMANDS = {commands!r}\nTOLD = {told!r}\nREFUSED = {refused!r}\n{PROGRAM}")
    command = shlex.join([sys.executable, "-I", "-S", str(script)])
    return AgentDef(name="fake", kind="claude", command=command, meter=False)


def play(each: Execution, agent: AgentDef, answers: Any, calls: HeldCalls | None = None) -> tuple[AttemptResult, Any]:
    """One attempt; `answers(question)` is (allow, text), or None to leave it unanswered."""
    told: list[Any] = []

    async def script() -> AttemptResult:
        place_of = partial(attempt_place, a_plan(a_task("a")), sandboxed=each.kind != "none")
        fleet = each.fleet(agent, place_of=place_of, calls=calls or HeldCalls())

        def asked(event: Any) -> None:
            told.append(event)
            answer = answers(event) if isinstance(event, CommandAsked) else None
            if answer is not None:
                fleet.rule(event.call, allow=answer[0], text=answer[1])

        fleet.listen(asked)
        spec = each.spec("a")
        await fleet.submit(spec)
        return await fleet.wait(spec.key)

    return asyncio.run(script()), told


def found(each: Execution, result: AttemptResult) -> list[list[str]]:
    import json

    assert result.sealed is not None
    verdicts: list[list[str]] = json.loads(each.repo.git("show", f"{result.sealed.commit}:found.json"))
    return verdicts


def test_harmless_calls_pass_and_the_rest_is_asked(each: Execution):
    """I9: a yes covers exactly the call it was given for; the agent reads why it was refused."""
    agent = program(
        each, "echo hello > a.txt", "sh -c 'rm -rf /srv/data'", "find /srv/data -delete", "rm -rf /srv/data"
    )
    result, told = play(each, agent, lambda event: (event.command.startswith("find"), "as I said"))
    assert result.exit.kind in {ExitKind.EXITED, ExitKind.REPORTED}, result
    assert result.report is not None
    assert result.report.status is ReportStatus.DONE
    verdicts = found(each, result)
    assert [verdict for verdict, _ in verdicts] == ["allow", "deny", "allow", "deny"]
    assert [why for _, why in verdicts][1:] == ["as I said"] * 3
    assert [event.command for event in told] == [
        "sh -c 'rm -rf /srv/data'",
        "find /srv/data -delete",
        "rm -rf /srv/data",
    ]
    assert len({event.call for event in told}) == 3
    assert all("deletes" in event.why for event in told)


def test_nobody_s_answer_is_a_no(each: Execution):
    """I9: after the patience is over the agent hears it, and goes on."""
    agent = program(each, "rm -rf /srv/data", "echo on > b.txt")
    result, told = play(each, agent, lambda event: None, HeldCalls(wait_s=0.2))
    assert [verdict for verdict, _ in found(each, result)] == ["deny", "allow"]
    assert [type(event) for event in told] == [CommandAsked, CommandDropped]


def test_waiting_for_a_person_is_no_silence(repo: Any, tmp_path: Any):
    """The silence budget is shorter than the wait, and the attempt is not ended for it."""
    each = Execution(repo=repo, root=tmp_path)
    agent = program(each, "rm -rf /srv/data")
    spec = each.spec("a")
    each.spec = lambda *_: replace(spec, idle_s=1.5)  # type: ignore[method-assign]
    result, _ = play(each, agent, lambda event: None, HeldCalls(wait_s=5.0))
    assert result.exit.kind in {ExitKind.EXITED, ExitKind.REPORTED}
    assert [verdict for verdict, _ in found(each, result)] == ["deny"]


def test_an_attempt_that_is_ended_leaves_no_question_and_no_process(each: Execution):
    """I11: it was cancelled while it waited for an answer."""
    agent = program(each, "rm -rf /srv/data")
    told: list[Any] = []

    async def script() -> AttemptResult:
        place_of = partial(attempt_place, a_plan(a_task("a")), sandboxed=each.kind != "none")
        fleet = each.fleet(agent, place_of=place_of)
        arrived = asyncio.Event()

        def asked(event: Any) -> None:
            told.append(event)
            arrived.set()

        fleet.listen(asked)
        spec = each.spec("a")
        await fleet.submit(spec)
        await asyncio.wait_for(arrived.wait(), 60)
        await fleet.cancel(spec.key, now=True)
        return await fleet.wait(spec.key)

    result = asyncio.run(script())
    assert result.exit.kind is ExitKind.CANCELLED
    assert len(told) == 1
    assert each.left_behind() == []


def test_what_cannot_be_shown_is_not_asked_about(each: Execution):
    """I9: a yes is for what was read, and nobody reads what a terminal swallows."""
    agent = program(each, "git push origin main\x1b]; rm -rf /srv/data \x07")
    result, told = play(each, agent, lambda event: (True, "yes"))
    ((verdict, why),) = found(each, result)
    assert (verdict, told) == ("deny", [])
    assert "nobody sees" in why
    (told_of,) = [warning for warning in result.warnings if "without a question" in warning]
    assert told_of.startswith("1 tool call was denied without a question: a command: git push origin main")


def test_calls_that_are_denied_at_once_are_told_of(each: Execution):
    """They stand with the attempt in `show`: a few of them, and that there were others."""
    long = "echo " + "x" * 9000
    calls = [f"{long}{number}" for number in range(4)]
    agent = program(each, *calls, calls[0])
    result, told = play(each, agent, lambda event: (True, "yes"))
    assert [verdict for verdict, _ in found(each, result)] == ["deny"] * 5
    assert told == []
    (told_of,) = [warning for warning in result.warnings if "without a question" in warning]
    assert told_of.startswith("5 tool calls were denied without a question: Bash: echo xxx")


def test_what_was_said_before_the_attempt_counts_once_and_to_the_letter(each: Execution):
    """I9: the second of two equal commands is asked about, and so is one that differs; a no is a no every time."""
    push, find = "git push origin main", "find /srv/data -delete"
    agent = program(each, push, push, f"{push}  ", find, find)
    spec = replace(each.spec("a"), ruled=((push, True), (find, False)))
    each.spec = lambda *_: spec  # type: ignore[method-assign]
    result, told = play(each, agent, lambda event: (False, "no"))
    assert [verdict for verdict, _ in found(each, result)] == ["allow", "deny", "deny", "deny", "deny"]
    assert [event.command for event in told] == [push, f"{push}  "]


def test_a_program_that_refuses_what_was_approved_is_named(each: Execution):
    """Programs have rules of their own; some tell of a refusal, others of nothing."""
    ran, refused, silent = "rm -rf '/srv/a b'", "rm -rf /srv/b", "rm -rf /srv/c"
    agent = program(each, ran, refused, silent, told=(f'/bin/bash -lc "{ran}"', refused), refused=(refused,))
    result, _ = play(each, agent, lambda event: (True, "yes"))
    said = [warning for warning in result.warnings if "was approved" in warning]
    assert [warning.rpartition(": ")[2] for warning in said] == [refused, silent]
    assert "itself refused to run it" in said[0]
    assert "does not tell of running it" in said[1]


# -- what an author may not run -------------------------------------------------------------------

FORBIDDEN = (Command(argv=("npm", "test")), Command(argv=("python3", "-m", "build")))

# A program without a hook: it only tells what it ran.
TELLER = """\
import json, os, pathlib
for number, (command, refused) in enumerate(TOLD):
    answer = {"error": "The user rejected permission to use this"} if refused else {"output": "ok"}
    state = {"status": "completed", "input": {"command": command}, **answer}
    part = {"type": "tool", "tool": "bash", "callID": str(number), "state": state}
    print(json.dumps({"type": "tool_use", "part": part}), flush=True)
pathlib.Path(os.environ["CHARGEHAND_RESULT"]).write_text(json.dumps({"status": "DONE"}))
"""


def forbid(each: Execution) -> None:
    spec = each.spec("a")
    each.spec = lambda *_: replace(spec, forbidden=FORBIDDEN)  # type: ignore[method-assign]


def test_what_an_author_may_not_run_is_denied_without_a_question(each: Execution):
    """Nobody is asked, and the syntax of a file may be looked at."""
    forbid(each)
    agent = program(each, "cd src && npm run test", "python3 -m py_compile a.py", "python -m build --wheel")
    result, told = play(each, agent, lambda event: (True, "yes"))
    verdicts = found(each, result)
    assert [verdict for verdict, _ in verdicts] == ["deny", "allow", "deny"]
    assert "leaves it to the runtime" in verdicts[0][1]
    assert told == []
    (warning,) = [text for text in result.warnings if "denied" in text]
    assert "2 tool calls were denied without a question: Bash: cd src && npm run test" in warning
    assert result.violations == ()


def test_what_no_hook_could_stop_is_recorded(repo: Any, tmp_path: Any):
    """A program that only tells what it ran: its words are a record of it, and no evidence [I6]."""
    each = Execution(repo=repo, root=tmp_path)
    forbid(each)
    told = [("npm t", False), ("npm run test", True), ("ls", False), ("npm t", False), ("python -m build", False)]
    script = each.root / "program.py"
    script.write_text(f"TOLD = {told!r}\n{TELLER}")
    command = shlex.join([sys.executable, "-I", "-S", str(script)])
    result, _ = play(each, AgentDef(name="fake", kind="opencode", command=command, meter=False), lambda event: None)
    assert result.report is not None
    assert result.report.status is ReportStatus.DONE
    text = "The agent of attempt 1 ran what this task leaves to the runtime: `npm t`, `python -m build`."
    assert result.violations == (text,)
