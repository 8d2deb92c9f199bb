"""The ways into a run that `run` and `resume` share: hold it, say what it is, drive it, conclude."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargehand.cli.call import Call
from chargehand.cli.driving import Driver, may_ask, print_header
from chargehand.cli.endings import Accepting, conclude
from chargehand.cli.render.lines import under_way
from chargehand.cli.render.pen import hang
from chargehand.cli.render.units import count, short
from chargehand.domain.effects import StartAttempt
from chargehand.domain.errors import UserError
from chargehand.domain.events import EffectIntended
from chargehand.domain.evolve import fold
from chargehand.domain.words import RunVerdict

if TYPE_CHECKING:
    from chargehand.cli.detaching import Detachment
    from chargehand.domain.state import RunState
    from chargehand.ports import OpenRun
    from chargehand.wiring import Workshop

__all__ = ["carry", "carry_on"]


async def carry_on(
    call: Call, run: str | None, *, unattended: bool | None, no_wait: bool, detachment: Detachment | None = None
) -> int:
    """`resume`: take an existing run up."""
    workshop = await call.open()
    name = workshop.service.newest(run)
    call.session.run = name
    state = workshop.service.look(name).state
    if state.finished is not None:
        call.out.tell(f"run {name}")
        call.out.note("The run has ended: there is nothing to go on with.")
        state = workshop.look_for_edits(name, unattended=unattended)
        return conclude(call, state, folder=workshop.store.folder(name))
    held = workshop.service.take_up(name)
    try:
        call.out.tell(f"run {name}")
        await _say_what_is_left(call, workshop, state)
    except BaseException:
        held.release()
        raise
    return await carry(call, workshop, held, unattended=unattended, no_wait=no_wait, detachment=detachment)


async def carry(
    call: Call,
    workshop: Workshop,
    held: OpenRun,
    *,
    unattended: bool | None = None,
    no_wait: bool = False,
    detachment: Detachment | None = None,
) -> int:
    """Drive a held run and print how it came to rest; releases it in any case.

    With a `detachment` the terminal is left first, and the run waits for answers from elsewhere.
    """
    call.session.run = held.run
    try:
        history = list(held.journal.read())
        state = fold(history)
        state.unattended = state.unattended or bool(unattended)
        await print_header(call, workshop, state)
        if detachment is not None:
            call = detachment.leave(call, state, workshop.store.folder(held.run))
        asks = may_ask(call) and not no_wait and not state.unattended
        waits = asks or (detachment is not None and not no_wait and not state.unattended)
        driver = Driver(call, workshop, held.run, asks=asks, waits=waits)
        end = await driver.drive(held, history, unattended=unattended)
    finally:
        held.release()
    folder = workshop.store.folder(held.run)
    return conclude(call, end, await _accept(call, workshop, end), folder=folder)


async def _say_what_is_left(call: Call, workshop: Workshop, state: RunState) -> None:
    """Resuming shows what it will do first (SPEC 8)."""
    pen = call.side_pen
    over = sum(1 for record in state.tasks.values() if record.is_over)
    call.out.note(f"going on after event {state.seq}: {over} of {count(len(state.tasks), 'task')} over")
    for effect in state.inflight.values():
        call.out.note(*hang("  ", under_way(effect), pen))
    for text in await _kept_meanwhile(workshop, state):
        call.out.note(*hang("found: ", text, pen))


async def _kept_meanwhile(workshop: Workshop, state: RunState) -> list[str]:
    """What the attempts under way left and somebody rescued already: another run took their workspace, or `clean`."""
    live = {effect.key: effect for effect in state.inflight.values() if isinstance(effect, StartAttempt)}
    if not live:
        return []
    began = {
        recorded.event.effect.task: recorded.at
        for recorded in workshop.service.events(state.run)
        if isinstance(recorded.event, EffectIntended) and isinstance(recorded.event.effect, StartAttempt)
    }
    numbers = {effect.task: effect.attempt for effect in live.values()}
    return [
        f"Task {kept.task}, attempt {numbers[kept.task]}: what it had done is kept in {kept.ref} already; "
        "its workspace was needed meanwhile."
        for kept in await workshop.rescues(state.run)
        if kept.task in numbers and kept.at >= int(began[kept.task])
    ]


async def _accept(call: Call, workshop: Workshop, state: RunState) -> Accepting:
    """`--accept`: land on the target when everything is green."""
    if not state.options.accept or state.finished is None or state.finished.verdict is not RunVerdict.FINISHED:
        return Accepting()
    call.out.note(f"everything is green: landing on {state.options.target or 'the current branch'}")
    try:
        done = await workshop.accept(state.run, None, squash=False)
    except UserError as error:
        return Accepting(refused=f"{error.message} {error.hint}".strip())
    if done.is_staged:
        return Accepting(done=f"the change lies staged in {done.checkout}, on {done.target}, and is not committed")
    return Accepting(done=f"{done.target} is at {short(done.after)} ({done.how})")
