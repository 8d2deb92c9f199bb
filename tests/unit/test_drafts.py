"""What happens while people are asked about a file is in it afterwards, as in a run that nobody disturbed (SPEC 11)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.commands import Request, RequestKind, take
from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import AdapterError
from chargehand.domain.events import DecisionAnswered, EffectIntended, Recorded
from chargehand.domain.evolve import evolve, fold
from chargehand.domain.hand_edits import Told, ask_about_edits
from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, ReportStatus
from chargehand.domain.plan import Files, Mode, Task
from chargehand.domain.state import RunState
from chargehand.domain.words import Means
from chargehand.profiles import Site, profile_of
from chargehand.profiles.drafts import Draft, Drafts
from chargehand.profiles.pen import Pen, Watched
from chargehand.profiles.task_executor_text import entries, with_keys_of
from tests.play import Play, a_plan, a_task, done
from tests.unit.played import play


@dataclass(frozen=True)
class System:
    """A file of a system with three tasks; the edit says of the last that it is done."""

    name: str
    source: str
    file: str
    tasks: tuple[str, str, str]
    text: str
    old: str
    new: str


GRAPH = {"task_graph": {"tasks": [{"id": name} for name in ("A", "B", "C")]}, "completed_tasks": []}
SYSTEMS = {
    "task-executor": System(
        name="task-executor",
        source="prompts/J-1/iteration_1/tasks.yaml",
        file="prompts/J-1/iteration_1/tasks.yaml",
        tasks=("A", "B", "C"),
        text="tasks:\n- id: A\n- id: B\n- id: C\n  # mine\n  status: PENDING\n  note: x\n",
        old="status: PENDING\n  note: x",
        new="status: ACCEPTED\n  note: x",
    ),
    "dispatch": System(
        name="dispatch",
        source=".nexus-cortexia",
        file=".nexus-cortexia/state.json",
        tasks=("A", "B", "C"),
        text=json.dumps(GRAPH, indent=2) + "\n",
        old='"completed_tasks": []',
        new='"completed_tasks": ["C"]',
    ),
    "konductor": System(
        name="konductor",
        source=".konductor/phases/01-one",
        file=".konductor/state.toml",
        tasks=("001-task-1", "001-task-2", "001-task-3"),
        text='[[blockers]]\nphase = "01-one"\nstep = "executing"\nreason = "001-task-3: No key."\n'
        'timestamp = "2026-01-01T00:00:00Z"\nresolved = true\n',
        old="resolved = true",
        new="resolved = false",
    ),
}


def journal(system: System) -> list[Recorded]:
    """The first fails once and lands, so does the second, then the third; ten seconds between events."""
    one, two, three = system.tasks

    def task(name: str, *needs: str) -> Task:
        files = Files(modify=(f"{name}.py",))
        return Task(id=name, title=name, files=files, mode=Mode.SEQUENTIAL, depends_on=needs)

    tasks = (task(one), task(two, one), task(three, two))
    fails = AttemptResult(exit=AgentExit(kind=ExitKind.TIMEOUT))
    _, recorded = play(*tasks, outcomes={(one, 1): fails}, plan={"profile": system.name})
    return [replace(each, at=1000.0 + 10 * number) for number, each in enumerate(recorded)]


class Place:
    """A work tree with a run of a system."""

    def __init__(self, system: System, root: Path) -> None:
        self.system, self.root = system, root / "tree"
        self.file = self.root / system.file
        self.file.parent.mkdir(parents=True)
        self.file.write_text(system.text)
        if system.name == "konductor":
            (self.root / system.source / "plans").mkdir(parents=True)
        self.folder = root / "run"

    def begin(self, state: RunState) -> Watched:
        profile = profile_of(self.system.name)
        assert profile.project is not None
        assert profile.told is not None
        pen = Pen(root=self.root, folder=self.folder, read=profile.told)
        site = Site(root=self.root, source=self.root / self.system.source, pen=pen)
        made = Watched(inner=profile.project(site, state.plan), pen=pen)
        made.begin(state)
        return made

    def log(self) -> str:
        file = self.root / "prompts/J-1/log.jsonl"
        return file.read_text() if file.exists() else ""


def start_of(events: list[Recorded], task: str) -> int:
    """The number of the event with which a task starts first."""

    def starts(event: Any) -> bool:
        return (
            isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt) and event.effect.task == task
        )

    return next(number for number, each in enumerate(events) if starts(each.event))


def carry_out(place: Place, events: list[Recorded], *, edit_at: int = 0, again_at: int = 0) -> None:
    """Draw every event; with an edit, one process asks, another answers `ours` before the third task starts."""
    state = fold(events[:1])
    made, asked = place.begin(state), ""
    answer_at = start_of(events, place.system.tasks[2]) if edit_at else 0
    for number, each in enumerate(events[1:], 1):
        if edit_at and number == edit_at:
            edit(place, place.system.old, place.system.new)
        if again_at and number == again_at:
            made = place.begin(state)
        if asked and number == answer_at:
            assert place.system.new in place.file.read_text(), "nothing is written over it before it is answered"
            answered = DecisionAnswered(id=asked, choice="ours", by="me")
            evolve(state, answered, each.at)
            made.take(Recorded(seq=0, at=each.at, event=answered), state)
        evolve(state, each.event, each.at)
        made.take(each, state)
        for event in ask_about_edits(state, made.edits()):
            evolve(state, event, each.at)
            (asked,) = state.decisions
            made.take(Recorded(seq=0, at=each.at, event=event), state)
    assert bool(asked) is bool(edit_at)


def edit(place: Place, old: str, new: str) -> None:
    text = place.file.read_text()
    assert text.count(old) == 1, text
    place.file.write_text(text.replace(old, new))


@pytest.mark.parametrize("restarts", [False, True])
@pytest.mark.parametrize("name", SYSTEMS)
def test_ours_is_what_an_undisturbed_run_would_have_written(name: str, restarts: bool, tmp_path: Path):
    """Status, attempts and times are those of the events, also when another process went on meanwhile."""
    system = SYSTEMS[name]
    events = journal(system)
    calm, disturbed = Place(system, tmp_path / "calm"), Place(system, tmp_path / "disturbed")
    carry_out(calm, events)
    first, second = start_of(events, system.tasks[0]), start_of(events, system.tasks[1])
    carry_out(disturbed, events, edit_at=first + 1, again_at=second + 2 if restarts else 0)
    assert disturbed.file.read_text() == calm.file.read_text()
    assert disturbed.log() == calm.log()
    assert not list((disturbed.folder / "drafts").iterdir()), "it is written, and the draft is gone"


def answered(place: Place, events: list[Recorded], choice: str) -> RunState:
    """The file is edited once the first task has begun, and the question answered after the last event."""
    state = fold(events[:1])
    made = place.begin(state)
    for number, each in enumerate(events[1:], 1):
        if number == start_of(events, place.system.tasks[0]) + 1:
            edit(place, place.system.old, place.system.new)
        evolve(state, each.event, each.at)
        made.take(each, state)
        for event in ask_about_edits(state, made.edits()):
            evolve(state, event, each.at)
    (asked,) = state.decisions
    evolve(state, DecisionAnswered(id=asked, choice=choice, by="me"), 2000.0)
    return state


def test_an_edit_upon_the_edit_keeps_the_states_of_the_run(tmp_path: Path):
    """A note added while it is asked stays, and so do attempts and times; nobody is asked again about the same word."""
    system = SYSTEMS["task-executor"]
    events = journal(system)
    place = Place(system, tmp_path)
    until = events[: start_of(events, system.tasks[2])]
    state = answered(place, until, "ours")
    edit(place, "  note: x", "  note: y\n  estimate: 3")
    made = place.begin(state)
    assert made.edits() == (), "it says what it said when it was answered"
    calm = Place(system, tmp_path / "calm")
    carry_out(calm, until)
    wanted = calm.file.read_text().replace("  note: x", "  note: y\n  estimate: 3")
    assert entries(place.file.read_text()) == entries(wanted)
    assert place.begin(state).edits() == ()
    edit(place, "  status: PENDING\n  note: y", "  status: ACCEPTED\n  note: y")
    assert len(place.begin(state).edits()) == 1, "made again, it is another question"


def test_the_file_s_word_counts_for_its_task_alone(tmp_path: Path):
    """What happened to the others meanwhile is written, with its times."""
    system = SYSTEMS["task-executor"]
    events = journal(system)
    place, calm = Place(system, tmp_path), Place(system, tmp_path / "calm")
    until = events[: start_of(events, system.tasks[2])]
    state = answered(place, until, "file")
    place.begin(state)
    carry_out(calm, until)
    found, wanted = entries(place.file.read_text()), entries(calm.file.read_text())
    assert {**found, "C": 0} == {**wanted, "C": 0}
    assert found["C"]["status"] == "ACCEPTED"


def test_keys_as_another_text_has_them():
    text = "tasks:\n- id: A\n  status: X\n  note: mine\n- id: B\n  status: X\n- id: C\n"
    other = "tasks:\n- id: A\n  attempts: '2'\n- id: B\n  status: Y\n  note: old\n"
    assert entries(with_keys_of(text, other, ("status", "attempts"), but={"B"})) == {
        "A": {"id": "A", "status": "null", "note": "mine", "attempts": "2"},
        "B": {"id": "B", "status": "X"},
        "C": {"id": "C"},
    }


# -- what is kept ---------------------------------------------------------------------------------

SAYS: Mapping[str, Told] = {"a": Told(word="done", means=Means.DONE)}


def test_a_draft_outlives_its_process(tmp_path: Path):
    draft = Draft(over="1", asked="2", told=SAYS, ours={})
    Drafts(folder=tmp_path).put("x.txt", draft)
    Drafts(folder=tmp_path).draw("x.txt", "2", "text")
    drafts = Drafts(folder=tmp_path)
    assert drafts.get("x.txt") == replace(draft, base="2", text="text")
    assert drafts.get("y.txt") is None
    drafts.draw("y.txt", "2", "text")
    assert drafts.get("y.txt") is None, "nobody is asked about it"
    drafts.drop("x.txt")
    assert Drafts(folder=tmp_path).get("x.txt") is None


def test_one_that_cannot_be_read_is_none_and_one_that_cannot_be_kept_is_told(tmp_path: Path):
    drafts = Drafts(folder=tmp_path)
    drafts.put("x.txt", Draft(over="1", asked="2", told=SAYS, ours={}))
    (file,) = (tmp_path / "drafts").iterdir()
    file.write_text('{"text": null}')
    assert Drafts(folder=tmp_path).get("x.txt") is None
    (tmp_path / "other").write_text("")
    with pytest.raises(AdapterError, match="cannot be made"):
        Drafts(folder=tmp_path / "other").put("x.txt", Draft(over="1", asked="2", told=SAYS, ours={}))


# -- what was done by hand ------------------------------------------------------------------------


def test_a_state_of_dispatch_names_no_task_as_completed_and_as_what_another_is_blocked_on(tmp_path: Path):
    """A person did a failed task, and moved it to the completed ones: what was blocked on it goes on."""
    system = SYSTEMS["dispatch"]
    place = Place(system, tmp_path)
    tasks = (a_task("A"), a_task("B", "A"), a_task("C", "B"))
    run = Play(a_plan(*tasks, profile="dispatch"), unattended=True)
    run.begin()
    while "A" in run.running:
        run.attempt("A", done(ReportStatus.FAILED, summary=f"no {len(run.journal)}"))
    place.begin(run.state)
    data = json.loads(place.file.read_text())
    assert [each["task_id"] for each in data["blocked_tasks"]] == ["B", "C"]
    run.state.unattended = False
    data |= {"failed_tasks": [], "completed_tasks": ["A"]}
    place.file.write_text(json.dumps(data))
    (edit,) = place.begin(run.state).edits()
    run.record(*ask_about_edits(run.state, [edit]))
    (asked,) = run.state.decisions
    request = Request(id="q", kind=RequestKind.ANSWER, decision=asked, choice="file", by="me")
    run.record(*take(run.state, request))
    place.begin(run.state)
    data = json.loads(place.file.read_text())
    assert (data["completed_tasks"], data["blocked_tasks"], data["failed_tasks"]) == (["A"], [], [])
    assert run.running == ["B"]
