"""What a run is judged by, as files of the repository say it: commands, gates and whether there are reviews. Pure.

A runner's configuration says how tests are looked at (`config_rules`); this says which command looks at all. Another
command is another judge, whether it is a better one or not: only one that demands more on top is left alone, and one
where there was none, unless it does nothing.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Any

from chargehand.adapters.integrity.config_rules import is_off, items_of

__all__ = ["is_judge_file", "judge_line", "judges_changed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rules:
    """Keys by what they hold: commands, lists that say when, switches that are on unless said, lists of excuses."""

    commands: re.Pattern[str]
    points: re.Pattern[str] = re.compile(r"(?!)")
    switches: re.Pattern[str] = re.compile(r"(?!)")
    excuses: re.Pattern[str] = re.compile(r"(?!)")


def _own(prefix: str) -> _Rules:
    return _Rules(
        commands=re.compile(prefix + r"(?:commands\.(?:build|test)|gates\[.*\]\.run)"),
        points=re.compile(prefix + r"gates\[.*\]\.on"),
        switches=re.compile(prefix + r"features\.(?:code_review|holistic)"),
        excuses=re.compile(prefix + r"secrets\.allow"),
    )


_RULES = {
    "chargehand.toml": _own(""),
    "pyproject.toml": _own(r"tool\.chargehand\."),
    "fitter.toml": _Rules(commands=re.compile(r"gates\[.*\]\.invocation|defaults\.(?!fit_profile$)[\w-]+")),
    "config.toml": _Rules(
        commands=re.compile(r"(?!)"), switches=re.compile(r"features\.(?:\w+_review|\w+_checker|verifier)")
    ),
}
_FALLBACKS = re.compile(r"defaults\.gate_\w+_cmd")
_IDLE = re.compile(r"(?:(?:ba|da|z)?sh -\w{0,9}c )?(?:(?:/usr)?/bin/)?(?:true|:|exit 0|echo\b[^&|;]*)")
_CANNOT_FAIL = re.compile(r"(?:\|\||;|\n)\s*(?:(?:/usr)?(?:/bin/)?true|:|exit\s+0|echo\b[^&|;]*)\s*$|^\s*set\s+\+e\b")
_SHELL = re.compile(r"[|&;<>$`\n(){}*?]")
_HARMLESS = re.compile(r"-q+|--quiet|-v+|--verbose|-ra|-x|--strict[\w-]*|--durations=\d+|--colou?r=\w+|--no-colou?r")
_WORDS = 60


def is_judge_file(path: str) -> bool:
    """Whether a file of this name says by what a run is judged, and nothing else of interest."""
    return _rules(path) is not None and PurePosixPath(path).name != "pyproject.toml"


def _rules(path: str) -> _Rules | None:
    place = PurePosixPath(path)
    if place.name == "config.toml" and not place.parent.name.startswith("."):
        return None
    if place.name in {"chargehand.toml", "pyproject.toml"} and len(place.parts) > 1:
        return None  # settings are those of the project's root
    return _RULES.get(place.name)


def judges_changed(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, how) of each command, gate and switch that judges less in `after`, or otherwise; values by dotted keys."""
    rules = _rules(path)
    if rules is None:
        return
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if old == new and type(old) is type(new):
            continue
        if how := _how(rules, key, old, new):
            yield key, how
    lost = sorted(key for key in before if _FALLBACKS.fullmatch(key) and before[key])
    if lost and not _listed(before) and _listed(after):
        yield "gates", f"they take the place of {', '.join(lost)}"


def _listed(values: Mapping[str, Any]) -> bool:
    return any(key.startswith("gates[") for key in values)


def _how(rules: _Rules, key: str, old: Any, new: Any) -> str:
    if rules.commands.fullmatch(key):
        return _command(old, new)
    if rules.switches.fullmatch(key):
        return "is off now" if is_off(new) and not is_off(old) else ""
    if rules.points.fullmatch(key):
        less = [each for each in items_of(old) if each not in items_of(new)]
        return f"{', '.join(less)} left out" if less and new is not None else ""
    if rules.excuses.fullmatch(key):
        more = [each for each in items_of(new) if each not in items_of(old)]
        return f"{', '.join(more[:3])} added" if more else ""
    return ""


def _command(old: Any, new: Any) -> str:
    was, now = _shown(old), _shown(new)
    if not now.strip():
        return f"is left out, {was[:_WORDS]} before" if was.strip() else ""
    if was.strip() and (_is_same(old, new) or _is_more(old, new)):
        return ""
    if _IDLE.fullmatch(now.strip()):
        return f"does nothing: {now[:_WORDS]}"
    if _CANNOT_FAIL.search(now):
        return f"cannot fail: {now[:_WORDS]}"
    return f"is {now[:_WORDS]}, {was[:_WORDS]} before" if was.strip() else ""


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value))
    return "" if value is None else str(value)


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [str(each) for each in value]
    try:
        return shlex.split(str(value))
    except ValueError:
        return [str(value)]


def _is_same(old: Any, new: Any) -> bool:
    """Whether two spellings run the same, with a shell or without."""
    return not _SHELL.search(_shown(old) + _shown(new)) and _words(old) == _words(new)


def _is_more(old: Any, new: Any) -> bool:
    """Whether it is the old command with something on top that can only fail more, or says more."""
    was, now = _words(old), _words(new)
    rest = now[len(was) :]
    if type(old) is not type(new) or now[: len(was)] != was or not rest or "\n" in _shown(new):
        return False
    if all(_HARMLESS.fullmatch(word) for word in rest):
        return True
    tail = " ".join(rest)
    return isinstance(new, str) and rest[0] == "&&" and not re.search(r"[|;`]|(?<!&)&(?!&)", tail)


# -- places ---------------------------------------------------------------------------------------

_TABLE = re.compile(r"\s*\[+\s*(?P<name>[^\[\]]+?)\s*\]+\s*(?:#.*)?")
_PAIR = re.compile(r"\s*(?P<name>[\w.\"'-]+)\s*=(?P<value>.*)")


def judge_line(text: str, key: str) -> int:
    """The line of a dotted key in TOML, else of the table that it would be in, else 0."""
    listed = re.fullmatch(r"(?P<list>[\w.]+)\[(?P<id>.*)\](?:\.(?P<field>.+))?", key)
    found = _places(text)
    if listed is None:
        return found.get(key) or found.get(key.rpartition(".")[0], 0)
    start = found.get(f"{listed['list']}[{listed['id']}]", 0)
    return found.get(f"{start}.{listed['field']}", start)


@lru_cache(maxsize=1)
def _places(text: str) -> dict[str, int]:
    """Lines of dotted keys, of the tables of a list by their id, and of keys by the line of their table."""
    found: dict[str, int] = {}
    table, start = "", 0
    for number, line in enumerate(text.splitlines(), start=1):
        header, pair = _TABLE.fullmatch(line), _PAIR.match(line)
        if header is not None:
            table, start = _bare(header["name"]), number
            found.setdefault(table, number)
        elif pair is not None:
            name = _bare(pair["name"])
            found.setdefault(f"{table}.{name}" if table else name, number)
            found.setdefault(f"{start}.{name}", number)
            if name == "id":
                found.setdefault(f"{table}[{_bare(pair['value'])}]", start)
    return found


def _bare(text: str) -> str:
    return text.partition(" #")[0].strip().replace('"', "").replace("'", "")
