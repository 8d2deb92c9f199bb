"""What a run wrote is told from what people wrote, also after a crash between intent and write (SPEC 11)."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

import chargehand.profiles.ledger as ledger_module
import chargehand.profiles.pen as pen_module
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import DecisionAnswered, Recorded
from chargehand.domain.evolve import evolve
from chargehand.domain.hand_edits import Told, ask_about_edits
from chargehand.domain.state import RunState
from chargehand.domain.words import Means, TaskWord
from chargehand.ports import Projection
from chargehand.profiles.ledger import Ledger
from chargehand.profiles.pen import Own, Pen, Watched, with_additions
from tests.play import Play, a_plan, a_task

MEANS = {"pending": Means.OPEN, "done": Means.DONE, "failed": Means.FAILED}


def read(file: str, text: str, tasks: Collection[str]) -> Mapping[str, Told] | None:
    """`task: word` in lines, notes begin with a hash; ValueError for anything else."""
    if not file.endswith(".txt"):
        return None
    lines = [line.split(":") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return {task: Told(word=word.strip(), means=MEANS.get(word.strip(), Means.OTHER)) for task, word in lines}


@pytest.fixture
def state() -> RunState:
    play = Play(a_plan(a_task("a"), a_task("b")))
    play.begin()
    found: RunState = play.state
    return found


class Place:
    """A work tree with one file, and the folder of a run."""

    def __init__(self, root: Path, state: RunState) -> None:
        self.root, self.folder, self.state = root / "tree", root / "run" / "artifacts", state
        self.root.mkdir()
        self.file = self.root / "state.txt"

    def pen(self) -> Pen:
        """That of a new process."""
        pen = Pen(root=self.root, folder=self.folder, read=read)
        pen.follow(self.state)
        return pen

    def write(self, text: str, **how: Any) -> Pen:
        pen = self.pen()
        pen.write(self.file, text, **how)
        return pen

    def found(self) -> Any:
        pen = self.pen()
        pen.look()
        return pen.edits()

    def answer(self, pen: Pen, choice: str) -> bool:
        """The question is asked and answered; whether that gave files free."""
        for event in ask_about_edits(self.state, pen.edits()):
            evolve(self.state, event, 0.0)
        pen.follow(self.state)
        (asked,) = self.state.decisions
        evolve(self.state, DecisionAnswered(id=asked, choice=choice, by="me"), 0.0)
        return pen.follow(self.state)


@pytest.fixture
def place(tmp_path: Path, state: RunState) -> Place:
    return Place(tmp_path, state)


def test_our_own_writing_is_nobody_s_edit(place: Place):
    place.file.write_text("a: done\n")
    place.write("a: pending\n")
    place.write("a: failed\n")
    assert place.found() == ()
    assert place.file.read_text() == "a: failed\n"


def test_an_edit_is_found_kept_and_left_alone(place: Place):
    place.write("a: pending\nb: pending\n")
    place.file.write_text("a: done\nb: pending\n# mine\n")
    pen = place.pen()
    pen.look()
    (edit,) = pen.edits()
    assert (edit.file, edit.words) == (
        "state.txt",
        (TaskWord(task="a", ours="pending", theirs="done", means=Means.DONE),),
    )
    assert Path(edit.kept).read_text() == "a: done\nb: pending\n# mine\n"
    assert place.folder in Path(edit.kept).parents
    pen.write(place.file, "a: failed\nb: pending\n")
    assert place.file.read_text() == "a: done\nb: pending\n# mine\n", "nothing is written before it is answered"
    assert pen.edits() == (), "it is told once"


def test_an_edit_is_found_before_a_write_too(place: Place):
    pen = place.write("a: pending\n")
    place.file.write_text("a: done\n")
    pen.write(place.file, "a: failed\n")
    assert len(pen.edits()) == 1
    assert place.file.read_text() == "a: done\n"


@pytest.mark.parametrize("text", ["a:    pending\n\n", "# a note\na: pending\n", "b: failed\na: pending\n"])
def test_form_notes_and_tasks_to_come_raise_nothing_and_stay(place: Place, text: str):
    text = text.replace("b: failed", "later: failed")
    place.write("a: pending\n")
    place.file.write_text(text)
    assert place.found() == ()
    pen = place.pen()
    pen.look()
    assert place.file.read_text() == text
    pen.write(place.file, text.replace("pending", "failed"))
    assert "failed" in place.file.read_text()


def test_ours_writes_the_file_again_and_the_edit_is_kept(place: Place):
    place.write("a: pending\n")
    place.file.write_text("a: done\n")
    pen = place.pen()
    pen.look()
    assert pen.words(place.file)["a"].word == "pending"
    (edit,) = pen.edits()
    pen._fresh.append(edit)
    assert place.answer(pen, "ours")
    assert pen.words(place.file)["a"].word == "pending", "the run goes on from its own word"
    pen.write(place.file, "a: pending\n")
    assert place.file.read_text() == "a: pending\n"
    assert Path(edit.kept).read_text() == "a: done\n"
    assert place.found() == ()


def test_the_file_s_word_is_what_the_run_goes_on_from(place: Place):
    place.write("a: failed\n")
    place.file.write_text("a: done\n")
    pen = place.pen()
    pen.look()
    assert place.answer(pen, "file")
    assert pen.words(place.file) == {}
    assert place.found() == (), "a new process does not ask again"
    place.file.write_text("a: odd\n")
    assert len(place.found()) == 1, "another edit is another question"


@pytest.mark.parametrize("choice", ["ours", "file"])
def test_the_same_edit_made_again_is_another_question(place: Place, choice: str):
    """I9: an answer counts for one question."""
    place.write("a: pending\n")
    place.file.write_text("a: done\n")
    pen = place.pen()
    pen.look()
    place.answer(pen, choice)
    pen.write(place.file, "a: failed\n")
    pen.write(place.file, "a: pending\n")
    place.file.write_text("a: done\n")
    assert len(place.found()) == 1
    pen.look()
    assert len(pen.edits()) == 1
    assert pen.words(place.file)["a"].word == "pending"


def test_while_it_is_asked_a_new_process_leaves_it_alone(place: Place):
    place.write("a: pending\n")
    place.file.write_text("a: done\n")
    pen = place.pen()
    pen.look()
    for event in ask_about_edits(place.state, pen.edits()):
        evolve(place.state, event, 0.0)
    later = place.pen()
    later.look()
    later.write(place.file, "a: failed\n")
    assert (place.file.read_text(), later.edits()) == ("a: done\n", ())
    later.overrules = True
    later.write(place.file, "a: failed\n")
    assert place.file.read_text() == "a: failed\n"


def test_a_file_that_is_gone_is_made_anew(place: Place):
    place.write("a: pending\n", whole=True)
    place.file.unlink()
    assert place.found() == ()
    place.write("a: pending\n", whole=True)
    assert place.file.read_text() == "a: pending\n"


def test_when_nobody_can_be_asked_it_is_kept_and_written(place: Place):
    pen = place.write("a: pending\n")
    place.file.write_text("a: done\n")
    pen.overrules = True
    pen.write(place.file, "a: failed\n")
    assert place.file.read_text() == "a: failed\n"
    (kept,) = (place.folder / "edited").iterdir()
    assert kept.read_text() == "a: done\n"


def test_what_nothing_can_read_is_told_and_left(place: Place):
    place.write("a: pending\n")
    place.file.write_text("broken\n")
    with pytest.raises(AdapterError, match=r"state\.txt cannot be brought up to date: it was edited.*resume"):
        place.found()
    assert place.file.read_text() == "broken\n"


@pytest.mark.parametrize("before", [None, "a: failed\n"])
def test_a_file_where_the_run_wrote_nothing_yet(place: Place, before: str | None):
    """What was there when the run began is its input; what comes later is somebody's word."""
    if before is not None:
        place.file.write_text(before)
    place.pen().note(place.file)
    place.pen().note(place.root / "log.jsonl")
    assert place.found() == ()
    place.file.write_text("a: done\n")
    place.pen().note(place.file)
    (edit,) = place.found()
    assert [(word.ours, word.theirs) for word in edit.words] == [("failed" if before else "", "done")]
    place.file.unlink()
    assert place.found() == ()
    place.write("a: pending\n", whole=True)
    assert place.file.read_text() == "a: pending\n"
    assert place.found() == ()


def test_the_input_of_a_run_is_written_over_as_a_whole(place: Place):
    place.file.write_text("# of another run\na: failed\n")
    place.pen().note(place.file)
    place.write("a: pending\n", whole=True)
    assert place.file.read_text() == "a: pending\n"


def test_files_that_say_nothing_of_tasks_are_written_over(place: Place):
    pen = place.pen()
    log = place.root / "log.jsonl"
    pen.write(log, "1\n")
    log.write_text("mine\n")
    pen.write(log, "2\n")
    assert log.read_text() == "2\n"
    assert pen.words(log) == {}


# -- crashes --------------------------------------------------------------------------------------


class Killed(BaseException):
    """The process is gone."""


def killed_before(place: Place, monkeypatch: pytest.MonkeyPatch, text: str, **how: Any) -> None:
    """A process that dies after the intent and before the write."""

    def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(pen_module, "write_atomically", dies)
        with pytest.raises(Killed):
            place.write(text, **how)


def killed_after(place: Place, monkeypatch: pytest.MonkeyPatch, text: str, **how: Any) -> None:
    """A process that dies after the write and before it is noted."""

    def dies(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "done", dies)
        with pytest.raises(Killed):
            place.write(text, **how)


@pytest.mark.parametrize("killed", [killed_before, killed_after])
@pytest.mark.parametrize("before", ["a: done\n", None])
@pytest.mark.parametrize("whole", [True, False])
def test_a_kill_around_the_write_is_nobody_s_edit(
    place: Place, monkeypatch: pytest.MonkeyPatch, killed: Any, before: str | None, whole: bool
):
    """I5: intent, write, note; whichever was the last, no question is asked, and the next write comes through."""
    if before is not None:
        place.write(before, whole=whole)
    killed(place, monkeypatch, "a: failed\n", whole=whole)
    assert place.found() == ()
    place.write("a: failed\n", whole=whole)
    assert place.file.read_text() == "a: failed\n"
    place.file.write_text("a: done\n")
    assert len(place.found()) == 1, "what was the word before is an edit once the write came through"


@pytest.mark.parametrize("choice", ["ours", "file"])
def test_a_kill_while_an_answer_is_carried_out_loses_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, choice: str
):
    """I5: the run's own text is there until the file holds it, and no longer."""
    place.write("a: pending\n")
    place.file.write_text("a: done\n")
    pen = place.pen()
    pen.look()
    assert pen.own(place.file) is None, "nothing was drawn yet"
    pen.write(place.file, "a: pending\nb: failed\n")
    place.answer(pen, choice)
    own = Own(text="a: pending\nb: failed\n", is_current=True, theirs=frozenset({"a"} if choice == "file" else ()))
    assert place.pen().own(place.file) == own
    killed_before(place, monkeypatch, "a: failed\n")
    assert place.pen().own(place.file) == own
    killed_after(place, monkeypatch, "a: failed\n")
    assert place.pen().own(place.file) is None, "the file holds it"
    assert place.found() == ()
    place.write("a: failed\n")
    assert place.pen().drafts.get("state.txt") is None


def test_a_note_upon_an_edit_is_no_other_question_and_another_word_is(place: Place):
    place.write("a: pending\n")
    place.file.write_text("a: done\n")
    pen = place.pen()
    pen.look()
    pen.write(place.file, "a: pending\n")
    place.answer(pen, "ours")
    place.file.write_text("a: done\n# mine\n")
    assert place.found() == ()
    own = place.pen().own(place.file)
    assert own == Own(text="a: pending\n", is_current=False)
    place.file.write_text("a: odd\n# mine\n")
    assert len(place.found()) == 1
    assert place.pen().own(place.file) == own, "what the run has is kept for that question, too"
    place.file.write_text("a: done\n# mine\n")
    place.write("a: pending\n# mine\n")
    place.file.write_text("a: done\n# mine\n")
    assert len(place.found()) == 1, "made again, it is another one"


def test_a_note_on_what_was_there_before_a_lost_write_is_no_difference(place: Place, monkeypatch: pytest.MonkeyPatch):
    place.write("a: pending\n")
    killed_before(place, monkeypatch, "a: failed\n")
    place.file.write_text("a: pending\n# mine\n")
    assert place.found() == ()
    place.file.write_text("a: done\n# mine\n")
    assert len(place.found()) == 1


def test_a_torn_line_of_the_ledger_is_passed_over(place: Place):
    place.write("a: pending\n")
    ledger = place.folder / "written.jsonl"
    with ledger.open("ab") as file:
        file.write(b'{"file": "state.txt", "dig')
    assert place.found() == ()
    place.write("a: failed\n")
    assert place.found() == ()
    assert all(line.endswith(b"}") for line in ledger.read_bytes().splitlines())


def test_the_ledger_does_not_grow_without_end(place: Place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(ledger_module, "_MOST_LINES", 10)
    pen = place.pen()
    for number in range(30):
        pen.write(place.file, f"# {number}\na: pending\n")
    assert len((place.folder / "written.jsonl").read_bytes().splitlines()) < 20
    assert place.found() == ()


def test_a_ledger_that_cannot_be_used_is_told(place: Place):
    (place.folder / "written.jsonl").mkdir(parents=True)
    with pytest.raises(AdapterError, match=r"written\.jsonl cannot be used: .*resume"):
        place.pen()


# -- files that are drawn as a whole --------------------------------------------------------------


def test_lines_people_add_to_a_whole_file_stay(place: Place, monkeypatch: pytest.MonkeyPatch):
    place.write("# head\na: pending\n# tail\n", whole=True)
    place.file.write_text("# head\n# mine\na: pending\n# tail\n# the end\n")
    place.write("# head\na: pending\n# tail\n", whole=True)
    assert place.file.read_text() == "# head\n# mine\na: pending\n# tail\n# the end\n"
    place.write("# head\na: failed\n# tail\n", whole=True)
    killed_before(place, monkeypatch, "# head\na: done\n# tail\n", whole=True)
    place.write("# head\na: done\n# tail\n", whole=True)
    assert place.file.read_text() == "# head\n# mine\na: done\n# tail\n# the end\n"
    assert place.found() == ()


def test_lines_that_would_say_more_are_kept_aside_only(place: Place):
    place.write("# head\na: pending\n", whole=True)
    place.file.write_text("# head\na: pending\nlater: done\n")
    place.write("# head\na: failed\n", whole=True)
    assert place.file.read_text() == "# head\na: failed\n"
    assert [kept.read_text() for kept in (place.folder / "edited").iterdir()] == ["# head\na: pending\nlater: done\n"]


def test_where_added_lines_go():
    assert with_additions("a\nb\n", "0\na\nx\nb\n", "A\nb\n") == "A\nb\n0\nx\n"
    assert with_additions("a\nb\n", "a\nx\nb\n", "a\nc\n") == "a\nx\nc\n"
    assert with_additions("a\n", "a\n", "b\n") == "b\n"


# -- the projection around it ---------------------------------------------------------------------


class Drawn(Projection):
    """Writes the state of task a with the pen."""

    def __init__(self, place: Place, pen: Pen) -> None:
        self.place, self.pen = place, pen
        self.begun = 0

    def begin(self, state: RunState) -> None:
        self.begun += 1
        self.pen.write(self.place.file, "a: pending\n")

    def take(self, recorded: Recorded, state: RunState) -> None:
        self.pen.write(self.place.file, "a: failed\n")

    def accepted(self, state: RunState, commit: str) -> None:
        self.pen.write(self.place.file, "a: done\n# accepted\n")


def test_an_answer_gives_the_file_free_and_it_is_drawn(place: Place, state: RunState):
    pen = place.pen()
    inner = Drawn(place, pen)
    watched = Watched(inner=inner, pen=pen)
    watched.begin(state)
    place.file.write_text("a: done\n")
    answered = DecisionAnswered(id="d1", choice="ours", by="me")
    recorded = Recorded(seq=9, at=0.0, event=answered)
    watched.take(recorded, state)
    edits = watched.edits()
    assert len(edits) == 1
    for event in ask_about_edits(state, edits):
        evolve(state, event, 0.0)
    watched.take(recorded, state)
    assert (place.file.read_text(), inner.begun) == ("a: done\n", 1)
    evolve(state, answered, 0.0)
    watched.take(recorded, state)
    assert (place.file.read_text(), inner.begun) == ("a: failed\n", 2)
    place.file.write_text("a: pending\n")
    watched.accepted(state, "c")
    assert place.file.read_text() == "a: done\n# accepted\n"
