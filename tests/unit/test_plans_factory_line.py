"""The reader of Station Kit: what is read of a packet, its session and its gates, and what is refused with which words."""

# ruff: noqa: E501  # a corruption and its message in one line read better than in three

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargehand.domain.plan import GatePoint, Scope
from chargehand.plans.checking import check_loaded
from chargehand.plans.detect import READERS, read_plan
from chargehand.plans.factory_gates import read_fitting
from chargehand.plans.factory_line import StationKitReader
from chargehand.plans.factory_session import prep_gate, read_session
from chargehand.plans.factory_todo import read_todo
from chargehand.plans.loaded import LoadedPlan

FIXTURE = Path(__file__).parent.parent / "fixtures" / "factory_line"
PACKET = ".kilocode/handoff/SK-7.json"
PREP = ".kilocode/thinking/task-SK-7-prep-2026-02-01.json"
FITTER = ".kilocode/fitter.toml"
TODO = ".kilocode/line/SK-7/todo.md"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "orders"
    shutil.copytree(FIXTURE, folder)
    return folder


def load(project: Path) -> LoadedPlan:
    return read_plan(None, project)


def errors(project: Path) -> list[tuple[str, int | None, str]]:
    """(file name, line, message) of all errors that `check` tells."""
    found = check_loaded(load(project)).problems
    return [(Path(p.file or "").name, p.line, p.message) for p in found if p.is_error]


def change(project: Path, name: str, old: str, new: str) -> None:
    file = project / name
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new, 1), encoding="utf-8")


# -- what is read ---------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["", ".kilocode", ".kilocode/handoff", PACKET])
def test_project_folders_and_file_are_the_same_plan(project: Path, named: str):
    loaded = read_plan(project / named, project)
    assert loaded.reader == "station-kit"
    assert loaded.plan is not None, loaded.problems
    assert loaded.plan == load(project).plan
    assert Path(loaded.source) == project / PACKET
    assert errors(project) == []


def test_nobody_else_claims_a_packet_or_a_session(project: Path):
    text = (project / PACKET).read_text()
    assert [each.name for each in READERS if each.claims(project / PACKET, text)] == ["station-kit"]
    session = (project / PREP).read_text()
    assert [each.name for each in READERS if each.claims(project / PREP, session)] == []


def test_a_packet_is_read_with_everything_it_says(project: Path):
    loaded = load(project)
    plan = loaded.plan
    assert plan is not None
    assert (plan.plan, plan.profile) == ("sk-7", "factory-line")
    assert plan.success_criteria == (
        "Exports of any size use constant memory.",
        "The report still shows the number of rows.",
    )
    assert plan.risks[0].mitigation == "Find all callers first."
    assert [task.id for task in plan.tasks] == [*(f"subtask-{n}" for n in range(2, 9)), "tests", "gates"]
    assert loaded.counts == {"done": 1, "left_alone": 2, "open": 7, "prep_thoughts": 11, "subtasks": 8}
    first = plan.tasks[0]
    assert first.scope is Scope.REVIEW
    assert first.approach.startswith("Stream orders through a generator")
    assert first.files is not None
    assert first.files.test == ("tests/test_export.py",)
    background = dict(first.background)
    assert "[Conclusion] Approach: generator with a counter." in background["What was thought before"]
    assert background["Done before"] == "- Subtask 1: Make read_orders() a generator."
    assert "Left alone: beads, subtasks[].owner." in loaded.told


def test_subtasks_run_in_sequence_then_tests_then_gates(project: Path):
    plan = load(project).plan
    assert plan is not None
    depends = {task.id: task.depends_on for task in plan.tasks}
    assert depends["subtask-2"] == ()
    assert all(depends[f"subtask-{n}"] == (f"subtask-{n - 1}",) for n in range(3, 9))
    assert depends["tests"] == tuple(f"subtask-{n}" for n in range(2, 9)), "it sees all summaries"
    assert depends["gates"] == ("tests",)
    assert plan.inferred[-2:] == ("tests", "gates")
    gates = plan.tasks[-1]
    assert gates.allow_empty
    assert "ruff_check: `python3 tools/check.py lint .`" in gates.description


def test_tests_of_the_packet_are_files_or_criteria(project: Path):
    plan = load(project).plan
    assert plan is not None
    tests = next(task for task in plan.tasks if task.id == "tests")
    assert tests.files is not None
    assert tests.files.test[0] == "tests/test_counter.py"
    assert tests.acceptance == ("An export of no rows writes an empty file.",)


def test_without_files_a_subtask_is_unscoped(project: Path):
    packet = json.loads((project / PACKET).read_text())
    packet["files_touched"] = []
    (project / PACKET).write_text(json.dumps(packet))
    plan = load(project).plan
    assert plan is not None
    assert plan.tasks[0].files is None


# -- gates ----------------------------------------------------------------------------------------


def test_gates_of_the_old_vocabulary(project: Path):
    plan = load(project).plan
    assert plan is not None
    assert [gate.id for gate in plan.gates] == ["ruff_format_check", "ruff_check", "mypy", "pytest"]
    shape, lint, types, tests = plan.gates
    assert shape.fix is not None
    assert shape.fix.text == "python3 tools/check.py format ."
    assert GatePoint.TASK in shape.on
    assert GatePoint.TASK in lint.on
    assert types.on == tests.on == frozenset({GatePoint.RUN})
    assert (tests.wall_s, tests.idle_s) == (120, 60)


def test_gates_of_the_new_vocabulary():
    fitting = read_fitting(
        '[defaults]\ngate_fmt_check_cmd = "npx biome format ."\ngate_fmt_cmd = "npx biome format --write ."\n'
        'gate_lint_cmd = "npx biome lint ."\ngate_typecheck_cmd = "tsc"\ngate_test_cmd = "node --test | tee out"\n'
        '[[gates]]\nid = "format_check"\ninvocation = "{{SK_GATE_FMT_CHECK_CMD}}"\n'
        '[[gates]]\nid = "lint"\ninvocation = "{{SK_GATE_LINT_CMD}}"\n'
        '[[gates]]\nid = "typecheck"\ninvocation = "{{ SK_GATE_TYPECHECK_CMD }}"\n'
        '[[gates]]\nid = "test"\ninvocation = "{{SK_GATE_TEST_CMD}}"\n'
    )
    assert fitting.problems == []
    assert [gate.run.text for gate in fitting.gates][:3] == ["npx biome format .", "npx biome lint .", "tsc"]
    assert fitting.gates[3].run.shell
    assert fitting.gates[0].fix is not None
    assert fitting.gates[0].fix.text == "npx biome format --write ."
    assert fitting.gates[1].fix is None


def test_defaults_alone_make_gates():
    fitting = read_fitting('[defaults]\ngate_lint_cmd = "lint ."\ngate_test_cmd = "check"\n')
    assert [gate.id for gate in fitting.gates] == ["lint", "test"]
    assert [problem.message for problem in fitting.problems] == ["There is no gate for: format, type check."]
    assert not fitting.problems[0].is_error


def test_the_template_of_the_kit_is_refused_as_it_stands():
    """Every unresolved token is an error with its line: a template is no gate."""
    text = '[defaults]\npython_runner = "{{KFK_PYTHON_RUNNER}}"\n\n[[gates]]\nid = "mypy"\ninvocation = "{{KFK_PYTHON_RUNNER}} -m mypy {{KFK_MYPY_TARGET}}"\n'
    problems = read_fitting(text).problems
    assert [(p.line, p.message) for p in problems if p.is_error] == [
        (2, "The token {{KFK_PYTHON_RUNNER}} of gate mypy stands for nothing.")
    ]


@pytest.mark.parametrize(
    ("chosen", "wall_s"), [("", 900.0), ('fit_profile = "ci"\n', 1200.0), ('fit_profile = "baseline"\n', 900.0)]
)
def test_the_fit_profile_is_baseline_unless_another_is_named(chosen: str, wall_s: float):
    text = f'[defaults]\n{chosen}gate_lint_cmd = "lint ."\n'
    text += (
        '[[profiles]]\nname = "ci"\ntimeout_seconds = 1200\n[[profiles]]\nname = "baseline"\ntimeout_seconds = 900\n'
    )
    fitting = read_fitting(text)
    assert not any(problem.is_error for problem in fitting.problems)
    assert fitting.gates[0].wall_s == wall_s


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("[defaults]\nfit_profile = 3\n", 2, "fit_profile: Expected the name of a fit profile, found the number 3."),
        ('[defaults]\nfit_profile = "ci"\n', 2, "fit_profile: There is no fit profile 'ci'."),
        ("[defaults\n", 1, "This is not TOML: Expected ']' at the end of a table declaration."),
        ('gates = "lint"\n', 1, "gates: Expected tables [[gates]] with id and invocation."),
        ("[[gates]]\nid = 3\n", 1, "gates: Expected an id such as 'lint', found the number 3."),
        ('[[gates]]\nid = "lint"\n', 2, "Gate lint has no invocation: expected a command, found nothing."),
        (
            '[[gates]]\nid = "lint"\ninvocation = "a \'b"\n',
            2,
            "The command of lint cannot be read: No closing quotation.",
        ),
        ('[[gates]]\nid = "lint"\ninvocation = "{{SK_X}}"\n', 3, "The token {{SK_X}} of gate lint stands for nothing."),
        (
            '[[gates]]\nid = "lint"\ninvocation = "a"\n[[gates]]\nid = "lint"\ninvocation = "b"\n',
            2,
            "The gate id 'lint' is used twice.",
        ),
        (
            '[defaults]\na = "{{SK_B}}"\nb = "{{SK_A}}"\n[[gates]]\nid = "lint"\ninvocation = "{{SK_A}}"\n',
            1,
            "The tokens of gate lint refer to each other.",
        ),
        (
            '[[profiles]]\nname = "baseline"\ntimeout_seconds = 0\n',
            3,
            "timeout_seconds: Expected seconds, more than 0 and at most a day, found the number 0.",
        ),
        ("profiles = 3\n", 1, "profiles: Expected tables [[profiles]]."),
    ],
)
def test_a_broken_fitter_is_told(text: str, line: int, message: str):
    assert [(p.line, p.message) for p in read_fitting(text).problems if p.is_error] == [(line, message)]


# -- the prep gate --------------------------------------------------------------------------------


def test_without_a_prep_session_nothing_starts(project: Path):
    """The hole of the system: a session that vanished halts, and says what to run."""
    (project / PREP).unlink()
    loaded = load(project)
    assert loaded.plan is None
    assert loaded.draft is not None
    assert errors(project) == [("SK-7.json", 3, f"There is no prep session {PREP}; nothing starts without one.")]
    assert "Run /orchestrate-start-task SK-7 first" in loaded.problems[0].hint


def test_a_prep_session_that_stopped_on_the_way_fails_the_gate(project: Path):
    session = json.loads((project / PREP).read_text())
    session["thoughts"] = [session["thoughts"][0]]
    (project / PREP).write_text(json.dumps(session))
    assert load(project).plan is None
    assert [message for _, _, message in errors(project)] == [
        "Prep gate FAIL, Conclusion reached: 0 thoughts in Conclusion.",
        "Prep gate FAIL, several thoughts in Problem Definition: 1 in Problem Definition.",
        "Prep gate FAIL, several thoughts in Analysis: 0 in Analysis.",
        "Prep gate FAIL, at least 2 interpretation branches: 0 interpretation branches.",
        "Prep gate FAIL, at least 2 approach branches: 0 approach branches.",
    ]


def test_branches_are_told_by_id_and_else_by_tag(project: Path):
    session, problems, _ = read_session((project / PREP).read_text())
    assert problems == []
    assert session is not None
    assert session.branches("interpretation") == {"interpretation-fast", "interpretation-small"}
    assert session.branches("approach") == {"way-1", "way-2"}
    assert all(holds for _, holds, _ in prep_gate(session))


def thought(**changes: Any) -> dict[str, Any]:
    return {
        "thought": "a thought",
        "thoughtNumber": 1,
        "totalThoughts": 3,
        "nextThoughtNeeded": True,
        "stage": "Analysis",
        **changes,
    }


def test_a_file_of_version_1_is_read():
    session, problems, _ = read_session(json.dumps({"thoughts": [thought(stage="conclusion")]}))
    assert problems == []
    assert session is not None
    assert session.thoughts[0].stage == "Conclusion"


@pytest.mark.parametrize(
    ("thoughts", "message"),
    [
        ([thought(thought=" ")], "thoughts[0].thought: Expected text, found an empty text."),
        ([thought(mood="calm")], "The key 'mood' of thoughts[0] is unknown."),
        (
            [thought(stage="Musing")],
            "thoughts[0].stage: Expected one of Problem Definition, Research, Analysis, Synthesis, Conclusion; found 'Musing'.",
        ),
        ([thought(thoughtNumber=4)], "totalThoughts is 3, less than thoughtNumber 4."),
        ([thought(), thought()], "Thought 1 stands on the main line twice; the server refuses that."),
        ([thought(id="x")], "thoughts[0].id: Expected a UUID, found 'x'."),
        (
            [thought(branchId="a b", branchFromThought=1)],
            "thoughts[0].branchId: Expected at most 64 letters, digits, '-' and '_', found 'a b'.",
        ),
        ([thought(), thought(thoughtNumber=2, branchId="a")], "Branch a has no branchFromThought."),
        (
            [thought(thoughtNumber=2, branchId="a", branchFromThought=1)],
            "branchFromThought is 1, which is no earlier thought of that line.",
        ),
        (
            [
                thought(),
                thought(thoughtNumber=2),
                thought(thoughtNumber=3, branchId="a", branchFromThought=1),
                thought(thoughtNumber=4, totalThoughts=4, branchId="a", branchFromThought=2),
            ],
            "Branch a began at another thought before.",
        ),
        ([thought(thoughtNumber=2, isRevision=True)], "isRevision and revisesThoughtNumber go together."),
        (
            [thought(tags=["x" * 1001])],
            "thoughts[0].tags: Expected entries of at most 1000 characters, found one with 1001.",
        ),
        ([thought(nextThoughtNeeded="yes")], "thoughts[0].nextThoughtNeeded: Expected another value, found 'yes'."),
    ],
)
def test_what_the_server_refuses_is_refused(thoughts: list[dict[str, Any]], message: str):
    session, problems, _ = read_session(json.dumps({"version": 2, "thoughts": thoughts}))
    assert session is None
    assert [problem.message for problem in problems] == [message]


def test_unknown_keys_of_the_envelope_are_refused():
    _, problems, _ = read_session('{"version": 3,\n "thoughts": [],\n "mood": 1}')
    assert [(p.line, p.code) for p in problems] == [(1, "bad_value"), (3, "unknown_key")]


# -- the packet, broken ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "old", "new", "found"),
    [
        (
            PACKET,
            '"status": "pending"',
            '"status": "waiting"',
            (
                "SK-7.json",
                26,
                "subtasks[2].status: Expected one of pending, in_progress, completed, done; found 'waiting'.",
            ),
        ),
        (PACKET, '"id": 3', '"id": 2', ("SK-7.json", 24, "The subtask id 2 is used twice.")),
        (
            PACKET,
            '"id": 3',
            '"id": "three"',
            ("SK-7.json", 24, "subtasks[2].id: Expected a whole number from 1, found 'three'. Leave the quotes out."),
        ),
        (
            PACKET,
            '"task_id": "SK-7"',
            '"task_id": "../SK-7"',
            (
                "SK-7.json",
                2,
                "task_id: Expected an id that can be part of a file's name, such as 'X-1', found '../SK-7'.",
            ),
        ),
        (
            PACKET,
            '"approach": "Stream orders through a generator with a counter.",',
            "",
            ("SK-7.json", 4, "The key 'approach' of decision is missing."),
        ),
        (
            PACKET,
            '"session_export": ".kilocode',
            '"session_export": "../../.kilocode',
            (
                "SK-7.json",
                3,
                "The prep session ../../.kilocode/thinking/task-SK-7-prep-2026-02-01.json lies outside the project.",
            ),
        ),
        (
            PACKET,
            '"description": "Note the change in CHANGELOG.md."',
            '"description": ""',
            ("SK-7.json", 51, "subtasks[7].description: Expected text, found an empty text."),
        ),
        (
            PACKET,
            '"risks": [',
            '"risks": 3, "old": [',
            ("SK-7.json", 85, "risks: Expected a list, found the number 3."),
        ),
        (
            PACKET,
            '"tests": [',
            '"risks": [',
            ("SK-7.json", 91, "The key 'risks' stands here twice; the first is in line 85."),
        ),
        (
            PACKET,
            '"path": "src/counter.py"',
            '"path": "../counter.py"',
            ("SK-7.json", 55, "The path '../counter.py' leaves its folder"),
        ),
        (
            PACKET,
            '{\n  "task_id"',
            '{\n  "task_id" "x"',
            ("SK-7.json", 2, "This is not valid JSON: expecting ':' delimiter."),
        ),
        (
            PREP,
            '"stage": "Research"',
            '"stage": "Rest"',
            (
                "task-SK-7-prep-2026-02-01.json",
                65,
                "thoughts[4].stage: Expected one of Problem Definition, Research, Analysis, Synthesis, Conclusion; found 'Rest'.",
            ),
        ),
        (
            PREP,
            '"version": 2',
            '"version": 2, "x": [',
            ("task-SK-7-prep-2026-02-01.json", 2, "This is not valid JSON: expecting value."),
        ),
        (
            FITTER,
            'python_runner = "python3"',
            "",
            ("fitter.toml", 15, "The token {{KFK_PYTHON_RUNNER}} of gate pytest stands for nothing."),
        ),
    ],
)
def test_a_broken_file_is_told_with_its_line(project: Path, name: str, old: str, new: str, found: tuple[str, int, str]):
    change(project, name, old, new)
    told = errors(project)
    assert (told[0][:2], found[2] in told[0][2]) == (found[:2], True), told


def test_two_packets_are_one_too_many(project: Path):
    shutil.copy(project / PACKET, project / ".kilocode" / "SK-8.json")
    assert errors(project)[0][2] == f"{project / '.kilocode'} holds 2 handoff packets: SK-8.json, handoff/SK-7.json."


def test_a_subtask_done_before_its_time_is_a_warning(project: Path):
    change(project, PACKET, '"status": "pending"', '"status": "done"')
    found = [problem.message for problem in load(project).problems]
    assert found == ["Subtask 3 is done, but 2 before it is not."]


# -- what was done before -------------------------------------------------------------------------


def todo(project: Path, text: str) -> None:
    (project / TODO).parent.mkdir(parents=True)
    (project / TODO).write_text(text)


def test_the_todo_list_of_an_accepted_run_is_taken_up(project: Path):
    todo(project, "[x] Subtask 2: a\n[x] Subtask 3: b\n[?] Subtask 4: c\n[-] Subtask 5: d\n")
    plan = load(project).plan
    assert plan is not None
    assert plan.tasks[0].id == "subtask-4", "a mark nobody knows is not done"


def test_a_list_that_nobody_accepted_counts_for_nothing(project: Path):
    todo(project, "[x] Subtask 2: a\n\nNot accepted yet: branch chargehand/x, commit abc1234.\n")
    loaded = load(project)
    assert loaded.plan is not None
    assert loaded.plan.tasks[0].id == "subtask-2"
    assert "Done on branch chargehand/x, commit abc1234, which was not accepted; it is done again." in loaded.told


def test_when_all_is_done_nothing_is_left(project: Path):
    lines = "".join(f"[x] Subtask {n}: x\n" for n in range(1, 9))
    todo(project, f"{lines}[ ] Subtask 9: Add/update tests\n")
    plan = load(project).plan
    assert plan is not None
    assert [task.id for task in plan.tasks] == ["tests", "gates"]
    (project / TODO).write_text(f"{lines}[x] Subtask 9: Add/update tests\n")
    assert errors(project)[0][2] == "All subtasks of the packet and their tests are done."


# -- whatever text comes to -----------------------------------------------------------------------

_ANY = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 12) | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@given(data=st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_a_packet_holds_nothing_vanishes(tmp_path: Path, data: st.DataObject):
    """Never a traceback; every subtask is done, open, or the packet is refused."""
    packet = json.loads((FIXTURE / PACKET).read_text())
    key = data.draw(st.sampled_from(sorted(packet)))
    packet[key] = data.draw(_ANY)
    if data.draw(st.booleans()):
        packet["subtasks"] = [
            {**each, "status": data.draw(st.sampled_from(["pending", "done", "odd"]))}
            for each in json.loads((FIXTURE / PACKET).read_text())["subtasks"]
        ]
    loaded = StationKitReader().read(tmp_path / "packet.json", json.dumps(packet), "packet.json")
    assert loaded.plan is not None or any(problem.is_error for problem in loaded.problems)
    if "open" in loaded.counts:
        assert loaded.counts["done"] + loaded.counts["open"] == loaded.counts["subtasks"] == len(packet["subtasks"])


@given(text=st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_whatever_text_is_read_without_a_traceback(text: str):
    read_todo(text)
    read_fitting(text)
    session, problems, _ = read_session(text)
    assert (session is None) == bool(problems)
