"""Whether a change of configuration lets tests, coverage, types or lint pass more easily (SPEC 3.7, item 4).

Every format becomes the same thing: values by their path of keys. What a key means is told by its last words, so that
one rule serves pytest, coverage, jest, vitest, eslint, TypeScript, ruff, mypy and their like.
"""

from __future__ import annotations

import configparser
import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import PurePosixPath
from typing import Any

import yaml

from chargehand.adapters.integrity.checker_rules import is_checker_config, is_exception, silences
from chargehand.adapters.integrity.config_rules import BY_FILE, judge, judge_lines
from chargehand.adapters.integrity.judge_rules import is_judge_file, judge_line, judges_changed
from chargehand.domain.silencing import Silenced, SilencedBy
from chargehand.domain.test_changes import TestChange, TestChangeKind

__all__ = ["is_checker_config", "is_config", "loosened", "silenced"]

_SCRIPT_CHARS = 100_000
_MOST = 200
_TOML = re.compile(r"(?:pyproject|\.?ruff|\.?pytest|\.coveragerc|mypy|\.?clippy)\.toml")
_INI = re.compile(
    r"setup\.cfg|tox\.ini|\.?pytest\.ini|\.coveragerc|\.?mypy\.ini|\.flake8|\.pylintrc|pylintrc|\.?bandit"
)
_JSON = re.compile(
    r"package\.json|(?:ts|js)config(?:\.[\w.-]+)?\.json|jest\.config\.json|\.eslintrc(?:\.json)?|\.nycrc(?:\.json)?"
    r"|\.c8rc(?:\.json)?|biome\.jsonc?|\.mocharc(?:\.json)?|pyrightconfig\.json|\.swcrc|deno\.jsonc?"
)
_YAML = re.compile(r"\.eslintrc\.ya?ml|\.mocharc\.ya?ml|\.?codecov\.ya?ml|\.golangci\.ya?ml|\.rubocop\.ya?ml")
_SCRIPT = re.compile(
    r"(?:jest|vitest|vite|eslint|playwright|karma|cypress|wdio|ava|\.eslintrc|\.mocharc|nyc|\.nycrc|vitest\.workspace)"
    r"(?:\.config)?(?:\.[\w-]+)?\.[cm]?[jt]s"
)
_LINES = re.compile(
    r"(?:GNU)?[Mm]akefile|[Jj]ustfile|\.justfile|noxfile\.py|Rakefile|Taskfile\.ya?ml|Jenkinsfile|.*\.mk"
)


def is_config(path: str) -> bool:
    """Whether a file of this name says how tests, coverage, types or lint are judged."""
    return _kind(path) != ""


def _kind(path: str) -> str:
    name = PurePosixPath(path).name
    if re.search(r"(?:^|/)\.(?:github/(?:workflows|actions)|circleci|buildkite)/.*\.ya?ml$", f"/{path}"):
        return "lines"
    if is_judge_file(path):
        return "judge"
    kinds = (("toml", _TOML), ("ini", _INI), ("json", _JSON), ("yaml", _YAML), ("script", _SCRIPT), ("lines", _LINES))
    return next((kind for kind, pattern in kinds if pattern.fullmatch(name)), "")


def loosened(path: str, old: str | None, new: str | None) -> Iterator[TestChange]:
    """Where a changed file of configuration demands less than before; a file that is new demands what it likes."""
    if old is None and new is None:
        return
    kind = _kind(path)
    before, after = _values(kind, path, old or ""), _values(kind, path, new or "")
    found: list[tuple[str, str]] = []
    judged = judges_changed(path, before or {}, after or {}) if after is not None else iter(())
    for key, how in islice(judged, _MOST):
        detail = f"{key}: {how}"
        yield TestChange(path=path, kind=TestChangeKind.LOOSENED, detail=detail, line=judge_line(new or "", key))
    if kind != "judge" and before is not None and after is not None:
        sections = kind in {"toml", "ini"} or PurePosixPath(path).name == "package.json"
        if old is not None or PurePosixPath(path).name in {"pytest.ini", ".pytest.ini", "pytest.toml", "setup.cfg"}:
            found += judge(before, after, sections=sections)
    for key, how in dict.fromkeys(found):
        fresh = (each for each in after or {} if each not in (before or {}))
        if how == "is gone" and any(each.endswith(f"].{key}") for each in fresh):
            continue  # it is told as what became of it: off for some files
        kind_of = TestChangeKind.EXCUSED if is_exception(key, how, after or {}) else TestChangeKind.LOOSENED
        yield TestChange(path=path, kind=kind_of, detail=f"{key}: {how}", line=_place(new or "", key))
    if kind in {"lines", "ini"}:
        for detail in dict.fromkeys(judge_lines(old or "", new or "", build=kind == "lines")):
            word = detail.partition(":")[0].partition(" ")[0].rpartition(".")[2].partition("[")[0]
            yield TestChange(path=path, kind=TestChangeKind.LOOSENED, detail=detail, line=_line(new or "", word))


def silenced(path: str, old: str | None, new: str | None) -> Iterator[Silenced]:
    """Where a changed file of configuration silences lint or types, and `loosened` does not mind.

    That is in the first settings of a tool, in a file that is new, and for libraries without types.
    """
    if new is None or not is_checker_config(path):
        return
    kind = _kind(path)
    before, after = _values(kind, path, old or ""), _values(kind, path, new)
    told = {change.detail for change in loosened(path, old, new)}
    for key, how in silences(path, before or {}, after or {}):
        if f"{key}: {how}" not in told:
            by = SilencedBy.EXCEPTION if is_exception(key, how, after or {}) else SilencedBy.SETTING
            yield Silenced(path=path, by=by, detail=f"{key}: {how}", line=_place(new, key))


def _place(text: str, key: str) -> int:
    """Where a key stands in the new file, or the pattern of files that it is about; 0 where it does not."""
    pattern = next((found for mark in sorted(BY_FILE) if (found := key.partition(f"{mark}.")[2])), "")
    return _line(text, pattern or key.rpartition(".")[2].partition("[")[0])


def _line(text: str, word: str) -> int:
    found = re.search(rf"(?m)^.*(?<![\w-]){re.escape(word)}(?![\w-])", text) if word else None
    return text.count("\n", 0, found.end()) + 1 if found else 0


def _values(kind: str, path: str, text: str) -> dict[str, Any] | None:
    """Values by their dotted keys; None where the file cannot be read."""
    try:
        return dict(_flat(_tree(kind, path, text), ""))
    except (ValueError, TypeError, AttributeError, RecursionError, MemoryError, TimeoutError):
        return None
    except (configparser.Error, yaml.YAMLError):
        return None


def _tree(kind: str, path: str, text: str) -> Any:
    if not text.strip():
        return {}
    if kind in {"toml", "judge"}:
        return tomllib.loads(text)
    if kind == "ini":
        parser = configparser.RawConfigParser(strict=False, allow_no_value=True, interpolation=None)
        parser.read_string(text)
        return {section: dict(parser[section]) for section in parser.sections()}
    if kind == "json":
        return json.loads(_without_comments(text))
    if kind == "yaml":
        return yaml.load(text, Loader=yaml.CSafeLoader) if "&" not in text and len(text) < 200_000 else {}
    if kind == "script" and len(text) < _SCRIPT_CHARS:
        from chargehand.adapters.integrity.script_configs import script_values

        return script_values(path, text)
    return {}


def _without_comments(text: str) -> str:
    """JSON as these tools take it: comments and a last comma are no errors."""
    text = re.sub(r'("(?:[^"\\]|\\.)*")|//[^\n]*|/\*.*?\*/', lambda found: found.group(1) or "", text, flags=re.DOTALL)
    return re.sub(r'("(?:[^"\\]|\\.)*")|,(?=\s*[}\]])', lambda found: found.group(1) or "", text)


def _flat(value: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Scalars and lists of scalars by their dotted keys."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        for number, item in enumerate(value):
            name = next(
                (str(item[key]) for key in ("module", "id", "name") if isinstance(item, Mapping) and key in item),
                number,
            )
            yield from _flat(item, f"{prefix}[{name}]")
    else:
        yield prefix, value
