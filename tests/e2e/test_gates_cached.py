"""Results that stand for a run: never a stale one, and never one that was not clean (SPEC 3.7, 6)."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.gate_cache import GateCache
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.domain.plan import EnvSpec
from chargehand.ports import Check, GateJob
from tests.e2e.execution import OUTER, Execution, available, check, setup
from tests.repos import Repo


@dataclass
class Lab:
    """Two runs of one repository in turn; `count` tells how often their check was really run."""

    repo: Repo
    root: Path

    def __post_init__(self) -> None:
        self.tools = self.root / "tools"
        self.tools.mkdir()
        self.outer = {**OUTER, "PATH": f"{self.tools}:{OUTER['PATH']}"}
        self.runs = [Execution(self.repo, self.root, outer=self.outer) for _ in range(2)]
        self.cache = GateCache(self.root / "cache")

    @property
    def count(self) -> int:
        file = self.root / "times"
        return len(file.read_text().splitlines()) if file.exists() else 0

    def checks(self, then: str = "true", **changes: Any) -> Check:
        more = changes.pop("env", ())
        return check(f'echo x >> "$TIMES"; {then}', env=(("TIMES", str(self.root / "times")), *more), **changes)

    def judge(self, which: int, job: GateJob | None = None, **parts: Any) -> tuple[GateResult, ...]:
        run = self.runs[which]
        asked = run.job(self.checks()) if job is None else replace(job, run=run.name)
        return run.judge(asked, **{"cache": self.cache, **parts})

    def audit(self, which: int) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (self.runs[which].folder / "gates.jsonl").read_text().splitlines()]

    @property
    def slots(self) -> int:
        return len(list((self.runs[0].state / "gates").glob("s*")))

    def forget_slots(self) -> None:
        shutil.rmtree(self.runs[0].state / "gates")


@pytest.fixture
def lab(repo: Repo, tmp_path: Path) -> Lab:
    return Lab(repo, tmp_path)


def test_a_clean_pass_stands_for_a_run_of_the_same_thing(lab):
    (first,) = lab.judge(0)
    (second,) = lab.judge(1)
    assert lab.count == 1
    assert (first.cached, second.cached) == ("", lab.runs[0].name)
    assert (second.status, second.exit_code, second.tree) == (GateStatus.PASS, 0, first.tree)
    assert (second.output_sha256, second.environment) == (first.output_sha256, first.environment)
    assert [(line["status"], line["cached"]) for line in lab.audit(1)] == [("pass", lab.runs[0].name)]


def test_a_hit_needs_no_checkout_and_no_setup(lab):
    spec = EnvSpec(values=(("SETUPS", str(lab.root / "setups")),))
    job = lab.runs[0].job(lab.checks(id="a"), lab.checks(id="b"), setup=setup('echo x >> "$SETUPS"'), env=spec)
    assert [result.gate for result in lab.judge(0, job)] == ["setup", "a", "b"]
    assert lab.slots == 1
    lab.forget_slots()
    assert [(result.gate, bool(result.cached)) for result in lab.judge(1, job)] == [("a", True), ("b", True)]
    assert (lab.root / "setups").read_text() == "x\n"
    assert lab.slots == 0


def test_only_what_is_missing_is_run(lab):
    job = lab.runs[0].job(lab.checks(id="a"), lab.checks("exit 1", id="b"), lab.checks(id="c"))
    lab.judge(0, job)
    results = lab.judge(1, job)
    assert [(result.gate, result.status.value, bool(result.cached)) for result in results] == [
        ("a", "pass", True),
        ("b", "fail", False),
        ("c", "pass", True),
    ]
    assert lab.count == 4
    stopped = lab.judge(1, replace(job, stop_early=True))
    assert [result.gate for result in stopped] == ["a", "b"]


def test_test_ids_come_along(lab):
    cases = "<testcase classname='t' name='a'/><testcase classname='t' name='b'><skipped/></testcase>"
    xml = f"<testsuite>{cases}</testsuite>"
    job = lab.runs[0].job(lab.checks(f'echo "{xml}" > "$CHARGEHAND_JUNIT"', junit=True))
    (first,) = lab.judge(0, job)
    (second,) = lab.judge(1, job)
    assert second.cached
    files = [(run.folder / result.tests).read_text() for run, result in zip(lab.runs, (first, second), strict=True)]
    assert files[0] == files[1]
    assert second.failed_tests == ()


def test_a_baseline_is_compared_with_every_time(lab):
    """A pass that would not be green here is no hit."""
    xml = '<testsuite><testcase classname="t" name="a"/></testsuite>'
    job = lab.runs[0].job(lab.checks(f"echo '{xml}' > \"$CHARGEHAND_JUNIT\"", junit=True))
    (first,) = lab.judge(0, job)
    more = {"format": "chargehand-test-ids/1", "failed": [], "passed": ["t::a", "t::b"], "skipped": [], "flaky": []}
    (lab.runs[1].folder / "before.json").write_text(json.dumps(more))
    compared = replace(job, checks=(replace(job.checks[0], baseline="before.json"),))
    (second,) = lab.judge(1, compared)
    assert (first.status, second.status, second.vanished, second.cached) == (
        GateStatus.PASS,
        GateStatus.FAIL,
        ("t::b",),
        "",
    )
    assert lab.count == 2


def test_verify_commands_stand_together(lab):
    """The second needs what the first one makes."""
    run = lab.runs[0]
    first = check("echo x > made", id="verify-1")
    job = run.job(first, lab.checks("test -e made", id="verify-2"))
    lab.judge(0, job)
    assert [bool(result.cached) for result in lab.judge(1, job)] == [True, True]
    other = replace(first, run=check("echo y > made").run)
    assert [bool(result.cached) for result in lab.judge(1, replace(job, checks=(other, job.checks[1])))] == [False] * 2


def test_checks_that_share_a_checkout_stand_together(lab):
    """Where setup keeps nothing they do, and one may need what another left; so it counts which were in front."""
    first, second = lab.checks("echo x > made", id="a"), lab.checks("test -e made", id="b")
    job = lab.runs[0].job(first, second, setup=setup("true"))
    assert [result.status.value for result in lab.judge(0, job)] == ["pass"] * 3
    assert [(result.gate, bool(result.cached)) for result in lab.judge(1, job)] == [("a", True), ("b", True)]
    alone = lab.judge(1, replace(job, checks=(second,)))[-1]
    assert (alone.status, alone.cached) == (GateStatus.FAIL, "")
    third = lab.checks("test -e made", id="c")
    results = lab.judge(1, replace(job, checks=(first, second, third)))
    assert [(result.gate, result.status.value, bool(result.cached)) for result in results] == [
        ("setup", "pass", False),
        ("a", "pass", False),
        ("b", "pass", False),
        ("c", "pass", False),
    ]


def test_what_follows_a_failure_is_not_kept(lab):
    """It may have passed because of it."""
    first = check('echo x > made; test -e "$TIMES.m" || { : > "$TIMES.m"; exit 1; }', id="verify-1")
    first = replace(first, env=(("TIMES", str(lab.root / "times")),))
    job = lab.runs[0].job(first, lab.checks(id="verify-2"))
    assert [result.status.value for result in lab.judge(0, job)] == ["fail", "pass"]
    assert list((lab.root / "cache").rglob("*")) == []
    assert [bool(result.cached) for result in lab.judge(1, job)] == [False, False]
    assert [bool(result.cached) for result in lab.judge(1, job)] == [True, True]


# -- never stale ----------------------------------------------------------------------------------


def _other_tree(lab: Lab, job: GateJob) -> GateJob:
    lab.repo.write("README.md", "Changed.\n")
    head = lab.repo.commit("change")
    return replace(job, commit=head, tree=lab.repo.git("rev-parse", "HEAD^{tree}"))


def _lock_file(lab: Lab, job: GateJob) -> GateJob:
    lab.repo.write("lock.txt", "2\n")
    head = lab.repo.commit("lock")
    return replace(job, commit=head, tree=lab.repo.git("rev-parse", "HEAD^{tree}"))


def _program(lab: Lab, job: GateJob) -> GateJob:
    (lab.tools / "linter").write_text("#!/bin/sh\n# another version\nexit 0\n")
    return job


def _program_in_front(lab: Lab, job: GateJob) -> GateJob:
    first = lab.root / "first"
    first.mkdir()
    (first / "linter").write_text("#!/bin/sh\nexit 0\n")
    (first / "linter").chmod(0o755)
    lab.runs[1].outer = {**lab.outer, "PATH": f"{first}:{lab.outer['PATH']}"}
    return job


def _program_nobody_names(lab: Lab, job: GateJob) -> GateJob:
    """What a script of the repository calls: installed beside, in a folder on PATH."""
    (lab.tools / "new-helper").write_text("#!/bin/sh\n")
    return job


def _passed_value(lab: Lab, job: GateJob) -> GateJob:
    lab.runs[1].outer = {**lab.outer, "API_TOKEN": "tok-another-1234567"}
    return job


def _inherited_value(lab: Lab, job: GateJob) -> GateJob:
    lab.runs[1].outer = {**lab.outer, "LC_ALL": "C"}
    return job


def _config(lab: Lab, job: GateJob) -> GateJob:
    """How git checks files out."""
    lab.repo.git("config", "core.autocrlf", "true")
    lab.runs[1] = Execution(lab.repo, lab.root, outer=lab.outer)
    return job


def _attributes(lab: Lab, job: GateJob) -> GateJob:
    (lab.repo.path / ".git/info/attributes").write_text("*.txt eol=crlf\n")
    return job


def _program_of_setup(lab: Lab, job: GateJob) -> GateJob:
    assert job.setup is not None
    (lab.root / "installer").write_text("#!/bin/sh\n# another version\nexit 0\n")
    return job


CHANGES: dict[str, Callable[[Lab, GateJob], GateJob]] = {
    "tree": _other_tree,
    "lock file": _lock_file,
    "program": _program,
    "program in front": _program_in_front,
    "program nobody names": _program_nobody_names,
    "program of setup": _program_of_setup,
    "configuration of git": _config,
    "attributes of git": _attributes,
    "passed value": _passed_value,
    "inherited value": _inherited_value,
    "set value": lambda _, job: replace(job, env=replace(job.env, values=(("MODE", "other"),))),
    "command": lambda lab, job: replace(job, checks=(replace(job.checks[0], run=lab.checks("linter; :").run),)),
    "fit": lambda lab, job: replace(job, checks=(lab.checks("linter", env=(("A", "1"),)),)),
    "junit": lambda _, job: replace(job, checks=(replace(job.checks[0], junit=True),)),
    "setup": lambda lab, job: replace(job, setup=setup(f"{lab.root}/installer; true", key=("lock.txt",))),
    "no setup": lambda _, job: replace(job, setup=None),
    "no cache": lambda _, job: replace(job, cache=False),
}


@pytest.mark.parametrize("change", [None, *CHANGES])
def test_whatever_changes_is_a_miss(lab, change):
    """Never a stale hit; the same thing without any change is one."""
    (lab.tools / "linter").write_text("#!/bin/sh\nexit 0\n")
    (lab.tools / "linter").chmod(0o755)
    (lab.root / "installer").write_text("#!/bin/sh\nexit 0\n")
    (lab.root / "installer").chmod(0o755)
    lab.repo.write("lock.txt", "1\n")
    lab.repo.commit("lock")
    run = lab.runs[0]
    spec = EnvSpec(passed=("API_TOKEN",), values=(("MODE", "x"),))
    job = run.job(lab.checks("linter"), env=spec, setup=setup(f"{lab.root}/installer", key=("lock.txt",)))
    assert lab.judge(0, job)[-1].status is GateStatus.PASS
    changed = job if change is None else CHANGES[change](lab, job)
    result = lab.judge(1, changed)[-1]
    assert bool(result.cached) is (change is None), result
    assert lab.count == (1 if change is None else 2)


def test_a_path_of_a_fit_is_looked_at_like_any_other(lab):
    """What a fitter puts in front is part of what the check runs in."""
    front = lab.root / "front"
    front.mkdir()
    path = (("PATH", f"{front}:{lab.outer['PATH']}"),)
    job = lab.runs[0].job(lab.checks(env=path))
    lab.judge(0, job)
    assert lab.judge(1, job)[0].cached
    (front / "helper").write_text("")
    assert not lab.judge(1, job)[0].cached


@pytest.mark.parametrize("field", ["wall_s", "idle_s"])
def test_budgets_are_no_part_of_it(lab, field):
    lab.judge(0, lab.runs[0].job(lab.checks()))
    (result,) = lab.judge(1, lab.runs[0].job(replace(lab.checks(), **{field: 33.0})))
    assert result.cached


def test_another_sandbox_is_another_thing(lab):
    if "bwrap" not in available():
        pytest.skip("bubblewrap does not work here")
    job = lab.runs[0].job(check("true"))
    lab.judge(0, job)
    confined = Execution(lab.repo, lab.root, "bwrap", outer=lab.outer)
    (result,) = confined.judge(job, cache=lab.cache)
    assert not result.cached
    (offline,) = confined.judge(job, cache=lab.cache, confined=confined.confined(network="none"))
    assert not offline.cached
    (again,) = confined.judge(job, cache=lab.cache, confined=confined.confined(network="none"))
    assert again.cached


def test_a_package_that_is_upgraded_behind_an_interpreter(lab):
    """The program stays as it is; what it would import does not."""
    venv = lab.root / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(venv)], check=True)
    job = lab.runs[0].job(check((str(venv / "bin/python"), "-c", "pass")))
    lab.judge(0, job)
    assert lab.judge(1, job)[0].cached
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "tool-2.0.dist-info").mkdir()
    assert not lab.judge(1, job)[0].cached


def test_the_base_matters_to_who_asks_for_it(lab):
    """In the command, in the plan's environment or in a file of the tree; nobody else is held up by it."""
    base = lab.repo.head()
    lab.repo.write("more.txt", "x\n")
    between = lab.repo.commit("more")
    lab.repo.write("last.txt", "x\n")
    lab.repo.commit("last")

    def hit(job: GateJob) -> bool:
        lab.judge(0, replace(job, base=base))
        assert lab.judge(1, replace(job, base=base))[-1].cached
        return bool(lab.judge(1, replace(job, base=between))[-1].cached)

    make = lab.runs[0].job
    assert hit(make(check("true")))
    assert not hit(make(check("test -n $CHARGEHAND_BASE")))
    assert not hit(make(check("true", id="d"), env=EnvSpec(values=(("WHAT", "$CHARGEHAND_BASE"),))))
    lab.repo.write("ci.sh", "git diff $CHARGEHAND_BASE\n")
    lab.repo.commit("script")
    assert not hit(make(check("sh ci.sh || :")))


def test_history_matters_to_who_looks_at_it(lab):
    job = lab.runs[0].job(check("git log -1"))
    lab.judge(0, job)
    assert lab.judge(1, job)[0].cached
    lab.repo.git("commit", "-q", "--allow-empty", "-m", "same tree")
    assert not lab.judge(1, replace(job, commit=lab.repo.head()))[0].cached


# -- never poisoned -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("then", "changes"),
    [
        ("exit 1", {}),
        ("sleep 60", {"wall_s": 0.3}),
        ("no-such-program-at-all", {}),
        ('test -e "$TIMES.m" || { : > "$TIMES.m"; exit 1; }', {"rerun": True}),
        ("true", {"junit": True}),
        (
            'echo "<testsuite><testcase name=\'a\'><failure/></testcase></testsuite>" > "$CHARGEHAND_JUNIT"',
            {"junit": True},
        ),
    ],
    ids=["red", "timeout", "missing", "flaky", "no ids", "odd"],
)
def test_only_clean_passes_are_kept(lab, then, changes):
    """A failure, a fault, a flake, a gate that did not tell its tests, one that contradicts itself."""
    job = lab.runs[0].job(lab.checks(then, **changes))
    lab.judge(0, job)
    before = lab.count
    assert not lab.judge(1, job)[-1].cached
    assert lab.count > before


def test_a_result_without_its_audit_line_is_not_kept(lab):
    (lab.runs[0].folder / "gates.jsonl").mkdir()
    assert lab.judge(0)[0].status is GateStatus.FAULT
    assert not lab.judge(1)[0].cached


def test_a_hit_without_its_audit_line_is_none(lab):
    lab.judge(0)
    (lab.runs[1].folder / "gates.jsonl").mkdir()
    (result,) = lab.judge(1)
    assert result.status is GateStatus.FAULT
    assert lab.count == 1


def test_what_changed_while_it_ran_is_not_kept(lab):
    """Nobody knows which of the two it ran in."""
    job = lab.runs[0].job(lab.checks('echo new > "$TOOLS/upgraded"', env=(("TOOLS", str(lab.tools)),)))
    lab.judge(0, job)
    (lab.tools / "upgraded").unlink()
    assert not lab.judge(1, job)[0].cached


def test_a_writer_that_was_killed_leaves_nothing_that_counts(lab):
    """SIGKILL in the middle of writing: half an entry is none."""
    lab.judge(0)
    (entry,) = (path for path in (lab.root / "cache").rglob("*") if path.is_file())
    whole = entry.read_bytes()
    for cut in (0, 1, 64, 65, len(whole) // 2, len(whole) - 1):
        entry.write_bytes(whole[:cut])
        (result,) = lab.judge(1, None, cache=GateCache(lab.root / "cache"))
        assert (result.status, result.cached) == (GateStatus.PASS, "")
        (again,) = lab.judge(1, None, cache=GateCache(lab.root / "cache"))
        assert again.cached  # it was mended by the run between


def test_jobs_beside_each_other(lab):
    """Whoever comes first pays; nobody gets anything but a pass of the same thing."""

    async def play() -> list[tuple[GateResult, ...]]:
        gates = [run.gates(cache=GateCache(lab.root / "cache")) for run in lab.runs]
        jobs = [
            (g, run.job(lab.checks(), key=f"t/{n}/gates"))
            for n in range(3)
            for g, run in zip(gates, lab.runs, strict=True)
        ]
        ran: list[tuple[GateResult, ...]] = await asyncio.gather(*(gate.run(job) for gate, job in jobs))
        return ran

    results = [result for (result,) in asyncio.run(play())]
    assert {result.status for result in results} == {GateStatus.PASS}
    assert lab.count + sum(bool(result.cached) for result in results) == 6
    assert lab.judge(1)[0].cached


def test_no_secret_is_in_the_cache(lab):
    """SPEC 7.3: neither what was printed, nor a value of the environment, nor a plain hash of one."""
    token = OUTER["API_TOKEN"]
    job = lab.runs[0].job(check(f"echo {token}"), env=EnvSpec(passed=("API_TOKEN",)))
    (result,) = lab.judge(0, job)
    for file in (lab.root / "cache").rglob("*"):
        assert not file.is_file() or token.encode() not in file.read_bytes()
    lab.runs[1].outer = {**lab.outer, "API_TOKEN": "tok-another-1234567"}
    (other,) = lab.judge(1, job)
    assert not other.cached
    assert other.environment == result.environment  # what is told to others cannot be used to guess a value


def test_what_is_parsed_needs_no_checkout_beside_hits(lab):
    base = lab.repo.head()
    lab.repo.write("good.json", "{}")
    job = lab.runs[0].job(lab.checks(), commit=lab.repo.commit("good"), base=base, syntax=True)
    assert [result.gate for result in lab.judge(0, job)] == ["syntax", "c"]
    lab.forget_slots()
    assert [(result.gate, result.status.value) for result in lab.judge(1, job)] == [("syntax", "pass"), ("c", "pass")]
    assert lab.slots == 0


def test_a_cache_that_is_lost_is_no_loss(lab):
    lab.judge(0)
    shutil.rmtree(lab.root / "cache")
    assert lab.judge(1)[0].status is GateStatus.PASS
    assert lab.judge(1)[0].cached


def test_twenty_hits_are_quick(lab, capsys):
    """The point of it: a second identical job costs next to nothing."""

    checks = [check("sleep 0.05", id=f"g{number}") for number in range(20)]
    job = lab.runs[0].job(*checks, key="t/1/first")
    took = []
    for which in (0, 1):
        started = time.perf_counter()
        lab.judge(which, job)
        took.append(time.perf_counter() - started)
    with capsys.disabled():
        print(f"\n20 gates of 50 ms: {took[0]:.2f} s, from the cache {1000 * took[1]:.0f} ms")
    assert took[1] < took[0] / 5
