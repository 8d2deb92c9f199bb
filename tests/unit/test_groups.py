"""Groups: their tasks land as one, and a red group is bisected (SPEC 6, `domain.train`)."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from functools import partial
from itertools import chain, combinations
from math import ceil, log2
from typing import Any

import pytest

from chargehand.cli.render.lines import say
from chargehand.domain.effects import Land, MergeCandidate, RunFix, RunGates, StartAttempt
from chargehand.domain.events import (
    EffectIntended,
    EffectLost,
    GateMadeRequired,
    LandFinished,
    RunInterrupted,
    RunPaused,
    RunResumed,
    TaskEndAsked,
    TaskIntegrated,
)
from chargehand.domain.options import Caps
from chargehand.domain.outcome import ExitKind, FaultKind, Landed, ReportStatus, Role
from chargehand.domain.plan import Command, Files, GatePoint, Mode
from chargehand.domain.policy import Policy
from chargehand.domain.receipt import Entry, ReceiptBook
from chargehand.domain.restoring import command_of, fit_name
from chargehand.domain.view import why
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, TaskStatus
from chargehand.engine.jobs import gate_job
from chargehand.report.history import remember
from tests.play import BASE, Play, a_gate, a_plan, a_task, done, ended, failed, faulty, passed
from tests.watched import Watched

S = TaskStatus
TESTS = a_gate("tests", GatePoint.INTEGRATE)
Red = Callable[[Collection[str]], bool]


def grouped(*names: str, merged: bool = True, begun: bool = True, **options: Any) -> Watched:
    """A group whose tasks are done; unless told otherwise its candidates are built, and the last one is gated."""
    gates, fields = options.pop("gates", [TESTS]), options.pop("task", {})
    tasks = [a_task(name, **{"group": "g", **fields}) for name in names]
    play = Watched(a_plan(*tasks, *options.pop("others", ()), gates=gates), **{"jobs": len(names), **options})
    play.begin()
    for name in names if begun else ():
        play.attempt(name)
    for name in names if begun and merged else ():
        play.merge(name)
    return play


def of_kind(play: Play, kind: type[Any]) -> list[Any]:
    effects = [event.effect for event in play.events if isinstance(event, EffectIntended)]
    return [effect for effect in effects if isinstance(effect, kind)]


def gated(play: Play) -> list[str]:
    """What was gated as merged, in order: the tasks in each candidate."""
    return ["".join((*effect.beside, effect.task)) for effect in of_kind(play, RunGates) if effect.task]


def landings(play: Play) -> list[str]:
    """What landed with each movement of the branch."""
    landed = {event.key for event in play.events if isinstance(event, LandFinished)}
    found = [effect for effect in of_kind(play, Land) if effect.key in landed]
    return ["".join((*effect.beside, effect.task)) for effect in found]


def meet(bad: Collection[str], tree: Collection[str]) -> bool:
    """Whether one of them is in it."""
    return not set(bad).isdisjoint(tree)


def finish(play: Watched, red: Red = lambda tree: False) -> None:
    """Let everything end; a candidate is red as the tasks in it are. An attempt is good the second time."""
    for _ in range(500):
        under_way = list(play.state.inflight.values())
        if not under_way:
            return
        match under_way[0]:
            case StartAttempt() as effect:
                play.attempt(effect.task)
            case MergeCandidate() as effect:
                play.merge(effect.task)
            case Land() as effect:
                play.land(effect.task)
            case RunGates(task="") as effect:
                play.gates()
            case RunGates() as effect:
                tree = {name for name, record in play.state.tasks.items() if record.landed} | {*effect.beside}
                first = {name for name in (*tree, effect.task) if play.task(name).made == 1}
                play.gates(effect.task, *(["tests"] if red(first) else []))
    raise AssertionError("It does not end.")


# -- as one ---------------------------------------------------------------------------------------


def test_a_green_group_is_gated_once_and_lands_with_one_movement():
    """I3: built on each other in plan order, gated with all of them, each at its place on the branch."""
    play = grouped("a", "b", "c", "d")
    commits = [play.task(name).candidate.commit for name in "abcd"]
    assert [play.task(name).candidate.head for name in "abcd"] == [BASE, *commits[:3]]
    gates = play.effect(RunGates, "d")
    assert (gates.commit, gates.base, gates.beside) == (commits[3], BASE, ("a", "b", "c"))
    play.gates("d")
    land = play.effect(Land, "d")
    assert (land.head, land.commit, land.beside) == (BASE, commits[3], ("a", "b", "c"))
    play.land("d")
    integrated = [(event.task, event.commit) for event in play.events if isinstance(event, TaskIntegrated)]
    assert integrated == list(zip("abcd", commits, strict=True))
    assert (gated(play), landings(play), play.branch) == (["abcd"], ["abcd"], commits[3])
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_they_are_merged_in_plan_order_whoever_was_first():
    """I15."""
    play = grouped("a", "b", "c", begun=False)
    for name in "cba":
        play.attempt(name)
    finish(play)
    assert landings(play) == ["abc"]


def test_a_group_waits_for_its_members_and_says_so():
    """I12; nothing is built before everybody is ready."""
    play = grouped("a", "b", "c", begun=False)
    play.attempt("a")
    play.attempt("c")
    assert [*play.state.inflight] == ["b/1/attempt"]
    assert "lands together with the rest of its group, and waits for b" in why(play.state, "a", play.now)
    play.attempt("b")
    assert "waits" not in why(play.state, "a", play.now)
    finish(play)
    assert landings(play) == ["abc"]


def test_who_waits_for_the_group_gives_the_slot_back():
    """I10: else a group of more tasks than there are slots would never be complete."""
    play = grouped("a", "b", "c", begun=False, jobs=1)
    for name in "abc":
        assert play.running == [name]
        play.attempt(name)
    finish(play)
    assert landings(play) == ["abc"]


def test_without_gates_they_land_together_all_the_same():
    play = grouped("a", "b", gates=[])
    assert play.effect(Land, "b").beside == ("a",)
    finish(play)
    assert (gated(play), landings(play)) == ([], ["ab"])


def test_syntax_is_looked_at_before_the_group_is_built():
    """3.7.5: each task by itself, at once; not again with the others."""
    play = grouped("a", "b", begun=False, gates=[TESTS])
    for name in "ab":
        play.attempt(name, done(changes=[f"{name}.py"]))
        own = play.effect(RunGates, name)
        assert (own.point, own.syntax) == (GatePoint.TASK, True)
        play.gates(name, passed("syntax"))
    for name in "ab":
        play.merge(name)
    assert not play.effect(RunGates, "b").syntax


def test_two_groups_and_a_task_of_its_own_land_one_after_the_other():
    """A task of its own does not wait for a group that is not complete."""
    tasks = [a_task(name, group=group) for name, group in [("a", "g"), ("b", "h"), ("x", None), ("c", "g"), ("d", "h")]]
    play = Watched(a_plan(*tasks, gates=[TESTS]), jobs=5)
    play.begin()
    for name in "abx":
        play.attempt(name)
    play.integrate("x")
    for name in "dc":
        play.attempt(name)
    finish(play)
    assert landings(play) == ["x", "ac", "bd"]


def test_a_group_that_is_complete_while_another_task_lands_comes_after_it():
    """I3: one landing at a time; the branch is moved from where it really stands."""
    play = grouped("a", "b", begun=False, jobs=3, others=[a_task("x")])
    play.attempt("a")
    play.attempt("x")
    play.merge("x")
    play.gates("x")
    land = play.effect(Land, "x")
    play.record(TaskEndAsked(task="b", status=S.SKIPPED, reason=Reason.HUMAN, by="me"))
    play.attempt("b", ended(ExitKind.CANCELLED))
    assert play.effect(MergeCandidate, "a").head == BASE, "it stands before x"
    play.merge("a")
    play.gates("a")
    assert play.effect(Land, "x") == land
    assert play.task("a").inflight is None
    finish(play)
    assert landings(play) == ["x", "a"]


def test_a_gate_red_on_the_base_is_required_when_the_whole_was_green():
    """What was green of a part of the group says nothing of what landed."""
    play = Watched(a_plan(a_task("a", group="g"), a_task("b", group="g"), gates=[TESTS]), jobs=2)
    play.begin(failed("tests"))
    finish(play)
    assert [event.gate for event in play.events if isinstance(event, GateMadeRequired)] == ["tests"]
    assert "tests" not in play.state.baseline_red


# -- red ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("culprit", "runs"), [("a", 4), ("b", 4), ("c", 4), ("d", 3)])
def test_one_culprit_of_four_is_found_and_the_others_land_at_once(culprit: str, runs: int):
    """I3, I10: one run for the whole, two to find it, and one for those that are left, where they are not known yet."""
    play = grouped("a", "b", "c", "d", merged=False)
    finish(play, lambda tree: culprit in tree)
    rest = "abcd".replace(culprit, "")
    assert landings(play) == [rest, culprit]
    assert len(gated(play)) == runs + 1, "the last is that of its second attempt"
    second = [effect for effect in of_kind(play, StartAttempt) if effect.attempt == 2]
    tip = next(event.commit for event in play.events if isinstance(event, TaskIntegrated) and event.task == rest[-1])
    assert [(effect.task, effect.base, effect.role) for effect in second] == [(culprit, tip, Role.IMPLEMENTER)]
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_culprit_is_told_what_it_broke():
    play = grouped("a", "b", "c")
    play.gates("c", "tests")
    assert play.task("c").status is S.INTEGRATING, "it may be the fault of one before it"
    play.gates("a")
    play.gates("b", failed("tests", "test_b"))
    failure = play.task("b").failure
    assert (failure.reason, failure.summary) == (Reason.GATE_RED, "Red: tests.")
    assert failure.facts[-1] == "It is red as merged with a; without this task they are green."
    assert "failing: test_b" in failure.facts
    assert "the rest of its group (g) lands first" in why(play.state, "b", play.now)


def test_tasks_that_are_red_only_together_end_too():
    """The last of the shortest red prefix is the culprit; begun anew on the others it may be good."""
    play = grouped("a", "b", "c", "d", merged=False)
    finish(play, lambda tree: {"b", "c"} <= set(tree))
    assert landings(play) == ["abd", "c"]
    assert gated(play)[:4] == ["abcd", "ab", "abc", "abd"]


def test_every_set_of_culprits_is_found_within_the_bound():
    """I10: a run for each whole, and the logarithm of its size for each culprit."""
    names = "abcde"
    subsets = chain.from_iterable(combinations(names, size) for size in range(len(names) + 1))
    for bad in map(set, subsets):
        play = grouped(*names, merged=False, policy=Policy(retries=0), unattended=True)
        finish(play, partial(meet, bad))
        good = "".join(name for name in names if name not in bad)
        assert landings(play) == [good] * bool(good)
        assert {name for name in names if play.task(name).status is S.FAILED} == bad
        assert len(gated(play)) <= 1 + len(bad) * (1 + ceil(log2(len(names)))), (bad, gated(play))


def test_a_gate_that_cannot_judge_is_searched_for_like_a_red_one():
    """5: the one that makes it hang is mended or asked about, nobody else."""
    play = grouped("a", "b", "c")
    play.gates("c", faulty("tests"))
    assert not play.state.fits
    play.gates("a")
    play.gates("b", faulty("tests"))
    assert play.state.fits["tests"].raised
    play.gates("b", faulty("tests"))
    fitter = play.effect(StartAttempt, "b")
    assert (fitter.role, fitter.commit) == (Role.FITTER, play.task("b").candidate.commit)
    assert [*play.state.inflight.values()] == [fitter], "nothing else is gated meanwhile"


def test_a_fault_that_a_person_is_asked_about_keeps_nobody_else():
    play = grouped("a", "b", policy=Policy(fits=0), caps=Caps(gate_wall_cap_s=0.0))
    play.gates("b", faulty("tests", FaultKind.ENV_MISSING))
    play.gates("a")
    assert (play.asked().task, play.asked().reason) == ("b", Reason.LINE_FAULT)
    play.land("a")
    play.answer("retry")
    finish(play)
    assert landings(play) == ["a", "b"]


def test_what_its_own_command_mends_joins_the_others_again():
    """5: the change goes on as it was mended, and the group waits for it."""
    gate = a_gate("lint", GatePoint.INTEGRATE, fix=Command(argv=("mend",)))
    play = grouped("a", "b", "c", gates=[gate])
    play.gates("c", "lint")
    play.gates("a", "lint")
    assert play.effect(RunFix, "a").gates == ("lint",)
    assert [*play.state.inflight] == ["a/1/fix-1"]
    play.mend("a", "change")
    finish(play)
    assert landings(play) == ["abc"]
    assert gated(play)[-1] == "abc"


def test_nothing_is_mended_while_the_run_is_interrupted():
    """What the gates said waits for the one who takes the run up."""
    gate = a_gate("lint", GatePoint.INTEGRATE, fix=Command(argv=("mend",)))
    play = grouped("a", gates=[gate])
    play.record(RunInterrupted(by="me"))
    play.gates("a", "lint")
    assert not play.state.inflight
    play.record(RunResumed(pid=1, host="h", version="v"))
    assert play.effect(RunFix, "a").gates == ("lint",)


# -- commands of tasks ----------------------------------------------------------------------------

CHECK = {"verify": (Command(argv=("check",)),)}


def verified(*names: str) -> Watched:
    play = grouped(*names, merged=False, begun=False, task=CHECK)
    for name in names:
        play.attempt(name)
        play.gates(name)
    for name in names:
        play.merge(name)
    return play


def test_commands_of_every_member_run_on_what_lands():
    """6: verify runs again as merged; each under the name of its task, and never two under one."""
    play = verified("a", "b", "c")
    effect = play.effect(RunGates, "c")
    ids = ["verify-1", "a/verify-1", "b/verify-1", "tests"]
    assert play.checks(effect) == [check.id for check in gate_job(play.state, effect).checks] == ids
    play.gates("c", "a/verify-1")
    play.gates("a")
    play.gates("b", "a/verify-1")
    assert play.task("b").failure.summary == "Red: a/verify-1."


def test_a_command_of_a_member_that_cannot_judge_is_fitted_as_its_own():
    play = verified("a", "b")
    play.gates("b", faulty("a/verify-1"))
    play.gates("a")
    fit = play.state.fits["a/verify-1"]
    assert fit.raised
    assert fit_name(play.state, "b", "a/verify-1") == fit_name(play.state, "a", "verify-1") == "a/verify-1"
    assert command_of(play.state, "b", "a/verify-1") == Command(argv=("check",))
    checks = {check.id: check.wall_s for check in gate_job(play.state, play.effect(RunGates, "b")).checks}
    assert checks["a/verify-1"] == fit.fit.wall_s > checks["verify-1"]


def test_tests_may_vanish_where_one_of_the_changes_may_take_them_away():
    gates = [a_gate("tests", GatePoint.INTEGRATE, junit=True)]
    tasks = [a_task("a", group="g", allow_test_changes=True), a_task("b", group="g"), a_task("x")]
    play = Watched(a_plan(*tasks, gates=gates), jobs=3)
    play.begin(replace(passed("tests"), tests="base.json"))
    for name in "abx":
        play.attempt(name)
    for name in "abx":
        play.merge(name)
    looks = {effect.task: gate_job(play.state, effect).checks[0] for effect in of_kind(play, RunGates)}
    assert {name: (check.may_vanish, check.baseline) for name, check in looks.items()} == {
        "x": (False, "base.json"),
        "b": (True, "base.json"),
    }


# -- conflicts ------------------------------------------------------------------------------------


def test_a_conflict_within_the_group_waits_until_the_others_have_landed():
    """It is tried anew on what they leave, and goes back with both sides when it still does not merge."""
    play = grouped("a", "b", "c", merged=False)
    play.merge("a")
    play.merge("b", conflict=["list"])
    play.merge("c")
    assert play.effect(RunGates, "c").beside == ("a",)
    play.gates("c")
    play.land("c")
    assert play.effect(MergeCandidate, "b").head == play.branch
    play.merge("b", conflict=["list"])
    assert play.task("b").tries.conflicts == 1
    assert play.effect(StartAttempt, "b").base == play.branch
    finish(play)
    assert landings(play) == ["ac", "b"]


def test_conflicts_that_were_none_without_the_one_before():
    play = grouped("a", "b", "c", merged=False)
    play.merge("a")
    play.merge("b", conflict=["list"])
    play.merge("c", conflict=["list"])
    play.gates("a", "tests")
    assert play.effect(MergeCandidate, "b").head == BASE
    assert play.task("c").inflight is None
    finish(play)
    assert landings(play) == ["bc", "a"]
    assert {play.task(name).tries.conflicts for name in "abc"} == {0}


def test_a_conflict_with_the_branch_goes_back_and_begins_when_the_group_has_landed():
    play = grouped("a", "b", merged=False)
    play.merge("a", conflict=["list"])
    assert play.task("a").tries.conflicts == 1
    assert play.running == []
    finish(play)
    assert landings(play) == ["b", "a"]
    assert of_kind(play, StartAttempt)[-1].base == play.task("b").landed


# -- people ---------------------------------------------------------------------------------------


def test_who_waits_for_a_person_is_not_waited_for():
    play = grouped("a", "b", begun=False)
    play.attempt("a")
    play.attempt("b", done(ReportStatus.NEEDS_CONTEXT, changes=[]))
    assert play.asked().kind is DecisionKind.CONTEXT
    play.integrate("a")
    play.answer("retry")
    finish(play)
    assert landings(play) == ["a", "b"]


def test_a_member_that_is_cancelled_while_they_are_gated_is_built_out():
    play = grouped("a", "b", "c")
    play.record(TaskEndAsked(task="a", status=S.CANCELLED, reason=Reason.HUMAN, by="me"))
    assert play.task("a").status is S.CANCELLED
    play.gates("c")
    finish(play)
    assert landings(play) == ["bc"]
    assert gated(play) == ["abc", "bc"]


def test_a_member_that_is_cancelled_while_they_land_has_landed():
    """I4: what people want counts for what is not on the branch yet."""
    play = grouped("a", "b")
    play.gates("b")
    play.record(TaskEndAsked(task="a", status=S.CANCELLED, reason=Reason.HUMAN, by="me"))
    assert play.task("a").status is S.INTEGRATING
    play.land("b")
    assert [play.task(name).status for name in "ab"] == [S.INTEGRATED, S.INTEGRATED]


def test_a_landing_that_was_lost_is_made_again_for_all():
    play = grouped("a", "b")
    play.gates("b")
    land = play.effect(Land, "b")
    play.record(EffectLost(key=land.key, detail="gone"))
    assert play.effect(Land, "b") == land
    assert play.task("a").inflight == land.key
    play.record(LandFinished(key=land.key, task="b", attempt=1, result=Landed(commit=land.commit)))
    assert play.state.head == land.commit
    assert play.state.finished


def test_a_branch_that_somebody_moved_is_asked_about_once():
    play = grouped("a", "b", "c")
    play.gates("c")
    play.land("c", moved="foreign")
    assert (play.asked().task, play.asked().reason) == ("c", Reason.BRANCH_MOVED)
    assert [play.task(name).inflight for name in "ab"] == [None, None]
    play.answer("retry")
    play.opened("foreign")
    finish(play)
    assert landings(play)[1:] == ["ab", "c"]


def test_a_pause_waits_for_the_members_that_have_yet_to_begin():
    """What is ready lands when the rest is; a run that goes on is not another one."""
    play = grouped("a", "b", begun=False, jobs=1)
    play.record(RunPaused(by="me"))
    play.attempt("a")
    assert not play.state.inflight
    play.record(RunResumed(pid=1, host="h", version="v"))
    finish(play)
    assert landings(play) == ["ab"]


# -- who can never be ready -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    [{"depends_on": ("a",)}, {"files": Files(modify=("change",))}, {"mode": Mode.SEQUENTIAL}],
    ids=["dependency", "lease", "alone"],
)
def test_a_member_that_needs_the_others_to_land_first_is_not_waited_for(fields: dict[str, Any]):
    """I13: a plan that asks for what cannot be gets as near to it as it can."""
    others = [a_task("c", group="g"), replace(a_task("b", group="g"), **fields)]
    play = Watched(a_plan(a_task("a", modify=["change"], group="g"), *others, gates=[TESTS]), jobs=3)
    play.begin()
    finish(play)
    assert play.state.finished.verdict is RunVerdict.FINISHED
    assert landings(play)[0] == "ac"


def test_a_member_whose_provider_asked_to_wait_is_waited_for():
    play = grouped("a", "b", begun=False)
    play.attempt("a")
    play.attempt("b", ended(ExitKind.RATE_LIMITED))
    assert not play.state.inflight
    play.pass_time(40.0)
    finish(play)
    assert landings(play) == ["ab"]


# -- receipts -------------------------------------------------------------------------------------


def test_receipts_tell_which_gates_stood_for_all_of_them():
    """Each has the gates of the tree that landed, its own commands among them, and with whom it landed."""
    play = verified("a", "b")
    play.gates("b")
    play.land("b")
    book = ReceiptBook(lambda file: None)
    for recorded in play.journal:
        book.take(Entry(recorded=recorded, chain=f"chain-{recorded.seq}"))
    tip = play.task("b").candidate
    for name, own in (("a", ["verify-1", "a/verify-1"]), ("b", ["verify-1", "verify-1"])):
        body, candidate = book.tasks[name].body, play.task(name).candidate
        assert body["together"] == ["a", "b"]
        assert (body["landed"], body["candidate"]["tree"]) == (candidate.commit, candidate.tree)
        assert [(row["id"], row["commit"]) for row in body["gates"]] == [("tests", tip.commit)]
        assert [row["id"] for row in body["verify"]] == own
        assert [row["commit"] for row in body["verify"]] == [play.task(name).sealed.commit, tip.commit]


def test_a_receipt_of_a_task_that_landed_by_itself_says_nothing_of_others():
    """I14: receipts that were made before stay as they are."""
    play = grouped("a")
    play.gates("a")
    play.land("a")
    book = ReceiptBook(lambda file: None)
    for recorded in play.journal:
        book.take(Entry(recorded=recorded, chain=f"chain-{recorded.seq}"))
    assert "together" not in book.tasks["a"].body


def test_log_and_report_tell_who_landed_with_whom():
    play = grouped("a", "b")
    play.gates("b")
    play.land("b")
    lines = [say(event).detail for event in play.events if isinstance(event, EffectIntended)]
    assert any("gates on the merged tree, together with a" in line for line in lines)
    assert any(line.startswith("moving the branch to") and line.endswith(", together with a") for line in lines)
    notes = remember(play.journal).notes
    assert notes["a"] == ["Landed as one with b; its gates as merged are those told of b."]
    assert notes["b"] == ["Landed as one with a."]
