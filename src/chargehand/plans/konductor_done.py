"""What stands beside the plans of a Konductor phase: its settings, its state, and what was done already.

A task is complete when its summary says DONE and the reviews passed. A summary that says DONE_WITH_CONCERNS and passed
is complete, too: Konductor's own rule never lets such a task end. With `features.code_review = false` there is no
review to wait for. What a run left on a branch that nobody accepted, or staged and nobody committed, is not done: it is
not in the base.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from chargehand.domain.problem import Problem, Severity, nearest
from chargehand.plans.bounds import plain, too_long
from chargehand.plans.markdown import sections
from chargehand.plans.toml_text import parse_toml

__all__ = ["Config", "Standing", "Summary", "read_config", "read_state", "read_summary"]

_STATUS = re.compile(r"(?is)(?P<review>review[ \t]+)?status[ \t]*(?::[ \t]*(?P<said>.*))?")
_PENDING = re.compile(r"(?m)^ {0,3}Not accepted yet: branch (?P<branch>\S+), commit (?P<commit>\S+)\.")
_STAGED = re.compile(
    r"(?m)^ {0,3}Staged in the checkout of (?P<target>\S+), and not committed: branch (?P<branch>\S+), "
    r"commit (?P<commit>\S+)"
)
_COMMIT = re.compile(r"[0-9a-f]{7,64}")
_KNOWN = ("DONE", "DONE_WITH_CONCERNS", "NEEDS_CONTEXT", "BLOCKED")
_FEATURES = ("research", "plan_checker", "design_review", "code_review", "verifier")
_CONFIG: Mapping[str, Mapping[str, type]] = {
    "general": {"default_model": str},
    "execution": {"max_wave_parallelism": int},
    "git": {"auto_commit": bool, "branching_strategy": str},
    "features": dict.fromkeys(_FEATURES, bool),
    "hooks": {"test_patterns": list},
}
_STEPS = ("specced", "discussed", "designed", "planned", "executing", "executed", "complete", "shipped", "blocked")
_NAMES = {str: "text", int: "a number from 1", bool: "true or false", list: "a list of texts"}


class Standing(StrEnum):
    """How far a task was brought before."""

    OPEN = "open"
    UNREVIEWED = "unreviewed"  # said to be done, and no review passed
    PENDING = "pending"  # done on a branch that was not accepted, or staged and not committed
    BLOCKED = "blocked"
    DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """A summary of a task: what it says of itself, and its text.

    `pending` is where its work is while the base is not known to have it, `commit` the commit that is named for it, as
    far as it is a hash; `is_staged`: the change of that commit was staged in a checkout.
    """

    status: str
    review: str
    text: str
    pending: str = ""
    commit: str = ""
    is_staged: bool = False

    def standing(self, *, reviews: bool) -> Standing:
        """What it comes to, with or without `reviews`."""
        if self.status in {"NEEDS_CONTEXT", "BLOCKED"}:
            return Standing.BLOCKED
        if self.pending:
            return Standing.PENDING
        return Standing.DONE if self.review == "passed" or not reviews else Standing.UNREVIEWED


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """`config.toml` with its defaults; `stated` are the dotted keys it has."""

    jobs: int = 4
    auto_commit: bool = True
    branching: str = "none"
    code_review: bool = True
    stated: frozenset[str] = field(default_factory=frozenset)


def read_summary(text: str) -> tuple[Summary | None, list[Problem]]:
    """The summary of a text, None where it does not say a status that Konductor knows."""
    if (refused := too_long(text)) is not None:
        return None, [refused]
    found: dict[bool, tuple[str, int]] = {}
    for section in sections(plain(text)):
        head = _STATUS.fullmatch(section.title.strip())
        if section.level != 2 or head is None:
            continue
        said = (head["said"] or section.body).strip().split("\n", 1)[0].strip().strip("*`")
        is_review = head["review"] is not None
        if is_review in found:
            message = f"The summary has two {'review statuses' if is_review else 'statuses'}."
            return None, [Problem(code="duplicate_key", message=message, hint="Leave one.", line=section.line)]
        found[is_review] = (said, section.line)
    status, line = found.get(False, ("", 1))
    if status.upper() not in _KNOWN:
        message = f"The status '{status}' is unknown." if status else "The summary has no '## Status: …'."
        hint = nearest(status.upper(), _KNOWN) or f"There are: {', '.join(_KNOWN)}."
        return None, [Problem(code="unknown_status", message=message, hint=hint, line=line)]
    pending, staged = _PENDING.search(text), _STAGED.search(text)  # wherever they stand: people add lines below
    named = pending or staged
    review = found.get(True, ("", 0))[0].lower()
    summary = Summary(status=status.upper(), review=review, text=text.strip())
    if named is None:
        return summary, []
    where = f"{named['branch']} ({named['commit'][:12]})"
    where += f", staged in the checkout of {staged['target']}" if staged and not pending else ""
    commit = match[0] if (match := _COMMIT.match(named["commit"])) else ""
    return replace(summary, pending=where, commit=commit, is_staged=pending is None), []


def read_config(text: str) -> tuple[Config, list[Problem]]:
    """The settings of a text; each wrong or unknown key is a problem."""
    data, broken = parse_toml(text)
    if broken is not None:
        return Config(), [broken]
    problems = list(_check_config(data, text))
    values = {
        f"{table}.{key}": value for table, keys in data.items() if isinstance(keys, dict) for key, value in keys.items()
    }
    if any(problem.is_error for problem in problems):
        return Config(), problems
    config = Config(
        jobs=values.get("execution.max_wave_parallelism", 4),
        auto_commit=values.get("git.auto_commit", True),
        branching=values.get("git.branching_strategy", "none"),
        code_review=values.get("features.code_review", True),
        stated=frozenset(values),
    )
    return config, problems


def _check_config(data: Mapping[str, Any], text: str) -> Iterator[Problem]:
    for table, keys in data.items():
        if table not in _CONFIG:
            yield _unknown(table, text, nearest(table, _CONFIG))
        elif not isinstance(keys, dict):
            yield Problem(code="wrong_type", message=f"{table}: Expected a table.", line=_line(text, table))
        else:
            for key, value in keys.items():
                kind = _CONFIG[table].get(key)
                if kind is None:
                    yield _unknown(f"{table}.{key}", text, nearest(key, _CONFIG[table]))
                elif type(value) is not kind or (type(value) is int and value < 1):
                    message = f"{table}.{key}: Expected {_NAMES[kind]}, found {value!r}."
                    yield Problem(code="wrong_type", message=message, line=_line(text, key))


def _unknown(key: str, text: str, hint: str) -> Problem:
    message = f"The key '{key}' is unknown; it is left alone."
    line = _line(text, key.rpartition(".")[2])
    return Problem(code="unknown_key", message=message, severity=Severity.WARNING, hint=hint, line=line)


def read_state(text: str) -> tuple[str, str, list[Problem]]:
    """(phase, step) of a `state.toml`, empty where it does not say; and what is wrong with it."""
    data, broken = parse_toml(text)
    if broken is not None:
        return "", "", [broken]
    current = data.get("current", {})
    if not isinstance(current, dict):
        return "", "", [Problem(code="wrong_type", message="current: Expected a table.", line=_line(text, "current"))]
    problems = []
    for key in ("phase", "step"):
        if not isinstance(current.get(key, ""), str):
            message = f"current.{key}: Expected text, found {current[key]!r}."
            problems.append(Problem(code="wrong_type", message=message, line=_line(text, key)))
    if problems:
        return "", "", problems
    step = str(current.get("step", ""))
    if step and step not in {*_STEPS, "initialized"}:
        message = f"current.step: Expected one of {', '.join(_STEPS)}; found '{step}'."
        problems.append(
            Problem(code="unknown_status", message=message, hint=nearest(step, _STEPS), line=_line(text, "step"))
        )
    return str(current.get("phase", "")), step, problems


def _line(text: str, key: str) -> int:
    found = re.search(rf"""(?m)^[ \t]*\[?[ \t]*["']?{re.escape(key)}["']?[ \t]*[\]=.]""", text)
    return 1 + text.count("\n", 0, found.start()) if found else 1
