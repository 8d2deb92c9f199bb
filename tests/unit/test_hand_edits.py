"""A file that shows a run and was edited by hand: what counts as a difference, and what each answer comes to."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from chargehand.domain.commands import Request, RequestKind, obey, take
from chargehand.domain.errors import UserError
from chargehand.domain.events import DecisionAsked, RunAccepted, RunCancelled, RunReopened, TaskEndAsked, WarningRaised
from chargehand.domain.evolve import fold
from chargehand.domain.hand_edits import Told, as_of_now, ask_about_edits, differences, is_by_hand, not_taken
from chargehand.domain.left_out import blocked_by
from chargehand.domain.outcome import ReportStatus
from chargehand.domain.plan import Barrier
from chargehand.domain.state import RunState
from chargehand.domain.view import document, open_decisions, why
from chargehand.domain.words import DecisionKind, HandEdit, Means, RunVerdict, TaskStatus, TaskWord
from chargehand.ports import Projection
from tests.engines import World
from tests.play import Play, a_plan, a_task, done

S = TaskStatus
PENDING, DONE, FAILED = (Told(word=m.value, means=m) for m in (Means.OPEN, Means.DONE, Means.FAILED))
GONE = Told(word="gone", means=Means.CANCELLED)


def begun(*tasks: Any, **options: Any) -> Play:
    play = Play(a_plan(*tasks), **options)
    play.begin()
    return play


def fail(play: Play, task: str) -> None:
    """The task is failed for good."""
    while task in play.running:
        play.attempt(task, done(ReportStatus.FAILED, summary=f"no {len(play.journal)}"))


def land(play: Play, task: str) -> None:
    play.attempt(task)
    play.integrate(task)


def edit(*words: tuple[str, Means], file: str = "state.md", ours: str = "ours") -> HandEdit:
    said = tuple(TaskWord(task=task, ours=ours, theirs=means.value, means=means) for task, means in words)
    return HandEdit(file=file, digest=f"sha of {file}", kept=f"/kept/{file}", words=said)


def asks(play: Play, *edits: HandEdit) -> Any:
    """The question is asked; answers with it."""
    play.record(*ask_about_edits(play.state, edits))
    return next(each for each in play.state.decisions.values() if each.kind is DecisionKind.EDITED)


def answers(play: Play, choice: str, asked: Any = None) -> list[Any]:
    name = (asked or next(each for each in play.state.decisions.values() if each.edits)).id
    request = Request(id=f"q{len(play.journal)}", kind=RequestKind.ANSWER, decision=name, choice=choice, by="me")
    events = take(play.state, request)
    play.record(*events)
    return list(events)


# -- what is a difference -------------------------------------------------------------------------


def test_what_the_run_wrote_or_knows_is_no_difference():
    state = begun(a_task("a"), a_task("b")).state
    written = {"a": PENDING, "b": FAILED}
    assert differences(state, written, written) == ()
    assert differences(state, {"a": Told(word="to do", means=Means.OPEN), "b": PENDING}, written) == ()
    assert differences(state, {**written, "later": PENDING}, written) == (), "a task of a plan to come"


def test_what_it_was_before_a_write_that_may_not_have_come_through_is_none():
    state = begun(a_task("a")).state
    assert differences(state, {"a": PENDING}, {"a": DONE}, {"a": PENDING}) == ()
    assert differences(state, {"a": FAILED}, {"a": DONE}, {"a": PENDING}) != ()


def test_another_word_a_missing_one_and_another_value_are():
    state = begun(a_task("a"), a_task("b"), a_task("c")).state
    written = {"a": PENDING, "b": PENDING, "c": Told(word="done", means=Means.DONE, rest="1a2b"), "old": DONE}
    found = {"a": DONE, "c": Told(word="done", means=Means.DONE, rest="3c4d"), "old": PENDING}
    assert differences(state, found, written) == (
        TaskWord(task="a", ours="open", theirs="done", means=Means.DONE),
        TaskWord(task="b", ours="open", theirs="", means=Means.OTHER),
        TaskWord(task="c", ours="done 1a2b", theirs="done 3c4d", means=Means.OTHER),
        TaskWord(task="old", ours="done", theirs="open", means=Means.OPEN),
    )


# -- the question ---------------------------------------------------------------------------------


def test_all_files_are_one_question_that_says_what_is_what():
    play = begun(a_task("a"), a_task("b", "a"))
    fail(play, "a")
    asked = asks(play, edit(("a", Means.OPEN)), edit(("b", Means.DONE), ("x", Means.DONE), file="other.md"))
    assert (asked.task, asked.choices, asked.default) == ("", ("file", "ours"), "ours")
    assert asked.question.splitlines() == [
        "state.md, other.md were edited by hand since this run wrote to it.",
        (
            "- a: the run has it awaiting_decision (written as 'ours'), the file says 'open'. "
            "If the file's word is taken, it is tried again."
        ),
        (
            "- b: the run has it waiting (written as 'ours'), the file says 'done'. "
            "If the file's word is taken, it counts as done by hand, and the run leaves it out."
        ),
        (
            "- x: it is no task of this run (written as 'ours'), the file says 'done'. "
            "Cannot be taken: Task x is not in run r. If the plan is another one now, use `chargehand replan`."
        ),
        "Whatever you answer, the edited text is kept: /kept/state.md, /kept/other.md.",
    ]
    assert len(asked.effects) == 2
    assert ask_about_edits(play.state, ()) == ()


@pytest.mark.parametrize(
    ("means", "text"),
    [
        (Means.OPEN, "Cannot be taken: Task a is integrated: its work has landed."),
        (
            Means.FAILED,
            "No run is told 'failed' by a file. Its work has landed; give further work a task of its own.",
        ),
        (Means.CANCELLED, "Cannot be taken: Task a is integrated already."),
    ],
)
def test_what_cannot_be_taken_is_said_in_the_question(means: Means, text: str):
    play = begun(a_task("a"), a_task("b"))
    land(play, "a")
    assert text in asks(play, edit(("a", means))).question


def test_a_question_is_bounded_whatever_a_file_says():
    play = begun(*(a_task(f"t{number}") for number in range(50)))
    found = {f"t{number}": Told(word="x \n" * 500, means=Means.OTHER) for number in range(50)}
    words = differences(play.state, found, dict.fromkeys(found, PENDING))
    question = asks(play, HandEdit(file="f", digest="d", kept="k", words=words)).question
    assert len(words) == 50
    assert (len(question.splitlines()), question.count("- … and 10 more")) == (43, 1)
    assert max(len(line) for line in question.splitlines()) < 500


def test_a_task_that_is_not_named_any_more_wants_a_replan():
    play = begun(a_task("a"))
    gone = HandEdit(file="f", digest="d", kept="k", words=(TaskWord(task="a", ours="", theirs="", means=Means.OTHER),))
    question = asks(play, gone).question
    assert "- a: the run has it running, the file does not name it any more. Cannot be taken: " in question
    assert "use `chargehand replan`" in question


# -- the answers ----------------------------------------------------------------------------------


def test_ours_changes_nothing_and_is_remembered():
    play = begun(a_task("a"), a_task("b"))
    asks(play, edit(("b", Means.DONE)))
    assert play.state.edited == {"state.md": ("sha of state.md", "")}
    (answered,) = answers(play, "ours")
    assert answered.choice == "ours"
    assert play.state.edited == {"state.md": ("sha of state.md", "ours")}
    assert (play.state.by_hand, play.state.stopped, play.task("b").status) == ({}, None, S.RUNNING)


def test_done_by_hand_is_a_skip_that_says_so():
    play = begun(a_task("a"), a_task("b", "a"), jobs=1)
    asks(play, edit(("a", Means.DONE)))
    assert not is_by_hand(play.state, play.task("a"))
    answers(play, "file")
    assert is_by_hand(play.state, play.task("a")), "also while what is under way is ended"
    play.attempt("a")
    record = play.task("a")
    assert record.status is S.SKIPPED
    assert is_by_hand(play.state, record)
    assert record.detail.startswith("state.md was edited to say 'done', and its word was taken.")
    assert play.state.by_hand == {"a": "done"}
    assert play.running == ["b"], "the work is there, says who did it"
    assert fold(play.journal) == play.state
    with pytest.raises(UserError, match="was left out, and b went on without it"):
        obey(play.state, Request(id="q", kind=RequestKind.RETRY, task="a", by="me"))


def test_what_depends_on_a_task_done_by_hand_goes_on_declared_or_not():
    """SPEC 2.3: a skip leaves those blocked that state that they depend on it, a person's work does not."""
    play = begun(a_task("z"), a_task("a", "z"), a_task("b", "a"), a_task("c", "b"), unattended=True)
    land(play, "z")
    fail(play, "a")
    assert play.task("c").blocked_on == "a"
    play.state.unattended = False
    question = asks(play, edit(("a", Means.DONE))).question
    assert "leaves it out, and what depends on it goes on without its work in the run's branch: b." in question
    answers(play, "file")
    assert play.running == ["b"]
    land(play, "b")
    land(play, "c")
    assert play.state.finished is not None
    assert play.state.finished.verdict is RunVerdict.FINISHED


def test_what_a_task_done_by_hand_waited_for_is_waited_for():
    play = begun(a_task("z"), a_task("a", "z"), a_task("b", "a"), unattended=True, jobs=1)
    play.state.unattended = False
    asks(play, edit(("a", Means.DONE)))
    answers(play, "file")
    assert (play.running, play.task("b").status) == (["z"], S.WAITING)
    play.state.unattended = True
    fail(play, "z")
    assert (play.task("b").status, play.task("b").blocked_on) == (S.BLOCKED, "z")


def test_a_task_taken_up_again_is_not_done_by_hand_any_more():
    """A plain skip of it later blocks those that state that they depend on it."""
    play = begun(a_task("a"), a_task("b", "a"))
    asks(play, edit(("a", Means.DONE)))
    answers(play, "file")
    play.attempt("a")
    assert is_by_hand(play.state, play.task("a"))
    play.state.unattended = True
    fail(play, "b")
    play.record(*take(play.state, Request(id="1", kind=RequestKind.RETRY, task="a", by="me")))
    assert play.running == ["a"]
    play.record(*take(play.state, Request(id="2", kind=RequestKind.SKIP, task="a", by="me")))
    play.attempt("a")
    assert play.task("a").status is S.SKIPPED
    assert not is_by_hand(play.state, play.task("a"))
    play.record(*take(play.state, Request(id="3", kind=RequestKind.RETRY, task="b", by="me")))
    assert (play.task("b").status, play.task("b").blocked_on) == (S.BLOCKED, "a")


def test_a_plain_skip_by_a_file_says_whom_it_blocks():
    many = [a_task(f"t{number}", "a") for number in range(10)]
    play = begun(a_task("a"), *many)
    question = asks(play, edit(("a", Means.SKIPPED))).question
    assert "it is left out, as skipped, and that blocks t0, t1, t2, t3, t4, t5, t6, t7 and 2 more." in question
    play = begun(a_task("a"))
    assert asks(play, edit(("a", Means.SKIPPED))).question.count("it is left out, as skipped.") == 1


def test_whom_a_skip_blocks():
    """In an inferred order those after it go on; each is named once, in plan order."""
    play = begun(a_task("a"), a_task("b", "a"), a_task("c", "a"), a_task("d", "c", "b"))
    assert blocked_by(play.state, {"a"}) == ["b", "c", "d"]
    listed = Play(a_plan(a_task("a"), a_task("b", "a"), a_task("c", "b"), inferred=("b",)))
    listed.begin()
    assert blocked_by(listed.state, ["a"]) == []
    assert blocked_by(listed.state, ["b"]) == ["c"]


@pytest.mark.parametrize(
    ("task", "hint"),
    [
        ("a", "There are `chargehand skip a`, `chargehand cancel a`."),
        ("b", "There is `chargehand retry b`."),
        ("c", "Its work has landed; give further work a task of its own."),
        ("d", "`chargehand why d` says how it stands."),
    ],
)
def test_only_steering_that_is_taken_is_recommended(task: str, hint: str):
    play = begun(a_task("c"), a_task("b"), a_task("a"), a_task("d", "b"), a_task("e", "d"), a_task("f", "d"), jobs=3)
    land(play, "c")
    play.record(*take(play.state, Request(id="1", kind=RequestKind.SKIP, task="b", by="me")))
    if "b" in play.running:
        play.attempt("b")
    if task == "d":
        play.state.tasks["d"] = play.task("d").but(status=S.SKIPPED, blocked_on="b")
    assert asks(play, edit((task, Means.FAILED))).question.count(hint) == 1


def test_a_question_is_drawn_as_the_run_stands_when_it_is_shown():
    play = begun(a_task("a"), a_task("b"))
    asked = asks(play, edit(("a", Means.DONE)))
    assert "counts as done by hand" in asked.question
    land(play, "a")
    (shown,) = open_decisions(play.state, held=True)
    assert "- a: the run has it integrated" in shown.question
    assert shown.question.count("That is so by now.") == 1
    (row,) = document(play.state, held=True)["decisions"]
    assert row["question"] == shown.question
    fail(play, "b")
    other = next(each for each in play.state.decisions.values() if not each.edits)
    assert as_of_now(play.state, other) is other
    events = answers(play, "file", asked)
    assert not [event for event in events if isinstance(event, WarningRaised)], "it is as the file says"


def test_what_an_answer_will_not_do_is_told_with_it():
    play = begun(a_task("a"), a_task("b"))
    asked = asks(play, edit(("a", Means.CANCELLED), ("b", Means.DONE)))
    assert not_taken(play.state, asked, "file") == ()
    land(play, "a")
    (line,) = not_taken(play.state, asked, "file")
    assert line.startswith("a: the run has it integrated")
    assert "Cannot be taken: Task a is integrated already." in line
    assert not_taken(play.state, asked, "ours") == ()


def test_open_by_hand_is_a_retry_and_cancelled_a_cancel():
    play = begun(a_task("a"), a_task("b"), a_task("c"), unattended=True)
    fail(play, "a")
    assert play.task("a").status is S.FAILED
    play.state.unattended = False
    asks(play, edit(("a", Means.OPEN), ("b", Means.CANCELLED)))
    answers(play, "file")
    assert "a" in play.running
    play.attempt("b")
    assert play.task("b").status is S.CANCELLED


def test_a_retry_by_the_file_answers_the_question_of_the_task():
    play = begun(a_task("a"))
    fail(play, "a")
    asks(play, edit(("a", Means.OPEN)))
    answers(play, "file")
    assert play.running == ["a"]
    assert not play.state.decisions


def test_a_word_that_came_too_late_is_a_warning_and_the_others_count():
    play = begun(a_task("a"), a_task("b"))
    asks(play, edit(("a", Means.SKIPPED), ("x", Means.DONE), ("b", Means.SKIPPED)))
    land(play, "a")
    events = answers(play, "file")
    assert [event.task for event in events if isinstance(event, TaskEndAsked)] == ["b"]
    told = [(event.code, event.task) for event in events if isinstance(event, WarningRaised)]
    assert told == [("word_not_taken", "a"), ("word_not_taken", "")]


def test_a_run_that_is_over_goes_on_once():
    """Several words of a run that has ended take it up again together."""
    play = begun(a_task("a"), a_task("b"), unattended=True)
    fail(play, "a")
    fail(play, "b")
    assert play.state.finished is not None
    play.state.unattended = False
    asks(play, edit(("a", Means.OPEN), ("b", Means.OPEN)))
    events = answers(play, "file")
    assert sum(isinstance(event, RunReopened) for event in events) == 1
    assert sorted(play.running) == ["a", "b"]


def test_what_was_blocked_on_a_task_that_is_tried_again_waits_with_it():
    play = begun(a_task("a"), a_task("b", "a"), unattended=True)
    fail(play, "a")
    assert play.task("b").blocked_on == "a"
    play.state.unattended = False
    question = asks(play, edit(("b", Means.OPEN), ("a", Means.OPEN))).question
    assert "If the file's word is taken, it waits again, for a." in question
    events = answers(play, "file")
    assert not [event for event in events if isinstance(event, WarningRaised)]
    assert (play.running, play.task("b").status) == (["a"], S.WAITING)


def test_nothing_is_taken_into_a_run_that_was_accepted():
    play = begun(a_task("a"), a_task("b"), unattended=True)
    land(play, "a")
    fail(play, "b")
    play.state.unattended = False
    asks(play, edit(("b", Means.OPEN)))
    play.record(RunAccepted(target="main", commit="c", how="merge"))
    events = answers(play, "file")
    assert [type(event) for event in events[1:]] == [WarningRaised]


# -- while it is open -----------------------------------------------------------------------------


def test_the_tasks_concerned_wait_and_the_others_go_on():
    play = begun(a_task("a"), a_task("b", "a"), a_task("c", "a"))
    asked = asks(play, edit(("b", Means.DONE)))
    land(play, "a")
    assert play.running == ["c"]
    assert f"answer {asked.id}" in why(play.state, "b", play.now)
    land(play, "c")
    assert play.state.finished is None
    assert play.state.waits_for_people
    answers(play, "ours")
    assert play.running == ["b"]


def test_a_wave_ends_though_it_is_asked():
    play = Play(a_plan(a_task("a", wave=1), a_task("b", wave=2), a_task("c", wave=2), barrier=Barrier.WAVE))
    play.begin()
    asks(play, edit(("b", Means.DONE)))
    land(play, "a")
    assert play.running == ["c"]


def test_nobody_is_asked_unattended():
    """I9: without people the run's own word stands."""
    play = begun(a_task("a"), unattended=True)
    play.record(*ask_about_edits(play.state, [edit(("a", Means.DONE))]))
    assert not play.state.decisions
    assert play.state.edited == {"state.md": ("sha of state.md", "ours")}
    assert play.running == ["a"]


def test_a_retry_of_the_run_leaves_it_open_and_a_cancel_ends_it():
    play = begun(a_task("a"), a_task("b"), unattended=True)
    fail(play, "a")
    fail(play, "b")
    play.state.unattended = False
    asks(play, edit(("b", Means.DONE)))
    play.record(*take(play.state, Request(id="r", kind=RequestKind.RETRY, task="a", by="me")))
    assert [each.kind for each in play.state.decisions.values()] == [DecisionKind.EDITED]
    play.record(RunCancelled(by="me"))
    assert not play.state.decisions
    assert play.state.edited == {"state.md": ("sha of state.md", "ours")}


def test_an_answer_that_is_none_of_its_choices_is_refused():
    play = begun(a_task("a"))
    asked = asks(play, edit(("a", Means.DONE)))
    request = Request(id="q", kind=RequestKind.ANSWER, decision=asked.id, choice="retry", by="me")
    with pytest.raises(UserError, match="cannot be answered with retry"):
        obey(play.state, request)


def test_the_journal_tells_it_all():
    play = begun(a_task("a"), a_task("b"))
    asks(play, edit(("b", Means.DONE)))
    answers(play, "file")
    assert fold(play.journal) == play.state


# -- the loop -------------------------------------------------------------------------------------


class Edited(Projection):
    """A projection that finds an edit after so many events."""

    def __init__(self, after: int, *words: tuple[str, Means]) -> None:
        self.found = edit(*words)
        self.after = after
        self.seen: list[Any] = []

    def begin(self, state: RunState) -> None:
        """Nothing to write."""

    def take(self, recorded: Any, state: RunState) -> None:
        self.seen.append(recorded.event)

    def accepted(self, state: RunState, commit: str) -> None:
        raise AssertionError("Nobody accepts while it runs.")

    def edits(self) -> tuple[HandEdit, ...]:
        if len(self.seen) < self.after or any(isinstance(event, DecisionAsked) for event in self.seen):
            return ()
        return (self.found,)


@pytest.mark.parametrize("after", [0, 3, 10])
def test_an_edit_is_asked_about_when_it_is_found(after: int):
    """Found at the start or in the middle: one question, the task waits, the rest is done."""
    world = World(a_plan(a_task("a"), a_task("b", "a"), a_task("c", "b")))
    projection = Edited(after, ("c", Means.DONE))
    state = asyncio.run(world.drive(replace(world.ports(), projections=(projection,))))
    assert [asked.decision.kind for asked in world.events(DecisionAsked)] == [DecisionKind.EDITED]
    assert state.waits_for_people
    assert world.landed() == ["a", "b"]
    (asked,) = state.decisions
    world.inbox.put(Request(id="q", kind=RequestKind.ANSWER, decision=asked, choice="file", by="me"))
    state = asyncio.run(world.drive())
    assert state.tasks["c"].status is S.SKIPPED
    assert state.finished is not None
