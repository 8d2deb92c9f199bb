"""Flakes, vanished tests and the audit of gates: real programs in real checkouts."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.outcome import FaultKind, GateResult, GateStatus
from chargehand.domain.plan import EnvSpec
from chargehand.ports import Check, GateJob
from tests.e2e.execution import OUTER, Execution, check, setup
from tests.repos import Repo


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Execution:
    """Without a sandbox: what a command counts lies outside of its checkout."""
    return Execution(repo, tmp_path)


def once(lab: Execution, name: str, then: str) -> str:
    """A shell command that does `then` the first time, and nothing the next times."""
    return f'test -e "{lab.root}/{name}" || {{ : > "{lab.root}/{name}"; {then}; }}'


def times(lab: Execution) -> str:
    return f'echo x >> "{lab.root}/times"'


def count(lab: Execution) -> int:
    return len((lab.root / "times").read_text().splitlines())


def audit(lab: Execution) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (lab.folder / "gates.jsonl").read_text().splitlines()]


def suite(**states: str) -> str:
    """A shell command that leaves JUnit XML: tests by state (`fail`, `skip`, anything else passes)."""
    inner = {"fail": "<failure/>", "skip": "<skipped/>"}
    cases = "".join(f'<testcase classname="t" name="{n}">{inner.get(s, "")}</testcase>' for n, s in states.items())
    return f"echo '<testsuite>{cases}</testsuite>' > \"$CHARGEHAND_JUNIT\""


def ids(lab: Execution, result: GateResult) -> dict[str, list[str]]:
    found = json.loads((lab.folder / result.tests).read_text())
    return {kind: found[kind] for kind in ("passed", "failed", "skipped")}


# -- flakes ---------------------------------------------------------------------------------------


def test_a_failure_that_does_not_come_again_is_a_flake(lab):
    """Never silently ignored: the result names it, and both runs stand in the audit."""
    (result,) = lab.judge(lab.job(check(times(lab) + ";" + once(lab, "m", "echo bad; exit 3"), rerun=True)))
    assert (result.status, result.exit_code, result.flaky) == (GateStatus.PASS, 0, ("c",))
    assert "passed when it was run once more" in result.detail
    assert result.log == "gates/t/1/gates/c@2.log"
    assert (lab.folder / "gates/t/1/gates/c.log").read_text() == "bad\n"
    assert count(lab) == 2
    assert [(line["status"], line["exit_code"], line["flaky"]) for line in audit(lab)] == [
        ("fail", 3, []),
        ("pass", 0, ["c"]),
    ]


def test_a_failure_that_comes_again_is_one(lab):
    (result,) = lab.judge(lab.job(check(times(lab) + "; exit 3", rerun=True)))
    assert (result.status, result.flaky, count(lab)) == (GateStatus.FAIL, (), 2)


@pytest.mark.parametrize(("run", "changes"), [("exit 3", {}), ("sleep 60", {"rerun": True, "wall_s": 0.3})])
def test_what_is_not_run_again(lab, run, changes):
    """Without `rerun`, and when it could not judge."""
    lab.judge(lab.job(check(f"{times(lab)}; {run}", **changes)))
    assert count(lab) == 1


def test_flaky_tests_are_named(lab):
    (lab.root / "first").write_text("")
    first = suite(a="fail", b="fail", c="pass")
    run = f'if [ -e "{lab.root}/first" ]; then rm "{lab.root}/first"; {first}; exit 1; fi; '
    (result,) = lab.judge(lab.job(check(run + suite(a="pass", b="pass", c="pass"), junit=True, rerun=True)))
    assert (result.status, result.flaky, result.failed_tests) == (GateStatus.PASS, ("t::a", "t::b"), ())
    (lab.root / "first").write_text("")
    (result,) = lab.judge(lab.job(check(run + suite(b="fail", a="pass") + "; exit 1", junit=True, rerun=True)))
    assert (result.status, result.flaky, result.failed_tests) == (GateStatus.FAIL, ("t::a",), ("t::b",))


def test_the_second_run_has_a_fresh_checkout(lab):
    """What the first run left does not help the second one [I7]."""
    run = "test ! -e made || exit 9; echo x > made; echo x > $HOME/made; exit 1"
    (result,) = lab.judge(lab.job(check(run, rerun=True)))
    assert result.exit_code == 1


def test_a_second_run_that_cannot_judge_confirms_nothing(lab):
    run = once(lab, "m", "exit 1") + " && sleep 60"
    (result,) = lab.judge(lab.job(check(run, rerun=True, wall_s=1.0)))
    assert (result.status, result.fault, result.exit_code) == (GateStatus.FAIL, None, 1)
    assert "could not judge (timeout)" in result.detail


def test_verify_commands_are_run_again_with_what_they_build_on(lab):
    """And the rest of the job goes on behind them, once."""
    checks = (
        check("echo x > made", id="verify-1"),
        check("test -e made && " + once(lab, "m", "exit 1"), id="verify-2", rerun=True),
        check(times(lab) + "; test -e made", id="verify-3"),
        check(times(lab), id="gate"),
    )
    results = lab.judge(lab.job(*checks, stop_early=True))
    assert [(r.gate, r.status.value, r.flaky) for r in results] == [
        ("verify-1", "pass", ()),
        ("verify-2", "pass", ("verify-2",)),
        ("verify-3", "pass", ()),
        ("gate", "pass", ()),
    ]
    assert count(lab) == 2


def test_setup_is_told_once(lab):
    job = lab.job(check(once(lab, "m", "exit 1"), rerun=True), setup=setup("echo x"))
    assert [(r.gate, r.status.value) for r in lab.judge(job)] == [("setup", "pass"), ("c", "pass")]


def test_a_failure_is_kept_when_the_second_checkout_cannot_be_set_up(lab):
    spec = setup(f"if test -e '{lab.root}/s'; then exit 1; fi; echo > '{lab.root}/s'")
    results = lab.judge(lab.job(check("exit 3", rerun=True), setup=spec))
    assert [(r.gate, r.status.value) for r in results] == [("setup", "pass"), ("setup", "fail"), ("c", "fail")]


# -- test ids -------------------------------------------------------------------------------------


def baseline(lab: Execution, **states: str) -> str:
    (result,) = lab.judge(lab.job(check(suite(**states), junit=True), key="base/0/canary"))
    assert result.tests == "gates/base/0/canary/c.tests.json"
    return result.tests


def test_all_ids_are_kept(lab):
    (result,) = lab.judge(lab.job(check(suite(b="pass", a="pass", c="fail", d="skip") + "; exit 1", junit=True)))
    assert ids(lab, result) == {"passed": ["t::a", "t::b"], "failed": ["t::c"], "skipped": ["t::d"]}


@pytest.mark.parametrize(
    ("now", "status", "vanished"),
    [
        ({"a": "pass", "b": "pass"}, GateStatus.PASS, ()),
        ({"a": "pass", "b": "pass", "new": "skip"}, GateStatus.PASS, ()),
        ({"a": "pass"}, GateStatus.FAIL, ("t::b",)),
        ({"a": "pass", "b": "skip"}, GateStatus.FAIL, ("t::b",)),
        ({}, GateStatus.FAIL, ("t::a", "t::b")),
    ],
)
def test_tests_that_ran_before_must_run(lab, now, status, vanished):
    before = baseline(lab, a="pass", b="pass", old="skip", red="fail")
    (result,) = lab.judge(lab.job(check(suite(**now), junit=True, baseline=before)))
    assert (result.status, result.vanished) == (status, vanished)
    assert all(name in result.detail for name in vanished)
    assert audit(lab)[-1]["status"] == status.value
    (allowed,) = lab.judge(lab.job(check(suite(**now), junit=True, baseline=before, may_vanish=True)))
    assert (allowed.status, allowed.vanished) == (GateStatus.PASS, ())


def test_a_runner_that_ends_with_success_and_no_report(lab):
    """`sys.exit(0)` while tests are collected: exit code 0, and not one test ran."""
    before = baseline(lab, a="pass")
    (result,) = lab.judge(lab.job(check("true", junit=True, baseline=before)))
    assert (result.status, result.vanished) == (GateStatus.FAIL, ("t::a",))


def test_a_test_that_fails_now_has_not_vanished(lab):
    before = baseline(lab, a="pass")
    (result,) = lab.judge(lab.job(check(suite(a="fail") + "; exit 1", junit=True, baseline=before)))
    assert (result.failed_tests, result.vanished) == (("t::a",), ())


def test_many_vanished_tests_are_counted(lab):
    before = baseline(lab, **{f"n{number:03}": "pass" for number in range(250)})
    (result,) = lab.judge(lab.job(check(suite(), junit=True, baseline=before)))
    assert len(result.vanished) == 200
    assert "and 240 more" in result.detail


@pytest.mark.parametrize("name", ["gates/none.json", "../../../etc/passwd", "/etc/passwd", "gates", "bad.json"])
def test_a_baseline_that_cannot_be_read_is_said(lab, name):
    (lab.folder / "bad.json").write_text('{"format": "other"}')
    (result,) = lab.judge(lab.job(check(suite(a="pass"), junit=True, baseline=name)))
    assert (result.status, result.vanished) == (GateStatus.PASS, ())
    assert "nothing was compared" in result.detail


def test_pytest_whose_tests_are_deselected(lab):
    lab.repo.write("tests/test_app.py", "def test_a(): pass\ndef test_b(): pass\n")
    lab.repo.commit("tests")
    argv = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml=$CHARGEHAND_JUNIT")
    (before,) = lab.judge(lab.job(check(argv, junit=True), key="base/0/canary"))
    assert before.status is GateStatus.PASS, before
    text = "def pytest_collection_modifyitems(items):\n    items[:] = [i for i in items if i.name != 'test_b']\n"
    lab.repo.write("tests/conftest.py", text)
    lab.repo.commit("bend")
    (result,) = lab.judge(lab.job(check(argv, junit=True, baseline=before.tests)))
    assert (result.status, result.vanished) == (GateStatus.FAIL, ("tests.test_app::test_b",))


# -- the audit, and what a result is made in ------------------------------------------------------


def test_every_run_leaves_a_line(lab):
    base = lab.repo.head()
    lab.repo.write("a.json", "{}")
    head = lab.repo.commit("more")
    checks = (check("true", id="a"), check("exit 1", id="b"), check("no-such-program", id="c"))
    job = lab.job(*checks, setup=setup("true"), base=base, commit=head, syntax=True)
    results = lab.judge(job)
    told = audit(lab)
    assert [line["gate_id"] for line in told] == ["setup", "syntax", "a", "b", "c"]
    assert [line["status"] for line in told] == [result.status.value for result in results]
    assert {(line["run"], line["task"], line["attempt"], line["commit"]) for line in told} == {(lab.name, "t", 1, head)}
    assert told[-1]["stop_reason"] == "env_missing"


def test_without_its_line_a_gate_has_not_passed(lab):
    """SPEC 5: if the audit line cannot be written, the gate has not passed; nor is it kept for later."""
    (lab.folder / "gates.jsonl").mkdir()
    (result,) = lab.judge(lab.job(check("true")))
    assert (result.status, result.fault) == (GateStatus.FAULT, FaultKind.AMBIGUOUS)
    assert result.detail.startswith("Its audit line could not be written")


def test_no_secret_gets_into_audit_or_ids(lab):
    """SPEC 7.3"""
    token = OUTER["API_TOKEN"]
    spec = EnvSpec(passed=("API_TOKEN",))
    run = f"echo {token} > /dev/null; " + suite(**{f"x{token}": "pass"})
    (result,) = lab.judge(lab.job(check(run, junit=True), env=spec))
    assert token not in (lab.folder / "gates.jsonl").read_text()
    assert token not in (lab.folder / result.tests).read_text()
    assert "[redacted]" in audit(lab)[0]["invocation"]


def test_fingerprints_of_output_and_environment(lab):
    job = lab.job(check("echo one"), env=EnvSpec(values=(("MODE", "x"),)))
    (one,) = lab.judge(job)
    (again,) = lab.judge(job)
    assert len(one.output_sha256) == len(one.environment) == 64
    assert (again.output_sha256, again.environment) == (one.output_sha256, one.environment)
    (other,) = lab.judge(lab.job(check("echo two"), env=EnvSpec(values=(("MODE", "y"),))))
    assert other.output_sha256 != one.output_sha256
    assert other.environment != one.environment


def test_the_environment_of_a_fit_is_added(lab):
    """`Check.env` is what a fitter may change; the names of the contract are not its to set."""
    job: GateJob = lab.job(
        check("echo $A $B $CHARGEHAND_TREE", env=(("A", "1"), ("B", "2"), ("CHARGEHAND_TREE", "x"))),
        env=EnvSpec(values=(("B", "0"),)),
    )
    (result,) = lab.judge(job)
    assert (lab.folder / result.log).read_text() == f"1 2 {job.tree}\n"


def test_a_secret_of_a_fit_is_not_written(lab):
    """SPEC 7.3"""
    (result,) = lab.judge(lab.job(check("echo $API_KEY", env=(("API_KEY", "sk-0123456789abcdef0123"),))))
    assert (lab.folder / result.log).read_text() == "[redacted]\n"


def test_a_check_of_the_second_checkout_is_the_same_check(lab):
    wanted: Check = check("echo $CHARGEHAND_TREE; exit 1", rerun=True)
    (result,) = lab.judge(lab.job(wanted))
    logs = [(lab.folder / f"gates/t/1/gates/c{end}.log").read_text() for end in ("", "@2")]
    assert logs[0] == logs[1]
    assert result.status is GateStatus.FAIL
