"""What the keys of configuration mean: thresholds, lists, switches, commands (SPEC 3.7, item 4). Pure."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["BY_FILE", "LAX", "STRICT", "is_off", "is_on", "items_of", "judge", "judge_lines", "severity_of"]

_LEAST = re.compile(
    r"(?:fail[_-]under|coverageThreshold\b.*|thresholds\b.*|check-coverage|lines|branches|functions|statements"
    r"|min[_-]?(?:coverage|score)|minimum[_-]coverage|coverage\.status\b.*\.target)$"
)
_MOST = re.compile(r"(?:max[_-](?!line)[\w-]+|maxWarnings|maxDiffPercent|\.threshold)$")
_EXCUSES = frozenset(
    {
        *(
            "ignore",
            "extend-ignore",
            "extend_ignore",
            "per-file-ignores",
            "extend-per-file-ignores",
            "per_file_ignores",
        ),
        *(
            "omit",
            "exclude",
            "extend-exclude",
            "extend_exclude",
            "exclude_lines",
            "exclude_also",
            "disable",
            "disabled",
        ),
        *("norecursedirs", "coveragePathIgnorePatterns", "testPathIgnorePatterns", "modulePathIgnorePatterns"),
        *(
            "ignorePatterns",
            "ignores",
            "deselect",
            "unfixable_never",
            "skips",
            "disable_error_code",
            "partial_branches",
        ),
        *(
            "ignored-modules",
            "ignored-classes",
            "allowed-confusables",
            "exclude_dirs",
            "collect_ignore",
            "filterwarnings",
        ),
    }
)
_SELECTS = frozenset(
    {
        *("select", "extend-select", "extend_select", "enable", "testpaths", "python_files", "python_classes"),
        *(
            "python_functions",
            "testMatch",
            "testRegex",
            "enable_error_code",
            "source",
            "source_pkgs",
            "projects",
            "roots",
        ),
        *("files", "include", "collectCoverageFrom", "required_plugins"),
    }
)
STRICT = re.compile(
    r"(?:strict\w*|\w*_strict|disallow_\w+|warn_(?!about_)\w+|check_untyped_defs|no_implicit_\w+|no_implicit\w+|noImplicit\w+"
    r"|noUnused\w+|noFallthrough\w+|noUnchecked\w+|alwaysStrict|exactOptional\w+|use\w+InCatchVariables|branch"
    r"|forbidOnly|errorOnDeprecated|collectCoverage|check-coverage)$"
)
LAX = re.compile(
    r"(?:ignore_errors|ignore_missing_imports|skipLibCheck|passWithNoTests|continue-on-error|allow_failure|dangerouslyIgnore\w+"
    r"|allow_untyped_\w+|allow_redefinition|implicit_optional|suppress\w+Errors|exit-zero|allowOnly)$"
)
_TESTING = re.compile(r"(?:^|\.)scripts\.[^.]*(?:test|lint|check|type|ci|cov|verify|spec)[^.]*$")
_OPTIONS = re.compile(r"(?:addopts|args|commands?|script|run)$")
_CANNOT_FAIL = re.compile(
    r"\|\|\s*(?:true|:|exit\s+0|echo\b|/bin/true)|;\s*(?:true|:|exit\s+0)\s*(?:$|[\"';#])|^\s*set\s+\+e\b|--exit-zero\b"
    r"|--passWithNoTests\b|--pass-with-no-tests\b|--suppress-no-test-exit-code\b|--no-error-on-unmatched-pattern\b|--no-fail\b"
    r"|\bcontinue-on-error:\s*true\b|\ballow_failure:\s*true\b|\bignore_errors\s*=\s*true\b|\bignore_outcome\s*=\s*true\b",
    re.IGNORECASE,
)
_TESTS = re.compile(
    r"\b(?:test|pytest|tox|nox|jest|vitest|mocha|coverage|lint|ruff|mypy|eslint|tsc|check|go vet|clippy)\w*\b"
)
_EMPTY = re.compile(r"^(?:echo\b[^&|;]*|true|:|exit 0|)$")
_DESELECTS = (
    "-k",
    "-m",
    "--deselect",
    "--ignore",
    "--ignore-glob",
    "--co",
    "--collect-only",
    "--no-cov",
    "--testPathIgnorePatterns",
)
_DEMANDS = (
    "--strict-markers",
    "--strict-config",
    "--strict",
    "-W=error",
    "--cov",
    "--coverage",
    "--forbid-only",
    "--error-for-skips",
)
_SEVERITY = {"error": 2, "warn": 1, "off": 0, 2: 2, 1: 1, 0: 0, "2": 2, "1": 1, "0": 0}


def judge(before: Mapping[str, Any], after: Mapping[str, Any], *, sections: bool) -> Iterator[tuple[str, str]]:
    """(key, how) of what is looser in `after`.

    With `sections` the first part of a key names a tool, and the first settings of a tool are no loosening of it.
    """
    known = {_tool(key) for key in before} if sections else set()
    for key in sorted({*before, *after}):
        old, new = before.get(key), after.get(key)
        if (old == new and type(old) is type(new)) or (sections and not _OF_TESTS.match(key)):
            continue
        how = _how(key, old, new, fresh=sections and _tool(key) not in known)
        if how:
            yield key, how


_OF_TESTS = re.compile(
    r"(?:tool[.:])?(?:pytest|coverage|ruff|mypy|pylint|pyright|basedpyright|flake8|tox|nox|bandit|hatch\.envs|pdm\.scripts|poe"
    r"|taskipy|interrogate|pydocstyle|ty|jest|eslintConfig|scripts|nyc|c8|mocha|vitest|ava|run|report|testenv|MASTER|MAIN"
    r"|MESSAGES|DESIGN|FORMAT|BASIC|profile|lint|select|ignore|extend|per-file|lib)"
)


def _tool(key: str) -> str:
    parts = re.split(r"[.\[:-]", key)
    return ".".join(parts[:2]) if parts[0] == "tool" else parts[0]


def _how(key: str, old: Any, new: Any, *, fresh: bool) -> str:
    parts = re.split(r"[.\[\]]+", key.rstrip("]"))
    last = parts[-1]
    if _TESTING.search(key):
        return _command(old, new)
    if _OPTIONS.search(last):
        return _options(_words(old), _words(new)) or ("" if old is None else _command(old, new, empty=False))
    if last in _COLLECTED:
        old = _COLLECTED[last] if old is None else old
    elif fresh:
        return ""
    if "rules" in parts[:-1]:
        return _rule(last, old, new)
    if last == "filterwarnings":
        return _warnings(items_of(old), items_of(new))
    if last in _EXCUSES or set(parts) & BY_FILE:
        more = [each for each in items_of(new) if each not in items_of(old)]
        return f"{', '.join(more[:3])} added" if more else ""
    if last in _SELECTS:
        less = [each for each in items_of(old) if each not in items_of(new)]
        return f"{', '.join(less[:3])} left out" if less and new is not None else ""
    return _switch(key, last, old, new) or _threshold(key, last, old, new)


_COLLECTED = {"python_files": "test_*.py", "python_functions": "test", "python_classes": "Test"}
"""What pytest takes for tests where nothing is said."""

BY_FILE = frozenset({"per-file-ignores", "extend-per-file-ignores", "per_file_ignores"})


def _warnings(old: list[str], new: list[str]) -> str:
    lost = [each for each in old if each.startswith("error") and each not in new]
    more = [each for each in new if each.startswith(("ignore", "default", "once")) and each not in old and old]
    return f"{lost[0]} is gone" if lost else f"{more[0]} added" if more else ""


def _switch(key: str, last: str, old: Any, new: Any) -> str:
    if STRICT.fullmatch(last) and is_on(old) and not is_on(new):
        return "switched off"
    if STRICT.fullmatch(last) and old is None and is_off(new):
        return "switched off"
    if last == "ignore_missing_imports" and ("overrides" in key or re.match(r"mypy-", key)):
        return ""  # of one library without types
    if LAX.fullmatch(last) and is_on(new) and not is_on(old):
        return "switched on"
    if last == "follow_imports" and str(new) in {"skip", "silent"}:
        return f"is {new}"
    if last == "typeCheckingMode" and str(new) in {"off", "basic"} and str(old) in {"strict", "standard"}:
        return f"is {new}, {old} before"
    return ""


def _threshold(key: str, last: str, old: Any, new: Any) -> str:
    was, now = _number(old), _number(new)
    if was is not None and _LEAST.search(key) and (now is None or now < was):
        return f"is {'gone' if now is None else f'{now:g}'}, {was:g} before"
    if was is not None and _MOST.search(last) and (now is None or now > was):
        return f"is {'gone' if now is None else f'{now:g}'}, {was:g} before"
    return ""


def _rule(name: str, old: Any, new: Any) -> str:
    was, now = severity_of(old), severity_of(new)
    if name.startswith("max-") and isinstance(old, list) and isinstance(new, list) and len(old) > 1 < len(new):
        limit, other = _number(old[1]), _number(new[1])
        if limit is not None and other is not None and other > limit:
            return f"is {other:g}, {limit:g} before"
    if now == 0 and was is None:
        return "switched off"
    if was is not None and now is not None and now < was:
        return f"is {('off', 'a warning')[now]} now"
    return "is gone" if was and new is None else ""


def severity_of(value: Any) -> int | None:
    """2 for an error, 1 for a warning, 0 for off; None for anything else."""
    if isinstance(value, list) and value:
        value = value[0]
    return _SEVERITY.get(value) if isinstance(value, str | int | float) else None


def _command(old: Any, new: Any, *, empty: bool = True) -> str:
    was, now = " ".join(_words(old)), " ".join(_words(new))
    if was and _CANNOT_FAIL.search(now) and not _CANNOT_FAIL.search(was):
        return f"cannot fail: {now[:80]}"
    if empty and was and not _EMPTY.match(was.strip()) and _EMPTY.match(now.strip()):
        return f"does nothing: {now[:80]}" if now.strip() else "is gone"
    return _options(_words(old), _words(new)) if was else ""


def _options(old: list[str], new: list[str]) -> str:
    """Options of a runner that leave tests out, or that demanded something and are gone."""
    was, now = Counter(_paired(old)), Counter(_paired(new))
    for option in now - was:
        name, _, value = option.partition("=")
        if name in _DESELECTS and not (
            name == "-m" and re.fullmatch(r"[a-z]+(?:\.\w+)*", value) and "python" in " ".join(new)
        ):
            return f"{option} added"
    lost = [
        option
        for option in was - now
        if option in _DEMANDS or option.partition("=")[0] in {"-W", "--cov-fail-under", "--max-warnings"}
    ]
    for option in lost:
        name, _, value = option.partition("=")
        other = next((each.partition("=")[2] for each in now if each.partition("=")[0] == name), None)
        before, after = _number(value), _number(other)
        if name == "--max-warnings":
            if before is not None and (after is None or after > before):
                return f"{name} is {other or 'gone'}, {value} before"
        elif (before is None or after is None or after < before) and (other is None or before is not None):
            return f"{option} is {f'{other} now' if other else 'gone'}"
    return ""


def _paired(words: list[str]) -> Iterator[str]:
    """Options with their values as `option=value`."""
    index = 0
    while index < len(words):
        word = words[index]
        takes = word in {
            "-k",
            "-m",
            "--deselect",
            "--ignore",
            "--ignore-glob",
            "-W",
            "--cov-fail-under",
            "--max-warnings",
        }
        if takes and index + 1 < len(words):
            yield f"{word}={words[index + 1]}"
            index += 1
        elif word.startswith(("-k", "-W")) and not word.startswith("--") and len(word) > 2:
            yield f"{word[:2]}={word[2:].lstrip('=')}"
        else:
            yield word
        index += 1


_RUNNERS = re.compile(
    r"\b(?:pytest|unittest|tox|nox|jest|vitest|mocha|(?:npm|yarn|pnpm)(?: run)? test"
    r"|(?:go|cargo|mvn|gradle\w*) \w*test)\b"
)


def judge_lines(old: str, new: str, *, build: bool) -> Iterator[str]:
    """Lines of a build that can no longer fail or leave tests out, and a build that no longer runs any."""
    was = Counter(line.strip() for line in old.splitlines())
    tested = any(_TESTS.search(line) for line in old.splitlines())
    for line in new.splitlines():
        stripped = line.strip()
        if stripped.startswith("#") or was[stripped] or not old:
            continue
        if _is_careless(line, tested=tested):
            yield f"{stripped[:80]}: cannot fail"
        elif _RUNNERS.search(line) and _RUNNERS.search(old):
            more = [word for word in _words(stripped) if word.partition("=")[0] in _LEFT_OUT and word not in old]
            if more:
                yield f"{stripped[:80]}: {more[0]} added"
    if build and _RUNNERS.search(old) and new and not _RUNNERS.search(new):
        yield "it runs no tests any more"


def _is_careless(line: str, *, tested: bool) -> bool:
    """Whether a line lets tests fail unheard; one of its own (`continue-on-error`) only where there are tests."""
    if _IGNORED.search(line):
        return _TESTS.search(line) is not None
    if not _CANNOT_FAIL.search(line):
        return False
    alone = tested and re.search(r"continue-on-error|allow_failure|set \+e", line) is not None
    return alone or _TESTS.search(line.partition("||")[0]) is not None


_IGNORED = re.compile(r"^\t@?-|(?:^|=)\s*-\s*(?:pytest|coverage|python -m)\b")
_LEFT_OUT = frozenset({"-k", "--deselect", "--ignore", "--ignore-glob", "--collect-only"})


# -- values ---------------------------------------------------------------------------------------


def _words(value: Any) -> list[str]:
    if isinstance(value, list):
        return [
            word for item in value for word in (_words(item) if isinstance(item, str) and " " in item else [str(item)])
        ]
    if not isinstance(value, str):
        return []
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()


def items_of(value: Any) -> list[str]:
    """The members of a list, or of a text that lists them."""
    if isinstance(value, list):
        return [str(item) for item in value]
    if not isinstance(value, str):
        return [] if value is None else [str(value)]
    items = [item.partition(" #")[0].strip() for item in re.split(r"[\n,]+", value)]
    if len(items) == 1 and re.fullmatch(r"[\w*./ -]+", items[0]):
        items = items[0].split()
    return [item for item in items if item]


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        return float(str(value).rstrip("%"))
    except ValueError:
        return None


def is_on(value: Any) -> bool:
    """Whether it says yes."""
    return value is True or str(value).lower() in {"true", "1", "yes", "on"}


def is_off(value: Any) -> bool:
    """Whether it says no."""
    return value is False or str(value).lower() in {"false", "0", "no", "off"}
