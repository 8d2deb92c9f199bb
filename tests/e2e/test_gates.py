"""Gates with real checkouts, real programs and every sandbox that works here."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.confined import mark_of
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import FaultKind, GateResult, GateStatus
from chargehand.domain.plan import EnvSpec
from tests.e2e.execution import OUTER, Execution, available, check, setup
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


def one(execution: Execution, run: str | tuple[str, ...], **changes: Any) -> GateResult:
    (result,) = execution.judge(execution.job(check(run, **changes)))
    return result


def test_green_red_and_their_logs(each):
    green = one(each, "echo fine; pwd")
    assert (green.status, green.exit_code, green.fault) == (GateStatus.PASS, 0, None)
    assert green.tail == "fine\n."
    assert green.log == "gates/t/1/gates/c.log"
    assert (each.folder / green.log).read_text().startswith("fine\n")
    red = one(each, ("sh", "-c", "echo wrong >&2; exit 3"))
    assert (red.status, red.exit_code, red.tail, red.detail) == (
        GateStatus.FAIL,
        3,
        "wrong",
        "It ended with exit code 3.",
    )
    assert red.command == "sh -c echo wrong >&2; exit 3"
    assert each.left_behind() == []


@pytest.mark.parametrize(
    ("run", "changes", "fault"),
    [
        ("sleep 600", {"wall_s": 0.5}, FaultKind.TIMEOUT),
        ("echo x; sleep 600", {"idle_s": 0.5}, FaultKind.STALL),
        ("trap '' INT TERM; sleep 600 & wait; sleep 600", {"wall_s": 0.5}, FaultKind.TIMEOUT),
    ],
)
def test_every_gate_ends(best, monkeypatch, run, changes, fault):
    """A gate that does not judge in time is a fault, not a verdict [I10]."""
    monkeypatch.setattr("chargehand.adapters.process.running.INT_PATIENCE_S", 0.3)
    monkeypatch.setattr("chargehand.adapters.process.running.TERM_PATIENCE_S", 0.3)
    result = one(best, run, **changes)
    assert (result.status, result.fault) == (GateStatus.FAULT, fault)
    assert result.wall_s < 10


@pytest.mark.parametrize(
    ("run", "named"),
    [
        (("no-such-linter", "."), "no-such-linter"),
        (("./scripts/missing.sh",), "./scripts/missing.sh"),
        ("no-such-linter --all", "no-such-linter"),
        ("A=1 no-such-linter --all", "no-such-linter"),
        (("./README.md",), "./README.md"),
        ("./README.md", "./README.md"),
        (("python3", "-m", "nox"), "nox"),
    ],
)
def test_a_missing_program_is_a_fault_that_names_it(each, run, named):
    result = one(each, run)
    assert (result.status, result.fault) == (GateStatus.FAULT, FaultKind.ENV_MISSING), result
    assert named in result.detail


@pytest.mark.parametrize(
    "run",
    [
        "true; no-such-linter",  # not its first word: something the check itself calls
        "exit 127",
        ("python3", "-m", "the_project_itself"),
        ("sh", "-c", "exit 127"),
    ],
)
def test_a_failure_is_not_taken_for_a_fault(best, run):
    assert one(best, run).status is GateStatus.FAIL


@pytest.mark.skipif("bwrap" not in SANDBOXES, reason="bubblewrap does not work here")
def test_a_sandbox_that_fails_is_no_verdict(best):
    """Nothing was run, so nothing was judged: tried again, then a fault."""
    count = best.root / "count"
    count.mkdir()
    gone = replace(best.sandbox, program=str(_breaking_bwrap(best.root, 2)))
    assert best.judge(best.job(check("true")), confined=best.confined(sandbox=gone))[0].status is GateStatus.PASS
    broken = replace(best.sandbox, program=str(_breaking_bwrap(best.root, 9)))
    (result,) = best.judge(best.job(check("true")), confined=best.confined(sandbox=broken))
    assert (result.status, result.fault) == (GateStatus.FAULT, FaultKind.ENV_MISSING)
    assert result.detail == "The sandbox could not be made: Can't mkdir parents for /x: Read-only file system."


def _breaking_bwrap(root: Path, times: int) -> Path:
    """A bubblewrap that fails as often as it is told, as the real one does when a path to be covered is gone."""
    script = root / f"bwrap-{times}"
    script.write_text(
        f"""#!/bin/sh
echo x >> "{root}/count/{times}"
if [ "$(wc -l < "{root}/count/{times}")" -le {times} ]; then
  echo "bwrap: Can't mkdir parents for /x: Read-only file system" >&2; exit 1
fi
exec bwrap "$@"
"""
    )
    script.chmod(0o755)
    return script


def test_names_are_substituted_in_lists_and_stand_in_the_environment(best):
    head = best.repo.head()
    tree = best.repo.git("rev-parse", "HEAD^{tree}")
    words = (
        *("$CHARGEHAND_TREE", "x${CHARGEHAND_BASE}y", "$CHARGEHAND_PORT_BASE", "$CHARGEHAND_BASES", "$HOME"),
        *("$CHARGEHAND_RUN", "$$CHARGEHAND_TREE", "${CHARGEHAND_TREE"),
    )
    result = one(best, ("printf", "%s\\n", *words))
    log = (best.folder / result.log).read_text().splitlines()
    assert log[:2] == [tree, f"x{head}y"]
    assert log[2].isdecimal()
    assert log[3:] == ["$CHARGEHAND_BASES", "$HOME", "$CHARGEHAND_RUN", f"${tree}", "${CHARGEHAND_TREE"]
    by_shell = one(best, 'test -d "$CHARGEHAND_SCRATCH" && test ! -e "$CHARGEHAND_JUNIT" && echo "$CHARGEHAND_BASE"')
    assert (best.folder / by_shell.log).read_text().strip() == head


def test_the_environment_of_a_gate(best):
    job = best.job(check("env"), env=EnvSpec(passed=("API_TOKEN",), values=(("MODE", "x"),)))
    (result,) = best.judge(job)
    names = {line.partition("=")[0] for line in (best.folder / result.log).read_text().splitlines()}
    assert {"PATH", "HOME", "TMPDIR", "MODE", "API_TOKEN", "CHARGEHAND_TREE"} <= names
    assert not names & {"SECRET_OF_THE_USER", "CHARGEHAND_TASK", "CHARGEHAND_RESULT"}
    assert OUTER["API_TOKEN"] not in (best.folder / result.log).read_text()
    assert "[redacted]" in (best.folder / result.log).read_text()


def test_all_checks_run_unless_the_first_red_ends_the_job(best):
    checks = [check("exit 1", id="a"), check("true", id="b")]
    assert [result.gate for result in best.judge(best.job(*checks))] == ["a", "b"]
    assert [result.gate for result in best.judge(best.job(*checks, stop_early=True))] == ["a"]


def test_a_gate_cannot_change_what_is_judged_next(each):
    """Within a job it sees its own traces only as files of a checkout that is thrown away; the next is clean [I7]."""
    spoil = check(
        "echo 'def run(): return 99' > src/app.py; echo x > planted; rm README.md;"
        " mkdir -p .git/hooks; echo 'exit 1' > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout;"
        " git config core.fsmonitor /bin/false; echo '*.py filter=x' > .git/info/attributes",
        id="spoil",
    )
    look = check("cat src/app.py; ls; git status --porcelain", id="look")
    job = each.job(spoil, commit=each.repo.head())
    assert each.judge(job)[0].status is GateStatus.PASS
    (seen,) = each.judge(each.job(look))
    assert seen.status is GateStatus.PASS
    assert seen.tail.split("\n") == ["def run():", "    return 1", "README.md", "src"]
    assert each.repo.git("status", "--porcelain") == ""


def test_checkouts_of_gates_are_not_those_of_agents(best):
    result = one(best, ("sh", "-c", "pwd"))
    assert str(best.state / "gates") in (best.folder / result.log).read_text()
    assert result.tail == "."


JUNIT = """cat > "$CHARGEHAND_JUNIT" <<'X'
<testsuite><testcase classname="t.a" name="bad"><failure/></testcase><testcase classname="t.a" name="good"/></testsuite>
X
"""


@pytest.mark.parametrize(
    ("run", "status", "failed", "told"),
    [
        (JUNIT + "exit 1", GateStatus.FAIL, ("t.a::bad",), "exit code 1"),
        (JUNIT, GateStatus.FAIL, ("t.a::bad",), "although its JUnit XML names 1"),
        ("exit 1", GateStatus.FAIL, None, "exit code 1"),
        ("echo '<broken' > $CHARGEHAND_JUNIT; exit 1", GateStatus.FAIL, None, "exit code 1"),
        (JUNIT.replace("<failure/>", "") + "exit 1", GateStatus.FAIL, None, "exit code 1"),
        ("ln -s /etc/passwd $CHARGEHAND_JUNIT; exit 1", GateStatus.FAIL, None, "exit code 1"),
        ("mkfifo $CHARGEHAND_JUNIT; exit 1", GateStatus.FAIL, None, "exit code 1"),
    ],
)
def test_junit(best, run, status, failed, told):
    """Red without a failed test in the file is red for another reason: never an old failure."""
    result = one(best, run, junit=True)
    assert (result.status, result.failed_tests) == (status, failed)
    assert told in result.detail


def test_pytest_names_the_tests_that_fail(best):
    best.repo.write("tests/test_app.py", "def test_a(): pass\ndef test_b(): assert 0\n")
    best.repo.commit("tests")
    run = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junit-xml=$CHARGEHAND_JUNIT")
    result = one(best, run, junit=True)
    assert (result.status, result.failed_tests) == (GateStatus.FAIL, ("tests.test_app::test_b",)), result
    assert "<duration>" in result.tail


def test_the_same_failure_has_the_same_tail_in_another_checkout(best):
    run = "echo at $PWD pid $$ in 0.$(date +%N)s; date -Iseconds; mktemp -d > /dev/null; echo $TMPDIR/x; exit 1"

    async def play() -> Any:
        gates = best.gates()
        jobs = [best.job(check(run), key=f"t/{n}/gates") for n in range(3)]
        return await asyncio.gather(*(gates.run(job) for job in jobs))

    tails = {results[0].tail for results in asyncio.run(play())}
    assert tails == {"at . pid <pid> in <duration>\n<time>\n./x"}


# -- setup and syntax in front --------------------------------------------------------------------


def test_setup_comes_first_and_its_failure_ends_the_job(best):
    good = best.judge(best.job(check("cat made"), setup=setup("echo made > made; echo $CHARGEHAND_TREE")))
    assert [(result.gate, result.status) for result in good] == [("setup", GateStatus.PASS), ("c", GateStatus.PASS)]
    bad = best.judge(best.job(check("true"), setup=setup("echo broken; exit 2")))
    assert [(result.gate, result.status, result.tail) for result in bad] == [("setup", GateStatus.FAIL, "broken")]
    slow = best.judge(best.job(check("true"), setup=setup("sleep 600")), setup_wall_s=0.5)
    assert [(result.gate, result.fault) for result in slow] == [("setup", FaultKind.TIMEOUT)]
    missing = best.judge(best.job(check("true"), setup=setup("no-such-installer")))
    assert [(result.gate, result.fault) for result in missing] == [("setup", FaultKind.ENV_MISSING)]


def test_changed_files_are_parsed_before_the_checks(best):
    base = best.repo.head()
    best.repo.write("src/old.py", "x = = 1\n")  # not changed since the base of the second job
    between = best.repo.commit("bad before")
    best.repo.write("src/new ü.py", "y = 1\n")
    best.repo.write("conf.json", "{}")
    (best.repo.path / "README.md").unlink()
    head = best.repo.commit("good")
    results = best.judge(best.job(check("true"), commit=head, base=between, syntax=True))
    assert [(result.gate, result.status) for result in results] == [
        ("syntax", GateStatus.PASS),
        ("c", GateStatus.PASS),
    ]
    results = best.judge(best.job(check("true"), commit=head, base=base, syntax=True, stop_early=True))
    assert [(result.gate, result.status, result.detail) for result in results] == [
        ("syntax", GateStatus.FAIL, "src/old.py:1: invalid syntax")
    ]
    assert best.judge(best.job(commit=head, base=head, syntax=True)) == ()
    best.repo.write("a.rs", "fn")
    (skipped,) = best.judge(best.job(commit=best.repo.commit("rust"), base=head, syntax=True))
    assert (skipped.status, skipped.detail) == (GateStatus.SKIPPED, "skipped a.rs: no checker for it")


# -- ends -----------------------------------------------------------------------------------------


def test_cancelling_kills_the_tree_and_gives_the_checkout_back(each):
    """No process outlives its job [I11]."""
    pid_file = each.root / "pids"

    async def play() -> None:
        gates = each.gates()
        job = each.job(check("setsid sleep 4242 & echo started; sleep 4242"))
        running = asyncio.ensure_future(gates.run(job))
        async with asyncio.timeout(20):
            while not any("started" in line for _, line in each.lines):  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.05)
        pid_file.write_text("\n".join(_marked(f"{mark_of(each.folder)}/t/1/gates")))
        await gates.cancel(job.key)
        with pytest.raises(asyncio.CancelledError):
            await running
        assert (await gates.run(replace(job, checks=(check("true"),))))[0].status is GateStatus.PASS

    asyncio.run(play())
    assert pid_file.read_text()
    assert _marked(f"{mark_of(each.folder)}/t/1/gates") == []
    assert each.left_behind() == []
    assert [path.name for path in (each.state / "gates").glob("s*")] == ["s1"]


def _marked(marker: str) -> list[str]:
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"CHARGEHAND_MARKER={marker}".encode() in (folder / "environ").read_bytes().split(b"\0"):
                found.append(folder.name)
        except OSError:
            continue
    return found


def test_one_job_has_one_key(best):
    async def play() -> None:
        gates = best.gates()
        job = best.job(check("sleep 5"))
        running = asyncio.ensure_future(gates.run(job))
        await asyncio.sleep(0)
        with pytest.raises(AdapterError, match="running already"):
            await gates.run(job)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(play())
    assert best.left_behind() == []


def test_a_world_that_fails_is_an_error_of_the_port(best):
    with pytest.raises(AdapterError):
        best.judge(replace(best.job(check("true")), commit="0" * 39 + "1"))
    assert best.left_behind() == []


def test_gates_are_quick(best, capsys):
    """What a gate costs beside its command: on the hot path of every task."""

    async def play() -> list[float]:
        gates = best.gates()
        times = []
        for number in range(8):
            started = time.perf_counter()
            await gates.run(best.job(check("true"), key=f"t/{number}/gates"))
            times.append(time.perf_counter() - started)
        return times

    times = sorted(asyncio.run(play()))
    with capsys.disabled():
        print(f"\na job with one trivial check: median {1000 * times[len(times) // 2]:.1f} ms")
    assert times[0] < 1.0


def test_a_gate_cannot_help_the_next_one(best):
    """I7: what a check writes, in its checkout, its HOME or a cache, is not there when the next gate looks."""
    plant = 'echo x > planted; echo x > "$HOME/planted"; mkdir -p "$PIP_CACHE_DIR"; echo x > "$PIP_CACHE_DIR/planted"'
    look = 'for f in planted "$HOME/planted" "$PIP_CACHE_DIR/planted"; do test ! -e "$f" || exit 1; done'
    results = best.judge(best.job(check(plant, id="one"), check(look, id="two")))
    assert [result.status for result in results] == [GateStatus.PASS, GateStatus.PASS]


def test_verify_commands_build_on_each_other(best):
    results = best.judge(best.job(check("echo x > made", id="verify-1"), check("test -f made", id="verify-2")))
    assert [result.status for result in results] == [GateStatus.PASS, GateStatus.PASS]


def test_a_job_that_only_parses_needs_no_checkout(best):
    base = best.repo.head()
    best.repo.write("good.py", "x = 1\n")
    best.repo.write("notes.bin", b"\x00\xff")
    good = best.repo.commit("good")
    (result,) = best.judge(replace(best.job(), commit=good, base=base, syntax=True))
    assert (result.gate, result.status) == ("syntax", GateStatus.PASS)
    assert not list((best.state / "gates").glob("s*"))
    best.repo.write("bad.py", "x = (\n")
    bad = best.repo.commit("bad")
    (result,) = best.judge(replace(best.job(), commit=bad, base=base, syntax=True))
    assert result.status is GateStatus.FAIL
    assert "bad.py:1" in result.detail


def test_a_file_that_is_no_text_is_parsed_in_a_checkout(best):
    """What cannot be read as text is judged as it is, not as it was mended."""
    base = best.repo.head()
    best.repo.write("odd.py", b"x = '\xff'\n")
    odd = best.repo.commit("odd")
    (result,) = best.judge(replace(best.job(), commit=odd, base=base, syntax=True))
    assert result.status is GateStatus.FAIL
