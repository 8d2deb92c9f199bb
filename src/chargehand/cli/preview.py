"""What a run that is about to start would do, before anybody says yes to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chargehand.cli.render.pen import Pen, hang, shorten
from chargehand.cli.render.units import count, short
from chargehand.plans.detect import READERS

if TYPE_CHECKING:
    from chargehand.domain.events import RunStarted
    from chargehand.plans.loaded import LoadedPlan
    from chargehand.wiring.unaccepted import Unaccepted

__all__ = ["again_lines", "preview_lines", "taken_lines"]

_MOST_TASKS = 20
_MOST_IDS = 8


def taken_lines(loaded: LoadedPlan, profile: str, pen: Pen) -> list[str]:
    """Which plan was found where none was named, how it is run, and why."""
    reader = next((each for each in READERS if each.name == loaded.reader), None)
    why = f": read as {reader.name}, for {reader.wants}" if reader is not None else ""
    return hang("", f"taking {loaded.source} (profile {profile}{why})", pen)


def preview_lines(event: RunStarted, pen: Pen) -> list[str]:
    """The tasks with their titles, not more than fit a screen, who works on them, and where it goes."""
    plan, options = event.plan, event.options
    wide = max((len(task.id) for task in plan.tasks[:_MOST_TASKS]), default=0)
    lines = []
    for task in plan.tasks[:_MOST_TASKS]:
        lines += hang(f"  {task.id.ljust(wide)}  ", shorten(task.title, 100), pen, indent=wide + 4)
    if len(plan.tasks) > _MOST_TASKS:
        lines.append(f"  … and {count(len(plan.tasks) - _MOST_TASKS, 'more task')}")
    known = {agent.name: shorten(agent.command or agent.kind, 60) for agent in options.agents}
    names = dict.fromkeys(task.agent or options.agent for task in plan.tasks)
    agents = ", ".join(f"{name} ({known[name]})" if name in known else name for name in names)
    target = f"to be accepted on {options.target}" if options.target else "HEAD is detached"
    rows = [("agent", agents), ("branch", f"{event.branch}, from {short(event.base)}; {target}")]
    rows += [("only", f"{', '.join(options.only)}, and what they need")] if options.only else []
    for label, text in rows:
        lines += hang(f"{label.ljust(6)}  ", text, pen, indent=8)
    return lines


def again_lines(again: Unaccepted, pen: Pen) -> list[str]:
    """That a finished run has done some of it, and how its work is kept."""
    more = len(again.tasks) - _MOST_IDS
    names = ", ".join(again.tasks[:_MOST_IDS]) + (f" and {more} more" if more > 0 else "")
    text = (
        f"{count(len(again.tasks), 'task')} will be done again: run {again.run} has finished, and nobody accepted it "
        f"({names} on {again.branch}). To keep its work, leave this and run `{pen.step(f'accept {again.run}')}`."
    )
    return hang(f"{pen.draw('warning', 'ask')}: ", text, pen)
