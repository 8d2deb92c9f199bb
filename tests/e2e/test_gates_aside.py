"""Red first and overlay: the tests of one commit over another (SPEC 3.7, item 4), with real git and real pytest."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.gate_cache import GateCache
from chargehand.domain.outcome import FaultKind, GateResult, GateStatus
from chargehand.ports import Check, GateJob
from tests.e2e.execution import Execution, check, setup
from tests.repos import Repo

PYTEST = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider")
VERIFY = check((*PYTEST, "tests"), id="verify-1")
GATE = check((*PYTEST, "--junit-xml=$CHARGEHAND_JUNIT"), id="tests", junit=True)
LINT = check("false", id="lint")
BASE = {
    "src/app.py": "def one():\n    return 1\n",
    "tests/conftest.py": "import pathlib, sys\nsys.path.insert(0, str(pathlib.Path(__file__).parents[1] / 'src'))\n",
    "tests/test_one.py": "import app\n\ndef test_one():\n    assert app.one() == 1\n",
    "tests/data/one.txt": "1\n",
}
TWO = "\n\ndef two():\n    return 2\n"
TEST_TWO = "import app\n\ndef test_two():\n    assert app.two() == 2\n"


@dataclass
class Lab(Execution):
    """A repository with a base and one change on top of it."""

    base: str = ""

    def start(self) -> None:
        self.base = self.change(BASE)

    def change(self, files: Mapping[str, str | None]) -> str:
        for path, text in files.items():
            if text is None:
                (self.repo.path / path).unlink()
            else:
                self.repo.write(path, text)
        return self.repo.commit("change")

    def run(self, *checks: Check, **changes: Any) -> dict[str, GateResult]:
        parts = {"cache": changes.pop("gate_cache")} if "gate_cache" in changes else {}
        job: GateJob = self.job(*checks, base=self.base, **changes)
        results = self.judge(job, **parts)
        assert {result.tree for result in results} == {job.tree}
        return {result.gate: result for result in results}

    def audit(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.folder / "gates.jsonl").read_text().splitlines()]


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Lab:
    made = Lab(repo, tmp_path)
    made.start()
    return made


# -- red first ------------------------------------------------------------------------------------


@pytest.mark.parametrize("wanted", [VERIFY, GATE], ids=["verify", "gate"])
def test_tests_that_fail_without_the_change(lab, wanted):
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO})
    result = lab.run(wanted, red_first=True)
    assert [(gate, each.status) for gate, each in result.items()] == [
        (wanted.id, GateStatus.PASS),
        ("red-first", GateStatus.PASS),
    ]
    red = result["red-first"]
    assert red.detail.startswith(f"{wanted.id} failed on the base")
    assert "has no attribute 'two'" in (lab.folder / red.log).read_text()
    assert red.log == f"gates/t/1/gates/red-first/{wanted.id}.log"
    told = [(line["gate_id"], line["status"]) for line in lab.audit()]
    assert told == [(wanted.id, "pass"), (f"red-first/{wanted.id}", "fail"), ("red-first", "pass")]


@pytest.mark.parametrize("wanted", [VERIFY, GATE], ids=["verify", "gate"])
def test_tests_that_never_failed_prove_nothing(lab, wanted):
    lab.change({"tests/test_two.py": "import app\n\ndef test_two():\n    assert app.one() == 1\n"})
    red = lab.run(wanted, red_first=True)["red-first"]
    assert (red.status, red.fault) == (GateStatus.FAIL, None)
    assert "never failed prove nothing" in red.detail


def test_an_import_that_fails_counts_as_failing(lab):
    lab.change({"src/new.py": "def two():\n    return 2\n", "tests/test_new.py": "from new import two\n"})
    assert lab.run(VERIFY, red_first=True)["red-first"].status is GateStatus.PASS


def test_new_tests_that_passed_before_are_named(lab):
    base_job = lab.job(GATE, key="base/0/canary")
    (before,) = lab.judge(base_job)
    green = "\n\ndef test_nothing():\n    assert True\n"
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO + green})
    gate = check(GATE.run.argv, id="tests", junit=True, baseline=before.tests)
    red = lab.run(gate, red_first=True)["red-first"]
    assert red.status is GateStatus.PASS
    assert "pass on the base already: tests.test_two::test_nothing." in red.detail


def test_a_gate_that_was_red_before_proves_nothing_by_that(lab):
    """With test ids only new failures count."""
    lab.base = lab.change({"tests/test_old.py": "def test_old():\n    assert 0\n"})
    (before,) = lab.judge(lab.job(GATE, key="base/0/canary"))
    assert before.failed_tests == ("tests.test_old::test_old",)
    gate = check(GATE.run.argv, id="tests", junit=True, baseline=before.tests)
    lab.change({"tests/test_two.py": "def test_two():\n    assert True\n"})
    assert lab.run(gate, red_first=True)["red-first"].status is GateStatus.FAIL
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO})
    assert lab.run(gate, red_first=True)["red-first"].status is GateStatus.PASS


@pytest.mark.parametrize(
    ("files", "tests", "checks", "why"),
    [
        ({"src/app.py": "x = 1\n"}, (), (VERIFY,), "no test files"),
        ({"tests/test_one.py": None}, (), (check("true", id="verify-1"),), "no test files"),
        ({"tests/test_two.py": "def test(): pass\n"}, ("checks/**",), (VERIFY,), "no test files"),
        ({"tests/test_two.py": "def test(): pass\n"}, (), (check("true"),), "no check that could run them"),
    ],
)
def test_where_nothing_can_be_red_first(lab, files, tests, checks, why):
    lab.change(files)
    red = lab.run(*checks, red_first=True, tests=tests)["red-first"]
    assert red.status is (GateStatus.FAIL if why == "no test files" else GateStatus.SKIPPED)
    assert why in red.detail


def test_only_the_files_that_are_meant_are_laid_over(lab):
    """The patterns of the task, not every test file of the change."""
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO, "tests/data/two.txt": "2\n"})
    look = check("find tests -name '*two*'; false", id="verify-1")
    red = lab.run(look, red_first=True, tests=("tests/data/**",))["red-first"]
    assert red.tail == "tests/data/two.txt"
    every = lab.run(look, red_first=True)["red-first"]
    assert every.tail == "tests/test_two.py"


def test_the_base_is_as_it_was_but_for_the_tests(lab):
    head = lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO})
    look = check(
        "cat src/app.py; git rev-parse HEAD^{tree}; echo $CHARGEHAND_TREE; git status -s; false", id="verify-1"
    )
    red = lab.run(look, red_first=True)["red-first"]
    text = (lab.folder / red.log).read_text().splitlines()
    assert text[:2] == BASE["src/app.py"].splitlines()
    assert text[2] == text[3] != lab.repo.git("rev-parse", f"{head}^{{tree}}")
    assert len(text) == 4


def test_a_line_that_stands_still_says_nothing(lab):
    """A check that cannot judge, and a setup that fails there, are faults: no verdict about the tests."""
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO})
    slow = check("test -e src/made || sleep 60", id="verify-1", wall_s=0.5)
    red = lab.run(slow, red_first=True)["red-first"]
    assert (red.status, red.fault) == (GateStatus.FAULT, FaultKind.TIMEOUT)
    red = lab.run(VERIFY, red_first=True, setup=setup("grep -q two src/app.py"))["red-first"]
    assert (red.status, red.fault) == (GateStatus.FAULT, FaultKind.AMBIGUOUS)
    assert "setup" in red.detail


def test_nothing_is_run_aside_after_a_red_check_that_ends_the_job(lab):
    lab.change({"tests/test_two.py": TEST_TWO})
    assert list(lab.run(VERIFY, red_first=True, overlay=True, stop_early=True)) == ["verify-1"]


def test_nothing_of_it_stays_in_the_repository(lab):
    """[I1] No ref, and nothing that keeps the objects from being collected."""
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO})
    refs = lab.repo.git("for-each-ref")
    lab.run(VERIFY, red_first=True, overlay=True)
    assert lab.repo.git("for-each-ref") == refs
    assert list(lab.repository.objects.glob("pack/*.keep")) == []
    assert lab.repo.git("status", "--porcelain") == ""
    assert list((lab.repository.common_dir / "chargehand" / "incoming").iterdir()) == []


def test_a_gc_beside_it_takes_nothing(lab):
    """What no ref names is garbage to the user's git; this is in use."""
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO})
    run = f"git -C '{lab.repo.path}' gc -q --prune=now && git cat-file -p HEAD:tests/test_two.py && git fsck && false"
    red = lab.run(check(run, id="verify-1"), red_first=True)["red-first"]
    assert (red.status, red.exit_code) == (GateStatus.PASS, 1)
    assert "assert app.two() == 2" in red.tail


def test_configuration_of_an_agent_is_not_run(lab, tmp_path):
    """[I8] Attributes and filters in the tree name programs; none of them is started."""
    mark = tmp_path / "ran"
    lab.repo.git("config", "filter.evil.clean", f"touch {mark}; cat")
    lab.repo.git("config", "filter.evil.smudge", f"touch {mark}; cat")
    lab.repo.git("config", "core.fsmonitor", f"touch {mark}")
    lab.base = lab.repo.head()
    lab.repo.write(".gitattributes", "*.py filter=evil\n")
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO})
    mark.unlink(missing_ok=True)
    assert lab.run(VERIFY, red_first=True)["red-first"].status is GateStatus.PASS
    assert not mark.exists()


# -- overlay --------------------------------------------------------------------------------------


def test_a_change_that_keeps_what_the_old_tests_ask(lab):
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_one.py": "def test_one():\n    pass\n"})
    result = lab.run(VERIFY, overlay=True)["overlay"]
    assert (result.status, result.detail) == (GateStatus.PASS, "")


@pytest.mark.parametrize("wanted", [VERIFY, GATE], ids=["verify", "gate"])
@pytest.mark.parametrize(
    "bent",
    [
        {"tests/test_one.py": "def test_one():\n    pass\n"},
        {"tests/test_one.py": None, "tests/test_else.py": "def test_else():\n    pass\n"},
        {
            "tests/conftest.py": BASE["tests/conftest.py"] + "collect_ignore = ['test_one.py']\n",
            "tests/test_x.py": "def test(): pass\n",
        },
    ],
    ids=["weakened", "deleted", "deselected"],
)
def test_a_change_that_bends_the_tests(lab, wanted, bent):
    """The tests of the base come back, and fail."""
    lab.change({"src/app.py": "def one():\n    return 2\n", **bent})
    results = lab.run(wanted, overlay=True)
    assert results[wanted.id].status is GateStatus.PASS
    assert results["overlay"].status is GateStatus.FAIL
    assert "fails with the tests of the base" in results["overlay"].detail
    if wanted is GATE:
        assert results["overlay"].failed_tests == ("tests.test_one::test_one",)


def test_data_of_tests_comes_back_where_the_task_names_it(lab):
    lab.change({"tests/data/one.txt": "2\n"})
    look = check("grep 1 tests/data/one.txt || true", id="verify-1")
    assert lab.run(look, overlay=True)["overlay"].status is GateStatus.SKIPPED  # no test by its name
    named = lab.run(look, overlay=True, tests=("tests/**",))["overlay"]
    assert (named.status, named.tail) == (GateStatus.PASS, "1")


def test_new_tests_stay_beside_the_old_ones(lab):
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO, "tests/test_one.py": ""})
    look = check("ls tests; cat tests/test_one.py", id="verify-1")
    overlay = lab.run(look, overlay=True)["overlay"]
    assert "test_two.py" in overlay.tail
    assert "assert app.one() == 1" in overlay.tail


def test_tests_that_failed_on_the_base_may_fail(lab):
    lab.base = lab.change({"tests/test_old.py": "def test_old():\n    assert 0\n"})
    (before,) = lab.judge(lab.job(GATE, key="base/0/canary"))
    lab.change({"tests/test_old.py": "def test_old():\n    assert 1\n"})
    gate = check(GATE.run.argv, id="tests", junit=True, baseline=before.tests)
    assert lab.run(gate, overlay=True)["overlay"].status is GateStatus.PASS
    assert lab.run(check(GATE.run.argv, id="tests", junit=True), overlay=True)["overlay"].status is GateStatus.FAIL


def test_a_flaky_overlay_is_no_failure(lab):
    lab.change({"tests/test_one.py": "def test_one():\n    pass\n"})
    mark = lab.root / "m"
    run = f"grep -q pass tests/test_one.py || test -e '{mark}' || {{ : > '{mark}'; exit 1; }}"
    overlay = lab.run(check(run, id="verify-1", rerun=True), overlay=True)["overlay"]
    assert (overlay.status, overlay.flaky) == (GateStatus.PASS, ("verify-1",))


def test_an_overlay_may_come_from_the_cache_and_red_first_may_not(lab):
    cache = GateCache(lab.root / "cache")
    lab.change({"src/app.py": BASE["src/app.py"] + TWO, "tests/test_two.py": TEST_TWO, "tests/test_one.py": "x = 1\n"})
    for again in (False, True):
        lab.run(VERIFY, red_first=True, overlay=True, gate_cache=cache)
        told = {line["gate_id"]: bool(line["cached"]) for line in lab.audit()[-5:]}
        assert told["overlay/verify-1"] is told["verify-1"] is again
        assert told["red-first/verify-1"] is False


def test_a_file_where_the_base_has_a_folder(lab):
    lab.base = lab.change({"tests/test_x.py/readme": "a folder\n"})
    (lab.repo.path / "tests/test_x.py/readme").unlink()
    (lab.repo.path / "tests/test_x.py").rmdir()
    lab.change({"tests/test_x.py": "def test_x():\n    assert 0\n"})
    assert lab.run(VERIFY, red_first=True)["red-first"].status is GateStatus.PASS
