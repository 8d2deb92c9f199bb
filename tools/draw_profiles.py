"""Draws docs/profiles/index.md from `chargehand.profiles.bounds`; --check says whether it is up to date."""

from __future__ import annotations

import sys
from pathlib import Path

from chargehand.domain.silencing import Silencing
from chargehand.profiles.bounds import BOUNDS, Bounds

PAGE = Path(__file__).parent.parent / "docs" / "profiles" / "index.md"

_HEAD = """\
# Profiles

A profile makes a run behave like one of the systems that Chargehand reads the plans of: its order, its bounds, its
files. What such a system asks a model to do, the runtime does by construction; each page has a line for every rule of
its system and says how it is kept, and where it is not.

The table is drawn from `src/chargehand/profiles/bounds.py` by `python tools/draw_profiles.py`: those values are what
runs obey.
"""


def page() -> str:
    """The page as it should be."""
    return "\n".join((_HEAD, *_table(), "", *_pages(), ""))


def _table() -> list[str]:
    rows = {
        "unit order": [each.order for each in BOUNDS.values()],
        "breaker": [_breaker(each) for each in BOUNDS.values()],
        "reviews per task": [_reviews(each) for each in BOUNDS.values()],
        "look at the whole run": [_holistic(each) for each in BOUNDS.values()],
        "retries of a failure": [_retries(each) for each in BOUNDS.values()],
        "context given on request": [_times(each.policy.contexts) for each in BOUNDS.values()],
        "blocked by its agent": ["asked about" if each.policy.asks_blocked else "blocked" for each in BOUNDS.values()],
        "fixes of the final gates": [_times(each.policy.run_fixes) for each in BOUNDS.values()],
        "scope": [each.scope for each in BOUNDS.values()],
        "who commits": [each.commits for each in BOUNDS.values()],
        "final gates excuse a red base": [_yes(each.policy.final_baseline) for each in BOUNDS.values()],
        "a silenced check": [_silencing(each) for each in BOUNDS.values()],
        "`--accept`": ["allowed" if each.accepts else "refused" for each in BOUNDS.values()],
    }
    head = [f"| | {' | '.join(BOUNDS)} |", "|" + "---|" * (len(BOUNDS) + 1)]
    return [*head, *(f"| {name} | {' | '.join(cells)} |" for name, cells in rows.items())]


def _breaker(each: Bounds) -> str:
    if each.policy.breaker is None:
        return each.phase
    return f"{each.policy.breaker} blocked; {each.phase}"


def _reviews(each: Bounds) -> str:
    stages = ", ".join(stage.value for stage in each.policy.stages)
    if not stages:
        return "none"
    rounds = f"{stages}; {_times(each.policy.review_fixes)} fixed each" if each.policy.review_fixes else stages
    return f"{rounds}; {each.reviews}" if each.reviews else rounds


def _holistic(each: Bounds) -> str:
    if each.holistic:
        return each.holistic
    return f"{_times(each.policy.holistic_fixes)} fixed" if each.policy.stages else "none"


def _retries(each: Bounds) -> str:
    return "; ".join((str(each.policy.retries), *([each.retries] if each.retries else [])))


def _silencing(each: Bounds) -> str:
    if each.policy.silencing is Silencing.FAILS:
        return "fails; the tasks that make gates green may make exceptions for single files and modules"
    return "is told to reviewers" if each.policy.stages else "is recorded"


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number} times")


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _pages() -> list[str]:
    names = [name for name in BOUNDS if (PAGE.parent / f"{name}.md").exists()]
    return [f"- [{name}]({name}.md)" for name in names]


if __name__ == "__main__":
    if "--check" in sys.argv:
        sys.exit("docs/profiles/index.md is out of date." if PAGE.read_text(encoding="utf-8") != page() else 0)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
