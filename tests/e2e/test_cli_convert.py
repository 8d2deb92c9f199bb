"""`convert`: plans of the systems that are read, in the native format, and read back."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from chargehand.plans.detect import read_plan
from chargehand.plans.native import parse_plan
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


def test_it_is_printed_or_told_as_a_document(cli: CliWorld) -> None:
    plan = cli.plan([{"id": "a", "title": "A"}])
    assert "plan: todo" in cli.call("convert", plan, "--to", "native").stdout
    document = cli.call("convert", plan, "--to", "native", "--json").document
    assert (document["reader"], document["path"], "id: a" in document["text"]) == ("native", None, True)


def test_a_plan_with_errors_is_refused(cli: CliWorld) -> None:
    done = cli.call("convert", cli.plan([{"id": "a"}]), "--to", "native")
    assert (done.code, "title" in done.stderr) == (2, True)
