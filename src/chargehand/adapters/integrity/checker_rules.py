"""What keys of configuration silence lint and type checks, for everything or for some files only. Pure.

`config_rules` asks whether something demands less than before, and leaves the first settings of a tool alone. Here
those count as well: a rule that is switched off is switched off, whether it ever was on or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

from chargehand.adapters.integrity.config_rules import BY_FILE, LAX, STRICT, is_off, is_on, items_of, severity_of

__all__ = ["is_checker_config", "is_exception", "silences"]

_OWN = re.compile(
    r"\.?ruff\.toml|\.?mypy\.(?:ini|toml)|\.flake8|\.?pylintrc|\.?bandit|(?:ts|js)config(?:\.[\w.-]+)?\.json"
    r"|\.eslintrc(?:\.\w+)?|eslint\.config\.\w+|biome\.jsonc?|pyrightconfig\.json|\.golangci\.ya?ml|\.rubocop\.ya?ml"
)
_SHARED = frozenset({"pyproject.toml", "setup.cfg", "tox.ini", "package.json"})
_SECTIONS = re.compile(
    r"(?:tool\.)?(?:ruff|mypy|pylint|(?:based)?pyright|flake8|bandit|pydocstyle|pycodestyle|ty|eslintConfig)(?![\w])"
)
_IGNORES = frozenset(
    {"ignore", "extend-ignore", "extend_ignore", "disable", "disabled", "disable_error_code", "skips", *BY_FILE}
)
_REPORTS = re.compile(r"report[A-Z]\w+")
_EVERYTHING = re.compile(r"[*./]*(?:\*\.(?:pyi?|[cm]?[jt]sx?|\{[\w,]+\}))?")


def is_checker_config(path: str) -> bool:
    """Whether a file of this name may say what linters and type checkers look at."""
    name = PurePosixPath(path).name
    return name in _SHARED or _OWN.fullmatch(name) is not None


def silences(path: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(key, how) of what `after` switches off and `before` did not; values by their dotted keys."""
    shared = PurePosixPath(path).name in _SHARED
    for key, new in sorted(after.items()):
        old = before.get(key)
        if (old == new and type(old) is type(new)) or (shared and not _SECTIONS.match(key)):
            continue
        if how := _how(key, old, new):
            yield key, how


def _how(key: str, old: Any, new: Any) -> str:
    parts = re.split(r"[.\[\]]+", key.rstrip("]"))
    last = parts[-1]
    if last in _IGNORES or set(parts) & BY_FILE:
        more = [each for each in items_of(new) if each not in items_of(old)]
        return f"{', '.join(more[:3])} added" if more else ""
    if "rules" in parts[:-1]:
        return "switched off" if severity_of(new) == 0 != severity_of(old) else ""
    if STRICT.fullmatch(last) or _REPORTS.fullmatch(last):
        return "switched off" if _is_none(new) and not _is_none(old) else ""
    if LAX.fullmatch(last) and last != "skipLibCheck":
        return "switched on" if is_on(new) and not is_on(old) else ""
    if last == "follow_imports":
        return f"is {new}" if str(new) in {"skip", "silent"} else ""
    return f"is {new}" if last == "typeCheckingMode" and str(new) in {"off", "basic"} else ""


def _is_none(value: Any) -> bool:
    return is_off(value) or value == "none"


def is_exception(key: str, how: str, values: Mapping[str, Any]) -> bool:
    """Whether a key is about some files or modules only, and not about a pattern for all; `values`: all of its file."""
    for mark in sorted(BY_FILE):
        _, found, pattern = key.partition(mark)
        if found:
            pattern = pattern.lstrip(".") or how.partition(":")[0]
            return not _is_everything(pattern)
    place = re.match(r"(?P<list>.*\b(?:overrides|executionEnvironments|exclude-rules)\[(?P<name>.*)\])(?=\.|$)", key)
    if place is not None:
        files = next(
            (values[each] for end in ("files", "includes", "include") if (each := f"{place['list']}.{end}") in values),
            None,
        )
        named = items_of(files) if files is not None else re.findall(r"[^\s,'\"\[\]]+", place["name"])
        return not any(_is_everything(each) for each in named)
    module = re.match(r"mypy-(?P<name>.+)\.\w+$", key)
    return module is not None and not any(_is_everything(each) for each in module["name"].split(","))


def _is_everything(pattern: str) -> bool:
    return _EVERYTHING.fullmatch(pattern.strip()) is not None
