"""The suite of gates: what comes of a check."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from chargehand.domain.outcome import FaultKind, GateStatus
from chargehand.domain.plan import Command
from chargehand.ports import Check, GateJob, Gates
from chargehand.testing.contracts.playing import Open, play

__all__ = ["CHECKS", "GatesContract"]


CHECKS = {
    "pass": Check(id="pass", run=Command(argv=("true",)), wall_s=20.0),
    "fail": Check(id="fail", run=Command(argv=("false",)), wall_s=20.0),
    "shell": Check(id="shell", run=Command(argv=("exit 7",), shell=True), wall_s=20.0),  # noqa: S604
    "timeout": Check(id="timeout", run=Command(argv=("sleep", "3600")), wall_s=0.3),
    "missing": Check(id="missing", run=Command(argv=("no-such-program-anywhere",)), wall_s=20.0),
    "hang": Check(id="hang", run=Command(argv=("sleep", "3600")), wall_s=3600.0),
}
"""Checks by what comes of them: pass, fail (exit 1), fail (exit 7), two kinds of fault, and one without an end."""


class GatesContract:
    """Fixtures: `open_gates` (see `Open`), and `commit`: (commit, tree, base) to run on."""

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
