"""What becomes of those who look when the coordinator dies: a noted answer counts, others are lost (SPEC 8)."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.attempt_note import read_note
from chargehand.adapters.copies import Copy
from chargehand.adapters.workspaces import GitWorkspaces
from chargehand.domain.outcome import Role
from chargehand.ports import AttemptSpec, Workspace
from tests.e2e.execution import Execution, available
from tests.e2e.test_recovery_attempts import crash, in_a_process, recover, rescues
from tests.repos import Repo

KEY = "t/1/attempt"
FAIL = """
found = {"id": "x", "severity": "major", "file": "README.md", "line": 1, "claim": "c", "evidence_command": COMMAND}
result.write_text(json.dumps({"verdict": "FAIL", "findings": [found], "criteria": [{"criterion": "a", "met": False}]}))
"""
PROVEN, SAID = FAIL.replace("COMMAND", "'cat README.md'"), FAIL.replace("COMMAND", "None")
COUNTS = "Task t, attempt 1 had ended, and its answer is there: it counts, and is not asked for again."


@pytest.fixture
def best(repo: Repo, tmp_path: Path) -> Execution:
    return Execution(repo, tmp_path, available()[0])


def looking(best: Execution, **changes: Any) -> dict[str, Any]:
    head = best.repo.head()
    tree = best.repo.git("rev-parse", "HEAD^{tree}")
    return {"role": Role.SPEC_REVIEWER, "commit": head, "tree": tree, **changes}


@pytest.mark.parametrize(
    ("at", "after", "body"), [("release", False, SAID), ("release", True, SAID), ("nothing", False, PROVEN)]
)
def test_a_verdict_that_was_noted_counts(best: Execution, at: str, after: bool, body: str):
    """I5: nothing is sealed, and nothing needs to be: the note holds the whole answer, evidence included."""
    spec = crash(best, body, at=at, after=after, **looking(best))
    found = recover(best, KEY)
    review = found.results[KEY].review
    assert review is not None
    assert review.verdict is not None
    assert (review.verdict.findings[0].id, review.located) == ("x", ("x",))
    assert [(probe.finding, probe.exit_code) for probe in review.probes] == ([("x", 0)] if body == PROVEN else [])
    assert found.told == (COUNTS,)
    assert rescues(best) == []
    assert recover(best, KEY).results == found.results
    assert read_note(best.folder, spec.key) is not None


def test_killed_between_the_answer_and_its_evidence(best: Execution):
    """What was not noted is lost, and the checkout of the evidence command is free again."""
    crash(best, PROVEN, at="release", **looking(best))
    found = recover(best, KEY)
    assert (found.results, rescues(best)) == ({}, [])
    assert found.told == ("Task t, attempt 1 was cut short before it had changed anything: it is done again.",)


@pytest.mark.parametrize(
    ("role", "answer"),
    [
        (Role.FITTER, 'result.write_text(json.dumps({"gate_id": "g", "invocation": ["true"]}))'),
        (Role.RESEARCHER, "report(summary='found')"),
        (Role.QUALITY_REVIEWER, ""),
    ],
)
def test_so_does_every_other_answer(best: Execution, role: Role, answer: str):
    """Also that there is none: the agent ended by itself, and said nothing."""
    crash(best, answer, at="nothing", **looking(best, role=role, gate="g"))
    result = recover(best, KEY).results[KEY]
    assert (result.restoration is not None) == (role is Role.FITTER)
    assert (result.report is not None) == (role is Role.RESEARCHER)
    assert (result.review is not None) == (role is Role.QUALITY_REVIEWER)


def test_a_look_at_the_whole_run_is_no_task(best: Execution):
    """A task may be called `run`; the key tells them apart."""
    whole = looking(best, role=Role.HOLISTIC_REVIEWER, key="run./1/attempt", task="run")
    crash(best, SAID, at="nothing", **whole)
    found = recover(best, "run./1/attempt", "run/1/attempt")
    assert list(found.results) == ["run./1/attempt"]
    assert found.told == (
        COUNTS.replace("Task t", "The run as a whole"),
        "Task run, attempt 1 was never started: it is started now.",
    )
    body = SAID + "pathlib.Path('x').write_text('x')\nprint(flush=True)\n"
    crash(best, body, at="release", **{**whole, "key": "run./2/attempt", "attempt": 2})
    assert rescues(best) == [f"refs/chargehand/rescue/{best.name}/run/1"]


class DyingAtALook(GitWorkspaces):
    """The process is killed when a copy is looked at for the `at`-th time."""

    def __init__(self, *args: Any, at: int) -> None:
        super().__init__(*args)
        self.left = at

    def copy(self, workspace: Workspace) -> Copy:
        self.left -= 1
        if self.left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().copy(workspace)


@pytest.mark.parametrize("at", [1, 2])
@pytest.mark.parametrize("wrote", [False, True])
def test_one_that_was_cut_short_is_lost_and_done_again(best: Execution, at: int, wrote: bool):
    """I2: what it left in its copy is rescued all the same; what it said counts for nothing."""
    body = SAID + "pathlib.Path('x').write_text('x')\n" * wrote
    agent, asked = best.agent(body), best.spec(**looking(best))

    async def work() -> None:
        fleet = best.fleet(agent, workspaces=DyingAtALook(best.repository, best.state / "pool", at=at))
        await fleet.submit(asked)
        await fleet.wait(asked.key)

    in_a_process(work)
    found = recover(best, KEY)
    assert found.results == {}
    kept = rescues(best)
    assert len(kept) == (at == 2 and wrote)
    told = f"what it had done is kept in {kept[0]}, and it is done again" if kept else ""
    assert told in found.told[0]
    again = best.attempt(best.agent(SAID), AttemptSpec(**{name: getattr(asked, name) for name in asked.__slots__}))
    assert again.review is not None
    assert again.review.violations == ()


def test_what_could_not_be_rescued_has_no_result(best: Execution):
    """I2: its workspace stays for whoever takes the run up, who rescues it and has it done again."""

    class Full(GitWorkspaces):
        async def rescue(self, *args: Any) -> None:
            raise OSError("the disk is full")

    body = SAID + "pathlib.Path('x').write_text('x')\n"
    agent, asked = best.agent(body), best.spec(**looking(best))

    async def work() -> None:
        fleet = best.fleet(agent, workspaces=Full(best.repository, best.state / "pool"))
        await fleet.submit(asked)
        result = await fleet.wait(asked.key)
        if result.review is not None and result.review.violations == ("created x",):
            (best.root / "told").touch()

    in_a_process(work)
    assert (best.root / "told").exists()
    found = recover(best, KEY)
    assert found.results == {}
    assert len(rescues(best)) == 1
