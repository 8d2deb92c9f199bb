"""The use cases of all front ends. A front end talks to this module and to nothing deeper."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass

from chargehand import __version__
from chargehand.domain.errors import UserError
from chargehand.domain.events import Event, Recorded, RunAccepted, RunResumed, RunStarted, WarningRaised
from chargehand.domain.evolve import fold
from chargehand.domain.state import RunState
from chargehand.engine.dispatch import Ports
from chargehand.engine.keeping import Keeper
from chargehand.engine.loop import Engine, Observer
from chargehand.engine.recovery import recover
from chargehand.ports import Clock, OpenRun, Request, RunStore

__all__ = ["BuildPorts", "RunSummary", "Service"]

BuildPorts = Callable[[OpenRun, RunState], Awaitable[Ports]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """A run as `runs` lists it."""

    run: str
    state: RunState
    held: bool


class Service:
    """Start, resume, look at and answer the runs of one repository."""

    def __init__(self, store: RunStore, build: BuildPorts, clock: Clock) -> None:
        self._store = store
        self._build = build
        self._clock = clock

    # -- driving ----------------------------------------------------------------------------------

    def start(self, event: RunStarted) -> OpenRun:
        """Create a run, as a whole or not at all: it can be resumed from here on. The caller drives or releases it."""
        first: list[Event] = [event]
        if event.options.review:
            text = "This version has no reviews: gates alone decide what lands."
            first.append(WarningRaised(code="reviews_unavailable", text=text))
        return self._store.create(event.run, first, self._clock.now())

    def take_up(self, run: str) -> OpenRun:
        """Hold an existing run; `RunLocked` says who else does."""
        return self._store.open(run)

    async def drive(
        self,
        held: OpenRun,
        *,
        observe: Observer | None = None,
        on_engine: Callable[[Engine], None] | None = None,
        wait_for_people: bool = False,
        unattended: bool | None = None,
    ) -> RunState:
        """Recover and run until nothing is left to do; always releases the run.

        `on_engine` receives the engine for interrupts; `unattended` changes the run's setting from here on.
        """
        try:
            keeper = Keeper(held.snapshots)
            state = _open(held.run, keeper, held.journal.read)
            if state.finished is not None:
                keeper.keep(state)
                return state
            ports = await self._build(held, state)
            first: list[Event] = [
                RunResumed(pid=os.getpid(), host=socket.gethostname(), version=__version__, unattended=unattended),
                *await recover(ports, state),
            ]
            engine = Engine(ports, state, observe, keeper)
            if on_engine:
                on_engine(engine)
            return await engine.run(first, wait_for_people=wait_for_people)
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

    def runs(self) -> list[RunSummary]:
        """All runs, oldest first."""
        return [self.look(run) for run in self._store.runs()]

    def look(self, run: str) -> RunSummary:
        """The state of a run as its journal tells it, without holding it."""
        state = _open(run, Keeper(self._store.snapshots(run)), lambda after: self._store.read(run, after))
        return RunSummary(run=run, state=state, held=self._store.holder(run) is not None)

    def events(self, run: str) -> list[Recorded]:
        """The journal of a run."""
        return _begun(run, self._store.read(run))

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

    # -- answering --------------------------------------------------------------------------------

    def answer(self, run: str, decision: str, choice: str, by: str, note: str = "") -> None:
        """Leave an answer in the run's inbox; it is checked against the question before it is taken.

        `note` is told to the agent of the task in question.
        """
        state = self.look(run).state
        asked = state.decisions.get(decision)
        if asked is None:
            open_ids = ", ".join(state.decisions) or "none"
            raise UserError(
                f"Run {run} has no open decision {decision}.", code="unknown_decision", hint=f"Open: {open_ids}."
            )
        if choice not in asked.choices:
            raise UserError(
                f"{decision} cannot be answered with {choice}.",
                code="unknown_choice",
                hint=f"Choose one of: {', '.join(asked.choices)}.",
            )
        request = Request(id=uuid.uuid4().hex, kind="answer", decision=decision, choice=choice, by=by, note=note)
        inbox = self._store.inbox(run)
        inbox.put(request)
        inbox.close()


def _open(run: str, keeper: Keeper, read: Callable[[int], Iterable[Recorded]]) -> RunState:
    """The state of a run: from its last snapshot, if there is one, and the events since; else from all events."""
    state = keeper.load()
    if state is None:
        return fold(_begun(run, list(read(0))))
    return fold(read(state.seq), onto=state)


def _begun(run: str, events: list[Recorded]) -> list[Recorded]:
    if not events:
        raise UserError(
            f"Run {run} was created but never started.",
            code="run_empty",
            hint="Remove it with `chargehand clean`.",
        )
    return events
