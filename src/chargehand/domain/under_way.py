"""How the state follows what is under way: effects that begin, end, or are lost; only `evolve` calls this.

An attempt of an author moves its task; one of those who only look (reviewers, fitters, researchers) leaves it where it
is. A look at the whole run belongs to no task: `RunState.whole` has it.
"""

from __future__ import annotations

from dataclasses import replace

from chargehand.domain.effects import Effect, Land, RunFix, RunGates, StartAttempt
from chargehand.domain.events import AttemptFinished, FixFinished, GatesFinished, LandFinished, MergeFinished
from chargehand.domain.moves import agent_of, move
from chargehand.domain.outcome import (
    LOOKERS,
    AttemptResult,
    Candidate,
    ExitKind,
    GateStatus,
    Landed,
    Role,
    Sealed,
    Usage,
)
from chargehand.domain.plan import GatePoint
from chargehand.domain.state import RunState, TaskRecord
from chargehand.domain.whole_change import gone_on
from chargehand.domain.words import Decision, TaskStatus

__all__ = ["drop_calls", "intend", "lose", "take_outcome"]

Outcome = AttemptFinished | GatesFinished | FixFinished | MergeFinished | LandFinished

_NO_ATTEMPT = frozenset({ExitKind.CANCELLED, ExitKind.LOST})
_WAITS = frozenset({ExitKind.RATE_LIMITED, ExitKind.PROVIDER_DOWN})


# -- beginning ------------------------------------------------------------------------------------


def intend(state: RunState, effect: Effect) -> None:
    """An effect is under way from here on."""
    state.inflight[effect.key] = effect
    if isinstance(effect, StartAttempt):
        _begin_attempt(state, effect)
        return
    task = getattr(effect, "task", "")
    if not task:
        return
    record = state.tasks[task]
    changes: dict[str, object] = {"inflight": effect.key}
    if isinstance(effect, RunGates):
        changes["overtaken"] = False
    if isinstance(effect, RunFix):
        changes |= {"mended": (*record.mended, *effect.gates), "aside": record.unjudged, "unjudged": None}
    state.tasks[task] = record.but(**changes)
    state.attention.pop(task, None)
    for other in effect.beside if isinstance(effect, Land) else ():
        state.tasks[other] = state.tasks[other].but(inflight=effect.key)
        state.attention.pop(other, None)


def _begin_attempt(state: RunState, effect: StartAttempt) -> None:
    if not effect.task:
        state.whole = state.whole.but(attempts=effect.attempt, inflight=effect.key, look=effect, aside=state.closing)
        _count_live(state, effect.agent, 1)
        return
    record = state.tasks[effect.task]
    agent = effect.agent or agent_of(state, record)
    _count_live(state, agent, 1)
    if effect.role in LOOKERS:
        looks: dict[str, object] = {"attempts": effect.attempt, "inflight": effect.key, "look": effect}
        looks["looked"] = record.looked + 1
        state.tasks[effect.task] = record.but(aside=record.unjudged, unjudged=None, **looks)
        state.attention.pop(effect.task, None)
        return
    state.by_hand.pop(effect.task, None)  # it is not by hand that it is done from here on
    number = effect.attempt
    changes: dict[str, object] = {"attempts": number, "made": number, "base": effect.base, "role": effect.role}
    if record.fix_base is None:
        changes["origin"] = effect.base
    move(state, record, TaskStatus.RUNNING, inflight=effect.key, agent=agent, look=None, **changes)
    state.live[effect.task] = None


def _count_live(state: RunState, agent: str, change: int) -> None:
    state.agents_live[agent] = state.agents_live.get(agent, 0) + change


def _agent(state: RunState, effect: StartAttempt) -> str:
    """Who works on it; in journals of the first release: the agent of the task."""
    return effect.agent or agent_of(state, state.tasks[effect.task])


# -- being lost -----------------------------------------------------------------------------------


def lose(state: RunState, key: str) -> None:
    """An effect without outcome: its task is where it was before the effect was intended."""
    effect = state.inflight.pop(key)
    if isinstance(effect, StartAttempt):
        _lose_attempt(state, effect)
        return
    task = getattr(effect, "task", "")
    if not task:
        return
    for other in effect.beside if isinstance(effect, Land) else ():
        _free(state, other)
    record = state.tasks[task]
    changes: dict[str, object] = {"inflight": None}
    if isinstance(effect, RunFix):
        kept = tuple(gate for gate in record.mended if gate not in effect.gates)
        changes |= {"mended": kept, "unjudged": record.aside, "aside": None}
    state.tasks[task] = record.but(**changes)
    state.attention[task] = None


def _free(state: RunState, task: str, **changes: object) -> None:
    """What was under way for a task beside another one is over."""
    state.tasks[task] = state.tasks[task].but(inflight=None, **changes)
    state.attention[task] = None


def _lose_attempt(state: RunState, effect: StartAttempt) -> None:
    _count_live(state, _agent(state, effect), -1)
    if not effect.task:
        whole = state.whole
        state.whole = whole.but(attempts=whole.attempts - 1, lost=whole.lost + 1, inflight=None, aside=None)
        return
    drop_calls(state, _calls_of(state, effect.key))
    record = state.tasks[effect.task]
    fewer = {"attempts": record.attempts - 1, "lost": record.lost + 1, "inflight": None}
    if effect.role in LOOKERS:
        looked = record.looked - 1
        state.tasks[effect.task] = record.but(unjudged=record.aside, aside=None, looked=looked, **fewer)
        state.attention[effect.task] = None
        return
    record = record.but(ruled=(), **fewer)
    move(state, record, TaskStatus.WAITING)
    state.offer(effect.task)
    if record.ending is not None:
        state.attention[effect.task] = None


# -- ending ---------------------------------------------------------------------------------------


def take_outcome(state: RunState, event: Outcome) -> None:
    """What an effect came to; what follows from it is a conclusion of its own."""
    effect = state.inflight.pop(event.key)
    if isinstance(event, AttemptFinished):
        assert isinstance(effect, StartAttempt)
        _end_attempt(state, effect, event)
        return
    if isinstance(event, GatesFinished):
        assert isinstance(effect, RunGates)
        _forget_fits(state, event, effect.tree)
    if not event.task:
        assert isinstance(event, GatesFinished)
        _close(state, event)
        return
    for other in effect.beside if isinstance(effect, Land) else ():
        landed = isinstance(event, LandFinished) and isinstance(event.result, Landed)
        _free(state, other, **({"unjudged": event} if landed else {}))
    changes: dict[str, object] = {"inflight": None, "unjudged": event}
    record = state.tasks[event.task]
    match event:
        case GatesFinished(point=GatePoint.TASK):
            changes["checked"] = tuple(r if r.status is GateStatus.FAIL else replace(r, tail="") for r in event.results)
        case FixFinished(sealed=None):
            changes |= {"unjudged": record.aside, "aside": None}  # nothing mended: what was red is judged as it is
        case FixFinished(sealed=Sealed() as sealed):
            changes |= _mended(record, sealed) | {"aside": None}
        case MergeFinished(result=Candidate() as candidate):
            again = record.again + (record.candidate is not None)
            changes |= {"candidate": candidate, "candidate_green": False, "unjudged": None, "again": again}
        case LandFinished(result=Landed(commit=commit)):
            assert record.candidate is not None
            state.move_head(commit, record.candidate.tree)
            _overtake(state)
        case _:
            pass
    state.tasks[event.task] = record.but(**changes)
    state.attention[event.task] = None


def _close(state: RunState, event: GatesFinished) -> None:
    """The gates of the wave or of the run, but for those that what people asked meanwhile has begun anew."""
    if event.key != state.key_of_gates(event.point):
        return
    if event.commit != state.head:  # something landed meanwhile: the gates judge again
        state.whole = state.whole.but(again=state.whole.again + 1)
    state.closing = event


def _overtake(state: RunState) -> None:
    """What landed has other tests than those that the rest of the train was held against."""
    for name in state.queue:
        record = state.tasks[name]
        under_way = isinstance(state.inflight.get(record.inflight or ""), RunGates)
        if under_way or isinstance(record.unjudged, GatesFinished):
            state.tasks[name] = record.but(overtaken=True)


def _forget_fits(state: RunState, event: GatesFinished, tree: str) -> None:
    """A gate that judged this tree may fault anew another time; more time, and how it is run, last."""
    for result in event.results:
        if result.tree != tree:
            continue
        for name in (result.gate, f"{event.task}/{result.gate}"):
            fit = state.fits.get(name)
            if fit is not None and result.status is not GateStatus.FAULT:
                state.fits[name] = replace(fit, rerun=False, fits=())


def _mended(record: TaskRecord, sealed: Sealed) -> dict[str, object]:
    """The change as the `fix` commands left it. It is another tree: what was said of the one before does not count."""
    before = record.sealed
    assert before is not None
    changes = tuple(dict.fromkeys((*before.changes, *sealed.changes)))
    whole = gone_on(before.told, sealed)
    merged = replace(
        sealed,
        base=before.base,
        base_tree=before.base_tree,
        changes=changes,
        left_out=before.left_out,
        whole=whole,
    )
    return {
        "sealed": merged,
        "commit": sealed.commit,
        "candidate": None,
        "candidate_green": False,
        "again": record.again + 1,
    }


def _end_attempt(state: RunState, effect: StartAttempt, event: AttemptFinished) -> None:
    result = event.result
    agent = _agent(state, effect)
    _count_live(state, agent, -1)
    _close_circuit(state, agent, result)
    _count_usage(state, result.usage)
    if not effect.task:
        state.whole = state.whole.but(inflight=None, unjudged=event)
        if result.exit.kind in _NO_ATTEMPT:
            state.whole = state.whole.but(attempts=state.whole.attempts - 1, lost=state.whole.lost + 1)
        return
    record = state.tasks[event.task]
    changes: dict[str, object] = {"inflight": None, "unjudged": event}
    changes |= {"ruled": (), "unheard": _unheard(state, record, event)}
    drop_calls(state, _calls_of(state, event.key))
    changes |= _count_attempt(record, effect.role, result)
    if effect.role not in LOOKERS and result.exit.kind not in _NO_ATTEMPT | _WAITS:
        changes |= {"report": result.report, "sealed": _on_top(record, result.sealed), "checked": ()}
    if effect.role is Role.RESEARCHER and result.report is not None:
        changes["context"] = (*record.context, ("research", _said(result)))
    state.tasks[event.task] = record.but(**changes)
    state.attention[event.task] = None


def _on_top(record: TaskRecord, sealed: Sealed | None) -> Sealed | None:
    """What an attempt left; one that went on from a sealed change tells of the whole."""
    before = record.sealed
    if sealed is None or before is None or record.fix_base is None:
        return sealed
    return replace(sealed, whole=gone_on(before.told, sealed))


def _said(result: AttemptResult) -> str:
    """What a researcher found, for the next brief."""
    report = result.report
    assert report is not None
    return "\n".join(filter(None, (report.summary, *report.decisions, *report.interfaces)))


def _unheard(state: RunState, record: TaskRecord, event: AttemptFinished) -> Decision | None:
    """The question of an attempt that was ended while it waited, and for nothing else: it stands (SPEC 10.1)."""
    wished = record.ending is not None or state.halted or state.cancelled is not None
    if event.result.exit.kind is not ExitKind.CANCELLED or wished:
        return None
    calls = _calls_of(state, event.key)
    return next((decision for decision in state.decisions.values() if decision.call in calls), None)


def _count_attempt(record: TaskRecord, role: Role, result: AttemptResult) -> dict[str, object]:
    """What an ended attempt uses up; one that is none leaves its number to the next."""
    tries, kind = record.tries, result.exit.kind
    counts = kind not in _NO_ATTEMPT and kind not in _WAITS
    changes: dict[str, object] = {
        "tries": replace(
            tries,
            attempts=tries.attempts + counts,
            tokens=tries.tokens + (result.usage.tokens or 0),
            estimated=tries.estimated + result.usage.estimated,
            held_usd=tries.held_usd + _held(result.usage),
            usd=_sum(tries.usd, result.usage.usd),
            uncosted=tries.uncosted + _is_uncosted(result.usage),
            researches=tries.researches + (counts and role is Role.RESEARCHER),
            waits=0 if counts else tries.waits,
        )
    }
    if not counts and role in LOOKERS:
        changes |= {"looked": record.looked - 1}
    if kind in _WAITS:
        changes |= {"waited": record.waited + 1}
    if kind in _NO_ATTEMPT:
        changes |= {"attempts": record.attempts - 1, "lost": record.lost + 1}
    return changes


def _close_circuit(state: RunState, agent: str, result: AttemptResult) -> None:
    """The first attempt after the wait got through to its provider."""
    got_through = result.exit.kind not in _NO_ATTEMPT | _WAITS
    if got_through and state.circuits.get(agent, state.last_at) <= state.last_at:
        state.circuits.pop(agent, None)


def _count_usage(state: RunState, usage: Usage) -> None:
    if usage.tokens is not None:
        state.tokens = (state.tokens or 0) + usage.tokens
    state.estimated += usage.estimated
    state.held_usd += _held(usage)
    state.usd = _sum(state.usd, usage.usd)
    state.uncosted += _is_uncosted(usage)


def _held(usage: Usage) -> float:
    """What counts against caps of money."""
    return (usage.usd if usage.held_usd is None else usage.held_usd) or 0.0


def _is_uncosted(usage: Usage) -> bool:
    """Whether it used tokens of which nobody knows what they cost."""
    return usage.usd is None and bool(usage.tokens)


def _sum(known: float | None, more: float | None) -> float | None:
    return known if more is None else (known or 0.0) + more


# -- held calls -----------------------------------------------------------------------------------


def _calls_of(state: RunState, key: str) -> list[str]:
    return [call for call, asked in state.calls.items() if asked.key == key]


def drop_calls(state: RunState, calls: list[str]) -> None:
    """Nobody waits for these answers any more."""
    for call in calls:
        state.calls.pop(call, None)
    for decision in [each for each in state.decisions.values() if each.call in calls and each.call]:
        del state.decisions[decision.id]
