"""From claim and evidence of one attempt to a failure, or to none (SPEC 3.7, items 1 to 4)."""

from __future__ import annotations

import hashlib
import re

from chargehand.domain import scope
from chargehand.domain.outcome import AttemptResult, Change, ChangeKind, ClaimCheck, ExitKind, Sealed
from chargehand.domain.plan import Plan, Scope, Task
from chargehand.domain.policy import Commits
from chargehand.domain.silencing import SilencedBy, Silencing
from chargehand.domain.test_changes import TestChange, TestChangeKind
from chargehand.domain.words import Failure, Reason

__all__ = ["UNGATED", "bent_tests", "crash_of", "find_failure", "signature", "stray_changes"]

UNGATED = 500
"""The severity of a change whose evidence was good and that no gate has judged: nearer to the branch than none."""

_NEVER_IN_SCOPE = frozenset({ChangeKind.SYMLINK_OUT, ChangeKind.NESTED_REPOSITORY})
_ALLOWS_PLACEHOLDERS = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError|not implemented|placeholders?|stubs?)\b")
_CLAIMS = {
    ClaimCheck.MISSING: "does not exist",
    ClaimCheck.OLD: "was already there before the attempt",
    ClaimCheck.UNREACHABLE: "is not part of the result",
}


def signature(*parts: str) -> str:
    """The identity of a failure: equal parts give equal signatures; names of files may hold any bytes."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()[:16]


def stray_changes(task: Task, plan: Plan, sealed: Sealed) -> tuple[Change, ...]:
    """The changes outside create, modify, test, allowlist and the lock files that go with them.

    A link out of the workspace and a nested repository are stray wherever they lie: neither can be landed whole.
    An unscoped task has no other stray changes, nor has one whose files are no more than a lease.
    """
    stray = [change for change in sealed.changes if change.kind in _NEVER_IN_SCOPE]
    if task.files is not None and task.scope is not Scope.LEASE:
        writes = task.files.writes
        allowed = (*writes, *plan.allowlist, *scope.lock_files_for(writes))
        stray += [
            change
            for change in sealed.changes
            if change.kind not in _NEVER_IN_SCOPE and not scope.matches(allowed, change.path)
        ]
    return tuple(stray)


def bent_tests(task: Task, sealed: Sealed, silencing: Silencing = Silencing.TOLD) -> tuple[TestChange, ...]:
    """The changes that take force from the tests that judge this one, or touch a test that is not the task's to touch.

    A test that is merely another than before counts where the task declares files and does not list it under `test`;
    a test deleted, skipped or weakened counts wherever it is. None counts with `allow_test_changes`. What is excused
    for some files only does not count in a task that may do so.
    """
    if task.allow_test_changes:
        return ()
    own = None if task.files is None else task.files.test
    harmless = {TestChangeKind.EXCUSED} if _may_excuse(task, silencing) else set()
    return tuple(
        change
        for change in sealed.test_changes
        if change.kind not in {TestChangeKind.MODIFIED, *harmless}
        or (change.kind is TestChangeKind.MODIFIED and own is not None and not scope.matches(own, change.path))
    )


def _may_excuse(task: Task, silencing: Silencing) -> bool:
    return task.may_excuse and silencing is Silencing.FAILS


def crash_of(result: AttemptResult) -> Failure | None:
    """The failure that an ending without a report is, with the last words of the program."""
    end, tail = result.exit, "\n".join(result.output.splitlines()[-50:])
    if end.kind in {ExitKind.TIMEOUT, ExitKind.STALL}:
        reason = Reason.TIMEOUT if end.kind is ExitKind.TIMEOUT else Reason.STALL
        return Failure(reason=reason, summary=end.detail, signature=signature(reason), tail=tail)
    if end.signal is not None or end.code not in {0, None}:
        how = f"signal {end.signal}" if end.signal is not None else f"exit code {end.code}"
        last = next((line for line in reversed(tail.splitlines()) if line.strip()), "")
        text = f"The agent ended with {how} and left no report" + (f": {last.strip()[:300]}" if last else ".")
        return Failure(reason=Reason.CRASH, summary=text, signature=signature(Reason.CRASH, how), tail=tail)
    return None


def find_failure(
    task: Task,
    plan: Plan,
    result: AttemptResult,
    *,
    reviewed: bool,
    commits: Commits = Commits.EITHER,
    silencing: Silencing = Silencing.TOLD,
) -> Failure | None:
    """The first thing that is wrong with what an attempt left, or None when the evidence is good.

    `commits` says who has to make them, `silencing` what follows from a silenced check.
    """
    sealed = result.sealed
    if sealed is None:
        text = f"The workspace could not be sealed: {result.seal_problem}"
        return Failure(reason=Reason.SEAL_FAILED, summary=text, signature=signature(Reason.SEAL_FAILED, text))
    return (
        _bad_history(sealed, result)
        or _wrong_committer(sealed, commits)
        or _added_secret(sealed)
        or _no_change(task, sealed, result)
        or _out_of_scope(task, plan, sealed)
        or _bent(task, sealed, silencing)
        or _silenced(task, sealed, silencing)
        or _missing_file(task, sealed)
        or (None if reviewed else _placeholders(task, sealed))
    )


def _bad_history(sealed: Sealed, result: AttemptResult) -> Failure | None:
    if not sealed.base_is_ancestor:
        text = "The base commit is no longer an ancestor of the result: the history was rewritten."
        return Failure(reason=Reason.BASE_LOST, summary=text, signature=signature(Reason.BASE_LOST))
    if sealed.claim in _CLAIMS:
        claimed = result.report.commit if result.report else ""
        text = f"The report names commit {claimed}, which {_CLAIMS[sealed.claim]}."
        return Failure(reason=Reason.BAD_COMMIT, summary=text, signature=signature(Reason.BAD_COMMIT, sealed.claim))
    return None


def _wrong_committer(sealed: Sealed, commits: Commits) -> Failure | None:
    """A commit where only the runtime makes them; or none that the report names, where the agent has to."""
    if commits is Commits.RUNTIME and sealed.agent_commits:
        text = f"The agent made {sealed.agent_commits} commits; here only the runtime commits."
        return Failure(reason=Reason.BAD_COMMIT, summary=text, signature=signature(Reason.BAD_COMMIT, "made"))
    if commits is Commits.AGENT and (sealed.claim is not ClaimCheck.GOOD or not sealed.agent_commits):
        text = "The report names no new commit that holds the work: commit it, and report its hash under `commit`."
        return Failure(reason=Reason.BAD_COMMIT, summary=text, signature=signature(Reason.BAD_COMMIT, "none"))
    return None


def _added_secret(sealed: Sealed) -> Failure | None:
    """A secret must not get onto the branch, in no file and no commit below it, whoever asks for it."""
    if not sealed.secrets:
        return None
    text = "The change adds what looks like a secret: " + "; ".join(sealed.secrets[:5]) + "."
    advice = "Read it from the environment or from a file that git ignores, and make up another one for tests."
    return Failure(
        reason=Reason.SECRET_ADDED,
        summary=text,
        signature=signature(Reason.SECRET_ADDED, *sealed.secrets),
        facts=(*sealed.secrets, advice),
    )


def _no_change(task: Task, sealed: Sealed, result: AttemptResult) -> Failure | None:
    if sealed.tree != sealed.base_tree:
        return None
    if result.report is None:
        text = f"There is no usable report ({result.report_problem or 'none was written'}) and nothing changed."
        return Failure(reason=Reason.INVALID_REPORT, summary=text, signature=signature(Reason.INVALID_REPORT))
    if task.allow_empty or any(change.kind in _NEVER_IN_SCOPE for change in sealed.changes):
        return None
    text = "The report says done, but no file changed."
    if sealed.left_out:
        text += f" What only the runtime writes does not count: {', '.join(sealed.left_out[:5])}."
    return Failure(reason=Reason.NO_CHANGE, summary=text, signature=signature(Reason.NO_CHANGE))


def _out_of_scope(task: Task, plan: Plan, sealed: Sealed) -> Failure | None:
    stray = stray_changes(task, plan, sealed)
    if not stray or (task.scope is Scope.REVIEW and not any(c.kind in _NEVER_IN_SCOPE for c in stray)):
        return None
    writes = task.files.writes if task.files else ("anything but links out and nested repositories",)
    facts = (
        "allowed: " + ", ".join((*writes, *plan.allowlist)),
        "modified: " + ", ".join(change.path for change in sealed.changes),
        "unauthorised: " + ", ".join(f"{change.path} ({change.kind})" for change in stray),
    )
    paths = sorted(change.path for change in stray)
    return Failure(
        reason=Reason.OUT_OF_SCOPE,
        summary="Changed outside the scope of the task: " + ", ".join(paths) + ".",
        signature=signature(Reason.OUT_OF_SCOPE, *paths),
        facts=facts,
    )


def _bent(task: Task, sealed: Sealed, silencing: Silencing) -> Failure | None:
    bent = bent_tests(task, sealed, silencing)
    if not bent:
        return None
    lines = tuple(str(change) for change in bent)
    advice = (
        "Leave existing tests as strong as they were: make the code pass them. A test that has to change belongs under "
        "`test` in the files of the task; one that has to go needs `allow_test_changes`."
    )
    return Failure(
        reason=Reason.TESTS_BENT,
        summary="The change bends the tests that judge it: " + "; ".join(lines[:5]) + ".",
        signature=signature(Reason.TESTS_BENT, *sorted({f"{change.path} {change.kind}" for change in bent})),
        facts=(*lines, advice),
    )


def _silenced(task: Task, sealed: Sealed, silencing: Silencing) -> Failure | None:
    """Comments and settings that keep a check from seeing what it is there to see."""
    if silencing is Silencing.TOLD:
        return None
    allowed = {SilencedBy.EXCEPTION} if task.may_excuse else set()
    found = [each for each in sealed.silenced if each.by not in allowed]
    if not found:
        return None
    lines = tuple(str(each) for each in found)
    advice = "Mend what the check finds: no comment that silences it, no rule switched off, no strictness lowered."
    return Failure(
        reason=Reason.CHECK_SILENCED,
        summary="The change silences checks instead of passing them: " + "; ".join(lines[:5]) + ".",
        signature=signature(Reason.CHECK_SILENCED, *sorted({f"{each.path} {each.detail}" for each in found})),
        facts=(*lines, advice),
    )


def _missing_file(task: Task, sealed: Sealed) -> Failure | None:
    if task.files is None or (task.allow_empty and sealed.tree == sealed.base_tree):
        return None
    missing = [p for p in task.files.create if scope.is_literal(p) and p.rstrip("/") not in sealed.present]
    if not missing:
        return None
    text = "Declared under create, but not there: " + ", ".join(missing) + "."
    return Failure(reason=Reason.MISSING_FILE, summary=text, signature=signature(Reason.MISSING_FILE, *missing))


def _placeholders(task: Task, sealed: Sealed) -> Failure | None:
    said = " ".join((task.title, task.description, task.approach, *task.mandates, *task.acceptance))
    if not sealed.placeholders or _ALLOWS_PLACEHOLDERS.search(said):
        return None
    text = "The change adds unfinished places: " + "; ".join(sealed.placeholders[:5]) + "."
    return Failure(
        reason=Reason.PLACEHOLDER,
        summary=text,
        signature=signature(Reason.PLACEHOLDER, *sealed.placeholders),
        facts=sealed.placeholders,
    )
