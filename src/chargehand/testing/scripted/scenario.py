"""Scenarios: what is wrong with one, and which steps are meant for an attempt."""

from __future__ import annotations

from .steps import BAD_SCENARIO, Quit
from .table import CONDITIONS, STEPS

TYPE_CHECKING = False
if TYPE_CHECKING:  # importing `typing` would cost a quarter of the start-up time
    from typing import Any

__all__ = ["DEFAULTS", "chosen", "problems"]

DEFAULTS: dict[str, list[Any]] = {
    "spec-reviewer": [{"verdict": "PASS"}],
    "quality-reviewer": [{"verdict": "PASS"}],
    "holistic-reviewer": [{"verdict": "PASS"}],
    "fitter": [{"restoration": {"outcome": "GREEN", "mitigation_applied": ["nothing: it is run again"]}}],
    "researcher": [{"report": {"status": "DONE", "summary": "Nothing was looked for."}}],
}
"""What those do of whom a scenario says nothing."""


def problems(scenario: Any) -> list[str]:
    """What is wrong with a scenario, each with its place."""
    if not isinstance(scenario, dict) or not isinstance(scenario.get("tasks"), dict):
        return ["the scenario must be a mapping with `tasks`"]
    found = [f"unknown key `{key}`" for key in scenario if key not in ("tasks", "scenario")]
    if scenario.get("scenario", 1) != 1:
        found.append("`scenario` must be 1, the version of this format")
    for task, entry in scenario["tasks"].items():
        found += _entry_problems(entry, f"tasks.{task}")
    return found


def _entry_problems(entry: Any, place: str) -> list[str]:
    if isinstance(entry, list):
        return [problem for index, step in enumerate(entry) for problem in _step_problems(step, f"{place}[{index}]")]
    if not isinstance(entry, dict) or len(entry) != 1 or not entry.keys() <= {"attempts", "roles"}:
        return [f"{place}: a list of steps expected, or a mapping with `attempts` or with `roles`"]
    ((by, choices),) = entry.items()
    if not isinstance(choices, dict):
        return [f"{place}.{by}: a mapping expected"]
    found = []
    for key, inner in choices.items():
        if by == "attempts" and key != "default" and not key.isdecimal():
            found.append(f"{place}.{by}: `{key}` is neither a number nor `default`")
        found += _entry_problems(inner, f"{place}.{by}.{key}")
    return found


def _step_problems(step: Any, place: str) -> list[str]:
    if isinstance(step, dict) and "if" in step:
        return _branch_problems(step, place)
    if not isinstance(step, dict) or len(step) != 1:
        return [f"{place}: a step is a mapping with one key, its kind"]
    ((name, given),) = step.items()
    kind = STEPS.get(name)
    if kind is None:
        return [f"{place}: unknown step `{name}`; there are {', '.join(sorted(STEPS))}"]
    values = given if isinstance(given, dict) and not kind.whole else {kind.short: given}
    if "" in values:
        return [f"{place}: `{name}` needs {', '.join(kind.needs)}"]
    found = [f"{place}: `{name}` needs `{key}`" for key in kind.needs if key not in values]
    found += [f"{place}: `{name}` knows no `{key}`" for key in values if key not in kind.known]
    wrong = {key: kind.known[key](value) for key, value in values.items() if key in kind.known}
    return found + [f"{place}: `{name}.{key}` must be {wanted}" for key, wanted in wrong.items() if wanted]


def _branch_problems(step: dict[str, Any], place: str) -> list[str]:
    found = [f"{place}: `if` knows `then` and `else`, not `{key}`" for key in step.keys() - {"if", "then", "else"}]
    condition = step["if"]
    if not isinstance(condition, dict) or not condition:
        found.append(f"{place}: `if` needs a mapping of {', '.join(CONDITIONS)}")
    else:
        for key, value in condition.items():
            wanted = CONDITIONS[key](value) if key in CONDITIONS else f"one of {', '.join(CONDITIONS)}"
            if wanted:
                found.append(f"{place}: `if.{key}` must be {wanted}")
    for branch in ("then", "else"):
        steps = step.get(branch, [])
        found += (
            _entry_problems(steps, f"{place}.{branch}") if isinstance(steps, list) else [f"{place}.{branch}: a list"]
        )
    return found


def chosen(scenario: dict[str, Any], task: str, attempt: int, role: str) -> list[Any]:
    """The steps for one attempt; a task under `*` stands for those not named.

    Steps that stand for no role are those of who implements and fixes: the others answer that all is well.
    """
    entry = scenario["tasks"].get(task, scenario["tasks"].get("*"))
    is_meant = role not in DEFAULTS
    while isinstance(entry, dict):
        ((by, choices),) = entry.items()
        wanted = str(attempt) if by == "attempts" else _role_in(choices, role)
        is_meant = is_meant or (by == "roles" and (wanted in choices or "default" in choices))
        entry = choices.get(wanted, choices.get("default"))
    if entry is not None and is_meant:
        return list(entry)
    if role in DEFAULTS:
        return list(DEFAULTS[role])
    if task not in scenario["tasks"] and "*" not in scenario["tasks"]:
        raise Quit(BAD_SCENARIO, f"the scenario has no entry for task `{task}`")
    raise Quit(BAD_SCENARIO, f"the scenario has nothing for task `{task}`, attempt {attempt}, role {role}")


def _role_in(choices: dict[str, Any], role: str) -> str:
    """A fixer does what the implementer does, where nothing else is said of it."""
    is_said = role in choices or "default" in choices
    return "implementer" if role == "fixer" and not is_said else role
