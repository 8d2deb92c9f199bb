"""What a change that a fixer or a `fix` command went on with is told to do: all of it, and nothing that is gone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.events import AttemptFinished
from chargehand.domain.facts import facts_of_task
from chargehand.domain.outcome import Role
from tests.e2e.judged import BOX, DONE, Court, fails, write
from tests.repos import Repo

TEST = "def test_a():\n    assert f() == 1\n    assert f() != 2\n"
WEAK = "def test_a():\n    assert f() == 1\n"
QUIET = "import os  # noqa: F401\n"
WRONG = "major a.txt:1 It says the wrong thing."
RESOLVED = fails({"id": "f1", "status": "resolved"})
TOLD = ["Touches existing tests: tests/test_a.py: weakened", "Silences a check: src/mod.py:1 comment"]
TASK: dict[str, Any] = {
    "id": "a",
    "title": "A",
    "allow_test_changes": True,
    "files": {"create": ["a.txt"], "modify": ["src/mod.py"], "test": ["tests/test_a.py"]},
}


@pytest.fixture
def court(repo: Repo, tmp_path: Path) -> Court:
    repo.write("tests/test_a.py", TEST)
    repo.write("src/mod.py", "x = 1\n")
    repo.commit("a test")
    return Court(repo=repo, folder=tmp_path, sandbox=BOX)


def fixed(*fixer: dict[str, Any], **again: Any) -> dict[str, Any]:
    """An author who weakens a test and silences a check, a finding, a fixer who does this, and the second review."""
    author = [write("a.txt", "one\n"), write("tests/test_a.py", WEAK), write("src/mod.py", QUIET), DONE]
    second = [*([{"read_brief_check": again["reads"]}] if "reads" in again else []), RESOLVED]
    first = [{"read_brief_check": TOLD}, fails(WRONG)]
    return {
        "roles": {
            "implementer": author,
            "spec-reviewer": {"attempts": {2: first, 4: second}},
            "fixer": [write("a.txt", "two\n"), *fixer, DONE],
        }
    }


def facts(court: Court) -> str:
    assert court.state is not None
    return "\n".join(facts_of_task(court.state, court.state.tasks["a"]))


def test_what_the_author_did_is_told_after_a_fixer(court: Court):
    """SPEC 4: whoever looks after the fix is told of the whole change, and so is whoever reads the report."""
    assert court.judge([TASK], {"a": fixed(reads=TOLD)}) == 0
    assert "fixer 3" in court.told()
    (own,) = [event.result.sealed for event in court.of(AttemptFinished) if event.attempt == 3]
    assert [change.path for change in own.changes] == ["a.txt"]
    assert (own.test_changes, own.silenced) == ((), ())
    assert all(fact in facts(court) for fact in TOLD)
    report, receipt = court.report(), court.receipt()
    assert "Changes to tests that judge this" in report
    assert "Checks that this silences" in report
    assert "weakened" in {row["kind"] for row in receipt["test_changes"]}
    assert [row["path"] for row in receipt["silenced"]] == ["src/mod.py"]


def test_what_a_fixer_takes_out_is_gone(court: Court):
    given = fixed(write("src/mod.py", "x = 2\n"), write("tests/test_a.py", TEST))
    assert court.judge([TASK], {"a": given}) == 0
    assert court.landed("src/mod.py") == "x = 2"
    assert not any(word in facts(court) for word in ("Silences", "existing tests"))
    report = court.report()
    assert "Checks that this silences" not in report
    assert "Changes to tests that judge this" not in report
    assert "silenced" not in court.receipt()
    assert court.receipt()["test_changes"] == []


def test_a_fixer_in_the_same_file_hides_nothing(court: Court):
    """A line of the fixer's beside it does not make the author's weaker test one that was always so."""
    given = fixed(write("tests/test_a.py", WEAK + "    # no more\n"), reads=TOLD)
    assert court.judge([TASK], {"a": given}) == 0
    assert all(fact in facts(court) for fact in TOLD)


def test_what_a_fix_command_takes_out_is_gone(court: Court):
    gate = {
        "id": "lint",
        "run": ["sh", "-c", "! grep -q noqa src/mod.py"],
        "on": ["task"],
        "fix": ["sh", "-c", "sed -i 's/  # noqa.*//' src/mod.py"],
    }
    author = [write("a.txt", "one\n"), write("tests/test_a.py", WEAK), write("src/mod.py", QUIET), DONE]
    given = {"roles": {"implementer": author, "spec-reviewer": [{"read_brief_check": TOLD[:1]}, {"verdict": "PASS"}]}}
    assert court.judge([TASK], {"a": given}, gates=[gate]) == 0
    assert "fix mended" in court.told()
    assert "Silences" not in facts(court)
    assert TOLD[0] in facts(court)
    assert "silenced" not in court.receipt()
    assert "Checks that this silences" not in court.report()
    assert Role.FIXER not in {attempt["role"] for attempt in court.receipt()["attempts"]}
