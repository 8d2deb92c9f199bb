"""The read model: the document of SPEC 10.1 and why anything waits (I12)."""

from __future__ import annotations

from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import AttemptFinished, DecisionAnswered, RunAccepted, RunInterrupted, WarningRaised
from chargehand.domain.evolve import evolve
from chargehand.domain.outcome import ExitKind, ReportStatus, Usage
from chargehand.domain.plan import GatePoint
from chargehand.domain.view import accepted_text, document, exit_code, run_state, sealed_commit, why
from tests.play import BASE, Play, a_gate, a_plan, a_task, crashed, done, ended, failed


def test_the_document_word_by_word():
    """10.1: every key, and nothing else."""
    play = Play(a_plan(a_task("a"), a_task("b", "a", needs_human=True), gates=[a_gate("tests")]), jobs=1)
    play.begin(failed("tests", "t1"))
    play.now += 2
    play.attempt("a", done(changes=["x.py"], usage=Usage(tokens=5, usd=0.5), summary="did it"))
    play.integrate("a")
    play.record(WarningRaised(code="c", text="mind this"))
    head = play.state.head
    assert document(play.state, held=True) == {
        "run": "r",
        "plan": "p",
        "profile": "house",
        "state": "waiting",
        "base": BASE,
        "branch": "chargehand/r",
        "head": head,
        "tasks": [
            {
                "id": "a",
                "title": "Task a",
                "state": "integrated",
                "reason": "integrated",
                "detail": "did it",
                "wave": 1,
                "attempts": 1,
                "commit": "sealed(a.1)",
                "landed": head,
                "blocked_on": None,
                "files_changed": ["x.py"],
            },
            {
                "id": "b",
                "title": "Task b",
                "state": "awaiting_decision",
                "reason": "needs_human",
                "detail": "Task b (Task b) asks for a yes before it starts.",
                "wave": 2,
                "attempts": 0,
                "commit": None,
                "landed": None,
                "blocked_on": None,
                "files_changed": [],
            },
        ],
        "counts": {"integrated": 1, "awaiting_decision": 1},
        "decisions": [
            {
                "id": "d1",
                "task": "b",
                "kind": "start",
                "question": "Task b (Task b) asks for a yes before it starts.",
                "command": None,
                "choices": ["approve", "reject"],
            }
        ],
        "usage": {"tokens": 5, "usd": 0.5, "wall_s": 2.0},
        "baseline": [],
        "warnings": [{"code": "c", "task": None, "text": "mind this"}],
    }


def test_the_baseline_is_listed_with_its_tests():
    play = Play(a_plan(a_task("a"), gates=[a_gate("one"), a_gate("two")]))
    play.begin(failed("one", "t1", "t2"), failed("two"))
    assert document(play.state, held=True)["baseline"] == [
        {"gate": "one", "failed_tests": ["t1", "t2"]},
        {"gate": "two", "failed_tests": None},
    ]


def test_before_the_branch_is_open_the_head_is_the_base():
    play = Play(a_plan(a_task("a")))
    assert document(play.state, held=True)["head"] == BASE
    assert document(play.state, held=True)["usage"]["tokens"] is None


def test_a_long_detail_is_cut():
    play = Play(a_plan(a_task("a")))
    play.begin()
    play.attempt("a", done(ReportStatus.BLOCKED, summary="x" * 3000))
    assert len(document(play.state, held=False)["tasks"][0]["detail"]) == 2000


def test_the_state_of_a_run_and_its_exit_code():
    """finished 0, failed 1, waiting 4, interrupted 130."""
    play = Play(a_plan(a_task("a", needs_human=True), a_task("b")), jobs=2)
    play.begin()
    assert run_state(play.state, held=True) == "running"
    assert (run_state(play.state, held=False), exit_code(play.state)) == ("interrupted", 130)
    play.through("b")
    assert (run_state(play.state, held=True), exit_code(play.state)) == ("waiting", 4)
    play.record(RunInterrupted(by="x"))
    assert (run_state(play.state, held=True), exit_code(play.state)) == ("running", 130)
    play.answer("reject")
    assert run_state(play.state, held=False) == "interrupted"

    good = Play(a_plan(a_task("a")))
    good.begin()
    good.through("a")
    assert (run_state(good.state, held=True), exit_code(good.state)) == ("finished", 0)

    bad = Play(a_plan(a_task("a")), unattended=True)
    bad.begin()
    bad.attempt("a", done(ReportStatus.BLOCKED))
    assert (run_state(bad.state, held=False), exit_code(bad.state)) == ("failed", 1)


def test_the_commit_of_a_task_is_what_was_sealed_last():
    play = Play(a_plan(a_task("a")))
    play.begin()
    assert sealed_commit(play.task("a")) is None
    play.attempt("a", done(changes=[]))
    assert sealed_commit(play.task("a")) is None
    play.attempt("a", crashed())
    assert sealed_commit(play.task("a")) == "sealed(a.2)"


def test_why_answers_for_every_state():
    """I12."""
    play = Play(a_plan(a_task("a"), a_task("b"), a_task("c"), a_task("d", "a"), gates=[a_gate("g")]), jobs=3)
    play.begin()
    assert why(play.state, "a", play.now) == "It is running: attempt 1 is running."
    assert why(play.state, "d", play.now) == "It waits: a (running) must land first."
    play.attempt("a")
    assert why(play.state, "a", play.now).startswith("It is integrating: attempt 1 is being merged")
    play.attempt("b")
    assert why(play.state, "b", play.now) == "It is integrating: it waits its turn to land, behind a."
    play.integrate("a")
    assert why(play.state, "a", play.now) == "It is integrated: its change is on the integration branch."
    play.attempt("c", ended(ExitKind.RATE_LIMITED, retry_at=play.now + 9))
    assert why(play.state, "c", play.now).endswith("for 9 s more. Last: The provider asked to wait.")
    play.attempt("d", done(ReportStatus.KICKBACK, summary="wrong"))
    assert why(play.state, "d", play.now).startswith("It waits for your answer to d1 (skip | stop): The agent returns")
    play.merge("b")
    assert why(play.state, "b", play.now) == "It is integrating: it goes on when decision d1 is answered."
    play.record(RunInterrupted(by="x"))
    assert why(play.state, "b", play.now) == "It is integrating: the run was interrupted; `chargehand resume` goes on."
    evolve(play.state, DecisionAnswered(id="d1", choice="stop", by="me"), play.now)
    assert why(play.state, "d", play.now).startswith("It is awaiting_decision (kickback): ")
    play.record()
    assert why(play.state, "d", play.now).startswith("It is failed (kickback): ")


def test_why_of_a_journal_read_between_an_outcome_and_what_follows():
    """`status` may read the journal of a process that is in the middle of a turn."""
    play = Play(a_plan(a_task("a")))
    play.begin()
    effect = play.effect(StartAttempt, "a")
    evolve(play.state, AttemptFinished(key=effect.key, task="a", attempt=1, result=done()(effect)), play.now)
    assert why(play.state, "a", play.now) == "It is running: attempt 1 is running."


def test_why_of_the_gates():
    play = Play(a_plan(a_task("a"), gates=[a_gate("g", GatePoint.TASK)]))
    play.begin()
    play.attempt("a")
    assert why(play.state, "a", play.now) == "It is gating: the gates of attempt 1 are running."


def test_why_of_a_task_nobody_selected():
    play = Play(a_plan(a_task("b", "a"), a_task("a"), a_task("c")), only=("c",))
    play.begin()
    for task in "ab":
        assert why(play.state, task, play.now).startswith("It is skipped (not_selected): It is neither")


def test_where_an_accepted_result_is():
    landed = RunAccepted(target="main", commit="c" * 40, how="merge")
    assert accepted_text(landed, "cccc") == "main holds it since cccc (merge)"
    staged = RunAccepted(target="main", commit="c" * 40, how="staged")
    assert accepted_text(staged, "cccc") == "cccc lies staged in the checkout of main, and is not committed"
