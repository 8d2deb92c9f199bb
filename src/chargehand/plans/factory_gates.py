"""The gates of Station Kit: `.kilocode/fitter.toml`, in the words of before and after its renaming (FORMATS 3.3).

A token `{{KFK_X}}` or `{{SK_X}}` is key `x` of `[defaults]`. One that stands for nothing is an error: a gate that runs
a template would be red for a reason nobody wrote.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from chargehand.domain.plan import Command, GatePoint, GateSpec
from chargehand.domain.problem import Problem, Severity
from chargehand.plans.fields import kind_of
from chargehand.plans.konductor_file import parse_toml

__all__ = ["FITTER", "Fitting", "read_fitting"]

FITTER = "fitter.toml"
_TOKEN = re.compile(r"\{\{\s*(?:(?:KFK|SK)_)?([A-Za-z0-9_]+)\s*\}\}")
_SHELL = re.compile(r"[|&;<>$`*?~(){}\n]|\A\s*[A-Za-z_]\w*=")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DEEP = 8
_CHOICE = "fit_profile"
_KINDS = {
    "ruff_format_check": "format",
    "format_check": "format",
    "ruff_check": "lint",
    "lint": "lint",
    "mypy": "type check",
    "typecheck": "type check",
    "pytest": "tests",
    "test": "tests",
}
_FROM_DEFAULTS = (
    ("format_check", "gate_fmt_check_cmd"),
    ("lint", "gate_lint_cmd"),
    ("typecheck", "gate_typecheck_cmd"),
    ("test", "gate_test_cmd"),
)
_EACH = frozenset({GatePoint.TASK, GatePoint.INTEGRATE, GatePoint.RUN})
_END = frozenset({GatePoint.RUN})


@dataclass(slots=True, kw_only=True)
class Fitting:
    """The gates in the order they run, what was said of them, and what is wrong with the file."""

    gates: tuple[GateSpec, ...] = ()
    problems: list[Problem] = field(default_factory=list)
    told: list[str] = field(default_factory=list)


def read_fitting(text: str) -> Fitting:
    """Read the file; problems have lines, the caller names the file.

    The fit profile is the one that `fit_profile` of `[defaults]` names, else `baseline`.
    """
    values, broken = parse_toml(text)
    if broken is not None:
        return Fitting(problems=[broken])
    return _Reading(text=text, values=values).read()


@dataclass(slots=True, kw_only=True)
class _Reading:
    text: str
    values: Mapping[str, Any]
    fitting: Fitting = field(default_factory=Fitting)
    seen: set[str] = field(default_factory=set)

    def read(self) -> Fitting:
        found = self.fitting
        wall_s, idle_s = self._budgets()
        listed = list(self._listed())
        gates = [gate for each in listed if (gate := self._gate(*each, wall_s, idle_s)) is not None]
        order = list(dict.fromkeys(_KINDS.values()))
        gates.sort(key=lambda gate: order.index(_KINDS[gate.id]) if gate.id in _KINDS else len(order))
        found.gates = tuple(gates)
        missing = [kind for kind in order if kind not in {_KINDS.get(gate.id) for gate in gates}]
        if missing and not any(problem.is_error for problem in found.problems):
            message = f"There is no gate for: {', '.join(missing)}."
            hint = f"The four of the system are {', '.join(order)}; add them under [[gates]]."
            found.problems.append(
                Problem(code="gate_missing", message=message, severity=Severity.WARNING, hint=hint, line=1)
            )
        left = [key for key in self.values if key not in {"meta", "defaults", "gates", "profiles"}]
        left += ["defaults.arch_verify_cmd"] * ("arch_verify_cmd" in self._defaults())
        found.told += [f"Left alone in {FITTER}: {', '.join(left)}."] * bool(left)
        return found

    def _defaults(self) -> Mapping[str, Any]:
        value = self.values.get("defaults", {})
        return value if isinstance(value, dict) else {}

    # -- gates ------------------------------------------------------------------------------------

    def _listed(self) -> Iterator[tuple[str, str]]:
        """(id, invocation) of every gate: those of `[[gates]]`, else those that `[defaults]` has commands for."""
        gates = self.values.get("gates", [])
        if not isinstance(gates, list) or not all(isinstance(each, dict) for each in gates):
            self._say("wrong_type", "gates: Expected tables [[gates]] with id and invocation.", "gates")
            return
        for each in gates:
            name, line = each.get("id"), each.get("invocation")
            if not isinstance(name, str) or not _ID.fullmatch(name):
                self._say("bad_value", f"gates: Expected an id such as 'lint', found {kind_of(name)}.", "[[gates]]")
            elif not isinstance(line, str) or not line.strip():
                text = f"Gate {name} has no invocation: expected a command, found {kind_of(line)}."
                self._say("bad_value", text, name)
            else:
                yield name, line
        if not gates:
            yield from ((name, f"{{{{{key}}}}}") for name, key in _FROM_DEFAULTS if key in self._defaults())

    def _gate(self, name: str, invocation: str, wall_s: float | None, idle_s: float | None) -> GateSpec | None:
        if name in self.seen:
            self._say("duplicate_id", f"The gate id '{name}' is used twice.", name, "Rename one of them.")
            return None
        self.seen.add(name)
        line = self._resolved(invocation, f"gate {name}")
        run = self._command(name, line) if line is not None else None
        if run is None:
            return None
        kind = _KINDS.get(name, "")
        fix = self._fix(name, line or "") if kind == "format" else None
        points = _EACH if kind in {"format", "lint"} else _END
        when = "after every subtask and at the end" if points is _EACH else "at the end"
        mends = f", mended with `{fix.text}`" if fix is not None else ""
        self.fitting.told.append(f"Gate {name}: `{run.text}`, {when}{mends}.")
        return GateSpec(id=name, run=run, on=points, wall_s=wall_s, idle_s=idle_s, fix=fix)

    def _fix(self, name: str, line: str) -> Command | None:
        """The command that mends the format: one of its own, else the check without `--check`."""
        own = self._defaults().get("gate_fmt_cmd")
        if isinstance(own, str) and own.strip():
            resolved = self._resolved(own, "gate_fmt_cmd")
            return self._command("gate_fmt_cmd", resolved) if resolved is not None else None
        without = re.sub(r"\s--check(?=\s|\Z)", "", line)
        return self._command(name, without) if without != line else None

    def _command(self, name: str, line: str) -> Command | None:
        try:
            words = shlex.split(line)
        except ValueError as error:
            self._say("bad_value", f"The command of {name} cannot be read: {error}.", name)
            return None
        if not words:
            self._say("bad_value", f"The command of {name} is empty.", name)
            return None
        if _SHELL.search(line):
            return Command(argv=(line,), shell=True)  # noqa: S604 - a value, nothing is run here
        return Command(argv=tuple(words))

    def _resolved(self, text: str, where: str) -> str | None:
        """The text with its tokens replaced; None, and an error, where one stands for nothing."""
        for _ in range(_DEEP):
            if not _TOKEN.search(text):
                return text
            for token in _TOKEN.finditer(text):
                value = self._defaults().get(token[1].lower())
                if not isinstance(value, str) or not value.strip() or token[0] in value:
                    self._unresolved(token[0], token[1].lower(), where)
                    return None
            text = _TOKEN.sub(lambda token: str(self._defaults()[token[1].lower()]), text)
        self._say("unresolved_token", f"The tokens of {where} refer to each other.", "[defaults]")
        return None

    def _unresolved(self, token: str, key: str, where: str) -> None:
        text = f"The token {token} of {where} stands for nothing."
        hint = f"Set {key} under [defaults]; the template of the kit has only the token there."
        self._say("unresolved_token", text, token, hint)

    # -- budgets ----------------------------------------------------------------------------------

    def _budgets(self) -> tuple[float | None, float | None]:
        profiles = self.values.get("profiles", [])
        if not isinstance(profiles, list) or not all(isinstance(each, dict) for each in profiles):
            self._say("wrong_type", "profiles: Expected tables [[profiles]].", "profiles")
            return None, None
        named = self._defaults().get(_CHOICE)
        if named is not None and (not isinstance(named, str) or not named.strip()):
            self._say("bad_value", f"{_CHOICE}: Expected the name of a fit profile, found {kind_of(named)}.", _CHOICE)
            return None, None
        wanted = named or "baseline"
        chosen = next((each for each in profiles if each.get("name") == wanted), None)
        if chosen is None and named is not None:
            known = ", ".join(str(each.get("name")) for each in profiles) or "none"
            text = f"{_CHOICE}: There is no fit profile {wanted!r}."
            self._say("bad_value", text, _CHOICE, f"There are under [[profiles]]: {known}.")
        if chosen is None:
            self.fitting.told += [f"No fit profile {wanted}: budgets are those of the settings."] * bool(profiles)
            return None, None
        found = [self._seconds(chosen, key) for key in ("timeout_seconds", "stall_seconds")]
        told = [f"{key} {value:g} s" for key, value in zip(("wall", "silence"), found, strict=True) if value]
        self.fitting.told.append(f"Fit profile {wanted}: {', '.join(told) or 'no budgets'}.")
        return found[0], found[1]

    def _seconds(self, profile: Mapping[str, Any], key: str) -> float | None:
        value = profile.get(key)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 86_400:
            text = f"{key}: Expected seconds, more than 0 and at most a day, found {kind_of(value)}."
            self._say("bad_value", text, key)
            return None
        return float(value)

    def _say(self, code: str, message: str, near: str, hint: str = "") -> None:
        at = self.text.find(near)
        line = self.text.count("\n", 0, at) + 1 if at >= 0 else 1
        self.fitting.problems.append(Problem(code=code, message=message, hint=hint, line=line))
