"""Files of each system, edited by hand while nobody drove the run: asked about once, and both answers (SPEC 11)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.commands import Request, RequestKind
from chargehand.domain.effects import StartAttempt
from chargehand.domain.events import DecisionAsked, EffectIntended, TaskEnded, TaskIntegrated
from chargehand.profiles import profile_of
from chargehand.profiles.task_executor_log import iso
from chargehand.profiles.task_executor_text import entries
from chargehand.profiles.writing import write_atomically
from tests.e2e import test_profile_dispatch as dispatch
from tests.e2e import test_profile_factory_line as factory_line
from tests.e2e import test_profile_konductor as konductor
from tests.e2e import test_profile_sendit as sendit
from tests.e2e import test_profile_task_executor as task_executor
from tests.e2e.cliworld import CliWorld
from tests.e2e.world import World

dispatch_world = dispatch.world
factory_line_world = factory_line.world
konductor_world = konductor.world
sendit_world = sendit.world
task_executor_world = task_executor.world

NOTE = "A note of mine."


@dataclass(frozen=True)
class Case:
    """An edit: `old` becomes `new` in a file, which says with `theirs` that a task is done that did not begin."""

    system: Any
    file: str
    task: str
    old: str
    new: str
    theirs: str

    def text(self, world: World) -> str:
        return (world.repo.path / self.file).read_text(encoding="utf-8")

    def word(self, world: World) -> str:
        """What the file says of the task."""
        name = self.system.__name__.rpartition("test_profile_")[2].replace("_", "-")
        read = profile_of(name).told
        assert read is not None
        found = read(self.file, self.text(world), ())
        assert found is not None
        return found[self.task].word

    def edit(self, world: World) -> str:
        """The text after the edit."""
        before = self.text(world)
        assert before.count(self.old) == 1, before
        after = before.replace(self.old, self.new)
        (world.repo.path / self.file).write_text(after, encoding="utf-8")
        return after


CASES = {
    "sendit": Case(
        system=sendit,
        file=f"{sendit.LOGIN}/PROGRESS.md",
        task="task-8",
        old="| 8 | Tell the others | pending | — |",
        new="| 8 | Tell the others | done | 0a1b2c3 |",
        theirs="done",
    ),
    "dispatch": Case(
        system=dispatch,
        file=dispatch.STATE,
        task="task-11",
        old='"completed_tasks": ["task-1", "task-2"]',
        new='"completed_tasks": ["task-1", "task-2", "task-11"]',
        theirs="completed",
    ),
    "task_executor": Case(
        system=task_executor,
        file=task_executor.TASKS,
        task="TASK-10",
        old="    status: PENDING\n# the end",
        new="    status: ACCEPTED\n# the end",
        theirs="ACCEPTED",
    ),
    "factory_line": Case(
        system=factory_line,
        file=f"{factory_line.LINE}/todo.md",
        task="tests",
        old="[ ] Subtask 9: Add/update tests",
        new="[x] Subtask 9: Add/update tests",
        theirs="[x]",
    ),
}


def slowly(quick: str) -> Any:
    """All systems, all but one of them as a slow proof of its own."""
    slow = [pytest.param(name, marks=pytest.mark.system) for name in CASES if name != quick]
    return pytest.mark.parametrize("case", [quick, *slow], indirect=True)


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


@pytest.fixture
def world(case: Case, request: pytest.FixtureRequest) -> World:
    found: World = request.getfixturevalue(f"{case.system.__name__.rpartition('test_profile_')[2]}_world")
    return found


def stop_at(reached: Callable[[Any], bool]) -> Any:
    """An observer that ends the run when an event has come."""

    def watch(recorded: Any, _state: Any, engine: Any) -> None:
        if reached(recorded.event):
            engine.interrupt("test", now=True)

    return watch


def first_start(event: Any) -> bool:
    return isinstance(event, EffectIntended) and isinstance(event.effect, StartAttempt)


def asked(world: World) -> Mapping[str, Any]:
    """The run is taken up by somebody who can be asked; answers with the one question about an edit."""
    document = world.resume(stop_at(lambda event: isinstance(event, DecisionAsked)), unattended=False)
    (only,) = [each for each in document["decisions"] if each["kind"] == "edited"]
    found: Mapping[str, Any] = only
    return found


def answer(world: World, name: str, choice: str) -> None:
    async def say() -> None:
        shop = await world.shop(())
        kind = RequestKind.ANSWER
        shop.service.request(world.run, Request(id=choice, kind=kind, decision=name, choice=choice, by="uma"))

    asyncio.run(say())


def test_the_file_s_word(case: Case, world: World):
    """Done by hand is a skip that says so; the row of the person stays, and the edit was asked about before."""
    case.system.carry_out(world, observe=stop_at(first_start))
    after = case.edit(world)
    question = asked(world)
    assert (question["task"], question["choices"]) == ("", ["file", "ours"])
    assert f"{case.file} was edited by hand" in question["question"]
    assert f"- {case.task}: the run has it waiting" in question["question"]
    assert case.text(world) == after, "nothing is written over it before it is answered"
    answer(world, question["id"], "file")
    world.resume(stop_at(lambda event: isinstance(event, TaskEnded)))
    assert world.outcome(case.task) == ("skipped", "human")
    assert f"{case.file} was edited to say" in world.task(case.task)["detail"]
    assert case.word(world) == case.theirs


@slowly("task_executor")
def test_ours(case: Case, world: World):
    """The file is as the run has it; the edited text is where the question says."""
    case.system.carry_out(world, observe=stop_at(first_start))
    ours = case.word(world)
    after = case.edit(world)
    question = asked(world)
    kept = Path(question["question"].rpartition("is kept: ")[2].rstrip("."))
    assert kept.read_text(encoding="utf-8") == after
    answer(world, question["id"], "ours")
    document = world.resume(stop_at(first_start), unattended=True)
    assert not document["decisions"]
    assert world.task(case.task)["state"] == "waiting"
    assert case.word(world) == ours


@pytest.mark.system
def test_what_happens_while_it_is_asked_is_written_with_its_own_times(task_executor_world: World):
    """A whole run goes on around the question: entries and log are those of its events, not of the catching up."""
    world, case = task_executor_world, CASES["task_executor"]
    landed: dict[str, str] = {}

    def watch(recorded: Any, _state: Any, _engine: Any) -> None:
        if not landed and first_start(recorded.event):
            case.edit(world)
            landed[""] = ""
        if isinstance(recorded.event, TaskIntegrated):
            landed[recorded.event.task] = iso(recorded.at)

    case.system.carry_out(world, observe=watch, unattended=False)
    (question,) = [each.decision for each in world.events() if isinstance(each, DecisionAsked)]
    answer(world, question.id, "ours")
    world.resume(stop_at(first_start), unattended=False)
    found = entries(case.text(world))
    assert len(landed) > 5
    assert {task: found[task]["completed_at"] for task in landed if task} == {k: v for k, v in landed.items() if k}
    log = (world.repo.path / task_executor.TASKS).parent.parent / "log.jsonl"
    said = [json.loads(line)["message"] for line in log.read_text(encoding="utf-8").splitlines()]
    for task in filter(None, landed):
        assert any(f"{task} (attempt {found[task]['attempts']})\nStatus: ACCEPTED" in message for message in said), task
    assert not any("(attempt 0)" in message for message in said)


@slowly("dispatch")
def test_our_own_writing_and_notes_ask_nothing(case: Case, world: World):
    """Interrupted twice without an edit, then with a note only: no question, and the note stays."""
    case.system.carry_out(world, observe=stop_at(first_start))
    world.resume(stop_at(first_start), unattended=False)
    text = case.text(world)
    noted = {"json": text.replace("{", '{\n  "note": "A note of mine.",', 1), "yaml": f"{text}# {NOTE}\n"}
    path = world.repo.path / case.file
    path.write_text(noted.get(case.file.rpartition(".")[2], f"{text}\n{NOTE}\n"), encoding="utf-8")
    document = world.resume(stop_at(lambda event: isinstance(event, TaskIntegrated)), unattended=False)
    assert not [each for each in document["decisions"] if each["kind"] == "edited"]
    assert NOTE in case.text(world)


class Killed(BaseException):
    """The process is gone."""


@slowly("task_executor")
@pytest.mark.parametrize("number", [2, 4])
def test_a_kill_between_intent_and_write_asks_nothing(
    case: Case, world: World, monkeypatch: pytest.MonkeyPatch, number: int
):
    """I5: the file still says what it said before, and that is nobody's edit; the resume brings it up to date."""
    written: list[str] = []

    def dies(path: Path, text: str, root: Path) -> None:
        if path == world.repo.path / case.file and path.is_file() and path.read_text(encoding="utf-8") != text:
            written.append(text)
            if len(written) == number:
                raise Killed
        write_atomically(path, text, root)

    with monkeypatch.context() as patch:
        patch.setattr("chargehand.profiles.pen.write_atomically", dies)
        with pytest.raises(Killed):
            case.system.carry_out(world)
    assert case.text(world) != written[-1]
    world.resume(stop_at(first_start), unattended=False)
    assert not [event for event in world.events() if isinstance(event, DecisionAsked) and event.decision.edits]


# -- konductor: a file for each task, and blockers that people resolve ----------------------------

BLOCKED = [{"report": {"status": "BLOCKED", "blocker": "No key."}}]


def blocked(world: World) -> None:
    """A task is blocked, and the run stands."""
    konductor.carry_out(
        world,
        observe=stop_at(lambda event: isinstance(event, TaskEnded) and event.task == "003-task-1"),
        _003_task_1=BLOCKED,
    )
    assert "## Status: BLOCKED" in konductor.summary(world, "003-task-1")


@pytest.mark.system
def test_a_summary_of_konductor_that_says_done(konductor_world: World):
    world = konductor_world
    blocked(world)
    path = world.repo.path / konductor.PHASE / "plans" / "003-task-1-summary.md"
    text = path.read_text().replace("## Status: BLOCKED", "## Status: DONE") + "\n## Review Status: passed\n"
    path.write_text(text)
    question = asked(world)
    assert (
        "003-task-1: the run has it blocked (written as 'BLOCKED'), the file says 'DONE, review passed'."
        in (question["question"])
    )
    answer(world, question["id"], "file")
    world.resume(unattended=True)
    assert world.outcome("003-task-1") == ("skipped", "human")
    assert path.read_text() == text


@pytest.mark.system
def test_a_blocker_of_konductor_that_was_resolved(konductor_world: World):
    """Resolved by hand, the task is tried again; what had landed stays."""
    world = konductor_world
    blocked(world)
    path = world.repo.path / ".konductor" / "state.toml"
    text = path.read_text()
    (row,) = [part for part in text.split("[[blockers]]") if "003-task-1" in part]
    path.write_text(text.replace(row, row.replace("resolved = false", "resolved = true")))
    question = asked(world)
    assert "the file says 'resolved'. If the file's word is taken, it is tried again." in question["question"]
    answer(world, question["id"], "file")
    world.resume(unattended=True)
    assert world.task("003-task-1")["attempts"] == 2


def test_a_summary_of_konductor_that_a_person_wrote(konductor_world: World):
    """A task done by hand, told as Konductor tells it: asked about, skipped, and done for its plan."""
    world = konductor_world
    konductor.carry_out(world, observe=stop_at(first_start))
    path = world.repo.path / konductor.PHASE / "plans" / "005-task-2-summary.md"
    text = "# Plan 005 - Task 2 Summary\n\n## Status: DONE\n\n## Review Status: passed\n"
    path.write_text(text)
    question = asked(world)
    assert "- 005-task-2: the run has it waiting, the file says 'DONE, review passed'. If" in question["question"]
    answer(world, question["id"], "file")
    world.resume(stop_at(lambda event: isinstance(event, TaskEnded)))
    assert world.outcome("005-task-2") == ("skipped", "human")
    assert path.read_text() == text


def test_a_summary_of_konductor_with_a_note(konductor_world: World):
    """A line added to a summary stays while the summary goes on."""
    world = konductor_world
    konductor.carry_out(world, observe=stop_at(lambda event: isinstance(event, TaskIntegrated)))
    (landed,) = [task["id"] for task in world.document["tasks"] if task["state"] == "integrated"][:1]
    path = world.repo.path / konductor.PHASE / "plans" / f"{landed}-summary.md"
    text = path.read_text()
    path.write_text(text.replace("\n\n", f"\n\n{NOTE}\n\n", 1))
    document = world.resume(stop_at(first_start), unattended=False)
    assert not [each for each in document["decisions"] if each["kind"] == "edited"]
    assert NOTE in path.read_text()
    path.write_text(text.replace("## Status: DONE", "## Status: BLOCKED"))
    question = asked(world)
    assert f"- {landed}: the run has it integrated" in question["question"]
    assert "Cannot be taken: No run is told 'BLOCKED" in question["question"]
    answer(world, question["id"], "ours")
    world.resume(stop_at(first_start))
    assert path.read_text() == text


# -- a run that is over ---------------------------------------------------------------------------


FAILS = [{"report": {"status": "FAILED"}}]
LATER = {"attempts": {1: FAILS, 2: FAILS, "default": sendit.WORK["task-4"]}}


@pytest.fixture
def cli(sendit_world: World, tmp_path: Path) -> CliWorld:
    cli = CliWorld(sendit_world.repo, tmp_path / "cli")
    cli.environ["XDG_STATE_HOME"] = sendit_world.environ["XDG_STATE_HOME"]
    return cli


@pytest.mark.system
def test_a_failed_row_put_back_to_pending_is_tried_again(sendit_world: World, cli: CliWorld):
    """From the command line, after the run had ended: resume asks, the answer opens it, resume goes on."""
    world = sendit_world
    sendit.carry_out(world, unattended=False, task_4=LATER)
    assert cli.call("answer", "d1", "stop").code == 0
    ended = cli.call("resume", "--json")
    assert (ended.code, ended.document["state"], ended.document["decisions"]) == (1, "failed", [])
    path = world.repo.path / sendit.LOGIN / "PROGRESS.md"
    text = path.read_text().replace("| 4 | Limit the tries | failed | — |", "| 4 | Limit | pending | — |")
    landed = next(line for line in text.splitlines() if line.startswith("| 2 |"))
    assert "| done |" in landed
    path.write_text(text.replace(landed, landed.replace("| done |", "| skipped |")))
    for _ in range(2):
        again = cli.call("resume", "--json")
        assert (again.code, again.document["state"]) == (1, "failed")
        assert [each["kind"] for each in again.document["decisions"]] == ["edited"], "one question, however often"
    listed = cli.call("decisions", "--json").document["decisions"]
    assert (listed[0]["kind"], listed[0]["choices"], listed[0]["default"]) == ("edited", ["file", "ours"], "ours")
    said = cli.call("answer", listed[0]["id"], "file")
    assert said.code == 0
    assert "task-2: the run has it integrated" in said.stderr
    assert "Cannot be taken: Task task-2 is integrated already." in " ".join(said.stderr.split())
    done = cli.call("resume", "--json")
    assert (done.code, done.document["state"]) == (0, "finished"), done.stdout
    assert sendit.table(world)[4][0] == "done"
    assert "| 4 | Limit | done |" in path.read_text(), "their title stays"


@pytest.mark.system
def test_a_run_that_is_over_and_answers_for_itself_goes_by_its_own_word(sendit_world: World, cli: CliWorld):
    world = sendit_world
    assert sendit.carry_out(world, task_4=LATER)["state"] == "failed"
    path = world.repo.path / sendit.LOGIN / "PROGRESS.md"
    path.write_text(path.read_text().replace("| 4 | Limit the tries | failed | — |", "| 4 | Limit | pending | — |"))
    again = cli.call("resume", "--json")
    assert (again.code, again.document["state"], again.document["decisions"]) == (1, "failed", [])
    assert "| 4 | Limit | failed | — |" in path.read_text()


@pytest.mark.system
def test_what_was_edited_before_accept_is_kept(sendit_world: World, cli: CliWorld):
    """Who accepts is not asked: the file is written, and the edit lies in the run's folder."""
    world = sendit_world
    sendit.carry_out(world)
    path = world.repo.path / sendit.LOGIN / "PROGRESS.md"
    edited = path.read_text().replace("| 8 | Tell the others | done |", "| 8 | Tell the others | failed |")
    path.write_text(edited)
    sendit.take_in(world)
    assert sendit.table(world)[8][0] == "done"
    (kept,) = (world.repo.path / ".git/chargehand/runs" / world.run / "artifacts/edited").iterdir()
    assert kept.read_text() == edited
