"""Asking something of a run, whoever drives it: sent, waited for a moment, and told what comes of it (SPEC 9, 10.1)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chargehand.cli.call import Call
from chargehand.cli.render.pen import hang
from chargehand.cli.terminal import confirm
from chargehand.domain.commands import Request, RequestKind, obey
from chargehand.domain.errors import UserError
from chargehand.domain.events import DecisionAnswered, RequestTaken
from chargehand.domain.evolve import fold
from chargehand.domain.view import document

if TYPE_CHECKING:
    from chargehand.domain.events import Event
    from chargehand.domain.state import RunState
    from chargehand.wiring import Workshop

__all__ = [
    "PATIENCE_S",
    "Sent",
    "agree",
    "asker",
    "named",
    "new_request",
    "next_lines",
    "print_sent",
    "send",
    "send_all",
]

PATIENCE_S = 2.0
"""How long is waited for the process that drives a run to take a request: it is woken, and needs milliseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request that is durable: `taken` when it is on the record, else it lies in the inbox of the run.

    `holder` drives the run and takes it, in words; None when nobody does.
    """

    request: Request
    taken: bool
    holder: str | None
    state: RunState


def asker() -> str:
    """The name under which this person's wishes are recorded."""
    return os.environ.get("USER") or os.environ.get("LOGNAME") or "command line"


def new_request(kind: RequestKind, **values: Any) -> Request:
    """A request of the person at this command line."""
    from chargehand.engine.service import new_id

    return Request(id=new_id(), kind=kind, by=asker(), **values)


async def send_all(workshop: Workshop, run: str, requests: list[Request]) -> list[Sent]:
    """Send each, after all of them were found to make sense; `UserError` when one does not, or was refused."""
    state = workshop.service.look(run).state
    for request in requests:
        obey(state, request)
    return [await send(workshop, run, request) for request in requests]


async def send(workshop: Workshop, run: str, request: Request) -> Sent:
    """Leave a request, and wait a moment for whoever drives the run to take it; `UserError` when it was refused."""
    state = workshop.service.look(run).state
    workshop.service.request(run, request)
    try:
        async with asyncio.timeout(PATIENCE_S):
            return await _until_taken(workshop, request, state)
    except TimeoutError:
        return Sent(request=request, taken=False, holder=workshop.store.holder(run), state=state)


async def _until_taken(workshop: Workshop, request: Request, state: RunState) -> Sent:
    """What became of the request; `state` is the run before it, and goes on with the journal."""
    from chargehand.wiring.watching import glimpses

    async with aclosing(glimpses(workshop, state.run)) as moments:
        async for moment in moments:
            events = workshop.store.read(state.run, state.seq)
            fold(events, onto=state)
            taken = any(_settles(recorded.event, request) for recorded in events)
            if taken or (moment.holder is None and state.inflight):
                return Sent(request=request, taken=taken, holder=moment.holder, state=state)
            if moment.holder is None:  # who held the run let go of it without having seen this
                workshop.service.request(state.run, request)
    raise AssertionError("Glimpses do not end.")


def _settles(event: Event, request: Request) -> bool:
    """Whether the event is what became of the request; `UserError` when that is a refusal."""
    if isinstance(event, RequestTaken) and event.id == request.id:
        if event.refused:
            raise UserError(event.refused, code="request_refused", hint="The run is another one than a moment ago.")
        return True
    if isinstance(event, DecisionAnswered) and event.id == request.decision:
        if (event.choice, event.by) != (request.choice, request.by):
            text = f"{event.id} was answered with {event.choice} by {event.by} a moment before."
            raise UserError(text, code="request_refused", hint="`chargehand status` shows what came of it.")
        return True
    return False


# -- telling --------------------------------------------------------------------------------------


def agree(call: Call, question: str, *, yes: bool, refusal: str) -> bool:
    """Whether the person agrees; silence never does [I9]. `UserError` with `refusal` where nobody can be asked."""
    from chargehand.cli.driving import may_ask

    if yes:
        return True
    if not may_ask(call):
        raise UserError(refusal, code="needs_yes", hint="Add --yes.")
    return confirm(question)


def print_sent(call: Call, sent: Sequence[Sent], *lines: str, more: Mapping[str, object] | None = None) -> None:
    """The run as it is now, what was asked of it, and `more`, as the one document; else `lines` and what is next."""
    last = sent[-1]
    if call.out.json:
        rows = [{"kind": s.request.kind.value, "task": s.request.task or None, "taken": s.taken} for s in sent]
        asked: dict[str, object] = {"request": rows[0]} if len(rows) == 1 else {"request": rows[-1], "requests": rows}
        call.out.document(document(last.state, held=last.holder is not None) | asked | dict(more or {}))
        return
    for line in (*lines, *next_lines(call, last)):
        call.out.say(*hang("", line, call.pen, indent=0))


def next_lines(call: Call, sent: Sent) -> list[str]:
    """What happens next, or what a person has to do for it."""
    run, step = sent.state.run, call.pen.step(f"resume {sent.state.run}")
    if sent.taken:
        return [] if sent.holder or sent.state.finished else [f"Go on with `{step}`: nobody drives run {run} now."]
    if sent.holder:
        return [f"{named(sent.holder)} has not taken it yet: it is left in the inbox of run {run}."]
    return [f"Nobody drives run {run}: `{step}` takes it, after it has looked after what was under way."]


def named(holder: str, *, start: bool = True) -> str:
    """Who drives a run, without since when; at the `start` of a sentence or within one."""
    short = holder.partition(" since ")[0]
    return short[:1].upper() + short[1:] if start else short
