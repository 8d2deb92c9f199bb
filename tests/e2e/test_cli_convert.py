"""`convert`: plans of the systems that are read, in the native format, and read back."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.plan import Command, Defaults, Plan, Task
from chargehand.domain.policy import HOUSE
from chargehand.plans.detect import read_plan
from chargehand.plans.native import parse_plan
from chargehand.plans.native_form import losses, native_form
from chargehand.plans.writer import dump_native
from chargehand.profiles import profile_of
from tests.e2e.cliworld import CliWorld
from tests.repos import Repo

FIXTURES = Path(__file__).parents[1] / "fixtures"


@pytest.fixture
def cli(repo: Repo, tmp_path: Path) -> CliWorld:
    return CliWorld(repo, tmp_path / "cli")


@pytest.mark.parametrize("system", sorted(folder.name for folder in FIXTURES.iterdir()))
def test_a_plan_of_another_system_is_a_native_plan(cli: CliWorld, tmp_path: Path, system: str) -> None:
    project = tmp_path / "theirs"
    shutil.copytree(FIXTURES / system, project)
    output = tmp_path / "plan.yaml"
    done = cli.call("convert", "--to", "native", "--output", output, cwd=project)
    assert done.code == 0, done.stderr
    source = read_plan(None, project).plan
    written = parse_plan(output.read_text(encoding="utf-8"), str(output))
    assert source is not None
    assert written.plan is not None, written.problems
    assert [(t.id, t.title, t.depends_on, t.files) for t in written.plan.tasks] == [
        (t.id, t.title, t.depends_on, t.files) for t in source.tasks
    ]
    assert written.plan.gates == source.gates
    assert all(
        text in t.description for t, s in zip(written.plan.tasks, source.tasks, strict=True) for _, text in s.background
    )
    again = cli.call("convert", "--to", "native", "--output", output, cwd=project)
    assert (again.code, "exists already" in again.stderr) == (2, True)


def differing(source: Any, written: Any) -> Iterator[tuple[str, str]]:
    """Every field in which two plans differ, with the task it is a field of."""
    for field in fields(source):
        ours, theirs = getattr(source, field.name), getattr(written, field.name)
        if field.name == "tasks":
            assert [task.id for task in ours] == [task.id for task in theirs]
            for one, two in zip(ours, theirs, strict=True):
                yield from ((f"tasks.{name}", one.id) for name, _ in differing(one, two))
        elif field.name == "defaults":
            yield from ((f"defaults.{name}", "") for name, _ in differing(ours, theirs))
        elif ours != theirs:
            yield field.name, ""


@pytest.mark.parametrize("system", sorted(folder.name for folder in FIXTURES.iterdir()))
def test_whatever_the_native_format_cannot_hold_is_told(cli: CliWorld, tmp_path: Path, system: str) -> None:
    """Field by field: what is read from the written file is the plan, but for what stderr and the document name."""
    project = tmp_path / "theirs"
    shutil.copytree(FIXTURES / system, project)
    done = cli.call("convert", "--to", "native", "--json", cwd=project)
    assert done.code == 0, done.stderr
    source, written = read_plan(None, project).plan, parse_plan(done.document["text"], "plan.yaml").plan
    assert source is not None
    assert written is not None
    lost = {row["field"]: row for row in done.document["lost"]}
    for field, task in differing(source, written):
        if field == "tasks.description" and task in lost["tasks.background"]["tasks"]:
            continue  # that is where the background went
        assert not task or task in lost[field]["tasks"], (field, task)
        assert f"Not kept: {field}: {lost[field]['text']}" in done.stderr
    policy = profile_of(source.profile).policy
    for rule in (field.name for field in fields(policy)):
        assert (f"profile.{rule}" in lost) is (getattr(policy, rule) != getattr(HOUSE, rule))
    assert set(lost) - {name for name in lost if name.startswith("profile.")} == {
        field for field, _ in differing(source, written) if field != "tasks.description"
    }


@pytest.mark.parametrize("system", ["dispatch", "sendit", "task_executor"])
def test_commands_of_settings_that_no_gate_of_the_plan_runs_are_told(
    cli: CliWorld, tmp_path: Path, system: str
) -> None:
    """I6: what was a gate of the system by settings alone would not be run any more, unsaid."""
    project = tmp_path / "theirs"
    shutil.copytree(FIXTURES / system, project)
    subprocess.run(["git", "init", "-q", project], env=cli.environ, check=True, timeout=60)
    (project / "chargehand.toml").write_text('[commands]\nbuild = "make all"\ntest = ["make", "check"]\n')
    done = cli.call("convert", "--to", "native", "--json", cwd=project)
    assert done.code == 0, done.stderr
    (said,) = (row["text"] for row in done.document["lost"] if row["field"] == "profile.gates")
    assert "`make all`" in said
    assert "`make check`" in said
    assert f"Not kept: profile.gates: {said}" in done.stderr
    assert "make all" not in done.document["text"]


def test_who_commits_is_told_where_the_system_has_a_rule(cli: CliWorld, tmp_path: Path) -> None:
    project = tmp_path / "theirs"
    shutil.copytree(FIXTURES / "sendit", project)
    stderr = cli.call("convert", "--to", "native", cwd=project).stderr
    assert "done without a commit of the agent's own has failed there, here the change is committed" in stderr


OTHERS: dict[str, dict[str, Any]] = {
    "tasks": {
        "background": (("Summary", "What was done."),),
        "may_excuse": True,
        "group": "g",
        "reviewed": False,
        "forbidden": (Command(argv=("npm", "test")),),
        "description": " in spaces ",
    },
    "plan": {"profile": "sendit", "inferred": ("a",), "accept_staged": True, "defaults": Defaults(jobs=2)},
}


@pytest.mark.parametrize(("where", "field"), [(where, field) for where, found in OTHERS.items() for field in found])
def test_each_field_without_a_word_in_the_native_format_is_a_loss(where: str, field: str) -> None:
    """Also those that no fixture has; a field that somebody adds later is told by its name alone."""
    plan = Plan(plan="p", goal="g", tasks=(Task(id="a", title="A"),))
    values = {field: OTHERS[where][field]}
    source = replace(plan, **values) if where == "plan" else replace(plan, tasks=(replace(plan.tasks[0], **values),))
    written = parse_plan(dump_native(native_form(source)), "plan.yaml").plan
    assert written is not None
    assert losses(plan, parse_plan(dump_native(plan), "plan.yaml").plan or source) == ()
    name = {"plan": field, "tasks": f"tasks.{field}"}[where].replace("defaults", "defaults.jobs")
    assert [loss.field for loss in losses(source, written)] == [name]
    assert losses(source, written)[0].tasks == (("a",) if where == "tasks" or field == "inferred" else ())


def test_a_loss_nobody_foresaw_is_told_by_its_name() -> None:
    plan = Plan(plan="p", goal="g", tasks=(Task(id="a", title="A"),))
    other = replace(plan, goal="h", tasks=(replace(plan.tasks[0], title="B"),))
    assert [(loss.field, loss.tasks) for loss in losses(plan, other)] == [("goal", ()), ("tasks.title", ("a",))]
    assert [loss.field for loss in losses(plan, replace(plan, tasks=()))] == ["tasks"]


def test_steps_of_one_wave_leave_waves_to_be_derived() -> None:
    tasks = (Task(id="a", title="A", wave=1), Task(id="b", title="B", wave=1, depends_on=("a",)))
    plan = Plan(plan="p", tasks=tasks)
    assert [(loss.field, loss.tasks) for loss in losses(plan, native_form(plan))] == [("tasks.wave", ("a", "b"))]
    apart = replace(plan, tasks=(tasks[0], replace(tasks[1], wave=2)))
    assert losses(apart, native_form(apart)) == ()


def test_it_is_printed_or_told_as_a_document(cli: CliWorld) -> None:
    plan = cli.plan([{"id": "a", "title": "A"}])
    assert "plan: todo" in cli.call("convert", plan, "--to", "native").stdout
    document = cli.call("convert", plan, "--to", "native", "--json").document
    assert (document["reader"], document["path"], "id: a" in document["text"]) == ("native", None, True)
    assert document["lost"] == []


def test_a_plan_with_errors_is_refused(cli: CliWorld) -> None:
    done = cli.call("convert", cli.plan([{"id": "a"}]), "--to", "native")
    assert (done.code, "title" in done.stderr) == (2, True)
