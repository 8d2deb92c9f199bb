"""The report as values: what is told of a run in any state, and where drawings put things. No file, no browser."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest

from chargehand.adapters.text import clean_text
from chargehand.domain.effects import RunFix, RunGates, StartAttempt
from chargehand.domain.events import (
    AttemptFinished,
    DecisionAnswered,
    DecisionAsked,
    EffectIntended,
    EffectLost,
    Event,
    FixFinished,
    GatesFinished,
    Recorded,
    RequeueWhy,
    ReviewFailed,
    ReviewPassed,
    ReviewVoided,
    RunFinished,
    RunResumed,
    TaskRequeued,
)
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import (
    AgentExit,
    AttemptResult,
    Change,
    ChangeKind,
    ExitKind,
    GateResult,
    GateStatus,
    Report,
    ReportStatus,
    Role,
    Sealed,
    Usage,
)
from chargehand.domain.plan import Command, Files, GatePoint, Plan, Task
from chargehand.domain.review import Criterion, Finding, Parked, Review, Ruling, Severity, Stage, Verdict, VoidWhy
from chargehand.domain.words import Decision, DecisionKind, Reason, RunVerdict, TaskStatus
from chargehand.report import model
from chargehand.report.build import Source, build_report
from chargehand.report.diffs import Room, read_patch
from chargehand.report.findings import Standing, track
from chargehand.report.graph import GraphTask, draw_graph
from chargehand.report.history import Anew, Kind, Span, remember
from chargehand.report.html import to_html
from chargehand.report.markdown import to_markdown
from chargehand.report.marks import TASKS
from chargehand.report.pages import Patch
from chargehand.report.timeline import RowOf, draw_timeline
from tests.engines import World

T0 = 1_700_000_000.0
TREE = "a" * 40


def task(name: str, *needs: str, **keys: Any) -> Task:
    return Task(id=name, title=name.upper(), depends_on=needs, files=Files(create=(f"{name}.txt",)), **keys)


def world(*tasks: Task, **plan: Any) -> World:
    return World(Plan(plan="p", tasks=tasks, **plan))


def report_of(events: list[Recorded], **keys: Any) -> model.Report:
    state = fold(events)
    source = Source(state=state, events=events, now=events[-1].at + 60, live=False, clean=clean_text)
    return build_report(replace(source, **keys))


def journal(*events: Event, plan: Plan | None = None, step_s: float = 10.0) -> list[Recorded]:
    first = World(plan or Plan(plan="p", tasks=(task("a"),))).started()
    return [Recorded(seq=n, at=T0 + step_s * (n - 1), event=each) for n, each in enumerate((first, *events), start=1)]


def start(name: str = "a", attempt: int = 1, role: Role = Role.IMPLEMENTER, **keys: Any) -> EffectIntended:
    key = f"{name or 'run'}/{attempt}/attempt"
    return EffectIntended(
        effect=StartAttempt(key=key, task=name, attempt=attempt, role=role, base=TREE, agent="script", **keys)
    )


def finish(name: str = "a", attempt: int = 1, **keys: Any) -> AttemptFinished:
    given = {"exit": AgentExit(kind=ExitKind.EXITED, code=0), **keys}
    return AttemptFinished(
        key=f"{name or 'run'}/{attempt}/attempt", task=name, attempt=attempt, result=AttemptResult(**given)
    )


AGAIN = TaskRequeued(task="a", why=RequeueWhy.RETRY)


# -- whole runs -----------------------------------------------------------------------------------


def test_a_run_that_went_well_says_so_and_shows_every_task() -> None:
    played = world(task("a"), task("b", "a"), goal="All is well.")
    asyncio.run(played.drive())
    report = report_of(list(played.journal.read()))
    assert report.mark.word == "finished"
    assert report.said[0] == "All of it is on the branch: 2 tasks."
    assert [(page.id, page.mark.word) for page in report.tasks] == [("a", "integrated"), ("b", "integrated")]
    assert [row.mark.word for row in report.tasks[0].attempts] == ["good evidence"]
    assert [step for step, _ in report.next_steps] == ["Land it on your branch", "or open a pull request"]
    assert report.timeline is not None
    assert [row.label for row in report.timeline.rows] == ["the run itself", "a", "b"]


def test_a_run_that_only_began_has_a_report() -> None:
    report = report_of(journal())
    assert report.mark.word == "interrupted"
    assert report.timeline is None
    assert report.tasks[0].attempts == ()
    assert ("Go on", "chargehand resume r") in report.next_steps


def test_a_plan_without_tasks_has_a_report() -> None:
    report = report_of(journal(plan=Plan(plan="p", tasks=())))
    assert report.said[0] == "The plan has no task."
    assert report.graph is None


def test_what_was_under_way_when_the_process_went_is_told_as_such() -> None:
    events = journal(start())
    assert report_of(events).tasks[0].attempts[0].mark.word == "was under way"
    live = report_of(events, live=True)
    assert live.mark.word == "running"
    assert live.tasks[0].attempts[0].mark.word == "under way"
    assert live.tasks[0].attempts[0].took == "1m"


def test_no_sandbox_is_said_loudly() -> None:
    assert report_of(journal(), unheld=True, sandbox="none").sandbox_warning
    assert not report_of(journal(), sandbox="bwrap").sandbox_warning


def test_usage_counts_who_told_nothing() -> None:
    told = Usage(tokens=1000, usd=0.5)
    events = journal(start(), finish(usage=told), AGAIN, start(attempt=2), finish(attempt=2))
    assert report_of(events).tasks[0].used == "1,000 tokens, at least $0.50; 1 of 2 attempts told nothing"


# -- criteria -------------------------------------------------------------------------------------


def holistic(*criteria: Criterion, tree: str = "", passed: bool = True) -> list[Event]:
    review = Review(verdict=Verdict(passed=passed, criteria=criteria))
    judged = {"task": "", "attempt": 1, "stage": Stage.HOLISTIC, "tree": tree, "commit": TREE}
    verdict = ReviewPassed(**judged) if passed else ReviewFailed(**judged)  # type: ignore[arg-type]
    return [start("", role=Role.HOLISTIC_REVIEWER, tree=tree), finish("", review=review), verdict]


def test_a_criterion_is_ticked_only_by_a_verdict_on_the_tree_of_the_branch() -> None:
    """I6, I7: what nobody judged on exactly this tree stays open."""
    plan = Plan(plan="p", tasks=(task("a"),), success_criteria=("It  works", "It is fast", "It is small"))
    marks = (Criterion(criterion="it works", met=True, evidence="seen"), Criterion(criterion="It is fast", met=False))
    good = report_of(journal(*holistic(*marks), plan=plan)).criteria
    assert [each.mark.word for each in good] == ["met", "not met", "not judged by anybody"]
    assert good[0].evidence == "seen"
    other = report_of(journal(*holistic(*marks, tree="b" * 40), plan=plan)).criteria
    assert [each.mark.word for each in other] == ["not judged by anybody"] * 3


# -- findings -------------------------------------------------------------------------------------


def finding(name: str, severity: Severity = Severity.MAJOR) -> Finding:
    return Finding(id=name, severity=severity, claim=f"claim {name}", file="a.txt", line=1)


def failed(*names: str, stage: Stage = Stage.QUALITY, **keys: Any) -> ReviewFailed:
    given = {"task": "a", "attempt": 2, "stage": stage, "tree": TREE, "commit": TREE, **keys}
    return ReviewFailed(**given, open=tuple(finding(name) for name in names))


def passed(stage: Stage = Stage.QUALITY, **keys: Any) -> ReviewPassed:
    return ReviewPassed(task="a", attempt=4, stage=stage, tree=TREE, commit=TREE, **keys)


def standings(*steps: Any) -> dict[str, Standing]:
    findings, criteria = track(steps)
    return {each.finding.id: each.standing for each in findings} | {
        each.criterion.criterion: each.standing for each in criteria
    }


def test_a_finding_is_open_until_a_round_of_its_stage_drops_it() -> None:
    assert standings(failed("x", "y")) == {"x": Standing.OPEN, "y": Standing.OPEN}
    assert standings(failed("x", "y"), failed("y")) == {"x": Standing.RESOLVED, "y": Standing.OPEN}
    assert standings(failed("x"), passed(Stage.SPEC)) == {"x": Standing.OPEN}
    assert standings(failed("x"), passed()) == {"x": Standing.RESOLVED}


def test_what_is_open_when_the_change_is_begun_anew_is_left_behind_not_resolved() -> None:
    assert standings(failed("x"), Anew(), passed()) == {"x": Standing.LEFT}
    assert standings(failed("x"), Anew(), failed("x"))["x"] is Standing.OPEN


def test_a_parked_finding_keeps_its_ruling() -> None:
    minor = Parked(stage=Stage.QUALITY, finding=finding("m", Severity.MINOR), ruling=Ruling.MINOR)
    late = Parked(stage=Stage.QUALITY, finding=finding("l"), ruling=Ruling.LATE)
    assert standings(failed(parked=(minor,)), passed(parked=(late,))) == {"m": Standing.PARKED, "l": Standing.LATE}


def test_what_a_person_took_as_it_is_is_parked_not_resolved() -> None:
    """SPEC 4: nothing major is silently continued."""
    ruled = Parked(stage=Stage.QUALITY, finding=finding("x"), ruling=Ruling.HUMAN)
    assert standings(failed("x"), passed(parked=(ruled,))) == {"x": Standing.PARKED}


def test_a_criterion_that_is_met_later_is_resolved() -> None:
    mark = Criterion(criterion="c", met=False)
    assert standings(failed(unmet=(mark,))) == {"c": Standing.OPEN}
    assert standings(failed(unmet=(mark,)), failed(unmet=(mark,))) == {"c": Standing.OPEN}
    assert standings(failed(unmet=(mark,)), failed("x"))["c"] is Standing.RESOLVED


# -- history and times ----------------------------------------------------------------------------


def test_a_void_look_and_a_verdict_are_told_with_their_attempts() -> None:
    look: dict[str, Any] = {"role": Role.QUALITY_REVIEWER, "tree": TREE, "commit": TREE}
    void = ReviewVoided(task="a", attempt=2, why=VoidWhy.VIOLATED, detail="it wrote x")
    history = remember(
        journal(start(), finish(), start(attempt=2, **look), finish(attempt=2), void, start(attempt=3, **look))
    )
    assert [tried.void for tried in history.tries["a"]] == ["", "violated: it wrote x", ""]
    history = remember(journal(start(attempt=2, **look), finish(attempt=2), failed()))
    assert history.tries["a"][0].passed is False


def test_the_second_void_look_is_void_and_says_why() -> None:
    """It has no event of its own: a person is asked instead."""
    look: dict[str, Any] = {"role": Role.SPEC_REVIEWER, "tree": TREE, "commit": TREE}
    void = ReviewVoided(task="a", attempt=2, why=VoidWhy.MALFORMED, detail="The agent wrote no verdict.")
    question = "The spec review came to nothing twice. The agent wrote no verdict."
    asked = Decision(
        id="d1",
        task="a",
        kind=DecisionKind.REVIEW,
        reason=Reason.REVIEW_VOID,
        question=question,
        choices=("retry",),
        default="block",
    )
    silent: dict[str, Any] = {"review": Review(problem="The agent wrote no verdict.")}
    looks = (start(attempt=2, **look), finish(attempt=2, **silent), void)
    again = (start(attempt=3, **look), finish(attempt=3, **silent), DecisionAsked(decision=asked))
    _, first, second = report_of(journal(start(), finish(), *looks, *again)).tasks[0].attempts
    assert [first.mark.word, second.mark.word] == ["void", "void"]
    assert f"Void: {question}" in second.notes
    assert (first.claim, first.missing) == ("", "The agent wrote no verdict.")


@pytest.mark.parametrize(
    ("told", "heading"),
    [
        ({"test_changes": ("tests/test_a.py: weakened",)}, "Changes to tests that judge this"),
        ({"silenced": ("src/a.py:1 comment # noqa",)}, "Checks that this silences"),
        ({"left_out": (".konductor/state.toml",)}, "Left out, since only the runtime writes them"),
    ],
)
def test_what_weakens_a_check_is_told_of_what_landed_alone(told: dict[str, Any], heading: str) -> None:
    """A pull request holds nothing of a task that did not make it."""
    report = report_of(journal(start(), finish()))
    page = replace(report.tasks[0], **told)
    assert heading not in to_markdown(replace(report, tasks=(page,)))
    landed = replace(page, mark=TASKS[TaskStatus.INTEGRATED])
    assert heading in to_markdown(replace(report, tasks=(landed,)))


def test_the_page_of_a_task_names_what_was_left_out_of_its_change() -> None:
    """From the sealed change to the page, whatever became of the task."""
    kept = ".konductor/state.toml"
    sealed = Sealed(base="0" * 40, commit="1" * 40, tree="2" * 40, base_tree="3" * 40, left_out=(kept,))
    done = finish()
    assert isinstance(done, AttemptFinished)
    report = report_of(journal(start(), replace(done, result=replace(done.result, sealed=sealed))))
    assert report.tasks[0].left_out == (kept,)
    heading = "Left out of its change, since only the runtime writes them"
    assert f"<h4>{heading}</h4>" in to_html(report)
    assert f"<code>{kept}</code>" in to_html(report)
    assert heading not in to_html(report_of(journal(start(), done)))


def test_what_a_fix_command_mended_stands_with_the_attempt_and_its_gates() -> None:
    base = Sealed(base="0" * 40, commit="1" * 40, tree="2" * 40, base_tree="3" * 40)
    change = Change(path="a.txt", kind=ChangeKind.MODIFIED)
    sealed = replace(base, commit="4" * 40, tree="5" * 40, changes=(change,))
    ran: list[Event] = []
    for number, status in enumerate((GateStatus.FAIL, GateStatus.PASS), start=1):
        tree = (base.tree, sealed.tree)[number - 1]
        effect = RunGates(
            key=f"a/1/gates/{number}", task="a", attempt=1, point=GatePoint.TASK, commit=tree, tree=tree, base=base.base
        )
        result = GateResult(gate="lint", tree=tree, status=status)
        ended = GatesFinished(key=effect.key, task="a", attempt=1, point=GatePoint.TASK, commit=tree, results=(result,))
        ran += [EffectIntended(effect=effect), ended]
    fix = RunFix(key="a/1/fix", task="a", attempt=1, commit=base.commit, gates=("lint",), paths=("a.txt",))
    fixed = FixFinished(key=fix.key, task="a", attempt=1, gates=("lint",), sealed=sealed)
    events = journal(start(), finish(sealed=base), *ran[:2], EffectIntended(effect=fix), fixed, *ran[2:])
    page = report_of(events).tasks[0]
    text = f"Mended by the fix command of lint: 1 path changed, sealed as {'4' * 10}, and gated anew."
    assert text in page.attempts[0].notes
    assert text in page.notes
    assert [line.where for line in page.gates] == ["on the attempt's own tree", "on the attempt's own tree, as mended"]


def test_time_in_which_no_process_was_there_does_not_count_as_work() -> None:
    resumed = RunResumed(pid=2, host="h", version="v")
    events = journal(start(), resumed, EffectLost(key="a/1/attempt", detail="killed"))
    events = [replace(each, at=each.at + 36_000 * (each.seq > 2)) for each in events]
    span = remember(events).spans[0]
    assert span.lost
    assert span.end == span.start == T0 + 10


def test_a_provider_that_asks_to_wait_fills_the_time_until_the_next_start() -> None:
    wait = TaskRequeued(task="a", why=RequeueWhy.WAIT, not_before=T0 + 100)
    history = remember(journal(start(), finish(), wait, start(attempt=2)))
    waits = [span for span in history.spans if span.kind is Kind.PROVIDER]
    assert [(span.start - T0, (span.end or 0) - T0) for span in waits] == [(30, 40)]


def test_a_question_waits_until_it_is_answered_and_no_longer_than_the_run() -> None:
    def ask(name: str) -> DecisionAsked:
        decision = Decision(
            id=name,
            task="",
            kind=DecisionKind.RUN_GATE,
            reason=Reason.GATE_RED,
            question="Well?",
            choices=("retry", "stop"),
            default="stop",
        )
        return DecisionAsked(decision=decision)

    answered = DecisionAnswered(id="d1", choice="retry", by="uma", note="again")
    events = journal(ask("d1"), answered, ask("d2"), RunFinished(verdict=RunVerdict.FAILED))
    history = remember(events)
    assert [each.id for each in report_of(events[:4]).open_questions] == ["d2"]
    assert report_of(events[:4]).mark.word == "waiting for answers"
    assert [(asked.choice, asked.by, asked.note) for asked in history.questions] == [
        ("retry", "uma", "again"),
        ("", "", ""),
    ]
    assert history.questions[1].dropped
    assert [(span.end or 0) - T0 for span in history.spans] == [20, 40]


def test_a_flaky_gate_is_told_as_flaky_everywhere() -> None:
    """SPEC 5: a flake is never silently ignored."""
    played = world(task("a", verify=(Command(argv=("true",)),)))
    flaky = GateResult(gate="tests", tree=TREE, status=GateStatus.PASS, flaky=("test_x",))
    asyncio.run(played.drive())
    events = list(played.journal.read())
    at = next(n for n, each in enumerate(events) if isinstance(each.event, GatesFinished))
    event = events[at].event
    assert isinstance(event, GatesFinished)
    events[at] = replace(events[at], event=replace(event, results=(flaky,)))
    report = report_of(events)
    assert report.tasks[0].gates[0].mark.word == "pass, flaky"
    assert report.flakes == (("a", "test_x", "tests"),)


# -- patches --------------------------------------------------------------------------------------

PATCH = """\
diff --git a/one.py b/one.py
index 1..2 100644
--- a/one.py
+++ b/one.py
@@ -1,2 +1,2 @@
 same
-old
+new
--- no head of a file
+++ none either
\\ No newline at end of file
diff --git "a/t\\303\\244b\\t.txt" "b/t\\303\\244b\\t.txt"
new file mode 100644
index 0..1
--- /dev/null
+++ "b/t\\303\\244b\\t.txt"
@@ -0,0 +1 @@
+x\r
diff --git a/p.png b/p.png
deleted file mode 100644
index 1..0
Binary files a/p.png and /dev/null differ
diff --git a/x y b/x y
old mode 100644
new mode 100755
"""


def test_a_patch_is_read_into_files() -> None:
    files, note = read_patch(PATCH, clean_text, Room())
    assert note == ""
    assert [(file.path, file.what, file.added, file.removed, file.binary) for file in files] == [
        ("one.py", "modified", 2, 2, False),
        ("täb\t.txt", "added", 1, 0, False),
        ("p.png", "deleted", 0, 0, True),
        ("x y", "mode changed", 0, 0, False),
    ]
    assert [(hunk.kind, hunk.text) for hunk in files[1].hunks] == [("head", "@@ -0,0 +1 @@\n"), ("added", "+x\n")]
    assert [hunk.kind for hunk in files[0].hunks] == ["head", "same", "removed", "added", "removed", "added", "note"]


@pytest.mark.parametrize(
    ("room", "cuts", "listed"),
    [(Room(file_lines=3), 4, 4), (Room(task_lines=0), 7, 4), (Room(characters=0), 7, 4), (Room(task_files=1), 0, 1)],
)
def test_a_page_shows_its_share_of_a_patch_and_says_what_is_missing(room: Room, cuts: int, listed: int) -> None:
    files, note = read_patch(PATCH, clean_text, room)
    assert (files[0].cut, len(files)) == (cuts, listed)
    assert note == ("3 more files are not listed." if listed == 1 else "")


def test_a_change_that_is_shown_in_part_says_where_all_of_it_is() -> None:
    lines = "".join(f"+{n}\n" for n in range(1000))
    patch = f"diff --git a/a.txt b/a.txt\nnew file mode 100644\n@@ -0,0 +1,1000 @@\n{lines}"
    report = report_of(journal(), patches={"a": Patch(base=TREE, commit=TREE, landed=True, text=patch)})
    change = report.tasks[0].change
    assert change is not None
    assert (change.added, change.files[0].cut) == (1000, 601)
    assert "chargehand show a --diff --run r" in change.note


# -- the graph ------------------------------------------------------------------------------------


def node(name: str, *needs: str, wave: int = 1) -> GraphTask:
    mark = TASKS[TaskStatus.INTEGRATED]
    return GraphTask(id=name, title=name, needs=needs, wave=wave, mark=mark, anchor=f"task-{name}", tip=name)


def test_what_is_needed_stands_left_of_what_needs_it_and_no_box_covers_another() -> None:
    tasks = [node("a"), node("b", "a"), node("c", "a"), node("d", "b", "c", "gone"), node("e"), node("f", "a", "d")]
    drawn = draw_graph(tasks)
    assert drawn is not None
    at = {each.anchor.removeprefix("task-"): (each.x, each.y) for each in drawn.nodes}
    for each in tasks:
        assert all(at[need][0] + drawn.box_width < at[each.id][0] for need in each.needs if need in at)
    places = sorted(at.values())
    for one, other in pairwise(places):
        assert one[0] != other[0] or one[1] + drawn.box_height <= other[1]
    assert all(0 <= x <= drawn.width - drawn.box_width and 0 <= y <= drawn.height - drawn.box_height for x, y in places)
    assert len(drawn.edges) == 6


def test_a_wave_is_never_left_of_an_earlier_one() -> None:
    drawn = draw_graph([node("late", wave=2), node("early", wave=1)])
    assert drawn is not None
    at = {each.anchor: each.x for each in drawn.nodes}
    assert at["task-early"] < at["task-late"]


@pytest.mark.parametrize(("size", "compact", "dense"), [(10, False, False), (100, True, False), (400, False, True)])
def test_many_tasks_are_drawn_smaller(size: int, compact: bool, dense: bool) -> None:
    drawn = draw_graph([node(f"t{n}", *([f"t{n - 7}"] if n > 6 else [])) for n in range(size)])
    assert drawn is not None
    assert (len(drawn.nodes), drawn.compact, drawn.dense) == (size, compact, dense)


def test_a_chain_that_everything_depends_on_is_still_drawn() -> None:
    """Lanes for every long edge would be a million: they are left out, the edges are not."""
    drawn = draw_graph([node(f"t{n}", *(f"t{m}" for m in range(n))) for n in range(60)])
    assert drawn is not None
    assert len(drawn.edges) == 60 * 59 / 2


# -- the time axis --------------------------------------------------------------------------------

ROWS = {"": RowOf(label="run", anchor="run", mark=None), "a": RowOf(label="a", anchor="task-1", mark=None)}


def span(start: float, end: float | None, kind: Kind = Kind.AUTHOR, task: str = "a") -> Span:
    return Span(task=task, kind=kind, start=T0 + start, end=None if end is None else T0 + end, label=kind.value)


def test_bars_lie_where_their_time_is() -> None:
    drawn = draw_timeline([span(0, 50), span(50, 100, Kind.GATES), span(25, None, Kind.DECISION)], ROWS, T0 + 100)
    assert drawn is not None
    assert [(bar.x, bar.width, bar.lane) for bar in drawn.rows[0].bars] == [(0, 50, 0), (50, 50, 0), (25, 75, 1)]
    assert drawn.kinds == ("author", "gates", "decision")
    assert drawn.breaks == ()
    assert drawn.ticks[0].label == "+0s"
    assert "not over yet" in drawn.rows[0].bars[2].tip


def test_a_night_in_which_nothing_was_under_way_is_drawn_short_and_marked() -> None:
    night = 8 * 3600.0
    drawn = draw_timeline(
        [span(0, 600), span(600 + night, 1200 + night), span(600, 600 + night, Kind.DECISION)], ROWS, T0
    )
    assert drawn is not None
    assert [part.label for part in drawn.breaks] == ["8h"]
    first, second, waited = drawn.rows[0].bars
    assert first.width == pytest.approx(48, abs=0.1)
    assert second.width == pytest.approx(48, abs=0.1)
    assert waited.width == pytest.approx(4, abs=0.1)
    places = [tick.x for tick in drawn.ticks]
    assert places == sorted(places)
    assert len(places) <= 16


@pytest.mark.parametrize("length", [0, 0.001, 1, 59, 3600, 86_400, 400 * 86_400])
def test_an_axis_of_any_length_has_ticks_within_it(length: float) -> None:
    drawn = draw_timeline([span(0, length)], ROWS, T0)
    assert drawn is not None
    assert 1 <= len(drawn.ticks) <= 16
    told = [tick.x for tick in drawn.ticks if not tick.dense]
    assert all(right - left >= 22 for left, right in pairwise(told)), "on a narrow screen labels do not touch"
    assert all(0 <= tick.x <= 100 for tick in drawn.ticks)
    assert all(bar.x >= 0 and bar.x + bar.width <= 100.001 for bar in drawn.rows[0].bars)


def test_nothing_that_happened_makes_no_timeline() -> None:
    assert draw_timeline([], ROWS, T0) is None


def test_a_report_tells_what_the_agent_claims_as_a_claim() -> None:
    """I6."""
    claim = Report(status=ReportStatus.DONE, summary="It is perfect.")
    row = report_of(journal(start(), finish(report=claim))).tasks[0].attempts[0]
    assert row.claim == "DONE: It is perfect."
    assert row.mark.word == "ended"
