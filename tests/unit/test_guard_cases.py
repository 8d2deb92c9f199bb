"""The table of commands (guard_cases.txt): what is asked about, evasions included, and what only looks like it.

Nothing in the table is ever executed; it is read, and classified.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from chargehand.adapters.guarding.classify import classify
from chargehand.adapters.guarding.place import Place
from chargehand.adapters.guarding.rules import RULES
from chargehand.adapters.guarding.verdict import Kind

PLACE = Place(
    cwd="/ws/repo",
    inside=("/ws/repo",),
    private=("/ws/home", "/ws/tmp"),
    home="/ws/home",
    tmp="/ws/tmp",
    hosts=frozenset({"api.example.com"}),
    packages=frozenset({"cowsay", "requests"}),
    untracked=frozenset({"notes.txt"}),
)
SANDBOXED = replace(PLACE, sandboxed=True)


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    section: str
    asked: bool
    inside: bool
    rules: frozenset[str]
    command: str


def read_cases() -> list[Case]:
    cases, section = [], ""
    for line in Path(__file__).with_name("guard_cases.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("=="):
            section = line.removeprefix("== ")
        elif line and not line.startswith("#"):
            head, _, command = line.partition(" | ")
            words = head.split()
            text = re.sub(r"(?<!\\)\\([nt])", lambda match: {"n": "\n", "t": "\t"}[match[1]], command)
            rules = frozenset(words) - {"ask", "ok", "in", "-"}
            cases.append(
                Case(
                    section,
                    words[0] == "ask",
                    "in" in words,
                    rules,
                    text.replace("\\\\n", "\\n").replace("\\\\t", "\\t"),
                )
            )
    return cases


CASES = read_cases()


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command)
def test_what_a_command_is_without_a_sandbox(case: Case) -> None:
    """I8, I9: what destroys, leaves the workspace, or cannot be told, is a question; what only looks so is none."""
    verdict = classify(case.command, PLACE)
    assert (verdict.kind is not Kind.HARMLESS) == case.asked, verdict
    assert case.rules <= {danger.rule for danger in verdict.reasons}, verdict
    assert all(danger.exact and danger.why for danger in verdict.reasons)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.command)
def test_what_a_command_is_inside_a_sandbox(case: Case) -> None:
    """SPEC 7.2: inside a sandboxed workspace only what reaches outside it is asked about."""
    verdict = classify(case.command, SANDBOXED)
    assert (verdict.kind is not Kind.HARMLESS) == (case.asked and not case.inside), verdict


def test_the_table_is_what_it_says() -> None:
    """At least 150 cases, two thirds of the dangers evasions, every rule in it known."""
    evasions = [case for case in CASES if case.section.startswith("evasions")]
    assert len(CASES) >= 150
    assert all(case.asked == (case.section != "harmless look-alikes") for case in CASES)
    assert len(evasions) > 150
    assert frozenset().union(*(case.rules for case in CASES)) <= set(RULES)
    assert len({case.command for case in CASES}) == len(CASES)
