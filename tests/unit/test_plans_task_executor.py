"""The reader of tasks.yaml: what is read, what is refused with which words, and that nothing vanishes."""

# ruff: noqa: E501  # a corruption and its message in one line read better than in three

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from chargehand.domain.errors import UserError
from chargehand.domain.plan import Barrier, Mode, Scope
from chargehand.plans.checking import check_loaded
from chargehand.plans.detect import READERS, find_plan, read_plan
from chargehand.plans.loaded import LoadedPlan
from chargehand.plans.task_executor import ENTRY_TITLE, TaskExecutorReader

FIXTURE = Path(__file__).parent.parent / "fixtures" / "task_executor"
TASKS = "prompts/SHOP-7/iteration_2/tasks.yaml"
HEAD = "tasks:\n  - id: TASK-1\n    description: Add a basket\n    files_to_modify: [a.py]\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(FIXTURE, folder)
    return folder


def read(path: Path) -> LoadedPlan:
    return read_plan(path, path)


def read_text(text: str) -> LoadedPlan:
    return TaskExecutorReader().read(Path("prompts/SHOP-7/iteration_2/tasks.yaml"), text, "tasks.yaml")


def errors(loaded: LoadedPlan) -> list[tuple[int | None, str]]:
    return [(problem.line, problem.message) for problem in check_loaded(loaded).problems if problem.is_error]


# -- what is read ---------------------------------------------------------------------------------


def test_an_iteration_is_read_with_what_is_done_of_it(project: Path):
    loaded = read(project)
    assert loaded.reader == "task-executor"
    assert loaded.source == str(project / TASKS)
    assert errors(loaded) == []
    assert dict(loaded.counts) == {
        "accepted": 1,
        "again": 3,
        "groups": 2,
        "open": 5,
        "pending": 0,
        "plan_tasks": 10,
        "unreviewed": 1,
    }
    plan = loaded.plan
    assert plan is not None
    assert (plan.plan, plan.profile, plan.barrier) == ("shop-7-iteration-2", "task-executor", Barrier.WAVE)
    assert plan.allowlist == ("src/legacy.py", "*.md", "*.rst", "*.adoc", "docs/**/*.txt", "prompts/**")
    assert loaded.told == (
        "Iterations left alone: iteration_1.",
        "TASK-8: says no execution_strategy; taken as PARALLEL.",
        "Next attempt: TASK-4 (SYNTAX_ERROR), TASK-6 (REJECTED), TASK-8 (ACTIVE).",
        "Said to be done, and nobody validated it; taken up again: TASK-9 (DONE).",
        "Order: groups as listed, every other task at its place; no task depends on another.",
        "Left alone: estimate.",
    )


def test_a_group_is_a_wave_and_so_is_every_other_task(project: Path):
    """A group is a barrier and no dependency: after an ERROR later groups go on."""
    plan = read(project).plan
    assert plan is not None
    waves = {task.id: task.wave for task in plan.tasks}
    assert waves == {
        **dict.fromkeys(("TASK-2", "TASK-3", "TASK-4"), 1),
        **dict.fromkeys(("TASK-7", "TASK-8"), 4),
        **dict(zip(("TASK-5", "TASK-6", "TASK-9", "TASK-10"), (2, 3, 5, 6), strict=True)),
    }
    assert all(not task.depends_on for task in plan.tasks)
    assert plan.inferred == ()


def test_groups_keep_their_order_and_tasks_their_place():
    text = "tasks:\n" + "".join(f"- {{id: T{n}, description: d, files_to_modify: [f{n}]}}\n" for n in range(1, 7))
    plan = read_text(text + "parallel_groups: {Z: [T5, T4], A: [T1, T2]}\n").plan
    assert plan is not None
    assert {task.id: task.wave for task in plan.tasks} == {"T3": 1, "T5": 2, "T4": 2, "T1": 3, "T2": 3, "T6": 4}
    groups = {task.id: task.group for task in plan.tasks if task.group}
    assert groups == {"T5": "Z", "T4": "Z", "T1": "A", "T2": "A"}, "what is done side by side lands as one"


def test_a_task_has_what_its_entry_says(project: Path):
    plan = read(project).plan
    assert plan is not None
    task = {each.id: each for each in plan.tasks}
    basket = task["TASK-2"]
    assert basket.files is not None
    assert (basket.files.modify, basket.files.test) == (("src/basket.py",), ("tests/test_basket.py",))
    assert basket.files.create == basket.files.test, "an expected test file is there, or the attempt has failed"
    assert basket.scope is Scope.STRICT
    assert basket.acceptance == ("an empty basket costs nothing", "umlauts: Körbe, 日本")
    assert basket.mandates == ("use the stdlib only", '{"tool": "ruff", "assigned_agent": "developer"}')
    assert task["TASK-3"].mandates == ("none",)
    assert task["TASK-5"].files is not None
    assert task["TASK-5"].files.modify == ("src/checkout.py", "src/routes/**"), "its own allowlist"
    assert task["TASK-6"].acceptance == ("it names the total",)
    assert task["TASK-8"].title == "Show a banner"
    assert [task[name].allow_empty for name in ("TASK-8", "TASK-9")] == [False, True]


def test_parallel_tasks_have_no_reviewer_and_sequential_ones_have(project: Path):
    plan = read(project).plan
    assert plan is not None
    assert {(t.mode, t.reviewed) for t in plan.tasks} == {(Mode.PARALLEL, False), (Mode.SEQUENTIAL, True)}
    stated = read(project).stated.tasks
    assert stated["mode"] == {task.id for task in plan.tasks}, "settings do not change who is reviewed"


def test_the_entry_is_in_the_brief_as_the_file_has_it(project: Path):
    plan = read(project).plan
    assert plan is not None
    text = (project / TASKS).read_text(encoding="utf-8")
    for task in plan.tasks:
        ((title, entry),) = task.background
        assert title == ENTRY_TITLE
        listed = next(each for each in yaml.safe_load(text)["tasks"] if each["id"] == task.id)
        assert yaml.safe_load(entry) == listed
    basket = dict(plan.tasks[0].background)[ENTRY_TITLE]
    assert basket.startswith("id: TASK-2\ndescription: >\n  Add a basket that\n")
    assert basket.endswith(
        "status: PENDING       # the executor writes here\nattempts: 0\nowner: ida            # nobody's key but ours"
    )
    assert dict(plan.tasks[-1].background)[ENTRY_TITLE].endswith("\nstatus: PENDING")


@pytest.mark.parametrize("place", ["", "prompts", "prompts/SHOP-7", "prompts/SHOP-7/iteration_2", TASKS])
def test_project_folder_ticket_iteration_and_file_are_the_same_plan(project: Path, place: str):
    loaded = read(project / place)
    assert loaded.plan == read(project).plan
    assert read_plan(None, project).plan == loaded.plan


def test_an_older_iteration_is_read_when_it_is_named(project: Path):
    assert errors(read(project / "prompts/SHOP-7/iteration_1")) == [(2, "All tasks are accepted.")]


def test_two_tickets_are_not_guessed_between(project: Path):
    shutil.copytree(project / "prompts/SHOP-7", project / "prompts/SHOP-8")
    (problem,) = read(project).problems
    assert problem.message == "More than one ticket could be meant: SHOP-7, SHOP-8."
    assert problem.hint == f"Name one, such as {project / 'prompts/SHOP-7'}."


@pytest.mark.parametrize("below", ["", "\\n", "\\nIda: looks good to me.", " Ida: yes."])
def test_what_is_done_on_a_branch_that_nobody_accepted_is_done_again(below: str):
    """Whatever somebody wrote below it."""
    line = f"Green as merged.\\nNot accepted yet: branch chargehand/r, commit 0123456789abcdef.{below}"
    loaded = read_text(f'{HEAD}    status: ACCEPTED\n    validation_details: "{line}"\n')
    assert loaded.counts["pending"] == 1
    assert (
        "TASK-1: done on branch chargehand/r (commit 0123456789ab), which was not accepted; it is done again."
        in loaded.told
    )
    assert loaded.plan is not None
    assert [task.id for task in loaded.plan.tasks] == ["TASK-1"]


def test_without_the_policy_documentation_is_in_no_scope():
    loaded = read_text(HEAD)
    assert loaded.plan is not None
    assert loaded.plan.allowlist == ()
    assert (
        "Documentation is in no task's scope unless listed: there is no baseline_scope, not 'code_and_tests_only'."
        in loaded.told
    )


def test_a_task_without_files_is_unscoped():
    loaded = read_text("tasks:\n- {id: A, description: d, execution_strategy: SEQUENTIAL}\n")
    assert loaded.plan is not None
    assert loaded.plan.tasks[0].files is None
    assert "A: lists no files: it is unscoped." in loaded.told


def test_a_check_names_the_line_of_what_it_means():
    loaded = read_text(HEAD.replace("a.py", "../a.py"))
    assert [line for line, _ in errors(loaded)] == [4]


def test_only_this_reader_claims_it(project: Path):
    claimed = [reader.name for reader in READERS if reader.claims(project / TASKS, (project / TASKS).read_text())]
    assert claimed == ["task-executor"]
    assert not TaskExecutorReader().claims(Path("tasks.yaml"), "tasks:\n- name: install nginx\n")
    assert not TaskExecutorReader().claims(Path("plan.yaml"), "chargehand: 1\ntasks:\n- success_criteria: []\n")
    assert not TaskExecutorReader().claims(Path("tasks.txt"), HEAD)
    with pytest.raises(UserError):
        find_plan(project / "prompts/SHOP-7/prompt.yaml", project)


# -- what is refused ------------------------------------------------------------------------------

BROKEN = [
    (HEAD + "   oops: [\n", 5, "This is not valid YAML: did not find expected '-' indicator."),
    (HEAD + "    id: TASK-2\n", 5, "The key 'id' stands here twice; the first is in line 2."),
    (
        HEAD + "    status: FINISHED\n",
        5,
        "tasks[0].status: Expected one of PENDING, ACTIVE, DONE, SYNTAX_VALID, ACCEPTED, REJECTED, SYNTAX_ERROR, ERROR; found 'FINISHED'.",
    ),
    (HEAD + "    attempts: twice\n", 5, "tasks[0].attempts: Expected a whole number from 0, found 'twice'."),
    (HEAD + "    attempts: -1\n", 5, "tasks[0].attempts: Expected a whole number from 0, found '-1'."),
    (
        HEAD + "    execution_strategy: BOTH\n",
        5,
        "tasks[0].execution_strategy: Expected one of PARALLEL, SEQUENTIAL; found 'BOTH'.",
    ),
    (HEAD + "    test_files: {a: b}\n", 5, "tasks[0].test_files: Expected a list of texts, found a mapping."),
    (HEAD + "    success_criteria: [[a]]\n", 5, "tasks[0].success_criteria: Expected text, found a list."),
    (HEAD + "  - description: d\n    test_files: []\n", 5, "The key 'id' of tasks[1] is missing."),
    (HEAD + "  - id: TASK-2\n", 5, "The key 'description' of tasks[1] is missing."),
    (HEAD + "  - id: TASK 2\n    description: d\n", 5, "tasks[1].id: Expected an id such as 'TASK-1', found 'TASK 2'."),
    (HEAD + "  - id: TASK-1\n    description: d\n", 5, "The id 'TASK-1' stands here twice; the first is in line 2."),
    (HEAD + "  - TASK-2\n", 5, "tasks[1]: Expected a mapping, found 'TASK-2'."),
    (
        HEAD + "parallel_groups: [TASK-1]\n",
        5,
        "parallel_groups: Expected a mapping such as {A: [TASK-1, TASK-2]}, found a list.",
    ),
    (HEAD + "parallel_groups: {A: [TASK-9]}\n", 5, "Group A names 'TASK-9', which is no task."),
    (HEAD + "parallel_groups: {A: [TASK-1], B: [TASK-1]}\n", 5, "Task TASK-1 is in group A and in group B."),
    (
        HEAD + "    execution_strategy: PARALLEL\n    status: DONE\n",
        6,
        "Task TASK-1 is PARALLEL and stands at DONE, which only SEQUENTIAL tasks can.",
    ),
    (
        HEAD + "    status: SYNTAX_VALID\n",
        5,
        "Task TASK-1 is SEQUENTIAL and stands at SYNTAX_VALID, which only PARALLEL tasks can.",
    ),
    (
        HEAD + "    status: SYNTAX_ERROR\n",
        5,
        "Task TASK-1 is SEQUENTIAL and stands at SYNTAX_ERROR, which only PARALLEL tasks can.",
    ),
    (
        HEAD + "    execution_strategy: PARALLEL\n    status: REJECTED\n",
        6,
        "Task TASK-1 is PARALLEL and stands at REJECTED, which only SEQUENTIAL tasks can.",
    ),
    (HEAD + "validation_policy: strict\n", 5, "validation_policy: Expected a mapping, found 'strict'."),
    (HEAD + "    status: ACCEPTED\n", 1, "All tasks are accepted."),
    ("tasks: []\nparallel_groups: {}\n", 1, "tasks: Expected at least one entry."),
    ("tasks: ask ida\nparallel_groups: {}\n", 1, "tasks: Expected a list, found 'ask ida'."),
    (
        "d: &d {files_to_modify: [a.py]}\nparallel_groups: {}\ntasks:\n  - <<: *d\n    id: A\n    description: d\n",
        4,
        "The merge key '<<' is not read: YAML 1.2 has none, and what it merges would be missing here.",
    ),
    (HEAD + "    x: !!python/object a\n", 5, "The tag 'tag:yaml.org,2002:python/object' is not allowed here."),
]


@pytest.mark.parametrize(("text", "line", "message"), BROKEN, ids=[message[:60] for _, _, message in BROKEN])
def test_what_is_broken_is_an_error_with_its_line(text: str, line: int, message: str):
    loaded = read_text(text)
    assert loaded.plan is None
    assert (line, message) in errors(loaded)
    assert all(problem.file for problem in loaded.problems)


def test_a_group_does_not_have_a_sequential_task_beside_others():
    other = "  - {id: TASK-2, description: d, files_to_modify: [b], execution_strategy: SEQUENTIAL}\n"
    text = "Task TASK-2 is SEQUENTIAL, and group A has it beside others."
    assert (6, text) in errors(read_text(HEAD + other + "parallel_groups: {A: [TASK-1, TASK-2]}\n"))
    assert errors(read_text(HEAD + other + "parallel_groups: {A: [TASK-2]}\n")) == []


def test_a_parallel_task_in_no_group_is_by_itself_and_told():
    loaded = read_text(HEAD + "    execution_strategy: PARALLEL\n")
    (warning,) = [problem for problem in loaded.problems if problem.code == "no_group"]
    assert (warning.line, warning.is_error) == (5, False)
    assert loaded.plan is not None
    assert [task.group for task in loaded.plan.tasks] == ["TASK-1"], "its syntax is looked at before anything is built"


# -- nothing vanishes -----------------------------------------------------------------------------

STATUS = st.sampled_from(["PENDING", "ACTIVE", "DONE", "ACCEPTED", "REJECTED", "ERROR", "SYNTAX_VALID", "NO", ""])
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | STATUS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)
KEYS = [
    "files_to_modify",
    "test_files",
    "success_criteria",
    "execution_strategy",
    "attempts",
    "tool_mandates",
    "status",
]
ENTRY = st.fixed_dictionaries(
    {"id": st.sampled_from(["T1", "T2", "T3", "T4", ""]), "description": st.sampled_from(["d", "two\nlines"])},
    optional={**dict.fromkeys(KEYS, VALUE), "status": STATUS, "owner": VALUE},
)


@given(
    st.lists(ENTRY, max_size=4), VALUE | st.dictionaries(st.text(max_size=3), st.lists(st.sampled_from(["T1", "T2"])))
)
@settings(max_examples=150, deadline=None)
def test_whatever_a_file_holds_its_tasks_are_counted_or_told(tasks: list[dict[str, object]], groups: object):
    loaded = read_text(yaml.safe_dump({"tasks": tasks, "parallel_groups": groups}, allow_unicode=True))
    check_loaded(loaded)
    if loaded.plan is None:
        assert any(problem.is_error for problem in loaded.problems)
        return
    counts = loaded.counts
    assert counts["plan_tasks"] == len(tasks)
    left = counts["open"] + counts["again"] + counts["unreviewed"] + counts["pending"]
    assert left + counts["accepted"] == len(tasks)
    assert left == len(loaded.plan.tasks) == len({task.id for task in loaded.plan.tasks})


PIECES = [*"abT1:-[]{}'\"\n #&*!|>,~", "  ", "tasks:", "parallel_groups:", "- id: T1\n", "  description: d\n"]


@given(st.lists(st.sampled_from(PIECES), max_size=40).map("".join))
@settings(max_examples=150, deadline=None)
def test_whatever_text_is_read_there_is_a_plan_or_a_reason(text: str):
    loaded = read_text(text)
    assert (loaded.plan is None) == any(problem.is_error for problem in loaded.problems)
