"""What follows from a change that silences a check (SPEC 3.7, item 4; I6)."""

from __future__ import annotations

from dataclasses import replace

import pytest

from chargehand.domain.evidence import find_failure
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, Report, ReportStatus, Sealed
from chargehand.domain.plan import Plan, Task
from chargehand.domain.policy import HOUSE
from chargehand.domain.silencing import Silenced, SilencedBy, Silencing
from chargehand.domain.test_changes import TestChange, TestChangeKind
from chargehand.domain.words import Failure, Reason

TASK = Task(id="a", title="A")
GATES = replace(TASK, may_excuse=True)
COMMENT = Silenced(path="src/a.py", by=SilencedBy.COMMENT, detail="# type: ignore", line=3)
SETTING = Silenced(path="mypy.ini", by=SilencedBy.SETTING, detail="mypy.ignore_errors: switched on")
EXCEPTION = Silenced(path="ruff.toml", by=SilencedBy.EXCEPTION, detail="lint.per-file-ignores.a: E1 added", line=1)
EXCUSED = TestChange(path="ruff.toml", kind=TestChangeKind.EXCUSED, detail="lint.per-file-ignores.a: E1 added", line=1)


def failure(task: Task, silencing: Silencing, *silenced: Silenced, bent: tuple[TestChange, ...] = ()) -> Failure | None:
    seal = Sealed(base="b", commit="c", tree="t1", base_tree="t0", silenced=silenced, test_changes=bent)
    end = AgentExit(kind=ExitKind.EXITED, code=0)
    result = AttemptResult(exit=end, report=Report(status=ReportStatus.DONE), sealed=seal)
    return find_failure(task, Plan(plan="p", tasks=(task,)), result, reviewed=False, silencing=silencing)


@pytest.mark.parametrize("task", [TASK, GATES])
def test_a_silenced_check_is_no_failure_where_reviewers_are_told(task: Task):
    assert HOUSE.silencing is Silencing.TOLD
    assert failure(task, Silencing.TOLD, COMMENT, SETTING, EXCEPTION) is None


@pytest.mark.parametrize(
    ("task", "one", "fails"),
    [
        (TASK, COMMENT, True),
        (TASK, SETTING, True),
        (TASK, EXCEPTION, True),
        (GATES, COMMENT, True),
        (GATES, SETTING, True),
        (GATES, EXCEPTION, False),
    ],
)
def test_where_it_fails_only_exceptions_are_left_to_those_who_may_make_them(task: Task, one: Silenced, fails: bool):
    """I6: a check that was silenced is no evidence, whatever it says."""
    found = failure(task, Silencing.FAILS, one)
    assert (found is not None and found.reason is Reason.CHECK_SILENCED) is fails


def test_each_place_is_named_and_lines_are_no_part_of_the_signature():
    found = failure(TASK, Silencing.FAILS, COMMENT, SETTING)
    assert found is not None
    assert "src/a.py:3 comment # type: ignore; mypy.ini setting mypy.ignore_errors: switched on." in found.summary
    assert found.facts[:2] == ("src/a.py:3 comment # type: ignore", "mypy.ini setting mypy.ignore_errors: switched on")
    moved = failure(TASK, Silencing.FAILS, replace(COMMENT, line=9), SETTING)
    assert moved is not None
    assert moved.signature == found.signature


@pytest.mark.parametrize(
    ("task", "silencing", "bent"),
    [
        (TASK, Silencing.TOLD, True),
        (GATES, Silencing.TOLD, True),
        (TASK, Silencing.FAILS, True),
        (GATES, Silencing.FAILS, False),
    ],
)
def test_a_rule_that_stops_to_hold_for_some_files_bends_unless_the_task_may_excuse(
    task: Task, silencing: Silencing, bent: bool
):
    found = failure(task, silencing, bent=(EXCUSED,))
    assert (found is not None and found.reason is Reason.TESTS_BENT) is bent
    loosened = replace(EXCUSED, kind=TestChangeKind.LOOSENED)
    worse = failure(task, silencing, bent=(EXCUSED, loosened))
    assert worse is not None
    assert worse.reason is Reason.TESTS_BENT
