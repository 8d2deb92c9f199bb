"""The profile task-executor: how an entry is changed, which states it has, and where it is written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.domain.errors import AdapterError, UserError
from chargehand.domain.events import Recorded, RunInterrupted, RunResumed, WarningRaised
from chargehand.domain.evolve import fold
from chargehand.domain.outcome import ExitKind
from chargehand.domain.plan import Command, Files, GatePoint, Mode, Plan, Task
from chargehand.domain.policy import Commits
from chargehand.domain.review import Stage
from chargehand.domain.words import Reason, TaskStatus
from chargehand.plans.task_executor import TaskExecutorReader
from chargehand.profiles import Site, profile_of
from chargehand.profiles.task_executor_states import TRANSITIONS, leads_to
from chargehand.profiles.task_executor_text import Value, edited, entries, groups, with_keys_of
from tests.looks import a_finding, fails, passes
from tests.play import Play, a_gate, a_plan, done, ended
from tests.unit.played import play

FIXTURE = Path(__file__).parent.parent / "fixtures" / "task_executor"
TASKS = "prompts/SHOP-7/iteration_2/tasks.yaml"
TEXT = (FIXTURE / TASKS).read_text(encoding="utf-8")
ALL: dict[str, Value] = {
    "status": "ERROR",
    "attempts": 7,
    "files_modified": ["a b.py", "ü\u2028"],
    "validation_details": 'one\n# two: "x"',
    "completed_at": None,
}


# -- the text of an entry -------------------------------------------------------------------------


@pytest.mark.parametrize("task", entries(TEXT))
def test_only_the_entry_changes(task: str):
    """Values, places and comments of all others stay; a key that was not there comes behind those that were."""
    text = edited(TEXT, task, ALL)
    before, after = yaml.safe_load(TEXT), yaml.safe_load(text)
    for old, new in zip(before["tasks"], after["tasks"], strict=True):
        assert new == ({**old, **ALL} if old["id"] == task else old)
    assert {**after, "tasks": 0} == {**before, "tasks": 0}
    comments = [part.split("#", 1)[1] for part in TEXT.splitlines() if "#" in part]
    assert [part.split("#", 1)[1] for part in text.splitlines() if "#" in part and "# two" not in part] == comments
    assert edited(text, task, ALL) == text
    open_before = {each.id for each in read(TEXT)}
    assert {each.id for each in read(text)} == open_before | {task}, "what is in error is open again"


def read(text: str) -> tuple[Task, ...]:
    plan = TaskExecutorReader().read(Path(TASKS), text, TASKS).plan
    return plan.tasks if plan else ()


def test_all_of_them_one_after_the_other():
    text = TEXT
    for task in entries(TEXT):
        text = edited(text, task, ALL)
    for task in entries(TEXT):
        changes: dict[str, Value] = {
            key: value for key, value in entries(TEXT)[task].items() if key in ALL and isinstance(value, str)
        }
        text = edited(text, task, changes)
    assert {name: each["description"] for name, each in entries(text).items()} == {
        name: each["description"] for name, each in entries(TEXT).items()
    }


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("tasks:\n- id: A", "tasks:\n- id: A\n  status: DONE"),
        ("tasks:\r\n- id: A\r\n", "tasks:\r\n- id: A\r\n  status: DONE\r\n"),
        ("tasks:\n- id: A\n  status:\n  x: 1\n", "tasks:\n- id: A\n  status: DONE\n  x: 1\n"),
        ("tasks:\n- id: A\n  status: # mine\n", "tasks:\n- id: A\n  status: DONE # mine\n"),
        ("tasks:\n- status: 'X'  # y\n  id: A\n", "tasks:\n- status: DONE  # y\n  id: A\n"),
        ("tasks: [{id: A, status: }]\n", "tasks: [{id: A, status: DONE}]\n"),
        ("tasks: [{id: A}]", "tasks: [{id: A, status: DONE}]"),
        ("tasks:\n- id: A\n  status: # x\n  - a # y\n  - b\n# z\n", "tasks:\n- id: A\n  status: DONE # x\n# z\n"),
        ("tasks:\n- id: A\n  x: |+\n    t\n\n", "tasks:\n- id: A\n  status: DONE\n  x: |+\n    t\n\n"),
        ('{"tasks": [{"id": "A", "status": "X"}]}', '{"tasks": [{"id": "A", "status": DONE}]}'),
        ("tasks:\n- &a\n  id: A\n  status: &s X\n", "tasks:\n- &a\n  id: A\n  status: DONE\n"),
    ],
)
def test_a_value_is_written_where_it_stands(before: str, after: str):
    assert edited(before, "A", {"status": "DONE"}) == after


@pytest.mark.parametrize("ends", ["\n", "\r\n"])
@pytest.mark.parametrize("task", entries(TEXT))
def test_a_byte_order_mark_stays_and_edits_are_as_without_it(task: str, ends: str):
    text = TEXT.replace("\n", ends)
    assert edited(f"\ufeff{text}", task, ALL) == f"\ufeff{edited(text, task, ALL)}"
    assert (entries(f"\ufeff{text}"), groups(f"\ufeff{text}")) == (entries(text), groups(text))
    assert with_keys_of(f"\ufeff{text}", edited(text, task, ALL), ["status"]).startswith("\ufeff")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tasks: [", "not valid YAML"),
        ("tasks: {}", "no list `tasks`"),
        ("- tasks", "no list `tasks`"),
        ("", "no list `tasks`"),
        ("\udc80", "not valid YAML"),
        ("- " * 100_000, "nested more than 64 levels deep"),
        ("tasks: " + "[" * 100_000, "nested more than 64 levels deep"),
    ],
)
def test_a_file_that_is_none_is_told(text: str, why: str):
    with pytest.raises(AdapterError, match=f"tasks.yaml cannot be brought up to date: .*{why}"):
        entries(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tasks:\n- {id: B}\n", "no entry A any more"),
        ("x: &x OLD\ntasks:\n- id: A\n  status: *x\n", "an alias of another value"),
        (
            "tasks:\n- id: A\n  status: &x OLD\n- {id: B, status: *x}\n",
            "cannot be found|without changing others|not valid",
        ),
    ],
)
def test_what_cannot_be_changed_by_itself_is_told(text: str, why: str):
    with pytest.raises(AdapterError, match=why):
        edited(text, "A", {"status": "DONE"})


@given(st.text(max_size=40), st.lists(st.text(max_size=10), max_size=3), st.integers(min_value=0, max_value=99))
@settings(max_examples=150, deadline=None)
def test_whatever_an_agent_says_comes_back_as_it_was(said: str, files: list[str], attempts: int):
    text = edited(TEXT, "TASK-3", {"validation_details": said, "files_modified": files, "attempts": attempts})
    entry = entries(text)["TASK-3"]
    assert (entry["validation_details"], entry["files_modified"], entry["attempts"]) == (said, files, str(attempts))


def test_groups_are_those_of_the_file():
    assert groups(TEXT) == {"TASK-2": "A", "TASK-3": "A", "TASK-4": "A", "TASK-7": "B", "TASK-8": "B"}
    assert groups("parallel_groups: 3\n") == groups("a: 1\n") == {}


# -- states ---------------------------------------------------------------------------------------


def test_the_table_of_states():
    """PENDING, ACTIVE, DONE, ACCEPTED, REJECTED or ERROR; in parallel SYNTAX_VALID, which is not the end."""
    edges = {
        mode: {(old, new) for old, following in table.items() for new in following}
        for mode, table in TRANSITIONS.items()
    }
    shared = {("PENDING", "ACTIVE"), ("ACTIVE", "ERROR"), ("ERROR", "ACTIVE")}
    assert edges[Mode.SEQUENTIAL] == shared | {
        *(("ACTIVE", "DONE"), ("DONE", "ACCEPTED"), ("DONE", "REJECTED"), ("DONE", "ERROR"), ("REJECTED", "ACTIVE")),
    }
    assert edges[Mode.PARALLEL] == shared | {
        *(("ACTIVE", "SYNTAX_VALID"), ("ACTIVE", "SYNTAX_ERROR"), ("SYNTAX_ERROR", "ACTIVE")),
        *(("SYNTAX_VALID", "ACCEPTED"), ("SYNTAX_VALID", "ERROR")),
    }


@pytest.mark.parametrize("mode", Mode)
def test_nothing_leads_away_from_accepted(mode: Mode):
    assert leads_to(mode, "PENDING", "ACCEPTED")
    assert not any(leads_to(mode, "ACCEPTED", state) for state in TRANSITIONS[mode] if state != "ACCEPTED")
    assert not leads_to(mode, "ACTIVE", "PENDING")
    assert not leads_to(Mode.SEQUENTIAL, "PENDING", "SYNTAX_VALID")
    assert not leads_to(Mode.PARALLEL, "PENDING", "REJECTED")


# -- where it writes ------------------------------------------------------------------------------


def project(root: Path, text: str) -> Path:
    file = root / TASKS
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return file


def projection(root: Path, source: Path, *tasks: Task) -> Any:
    make = profile_of("task-executor").project
    assert make is not None
    return make(Site(root=root, source=source), Plan(plan="p", tasks=tasks))


def test_entries_and_log_are_made_of_the_state_alone(tmp_path: Path):
    """What was lost is written anew, once."""
    task = Task(id="A", title="t", files=Files(modify=("a.py",)), mode=Mode.SEQUENTIAL)
    run, _ = play(task, plan={"profile": "task-executor"})
    file = project(tmp_path, "tasks:\n- id: A\n")
    log = tmp_path / "prompts/SHOP-7/log.jsonl"
    projection(tmp_path, file, task).begin(run)
    first = (file.read_text(), log.read_text())
    projection(tmp_path, file, task).begin(run)
    assert (file.read_text(), log.read_text()) == first
    assert yaml.safe_load(first[0])["tasks"][0]["status"] == "ACCEPTED"
    assert [json.loads(line)["task_id"] for line in first[1].splitlines()] == ["A"]


def test_an_attempt_that_was_interrupted_is_counted_once(tmp_path: Path):
    """Not while it does not count; afterwards as what it is, and what came before it stands meanwhile."""
    task = Task(id="A", title="t", files=Files(modify=("change", "more")), mode=Mode.SEQUENTIAL)
    gates = (a_gate("tests", GatePoint.INTEGRATE),)
    run = Play(
        a_plan(task, gates=gates, profile="task-executor"), review=True, policy=profile_of("task-executor").policy
    )
    file = project(tmp_path, "tasks:\n- id: A\n  attempts: 3\n  status: ERROR\n")
    background = (("tasks.yaml", "id: A\nattempts: 3\nstatus: ERROR\n"),)
    made = projection(tmp_path, file, replace(task, background=background))
    made.begin(run.state)
    seen: list[Recorded] = []

    def drawn(*, anew: bool = False) -> tuple[str, str]:
        """The entry after everything that happened; `anew`: as the next process has it."""
        if anew:
            projection(tmp_path, file, replace(task, background=background)).begin(run.state)
        else:
            for number in range(len(seen) + 1, len(run.journal) + 1):
                seen.append(run.journal[number - 1])
                made.take(seen[-1], fold(seen))
        entry = entries(file.read_text())["A"]
        return entry["status"], entry["attempts"]

    def interrupt() -> tuple[str, str]:
        run.record(RunInterrupted(by="ctrl-c"))
        run.attempt("A", ended(ExitKind.CANCELLED))
        assert run.task("A").status is TaskStatus.WAITING
        shown = drawn()
        assert drawn(anew=True) == shown
        run.record(RunResumed(pid=1, host="h", version="1"))
        return shown

    run.begin()
    assert drawn() == ("ACTIVE", "4")
    assert interrupt() == ("ACTIVE", "3"), "nothing leads back from ACTIVE"
    assert "does not count" in entries(file.read_text())["A"]["validation_details"]
    assert drawn() == ("ACTIVE", "4")
    run.attempt("A")
    run.attempt("A", fails(a_finding()))
    assert drawn() == ("ACTIVE", "5")
    assert interrupt() == ("REJECTED", "4")
    assert drawn() == ("ACTIVE", "5")
    run.attempt("A", done(changes=("change", "more")))
    run.attempt("A", passes())
    run.integrate("A")
    assert drawn() == ("ACCEPTED", "5")
    log = (tmp_path / "prompts/SHOP-7/log.jsonl").read_text().splitlines()
    said = [json.loads(line)["message"].splitlines()[:2] for line in log]
    assert [(first[-2], second.split()[-1]) for first, second in said] == [("4", "REJECTED"), ("5", "ACCEPTED")]


@pytest.mark.parametrize("status", [TaskStatus.SKIPPED, TaskStatus.CANCELLED])
def test_what_a_person_left_out_says_so(status: TaskStatus, tmp_path: Path):
    """Its state has no word of theirs, and why it ended may be the failure before."""
    task = Task(id="A", title="t", files=Files(modify=("a.py",)), mode=Mode.SEQUENTIAL)
    run, _ = play(task, plan={"profile": "task-executor"})
    detail = "The same failure twice"
    run.tasks["A"] = run.tasks["A"].but(status=status, reason=Reason.HUMAN, detail=detail, landed=None)
    file = project(tmp_path, "tasks:\n- id: A\n")
    projection(tmp_path, file, task).begin(run)
    assert f"{status}: human: {detail}" in entries(file.read_text())["A"]["validation_details"].splitlines()


def test_show_ends_with_the_final_message_of_a_task(tmp_path: Path):
    """In the fields of the system, from the run and the file; a file that is gone is told by whoever asks."""
    task = Task(id="A", title="t", files=Files(modify=("a.py",)), mode=Mode.SEQUENTIAL)
    run, _ = play(task, Task(id="B", title="b"), plan={"profile": "task-executor"})
    file = project(tmp_path, "tasks:\n- id: A\n- id: B\n")
    shown = profile_of("task-executor").shown
    assert shown is not None
    site = Site(root=tmp_path, source=file)
    assert shown(site, run, "A") == (
        "task-executor completed for A (attempt 0)",
        "Status: ACCEPTED",
        "Mode: SEQUENTIAL",
        "Files modified: 1",
        f"Tasks file updated: {TASKS}",
    ), "nobody has written to it yet"
    projection(tmp_path, file, *run.plan.tasks).begin(run)
    assert shown(site, run, None) == ("A: ACCEPTED (attempt 1)", "B: ACCEPTED (attempt 1)")
    run.tasks["B"] = run.tasks["B"].but(attempts=0, status=TaskStatus.WAITING)
    assert shown(site, run, "B") == (), "it has come to no result"
    assert shown(Site(root=tmp_path / "elsewhere", source=file), run, "A") == ()
    file.unlink()
    with pytest.raises(AdapterError, match="cannot be read"):
        shown(site, run, "A")


def test_what_somebody_did_beyond_its_role_is_logged_once(tmp_path: Path):
    """Also when the process was killed before the line was written; other warnings are no lines of theirs."""
    task = Task(id="A", title="t", files=Files(modify=("a.py",)), mode=Mode.SEQUENTIAL)
    run, _ = play(task, plan={"profile": "task-executor"})
    file = project(tmp_path, "tasks:\n- id: A\n")
    made = projection(tmp_path, file, task)
    made.begin(run)
    codes = {"role_violation": "It ran `make`.", "review_violation": "It wrote.", "agent": "It lingered."}
    warnings = [WarningRaised(code=code, text=text, task="A") for code, text in codes.items()]
    made.take(Recorded(seq=99, at=9.0, event=warnings[0]), run)
    run.warnings += [*warnings, WarningRaised(code="review_violation", text="The whole.")]
    projection(tmp_path, file, task).begin(run)
    lines = [json.loads(line) for line in (tmp_path / "prompts/SHOP-7/log.jsonl").read_text().splitlines()]
    found = [(line["level"], line["message"], line["role_violation"]) for line in lines if "role_violation" in line]
    assert found == [
        ("CRITICAL_VIOLATION", "It ran `make`.", "developer"),
        ("CRITICAL_VIOLATION", "It wrote.", "reviewer"),
    ]


def test_tasks_outside_the_work_tree_are_never_written_to(tmp_path: Path):
    """I1: a file may lie elsewhere, or its folder be a link to elsewhere."""
    file = project(tmp_path / "elsewhere", "tasks:\n- id: A\n")
    root = tmp_path / "root"
    root.mkdir()
    (root / "prompts").symlink_to(tmp_path / "elsewhere" / "prompts")
    run, recorded = play(Task(id="A", title="t"))
    for source in (file, root / TASKS):
        made = projection(root, source)
        made.begin(run)
        made.take(recorded[-1], run)
        made.accepted(run, "abc")
    assert file.read_text() == "tasks:\n- id: A\n"
    assert not (tmp_path / "elsewhere/prompts/SHOP-7/log.jsonl").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [(None, "cannot be read"), ("tasks:\n- id: B\n", "has no entry A any more"), ("tasks: [", "not valid YAML")],
)
def test_a_file_that_is_gone_or_broken_stops_it(tmp_path: Path, text: str | None, why: str):
    """A file-system error: stop, and no recovery."""
    run, _ = play(Task(id="A", title="t"))
    file = project(tmp_path, text or "")
    if text is None:
        file.unlink()
    with pytest.raises(AdapterError, match=why):
        projection(tmp_path, file).begin(run)


# -- the profile ----------------------------------------------------------------------------------


def test_the_bounds_are_those_of_the_system():
    """I10: two attempts, one reviewer and one pass, the runtime commits, nothing excuses a red build."""
    policy = profile_of("task-executor").policy
    assert (policy.retries, policy.stages, policy.review_fixes) == (1, (Stage.SPEC,), 0)
    assert (policy.commits, policy.final_baseline, policy.breaker) == (Commits.RUNTIME, False, None)


def test_build_and_tests_are_gates_as_merged_and_at_the_end():
    arrange = profile_of("task-executor").arrange
    assert arrange is not None
    build, test = Command(argv=("make",)), Command(argv=("make", "test"))
    plan = arrange(Plan(plan="p", tasks=()), {"commands.build": build, "commands.test": test})
    points = frozenset({GatePoint.INTEGRATE, GatePoint.RUN})
    assert [(gate.id, gate.run, gate.on) for gate in plan.gates] == [("build", build, points), ("tests", test, points)]
    assert arrange(plan, {"commands.build": test, "commands.test": test}) == plan, "gates of the project go before"


def test_who_works_beside_others_may_neither_build_nor_test():
    """A SEQUENTIAL developer does both; the runtime does for all, as merged."""
    arrange = profile_of("task-executor").arrange
    assert arrange is not None
    build, test = Command(argv=("make",)), Command(argv=("make", "test"))
    beside, alone = Task(id="A", title="a"), Task(id="B", title="b", mode=Mode.SEQUENTIAL)
    plan = arrange(Plan(plan="p", tasks=(beside, alone)), {"commands.build": build, "commands.test": test})
    assert [task.forbidden for task in plan.tasks] == [(build, test), ()]
    assert [task.description for task in plan.tasks] == ["", "Build: make\nTests: make test"]


@pytest.mark.parametrize("key", ["commands.build", "commands.test"])
def test_without_a_command_nothing_starts(key: str):
    arrange = profile_of("task-executor").arrange
    assert arrange is not None
    given: dict[str, object] = {
        "commands.build": Command(argv=("a",)),
        "commands.test": Command(argv=("a",)),
        key: None,
    }
    with pytest.raises(UserError, match=rf"tasks\.yaml names no commands, and {key} are not set\."):
        arrange(Plan(plan="p", tasks=()), given)


def test_every_role_has_its_limits():
    wording = dict(profile_of("task-executor").wording)
    assert set(wording) == {"implementer", "fixer", "spec-reviewer"}
    for word in ("plan", "research", "review", "design", "test strategy", "commit", "PARALLEL", "SEQUENTIAL"):
        assert word in wording["implementer"]
    assert "Do not write code" in wording["spec-reviewer"]
