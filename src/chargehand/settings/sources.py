"""Reads the sources of settings, one after the other, and keeps what each says with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chargehand.domain.errors import UserError
from chargehand.domain.problem import Problem, Severity, nearest
from chargehand.domain.suspicion import secret_in
from chargehand.domain.variables import is_private
from chargehand.plans.native import read_text
from chargehand.plans.toml_text import TomlRefusedError, load_toml
from chargehand.settings.lines import line_of, toml_lines
from chargehand.settings.options import (
    CONTRACT_VARIABLES,
    OPTIONS,
    KeyPath,
    Option,
    Refused,
    adapt,
    option_for,
    parse_text,
    split_key,
)
from chargehand.settings.values import Rank, Value

__all__ = ["Gathered", "gather", "project_file", "user_file"]

_NAMES_AN_AGENT = frozenset({"agent", "reviewer"})
_SECRET_NAME = re.compile(r"(?i)(?:^|_)(?:key|token|secret|password|passwd|credentials?)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Source:
    """Where values come from: a file with its lines, or something that has a name."""

    name: str
    rank: Rank
    file: str | None = None
    table: KeyPath = ()
    lines: Mapping[tuple[str | int, ...], int] = field(default_factory=dict)

    def line(self, path: tuple[str | int, ...]) -> int | None:
        return line_of(self.lines, (*self.table, *path))

    def place(self, path: KeyPath) -> str:
        line = self.line(path) or self.line((*path, 0))
        return f"{self.name}:{line}" if line else self.name

    def problem(self, code: str, message: str, hint: str, path: tuple[str | int, ...]) -> Problem:
        text = message if self.file else f"{self.name}: {message}"
        return Problem(code=code, message=text, hint=hint, file=self.file, line=self.line(path), path=path)


@dataclass(slots=True, kw_only=True)
class Gathered:
    """What the sources said so far: the strongest value of each key, and what was wrong.

    `before` has what was said of the keys that the project's file says, too, by weaker sources.
    """

    values: dict[str, Value] = field(default_factory=dict)
    before: dict[str, Value] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)

    def take(self, path: KeyPath, raw: Any, source: _Source) -> None:
        """Note one value, or what is wrong with it."""
        key = ".".join(path)
        option = option_for(path)
        if option is None:
            names = [
                known.key.replace("*", path[1]) if path[0] == "agents" and path[1:] else known.key for known in OPTIONS
            ]
            hint = nearest(key, names) or "'chargehand config' shows the keys there are."
            self.problems.append(source.problem("unknown_key", f"The setting '{key}' is unknown.", hint, path))
            return
        try:
            _refuse_table(key, raw)
            value = adapt(option, raw)
            _refuse_nul(raw)
            _refuse_name(path)
            _refuse_secret(path, value)
        except Refused as no:
            inner = path + no.path[len(path) :] if no.path[: len(path)] == path else path
            message = no.message if option.key == "gates" else f"{key}: {no.message}"
            self.problems.append(source.problem("bad_setting", message, no.hint, inner))
            return
        if source.rank is Rank.PROJECT and key in self.values:
            self.before[key] = self.values[key]
        self.values[key] = Value(key=key, value=value, shown=_shown(raw), source=source.place(path), rank=source.rank)


def _refuse_table(key: str, raw: Any) -> None:
    """`[agent.claude]` names one agent where the name of the default one is expected."""
    if key in _NAMES_AN_AGENT and isinstance(raw, dict):
        names = [name for name, part in raw.items() if isinstance(part, dict)]
        meant = f"agents.{names[0] if names else 'NAME'}"
        raise Refused("It is the name of an agent, not a table.", f"Did you mean [{meant}]?", (key, *names[:1]))


def _refuse_nul(raw: Any) -> None:
    texts = raw if isinstance(raw, list) else [raw]
    if any(isinstance(text, str) and "\0" in text for text in texts):
        raise Refused("It contains a NUL, which no program can be given.", "Remove it.")


def _refuse_name(path: KeyPath) -> None:
    if path[:2] == ("env", "set"):
        names = option_for(("env", "pass"))
        assert names is not None
        adapt(names, [path[2]])
        if is_private(path[2]):
            text = "Every attempt and every check has a folder of its own for it, so it cannot be set."
            raise Refused(text, "Take it out.")


def _refuse_secret(path: KeyPath, value: Any) -> None:
    texts = value if isinstance(value, list) else [value]
    if path[0] == "agents" and any(isinstance(text, str) and secret_in(text) for text in texts):
        hint = 'Agents find their keys in the environment: key = "env:NAME", or env.pass = ["NAME"].'
        raise Refused("It looks like a secret.", hint)
    if path[:2] != ("env", "set"):
        return
    opaque = len(value) >= 16 and not re.search(r"[\s/]", value) and _SECRET_NAME.search(path[2])
    if secret_in(value) or opaque:
        raise Refused("It looks like a secret.", f"Set {path[2]} in your environment and add it to env.pass.")


def _shown(raw: Any) -> str:
    if isinstance(raw, bool):
        return "true" if raw else "false"
    if isinstance(raw, list):
        names = [str(part.get("id", "?")) if isinstance(part, dict) else str(part) for part in raw]
        return f"[{', '.join(names)}]"
    return str(raw)


# -- files ----------------------------------------------------------------------------------------


def user_file(env: Mapping[str, str]) -> Path | None:
    """The user's file: `chargehand/config.toml` in the XDG configuration directory; None without a HOME."""
    base = env.get("XDG_CONFIG_HOME", "")
    if Path(base).is_absolute():
        return Path(base) / "chargehand" / "config.toml"
    home = env.get("HOME", "")
    return Path(home) / ".config" / "chargehand" / "config.toml" if home else None


def project_file(root: Path) -> tuple[Path, KeyPath] | None:
    """The project's file and the table in it that is ours; `UserError` when there are two."""
    own, shared = root / "chargehand.toml", root / "pyproject.toml"
    in_shared = shared.is_file() and _has_table(_text(shared))
    if own.exists() and in_shared:
        raise UserError(
            f"Settings stand both in {own} and in [tool.chargehand] of {shared}.",
            code="two_project_files",
            hint="Keep one of them.",
            file=str(own),
        )
    if own.exists():
        return own, ()
    return (shared, ("tool", "chargehand")) if in_shared else None


def _has_table(text: str) -> bool:
    """Whether there is a `tool.chargehand`, however it is written; where that cannot be read, whether it seems so."""
    if "chargehand" not in text and re.search(r"(?m)^\s*tool\s*=", text) is None:
        return False
    try:
        tool = load_toml(text).get("tool", {})
    except TomlRefusedError:
        return re.search(r"(?m)^\s*\[+\s*tool\s*\.\s*[\"']?chargehand\b", text) is not None
    return "chargehand" in tool if isinstance(tool, dict) else True


def _text(path: Path) -> str:
    text, problem = read_text(path)
    return "" if problem else text


def _read_file(into: Gathered, path: Path, table: KeyPath, rank: Rank) -> None:
    file = str(path)
    text, problem = read_text(path)
    if problem is not None:
        if problem.code != "empty":
            into.problems.append(Problem(code=problem.code, message=problem.message, file=file, line=problem.line))
        return
    try:
        data: Any = load_toml(text)
    except TomlRefusedError as error:
        message = f"This is not valid TOML: {error.message.rstrip('.')}."
        into.problems.append(Problem(code="syntax", message=message, file=file, line=error.line, column=error.column))
        return
    source = _Source(name=file, rank=rank, file=file, table=table, lines=toml_lines(text))
    for depth, part in enumerate(table, 1):
        data = data.get(part, {})
        if not isinstance(data, dict):
            name = ".".join(table[:depth])
            line = line_of(source.lines, table[:depth]) or line_of(source.lines, (*table[:depth], 0))
            hint = f"Write [{'.'.join(table)}] once, with the settings below it."
            message = f"{name} is no table."
            into.problems.append(Problem(code="bad_setting", message=message, hint=hint, file=file, line=line))
            return
    for key, value in _leaves((), data):
        into.take(key, value, source)


def _leaves(path: KeyPath, value: Any) -> Iterator[tuple[KeyPath, Any]]:
    """The values of a document with their keys: a table is walked into, unless it is one option."""
    if isinstance(value, dict) and (value or not path) and option_for(path) is None:
        for key, part in value.items():
            yield from _leaves((*path, key), part)
    elif not isinstance(value, dict) or option_for(path) is not None or not _is_table(path):
        yield path, value


def _is_table(path: KeyPath) -> bool:
    """Whether an empty table of that name is fine."""
    prefix = ".".join(path) + "."
    return any(option.key.startswith(prefix) for option in OPTIONS) or (len(path) == 2 and path[0] == "agents")


# -- all of them ----------------------------------------------------------------------------------


def gather(
    root: Path | None, env: Mapping[str, str], sets: Sequence[str], flags: Mapping[str, Any]
) -> tuple[Gathered, tuple[Problem, ...]]:
    """Read all sources, weakest first; warnings are apart."""
    found = Gathered()
    built_in = _Source(name="default", rank=Rank.BUILT_IN)
    for option in OPTIONS:
        if option.default is not None and "*" not in option.key:
            found.take(split_key(option.key), option.default, built_in)
    user = user_file(env)
    if user is not None and user.exists():
        _read_file(found, user, (), Rank.USER)
    project = project_file(root) if root is not None else None
    if project is not None:
        _read_file(found, project[0], project[1], Rank.PROJECT)
    warnings = _read_environment(found, env)
    for text in sets:
        _read_set(found, text)
    for key, value in flags.items():
        if value is not None:
            _read_flag(found, key, value)
    return found, warnings


def _read_environment(into: Gathered, env: Mapping[str, str]) -> tuple[Problem, ...]:
    options = {option.env: option for option in OPTIONS if option.env}
    warnings: list[Problem] = []
    for name in sorted(env):
        if not name.startswith("CHARGEHAND_") or name in CONTRACT_VARIABLES:
            continue
        option = options.get(name)
        if option is not None:
            source = _Source(name=f"environment {name}", rank=Rank.ENVIRONMENT)
            _take_text(into, split_key(option.key), option, env[name], source)
        elif hint := nearest(
            name.removeprefix("CHARGEHAND_"), [known.removeprefix("CHARGEHAND_") for known in options]
        ):
            message = f"The environment variable {name} is no setting; it is ignored."
            hint = hint.replace("'", "'CHARGEHAND_", 1)
            warnings.append(Problem(code="unknown_variable", message=message, severity=Severity.WARNING, hint=hint))
    return tuple(warnings)


def _read_set(into: Gathered, text: str) -> None:
    key, equals, value = text.partition("=")
    path = split_key(key.strip())
    source = _Source(name=f"--set {key.strip()}", rank=Rank.SET)
    if not equals:
        message = f"--set {text!r} has no '='."
        into.problems.append(Problem(code="bad_setting", message=message, hint="Write --set key=value."))
        return
    option = option_for(path)
    if option is None:
        into.take(path, value, source)
    else:
        _take_text(into, path, option, value.strip(), source)


def _read_flag(into: Gathered, key: str, value: Any) -> None:
    path = split_key(key)
    option = option_for(path)
    source = _Source(name=option.flag if option is not None and option.flag else f"--{key}", rank=Rank.FLAG)
    if option is not None and isinstance(value, str):
        _take_text(into, path, option, value, source)
    else:
        into.take(path, list(value) if isinstance(value, tuple) else value, source)


def _take_text(into: Gathered, path: KeyPath, option: Option, text: str, source: _Source) -> None:
    try:
        raw = parse_text(option, text)
    except Refused as no:
        into.problems.append(source.problem("bad_setting", f"{'.'.join(path)}: {no.message}", no.hint, path))
        return
    into.take(path, raw, source)
