"""Whether an attempt ran as it was asked to: the model that answered, the mode its program was in. Pure.

What a program's stream or the meter says is evidence; what a report says of its own runtime is a claim, and counts only
where nothing else is known [I6].
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from chargehand.domain.options import RunOptions
from chargehand.domain.outcome import Report
from chargehand.domain.plan import Task

__all__ = ["asked_model", "claimed_mode", "claimed_model", "other_mode", "other_model"]

_MOST = 200


def asked_model(options: RunOptions, task: Task, agent: str) -> str:
    """The model that an agent is asked for: the task's where it is the task's own agent, else the agent's; or empty."""
    own = task.model if agent == (task.agent or options.agent) else None
    return own or next((each.model for each in options.agents if each.name == agent and each.model), "") or ""


def claimed_model(report: Report | None) -> str:
    """The model that a report names as its runtime's; empty where it names none."""
    return _claimed(report, "runtime_model_reported")


def claimed_mode(report: Report | None) -> str:
    """The mode that a report names as its runtime's; empty where it names none."""
    return _claimed(report, "runtime_mode_reported")


def _claimed(report: Report | None, key: str) -> str:
    try:
        value = json.loads(report.extra if report is not None else "{}").get(key)
    except (ValueError, AttributeError, RecursionError):
        return ""
    return " ".join(value.split())[:_MOST] if isinstance(value, str) else ""


def other_model(asked: str, used: str, who: str = "answered") -> Iterator[str]:
    """That another model answered than the one that was asked for, as a sentence; nothing where they are the same.

    Providers answer with a date behind the name, a path or their own name in front, so a name that the other one holds
    is the same. A name without a digit, such as `sonnet`, is an alias: whatever it leads to was asked for.
    """
    one, two = (name.rpartition("/")[2].partition("[")[0].casefold() for name in (asked, used))
    is_alias = not any(letter.isdigit() for letter in one)
    if two and not is_alias and one not in two and two not in one:
        yield f"The model {asked} was asked for, and {used} {who}."


def other_mode(asked: str, told: str) -> Iterator[str]:
    """That a program ran in another mode than it was started for, as a sentence; nothing where one is unknown."""
    if asked and told and asked.casefold() != told.casefold():
        yield f"The mode {asked} was asked for, and the agent ran in mode {told}."
