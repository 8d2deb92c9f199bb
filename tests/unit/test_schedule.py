"""Which task starts next, and why one does not (SPEC 3.3)."""

from __future__ import annotations

import pytest

from chargehand.domain.events import BranchOpened, CanaryFinished, RunInterrupted
from chargehand.domain.evolve import evolve
from chargehand.domain.options import AgentDef
from chargehand.domain.outcome import Concern, ExitKind, ReportStatus, Role
from chargehand.domain.plan import Barrier, Interfaces, Mode
from chargehand.domain.schedule import why_waiting
from tests.play import BASE, Play, a_gate, a_plan, a_task, crashed, done, ended


def why(play: Play, task: str) -> str:
    return why_waiting(play.state, play.task(task), play.now)


def test_the_longest_remaining_path_goes_first_then_plan_order():
    """Deterministic [I15]."""
    tasks = [a_task("z"), a_task("b"), a_task("a"), a_task("c", "a"), a_task("d", "c")]
    play = Play(a_plan(*tasks), jobs=2)
    play.begin()
    assert play.running == ["a", "z"]
    play.through("a")
    assert play.running == ["z", "c"]
    play.through("z")
    assert play.running == ["c", "b"]


def test_a_unit_that_was_begun_goes_on_before_another_begins():
    """At most as many units of an inferred order are under way as there are slots; a stated order knows no units."""
    tasks = [a_task("a1"), a_task("a2", "a1"), a_task("b1"), a_task("b2", "b1")]
    tasks += [a_task("c1"), a_task("c2", "c1"), a_task("c3", "c2")]
    for inferred, second in ((("a2", "b2", "c2", "c3"), "c2"), ((), "b1")):
        play = Play(a_plan(*tasks, inferred=inferred), jobs=2)
        play.begin()
        assert play.running == ["c1", "a1"]
        play.through("c1")
        assert play.running == ["a1", second]
    play = Play(a_plan(*tasks, inferred=("a2", "b2", "c2", "c3")), jobs=2)
    play.begin()
    started = []
    for name in ("c1", "a1", "c2", "c3", "a2", "b1"):
        play.through(name)
        started.append(play.running[-1])
    assert started == ["c2", "a2", "c3", "b1", "b1", "b2"]


def test_a_task_starts_when_all_its_dependencies_are_integrated():
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c", "a", "b", "a")), jobs=2)
    play.begin()
    play.through("a")
    assert why(play, "c") == "b (running) must land first"
    play.attempt("b")
    assert "c" not in play.running
    play.integrate("b")
    assert play.running == ["c"]


def test_a_new_attempt_forks_from_the_head_of_that_moment():
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c")), jobs=2)
    play.begin()
    assert play.task("b").base == BASE
    play.through("a")
    assert play.task("c").base == play.task("a").landed
    play.attempt("b", crashed())
    assert play.task("b").base == play.task("a").landed, "a retry starts clean at the current head"
    assert play.task("b").origin == play.task("a").landed


def test_never_more_than_the_slots():
    """`--jobs` [I10]; a slot lasts from dispatch to integrated."""
    play = Play(a_plan(*(a_task(t) for t in "abc")), jobs=1)
    play.begin()
    assert why(play, "b") == "all 1 slots are taken"
    play.attempt("a")
    assert play.running == []
    play.merge("a")
    play.land("a")
    assert play.running == ["b"]


def test_an_agent_has_slots_of_its_own():
    agents = [AgentDef(name="slow", kind="command", jobs=1)]
    tasks = [a_task("a", agent="slow"), a_task("b", agent="slow"), a_task("c")]
    play = Play(a_plan(*tasks), agents=agents, jobs=3)
    play.begin()
    assert play.running == ["a", "c"]
    assert why(play, "b") == "agent slow has no free slot (1)"
    play.attempt("a", ended(ExitKind.LOST))
    assert play.running == ["c", "a"]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("src/a.py", "src/a.py"),
        ("src", "src/a.py"),
        ("src/*.py", "src/a.py"),
        ("src/*.py", "src/[ab]*"),
        ("*/x", "y/x"),
    ],
)
def test_leases_that_overlap_take_turns(one, two):
    """A lease lasts from dispatch to integrated or terminal, whether its patterns are plain or not."""
    play = Play(a_plan(a_task("a", modify=[one]), a_task("b", modify=[two]), a_task("c", modify=["docs/c"])), jobs=3)
    play.begin()
    assert play.running == ["a", "c"]
    assert why(play, "b") == "both have a lease on the same files, and a is live"
    play.attempt("a", done(changes=[one.replace("*", "a")]))
    assert play.task("a").inflight
    assert play.running == ["c"]
    play.integrate("a")
    assert play.running == ["c", "b"]


def test_tasks_without_files_hold_no_lease():
    play = Play(a_plan(a_task("a"), a_task("b", modify=["x"]), a_task("c")), jobs=3)
    play.begin()
    assert play.running == ["a", "b", "c"]


def test_tasks_that_produce_the_same_interface_take_turns():
    """2.2: they will be serialised."""
    one = Interfaces(produces=("todo.add(title: str) -> Todo",))
    two = Interfaces(produces=("x", "todo.add(text)"))
    play = Play(a_plan(a_task("a", interfaces=one), a_task("b", interfaces=two), a_task("c")), jobs=3)
    play.begin()
    assert play.running == ["a", "c"]
    assert why(play, "b") == "both produce the same interface, and a is live"


def test_a_sequential_task_runs_alone():
    tasks = [a_task("a"), a_task("b", mode=Mode.SEQUENTIAL), a_task("c"), a_task("d")]
    play = Play(a_plan(*tasks), jobs=3)
    play.begin()
    assert play.running == ["a", "c", "d"]
    assert why(play, "b") == "one of the two runs alone, and a is live"
    play.through("a", "c", "d")
    assert play.running == ["b"]


def test_beside_a_sequential_task_nothing_starts():
    play = Play(a_plan(a_task("a", mode=Mode.SEQUENTIAL), a_task("b")), jobs=3)
    play.begin()
    assert play.running == ["a"]
    play.attempt("a")
    assert play.running == [], "the slot lasts until it is integrated"
    play.integrate("a")
    assert play.running == ["b"]


def test_a_question_gives_up_slot_and_lease():
    """Answered, the task queues again on the new head."""
    play = Play(a_plan(a_task("a", modify=["x"]), a_task("b", modify=["x"])), jobs=1)
    play.begin()
    for _ in range(2):
        play.attempt("a", crashed())
    assert play.running == ["b"]
    play.answer("retry")
    assert play.running == ["b"]
    assert why(play, "a") == "both have a lease on the same files, and b is live"
    play.attempt("b", done(changes=["x"]))
    play.integrate("b")
    assert play.task("a").base == play.task("b").landed


def test_a_fixer_starts_on_the_sealed_tree():
    play = Play(a_plan(a_task("a"), a_task("b")), jobs=1)
    play.begin()
    play.attempt("a", done(ReportStatus.DONE_WITH_CONCERNS, concerns=(Concern(text="x"),)))
    assert play.running == ["a"]
    assert (play.task("a").role, play.task("a").base) == (Role.FIXER, play.task("a").sealed.commit)
    assert play.task("a").origin == BASE


def test_why_a_task_waits():
    """I12: every wait can be explained."""
    tasks = [a_task("a"), a_task("a2", agent="other"), a_task("b", "a"), a_task("c", wave=3)]
    plan = a_plan(*tasks, barrier=Barrier.WAVE, gates=[a_gate("g")])
    play = Play(plan, jobs=1)
    play.record()
    assert why(play, "a") == "the canary is not through yet"
    play.opened()
    assert why(play, "a") == "the canary is not through yet"
    play.canary()
    assert why(play, "c") == "wave 3 starts when wave 1 has ended"
    assert why(play, "a2") == "all 1 slots are taken"
    play.attempt("a", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 60))
    assert why(play, "a") == "its provider asked to wait for 60 s more"
    play.through("a2")
    play.pass_time(60)
    play.attempt("a", done(ReportStatus.KICKBACK))
    assert why(play, "c") == "the run is held by decision d1"
    play.record(RunInterrupted(by="x"))
    assert why(play, "c").startswith("the run was interrupted")


def test_why_a_task_waits_in_a_run_that_stops():
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c")), jobs=2)
    play.begin()
    play.attempt("a", done(ReportStatus.KICKBACK))
    play.answer("stop")
    assert why(play, "c").startswith("the run starts nothing more (kickback: ")


def test_why_a_task_that_starts_next_waits():
    """Between the end of one turn and the next."""
    play = Play(a_plan(a_task("a")))
    play.record()
    evolve(play.state, BranchOpened(key="run/0/branch", head=BASE), play.now)
    play.state.inflight["run/0/canary"] = object()
    evolve(play.state, CanaryFinished(key="run/0/canary", results=()), play.now)
    assert why(play, "a") == "it starts next"
