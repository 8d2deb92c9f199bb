"""The reader of Konductor: what is read of a phase, what is refused with which words, and that nothing vanishes."""

# ruff: noqa: E501  # a corruption and its message in one line read better than in three

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargehand.domain.plan import Barrier, Scope, TaskType
from chargehand.plans.checking import check_loaded
from chargehand.plans.detect import READERS, find_plan, read_plan
from chargehand.plans.konductor import KonductorReader
from chargehand.plans.konductor_done import Standing, read_config, read_state, read_summary
from chargehand.plans.konductor_file import read_plan_file
from chargehand.plans.loaded import LoadedPlan
from chargehand.plans.writer import dump_native

FIXTURE = Path(__file__).parent.parent / "fixtures" / "konductor"
PHASE = ".konductor/phases/01-auth-system"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(FIXTURE, folder)
    return folder


def read(path: Path) -> LoadedPlan:
    return read_plan(path, path)


def errors(project: Path) -> list[tuple[str, int | None, str]]:
    """(file name, line, message) of all errors that `check` tells."""
    found = check_loaded(read(project)).problems
    return [(Path(p.file or "").name, p.line, p.message) for p in found if p.is_error]


# -- what is read ---------------------------------------------------------------------------------


def test_a_phase_is_read_with_what_is_done_of_it(project: Path):
    loaded = read(project)
    assert loaded.reader == "konductor"
    assert loaded.plan is not None
    assert errors(project) == []
    assert dict(loaded.counts) == {
        "blocked": 1,
        "done": 2,
        "left_alone": 1,
        "open": 8,
        "plan_tasks": 11,
        "plans": 5,
        "reviews": 2,
        "summaries": 3,
    }
    plan = loaded.plan
    assert [task.id for task in plan.tasks] == [
        *("001-task-2", "002-task-2", "002-task-3", "003-task-1", "003-task-2"),
        *("004-task-1", "004-task-2", "005-task-1", "005-task-2"),
    ]
    assert (plan.plan, plan.profile, plan.barrier, plan.defaults.jobs) == ("01-auth-system", "konductor", "wave", 2)
    assert plan.barrier is Barrier.WAVE
    assert plan.inferred == ("002-task-3", "003-task-2", "004-task-2", "005-task-2")
    assert plan.success_criteria == (
        "Passwords are hashed",
        "There is, and not as a stub: src/user.py",
        "It is wired: the login imports User",
    )
    assert {Path(file).name for file in loaded.files} == {
        *("001-user-model.md", "002-settings.md", "003-login.md", "004-page.md", "005-release.md")
    }


def test_a_task_has_what_its_plan_says(project: Path):
    plan = read(project).plan
    assert plan is not None
    task = {each.id: each for each in plan.tasks}
    user = task["001-task-2"]
    assert user.files is not None
    assert (user.files.create, user.files.test) == (("src/user.py",), ("tests/test_user.py",))
    assert user.scope is Scope.REVIEW
    assert [command.argv for command in user.verify] == [("grep", "-q", "class", "src/user.py")]
    assert user.acceptance == ("a user has a name", "a user has a secret")
    assert user.approach.startswith("**Approach.** A frozen dataclass.\n\n### Key Interfaces")
    assert "```python\n## Tasks\nclass User: ...\n```" in user.description
    assert user.description.startswith(f"Task 2 of the plan {PHASE}/plans/001-user-model.md.")
    assert user.description.endswith("hint: look at `src/hashing.py`"), "a field nobody knows is not dropped"
    titles = [title for title, _ in user.background]
    assert titles == ["Goal of the plan", "Summary of 001-task-1", "Requirements"]
    assert task["002-task-2"].acceptance == ("a stranger understands it", "read it aloud")
    assert task["002-task-2"].background[-1][0] == "An earlier attempt was blocked"
    assert ("Notes from the review", "Minutes, never seconds.") in task["002-task-3"].background
    assert task["004-task-1"].files is not None
    assert task["004-task-1"].files.modify == ("src/page.py",), "it lists none: those of its plan"
    assert [task[name].needs_human for name in ("004-task-1", "005-task-1", "005-task-2")] == [False, True, False]


def test_order_is_that_of_plans_and_of_tasks_in_a_plan(project: Path):
    """Done tasks hold nobody up; a plan waits for all open tasks of those it depends on."""
    plan = read(project).plan
    assert plan is not None
    assert {task.id: task.depends_on for task in plan.tasks} == {
        "001-task-2": (),
        "002-task-2": (),
        "002-task-3": ("002-task-2",),
        "003-task-1": ("001-task-2",),
        "003-task-2": ("003-task-1",),
        "004-task-1": ("001-task-2", "002-task-2", "002-task-3"),
        "004-task-2": ("004-task-1",),
        "005-task-1": ("003-task-1", "003-task-2", "004-task-1", "004-task-2"),
        "005-task-2": ("005-task-1",),
    }
    assert [task.wave for task in plan.tasks] == [1, 1, 1, 2, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("place", ["", ".konductor", PHASE, f"{PHASE}/plans"])
def test_project_folder_phase_and_plans_are_the_same_plan(project: Path, place: str):
    loaded = read(project / place)
    assert loaded.plan == read(project).plan
    assert read_plan(None, project).plan == loaded.plan


def test_one_plan_is_only_that_plan(project: Path):
    loaded = read(project / PHASE / "plans" / "002-settings.md")
    assert loaded.plan is not None
    assert loaded.plan.plan == "01-auth-system-plan-002"
    assert [task.id for task in loaded.plan.tasks] == ["002-task-2", "002-task-3"]


def test_one_plan_that_depends_on_open_ones_is_refused(project: Path):
    file = project / PHASE / "plans" / "003-login.md"
    text = "Plan 3 depends on plan 1, which is not done."
    assert errors(file) == [("003-login.md", 6, text)]


def test_a_phase_without_settings_has_their_defaults(project: Path):
    (project / ".konductor" / "config.toml").unlink()
    (project / ".konductor" / "state.toml").unlink()
    loaded = read(project / PHASE)
    assert loaded.plan is not None
    assert (loaded.plan.defaults.jobs, loaded.plan.features.code_review) == (4, True)
    assert "There is no config.toml: its defaults hold." in loaded.told


def test_reviews_can_be_switched_off_and_done_is_enough_then(project: Path):
    (project / ".konductor" / "config.toml").write_text("[features]\ncode_review = false\n")
    file = project / PHASE / "plans" / "003-task-1-summary.md"
    file.write_text("# Plan 003 - Task 1 Summary\n\n## Status: DONE\n")
    loaded = read(project)
    assert loaded.plan is not None
    assert (loaded.plan.features.code_review, loaded.plan.features.holistic) == (False, False)
    assert {"features.code_review", "features.holistic"} <= loaded.stated.keys
    assert "003-task-1" not in [task.id for task in loaded.plan.tasks]


# -- what was done --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "standing"),
    [
        ("## Status: DONE\n## Review Status: passed", Standing.DONE),
        ("## Status: DONE_WITH_CONCERNS\n## Review Status: passed", Standing.DONE),
        ("## Status: DONE", Standing.UNREVIEWED),
        ("## Status: done\n## Review Status: needs manual intervention", Standing.UNREVIEWED),
        ("## Status\nDONE\n## Review Status\npassed", Standing.DONE),
        ("## Status: BLOCKED\n## Review Status: passed", Standing.BLOCKED),
        ("## Status: NEEDS_CONTEXT", Standing.BLOCKED),
        (
            "## Status: DONE\n## Review Status: passed\n\nNot accepted yet: branch chargehand/a-1, commit abc123.",
            Standing.PENDING,
        ),
        (
            (
                "## Status: DONE\n## Review Status: passed\n\n"
                "Not accepted yet: branch chargehand/a-1, commit abc123.\n\nIda: looks good to me.\n\n## Also\nMore.\n"
            ),
            Standing.PENDING,
        ),
        ("```\n## Status: BLOCKED\n```\n## Status: DONE\n## Review Status: passed", Standing.DONE),
    ],
)
def test_how_a_summary_stands(text: str, standing: Standing):
    """A task that is done with concerns and passed is complete: Konductor's own rule never let it be."""
    summary, problems = read_summary(text)
    assert problems == []
    assert summary is not None
    assert summary.standing(reviews=True) is standing


def test_what_is_done_and_was_not_reviewed_may_turn_out_to_need_no_change(project: Path):
    file = project / PHASE / "plans" / "003-task-1-summary.md"
    file.write_text("# Plan 003 - Task 1 Summary\n\n## Status: DONE\n")
    plan = read(project).plan
    assert plan is not None
    task = next(task for task in plan.tasks if task.id == "003-task-1")
    assert task.allow_empty
    assert task.background[-1][0].startswith("An earlier attempt says it is done")


def test_what_nobody_accepted_is_not_done(project: Path):
    file = project / PHASE / "plans" / "001-task-1-summary.md"
    file.write_text(file.read_text() + "\nNot accepted yet: branch chargehand/x-1, commit 0123abcd.\n")
    loaded = read(project)
    assert loaded.counts["pending"] == 1
    assert loaded.plan is not None
    assert "001-task-1" in [task.id for task in loaded.plan.tasks]


def test_a_task_has_one_summary(project: Path):
    """Which of two would count is nobody's guess."""
    plans = project / PHASE / "plans"
    (plans / "1-task-1-summary.md").write_text("## Status: BLOCKED\n")
    message = "Task 1 of plan 1 has two summaries: 001-task-1-summary.md and 1-task-1-summary.md."
    assert errors(project) == [("1-task-1-summary.md", None, message)]


def test_all_done_is_nothing_to_carry_out(project: Path):
    plan = project / ".konductor" / "phases" / "02-reports" / "plans"
    (plan / "001-task-1-summary.md").write_text("## Status: DONE\n## Review Status: passed\n")
    problems = [p for p in read(plan.parent).problems if p.is_error]
    assert [(p.code, p.message) for p in problems] == [("nothing_left", "All tasks of the phase are done.")]


# -- what is refused ------------------------------------------------------------------------------


def change(project: Path, name: str, old: str, new: str) -> None:
    file = project / (name if "/" in name or name.endswith(".toml") else f"{PHASE}/plans/{name}")
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


CORRUPT = [
    ("003-login.md", "plan = 3", "plan = ", 3, "This is not TOML: Invalid value."),
    ("003-login.md", "plan = 3\n", "", 1, "The key 'plan' is missing."),
    ("003-login.md", "wave = 2\n", "", 1, "The key 'wave' is missing."),
    ("003-login.md", "wave = 2", 'wave = "two"', 4, "wave: Expected a number, found 'two'."),
    ("003-login.md", "wave = 2", "wave = true", 4, "wave: Expected a number, found True."),
    ("003-login.md", "[1]", "[9]", 6, "Plan 3 depends on plan 9, which the phase does not have."),
    ("003-login.md", "[1]", "[5]", 6, "The plans depend on each other in a cycle: 3 -> 5 -> 3."),
    ("003-login.md", "autonomous = true", 'autonomous = "yes"', 7, "autonomous: Expected true or false, found 'yes'."),
    ("003-login.md", "title =", 'type = "tddd"\ntitle =', 5, "type: Expected one of execute, tdd; found 'tddd'."),
    ("003-login.md", "plan = 3", "plan = 4", 3, "The file is named after plan 3, and its frontmatter says plan 4."),
    ("003-login.md", '"]\n+++\n', '"]\n', 1, "The frontmatter does not end."),
    ("003-login.md", "+++\nphase", "phase", 1, "The plan has no frontmatter."),
    ("003-login.md", "## Tasks", "## Jobs", 11, "The plan has no section '## Tasks'."),
    ("003-login.md", "### Task 2", "### Task 1", 21, "Task 1 stands twice, first in line 15."),
    ("003-login.md", "### Task 2", "### Step 2", 21, "The heading 'Step 2: Remember who logged in' below '## Tasks' is no task."),
    ("003-login.md", "### Task 2", "## Task 2", 21, "The heading 'Task 2: Remember who logged in' looks like a task and does not stand as one."),
    ("003-login.md", "- **action:** keep it in a cookie\n", "", 21, "Task 2 has no action."),
    ("003-login.md", ": Remember who logged in", "", 21, "Task 2 has no title."),
    ("003-login.md", "- **done:** the next", "- **action:** x\n- **done:** the next", 25, "Task 2 has 'action' twice."),
    ("003-login.md", "`src/login.py`", "`../login.py`", 16, "The path '../login.py' leaves its folder with '..'"),
    ("001-task-1-summary.md", "Status: DONE", "Status: FINISHED", 3, "The status 'FINISHED' is unknown."),
    ("001-task-1-summary.md", "## Status: DONE\n", "", 1, "The summary has no '## Status: …'."),
    ("001-task-1-summary.md", "## Files C", "## Status: BLOCKED\n## Files C", 5, "The summary has two statuses."),
    (".konductor/config.toml", "= 2 ", "= 0 ", 6, "execution.max_wave_parallelism: Expected a number from 1, found 0."),
    (".konductor/config.toml", "code_review = true", 'code_review = "on"', 13, "features.code_review: Expected true or false, found 'on'."),
    (".konductor/config.toml", "[git]", "[git", 8, "This is not TOML"),
    (".konductor/state.toml", '"planned"', '"designed"', None, "state.toml stands at step 'designed': a phase is carried out once it is planned."),
    (".konductor/state.toml", '"planned"', '"plannedd"', 8, "current.step: Expected one of"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "line", "message"), CORRUPT)
def test_what_is_broken_is_told_with_its_place(
    project: Path, name: str, old: str, new: str, line: int | None, message: str
):
    """Never a default, never silence: every one names file and line."""
    change(project, name, old, new)
    found = errors(project)
    assert any(file == Path(name).name and at == line and text.startswith(message) for file, at, text in found), found


def test_the_wave_of_a_plan_is_later_than_those_it_depends_on(project: Path):
    change(project, "003-login.md", "wave = 2", "wave = 1")
    found = errors(project)[0]
    assert found[:2] == ("003-login.md", 4)
    assert "003-task-1 is in wave 1, but it depends on 001-task-2 in wave 1" in found[2]


def test_two_plans_of_one_number_are_told(project: Path):
    plans = project / PHASE / "plans"
    shutil.copy(plans / "003-login.md", plans / "003-login-again.md")
    assert ("003-login.md", 3, "Plan 3 stands twice, first in 003-login-again.md.") in errors(project)


def test_a_file_that_is_no_text_is_told(project: Path):
    (project / PHASE / "plans" / "003-login.md").write_bytes(b"+++\nplan = 3\n\xff")
    (found,) = errors(project)
    assert found[:2] == ("003-login.md", 3)
    assert "is not UTF-8 text" in found[2]


def test_which_phase_is_meant_is_never_guessed(project: Path):
    (project / ".konductor" / "state.toml").unlink()
    (problem,) = [p for p in read(project).problems if p.is_error]
    assert problem.code == "ambiguous_plan"
    assert problem.message == "More than one phase could be meant: 01-auth-system, 02-reports."


def test_another_phase_than_the_current_one_is_said(project: Path):
    loaded = read(project / ".konductor" / "phases" / "02-reports")
    assert [(p.code, p.is_error) for p in loaded.problems] == [("other_phase", False)]
    assert loaded.plan is not None
    assert loaded.plan.tasks[0].type is TaskType.TDD


def test_a_project_without_commits_of_tools_has_the_change_left_staged(project: Path):
    config = project / ".konductor" / "config.toml"
    plan = read(project).plan
    assert plan is not None
    assert not plan.accept_staged
    config.write_text(config.read_text().replace("auto_commit = true", "auto_commit = false"))
    loaded = read(project)
    assert loaded.plan is not None
    assert loaded.plan.accept_staged
    assert "git.auto_commit is false: accept leaves the change staged, and commits nothing." in loaded.told
    assert dict(loaded.plan.tasks[0].background)["Git settings"].startswith("Commits are not wanted")
    assert dump_native(loaded.plan).count("# accept_staged: ") == 1


def test_a_summary_of_no_task_is_said_and_left_alone(project: Path):
    (project / PHASE / "plans" / "009-task-1-summary.md").write_text("## Status: DONE\n")
    warned = [p.message for p in check_loaded(read(project)).problems if p.code == "orphan"]
    assert warned == ["009-task-1-summary.md is about a task that no plan has; it is left alone."]


# -- detection ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "claimed"),
    [
        ("+++\nplan = 1\nwave = 1\n+++\n", True),
        ("+++\r\nwave = \r\n", True),
        ("+++\ntitle = 'a page of a web site'\n+++\nplan = 1\n", False),
        ("---\nplan: 1\n---\n", False),
        ("# Plan\nwave = 1\n", False),
        ("", False),
    ],
)
def test_a_plan_is_known_by_its_frontmatter(tmp_path: Path, text: str, claimed: bool):
    assert KonductorReader().claims(tmp_path / "x.md", text) is claimed


def test_nobody_else_claims_it(project: Path):
    file = project / PHASE / "plans" / "001-user-model.md"
    for path, text in ((project / ".konductor", None), (project / PHASE, None), (file, file.read_text())):
        assert [reader.name for reader in READERS if reader.claims(path, text)] == ["konductor"]
    assert find_plan(None, project).reader.name == "konductor"


# -- fuzz -----------------------------------------------------------------------------------------

_PLAN = (FIXTURE / PHASE / "plans" / "001-user-model.md").read_text()
_LINES = st.sampled_from(
    (
        *("+++", "plan = 1", "wave = 1", "## Tasks", "### Task 1: a", "### Task 2", "- **action:** x", "```", "  - y"),
        *("- **files:** `a.py`, b", "## Goal", "a | b", "[must_haves]", "truths = [1]", "depends_on = [[]]", "\x00"),
    )
)
_TEXTS = st.one_of(
    st.lists(_LINES, max_size=25).map("\n".join),
    st.tuples(st.integers(0, len(_PLAN)), st.integers(0, len(_PLAN)), st.text(max_size=12)).map(
        lambda cut: _PLAN[: min(cut[0], cut[1])] + cut[2] + _PLAN[max(cut[0], cut[1]) :]
    ),
    st.text(max_size=200),
)


@given(_TEXTS)
@settings(max_examples=150, deadline=None)
def test_no_text_of_a_plan_raises(text: str):
    plan, problems = read_plan_file(text)
    assert plan is not None or any(problem.is_error for problem in problems)
    assert all(problem.line is None or problem.line >= 1 for problem in problems)
    for read_other in (read_summary, read_config, read_state):
        read_other(text)


@given(texts=st.lists(_TEXTS, min_size=1, max_size=3), summary=_TEXTS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_in_a_phase_counts_in_are_counts_out(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], summary: str
):
    """Nothing vanishes: every file is a plan, a summary, a review or left alone; every task open or done."""
    plans = tmp_path_factory.mktemp("fuzz") / "phase" / "plans"
    plans.mkdir(parents=True)
    for number, text in enumerate(texts, start=1):
        (plans / f"{number:03d}.md").write_text(text, encoding="utf-8", newline="")
    (plans / "001-task-1-summary.md").write_text(summary, encoding="utf-8", newline="")
    loaded = KonductorReader().read(plans.parent, None, str(plans.parent))
    check_loaded(loaded)
    counts = loaded.counts
    if loaded.plan is not None:
        assert counts["plan_tasks"] == len(loaded.plan.tasks) + counts.get("done", 0)
        assert counts["plans"] + counts["summaries"] == len(texts) + 1
    else:
        assert any(problem.is_error for problem in loaded.problems)


def test_line_ends_of_other_systems_change_nothing(project: Path):
    file = project / PHASE / "plans" / "001-user-model.md"
    before = read(project).plan
    file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert read(project).plan == before
