"""From an effect and the state to what a port is asked for."""

from __future__ import annotations

from chargehand.domain import ids
from chargehand.domain.effects import Land, MergeCandidate, RunCanary, RunGates, StartAttempt
from chargehand.domain.options import AgentDef, Caps
from chargehand.domain.outcome import ExitKind, ReportStatus, Usage
from chargehand.domain.plan import Command, EnvSpec, Files, GatePoint, Limits, SetupSpec
from chargehand.engine import jobs
from tests.play import BASE, Play, a_gate, a_plan, a_task, crashed, done, ended, failed

SETUP = SetupSpec(run=Command(argv=("make",)), key=("lock",))
ENV = EnvSpec(passed=("X",), values=(("A", "b"),))


def test_names_derive_from_run_task_and_attempt():
    assert ids.effect_key("t", 2, "gates") == "t/2/gates"
    assert ids.integration_branch("r") == "chargehand/r"
    assert ids.attempt_ref("r", "t", 2) == "refs/chargehand/attempts/r/t/2"
    assert ids.candidate_ref("r", "t", 2) == "refs/chargehand/candidates/r/t/2"
    assert ids.rescue_prefix("r", "t") == "refs/chargehand/rescue/r/t"


def test_an_attempt_by_value():
    task = a_task(
        "a",
        files=Files(modify=("x",), read=("docs",)),
        model="big",
        agent="other",
        limits=Limits(wall_s=60, idle_s=0),
    )
    play = Play(a_plan(task, setup=SETUP, env=ENV), inputs=(("plan.yaml", "text"),))
    play.begin()
    effect = play.effect(StartAttempt, "a")
    spec = jobs.attempt_spec(play.state, effect)
    assert (spec.key, spec.run, spec.task, spec.attempt, spec.base) == ("a/1/attempt", "r", "a", 1, BASE)
    assert (spec.agent, spec.model, spec.wall_s, spec.idle_s) == ("other", "big", 60, 0)
    assert (spec.declared, spec.reads, spec.env, spec.setup) == (("x",), ("docs",), ENV, SETUP)
    assert spec.inputs == (("plan.yaml", "text"),)
    assert spec.ref == "refs/chargehand/attempts/r/a/1"
    assert spec.previous is None
    assert "# Task a" in spec.brief


def test_what_the_author_of_a_task_may_not_run_is_no_matter_of_its_reviewer():
    """A reviewer builds and tests; whoever writes leaves it to the runtime."""
    forbidden = (Command(argv=("make", "test")),)
    play = Play(a_plan(a_task("a", forbidden=forbidden)), review=True)
    play.begin()
    assert jobs.attempt_spec(play.state, play.effect(StartAttempt, "a")).forbidden == forbidden
    play.attempt("a")
    assert jobs.attempt_spec(play.state, play.effect(StartAttempt, "a")).forbidden == ()


def test_an_attempt_takes_the_caps_where_nothing_is_said():
    play = Play(a_plan(a_task("a")), caps=Caps(attempt_wall_s=7, attempt_idle_s=3))
    play.begin()
    spec = jobs.attempt_spec(play.state, play.effect(StartAttempt, "a"))
    assert (spec.agent, spec.wall_s, spec.idle_s, spec.declared, spec.reads) == ("agent", 7, 3, (), ())


def test_no_two_starts_share_a_ref():
    """I2: what a lost attempt sealed stays reachable."""
    play = Play(a_plan(a_task("a")))
    play.begin()
    refs = []
    for outcome in (ended(ExitKind.LOST), crashed(), ended(ExitKind.CANCELLED), ended(ExitKind.RATE_LIMITED)):
        spec = jobs.attempt_spec(play.state, play.effect(StartAttempt, "a"))
        refs.append((spec.key, spec.ref))
        play.attempt("a", outcome)
    assert len(set(refs)) == len({ref for _, ref in refs}) == len({key for key, _ in refs}) == 4


def test_a_retry_shows_the_patch_before():
    play = Play(a_plan(a_task("a")))
    play.begin()
    play.attempt("a", crashed())
    assert jobs.attempt_spec(play.state, play.effect(StartAttempt, "a")).previous == (BASE, "sealed(a.1)")


def test_the_canary_runs_everything_on_the_base():
    gates = [a_gate("lint", GatePoint.TASK, wall_s=5, idle_s=2, junit=True), a_gate("tests")]
    play = Play(a_plan(a_task("a"), gates=gates, setup=SETUP, env=ENV), caps=Caps(gate_wall_s=9))
    play.record()
    play.opened()
    job = jobs.canary_job(play.state, play.effect(RunCanary))
    assert [(c.id, c.wall_s, c.idle_s, c.junit) for c in job.checks] == [
        ("lint", 5, 2, True),
        ("tests", 9, None, False),
    ]
    assert (job.commit, job.tree, job.base, job.setup, job.env) == (BASE, play.state.base_tree, BASE, SETUP, ENV)
    assert not job.stop_early


def test_verify_comes_before_the_gates_of_the_point():
    task = a_task("a", verify=(Command(argv=("v",)),))
    play = Play(a_plan(task, gates=[a_gate("lint", GatePoint.TASK), a_gate("tests")]))
    play.begin()
    play.attempt("a")
    job = jobs.gate_job(play.state, play.effect(RunGates, "a"))
    assert [c.id for c in job.checks] == ["verify-1", "lint"]
    assert job.checks[0].run == task.verify[0]
    assert (job.key, job.task, job.attempt, job.tree) == ("a/1/gates", "a", 1, "tree(a.1)")
    assert job.stop_early


def test_a_check_that_was_red_on_the_base_ends_no_job():
    """I3: an advisory gate that is red must not hide the required ones behind it."""
    gates = [a_gate("lint"), a_gate("tests")]
    play = Play(a_plan(a_task("a"), gates=gates))
    play.begin(failed("lint"))
    play.attempt("a")
    play.merge("a")
    assert not jobs.gate_job(play.state, play.effect(RunGates, "a")).stop_early


def test_gates_of_the_run_all_run():
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests", GatePoint.RUN)]))
    play.begin()
    play.through("a")
    job = jobs.gate_job(play.state, play.effect(RunGates))
    assert (job.key, job.task, job.commit, job.base) == ("run-0/0/gates", "", play.state.head, BASE)
    assert not job.stop_early


def test_merging_and_landing():
    play = Play(a_plan(a_task("a")))
    play.begin()
    play.attempt("a")
    merge = jobs.merge_job(play.state, play.effect(MergeCandidate, "a"))
    assert (merge.head, merge.commit, merge.ref) == (BASE, "sealed(a.1)", "refs/chargehand/candidates/r/a/1")
    assert merge.message == ("a: Task a\n\nChargehand-Run: r\nChargehand-Task: a\nChargehand-Attempt: 1\n")
    play.merge("a")
    effect = play.effect(Land, "a")
    land = jobs.land_job(play.state, effect)
    assert (land.branch, land.expect, land.commit, land.ref) == ("chargehand/r", BASE, effect.commit, merge.ref)


def test_gates_on_a_commit_outside_the_run():
    play = Play(a_plan(a_task("a"), gates=[a_gate("tests", GatePoint.RUN), a_gate("lint", GatePoint.TASK)]))
    job = jobs.gates_on_commit(play.state, GatePoint.RUN, "c", "t", key="accept/0/gates")
    assert ([c.id for c in job.checks], job.key, job.commit, job.tree) == (["tests"], "accept/0/gates", "c", "t")


def test_an_attempt_may_use_what_is_left_of_every_budget():
    """I10: the least of the task's own limit, of what the task has left, and of what the run has left."""
    used = Usage(tokens=40, usd=1.5)
    caps = Caps(task_tokens=100, run_tokens=90, task_usd=None, run_usd=4.0)
    play = Play(a_plan(a_task("a", limits=Limits(tokens=70)), a_task("b")), jobs=1, caps=caps)
    play.begin()
    first = jobs.attempt_spec(play.state, play.effect(StartAttempt, "a"))
    assert (first.tokens, first.usd, first.turns) == (70, 4.0, None)
    play.attempt("a", done(ReportStatus.FAILED, summary="no", usage=used))
    again = jobs.attempt_spec(play.state, play.effect(StartAttempt, "a"))
    assert (again.tokens, again.usd) == (50, 2.5)
    free = Play(a_plan(a_task("a")), caps=Caps(task_tokens=None, run_tokens=None, task_usd=None, run_usd=None))
    free.begin()
    spec = jobs.attempt_spec(free.state, free.effect(StartAttempt, "a"))
    assert (spec.tokens, spec.usd) == (None, None)


def test_the_turns_are_those_of_the_agent_that_works():
    agents = [AgentDef(name="short", kind="command", turns=7)]
    play = Play(a_plan(a_task("a", agent="short")), agents=agents)
    play.begin()
    assert jobs.attempt_spec(play.state, play.effect(StartAttempt, "a")).turns == 7
