"""What a run says before it starts: plan, base, agents, sandbox, caps, and what it will not do."""

from __future__ import annotations

from collections.abc import Sequence

from chargehand.cli.render.pen import Pen, hang, shorten
from chargehand.cli.render.units import count, duration, short
from chargehand.cli.render.usage import UNMETERED, told_by
from chargehand.domain.options import AgentDef, RunOptions
from chargehand.domain.plan import Mode, Task
from chargehand.domain.reviewing import is_reviewed
from chargehand.domain.state import RunState

__all__ = ["header_lines"]

_NO_REVIEWS = "off: gates and evidence alone decide"
_NETWORKS = {"none": "none", "meter": "agents reach their model, and nothing else; gates and setup reach nothing"}
_LABEL = 11


def header_lines(state: RunState, pen: Pen, *, sandbox: str, uncommitted: int = 0) -> list[str]:
    """One line a fact; `sandbox` is the announcement of the sandbox in use, `uncommitted` counts changed paths."""
    plan, options = state.plan, state.options
    waves = len(set(state.wave_of.values()))
    source = f" ({options.plan_file})" if options.plan_file else ""
    used = {task.agent or options.agent for task in plan.tasks}
    working = [definition for definition in options.agents if definition.name in used]
    agents = [_agent(definition) for definition in working]
    rows = [
        ("plan", f"{plan.plan}{source}: {count(len(plan.tasks), 'task')} in {count(waves, 'wave')}"),
        ("base", f"{short(state.base)}, {_target(options)}"),
        ("branch", state.branch),
        ("agents", f"{', '.join(agents) or options.agent}; {count(options.jobs, 'slot')}"),
        ("sandbox", sandbox.removeprefix("Sandbox: ")),
        ("caps", _caps(options, [*working, *_fallbacks(options, used)])),
        ("questions", "get their safe default" if state.unattended else "wait for you"),
    ]
    rows += [("network", _NETWORKS[options.network])] if options.network in _NETWORKS else []
    rows += [("checkout", _left_out(uncommitted))] if uncommitted else []
    rows += [("only", ", ".join(options.only))] if options.only else []
    rows += [("reviews", _reviews(state) if options.review else _NO_REVIEWS)]
    lines: list[str] = []
    for label, text in rows:
        lines += hang(f"  {label.ljust(_LABEL)}", text, pen, indent=_LABEL + 2)
    return lines


def _reviews(state: RunState) -> str:
    """Who reviews, which stages, and what is left out; what the policy has none of is never asked for."""
    plan, options = state.plan, state.options
    stages = options.policy.stages
    if not stages:
        return f"none in profile {plan.profile}: gates and evidence alone decide"
    seen = [task for task in plan.tasks if is_reviewed(state, state.tasks[task.id])]
    named = dict.fromkeys(task.reviewer or options.reviewer or task.agent or options.agent for task in seen)
    by = f", by a fresh {' or '.join(named)}"
    parts = [f"{' and '.join(stages)}{by}" if seen else "none of a task"]
    parts += ["then the run as a whole"] if plan.features.holistic else []
    unseen: dict[str, list[str]] = {}
    for task in plan.tasks:
        if task not in seen:
            unseen.setdefault(_why_unseen(task), []).append(task.id)
    return "; ".join(parts + [f"not {', '.join(tasks)}: {why}" for why, tasks in unseen.items()])


def _why_unseen(task: Task) -> str:
    """Why nobody reviews the change of a task."""
    if task.reviewed is None:
        return "trivial and light"
    return "parallel, gates alone decide" if task.mode is Mode.PARALLEL else "the plan says so"


def _agent(definition: AgentDef) -> str:
    """Its name, what it is, and who takes its tasks while its provider asks to wait."""
    other = f", falls back to {definition.fallback}" if definition.fallback else ""
    return f"{definition.name} ({shorten(definition.command or definition.kind, 60)}{other})"


def _fallbacks(options: RunOptions, used: set[str]) -> list[AgentDef]:
    """The agents that work only while the provider of another asks to wait."""
    known = {definition.name: definition for definition in options.agents}
    found, waiting = [], [known[name].fallback for name in sorted(used) if name in known]
    seen = set(used)
    while waiting:
        name = waiting.pop()
        if name in known and name not in seen:
            seen.add(name)
            found.append(known[name])
            waiting.append(known[name].fallback)
    return found


def _target(options: RunOptions) -> str:
    if options.target:
        return f"to be accepted on {options.target}"
    return "and HEAD is detached: `accept` will need --target BRANCH"


def _left_out(uncommitted: int) -> str:
    verb = "is" if uncommitted == 1 else "are"
    return f"{count(uncommitted, 'uncommitted change')} in your checkout {verb} not part of the run"


def _caps(options: RunOptions, agents: Sequence[AgentDef]) -> str:
    """The bounds, and of which agents nobody counts what they use."""
    caps = options.caps
    bounds = [f"{caps.run_tokens:,} tokens"] if caps.run_tokens else []
    bounds += [f"${caps.run_usd:,.0f}"] if caps.run_usd else []
    unknown = [definition.name for definition in agents if not told_by(definition)]
    own = [definition.name for definition in agents if told_by(definition) == UNMETERED]
    told = "; ".join(
        [
            *([f"what {' and '.join(unknown)} uses is not known"] if unknown else []),
            *([f"what {' and '.join(own)} uses is what it tells itself"] if own else []),
        ]
    )
    silent = f" ({duration(caps.attempt_idle_s)} of silence)" if caps.attempt_idle_s else ""
    return (
        f"{duration(caps.attempt_wall_s)} an attempt{silent}, {caps.task_attempts} attempts a task, "
        f"{', '.join([duration(caps.run_wall_s), *bounds])} the run{f'; {told}' if told else ''}"
    )
