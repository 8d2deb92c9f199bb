"""The suite of gates: what comes of a check, of what is run aside, and of commands that mend."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chargehand.domain.outcome import FaultKind, GateStatus
from chargehand.domain.plan import Command
from chargehand.ports import Check, FixJob, GateJob, Gates
from chargehand.testing.contracts.playing import Open, play

__all__ = ["CHECKS", "GatesContract"]


CHECKS = {
    "pass": Check(id="pass", run=Command(argv=("true",)), wall_s=20.0),
    "fail": Check(id="fail", run=Command(argv=("false",)), wall_s=20.0),
    "shell": Check(id="shell", run=Command(argv=("exit 7",), shell=True), wall_s=20.0),  # noqa: S604
    "timeout": Check(id="timeout", run=Command(argv=("sleep", "3600")), wall_s=0.3),
    "missing": Check(id="missing", run=Command(argv=("no-such-program-anywhere",)), wall_s=20.0),
    "hang": Check(id="hang", run=Command(argv=("sleep", "3600")), wall_s=3600.0),
    "flake": Check(
        id="flake",
        run=Command(argv=('test -e "$MARK" || { : > "$MARK"; exit 1; }',), shell=True),  # noqa: S604
        wall_s=20.0,
        rerun=True,
    ),
    "mend": Check(id="mend", run=Command(argv=("echo mended > new.txt",), shell=True), wall_s=20.0),  # noqa: S604
    "stray": Check(id="stray", run=Command(argv=("echo x > stray.txt",), shell=True), wall_s=20.0),  # noqa: S604
}
"""Checks by what comes of them: pass, fail (exit 1), fail (exit 7), two kinds of fault, one without an end, and one
that fails only the first time (`MARK` in its environment names a file that is not there); then two commands of a fix:
one changes the file `new.txt`, the other only a file that is not of the change."""


class GatesContract:
    """Fixtures: `open_gates` (see `Open`), and `commit`: (commit, tree, base) to run on, whose change is `new.txt`."""

    @pytest.fixture
    def open_gates(self) -> Open[Gates]:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def commit(self) -> tuple[str, str, str]:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def make_job(self, commit: tuple[str, str, str]) -> Callable[..., GateJob]:
        """A job with some of `CHECKS`, by name."""

        def make(*names: str, **more: Any) -> GateJob:
            sha, tree, base = commit
            checks = tuple(CHECKS[name] for name in names)
            key = f"a/1/{'-'.join(names)}"
            return GateJob(
                key=key, run="r", task="a", attempt=1, commit=sha, tree=tree, base=base, checks=checks, **more
            )

        return make

    @pytest.mark.parametrize(
        ("name", "status", "fault", "code"),
        [
            ("pass", GateStatus.PASS, None, 0),
            ("fail", GateStatus.FAIL, None, 1),
            ("shell", GateStatus.FAIL, None, 7),
            ("timeout", GateStatus.FAULT, FaultKind.TIMEOUT, None),
            ("missing", GateStatus.FAULT, FaultKind.ENV_MISSING, None),
        ],
    )
    def test_what_comes_of_a_check(
        self,
        open_gates: Open[Gates],
        make_job: Callable[..., GateJob],
        name: str,
        status: GateStatus,
        fault: FaultKind | None,
        code: int | None,
    ) -> None:
        """Exit 0 passes, another fails, and a check that could not judge is a fault; the tree stands beside [I7]."""

        async def script(gates: Gates) -> None:
            job = make_job(name)
            (result,) = await gates.run(job)
            assert (result.gate, result.tree, result.status, result.fault) == (name, job.tree, status, fault)
            assert code is None or result.exit_code == code

        play(open_gates, script)

    def test_all_in_order(self, open_gates: Open[Gates], make_job: Callable[..., GateJob]) -> None:
        """Every check is run, also after a red one, unless the job says otherwise."""

        async def script(gates: Gates) -> None:
            names = ("pass", "fail", "missing", "shell")
            assert [result.gate for result in await gates.run(make_job(*names))] == list(names)
            assert [result.gate for result in await gates.run(make_job(*names, stop_early=True))] == ["pass", "fail"]

        play(open_gates, script)

    def test_nothing_to_check(self, open_gates: Open[Gates], make_job: Callable[..., GateJob]) -> None:
        """A job without checks has no results."""

        async def script(gates: Gates) -> None:
            assert await gates.run(make_job()) == ()

        play(open_gates, script)

    def test_cancelling(self, open_gates: Open[Gates], make_job: Callable[..., GateJob]) -> None:
        """The job ends with CancelledError; other keys are harmless."""

        async def script(gates: Gates) -> None:
            job = make_job("pass", "hang")
            await gates.cancel("nobody/1/x")
            running = asyncio.ensure_future(gates.run(job))
            await asyncio.sleep(0.05)
            assert not running.done()
            await gates.cancel(job.key)
            with pytest.raises(asyncio.CancelledError):
                await running
            await gates.cancel(job.key)

        play(open_gates, script)

    def test_a_flake_is_green_and_named(
        self, open_gates: Open[Gates], make_job: Callable[..., GateJob], tmp_path: Path
    ) -> None:
        """A failure that does not come again is never silently ignored (SPEC 5)."""

        async def script(gates: Gates) -> None:
            job = make_job("flake")
            check = replace(job.checks[0], env=(("MARK", str(tmp_path / "mark")),))
            (result,) = await gates.run(replace(job, checks=(check,)))
            assert (result.status, result.flaky) == (GateStatus.PASS, ("flake",))

        play(open_gates, script)

    def test_a_failure_that_stays_is_no_flake(self, open_gates: Open[Gates], make_job: Callable[..., GateJob]) -> None:
        """Run once more, and red."""

        async def script(gates: Gates) -> None:
            job = make_job("fail")
            (result,) = await gates.run(replace(job, checks=(replace(job.checks[0], rerun=True),)))
            assert (result.status, result.flaky) == (GateStatus.FAIL, ())

        play(open_gates, script)

    def test_what_is_run_aside_comes_last(self, open_gates: Open[Gates], make_job: Callable[..., GateJob]) -> None:
        """`red-first` and `overlay` are results about the tree of the job; a red check that ends it ends them, too."""

        async def script(gates: Gates) -> None:
            job = make_job("pass", red_first=True, overlay=True)
            results = await gates.run(job)
            assert [result.gate for result in results] == ["pass", "red-first", "overlay"]
            assert {result.tree for result in results} == {job.tree}
            assert [result.gate for result in await gates.run(make_job("pass", overlay=True))] == ["pass", "overlay"]
            stopped = await gates.run(make_job("fail", red_first=True, overlay=True, stop_early=True))
            assert [result.gate for result in stopped] == ["fail"]

        play(open_gates, script)

    def test_only_a_pass_stands_for_a_later_run(
        self, open_gates: Open[Gates], make_job: Callable[..., GateJob]
    ) -> None:
        """And only where the job allows it; it names who paid for it."""

        async def script(gates: Gates) -> None:
            names = ("pass", "fail", "missing")
            first = await gates.run(make_job(*names))
            second = await gates.run(make_job(*names))
            assert [result.status for result in second] == [result.status for result in first]
            assert [result.cached for result in first] == [""] * 3
            assert [result.cached for result in second] in (["r", "", ""], [""] * 3)
            for result in await gates.run(make_job(*names, cache=False)):
                assert result.cached == ""

        play(open_gates, script)

    def _fix(self, job: GateJob, *commands: str, paths: tuple[str, ...] = ("new.txt",)) -> FixJob:
        return FixJob(
            key=f"a/1/fix-{'-'.join(commands)}",
            run=job.run,
            task=job.task,
            attempt=job.attempt,
            commit=job.commit,
            base=job.base,
            commands=tuple(CHECKS[name] for name in commands),
            paths=paths,
            ref="refs/chargehand/attempts/r/a/2",
            message="Mended\n",
        )

    def test_what_a_command_mends(self, open_gates: Open[Gates], make_job: Callable[..., GateJob]) -> None:
        """A commit on top, with nothing but the files of the change in it."""

        async def script(gates: Gates) -> None:
            job = make_job("pass")
            await gates.run(job)
            sealed = await gates.fix(self._fix(job, "mend", "stray"))
            assert sealed is not None
            assert (sealed.base, sealed.base_tree) == (job.commit, job.tree)
            assert sealed.commit != job.commit
            assert sealed.tree != job.tree
            assert [change.path for change in sealed.changes] == ["new.txt"]

        play(open_gates, script)

    @pytest.mark.parametrize(
        ("commands", "paths"), [((), ("new.txt",)), (("pass", "stray"), ("new.txt",)), (("mend",), ("README.md",))]
    )
    def test_nothing_of_the_change_is_mended(
        self,
        open_gates: Open[Gates],
        make_job: Callable[..., GateJob],
        commands: tuple[str, ...],
        paths: tuple[str, ...],
    ) -> None:
        """None: what else a command did does not count."""

        async def script(gates: Gates) -> None:
            assert await gates.fix(self._fix(make_job("pass"), *commands, paths=paths)) is None

        play(open_gates, script)

    def test_cancelling_a_fix(self, open_gates: Open[Gates], make_job: Callable[..., GateJob]) -> None:
        """As a job."""

        async def script(gates: Gates) -> None:
            job = self._fix(make_job("pass"), "hang")
            running = asyncio.ensure_future(gates.fix(job))
            await asyncio.sleep(0.05)
            assert not running.done()
            await gates.cancel(job.key)
            with pytest.raises(asyncio.CancelledError):
                await running

        play(open_gates, script)
