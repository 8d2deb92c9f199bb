"""From claim and evidence to a failure, or to none (SPEC 3.7, items 1 to 4; I6)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.evidence import UNGATED, crash_of, find_failure, signature, stray_changes
from chargehand.domain.outcome import (
    AgentExit,
    AttemptResult,
    Change,
    ChangeKind,
    ClaimCheck,
    ExitKind,
    Report,
    ReportStatus,
    Sealed,
)
from chargehand.domain.plan import Files, Plan, Scope, Task
from chargehand.domain.policy import Commits
from chargehand.domain.test_changes import TestChange, TestChangeKind
from chargehand.domain.words import Reason

TASK = Task(id="a", title="A", files=Files(create=("new.py",), modify=("src/*.py",), test=("tests/t.py",)))
LOOSE = Task(id="a", title="A")


def plan(**fields: Any) -> Plan:
    return Plan(plan="p", tasks=(TASK,), **fields)


def sealed(*paths: str, kind: ChangeKind = ChangeKind.MODIFIED, **fields: Any) -> Sealed:
    changes = tuple(Change(path=path, kind=kind) for path in paths)
    defaults = {"base": "b", "commit": "c", "tree": "t1", "base_tree": "t0", "changes": changes, "present": ("new.py",)}
    return Sealed(**{**defaults, **fields})


def failure(task: Task, seal: Sealed | None, *, plan: Plan | None = None, reviewed: bool = False, **result: Any):
    report = result.pop("report", Report(status=ReportStatus.DONE))
    end = AgentExit(kind=ExitKind.EXITED, code=0)
    attempt = AttemptResult(exit=end, report=report, sealed=seal, **result)
    return find_failure(task, plan or Plan(plan="p", tasks=(task,)), attempt, reviewed=reviewed)


def reason(*args: Any, **kwargs: Any) -> Reason | None:
    found = failure(*args, **kwargs)
    return found.reason if found else None


def test_good_evidence_is_no_failure():
    assert failure(TASK, sealed("new.py", "src/a.py", "tests/t.py")) is None


def test_nothing_sealed():
    found = failure(TASK, None, seal_problem="disk full")
    assert found.reason is Reason.SEAL_FAILED
    assert "disk full" in found.summary
    assert found.severity > UNGATED


# -- history ----------------------------------------------------------------------------------------


def test_the_base_must_be_an_ancestor():
    assert reason(LOOSE, sealed("x", base_is_ancestor=False)) is Reason.BASE_LOST


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (ClaimCheck.NONE, None),
        (ClaimCheck.GOOD, None),
        (ClaimCheck.MISSING, "does not exist"),
        (ClaimCheck.OLD, "was already there"),
        (ClaimCheck.UNREACHABLE, "is not part of the result"),
    ],
)
def test_a_commit_that_a_report_names_must_be_new_and_part_of_the_result(claim, expected):
    found = failure(LOOSE, sealed("x", claim=claim), report=Report(status=ReportStatus.DONE, commit="abc"))
    if expected is None:
        assert found is None
    else:
        assert found.reason is Reason.BAD_COMMIT
        assert f"commit abc, which {expected}" in found.summary


def test_a_claim_without_a_report_is_told_without_a_name():
    assert reason(LOOSE, sealed("x", claim=ClaimCheck.OLD), report=None) is Reason.BAD_COMMIT


# -- change -----------------------------------------------------------------------------------------


def test_an_unchanged_tree_is_a_failure_unless_allowed():
    unchanged = sealed(tree="t0")
    assert reason(LOOSE, unchanged) is Reason.NO_CHANGE
    assert reason(Task(id="a", title="A", allow_empty=True), unchanged) is None
    assert reason(Task(id="a", title="A", allow_empty=True, files=TASK.files), sealed(tree="t0", present=())) is None


def test_an_unchanged_tree_without_a_report_is_an_invalid_report():
    """3.6: counts as failed when nothing changed, whatever is allowed."""
    for task in (LOOSE, Task(id="a", title="A", allow_empty=True)):
        found = failure(task, sealed(tree="t0"), report=None, report_problem="it is no JSON")
        assert found.reason is Reason.INVALID_REPORT
        assert "it is no JSON" in found.summary
    assert "none was written" in failure(LOOSE, sealed(tree="t0"), report=None).summary


@pytest.mark.parametrize("kind", [ChangeKind.SYMLINK_OUT, ChangeKind.NESTED_REPOSITORY])
def test_what_can_not_be_landed_is_out_of_scope_also_where_the_tree_is_unchanged(kind):
    found = failure(LOOSE, sealed("vendor", kind=kind, tree="t0"))
    assert found.reason is Reason.OUT_OF_SCOPE
    assert found.facts[0] == "allowed: anything but links out and nested repositories"


# -- scope ------------------------------------------------------------------------------------------


def test_changes_outside_the_declared_files_are_listed():
    found = failure(TASK, sealed("src/a.py", "b.py", "src/x/c.py"), plan=plan(allowlist=("docs",)))
    assert found.reason is Reason.OUT_OF_SCOPE
    assert found.summary == "Changed outside the scope of the task: b.py, src/x/c.py."
    assert found.facts == (
        "allowed: new.py, src/*.py, tests/t.py, docs",
        "modified: src/a.py, b.py, src/x/c.py",
        "unauthorised: b.py (modified), src/x/c.py (modified)",
    )


@pytest.mark.parametrize(
    "kind", [ChangeKind.ADDED, ChangeKind.DELETED, ChangeKind.MODE, ChangeKind.SUBMODULE, ChangeKind.HISTORY]
)
def test_every_kind_of_change_counts(kind):
    assert reason(TASK, sealed("b.py", kind=kind)) is Reason.OUT_OF_SCOPE


def test_the_allowlist_and_lock_files_belong_to_the_scope():
    assert reason(TASK, sealed("docs/a.md"), plan=plan(allowlist=("docs",))) is None
    node = Task(id="a", title="A", files=Files(modify=("package.json",)))
    assert reason(node, sealed("package.json", "package-lock.json")) is None
    assert reason(TASK, sealed("package-lock.json")) is Reason.OUT_OF_SCOPE


def test_an_unscoped_task_may_change_anything():
    assert stray_changes(LOOSE, plan(), sealed("anything", "at/all")) == ()


def test_under_review_a_stray_change_is_a_question_but_a_link_out_is_not():
    task = Task(id="a", title="A", files=Files(modify=("src/*.py",)), scope=Scope.REVIEW)
    assert reason(task, sealed("b.py")) is None
    assert [c.path for c in stray_changes(task, plan(), sealed("src/a.py", "b.py"))] == ["b.py"]
    assert reason(task, sealed("b.py", kind=ChangeKind.SYMLINK_OUT)) is Reason.OUT_OF_SCOPE


def test_files_that_are_a_lease_only_are_no_scope():
    """They say who waits for whom; a change elsewhere is part of the work, a link out never is."""
    task = Task(id="a", title="A", files=Files(modify=("src/*.py",)), scope=Scope.LEASE)
    assert stray_changes(task, plan(), sealed("src/a.py", "b.py")) == ()
    assert reason(task, sealed("b.py")) is None
    assert reason(task, sealed("b.py", kind=ChangeKind.SYMLINK_OUT)) is Reason.OUT_OF_SCOPE


def test_a_link_out_inside_the_scope_is_stray():
    link = sealed("src/a.py", kind=ChangeKind.SYMLINK_OUT)
    assert [c.path for c in stray_changes(TASK, plan(), link)] == ["src/a.py"]


def test_every_literal_create_path_exists():
    assert reason(TASK, sealed("src/a.py", present=())) is Reason.MISSING_FILE
    assert reason(replace(TASK, allow_empty=True), sealed("src/a.py", present=())) is Reason.MISSING_FILE
    found = failure(Task(id="a", title="A", files=Files(create=("d/", "*.md", "x"))), sealed("x", present=("x", "d")))
    assert found is None


# -- secrets ------------------------------------------------------------------------------------------


def test_an_added_secret_fails_before_anything_else_is_asked():
    """The kind and the place are told, so that the next attempt can do without; a review changes nothing."""
    seal = sealed("stray.py", secrets=("stray.py:3: AWS Access Key",))
    found = failure(TASK, seal, reviewed=True)
    assert found is not None
    assert found.reason is Reason.SECRET_ADDED
    assert found.summary == "The change adds what looks like a secret: stray.py:3: AWS Access Key."
    assert found.facts[0] == "stray.py:3: AWS Access Key"
    assert (
        reason(LOOSE, sealed("x", tree="t0", secrets=("commit 1234567: x:1: JSON Web Token",))) is Reason.SECRET_ADDED
    )


# -- placeholders -------------------------------------------------------------------------------------


def test_added_placeholders_fail_where_nobody_reviews():
    seal = sealed("src/a.py", placeholders=("src/a.py:3: TODO",))
    found = failure(TASK, seal)
    assert found.reason is Reason.PLACEHOLDER
    assert found.facts == ("src/a.py:3: TODO",)
    assert failure(TASK, seal, reviewed=True) is None


@pytest.mark.parametrize("said", ["Leave a TODO for the caller.", "a stub is fine", "raise NotImplementedError"])
def test_a_task_may_ask_for_placeholders(said):
    task = Task(id="a", title="A", description=said)
    assert reason(task, sealed("x", placeholders=("x:1: TODO",))) is None


# -- endings ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("end", "expected"),
    [
        (AgentExit(kind=ExitKind.EXITED, code=0), None),
        (AgentExit(kind=ExitKind.REPORTED), None),
        (AgentExit(kind=ExitKind.EXITED, code=3), Reason.CRASH),
        (AgentExit(kind=ExitKind.EXITED, signal=9), Reason.CRASH),
        (AgentExit(kind=ExitKind.TIMEOUT), Reason.TIMEOUT),
        (AgentExit(kind=ExitKind.STALL), Reason.STALL),
    ],
)
def test_endings_without_a_report(end, expected):
    found = crash_of(AttemptResult(exit=end))
    assert (found.reason if found else None) is expected


def test_a_crash_says_the_last_words_of_the_program():
    end = AgentExit(kind=ExitKind.EXITED, code=1)
    failure = crash_of(AttemptResult(exit=end, output="trying\nFileNotFoundError: x\n\n"))
    assert failure is not None
    assert failure.summary == "The agent ended with exit code 1 and left no report: FileNotFoundError: x"
    assert failure.tail.startswith("trying")


def test_equal_crashes_have_equal_signatures():
    one: Any = crash_of(AttemptResult(exit=AgentExit(kind=ExitKind.EXITED, code=3)))
    two: Any = crash_of(AttemptResult(exit=AgentExit(kind=ExitKind.EXITED, code=3, detail="other")))
    other: Any = crash_of(AttemptResult(exit=AgentExit(kind=ExitKind.EXITED, code=4)))
    assert one.signature == two.signature != other.signature


def test_a_signature_is_of_its_parts():
    assert signature("a", "b") == signature("a", "b")
    assert signature("a", "b") != signature("ab")
    assert signature("a", "\udcff") != signature("a")


# -- tests --------------------------------------------------------------------------------------------


def touched(kind: TestChangeKind, path: str = "tests/t.py", line: int = 3) -> TestChange:
    return TestChange(path=path, kind=kind, detail="test_a", line=line)


STRONGER = frozenset({TestChangeKind.MODIFIED})


@pytest.mark.parametrize("kind", TestChangeKind)
def test_no_task_may_take_force_from_a_test_but_one_that_is_allowed_to(kind):
    """I6: that the tests pass is evidence only as long as they are the tests that were there."""
    seal = sealed("tests/t.py", "new.py", test_changes=(touched(kind),))
    for task in (TASK, LOOSE):
        assert (reason(task, seal) is Reason.TESTS_BENT) is (kind not in STRONGER)
        assert reason(replace(task, allow_test_changes=True), seal) is None


def test_a_test_that_is_another_counts_where_the_task_has_files_and_does_not_list_it():
    seal = sealed("src/test_b.py", test_changes=(touched(TestChangeKind.MODIFIED, "src/test_b.py"),))
    assert reason(TASK, seal) is Reason.TESTS_BENT
    assert reason(LOOSE, seal) is None
    assert reason(replace(TASK, files=Files(modify=("**",))), seal) is Reason.TESTS_BENT
    assert reason(replace(TASK, files=Files(test=("src/test_*.py",))), seal) is None


def test_what_is_bent_is_named_with_its_place():
    bent = (touched(TestChangeKind.SKIPPED), touched(TestChangeKind.DELETED, "tests/u.py", 0))
    found = failure(LOOSE, sealed("tests/t.py", test_changes=bent))
    assert found.facts[:2] == ("tests/t.py:3 skipped test_a", "tests/u.py deleted test_a")
    assert "tests/t.py:3 skipped test_a; tests/u.py deleted test_a" in found.summary
    assert str(TestChange(path="a", kind=TestChangeKind.EXITS)) == "a exits"


def test_the_same_bending_has_the_same_signature_wherever_the_lines_are():
    one, two = (sealed("t", test_changes=(touched(TestChangeKind.SKIPPED, line=line),)) for line in (3, 9))
    other = sealed("t", test_changes=(touched(TestChangeKind.WEAKENED),))
    assert failure(LOOSE, one).signature == failure(LOOSE, two).signature != failure(LOOSE, other).signature


@pytest.mark.parametrize(
    ("commits", "claim", "made", "expected"),
    [
        (Commits.RUNTIME, ClaimCheck.NONE, 0, None),
        (Commits.RUNTIME, ClaimCheck.NONE, 2, "The agent made 2 commits; here only the runtime commits."),
        (Commits.AGENT, ClaimCheck.GOOD, 1, None),
        (Commits.AGENT, ClaimCheck.NONE, 1, "The report names no new commit that holds the work"),
        (Commits.AGENT, ClaimCheck.GOOD, 0, "The report names no new commit that holds the work"),
        (Commits.EITHER, ClaimCheck.NONE, 0, None),
        (Commits.EITHER, ClaimCheck.GOOD, 2, None),
    ],
)
def test_who_commits_is_a_matter_of_policy(commits: Commits, claim: ClaimCheck, made: int, expected: str | None):
    """I6: commits are counted from the base, whatever the report says of them."""
    seal = sealed("new.py", claim=claim, agent_commits=made)
    attempt = AttemptResult(
        exit=AgentExit(kind=ExitKind.EXITED, code=0), report=Report(status=ReportStatus.DONE), sealed=seal
    )
    found = find_failure(TASK, plan(), attempt, reviewed=False, commits=commits)
    if expected is None:
        assert found is None
    else:
        assert found is not None
        assert (found.reason, found.summary[: len(expected)]) == (Reason.BAD_COMMIT, expected)
