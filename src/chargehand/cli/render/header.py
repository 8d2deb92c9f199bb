"""What a run says before it starts: plan, base, agents, sandbox, caps, and what it will not do."""

from __future__ import annotations

from chargehand.cli.render.pen import Pen, shorten, table
from chargehand.cli.render.summary import budget_line
from chargehand.cli.render.units import count, short
from chargehand.domain.state import RunState

__all__ = ["header_lines", "reviews_missing"]

_REVIEWS = "off: this version has no reviews, so gates and evidence alone decide"


def reviews_missing(state: RunState) -> bool:
    """Whether the plan and the flags ask for reviews, which this version does not have."""
    return state.options.review and state.plan.features.code_review


def header_lines(state: RunState, pen: Pen, *, sandbox: str) -> list[str]:
    """One line a fact; `sandbox` is the announcement of the sandbox in use."""
    plan, options = state.plan, state.options
    waves = len(set(state.wave_of.values()))
    source = f" ({options.plan_file})" if options.plan_file else ""
    used = {task.agent or options.agent for task in plan.tasks}
    agents = [f"{a.name} ({shorten(a.command or a.kind, 60)})" for a in options.agents if a.name in used]
    questions = "answered with their safe default" if state.unattended else "wait for you"
    rows = [
        ("plan", f"{plan.plan}{source}: {count(len(plan.tasks), 'task')} in {count(waves, 'wave')}"),
        ("base", short(state.base) + (f", to be accepted on {options.target}" if options.target else "")),
        ("branch", state.branch),
        ("agents", f"{', '.join(agents) or options.agent}; {count(options.jobs, 'slot')}"),
        ("sandbox", sandbox),
        ("caps", budget_line(options)),
        ("questions", questions),
    ]
    rows += [("only", ", ".join(options.only))] if options.only else []
    rows += [("reviews", _REVIEWS if reviews_missing(state) else "off")]
    return [line.rstrip() for line in table(rows, Pen(colour=pen.colour))]
