"""Locks that a killed coordinator leaves on its refs: whoever takes the run up removes them (SPEC 8)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.judged import BOX, DONE, Court, task, write
from tests.repos import Repo


@pytest.fixture
def court(repo: Repo, tmp_path: Path) -> Court:
    return Court(repo=repo, folder=tmp_path, sandbox=BOX)


def test_locks_of_the_run_are_removed_and_those_of_others_stay(court: Court):
    """I4: it was killed between the lock of a candidate and the candidate; the run lands all the same."""
    scenario = {"a": [write("a.txt"), DONE]}
    unreviewed = {"code_review": False}
    assert court.judge([task(needs_human=True)], scenario, features=unreviewed, unattended=False) == 4
    refs = court.repo.path / ".git" / "refs" / "chargehand"
    ours = [refs / kind / court.run / "a" / "1.lock" for kind in ("attempts", "candidates")]
    others = refs / "candidates" / "other" / "a" / "1.lock"
    for lock in (*ours, others):
        lock.parent.mkdir(parents=True, exist_ok=True)
        lock.write_text(f"{court.repo.head()}\n")
    court.answer("approve")
    assert court.go_on() == 0
    assert court.told()[-1] == "landed"
    assert not [lock for lock in ours if lock.exists()]
    assert others.exists()
