"""Which agent takes a task while a provider asks to wait (SPEC 3.8: rate limits, quota, provider down).

A circuit is open until the stated reset. After that one attempt tries first; when it got through, the circuit is
closed, and until then no second one starts. Other agents go on, and the fallback of an agent takes its tasks.
"""

from __future__ import annotations

from collections.abc import Iterator

from chargehand.domain.outcome import GateStatus
from chargehand.domain.state import RunState, TaskRecord

__all__ = ["agent_for", "chain", "next_reset", "reviewer_for", "reviewers", "why_none"]


def chain(state: RunState, record: TaskRecord) -> Iterator[str]:
    """The agent of a task, then its fallback, the fallback of that, and so on; each once."""
    return _chain(state, record.task.agent or state.options.agent)


def reviewers(state: RunState, record: TaskRecord | None) -> Iterator[str]:
    """Who may look at a change, or (without a task) at the whole run: the reviewer, then its fallbacks."""
    task = record.task if record is not None else None
    own = (task.reviewer if task else None) or state.options.reviewer or (task.agent if task else None)
    return _chain(state, own or state.options.agent)


def _chain(state: RunState, first: str) -> Iterator[str]:
    fallbacks = {agent.name: agent.fallback for agent in state.options.agents}
    seen: set[str] = set()
    name: str | None = first
    while name is not None and name not in seen:
        seen.add(name)
        yield name
        name = fallbacks.get(name)


def agent_for(state: RunState, record: TaskRecord, now: float) -> str | None:
    """Who would work on the task now; None while all who could are waiting for their provider."""
    return next((name for name in chain(state, record) if _may_start(state, name, now)), None)


def reviewer_for(state: RunState, record: TaskRecord | None, now: float) -> str | None:
    """Who would look now; None while all who could are waiting for their provider."""
    return next((name for name in reviewers(state, record) if _may_start(state, name, now)), None)


def _may_start(state: RunState, agent: str, now: float) -> bool:
    until = state.circuits.get(agent)
    return until is None or (until <= now and not state.agents_live.get(agent))


def next_reset(state: RunState, now: float) -> float | None:
    """When the next provider may be asked again for which a ready task or a review waits."""
    pending = {agent: until for agent, until in state.circuits.items() if until > now}
    if not pending:
        return None
    wanted = {name for *_, task in state.ready for name in chain(state, state.tasks[task])}
    for task in state.attention:  # a reviewer, a fitter or a researcher may be due
        wanted |= {*reviewers(state, state.tasks[task]), *chain(state, state.tasks[task])}
    if _whole_may_wait(state):
        wanted |= set(reviewers(state, None))
    return min((until for agent, until in pending.items() if agent in wanted), default=None)


def _whole_may_wait(state: RunState) -> bool:
    """Whether a look at the run as a whole may be due, or a fitter for gates that belong to no task.

    Neither begins while somebody is asked.
    """
    closing = state.closing
    faulty = closing is not None and any(result.status is GateStatus.FAULT for result in closing.results)
    return not state.inflight and not state.decisions and (not state.open_tasks or faulty)


def why_none(state: RunState, record: TaskRecord, now: float) -> str:
    """Why no agent takes the task now, in words."""
    agents = [name for name in chain(state, record) if name in state.circuits]
    waits = [f"{name} for {max(0.0, state.circuits[name] - now):.0f} s more" for name in agents]
    return f"the provider asked to wait: {', '.join(waits)}"
