"""What follows when a gate could not judge: mitigations, fitters, people (SPEC 5)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.brief_looks import compose_look
from chargehand.domain.effects import Land, RunFix, RunGates, StartAttempt
from chargehand.domain.events import EffectLost, GateMitigated, GatesFinished, WarningRaised
from chargehand.domain.line import Fit, Mitigation, RestorationOutcome
from chargehand.domain.options import AgentDef, Caps
from chargehand.domain.outcome import Change, ChangeKind, ExitKind, FaultKind, GateResult, Role
from chargehand.domain.plan import Barrier, Command, GatePoint, SetupSpec
from chargehand.domain.policy import Policy
from chargehand.domain.restoring import refusal
from chargehand.domain.words import DecisionKind, Reason, RunVerdict, StopReason, TaskStatus
from chargehand.engine.jobs import gate_job
from tests.looks import fitted, no_verdict
from tests.play import Play, a_gate, a_plan, a_task, done, ended, failed, faulty, passed

S = TaskStatus
POINTS = [GatePoint.TASK, GatePoint.INTEGRATE]


def gated(*points: GatePoint, gate: Any = None, task: Any = None, plan: Any = None, **options: Any) -> Play:
    """A run of one task whose gate is running on its own tree, or as merged."""
    gate = gate or a_gate("tests", *(points or (GatePoint.TASK,)))
    play = Play(a_plan(a_task("a", **(task or {})), gates=[gate], **(plan or {})), **options)
    play.begin()
    play.attempt("a")
    if points == (GatePoint.INTEGRATE,):
        play.merge("a")
    return play


def at_fitter(*points: GatePoint, kind: FaultKind = FaultKind.TIMEOUT, **options: Any) -> Play:
    """The same, where all that needs no model was tried: a fitter is at work."""
    play = gated(*points, **options)
    play.gates("a", faulty("tests", kind))
    if kind is not FaultKind.ENV_MISSING:
        play.gates("a", faulty("tests", kind))
    return play


def fitter(play: Play, task: str = "a") -> StartAttempt:
    effect = play.effect(StartAttempt, task)
    assert effect.role is Role.FITTER
    return effect


def job(play: Play, task: str = "a") -> Any:
    """The gate as it runs now."""
    (check,) = gate_job(play.state, play.effect(RunGates, task)).checks
    return check


def mitigations(play: Play) -> list[tuple[str, Mitigation]]:
    return [(event.gate, event.by) for event in play.events if isinstance(event, GateMitigated)]


# -- without a model ------------------------------------------------------------------------------


@pytest.mark.parametrize("point", POINTS)
def test_more_time_once_is_tried_first(point):
    """5: the budget is raised once within the cap, before a model is asked, and does not count."""
    play = gated(point)
    first = play.effect(RunGates, "a")
    play.gates("a", faulty("tests"))
    again = play.effect(RunGates, "a")
    assert mitigations(play) == [("tests", Mitigation.RAISED)]
    assert (again.commit, again.point) == (first.commit, point)
    assert again.key == f"{first.key}-2", "with a log of its own"
    assert job(play).wall_s == 2 * Caps().gate_wall_s
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED


def test_more_time_lasts_for_later_runs_and_other_tasks():
    play = Play(a_plan(a_task("a"), a_task("b", "a"), gates=[a_gate("tests", GatePoint.TASK)]))
    play.begin()
    play.attempt("a")
    play.gates("a", faulty("tests"))
    play.integrate("a")
    play.attempt("b")
    assert job(play, "b").wall_s == 1800
    play.gates("b", faulty("tests"))
    assert fitter(play, "b").gate == "tests", "raised once"


@pytest.mark.parametrize(
    ("wall_s", "cap_s", "more_s"), [(1000.0, 3600.0, 2000.0), (3000.0, 3600.0, 3600.0), (3600.0, 3600.0, None)]
)
def test_time_is_raised_within_the_cap(wall_s, cap_s, more_s):
    gate = a_gate("tests", GatePoint.TASK, wall_s=wall_s)
    play = gated(gate=gate, caps=Caps(gate_wall_cap_s=cap_s))
    play.gates("a", faulty("tests"))
    if more_s is None:
        assert fitter(play).gate == "tests"
    else:
        assert job(play).wall_s == more_s


def test_patience_is_raised_where_the_gate_was_silent():
    play = gated(gate=a_gate("tests", GatePoint.TASK, idle_s=60.0))
    play.gates("a", faulty("tests", FaultKind.STALL))
    assert (job(play).wall_s, job(play).idle_s) == (1800.0, 120.0)


def test_a_silence_as_long_as_the_gate_may_last_cannot_be_raised():
    gate = a_gate("tests", GatePoint.TASK, wall_s=100.0, idle_s=100.0)
    play = gated(gate=gate, caps=Caps(gate_wall_cap_s=100.0))
    play.gates("a", faulty("tests", FaultKind.STALL))
    assert fitter(play).gate == "tests"


def test_a_stall_without_a_silence_budget_is_given_time():
    play = gated()
    play.gates("a", faulty("tests", FaultKind.STALL))
    assert (job(play).wall_s, job(play).idle_s) == (1800.0, None)


@pytest.mark.parametrize("point", POINTS)
def test_what_is_ambiguous_is_run_once_more(point):
    play = gated(point)
    play.gates("a", faulty("tests", FaultKind.AMBIGUOUS))
    assert mitigations(play) == [("tests", Mitigation.RERUN)]
    assert job(play).wall_s == 900
    play.gates("a", faulty("tests", FaultKind.AMBIGUOUS))
    assert fitter(play).gate == "tests"


def test_a_gate_that_judged_is_run_once_more_another_time():
    play = Play(a_plan(a_task("a"), a_task("b", "a"), gates=[a_gate("tests", GatePoint.TASK)]))
    play.begin()
    for task in ("a", "b"):
        play.attempt(task)
        play.gates(task, faulty("tests", FaultKind.AMBIGUOUS))
        play.integrate(task)
    assert mitigations(play) == [("tests", Mitigation.RERUN)] * 2
    assert play.state.finished


def test_a_verify_command_is_mitigated_for_its_own_task_only():
    tasks = [a_task(name, verify=(Command(argv=("check",)),)) for name in "ab"]
    play = Play(a_plan(*tasks), jobs=2)
    play.begin()
    play.attempt("a")
    play.attempt("b")
    play.gates("a", faulty("verify-1"))
    assert mitigations(play) == [("a/verify-1", Mitigation.RAISED)]
    assert (job(play, "a").wall_s, job(play, "b").wall_s) == (1800, 900)
    play.gates("a")
    assert play.state.fits["a/verify-1"].raised


def test_what_the_runtime_does_itself_is_no_matter_for_a_fitter():
    """A checkout that failed is tried once more, then a person is asked; setup at once."""
    play = gated()
    play.gates("a", faulty("checkout", FaultKind.AMBIGUOUS))
    play.gates("a", faulty("checkout", FaultKind.AMBIGUOUS))
    assert play.asked().reason is Reason.LINE_FAULT
    other = gated(plan={"setup": SetupSpec(run=Command(argv=("make",)))})
    other.gates("a", faulty("setup"))
    assert other.asked().reason is Reason.LINE_FAULT


# -- a fitter -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", FaultKind)
@pytest.mark.parametrize("point", POINTS)
def test_a_fitter_is_told_the_line_fault_and_the_gate_verifies_its_answer(point, kind):
    """5: with only the contract, budgets, logs and retries so far; the run of the gate is the retry."""
    play = at_fitter(point, kind=kind)
    effect, status = fitter(play), play.task("a").status
    assert status is (S.GATING if point is GatePoint.TASK else S.INTEGRATING)
    record = play.task("a")
    judged = record.sealed if point is GatePoint.TASK else record.candidate
    assert (effect.gate, effect.commit, effect.tree, effect.attempt) == ("tests", judged.commit, judged.tree, 2)
    told = compose_look(play.state, effect).text
    assert f'"stop_reason": "{kind}"' in told
    assert "wall budget 900 s, at most 3600 s" in told
    assert "Tried before" not in told
    play.attempt("a", fitted("tests", env=(("SLOW_TIMEOUT", "1"),), applied=["waits longer"]))
    assert mitigations(play)[-1] == ("tests", Mitigation.FITTED)
    assert job(play).env == (("SLOW_TIMEOUT", "1"),)
    assert play.task("a").made == 1
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED


def test_what_a_fitter_found_applies_to_later_runs():
    gates = [a_gate("tests", GatePoint.TASK, GatePoint.RUN)]
    play = Play(a_plan(a_task("a"), a_task("b", "a"), gates=gates))
    play.begin()
    play.attempt("a")
    play.gates("a", faulty("tests", FaultKind.ENV_MISSING))
    play.attempt("a", fitted("tests", wall_s=1000.0, idle_s=50.0, argv=("tests", "-n2"), env=(("SLOW_TIMEOUT", "1"),)))
    play.integrate("a")
    play.attempt("b")
    for task in ("b", ""):
        check = job(play, task)
        assert (check.wall_s, check.idle_s, check.env) == (1000, 50, (("SLOW_TIMEOUT", "1"),))
        assert check.run.argv == ("tests", "-n2")
        if task:
            play.integrate(task)


def test_a_second_restoration_has_to_differ():
    """5: a second one only when its mitigation differs materially; never a third."""
    play = at_fitter(kind=FaultKind.ENV_MISSING)
    play.attempt("a", fitted("tests", env=(("ONE_TIMEOUT", "1"),)))
    play.gates("a", faulty("tests", FaultKind.ENV_MISSING))
    assert "propose something else" in compose_look(play.state, fitter(play)).text
    play.attempt("a", fitted("tests", env=(("TWO_TIMEOUT", "1"),)))
    assert job(play).env == (("ONE_TIMEOUT", "1"), ("TWO_TIMEOUT", "1"))
    play.gates("a", faulty("tests", FaultKind.ENV_MISSING))
    assert play.asked().reason is Reason.LINE_FAULT
    assert mitigations(play) == [("tests", Mitigation.FITTED)] * 2


@pytest.mark.parametrize("second", [{"env": (("ONE_TIMEOUT", "1"),)}, {}])
def test_the_same_restoration_again_is_refused(second):
    play = at_fitter(kind=FaultKind.ENV_MISSING)
    play.attempt("a", fitted("tests", env=(("ONE_TIMEOUT", "1"),)))
    play.gates("a", faulty("tests", FaultKind.ENV_MISSING))
    play.attempt("a", fitted("tests", **second))
    assert "nothing that was not tried" in play.asked().question


def test_back_to_what_was_tried_is_refused():
    play = at_fitter(kind=FaultKind.ENV_MISSING, policy=Policy(fits=3))
    for value in ("1", "2"):
        play.attempt("a", fitted("tests", env=(("ONE_TIMEOUT", value),)))
        play.gates("a", faulty("tests", FaultKind.ENV_MISSING))
    play.attempt("a", fitted("tests", env=(("ONE_TIMEOUT", "1"),)))
    assert "nothing that was not tried" in play.asked().question


def test_a_gate_that_is_fitted_and_red_is_red():
    play = at_fitter()
    play.attempt("a", fitted("tests", wall_s=2000.0))
    play.gates("a", "tests")
    assert play.effect(StartAttempt, "a").role is Role.IMPLEMENTER
    assert play.task("a").failure.reason is Reason.GATE_RED


def test_yellow_is_a_decision():
    play = at_fitter()
    play.attempt("a", fitted("tests", RestorationOutcome.YELLOW, notes="the licence server is down"))
    asked = play.asked()
    assert (asked.kind, asked.reason) == (DecisionKind.ESCALATION, Reason.LINE_FAULT)
    assert "licence server" in asked.question
    assert "timeout" in asked.question
    play.answer("retry")
    assert (play.effect(RunGates, "a").point, play.task("a").made) == (GatePoint.TASK, 1)
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED


def test_red_stops_the_line():
    """5: secrets or interaction needed; stop."""
    play = at_fitter()
    play.attempt("a", fitted("tests", RestorationOutcome.RED, notes="a key is missing"))
    assert (play.task("a").status, play.task("a").reason) == (S.FAILED, Reason.LINE_FAULT)
    assert play.state.stopped.reason is StopReason.LINE_FAULT
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert "a key is missing" in play.state.finished.detail


def test_no_restoration_is_a_decision():
    play = at_fitter()
    play.attempt("a", no_verdict())
    assert "gave no restoration" in play.asked().question


FORBIDDEN: dict[str, tuple[dict[str, Any], str]] = {
    "drops an argument": ({"argv": ("tests", "-q")}, "additions behind it"),
    "another program": ({"argv": ("true", "-q", "x")}, "additions behind it"),
    "selects": ({"argv": ("tests", "-q", "-k", "fast", "x")}, "additions behind it"),
    "deselects": ({"argv": ("tests", "-q", "x", "--deselect=x")}, "as it is: --deselect=x"),
    "another order": ({"argv": ("tests", "x", "-q")}, "additions behind it"),
    "a chain": ({"argv": ("tests", "-q", "x", "||", "true")}, "as it is: || true"),
    "PATH": ({"env": (("PATH", "/tmp"),)}, "PATH may decide what is run"),
    "another compiler": ({"env": (("RUSTC_WRAPPER", "x"),)}, "RUSTC_WRAPPER may decide"),
    "another home": ({"env": (("XDG_CONFIG_HOME", "x"),)}, "XDG_CONFIG_HOME may decide"),
    "another index": ({"env": (("PIP_CONFIG_FILE", "x"),)}, "PIP_CONFIG_FILE may decide"),
    "a loader": ({"env": (("LD_PRELOAD", "x"),)}, "LD_PRELOAD may decide"),
    "options by environment": ({"env": (("PYTEST_ADDOPTS", "-k x"),)}, "PYTEST_ADDOPTS may decide"),
    "a program of its own": ({"argv": ("tests", "-q", "x", "-c", "/dev/null")}, "as it is: -c /dev/null"),
    "another name": ({"env": (("MAKE", "true"),)}, "MAKE may decide"),
    "over the cap": ({"wall_s": 3601.0}, "at most 3600 s"),
    "no time": ({"wall_s": 0.0, "idle_s": -1.0}, "more than 0 s"),
    "patience over the cap": ({"idle_s": 5000.0}, "at most 3600 s"),
}


@pytest.mark.parametrize("name", FORBIDDEN)
def test_a_fitter_may_change_budgets_invocation_and_environment_only(name):
    """5: never product code, and nothing that lets the gate pass without having looked [I7]."""
    fit, why = FORBIDDEN[name]
    gate = replace(a_gate("tests", GatePoint.TASK), run=Command(argv=("tests", "-q", "x")))
    play = gated(gate=gate)
    for _ in range(2):
        play.gates("a", faulty("tests"))
    play.attempt("a", fitted("tests", **fit))
    assert why in play.asked().question
    assert "not allowed" in play.asked().question


def test_what_a_shell_runs_keeps_its_invocation():
    gate = replace(a_gate("tests", GatePoint.TASK), run=Command(argv=("make test",), shell=True))
    play = gated(gate=gate)
    for _ in range(2):
        play.gates("a", faulty("tests"))
    play.attempt("a", fitted("tests", argv=("sh", "-c", "make test", "x")))
    assert "as it is: x" in play.asked().question


def test_a_restoration_is_about_the_gate_that_was_asked_about():
    play = at_fitter()
    play.attempt("a", fitted("lint", wall_s=2000.0))
    assert "it is about lint" in play.asked().question


def test_a_gate_that_left_the_plan_cannot_be_fitted():
    play = gated()
    restoration = fitted("gone").restoration
    assert restoration is not None
    assert "is no command of the plan" in refusal(play.state, "a", "gone", restoration)


# -- what is none, and bounds ---------------------------------------------------------------------


def test_a_fitter_whose_provider_asks_to_wait_is_asked_again():
    play = at_fitter()
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=1500.0))
    assert play.running == []
    assert not play.state.decisions
    play.pass_time(500)
    assert fitter(play).attempt == 3


@pytest.mark.parametrize("how", ["crash", "lost"])
def test_a_lost_fitter_is_asked_again(how):
    play = at_fitter()
    if how == "crash":
        play.record(EffectLost(key=fitter(play).key, detail="gone"))
    else:
        play.attempt("a", ended(ExitKind.LOST))
    assert (fitter(play).attempt, fitter(play).key) == (2, "a/2/attempt-3")
    play.attempt("a", fitted("tests", wall_s=2000.0))
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED


def test_a_task_that_used_up_its_attempts_gets_no_fitter():
    play = at_fitter(caps=Caps(task_attempts=1))
    assert play.asked().reason is Reason.LINE_FAULT


def test_a_fitter_is_asked_about_a_gate_that_left_no_result():
    """There is no line fault to show then."""
    play = gated()
    effect = play.effect(RunGates, "a")
    for _ in range(2):
        effect = play.effect(RunGates, "a")
        point, commit = effect.point, effect.commit
        play.record(
            GatesFinished(key=effect.key, task="a", attempt=1, point=point, commit=commit, results=()),
        )
    told = compose_look(play.state, fitter(play)).text
    assert "Line Fault" not in told
    assert "How gates are run" in told


def test_a_fitter_waits_for_a_slot_of_its_agent():
    """Its agent has one, and another task has it."""
    agents = [AgentDef(name="one", kind="command", jobs=1)]
    tasks = [a_task(name, agent="one") for name in "ab"]
    play = Play(a_plan(*tasks, gates=[a_gate("tests", GatePoint.TASK)]), agents=agents, jobs=2)
    play.begin()
    play.attempt("a")
    play.gates("a", faulty("tests", FaultKind.ENV_MISSING))
    assert play.running == ["b"]
    play.attempt("b")
    assert play.running == ["a"]
    fitter(play)


def test_two_tasks_know_of_each_other_s_restorations():
    """The second finds the gate fitted already: it runs once more as it is now, then a fitter is asked."""
    play = Play(a_plan(a_task("a"), a_task("b"), gates=[a_gate("tests", GatePoint.TASK)]), jobs=2)
    play.begin()
    for task in "ab":
        play.attempt(task)
    play.gates("a", faulty("tests", FaultKind.ENV_MISSING))
    play.attempt("a", fitted("tests", env=(("ONE_TIMEOUT", "1"),)))
    play.gates("b", faulty("tests", FaultKind.ENV_MISSING))
    fitter(play, "b")
    play.attempt("b", fitted("tests", env=(("TWO_TIMEOUT", "1"),)))
    assert job(play, "b").env == (("ONE_TIMEOUT", "1"), ("TWO_TIMEOUT", "1"))


# -- gates of the run -----------------------------------------------------------------------------


def at_the_end(*results: GateResult, **options: Any) -> Play:
    """All tasks landed, and the gate of the run is running."""
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests", GatePoint.RUN)], **options.pop("plan", {})), **options)
    play.begin(*results)
    play.through("a")
    return play


def test_a_gate_of_the_run_is_mitigated_and_fitted():
    play = at_the_end()
    keys = [play.effect(RunGates).key]
    play.gates("", faulty("tests"))
    keys.append(play.effect(RunGates).key)
    assert job(play, "").wall_s == 1800
    play.gates("", faulty("tests"))
    effect = fitter(play, "")
    assert (effect.task, effect.attempt, effect.tree) == ("", 1, play.state.head_tree)
    told = compose_look(play.state, effect).text
    assert '"stop_reason": "timeout"' in told
    assert "Run of p" in told
    play.attempt("", fitted("tests", env=(("SLOW_TIMEOUT", "1"),)))
    keys.append(play.effect(RunGates).key)
    assert job(play, "").env == (("SLOW_TIMEOUT", "1"),)
    assert len(set(keys)) == 3
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_what_cannot_be_fitted_at_the_end_is_red():
    play = at_the_end()
    for _ in range(2):
        play.gates("", faulty("tests"))
    play.attempt("", fitted("tests", RestorationOutcome.YELLOW, notes="no licence"))
    assert [event.code for event in play.events if isinstance(event, WarningRaised)] == ["line_fault"]
    assert play.state.finished.verdict is RunVerdict.FAILED
    assert "tests is red" in play.state.finished.detail


@pytest.mark.parametrize("kind", [ExitKind.LOST, ExitKind.RATE_LIMITED])
def test_a_fitter_of_the_run_that_was_none_is_asked_again(kind):
    play = at_the_end()
    for _ in range(2):
        play.gates("", faulty("tests"))
    play.attempt("", ended(kind))
    if kind is ExitKind.RATE_LIMITED:
        assert not play.state.inflight
        play.pass_time(30)
    assert fitter(play, "").role is Role.FITTER
    play.attempt("", fitted("tests", wall_s=3000.0))
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_crash_gives_the_fitter_of_the_run_back():
    play = at_the_end()
    for _ in range(2):
        play.gates("", faulty("tests"))
    play.record(EffectLost(key=fitter(play, "").key, detail="gone"))
    assert (fitter(play, "").attempt, fitter(play, "").launch) == (1, 2)


def test_a_wave_gate_is_fitted_too():
    play = Play(a_plan(a_task("a"), barrier=Barrier.WAVE, gates=[a_gate("wave", GatePoint.WAVE)]))
    play.begin()
    play.through("a")
    play.gates("", faulty("wave", FaultKind.ENV_MISSING))
    play.attempt("", fitted("wave", env=(("ONE_TIMEOUT", "1"),)))
    play.gates()
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_a_wave_gate_that_cannot_be_fitted_is_a_question():
    play = Play(a_plan(a_task("a"), barrier=Barrier.WAVE, gates=[a_gate("wave", GatePoint.WAVE)]))
    play.begin()
    play.through("a")
    play.gates("", faulty("wave", FaultKind.ENV_MISSING))
    play.attempt("", no_verdict())
    assert play.asked().kind is DecisionKind.WAVE


def test_the_canary_gets_more_time_before_the_run_is_stopped():
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests")]))
    play.begin(faulty("tests"))
    assert not play.state.stopped
    assert play.state.fits["tests"].fit == Fit(wall_s=1800.0)
    play.canary(faulty("tests"))
    assert play.state.stopped.reason is StopReason.CANARY


# -- fix commands ---------------------------------------------------------------------------------


def mending(*points: GatePoint, **options: Any) -> Play:
    """A gate with a `fix` is red."""
    gate = a_gate("lint", *(points or (GatePoint.TASK,)), fix=Command(argv=("lint", "--fix")))
    play = gated(*points, gate=gate, **options)
    play.gates("a", "lint")
    return play


@pytest.mark.parametrize("point", POINTS)
def test_a_red_gate_is_mended_by_its_own_command_first(point):
    """5: once by the runtime, on the changed files, before a fixer is asked; then it is gated anew."""
    play = mending(point)
    effect = play.effect(RunFix, "a")
    assert (effect.gates, effect.paths, effect.commit) == (("lint",), ("change",), "sealed(a.1)")
    play.mend("a", "change")
    record = play.task("a")
    assert (record.sealed.commit, record.sealed.base, record.tries.attempts) == ("mended(sealed(a.1))", "base", 1)
    play.integrate("a")
    assert play.task("a").status is S.INTEGRATED
    assert "mended(sealed(a.1))" in (play.branch or "")


@pytest.mark.parametrize("point", POINTS)
def test_where_nothing_was_mended_the_failure_is_what_it_was(point):
    play = mending(point)
    play.mend("a")
    assert play.task("a").failure.reason is Reason.GATE_RED
    assert play.effect(StartAttempt, "a").role is Role.IMPLEMENTER


def test_a_gate_is_mended_once():
    play = mending()
    play.mend("a", "change")
    play.gates("a", "lint")
    assert play.effect(StartAttempt, "a").role is Role.IMPLEMENTER
    play.attempt("a")
    play.gates("a", "lint")
    assert play.state.inflight[play.task("a").inflight].key.endswith("fix-1"), "once for a change"


def test_a_lost_fix_is_made_again():
    play = mending()
    effect = play.effect(RunFix, "a")
    play.record(EffectLost(key=effect.key, detail="gone"))
    assert play.effect(RunFix, "a") == effect


def test_a_change_that_only_deletes_has_nothing_to_mend():
    gate = a_gate("lint", GatePoint.TASK, fix=Command(argv=("lint", "--fix")))
    play = Play(a_plan(a_task("a"), gates=[gate]))
    play.begin()
    play.attempt("a", done(seal={"changes": (Change(path="x", kind=ChangeKind.DELETED),)}))
    play.gates("a", "lint")
    assert play.task("a").failure.reason is Reason.GATE_RED


# -- flakes ---------------------------------------------------------------------------------------


def test_a_flake_is_told_and_stops_nothing():
    """5: recorded as a flake and never silently ignored."""
    play = gated(GatePoint.INTEGRATE)
    shaky = replace(passed("tests"), flaky=tuple(f"test_{n}" for n in range(7)))
    play.gates("a", shaky)
    (warned,) = [event for event in play.events if isinstance(event, WarningRaised)]
    assert (warned.code, warned.task) == ("flake", "a")
    assert "test_0, test_1, test_2, test_3, test_4 and 2 more" in warned.text
    play.effect(Land, "a")


def test_a_green_gate_with_ids_of_new_failures_is_none():
    """Only new failures count; what failed on the base is told, and lands."""
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests", junit=True)]))
    play.begin(failed("tests", "t1"))
    play.attempt("a")
    play.merge("a")
    play.gates("a", failed("tests", "t1"))
    play.effect(Land, "a")
