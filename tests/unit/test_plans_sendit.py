"""The reader of sendit: what is read of a feature, what is refused with which words, and that nothing vanishes."""

# ruff: noqa: E501  # a corruption and its message in one line read better than in three

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chargehand.cli.render.checked import check_lines
from chargehand.cli.render.pen import PLAIN
from chargehand.domain.plan import GatePoint, Scope, Weight
from chargehand.plans.checking import check_loaded
from chargehand.plans.detect import READERS, find_plan, read_plan
from chargehand.plans.loaded import LoadedPlan
from chargehand.plans.sendit import SenditReader
from chargehand.plans.sendit_done import read_progress, read_spec
from chargehand.plans.sendit_file import read_plan_file
from chargehand.plans.sendit_runner import runners_of, verify_of

FIXTURE = Path(__file__).parent.parent / "fixtures" / "sendit"
LOGIN = "specs/auth/login"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "project"
    shutil.copytree(FIXTURE, folder)
    return folder


def read(path: Path) -> LoadedPlan:
    return read_plan(path, path)


def errors(path: Path) -> list[tuple[str, int | None, str]]:
    """(file name, line, message) of all errors that `check` tells."""
    found = check_loaded(read(path)).problems
    return [(Path(p.file or "").name, p.line, p.message) for p in found if p.is_error]


def warnings(path: Path) -> list[tuple[str, str, int | None, str]]:
    found = read(path).problems
    return [(p.code, Path(p.file or "").name, p.line, p.message) for p in found if not p.is_error]


# -- what is read ---------------------------------------------------------------------------------


def test_a_feature_is_read_with_what_is_done_of_it(project: Path):
    loaded = read(project)
    assert (loaded.reader, errors(project)) == ("sendit", [])
    assert dict(loaded.counts) == {"done": 1, "features_left_alone": 1, "open": 7, "plan_tasks": 8, "rows": 2}
    plan = loaded.plan
    assert plan is not None
    assert (plan.plan, plan.profile, plan.defaults.weight) == ("auth-login", "sendit", Weight.FULL)
    assert [task.id for task in plan.tasks] == [f"task-{number}" for number in range(2, 9)]
    assert plan.goal == "Customers log in with a name and a password."
    assert plan.success_criteria == ("All acceptance criteria from spec are met", "All tests pass")
    assert plan.inferred == tuple(f"task-{number}" for number in range(3, 9))
    names = ["PLAN.md", "SPEC.md", "GLOBAL.md", "test_hashing.py", "test_user.py"]
    assert [Path(file).name for file in loaded.files] == names


def test_a_task_has_what_its_plan_says(project: Path):
    plan = read(project).plan
    assert plan is not None
    task = {each.id: each for each in plan.tasks}
    user = task["task-2"].files
    assert user is not None
    assert (user.create, user.modify, user.test, user.read) == (("src/user.py",), (), (), ())
    assert task["task-2"].scope is Scope.STRICT
    check = task["task-3"].files
    assert check is not None
    assert (check.create, check.modify) == (("src/check.py",), ("README.md",))
    assert task["task-3"].description == "1. Compare the hashes.\n2. Say so in the README."
    assert [command.text for command in task["task-3"].verify] == ["grep -q check src/check.py"], "right below a list"
    limit = task["task-4"].files
    assert limit is not None
    assert limit.modify == ("src/limit.py",)
    assert (task["task-4"].verify, task["task-4"].acceptance) == ((), ("Ten wrong tries lock the account",))
    session = task["task-6"]
    assert session.files is not None
    assert session.files.test == ("tests/test_session.py",)
    assert "### Task 9: not a task\n**Files**: `src/other.py`" in session.description, "code is text"
    assert "> **Verify**: this is a quotation" in session.description
    assert [command.argv[1:] for command in session.verify] == [("-m", "pytest", "-q", "tests/test_session.py")]
    assert task["task-8"].files is None
    assert task["task-8"].description == "Somebody has to know.\n\nA note for whoever reads.\n\nowner: Ida"
    assert task["task-2"].background == (("Done before", "1. Hash passwords (commit 0a1b2c3)"),)
    assert task["task-2"].approach == (
        f"Read first:\n- `{LOGIN}/PLAN.md`: the plan\n- `{LOGIN}/SPEC.md`: the spec\n"
        "- `specs/GLOBAL.md`: what holds everywhere\n\n"
        "Objective:\nCustomers log in with a name and a password.\n\n"
        "Context:\n- `src/hashing.py` - how passwords are hashed\n\nNotes of the planner:\nSmall steps.\n\n"
        "Tests of the spec, those of your task have to pass:\n- `tests/test_hashing.py`\n- `tests/test_user.py`"
    )


def test_order_is_a_sequence_but_for_marked_and_disjoint_tasks(project: Path):
    """A dependency the plan does not state is inferred, and said to be."""
    loaded = read(project)
    assert loaded.plan is not None
    assert {task.id: task.depends_on for task in loaded.plan.tasks} == {
        "task-2": (),
        "task-3": ("task-2",),
        "task-4": ("task-2",),
        "task-5": ("task-3", "task-4"),
        "task-6": ("task-5",),
        "task-7": ("task-6",),
        "task-8": ("task-7",),
    }
    assert "task-5: is marked independent, and shares files with task-4: it waits for it." in loaded.told


@pytest.mark.parametrize(
    ("files", "side"), [("`src/x.py`", True), ("`src/`", False), ("`**/*.py`", False), ("", False)]
)
def test_marked_tasks_stand_side_by_side_only_when_their_files_cannot_meet(project: Path, files: str, side: bool):
    change(project, "PLAN.md", "`src/limit.py:1-1`", files)
    plan = read(project).plan
    assert plan is not None
    task = {each.id: each for each in plan.tasks}
    assert (task["task-4"].depends_on == ("task-2",)) is side


@pytest.mark.parametrize("place", ["", "specs", "specs/auth", LOGIN, f"{LOGIN}/PLAN.md"])
def test_project_specs_folder_and_file_are_the_same_plan(project: Path, place: str):
    plan = read(project / LOGIN).plan
    assert plan is not None
    assert read(project / place).plan == plan
    assert read_plan(None, project).plan == plan


def test_without_a_spec_the_weight_is_light(project: Path):
    loaded = read(project / "specs" / "reports")
    assert loaded.plan is not None
    assert {task.weight for task in loaded.plan.tasks} == {Weight.LIGHT}
    assert "There is no SPEC.md: the weight is light." in loaded.told


def test_the_weight_of_a_flow_under_way_stays(project: Path):
    change(project, "PROGRESS.md", "**Weight**: full", "**Weight**: light")
    plan = read(project).plan
    assert plan is not None
    assert plan.defaults.weight is Weight.LIGHT


def test_a_plan_outside_specs_is_read_where_it_lies(project: Path):
    (project / "PLAN.md").write_text("# Plan: Tidy\n\n## Tasks\n\n### Task 1: Tidy\n**Action**: Tidy up.\n")
    plan = read(project / "PLAN.md").plan
    assert plan is not None
    assert (plan.plan, [task.id for task in plan.tasks]) == ("project", ["task-1"])


def test_a_plan_may_have_another_name(project: Path):
    plans = project / "specs" / "reports"
    (plans / "PLAN.md").rename(plans / "later.md")
    plan = read(plans / "later.md").plan
    assert plan is not None
    assert "- `specs/reports/later.md`: the plan" in plan.tasks[0].approach


# -- which feature --------------------------------------------------------------------------------


def test_which_feature_is_meant_is_never_guessed(project: Path):
    (project / LOGIN / "PROGRESS.md").unlink()
    (problem,) = [p for p in read(project).problems if p.is_error]
    assert problem.code == "ambiguous_plan"
    assert problem.message.startswith("More than one feature could be meant: ")


def test_a_feature_that_is_done_leaves_the_other(project: Path):
    rows = "\n".join(f"| {n} | {t} | done | 0a1b2c3 |" for n, t in enumerate(("Sum", "Print", "Mail"), start=1))
    table = f"## Tasks\n\n| # | Task | Status | Commit |\n|---|---|---|---|\n{rows}\n"
    (project / "specs" / "reports" / "PROGRESS.md").write_text(table)
    (project / LOGIN / "PROGRESS.md").unlink()
    plan = read(project).plan
    assert plan is not None
    assert plan.plan == "auth-login"
    assert [p.code for p in read(project / "specs" / "reports").problems if p.is_error] == ["nothing_left"]


# -- what was done --------------------------------------------------------------------------------


def test_done_without_a_commit_is_done_again(project: Path):
    change(project, "PROGRESS.md", "0a1b2c3", "yes")
    assert read(project).counts["done"] == 0
    text = "Task 1 is said to be done and names no commit: it is done again."
    assert warnings(project / LOGIN) == [("no_commit", "PROGRESS.md", 18, text)]


def test_what_git_does_not_have_is_done_again(project: Path):
    """The commits that rows name are handed out to be looked up; what is not there is read as open, and told."""
    loaded = read(project)
    assert loaded.landed == {"task-1": "0a1b2c3"}
    assert loaded.redo is not None
    again = loaded.redo({"task-1": "the base does not have that commit"}, ())
    assert (again.counts["done"], again.counts["open"], again.landed) == (0, 8, {})
    assert again.plan is not None
    assert [task.id for task in again.plan.tasks][:2] == ["task-1", "task-2"]
    text = "Task 1 is said to be done as 0a1b2c3, and the base does not have that commit: it is done again."
    assert ("commit_not_there", "PROGRESS.md", 18, text) in [
        (p.code, Path(p.file or "").name, p.line, p.message) for p in again.problems if not p.is_error
    ]


def test_a_feature_whose_commits_are_all_gone_has_something_left(project: Path):
    """It says that nothing is left only when git agrees."""
    rows = "\n".join(f"| {n} | {t} | done | 0a1b2c3 |" for n, t in enumerate(("Sum", "Print", "Mail"), start=1))
    text = f"# Progress: Reports\n\n## Tasks\n\n| # | Task | Status | Commit |\n|---|---|---|---|\n{rows}\n"
    (project / "specs/reports/PROGRESS.md").write_text(text)
    loaded = read(project / "specs/reports")
    assert [problem.code for problem in loaded.problems if problem.is_error] == ["nothing_left"]
    assert loaded.redo is not None
    again = loaded.redo(dict.fromkeys(loaded.landed, "no single commit has that hash"), ())
    assert again.plan is not None
    assert len(again.plan.tasks) == 3


def test_what_nobody_accepted_is_done_again(project: Path):
    file = project / LOGIN / "PROGRESS.md"
    file.write_text(file.read_text() + "\n## Notes\n\n- Not accepted yet: tasks 1, 2; branch chargehand/x-1\n")
    loaded = read(project)
    assert loaded.counts["done"] == 0
    assert "task-1: done on chargehand/x-1, which nobody accepted: it is done again." in loaded.told
    assert (loaded.landed, loaded.pending) == ({}, {"task-1": "0a1b2c3"})
    assert loaded.redo is not None
    merged = loaded.redo({}, ["task-1"])
    assert (merged.counts["done"], merged.pending) == (1, {})
    assert "task-1: done on chargehand/x-1, which nobody accepted; the base has it all the same." in merged.told


def test_a_row_of_no_task_is_said(project: Path):
    change(project, "PROGRESS.md", "| 2 | Add the user", "| 12 | Add the user")
    text = "Row 12 is about a task that the plan does not have; it is left alone."
    assert warnings(project / LOGIN) == [("orphan", "PROGRESS.md", 19, text)]
    assert read(project).counts["left_alone"] == 1


def test_more_tasks_than_sendit_plans_are_warned_of(project: Path):
    change(project, "PLAN.md", "## Success", "### Task 9: One more\n\n**Action**: More.\n\n## Success")
    assert [each[0] for each in warnings(project / LOGIN)] == ["many_tasks"]


# -- what is refused ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["PROGRESS.md", "RESEARCH.md"])
@pytest.mark.parametrize("dangles", [False, True])
def test_a_link_in_place_of_a_file_of_ours_is_refused(project: Path, tmp_path: Path, name: str, dangles: bool):
    """What it leads to would be gone from that place, and with it what people wrote there."""
    file, elsewhere = project / LOGIN / name, tmp_path / "elsewhere.md"
    if not dangles:
        elsewhere.write_text((project / LOGIN / "PROGRESS.md").read_text())
    file.unlink(missing_ok=True)
    file.symlink_to(elsewhere)
    text = f"{name} is a link: a run would put a file of its own in its place."
    assert errors(project / LOGIN) == [(name, None, text)]


def change(project: Path, name: str, old: str, new: str) -> None:
    file = project / LOGIN / name
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


CORRUPT = [
    ("PLAN.md", "# Plan: Login", "# The plan\n\n## Plan: Login\n\n# Plan:", 1, "The plan has no title '# Plan: …'."),
    ("PLAN.md", "## Tasks", "## Jobs", 1, "The plan has no section '## Tasks'."),
    ("PLAN.md", "## Success Criteria", "## Tasks", 78, "The section '## Tasks' stands twice, first in line 14."),
    ("PLAN.md", "### Task 3 [P]", "### Task 2", 30, "Task 2 stands twice, first in line 23."),
    ("PLAN.md", "### Task 3 [P]: Check", "### Step 3: Check", 30, "The heading 'Step 3: Check a password' below '## Tasks' is no task."),
    ("PLAN.md", "### Task 3 [P]", "## Task 3 [P]", 30, "The heading 'Task 3 [P]: Check a password' looks like a task and does not stand as one."),
    ("PLAN.md", "### Task 3 [P]", "#### Task 3", 30, "The heading 'Task 3: Check a password' looks like a task and does not stand as one."),
    ("PLAN.md", ": Check a password", "", 30, "Task 3 has no title."),
    ("PLAN.md", "**Action**: Ten at most.\n", "", 38, "Task 4 has no action."),
    ("PLAN.md", "**Action**: Ten at most.", "**Action**: Ten.\n**Files**: `x.py`", 42, "Task 4 has 'Files' twice."),
    ("PLAN.md", "**Parallel**: yes", "**Parallel**: perhaps", 46, "Task 5: '**Parallel**' is yes or no, found 'perhaps'."),
    ("PLAN.md", "`src/user.py`", "`../user.py`", 26, "The path '../user.py' leaves its folder with '..'"),
    ("PLAN.md", "specs/auth/login/SPEC.md", "specs/login/SPEC.md", 3, "The plan comes from specs/login/SPEC.md, which is not there."),
    ("PLAN.md", "specs/auth/login/SPEC.md", "../../SPEC.md", 3, "The plan comes from '../../SPEC.md', which is no path below the project."),
    ("PROGRESS.md", "| failed |", "| blocked |", 19, "The status 'blocked' is unknown."),
    ("PROGRESS.md", "**Weight**: full", "**Weight**: heavy", 4, "The weight 'heavy' is unknown."),
    ("PROGRESS.md", "**Current step**: plan", "**Current step**: planing", 5, "The step 'planing' is unknown."),
    ("PROGRESS.md", "| 2 | Add", "| two | Add", 19, "A row begins with the number of a task, found 'two'."),
    ("PROGRESS.md", "| 2 | Add", "| 1 | Add", 19, "Task 1 has two rows, the first in line 18."),
    ("PROGRESS.md", "Hash passwords", "Salt passwords", 18, "Row 1 says 'Salt passwords' is done; task 1 is 'Hash passwords'."),
    ("PROGRESS.md", "| # | Task | Status | Commit |", "| # | Task | State | Commit |", 16, "The section '## Tasks' has no table '| # | Task | Status | Commit |'."),
    ("PROGRESS.md", "## Tasks", "## Jobs", 1, "The progress has no section '## Tasks'."),
    ("SPEC.md", "ACTIVE", "ACTIV", 5, "The status 'ACTIV' of the spec is unknown."),
]  # fmt: skip


@pytest.mark.parametrize(("name", "old", "new", "line", "message"), CORRUPT)
def test_what_is_broken_is_told_with_its_place(
    project: Path, name: str, old: str, new: str, line: int | None, message: str
):
    """Never a default, never silence: every one names file and line."""
    change(project, name, old, new)
    found = errors(project / LOGIN)
    assert any(file == name and at == line and text.startswith(message) for file, at, text in found), found


def test_a_plan_without_tasks_is_told(project: Path):
    file = project / "specs" / "reports" / "PLAN.md"
    file.write_text("# Plan: Nothing\n\n## Tasks\n")
    assert errors(file.parent)[0] == ("PLAN.md", 3, "The plan has no task.")


def test_a_file_that_is_no_text_is_told(project: Path):
    (project / LOGIN / "PROGRESS.md").write_bytes(b"# Progress\n\xff")
    (found,) = errors(project / LOGIN)
    assert (found[0], found[1]) == ("PROGRESS.md", 2)
    assert "is not UTF-8 text" in found[2]


# -- the spec -------------------------------------------------------------------------------------

READY = "# Login\n\n## Status\n\nACTIVE\n\n## Requirements\n\n- [ ] x\n\n## Acceptance Criteria\n\n- [ ] y\n"


@pytest.mark.parametrize(
    ("old", "new", "missing"),
    [
        ("", "", []),
        ("ACTIVE", "DRAFT", [(3, "its status is DRAFT, not ACTIVE")]),
        ("ACTIVE", "IMPLEMENTED", [(3, "its status is IMPLEMENTED, not ACTIVE")]),
        ("## Status\n\nACTIVE\n", "", [(1, "its status is not stated, not ACTIVE")]),
        ("- [ ] y\n", "", [(11, "it has no acceptance criteria")]),
        ("- [ ] x\n", "", [(7, "it has no requirements")]),
        ("- [ ] y\n", "- [ ] y\n\n## OPEN\n\n- [ ] Which?\n- [ ] When?\n", [(15, "it is open: Which?; When?")]),
        ("- [ ] y\n", "- [ ] y\n\n## OPEN\n\nWhich one?\n", [(15, "it is open: Which one?")]),
        ("- [ ] y\n", "- [ ] y\n\n## OPEN\n\n<!-- none\n- [ ] x -->\n", []),
        ("- [ ] y\n", "- [ ] y\n\n## OPEN\n\nNone.\n", []),
    ],
)
def test_when_a_spec_is_ready(old: str, new: str, missing: Sequence[tuple[int, str]]):
    spec, problems = read_spec(READY.replace(old, new, 1) if old else READY)
    assert problems == []
    assert list(spec.missing) == list(missing)


def test_what_is_open_goes_with_the_plan_for_its_profile_to_judge(project: Path):
    change(project, "SPEC.md", "ACTIVE", "DRAFT")
    loaded = read(project)
    assert loaded.plan is not None
    said = dict(loaded.plan.tasks[0].background)["What is open in the spec"]
    assert said == f"{LOGIN}/SPEC.md:5: its status is DRAFT, not ACTIVE"
    assert errors(project) == []


# -- verify ---------------------------------------------------------------------------------------


def there(name: str) -> bool:
    return "/" in name or name in {"python", "npm", "go", "grep"}


@pytest.mark.parametrize(
    ("text", "commands", "criteria"),
    [
        ("login.test.ts passes", ["npm test -- src/login.test.ts"], 0),
        ("`src/login.test.ts` passes", ["npm test -- src/login.test.ts"], 0),
        ("All tests in tests/test_a.py and tests/test_b.py pass.", ["python -m pytest -q tests/test_a.py", "python -m pytest -q tests/test_b.py"], 0),
        ("tests/test_a.py passes and the page is blue", ["python -m pytest -q tests/test_a.py"], 1),
        ("pkg/sum_test.go passes", ["go test ./pkg"], 0),
        ("spec/login_spec.rb passes", [], 1),
        ("npm test passes", ["npm test"], 0),
        ("python -m pytest tests/test_a.py", ["python -m pytest tests/test_a.py"], 0),
        ("`python -m pytest tests/test_a.py`", ["python -m pytest tests/test_a.py"], 0),
        ("The page shows the name", [], 1),
        ("", [], 0),
    ],
)  # fmt: skip
def test_what_a_verify_text_is(tmp_path: Path, text: str, commands: list[str], criteria: int):
    (tmp_path / "package.json").write_text('{"scripts": {"test": "vitest run"}}')
    (tmp_path / "go.mod").write_text("module x\n")
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    got = verify_of(text, ["src/login.test.ts"], runners_of(tmp_path, there), there)
    assert [command.text for command in got.commands] == commands
    assert len(got.criteria) == criteria


@pytest.mark.parametrize(
    ("files", "gates"),
    [
        ({}, []),
        ({"package.json": '{"scripts": {"test": "jest"}}'}, ["npm test"]),
        ({"package.json": '{"scripts": {"test": "echo \\"Error: no test specified\\" && exit 1"}}'}, []),
        ({"package.json": "{broken"}, []),
        ({"package.json": "[1]"}, []),
        ({"setup.cfg": "[tool:pytest]\n"}, ["python -m pytest -q --junit-xml=$CHARGEHAND_JUNIT"]),
        ({"pyproject.toml": "[project]\n"}, []),
        ({"go.mod": "module x\n", "Cargo.toml": "[package]\n"}, ["go test ./...", "cargo test"]),
    ],
)
def test_every_runner_of_a_project_is_a_gate_of_its_own(tmp_path: Path, files: dict[str, str], gates: list[str]):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    found = runners_of(tmp_path, there)
    assert [gate.run.text for gate in found] == gates
    assert all(gate.on == {GatePoint.RUN} for gate in found)
    assert not any(gate.run.shell for gate in found), "never `a || b`"


def test_check_says_what_was_read_inferred_and_taken_for_what(project: Path):
    change(project, "PLAN.md", "Ten wrong tries", "\x1b[31mTen wrong tries")
    loaded = read(project)
    text = "\n".join(check_lines(loaded, check_loaded(loaded), PLAIN))
    assert "read: done 1, features left alone 1, open 7, plan tasks 8, rows 2" in text
    assert "inferred, not stated, the order of: task-3, task-4, task-5, task-6, task-7, task-8" in text
    assert "- task-6: verify taken as tests to run: " in text
    assert "- task-4: verify taken as a criterion: " in text
    assert "\x1b" not in text


# -- detection ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "text", "claimed"),
    [
        ("PLAN.md", "# Plan: x\n> From: specs/x/SPEC.md\n", True),
        ("PLAN.md", "# Plan: x\r\n\r\n## Tasks\r\n", True),
        ("PLAN.md", "# Plan: x\n", False),
        ("PLAN.md", "# x Implementation Plan\n## Tasks\n", False),
        ("PLAN.md", "# Progress: x\n## Tasks\n", False),
        ("PLAN.txt", "# Plan: x\n## Tasks\n", False),
        ("PLAN.md", "", False),
    ],
)
def test_a_plan_is_known_by_its_title_and_a_mark(tmp_path: Path, name: str, text: str, claimed: bool):
    assert SenditReader().claims(tmp_path / name, text) is claimed


def test_nobody_else_claims_it(project: Path):
    file = project / LOGIN / "PLAN.md"
    for path, text in ((project / "specs", None), (project / LOGIN, None), (file, file.read_text())):
        assert [reader.name for reader in READERS if reader.claims(path, text)] == ["sendit"]
    assert find_plan(None, project).reader.name == "sendit"


def test_a_link_out_of_specs_is_not_followed(project: Path, tmp_path: Path):
    elsewhere = tmp_path / "elsewhere"
    shutil.move(project / LOGIN, elsewhere)
    (project / LOGIN).symlink_to(elsewhere)
    plan = read(project).plan
    assert plan is not None
    assert plan.plan == "reports"


# -- fuzz -----------------------------------------------------------------------------------------

_PLAN = (FIXTURE / LOGIN / "PLAN.md").read_text()
_LINES = st.sampled_from(
    (
        *(
            "# Plan: x",
            "> From: a",
            "## Tasks",
            "### Task 1: a",
            "### Task 2 [P]: b",
            "### Task",
            "**Action**: x",
            "```",
        ),
        *(
            "**Files**: `a.py`, b",
            "**Verify**: a.test.ts passes",
            "| # | Task | Status | Commit |",
            "|---|---|---|---|",
        ),
        *(
            "| 1 | a | done | 0a1b2c3 |",
            "| x |",
            "## Status",
            "ACTIVE",
            "## OPEN",
            "- [ ] y",
            "\x00",
            "**Weight**: full",
        ),
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
def test_no_text_raises(text: str):
    plan, problems = read_plan_file(text)
    assert plan.steps or any(problem.is_error for problem in problems)
    for found in (problems, read_progress(text)[1], read_spec(text)[1]):
        assert all(problem.line is None or problem.line >= 1 for problem in found)


@given(text=_TEXTS, progress=_TEXTS, spec=_TEXTS)
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_in_a_feature_counts_in_are_counts_out(
    tmp_path_factory: pytest.TempPathFactory, text: str, progress: str, spec: str
):
    """Nothing vanishes: every task is open or done, and every row is about one of them or told."""
    folder = tmp_path_factory.mktemp("fuzz") / "specs" / "x"
    folder.mkdir(parents=True)
    for name, said in (("PLAN.md", text), ("PROGRESS.md", progress), ("SPEC.md", spec)):
        (folder / name).write_text(said, encoding="utf-8", newline="")
    loaded = SenditReader().read(folder / "PLAN.md", text, str(folder / "PLAN.md"))
    check_loaded(loaded)
    counts = loaded.counts
    if loaded.plan is not None:
        assert counts["plan_tasks"] == len(loaded.plan.tasks) + counts.get("done", 0)
        assert counts["open"] == len(loaded.plan.tasks)
    else:
        assert any(problem.is_error for problem in loaded.problems)


def test_line_ends_of_other_systems_change_nothing(project: Path):
    before = read(project).plan
    for name in ("PLAN.md", "SPEC.md", "PROGRESS.md"):
        file = project / LOGIN / name
        file.write_bytes(file.read_bytes().replace(b"\n", b"\r\n"))
    assert read(project).plan == before
