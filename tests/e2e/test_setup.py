"""Setup runs once per slot and key, and is shared only where a copy cannot run another workspace's code."""

from __future__ import annotations

import asyncio
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.adapters.gates import CommandGates
from chargehand.domain.outcome import ExitKind, GateResult, GateStatus
from chargehand.domain.plan import Command, EnvSpec, SetupSpec
from tests.e2e.execution import Execution, available, check, setup
from tests.repos import Repo

COUNT = 'mkdir -p "$PIP_CACHE_DIR"; echo x >> "$PIP_CACHE_DIR/count"; '


@pytest.fixture
def best(repo: Repo, tmp_path: Path) -> Execution:
    """With the best sandbox that works here."""
    return Execution(repo, tmp_path, available()[0])


def runs(execution: Execution, pool: str = "gates") -> int:
    """How often setup was run in a pool."""
    file = execution.state / "cache" / pool / "pip" / "count"
    return len(file.read_text().split()) if file.exists() else 0


def together(execution: Execution, spec: SetupSpec, number: int, run: str = "cat lib/x") -> list[GateResult]:
    """So many jobs at the same time, each in a slot of its own; the results of their one check."""

    async def play() -> list[tuple[GateResult, ...]]:
        gates = execution.gates()
        jobs = [execution.job(check(f"{run}; sleep 0.5"), setup=spec, key=f"t/{n}/gates") for n in range(number)]
        return await asyncio.gather(*(gates.run(job) for job in jobs))

    return [results[-1] for results in asyncio.run(play())]


def one(execution: Execution, spec: SetupSpec, run: str = "cat lib/x", **changes: Any) -> GateResult:
    """One job in a process of its own, so to say: nothing is remembered but what is on disk."""
    return execution.judge(execution.job(check(run), setup=spec, **changes))[-1]


MAKE = COUNT + "mkdir -p lib/deep; echo made > lib/x; ln -sf ../x lib/deep/link"


def test_once_per_key(best):
    best.repo.write("lock", "1")
    best.repo.commit("lock")
    spec = setup(MAKE, key=("lock", "missing"), keep=("lib",))
    for _ in range(3):
        assert one(best, spec).tail == "made"
    assert runs(best) == 1
    best.repo.write("other", "x")
    best.repo.commit("not in the key")
    assert one(best, spec).status is GateStatus.PASS
    assert runs(best) == 1
    best.repo.write("lock", "2")
    best.repo.commit("key changed")
    assert one(best, spec).status is GateStatus.PASS
    assert runs(best) == 2
    best.repo.write("missing", "now there")
    best.repo.commit("key file came")
    one(best, spec)
    assert runs(best) == 3
    one(best, spec, env=EnvSpec(values=(("A", "1"),)))
    assert runs(best) == 4
    one(best, replace(spec, run=Command(argv=(MAKE + " ",), shell=True)))
    assert runs(best) == 5


def test_a_new_key_starts_from_a_clean_checkout(best):
    best.repo.write("lock", "1")
    best.repo.commit("lock")
    spec = setup(COUNT + "mkdir -p lib; cat lock >> lib/x", key=("lock",), keep=("lib",))
    assert one(best, spec).tail == "1"
    best.repo.write("lock", "2")
    best.repo.commit("lock")
    assert one(best, spec).tail == "2"


def test_nothing_kept_runs_every_time(best):
    spec = setup(COUNT + "mkdir lib; echo made > lib/x")
    for expected in (1, 2):
        assert one(best, spec).tail == "made"
        assert runs(best) == expected


def test_what_a_check_adds_to_a_kept_folder_is_gone_the_next_time(best):
    """A gate cannot change what is judged after it [I7]."""
    spec = setup(MAKE, keep=("lib", "more/*/lib"))
    spoil = "mkdir -p lib/cache more/a/lib; echo bad > lib/cache/y; echo bad > more/a/lib/z; ls lib more/a/lib"
    assert one(best, spec, spoil).tail.split() == ["lib:", "cache", "deep", "x", "more/a/lib:", "z"]
    assert one(best, spec, "ls lib; ls more 2>/dev/null; true").tail.split() == ["deep", "x"]
    assert runs(best) == 1


@pytest.mark.parametrize("harm", ["echo evil > lib/x", "rm lib/deep/link", "rm -r lib", "chmod +x lib/x"])
def test_what_a_check_changes_in_a_kept_folder_makes_setup_run_again(best, harm):
    """A gate cannot change what is judged after it [I7]."""
    spec = setup(MAKE, keep=("lib",))
    one(best, spec, harm)
    again = one(best, spec, "cat lib/x lib/deep/link; test ! -x lib/x")
    assert (again.status, again.tail) == (GateStatus.PASS, "made\nmade")
    assert runs(best) == 2


def test_a_failed_setup_is_not_remembered(best):
    spec = setup(COUNT + "mkdir -p lib; echo half > lib/x; test -e allowed", key=("allowed",), keep=("lib",))
    for expected in (1, 2):
        (result,) = best.judge(best.job(check("true"), setup=spec))
        assert (result.gate, result.status) == ("setup", GateStatus.FAIL)
        assert runs(best) == expected


# -- sharing --------------------------------------------------------------------------------------


def test_what_does_not_know_its_place_is_made_once_and_copied(best):
    results = together(best, setup(MAKE, keep=("lib",)), 4, "cat lib/x lib/deep/link; readlink lib/deep/link")
    assert {result.tail for result in results} == {"made\nmade\n../x"}
    assert runs(best) == 1
    slots = sorted(path.name for path in (best.state / "gates").glob("s*"))
    assert len(slots) == 4
    assert {result.status for result in together(best, setup(MAKE, keep=("lib",)), 4)} == {GateStatus.PASS}
    assert runs(best) == 1


@pytest.mark.parametrize(
    "traitor",
    [
        'echo "home = $PWD/lib" > lib/cfg',
        'ln -s "$PWD/src" lib/src',
        "ln -s ../../outside lib/out",
        'python3 -c "import json, os; print(json.dumps(os.getcwd()))" > lib/cfg',
        'python3 -c "import os, pathlib; print(pathlib.Path.cwd().as_uri())" > lib/cfg',
        'printf "\\0\\1\\2%s\\0" "$PWD" > lib/binary',
    ],
)
def test_what_knows_its_place_is_never_copied(best, traitor):
    """A wrong share would test another workspace's code: each slot runs setup itself [I7]."""
    results = together(best, setup(f"{MAKE}; {traitor}", keep=("lib",)), 3)
    assert {result.status for result in results} == {GateStatus.PASS}
    assert runs(best) == 3


def test_a_virtual_environment_belongs_to_its_workspace(best):
    """The real thing: an editable install of one slot must never be imported in another [I7]."""
    best.repo.write("pkg/__init__.py", "")
    best.repo.commit("package")
    make = (
        COUNT + "python3 -m venv --without-pip .venv && "
        'echo "$PWD" > "$(echo .venv/lib/python3*/site-packages)/here.pth"'
    )
    run = 'test "$(.venv/bin/python -c "import os, pkg; print(os.path.realpath(pkg.__path__[0]))")" = "$(realpath pkg)"'
    results = together(best, setup(make, keep=(".venv",)), 2, f"cd / && cd - >/dev/null; {run} || exit 1")
    assert [result.status for result in results] == [GateStatus.PASS] * 2, results
    assert runs(best) == 2
    assert together(best, setup(make, keep=(".venv",)), 2, f"{run} || exit 1")[0].status is GateStatus.PASS
    assert runs(best) == 2


def test_a_spoilt_source_is_not_copied(best):
    """What another slot holds counts only as setup left it; additions are not copied."""
    spec = setup(MAKE, keep=("lib",))
    one(best, spec, "echo evil > lib/planted")
    assert {result.tail for result in together(best, spec, 2, "ls lib")} == {"deep\nx"}
    assert runs(best) == 1
    spoil = best.state / "gates" / "s1" / best.repo.path.name / "lib" / "x"
    spoil.write_text("evil\n")
    other = best.state / "setup" / "gates" / "s2.json"
    other.unlink()
    assert {result.tail for result in together(best, spec, 2)} == {"made"}
    assert runs(best) > 1


def test_a_source_that_is_being_changed_is_not_copied(best):
    """While one slot's check rewrites what setup made, another slot starts: it gets what setup makes [I7]."""
    spec = setup(MAKE, keep=("lib",))
    one(best, spec)

    async def play() -> Any:
        gates = best.gates()
        spoil = best.job(check("echo evil > lib/x; echo spoilt; sleep 600"), setup=spec, key="t/1/spoil")
        running = asyncio.ensure_future(gates.run(spoil))
        async with asyncio.timeout(20):
            while not any("spoilt" in line for _, line in best.lines):  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.05)
        results = await gates.run(best.job(check("cat lib/x"), setup=spec, key="t/2/look"))
        await gates.cancel(spoil.key)
        with pytest.raises(asyncio.CancelledError):
            await running
        return results[-1].tail

    assert asyncio.run(play()) == "made"
    assert runs(best) == 2


def test_a_copy_that_fails_leaves_nothing_half_done(best):
    spec = setup(COUNT + "mkdir -p a/lib && echo made > a/lib/x", keep=("a/lib",))
    one(best, spec, "cat a/lib/x")
    best.repo.write("a", "a file where the folder was")
    best.repo.commit("in the way")

    async def play() -> Any:
        gates = best.gates()
        jobs = [
            best.job(check("sleep 0.5"), setup=spec, key=f"t/{n}/gates", commit=rev) for n, rev in enumerate(commits)
        ]
        return await asyncio.gather(*(gates.run(job) for job in jobs))

    commits = [best.repo.head("HEAD^"), best.repo.head()]
    good, bad = asyncio.run(play())
    assert good[-1].status is GateStatus.PASS
    assert [(result.gate, result.status) for result in bad] == [("setup", GateStatus.FAIL)]


def test_records_that_cannot_be_read_count_for_nothing(best):
    spec = setup(MAKE, keep=("lib",))
    one(best, spec)
    record = best.state / "setup" / "gates" / "s1.json"
    for content in (
        "",
        "{",
        "[]",
        '{"version": 2}',
        json.dumps({**json.loads(record.read_text()), "table": {"lib": 1}}),
    ):
        record.write_text(content)
        assert one(best, spec).tail == "made"
    assert runs(best) == 6


def test_a_slot_that_went_away_is_set_up_again(best):
    spec = setup(MAKE, keep=("lib",))
    one(best, spec)
    shutil.rmtree(best.state / "gates" / "s1")
    assert one(best, spec).tail == "made"
    assert runs(best) == 2


# -- agents ---------------------------------------------------------------------------------------

AGENT = """
    pathlib.Path("work").write_text(pathlib.Path("lib/x").read_text())
    pathlib.Path("lib/x").write_text("spoilt by an agent")
    pathlib.Path("lib/planted").write_text("x")
    report()
"""


def test_agents_copy_from_gates_and_gates_never_from_agents(best):
    """What an agent could write to is never carried to where its work is judged [I7]."""
    spec = setup(MAKE, keep=("lib",))
    best.attempt(AGENT, best.spec("first", setup=spec))
    assert (runs(best, "agents"), runs(best, "gates")) == (1, 0)
    assert one(best, spec).tail == "made"
    assert (runs(best, "agents"), runs(best, "gates")) == (1, 1)
    result = best.attempt(AGENT, best.spec("second", setup=spec))
    assert (runs(best, "agents"), runs(best, "gates")) == (1, 1)
    assert result.exit.kind is ExitKind.EXITED
    assert result.sealed is not None
    assert [change.path for change in result.sealed.changes] == ["work"]
    assert best.repo.files(result.sealed.commit)["work"] == "made"
    assert one(best, spec, "cat lib/x; ls lib").tail == "made\ndeep\nx"


def test_setup_is_confined_and_logged(best):
    spec = setup(f"echo to the log; ls {best.repo.path} 2>/dev/null; exit 0")
    results = best.judge(best.job(check("true"), setup=spec))
    assert (best.folder / results[0].log).read_text() == "to the log\n"
    result = best.attempt("report()", best.spec(setup=spec))
    assert result.report is not None
    assert (best.folder / "attempts/t/1/setup.log").read_text() == "to the log\n"


def test_cancelled_in_the_middle_of_setup(best):
    spec = setup(COUNT + "mkdir lib; echo half > lib/x; echo started; sleep 600", keep=("lib",))

    async def play() -> None:
        gates: CommandGates = best.gates()
        job = best.job(check("true"), setup=spec)
        running = asyncio.ensure_future(gates.run(job))
        async with asyncio.timeout(20):
            while not any("started" in line for _, line in best.lines):  # noqa: ASYNC110 - a list has no event
                await asyncio.sleep(0.05)
        await gates.cancel(job.key)
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(play())
    assert list(best.gates_setup.glob("*.json")) == []
    assert best.left_behind() == []
