"""Those who look and change nothing: reviewers, fitters and researchers, with real git and real processes (SPEC 4, 5)."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from chargehand.domain.outcome import ExitKind, Role
from chargehand.domain.review import Severity
from tests.e2e.execution import Execution, available, setup
from tests.repos import Repo

SANDBOXES = available()


@pytest.fixture(params=SANDBOXES)
def each(request: pytest.FixtureRequest, repo: Repo, tmp_path: Path) -> Execution:
    """With every sandbox."""
    return Execution(repo, tmp_path, request.param)


@pytest.fixture
def best(repo: Repo, tmp_path: Path) -> Execution:
    """With the best sandbox that works here."""
    return Execution(repo, tmp_path, SANDBOXES[0])


def looking(ground: Execution, role: Role = Role.SPEC_REVIEWER, **changes):
    """The spec of somebody who looks at a commit that adds a file and changes one, kept under a ref only."""
    repo = ground.repo
    base = repo.head()
    repo.write("src/app.py", "def run():\n    return 2\n")
    commit = repo.commit("work", new="one\ntwo")
    repo.git("reset", "-q", "--hard", base)
    repo.git("update-ref", f"refs/chargehand/attempts/{ground.name}/t/1", commit)
    tree = repo.git("rev-parse", f"{commit}^{{tree}}")
    made = ground.spec(key="t/2/attempt", attempt=2, role=role, base=base, commit=commit, tree=tree)
    return replace(made, **changes)


def say(answer) -> str:
    return f"result.write_text({json.dumps(answer)!r})\n"


PASS = say({"verdict": "PASS"})


def test_a_reviewer_passes(each):
    """It sees the commit, the difference and the tree; nothing is sealed, and its workspace goes back clean [I7]."""
    spec = looking(each)
    result = each.attempt(
        """
        facts = {name: os.environ.get(f"CHARGEHAND_{name}") for name in ("TREE", "BASE", "ROLE", "ATTEMPT")}
        facts["diff"] = pathlib.Path(os.environ["CHARGEHAND_DIFF"]).read_text()
        facts["head"] = os.popen("git rev-parse HEAD").read().strip()
        facts["app"] = pathlib.Path("src/app.py").read_text()
        result.write_text(json.dumps({"verdict": "PASS", "summary": json.dumps(facts)}))
        """,
        spec,
    )
    assert (result.exit.kind, result.report, result.report_problem, result.sealed) == (ExitKind.EXITED, None, "", None)
    review = result.review
    assert review is not None
    assert review.verdict is not None
    assert (review.verdict.passed, review.problem, review.violations, result.warnings) == (True, "", (), ())
    facts = json.loads(review.verdict.summary)
    assert "+    return 2" in facts["diff"]
    assert facts["app"].endswith("return 2\n")
    expected = {"TREE": spec.tree, "BASE": spec.base, "ROLE": "spec-reviewer", "ATTEMPT": "2", "head": spec.commit}
    assert {name: facts[name] for name in expected} == expected
    assert each.left_behind() == []
    assert each.repo.git("for-each-ref", "--format=%(refname)", "refs/chargehand/rescue") == ""
