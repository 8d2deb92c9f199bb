"""The gates behind receipts, run again on the trees they were about: in the usual sandbox, without the cache."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from chargehand.adapters.gating.ids import read_ids
from chargehand.adapters.receipts import ids_in
from chargehand.domain.errors import AdapterError
from chargehand.domain.outcome import GateResult, GateStatus
from chargehand.domain.plan import GatePoint
from chargehand.domain.receipt import Receipt
from chargehand.domain.receipt_gates import GateStory, RanCheck, is_verify
from chargehand.domain.state import RunState
from chargehand.ports import Check, GateJob
from chargehand.wiring.ports import gates_alone

if TYPE_CHECKING:
    from chargehand.wiring.workshop import Workshop

__all__ = ["Again", "run_again"]

Tell = Callable[[str], None] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """What a gate said then, and says now (empty: nothing); `vanished` are tests that ran then and do not run now.

    `same_environment` is False only where both environments are known.
    """

    gate: str
    point: str
    tree: str
    then: str
    now: str
    holds: bool
    detail: str = ""
    wall_s: float = 0.0
    log: str = ""
    flaky: tuple[str, ...] = ()
    vanished: tuple[str, ...] = ()
    same_environment: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class _Errand:
    """One job, and for whom: the same check of the same tree is asked for once."""

    task: str
    story: GateStory
    checks: tuple[RanCheck, ...]


async def run_again(
    shop: Workshop, state: RunState, receipts: Mapping[str, Receipt], tell: Tell
) -> dict[str, tuple[Again, ...]]:
    """Run every gate behind the receipts, as many jobs at once as the run had; by task."""
    errands = list(_errands(receipts))
    results: dict[object, GateResult] = {}
    problems: dict[tuple[str, GatePoint], str] = {}
    turns = asyncio.Semaphore(max(1, state.options.jobs))
    async with gates_alone(shop, state) as runner:

        async def carry_out(number: int, errand: _Errand) -> None:
            async with turns:
                story = errand.story
                if tell:
                    tell(f"gates of {_name(errand.task)} ({story.point.value}), {number} of {len(errands)}")
                try:
                    for result in await runner.run(_job(state, errand, number)):
                        results[_key(story, errand.task, result.gate)] = result
                except AdapterError as error:
                    problems[errand.task, story.point] = error.message

        async with asyncio.TaskGroup() as group:
            for number, errand in enumerate(errands, start=1):
                group.create_task(carry_out(number, errand))
    folder = shop.store.folder(state.run)
    told: dict[str, tuple[Again, ...]] = {}
    for task, receipt in receipts.items():
        ids = _ids_then(folder, receipt)
        rows = []
        for story, then in _judged(receipt):
            now = results.get(_key(story, task, then.gate))
            vanished = _vanished(folder, ids.get(then.tests, ()), now) if now is not None else ()
            rows.append(_again(story, then, now, problems.get((task, story.point), ""), vanished))
        told[task] = tuple(rows)
    return told


def _judged(receipt: Receipt) -> Iterator[tuple[GateStory, GateResult]]:
    for story in receipt.gates:
        for then in story.results:
            if then.status in (GateStatus.PASS, GateStatus.FAIL):
                yield story, then


def _name(task: str) -> str:
    return f"task {task}" if task else "the run"


def _errands(receipts: Mapping[str, Receipt]) -> Iterator[_Errand]:
    asked: set[object] = set()
    for task, receipt in receipts.items():
        for story in receipt.gates:
            aside = story.overlay or story.red_first  # all of these checks are run on other trees as well
            due = tuple(
                check
                for check in story.checks
                if aside or is_verify(check.id) or _question(story, check.id, check) not in asked
            )
            asked |= {_question(story, check.id, check) for check in due if not is_verify(check.id)}
            if due or aside or story.syntax:
                yield _Errand(task=task, story=story, checks=due)


def _question(story: GateStory, gate: str, check: RanCheck) -> object:
    return (story.tree, gate, check, story.setup, story.env)


def _key(story: GateStory, task: str, gate: str) -> object:
    """What a result answers: a gate of the plan for everybody who asks of this tree, the rest for one task alone."""
    check = next((each for each in story.checks if each.id == gate), None)
    if check is None or is_verify(gate):
        return (task, story.point, gate)
    return _question(story, gate, check)


def _job(state: RunState, errand: _Errand, number: int) -> GateJob:
    story = errand.story
    return GateJob(
        key=f"receipts/{number}/{errand.task or 'run'}-{story.point.value}",
        run=state.run,
        task=errand.task,
        attempt=0,
        commit=story.commit,
        tree=story.tree,
        base=story.base,
        checks=tuple(
            Check(
                id=check.id,
                run=check.run,
                wall_s=check.wall_s,
                idle_s=check.idle_s,
                junit=check.junit,
                env=check.env,
                rerun=True,
            )
            for check in errand.checks
        ),
        setup=story.setup,
        env=story.env,
        syntax=story.syntax,
        red_first=story.red_first,
        overlay=story.overlay,
        tests=story.tests,
        cache=False,
    )


def _again(
    story: GateStory, then: GateResult, now: GateResult | None, problem: str, vanished: tuple[str, ...]
) -> Again:
    made = Again(
        gate=then.gate,
        point=story.point.value,
        tree=story.tree,
        then=then.status.value,
        now="",
        holds=then.gate == "setup" and not problem,  # one that was run before has no result of its own
        detail=problem or "It was not run: what stands before it did not pass.",
    )
    if now is None:
        return made
    known = bool(then.environment and now.environment)
    return replace(
        made,
        now=now.status.value,
        holds=_holds(then, now),
        detail=now.detail,
        wall_s=now.wall_s,
        log=now.log,
        flaky=now.flaky,
        vanished=vanished,
        same_environment=not known or then.environment == now.environment,
    )


def _holds(then: GateResult, now: GateResult) -> bool:
    """Whether a gate says what it said: what passed passes; what was red, since the base, has no new failures."""
    if now.status is GateStatus.PASS:
        return True
    if then.status is GateStatus.PASS or now.status is not GateStatus.FAIL:
        return False
    return then.failed_tests is None or (
        bool(now.failed_tests) and set(now.failed_tests or ()) <= set(then.failed_tests)
    )


def _vanished(folder: Path, ran: Collection[str], now: GateResult) -> tuple[str, ...]:
    """Those of the tests that `ran` then that do not run now; a gate that could not judge says nothing of them."""
    if not ran or now.status is GateStatus.FAULT:
        return ()
    ids = read_ids(folder, now.tests) if now.tests else None
    return tuple(sorted(set(ran) - (set() if ids is None else {*ids.passed, *ids.failed})))


def _ids_then(folder: Path, receipt: Receipt) -> dict[str, tuple[str, ...]]:
    """The tests that ran, by file of ids: as the receipt lists them, else, of too many, as the file does."""
    listed = ids_in(receipt.text)
    for result in (result for story in receipt.gates for result in story.results if result.tests not in listed):
        ids = read_ids(folder, result.tests) if result.tests else None
        if ids is not None:
            listed[result.tests] = (*ids.passed, *ids.failed)
    return listed
