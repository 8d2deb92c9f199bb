"""Agents that report, and keep books, in the form of their plan's own system: whole runs (SPEC 3.6, 11)."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters import attempt
from chargehand.adapters.attempt_note import AttemptNote, Stage, write_note
from chargehand.domain.events import AttemptFinished
from chargehand.domain.outcome import AttemptResult, ReportStatus
from chargehand.domain.plan import EnvSpec
from chargehand.profiles.konductor_report import SummaryReport
from tests.e2e.execution import OUTER, Execution, available
from tests.e2e.test_agent_run import ASKED, KEY, fake
from tests.e2e.world import World, write
from tests.repos import Repo

PLANS = ".konductor/phases/01-users/plans"
SUMMARY = f"{PLANS}/001-task-1-summary.md"
TASKS = "prompts/SHOP-7/iteration_1/tasks.yaml"
PHASE = {
    ".konductor/config.toml": "[features]\ncode_review = false\n",
    ".konductor/state.toml": '[current]\nphase = "01-users"\nstep = "planned"\nstatus = "idle"\n',
    f"{PLANS}/001-users.md": (
        '+++\nphase = "01"\nplan = 1\nwave = 1\ntitle = "Users"\ndepends_on = []\ntype = "execute"\nautonomous = true\n'
        'requirements = []\nfiles_modified = ["user.txt"]\n+++\n## Goal\nUsers.\n\n## Tasks\n### Task 1: Create users\n'
        "- **files:** `user.txt`\n- **action:** Write it.\n- **verify:** `grep -q user user.txt`\n- **done:** it is\n"
    ),
}
ITERATION = {
    "chargehand.toml": '[commands]\nbuild = ["true"]\ntest = ["true"]\n',
    TASKS: (
        "validation_policy: {baseline_scope: code_and_tests_only}\ntasks:\n"
        "- {id: TASK-1, description: A, files_to_modify: [a.txt], execution_strategy: SEQUENTIAL, status: PENDING}\n"
        "- {id: TASK-2, description: B, files_to_modify: [b.txt], execution_strategy: SEQUENTIAL, status: PENDING}\n"
    ),
}
FEATURE = {
    "specs/login/PLAN.md": (
        "# Plan: Login\n\n## Tasks\n\n### Task 1: Write\n\n**Files**: `a.txt`\n**Action**: Write it.\n"
        "**Verify**: `grep -q a a.txt`\n"
    ),
    "chargehand.toml": '[commands]\ntest = ["true"]\n',
}
SAID = """\
# Plan 001 - Task 1 Summary

## Status: DONE_WITH_CONCERNS

## Files Created
- user.txt

## Decisions Made
- one user is enough

## Notes
Users are there.

## Concerns
- (info) names may repeat
"""


@pytest.fixture
def world(repo: Repo, tmp_path: Path) -> World:
    folder = tmp_path / "world"
    folder.mkdir()
    return World(repo, folder)


def set_out(world: World, files: Mapping[str, str]) -> None:
    """Commit the files of a project."""
    for path, text in files.items():
        file = world.repo.path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    world.repo.git("add", "-A")
    world.repo.git("commit", "-q", "-m", "a project")


def carry_out(world: World, plan: str, scenario: Mapping[str, Any], *, sets: tuple[str, ...] = ()) -> None:
    """Carry a plan out with the scripted agent that does as `scenario` says; its attempts are in `results`."""
    script = world.folder / "scenario.json"
    script.write_text(json.dumps({"scenario": 1, "tasks": scenario}), encoding="utf-8")
    given = sets or ("agents.script.kind=scripted", f"agents.script.command={script}")

    async def run() -> None:
        shop = await world.shop(given)
        loaded = shop.load_plan(world.repo.path / plan)
        assert loaded.plan is not None, loaded.problems
        event = await shop.new_run(loaded.plan, plan_file=Path(loaded.source), files=[Path(f) for f in loaded.files])
        world.run = event.run
        await world._drive(shop, shop.service.start(event), None, unattended=True)

    asyncio.run(run())


def results(world: World) -> list[AttemptResult]:
    return [event.result for event in world.events() if isinstance(event, AttemptFinished)]


def kept(world: World, path: str) -> list[str]:
    """What was left out of changes at a path, as it is kept."""
    attempts = world.repo.path / ".git/chargehand/runs" / world.run / "attempts"
    return [file.read_text() for file in sorted(attempts.rglob(f"left-out/{path}"))]


# -- konductor ------------------------------------------------------------------------------------


@pytest.mark.parametrize("committed", [False, True])
def test_a_summary_is_the_report_and_lands_nowhere(world: World, committed: bool):
    """I6: it is taken for a claim, the change is judged by its evidence, and the coordinator writes its own."""
    set_out(world, PHASE)
    steps = [write("user.txt", "user\n"), write(SUMMARY, SAID), *([{"commit": "feat(01-1): users"}] * committed)]
    carry_out(world, ".konductor", {"001-task-1": steps})
    assert world.outcome("001-task-1") == ("integrated", "integrated")
    (result,) = results(world)
    assert result.report is not None
    assert result.report.status is ReportStatus.DONE_WITH_CONCERNS
    assert result.report.decisions == ("one user is enough",)
    assert result.sealed is not None
    assert ([change.path for change in result.sealed.changes], result.sealed.left_out) == (["user.txt"], (SUMMARY,))
    assert world.landed("user.txt") == "user"
    assert world.landed(SUMMARY) is None
    ours = (world.repo.path / SUMMARY).read_text()
    assert "one user is enough" in ours
    assert "## Review Status: passed" in ours
    assert kept(world, SUMMARY) == [SAID]
    assert not any("/rescue/" in ref for ref in world.refs())


def test_a_change_of_nothing_but_a_summary_is_none(world: World):
    """I6: words are no work, also when they are committed; it is told what does not count."""
    set_out(world, PHASE)
    carry_out(world, ".konductor", {"001-task-1": [write(SUMMARY, SAID), {"commit": "words"}]})
    assert world.outcome("001-task-1") == ("failed", "no_change")
    assert f"What only the runtime writes does not count: {SUMMARY}." in world.task("001-task-1")["detail"]


def test_our_own_report_wins(world: World):
    """The file of CHARGEHAND_RESULT counts alone, whatever a summary says."""
    set_out(world, PHASE)
    blocked = write(SUMMARY, "## Status: BLOCKED\n\n## Blocker\nno key\n")
    steps = [write("user.txt", "user\n"), blocked, {"report": {"status": "DONE", "summary": "ours"}}]
    carry_out(world, ".konductor", {"001-task-1": steps})
    assert world.outcome("001-task-1") == ("integrated", "integrated")
    (result,) = results(world)
    assert result.report is not None
    assert result.report.summary == "ours"


def test_a_summary_that_says_blocked_blocks(world: World):
    set_out(world, PHASE)
    blocked = write(SUMMARY, "## Status: BLOCKED\n\n## Blocker\nThe database has no key.\n")
    carry_out(world, ".konductor", {"001-task-1": [blocked]})
    assert world.outcome("001-task-1") == ("blocked", "agent_blocked")
    assert world.task("001-task-1")["detail"] == "The database has no key."


def test_a_malformed_summary_is_no_report(world: World):
    """It is shown why; with a change that is good the attempt is judged on its evidence alone."""
    set_out(world, PHASE)
    steps = [write("user.txt", "user\n"), write(SUMMARY, "## Status: FINISHED\n")]
    carry_out(world, ".konductor", {"001-task-1": steps})
    assert world.outcome("001-task-1") == ("integrated", "integrated")
    told = [warning["text"] for warning in world.document["warnings"] if warning["code"] == "no_report"]
    assert len(told) == 1
    assert "001-task-1-summary.md: its status is 'FINISHED'" in told[0]


def test_a_fixer_reports_with_a_summary_of_its_own(world: World):
    """It begins on the sealed change, where no summary is: what it writes is its own word, and lands nowhere either."""
    set_out(world, {**PHASE, ".konductor/config.toml": "[features]\ncode_review = true\n"})
    fault = {"id": "f1", "severity": "major", "file": "user.txt", "line": 1, "claim": "no name"}
    looks = {"attempts": {2: [{"verdict": {"verdict": "FAIL", "findings": [fault]}}], "default": [{"verdict": "PASS"}]}}
    fixed = SAID.replace("one user is enough", "with a name")
    roles = {
        "implementer": [write("user.txt", "user\n"), write(SUMMARY, SAID), {"commit": "work"}],
        "fixer": [write("user.txt", "user name\n"), write(SUMMARY, fixed), {"commit": "fix"}],
        "spec-reviewer": looks,
    }
    carry_out(world, ".konductor", {"001-task-1": {"roles": roles}})
    assert world.outcome("001-task-1") == ("integrated", "integrated"), world.document
    reports = [result.report.decisions for result in results(world) if result.report is not None]
    assert reports == [("one user is enough",), ("with a name",)]
    assert (world.landed("user.txt"), world.landed(SUMMARY)) == ("user name", None)
    assert kept(world, SUMMARY) == [SAID, fixed]


def test_an_old_summary_is_nobodys_report(world: World):
    """What was there before the agent started says nothing of its attempt."""
    set_out(world, {**PHASE, SUMMARY: "## Status: BLOCKED\n\n## Blocker\nan old one\n"})
    carry_out(world, ".konductor", {"001-task-1": [write("user.txt", "user\n")]})
    assert world.outcome("001-task-1") == ("integrated", "integrated")
    assert results(world)[0].report is None


def test_what_cannot_be_copied_is_rescued(world: World):
    """I2: a link in the place of a summary is no report, is left out, and is kept with the whole workspace."""
    set_out(world, PHASE)
    steps = [write("user.txt", "user\n"), {"symlink": {"path": SUMMARY, "target": "../../../../README.md"}}]
    carry_out(world, ".konductor", {"001-task-1": steps})
    assert world.outcome("001-task-1") == ("integrated", "integrated")
    assert world.landed(SUMMARY) is None
    (ref,) = (ref for ref in world.refs() if "/rescue/" in ref)
    assert SUMMARY in world.repo.files(ref)
    assert "no regular file" in results(world)[0].report_problem


# -- task-executor --------------------------------------------------------------------------------

FIRST = [write("a.txt", "a\n"), {"report": {"status": "DONE"}}]
SECOND = [write("b.txt", "b\n"), {"report": {"status": "DONE"}}]


def test_an_agent_that_writes_the_states_reports_with_them(world: World):
    """Of its own task it is believed as a claim; other entries, and the file itself, are the coordinator's."""
    set_out(world, ITERATION)
    text = ITERATION[TASKS].replace("[a.txt], execution_strategy: SEQUENTIAL, status: PENDING", "[a.txt], status: DONE")
    text = text.replace("PENDING", "ACCEPTED")
    steps = [write("a.txt", "a\n"), write(TASKS, text), write("prompts/SHOP-7/log.jsonl", "{}\n")]
    carry_out(world, "prompts", {"TASK-1": steps, "TASK-2": SECOND})
    assert [world.outcome(name)[0] for name in ("TASK-1", "TASK-2")] == ["integrated", "integrated"]
    first = results(world)[0]
    assert first.report is not None
    assert first.report.status is ReportStatus.DONE
    assert first.sealed is not None
    assert first.sealed.left_out == ("prompts/SHOP-7/iteration_1/tasks.yaml", "prompts/SHOP-7/log.jsonl")
    assert world.landed(TASKS) == ITERATION[TASKS].rstrip("\n")
    assert (world.repo.path / TASKS).read_text().count("status: ACCEPTED") == 2
    assert '"TASK-2"' in (world.repo.path / "prompts/SHOP-7/log.jsonl").read_text()


def test_an_agent_that_says_error_in_its_entry(world: World):
    set_out(world, ITERATION)
    error = ITERATION[TASKS].replace("status: PENDING}", 'status: ERROR, validation_details: "no compiler"}', 1)
    carry_out(world, "prompts", {"TASK-1": [write("a.txt", "a\n"), write(TASKS, error)], "TASK-2": SECOND})
    assert world.outcome("TASK-1")[0] == "failed"
    assert "no compiler" in world.task("TASK-1")["detail"]
    assert world.outcome("TASK-2")[0] == "integrated"


def test_an_agent_that_deletes_the_states(world: World):
    """Nothing of it is taken away from anybody; that it can no longer be read is no report."""
    set_out(world, ITERATION)
    carry_out(world, "prompts", {"TASK-1": [{"delete": TASKS}, *FIRST], "TASK-2": [{"delete": TASKS}, SECOND[0]]})
    assert [world.outcome(name)[0] for name in ("TASK-1", "TASK-2")] == ["integrated", "integrated"]
    assert world.landed(TASKS) == ITERATION[TASKS].rstrip("\n")
    assert (world.repo.path / TASKS).read_text().count("status: ACCEPTED") == 2


def test_states_alone_are_no_change(world: World):
    set_out(world, ITERATION)
    done = write(TASKS, ITERATION[TASKS].replace("PENDING", "DONE"))
    carry_out(world, "prompts", {"TASK-1": [done], "TASK-2": SECOND})
    assert world.outcome("TASK-1") == ("failed", "no_change")


# -- sendit ---------------------------------------------------------------------------------------


def test_a_result_object_in_the_last_message(world: World):
    """Its hash is checked like any other; PROGRESS.md of the feature is left out, one elsewhere is work."""
    set_out(world, FEATURE)
    script = world.folder / "agent.sh"
    script.write_text(
        "echo a > a.txt && echo mine > specs/login/PROGRESS.md && git add -A && git commit -qm work\n"
        'printf \'{"task": "1", "status": "done", "files_changed": ["a.txt"],\\n "commit": "%s",\\n "notes": "as it '
        'says"}\\n\' "$(git rev-parse HEAD)"\n'
    )
    carry_out(world, "specs", {}, sets=(f"agent_command=sh '{script}'",))
    assert world.outcome("task-1") == ("integrated", "integrated"), world.document
    (result,) = results(world)
    assert result.report is not None
    assert (result.report.summary, result.report.files_changed) == ("as it says", ("a.txt",))
    assert result.sealed is not None
    assert result.sealed.left_out == ("specs/login/PROGRESS.md",)
    assert world.landed("specs/login/PROGRESS.md") is None
    assert "| done |" in (world.repo.path / "specs/login/PROGRESS.md").read_text()
    assert world.document["warnings"] == []


def test_a_file_of_that_name_elsewhere_is_work(world: World):
    """Only the coordinator's own files are left out: a stray one is out of scope as before."""
    set_out(world, FEATURE)
    steps = [write("a.txt", "a\n"), write("docs/PROGRESS.md"), {"commit": "w"}]
    carry_out(world, "specs", {"task-1": [*steps, {"report": {"status": "DONE", "commit": "{{head}}"}}]})
    assert world.outcome("task-1") == ("failed", "out_of_scope")


# -- crashes --------------------------------------------------------------------------------------


@pytest.mark.parametrize("before", [True, False])
def test_killed_around_the_seal(world: World, monkeypatch: pytest.MonkeyPatch, before: bool):
    """I2, I4: it lands once, the report is the same, and the summary is in no tree, but kept."""
    set_out(world, PHASE)

    def note(folder: Path, made: AttemptNote) -> None:
        if made.stage is Stage.ENDED and before:
            os.kill(os.getpid(), signal.SIGKILL)
        write_note(folder, made)
        if made.stage is Stage.ENDED:
            os.kill(os.getpid(), signal.SIGKILL)

    steps = [write("user.txt", "user\n"), write(SUMMARY, SAID), {"commit": "users"}]
    child = os.fork()
    if child == 0:
        try:
            monkeypatch.setattr(attempt, "write_note", note)
            carry_out(world, ".konductor", {"001-task-1": steps})
        finally:
            os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    (world.run,) = (folder.name for folder in (world.repo.path / ".git/chargehand/runs").iterdir())
    world.resume()
    assert world.outcome("001-task-1") == ("integrated", "integrated")
    (result,) = results(world)
    assert result.report is not None
    assert result.report.decisions == ("one user is enough",)
    assert (world.landed("user.txt"), world.landed(SUMMARY)) == ("user", None)
    assert kept(world, SUMMARY) == [SAID]
    rescued = [ref for ref in world.refs() if "/rescue/" in ref]
    assert all(SUMMARY in world.repo.files(ref) for ref in rescued)
    assert len(rescued) == int(before)


# -- one attempt ----------------------------------------------------------------------------------

OWN = SummaryReport(folder=PLANS, prefixes={1: "001"})


@pytest.mark.parametrize("status", ["DONE", "FINISHED"])
def test_a_program_that_wrote_its_summary_is_not_asked_again(repo: Repo, tmp_path: Path, status: str):
    """SPEC 3.6: it has reported; only where its summary is malformed it is asked, and told what is wrong with it."""
    each = Execution(repo=repo, root=tmp_path, outer={**OUTER, "MY_KEY": KEY})
    summary = f"file = pathlib.Path({SUMMARY!r})\nfile.parent.mkdir(parents=True, exist_ok=True)\n"
    told = "assert '--resume' not in argv or 'its status is' in brief\n"
    body = f"{told}{summary}file.write_text('## Status: {status}')\n{ASKED}"
    spec = each.spec(task="001-task-1", artifacts=("**/*-summary.md",))
    result = each.attempt(fake(each, body), spec, own_report=OWN)
    assert result.report is not None
    assert result.report.status is ReportStatus.DONE
    asked = [warning for warning in result.warnings if "once more" in warning]
    assert bool(asked) is (status == "FINISHED")
    assert result.sealed is not None
    assert ([change.path for change in result.sealed.changes], result.sealed.left_out) == (["hello.txt"], (SUMMARY,))


@pytest.mark.parametrize("kind", available())
def test_a_summary_from_inside_a_sandbox(repo: Repo, tmp_path: Path, kind: str):
    """The same under each of them, with a secret that is written down nowhere."""
    each = Execution(repo=repo, root=tmp_path, kind=kind, outer={**OUTER, "MY_TOKEN": "tok-hunter2-hunter2"})
    agent = each.agent(
        f"""
        file = pathlib.Path({SUMMARY!r})
        file.parent.mkdir(parents=True)
        file.write_text('## Status: DONE\\n\\n## Notes\\nthe token is ' + os.environ['MY_TOKEN'])
        pathlib.Path('hello.txt').write_text('hello')
        """
    )
    spec = each.spec(task="001-task-1", artifacts=("**/*-summary.md",), env=EnvSpec(passed=("MY_TOKEN",)))
    result = each.attempt(agent, spec, own_report=OWN)
    assert result.report is not None
    assert result.report.summary == "the token is [redacted]"
    assert result.sealed is not None
    assert result.sealed.left_out == (SUMMARY,)
    (copy,) = each.folder.rglob(f"left-out/{SUMMARY}")
    assert "hunter2" not in copy.read_text()
    assert "[redacted]" in copy.read_text()


def test_a_report_that_git_ignores_is_kept_as_well(repo: Repo, tmp_path: Path):
    """I2: it is read and copied all the same, also one that is too large to be read as a report."""
    each = Execution(repo=repo, root=tmp_path)
    repo.write(".gitignore", ".konductor/\n")
    repo.commit("ignored")
    large = "## Status: DONE\n" + "x" * 300_000
    agent = each.agent(
        f"""
        file = pathlib.Path({SUMMARY!r})
        file.parent.mkdir(parents=True)
        file.write_text({large!r})
        pathlib.Path('hello.txt').write_text('hello')
        """
    )
    spec = each.spec(task="001-task-1", artifacts=("**/*-summary.md",))
    result = each.attempt(agent, spec, own_report=OWN)
    assert result.report is None
    assert "it is larger than 262144 bytes" in result.report_problem
    assert result.sealed is not None
    assert ([change.path for change in result.sealed.changes], result.sealed.left_out) == (["hello.txt"], ())
    (copy,) = each.folder.rglob(f"left-out/{SUMMARY}")
    assert copy.read_text() == large
