"""The suite of fleets: attempts from start to end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from chargehand.domain.outcome import AgentExit, AttemptResult, ExitKind, ReportStatus
from chargehand.ports import AttemptSpec, Fleet, Recovered
from chargehand.testing.contracts.playing import Open, play

__all__ = ["FleetContract", "MakeSpec"]


MakeSpec = Callable[[str, str], AttemptSpec]


class FleetContract:
    """Fixtures: `open_fleet` (see `Open`), and `make_spec`, which makes the spec of an attempt that behaves.

    `make_spec(behaviour, task)`: `done` changes a file and reports DONE, `crash` ends with exit code 3 and no
    report, having changed nothing, `hang` never ends by itself. In a reviewer's role, on a commit: `pass` says PASS,
    `fail` says FAIL with a major finding `f1` at a line that is there and a minor one `f2` at a line that is not,
    `meddle` changes a file and says PASS, `dumb` says nothing. In a fitter's role: `fit` gives a restoration.
    """

    @pytest.fixture
    def open_fleet(self) -> Open[Fleet]:
        """To be given by the subclass."""
        raise NotImplementedError

    @pytest.fixture
    def make_spec(self) -> MakeSpec:
        """To be given by the subclass."""
        raise NotImplementedError

    def test_a_good_attempt(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """Claim and evidence come back, on the base that was asked for [I6]."""

        async def script(fleet: Fleet) -> None:
            spec = make_spec("done", "a")
            await fleet.submit(spec)
            result = await fleet.wait(spec.key)
            assert result.exit.kind is ExitKind.EXITED
            assert result.report is not None
            assert result.report.status is ReportStatus.DONE
            assert result.sealed is not None
            assert result.sealed.base == spec.base
            assert result.sealed.changes
            assert result.sealed.tree != result.sealed.base_tree
            assert result.sealed.commit != spec.base

        play(open_fleet, script)

    def test_a_crash_is_a_result(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """With its code, why there is no report, and the unchanged tree sealed."""

        async def script(fleet: Fleet) -> None:
            spec = make_spec("crash", "a")
            await fleet.submit(spec)
            result = await fleet.wait(spec.key)
            assert (result.exit.kind, result.exit.code) == (ExitKind.EXITED, 3)
            assert result.report is None
            assert result.report_problem
            assert result.sealed is not None
            assert result.sealed.tree == result.sealed.base_tree

        play(open_fleet, script)

    def test_the_key_makes_it_one(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """Submitted twice it is one attempt; any number may wait, at any time, for the same result."""

        async def script(fleet: Fleet) -> None:
            spec = make_spec("done", "a")
            await fleet.submit(spec)
            await fleet.submit(spec)
            first, second = await asyncio.gather(fleet.wait(spec.key), fleet.wait(spec.key))
            await fleet.submit(spec)
            assert first == second == await fleet.wait(spec.key)

        play(open_fleet, script)

    @pytest.mark.parametrize("now", [False, True])
    def test_cancelling(self, open_fleet: Open[Fleet], make_spec: MakeSpec, now: bool) -> None:
        """It ends, says so, and may be cancelled again; one that has ended stays what it was."""

        async def script(fleet: Fleet) -> None:
            hanging, done = make_spec("hang", "a"), make_spec("done", "b")
            await fleet.submit(hanging)
            await fleet.submit(done)
            before = await fleet.wait(done.key)
            await fleet.cancel(done.key, now=now)
            assert await fleet.wait(done.key) == before
            await fleet.cancel(hanging.key, now=now)
            await fleet.cancel(hanging.key, now=now)
            assert (await fleet.wait(hanging.key)).exit.kind is ExitKind.CANCELLED

        play(open_fleet, script)

    def test_a_reviewer_is_heard(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """Its verdict comes back, and what is true of it; nothing is sealed, and nobody reports [I6, I7]."""

        async def script(fleet: Fleet) -> None:
            good, bad = make_spec("pass", "a"), make_spec("fail", "b")
            for spec in (good, bad):
                await fleet.submit(spec)
            passed, failed = [(await fleet.wait(spec.key)) for spec in (good, bad)]
            for result in (passed, failed):
                assert result.exit.kind is ExitKind.EXITED
                assert (result.sealed, result.seal_problem, result.report) == (None, "", None)
                assert result.review is not None
                assert result.review.verdict is not None
                assert (result.review.problem, result.review.violations) == ("", ())
                assert result.review.verdict.passed is (result is passed)
            assert failed.review is not None
            assert "f1" in failed.review.located
            assert "f2" not in failed.review.located

        play(open_fleet, script)

    def test_a_reviewer_that_meddles_is_found_out(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """And the next one finds the commit as it was [I7]."""

        async def script(fleet: Fleet) -> None:
            first, second = make_spec("meddle", "a"), make_spec("pass", "b")
            await fleet.submit(first)
            review = (await fleet.wait(first.key)).review
            assert review is not None
            assert review.violations
            await fleet.submit(second)
            review = (await fleet.wait(second.key)).review
            assert review is not None
            assert review.violations == ()

        play(open_fleet, script)

    def test_a_reviewer_without_a_verdict_says_why(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """An answer that is none is a result, too."""

        async def script(fleet: Fleet) -> None:
            spec = make_spec("dumb", "a")
            await fleet.submit(spec)
            review = (await fleet.wait(spec.key)).review
            assert review is not None
            assert review.verdict is None
            assert review.problem

        play(open_fleet, script)

    def test_a_fitter_is_heard(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """What comes of it is a restoration of the gate it was asked about."""

        async def script(fleet: Fleet) -> None:
            spec = make_spec("fit", "a")
            await fleet.submit(spec)
            result = await fleet.wait(spec.key)
            assert (result.sealed, result.report, result.review, result.report_problem) == (None, None, None, "")
            assert result.restoration is not None
            assert result.restoration.gate_id == spec.gate

        play(open_fleet, script)

    def test_who_stops_waiting_stops_nothing(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """The end of a waiter is not the end of the attempt."""

        async def script(fleet: Fleet) -> None:
            spec = make_spec("hang", "a")
            await fleet.submit(spec)
            waiter = asyncio.ensure_future(fleet.wait(spec.key))
            await asyncio.sleep(0)
            waiter.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiter
            other = asyncio.ensure_future(fleet.wait(spec.key))
            await asyncio.sleep(0)
            assert not other.done()
            await fleet.cancel(spec.key, now=True)
            assert (await other).exit.kind is ExitKind.CANCELLED

        play(open_fleet, script)

    def test_attempts_do_not_wait_for_each_other(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """One that hangs holds up nobody."""

        async def script(fleet: Fleet) -> None:
            hanging = make_spec("hang", "a")
            await fleet.submit(hanging)
            specs = [make_spec("done", task) for task in "bc"]
            for spec in specs:
                await fleet.submit(spec)
            results = await asyncio.gather(*(fleet.wait(spec.key) for spec in specs))
            assert [result.exit for result in results] == [AgentExit(kind=ExitKind.EXITED, code=0)] * 2
            await fleet.cancel(hanging.key, now=True)
            await fleet.wait(hanging.key)

        play(open_fleet, script)

    def test_taking_up_after_a_crash(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """What still runs is ended, and what was done is said; with nothing left over there is nothing to say."""

        async def script(fleet: Fleet) -> None:
            spec = make_spec("done", "a")
            assert await fleet.recover(spec.run, ()) == Recovered()
            await fleet.submit(spec)
            result = await fleet.wait(spec.key)
            assert dict((await fleet.recover(spec.run, [spec.key])).results) == {spec.key: result}

        play(open_fleet, script)

    def test_only_what_was_asked_for_and_came_to_its_end_has_a_result(
        self, open_fleet: Open[Fleet], make_spec: MakeSpec
    ) -> None:
        """A cancelled attempt has none, nor has one that was never submitted; a result is given as often as asked."""

        async def script(fleet: Fleet) -> None:
            ended = [make_spec("done", "a"), make_spec("crash", "b"), make_spec("pass", "d")]
            stopped = make_spec("hang", "c")
            for spec in (*ended, stopped):
                await fleet.submit(spec)
            results = {spec.key: await fleet.wait(spec.key) for spec in ended}
            await fleet.cancel(stopped.key, now=True)
            assert dict((await fleet.recover(stopped.run, ())).results) == {}
            for _ in range(2):
                found = await fleet.recover(stopped.run, [*results, stopped.key, "z/1/attempt"])
                assert dict(found.results) == results

        play(open_fleet, script)

    def test_another_process_is_told_the_same_or_nothing(self, open_fleet: Open[Fleet], make_spec: MakeSpec) -> None:
        """A fleet may remember results for whoever takes the run up; it never makes one up."""
        done, stopped = make_spec("done", "a"), make_spec("hang", "b")
        waited: list[AttemptResult] = []

        async def before(fleet: Fleet) -> None:
            await fleet.submit(done)
            waited.append(await fleet.wait(done.key))
            await fleet.submit(stopped)
            await fleet.cancel(stopped.key, now=True)

        async def after(fleet: Fleet) -> None:
            found = await fleet.recover(done.run, [done.key, stopped.key, "a/2/attempt"])
            assert dict(found.results) in ({}, {done.key: waited[0]})
            assert dict((await fleet.recover("another-run", [stopped.key])).results) == {}

        play(open_fleet, before)
        play(open_fleet, after)
