"""Variables that a plan sets for everything it runs, under the rules (SPEC 7.2)."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import replace

from chargehand.adapters.guarding.classify import classify
from chargehand.adapters.guarding.place import Place, Spot
from chargehand.adapters.guarding.verdict import Danger, Kind, Verdict
from chargehand.domain.variables import is_loaded, leads_elsewhere

__all__ = ["ENVIRONMENT", "environment_dangers"]

ENVIRONMENT = "(env.set)"
"""Stands for the id where a variable of the plan is asked about; no id has brackets."""

_LOADING = re.compile(
    r"(?:^|\s)(?:-r|--require|--import|--(?:experimental-)?loader|--inspect\S*|-javaagent|-agent\w+|-p)\b"
)
_WORDS = frozenset({"NODE_OPTIONS", "PYTEST_ADDOPTS", "JAVA_OPTS", "MAVEN_OPTS", "GRADLE_OPTS"})
_SEARCHED = frozenset({"PATH", "NODE_PATH", "CLASSPATH"})
_EVERY = "Every program that starts with this variable runs or loads what it names, or believes it."
_ELSEWHERE = "It can lead a key or a program elsewhere: every agent and every command starts with it."
_OURS = "Programs are looked for in the workspace, which agents write."


def environment_dangers(values: Iterable[tuple[str, str]], place: Place) -> Iterator[tuple[str, str, Verdict]]:
    """The variables that are asked about: (`ENVIRONMENT`, `NAME=value`, verdict), in the order of the plan."""
    for name, value in values:
        verdict = _verdict(name, value, place)
        if verdict.kind is not Kind.HARMLESS:
            yield ENVIRONMENT, f"{name}={value}", verdict


def _verdict(name: str, value: str, place: Place) -> Verdict:
    """What the assignment would be in a command, and more: it holds for every command."""
    text = f"{name}={value}"
    if value and (is_loaded(name) or (name in _WORDS and _LOADING.search(value))):
        return _asked(text, _EVERY)
    if value and leads_elsewhere(name):
        return _asked(text, _ELSEWHERE)
    if name in _SEARCHED and any(_is_written(folder, place) for folder in value.split(":")):
        return _asked(text, _OURS)
    verdict = classify(f"export {name}={shlex.quote(value)}", place)
    return replace(verdict, reasons=tuple(replace(reason, exact=text) for reason in verdict.reasons))


def _asked(text: str, why: str) -> Verdict:
    return Verdict(kind=Kind.DANGEROUS, reasons=(Danger(rule="hidden_code", exact=text, why=why),))


def _is_written(folder: str, place: Place) -> bool:
    """Whether agents may put programs there: the workspace, what is relative (or empty), and their own folders."""
    known = re.sub(r"\$\{?(\w+)\}?", lambda match: place.variables.get(match[1], "/"), folder)
    return place.spot(known or ".", (place.cwd,)) is not Spot.OUTSIDE
