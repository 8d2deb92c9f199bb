"""The page of results: what was shown of which program, in which version, and what its driver can do."""

from __future__ import annotations

import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from chargehand.adapters.agent_run import as_stream
from chargehand.adapters.agents import make_agent
from chargehand.domain.options import AgentDef
from tests.agents.cases import CASES
from tests.agents.install import PROGRAMS, Program

__all__ = ["Result", "page"]

PAIR_WORDS = {
    "together": "{one} and {two} in one plan, two tasks at a time, to landed code",
    "review": "{one} writes, {two} reviews, a fix round, to landed code",
}
BEGIN, END = "<!-- results -->", "<!-- end of results -->"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One case of one program, or of two; without a case the program could not be installed."""

    program: Program
    other: Program | None = None
    case: str
    words: str = ""
    failed: bool = False
    took_s: float = 0.0


def page(text: str, results: Sequence[Result]) -> str:
    """The page with the tables of these results between its marks; what was not run keeps no place in them."""
    head, _, rest = text.partition(BEGIN)
    tail = rest.partition(END)[2]
    day = datetime.now(UTC).date().isoformat()
    where = f"Python {platform.python_version()}, Linux {platform.release().partition('-')[0]}"
    shown = [f"Run on {day} with {where}.", "", *_cases(results), "", *_pair(results), *_capabilities(), ""]
    return f"{head}{BEGIN}\n" + "\n".join(shown) + f"{END}{tail}"


def _cases(results: Sequence[Result]) -> list[str]:
    names = [case for case in CASES if any(result.case == case for result in results)]
    lines = [f"| program | version | {' | '.join(names)} |", "|---" * (len(names) + 2) + "|"]
    for program in PROGRAMS:
        own = {result.case: result for result in results if result.program == program and result.case in CASES}
        if own:
            cells = [_cell(own.get(name)) for name in names]
            lines.append(f"| {program.title} | {program.version} | {' | '.join(cells)} |")
    return lines


def _pair(results: Sequence[Result]) -> list[str]:
    """The cases that are of two programs."""
    lines = []
    for result in results:
        if result.other is not None:
            one, two = result.program.title, result.other.title
            lines.append(f"{PAIR_WORDS[result.case].format(one=one, two=two)}: {_cell(result)}.\n")
    return lines


def _cell(result: Result | None) -> str:
    if result is None:
        return "not run"
    mark = "**no**" if result.failed else "yes"
    return f"{mark}{f' ({result.words})' if result.words and not result.failed else ''}, {result.took_s:.0f} s"


def _capabilities() -> list[str]:
    lines = [
        "| program | interface | sessions | turns | money | tool calls told | tokens | cost | hook |",
        "|---" * 9 + "|",
    ]
    for program in PROGRAMS:
        stream = as_stream(make_agent(AgentDef(name="x", kind=program.kind)))
        assert stream is not None
        can = stream.capabilities
        cells = [can.resume, can.turns, can.usd, can.calls, can.tokens, can.cost, bool(can.hook)]
        lines.append(f"| {program.title} | {can.dialect} | {' | '.join('yes' if cell else '' for cell in cells)} |")
    return lines
