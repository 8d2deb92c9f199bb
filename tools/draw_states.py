"""Draws docs/reference/states.md from the table in `chargehand.domain.state`; --check says whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from chargehand.domain.state import TRANSITIONS
from chargehand.domain.words import TERMINAL, Reason, TaskStatus

PAGE = Path(__file__).parent.parent / "docs" / "reference" / "states.md"

_HEAD = """\
# States of a task

Drawn from `TRANSITIONS` in `src/chargehand/domain/state.py` by `python tools/draw_states.py`: that table is the whole
machine, and nothing but `domain/evolve.py` moves a task. "Ready" is not a state; it is derived.
"""


def page() -> str:
    """The page as it should be."""
    return "\n".join((_HEAD, *_diagram(), "", *_table(), "", *_reasons(), ""))


def _diagram() -> list[str]:
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {TaskStatus.WAITING}"]
    lines += [f"    {start} --> {end}" for start, ends in TRANSITIONS.items() for end in _ordered(ends)]
    lines += [f"    {state} --> [*]" for state in TaskStatus if state in TERMINAL]
    return [*lines, "```"]


def _table() -> list[str]:
    rows = [f"| {start} | {', '.join(_ordered(ends)) or 'nothing: terminal'} |" for start, ends in TRANSITIONS.items()]
    return ["| from | to |", "|---|---|", *rows]


def _reasons() -> list[str]:
    names = ", ".join(f"`{reason}`" for reason in Reason)
    return ["Every terminal state carries one of these reasons (see [outcomes](outcomes.md)):", "", f"{names}."]


def _ordered(states: frozenset[TaskStatus]) -> list[TaskStatus]:
    return [state for state in TaskStatus if state in states]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit("docs/reference/states.md is out of date." if PAGE.read_text(encoding="utf-8") != page() else 0)
    PAGE.write_text(page(), encoding="utf-8")
