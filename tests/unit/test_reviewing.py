"""The two reviews of a change, row by row, and their bounds (SPEC 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.brief_looks import compose_look
from chargehand.domain.circuits import reviewer_for
from chargehand.domain.decide import wake_at
from chargehand.domain.effects import MergeCandidate, RunFix, RunGates, StartAttempt
from chargehand.domain.events import (
    AttemptFinished,
    EffectLost,
    ReviewPassed,
    ReviewVoided,
    RunPaused,
    RunResumed,
    TaskEndAsked,
    WarningRaised,
)
from chargehand.domain.facts import facts_of_task
from chargehand.domain.options import AgentDef, Caps
from chargehand.domain.outcome import Concern, ConcernKind, ExitKind, FaultKind, ReportStatus, Role
from chargehand.domain.plan import Command, Complexity, Features, Files, GatePoint, Scope, TaskType, Weight
from chargehand.domain.policy import Policy
from chargehand.domain.review import Probe, Ruling, Severity, Stage, VoidWhy
from chargehand.domain.silencing import Silenced, SilencedBy
from chargehand.domain.test_changes import TestChange as DomainTestChange
from chargehand.domain.test_changes import TestChangeKind as DomainTestChangeKind
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, StopReason, TaskStatus
from tests.looks import a_finding, broke_rules, fails, met, no_verdict, not_met, passes
from tests.play import Play, a_gate, a_plan, a_task, crashed, done, ended, failed, faulty, passed

S = TaskStatus


def reviewed(*, task: Any = None, plan: Any = None, gated: bool = False, **options: Any) -> Play:
    """A run of one task whose first attempt is done (and `gated`, where it has gates), and is looked at."""
    play = Play(a_plan(a_task("a", **(task or {})), **(plan or {})), **{"review": True, **options})
    play.begin()
    play.attempt("a")
    if gated:
        play.gates("a")
    return play


def at_quality(**options: Any) -> Play:
    """The same, through stage 1."""
    play = reviewed(**options)
    play.attempt("a", passes())
    return play


def role(play: Play, task: str = "a") -> Role:
    return play.effect(StartAttempt, task).role


def brief(play: Play, task: str = "a") -> str:
    """What the one who looks is told."""
    return compose_look(play.state, play.effect(StartAttempt, task)).text


def fix(play: Play, *paths: str) -> None:
    """The fixer is done, and changed these."""
    assert role(play) is Role.FIXER
    play.attempt("a", done(changes=paths or ("change",)))


# -- two stages -----------------------------------------------------------------------------------


def test_a_change_passes_both_stages_and_lands():
    """4: spec compliance, then quality, of exactly what is sealed [I7]."""
    play = reviewed(plan={"features": Features(holistic=False)})
    assert play.task("a").status is S.REVIEWING
    sealed = play.task("a").sealed
    first = play.effect(StartAttempt, "a")
    assert (first.role, first.tree, first.commit) == (Role.SPEC_REVIEWER, sealed.tree, sealed.commit)
    assert (first.attempt, first.key, first.base, first.since) == (2, "a/2/attempt", "base", "")
    play.attempt("a", passes())
    second = play.effect(StartAttempt, "a")
    assert (second.role, second.tree, second.since) == (Role.QUALITY_REVIEWER, sealed.tree, "")
    assert second.attempt == 3
    play.attempt("a", passes(model="m"))
    assert play.task("a").status is S.INTEGRATING
    assert play.effect(MergeCandidate, "a").commit == sealed.commit
    assert [(each.stage, each.tree, each.passed) for each in play.task("a").reviews.judged] == [
        (Stage.SPEC, sealed.tree, True),
        (Stage.QUALITY, sealed.tree, True),
    ]
    assert play.task("a").reviews.judged[1].model == "m"


def test_a_look_is_no_attempt_of_the_author():
    """The change, the report and the number under which it is kept stay those of the author."""
    play = at_quality()
    record = play.task("a")
    assert (record.attempts, record.made, record.tries.attempts, record.looked) == (3, 1, 2, 2)
    assert record.report.status is ReportStatus.DONE
    assert record.sealed.commit == "sealed(a.1)"


def test_gates_come_before_reviews():
    play = reviewed(plan={"gates": [a_gate("lint", GatePoint.TASK)]})
    assert play.task("a").status is S.GATING
    play.gates("a")
    assert role(play) is Role.SPEC_REVIEWER
    assert "lint: passed." in brief(play)


@pytest.mark.parametrize(
    ("weight", "complexity", "looked_at"),
    [
        (Weight.LIGHT, Complexity.TRIVIAL, False),
        (Weight.LIGHT, Complexity.SIMPLE, True),
        (Weight.FULL, Complexity.TRIVIAL, True),
    ],
)
def test_depth_follows_risk(weight, complexity, looked_at):
    """4: trivial and light → gates only."""
    play = reviewed(task={"weight": weight, "complexity": complexity})
    assert (play.task("a").status is S.REVIEWING) is looked_at


def test_full_weight_for_the_rest_brings_the_reviews_back():
    play = reviewed(task={"weight": Weight.LIGHT, "complexity": Complexity.TRIVIAL})
    play.state.weight = Weight.FULL
    other = Play(a_plan(a_task("a", weight=Weight.LIGHT, complexity=Complexity.TRIVIAL)), review=True)
    other.begin()
    other.state.weight = Weight.FULL
    other.attempt("a")
    assert other.task("a").status is S.REVIEWING


def test_without_reviews_nobody_looks():
    play = reviewed(review=False)
    assert play.task("a").status is S.INTEGRATING


def test_a_reviewer_is_asked_by_name_and_falls_back():
    """The task's reviewer, else that of the run, else its agent; and who stands in for them."""
    agents = [AgentDef(name="judge", kind="command", fallback="deputy"), AgentDef(name="deputy", kind="command")]
    play = reviewed(agents=agents, reviewer="judge", task={"agent": "deputy"})
    assert play.effect(StartAttempt, "a").agent == "judge"
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=5000.0))
    assert play.effect(StartAttempt, "a").agent == "deputy"
    own = reviewed(agents=agents, reviewer="judge", task={"reviewer": "deputy"})
    assert own.effect(StartAttempt, "a").agent == "deputy"
    of_task = reviewed(agents=agents, task={"agent": "deputy"})
    assert of_task.effect(StartAttempt, "a").agent == "deputy"


# -- a fix round ----------------------------------------------------------------------------------


def test_a_finding_is_fixed_and_the_second_round_passes():
    """4: the fixer starts on the sealed tree with the findings; the next round is about what changed after it."""
    play = reviewed()
    finding = a_finding(clause="the task says so", evidence_command="grep x change")
    probe = Probe(finding="f1", command="grep x change", exit_code=1)
    refused = Probe(finding="f2", command="curl x", refused="it is dangerous")
    other = a_finding("f2", Severity.CRITICAL)
    play.attempt("a", fails(finding, other, criteria=[not_met("it works")], probes=[probe, refused]))
    record = play.task("a")
    effect = play.effect(StartAttempt, "a")
    assert (effect.role, effect.base) == (Role.FIXER, "sealed(a.1)")
    assert record.failure.facts == (
        "[f1] major change:1: f1 is wrong",
        "  appeals to: the task says so",
        "  evidence: `grep x change` (exit code 1)",
        "[f2] critical change:1: f2 is wrong",
        "  evidence: `curl x` (not run: it is dangerous)",
        "not met: it works (not seen)",
    )
    assert record.failure.reason is Reason.REVIEW_UNRESOLVED
    fix(play)
    again = play.effect(StartAttempt, "a")
    assert (again.role, again.since, again.tree) == (Role.SPEC_REVIEWER, "sealed(a.1)", "tree(a.3)")
    told = brief(play)
    assert "[f1] major change:1: f1 is wrong" in told
    assert "evidence before the fix: `grep x change` exit code 1" in told
    assert "criterion not met: it works" in told
    assert "what changed since the last review" in told
    play.attempt("a", passes())
    assert role(play) is Role.QUALITY_REVIEWER
    assert play.effect(StartAttempt, "a").since == "", "who looks at quality has seen nothing of it yet"
    play.attempt("a", passes())
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED


def test_two_fixes_then_a_question():
    """4: at most 2 fixes, 3 reviews; nothing major lands unresolved. Unattended: blocked."""
    for unattended in (False, True):
        play = reviewed(unattended=unattended)
        for number in range(2):
            play.attempt("a", fails(a_finding(claim=f"wrong {number}")))
            fix(play)
        play.attempt("a", fails(a_finding(claim="wrong for good")))
        if unattended:
            assert (play.task("a").status, play.task("a").reason) == (S.BLOCKED, Reason.REVIEW_UNRESOLVED)
            assert play.state.finished.verdict is RunVerdict.FAILED
            continue
        asked = play.asked()
        assert (asked.kind, asked.default, asked.choices) == (
            DecisionKind.REVIEW,
            "block",
            ("approve", "retry", "skip", "stop"),
        )
        assert "after 2 fixes" in asked.question
        assert len(play.task("a").reviews.judged) == 3


def unresolved(**options: Any) -> Play:
    """A change that is open after its rounds."""
    play = reviewed(policy=Policy(review_fixes=0), **options)
    play.attempt("a", fails(a_finding()))
    return play


def test_a_person_may_take_it_as_it_is():
    """What is open is parked as their ruling, and the change lands without stage 2."""
    play = unresolved()
    play.answer("approve")
    assert [(each.finding.id, each.ruling) for each in play.task("a").reviews.parked] == [("f1", Ruling.HUMAN)]
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED


def test_a_yes_counts_for_that_tree_only():
    """I9: red as merged, its next attempt is reviewed from the start."""
    play = unresolved(plan={"gates": [a_gate("tests")]})
    play.answer("approve")
    play.merge("a")
    play.gates("a", "tests")
    assert role(play) is Role.IMPLEMENTER
    play.attempt("a")
    assert role(play) is Role.SPEC_REVIEWER
    assert not play.task("a").reviews.open
    assert DecisionKind.REVIEW not in play.task("a").approved


def test_retry_makes_another_attempt_with_the_findings():
    play = unresolved()
    play.answer("retry")
    assert role(play) is Role.IMPLEMENTER
    assert "f1 is wrong" in play.task("a").failure.summary
    assert play.task("a").reviews.rounds == 0


@pytest.mark.parametrize(("choice", "status"), [("skip", S.SKIPPED), ("stop", S.FAILED)])
def test_a_person_may_leave_it_out_or_stop(choice, status):
    play = unresolved()
    play.answer(choice)
    assert play.task("a").status is status
    assert (play.state.stopped is not None) is (choice == "stop")


def test_a_fixer_that_changes_nothing_is_not_asked_again():
    """3.8: an identical tree twice, from implementers or fixers: escalate."""
    play = reviewed()
    play.attempt("a", fails(a_finding()))
    play.attempt("a", done(changes=(), seal={"tree": "tree(a.1)", "base_tree": "tree(a.1)"}))
    assert "identical tree" in play.asked().question


def test_a_fixer_that_fails_costs_the_one_retry():
    """It starts clean, with the failure in its brief, and the change is reviewed from the start."""
    play = reviewed()
    play.attempt("a", fails(a_finding()))
    play.attempt("a", crashed())
    assert role(play) is Role.IMPLEMENTER
    play.attempt("a")
    assert role(play) is Role.SPEC_REVIEWER
    assert play.effect(StartAttempt, "a").since == ""
    assert play.task("a").reviews.fixes == 0


def test_the_attempts_of_a_task_bound_its_looks():
    """I10: a cap ends it sooner."""
    play = reviewed(caps=Caps(task_attempts=1))
    assert play.asked().reason is Reason.ATTEMPTS
    play.answer("retry")
    assert role(play) is Role.IMPLEMENTER


# -- what a verdict is worth ----------------------------------------------------------------------


@pytest.mark.parametrize("severity", [Severity.MINOR, Severity.NOTE])
def test_minor_findings_are_parked(severity):
    play = reviewed()
    play.attempt("a", passes(a_finding(severity=severity)))
    assert [(each.stage, each.ruling) for each in play.task("a").reviews.parked] == [(Stage.SPEC, Ruling.MINOR)]
    assert role(play) is Role.QUALITY_REVIEWER


def test_a_major_finding_that_is_nowhere_is_parked():
    """4: it has to name an existing file and line."""
    play = reviewed()
    play.attempt("a", passes(a_finding(), nowhere=["f1"]))
    assert [each.ruling for each in play.task("a").reviews.parked] == [Ruling.NOWHERE]
    beside = reviewed()
    beside.attempt("a", fails(a_finding(), a_finding("f2"), nowhere=["f1"]))
    assert [each.id for each in beside.task("a").reviews.open] == ["f2"]


MALFORMED = {
    "pass with a major finding": (passes(a_finding()), "it says that this is open: f1"),
    "pass with a criterion": (passes(criteria=[met("x"), not_met("it works")]), "open: it works"),
    "fail without ground": (fails(a_finding(severity=Severity.MINOR)), "it names no critical or major finding"),
    "fail nowhere": (fails(a_finding(), nowhere=["f1"]), "it names no critical or major finding"),
    "no JSON": (no_verdict("It is no JSON."), "It is no JSON."),
    "nothing": (no_verdict(""), "gave no verdict (exited)"),
    "timeout": (no_verdict("", ExitKind.TIMEOUT, detail="30 s"), "gave no verdict (30 s)"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_verdict_is_returned_once_then_a_person_is_asked(name):
    """4: it is told why, once; then nothing lands unseen. Unattended: blocked."""
    result, why = MALFORMED[name]
    play = reviewed()
    play.attempt("a", result)
    assert (play.task("a").status, role(play)) == (S.REVIEWING, Role.SPEC_REVIEWER)
    assert why in brief(play)
    assert "did not count" in brief(play)
    play.attempt("a", result)
    asked = play.asked()
    assert (asked.kind, asked.reason, asked.default) == (DecisionKind.REVIEW, Reason.REVIEW_VOID, "block")
    assert why in asked.question
    assert play.task("a").reviews.rounds == 0, "none of them was a review"


def test_malformed_answers_are_counted_between_verdicts():
    play = reviewed()
    play.attempt("a", fails())
    play.attempt("a", fails(a_finding()))
    fix(play)
    play.attempt("a", no_verdict())
    assert role(play) is Role.SPEC_REVIEWER, "one more is returned"


def test_after_a_void_review_retry_asks_another_reviewer():
    """The question is about the reviewer: the change is kept."""
    play = reviewed()
    play.attempt("a", fails())
    play.attempt("a", fails())
    assert play.asked().effects[1] == "retry: another reviewer is asked; the change is kept"
    play.answer("retry")
    assert (role(play), play.task("a").made) == (Role.SPEC_REVIEWER, 1)
    play.attempt("a", fails())
    assert role(play) is Role.SPEC_REVIEWER, "with fresh bounds"


@pytest.mark.parametrize("kind", [ExitKind.ENV_MISSING, ExitKind.OVER_BUDGET])
def test_what_another_reviewer_cannot_mend_is_asked_about_at_once(kind):
    play = reviewed()
    play.attempt("a", no_verdict("", kind, detail="there is no codex"))
    assert play.asked().reason is Reason.REVIEW_VOID
    assert "there is no codex" in play.asked().question


def test_a_reviewer_who_changes_what_it_judges_is_replaced_once():
    """I7: the verdict is void, the violation is recorded, one fresh reviewer, then a decision."""
    play = reviewed()
    events = play.attempt("a", broke_rules("secret.py"))
    (warned,) = [event for event in events if isinstance(event, WarningRaised)]
    assert (warned.code, "secret.py" in warned.text) == ("review_violation", True)
    assert role(play) is Role.SPEC_REVIEWER
    play.attempt("a", broke_rules("secret.py"))
    assert "for the second time" in play.asked().question
    assert play.asked().reason is Reason.REVIEW_VOID


def test_a_violation_and_a_malformed_verdict_have_each_their_bound():
    play = reviewed()
    play.attempt("a", broke_rules())
    play.attempt("a", fails())
    assert role(play) is Role.SPEC_REVIEWER
    play.attempt("a", passes())
    assert role(play) is Role.QUALITY_REVIEWER
    assert (play.task("a").reviews.violated, play.task("a").reviews.malformed) == (0, 0)


@pytest.mark.parametrize(("said", "status"), [(True, S.REVIEWING), (False, S.INTEGRATING), (None, S.INTEGRATING)])
def test_a_plan_may_say_whether_a_task_is_reviewed(said, status):
    """It goes before weight and complexity, also before a weight that a person asked for."""
    light = {"weight": Weight.LIGHT, "complexity": Complexity.TRIVIAL}
    assert reviewed(task={**light, "reviewed": said}).task("a").status is status
    full = reviewed(task={"reviewed": said})
    assert (full.task("a").status is S.INTEGRATING) is (said is False)


RETRIED = Policy(retries=1, review_fixes=0, review_retries=True, fresh_reviewers=0, stages=(Stage.SPEC,))


def test_a_review_that_is_not_content_may_be_a_failure_that_is_tried_again():
    """Another attempt from the start, its findings in the brief, reviewed anew; then a person is asked."""
    play = reviewed(policy=RETRIED)
    play.attempt("a", fails(a_finding(claim="it is wrong")))
    assert role(play) is Role.IMPLEMENTER
    assert play.effect(StartAttempt, "a").base == "base", "not a fix of what was there"
    assert "it is wrong" in play.task("a").failure.facts[0]
    assert play.task("a").previous == ("base", "sealed(a.1)")
    play.attempt("a")
    assert (role(play), play.task("a").reviews.rounds) == (Role.SPEC_REVIEWER, 0)
    play.attempt("a", fails(a_finding(claim="it is wrong again")))
    assert play.asked().reason is Reason.REVIEW_UNRESOLVED
    assert play.task("a").tries.retries == 1


def test_a_review_shares_the_retries_with_what_fails_before_it():
    play = Play(a_plan(a_task("a")), review=True, policy=RETRIED)
    play.begin()
    play.attempt("a", crashed())
    play.attempt("a")
    play.attempt("a", fails(a_finding()))
    assert play.asked().reason is Reason.REVIEW_UNRESOLVED


def test_a_reviewer_who_changes_what_it_judges_may_spoil_the_attempt():
    """I7: where no fresh one is asked it is a failure: tried again once, then a person is asked, as after one time."""
    play = reviewed(policy=RETRIED)
    events = play.attempt("a", broke_rules("secret.py"))
    (warned,) = [event for event in events if isinstance(event, WarningRaised)]
    assert (warned.code, warned.text) == (
        "review_violation",
        "The reviewer of attempt 2 changed what it judges: secret.py.",
    )
    assert [event.why for event in events if isinstance(event, ReviewVoided)] == [VoidWhy.VIOLATED]
    assert role(play) is Role.IMPLEMENTER
    assert play.task("a").failure.reason is Reason.REVIEW_VOID
    play.attempt("a")
    play.attempt("a", broke_rules("secret.py"))
    assert play.asked().reason is Reason.REVIEW_VOID
    assert "came to nothing, and" in play.asked().question


def test_without_a_fresh_reviewer_and_without_retries_a_person_is_asked_at_once():
    play = reviewed(policy=Policy(fresh_reviewers=0))
    play.attempt("a", broke_rules())
    assert play.asked().reason is Reason.REVIEW_VOID


# -- findings are frozen --------------------------------------------------------------------------


def second_round(*findings: Any, changed: tuple[str, ...] = ("change",), criteria: Any = ()) -> Play:
    """A finding was fixed in these files; the reviewer of round 2 is at work."""
    play = reviewed(task={"acceptance": ("it works",)})
    play.attempt("a", fails(*(findings or (a_finding(),)), criteria=criteria))
    fix(play, *changed)
    return play


def test_the_goal_posts_stay_where_they_are():
    """4: later rounds may add only what the fix itself broke; anything else is parked, and holds nothing up."""
    play = second_round()
    late = a_finding("f2", file="untouched.txt")
    play.attempt("a", fails(a_finding(resolved=True), late))
    assert [(each.finding.id, each.ruling) for each in play.task("a").reviews.parked] == [("f2", Ruling.LATE)]
    assert role(play) is Role.QUALITY_REVIEWER


def test_what_the_fix_broke_counts():
    play = second_round()
    play.attempt("a", fails(a_finding("f2", file="change")))
    assert [each.id for each in play.task("a").reviews.open] == ["f1", "f2"], "of the first it says nothing"
    assert role(play) is Role.FIXER


def test_what_is_not_named_in_a_fail_stays_open():
    """Of frozen findings a FAIL resolves what it says is resolved, a PASS all that it does not keep open."""
    both = (a_finding("f1"), a_finding("f2"))
    play = second_round(*both)
    play.attempt("a", fails(a_finding("f1", resolved=True)))
    assert [each.id for each in play.task("a").reviews.open] == ["f2"]
    passing = second_round(*both)
    passing.attempt("a", passes())
    assert role(passing) is Role.QUALITY_REVIEWER
    torn = second_round(*both)
    torn.attempt("a", passes(a_finding("f2", resolved=False)))
    assert role(torn) is Role.SPEC_REVIEWER, "PASS that keeps one open is malformed"


def test_a_frozen_finding_cannot_be_reworded():
    """What it is stays as it was frozen, whatever a later round calls it."""
    play = second_round()
    play.attempt("a", fails(a_finding(claim="something else", severity=Severity.NOTE, resolved=False)))
    (left,) = play.task("a").reviews.open
    assert (left.claim, left.severity) == ("f1 is wrong", Severity.MAJOR)


def test_a_criterion_made_up_in_round_2_is_late():
    play = second_round()
    play.attempt("a", fails(a_finding(resolved=True), criteria=[not_met("made up")]))
    (parked,) = play.task("a").reviews.parked
    assert (parked.ruling, "made up" in parked.finding.claim) == (Ruling.LATE, True)
    assert role(play) is Role.QUALITY_REVIEWER


def test_a_criterion_of_the_task_counts_when_a_fix_may_have_broken_it():
    play = second_round()
    play.attempt("a", fails(a_finding(resolved=True), criteria=[not_met("it works")]))
    assert [mark.criterion for mark in play.task("a").reviews.unmet] == ["it works"]


def test_a_criterion_that_was_not_met_before_counts():
    play = second_round(criteria=[not_met("invented in round 1")])
    play.attempt("a", fails(a_finding(resolved=True), criteria=[not_met("invented in round 1")]))
    assert [mark.criterion for mark in play.task("a").reviews.unmet] == ["invented in round 1"]


def test_a_criterion_of_which_a_fail_says_nothing_stays_open():
    play = second_round(criteria=[not_met("it works")])
    play.attempt("a", fails(a_finding(resolved=False)))
    assert [mark.criterion for mark in play.task("a").reviews.unmet] == ["it works"]
    met_now = second_round(criteria=[not_met("it works")])
    met_now.attempt("a", fails(a_finding(resolved=False), criteria=[met("it works")]))
    assert met_now.task("a").reviews.unmet == ()


def test_what_two_fixes_changed_counts_when_nobody_looked_between():
    """A fixer that doubts its work gets a fix of its own; the reviewer then looks at both."""
    play = reviewed()
    play.attempt("a", fails(a_finding()))
    doubt = (Concern(text="odd", kind=ConcernKind.SPEC),)
    play.attempt("a", done(ReportStatus.DONE_WITH_CONCERNS, concerns=doubt, changes=["one.txt"]))
    fix(play, "two.txt")
    play.attempt("a", fails(a_finding("f2", file="one.txt")))
    assert {each.id for each in play.task("a").reviews.open} == {"f1", "f2"}


# -- a fix for stage 2 ----------------------------------------------------------------------------


def test_a_fix_within_the_files_of_its_findings_carries_stage_1():
    """4: recorded as carried."""
    play = at_quality()
    play.attempt("a", fails(a_finding(file="change")))
    fix(play, "change")
    carried = [event for event in play.events if isinstance(event, ReviewPassed) and event.carried]
    assert [(event.stage, event.tree, event.agent) for event in carried] == [(Stage.SPEC, "tree(a.4)", "")]
    assert role(play) is Role.QUALITY_REVIEWER
    assert play.effect(StartAttempt, "a").since == "sealed(a.1)"


def test_a_fix_that_goes_further_has_stage_1_asked_again():
    """4: delta only, no round of its own; what stage 2 wants to know stays its own."""
    play = at_quality()
    play.attempt("a", fails(a_finding(file="change")))
    fix(play, "change", "beside.txt")
    effect = play.effect(StartAttempt, "a")
    assert (effect.role, effect.tree) == (Role.SPEC_REVIEWER, "tree(a.4)")
    assert "f1 is wrong" not in brief(play), "a finding of stage 2 is none of its business"
    before = play.task("a").reviews
    play.attempt("a", passes())
    after = play.task("a").reviews
    assert (after.rounds, after.fixes, after.open, after.since) == (1, 1, before.open, before.since)
    assert role(play) is Role.QUALITY_REVIEWER
    assert "f1 is wrong" in brief(play)


def on_the_way(**options: Any) -> Play:
    """A fix for stage 2 went further, and stage 1 is not content with it."""
    play = at_quality(**options)
    play.attempt("a", fails(a_finding(file="change")))
    fix(play, "change", "beside.txt")
    play.attempt("a", fails(a_finding("f1", file="beside.txt", claim="spec is broken")))
    return play


def test_stage_1_on_the_way_uses_the_fixes_of_stage_2():
    """Its finding is another one, though it has the same id; it has to be content itself before stage 2 looks."""
    play = on_the_way()
    assert "spec is broken" in play.task("a").failure.summary
    assert (play.task("a").reviews.rounds, play.task("a").reviews.fixes) == (1, 2)
    fix(play, "beside.txt")
    assert role(play) is Role.SPEC_REVIEWER, "stage 1 has not taken it back"
    assert play.effect(StartAttempt, "a").since == "sealed(a.4)"
    assert "spec is broken" in brief(play)
    assert "f1 is wrong" not in brief(play)
    play.attempt("a", passes(a_finding("f1", resolved=True)))
    assert role(play) is Role.QUALITY_REVIEWER
    assert play.effect(StartAttempt, "a").since == "sealed(a.1)", "it has seen neither of the fixes"
    assert "f1 is wrong" in brief(play)
    assert "spec is broken" not in brief(play)
    play.attempt("a", fails(a_finding("f3", file="change"), a_finding("f1", resolved=True)))
    assert play.asked().reason is Reason.REVIEW_UNRESOLVED, "the first of the two fixes touched that file"


def test_stage_1_on_the_way_without_a_fix_left_is_a_question():
    play = on_the_way(policy=Policy(review_fixes=1))
    assert play.asked().reason is Reason.REVIEW_UNRESOLVED
    play.answer("approve")
    rulings = {(each.stage, each.finding.claim): each.ruling for each in play.task("a").reviews.parked}
    assert rulings == {
        (Stage.QUALITY, "f1 is wrong"): Ruling.HUMAN,
        (Stage.SPEC, "spec is broken"): Ruling.HUMAN,
    }
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED


def test_a_fix_between_two_looks_of_stage_1_belongs_to_its_delta():
    """A doubt of the fixer's own makes another fix: stage 1 is not carried over what the first one changed."""
    play = at_quality()
    play.attempt("a", fails(a_finding(file="change")))
    doubt = (Concern(text="odd", kind=ConcernKind.SPEC),)
    play.attempt("a", done(ReportStatus.DONE_WITH_CONCERNS, concerns=doubt, changes=["beside.txt"]))
    fix(play, "change")
    assert role(play) is Role.SPEC_REVIEWER


# -- what is no review ----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "why"), [(ExitKind.LOST, VoidWhy.LOST), (ExitKind.CANCELLED, VoidWhy.LOST)])
def test_a_lost_reviewer_is_replaced_under_its_number(kind, why):
    """3.8: not an attempt; redispatched."""
    play = reviewed()
    events = play.attempt("a", ended(kind))
    assert ReviewVoided(task="a", attempt=2, why=why) in events
    effect = play.effect(StartAttempt, "a")
    assert (effect.attempt, effect.key) == (2, "a/2/attempt-3")
    assert (play.task("a").tries.attempts, play.task("a").looked) == (1, 1)


@pytest.mark.parametrize("kind", [ExitKind.RATE_LIMITED, ExitKind.PROVIDER_DOWN])
def test_a_reviewer_whose_provider_asks_to_wait_waits(kind):
    """3.8: until the stated reset, or a while; the change stays where it is, and others go on."""
    play = Play(a_plan(a_task("a"), a_task("b")), review=True, jobs=2)
    play.begin()
    play.attempt("a")
    play.attempt("a", ended(kind, retry_at=1500.0))
    record = play.task("a")
    assert (record.status, record.attempts, record.waited, record.looked) == (S.REVIEWING, 2, 1, 0)
    assert play.running == ["b"]
    assert play.state.waits_for_people is False
    play.attempt("b")
    assert play.running == [], "it is the same provider"
    play.pass_time(500)
    assert len(play.running) == 1, "one tries first"
    play.attempt(play.running[0], passes())
    assert len(play.running) == 2
    unstated = reviewed()
    unstated.attempt("a", ended(kind))
    assert unstated.state.circuits == {"agent": 1030.0}


def test_a_crash_gives_the_look_back():
    play = at_quality()
    play.record(EffectLost(key=play.effect(StartAttempt, "a").key, detail="gone"))
    effect = play.effect(StartAttempt, "a")
    assert (effect.role, effect.attempt, effect.key) == (Role.QUALITY_REVIEWER, 3, "a/3/attempt-4")
    assert play.task("a").looked == 2


def test_a_wish_to_skip_ends_a_look():
    play = reviewed()
    play.record(TaskEndAsked(task="a", status=S.SKIPPED, reason=Reason.HUMAN, by="me"))
    play.attempt("a", ended(ExitKind.CANCELLED))
    assert play.task("a").status is S.SKIPPED


# -- slots ----------------------------------------------------------------------------------------


def test_two_agents_with_one_slot_each_review_each_other():
    """No deadlock: a slot is a process; who waits for a look holds none."""
    agents = [AgentDef(name="one", kind="command", jobs=1), AgentDef(name="two", kind="command", jobs=1)]
    tasks = [a_task("a", agent="one", reviewer="two"), a_task("b", agent="two", reviewer="one")]
    play = Play(a_plan(*tasks), agents=agents, review=True, jobs=2)
    play.begin()
    assert play.running == ["a", "b"]
    play.attempt("a")
    assert play.running == ["b"], "its reviewer is at work"
    play.attempt("b")
    assert sorted(play.running) == ["a", "b"]
    for _ in range(2):
        for task in ("a", "b"):
            play.attempt(task, passes())
    play.integrate("a")
    play.integrate("b")
    assert play.state.finished or play.state.whole.inflight


def test_one_slot_is_enough_for_author_and_reviewer():
    play = Play(a_plan(a_task("a"), a_task("b")), review=True, jobs=1)
    play.begin()
    play.attempt("a")
    assert play.running == ["a"], "a look goes before the next task"
    play.integrate("a")
    assert play.running == ["b"]


def test_a_change_of_a_person_s_yes_takes_no_slot_and_its_reviewer_waits_for_one():
    """Answered, a sealed change goes on without a slot: its reviewer waits until a process ends."""
    gates = [a_gate("lint", GatePoint.TASK)]
    play = Play(a_plan(a_task("a"), a_task("b"), gates=gates), review=True, jobs=1, policy=Policy(fits=0))
    play.begin()
    play.attempt("a")
    for _ in range(2):
        play.gates("a", *[lint_is_ambiguous()])
    assert play.running == ["b"]
    play.answer("retry")
    play.gates("a")
    assert (play.task("a").status, play.running) == (S.REVIEWING, ["b"])
    play.attempt("b", crashed())
    assert play.running == ["a"]


def lint_is_ambiguous() -> Any:
    return faulty("lint", FaultKind.AMBIGUOUS)


def test_a_paused_run_starts_no_look():
    play = Play(a_plan(a_task("a")), review=True)
    play.begin()
    play.record(RunPaused(by="me"))
    play.attempt("a")
    assert (play.task("a").status, play.running) == (S.REVIEWING, [])
    play.record(RunResumed(pid=1, host="h", version="v"))
    assert role(play) is Role.SPEC_REVIEWER


# -- with the rest of the run ---------------------------------------------------------------------


def test_a_conflict_redone_is_reviewed_anew():
    play = at_quality()
    play.attempt("a", passes())
    play.merge("a", conflict=["change"])
    assert role(play) is Role.IMPLEMENTER
    play.attempt("a")
    assert role(play) is Role.SPEC_REVIEWER
    assert play.effect(StartAttempt, "a").since == ""


def test_red_first_is_a_finding_where_somebody_reviews():
    """3.7.4: tests that never failed prove nothing: the reviewer is told; without reviews it is a failure."""
    play = reviewed(task={"type": TaskType.TDD})
    play.gates("a", failed("red-first", detail="test_x passes without the change"))
    assert play.task("a").status is S.REVIEWING
    assert "red-first: fail with exit code 1, test_x passes without the change" in brief(play)
    without = reviewed(task={"type": TaskType.TDD}, review=False)
    without.gates("a", "red-first")
    assert (without.task("a").why, without.task("a").failure.reason) == ("retry", Reason.GATE_RED)


def test_stray_changes_are_told_to_the_reviewer():
    """`scope: review`: a stray change is a review question, and no question to a person."""
    play = Play(a_plan(a_task("a", modify=["a.txt"], scope=Scope.REVIEW)), review=True)
    play.begin()
    play.attempt("a", done(changes=["a.txt", "stray.txt"]))
    assert play.task("a").status is S.REVIEWING
    assert "Changed outside the declared files: stray.txt." in brief(play)


def test_tests_that_vanished_are_red():
    """3.7.4: a gate that passes without tests that ran before has not passed."""
    gates = [a_gate("tests", GatePoint.TASK, junit=True)]
    play = reviewed(plan={"gates": gates})
    gone = replace(failed("tests"), vanished=("test_x",))
    play.gates("a", gone)
    assert (play.task("a").role, play.task("a").failure.reason) == (Role.IMPLEMENTER, Reason.GATE_RED)


def test_a_run_with_a_stop_lets_a_live_look_end():
    play = Play(a_plan(a_task("a"), a_task("b")), review=True, jobs=2)
    play.begin()
    play.attempt("a")
    play.attempt("b", done(ReportStatus.FAILED, summary="x"))
    play.attempt("b", done(ReportStatus.FAILED, summary="x"))
    play.answer("stop")
    assert play.state.stopped.reason is StopReason.HUMAN
    assert play.running == ["a"]
    play.attempt("a", passes())
    play.attempt("a", passes())
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED


def test_the_brief_of_a_look_says_what_it_is_and_nothing_of_the_author_s_thoughts():
    play = Play(
        a_plan(a_task("a", acceptance=("it works",), approach="carefully", description="Build it.")), review=True
    )
    play.begin()
    play.attempt("a", done(summary="I did it", decisions=("d",), deviations=("v",)))
    told = brief(play)
    for text in ("You did not write this change", "it works", "carefully", "I did it", "CHARGEHAND_DIFF", "decided: d"):
        assert text in told
    play.attempt("a", passes())
    assert "it already does what the task says" in brief(play)


def test_a_round_names_who_looked_and_only_the_author_is_asked_to_fix():
    play = at_quality(agents=[AgentDef(name="judge", kind="command")], reviewer="judge")
    play.attempt("a", fails(a_finding()))
    assert play.effect(StartAttempt, "a").agent == "agent"
    assert {each.agent for each in play.task("a").reviews.judged} == {"judge"}
    assert reviewer_for(play.state, play.task("a"), play.now) == "judge"
    effect = play.effect(StartAttempt, "a")
    play.record(AttemptFinished(key=effect.key, task="a", attempt=effect.attempt, result=done()(effect)))
    assert play.effect(StartAttempt, "a").agent == "judge"


def test_mended_by_a_command_the_change_is_reviewed_anew():
    """I7: a gate's `fix` makes another tree, perhaps by code of the change: no verdict was about that one."""
    gates = [a_gate("lint", GatePoint.INTEGRATE, fix=Command(argv=("lint", "--fix")))]
    play = at_quality(plan={"gates": gates})
    play.attempt("a", passes())
    play.merge("a")
    play.gates("a", "lint")
    assert play.effect(RunFix, "a").paths == ("change",)
    play.mend("a", "change")
    assert play.task("a").sealed.tree == "tree(mended(sealed(a.1)))"
    assert (role(play), play.effect(StartAttempt, "a").commit) == (Role.SPEC_REVIEWER, "mended(sealed(a.1))")
    play.attempt("a", passes())
    play.attempt("a", passes())
    assert play.effect(MergeCandidate, "a").commit == "mended(sealed(a.1))"
    play.merge("a")
    assert play.effect(RunGates, "a").point is GatePoint.INTEGRATE
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED


def test_what_is_settled_is_told_as_facts():
    """4: everything that can be settled without a model is handed over."""
    files = Files(create=("new.txt",), modify=("a.txt", "src/*.txt"), test=("t.txt",))
    task = a_task("a", files=files, verify=(Command(argv=("check",)),), allow_test_changes=True)
    bent = DomainTestChange(path="t.txt", kind=DomainTestChangeKind.SKIPPED, detail="test_x is skipped")
    silenced = (Silenced(path="a.py", by=SilencedBy.COMMENT, detail="# noqa", line=2),)
    seal = {"present": ("a.txt",), "placeholders": ("a.txt:3: TODO",), "test_changes": (bent,), "silenced": silenced}
    play = Play(a_plan(task, gates=[a_gate("lint", GatePoint.TASK), a_gate("odd", GatePoint.TASK)]), review=True)
    play.begin(failed("odd"))
    play.attempt("a", done(changes=["new.txt"], seal={**seal, "present": ("new.txt", "a.txt")}))
    shaky = replace(passed("lint"), flaky=("test_y",), command="lint .")
    play.gates("a", shaky, replace(failed("odd"), exit_code=None))
    told = brief(play)
    for line in (
        "Changed since the task began: new.txt.",
        "Listed under modify and not touched: a.txt (exists).",
        "Listed under modify and not touched: src/*.txt (is not there, or not literal).",
        "Listed under test and not touched: t.txt (is not there, or not literal).",
        "Looks unfinished: a.txt:3: TODO.",
        "Touches existing tests: t.txt: skipped (test_x is skipped).",
        "Silences a check: a.py:2 comment # noqa.",
        "lint (`lint .`): passed; flaky: test_y.",
        "odd: fail.",
        "verify-1: passed.",
    ):
        assert line in told
    record = play.task("a").but(checked=())
    assert "The verify command `check` has no result for this tree yet." in facts_of_task(play.state, record)


def test_a_change_that_was_better_before_is_kept():
    """3.8: the better attempt is kept when a later one is worse."""
    play = reviewed(policy=Policy(review_fixes=1))
    play.attempt("a", fails(a_finding()))
    fix(play)
    play.attempt("a", fails(a_finding(), a_finding("f2")))
    asked = play.asked()
    assert asked.kept == "sealed(a.1)"
    assert "worse than what was there before" in asked.question


def test_a_provider_is_waited_for_by_those_who_wait_for_a_look():
    play = reviewed(agents=[AgentDef(name="judge", kind="command")], reviewer="judge")
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=1500.0))
    assert wake_at(play.state, play.now) == 1500.0
    whole = at_quality()
    whole.attempt("a", passes())
    whole.integrate("a")
    whole.attempt("", ended(ExitKind.RATE_LIMITED, retry_at=1600.0))
    assert wake_at(whole.state, whole.now) == 1600.0


def test_a_provider_nobody_waits_for_wakes_nobody():
    play = Play(a_plan(a_task("a"), a_task("b", agent="other")), agents=[AgentDef(name="other", kind="command")])
    play.begin()
    play.attempt("b", ended(ExitKind.RATE_LIMITED, retry_at=1500.0))
    play.record(TaskEndAsked(task="b", status=S.SKIPPED, reason=Reason.HUMAN, by="me"))
    assert wake_at(play.state, play.now) is None


def test_a_verdict_carried_over_does_not_bring_an_old_gate_run_back():
    """What waited for a fitter is forgotten with the state it was for."""
    play = at_quality(plan={"gates": [a_gate("lint", GatePoint.TASK)]}, gated=True)
    play.attempt("a", fails(a_finding(file="change")))
    fix(play, "change")
    play.gates("a", faulty("lint", FaultKind.ENV_MISSING))
    play.attempt("a", no_verdict())  # the fitter says nothing
    play.answer("retry")
    play.gates("a")
    assert role(play) is Role.QUALITY_REVIEWER, "stage 1 is carried over"
    assert play.task("a").unjudged is None


def test_an_author_who_said_nothing_claims_nothing():
    """No report, but a change: the evidence is judged, and the reviewer is told of no claim."""
    play = Play(a_plan(a_task("a")), review=True)
    play.begin()
    play.attempt("a", done(None))
    assert role(play) is Role.SPEC_REVIEWER
    assert "What the author says" not in brief(play)
