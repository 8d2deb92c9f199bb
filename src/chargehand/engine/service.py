"""The use cases of all front ends. A front end talks to this module and to nothing deeper."""

from __future__ import annotations

import asyncio
import os
import socket
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

from chargehand import __version__
from chargehand.domain.commands import RequestKind, obey, take
from chargehand.domain.errors import AdapterError, ChargehandError, RunLocked, UserError
from chargehand.domain.events import Event, Recorded, RunAccepted, RunResumed, RunStarted
from chargehand.domain.evolve import fold
from chargehand.domain.state import RunState
from chargehand.engine.dispatch import Ports
from chargehand.engine.keeping import Keeper
from chargehand.engine.loop import Engine, Observer
from chargehand.engine.notices import ended
from chargehand.engine.recovery import recover
from chargehand.ports import Clock, OpenRun, Request, RunStore

__all__ = ["BuildPorts", "Project", "RunSummary", "Service", "UnreadableRun", "new_id"]

PAGE = 5000
BEAT_S = 30.0
TAKE_UP_S = 0.5
TAKE_UP_PAUSE_S = 0.1

BuildPorts = Callable[[OpenRun, RunState], Awaitable[Ports]]
Project = Callable[[OpenRun, Callable[[str], None] | None], Awaitable[None]]
"""Brings what is derived from the journal up to date, while the run is held; tells what stood in the way of that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run as `runs` lists it."""

    run: str
    state: RunState
    held: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRun:
    """A run whose journal is damaged, or of a newer release: `problem` says which, and what to do."""

    run: str
    problem: ChargehandError


class Service:
    """Start, resume, look at and answer the runs of one repository."""

    def __init__(self, store: RunStore, build: BuildPorts, clock: Clock, project: Project | None = None) -> None:
        self._store = store
        self._build = build
        self._clock = clock
        self._project = project

    # -- driving ----------------------------------------------------------------------------------

    def start(self, event: RunStarted) -> OpenRun:
        """Create a run, as a whole or not at all: it can be resumed from here on. The caller drives or releases it.

        Its first state is kept beside the journal: where that is lost, the plan and the branch still tell what is done.
        """
        now = self._clock.now()
        held = self._store.create(event.run, [event], now)
        held.snapshots.save(fold([Recorded(seq=1, at=now, event=event)]))
        return held

    def take_up(self, run: str) -> OpenRun:
        """Hold an existing run; `RunLocked` says who else does.

        Somebody who only leaves a request holds it for milliseconds: that is waited for.
        """
        deadline = time.monotonic() + TAKE_UP_S
        while True:
            try:
                return self._store.open(run)
            except RunLocked:
                if time.monotonic() > deadline:
                    raise
            time.sleep(TAKE_UP_PAUSE_S)

    async def drive(
        self,
        held: OpenRun,
        *,
        observe: Observer | None = None,
        on_engine: Callable[[Engine], None] | None = None,
        tell: Callable[[str], None] | None = None,
        wait_for_people: bool = False,
        unattended: bool | None = None,
    ) -> RunState:
        """Recover and run until nothing is left to do; always releases the run, its projections written before.

        `on_engine` receives the engine for interrupts, `tell` a sentence for each thing found of a dead holder;
        `unattended` changes the run's setting from here on.
        """
        try:
            keeper = Keeper(held.snapshots)
            state = _open(held.run, keeper, held.journal.read)
            self._take(held, state)
            if state.finished is not None:
                keeper.keep(state)
            else:
                ports = await self._build(held, state)
                try:
                    resumed = RunResumed(
                        pid=os.getpid(), host=socket.gethostname(), version=__version__, unattended=unattended
                    )
                    first: list[Event] = [resumed, *await recover(ports, state, tell)]
                    engine = Engine(ports, state, observe, keeper)
                    if on_engine:
                        on_engine(engine)
                    state = await _drive(held, engine, first, wait_for_people=wait_for_people)
                finally:
                    await ports.fleet.close()
                    await ports.notifier.close()
            if self._project:
                await self._project(held, tell)
            return state
        finally:
            held.release()

    def accepted(self, run: str, event: RunAccepted) -> None:
        """Record that the result was landed."""
        held = self._store.open(run)
        try:
            held.journal.append([event], self._clock.now())
        finally:
            held.release()

    # -- looking ----------------------------------------------------------------------------------

    def runs(self) -> list[RunSummary | UnreadableRun]:
        """All runs, oldest first; one that cannot be read hides none of the others."""
        return [self._look_or_problem(run) for run in self._store.runs()]

    def _look_or_problem(self, run: str) -> RunSummary | UnreadableRun:
        try:
            return self.look(run)
        except ChargehandError as problem:
            return UnreadableRun(run=run, problem=problem)

    def look(self, run: str) -> RunSummary:
        """The state of a run as its journal tells it, without holding it."""
        state = _open(run, Keeper(self._store.snapshots(run)), lambda after: self._pages(run, after))
        return RunSummary(run=run, state=state, held=self._store.holder(run) is not None)

    def events(self, run: str) -> list[Recorded]:
        """The journal of a run."""
        return list(_begun(run, self._store.read(run)))

    def _pages(self, run: str, after: int) -> Iterator[Recorded]:
        """The events after that number, never all of them at once in memory."""
        while events := self._store.read(run, after, PAGE):
            yield from events
            after = events[-1].seq

    def newest(self, run: str | None) -> str:
        """The run that is meant: the one named, else the newest."""
        runs = self._store.runs()
        if run is not None:
            if run not in runs:
                known = f" Known runs: {', '.join(runs[-5:])}." if runs else ""
                raise UserError(
                    f"There is no run {run} here.{known}", code="unknown_run", hint="See `chargehand runs`."
                )
            return run
        if not runs:
            hint = "Start one with `chargehand run PLAN`."
            raise UserError("This repository has no runs.", code="no_runs", hint=hint)
        return runs[-1]

    # -- people -----------------------------------------------------------------------------------

    def answer(self, run: str, decision: str, choice: str, by: str, note: str = "") -> RunSummary:
        """Answer a question; `note` is told to the agent of the task in question. As `request`."""
        kind = RequestKind.ANSWER
        return self.request(run, Request(id=new_id(), kind=kind, decision=decision, choice=choice, by=by, note=note))

    def request(self, run: str, request: Request) -> RunSummary:
        """Ask something of a run, whoever holds it; answers with the run as it is then.

        `UserError` when it makes no sense in the state of now. It is durable when this returns: in the journal where
        nobody holds the run, else in its inbox, and the holder, who was woken, checks it again.
        """
        seen = self.look(run)
        obey(seen.state, request, held=seen.held)
        inbox = self._store.inbox(run)
        inbox.put(request)
        inbox.close()
        self._take_unheld(run)
        return self.look(run)

    def _take_unheld(self, run: str) -> None:
        """Take the requests of a run that nobody drives, so that everybody sees what they came to."""
        while True:
            try:
                held = self._store.open(run)
            except RunLocked:
                return  # the holder takes it; one that only took requests looks again after it let go
            try:
                taken = self._take(held, _open(run, Keeper(held.snapshots), held.journal.read))
            finally:
                held.release()
            if not (taken and self._pending(run)):
                return

    def _pending(self, run: str) -> bool:
        inbox = self._store.inbox(run)
        try:
            return bool(inbox.pending())
        finally:
            inbox.close()

    def _take(self, held: OpenRun, state: RunState) -> bool:
        """Record what people asked for; False where effects of a dead holder must be looked after first.

        Then a pause alone is taken: whoever takes the run up later wants it to go on.
        """
        for request in held.inbox.pending():
            if state.inflight and request.kind is not RequestKind.PAUSE:
                continue
            if events := take(state, request):
                fold(held.journal.append(events, self._clock.now()), onto=state)
            held.inbox.settle(request.id)
        return not state.inflight


def new_id() -> str:
    """An id for a request: nobody else has it."""
    return uuid.uuid4().hex


async def _drive(held: OpenRun, engine: Engine, first: Sequence[Event], *, wait_for_people: bool) -> RunState:
    """Drive with a heartbeat beside it, and tell people how the run came to rest."""
    beating = asyncio.create_task(_beat(held, engine))
    try:
        state = await engine.run(first, wait_for_people=wait_for_people)
    finally:
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
    if state.finished is not None or state.waits_for_people:
        engine.tell(ended(state))
    return state


async def _beat(held: OpenRun, engine: Engine) -> None:
    """Say now and then that the holder is alive; without the lock, somebody else may be driving the run."""
    while True:
        await asyncio.sleep(BEAT_S)
        try:
            held.beat()
        except AdapterError as error:
            engine.fail(error)
            return


def _open(run: str, keeper: Keeper, read: Callable[[int], Iterable[Recorded]]) -> RunState:
    """The state of a run: from its last snapshot, if there is one, and the events since; else from all events.

    `UserError` when the journal is that of another run: two holders of one run would overwrite each other's work [I2].
    """
    state = keeper.load()
    state = fold(_begun(run, read(0))) if state is None else fold(read(state.seq), onto=state)
    if state.run != run:  # its branch and refs are those of the other, which may be driven at this moment
        raise UserError(
            f"The folder of run {run} holds run {state.run}: it was copied or renamed.",
            code="copied_run",
            hint=f"Remove the folder {run} if it is a copy; if it was renamed, call it {state.run} again.",
        )
    return state


def _begun(run: str, events: Iterable[Recorded]) -> Iterator[Recorded]:
    rest = iter(events)
    first = next(rest, None)
    if first is None:
        raise UserError(
            f"Run {run} was created but never started.",
            code="run_empty",
            hint="Remove it with `chargehand clean`.",
        )
    return chain((first,), rest)
