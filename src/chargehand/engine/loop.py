"""The loop: take what has come in; append it; evolve; decide; record the intents and start them; wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from typing import Any

from chargehand.domain.asking import held_attempts
from chargehand.domain.commands import take
from chargehand.domain.decide import is_stuck, runs_out_at, settle, to_end, wake_at
from chargehand.domain.effects import Effect, RunCanary, RunFix, RunGates, StartAttempt
from chargehand.domain.errors import Stuck
from chargehand.domain.events import (
    DecisionAnswered,
    DecisionAsked,
    EffectIntended,
    EffectLost,
    Event,
    Recorded,
    RunInterrupted,
    RunResumed,
)
from chargehand.domain.evolve import evolve
from chargehand.domain.hand_edits import ask_about_edits
from chargehand.domain.state import RunState
from chargehand.domain.words import HandEdit
from chargehand.engine.dispatch import Ports, perform
from chargehand.engine.keeping import Keeper
from chargehand.engine.notices import asked
from chargehand.ports import Notice, NoticeKind

__all__ = ["Engine", "Observer"]

LONG_WAIT_S = 300.0

Observer = Callable[[Recorded, RunState], None]


class Engine:
    """Drives one run to its end, to a standstill that only people can end, or to an interrupt."""

    def __init__(
        self,
        ports: Ports,
        state: RunState,
        observe: Observer | None = None,
        keeper: Keeper | None = None,
    ) -> None:
        self.state = state
        self._ports = ports
        self._observe = observe
        self._keeper = keeper or Keeper(None)
        self._inbound: list[Event | BaseException] = []
        self._arrived = asyncio.Event()
        self._look_into_inbox = True
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: dict[tuple[str, bool], asyncio.Task[None]] = {}
        self._kills = False

    async def run(self, first: Sequence[Event] = (), *, wait_for_people: bool = False) -> RunState:
        """Record `first`, then go round until nothing is left to do; answers with the state.

        Without `wait_for_people`, attempts that wait for an answer are ended when nothing else is left to do: their
        questions stand. Raises `Stuck` for a state nothing can move (a bug), and whatever a port raised that is not an
        outcome; in both cases everything under way is ended first and its intents stay in the journal.
        """
        for projection in self._ports.projections:
            projection.begin(self.state)
        self._ports.inbox.listen(self.nudge)
        self._ports.fleet.listen(self._put)
        try:
            incoming = [*first, *self._take()]
            while True:
                now = self._ports.clock.now()
                self._record(incoming, now)
                self._take_requests(now)
                self._start(self._settle(now))
                self._end_live()
                if not wait_for_people and wake_at(self.state, now) is None:
                    self._end_all(held_attempts(self.state))
                if self._is_over(wait_for_people, now):
                    self._keeper.keep(self.state)
                    return self.state
                self._keeper.keep_if_due(self.state)
                await self._wait(now)
                incoming = self._take()
        finally:
            await self._end_everything()

    def interrupt(self, by: str, *, now: bool = False) -> None:
        """Stop cleanly: start nothing more and end what is live; `now` kills it at once."""
        self._kills = self._kills or now
        self._put(RunInterrupted(by=by))

    def tell(self, notice: Notice) -> None:
        """Tell people something; nobody is asked anything in a run that answers for itself."""
        if notice.kind is not NoticeKind.DECISION or not self.state.unattended:
            self._ports.notifier.notify(notice)

    def fail(self, error: Exception) -> None:
        """End the run's drive with an error from outside the loop; what is under way is ended first."""
        self._put(error)

    def nudge(self) -> None:
        """Somebody left a request in the inbox."""
        self._look_into_inbox = True
        self._arrived.set()

    def _put(self, item: Event | BaseException) -> None:
        self._inbound.append(item)
        self._arrived.set()

    # -- one turn ---------------------------------------------------------------------------------

    def _record(self, events: Sequence[Event], now: float) -> None:
        """Facts from outside: durable first, then folded [I5]."""
        appended = self._append(events, now)
        for recorded in appended:
            evolve(self.state, recorded.event, recorded.at)
        self._tell(appended)

    def _settle(self, now: float) -> list[Event]:
        """Decide to the fixed point, with a question for what was edited by hand; telling of it may find more."""
        settled: list[Event] = []
        edits = self._edits()
        while True:
            self._record(ask_about_edits(self.state, edits), now)
            decided = settle(self.state, now)
            self._tell(self._append(decided, now))
            settled += decided
            if not (edits := self._edits()):
                return settled

    def _edits(self) -> list[HandEdit]:
        return [edit for projection in self._ports.projections for edit in projection.edits()]

    def _append(self, events: Sequence[Event], now: float) -> list[Recorded]:
        if not events:
            return []
        appended = self._ports.journal.append(events, now)
        self.state.seq = appended[-1].seq
        return appended

    def _tell(self, appended: Sequence[Recorded]) -> None:
        for recorded in appended:
            event = recorded.event
            questions = [event.decision] if isinstance(event, DecisionAsked) else []
            if isinstance(event, DecisionAnswered) and event.call:
                self._rule(event)
            if isinstance(event, RunResumed):  # those a process of before asked: perhaps nobody saw them
                questions = [*self.state.decisions.values()]
            for decision in questions:
                self.tell(asked(self.state, decision))
            for projection in self._ports.projections:
                projection.take(recorded, self.state)
            if self._observe:
                self._observe(recorded, self.state)

    def _rule(self, answer: DecisionAnswered) -> None:
        """An agent waits for this answer; it is on the record by now."""
        allow = answer.choice == "approve"
        refusal = "Nobody is there to be asked" if answer.by == "unattended" else "Somebody said no"
        text = answer.note or ("Somebody said yes to this one." if allow else f"{refusal}: go on without it")
        self._ports.fleet.rule(answer.call, allow=allow, text=text)

    def _take_requests(self, now: float) -> None:
        """What people asked for since; a request is settled only when what it comes to is on the record."""
        if not self._look_into_inbox:
            return
        self._look_into_inbox = False
        for request in self._ports.inbox.pending():
            self._record(take(self.state, request), now)
            self._ports.inbox.settle(request.id)

    def _start(self, decided: Sequence[Event]) -> None:
        for event in decided:
            if isinstance(event, EffectIntended):
                call = perform(self._ports, self.state, event.effect)
                self._tasks[event.effect.key] = asyncio.create_task(self._carry_out(event.effect, call))

    async def _carry_out(self, effect: Effect, call: Coroutine[Any, Any, Event]) -> None:
        try:
            outcome: Event | BaseException = await call
        except asyncio.CancelledError:
            outcome = EffectLost(key=effect.key, detail="It was told to stop.")
        except BaseException as error:  # noqa: BLE001  raised again by the loop, in the loop's own context
            outcome = error
        self._put(outcome)

    async def _wait(self, now: float) -> None:
        """Until something has come in, or the next timer is due.

        A long wait is looked at now and then: the timers of the event loop stand still while a machine sleeps.
        """
        await asyncio.sleep(0)  # what was started begins, whatever the clock says
        ends = (wake_at(self.state, now), runs_out_at(self.state, now))
        due = min((at for at in ends if at is not None), default=None)
        pause_s = None if due is None else min(max(0.0, due - self._ports.clock.now()), LONG_WAIT_S)
        with suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._arrived.wait()

    def _take(self) -> list[Event]:
        """All that has come in; what came beside an error is recorded before the error is raised."""
        received, self._inbound = self._inbound, []
        self._arrived.clear()
        events = [item for item in received if not isinstance(item, BaseException)]
        for event in events:
            self._tasks.pop(getattr(event, "key", ""), None)
        for item in received:
            if isinstance(item, BaseException):
                self._record(events, self._ports.clock.now())
                raise item
        return events

    def _is_over(self, wait_for_people: bool, now: float) -> bool:
        state = self.state
        stands = state.interrupted or state.paused is not None
        if state.finished is not None or (stands and not state.inflight):
            return True
        if state.waits_for_people:
            return not wait_for_people
        if is_stuck(state, now):
            raise Stuck(f"Run {state.run} cannot move at event {state.seq}: {state.open_tasks} tasks are open.")
        return False

    # -- ending -----------------------------------------------------------------------------------

    def _end_live(self) -> None:
        """What people want ended is told so; `wait` and `run` of the ports then tell how it ended."""
        self._end_all(to_end(self.state))

    def _end_all(self, effects: Iterable[StartAttempt | RunGates | RunFix | RunCanary]) -> None:
        for effect in effects:
            if (effect.key, self._kills) not in self._ending:
                self._ending[effect.key, self._kills] = asyncio.create_task(self._end(effect, now=self._kills))

    async def _end(self, effect: StartAttempt | RunGates | RunFix | RunCanary, *, now: bool) -> None:
        try:
            if isinstance(effect, StartAttempt):
                await self._ports.fleet.cancel(effect.key, now=now)
            else:
                await self._ports.gates.cancel(effect.key)
        except BaseException as error:  # noqa: BLE001  raised again by the loop, in the loop's own context
            self._put(error)

    async def _end_everything(self) -> None:
        """When the loop is left by an error: nothing of ours goes on behind its back [I11]."""
        left = {key: task for key, task in self._tasks.items() if not task.done()}
        live = [key for key in left if isinstance(self.state.inflight.get(key), StartAttempt)]
        await asyncio.gather(
            *(self._ports.fleet.cancel(key, now=True) for key in live), *self._ending.values(), return_exceptions=True
        )
        for task in left.values():
            task.cancel()
        await asyncio.gather(*left.values(), return_exceptions=True)
