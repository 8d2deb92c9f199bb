"""The profile of Konductor in parts: its texts as values, its state file value by value, and where it writes."""

# ruff: noqa: E501  # a state and what it is written as in one line read better than in five

from __future__ import annotations

import re
import tomllib
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import Change, ChangeKind, Report, ReportStatus, Role, WholeChange
from chargehand.domain.plan import Barrier, Files, Plan, Scope, Task
from chargehand.domain.policy import Policy
from chargehand.domain.review import Judged, Reviews, Stage
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.words import Decision, DecisionKind, Reason, TaskStatus
from chargehand.plans.konductor_done import Standing as Known
from chargehand.plans.konductor_done import read_summary
from chargehand.profiles import Site, profile_of
from chargehand.profiles.konductor_state import Blocked, Standing, result_text, state_text
from chargehand.profiles.konductor_text import review_text, steps_of, summary_text
from chargehand.testing.fakes import attempt_result
from tests.unit.played import play

FIXTURE = Path(__file__).parent.parent / "fixtures" / "konductor"
STATE = (FIXTURE / ".konductor" / "state.toml").read_text()
AT = 1_800_000_000.0
STANDING = Standing(
    phase="01-auth-system",
    step="executing",
    status="busy",
    plan="001",
    wave=1,
    plans=5,
    complete=0,
    tasks=frozenset({"001-task-2", "003-task-1"}),
    blocked=(),
)


def state() -> RunState:
    return play(Task(id="001-task-1", title="t"))[0]


def record(**changes: object) -> TaskRecord:
    return replace(TaskRecord(task=Task(id="001-task-1", title="t")), **changes)  # type: ignore[arg-type]


# -- summaries ------------------------------------------------------------------------------------

DONE = Report(status=ReportStatus.DONE)
CONCERNS = Report(status=ReportStatus.DONE_WITH_CONCERNS)
STUCK = Report(status=ReportStatus.NEEDS_CONTEXT)
_S = TaskStatus


@pytest.mark.parametrize(
    ("changes", "accepted", "expected"),
    [
        ({"status": _S.WAITING}, False, None),
        ({"status": _S.RUNNING, "report": DONE}, False, None),
        ({"status": _S.GATING, "report": DONE}, False, ("DONE", "", Known.UNREVIEWED)),
        ({"status": _S.REVIEWING, "report": CONCERNS}, False, ("DONE_WITH_CONCERNS", "", Known.UNREVIEWED)),
        ({"status": _S.INTEGRATED, "report": CONCERNS, "landed": "a1"}, False, ("DONE_WITH_CONCERNS", "passed", Known.PENDING)),
        ({"status": _S.INTEGRATED, "report": CONCERNS, "landed": "a1"}, True, ("DONE", "passed", Known.DONE)),
        ({"status": _S.INTEGRATED, "landed": "a1"}, True, ("DONE", "passed", Known.DONE)),
        ({"status": _S.BLOCKED, "reason": Reason.AGENT_BLOCKED, "detail": "no"}, False, ("BLOCKED", "", Known.BLOCKED)),
        ({"status": _S.FAILED, "reason": Reason.CRASH, "detail": "exit 3"}, False, ("BLOCKED", "", Known.BLOCKED)),
        ({"status": _S.BLOCKED, "reason": Reason.BLOCKED_ON, "blocked_on": "x"}, False, None),
        ({"status": _S.BLOCKED, "reason": Reason.REVIEW_UNRESOLVED, "report": DONE}, False, ("DONE", "needs manual intervention", Known.UNREVIEWED)),
        ({"status": _S.AWAITING_DECISION, "report": STUCK}, False, ("NEEDS_CONTEXT", "", Known.BLOCKED)),
        ({"status": _S.SKIPPED}, False, None),
        ({"status": _S.CANCELLED}, False, None),
    ],
)  # fmt: skip
def test_every_state_has_the_word_that_konductor_knows_or_none(
    changes: dict[str, object], accepted: bool, expected: tuple[str, str, Known] | None
):
    """And the reader takes each as what it is: what is not accepted, or not reviewed, is not done."""
    text = summary_text(record(**changes), state(), "001", "1", accepted=accepted)
    if expected is None:
        assert text is None
        return
    assert text is not None
    summary, problems = read_summary(text)
    assert problems == []
    assert summary is not None
    assert (summary.status, summary.review, summary.standing(reviews=True)) == expected


@given(st.text(max_size=80), st.text(max_size=40))
def test_no_text_of_an_agent_says_how_a_task_stands(summary: str, other: str):
    """I6: an agent's words are claims; whatever they are, the file says one status, and ours."""
    report = Report(status=ReportStatus.DONE, summary=summary, decisions=(other,), deviations=(summary,))
    text = summary_text(
        record(status=_S.INTEGRATED, report=report, landed="abc1", detail=other), state(), "001", "1", accepted=True
    )
    assert text is not None
    read, problems = read_summary(text)
    assert problems == []
    assert read is not None
    assert (read.status, read.review, read.pending) == ("DONE", "passed", "")


def test_the_tasks_of_a_plan_are_its_headings_outside_of_code():
    """FORMATS 1.3: an action may have fenced code with lines that look like headings."""
    text = (
        "## Tasks\n### Task 1: one\n````md\n### Task 2: no\n```\n### Task 3: no\n````\n"
        "~~~ sh\n### Task 4: no\n~~~ x\n~~~\n### task 12\n#### Task 5: no\n### Tasks 6\n"
    )
    assert steps_of(text) == {1, 12}
    assert steps_of("") == set()


def test_a_review_tells_every_round():
    said = (
        Judged(stage=Stage.SPEC, tree="a" * 40, passed=False, attempt=2, agent="codex", model="m"),
        Judged(stage=Stage.SPEC, tree="b" * 40, passed=True, attempt=4, carried=True),
    )
    text = review_text(Reviews(stage=Stage.QUALITY, judged=said), Stage.SPEC, "001", "2")
    assert text == (
        "# Spec Review: Plan 001 - Task 2\n\n## Verdict: PASS\n\n## Rounds\n"
        "- 1: FAIL by codex, m, tree aaaaaaaaaaaa\n- 2: PASS by a reviewer, tree bbbbbbbbbbbb, carried over\n"
    )
    assert review_text(Reviews(), Stage.SPEC, "001", "2") is None


# -- state.toml -----------------------------------------------------------------------------------


def test_only_the_values_that_differ_change():
    """Comments, order and tables of others stay, byte by byte."""
    text = state_text(STATE, STANDING, AT, "bookshelf")
    expected = STATE
    for old, new in (
        ('step = "planned"', 'step = "executing"'),
        ('status = "idle"', 'status = "busy"'),
        ('plan = ""', 'plan = "001"'),
        ("wave = 0", "wave = 1"),
        ('last_activity = "2026-01-14T17:30:00Z"', 'last_activity = "2027-01-15T08:00:00Z"'),
    ):
        assert old in expected
        expected = expected.replace(old, new)
    assert text == expected
    assert state_text(text, STANDING, AT + 60, "bookshelf") == text, "the time changes with something else only"


def test_sessions_are_counted():
    text = state_text(STATE, replace(STANDING, started=1), AT, "bookshelf")
    assert tomllib.loads(text)["metrics"]["total_agent_sessions"] == 8


def test_a_blocker_is_a_row_once_and_resolved_when_its_task_goes_on():
    blocked = replace(STANDING, blocked=(Blocked(task="003-task-1", reason="003-task-1: no cookie"),))
    text = state_text(STATE, blocked, AT, "bookshelf")
    assert state_text(text, blocked, AT, "bookshelf") == text
    rows = tomllib.loads(text)["blockers"]
    assert rows[1] == {
        "phase": "01-auth-system",
        "step": "executing",
        "reason": "003-task-1: no cookie",
        "timestamp": "2027-01-15T08:00:00Z",
        "resolved": False,
    }
    rows = tomllib.loads(state_text(text, STANDING, AT, "bookshelf"))["blockers"]
    assert [row["resolved"] for row in rows] == [True, True]
    assert len(rows) == 2


def test_a_blocker_that_comes_again_has_the_time_it_came():
    """Also where somebody set it to resolved, and its task blocked once more."""
    blocked = replace(STANDING, blocked=(Blocked(task="003-task-1", reason="003-task-1: no cookie"),))
    resolved = state_text(state_text(STATE, blocked, AT, "bookshelf"), STANDING, AT + 60, "bookshelf")
    text = state_text(resolved, blocked, AT + 120, "bookshelf")
    row = tomllib.loads(text)["blockers"][1]
    assert (row["timestamp"], row["resolved"]) == ("2027-01-15T08:02:00Z", False)
    assert state_text(text, blocked, AT + 180, "bookshelf") == text


@pytest.mark.parametrize(
    "text",
    [
        STATE,
        STATE.split("\n[team]")[0],
        STATE.split("\n[[blockers]]")[0],
        "",
        STATE.split("\n[[")[0] + "\n[team]\nx = 1\n",
    ],
)
def test_a_blocker_stands_apart_from_what_is_around_it(text: str):
    """Wherever the list of blockers is, and whether there is one."""
    rows = tuple(Blocked(task=task, reason=f"{task}: no") for task in sorted(STANDING.tasks))
    written = state_text(text, replace(STANDING, blocked=rows), AT, "bookshelf")
    assert len(re.findall(r"(?m)^\[\[blockers\]\]$", written)) == text.count("[[blockers]]") + 2
    assert re.findall(r"[^\n]\n(\[[^\n]*)", written) in ([], ["[project]"]), "a comment stands before that"
    assert "\n\n\n" not in written
    assert state_text(written, replace(STANDING, blocked=rows), AT + 60, "bookshelf") == written


def test_a_state_that_is_not_there_is_begun():
    data = tomllib.loads(state_text("", STANDING, AT, "bookshelf"))
    assert data["project"] == {"name": "bookshelf", "initialized": "2027-01-15T08:00:00Z"}
    assert data["current"]["phase"] == "01-auth-system"
    assert "blockers" not in data


@pytest.mark.parametrize("text", ["[current", "current = 3", "[[current]]\nphase = 1", "blockers = 3"])
def test_a_state_that_is_something_else_is_told(text: str):
    blocked = replace(STANDING, blocked=(Blocked(task="003-task-1", reason="003-task-1: no"),))
    with pytest.raises(AdapterError, match=r"state\.toml cannot be brought up to date: .*chargehand resume"):
        state_text(text, blocked, AT, "bookshelf")


@given(st.text(max_size=60))
def test_whatever_a_state_holds_it_is_written_or_told(text: str):
    try:
        written = state_text(text, STANDING, AT, "bookshelf")
    except AdapterError:
        return
    assert tomllib.loads(written)["current"]["step"] == "executing"


def test_a_result_keeps_its_time_while_it_says_the_same():
    values = [("step", "execute"), ("plan", 1), ("status", 'o"k')]
    text = result_text(values, "not accepted yet: branch b, commit c", AT, "")
    assert text.startswith("# not accepted yet: branch b, commit c\nstep = ")
    assert tomllib.loads(text) == {**dict(values), "timestamp": "2027-01-15T08:00:00Z"}
    assert result_text(values, "not accepted yet: branch b, commit c", AT + 9, text) == text
    assert "2027-01-15T08:00:09Z" in result_text(values, "", AT + 9, text)


# -- where it writes ------------------------------------------------------------------------------


def project(tmp_path: Path, plans: tuple[str, ...] = ("001-a.md", "2.md")) -> Path:
    folder = tmp_path / ".konductor" / "phases" / "01-Auth System" / "plans"
    folder.mkdir(parents=True)
    for name in plans:
        (folder / name).write_text("+++\nplan = 1\n+++\n")
    return folder


@pytest.mark.parametrize("source", [".konductor", "phase", "plans", "file"])
def test_the_files_lie_beside_the_plans_however_they_were_named(tmp_path: Path, source: str):
    plans = project(tmp_path)
    named = {"phase": plans.parent, "plans": plans, "file": plans / "2.md"}.get(source, tmp_path / ".konductor")
    name = "01-auth-system"
    run, _ = play(Task(id="002-task-1", title="t"))
    make = profile_of("konductor").project
    assert make is not None
    projection = make(Site(root=tmp_path, source=named), Plan(plan=name, tasks=()))
    projection.begin(run)
    assert (plans / "2-task-1-summary.md").exists(), "under the number as the plan's file writes it"
    assert (tmp_path / ".konductor" / ".results" / "execute-01-Auth System-plan-2.toml").exists()
    current = tomllib.loads((tmp_path / ".konductor" / "state.toml").read_text())
    assert current["current"]["phase"] == "01-Auth System"
    is_whole = source != "file"
    assert current["progress"].get("current_phase_plans_complete") == (2 if is_whole else None)
    projection.accepted(run, "abc")
    assert ("executed" in (tmp_path / ".konductor" / "state.toml").read_text()) is is_whole


def test_a_phase_outside_the_work_tree_is_never_written_to(tmp_path: Path):
    """I1: a plan may lie elsewhere, or its folder be a link to elsewhere."""
    project(tmp_path / "elsewhere")
    root = tmp_path / "root"
    root.mkdir()
    (root / ".konductor").symlink_to(tmp_path / "elsewhere" / ".konductor")
    make = profile_of("konductor").project
    assert make is not None
    run, recorded = play(Task(id="001-task-1", title="t"))
    for source in (tmp_path / "elsewhere" / ".konductor", root / ".konductor"):
        before = sorted(tmp_path.rglob("*"))
        projection = make(Site(root=root, source=source), Plan(plan="01-auth-system", tasks=()))
        projection.begin(run)
        projection.take(recorded[-1], run)
        projection.accepted(run, "abc")
        assert sorted(tmp_path.rglob("*")) == before


def test_a_phase_that_is_gone_is_told(tmp_path: Path):
    project(tmp_path)
    make = profile_of("konductor").project
    assert make is not None
    with pytest.raises(AdapterError, match="has no phase 07-x any more"):
        make(Site(root=tmp_path, source=tmp_path / ".konductor"), Plan(plan="07-x", tasks=()))


def test_a_fix_of_the_runtime_is_no_task_of_a_plan(tmp_path: Path):
    plans = project(tmp_path)
    run, _ = play(Task(id="fix-1", title="t"))
    make = profile_of("konductor").project
    assert make is not None
    make(Site(root=tmp_path, source=plans.parent), Plan(plan="01-auth-system", tasks=())).begin(run)
    assert sorted(file.name for file in plans.iterdir()) == ["001-a.md", "2.md"]


def standing(root: Path, run: RunState, *, accepted: bool = False) -> tuple[dict[str, object], list[object]]:
    """What `state.toml` says of a run: the current values, and the open blockers."""
    make = profile_of("konductor").project
    assert make is not None
    projection = make(Site(root=root, source=root / ".konductor"), Plan(plan="01-auth-system", tasks=()))
    projection.begin(run)
    if accepted:
        projection.accepted(run, "abc")
    data = tomllib.loads((root / ".konductor" / "state.toml").read_text())
    return data["current"], [row["reason"] for row in data.get("blockers", []) if not row["resolved"]]


FAILS = partial(attempt_result, status=ReportStatus.FAILED, summary="no idea")


@pytest.mark.parametrize(
    ("fails", "accepted", "status", "step", "wave"),
    [
        ("001-task-1", True, "blocked", "executing", 1),
        ("001-task-1", False, "blocked", "executing", 1),
        ("002-task-1", True, "blocked", "executing", 2),
        ("", True, "idle", "executed", 2),
        ("", False, "idle", "executing", 2),
    ],
)
def test_a_phase_that_is_held_up_is_never_idle(
    tmp_path: Path, fails: str, accepted: bool, status: str, step: str, wave: int
):
    """Taking in what is done resolves no blocker; and a wave of which nothing ran was not reached."""
    project(tmp_path)
    tasks = Task(id="001-task-1", title="t"), Task(id="002-task-1", title="t", depends_on=("001-task-1",), wave=2)
    run, _ = play(
        *tasks, outcomes={fails: FAILS}, unattended=True, policy=Policy(retries=0), plan={"barrier": Barrier.WAVE}
    )
    current, blockers = standing(tmp_path, run, accepted=accepted)
    assert (current["status"], current["step"], current["wave"]) == (status, step, wave)
    assert bool(blockers) == bool(fails)


def test_a_failure_that_waits_for_an_answer_is_a_blocker_with_its_reason(tmp_path: Path):
    """The summary of an earlier run says another one."""
    plans = project(tmp_path)
    text = "# Plan 001 - Task 1 Summary\n\n## Status: BLOCKED\n\n## Blocker\n    which language\n"
    (plans / "001-task-1-summary.md").write_text(text)
    run, _ = play(Task(id="001-task-1", title="t"), outcomes={"001-task-1": FAILS}, policy=Policy(retries=0))
    assert run.tasks["001-task-1"].status is TaskStatus.AWAITING_DECISION
    current, blockers = standing(tmp_path, run)
    assert current["status"] == "blocked"
    assert blockers == ["001-task-1: Failed: The agent reports failure: no idea"]
    summary = (plans / "001-task-1-summary.md").read_text()
    assert "## Status: BLOCKED\n" in summary
    assert summary.endswith("## Blocker\n    Failed: The agent reports failure: no idea\n")


def test_a_review_that_waits_for_an_answer_needs_people():
    asked = Decision(
        id="d1",
        task="001-task-1",
        kind=DecisionKind.REVIEW,
        reason=Reason.REVIEW_UNRESOLVED,
        question="q",
        choices=("skip",),
        default="block",
    )
    run = state()
    run.decisions["d1"] = asked
    waiting = record(
        status=_S.AWAITING_DECISION, reason=Reason.REVIEW_UNRESOLVED, decision="d1", report=DONE, detail="q"
    )
    text = summary_text(waiting, run, "001", "1", accepted=False)
    assert text is not None
    read, _ = read_summary(text)
    assert read is not None
    assert (read.status, read.review) == ("DONE", "needs manual intervention")


def test_what_was_changed_outside_the_listed_files_is_told(tmp_path: Path):
    """In the deviations of the summary, and where the reviewer's word on the plan is."""
    plans = project(tmp_path)
    task = Task(id="001-task-1", title="t", files=Files(modify=("src/own.py",)), scope=Scope.REVIEW)
    run, _ = play(task)
    judged = (
        Judged(stage=Stage.SPEC, tree="a" * 40, passed=True, attempt=2),
        Judged(stage=Stage.QUALITY, tree="a" * 40, passed=True, attempt=3),
    )
    changes = tuple(Change(path=path, kind=ChangeKind.MODIFIED) for path in ("src/own.py", "src/elsewhere.py"))
    done = run.tasks["001-task-1"]
    assert done.sealed is not None
    run.tasks["001-task-1"] = done.but(sealed=replace(done.sealed, changes=changes), reviews=Reviews(judged=judged))
    standing(tmp_path, run)
    assert (
        "## Deviations from Plan\n1. src/elsewhere.py was changed, which the plan does not list.\n"
        in (plans / "001-task-1-summary.md").read_text()
    )
    assert (
        (plans / "001-task-1-spec-review.md")
        .read_text()
        .endswith("## Changed Outside the Listed Files\n- src/elsewhere.py\n")
    )
    assert "elsewhere" not in (plans / "001-task-1-quality-review.md").read_text()


# -- the profile ----------------------------------------------------------------------------------


def test_a_summary_lists_what_the_whole_change_did_after_a_fixer():
    """What is sealed last is the fixer's alone; the task's files are those of everybody who worked on it."""
    theirs = Change(path="src/author.py", kind=ChangeKind.ADDED)
    fixers = Change(path="src/fixed.py", kind=ChangeKind.MODIFIED)
    run, _ = play(Task(id="001-task-1", title="t"))
    done = run.tasks["001-task-1"]
    assert done.sealed is not None
    sealed = replace(done.sealed, changes=(fixers,), whole=WholeChange(changes=(theirs, fixers)))
    text = summary_text(done.but(sealed=sealed), run, "001", "1", accepted=False) or ""
    created, _, modified = text.partition("## Files Modified\n")
    assert "src/author.py" in created.partition("## Files Created\n")[2]
    assert "src/fixed.py" in modified.partition("\n#")[0]


def test_the_bounds_are_those_of_the_system():
    """I10: reviews in two stages, two fixes each; context twice; three blocked; nothing excused, no crash retried."""
    policy = profile_of("konductor").policy
    assert policy == Policy(retries=0, final_baseline=False, breaker_spans_waves=True)
    assert (policy.contexts, policy.review_fixes, policy.holistic_fixes, policy.breaker) == (2, 2, 3, 3)
    assert policy.stages == (Stage.SPEC, Stage.QUALITY)


def test_every_role_has_its_rules():
    wording = dict(profile_of("konductor").wording)
    roles = {Role.IMPLEMENTER, Role.FIXER, Role.SPEC_REVIEWER, Role.QUALITY_REVIEWER, Role.HOLISTIC_REVIEWER}
    assert set(wording) == {role.value for role in roles}
    rules = re.findall(r"(?m)^(\d)\.", wording["implementer"])
    assert rules == ["1", "2", "3"]
    assert wording["implementer"].index("architecture") < wording["implementer"].index("1. "), "4 is asked first"
    words = ("correctness", "error", "security", "duplication", "performance", "dead code", "consistency")
    assert [word for word in words if word not in wording["quality-reviewer"]] == []
